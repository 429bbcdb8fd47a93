/* Taking away what is below the floors.
 *
 * The change log leads to all of it. What a revision brought to an end is what it changed: of a
 * thing the state before, in `history`, with the rows of names, uris, values and pointers that this
 * state has and the next one has not; of an edge and of an alias their ended rows. So a pass reads
 * the change log from the lowest revision that a floor has passed, and costs what it takes away,
 * whatever else the store holds.
 *
 * A row with two ends, an edge's or a target's of a deployment, can be found from both of their
 * namespaces: it goes when both floors have passed it. The row of the change log stays as long as
 * anything in it does, since it leads there. */
#include "storage/change_log.h"
#include "storage/compact.h"
#include "storage/pointer.h"
#include "storage/target.h"
#include "storage/value_rows.h"

struct compaction {
    struct rows *rows;
    struct view *view; /* rows' */
    struct arena *scratch;
    uint64_t ended; /* the revision whose changes are looked at */
    bool keeps;     /* something that it brought to an end is still needed */
};

static int erase_if_there(struct compaction *c, enum table table, const struct key *key)
{
    struct span value;
    int rc = view_get(c->view, table, key_span(key), &value);
    return rc == 0 ? row_delete(c->rows, table, key_span(key)) : rc == 1 ? 0 : rc;
}

static bool has_text(const struct field_value *v, struct span text)
{
    for (size_t i = 0; i < v->len; i++) {
        if (span_equal(v->texts[i], text)) {
            return true;
        }
    }
    return false;
}

/* The newest row of a name or a uri that was made before the change, if it is of the thing and has
 * ended; `key` is that of one made just before it. */
static int erase_ended_text(struct compaction *c,
                            enum table table,
                            const struct key *key,
                            uint64_t id)
{
    struct row row;
    int rc = view_seek(c->view, table, key_span(key), &row);
    if (rc != 0 || !key_name_same(row.key, key)) {
        return rc < 0 ? rc : 0;
    }
    if (row.value.len != 16) {
        return row_corrupt(c->view->error, table, row.key, "has a wrong length");
    }
    uint64_t ended = get_u64le(row.value.data + 8);
    if ((table == TABLE_NAMES && get_u64le(row.value.data) != id) || ended == 0 ||
        ended > c->ended) {
        return 0;
    }
    struct key found = {.len = (uint16_t)row.key.len};
    memcpy(found.bytes, row.key.data, row.key.len);
    return row_delete(c->rows, table, key_span(&found));
}

/* The rows by which something that is deleted is found stay: its name and its external ids mean it
 * until others have them. */
static int erase_names(struct compaction *c, const struct thing *was, const struct thing *next)
{
    const struct field_value *ids = &was->fields[FIELD_EXTERNAL_IDS];
    int rc = 0;
    if (was->kind != KIND_VERSION && was->named != next->named) {
        struct key key = key_name(NAME_SPACE_NAMES, was->ns, was->kind, was->name, was->named);
        rc = erase_ended_text(c, TABLE_NAMES, &key, was->id);
    }
    for (size_t i = 0; i < ids->len && rc == 0; i++) {
        if (next->deleted && has_text(&next->fields[FIELD_EXTERNAL_IDS], ids->texts[i])) {
            continue;
        }
        struct key key =
            key_name(NAME_SPACE_EXTERNAL, was->ns, was->kind, ids->texts[i], c->ended - 1);
        rc = erase_ended_text(c, TABLE_NAMES, &key, was->id);
    }
    return rc;
}

static int erase_uris(struct compaction *c, const struct thing *was)
{
    const struct field_value *uris = &was->fields[FIELD_URIS];
    int rc = 0;
    for (size_t i = 0; i < uris->len && rc == 0; i++) {
        struct key key = key_uri(uris->texts[i], was->ns, was->id, c->ended - 1);
        rc = erase_ended_text(c, TABLE_URIS, &key, was->id);
    }
    return rc;
}

/* Sets *keeps when a target's past is still to be seen from the version. */
static int erase_targets(struct compaction *c, const struct thing *was, bool *keeps)
{
    struct span targets = was->fields[FIELD_TARGETS].text;
    int rc = 0;
    for (size_t i = 0; i < targets_len(targets) && rc == 0; i++) {
        struct target target = target_at(targets, i);
        struct key key = key_deployed(target.model, target.version, was->id);
        struct span value;
        uint64_t floor;
        key = pointer_past_key(&key, c->ended);
        rc = view_get(c->view, TABLE_DEPLOYED, key_span(&key), &value);
        if (rc != 0) {
            rc = rc == 1 ? 0 : rc;
            continue;
        }
        rc = floor_of_id(c->view, c->scratch, target.version, &floor);
        if (rc == 0 && floor < c->ended) {
            *keeps = true;
        } else if (rc == 0) {
            rc = row_delete(c->rows, TABLE_DEPLOYED, key_span(&key));
        }
    }
    return rc;
}

static int erase_stage(struct compaction *c, const struct thing *was)
{
    if (!was->fields[FIELD_STAGE].set) {
        return 0;
    }
    struct key key = key_stage(was->ns, was->fields[FIELD_STAGE].text, was->model, was->id);
    key = pointer_past_key(&key, c->ended);
    return erase_if_there(c, TABLE_STAGES, &key);
}

static int decode_state(struct compaction *c, uint64_t id, struct span row, struct thing **ret)
{
    struct thing *thing = arena_alloc(c->scratch, sizeof *thing);
    struct span record = arena_copy_span(c->scratch, row);
    if (thing == NULL || record.data == NULL) {
        return arena_failure(c->scratch, sizeof *thing + row.len, c->view->error);
    }
    *ret = thing;
    return record_decode(record, id, c->scratch, thing, c->view->error);
}

/* The state that came with the change: the next one in history, else that of now. */
static int state_after(struct compaction *c, struct thing *now, struct thing **ret)
{
    struct key key = key_u64_u64(now->id, c->ended + 1);
    struct row row;
    int rc = view_seek(c->view, TABLE_HISTORY, key_span(&key), &row);
    if (rc == 0 && row.key.len == 16 && get_u64be(row.key.data) == now->id) {
        return decode_state(c, now->id, row.value, ret);
    }
    *ret = now;
    return rc < 0 ? rc : 0;
}

/* The state of a thing that the change replaced. What is purged is erased by purging. */
static int erase_state(struct compaction *c, struct thing *now)
{
    struct key key = key_u64_u64(now->id, c->ended);
    struct span row;
    struct thing *was = NULL;
    struct thing *next = NULL;
    bool keeps = false;
    int rc = now->purged ? 1 : view_get(c->view, TABLE_HISTORY, key_span(&key), &row);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    rc = decode_state(c, now->id, row, &was);
    rc = rc != 0 ? rc : state_after(c, now, &next);
    rc = rc != 0 ? rc : erase_names(c, was, next);
    rc = rc != 0 ? rc : erase_uris(c, was);
    rc = rc != 0 ? rc : values_erase_ended(c->rows, was, next, c->ended);
    rc = rc != 0 ? rc : erase_stage(c, was);
    rc = rc != 0 ? rc : erase_targets(c, was, &keeps);
    c->keeps = c->keeps || keeps;
    return rc != 0 || keeps ? rc : row_delete(c->rows, TABLE_HISTORY, key_span(&key));
}

static int take_edge(struct compaction *c, enum table table, uint64_t at, const struct edge *edge)
{
    uint8_t value[EDGE_VALUE_BYTES];
    struct key key = key_u64(at);
    edge_encode(edge, value);
    return row_delete_edge(c->rows, table, key_span(&key), span_make(value, sizeof value));
}

/* The edge, if the change ended it, and its props. */
static int erase_edge(struct compaction *c, const struct change *change)
{
    struct edge edge;
    struct edge_props p;
    c->view->revision = c->ended - 1;
    int found = lookup_edge(c->view, change->id, change->label, change->other, &edge);
    int had = found < 0 ? found
                        : lookup_edge_props(c->view, c->scratch, change->id, change->label,
                                            change->other, &p);
    c->view->revision = UINT64_MAX;
    int rc = had < 0 ? had : 0;
    if (rc == 0 && had == 0 && p.ended == c->ended) {
        struct key key = key_edge_props(change->id, change->label, change->other, p.set);
        rc = row_delete(c->rows, TABLE_EDGE_PROPS, key_span(&key));
    }
    if (rc == 0 && found == 0 && edge.ended == c->ended) {
        rc = take_edge(c, TABLE_EDGES_OUT, change->id, &edge);
        edge.other = change->id;
        rc = rc != 0 ? rc : take_edge(c, TABLE_EDGES_IN, change->other, &edge);
    }
    return rc;
}

/* Where the alias pointed before the change. */
static int erase_alias(struct compaction *c, const struct thing *model, struct span alias)
{
    struct key now = key_alias(model->id, alias);
    struct key key = pointer_past_key(&now, c->ended);
    struct span value;
    int rc = view_get(c->view, TABLE_ALIASES, key_span(&key), &value);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    if (value.len != POINTER_VALUE_BYTES) {
        return row_corrupt(c->view->error, TABLE_ALIASES, key_span(&key), "has a wrong length");
    }
    uint64_t version = get_u64le(value.data);
    uint64_t began = get_u64le(value.data + 8);
    rc = values_erase_alias(c->rows, model->ns, alias, version, began);
    return rc != 0 ? rc : row_delete(c->rows, TABLE_ALIASES, key_span(&key));
}

/* What one change brought to an end, as far as nobody can see it any more. */
static int erase_change(struct compaction *c, const struct change *change)
{
    struct thing *now;
    uint64_t floor;
    uint64_t other = UINT64_MAX;
    bool is_edge = change->kind == CHANGE_LINKED || change->kind == CHANGE_UNLINKED;
    arena_reset(c->scratch);
    int rc = lookup_thing(c->view, c->scratch, change->id, &now);
    if (rc == 1) {
        struct key key = key_u64(change->id);
        return row_corrupt(c->view->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    rc = rc != 0 ? rc : floor_of_thing(c->view, now, &floor);
    rc = rc != 0 || !is_edge ? rc : floor_of_id(c->view, c->scratch, change->other, &other);
    if (rc != 0) {
        return rc;
    }
    if (floor < c->ended || other < c->ended) {
        c->keeps = true;
        return 0;
    }
    switch (change->kind) {
    case CHANGE_CREATED:
        return 0;
    case CHANGE_LINKED:
    case CHANGE_UNLINKED:
        return erase_edge(c, change);
    case CHANGE_ALIAS_SET:
    case CHANGE_ALIAS_UNSET:
        return now->purged ? 0 : erase_alias(c, now, change->alias);
    default:
        return erase_state(c, now);
    }
}

/* Goes on with the changes of a row, which lies in memory, as far as *left has it. */
static int erase_changes(struct compaction *c,
                         struct span changes,
                         struct floor_pass *pass,
                         unsigned *left,
                         bool *ret_done)
{
    struct varint_reader r = {.rest = changes};
    struct key key = key_u64(pass->next);
    uint64_t len = varint_get(&r);
    int rc = 0;
    c->ended = pass->next;
    c->keeps = pass->keeps != 0;
    for (uint64_t i = 0; i < len && rc == 0 && *left > 0 && !r.failed; i++) {
        struct change change = change_next(&r);
        if (r.failed || i < pass->change) {
            continue;
        }
        rc = erase_change(c, &change);
        pass->change = i + 1;
        --*left;
    }
    if (r.failed) {
        return row_corrupt(c->view->error, TABLE_CHANGES, key_span(&key), "is damaged");
    }
    pass->keeps = c->keeps;
    *ret_done = pass->change >= len;
    return rc;
}

/* The row of the change log that is next, or the end of the pass. */
static int erase_row(struct compaction *c,
                     struct arena *arena,
                     struct floor_pass *pass,
                     unsigned *left)
{
    struct key key = key_u64(pass->next);
    struct row row;
    struct change_who who;
    bool done;
    int rc = view_seek(c->view, TABLE_CHANGES, key_span(&key), &row);
    if (rc < 0) {
        return rc;
    }
    uint64_t revision = rc == 0 && row.key.len == 8 ? get_u64be(row.key.data) : UINT64_MAX;
    if (revision > pass->end) {
        pass->next = pass->end + 1;
        return 0;
    }
    if (revision != pass->next) {
        *pass = (struct floor_pass){.next = revision, .end = pass->end};
    }
    key = key_u64(revision);
    arena_reset(arena);
    struct span copy = arena_copy_span(arena, row.value); /* the map moves as rows go */
    if (copy.data == NULL) {
        return arena_failure(arena, row.value.len, c->view->error);
    }
    rc = change_row_decode(copy, revision, &who, c->view->error);
    rc = rc != 0 ? rc : erase_changes(c, who.changes, pass, left, &done);
    if (rc != 0 || !done) {
        return rc;
    }
    if (pass->keeps == 0) {
        rc = row_delete(c->rows, TABLE_CHANGES, key_span(&key));
    }
    *left -= *left > 0; /* a row without changes would be free */
    *pass = (struct floor_pass){.next = revision + 1, .end = pass->end};
    return rc;
}

int compact_step(struct rows *rows,
                 struct arena *arena,
                 struct arena *scratch,
                 unsigned changes_max,
                 bool *ret_more)
{
    struct compaction c = {.rows = rows, .view = &rows->view, .scratch = scratch};
    struct floor_pass pass;
    unsigned left = changes_max;
    int rc = floor_pass_get(c.view, &pass);
    *ret_more = false;
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    while (rc == 0 && left > 0 && pass.next <= pass.end) {
        rc = erase_row(&c, arena, &pass, &left);
    }
    rc = rc != 0 ? rc : floor_pass_put(rows, &pass);
    *ret_more = pass.next <= pass.end;
    return rc;
}
