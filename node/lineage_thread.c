#include "node/lineage_thread.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/thread.h"
#include "storage/store.h"

struct lineage_thread {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool due;      /* there is something to fill */
    bool stopping; /* read by store_fill_lineage without the mutex */
    enum store_lineage_state logged;
};

static void fill(struct lineage_thread *t)
{
    struct error error = {.code = 0};
    struct store_lineage look;
    uint64_t begin = clock_monotonic_us(clock_system());
    if (store_fill_lineage(t->store, &t->stopping, &error) < 0) {
        log_error("the lineage index could not be filled; lineage is read from the disk (runbook: "
                  "damaged node)",
                  LOG_STR("class", clade_error_name(error.code)), LOG_STR("error", error.message));
        return;
    }
    store_lineage_look(t->store, &look);
    if (look.state == LINEAGE_READY) {
        log_info("the lineage index is filled", LOG_U64("edges", look.edges),
                 LOG_U64("bytes", look.bytes),
                 LOG_U64("ms", (clock_monotonic_us(clock_system()) - begin) / 1000));
    }
}

static void run(void *arg)
{
    struct lineage_thread *t = arg;
    pthread_mutex_lock(&t->mutex);
    while (!__atomic_load_n(&t->stopping, __ATOMIC_RELAXED)) {
        if (!t->due) {
            pthread_cond_wait(&t->wake, &t->mutex);
            continue;
        }
        t->due = false;
        pthread_mutex_unlock(&t->mutex);
        fill(t);
        pthread_mutex_lock(&t->mutex);
    }
    pthread_mutex_unlock(&t->mutex);
}

static void release(struct lineage_thread *t)
{
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

int lineage_thread_start(struct store *store, struct lineage_thread **ret, struct error *error)
{
    struct lineage_thread *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    t->store = store;
    t->due = true;
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->wake, NULL);
    if (thread_start(&t->thread, "lineage", run, t) < 0) {
        release(t);
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "a thread cannot be started");
    }
    *ret = t;
    return 0;
}

void lineage_thread_wake(struct lineage_thread *t)
{
    if (t == NULL) {
        return;
    }
    pthread_mutex_lock(&t->mutex);
    t->due = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mutex);
}

void lineage_thread_look(struct lineage_thread *t)
{
    struct store_lineage look;
    if (t == NULL) {
        return;
    }
    store_lineage_look(t->store, &look);
    if (look.state == LINEAGE_FULL && t->logged != LINEAGE_FULL) {
        log_warning("the lineage index does not fit in its memory; lineage is read from the disk, "
                    "until a restart with more (lineage_bytes)");
    } else if (look.state == LINEAGE_DAMAGED && t->logged != LINEAGE_DAMAGED) {
        log_error("the lineage index was given up; lineage is read from the disk, until a restart "
                  "(runbook: damaged node)");
    }
    t->logged = look.state;
}

void lineage_thread_stop(struct lineage_thread *t)
{
    if (t == NULL) {
        return;
    }
    pthread_mutex_lock(&t->mutex);
    __atomic_store_n(&t->stopping, true, __ATOMIC_RELAXED);
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mutex);
    pthread_join(t->thread, NULL);
    release(t);
}

const char *lineage_state_name(unsigned state)
{
    static const char *const names[] = {
        [LINEAGE_OFF] = "off",     [LINEAGE_ABSENT] = "absent", [LINEAGE_FILLING] = "filling",
        [LINEAGE_READY] = "ready", [LINEAGE_FULL] = "full",     [LINEAGE_DAMAGED] = "damaged"};
    return names[state];
}
