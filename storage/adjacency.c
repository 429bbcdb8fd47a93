#include "storage/adjacency.h"

#include <stdlib.h>

#include "base/check.h"
#include "storage/adjacency_pool.h"

#define INSERTION_MAX 32 /* edges that are put in order by insertion */

/* --- Columns ---------------------------------------------------------------------------------- */

static _Atomic uint64_t *times_of(struct adjacency_block *b)
{
    return (_Atomic uint64_t *)(void *)(b->columns + 2 * (size_t)b->capacity);
}

static uint64_t times_make(const struct edge *e)
{
    return e->created << 40 | e->ended;
}

static void set_edge(struct adjacency_block *b, uint32_t i, const struct edge *e)
{
    uint32_t tag = (uint32_t)(e->created >> 24 << 16) | e->label;
    atomic_store_explicit(&b->columns[i], (uint32_t)e->other, memory_order_relaxed);
    atomic_store_explicit(&b->columns[b->capacity + i], tag, memory_order_relaxed);
    atomic_store_explicit(&times_of(b)[i], times_make(e), memory_order_relaxed);
}

/* A reader to whom the end matters enters after the commit that this is before. */
static void set_ended(struct adjacency_block *b, uint32_t i, uint64_t ended)
{
    struct edge e = adjacency_edge(b, i);
    e.ended = ended;
    atomic_store_explicit(&b->whole, UINT64_MAX, memory_order_relaxed);
    atomic_store_explicit(&times_of(b)[i], times_make(&e), memory_order_relaxed);
}

/* An edge that no revision shows: it is taken out when the block is replaced. */
static bool is_void(const struct edge *e)
{
    return e->ended == e->created;
}

/* Behind the others; there is room. */
static void append(struct adjacency_block *b, const struct edge *e)
{
    uint32_t len = atomic_load_explicit(&b->len, memory_order_relaxed);
    uint64_t whole = atomic_load_explicit(&b->whole, memory_order_relaxed);
    CHECK(len < b->capacity);
    set_edge(b, len, e);
    if (whole != UINT64_MAX) {
        whole = e->ended != 0 ? UINT64_MAX : e->created;
    }
    /* Whoever sees the new length sees the rest. */
    atomic_store_explicit(&b->whole, whole, memory_order_relaxed);
    atomic_store_explicit(&b->len, len + 1, memory_order_release);
}

static bool fits(uint64_t id, const struct edge *e)
{
    return id < ADJACENCY_ID_END && e->other < ADJACENCY_ID_END && e->label < ADJACENCY_LABEL_END &&
           e->created < ADJACENCY_REVISION_END && e->ended < ADJACENCY_REVISION_END;
}

/* --- Things ----------------------------------------------------------------------------------- */

static struct adjacency_segment *segment_of(struct adjacency *a, uint64_t id)
{
    struct adjacency_segment *s = adjacency_segment(a, id);
    if (s != NULL || id >= ADJACENCY_ID_END) {
        return s;
    }
    s = adjacency_pool_segment(a->pool);
    if (s != NULL) {
        atomic_store_explicit(&a->segments[id / SEGMENT_IDS], s, memory_order_release);
    }
    return s;
}

enum adjacency_result adjacency_set_mark(struct adjacency *a, uint64_t id, uint8_t mark)
{
    struct adjacency_segment *s = segment_of(a, id);
    if (s == NULL) {
        return ADJACENCY_FULL;
    }
    _Atomic uint8_t *at = &s->marks[id % SEGMENT_IDS];
    uint8_t marks = atomic_load_explicit(at, memory_order_relaxed);
    if ((mark & MARK_KIND) != 0) {
        marks &= (uint8_t)~MARK_KIND;
    }
    atomic_store_explicit(at, marks | mark, memory_order_relaxed);
    return ADJACENCY_DONE;
}

static int compare_edges(const void *x, const void *y)
{
    const struct edge *a = x;
    const struct edge *b = y;
    return a->created != b->created ? (a->created < b->created ? -1 : 1) : 0;
}

static void sort_edges(struct edge *edges, uint32_t len)
{
    if (len > INSERTION_MAX) {
        qsort(edges, len, sizeof *edges, compare_edges);
        return;
    }
    for (uint32_t i = 1; i < len; i++) {
        struct edge e = edges[i];
        uint32_t j = i;
        for (; j > 0 && edges[j - 1].created > e.created; j--) {
            edges[j] = edges[j - 1];
        }
        edges[j] = e;
    }
}

enum adjacency_result adjacency_load(
    struct adjacency *a, enum adjacency_side side, uint64_t id, struct edge *edges, uint32_t len)
{
    struct adjacency_segment *s = segment_of(a, id);
    struct adjacency_block *b = s != NULL ? adjacency_pool_get(a->pool, len) : NULL;
    if (b == NULL) {
        return ADJACENCY_FULL;
    }
    sort_edges(edges, len);
    for (uint32_t i = 0; i < len; i++) {
        if (!fits(id, &edges[i])) {
            return ADJACENCY_FULL; /* the block goes with its chunk, or not at all */
        }
        append(b, &edges[i]);
    }
    atomic_store_explicit(&s->heads[side][id % SEGMENT_IDS], b, memory_order_release);
    a->edges += side == SIDE_OUT ? len : 0;
    return ADJACENCY_DONE;
}

/* --- Changes ---------------------------------------------------------------------------------- */

/* A larger block in the place of a full one, without what no revision shows. NULL when there is no
 * memory. */
static struct adjacency_block *replace(struct adjacency *a,
                                       enum adjacency_side side,
                                       struct adjacency_block *old,
                                       struct adjacency_block *_Atomic *head,
                                       uint64_t epoch)
{
    uint32_t len = old != NULL ? atomic_load_explicit(&old->len, memory_order_relaxed) : 0;
    uint32_t capacity = 0;
    if (len > UINT32_MAX / 2 || __builtin_add_overflow(len + 1, len / 2, &capacity)) {
        return NULL;
    }
    struct adjacency_block *b = adjacency_pool_get(a->pool, capacity);
    if (b == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < len; i++) {
        struct edge e = adjacency_edge(old, i);
        if (is_void(&e)) {
            a->edges -= side == SIDE_OUT;
        } else {
            append(b, &e);
        }
    }
    atomic_store_explicit(head, b, memory_order_release);
    if (old != NULL && !adjacency_pool_retire(a->pool, old, epoch)) {
        return NULL;
    }
    return b;
}

static enum adjacency_result add(struct adjacency *a,
                                 const struct adjacency_change *c,
                                 uint64_t epoch)
{
    struct adjacency_segment *s = fits(c->id, &c->edge) ? segment_of(a, c->id) : NULL;
    if (s == NULL) {
        return ADJACENCY_FULL;
    }
    struct adjacency_block *_Atomic *head = &s->heads[c->side][c->id % SEGMENT_IDS];
    struct adjacency_block *b = atomic_load_explicit(head, memory_order_relaxed);
    if (b == NULL || atomic_load_explicit(&b->len, memory_order_relaxed) == b->capacity) {
        b = replace(a, c->side, b, head, epoch);
    }
    if (b == NULL) {
        return ADJACENCY_FULL;
    }
    append(b, &c->edge);
    a->edges += c->side == SIDE_OUT;
    return ADJACENCY_DONE;
}

/* The first edge that was made at `created` or later. */
static uint32_t find_created(const struct adjacency_block *b, uint32_t len, uint64_t created)
{
    uint32_t low = 0;
    while (low < len) {
        uint32_t middle = low + (len - low) / 2;
        if (adjacency_edge(b, middle).created < created) {
            low = middle + 1;
        } else {
            len = middle;
        }
    }
    return low;
}

/* Where an edge stands whose end is `ended`, and sets it to `to`. */
static enum adjacency_result move_end(struct adjacency *a,
                                      const struct adjacency_change *c,
                                      uint64_t ended,
                                      uint64_t to)
{
    uint32_t len;
    (void)adjacency_get(a, c->side, c->id, &len);
    if (len == 0) {
        return ADJACENCY_DIFFERS;
    }
    struct adjacency_segment *s = adjacency_segment(a, c->id);
    struct adjacency_block *b =
        atomic_load_explicit(&s->heads[c->side][c->id % SEGMENT_IDS], memory_order_relaxed);
    for (uint32_t i = find_created(b, len, c->edge.created); i < len; i++) {
        struct edge e = adjacency_edge(b, i);
        if (e.created != c->edge.created) {
            break;
        }
        if (e.other == c->edge.other && e.label == c->edge.label && e.ended == ended) {
            set_ended(b, i, to);
            return ADJACENCY_DONE;
        }
    }
    return ADJACENCY_DIFFERS;
}

static enum adjacency_result change_one(struct adjacency *a,
                                        const struct adjacency_change *c,
                                        uint64_t epoch)
{
    switch (c->op) {
    case ADJACENCY_ADD:
        return add(a, c, epoch);
    case ADJACENCY_REMOVE:
        return move_end(a, c, c->edge.ended, c->edge.created);
    case ADJACENCY_END:
        return c->edge.ended < ADJACENCY_REVISION_END ? move_end(a, c, 0, c->edge.ended)
                                                      : ADJACENCY_FULL;
    case ADJACENCY_MARK:
        return adjacency_set_mark(a, c->id, c->mark);
    }
    return ADJACENCY_DIFFERS;
}

enum adjacency_result adjacency_change(struct adjacency *a,
                                       const struct adjacency_change *changes,
                                       size_t len,
                                       uint64_t epoch)
{
    for (size_t i = 0; i < len; i++) {
        enum adjacency_result result = change_one(a, &changes[i], epoch);
        if (result != ADJACENCY_DONE) {
            return result;
        }
    }
    return ADJACENCY_DONE;
}

static enum adjacency_result revert_one(struct adjacency *a,
                                        const struct adjacency_change *c,
                                        uint64_t revision)
{
    enum adjacency_result result = ADJACENCY_DONE;
    switch (c->op) {
    case ADJACENCY_ADD:
        result = move_end(a, c, c->edge.ended, c->edge.created);
        break;
    case ADJACENCY_REMOVE:
        result = move_end(a, c, c->edge.created, c->edge.ended);
        break;
    case ADJACENCY_END:
        result = move_end(a, c, c->edge.ended, 0);
        break;
    case ADJACENCY_MARK: /* of an id that is given again, or true by and by */
        break;
    }
    /* What came and went in one batch may have gone with a block that was replaced. */
    return result == ADJACENCY_DIFFERS && c->edge.created > revision ? ADJACENCY_DONE : result;
}

enum adjacency_result adjacency_revert(struct adjacency *a,
                                       const struct adjacency_change *changes,
                                       size_t len,
                                       uint64_t revision)
{
    for (size_t i = len; i > 0; i--) {
        enum adjacency_result result = revert_one(a, &changes[i - 1], revision);
        if (result != ADJACENCY_DONE) {
            return result;
        }
    }
    return ADJACENCY_DONE;
}

bool adjacency_collect(struct adjacency *a, uint64_t epoch_oldest)
{
    return adjacency_pool_collect(a->pool, epoch_oldest);
}

/* --- Life ------------------------------------------------------------------------------------- */

struct adjacency *adjacency_new(uint64_t bytes_max)
{
    struct adjacency *a = calloc(1, sizeof *a); /* pages that are not used are not there */
    if (a == NULL) {
        return NULL;
    }
    a->pool = adjacency_pool_new(bytes_max);
    if (a->pool == NULL) {
        free(a);
        return NULL;
    }
    return a;
}

void adjacency_free(struct adjacency *a)
{
    if (a == NULL) {
        return;
    }
    adjacency_pool_free(a->pool);
    free(a);
}

uint64_t adjacency_bytes(const struct adjacency *a)
{
    return adjacency_pool_bytes(a->pool);
}
