#include <stdlib.h>

#include "base/check.h"
#include "consensus/guard_internal.h"

/* --- the mark --- */

static int fail(struct guard *g, struct error *error)
{
    (void)error_wrap(error, "writing the log's mark");
    g->options.on_fatal(g->options.arg, error);
    return RAFT_IOERR;
}

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
    return r < 0 ? fail(g, &error) : 0;
}

int guard_witness_now(struct guard *g)
{
    struct error error = {0};
    if (g->options.witness == NULL) {
        return 0;
    }
    pthread_mutex_lock(&g->writing);
    pthread_mutex_lock(&g->state);
    uint64_t generation = g->witnessed.generation + 1;
    g->witnessed = g->wanted;
    g->witnessed.generation = generation;
    g->witnessed.next_term = 0;
    g->witnessed.next_vote = 0;
    g->witness_due_us = UINT64_MAX;
    struct guard_mark mark = g->witnessed;
    pthread_mutex_unlock(&g->state);
    int r = guard_mark_write(g->options.witness, &mark, &error);
    pthread_mutex_unlock(&g->writing);
    return r < 0 ? fail(g, &error) : 0;
}

/* When the earlier of the two is due. */
static uint64_t next_due(struct guard *g, uint64_t *ret_witness_us)
{
    pthread_mutex_lock(&g->state);
    uint64_t mark_us = g->due_us;
    *ret_witness_us = g->witness_due_us;
    pthread_mutex_unlock(&g->state);
    return mark_us < *ret_witness_us ? mark_us : *ret_witness_us;
}

uint64_t guard_write(struct guard *g, uint64_t now_us)
{
    uint64_t witness_us;
    if (next_due(g, &witness_us) > now_us) {
        return next_due(g, &witness_us);
    }
    if (witness_us <= now_us) {
        (void)guard_witness_now(g);
    }
    pthread_mutex_lock(&g->state);
    bool is_due = g->due_us <= now_us;
    pthread_mutex_unlock(&g->state);
    if (is_due) {
        (void)guard_write_now(g);
    }
    return next_due(g, &witness_us);
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
        uint64_t now_us = clock_monotonic_us(g->options.clock);
        if (g->due_us == UINT64_MAX) {
            due_us = now_us + GUARD_LAZY_US;
            g->due_us = due_us;
        }
        if (g->options.witness != NULL && g->witness_due_us == UINT64_MAX) {
            g->witness_due_us = now_us + GUARD_WITNESS_US;
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
    bool witnessed = g->witnessed.index > index;
    pthread_mutex_unlock(&g->state);
    int rv = witnessed ? guard_witness_now(g) : 0;
    return rv == 0 && on_disk ? guard_write_now(g) : rv;
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
    g->witness_due_us = UINT64_MAX;
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
