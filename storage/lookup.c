#include "storage/lookup.h"

#include "base/check.h"
#include "storage/floor.h"

#define STEP_ARENA_BYTES (4u << 20)
#define HOLDER_STEPS_MAX 1000   /* holders of a name that a look for its last one passes over */
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
    if (rc == 0) {
        rc = floor_check_thing(v, ret);
    }
    if (rc != 0 || ret->changed.revision <= v->revision) {
        return rc;
    }
    if (ret->created.revision > v->revision) {
        return 1;
    }
    if (ret->purged) {
        return 0; /* what it was at any time is gone */
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

static struct thing *remembered(const struct view *v, const struct arena *arena, uint64_t id)
{
    const struct lookup_memo *m = v->memo;
    for (unsigned i = 0; m != NULL && m->arena == arena && i < LOOKUP_MEMO_MAX; i++) {
        if (m->of[i].thing != NULL && m->of[i].id == id && m->of[i].revision == v->revision) {
            return m->of[i].thing;
        }
    }
    return NULL;
}

static void remember(const struct view *v, const struct arena *arena, struct thing *thing)
{
    struct lookup_memo *m = v->memo;
    if (m != NULL && m->arena == arena) {
        m->of[m->next].thing = thing;
        m->of[m->next].id = thing->id;
        m->of[m->next].revision = v->revision;
        m->next = (m->next + 1) % LOOKUP_MEMO_MAX;
    }
}

int lookup_thing(struct view *v, struct arena *arena, uint64_t id, struct thing **ret)
{
    struct thing *known = remembered(v, arena, id);
    if (known != NULL) {
        *ret = known;
        return 0;
    }
    struct thing *thing = arena_alloc(arena, sizeof *thing);
    if (thing == NULL) {
        return arena_failure(arena, sizeof *thing, v->error);
    }
    int rc = find_record(v, arena, id, thing);
    if (rc == 0) {
        remember(v, arena, thing);
        *ret = thing;
    }
    return rc;
}

uint64_t thing_holder(const struct thing *t)
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
    uint64_t holder = thing_holder(thing);
    *ret = !thing->deleted;
    if (thing->deleted || holder == 0) {
        return 0;
    }
    struct thing *parent = NULL;
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

/* The newest row of a name at or before key's revision. */
static int find_name_row(struct view *v,
                         const struct key *key,
                         uint64_t *ret_id,
                         uint64_t *ret_created,
                         uint64_t *ret_ended)
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
    *ret_created = key_name_created(row.key);
    *ret_ended = get_u64le(row.value.data + 8);
    return 0;
}

/* Who has the row of a name: 0, 1 when the thing is called otherwise by now, or a code. */
static int holder_of_row(struct view *v,
                         struct arena *arena,
                         enum name_space space,
                         struct span text,
                         const struct key *key,
                         uint64_t id,
                         uint64_t created,
                         struct thing **ret)
{
    struct thing *thing = NULL;
    int rc = lookup_thing(v, arena, id, &thing);
    if (rc == 1) {
        return row_corrupt(v->error, TABLE_NAMES, key_span(key), "names a thing that is not there");
    }
    if (rc == 0 && (!holds_text(thing, space, text) ||
                    (space == NAME_SPACE_NAMES && thing->named != created))) {
        return 1;
    }
    if (rc == 0) {
        *ret = thing;
    }
    return rc;
}

/* As lookup_name, but that nobody is found where the rows may be gone. Rows at or below the floor
 * do not count as steps: which of them are left is each node's own affair, and apply looks here
 * too. */
static int find_holder(struct view *v,
                       struct arena *arena,
                       enum name_space space,
                       uint64_t ns,
                       enum kind kind,
                       struct span text,
                       bool any_state,
                       struct thing **ret)
{
    uint64_t at = v->revision;
    struct floor floor;
    int failed = floor_of_namespace(v, ns, &floor);
    if (failed != 0) {
        return failed;
    }
    for (int i = 0; i < HOLDER_STEPS_MAX;) {
        struct key key = key_name(space, ns, kind, text, at);
        uint64_t id = 0;
        uint64_t created = 0;
        uint64_t ended = 0;
        int rc = find_name_row(v, &key, &id, &created, &ended);
        if (rc == 0 && !any_state && ended != 0 && ended <= v->revision) {
            rc = 1;
        }
        if (rc == 0) {
            rc = holder_of_row(v, arena, space, text, &key, id, created, ret);
            if (rc == 1 && any_state && created > 0) {
                /* It was called so once. Who held the name before? */
                at = created - 1;
                i += ended == 0 || ended > floor.revision;
                continue;
            }
        }
        return rc;
    }
    return 1;
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
    /* Below the floor a row that is there tells who held the name, if what is known of that one
     * reaches back; who held it last, and that nobody did, cannot be told. */
    int checked = any_state ? floor_check_namespace(v, ns) : 0;
    int rc = checked != 0 ? 1 : find_holder(v, arena, space, ns, kind, text, any_state, ret);
    if (checked == 0 && (rc == 1 || rc == CLADE_ERR_COMPACTED)) {
        checked = floor_check_namespace(v, ns);
    }
    return checked != 0 ? checked : rc;
}

int lookup_namespace(struct view *v, struct arena *arena, struct span path, uint64_t *ret)
{
    if (path.len == 0 || span_equal_str(path, "default")) {
        /* It is there from the first start and is never deleted. */
        *ret = NAMESPACE_DEFAULT;
        return 0;
    }
    struct thing *thing;
    int rc = lookup_name(v, arena, NAME_SPACE_NAMES, NAMESPACE_ROOT, KIND_NAMESPACE, path, false,
                         &thing);
    if (rc == 0) {
        *ret = thing->id;
    }
    return rc;
}

int lookup_version(
    struct view *v, struct arena *arena, uint64_t model, uint64_t number, struct thing **ret)
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

int lookup_version_number(struct view *v, struct arena *arena, uint64_t id, uint64_t *ret)
{
    struct thing *version;
    uint64_t revision = v->revision;
    v->revision = UINT64_MAX;
    int rc = lookup_thing(v, arena, id, &version);
    v->revision = revision;
    if (rc == 1) {
        struct key key = key_u64(id);
        return row_corrupt(v->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    *ret = rc == 0 ? version->number : 0;
    return rc;
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

/* The id of the latest live version: 0, 1 when there is none, or a code. Records that are passed
 * over do not stay in memory. */
static int find_latest(struct view *v, struct arena *step, uint64_t model, uint64_t *ret)
{
    struct key key = key_u64_u64(model, UINT64_MAX);
    struct row row;
    int rc = view_before(v, TABLE_VERSIONS, key_span(&key), &row);
    for (int i = 0; i < LATEST_STEPS_MAX && rc == 0; i++) {
        if (row.key.len != 16 || get_u64be(row.key.data) != model || row.value.len != 8) {
            return 1;
        }
        struct thing *version = NULL;
        arena_reset(step);
        rc = lookup_thing(v, step, get_u64le(row.value.data), &version);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0 && !version->deleted) {
            *ret = version->id;
            return 0;
        }
        rc = view_previous(v, TABLE_VERSIONS, &row);
    }
    return rc == 0 ? 1 : rc;
}

int lookup_latest_version(struct view *v, struct arena *arena, uint64_t model, struct thing **ret)
{
    struct arena step;
    uint64_t id = 0;
    arena_init(&step, STEP_ARENA_BYTES);
    int rc = find_latest(v, &step, model, &id);
    arena_release(&step);
    return rc != 0 ? rc : lookup_thing(v, arena, id, ret);
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

int lookup_decode_edge(
    struct view *v, enum table table, struct span key, const uint8_t *bytes, struct edge *ret)
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
    rc = lookup_decode_edge(v, TABLE_EDGES_OUT, key_span(&key), value.mv_data, &edge);
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

struct each {
    lookup_edge_cb cb;
    void *arg;
    bool ended_too;
};

/* Calls back for an edge that is asked for. */
static int pass_edge(const struct view *v, const struct each *each, struct edge *edge)
{
    if (lives_at(edge->created, edge->ended, v->revision)) {
        edge->ended = 0;
    } else if (!each->ended_too || edge->created > v->revision) {
        return 0;
    }
    return each->cb(each->arg, edge);
}

static int each_edge(
    struct view *v, enum table table, struct span key, MDB_val values, const struct each *each)
{
    if (values.mv_size % EDGE_BYTES != 0) {
        return row_corrupt(v->error, table, key, "has a wrong length");
    }
    const uint8_t *p = values.mv_data;
    for (const uint8_t *end = p + values.mv_size; p < end; p += EDGE_BYTES) {
        struct edge edge;
        int rc = lookup_decode_edge(v, table, key, p, &edge);
        if (rc == 0) {
            rc = pass_edge(v, each, &edge);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int walk_edges(struct view *v, enum table table, uint64_t id, const struct each *each)
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
        rc = each_edge(v, table, key_span(&key), values, each);
        if (rc != 0) {
            return rc;
        }
        rc = mdb_cursor_get(cursor, &k, &values, MDB_NEXT_MULTIPLE);
    }
    return rc == MDB_NOTFOUND ? 0 : lmdb_error(rc, v->error, "reading edges");
}

int lookup_edges(struct view *v, enum table table, uint64_t id, lookup_edge_cb cb, void *arg)
{
    return walk_edges(v, table, id, &(struct each){.cb = cb, .arg = arg});
}

int lookup_all_edges(struct view *v, enum table table, uint64_t id, lookup_edge_cb cb, void *arg)
{
    return walk_edges(v, table, id, &(struct each){.cb = cb, .arg = arg, .ended_too = true});
}

/* The floors of both ends of edges of one thing, as far as they were looked up. */
struct edge_floors {
    uint64_t id;
    uint64_t own;
    uint64_t other_id; /* 0 = neither was */
    uint64_t other;
};

/* Whether compaction may have taken the edge's row on some node: both floors have passed it. */
static int may_be_gone(struct view *v, struct edge_floors *f, const struct edge *edge, bool *ret)
{
    int rc = 0;
    *ret = false;
    if (edge->ended == 0 || edge->ended > v->floor_max) {
        return 0;
    }
    if (f->other_id != edge->other) {
        struct arena arena;
        arena_init(&arena, STEP_ARENA_BYTES);
        rc = f->other_id != 0 ? 0 : floor_of_id(v, &arena, f->id, &f->own);
        rc = rc != 0 ? rc : floor_of_id(v, &arena, edge->other, &f->other);
        f->other_id = edge->other;
        arena_release(&arena);
    }
    *ret = rc == 0 && edge->ended <= f->own && edge->ended <= f->other;
    return rc;
}

int lookup_edges_of(struct view *v,
                    enum table table,
                    uint64_t id,
                    uint32_t label,
                    uint64_t *visits_left,
                    lookup_edge_cb cb,
                    void *arg)
{
    MDB_cursor *cursor;
    int rc = view_cursor(v, table, &cursor);
    if (rc != 0) {
        return rc;
    }
    struct edge_floors floors = {.id = id};
    uint8_t want[EDGE_BYTES] = {0};
    put_u32be(want, label);
    struct key key = key_u64(id);
    MDB_val k = {.mv_size = key.len, .mv_data = key.bytes};
    MDB_val value = {.mv_size = sizeof want, .mv_data = want};
    rc = mdb_cursor_get(cursor, &k, &value, MDB_GET_BOTH_RANGE);
    for (; rc == 0; rc = mdb_cursor_get(cursor, &k, &value, MDB_NEXT_DUP)) {
        struct edge edge;
        if (value.mv_size != EDGE_BYTES) {
            return row_corrupt(v->error, table, key_span(&key), "has a wrong length");
        }
        int checked = lookup_decode_edge(v, table, key_span(&key), value.mv_data, &edge);
        if (checked != 0 || edge.label != label) {
            return checked;
        }
        bool gone;
        checked = may_be_gone(v, &floors, &edge, &gone);
        if (checked != 0) {
            return checked;
        }
        if (!gone && *visits_left == 0) {
            return 1;
        }
        *visits_left -= !gone;
        int done = lives_at(edge.created, edge.ended, v->revision) ? cb(arg, &edge) : 0;
        if (done != 0) {
            return done;
        }
    }
    return rc == MDB_NOTFOUND ? 0 : lmdb_error(rc, v->error, "reading edges");
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
