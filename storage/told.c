/* What a row says is taken apart once: the things that it changed, by id, with what
 * decides whether they pass. What it says of a thing is written when the first one asks, and copied
 * for the others; records are read again for it, since those of one transaction may be very large.
 */
#include "storage/told.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "storage/floor.h"

#define HEADS_BYTES_MAX (64u << 20)
#define REF_WHOLE       UINT64_MAX /* no namespace's id: references are written with theirs */

struct numbered_change {
    struct change change;
    size_t number;
};

static int no_room(struct told *t, size_t bytes)
{
    return arena_failure(&t->heads, bytes, t->r->error);
}

/* --- Taking a row apart --------------------------------------------------------------------- */

static int rank_of(const struct change *c)
{
    if (c->kind == CHANGE_LINKED || c->kind == CHANGE_UNLINKED) {
        return 1;
    }
    return c->kind == CHANGE_ALIAS_SET || c->kind == CHANGE_ALIAS_UNSET ? 2 : 0;
}

#define ORDER(a, b)                                                                                \
    if ((a) != (b)) {                                                                              \
        return (a) < (b) ? -1 : 1;                                                                 \
    }

/* By thing; then its record's changes, its edges by label and end, its aliases' moves as they
 * came. */
static int order_changes(const void *a, const void *b)
{
    const struct numbered_change *x = a;
    const struct numbered_change *y = b;
    ORDER(x->change.id, y->change.id)
    ORDER(rank_of(&x->change), rank_of(&y->change))
    ORDER(x->change.label, y->change.label)
    ORDER(x->change.other, y->change.other)
    ORDER(x->number, y->number)
    return 0;
}

static int decode_changes(struct told *t, size_t *ret_len)
{
    struct varint_reader v = {.rest = t->who.changes};
    uint64_t len = varint_get(&v);
    struct key key = key_u64(t->revision);
    if (v.failed || len > v.rest.len) {
        return row_corrupt(t->r->error, TABLE_CHANGES, key_span(&key), "is damaged");
    }
    t->changes = arena_calloc(&t->heads, len, sizeof *t->changes);
    t->things = arena_calloc(&t->heads, len, sizeof *t->things);
    if (len > 0 && (t->changes == NULL || t->things == NULL)) {
        return no_room(t, len * (sizeof *t->changes + sizeof *t->things));
    }
    for (size_t i = 0; i < len; i++) {
        t->changes[i] = (struct numbered_change){.change = change_next(&v), .number = i};
    }
    if (v.failed) {
        return row_corrupt(t->r->error, TABLE_CHANGES, key_span(&key), "is damaged");
    }
    if (len > 1) {
        qsort(t->changes, len, sizeof *t->changes, order_changes);
    }
    *ret_len = len;
    return 0;
}

/* The thing before and after; `before` is NULL where it was not. In the scratch arena. */
static int load_sides(struct told *t, uint64_t id, struct thing **before, struct thing **after)
{
    struct view *v = t->r->view;
    v->revision = t->revision;
    *before = NULL;
    int rc = lookup_thing(v, t->r->scratch, id, after);
    if (rc == 1) {
        struct key key = key_u64(id);
        return row_corrupt(t->r->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    if (rc != 0 || (*after)->created.revision >= t->revision) {
        return rc;
    }
    if ((*after)->purged || (*after)->changed.revision != t->revision) {
        *before = *after;
        return 0;
    }
    v->revision = t->revision - 1;
    rc = lookup_thing(v, t->r->scratch, id, before);
    v->revision = t->revision;
    if (rc == 1) {
        *before = NULL;
        rc = 0;
    }
    return rc;
}

static int path_of(struct told *t, const struct thing *thing, struct span *ret)
{
    struct thing *ns = NULL;
    struct span path = thing->name;
    int rc = 0;
    if (thing->kind != KIND_NAMESPACE && thing->ns != NAMESPACE_ROOT) {
        rc = lookup_thing(t->r->view, t->r->scratch, thing->ns, &ns);
        path = rc == 0 ? ns->name : (struct span){0};
    }
    if (rc < 0) {
        return rc;
    }
    *ret = arena_copy_span(&t->heads, path);
    return ret->data == NULL ? no_room(t, path.len) : 0;
}

static int take_thing(struct told *t, struct told_thing *x)
{
    struct thing *before;
    struct thing *after;
    reading_next_item(t->r);
    int rc = load_sides(t, x->id, &before, &after);
    if (rc == 0) {
        rc = path_of(t, after, &x->path);
    }
    if (rc != 0) {
        return rc;
    }
    x->kind = after->kind;
    x->purged = after->purged;
    x->record = after->changed.revision == t->revision;
    x->is_new = before == NULL;
    x->renamed = before != NULL && !span_equal(before->name, after->name);
    for (size_t i = x->first; i < x->first + x->len; i++) {
        x->logged = x->logged || t->changes[i].change.kind == CHANGE_LOGGED;
    }
    return 0;
}

/* Whether what the revision changed of the thing is below its floor. */
static int is_compacted(struct told *t, uint64_t id, bool *ret)
{
    uint64_t floor = 0;
    int rc = 0;
    if (t->revision <= t->r->view->floor_max) {
        reading_next_item(t->r);
        rc = floor_of_id(t->r->view, t->r->scratch, id, &floor);
    }
    *ret = rc == 0 && floor >= t->revision;
    return rc;
}

/* The things that the revision changed. */
static int take_apart(struct told *t)
{
    size_t len = 0;
    if (t->taken_apart) {
        return 0;
    }
    int rc = decode_changes(t, &len);
    for (size_t i = 0; rc == 0 && i < len;) {
        struct told_thing *x = &t->things[t->len];
        size_t end = i + 1;
        while (end < len && t->changes[end].change.id == t->changes[i].change.id) {
            end++;
        }
        *x = (struct told_thing){.id = t->changes[i].change.id, .first = i, .len = end - i};
        bool gone;
        rc = is_compacted(t, x->id, &gone);
        rc = rc != 0 || gone ? rc : take_thing(t, x);
        t->leaves_out = t->leaves_out || gone;
        t->len += !gone;
        i = end;
    }
    t->taken_apart = rc == 0;
    return rc;
}

void told_use_namespace(struct told *t, uint64_t ns)
{
    if (t->r->render.ns == ns) {
        return;
    }
    t->r->render.ns = ns;
    buffer_clear(&t->bytes);
    for (size_t i = 0; i < t->len; i++) {
        memset(t->things[i].refs, 0, sizeof t->things[i].refs);
        t->things[i].state = TOLD_NOT_YET;
    }
}

int told_begin(struct told *t, uint64_t revision, struct span row)
{
    arena_reset(&t->heads);
    buffer_clear(&t->bytes);
    t->revision = revision;
    t->len = 0;
    t->taken_apart = false;
    t->leaves_out = false;
    t->r->view->revision = revision;
    return change_row_decode(row, revision, &t->who, t->r->error);
}

/* --- What passes ---------------------------------------------------------------------------- */

/* The thing's reference before (0) or after (1). */
static int ref_of(struct told *t, struct told_thing *x, int side, bool whole, struct span *ret)
{
    struct span *at = whole ? &x->whole[side] : &x->refs[side];
    uint64_t ns = t->r->render.ns;
    struct thing *sides[2];
    struct span ref;
    if (at->len > 0) {
        *ret = *at;
        return 0;
    }
    reading_next_item(t->r);
    int rc = load_sides(t, x->id, &sides[0], &sides[1]);
    if (rc != 0) {
        return rc;
    }
    t->r->render.ns = whole ? REF_WHOLE : ns;
    t->r->view->revision = t->revision - (side == 0);
    rc = render_ref(&t->r->render, sides[side], &ref);
    t->r->view->revision = t->revision;
    t->r->render.ns = ns;
    if (rc != 0) {
        return rc;
    }
    *at = arena_copy_span(&t->heads, ref);
    *ret = *at;
    return at->data == NULL ? no_room(t, ref.len) : 0;
}

static bool is_under(struct span path, struct span above)
{
    return span_starts_with_span(path, above) &&
           (path.len == above.len || path.data[above.len] == '/');
}

/* What was purged has no name any more: no prefix is its. */
static int has_prefix(struct told *t, struct told_thing *x, struct span prefix, bool *ret)
{
    bool whole = prefix.len >= 2 && prefix.data[0] == '/' && prefix.data[1] == '/';
    struct span ref;
    *ret = false;
    int rc = x->purged ? 1 : ref_of(t, x, 1, whole, &ref);
    if (rc == 0) {
        *ret = span_starts_with_span(ref, prefix);
    }
    if (rc == 0 && !*ret && x->renamed) {
        rc = ref_of(t, x, 0, whole, &ref);
        *ret = rc == 0 && span_starts_with_span(ref, prefix);
    }
    return rc == 1 ? 0 : rc;
}

static int matches_at(struct told *t,
                      const struct query *q,
                      const struct thing *thing,
                      uint64_t revision,
                      uint64_t *steps_left,
                      bool *ret)
{
    struct matcher m = {.view = t->r->view,
                        .arena = t->r->scratch,
                        .ns = t->r->render.ns,
                        .steps_left = steps_left};
    t->r->view->revision = revision;
    int rc = match_thing(&m, q->changes.filter, thing, ret);
    t->r->view->revision = t->revision;
    return rc;
}

static int matches(struct told *t, const struct told_thing *x, const struct query *q, bool *ret)
{
    uint64_t steps_left = CLADE_MAX_MATCH_STEPS;
    struct thing *before;
    struct thing *after;
    *ret = false;
    if (x->purged) {
        return 0;
    }
    reading_next_item(t->r);
    int rc = load_sides(t, x->id, &before, &after);
    if (rc == 0) {
        rc = matches_at(t, q, after, t->revision, &steps_left, ret);
    }
    if (rc == 0 && !*ret && before != NULL) {
        rc = matches_at(t, q, before, t->revision - 1, &steps_left, ret);
    }
    return rc;
}

static bool is_filtered(const struct query *q)
{
    const struct change_filter *f = &q->changes;
    return f->under.len > 0 || f->kinds != 0 || f->prefix.len > 0 || f->filter != NULL ||
           f->id != 0;
}

static int passes(struct told *t, struct told_thing *x, const struct query *q, bool *ret)
{
    const struct change_filter *f = &q->changes;
    int rc = 0;
    *ret = (f->id == 0 || f->id == x->id) && (f->kinds == 0 || (f->kinds >> x->kind & 1) != 0) &&
           (f->under.len == 0 || is_under(x->path, f->under));
    if (*ret && f->prefix.len > 0) {
        rc = has_prefix(t, x, f->prefix, ret);
    }
    if (rc == 0 && *ret && f->filter != NULL) {
        rc = matches(t, x, q, ret);
    }
    return rc;
}

/* --- Telling of a thing --------------------------------------------------------------------- */

static int edge_at(struct told *t, const struct change *c, uint64_t revision, struct edge *ret)
{
    t->r->view->revision = revision;
    int rc = lookup_edge(t->r->view, c->id, c->label, c->other, ret);
    t->r->view->revision = t->revision;
    return rc;
}

static int put_edge(struct told *t, const struct told_thing *x, const struct change *c, uint32_t *n)
{
    struct edge before = {0};
    struct edge after = {0};
    int was = edge_at(t, c, t->revision - 1, &before);
    int is = was < 0 ? was : edge_at(t, c, t->revision, &after);
    if (is < 0) {
        return is;
    }
    bool made = is == 0 && after.created == t->revision;
    int rc = 0;
    if (is == 0 && (made || !x->purged)) { /* what changed of it was purged too */
        rc = change_put_edge(t->r, x->id, c->label, c->other, made ? EDGE_LINKED : EDGE_CHANGED,
                             x->purged);
        ++*n;
    }
    if (rc == 0 && was == 0 && (is == 1 || made)) {
        rc = change_put_edge(t->r, x->id, c->label, c->other, EDGE_UNLINKED, x->purged);
        ++*n;
    }
    return rc;
}

static bool same_edge(const struct change *a, const struct change *b)
{
    return rank_of(a) == 1 && a->label == b->label && a->other == b->other;
}

/* Appends "edges", resp. "aliases", unless there is nothing to tell. */
static int put_changes(struct told *t, const struct told_thing *x, int rank, uint32_t *members)
{
    struct buffer *out = t->r->out;
    size_t mark = out->len;
    uint32_t n = 0;
    int rc = 0;
    value_put_str(out, rank == 1 ? "edges" : "aliases");
    size_t at = value_begin_array(out);
    for (size_t i = x->first; i < x->first + x->len && rc == 0; i++) {
        const struct change *c = &t->changes[i].change;
        bool again = rank == 1 && i > x->first && same_edge(&t->changes[i - 1].change, c);
        if (rank_of(c) != rank || again) {
            continue;
        }
        if (rank == 1) {
            rc = put_edge(t, x, c, &n);
        } else {
            rc = change_put_alias(t->r, c);
            n++;
        }
    }
    value_end(out, at, n);
    if (n == 0) {
        out->len = mark;
    } else {
        ++*members;
    }
    return rc;
}

static int put_record(struct told *t, const struct told_thing *x, uint32_t *members)
{
    struct buffer *out = t->r->out;
    struct thing *before;
    struct thing *after;
    if (!x->record && (!x->logged || x->purged)) {
        return 0;
    }
    *members += 2;
    value_put_str(out, "change");
    if (!x->record) {
        value_put_str(out, "logged");
        value_put_str(out, "fields");
        value_put_map(out, 0);
        return 0;
    }
    int rc = load_sides(t, x->id, &before, &after);
    if (rc != 0) {
        return rc;
    }
    value_put_str(out, change_word(before, after));
    return history_put_fields(t->r, x->purged ? after : before, after, x->logged && !x->purged);
}

/* Appends the members of a thing's head, 3, and one more where it was purged. */
static int put_head(struct told *t, struct told_thing *x, struct buffer *out)
{
    struct span ref;
    int rc = ref_of(t, x, 1, false, &ref);
    if (rc == 0) {
        value_put_str(out, "id");
        value_put_uint(out, x->id);
        value_put_str(out, "kind");
        value_put_str(out, kind_name(x->kind));
        value_put_str(out, "ref");
        value_put_span(out, ref);
    }
    if (rc == 0 && x->purged) {
        value_put_str(out, "purged");
        value_put_bool(out, true);
    }
    return rc;
}

/* Writes what is told of the thing behind the others: 0, 1 when there is no room, or a code. */
static int write_thing(struct told *t, struct told_thing *x)
{
    struct buffer *out = &t->bytes;
    size_t mark = out->len;
    uint32_t head = 3 + x->purged;
    uint32_t members = head;
    struct buffer *saved = t->r->out;
    t->r->out = out;
    size_t at = value_begin_map(out);
    int rc = put_head(t, x, out);
    reading_next_item(t->r);
    if (rc == 0) {
        rc = put_record(t, x, &members);
    }
    if (rc == 0) {
        rc = put_changes(t, x, 1, &members);
    }
    if (rc == 0 && !x->purged) {
        rc = put_changes(t, x, 2, &members);
    }
    value_end(out, at, members);
    t->r->out = saved;
    x->state = members > head ? TOLD : TOLD_NOTHING;
    x->at = mark;
    x->bytes = out->len - mark;
    if (rc != 0 || out->failed || x->state == TOLD_NOTHING) {
        bool full = out->failed;
        out->len = mark;
        out->failed = false;
        if (rc == 0 && full) {
            x->state = TOLD_NOT_YET;
            return 1;
        }
    }
    return rc;
}

/* What is told of the thing, once for all who ask. 1: it is too long for an event. */
static int told_of(struct told *t, struct told_thing *x)
{
    if (x->state != TOLD_NOT_YET) {
        return 0;
    }
    int rc = write_thing(t, x);
    if (rc != 1) {
        return rc;
    }
    /* What was told before it is with those who asked for it. */
    buffer_clear(&t->bytes);
    for (size_t i = 0; i < t->len; i++) {
        t->things[i].state = t->things[i].state == TOLD ? TOLD_NOT_YET : t->things[i].state;
    }
    return write_thing(t, x);
}

/* --- Telling of a revision ------------------------------------------------------------------ */

/* A thing of which too much would have to be told: its head alone. */
static int put_cut(struct told *t, struct told_thing *x, struct buffer *out)
{
    value_put_map(out, 4 + x->purged);
    int rc = put_head(t, x, out);
    value_put_str(out, "cut");
    value_put_bool(out, true);
    return rc;
}

/* Appends the thing, or its head where the event gets too long, or counts it where that does not
 * fit. */
static int put_thing(struct told *t,
                     struct told_thing *x,
                     struct buffer *out,
                     size_t begin,
                     uint32_t *n,
                     uint32_t *left_out)
{
    int rc = told_of(t, x);
    if (rc < 0 || x->state == TOLD_NOTHING) {
        return rc;
    }
    size_t mark = out->len;
    if (rc == 0 && mark - begin + x->bytes <= WATCH_EVENT_BYTES) {
        buffer_append_span(out, span_skip(span_make(t->bytes.data, x->at + x->bytes), x->at));
        ++*n;
        return 0;
    }
    rc = put_cut(t, x, out);
    if (rc == 0 && out->len - begin <= WATCH_EVENT_BYTES) {
        ++*n;
    } else {
        out->len = mark;
        ++*left_out;
    }
    return rc;
}

static bool was_by(const struct told *t, struct span principal)
{
    return principal.len == 0 || span_equal(t->who.principal, principal) ||
           span_equal(t->who.on_behalf_of, principal);
}

int told_put(struct told *t, const struct query *q, struct buffer *out)
{
    size_t begin = out->len;
    uint32_t n = 0;
    uint32_t left_out = 0;
    bool filtered = is_filtered(q);
    if (!was_by(t, q->changes.principal)) {
        return 1;
    }
    int rc = take_apart(t);
    if (rc != 0) {
        return rc;
    }
    size_t at = value_begin_map(out);
    uint32_t members = change_put_who(out, t->revision, &t->who) + 1;
    value_put_str(out, "things");
    size_t array = value_begin_array(out);
    for (size_t i = 0; i < t->len && rc == 0; i++) {
        bool wanted = !filtered;
        if (filtered) {
            rc = passes(t, &t->things[i], q, &wanted);
        }
        if (rc == 0 && wanted) {
            rc = put_thing(t, &t->things[i], out, begin, &n, &left_out);
        }
    }
    value_end(out, array, n);
    if (left_out > 0) {
        value_put_str(out, "left_out");
        value_put_uint(out, left_out);
        members++;
    }
    value_end(out, at, members);
    bool nothing = (filtered || t->leaves_out) && n == 0 && left_out == 0;
    if (rc != 0 || nothing) {
        out->len = begin;
    }
    return rc != 0 ? rc : nothing;
}

void told_open(struct told *t, struct reading *r)
{
    *t = (struct told){.r = r};
    arena_init(&t->heads, HEADS_BYTES_MAX);
    buffer_init(&t->bytes, WATCH_EVENT_BYTES);
}

void told_close(struct told *t)
{
    arena_release(&t->heads);
    buffer_release(&t->bytes);
}

int told_refuse(struct error *error, uint64_t revision, uint64_t oldest)
{
    error_set(error, CLADE_ERR_COMPACTED, "from",
              "the changes of revision %" PRIu64
              " are gone; the oldest that are left are those of %" PRIu64,
              revision, oldest);
    error->revision = oldest;
    return CLADE_ERR_COMPACTED;
}

int told_compacted(struct reading *r, uint64_t revision)
{
    struct key first = key_u64(revision);
    struct row row;
    int rc = view_seek(r->view, TABLE_CHANGES, key_span(&first), &row);
    if (rc < 0) {
        return rc;
    }
    uint64_t oldest = rc == 0 && row.key.len == 8 ? get_u64be(row.key.data) : 0;
    return told_refuse(r->error, revision, oldest);
}
