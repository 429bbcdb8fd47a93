/* describe: what a namespace holds, and what the store is at. The newest figures stand in the table
 * of use; older ones are counted. */
#include "base/check.h"
#include "command/value.h"
#include "storage/floor.h"
#include "storage/namespace.h"
#include "storage/reading.h"
#include "storage/series.h"
#include "storage/usage.h"

#define STORE_MEMBERS    11
#define EDGE_ARENA_BYTES (4u << 20)

struct figures {
    struct reading *r;
    struct thing *ns;
    struct usage usage;
    uint64_t *counts; /* that are being counted */
};

/* --- Counting -------------------------------------------------------------------------------- */

struct edges {
    struct figures *f;
    const struct thing *from;
    bool has_props;
};

static int on_edge(void *arg, const struct edge *edge)
{
    struct edges *edges = arg;
    struct figures *f = edges->f;
    f->counts[USE_EDGES]++;
    if (edges->has_props) {
        struct edge_props p;
        struct arena arena;
        arena_init(&arena, EDGE_ARENA_BYTES);
        int rc =
            lookup_edge_props(f->r->view, &arena, edges->from->id, edge->label, edge->other, &p);
        f->counts[USE_BYTES] += rc == 0 ? usage_props_bytes(&p.props) : 0;
        arena_release(&arena);
        if (rc < 0) {
            return rc;
        }
    }
    return reading_step(f->r) ? 1 : 0;
}

/* Those of a namespace are the root's. */
static int count_edges(struct figures *f, const struct thing *from)
{
    struct edges edges = {.f = f, .from = from};
    if (from->kind == KIND_NAMESPACE) {
        return 0;
    }
    int rc = from->purged ? 0 : lookup_has_edge_props(f->r->view, from->id, &edges.has_props);
    return rc != 0 ? rc : lookup_edges(f->r->view, TABLE_EDGES_OUT, from->id, on_edge, &edges);
}

static int on_param(void *arg, struct span key, struct span value)
{
    struct figures *f = arg;
    f->counts[USE_BYTES] += key.len + value.len;
    return reading_step(f->r) ? 1 : 0;
}

static int on_point(void *arg, const struct logged_point *p)
{
    struct figures *f = arg;
    f->counts[USE_BYTES] += TALLY_POINT_BYTES + (p->run != 0 ? TALLY_REFERENCE_BYTES : 0);
    return reading_step(f->r) ? 1 : 0;
}

static int on_series(void *arg, const struct series *series, struct span key)
{
    struct figures *f = arg;
    f->counts[USE_BYTES] += key.len + (series->on != 0 ? TALLY_REFERENCE_BYTES : 0);
    return points_each(f->r->view, series, NULL, on_point, f);
}

static int count_bytes(struct figures *f, const struct thing *thing)
{
    f->counts[USE_BYTES] += usage_bytes(thing);
    int rc = params_each(f->r->view, thing->id, 0, on_param, f);
    return rc != 0 ? rc : series_each(f->r->view, thing->id, NULL, on_series, f);
}

/* A thing as of the view's revision: itself if it is live, its edges whatever it is. */
static int count_thing(struct figures *f, const struct thing *thing)
{
    bool live;
    int rc = lookup_is_live(f->r->view, f->r->scratch, thing, &live);
    f->counts[thing->kind] += rc == 0 && live;
    rc = rc == 0 && live ? count_bytes(f, thing) : rc;
    return rc != 0 ? rc : count_edges(f, thing);
}

static int load(struct figures *f, uint64_t id, struct thing **ret)
{
    reading_next_item(f->r);
    return lookup_thing(f->r->view, f->r->scratch, id, ret);
}

/* A names row is the thing's own for as long as it is called so: 1 for the rows of other names. */
static int load_named(struct figures *f, const struct row *row, struct thing **ret)
{
    int rc = load(f, get_u64le(row->value.data), ret);
    if (rc != 0) {
        return rc;
    }
    struct key own =
        key_name(NAME_SPACE_NAMES, (*ret)->ns, (*ret)->kind, (*ret)->name, (*ret)->named);
    return span_equal(row->key, key_span(&own)) ? 0 : 1;
}

/* The same for a row of what has lost its name, and may have one again. */
static int load_nameless(struct figures *f, const struct row *row, struct thing **ret)
{
    int rc = load(f, get_u64le(row->value.data), ret);
    if (rc != 0) {
        return rc;
    }
    struct span value;
    struct key own =
        key_name(NAME_SPACE_NAMES, (*ret)->ns, (*ret)->kind, (*ret)->name, (*ret)->named);
    rc = view_get(f->r->view, TABLE_NAMES, key_span(&own), &value);
    return rc < 0 ? rc : rc == 0 ? 1 : 0;
}

static int count_versions(struct figures *f, uint64_t model)
{
    struct key key = key_u64_u64(model, 1);
    struct row row;
    int rc = view_seek(f->r->view, TABLE_VERSIONS, key_span(&key), &row);
    for (; rc == 0; rc = view_next(f->r->view, TABLE_VERSIONS, &row)) {
        if (row.key.len != 16 || row.value.len != 8 || get_u64be(row.key.data) != model) {
            return 0;
        }
        struct thing *version;
        if (reading_step(f->r)) {
            return 1;
        }
        rc = load(f, get_u64le(row.value.data), &version);
        rc = rc == 0 ? count_thing(f, version) : rc < 0 ? rc : 0;
        if (rc != 0) {
            return rc;
        }
    }
    return rc < 0 ? rc : 0;
}

/* Rows of both spaces have one value. */
static int count_rows(struct figures *f, enum name_space space, uint64_t ns, enum kind kind)
{
    bool named = space == NAME_SPACE_NAMES;
    struct key from = named ? key_name_prefix(space, ns, kind) : key_nameless(ns, kind, 0);
    for (;;) {
        struct row row;
        struct thing *thing;
        int rc = view_seek(f->r->view, TABLE_NAMES, key_span(&from), &row);
        if (rc != 0 || row.key.len < NAME_PREFIX_BYTES + 8u || row.value.len != NAME_VALUE_BYTES ||
            memcmp(row.key.data, from.bytes, NAME_PREFIX_BYTES) != 0) {
            return rc < 0 ? rc : 0;
        }
        if (reading_step(f->r)) {
            return 1;
        }
        memcpy(from.bytes, row.key.data, row.key.len);
        from.len = (uint16_t)(row.key.len + 1);
        from.bytes[row.key.len] = 0; /* the next row */
        rc = named ? load_named(f, &row, &thing) : load_nameless(f, &row, &thing);
        if (rc == 1) {
            continue;
        }
        uint64_t id = rc == 0 ? thing->id : 0;
        rc = rc == 0 ? count_thing(f, thing) : rc;
        if (rc == 0 && kind == KIND_MODEL) {
            rc = count_versions(f, id);
        }
        if (rc != 0) {
            return rc;
        }
    }
}

static int count_kind(struct figures *f, uint64_t ns, enum kind kind)
{
    int rc = count_rows(f, NAME_SPACE_NAMES, ns, kind);
    return rc != 0 ? rc : count_rows(f, NAME_SPACE_NAMELESS, ns, kind);
}

/* What is in the namespace, but for those under it. */
static int count_namespace(struct figures *f, uint64_t ns)
{
    int rc = floor_check_namespace(f->r->view, ns);
    for (int kind = KIND_TYPE; kind < KIND_COUNT && rc == 0; kind++) {
        rc = count_kind(f, ns, (enum kind)kind);
    }
    return rc;
}

static bool is_under(struct span path, struct span top)
{
    return path.len > top.len && path.data[top.len] == '/' &&
           memcmp(path.data, top.data, top.len) == 0;
}

static struct span path_of_row(struct span key)
{
    size_t tail = 9; /* 0x00 and ~created: paths are never too long for a key */
    return key.len < NAME_PREFIX_BYTES + tail
               ? (struct span){0}
               : span_make(key.data + NAME_PREFIX_BYTES, key.len - NAME_PREFIX_BYTES - tail);
}

/* What is left in a namespace that is deleted is not counted above it. */
static int count_child(struct figures *f, const struct row *row, bool direct)
{
    struct thing *ns;
    int rc = load_named(f, row, &ns);
    if (rc != 0 || ns->deleted) {
        return rc < 0 ? rc : 0;
    }
    uint64_t id = ns->id;
    f->counts = direct ? f->usage.own : f->usage.all;
    rc = count_thing(f, ns);
    f->counts = f->usage.all;
    return rc != 0 ? rc : count_namespace(f, id);
}

/* The namespaces under `top`, whose paths go on behind its. */
static int count_children(struct figures *f, struct span top)
{
    struct key key = key_name_prefix(NAME_SPACE_NAMES, NAMESPACE_ROOT, KIND_NAMESPACE);
    size_t prefix = key.len;
    memcpy(key.bytes + key.len, top.data, top.len);
    key.bytes[key.len + top.len] = '/';
    key.len = (uint16_t)(key.len + top.len + 1);
    for (;;) {
        struct row row;
        int rc = view_seek(f->r->view, TABLE_NAMES, key_span(&key), &row);
        if (rc != 0 || row.value.len != NAME_VALUE_BYTES || row.key.len < prefix ||
            memcmp(row.key.data, key.bytes, prefix) != 0 || !is_under(path_of_row(row.key), top)) {
            return rc < 0 ? rc : 0;
        }
        struct span rest = span_skip(path_of_row(row.key), top.len + 1);
        bool direct = memchr(rest.data, '/', rest.len) == NULL;
        memcpy(key.bytes, row.key.data, row.key.len);
        key.len = (uint16_t)(row.key.len + 1);
        key.bytes[row.key.len] = 0; /* the next row */
        rc = reading_step(f->r) ? 2 : count_child(f, &row, direct);
        if (rc != 0) {
            return rc < 0 ? rc : 1;
        }
    }
}

static int from_scan(struct figures *f)
{
    struct usage *u = &f->usage;
    struct arena arena;
    arena_init(&arena, CLADE_MAX_NAMESPACE_BYTES + 64);
    struct span path = arena_copy_span(&arena, f->ns->name);
    int rc =
        path.data == NULL ? error_set(f->r->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory") : 0;
    f->counts = u->own;
    rc = rc != 0 ? rc : count_namespace(f, f->r->ns);
    rc = rc != 0 ? rc : count_children(f, path);
    for (int what = 0; what < USE_COUNT; what++) {
        u->all[what] += u->own[what];
    }
    arena_release(&arena);
    return rc == 1 ? 0 : rc; /* 1: the budget ended it, and the answer says so */
}

/* --- The answer ------------------------------------------------------------------------------ */

static uint32_t put_counts(const uint64_t counts[USE_COUNT], struct buffer *out)
{
    uint32_t members = 2;
    for (int kind = KIND_NONE + 1; kind < KIND_COUNT; kind++, members++) {
        value_put_str(out, kind_name((enum kind)kind));
        value_put_uint(out, counts[kind]);
    }
    value_put_str(out, "edges");
    value_put_uint(out, counts[USE_EDGES]);
    value_put_str(out, "bytes");
    value_put_uint(out, counts[USE_BYTES]);
    return members;
}

static uint64_t used_of(const struct usage *u, struct span what)
{
    return span_equal_str(what, "bytes")   ? u->all[USE_BYTES]
           : span_equal_str(what, "edges") ? u->all[USE_EDGES]
                                           : usage_things(u->all);
}

/* Each bound of a namespace, with what there is now where that is counted. */
static int put_quota(struct figures *f,
                     const struct thing *ns,
                     struct buffer *out,
                     uint32_t *members)
{
    const struct field_value *quota = &ns->fields[FIELD_QUOTA];
    bool newest = f->r->view->revision == f->r->meta.revision;
    struct usage usage;
    int rc = usage_of(f->r->view, ns->id, &usage);
    for (size_t i = 0; i < quota->len && rc == 0; i++, ++*members) {
        struct span what = quota->pairs[i].key;
        bool counted = newest && !span_equal_str(what, "writes_per_s");
        value_put_map(out, counted ? 4 : 3);
        value_put_str(out, "namespace");
        value_put_span(out, ns->name);
        value_put_str(out, "of");
        value_put_span(out, what);
        value_put_str(out, "limit");
        value_put_uint(out, quota->pairs[i].number);
        if (counted) {
            value_put_str(out, "used");
            value_put_uint(out, used_of(&usage, what));
        }
    }
    return rc;
}

/* The namespace's and those of all above it: what a write there must keep. */
static int put_quotas(struct figures *f, struct buffer *out)
{
    struct view *v = f->r->view;
    struct thing *ns = f->ns;
    uint64_t id = ns->id;
    uint32_t members = 0;
    int rc;
    value_put_str(out, "quotas");
    size_t at = value_begin_array(out);
    while ((rc = namespace_find(v, f->r->scratch, id, FIELD_QUOTA, &ns)) == 0) {
        rc = put_quota(f, ns, out, &members);
        rc = rc != 0 ? rc : namespace_parent(v, f->r->scratch, ns->name, &id);
        if (rc != 0) {
            break;
        }
    }
    value_end(out, at, members);
    return rc == 1 ? 0 : rc;
}

/* Since when the namespace's history can be read, where that is not since ever. */
static int put_floor(struct figures *f, struct buffer *out, uint32_t *members)
{
    struct floor floor;
    int rc = floor_of_namespace(f->r->view, f->ns->id, &floor);
    if (rc != 0 || floor.revision == 0) {
        return rc;
    }
    value_put_str(out, "compacted");
    value_put_map(out, 2 + (floor.by.len > 0));
    value_put_str(out, "before");
    value_put_uint(out, floor.revision);
    value_put_str(out, "time");
    value_put_uint(out, floor.time_us);
    if (floor.by.len > 0) {
        value_put_str(out, "by");
        value_put_span(out, floor.by);
    }
    ++*members;
    return 0;
}

static int put_inherited(struct figures *f, struct buffer *out, uint32_t *members)
{
    struct thing *says;
    int rc = put_floor(f, out, members);
    if (rc != 0) {
        return rc;
    }
    rc = namespace_find(f->r->view, f->r->scratch, f->ns->id, FIELD_RETENTION_S, &says);
    if (rc == 0) {
        value_put_str(out, "retention_s");
        value_put_uint(out, says->fields[FIELD_RETENTION_S].number);
        ++*members;
    }
    return rc < 0 ? rc : put_quotas(f, out);
}

static int put_namespace(struct figures *f, struct buffer *out)
{
    value_put_str(out, "namespace");
    size_t at = value_begin_map(out);
    value_put_str(out, "name");
    value_put_span(out, f->ns->name);
    uint32_t members = 3 + put_counts(f->usage.own, out);
    value_put_str(out, "with_children");
    size_t inner = value_begin_map(out);
    value_end(out, inner, put_counts(f->usage.all, out));
    int rc = put_inherited(f, out, &members);
    value_end(out, at, members);
    return rc;
}

static int put_store(struct reading *r, struct buffer *out)
{
    struct usage usage;
    MDB_stat purges;
    int rc = usage_of(r->view, NAMESPACE_ROOT, &usage);
    if (rc != 0) {
        return rc;
    }
    struct floor_pass pass = {.next = 1};
    rc = floor_pass_get(r->view, &pass);
    if (rc < 0) {
        return rc;
    }
    rc = mdb_stat(r->view->txn, r->view->env->tables[TABLE_PURGES], &purges);
    if (rc != 0) {
        return lmdb_error(rc, r->error, "counting what is purged");
    }
    value_put_str(out, "store");
    value_put_map(out, STORE_MEMBERS);
    value_put_str(out, "revision");
    value_put_uint(out, r->meta.revision);
    value_put_str(out, "time");
    value_put_uint(out, r->meta.time_us);
    value_put_str(out, "namespaces");
    value_put_uint(out, usage.all[KIND_NAMESPACE]);
    value_put_str(out, "things");
    value_put_uint(out, usage_things(usage.all));
    value_put_str(out, "edges");
    value_put_uint(out, usage.all[USE_EDGES]);
    value_put_str(out, "bytes");
    value_put_uint(out, usage.all[USE_BYTES]);
    value_put_str(out, "sessions");
    value_put_uint(out, r->meta.sessions);
    value_put_str(out, "purging"); /* things that are not erased to the end yet */
    value_put_uint(out, purges.ms_entries);
    value_put_str(out, "compacting"); /* revisions that this node has yet to look at */
    value_put_uint(out, pass.end + 1 - pass.next);
    value_put_str(out, "used_bytes");
    value_put_uint(out, environment_used_bytes(r->view->env));
    value_put_str(out, "map_bytes");
    value_put_uint(out, r->view->env->map_bytes);
    return 0;
}

static int find_namespace(struct figures *f)
{
    reading_next_item(f->r);
    int rc = lookup_thing(f->r->view, f->r->scratch, f->r->ns, &f->ns);
    struct key key = key_u64(f->r->ns);
    return rc == 1 ? row_corrupt(f->r->error, TABLE_THINGS, key_span(&key), "is missing") : rc;
}

int read_describe(struct reading *r)
{
    struct figures f = {.r = r};
    int rc = find_namespace(&f);
    if (rc == 0) {
        rc = r->view->revision == r->meta.revision ? usage_of(r->view, r->ns, &f.usage)
                                                   : from_scan(&f);
    }
    rc = rc != 0 ? rc : find_namespace(&f); /* what was counted emptied the memory of it */
    if (rc != 0) {
        return rc;
    }
    value_put_map(r->out, 2);
    rc = put_namespace(&f, r->out);
    return rc != 0 ? rc : put_store(r, r->out);
}
