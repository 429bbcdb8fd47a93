/* watch and audit: transactions as the change log has them, whole or as far as they pass a filter.
 *
 * What a row says is taken apart once (`told`): the things that it changed, by id, with what
 * decides whether they pass. What it says of a thing is written when the first one asks, and copied
 * for the others; records are read again for it, since those of one transaction may be very large.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "storage/change_log.h"
#include "storage/changes.h"

#define AUDIT_ROWS_MAX  1000000u /* of one page */
#define HEADS_BYTES_MAX (64u << 20)
#define REF_WHOLE       UINT64_MAX /* no namespace's id: references are written with theirs */

enum told_state { TOLD_NOT_YET, TOLD, TOLD_NOTHING };

/* A thing that the revision changed. */
struct told_thing {
    uint64_t id;
    enum kind kind;
    bool record;      /* its record is another one */
    bool logged;      /* params or points */
    bool purged;      /* by now */
    bool is_new;      /* there was nothing before */
    bool renamed;     /* its reference before was another one */
    struct span path; /* of its namespace; a namespace's own */
    size_t first;     /* its changes */
    size_t len;
    /* references as the namespace at hand has them; len 0 = not asked for yet */
    struct span refs[2];  /* before, after */
    struct span whole[2]; /* with the namespace in front */
    enum told_state state;
    size_t at; /* TOLD: where it stands in `bytes` */
    size_t bytes;
};

struct told {
    struct reading *r;
    struct arena *heads; /* lives as long as the revision is told */
    uint64_t revision;
    struct change_who who;
    struct numbered *changes; /* by thing, see order_changes */
    struct told_thing *things;
    size_t len;
    bool taken_apart;
    struct buffer bytes; /* of things that were asked for */
};

struct numbered {
    struct change change;
    size_t number;
};

static int no_room(struct told *t, size_t bytes)
{
    return arena_failure(t->heads, bytes, t->r->error);
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
    const struct numbered *x = a;
    const struct numbered *y = b;
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
    t->changes = arena_calloc(t->heads, len, sizeof *t->changes);
    t->things = arena_calloc(t->heads, len, sizeof *t->things);
    if (len > 0 && (t->changes == NULL || t->things == NULL)) {
        return no_room(t, len * (sizeof *t->changes + sizeof *t->things));
    }
    for (size_t i = 0; i < len; i++) {
        t->changes[i] = (struct numbered){.change = change_next(&v), .number = i};
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
    *ret = arena_copy_span(t->heads, path);
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
        rc = take_thing(t, x);
        t->len++;
        i = end;
    }
    t->taken_apart = rc == 0;
    return rc;
}

/* References are written for another namespace from now on. */
static void use_namespace(struct told *t, uint64_t ns)
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

/* Begins with a revision; `row` is the change log's. */
static int told_begin(struct told *t, uint64_t revision, struct span row)
{
    arena_reset(t->heads);
    buffer_clear(&t->bytes);
    t->revision = revision;
    t->len = 0;
    t->taken_apart = false;
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
    *at = arena_copy_span(t->heads, ref);
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
    if (is == 0) {
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
    if (!x->record && !x->logged) {
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

/* Appends the head of the map of a thing; `more` members follow. */
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
    return rc;
}

/* Writes what is told of the thing behind the others: 0, 1 when there is no room, or a code. */
static int write_thing(struct told *t, struct told_thing *x)
{
    struct buffer *out = &t->bytes;
    size_t mark = out->len;
    uint32_t members = 3;
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
    x->state = members > 3 ? TOLD : TOLD_NOTHING;
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
    value_put_map(out, 4);
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

/* Appends the revision, as far as it passes: 0, 1 when nothing of it does, or a code. */
static int put_revision(struct told *t, const struct query *q, struct buffer *out)
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
    bool nothing = filtered && n == 0 && left_out == 0;
    if (rc != 0 || nothing) {
        out->len = begin;
    }
    return rc != 0 ? rc : nothing;
}

static int told_open(struct told *t, struct reading *r, struct arena *heads)
{
    *t = (struct told){.r = r, .heads = heads};
    arena_init(heads, HEADS_BYTES_MAX);
    buffer_init(&t->bytes, WATCH_EVENT_BYTES);
    return 0;
}

static void told_close(struct told *t)
{
    arena_release(t->heads);
    buffer_release(&t->bytes);
}

/* --- watch ---------------------------------------------------------------------------------- */

static int by_namespace(const void *a, const void *b)
{
    const struct watcher *const *x = a;
    const struct watcher *const *y = b;
    ORDER((*x)->ns_id, (*y)->ns_id)
    return 0;
}

static bool is_active(const struct watcher *w)
{
    return w->code == 0 && w->out->len < w->room && w->events < WATCH_STEP_EVENTS;
}

static int find_namespaces(struct reading *r, struct watcher *watchers[], size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct watcher *w = watchers[i];
        struct span path = w->query->ns.len > 0 ? w->query->ns : w->ns;
        if (w->ns_id != 0) {
            continue;
        }
        reading_next_item(r);
        int rc = lookup_namespace(r->view, r->scratch, path, &w->ns_id);
        if (rc < 0) {
            return rc;
        }
        if (rc == 1) {
            w->code = error_set(&w->error, CLADE_ERR_NOT_FOUND, "ns",
                                "there is no namespace \"%.*s\"", SPAN_FMT(path));
        }
    }
    qsort(watchers, len, sizeof *watchers, by_namespace);
    return 0;
}

/* The change log begins above the revision. */
static int compacted(struct reading *r, uint64_t revision)
{
    struct key first = key_u64(revision);
    struct row row;
    int rc = view_seek(r->view, TABLE_CHANGES, key_span(&first), &row);
    if (rc < 0) {
        return rc;
    }
    uint64_t oldest = rc == 0 && row.key.len == 8 ? get_u64be(row.key.data) : 0;
    error_set(r->error, CLADE_ERR_COMPACTED, "from",
              "the changes of revision %" PRIu64
              " are gone; the oldest that are left are those of %" PRIu64,
              revision, oldest);
    r->error->revision = oldest;
    return CLADE_ERR_COMPACTED;
}

static void fail_all(struct watcher *watchers[], size_t len, const struct error *e)
{
    for (size_t i = 0; i < len; i++) {
        if (watchers[i]->code == 0) {
            watchers[i]->code = e->code;
            watchers[i]->error = *e;
        }
    }
}

/* A code that is the watcher's own; other ones are everybody's. */
static bool is_own(int code)
{
    return !code_is_fatal(code);
}

static int tell_watcher(struct told *t, struct watcher *w)
{
    use_namespace(t, w->ns_id);
    size_t mark = w->out->len;
    int rc = put_revision(t, w->query, w->out);
    if (rc < 0 && is_own(rc)) {
        w->code = rc;
        w->error = *t->r->error;
        return 0;
    }
    if (rc >= 0 && w->out->failed) {
        w->out->len = mark;
        return error_set(t->r->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    if (rc >= 0) {
        w->events += rc == 0;
        w->next = t->revision + 1;
    }
    return rc < 0 ? rc : 0;
}

/* One revision for all; sets whether any is to be told more. */
static int tell_all(
    struct told *t, struct watcher *watchers[], size_t len, size_t *bytes, bool *ret_more)
{
    struct reading *r = t->r;
    uint64_t bytes_max = r->budget->bytes_max;
    *ret_more = false;
    for (size_t i = 0; i < len && !r->stopped; i++) {
        struct watcher *w = watchers[i];
        if (w->next != t->revision || !is_active(w)) {
            continue;
        }
        size_t before = w->out->len;
        int rc = tell_watcher(t, w);
        if (rc != 0) {
            return rc;
        }
        *bytes += w->out->len - before;
        r->stopped = (bytes_max != 0 && *bytes >= bytes_max) || reading_step(r);
        *ret_more = *ret_more || is_active(w);
    }
    return 0;
}

static int watch(struct told *t, struct watcher *watchers[], size_t len)
{
    struct reading *r = t->r;
    uint64_t revision = watchers[0]->next;
    size_t bytes = 0;
    bool more = true;
    int rc = find_namespaces(r, watchers, len);
    for (unsigned rows = 0;
         rc == 0 && more && !r->stopped && rows < WATCH_STEP_ROWS && revision <= r->meta.revision;
         rows++, revision++) {
        struct key key = key_u64(revision);
        struct span row;
        rc = view_get(r->view, TABLE_CHANGES, key_span(&key), &row);
        if (rc == 1) {
            rc = compacted(r, revision);
            if (rc == CLADE_ERR_COMPACTED) {
                fail_all(watchers, len, r->error);
                return 0;
            }
        }
        if (rc == 0) {
            rc = told_begin(t, revision, row);
        }
        if (rc == 0) {
            rc = tell_all(t, watchers, len, &bytes, &more);
        }
    }
    return rc;
}

int read_watch(struct reading *r, struct watcher *watchers[], size_t len)
{
    struct arena heads;
    struct told t;
    int rc = told_open(&t, r, &heads);
    if (rc == 0) {
        rc = watch(&t, watchers, len);
    }
    told_close(&t);
    return rc;
}

/* --- audit ---------------------------------------------------------------------------------- */

struct audit {
    struct query query; /* with the thing's id */
    uint64_t low;       /* the first revision that counts */
    uint64_t below;     /* the next is the one before it */
};

static int audit_bounds(struct reading *r, struct audit *a)
{
    const struct query *q = r->query;
    uint64_t revision = r->view->revision;
    uint64_t high = revision;
    int rc = 0;
    a->low = 1;
    if (q->has_from_time) {
        rc = q->from_time_us == 0 ? 0 : lookup_revision_at(r->view, q->from_time_us - 1, &a->low);
        a->low += rc == 0 && q->from_time_us != 0;
    }
    if (rc == 0 && q->has_to_time) {
        rc = lookup_revision_at(r->view, q->to_time_us, &high);
    }
    a->below = (high < revision ? high : revision) + 1;
    if (rc == 0 && r->position.len != 0) {
        if (r->position.len != 8 || get_u64be(r->position.data) > a->below) {
            return reading_bad_cursor(r);
        }
        a->below = get_u64be(r->position.data);
    }
    return rc;
}

static int audit_thing(struct reading *r, struct audit *a)
{
    struct thing *thing;
    if (!r->query->has_start) {
        return 0;
    }
    int rc = reading_resolve(r, &r->query->start, &thing);
    if (rc != 0) {
        error_prefix_where(r->error, "ref");
        return rc;
    }
    a->query.changes.id = thing->id;
    if (thing->created.revision > a->low) {
        a->low = thing->created.revision;
    }
    return 0;
}

/* One revision: 0, 1 when the page ends before it, or a code. */
static int audit_step(struct told *t, struct audit *a)
{
    struct reading *r = t->r;
    uint64_t revision = a->below - 1;
    if (r->items >= r->query->limit) {
        r->full = true;
        return 1;
    }
    if (r->read_rows >= AUDIT_ROWS_MAX || reading_step(r)) {
        r->stopped = true;
        return 1;
    }
    struct key key = key_u64(revision);
    struct span row;
    int rc = view_get(r->view, TABLE_CHANGES, key_span(&key), &row);
    if (rc == 1) {
        return compacted(r, revision);
    }
    if (rc == 0) {
        rc = told_begin(t, revision, row);
    }
    size_t mark = r->out->len;
    if (rc == 0) {
        rc = put_revision(t, &a->query, r->out);
    }
    if (rc == 0) {
        rc = reading_emitted(r, mark);
        if (rc != 0) {
            return rc;
        }
    }
    if (rc >= 0) {
        uint8_t next[8];
        put_u64be(next, revision);
        reading_set_next(r, span_make(next, sizeof next));
        a->below = revision;
        r->read_rows++;
    }
    return rc == 1 ? 0 : rc;
}

int read_audit(struct reading *r)
{
    uint64_t revision = r->view->revision;
    struct audit a = {.query = *r->query};
    struct arena heads;
    struct told t;
    int rc = audit_bounds(r, &a);
    if (rc == 0) {
        rc = audit_thing(r, &a);
    }
    if (rc != 0) {
        return rc;
    }
    (void)told_open(&t, r, &heads);
    size_t at = value_begin_array(r->out);
    while (rc == 0 && a.below > a.low) {
        rc = audit_step(&t, &a);
    }
    value_end(r->out, at, r->items);
    told_close(&t);
    r->view->revision = revision; /* that the answer is of */
    return rc < 0 ? rc : 0;
}
