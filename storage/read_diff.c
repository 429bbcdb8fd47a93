/* diff: two things, or one at two revisions: what is set differently, and what only one of them was
 * made from. */
#include <stdlib.h>

#include "command/value.h"
#include "storage/render_series.h"
#include "storage/walk.h"

/* One of the two. */
struct side {
    uint64_t revision;
    struct thing *thing;
    struct walk walk;
    /* in the scratch arena, sorted by key */
    struct pair {
        struct span key;
        struct span value; /* params */
        uint64_t on;       /* metrics */
        struct point last;
        uint64_t count;
    } * pairs;
    size_t len;
    size_t capacity;
};

struct diff {
    struct reading *r;
    struct label_set labels;
    struct side sides[2];
    struct side *filled; /* by a callback */
    uint32_t members;    /* of the map or array that is being written */
    uint64_t newest;     /* of the two revisions: what things are called */
};

static const char *const words[] = {"from", "to"};

static int add_pair(struct diff *d, const struct pair *pair)
{
    struct side *s = d->filled;
    struct arena *arena = d->r->scratch;
    if (s->len == s->capacity) {
        size_t capacity = s->capacity == 0 ? 64 : 2 * s->capacity;
        struct pair *grown = arena_calloc(arena, capacity, sizeof *grown);
        if (grown == NULL) {
            return arena_failure(arena, capacity * sizeof *grown, d->r->error);
        }
        if (s->len > 0) {
            memcpy(grown, s->pairs, s->len * sizeof *grown);
        }
        s->pairs = grown;
        s->capacity = capacity;
    }
    s->pairs[s->len] = *pair;
    s->pairs[s->len].key = arena_copy_span(arena, pair->key);
    bool copied = s->pairs[s->len].key.data != NULL;
    s->len += copied;
    return copied ? 0 : arena_failure(arena, pair->key.len, d->r->error);
}

static int compare_pairs(const struct pair *a, const struct pair *b)
{
    int order = span_compare(a->key, b->key);
    return order != 0 ? order : (a->on > b->on) - (a->on < b->on);
}

/* Calls `put` for each key: the pairs of both sides, NULL where a side has none. */
static int merge(struct diff *d,
                 int (*put)(struct diff *d, const struct pair *from, const struct pair *to))
{
    const struct side *x = &d->sides[0];
    const struct side *y = &d->sides[1];
    size_t i = 0;
    size_t j = 0;
    int rc = 0;
    while (rc == 0 && (i < x->len || j < y->len)) {
        int order = i == x->len ? 1 : j == y->len ? -1 : compare_pairs(&x->pairs[i], &y->pairs[j]);
        const struct pair *from = order <= 0 ? &x->pairs[i++] : NULL;
        const struct pair *to = order >= 0 ? &y->pairs[j++] : NULL;
        rc = reading_step(d->r) ? 1 : put(d, from, to);
    }
    return rc;
}

/* The pairs of both sides, each as of its revision. */
static int collect(struct diff *d, int (*each)(struct diff *d, struct side *s))
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < 2; i++) {
        d->filled = &d->sides[i];
        d->filled->len = 0;
        d->r->view->revision = d->filled->revision;
        rc = each(d, d->filled);
    }
    d->r->view->revision = d->newest;
    return rc;
}

/* --- Params ----------------------------------------------------------------------------------- */

static int on_param(void *arg, struct span key, struct span value)
{
    struct diff *d = arg;
    struct span copy = arena_copy_span(d->r->scratch, value);
    return copy.data == NULL ? arena_failure(d->r->scratch, value.len, d->r->error)
                             : add_pair(d, &(struct pair){.key = key, .value = copy});
}

static int each_param(struct diff *d, struct side *s)
{
    return params_each(d->r->view, s->thing->id, 0, on_param, d);
}

static int put_param(struct diff *d, const struct pair *from, const struct pair *to)
{
    const struct pair *const both[] = {from, to};
    struct buffer *out = d->r->out;
    if (from != NULL && to != NULL && span_equal(from->value, to->value)) {
        return 0;
    }
    d->members++;
    value_put_span(out, from != NULL ? from->key : to->key);
    value_put_map(out, (from != NULL) + (to != NULL));
    for (int i = 0; i < 2; i++) {
        if (both[i] != NULL) {
            value_put_str(out, words[i]);
            value_put_span(out, both[i]->value);
        }
    }
    return 0;
}

static int put_params(struct diff *d)
{
    int rc = collect(d, each_param);
    value_put_str(d->r->out, "params");
    size_t at = value_begin_map(d->r->out);
    d->members = 0;
    rc = rc != 0 ? rc : merge(d, put_param);
    value_end(d->r->out, at, d->members);
    return rc;
}

/* --- Metrics ---------------------------------------------------------------------------------- */

static int on_series(void *arg, const struct series *series, struct span key)
{
    struct diff *d = arg;
    struct series then = *series;
    int rc = series_sums_at(d->r->view, &then, reading_stop, d->r);
    if (rc != 0) {
        return rc;
    }
    return add_pair(
        d, &(struct pair){
               .key = key, .on = then.on, .last = then.sums.last, .count = then.sums.count});
}

static int each_series(struct diff *d, struct side *s)
{
    return series_each(d->r->view, s->thing->id, NULL, on_series, d);
}

/* By bits: NaN is the same as NaN. When it was measured makes no difference. */
static bool is_same_last(const struct pair *x, const struct pair *y)
{
    return memcmp(&x->last.value, &y->last.value, sizeof x->last.value) == 0 &&
           x->last.step == y->last.step && x->count == y->count;
}

static int put_metric(struct diff *d, const struct pair *from, const struct pair *to)
{
    const struct pair *const both[] = {from, to};
    const struct pair *any = from != NULL ? from : to;
    struct buffer *out = d->r->out;
    int rc = 0;
    if (from != NULL && to != NULL && is_same_last(from, to)) {
        return 0;
    }
    d->members++;
    value_put_map(out, 1 + (any->on != 0) + (from != NULL) + (to != NULL));
    value_put_str(out, "key");
    value_put_span(out, any->key);
    if (any->on != 0) {
        struct span ref = {0};
        rc = render_ref_of_id(&d->r->render, any->on, &ref);
        value_put_str(out, "on");
        value_put_span(out, ref);
    }
    for (int i = 0; i < 2; i++) {
        if (both[i] != NULL) {
            value_put_str(out, words[i]);
            value_put_map(out, 2);
            value_put_str(out, "count");
            value_put_uint(out, both[i]->count);
            value_put_str(out, "last");
            render_point(&both[i]->last, out);
        }
    }
    return rc;
}

static int put_metrics(struct diff *d)
{
    int rc = collect(d, each_series);
    value_put_str(d->r->out, "metrics");
    size_t at = value_begin_array(d->r->out);
    d->members = 0;
    rc = rc != 0 ? rc : merge(d, put_metric);
    value_end(d->r->out, at, d->members);
    return rc;
}

/* --- Provenance ------------------------------------------------------------------------------- */

static int walk_all(struct diff *d, struct side *s, struct walk_memory *memory)
{
    uint32_t depth_max = d->r->query->depth_max;
    s->walk = (struct walk){.r = d->r, .memory = memory, .side = SIDE_OUT, .labels = &d->labels};
    d->r->view->revision = s->revision;
    int rc = walk_begin(&s->walk, s->thing->id);
    while (rc == 0 && (depth_max == 0 || s->walk.depth < depth_max)) {
        rc = walk_next(&s->walk);
    }
    d->r->view->revision = d->newest;
    return rc == 1 ? 0 : rc;
}

/* Whether a thing is upstream of the side's, which itself is not. */
static bool is_upstream(const struct side *s, uint64_t id)
{
    return id != s->thing->id && id_set_has(&s->walk.memory->seen, id);
}

static int put_one(struct diff *d, uint64_t id, uint32_t depth)
{
    struct reading *r = d->r;
    struct arena arena;
    struct thing *thing;
    struct render render = r->render;
    arena_init(&arena, READING_SCRATCH_BYTES);
    render.arena = &arena;
    render.cached_ns = 0;
    int rc = lookup_thing(r->view, &arena, id, &thing);
    if (rc == 1) {
        struct key key = key_u64(id);
        rc = row_corrupt(r->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    if (rc == 0) {
        struct render_options options = {
            .view = r->query->view, .with_depth = true, .depth = depth};
        rc = render_thing(&render, thing, &options, r->out);
    }
    arena_release(&arena);
    return rc;
}

/* What does not fit any more is left out, and the answer says so. */
static bool cut(struct diff *d, size_t mark)
{
    struct reading *r = d->r;
    uint64_t bytes_max = r->budget->bytes_max != 0 ? r->budget->bytes_max : CLADE_MAX_ANSWER_BYTES;
    if (r->out->failed || r->out->len - r->out_begin > bytes_max) {
        r->out->len = mark;
        r->out->failed = false;
        r->full = true;
    }
    return r->out->len == mark;
}

/* What only this side was made from, as many as the limit lets; counts what the other has too. */
static int put_only(struct diff *d, int side, uint64_t *ret_both)
{
    const struct side *mine = &d->sides[side];
    const struct side *other = &d->sides[1 - side];
    const struct walk_memory *m = mine->walk.memory;
    int rc = 0;
    uint64_t both = 0;
    bool no_room = false;
    d->members = 0;
    value_put_str(d->r->out, words[side]);
    size_t at = value_begin_array(d->r->out);
    for (uint32_t depth = 1; rc == 0 && depth < m->levels.len; depth++) {
        struct ids level = walk_level_at(&mine->walk, depth);
        for (size_t i = 0; rc == 0 && i < level.len; i++) {
            if (is_upstream(other, level.data[i])) {
                both++;
            } else if (d->members == d->r->query->limit || no_room) {
                d->r->full = true;
            } else {
                size_t mark = d->r->out->len;
                rc = put_one(d, level.data[i], depth);
                no_room = cut(d, mark);
                d->members += !no_room;
            }
            rc = rc == 0 && reading_step(d->r) ? 2 : rc;
        }
    }
    value_end(d->r->out, at, d->members);
    *ret_both = both;
    return rc;
}

static int put_both_sides(struct diff *d)
{
    uint64_t both = 0;
    value_put_str(d->r->out, "provenance");
    value_put_map(d->r->out, 3);
    int rc = put_only(d, 0, &both);
    rc = rc != 0 ? rc : put_only(d, 1, &both);
    value_put_str(d->r->out, "both");
    value_put_uint(d->r->out, both);
    return rc;
}

/* Left out when the budget ends before all of it is known: what is missing in half a walk is not
 * known to be missing. *ret says whether it is there. */
static int put_provenance(struct diff *d, bool *ret)
{
    size_t mark = d->r->out->len;
    int rc = walk_all(d, &d->sides[0], &d->r->walks[0]);
    rc = rc != 0 ? rc : walk_all(d, &d->sides[1], &d->r->walks[1]);
    rc = rc != 0 ? rc : put_both_sides(d);
    for (int i = 0; i < 2; i++) {
        if (d->sides[i].walk.memory != NULL) {
            walk_end(&d->sides[i].walk);
        }
    }
    *ret = rc == 0;
    if (rc > 0) {
        d->r->out->len = mark;
    }
    return rc < 0 ? rc : 0;
}

/* --- The query -------------------------------------------------------------------------------- */

static int find_side(struct diff *d, int i, const struct ref *ref)
{
    struct side *s = &d->sides[i];
    uint64_t id;
    d->r->view->revision = s->revision;
    int rc = reading_find_start(d->r, ref, words[i], &id);
    if (rc == 0) {
        rc = lookup_thing(d->r->view, d->r->scratch, id, &s->thing);
    }
    if (rc == 1) {
        struct key key = key_u64(id);
        return row_corrupt(d->r->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    return rc;
}

static int put_revision(void *arg, struct buffer *out, uint32_t *members)
{
    const struct side *s = arg;
    value_put_str(out, "revision");
    value_put_uint(out, s->revision);
    ++*members;
    return 0;
}

static int put_head(struct diff *d, int i)
{
    struct side *s = &d->sides[i];
    struct render_options options = {.view = CLADE_VIEW_HEADS, .more = put_revision, .more_arg = s};
    d->r->view->revision = s->revision;
    d->r->render.cached_ns = 0;
    value_put_str(d->r->out, words[i]);
    int rc = render_thing(&d->r->render, s->thing, &options, d->r->out);
    d->r->render.cached_ns = 0;
    d->r->view->revision = d->newest;
    return rc;
}

static int answer(struct diff *d)
{
    struct reading *r = d->r;
    bool walked = false;
    size_t at = value_begin_map(r->out);
    int rc = put_head(d, 0);
    rc = rc != 0 ? rc : put_head(d, 1);
    rc = rc != 0 ? rc : history_put_fields(r, d->sides[0].thing, d->sides[1].thing, false);
    rc = rc != 0 ? rc : put_params(d);
    rc = rc != 0 ? rc : put_metrics(d);
    if (rc > 0) {
        return error_set(r->error, CLADE_ERR_LIMIT, NULL,
                         "the two could not be compared in the time that was given");
    }
    rc = rc != 0 ? rc : put_provenance(d, &walked);
    value_end(r->out, at, 5 + walked);
    return rc;
}

int read_diff(struct reading *r)
{
    const struct query *q = r->query;
    struct diff d = {.r = r};
    uint64_t to = r->view->revision;
    d.sides[0].revision = to;
    d.sides[1].revision = to;
    int rc = 0;
    if (q->from_as_of.form != AS_OF_NOW) {
        rc = reading_revision(r, &q->from_as_of, "from_as_of", &d.sides[0].revision);
    }
    d.newest = d.sides[0].revision > to ? d.sides[0].revision : to;
    rc = rc != 0 ? rc : label_set_of_query(r, &d.labels);
    rc = rc != 0 ? rc : find_side(&d, 0, &q->start);
    rc = rc != 0 ? rc : find_side(&d, 1, &q->to);
    r->view->revision = d.newest;
    rc = rc != 0 ? rc : answer(&d);
    r->view->revision = to;
    return rc;
}
