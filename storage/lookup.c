#include "storage/lookup.h"

#include "base/check.h"

#define LATEST_STEPS_MAX 100000 /* deleted versions that a look for the latest passes over */

/* The record of `id` at the view's revision, in the map. */
static int find_record(struct view *v, struct arena *arena, uint64_t id, struct thing *ret)
{
    struct key key = key_u64(id);
    struct span bytes;
    int rc = view_get(v, TABLE_THINGS, key_span(&key), &bytes);
    if (rc != 0) {
        return rc;
    }
    struct span copy = arena_copy_span(arena, bytes);
    if (copy.data == NULL) {
        return arena_failure(arena, bytes.len, v->error);
    }
    rc = record_decode(copy, id, arena, ret, v->error);
    if (rc != 0 || ret->changed.revision <= v->revision) {
        return rc;
    }
    if (ret->created.revision > v->revision) {
        return 1;
    }
    /* The state at R is the one that ended first after R. */
    struct row row;
    key = key_u64_u64(id, v->revision + 1);
    rc = view_seek(v, TABLE_HISTORY, key_span(&key), &row);
    if (rc < 0) {
        return rc;
    }
    if (rc == 1 || row.key.len != 16 || get_u64be(row.key.data) != id) {
        return row_corrupt(v->error, TABLE_HISTORY, key_span(&key), "is missing");
    }
    copy = arena_copy_span(arena, row.value);
    if (copy.data == NULL) {
        return arena_failure(arena, row.value.len, v->error);
    }
    return record_decode(copy, id, arena, ret, v->error);
}

int lookup_thing(struct view *v, struct arena *arena, uint64_t id, struct thing **ret)
{
    struct thing *thing = arena_alloc(arena, sizeof *thing);
    if (thing == NULL) {
        return arena_failure(arena, sizeof *thing, v->error);
    }
    int rc = find_record(v, arena, id, thing);
    if (rc == 0) {
        *ret = thing;
    }
    return rc;
}

/* What a thing lives and dies with; 0 when it stands alone. */
static uint64_t holder_of(const struct thing *t)
{
    if (t->kind == KIND_VERSION) {
        return t->model;
    }
    if (t->kind == KIND_RUN && t->fields[FIELD_EXPERIMENT].set) {
        return t->fields[FIELD_EXPERIMENT].number;
    }
    return 0;
}

int lookup_is_live(struct view *v, struct arena *arena, const struct thing *thing, bool *ret)
{
    uint64_t holder = holder_of(thing);
    *ret = !thing->deleted;
    if (thing->deleted || holder == 0) {
        return 0;
    }
    struct thing *parent;
    int rc = lookup_thing(v, arena, holder, &parent);
    if (rc == 1) {
        struct key key = key_u64(holder);
        return row_corrupt(v->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    if (rc == 0) {
        *ret = !parent->deleted;
    }
    return rc;
}

/* Long texts are found by a hash: the record has the last word. */
static bool holds_text(const struct thing *t, enum name_space space, struct span text)
{
    if (space == NAME_SPACE_NAMES) {
        return span_equal(t->name, text);
    }
    const struct field_value *ids = &t->fields[FIELD_EXTERNAL_IDS];
    for (size_t i = 0; i < ids->len; i++) {
        if (span_equal(ids->texts[i], text)) {
            return true;
        }
    }
    return false;
}

/* The newest row of a name at the view's revision. */
static int find_name_row(struct view *v, const struct key *key, uint64_t *ret_id, uint64_t *ret_ended)
{
    struct row row;
    int rc = view_seek(v, TABLE_NAMES, key_span(key), &row);
    if (rc != 0) {
        return rc;
    }
    if (!key_name_same(row.key, key)) {
        return 1;
    }
    if (row.value.len != NAME_VALUE_BYTES) {
        return row_corrupt(v->error, TABLE_NAMES, row.key, "has a wrong length");
    }
    *ret_id = get_u64le(row.value.data);
    *ret_ended = get_u64le(row.value.data + 8);
    return 0;
}

int lookup_name(struct view *v,
                struct arena *arena,
                enum name_space space,
                uint64_t ns,
                enum kind kind,
                struct span text,
                bool any_state,
                struct thing **ret)
{
    struct key key = key_name(space, ns, kind, text, v->revision);
    uint64_t id;
    uint64_t ended;
    int rc = find_name_row(v, &key, &id, &ended);
    if (rc != 0) {
        return rc;
    }
    if (!any_state && ended != 0 && ended <= v->revision) {
        return 1;
    }
    struct thing *thing;
    rc = lookup_thing(v, arena, id, &thing);
    if (rc == 1) {
        return row_corrupt(v->error, TABLE_NAMES, key_span(&key), "names a thing that is not there");
    }
    if (rc == 0 && !holds_text(thing, space, text)) {
        return 1;
    }
    if (rc == 0) {
        *ret = thing;
    }
    return rc;
}

int lookup_namespace(struct view *v, struct arena *arena, struct span path, uint64_t *ret)
{
    if (path.len == 0 || span_equal_str(path, "default")) {
        /* It is there from the first start and is never deleted. */
        *ret = NAMESPACE_DEFAULT;
        return 0;
    }
    struct thing *thing;
    int rc = lookup_name(
        v, arena, NAME_SPACE_NAMES, NAMESPACE_ROOT, KIND_NAMESPACE, path, false, &thing);
    if (rc == 0) {
        *ret = thing->id;
    }
    return rc;
}

int lookup_version(struct view *v,
                   struct arena *arena,
                   uint64_t model,
                   uint64_t number,
                   struct thing **ret)
{
    struct key key = key_u64_u64(model, number);
    struct span value;
    int rc = view_get(v, TABLE_VERSIONS, key_span(&key), &value);
    if (rc != 0) {
        return rc;
    }
    if (value.len != 8) {
        return row_corrupt(v->error, TABLE_VERSIONS, key_span(&key), "has a wrong length");
    }
    return lookup_thing(v, arena, get_u64le(value.data), ret);
}

int lookup_highest_version(struct view *v, uint64_t model, uint64_t *ret)
{
    struct key key = key_u64_u64(model, UINT64_MAX);
    struct row row;
    int rc = view_before(v, TABLE_VERSIONS, key_span(&key), &row);
    if (rc < 0) {
        return rc;
    }
    bool found = rc == 0 && row.key.len == 16 && get_u64be(row.key.data) == model;
    *ret = found ? get_u64be(row.key.data + 8) : 0;
    return 0;
}

int lookup_latest_version(struct view *v, struct arena *arena, uint64_t model, struct thing **ret)
{
    struct key key = key_u64_u64(model, UINT64_MAX);
    struct row row;
    int rc = view_before(v, TABLE_VERSIONS, key_span(&key), &row);
    for (int i = 0; i < LATEST_STEPS_MAX && rc == 0; i++) {
        if (row.key.len != 16 || get_u64be(row.key.data) != model || row.value.len != 8) {
            return 1;
        }
        rc = lookup_thing(v, arena, get_u64le(row.value.data), ret);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0 && !(*ret)->deleted) {
            return 0;
        }
        rc = view_previous(v, TABLE_VERSIONS, &row);
    }
    return rc == 0 ? 1 : rc;
}

int lookup_label(struct view *v, struct span label, uint32_t *ret)
{
    struct key key = key_label(label);
    struct span value;
    int rc = view_get(v, TABLE_LABELS, key_span(&key), &value);
    if (rc != 0) {
        return rc;
    }
    if (value.len != 4) {
        return row_corrupt(v->error, TABLE_LABELS, key_span(&key), "has a wrong length");
    }
    *ret = get_u32le(value.data);
    return 0;
}

int lookup_label_text(struct view *v, struct arena *arena, uint32_t label, struct span *ret)
{
    struct key key = key_label_id(label);
    struct span value;
    int rc = view_get(v, TABLE_LABELS, key_span(&key), &value);
    if (rc == 1) {
        return row_corrupt(v->error, TABLE_LABELS, key_span(&key), "is missing");
    }
    if (rc != 0) {
        return rc;
    }
    *ret = arena_copy_span(arena, value);
    return ret->data != NULL ? 0 : arena_failure(arena, value.len, v->error);
}

/* Checks one 32-byte value of an edge table. */
static int check_edge(struct view *v,
                      enum table table,
                      struct span key,
                      const uint8_t *bytes,
                      struct edge *ret)
{
    struct span payload = span_make(bytes, EDGE_VALUE_BYTES);
    if (get_u32le(bytes + EDGE_VALUE_BYTES) != (uint32_t)row_hash(table, key, payload).low) {
        return row_corrupt(v->error, table, key, "has an edge that does not match its checksum");
    }
    *ret = edge_decode(bytes);
    return 0;
}

int lookup_edge(struct view *v, uint64_t from, uint32_t label, uint64_t to, struct edge *ret)
{
    MDB_cursor *cursor;
    int rc = view_cursor(v, TABLE_EDGES_OUT, &cursor);
    if (rc != 0) {
        return rc;
    }
    /* Newest first, so the first at or below the revision is the one that counts. */
    uint8_t want[EDGE_BYTES] = {0};
    struct edge least = {.label = label, .other = to, .created = v->revision, .ended = 0};
    edge_encode(&least, want);
    struct key key = key_u64(from);
    MDB_val k = {.mv_size = key.len, .mv_data = key.bytes};
    MDB_val value = {.mv_size = sizeof want, .mv_data = want};
    rc = mdb_cursor_get(cursor, &k, &value, MDB_GET_BOTH_RANGE);
    if (rc == MDB_NOTFOUND) {
        return 1;
    }
    if (rc != 0) {
        return lmdb_error(rc, v->error, "reading an edge");
    }
    if (value.mv_size != EDGE_BYTES) {
        return row_corrupt(v->error, TABLE_EDGES_OUT, key_span(&key), "has a wrong length");
    }
    struct edge edge;
    rc = check_edge(v, TABLE_EDGES_OUT, key_span(&key), value.mv_data, &edge);
    if (rc != 0) {
        return rc;
    }
    if (edge.label != label || edge.other != to ||
        !lives_at(edge.created, edge.ended, v->revision)) {
        return 1;
    }
    *ret = edge;
    return 0;
}

static int each_edge(struct view *v,
                     enum table table,
                     struct span key,
                     MDB_val values,
                     lookup_edge_cb cb,
                     void *arg)
{
    if (values.mv_size % EDGE_BYTES != 0) {
        return row_corrupt(v->error, table, key, "has a wrong length");
    }
    const uint8_t *p = values.mv_data;
    for (const uint8_t *end = p + values.mv_size; p < end; p += EDGE_BYTES) {
        struct edge edge;
        int rc = check_edge(v, table, key, p, &edge);
        if (rc == 0 && lives_at(edge.created, edge.ended, v->revision)) {
            rc = cb(arg, &edge);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int lookup_edges(struct view *v, enum table table, uint64_t id, lookup_edge_cb cb, void *arg)
{
    MDB_cursor *cursor;
    int rc = view_cursor(v, table, &cursor);
    if (rc != 0) {
        return rc;
    }
    struct key key = key_u64(id);
    MDB_val k = {.mv_size = key.len, .mv_data = key.bytes};
    MDB_val values;
    rc = mdb_cursor_get(cursor, &k, &values, MDB_SET);
    /* GET_MULTIPLE leaves `values` as it is where a key has one value: then the first is all. */
    if (rc == 0) {
        rc = mdb_cursor_get(cursor, &k, &values, MDB_GET_MULTIPLE);
    }
    while (rc == 0) {
        rc = each_edge(v, table, key_span(&key), values, cb, arg);
        if (rc != 0) {
            return rc;
        }
        rc = mdb_cursor_get(cursor, &k, &values, MDB_NEXT_MULTIPLE);
    }
    return rc == MDB_NOTFOUND ? 0 : lmdb_error(rc, v->error, "reading edges");
}

/* --- References --------------------------------------------------------------------------- */

static int not_found(const struct resolver *r, const struct ref *ref)
{
    const char *kind = ref->kind == KIND_NONE ? "thing" : kind_name(ref->kind);
    struct error *e = r->view->error;
    switch (ref->form) {
    case REF_ID:
        return error_set(e, CLADE_ERR_NOT_FOUND, NULL, "there is no id/%lu", ref->number);
    case REF_VERSION:
        return error_set(e,
                         CLADE_ERR_NOT_FOUND,
                         NULL,
                         "model \"%.*s\" has no version %lu",
                         SPAN_FMT(ref->name),
                         ref->number);
    case REF_ALIAS:
        return error_set(e,
                         CLADE_ERR_NOT_FOUND,
                         NULL,
                         "model \"%.*s\" has no version @%.*s",
                         SPAN_FMT(ref->name),
                         SPAN_FMT(ref->alias));
    case REF_EXTERNAL:
        return error_set(e,
                         CLADE_ERR_NOT_FOUND,
                         NULL,
                         "there is no %s with the external id \"%.*s\"",
                         kind,
                         SPAN_FMT(ref->name));
    default:
        return error_set(e,
                         CLADE_ERR_NOT_FOUND,
                         NULL,
                         "there is no %s \"%.*s\"",
                         kind,
                         SPAN_FMT(ref->name));
    }
}

static int is_deleted(const struct resolver *r, const struct thing *thing)
{
    return error_set(
        r->view->error, CLADE_ERR_NOT_FOUND, NULL, "the %s id/%lu is deleted",
        kind_name(thing->kind), thing->id);
}

static int resolve_version(const struct resolver *r,
                           const struct ref *ref,
                           uint64_t ns,
                           struct thing **ret)
{
    struct thing *model;
    int rc = lookup_name(r->view,
                         r->arena,
                         NAME_SPACE_NAMES,
                         ns,
                         KIND_MODEL,
                         ref->name,
                         r->any_state,
                         &model);
    if (rc == 1) {
        return error_set(r->view->error,
                         CLADE_ERR_NOT_FOUND,
                         NULL,
                         "there is no model \"%.*s\"",
                         SPAN_FMT(ref->name));
    }
    if (rc != 0) {
        return rc;
    }
    if (ref->form == REF_ALIAS) {
        bool latest = span_equal_str(ref->alias, "latest");
        rc = latest ? lookup_latest_version(r->view, r->arena, model->id, ret) : 1;
        return rc == 1 ? not_found(r, ref) : rc;
    }
    rc = lookup_version(r->view, r->arena, model->id, ref->number, ret);
    if (rc == 1) {
        uint64_t highest;
        rc = lookup_highest_version(r->view, model->id, &highest);
        if (rc == 0 && r->view->revision == UINT64_MAX && ref->number < highest) {
            return error_set(r->view->error,
                             CLADE_ERR_NOT_FOUND,
                             NULL,
                             "version %lu of model \"%.*s\" was skipped and will never be",
                             ref->number,
                             SPAN_FMT(ref->name));
        }
        return rc == 0 ? not_found(r, ref) : rc;
    }
    return rc;
}

static int find(const struct resolver *r, const struct ref *ref, struct thing **ret)
{
    uint64_t ns = r->ns;
    if (ref->form == REF_ID) {
        return lookup_thing(r->view, r->arena, ref->number, ret);
    }
    if (ref->kind == KIND_NAMESPACE) {
        ns = NAMESPACE_ROOT;
    } else if (ref->ns.len > 0) {
        int rc = lookup_namespace(r->view, r->arena, ref->ns, &ns);
        if (rc == 1) {
            return error_set(r->view->error,
                             CLADE_ERR_NOT_FOUND,
                             NULL,
                             "there is no namespace \"%.*s\"",
                             SPAN_FMT(ref->ns));
        }
        if (rc != 0) {
            return rc;
        }
    }
    if (ref->form == REF_VERSION || ref->form == REF_ALIAS) {
        return resolve_version(r, ref, ns, ret);
    }
    enum name_space space = ref->form == REF_EXTERNAL ? NAME_SPACE_EXTERNAL : NAME_SPACE_NAMES;
    return lookup_name(r->view, r->arena, space, ns, ref->kind, ref->name, r->any_state, ret);
}

int resolve(const struct resolver *r, const struct ref *ref, struct thing **ret)
{
    if (ref->form == REF_OP || ref->form == REF_OP_NAME) {
        return error_set(r->view->error,
                         CLADE_ERR_INVALID,
                         NULL,
                         "a $ reference means an operation of the same transaction");
    }
    struct thing *thing;
    int rc = find(r, ref, &thing);
    if (rc == 1) {
        return not_found(r, ref);
    }
    if (rc != 0) {
        return rc;
    }
    if (!r->any_state) {
        bool live;
        rc = lookup_is_live(r->view, r->arena, thing, &live);
        if (rc != 0 || !live) {
            return rc != 0 ? rc : is_deleted(r, thing);
        }
    }
    *ret = thing;
    return 0;
}

int lookup_revision_at(struct view *v, uint64_t time_us, uint64_t *ret)
{
    if (time_us == UINT64_MAX) {
        time_us--;
    }
    struct key key = key_u64(time_us + 1);
    struct row row;
    int rc = view_before(v, TABLE_TIMES, key_span(&key), &row);
    if (rc < 0) {
        return rc;
    }
    if (rc == 0 && row.value.len != 8) {
        return row_corrupt(v->error, TABLE_TIMES, row.key, "has a wrong length");
    }
    *ret = rc == 0 ? get_u64le(row.value.data) : 0;
    return 0;
}

int lookup_counter(struct view *v, uint64_t ns, unsigned kind, uint64_t *ret)
{
    struct key key = key_counter(ns, kind);
    struct span value;
    int rc = view_get(v, TABLE_COUNTERS, key_span(&key), &value);
    if (rc < 0) {
        return rc;
    }
    if (rc == 0 && value.len != 8) {
        return row_corrupt(v->error, TABLE_COUNTERS, key_span(&key), "has a wrong length");
    }
    *ret = rc == 0 ? get_u64le(value.data) : 0;
    return 0;
}
