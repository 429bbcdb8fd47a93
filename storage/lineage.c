/* lineage: what a thing was made from, or what was made from it. Breadth first, a level at a time
 * in the order of ids, so that the edge table is read in key order and each thing is met at its
 * least depth. This walks the edge tables; an index in memory would stand in for walk_level. */
#include <stdlib.h>

#include "base/check.h"
#include "command/value.h"
#include "storage/id_set.h"
#include "storage/reading.h"
#include "storage/resolve.h"

#define POSITION_BYTES 12 /* depth u32, id u64 */

struct ids {
    uint64_t *data;
    size_t len;
    size_t capacity;
};

struct walk {
    struct reading *r;
    enum table table;
    uint32_t *labels; /* those that are followed; NULL = all */
    size_t labels_len;
    struct id_set seen;
    struct ids level;
    struct ids next;
    struct ids spare; /* for sorting */
    uint64_t visits;
    uint64_t count;
    uint32_t after_depth; /* the cursor's position */
    uint64_t after_id;
};

static int out_of_memory(struct walk *w)
{
    return error_set(w->r->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
}

static bool ids_reserve(struct ids *ids, size_t capacity)
{
    if (capacity <= ids->capacity) {
        return true;
    }
    uint64_t *grown = realloc(ids->data, capacity * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    ids->data = grown;
    ids->capacity = capacity;
    return true;
}

static bool ids_add(struct ids *ids, uint64_t id)
{
    if (ids->len == ids->capacity && !ids_reserve(ids, ids->len == 0 ? 64 : 2 * ids->len)) {
        return false;
    }
    ids->data[ids->len++] = id;
    return true;
}

/* Radix sort by bytes, lowest first; bytes that all ids share cost one pass of counting. */
static bool ids_sort(struct ids *ids, struct ids *spare)
{
    if (!ids_reserve(spare, ids->len)) {
        return false;
    }
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t counts[256] = {0};
        for (size_t i = 0; i < ids->len; i++) {
            counts[ids->data[i] >> shift & 255]++;
        }
        if (ids->len == 0 || counts[ids->data[0] >> shift & 255] == ids->len) {
            continue;
        }
        size_t at = 0;
        for (int i = 0; i < 256; i++) {
            size_t n = counts[i];
            counts[i] = at;
            at += n;
        }
        for (size_t i = 0; i < ids->len; i++) {
            spare->data[counts[ids->data[i] >> shift & 255]++] = ids->data[i];
        }
        uint64_t *data = ids->data;
        size_t capacity = ids->capacity;
        ids->data = spare->data;
        ids->capacity = spare->capacity;
        spare->data = data;
        spare->capacity = capacity;
    }
    return true;
}

/* --- Walking -----------------------------------------------------------------------------------
 */

static bool follows(const struct walk *w, uint32_t label)
{
    if (w->labels == NULL) {
        return true;
    }
    for (size_t i = 0; i < w->labels_len; i++) {
        if (w->labels[i] == label) {
            return true;
        }
    }
    return false;
}

/* 2 stops the walk: the budget is used up. */
static int on_edge(void *arg, const struct edge *edge)
{
    struct walk *w = arg;
    if (reading_step(w->r)) {
        return 2;
    }
    if (!follows(w, edge->label)) {
        return 0;
    }
    int added = id_set_add(&w->seen, edge->other);
    if (added <= 0) {
        return added == 0 ? 0 : out_of_memory(w);
    }
    uint64_t visits_max = w->r->budget->visits_max;
    if (visits_max != 0 && w->visits >= visits_max) {
        w->r->stopped = true;
        return 2;
    }
    w->visits++;
    return ids_add(&w->next, edge->other) ? 0 : out_of_memory(w);
}

static int walk_level(struct walk *w)
{
    w->next.len = 0;
    for (size_t i = 0; i < w->level.len; i++) {
        int rc = lookup_edges(w->r->view, w->table, w->level.data[i], on_edge, w);
        if (rc != 0) {
            return rc;
        }
    }
    struct ids level = w->level;
    w->level = w->next;
    w->next = level;
    return ids_sort(&w->level, &w->spare) ? 0 : out_of_memory(w);
}

/* --- Showing -----------------------------------------------------------------------------------
 */

static int kind_of(struct walk *w, uint64_t id, enum kind *ret)
{
    struct key key = key_u64(id);
    struct span record;
    int rc = view_get(w->r->view, TABLE_THINGS, key_span(&key), &record);
    if (rc == 1) {
        return row_corrupt(w->r->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    if (rc == 0) {
        *ret = record_kind(record);
    }
    return rc;
}

/* Unless the query says otherwise, what is deleted is shown, marked. */
static int wants(struct walk *w, uint64_t id, bool *ret)
{
    const struct query *q = w->r->query;
    *ret = true;
    if (q->kinds != 0) {
        enum kind kind = KIND_NONE;
        int rc = kind_of(w, id, &kind);
        if (rc != 0) {
            return rc;
        }
        *ret = (q->kinds >> kind & 1) != 0;
    }
    if (!*ret || q->state == CLADE_STATE_ANY) {
        return 0;
    }
    struct thing *thing;
    bool live = true;
    reading_next_item(w->r);
    int rc = lookup_thing(w->r->view, w->r->scratch, id, &thing);
    if (rc == 0) {
        rc = lookup_is_live(w->r->view, w->r->scratch, thing, &live);
    }
    *ret = (q->state == CLADE_STATE_LIVE) == live;
    return rc == 1 ? 0 : rc;
}

static int show(struct walk *w, uint64_t id, uint32_t depth)
{
    struct reading *r = w->r;
    struct thing *thing;
    reading_next_item(r);
    int rc = lookup_thing(r->view, r->scratch, id, &thing);
    if (rc == 1) {
        struct key key = key_u64(id);
        return row_corrupt(r->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    if (rc == 0) {
        rc = reading_emit(r, thing, depth);
    }
    if (rc == 0) {
        uint8_t next[POSITION_BYTES];
        put_u32be(next, depth);
        put_u64be(next + 4, id);
        reading_set_next(r, span_make(next, sizeof next));
    }
    return rc;
}

static int show_level(struct walk *w, uint32_t depth)
{
    const struct query *q = w->r->query;
    if (q->count_only && q->kinds == 0 && q->state == CLADE_STATE_ANY) {
        w->count += w->level.len;
        return 0;
    }
    for (size_t i = 0; i < w->level.len; i++) {
        uint64_t id = w->level.data[i];
        bool shown_before =
            depth < w->after_depth || (depth == w->after_depth && id <= w->after_id);
        if (shown_before) {
            continue;
        }
        bool wanted;
        int rc = reading_step(w->r) ? 2 : wants(w, id, &wanted);
        if (rc == 0 && wanted) {
            w->count++;
            rc = q->count_only ? 0 : show(w, id, depth);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int walk(struct walk *w, uint64_t start)
{
    uint32_t depth_max = w->r->query->depth_max;
    if (id_set_add(&w->seen, start) < 0 || !ids_add(&w->level, start)) {
        return out_of_memory(w);
    }
    for (uint32_t depth = 1; depth_max == 0 || depth <= depth_max; depth++) {
        int rc = walk_level(w);
        if (rc == 0 && w->level.len == 0) {
            return 0;
        }
        if (rc == 0) {
            rc = show_level(w, depth);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* --- The query ---------------------------------------------------------------------------------
 */

/* A label that nobody ever used matches nothing. */
static int find_labels(struct walk *w)
{
    const struct query *q = w->r->query;
    if (q->labels == NULL) {
        return 0;
    }
    w->labels = arena_calloc(w->r->arena, q->labels_len + 1, sizeof *w->labels);
    if (w->labels == NULL) {
        return arena_failure(w->r->arena, (q->labels_len + 1) * sizeof *w->labels, w->r->error);
    }
    for (size_t i = 0; i < q->labels_len; i++) {
        if (q->labels[i].len > CLADE_MAX_LABEL_BYTES) {
            continue;
        }
        int rc = lookup_label(w->r->view, q->labels[i], &w->labels[w->labels_len]);
        if (rc < 0) {
            return rc;
        }
        w->labels_len += rc == 0;
    }
    return 0;
}

static int find_start(struct walk *w, uint64_t *ret)
{
    struct reading *r = w->r;
    struct span p = r->position;
    if (p.len != 0 && p.len != POSITION_BYTES) {
        return reading_bad_cursor(r);
    }
    if (p.len != 0) {
        w->after_depth = get_u32be(p.data);
        w->after_id = get_u64be(p.data + 4);
    }
    struct resolver resolver = {
        .view = r->view,
        .arena = r->scratch,
        .ns = r->ns,
        .any_state = r->query->start.form == REF_ID || r->query->state == CLADE_STATE_DELETED,
    };
    struct thing *thing;
    int rc = resolve(&resolver, &r->query->start, &thing);
    if (rc == 0) {
        *ret = thing->id;
    } else if (!code_is_fatal(rc)) {
        error_prefix_where(r->error, "ref");
    }
    return rc;
}

static int answer(struct walk *w, uint64_t start)
{
    struct reading *r = w->r;
    if (!id_set_init(&w->seen, r->meta.next_id)) {
        return out_of_memory(w);
    }
    size_t at = 0;
    if (!r->query->count_only) {
        at = value_begin_array(r->out);
    }
    int rc = walk(w, start);
    if (rc < 0) {
        return rc;
    }
    if (r->query->count_only) {
        value_put_map(r->out, 1);
        value_put_str(r->out, "count");
        value_put_uint(r->out, w->count);
    } else {
        value_end(r->out, at, r->items);
    }
    return 0;
}

int read_lineage(struct reading *r)
{
    struct walk w = {.r = r, .table = r->query->downstream ? TABLE_EDGES_IN : TABLE_EDGES_OUT};
    uint64_t start = 0;
    int rc = find_start(&w, &start);
    if (rc == 0) {
        rc = find_labels(&w);
    }
    if (rc == 0) {
        rc = answer(&w, start);
    }
    id_set_release(&w.seen);
    free(w.level.data);
    free(w.next.data);
    free(w.spare.data);
    return rc;
}
