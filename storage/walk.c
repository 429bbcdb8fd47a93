#include "storage/walk.h"

#include "storage/floor.h"

#define HEADS_AHEAD  16 /* things of a level whose block is asked for */
#define BLOCKS_AHEAD 8  /* and whose edges are */
#define KEPT_BYTES   ((size_t)32 << 20)

static int out_of_memory(const struct walk *w)
{
    return error_set(w->r->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
}

static enum table table_of(const struct walk *w)
{
    return w->side == SIDE_OUT ? TABLE_EDGES_OUT : TABLE_EDGES_IN;
}

/* --- Labels ----------------------------------------------------------------------------------- */

int label_set_make(
    struct reading *r, const struct span *labels, size_t len, bool but, struct label_set *ret)
{
    struct label_set set = {.end = (uint32_t)r->meta.next_label, .others = but};
    bool any = false;
    size_t words = set.end / 64 + 1;
    set.bits = arena_calloc(r->arena, words, sizeof *set.bits);
    if (set.bits == NULL) {
        return arena_failure(r->arena, words * sizeof *set.bits, r->error);
    }
    for (size_t i = 0; i < len; i++) {
        uint32_t number;
        int rc =
            labels[i].len > CLADE_MAX_LABEL_BYTES ? 1 : lookup_label(r->view, labels[i], &number);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0 && number < set.end) {
            set.bits[number / 64] |= (uint64_t)1 << number % 64;
            any = true;
        }
    }
    for (size_t i = 0; but && i < words; i++) {
        set.bits[i] = ~set.bits[i];
    }
    *ret = but && !any ? (struct label_set){.bits = NULL} : set;
    return 0;
}

int label_set_of_query(struct reading *r, struct label_set *ret)
{
    const struct query *q = r->query;
    const struct span but = span_of("evaluated_on");
    if (q->labels != NULL) {
        return label_set_make(r, q->labels, q->labels_len, false, ret);
    }
    *ret = (struct label_set){.bits = NULL};
    bool all = q->kind == QUERY_LINEAGE || q->kind == QUERY_PATHS;
    return all ? 0 : label_set_make(r, &but, 1, true, ret);
}

/* --- A level, by the index -------------------------------------------------------------------- */

static inline bool is_within(const struct walk *w, uint64_t id)
{
    return w->within == NULL || id_set_has(w->within, id);
}

/* All edges, every one of which counts. `to` has room for all; returns where it ends then. Half of
 * what is met is new, in no order: so each is written, and what was not new is written over. */
static uint64_t *meet_whole(const struct id_set *seen,
                            const struct adjacency_block *b,
                            uint32_t len,
                            uint64_t *to)
{
    uint64_t *words = seen->words;
    uint64_t end = seen->end;
    for (uint32_t i = 0; i < len; i++) {
        uint64_t id = adjacency_other(b, i);
        if (id >= end) {
            continue;
        }
        uint64_t word = words[id / 64];
        *to = id;
        to += ~word >> id % 64 & 1;
        words[id / 64] = word | (uint64_t)1 << id % 64;
    }
    return to;
}

/* The same where labels, or what may be met, are told. */
static uint64_t *meet_labelled(struct walk *w,
                               const struct adjacency_block *b,
                               uint32_t len,
                               uint64_t *to)
{
    for (uint32_t i = 0; i < len; i++) {
        uint64_t id = adjacency_other(b, i);
        if (label_set_has(w->labels, adjacency_label(b, i)) && is_within(w, id) &&
            id_set_add(&w->memory->seen, id)) {
            *to++ = id;
        }
    }
    return to;
}

static inline bool passes(const struct walk *w, const struct adjacency_block *b, uint32_t i)
{
    if (!label_set_has(w->labels, adjacency_label(b, i)) || !is_within(w, adjacency_other(b, i))) {
        return false;
    }
    struct edge e = adjacency_edge(b, i);
    return lives_at(e.created, e.ended, w->revision);
}

static uint64_t *meet_some(struct walk *w,
                           const struct adjacency_block *b,
                           uint32_t len,
                           uint64_t *to)
{
    for (uint32_t i = 0; i < len; i++) {
        uint64_t id = adjacency_other(b, i);
        if (passes(w, b, i) && id_set_add(&w->memory->seen, id)) {
            *to++ = id;
        }
    }
    return to;
}

/* Whether more things were met than the query may visit. */
static bool is_too_much(struct walk *w)
{
    uint64_t visits_max = w->r->budget->visits_max;
    if (visits_max != 0 && w->memory->order.len - 1 > visits_max) {
        w->r->stopped = true;
    }
    return w->r->stopped;
}

/* The things of a level whose blocks are known, in a ring: each head is read once, when its block
 * is asked for. */
struct ahead {
    const struct adjacency_block *blocks[BLOCKS_AHEAD];
};

static void look_ahead(const struct walk *w, struct ahead *ahead, size_t i, size_t end)
{
    const uint64_t *ids = w->memory->order.data;
    if (i + HEADS_AHEAD < end) {
        adjacency_prefetch_head(w->r->index, w->side, ids[i + HEADS_AHEAD]);
    }
    if (i + BLOCKS_AHEAD < end) {
        ahead->blocks[i % BLOCKS_AHEAD] =
            adjacency_prefetch_block(w->r->index, w->side, ids[i + BLOCKS_AHEAD]);
    }
}

static int next_by_index(struct walk *w, size_t end)
{
    struct ids *order = &w->memory->order;
    struct ahead ahead;
    bool all = w->labels->bits == NULL && w->within == NULL;
    size_t begin = w->level;
    for (size_t i = begin; i < end && i < begin + HEADS_AHEAD; i++) {
        adjacency_prefetch_head(w->r->index, w->side, order->data[i]);
    }
    for (size_t i = begin; i < end && i < begin + BLOCKS_AHEAD; i++) {
        ahead.blocks[i % BLOCKS_AHEAD] =
            adjacency_prefetch_block(w->r->index, w->side, order->data[i]);
    }
    for (size_t i = begin; i < end; i++) {
        const struct adjacency_block *b = ahead.blocks[i % BLOCKS_AHEAD];
        uint32_t len = adjacency_len(b);
        look_ahead(w, &ahead, i, end);
        if (!ids_reserve(order, len + 1)) { /* and one that is written over */
            return out_of_memory(w);
        }
        uint64_t *to = order->data + order->len;
        bool whole = len > 0 && adjacency_is_whole(b, w->revision);
        to = whole && all ? meet_whole(&w->memory->seen, b, len, to)
             : whole      ? meet_labelled(w, b, len, to)
                          : meet_some(w, b, len, to);
        order->len = (size_t)(to - order->data);
        if (reading_steps(w->r, len + 1) || is_too_much(w)) {
            return 2;
        }
    }
    return 0;
}

/* --- A level, by the edge tables -------------------------------------------------------------- */

static int on_edge(void *arg, const struct edge *edge)
{
    struct walk *w = arg;
    if (reading_step(w->r)) {
        return 2;
    }
    if (!label_set_has(w->labels, edge->label) || !is_within(w, edge->other) ||
        !id_set_add(&w->memory->seen, edge->other)) {
        return 0;
    }
    if (!ids_reserve(&w->memory->order, 1)) {
        return out_of_memory(w);
    }
    w->memory->order.data[w->memory->order.len++] = edge->other;
    return is_too_much(w) ? 2 : 0;
}

static int next_by_tables(struct walk *w, size_t end)
{
    for (size_t i = w->level; i < end; i++) {
        int rc = lookup_edges(w->r->view, table_of(w), w->memory->order.data[i], on_edge, w);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* --- Floors ----------------------------------------------------------------------------------- */

/* Edges of a thing below its floor may be gone: where any namespace has such a one, each thing that
 * was met is looked at. */
static int check_floors(struct walk *w, size_t begin)
{
    struct reading *r = w->r;
    struct arena arena;
    int rc = 0;
    if (w->revision >= r->view->floor_max) {
        return 0;
    }
    arena_init(&arena, READING_SCRATCH_BYTES);
    for (size_t i = begin; i < w->memory->order.len && rc == 0; i++) {
        arena_reset(&arena);
        rc = reading_step(r) ? 2 : floor_check_id(r->view, &arena, w->memory->order.data[i]);
    }
    arena_release(&arena);
    return rc;
}

/* --- Walking ---------------------------------------------------------------------------------- */

int walk_begin(struct walk *w, uint64_t start)
{
    struct walk_memory *m = w->memory;
    w->revision = w->r->view->revision;
    w->depth = 0;
    w->level = 0;
    m->order.len = 0;
    m->levels.len = 0;
    if (!id_set_begin(&m->seen, w->r->meta.next_id) || !ids_reserve(&m->order, 1) ||
        !ids_reserve(&m->levels, 1)) {
        return out_of_memory(w);
    }
    id_set_add(&m->seen, start);
    m->order.data[m->order.len++] = start;
    m->levels.data[m->levels.len++] = 0;
    return 0;
}

int walk_next(struct walk *w)
{
    struct ids *order = &w->memory->order;
    size_t end = order->len;
    int rc = w->r->index != NULL ? next_by_index(w, end) : next_by_tables(w, end);
    rc = rc != 0 ? rc : check_floors(w, end);
    if (rc == 0 && ((!w->unordered && !ids_sort(order, end, &w->memory->spare)) ||
                    !ids_reserve(&w->memory->levels, 1))) {
        rc = out_of_memory(w);
    }
    if (rc != 0) {
        while (order->len > end) { /* of a level that is not whole */
            id_set_remove(&w->memory->seen, order->data[--order->len]);
        }
        return rc;
    }
    if (order->len == end) {
        return 1;
    }
    w->memory->levels.data[w->memory->levels.len++] = end;
    w->level = end;
    w->depth++;
    return 0;
}

void walk_end(struct walk *w)
{
    struct walk_memory *m = w->memory;
    w->r->met += m->order.len > 0 ? m->order.len - 1 : 0;
    id_set_end(&m->seen, &m->order, KEPT_BYTES);
    m->order.len = 0;
    m->levels.len = 0;
    if (m->order.capacity * sizeof *m->order.data > KEPT_BYTES) {
        ids_release(&m->order);
        ids_release(&m->levels);
        ids_release(&m->spare);
    }
}

void walk_memory_release(struct walk_memory *m)
{
    id_set_release(&m->seen);
    ids_release(&m->order);
    ids_release(&m->levels);
    ids_release(&m->spare);
}

/* --- The edges of one thing ------------------------------------------------------------------- */

struct each {
    const struct walk *w;
    lookup_edge_cb cb;
    void *arg;
};

static int pass_edge(void *arg, const struct edge *edge)
{
    struct each *each = arg;
    return label_set_has(each->w->labels, edge->label) ? each->cb(each->arg, edge) : 0;
}

int walk_edges(const struct walk *w, uint64_t id, lookup_edge_cb cb, void *arg)
{
    if (w->r->index == NULL) {
        struct each each = {.w = w, .cb = cb, .arg = arg};
        return lookup_edges(w->r->view, table_of(w), id, pass_edge, &each);
    }
    uint32_t len;
    const struct adjacency_block *b = adjacency_get(w->r->index, w->side, id, &len);
    for (uint32_t i = 0; i < len; i++) {
        struct edge e = adjacency_edge(b, i);
        if (!label_set_has(w->labels, e.label) || !lives_at(e.created, e.ended, w->revision)) {
            continue;
        }
        e.ended = 0;
        int rc = cb(arg, &e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

struct between {
    const struct walk *w;
    uint64_t other;
    uint32_t *labels;
    size_t len;
    size_t capacity;
    struct arena *arena;
};

static int take_label(void *arg, const struct edge *edge)
{
    struct between *b = arg;
    if (edge->other != b->other) {
        return 0;
    }
    if (b->len == b->capacity) {
        size_t capacity = b->capacity == 0 ? 8 : 2 * b->capacity;
        uint32_t *grown = arena_calloc(b->arena, capacity, sizeof *grown);
        if (grown == NULL) {
            return arena_failure(b->arena, capacity * sizeof *grown, b->w->r->error);
        }
        if (b->len > 0) {
            memcpy(grown, b->labels, b->len * sizeof *grown);
        }
        b->labels = grown;
        b->capacity = capacity;
    }
    b->labels[b->len++] = edge->label;
    return 0;
}

static int compare_texts(const void *x, const void *y)
{
    return span_compare(*(const struct span *)x, *(const struct span *)y);
}

/* From which end fewer edges must be looked at. Few things depend on many; on some do very many. */
static enum adjacency_side nearer_end(const struct walk *w, uint64_t from, uint64_t to)
{
    uint32_t out;
    uint32_t in;
    if (w->r->index == NULL) {
        return SIDE_OUT;
    }
    (void)adjacency_get(w->r->index, SIDE_OUT, from, &out);
    (void)adjacency_get(w->r->index, SIDE_IN, to, &in);
    return in < out ? SIDE_IN : SIDE_OUT;
}

int walk_labels_between(const struct walk *w,
                        uint64_t from,
                        uint64_t to,
                        struct arena *arena,
                        struct span **ret,
                        size_t *ret_len)
{
    struct walk end = *w;
    end.side = nearer_end(w, from, to);
    bool out = end.side == SIDE_OUT;
    struct between b = {.w = w, .other = out ? to : from, .arena = arena};
    int rc = walk_edges(&end, out ? from : to, take_label, &b);
    struct span *texts = rc == 0 ? arena_calloc(arena, b.len + 1, sizeof *texts) : NULL;
    if (rc == 0 && texts == NULL) {
        rc = arena_failure(arena, (b.len + 1) * sizeof *texts, w->r->error);
    }
    for (size_t i = 0; rc == 0 && i < b.len; i++) {
        rc = lookup_label_text(w->r->view, arena, b.labels[i], &texts[i]);
    }
    if (rc == 0) {
        qsort(texts, b.len, sizeof *texts, compare_texts);
        *ret = texts;
        *ret_len = b.len;
    }
    return rc;
}
