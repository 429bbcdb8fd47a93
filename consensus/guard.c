#include <stdlib.h>

#include "base/check.h"
#include "consensus/guard_internal.h"

/* --- the mark --- */

int guard_write_now(struct guard *g)
{
    struct error error = {0};
    pthread_mutex_lock(&g->writing);
    pthread_mutex_lock(&g->state);
    g->wanted.generation++;
    g->taken = g->wanted;
    g->due_us = UINT64_MAX;
    struct guard_mark mark = g->taken;
    pthread_mutex_unlock(&g->state);
    int r = guard_mark_write(g->options.disk, &mark, &error);
    pthread_mutex_unlock(&g->writing);
    if (r < 0) {
        (void)error_wrap(&error, "writing the log's mark");
        g->options.on_fatal(g->options.arg, &error);
        return RAFT_IOERR;
    }
    return 0;
}

uint64_t guard_write(struct guard *g, uint64_t now_us)
{
    pthread_mutex_lock(&g->state);
    uint64_t due_us = g->due_us;
    pthread_mutex_unlock(&g->state);
    if (due_us > now_us) {
        return due_us;
    }
    (void)guard_write_now(g);
    pthread_mutex_lock(&g->state);
    due_us = g->due_us;
    pthread_mutex_unlock(&g->state);
    return due_us;
}

void guard_flush(struct guard *g)
{
    (void)guard_write(g, UINT64_MAX - 1);
}

void guard_raise(struct guard *g, raft_index index, raft_term term)
{
    uint64_t due_us = UINT64_MAX;
    pthread_mutex_lock(&g->state);
    if (index > g->wanted.index) {
        g->wanted.index = index;
        g->wanted.index_term = term;
        if (g->due_us == UINT64_MAX) {
            due_us = clock_monotonic_us(g->options.clock) + GUARD_LAZY_US;
            g->due_us = due_us;
        }
    }
    pthread_mutex_unlock(&g->state);
    if (due_us != UINT64_MAX) {
        g->options.on_due(g->options.arg, due_us);
    }
}

int guard_lower(struct guard *g, raft_index index, raft_term term)
{
    pthread_mutex_lock(&g->state);
    if (g->wanted.index > index) {
        g->wanted.index = index;
        g->wanted.index_term = term;
    }
    bool on_disk = g->taken.index > index;
    pthread_mutex_unlock(&g->state);
    return on_disk ? guard_write_now(g) : 0;
}

/* --- life --- */

int guard_new(const struct guard_options *options, struct guard **ret, struct error *error)
{
    struct guard *g = calloc(1, sizeof *g);
    if (g == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    g->options = *options;
    g->io = options->io;
    g->due_us = UINT64_MAX;
    g->next = 1;
    list_init(&g->appends);
    pthread_mutex_init(&g->writing, NULL);
    pthread_mutex_init(&g->state, NULL);
    guard_face_init(g);
    *ret = g;
    return 0;
}

struct raft_io *guard_io(struct guard *g)
{
    return &g->face;
}

void guard_free(struct guard *g)
{
    if (g == NULL) {
        return;
    }
    CHECK(list_is_empty(&g->appends));
    pthread_mutex_destroy(&g->writing);
    pthread_mutex_destroy(&g->state);
    free(g->stretches);
    free(g);
}
