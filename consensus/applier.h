#pragma once
/* What the apply thread does with the jobs of the queue: runs them in batches against the store and
 * the archive. No thread of its own: node/ drives it from one, the simulator from virtual time. */
#include "base/clock.h"
#include "base/metric.h"
#include "consensus/apply_queue.h"
#include "consensus/archive.h"
#include "storage/apply.h"
#include "storage/store.h"

struct applier;

struct applier_options {
    struct store *store;
    struct archive *archive;  /* NULL: none is kept */
    uint64_t dirty_bytes_max; /* of a batch; default 256 MiB */
    /* NULL: nothing is measured. `batches` has how long it took to run each and commit it,
     * `commits` how long its commit did, on the disk. */
    const struct clock *clock;
    struct metric_histogram *batches;
    struct metric_histogram *commits;
    /* As apply.h has it. What was answered is not given again when its batch is. */
    apply_result_cb on_result;
    /* The results of a batch were all given, and their entries are committed in the log: their
     * clients may be answered, before the store commits. */
    void (*on_answered)(void *arg);
    /* What on_result gave since the last on_answered did not come to be. */
    void (*on_aborted)(void *arg);
    /* Committed: readers see it. */
    void (*on_published)(void *arg, const struct store_position *position);
    /* A mark was reached: everything up to `position` is synced, store and archive; the digests are
     * those at exactly that index. */
    void (*on_marked)(void *arg,
                      const struct store_position *position,
                      const struct store_digest *digest);
    /* Makes the folder `path`, which is open, the current one, durably. 0 or a CLADE_ERR_*: after
     * CLADE_ERR_NO_SPACE all is as before. */
    store_keep_cb make_current;
    /* A swap ended: 0, or why not; the store is then as before. */
    void (*on_swapped)(void *arg, const char *path, int code);
    void *arg;
};

int applier_new(const struct applier_options *options, struct applier **ret, struct error *error);
/* Accepts NULL. */
void applier_free(struct applier *a);

/* A batch that comes to `index` ends there, so that on_published tells of exactly that one; 0 =
 * none. */
void applier_stop_at(struct applier *a, uint64_t index);

/* Runs jobs from the first on and commits, as far as one batch goes. 0: *ret_next is the first job
 * that was left. After CLADE_ERR_NO_SPACE the same jobs are to be given again when there may be
 * room; after any other error the process must stop. The jobs stay the caller's. */
int applier_run(struct applier *a,
                struct apply_job *jobs,
                struct apply_job **ret_next,
                struct error *error);
