#include "node/raft_wait.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "node/raft_thread_internal.h"

struct question {
    struct mail mail;
    pthread_mutex_t mutex;
    pthread_cond_t done;
    bool answered;
    int holders; /* the waiter and the loop: the last one frees */
    struct raft_view view;
};

static void let_go(struct question *q)
{
    pthread_mutex_lock(&q->mutex);
    int left = --q->holders;
    pthread_mutex_unlock(&q->mutex);
    if (left == 0) {
        pthread_cond_destroy(&q->done);
        pthread_mutex_destroy(&q->mutex);
        free(q);
    }
}

static void deliver(struct mail *mail, void *owner)
{
    struct raft_thread *rt = owner;
    struct question *q = LIST_ENTRY(mail, struct question, mail);
    bool open = rt->group != NULL && rt->peers != NULL;
    if (open) {
        group_status(rt->group, &q->view.status);
        peers_refused(rt->peers, q->view.refused);
    }
    pthread_mutex_lock(&q->mutex);
    q->answered = open;
    pthread_cond_signal(&q->done);
    pthread_mutex_unlock(&q->mutex);
    let_go(q);
}

static struct question *question_new(void)
{
    struct question *q = calloc(1, sizeof *q);
    if (q == NULL) {
        return NULL;
    }
    q->mail.deliver = deliver;
    q->holders = 2;
    pthread_mutex_init(&q->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&q->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return q;
}

bool raft_wait_status(struct raft_thread *rt, unsigned timeout_ms, struct raft_view *ret)
{
    struct question *q = question_new();
    if (q == NULL) {
        return false;
    }
    if (!mailbox_post(&rt->mail, &q->mail.node)) {
        q->holders = 1;
        let_go(q);
        return false;
    }
    uint64_t until_us = node_now(rt->node) + timeout_ms * UINT64_C(1000);
    const struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                                   .tv_nsec = (long)(until_us % 1000000) * 1000};
    pthread_mutex_lock(&q->mutex);
    while (!q->answered && pthread_cond_timedwait(&q->done, &q->mutex, &until) == 0) {
    }
    bool answered = q->answered;
    if (answered) {
        *ret = q->view;
    }
    pthread_mutex_unlock(&q->mutex);
    let_go(q);
    return answered;
}
