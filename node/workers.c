#include "node/workers.h"

#include <stdlib.h>

#include "node/serve_internal.h"
#include "node/thread.h"

#define QUEUED_MAX      4096U
#define LANE_QUEUED_MAX 256U

struct worker {
    struct workers *workers;
    struct reader *reader;
    pthread_t thread;
    bool running;
};

struct workers {
    struct node *node;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct list ready; /* lanes with a request to run and room to run it */
    unsigned queued;
    unsigned lane_running_max;
    bool stopping;
    unsigned len;
    struct worker threads[];
};

/* --- lanes --- */

void lane_init(struct lane *lane)
{
    *lane = (struct lane){.running = 0};
    list_init(&lane->queue);
}

static void settle_lane(struct workers *w, struct lane *lane)
{
    bool ready = !list_is_empty(&lane->queue) && lane->running < w->lane_running_max;
    if (ready && !list_is_linked(&lane->node)) {
        list_push_back(&w->ready, &lane->node);
        pthread_cond_signal(&w->wake);
    } else if (!ready && list_is_linked(&lane->node)) {
        list_remove(&lane->node);
    }
}

bool workers_submit(struct workers *w, struct job *job)
{
    struct lane *lane = job->lane;
    pthread_mutex_lock(&w->mutex);
    bool room = w->queued < QUEUED_MAX && lane->queued < LANE_QUEUED_MAX && !w->stopping;
    if (room) {
        list_push_back(&lane->queue, &job->node);
        w->queued++;
        lane->queued++;
        settle_lane(w, lane);
    }
    pthread_mutex_unlock(&w->mutex);
    return room;
}

bool workers_cancel(struct workers *w, struct request *r, bool interrupt)
{
    struct lane *lane = &r->conn->lane;
    pthread_mutex_lock(&w->mutex);
    bool queued = list_is_linked(&r->job.node);
    if (queued) {
        list_remove(&r->job.node);
        w->queued--;
        lane->queued--;
        settle_lane(w, lane);
    } else if (interrupt) {
        __atomic_store_n(&r->result->cancelled, true, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&w->mutex);
    return queued;
}

unsigned workers_queued(struct workers *w)
{
    pthread_mutex_lock(&w->mutex);
    unsigned queued = w->queued;
    pthread_mutex_unlock(&w->mutex);
    return queued;
}

/* --- the threads --- */

static struct job *take(struct workers *w)
{
    pthread_mutex_lock(&w->mutex);
    while (list_is_empty(&w->ready) && !w->stopping) {
        pthread_cond_wait(&w->wake, &w->mutex);
    }
    struct list *n = list_pop_front(&w->ready);
    struct job *job = NULL;
    if (n != NULL) {
        struct lane *lane = LIST_ENTRY(n, struct lane, node);
        job = LIST_ENTRY(list_pop_front(&lane->queue), struct job, node);
        w->queued--;
        lane->queued--;
        lane->running++;
        settle_lane(w, lane); /* behind the others */
    }
    pthread_mutex_unlock(&w->mutex);
    return job;
}

static void run(void *arg)
{
    struct worker *t = arg;
    struct workers *w = t->workers;
    for (struct job *job; (job = take(w)) != NULL;) {
        job->run(job, t->reader);
        pthread_mutex_lock(&w->mutex);
        job->lane->running--;
        settle_lane(w, job->lane);
        pthread_mutex_unlock(&w->mutex);
        job->done(job); /* its lane may be gone after */
    }
}

/* --- life --- */

int workers_new(struct node *n, unsigned threads, struct workers **ret, struct error *error)
{
    struct workers *w = calloc(1, sizeof *w + threads * sizeof w->threads[0]);
    if (w == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    w->node = n;
    w->lane_running_max = threads > 1 ? threads - 1 : 1;
    list_init(&w->ready);
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->wake, NULL);
    *ret = w;
    for (; w->len < threads; w->len++) {
        struct worker *t = &w->threads[w->len];
        t->workers = w;
        int r = reader_new(n->store, &t->reader, error);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int workers_start(struct workers *w, struct error *error)
{
    for (unsigned i = 0; i < w->len; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "query-%u", i);
        if (thread_start(&w->threads[i].thread, name, run, &w->threads[i]) < 0) {
            return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "a thread cannot be started");
        }
        w->threads[i].running = true;
    }
    return 0;
}

void workers_stop(struct workers *w)
{
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->mutex);
    for (unsigned i = 0; i < w->len; i++) {
        if (w->threads[i].running) {
            pthread_join(w->threads[i].thread, NULL);
            w->threads[i].running = false;
        }
    }
}

void workers_free(struct workers *w)
{
    if (w == NULL) {
        return;
    }
    for (unsigned i = 0; i < w->len; i++) {
        reader_free(w->threads[i].reader);
    }
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}
