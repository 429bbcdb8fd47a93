#include "storage/walk.h"

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
        }
    }
    for (size_t i = 0; but && i < words; i++) {
        set.bits[i] = ~set.bits[i];
    }
    *ret = set;
    return 0;
}

/* --- A level, by the index -------------------------------------------------------------------- */

static inline bool is_within(const struct walk *w, uint64_t id)
{
    return w->within == NULL || id_set_has(w->within, id);
}

/* All edges, every one of which counts; there is room for all. */
static void meet_whole(struct walk *w, const struct adjacency_block *b, uint32_t len)
{
    struct id_set *seen = &w->memory->seen;
    struct ids *order = &w->memory->order;
    uint64_t *to = order->data + order->len;
    for (uint32_t i = 0; i < len; i++) {
        uint64_t id = adjacency_other(b, i);
        if (id_set_add(seen, id)) {
            *to++ = id;
        }
    }
    order->len = (size_t)(to - order->data);
}

static inline bool passes(const struct walk *w, const struct adjacency_block *b, uint32_t i)
{
    if (!label_set_has(w->labels, adjacency_label(b, i)) || !is_within(w, adjacency_other(b, i))) {
        return false;
    }
    struct edge e = adjacency_edge(b, i);
    return lives_at(e.created, e.ended, w->revision);
}

static void meet_some(struct walk *w, const struct adjacency_block *b, uint32_t len)
{
    struct ids *order = &w->memory->order;
    for (uint32_t i = 0; i < len; i++) {
        uint64_t id = adjacency_other(b, i);
        if (passes(w, b, i) && id_set_add(&w->memory->seen, id)) {
            order->data[order->len++] = id;
        }
    }
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

static void prefetch(const struct walk *w, size_t i, size_t end)
{
    const uint64_t *ids = w->memory->order.data;
    if (i + HEADS_AHEAD < end) {
        adjacency_prefetch_head(w->r->index, w->side, ids[i + HEADS_AHEAD]);
    }
    if (i + BLOCKS_AHEAD < end) {
        adjacency_prefetch_block(w->r->index, w->side, ids[i + BLOCKS_AHEAD]);
    }
}

static int next_by_index(struct walk *w, size_t end)
{
    struct ids *order = &w->memory->order;
    bool all = w->labels->bits == NULL && w->within == NULL;
    for (size_t i = w->level; i < end; i++) {
        uint32_t len;
        prefetch(w, i, end);
        const struct adjacency_block *b = adjacency_get(w->r->index, w->side, order->data[i], &len);
        if (!ids_reserve(order, len)) {
            return out_of_memory(w);
        }
        if (all && len > 0 && adjacency_is_whole(b, w->revision)) {
            meet_whole(w, b, len);
        } else {
            meet_some(w, b, len);
        }
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

/* --- Walking ---------------------------------------------------------------------------------- */

int walk_begin(struct walk *w, uint64_t start)
{
    struct walk_memory *m = w->memory;
    w->revision = w->r->view->revision;
    w->depth = 0;
    w->level = 0;
    m->order.len = 0;
    if (!id_set_begin(&m->seen, w->r->meta.next_id) || !ids_reserve(&m->order, 1)) {
        return out_of_memory(w);
    }
    id_set_add(&m->seen, start);
    m->order.data[m->order.len++] = start;
    return 0;
}

int walk_next(struct walk *w)
{
    struct ids *order = &w->memory->order;
    size_t end = order->len;
    int rc = w->r->index != NULL ? next_by_index(w, end) : next_by_tables(w, end);
    if (rc == 0 && !ids_sort(order, end, &w->memory->spare)) {
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
    w->level = end;
    w->depth++;
    return 0;
}

void walk_end(struct walk *w)
{
    struct walk_memory *m = w->memory;
    id_set_end(&m->seen, &m->order, KEPT_BYTES);
    m->order.len = 0;
    if (m->order.capacity * sizeof *m->order.data > KEPT_BYTES) {
        ids_release(&m->order);
        ids_release(&m->spare);
    }
}

void walk_memory_release(struct walk_memory *m)
{
    id_set_release(&m->seen);
    ids_release(&m->order);
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
