#pragma once
/* The lineage index beside an environment: an adjacency (adjacency.h) that is filled from the edge
 * tables by whoever calls store_fill_lineage, kept by each commit, and let go when it does not fit
 * in its memory. Readers take it when it is there and read the edge tables when it is not, with the
 * same answers.
 *
 * Who writes holds its lock: a batch around its commit, the filler as it begins and hands over. */
#include <pthread.h>

#include "base/buffer.h"
#include "storage/adjacency.h"
#include "storage/epoch.h"
#include "storage/store.h"

struct lineage_index {
    struct adjacency *_Atomic current; /* what readers take; NULL = there is none */
    _Atomic unsigned state;            /* enum store_lineage_state */
    _Atomic uint64_t edges;            /* of `current`, for those who ask */
    _Atomic uint64_t bytes;
    pthread_mutex_t lock;      /* guards what follows, and who writes */
    uint64_t bytes_max;        /* 0 = there is never one */
    struct adjacency *filling; /* being made; `pending` is what it lacks */
    struct buffer pending;     /* batches: a struct pending_batch and its changes */
    struct adjacency *dropped; /* that readers of dropped_epoch may have */
    uint64_t dropped_epoch;
};

void lineage_index_init(struct lineage_index *x, uint64_t bytes_max);
/* Nobody uses it any more. */
void lineage_index_release(struct lineage_index *x);

/* The index for a reader that is in an epoch and at `revision` or before it; NULL: there is none.
 * Any thread, without a lock. */
static inline const struct adjacency *lineage_index_use(const struct lineage_index *x,
                                                        uint64_t revision)
{
    const struct adjacency *a = atomic_load_explicit(&x->current, memory_order_acquire);
    bool covers = a != NULL && atomic_load_explicit(&a->covered, memory_order_acquire) >= revision;
    return covers ? a : NULL;
}

/* --- Apply, around a commit: the lock is held from the one to the other --- */

/* What one commit changes. */
struct lineage_batch {
    struct span changes; /* struct adjacency_change */
    bool lost;           /* some are missing: there was no memory for them */
    uint64_t revision;   /* that the store is at then */
    uint64_t txn;        /* LMDB's number of the transaction */
};

void lineage_index_before_commit(struct lineage_index *x,
                                 const struct lineage_batch *batch,
                                 struct store *store);
void lineage_index_after_commit(struct lineage_index *x,
                                const struct lineage_batch *batch,
                                bool committed,
                                struct store *store);

/* --- The filler --- */

/* Begins: each batch that is committed from here on is pending. NULL when there is an index, or
 * must not be. */
struct adjacency *lineage_index_begin(struct lineage_index *x);
/* Brings what is filled, which has what LMDB's transaction `txn` had, up to the last commit, and
 * lets readers have it; or gives it up. */
void lineage_index_hand_over(struct lineage_index *x, uint64_t txn, uint64_t revision);
void lineage_index_give_up(struct lineage_index *x, enum store_lineage_state why);
