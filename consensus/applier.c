#include "consensus/applier.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"

#define DIRTY_BYTES_MAX (UINT64_C(256) << 20)
#define ROOM_CHANGES    256 /* of the change log, each time that there was no room */

struct applier {
    struct applier_options options;
    struct apply *apply;
    uint64_t index;    /* of the job that runs */
    uint64_t answered; /* jobs up to it were answered */
    uint64_t stop_at;  /* 0 = nowhere */
    size_t jobs_max;   /* of a batch: one when there was no room, then twice as many each time */
};

int applier_new(const struct applier_options *options, struct applier **ret, struct error *error)
{
    struct applier *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    a->options = *options;
    a->jobs_max = SIZE_MAX;
    if (a->options.dirty_bytes_max == 0) {
        a->options.dirty_bytes_max = DIRTY_BYTES_MAX;
    }
    int rc = apply_new(options->store, &a->apply, error);
    if (rc != 0) {
        free(a);
        return rc;
    }
    *ret = a;
    return 0;
}

void applier_free(struct applier *a)
{
    if (a != NULL) {
        apply_free(a->apply);
        free(a);
    }
}

void applier_stop_at(struct applier *a, uint64_t index)
{
    a->stop_at = index;
}

/* --- jobs that are part of a batch --- */

static void on_result(void *arg, const struct apply_result *result)
{
    struct applier *a = arg;
    if (a->index > a->answered) {
        a->options.on_result(a->options.arg, result);
    }
}

static int run_job(struct applier *a, const struct apply_job *j, struct error *error)
{
    struct span entry = span_make(j->bytes, j->len);
    bool more;
    if (j->kind == JOB_COMPACT) {
        return apply_compact(a->apply, get_u16le(j->bytes), &more, error);
    }
    a->index = j->index;
    int rc = j->kind == JOB_ADVANCE
                 ? apply_advance(a->apply, j->previous, j->index, error)
                 : apply_entry(a->apply, j->previous, j->index, entry, on_result, a, error);
    /* Also what the store has already: after a crash the archive may know less than it. */
    if (rc == 0 && a->options.archive != NULL) {
        rc = archive_append(a->options.archive, j->previous, j->index, entry, error);
    }
    return rc == 0 ? 0 : error_wrap(error, "applying the log entry at index %" PRIu64, j->index);
}

static uint64_t now(const struct applier *a)
{
    return a->options.clock != NULL ? clock_monotonic_us(a->options.clock) : 0;
}

/* Whether `j` goes into the batch that has `n` jobs already. */
static bool goes_on(const struct applier *a, const struct apply_job *j, size_t n)
{
    return (j->kind == JOB_ENTRY || j->kind == JOB_ADVANCE) && n < a->jobs_max &&
           apply_batch_bytes(a->apply) < a->options.dirty_bytes_max &&
           (a->stop_at == 0 || j->previous != a->stop_at);
}

static int run_batch(struct applier *a,
                     struct apply_job *jobs,
                     struct apply_job **ret_next,
                     struct error *error)
{
    const struct applier_options *o = &a->options;
    struct store_position position;
    struct apply_job *j = jobs;
    uint64_t began_us = now(a);
    uint64_t ran_us = 0;
    size_t n = 0;
    int rc = apply_begin(a->apply, error);
    while (rc == 0 && j != NULL && (n == 0 || goes_on(a, j, n))) {
        rc = run_job(a, j, error);
        j = j->next;
        n++;
    }
    if (rc == 0) {
        o->on_answered(o->arg);
        a->answered = a->index > a->answered ? a->index : a->answered;
        ran_us = now(a);
        rc = apply_commit(a->apply, &position, error);
    }
    if (rc != 0) {
        apply_abort(a->apply);
        o->on_aborted(o->arg);
        return rc;
    }
    o->on_published(o->arg, &position);
    if (o->clock != NULL) {
        uint64_t done_us = now(a);
        metric_observe(o->batches, done_us - began_us);
        metric_observe(o->commits, done_us - ran_us);
    }
    *ret_next = j;
    return 0;
}

/* Some of what is below the floors goes, for the room that it gives. What lacks room even for that
 * is left: more may come from elsewhere. */
static int make_room(struct applier *a, struct error *error)
{
    struct store_position position;
    bool more;
    if (!store_has_past(a->options.store)) {
        return 0;
    }
    int rc = apply_begin(a->apply, error);
    if (rc == 0) {
        rc = apply_compact(a->apply, ROOM_CHANGES, &more, error);
    }
    if (rc == 0) {
        rc = apply_commit(a->apply, &position, error);
    }
    if (rc != 0) {
        apply_abort(a->apply);
    }
    return rc == CLADE_ERR_NO_SPACE ? 0 : rc;
}

/* A batch that finds no room is tried again job by job: what fits is applied, whatever waits behind
 * it, and frees the pages that it replaces. */
static int run_entries(struct applier *a,
                       struct apply_job *jobs,
                       struct apply_job **ret_next,
                       struct error *error)
{
    struct error other = {.code = 0};
    int rc = run_batch(a, jobs, ret_next, error);
    if (rc == 0) {
        a->jobs_max = a->jobs_max > SIZE_MAX / 2 ? SIZE_MAX : 2 * a->jobs_max;
    } else if (rc == CLADE_ERR_NO_SPACE) {
        a->jobs_max = 1;
        int room = make_room(a, &other);
        if (room != 0 && error != NULL) {
            *error = other;
        }
        rc = room != 0 ? room : rc;
    }
    return rc;
}

/* --- jobs that stand alone --- */

/* What Raft goes on from must be in the store: a store that lost it would lack those entries for
 * ever, and the log no longer has them. */
static int check_expectation(struct applier *a, const struct apply_job *j, struct error *error)
{
    struct store_position p = store_position(a->options.store);
    if (p.applied >= j->index) {
        return 0;
    }
    return error_set(error, CLADE_ERR_CORRUPT, "data.mdb",
                     "the log goes on after index %" PRIu64
                     ", and the store has only reached %" PRIu64
                     ": it is an older one, or was lost",
                     j->index, p.applied);
}

static int reach_mark(struct applier *a, struct error *error)
{
    const struct applier_options *o = &a->options;
    int rc = store_sync(o->store, error);
    if (rc == 0 && o->archive != NULL) {
        rc = archive_sync(o->archive, error);
    }
    if (rc == 0) {
        struct store_position p = store_position(o->store);
        struct store_digest d = store_digest_current(o->store);
        o->on_marked(o->arg, &p, &d);
    }
    return rc;
}

static int swap_store(struct applier *a, const struct apply_job *j, struct error *error)
{
    const struct applier_options *o = &a->options;
    const char *path = (const char *)j->bytes + 8;
    struct store_position p = store_position(o->store);
    if (get_u64le(j->bytes) <= p.applied) {
        o->on_swapped(o->arg, path, CLADE_ERR_CONFLICT); /* Raft was faster */
        return 0;
    }
    int rc = store_swap(o->store, path, o->make_current, o->arg, error);
    if (rc == CLADE_ERR_NO_SPACE) {
        o->on_swapped(o->arg, path, rc);
        return 0;
    }
    if (rc == 0) {
        p = store_position(o->store);
        o->on_published(o->arg, &p);
        o->on_swapped(o->arg, path, 0);
    }
    return rc;
}

static void on_tried(void *arg, const struct apply_result *result)
{
    struct applier *a = arg;
    a->options.on_result(a->options.arg, result);
}

/* Room and memory that lack here are the asker's misfortune: nothing waits for this job. Whoever
 * asked hears nothing then, and gives up at its deadline. */
static int try_txn(struct applier *a, const struct apply_job *j, struct error *error)
{
    struct span item = span_make(j->bytes + 8, j->len - 8);
    int rc = apply_try(a->apply, get_u64le(j->bytes), item, on_tried, a, error);
    if (rc == CLADE_ERR_NO_SPACE || rc == CLADE_ERR_NO_MEMORY) {
        return 0;
    }
    if (rc == 0) {
        a->options.on_answered(a->options.arg);
    }
    return rc;
}

int applier_run(struct applier *a,
                struct apply_job *jobs,
                struct apply_job **ret_next,
                struct error *error)
{
    int rc = 0;
    switch (jobs->kind) {
    case JOB_ENTRY:
    case JOB_ADVANCE:
        return run_entries(a, jobs, ret_next, error);
    case JOB_COMPACT:
        rc = run_batch(a, jobs, ret_next, error);
        if (rc == CLADE_ERR_NO_SPACE) {
            *ret_next = jobs->next; /* nothing waits for it, and it is asked for again */
            rc = 0;
        }
        return rc;
    case JOB_EXPECT:
        rc = check_expectation(a, jobs, error);
        break;
    case JOB_MARK:
        rc = reach_mark(a, error);
        break;
    case JOB_SWAP:
        rc = swap_store(a, jobs, error);
        break;
    case JOB_TRY:
        rc = try_txn(a, jobs, error);
        break;
    }
    if (rc == 0) {
        *ret_next = jobs->next;
    }
    return rc;
}
