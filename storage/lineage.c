/* lineage: what a thing was made from, or what was made from it. */
#include "base/check.h"
#include "command/value.h"
#include "storage/resolve.h"
#include "storage/walk.h"

#define POSITION_BYTES 12 /* depth u32, id u64 */

struct lineage {
    struct reading *r;
    struct walk walk;
    struct label_set labels;
    uint64_t count;
    uint32_t groups; /* with depths, ids stand in groups, one a depth */
    uint32_t group_ids;
    size_t group_at;      /* where the array of the last one is; 0 = none is open */
    uint32_t after_depth; /* the cursor's position */
    uint64_t after_id;
};

/* --- Showing -----------------------------------------------------------------------------------
 */

static int kind_of(struct lineage *l, uint64_t id, enum kind *ret)
{
    if (l->r->index != NULL) {
        *ret = (enum kind)(adjacency_mark(l->r->index, id) & MARK_KIND);
        return 0;
    }
    struct key key = key_u64(id);
    struct span record;
    int rc = view_get(l->r->view, TABLE_THINGS, key_span(&key), &record);
    if (rc == 1) {
        return row_corrupt(l->r->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    if (rc == 0) {
        *ret = record_kind(record);
    }
    return rc;
}

/* Unless the query says otherwise, what is deleted is shown, marked. */
static int wants(struct lineage *l, uint64_t id, bool *ret)
{
    const struct query *q = l->r->query;
    *ret = true;
    if (q->kinds != 0) {
        enum kind kind = KIND_NONE;
        int rc = kind_of(l, id, &kind);
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
    reading_next_item(l->r);
    int rc = lookup_thing(l->r->view, l->r->scratch, id, &thing);
    if (rc == 0) {
        rc = lookup_is_live(l->r->view, l->r->scratch, thing, &live);
    }
    *ret = (q->state == CLADE_STATE_LIVE) == live;
    return rc == 1 ? 0 : rc;
}

static bool ids_in_groups(const struct query *q)
{
    return q->view == CLADE_VIEW_IDS && q->with_depths;
}

static void end_group(struct lineage *l)
{
    if (l->group_at != 0) {
        value_end(l->r->out, l->group_at, l->group_ids);
        l->group_at = 0;
    }
}

static void begin_group(struct lineage *l, uint32_t depth)
{
    struct buffer *out = l->r->out;
    value_put_map(out, 2);
    value_put_str(out, "depth");
    value_put_uint(out, depth);
    value_put_str(out, "ids");
    l->group_at = value_begin_array(out);
    l->group_ids = 0;
    l->groups++;
}

/* The id alone, whose thing need not be read. As reading_emit. */
static int show_id(struct lineage *l, uint64_t id, uint32_t depth)
{
    struct reading *r = l->r;
    size_t mark = r->out->len;
    if (r->items >= r->query->limit) {
        r->full = true;
        return 1;
    }
    if (l->group_at == 0 && ids_in_groups(r->query)) {
        begin_group(l, depth);
    }
    value_put_uint(r->out, id);
    l->group_ids++;
    int rc = reading_emitted(r, mark);
    if (rc == 1 && l->group_at >= mark) {
        l->group_at = 0; /* it went with its only id */
        l->groups--;
    }
    l->group_ids -= rc == 1;
    return rc;
}

static int show_thing(struct lineage *l, uint64_t id, uint32_t depth)
{
    struct reading *r = l->r;
    struct thing *thing;
    reading_next_item(r);
    int rc = lookup_thing(r->view, r->scratch, id, &thing);
    if (rc == 1) {
        struct key key = key_u64(id);
        return row_corrupt(r->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    return rc != 0 ? rc : reading_emit(r, thing, depth);
}

static int show(struct lineage *l, uint64_t id, uint32_t depth)
{
    int rc = l->r->query->view == CLADE_VIEW_IDS ? show_id(l, id, depth) : show_thing(l, id, depth);
    if (rc == 0) {
        uint8_t next[POSITION_BYTES];
        put_u32be(next, depth);
        put_u64be(next + 4, id);
        reading_set_next(l->r, span_make(next, sizeof next));
    }
    return rc;
}

/* Whether each thing that is met is counted, whatever it is. */
static bool counts_all(const struct query *q)
{
    return q->count_only && q->kinds == 0 && q->state == CLADE_STATE_ANY;
}

static int show_level(struct lineage *l)
{
    const struct query *q = l->r->query;
    const struct ids *order = &l->walk.memory->order;
    uint32_t depth = l->walk.depth;
    if (counts_all(q)) {
        l->count += walk_level_len(&l->walk);
        return 0;
    }
    for (size_t i = l->walk.level; i < order->len && depth >= l->after_depth; i++) {
        uint64_t id = order->data[i];
        if (depth == l->after_depth && id <= l->after_id) {
            continue;
        }
        bool wanted;
        int rc = reading_step(l->r) ? 2 : wants(l, id, &wanted);
        if (rc == 0 && wanted) {
            l->count++;
            rc = q->count_only ? 0 : show(l, id, depth);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* 0, or a code; 1 and 2 say that the answer ends early, and are for nobody. */
static int walk(struct lineage *l, uint64_t start)
{
    uint32_t depth_max = l->r->query->depth_max;
    int rc = walk_begin(&l->walk, start);
    while (rc == 0 && (depth_max == 0 || l->walk.depth < depth_max)) {
        rc = walk_next(&l->walk);
        if (rc == 0) {
            rc = show_level(l);
            end_group(l);
        }
    }
    walk_end(&l->walk);
    return rc < 0 ? rc : 0;
}

/* --- The query ---------------------------------------------------------------------------------
 */

static int find_start(struct lineage *l, uint64_t *ret)
{
    struct reading *r = l->r;
    struct span p = r->position;
    if (p.len != 0 && p.len != POSITION_BYTES) {
        return reading_bad_cursor(r);
    }
    if (p.len != 0) {
        l->after_depth = get_u32be(p.data);
        l->after_id = get_u64be(p.data + 4);
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

static int answer(struct lineage *l, uint64_t start)
{
    struct reading *r = l->r;
    size_t at = 0;
    if (!r->query->count_only) {
        at = value_begin_array(r->out);
    }
    int rc = walk(l, start);
    if (rc < 0) {
        return rc;
    }
    if (r->query->count_only) {
        value_put_map(r->out, 1);
        value_put_str(r->out, "count");
        value_put_uint(r->out, l->count);
    } else {
        value_end(r->out, at, ids_in_groups(r->query) ? l->groups : r->items);
    }
    return 0;
}

int read_lineage(struct reading *r)
{
    const struct query *q = r->query;
    struct lineage l = {.r = r};
    l.walk = (struct walk){
        .r = r,
        .memory = &r->walks[0],
        .side = q->downstream ? SIDE_IN : SIDE_OUT,
        .labels = &l.labels,
    };
    uint64_t start = 0;
    int rc = find_start(&l, &start);
    if (rc == 0 && q->labels != NULL) {
        rc = label_set_make(r, q->labels, q->labels_len, false, &l.labels);
    }
    return rc != 0 ? rc : answer(&l, start);
}
