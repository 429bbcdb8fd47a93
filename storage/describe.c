/* describe: what a namespace holds, and what the store is at. The newest figures stand in the
 * counters; older ones are counted. */
#include "base/check.h"
#include "command/value.h"
#include "storage/reading.h"

#define STORE_MEMBERS 6

struct figures {
    struct reading *r;
    uint64_t counts[KIND_COUNT];
    uint64_t edges;
};

static int from_counters(struct figures *f)
{
    int rc = 0;
    for (int kind = 1; kind < KIND_COUNT && rc == 0; kind++) {
        rc = lookup_counter(f->r->view, f->r->ns, (unsigned)kind, &f->counts[kind]);
    }
    return rc != 0 ? rc : lookup_counter(f->r->view, f->r->ns, COUNTER_EDGES, &f->edges);
}

static int on_edge(void *arg, const struct edge *edge)
{
    struct figures *f = arg;
    (void)edge;
    f->edges++;
    return reading_step(f->r) ? 1 : 0;
}

/* A thing as of the view's revision: itself if it is live, its edges whatever it is. */
static int count_thing(struct figures *f, uint64_t id)
{
    struct thing *thing;
    reading_next_item(f->r);
    int rc = lookup_thing(f->r->view, f->r->scratch, id, &thing);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    f->counts[thing->kind] += !thing->deleted;
    return lookup_edges(f->r->view, TABLE_EDGES_OUT, id, on_edge, f);
}

static int count_versions(struct figures *f, uint64_t model)
{
    struct key key = key_u64_u64(model, 0);
    struct row row;
    int rc = view_seek(f->r->view, TABLE_VERSIONS, key_span(&key), &row);
    for (; rc == 0; rc = view_next(f->r->view, TABLE_VERSIONS, &row)) {
        if (row.key.len != 16 || row.value.len != 8 || get_u64be(row.key.data) != model) {
            return 0;
        }
        rc = reading_step(f->r) ? 1 : count_thing(f, get_u64le(row.value.data));
        if (rc != 0) {
            return rc;
        }
    }
    return rc < 0 ? rc : 0;
}

static int count_kind(struct figures *f, enum kind kind)
{
    struct key prefix = key_name_prefix(NAME_SPACE_NAMES, f->r->ns, kind);
    struct row row;
    int rc = view_seek(f->r->view, TABLE_NAMES, key_span(&prefix), &row);
    for (; rc == 0; rc = view_next(f->r->view, TABLE_NAMES, &row)) {
        if (row.key.len < prefix.len + 8u || row.value.len != NAME_VALUE_BYTES ||
            memcmp(row.key.data, prefix.bytes, prefix.len) != 0) {
            return 0;
        }
        uint64_t id = get_u64le(row.value.data);
        if (reading_step(f->r)) {
            return 1;
        }
        rc = count_thing(f, id);
        if (rc == 0 && kind == KIND_MODEL) {
            rc = count_versions(f, id);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return rc < 0 ? rc : 0;
}

static int from_scan(struct figures *f)
{
    int rc = 0;
    for (int kind = 1; kind < KIND_COUNT && rc == 0; kind++) {
        rc = count_kind(f, (enum kind)kind);
    }
    return rc == 1 ? 0 : rc; /* 1: the budget ended it, and the answer says so */
}

static int put_namespace(struct figures *f, struct buffer *out)
{
    struct thing *ns;
    reading_next_item(f->r);
    int rc = lookup_thing(f->r->view, f->r->scratch, f->r->ns, &ns);
    if (rc != 0) {
        struct key key = key_u64(f->r->ns);
        return rc == 1 ? row_corrupt(f->r->error, TABLE_THINGS, key_span(&key), "is missing") : rc;
    }
    value_put_str(out, "namespace");
    size_t at = value_begin_map(out);
    uint32_t members = 2;
    value_put_str(out, "name");
    value_put_span(out, ns->name);
    /* Namespaces are the root's. */
    for (int kind = KIND_TYPE; kind <= KIND_DEPLOYMENT; kind++, members++) {
        value_put_str(out, kind_name((enum kind)kind));
        value_put_uint(out, f->counts[kind]);
    }
    value_put_str(out, "edges");
    value_put_uint(out, f->edges);
    value_end(out, at, members);
    return 0;
}

static int put_store(struct reading *r, struct buffer *out)
{
    uint64_t namespaces;
    int rc = lookup_counter(r->view, NAMESPACE_ROOT, KIND_NAMESPACE, &namespaces);
    if (rc != 0) {
        return rc;
    }
    value_put_str(out, "store");
    value_put_map(out, STORE_MEMBERS);
    value_put_str(out, "revision");
    value_put_uint(out, r->meta.revision);
    value_put_str(out, "time");
    value_put_uint(out, r->meta.time_us);
    value_put_str(out, "namespaces");
    value_put_uint(out, namespaces);
    value_put_str(out, "sessions");
    value_put_uint(out, r->meta.sessions);
    value_put_str(out, "used_bytes");
    value_put_uint(out, environment_used_bytes(r->view->env));
    value_put_str(out, "map_bytes");
    value_put_uint(out, r->view->env->map_bytes);
    return 0;
}

int read_describe(struct reading *r)
{
    struct figures f = {.r = r};
    int rc = r->view->revision == r->meta.revision ? from_counters(&f) : from_scan(&f);
    if (rc != 0) {
        return rc;
    }
    value_put_map(r->out, 2);
    rc = put_namespace(&f, r->out);
    return rc != 0 ? rc : put_store(r, r->out);
}
