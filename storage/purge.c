/* The operation `purge`, and the erasing of what it leaves behind.
 *
 * A row of the table `purges` names a thing of which rows are left, and the revision at which its
 * last state began. First goes what is in the sums, its params, points and the props of its edges:
 * so many rows with each entry, on every node alike. Then its past goes, which is its history rows.
 * A state began at its `changed` revision: that revision's change log row may give a reason, and
 * rows of names and uris that it made are keyed by it; rows of its stage and its targets are keyed
 * by when it ended. So each history row leads to all that must go with it by one look-up each. */
#include "storage/purge.h"

#include <inttypes.h>

#include "storage/change_log.h"
#include "storage/floor.h"
#include "storage/pointer.h"
#include "storage/series_erase.h"
#include "storage/stages.h"
#include "storage/target.h"
#include "storage/usage.h"
#include "storage/value_rows.h"
#include "storage/varint.h"

#define HOLDERS_MAX 1000 /* of a name, that a look for those of one thing passes over */

/* --- The operation --------------------------------------------------------------------------- */

static int check_purgeable(struct command *c, const struct thing *t)
{
    bool live;
    uint64_t kept = 0;
    int rc = lookup_is_live(c->view, c->scratch, t, &live);
    if (rc != 0) {
        return rc;
    }
    if (t->kind == KIND_NAMESPACE || t->kind == KIND_TYPE) {
        return error_set(c->error, CLADE_ERR_INVALID, "ref",
                         "%s is not purged: things are known by its name",
                         kind_with_article(t->kind));
    }
    if (live) {
        error_set(c->error, CLADE_ERR_CONFLICT, "ref",
                  "the %s id/%" PRIu64 " is live; only what is deleted is purged",
                  kind_name(t->kind), t->id);
        c->error->id = t->id;
        c->error->revision = t->changed.revision;
        return CLADE_ERR_CONFLICT;
    }
    rc = command_check_hold(c, t);
    rc = rc == 0 && t->kind == KIND_MODEL ? usage_kept(c->view, t->id, &kept) : rc;
    if (rc == 0 && kept > 0) {
        rc = error_set(c->error, CLADE_ERR_IN_USE, "ref",
                       "the model id/%" PRIu64 " has %" PRIu64
                       " versions that are not purged, and they are known by its name",
                       t->id, kept);
    }
    return rc;
}

static struct thing tombstone_of(struct command *c, const struct thing *t)
{
    struct thing left = {
        .id = t->id,
        .kind = t->kind,
        .deleted = true,
        .purged = true,
        .ns = t->ns,
        .named = t->named,
        .model = t->model,
        .number = t->number,
        .created = {.revision = t->created.revision, .time_us = t->created.time_us},
        .changed = command_stamp(c),
    };
    left.fields[FIELD_DIGESTS] = t->fields[FIELD_DIGESTS];
    return left;
}

/* The newest row of a text that is of the thing and was made at key's revision at the latest: one
 * that its state brought, or one before it whose own row of history compaction took. Rows of others
 * that ended at the floor or before do not count as steps: some nodes have them no more. */
static int erase_text(struct rows *rows,
                      enum table table,
                      const struct key *key,
                      const struct thing *t)
{
    struct floor floor;
    struct row row;
    int rc = floor_of_namespace(&rows->view, t->ns, &floor);
    rc = rc != 0 ? rc : view_seek(&rows->view, table, key_span(key), &row);
    for (int i = 0; i < HOLDERS_MAX && rc == 0 && key_name_same(row.key, key);) {
        if (table != TABLE_NAMES || get_u64le(row.value.data) == t->id) {
            struct key found = {.len = (uint16_t)row.key.len};
            memcpy(found.bytes, row.key.data, row.key.len);
            return row_delete(rows, table, key_span(&found));
        }
        if (row.value.len != NAME_VALUE_BYTES) {
            return row_corrupt(rows->view.error, table, row.key, "has a wrong length");
        }
        uint64_t ended = get_u64le(row.value.data + 8);
        i += ended == 0 || ended > floor.revision;
        rc = view_next(&rows->view, table, &row);
    }
    return rc < 0 ? rc : 0;
}

static int erase_name(struct rows *rows,
                      const struct thing *t,
                      enum name_space space,
                      struct span text,
                      uint64_t made)
{
    struct key key = key_name(space, t->ns, t->kind, text, made);
    return erase_text(rows, TABLE_NAMES, &key, t);
}

/* Rows of names that the state has, made at `made` at the latest. */
static int erase_names(struct rows *rows, const struct thing *t, uint64_t made)
{
    const struct field_value *ids = &t->fields[FIELD_EXTERNAL_IDS];
    uint64_t named = t->named < made ? t->named : made;
    int rc = t->kind == KIND_VERSION ? 0 : erase_name(rows, t, NAME_SPACE_NAMES, t->name, named);
    for (size_t i = 0; i < ids->len && rc == 0; i++) {
        rc = erase_name(rows, t, NAME_SPACE_EXTERNAL, ids->texts[i], made);
    }
    return rc;
}

/* What is left of the thing from now on; its names and uris find it no more. */
static int begin(struct command *c, const struct thing *t)
{
    uint8_t value[PURGE_VALUE_BYTES] = {0};
    /* This transaction's own reason is why it was purged, and stays. */
    put_u64le(value, t->changed.revision == c->revision ? 0 : t->changed.revision);
    struct key key = key_purge(PURGE_DATA, t->id);
    int rc = row_insert(c->rows, TABLE_PURGES, key_span(&key), span_make(value, sizeof value));
    const struct field_value *uris = &t->fields[FIELD_URIS];
    for (size_t i = 0; i < uris->len && rc == 0; i++) {
        rc = thing_forget_uri(c, t, uris->texts[i]);
    }
    rc = rc != 0 ? rc : values_forget(c, t);
    rc = rc != 0 ? rc : erase_names(c->rows, t, UINT64_MAX);
    return rc != 0 || t->kind == KIND_VERSION ? rc : thing_lose_name(c, t);
}

/* What is only hidden with its parent is deleted first, so that its names end. */
static int delete_hidden(struct command *c, struct thing *t)
{
    struct thing before = *t;
    if (t->deleted) {
        return 0;
    }
    t->deleted = true;
    return thing_replace(c, &before, t);
}

int op_purge(struct command *c, const struct op *op)
{
    struct thing *thing;
    int rc = command_resolve_any(c, &op->ref, "ref", &thing);
    if (rc != 0) {
        return rc;
    }
    c->op_ids[c->op] = thing->id;
    if (thing->purged) {
        return command_answer(c, "unchanged", thing);
    }
    rc = check_purgeable(c, thing);
    rc = rc != 0 ? rc : delete_hidden(c, thing);
    if (rc != 0) {
        return rc;
    }
    struct thing left = tombstone_of(c, thing);
    rc = begin(c, thing);
    rc = rc != 0 ? rc : thing_put(c, &left, false);
    rc = rc != 0 ? rc : usage_thing(c, thing, &left);
    if (rc != 0) {
        return rc;
    }
    command_note(c, CHANGE_PURGED, left.id, 0, 0);
    return command_answer(c, "purged", &left);
}

/* --- What is left of it ---------------------------------------------------------------------- */

struct eraser {
    struct rows *rows;
    struct view *view; /* rows' */
    struct arena *scratch;
};

static int erase_if_there(struct eraser *e, enum table table, const struct key *key)
{
    struct span value;
    int rc = view_get(e->view, table, key_span(key), &value);
    return rc == 0 ? row_delete(e->rows, table, key_span(key)) : rc == 1 ? 0 : rc;
}

static int erase_uris(struct eraser *e, const struct thing *t)
{
    const struct field_value *uris = &t->fields[FIELD_URIS];
    int rc = 0;
    for (size_t i = 0; i < uris->len && rc == 0; i++) {
        struct key key = key_uri(uris->texts[i], t->ns, t->id, t->changed.revision);
        rc = erase_text(e->rows, TABLE_URIS, &key, t);
    }
    return rc;
}

/* The rows of pointers that ended with the state, at `ended`. */
static int erase_pointers(struct eraser *e, const struct thing *t, uint64_t ended)
{
    struct span targets = t->fields[FIELD_TARGETS].text;
    int rc = 0;
    for (size_t i = 0; i < targets_len(targets) && rc == 0; i++) {
        struct target target = target_at(targets, i);
        struct key key = key_deployed(target.model, target.version, t->id);
        key = pointer_past_key(&key, ended);
        rc = erase_if_there(e, TABLE_DEPLOYED, &key);
    }
    if (rc == 0 && t->fields[FIELD_STAGE].set) {
        struct key key = key_stage(t->ns, t->fields[FIELD_STAGE].text, t->model, t->id);
        key = pointer_past_key(&key, ended);
        rc = erase_if_there(e, TABLE_STAGES, &key);
    }
    return rc;
}

/* Copies the changes of a row, of those of the thing without the names of aliases. */
static void copy_changes(struct varint_reader *r, uint64_t id, struct buffer *out)
{
    uint64_t len = varint_get(r);
    varint_put(out, len);
    for (uint64_t i = 0; i < len && !r->failed; i++) {
        const uint8_t *begin = r->rest.data;
        struct change c = change_next(r);
        if (c.alias.len > 0 && c.id == id) {
            c.alias.len = 0;
            change_put(out, &c);
        } else {
            buffer_append(out, begin, (size_t)(r->rest.data - begin));
        }
    }
}

/* What the change log says of why a revision was made, and the names of the thing's aliases. */
static int erase_told(struct eraser *e, uint64_t id, uint64_t revision)
{
    struct key key = key_u64(revision);
    struct span row;
    struct change_who who;
    int rc = view_get(e->view, TABLE_CHANGES, key_span(&key), &row);
    rc = rc != 0 ? rc : change_row_decode(row, revision, &who, e->view->error);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    struct buffer left;
    struct varint_reader r = {.rest = who.changes};
    buffer_init(&left, row.len);
    who.reason.len = 0;
    change_row_begin(&left, &who);
    copy_changes(&r, id, &left);
    if (r.failed) {
        rc = row_corrupt(e->view->error, TABLE_CHANGES, key_span(&key), "is malformed");
    } else if (left.failed) {
        rc = error_set(e->view->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    } else if (left.len != row.len) {
        rc = row_put(e->rows, TABLE_CHANGES, key_span(&key), buffer_span(&left));
    }
    buffer_release(&left);
    return rc;
}

static int erase_state(struct eraser *e, uint64_t id, struct row row)
{
    struct key key = {.len = 0};
    struct thing *state = arena_alloc(e->scratch, sizeof *state);
    struct span record = arena_copy_span(e->scratch, row.value);
    if (state == NULL || record.data == NULL) {
        return arena_failure(e->scratch, sizeof *state + row.value.len, e->view->error);
    }
    memcpy(key.bytes, row.key.data, row.key.len);
    key.len = (uint16_t)row.key.len;
    int rc = record_decode(record, id, e->scratch, state, e->view->error);
    rc = rc != 0 ? rc : erase_names(e->rows, state, state->changed.revision);
    rc = rc != 0 ? rc : erase_uris(e, state);
    rc = rc != 0 ? rc : values_erase_state(e->rows, state);
    rc = rc != 0 ? rc : erase_pointers(e, state, get_u64be(key.bytes + 8));
    rc = rc != 0 ? rc : erase_told(e, id, state->changed.revision);
    return rc != 0 ? rc : row_delete(e->rows, TABLE_HISTORY, key_span(&key));
}

/* A row of a model's aliases, as they were. 1 when there is none. */
static int erase_alias(struct eraser *e, uint64_t id)
{
    struct key from = key_alias(id, (struct span){0});
    struct thing *thing;
    struct row row;
    from.bytes[0] = POINTER_PAST;
    int rc = view_seek(e->view, TABLE_ALIASES, key_span(&from), &row);
    if (rc != 0 || !key_begins(row.key, &from)) {
        return rc < 0 ? rc : 1;
    }
    if (row.value.len != POINTER_VALUE_BYTES || row.key.len < from.len + 9u) {
        return row_corrupt(e->view->error, TABLE_ALIASES, row.key, "has a wrong length");
    }
    struct key key = {.len = (uint16_t)row.key.len};
    memcpy(key.bytes, row.key.data, row.key.len);
    uint64_t version = get_u64le(row.value.data);
    uint64_t began = get_u64le(row.value.data + 8);
    struct span alias = span_make(key.bytes + from.len, key.len - from.len - 9u);
    rc = lookup_thing(e->view, e->scratch, id, &thing);
    rc = rc != 0 ? rc : values_erase_alias(e->rows, thing->ns, alias, version, began);
    rc = rc != 0 ? rc : erase_told(e, id, began);
    rc = rc != 0 ? rc : erase_told(e, id, get_u64be(key.bytes + key.len - 8));
    return rc != 0 ? rc : row_delete(e->rows, TABLE_ALIASES, key_span(&key));
}

/* The first thing of a phase: its id, and the revision in its row. 1 when there is none. */
static int first_of(struct eraser *e, enum purge_phase phase, uint64_t *ret_id, uint64_t *ret_last)
{
    struct key from = key_purge(phase, 0);
    struct row row;
    int rc = view_seek(e->view, TABLE_PURGES, key_span(&from), &row);
    if (rc != 0) {
        return rc;
    }
    if (row.key.len != from.len || row.value.len != PURGE_VALUE_BYTES) {
        return row_corrupt(e->view->error, TABLE_PURGES, row.key, "has a wrong length");
    }
    *ret_id = get_u64be(row.key.data + 1);
    *ret_last = get_u64le(row.value.data);
    return row.key.data[0] == phase ? 0 : 1;
}

/* The first row of props of the thing's edges; 1 when there is none. */
static int first_props(struct eraser *e, uint64_t id, struct key *ret_key, struct edge_props *ret)
{
    struct key from = key_u64(id);
    struct row row;
    int rc = view_seek(e->view, TABLE_EDGE_PROPS, key_span(&from), &row);
    if (rc != 0 || !key_begins(row.key, &from)) {
        return rc < 0 ? rc : 1;
    }
    *ret_key = (struct key){.len = (uint16_t)row.key.len};
    memcpy(ret_key->bytes, row.key.data, row.key.len);
    return edge_props_decode(e->view, e->scratch, &row, ret);
}

/* The props of one of the thing's edges, which are charged as long as the edge is. Those that ended
 * at its floor or before are no row that counts: some nodes have taken them away already. */
static int erase_props(struct eraser *e, uint64_t id)
{
    struct edge_props p;
    struct thing *thing;
    struct key key;
    uint64_t floor;
    for (;;) {
        int rc = first_props(e, id, &key, &p);
        rc = rc != 0 ? rc : lookup_thing(e->view, e->scratch, id, &thing);
        rc = rc != 0 ? rc : floor_of_thing(e->view, thing, &floor);
        if (rc == 0 && p.ended == 0) {
            rc = usage_take_bytes(e->rows, e->scratch, thing->ns, usage_props_bytes(&p.props));
        }
        rc = rc != 0 ? rc : row_delete(e->rows, TABLE_EDGE_PROPS, key_span(&key));
        if (rc != 0 || p.ended == 0 || p.ended > floor) {
            return rc;
        }
        arena_reset(e->scratch);
    }
}

/* A row of the first thing that has any in the sums, or, when it has none any more, its place among
 * those whose past waits. 1 when nothing waits. */
static int erase_data(struct eraser *e)
{
    uint64_t id;
    uint64_t last;
    int rc = first_of(e, PURGE_DATA, &id, &last);
    struct thing *thing;
    rc = rc != 0 ? rc : lookup_thing(e->view, e->scratch, id, &thing);
    if (rc == 0) {
        rc = series_erase_row(e->rows, thing);
        rc = rc == 1 ? erase_props(e, id) : rc;
    } else {
        return rc;
    }
    if (rc != 1) {
        return rc;
    }
    struct key from = key_purge(PURGE_DATA, id);
    struct key to = key_purge(PURGE_PAST, id);
    uint8_t value[PURGE_VALUE_BYTES];
    put_u64le(value, last);
    put_u64le(value + 8, e->rows->meta.revision);
    rc = row_delete(e->rows, TABLE_PURGES, key_span(&from));
    return rc != 0
               ? rc
               : row_insert(e->rows, TABLE_PURGES, key_span(&to), span_make(value, sizeof value));
}

/* A row of the past of the first thing that waits, or, when it has none any more, the thing's
 * waiting. 1 when nothing waits. */
static int erase_past(struct eraser *e)
{
    uint64_t id;
    uint64_t last;
    struct row row;
    int rc = first_of(e, PURGE_PAST, &id, &last);
    if (rc != 0) {
        return rc;
    }
    struct key from = key_u64(id);
    rc = view_seek(e->view, TABLE_HISTORY, key_span(&from), &row);
    if (rc == 0 && row.key.len == 16 && key_begins(row.key, &from)) {
        return erase_state(e, id, row);
    }
    rc = rc < 0 ? rc : erase_alias(e, id);
    if (rc != 1) {
        return rc;
    }
    from = key_purge(PURGE_PAST, id);
    rc = erase_told(e, id, last); /* of 0 there is none */
    return rc != 0 ? rc : row_delete(e->rows, TABLE_PURGES, key_span(&from));
}

static int erase(struct eraser *e, int (*next)(struct eraser *e), unsigned rows_max)
{
    int rc = 0;
    for (unsigned i = 0; i < rows_max && rc == 0; i++) {
        arena_reset(e->scratch);
        rc = next(e);
    }
    return rc == 1 ? 0 : rc;
}

int purge_step(struct rows *rows, struct arena *scratch, uint64_t before_ms, uint64_t after_ms)
{
    struct eraser e = {.rows = rows, .view = &rows->view, .scratch = scratch};
    uint64_t periods = after_ms / PURGE_PERIOD_MS - before_ms / PURGE_PERIOD_MS;
    unsigned rows_max = periods < PURGE_ROWS_AN_ENTRY / PURGE_ROWS ? (unsigned)periods * PURGE_ROWS
                                                                   : PURGE_ROWS_AN_ENTRY;
    int rc = erase(&e, erase_data, rows_max);
    return rc != 0 ? rc : erase(&e, erase_past, rows_max);
}
