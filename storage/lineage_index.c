#include "storage/lineage_index.h"

#include <stdlib.h>

#include "base/check.h"
#include "storage/environment.h"

#define HELD_BYTES ((size_t)256 << 10) /* of pending changes that a commit may wait for */

/* Before the changes of a batch, in `pending`. */
struct pending_batch {
    uint64_t revision;
    uint64_t txn;
    size_t changes_len; /* bytes */
};

void lineage_index_init(struct lineage_index *x, uint64_t bytes_max)
{
    *x = (struct lineage_index){.bytes_max = bytes_max};
    atomic_init(&x->state, bytes_max == 0 ? LINEAGE_OFF : LINEAGE_ABSENT);
    pthread_mutex_init(&x->lock, NULL);
}

void lineage_index_release(struct lineage_index *x)
{
    adjacency_free(atomic_load_explicit(&x->current, memory_order_relaxed));
    adjacency_free(x->filling);
    adjacency_free(x->dropped);
    buffer_release(&x->pending);
    pthread_mutex_destroy(&x->lock);
}

/* What others may ask for without the lock. */
static void tell(struct lineage_index *x, enum store_lineage_state state)
{
    const struct adjacency *a = atomic_load_explicit(&x->current, memory_order_relaxed);
    atomic_store_explicit(&x->edges, a != NULL ? a->edges : 0, memory_order_relaxed);
    atomic_store_explicit(&x->bytes, a != NULL ? adjacency_bytes(a) : 0, memory_order_relaxed);
    atomic_store_explicit(&x->state, state, memory_order_relaxed);
}

static enum store_lineage_state reason(enum adjacency_result result)
{
    return result == ADJACENCY_FULL ? LINEAGE_FULL : LINEAGE_DAMAGED;
}

static enum adjacency_result change(struct adjacency *a, struct span changes, uint64_t epoch)
{
    const struct adjacency_change *c = (const void *)changes.data;
    return adjacency_change(a, c, changes.len / sizeof *c, epoch);
}

/* --- Apply ------------------------------------------------------------------------------------ */

/* Readers find it no more; it goes when those that have it have left. */
static void drop(struct lineage_index *x, enum store_lineage_state why, struct store *store)
{
    CHECK(x->dropped == NULL); /* only a fill makes another, and frees this one first */
    x->dropped = atomic_load_explicit(&x->current, memory_order_relaxed);
    x->dropped_epoch = epoch_now(&store->epoch);
    atomic_store_explicit(&x->current, NULL, memory_order_release);
    tell(x, why);
}

static void collect(struct lineage_index *x, struct store *store)
{
    struct adjacency *a = atomic_load_explicit(&x->current, memory_order_relaxed);
    bool kept = a != NULL && adjacency_collect(a, 0);
    if (!kept && x->dropped == NULL) {
        return;
    }
    epoch_next(&store->epoch);
    uint64_t oldest = readers_oldest_epoch(store);
    if (a != NULL) {
        adjacency_collect(a, oldest);
    }
    if (x->dropped != NULL && x->dropped_epoch < oldest) {
        adjacency_free(x->dropped);
        x->dropped = NULL;
    }
}

void lineage_index_before_commit(struct lineage_index *x,
                                 const struct lineage_batch *batch,
                                 struct store *store)
{
    pthread_mutex_lock(&x->lock);
    struct adjacency *a = atomic_load_explicit(&x->current, memory_order_relaxed);
    if (a == NULL) {
        return;
    }
    enum adjacency_result result =
        batch->lost ? ADJACENCY_FULL : change(a, batch->changes, epoch_now(&store->epoch));
    if (result != ADJACENCY_DONE) {
        drop(x, reason(result), store);
        return;
    }
    /* Readers that see the commit see the changes. */
    atomic_store_explicit(&a->covered, batch->revision, memory_order_release);
}

static void keep_pending(struct lineage_index *x, const struct lineage_batch *batch)
{
    struct pending_batch head = {
        .revision = batch->revision,
        .txn = batch->txn,
        .changes_len = batch->changes.len,
    };
    buffer_append(&x->pending, &head, sizeof head);
    buffer_append_span(&x->pending, batch->changes);
    x->pending.failed |= batch->lost;
}

static void revert(struct lineage_index *x, const struct lineage_batch *batch, struct store *store)
{
    struct adjacency *a = atomic_load_explicit(&x->current, memory_order_relaxed);
    const struct adjacency_change *c = (const void *)batch->changes.data;
    size_t len = batch->changes.len / sizeof *c;
    if (a != NULL && adjacency_revert(a, c, len, store_meta(store).revision) != ADJACENCY_DONE) {
        drop(x, LINEAGE_DAMAGED, store);
    }
}

void lineage_index_after_commit(struct lineage_index *x,
                                const struct lineage_batch *batch,
                                bool committed,
                                struct store *store)
{
    if (!committed) {
        revert(x, batch, store);
    } else if (x->filling != NULL) {
        keep_pending(x, batch);
    }
    collect(x, store);
    tell(x, atomic_load_explicit(&x->state, memory_order_relaxed));
    pthread_mutex_unlock(&x->lock);
}

/* --- The filler ------------------------------------------------------------------------------- */

struct adjacency *lineage_index_begin(struct lineage_index *x)
{
    struct adjacency *a = NULL;
    pthread_mutex_lock(&x->lock);
    bool wanted = x->bytes_max != 0 && x->filling == NULL && x->dropped == NULL &&
                  atomic_load_explicit(&x->current, memory_order_relaxed) == NULL;
    if (wanted) {
        a = adjacency_new(x->bytes_max);
    }
    if (a != NULL) {
        x->filling = a;
        buffer_init(&x->pending, x->bytes_max);
        tell(x, LINEAGE_FILLING);
    }
    pthread_mutex_unlock(&x->lock);
    return a;
}

/* Makes the changes of those batches that came after the transaction that was read. */
static enum adjacency_result catch_up(struct adjacency *a,
                                      const struct buffer *pending,
                                      uint64_t txn,
                                      uint64_t *revision)
{
    if (pending->failed) {
        return ADJACENCY_FULL;
    }
    struct span rest = buffer_span(pending);
    while (rest.len > 0) {
        struct pending_batch head;
        memcpy(&head, rest.data, sizeof head);
        rest = span_skip(rest, sizeof head);
        if (head.txn > txn) {
            enum adjacency_result result = change(a, span_make(rest.data, head.changes_len), 0);
            if (result != ADJACENCY_DONE) {
                return result;
            }
            *revision = head.revision;
        }
        rest = span_skip(rest, head.changes_len);
    }
    return ADJACENCY_DONE;
}

/* Most of what is pending, while commits go on. The lock is held, and held again. */
static enum adjacency_result catch_up_unlocked(struct lineage_index *x,
                                               uint64_t txn,
                                               uint64_t *revision)
{
    struct buffer pending = x->pending;
    buffer_init(&x->pending, x->bytes_max);
    pthread_mutex_unlock(&x->lock);
    enum adjacency_result result = catch_up(x->filling, &pending, txn, revision);
    buffer_release(&pending);
    pthread_mutex_lock(&x->lock);
    return result;
}

void lineage_index_hand_over(struct lineage_index *x, uint64_t txn, uint64_t revision)
{
    enum adjacency_result result = ADJACENCY_DONE;
    pthread_mutex_lock(&x->lock);
    while (result == ADJACENCY_DONE && x->pending.len > HELD_BYTES) {
        result = catch_up_unlocked(x, txn, &revision);
    }
    if (result == ADJACENCY_DONE) {
        result = catch_up(x->filling, &x->pending, txn, &revision);
    }
    struct adjacency *a = x->filling;
    if (result == ADJACENCY_DONE) {
        adjacency_collect(a, UINT64_MAX); /* no reader had it yet */
        atomic_store_explicit(&a->covered, revision, memory_order_relaxed);
        atomic_store_explicit(&x->current, a, memory_order_release);
        a = NULL;
    }
    x->filling = NULL;
    buffer_release(&x->pending);
    tell(x, result == ADJACENCY_DONE ? LINEAGE_READY : reason(result));
    pthread_mutex_unlock(&x->lock);
    adjacency_free(a);
}

void lineage_index_give_up(struct lineage_index *x, enum store_lineage_state why)
{
    pthread_mutex_lock(&x->lock);
    struct adjacency *a = x->filling;
    x->filling = NULL;
    buffer_release(&x->pending);
    tell(x, why);
    pthread_mutex_unlock(&x->lock);
    adjacency_free(a);
}

void store_lineage_look(struct store *store, struct store_lineage *ret)
{
    struct environment *env = store_ref(store);
    const struct lineage_index *x = &env->lineage;
    *ret = (struct store_lineage){
        .state = (enum store_lineage_state)atomic_load_explicit(&x->state, memory_order_relaxed),
        .edges = atomic_load_explicit(&x->edges, memory_order_relaxed),
        .bytes = atomic_load_explicit(&x->bytes, memory_order_relaxed),
        .by_index = atomic_load_explicit(&store->walks_by_index, memory_order_relaxed),
        .by_tables = atomic_load_explicit(&store->walks_by_tables, memory_order_relaxed),
    };
    store_unref(store, env);
}
