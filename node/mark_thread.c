#include "node/mark_thread.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "consensus/guard.h"
#include "node/thread.h"

struct mark_thread {
    struct guard *guard;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool due; /* something became due since guard_write was called last */
    bool stopping;
};

/* Until it is due, or something else is, or the thread shall end. */
static void wait(struct mark_thread *t, uint64_t until_us)
{
    const struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                                   .tv_nsec = (long)(until_us % 1000000) * 1000};
    int e = 0;
    while (!t->due && !t->stopping && e == 0) {
        e = until_us == UINT64_MAX ? pthread_cond_wait(&t->wake, &t->mutex)
                                   : pthread_cond_timedwait(&t->wake, &t->mutex, &until);
    }
    t->due = false;
}

static void run(void *arg)
{
    struct mark_thread *t = arg;
    pthread_mutex_lock(&t->mutex);
    while (!t->stopping) {
        pthread_mutex_unlock(&t->mutex);
        uint64_t next_us = guard_write(t->guard, clock_monotonic_us(clock_system()));
        pthread_mutex_lock(&t->mutex);
        wait(t, next_us);
    }
    pthread_mutex_unlock(&t->mutex);
    guard_flush(t->guard);
}

static void release(struct mark_thread *t)
{
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

int mark_thread_start(struct guard *guard, struct mark_thread **ret, struct error *error)
{
    struct mark_thread *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    t->guard = guard;
    pthread_mutex_init(&t->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&t->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (thread_start(&t->thread, "mark", run, t) < 0) {
        release(t);
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "a thread cannot be started");
    }
    *ret = t;
    return 0;
}

void mark_thread_due(struct mark_thread *t)
{
    pthread_mutex_lock(&t->mutex);
    t->due = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mutex);
}

void mark_thread_stop(struct mark_thread *t)
{
    if (t == NULL) {
        return;
    }
    pthread_mutex_lock(&t->mutex);
    t->stopping = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mutex);
    pthread_join(t->thread, NULL);
    release(t);
}
