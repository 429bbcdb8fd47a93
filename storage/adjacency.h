#pragma once
/* Adjacency in memory: of each thing the edges that leave it and those that reach it, as the two
 * edge tables have them, and of what kind it is. One thread writes, any number read meanwhile
 * without a lock.
 *
 * The edges of a thing in one direction are a block of columns: the other ends, labels, revisions,
 * in the order of the revisions that made them. A block is appended to and its edges are marked as
 * they end; one that is full is replaced. A reader at revision R passes over what is newer than R,
 * so it sees a block at any moment as it was at R. It says which epoch it reads in (epoch.h); a
 * block that was replaced is used again when no reader of its epoch is left. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/keys.h"

/* What fits in the columns. A store beyond that is read from the edge tables. */
#define ADJACENCY_ID_END       ((uint64_t)1 << 32)
#define ADJACENCY_LABEL_END    ((uint32_t)1 << 16)
#define ADJACENCY_REVISION_END ((uint64_t)1 << 40)

enum adjacency_side { SIDE_OUT, SIDE_IN };

struct adjacency_block {
    _Atomic uint32_t len;
    uint32_t capacity;
    /* The revision from which on all of its edges are seen: that of the newest one, or UINT64_MAX
     * when some have ended. */
    _Atomic uint64_t whole;
    /* `capacity` other ends; as many labels with the upper 16 bits of `created`; then, 8 bytes
     * each, its lower 24 bits and `ended`. */
    _Atomic uint32_t columns[];
};

#define SEGMENT_IDS ((uint64_t)1 << 14)

struct adjacency_segment {
    struct adjacency_block *_Atomic heads[2][SEGMENT_IDS];
    _Atomic uint8_t marks[SEGMENT_IDS]; /* its kind, and MARK_POINTED */
};

#define MARK_KIND    0x0f
#define MARK_POINTED 0x10 /* an alias, a stage or a deployment pointed to it once, or does */

struct adjacency {
    struct adjacency_segment *_Atomic segments[ADJACENCY_ID_END / SEGMENT_IDS];
    _Atomic uint64_t covered; /* it has everything up to this revision */
    struct adjacency_pool *pool;
    uint64_t edges; /* in blocks of SIDE_OUT, ended ones included. The writer's */
};

/* --- Reading ---------------------------------------------------------------------------------- */

static inline struct adjacency_segment *adjacency_segment(const struct adjacency *a, uint64_t id)
{
    return id < ADJACENCY_ID_END
               ? atomic_load_explicit(&a->segments[id / SEGMENT_IDS], memory_order_acquire)
               : NULL;
}

/* The edges of a thing; NULL when it has none. */
static inline const struct adjacency_block *adjacency_block(const struct adjacency *a,
                                                            enum adjacency_side side,
                                                            uint64_t id)
{
    struct adjacency_segment *s = adjacency_segment(a, id);
    return s != NULL ? atomic_load_explicit(&s->heads[side][id % SEGMENT_IDS], memory_order_acquire)
                     : NULL;
}

/* How many edges of the block count; 0 of NULL. */
static inline uint32_t adjacency_len(const struct adjacency_block *b)
{
    return b != NULL ? atomic_load_explicit(&b->len, memory_order_acquire) : 0;
}

/* Both of them. */
static inline const struct adjacency_block *adjacency_get(const struct adjacency *a,
                                                          enum adjacency_side side,
                                                          uint64_t id,
                                                          uint32_t *ret_len)
{
    const struct adjacency_block *b = adjacency_block(a, side, id);
    *ret_len = adjacency_len(b);
    return b;
}

/* The kind of a thing and MARK_POINTED; 0 for an id that was never given. */
static inline uint8_t adjacency_mark(const struct adjacency *a, uint64_t id)
{
    struct adjacency_segment *s = adjacency_segment(a, id);
    return s != NULL ? atomic_load_explicit(&s->marks[id % SEGMENT_IDS], memory_order_relaxed) : 0;
}

/* Asks for the memory where a thing's block is found, respectively for the block, which is
 * returned.
 */
static inline void adjacency_prefetch_head(const struct adjacency *a,
                                           enum adjacency_side side,
                                           uint64_t id)
{
    struct adjacency_segment *s = adjacency_segment(a, id);
    if (s != NULL) {
        __builtin_prefetch((const void *)&s->heads[side][id % SEGMENT_IDS]);
    }
}

static inline const struct adjacency_block *adjacency_prefetch_block(const struct adjacency *a,
                                                                     enum adjacency_side side,
                                                                     uint64_t id)
{
    const struct adjacency_block *b = adjacency_block(a, side, id);
    if (b != NULL) {
        __builtin_prefetch((const void *)b);
        __builtin_prefetch((const char *)b + 36); /* with the ends of five edges */
    }
    return b;
}

/* Whether a reader at `revision` sees every edge of the block. Asked after its length. */
static inline bool adjacency_is_whole(const struct adjacency_block *b, uint64_t revision)
{
    return atomic_load_explicit(&b->whole, memory_order_relaxed) <= revision;
}

static inline uint64_t adjacency_other(const struct adjacency_block *b, uint32_t i)
{
    return atomic_load_explicit(&b->columns[i], memory_order_relaxed);
}

static inline uint32_t adjacency_label(const struct adjacency_block *b, uint32_t i)
{
    return atomic_load_explicit(&b->columns[b->capacity + i], memory_order_relaxed) & 0xffff;
}

static inline const _Atomic uint64_t *adjacency_times(const struct adjacency_block *b)
{
    return (const _Atomic uint64_t *)(const void *)(b->columns + 2 * (size_t)b->capacity);
}

static inline struct edge adjacency_edge(const struct adjacency_block *b, uint32_t i)
{
    uint64_t tag = atomic_load_explicit(&b->columns[b->capacity + i], memory_order_relaxed);
    uint64_t times = atomic_load_explicit(&adjacency_times(b)[i], memory_order_relaxed);
    return (struct edge){
        .label = (uint32_t)(tag & 0xffff),
        .other = adjacency_other(b, i),
        .created = tag >> 16 << 24 | times >> 40,
        .ended = times & (ADJACENCY_REVISION_END - 1),
    };
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* One row that came or went, as the log of a batch has it. */
struct adjacency_change {
    enum {
        ADJACENCY_ADD,    /* a row came */
        ADJACENCY_REMOVE, /* a row went */
        ADJACENCY_END,    /* a row of an edge that lives went, and came with `edge.ended` set */
        ADJACENCY_MARK    /* `mark` is to be set on a thing */
    } op;
    enum adjacency_side side;
    uint64_t id;
    struct edge edge;
    uint8_t mark;
};

enum adjacency_result {
    ADJACENCY_DONE,
    ADJACENCY_FULL,   /* no memory under the bound, or a number that does not fit */
    ADJACENCY_DIFFERS /* a row went that is not here */
};

/* An empty one that takes at most `bytes_max`, old blocks included. NULL when memory is out. */
struct adjacency *adjacency_new(uint64_t bytes_max);
void adjacency_free(struct adjacency *a);
/* Memory that it takes. */
uint64_t adjacency_bytes(const struct adjacency *a);

/* Sets the edges of a thing that has none yet, in any order; they are put in order in place. */
enum adjacency_result adjacency_load(
    struct adjacency *a, enum adjacency_side side, uint64_t id, struct edge *edges, uint32_t len);
enum adjacency_result adjacency_set_mark(struct adjacency *a, uint64_t id, uint8_t mark);
/* Makes changes in their order. Those of a commit are made before it: nobody is at their revision
 * yet. A block that they replace is freed for readers that enter at `epoch` or before it. After
 * anything but DONE it is of no use any more. */
enum adjacency_result adjacency_change(struct adjacency *a,
                                       const struct adjacency_change *changes,
                                       size_t len,
                                       uint64_t epoch);
/* Takes them back, for a commit that failed; the last one that did not was of `revision`. */
enum adjacency_result adjacency_revert(struct adjacency *a,
                                       const struct adjacency_change *changes,
                                       size_t len,
                                       uint64_t revision);
/* Uses again what no reader can have: those that are left entered after `epoch_oldest`, or at it.
 * True when something is still kept. */
bool adjacency_collect(struct adjacency *a, uint64_t epoch_oldest);
