/* lineage, and impact and provenance: what a thing was made from, or what was made from it. */
#include "base/check.h"
#include "command/value.h"
#include "storage/lineage_internal.h"
#include "storage/resolve.h"

#define POSITION_BYTES 12 /* depth u32, id u64 */
#define ID_BYTES_MAX   9  /* in an answer */

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

static bool has_filter(const struct query *q)
{
    return q->search != NULL && q->search->filter != NULL;
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

static int read_thing(struct lineage *l, uint64_t id)
{
    struct reading *r = l->r;
    struct thing *thing;
    reading_next_item(r);
    int rc = lookup_thing(r->view, r->scratch, id, &thing);
    if (rc == 1) {
        struct key key = key_u64(id);
        return row_corrupt(r->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    l->thing = thing;
    return rc;
}

/* Only versions are used, and by the index only those that something ever pointed to. */
static int is_used(struct lineage *l, uint64_t id, bool *ret)
{
    const struct adjacency *index = l->r->index;
    *ret = false;
    if (index != NULL && (adjacency_mark(index, id) & MARK_POINTED) == 0) {
        return 0;
    }
    int rc = read_thing(l, id);
    rc = rc != 0 ? rc : impact_find(l, l->thing);
    *ret = l->uses_len > 0;
    return rc;
}

static int is_in_state(struct lineage *l, uint64_t id, bool *ret)
{
    const struct query *q = l->r->query;
    bool live = true;
    int rc = q->kind == QUERY_IMPACT ? 0 : read_thing(l, id);
    if (rc == 0) {
        rc = lookup_is_live(l->r->view, l->r->scratch, l->thing, &live);
    }
    *ret = (q->state == CLADE_STATE_LIVE) == live;
    return rc;
}

static int is_as_asked(struct lineage *l, uint64_t id, bool *ret)
{
    uint64_t left = l->search.steps_left;
    int rc = l->r->query->kind == QUERY_IMPACT ? 0 : read_thing(l, id);
    rc = rc != 0 ? rc : match_thing(&l->search.match, l->search.search->filter, l->thing, ret);
    l->r->steps += (uint32_t)((left - l->search.steps_left) / SEARCH_STEPS_SCALE);
    return rc;
}

/* Unless the query says otherwise, what is deleted is shown, marked. */
static int wants(struct lineage *l, uint64_t id, bool *ret)
{
    const struct query *q = l->r->query;
    *ret = true;
    if (q->kind == QUERY_IMPACT) {
        int rc = is_used(l, id, ret);
        if (rc != 0) {
            return rc;
        }
    } else if (q->kinds != 0) {
        enum kind kind = KIND_NONE;
        int rc = kind_of(l, id, &kind);
        if (rc != 0) {
            return rc;
        }
        *ret = (q->kinds >> kind & 1) != 0;
    }
    int rc = *ret && q->state != CLADE_STATE_ANY ? is_in_state(l, id, ret) : 0;
    return rc == 0 && *ret && has_filter(q) ? is_as_asked(l, id, ret) : rc;
}

/* Where the next page goes on: behind this one. */
static void set_position(struct lineage *l, uint64_t id)
{
    uint8_t next[POSITION_BYTES];
    put_u32be(next, l->depth);
    put_u64be(next + 4, id);
    reading_set_next(l->r, span_make(next, sizeof next));
}

/* Of impact the thing has been read already. */
static int show(struct lineage *l, uint64_t id)
{
    const struct query *q = l->r->query;
    int rc = 0;
    if (q->view == CLADE_VIEW_IDS) {
        rc = show_id(l, id, l->depth);
    } else {
        rc = q->kind == QUERY_IMPACT ? 0 : read_thing(l, id);
        rc = rc != 0 ? rc : reading_emit(l->r, l->thing, l->depth);
    }
    if (rc == 0) {
        set_position(l, id);
    }
    return rc;
}

/* Whether each thing that is met is wanted, whatever it is. */
static bool wants_all(const struct query *q)
{
    return q->kinds == 0 && q->state == CLADE_STATE_ANY && q->kind != QUERY_IMPACT &&
           !has_filter(q);
}

static bool counts_all(const struct query *q)
{
    return q->count_only && wants_all(q);
}

/* The ids from order->data[i] on, as many as surely fit, at once; returns how many. */
static size_t show_ids(struct lineage *l, size_t i)
{
    struct reading *r = l->r;
    const struct ids *order = &l->walk.memory->order;
    size_t len = order->len - i;
    size_t room = r->query->limit - r->items;
    len = len < room ? len : room;
    if (len < 2 || !reading_has_room(r, (len + 8) * ID_BYTES_MAX)) {
        return 0;
    }
    if (l->group_at == 0 && ids_in_groups(r->query)) {
        begin_group(l, l->depth);
    }
    value_put_uints(r->out, order->data + i, len);
    l->group_ids += (uint32_t)len;
    l->count += len;
    r->items += (uint32_t)len;
    set_position(l, order->data[i + len - 1]);
    return len;
}

static int show_level(struct lineage *l)
{
    const struct query *q = l->r->query;
    const struct ids *order = &l->walk.memory->order;
    bool at_once = q->view == CLADE_VIEW_IDS && !q->count_only && wants_all(q);
    l->depth = l->walk.depth;
    if (counts_all(q)) {
        l->count += walk_level_len(&l->walk);
        return 0;
    }
    for (size_t i = l->walk.level; i < order->len && l->depth >= l->after_depth; i++) {
        uint64_t id = order->data[i];
        if (l->goes_on && l->depth == l->after_depth && id <= l->after_id) {
            continue;
        }
        size_t shown = at_once ? show_ids(l, i) : 0;
        if (shown > 0) {
            i += shown - 1;
            continue;
        }
        bool wanted;
        int rc = reading_step(l->r) ? 2 : wants(l, id, &wanted);
        if (rc == 0 && wanted) {
            l->count++;
            rc = q->count_only ? 0 : show(l, id);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* 0, or a code; 1 and 2 say that the answer ends early, and are for nobody. The start is shown by
 * impact alone: it may be in use itself. */
static int walk(struct lineage *l, uint64_t start)
{
    const struct query *q = l->r->query;
    int rc = walk_begin(&l->walk, start);
    if (rc == 0 && q->kind == QUERY_IMPACT) {
        rc = show_level(l);
        end_group(l);
    }
    while (rc == 0 && (q->depth_max == 0 || l->walk.depth < q->depth_max)) {
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

int reading_find_start(struct reading *r, const struct ref *ref, const char *where, uint64_t *ret)
{
    struct resolver resolver = {
        .view = r->view,
        .arena = r->scratch,
        .ns = r->ns,
        .any_state = ref->form == REF_ID || r->query->state == CLADE_STATE_DELETED,
    };
    struct thing *thing;
    int rc = resolve(&resolver, ref, &thing);
    if (rc == 0) {
        *ret = thing->id;
    } else if (!code_is_fatal(rc)) {
        error_prefix_where(r->error, "%s", where);
    }
    return rc;
}

static int find_start(struct lineage *l, uint64_t *ret)
{
    struct reading *r = l->r;
    struct span p = r->position;
    if (p.len != 0 && p.len != POSITION_BYTES) {
        return reading_bad_cursor(r);
    }
    if (p.len != 0) {
        l->goes_on = true;
        l->after_depth = get_u32be(p.data);
        l->after_id = get_u64be(p.data + 4);
    }
    return reading_find_start(r, &r->query->start, "ref", ret);
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
        .unordered = counts_all(q),
    };
    r->more_arg = &l;
    r->more = q->kind == QUERY_IMPACT       ? impact_put
              : q->kind == QUERY_PROVENANCE ? provenance_put
                                            : NULL;
    uint64_t start = 0;
    int rc = find_start(&l, &start);
    rc = rc != 0 ? rc : label_set_of_query(r, &l.labels);
    if (rc == 0 && has_filter(q)) {
        search_begin(&l.search, r, q->search, KIND_NONE);
        rc = search_make_sets(&l.search, q->search->filter);
    }
    if (rc == 0) {
        rc = answer(&l, start);
    } else if (rc == 2) { /* the time ended before anything was walked */
        rc = error_set(r->error, CLADE_ERR_LIMIT, "query",
                       "its lineage predicates take too long to look up; ask for less");
    }
    if (has_filter(q)) {
        search_release(&l.search);
    }
    return rc;
}
