/* The operation `purge`, and the erasing of what it leaves behind.
 *
 * A row of the table `purges` names a thing whose past is still there, and the revision at which
 * its last state began. That past is the thing's history rows. A state began at its `changed`
 * revision: that revision's change log row may give a reason, and names rows that it made are
 * keyed by it, so each history row leads to all that must go with it by one look-up a name. */
#include "storage/purge.h"

#include <inttypes.h>

#include "storage/usage.h"
#include "storage/varint.h"

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
                         "a %s is not purged: things are known by its name", kind_name(t->kind));
    }
    if (live) {
        error_set(c->error, CLADE_ERR_CONFLICT, "ref",
                  "the %s id/%" PRIu64 " is live; only what is deleted is purged",
                  kind_name(t->kind), t->id);
        c->error->id = t->id;
        c->error->revision = t->changed.revision;
        return CLADE_ERR_CONFLICT;
    }
    rc = t->kind == KIND_MODEL ? usage_kept(c->view, t->id, &kept) : 0;
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
        .model = t->model,
        .number = t->number,
        .created = {.revision = t->created.revision, .time_us = t->created.time_us},
        .changed = command_stamp(c),
    };
    left.fields[FIELD_DIGESTS] = t->fields[FIELD_DIGESTS];
    return left;
}

static int begin(struct command *c, const struct thing *t)
{
    uint8_t value[8];
    /* This transaction's own reason is why it was purged, and stays. */
    put_u64le(value, t->changed.revision == c->revision ? 0 : t->changed.revision);
    struct key key = key_u64(t->id);
    return row_insert(c->rows, TABLE_PURGES, key_span(&key), span_make(value, sizeof value));
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

/* The name row that the thing's state brought. It is there if the state began with the name. */
static int erase_name(struct eraser *e,
                      const struct thing *t,
                      enum name_space space,
                      struct span text)
{
    struct key key = key_name(space, t->ns, t->kind, text, t->changed.revision);
    struct span value;
    int rc = view_get(e->view, TABLE_NAMES, key_span(&key), &value);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    return value.len != NAME_VALUE_BYTES || get_u64le(value.data) != t->id
               ? 0
               : row_delete(e->rows, TABLE_NAMES, key_span(&key));
}

static int erase_names(struct eraser *e, const struct thing *t)
{
    const struct field_value *ids = &t->fields[FIELD_EXTERNAL_IDS];
    int rc = t->kind == KIND_VERSION ? 0 : erase_name(e, t, NAME_SPACE_NAMES, t->name);
    for (size_t i = 0; i < ids->len && rc == 0; i++) {
        rc = erase_name(e, t, NAME_SPACE_EXTERNAL, ids->texts[i]);
    }
    return rc;
}

/* What the change log says of why a revision was made. */
static int erase_reason(struct eraser *e, uint64_t revision)
{
    struct key key = key_u64(revision);
    struct span row;
    int rc = view_get(e->view, TABLE_CHANGES, key_span(&key), &row);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    struct varint_reader r = {.rest = span_skip(row, 1)};
    varint_get(&r); /* time */
    varint_get(&r); /* happened */
    varint_get_text(&r);
    varint_get_text(&r);
    struct span before = span_make(row.data, row.len - r.rest.len);
    struct span reason = varint_get_text(&r);
    if (row.len == 0 || r.failed) {
        return row_corrupt(e->view->error, TABLE_CHANGES, key_span(&key), "is malformed");
    }
    if (reason.len == 0) {
        return 0;
    }
    struct buffer left;
    buffer_init(&left, row.len);
    buffer_append_span(&left, before);
    varint_put_text(&left, (struct span){0});
    buffer_append_span(&left, r.rest);
    rc = left.failed ? error_set(e->view->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory")
                     : row_put(e->rows, TABLE_CHANGES, key_span(&key), buffer_span(&left));
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
    rc = rc != 0 ? rc : erase_names(e, state);
    rc = rc != 0 ? rc : erase_reason(e, state->changed.revision);
    return rc != 0 ? rc : row_delete(e->rows, TABLE_HISTORY, key_span(&key));
}

/* A row of the past of the first thing that waits, or, when it has none any more, the thing's
 * waiting. 1 when nothing waits. */
static int erase_next(struct eraser *e)
{
    struct key from = key_u64(0);
    struct row row;
    int rc = view_seek(e->view, TABLE_PURGES, key_span(&from), &row);
    if (rc != 0) {
        return rc;
    }
    if (row.key.len != 8 || row.value.len != 8) {
        return row_corrupt(e->view->error, TABLE_PURGES, row.key, "has a wrong length");
    }
    uint64_t id = get_u64be(row.key.data);
    uint64_t last = get_u64le(row.value.data);
    from = key_u64_u64(id, 0);
    rc = view_seek(e->view, TABLE_HISTORY, key_span(&from), &row);
    if (rc == 0 && row.key.len == 16 && get_u64be(row.key.data) == id) {
        return erase_state(e, id, row);
    }
    from = key_u64(id);
    rc = rc < 0 ? rc : erase_reason(e, last); /* of 0 there is none */
    return rc != 0 ? rc : row_delete(e->rows, TABLE_PURGES, key_span(&from));
}

int purge_step(struct rows *rows, struct arena *scratch, unsigned rows_max)
{
    struct eraser e = {.rows = rows, .view = &rows->view, .scratch = scratch};
    int rc = 0;
    for (unsigned i = 0; i < rows_max && rc == 0; i++) {
        arena_reset(scratch);
        rc = erase_next(&e);
    }
    return rc == 1 ? 0 : rc;
}
