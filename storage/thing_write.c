/* Things and edges into their tables, with the index rows, counters and history that follow. */
#include <stdio.h>

#include "base/check.h"
#include "storage/change_log.h"
#include "storage/usage.h"
#include "storage/value_rows.h"
#include "storage/varint.h"

_Static_assert(CLADE_MAX_RECORD_BYTES < UNDO_BYTES_MAX, "a record can be taken back");

struct stamp command_stamp(const struct command *c)
{
    return (struct stamp){
        .revision = c->revision, .time_us = c->time_us, .principal = c->item->principal};
}

void command_note(
    struct command *c, enum change_kind kind, uint64_t id, uint32_t label, uint64_t other)
{
    change_put(c->changes,
               &(struct change){.kind = kind, .id = id, .label = label, .other = other});
    c->changes_len++;
}

void command_note_alias(
    struct command *c, uint64_t model, struct span alias, uint64_t from, uint64_t to)
{
    change_put(c->changes, &(struct change){.kind = to != 0 ? CHANGE_ALIAS_SET : CHANGE_ALIAS_UNSET,
                                            .id = model,
                                            .alias = alias,
                                            .from = from,
                                            .to = to});
    c->changes_len++;
}

/* --- Index rows --------------------------------------------------------------------------- */

static int insert_name(struct command *c,
                       const struct thing *t,
                       enum name_space space,
                       struct span text)
{
    struct key key = key_name(space, t->ns, t->kind, text, c->revision);
    uint8_t value[NAME_VALUE_BYTES] = {0};
    put_u64le(value, t->id);
    /* Only texts with the same 128-bit hash can meet here: the newest row of a name that is held
     * must be its holder's. */
    struct key newest = key_name(space, t->ns, t->kind, text, UINT64_MAX);
    struct row row;
    int rc = view_seek(c->view, TABLE_NAMES, key_span(&newest), &row);
    if (rc < 0) {
        return rc;
    }
    if (rc == 0 && key_name_same(row.key, &newest) && row.value.len == NAME_VALUE_BYTES &&
        get_u64le(row.value.data + 8) == 0) {
        return error_set(c->error, CLADE_ERR_CONFLICT, "name", "the name collides with another");
    }
    /* This transaction may have given the name before, and taken it back. */
    return row_put(c->rows, TABLE_NAMES, key_span(&key), span_make(value, sizeof value));
}

int thing_lose_name(struct command *c, const struct thing *t)
{
    struct key key = key_nameless(t->ns, t->kind, t->id);
    uint8_t value[NAME_VALUE_BYTES];
    put_u64le(value, t->id);
    put_u64le(value + 8, c->revision);
    return row_put(c->rows, TABLE_NAMES, key_span(&key), span_make(value, sizeof value));
}

/* Ends a thing's hold on a name at this revision; `dies` as the thing does. */
static int end_name(
    struct command *c, const struct thing *t, enum name_space space, struct span text, bool dies)
{
    struct key key = key_name(space, t->ns, t->kind, text, UINT64_MAX);
    struct row row;
    int rc = view_seek(c->view, TABLE_NAMES, key_span(&key), &row);
    if (rc < 0) {
        return rc;
    }
    if (rc == 1 || !key_name_same(row.key, &key) || row.value.len != NAME_VALUE_BYTES ||
        get_u64le(row.value.data) != t->id) {
        return row_corrupt(c->error, TABLE_NAMES, key_span(&key), "is missing");
    }
    uint64_t created = key_name_created(row.key);
    memcpy(key.bytes, row.key.data, row.key.len);
    if (created == c->revision && (!dies || t->created.revision == c->revision)) {
        /* No revision ever saw it. A thing that was there before and dies keeps the row, of no
         * length, by which it is listed. */
        int deleted = row_delete(c->rows, TABLE_NAMES, key_span(&key));
        return deleted != 0 || !dies || space != NAME_SPACE_NAMES ? deleted : thing_lose_name(c, t);
    }
    uint8_t value[NAME_VALUE_BYTES];
    put_u64le(value, t->id);
    put_u64le(value + 8, c->revision);
    return row_put(c->rows, TABLE_NAMES, key_span(&key), span_make(value, sizeof value));
}

static int insert_digest(struct command *c, const struct thing *t, struct span digest)
{
    struct key key = key_digest(digest, t->ns, t->id);
    uint8_t value[8];
    put_u64le(value, c->revision);
    return row_insert(c->rows, TABLE_DIGESTS, key_span(&key), span_make(value, sizeof value));
}

static int insert_uri(struct command *c, const struct thing *t, struct span uri)
{
    struct key key = key_uri(uri, t->ns, t->id, c->revision);
    uint8_t value[URI_VALUE_BYTES] = {0};
    put_u64le(value, c->revision);
    return row_insert(c->rows, TABLE_URIS, key_span(&key), span_make(value, sizeof value));
}

/* The key of the row that says that the thing has the uri, and since when. */
static int find_uri(
    struct command *c, const struct thing *t, struct span uri, struct key *ret, uint64_t *created)
{
    struct key key = key_uri(uri, t->ns, t->id, UINT64_MAX);
    struct row row;
    int rc = view_seek(c->view, TABLE_URIS, key_span(&key), &row);
    if (rc < 0) {
        return rc;
    }
    if (rc == 1 || !key_name_same(row.key, &key) || row.value.len != URI_VALUE_BYTES ||
        get_u64le(row.value.data + 8) != 0) {
        return row_corrupt(c->error, TABLE_URIS, key_span(&key), "is missing");
    }
    *created = get_u64le(row.value.data);
    memcpy(key.bytes, row.key.data, row.key.len);
    *ret = key;
    return 0;
}

int thing_forget_uri(struct command *c, const struct thing *t, struct span uri)
{
    struct key key;
    uint64_t created;
    int rc = find_uri(c, t, uri, &key, &created);
    return rc != 0 ? rc : row_delete(c->rows, TABLE_URIS, key_span(&key));
}

static int end_uri(struct command *c, const struct thing *t, struct span uri)
{
    struct key key;
    uint64_t created;
    int rc = find_uri(c, t, uri, &key, &created);
    if (rc != 0) {
        return rc;
    }
    if (created == c->revision) {
        return row_delete(c->rows, TABLE_URIS, key_span(&key));
    }
    uint8_t value[URI_VALUE_BYTES];
    put_u64le(value, created);
    put_u64le(value + 8, c->revision);
    return row_put(c->rows, TABLE_URIS, key_span(&key), span_make(value, sizeof value));
}

static bool set_has(const struct field_value *v, struct span text)
{
    for (size_t i = 0; v != NULL && i < v->len; i++) {
        if (span_equal(v->texts[i], text)) {
            return true;
        }
    }
    return false;
}

static int begin_external_id(struct command *c, const struct thing *t, struct span id)
{
    return insert_name(c, t, NAME_SPACE_EXTERNAL, id);
}

static int end_external_id(struct command *c, const struct thing *t, struct span id)
{
    return end_name(c, t, NAME_SPACE_EXTERNAL, id, false);
}

/* Fields that are sets and have an index; a core field's members never go. */
static const struct {
    enum field_code code;
    int (*begin)(struct command *c, const struct thing *t, struct span text);
    int (*end)(struct command *c, const struct thing *t, struct span text);
} set_indexes[] = {
    {FIELD_EXTERNAL_IDS, begin_external_id, end_external_id},
    {FIELD_DIGESTS, insert_digest, NULL},
    {FIELD_URIS, insert_uri, end_uri},
};

/* Calls `each` for what `a` has and `b` (NULL: nothing) has not. */
static int for_difference(struct command *c,
                          const struct thing *t,
                          const struct field_value *a,
                          const struct field_value *b,
                          int (*each)(struct command *c, const struct thing *t, struct span text))
{
    int rc = 0;
    for (size_t i = 0; a != NULL && each != NULL && i < a->len && rc == 0; i++) {
        rc = set_has(b, a->texts[i]) ? 0 : each(c, t, a->texts[i]);
    }
    return rc;
}

/* Index rows for what `t` has and `before` (NULL: nothing) had not; those of what went end. */
static int index_fields(struct command *c, const struct thing *before, const struct thing *t)
{
    int rc = 0;
    for (size_t i = 0; i < sizeof set_indexes / sizeof *set_indexes && rc == 0; i++) {
        enum field_code code = set_indexes[i].code;
        const struct field_value *had = before != NULL ? &before->fields[code] : NULL;
        rc = for_difference(c, t, had, &t->fields[code], set_indexes[i].end);
        if (rc == 0) {
            rc = for_difference(c, t, &t->fields[code], had, set_indexes[i].begin);
        }
    }
    /* A version's run is also an edge, so that lineage needs no second way to walk. */
    bool has_run = t->kind == KIND_VERSION && t->fields[FIELD_RUN].set;
    if (rc == 0 && has_run && (before == NULL || !before->fields[FIELD_RUN].set)) {
        bool is_new;
        rc = edge_link(c, t, span_of("produced_by"), t->fields[FIELD_RUN].number, &is_new);
    }
    return rc;
}

/* A thing that comes back takes its names again. */
static int take_names(struct command *c, const struct thing *t)
{
    int rc = t->kind == KIND_VERSION ? 0 : insert_name(c, t, NAME_SPACE_NAMES, t->name);
    return rc != 0 ? rc
                   : for_difference(c, t, &t->fields[FIELD_EXTERNAL_IDS], NULL, begin_external_id);
}

static int end_names(struct command *c, const struct thing *t)
{
    int rc = t->kind == KIND_VERSION ? 0 : end_name(c, t, NAME_SPACE_NAMES, t->name, true);
    const struct field_value *ids = &t->fields[FIELD_EXTERNAL_IDS];
    for (size_t i = 0; i < ids->len && rc == 0; i++) {
        rc = end_name(c, t, NAME_SPACE_EXTERNAL, ids->texts[i], true);
    }
    return rc;
}

/* --- Things ------------------------------------------------------------------------------- */

static int encode(struct command *c, const struct thing *t)
{
    buffer_clear(c->record);
    record_encode(t, c->record);
    if (c->record->failed) {
        return error_set(c->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    if (c->record->len > CLADE_MAX_RECORD_BYTES) {
        return error_set(c->error, CLADE_ERR_LIMIT, NULL, "the thing would be longer than %d bytes",
                         CLADE_MAX_RECORD_BYTES);
    }
    return 0;
}

int thing_put(struct command *c, const struct thing *t, bool is_new)
{
    int rc = encode(c, t);
    if (rc != 0) {
        return rc;
    }
    struct key key = key_u64(t->id);
    struct span record = buffer_span(c->record);
    return is_new ? row_insert(c->rows, TABLE_THINGS, key_span(&key), record)
                  : row_put(c->rows, TABLE_THINGS, key_span(&key), record);
}

/* The record as it was before this transaction, under the revision that ends it. A second change
 * by the same transaction replaces a state that no revision ever saw. */
static int put_history(struct command *c, const struct thing *before)
{
    if (before->changed.revision == c->revision) {
        return 0;
    }
    int rc = encode(c, before);
    if (rc != 0) {
        return rc;
    }
    struct key key = key_u64_u64(before->id, c->revision);
    return row_insert(c->rows, TABLE_HISTORY, key_span(&key), buffer_span(c->record));
}

int thing_insert(struct command *c, struct thing *t)
{
    t->created = command_stamp(c);
    t->changed = t->created;
    t->named = c->revision;
    int rc = thing_put(c, t, true);
    if (rc == 0 && t->kind != KIND_VERSION) {
        rc = insert_name(c, t, NAME_SPACE_NAMES, t->name);
    } else if (rc == 0) {
        struct key key = key_u64_u64(t->model, t->number);
        uint8_t value[8];
        put_u64le(value, t->id);
        rc = row_insert(c->rows, TABLE_VERSIONS, key_span(&key), span_make(value, sizeof value));
    }
    if (rc == 0) {
        rc = usage_thing(c, NULL, t);
    }
    if (rc == 0) {
        rc = values_follow(c, NULL, t);
    }
    if (rc == 0) {
        command_note(c, CHANGE_CREATED, t->id, 0, 0);
        rc = index_fields(c, NULL, t);
    }
    if (rc == 0) {
        rc = pointers_follow(c, NULL, t);
    }
    return rc;
}

int thing_touch(struct command *c, const struct thing *before, struct thing *t)
{
    int rc = put_history(c, before);
    t->changed = command_stamp(c);
    return rc != 0 ? rc : thing_put(c, t, false);
}

int thing_replace(struct command *c, const struct thing *before, struct thing *t)
{
    bool is_back = before->deleted && !t->deleted;
    bool is_renamed = !t->deleted && !span_equal(before->name, t->name);
    t->named = is_back || is_renamed ? c->revision : before->named;
    int rc = thing_touch(c, before, t);
    if (rc == 0) {
        rc = usage_thing(c, before, t);
    }
    if (rc == 0) {
        rc = pointers_follow(c, before, t);
    }
    if (rc == 0) {
        rc = values_follow(c, before, t);
    }
    if (rc != 0) {
        return rc;
    }
    if (is_back) {
        command_note(c, CHANGE_UNDELETED, t->id, 0, 0);
        return take_names(c, t);
    }
    if (!before->deleted && t->deleted) {
        command_note(c, CHANGE_DELETED, t->id, 0, 0);
        return end_names(c, t);
    }
    command_note(c, CHANGE_CHANGED, t->id, 0, 0);
    if (t->deleted) {
        return 0; /* a hold: what is deleted has no names */
    }
    if (is_renamed) {
        rc = end_name(c, before, NAME_SPACE_NAMES, before->name, false);
        if (rc == 0) {
            rc = insert_name(c, t, NAME_SPACE_NAMES, t->name);
        }
    }
    return rc != 0 ? rc : index_fields(c, before, t);
}

/* --- Edges -------------------------------------------------------------------------------- */

static int label_number(struct command *c, struct span label, uint32_t *ret)
{
    int rc = lookup_label(c->view, label, ret);
    if (rc != 1) {
        return rc;
    }
    if (c->rows->meta.next_label > UINT32_MAX) {
        return error_set(c->error, CLADE_ERR_LIMIT, "label", "there are too many labels");
    }
    uint32_t number = (uint32_t)c->rows->meta.next_label++;
    uint8_t value[4];
    put_u32le(value, number);
    struct key key = key_label(label);
    rc = row_insert(c->rows, TABLE_LABELS, key_span(&key), span_make(value, sizeof value));
    if (rc == 0) {
        key = key_label_id(number);
        rc = row_insert(c->rows, TABLE_LABELS, key_span(&key), label);
    }
    *ret = number;
    return rc;
}

static int add_edge(struct command *c, enum table table, uint64_t at, const struct edge *edge)
{
    uint8_t value[EDGE_VALUE_BYTES];
    edge_encode(edge, value);
    struct key key = key_u64(at);
    return row_insert_edge(c->rows, table, key_span(&key), span_make(value, sizeof value));
}

static int take_edge(struct command *c, enum table table, uint64_t at, const struct edge *edge)
{
    uint8_t value[EDGE_VALUE_BYTES];
    edge_encode(edge, value);
    struct key key = key_u64(at);
    return row_delete_edge(c->rows, table, key_span(&key), span_make(value, sizeof value));
}

int edge_link(
    struct command *c, const struct thing *from, struct span label, uint64_t to, bool *ret_new)
{
    uint32_t number;
    int rc = label_number(c, label, &number);
    if (rc != 0) {
        return rc;
    }
    struct edge edge;
    rc = lookup_edge(c->view, from->id, number, to, &edge);
    *ret_new = rc == 1;
    if (rc == 1) {
        rc = edge_check_cycle(c, from, label, number, to);
    } else if (rc == 0) {
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    edge = (struct edge){.label = number, .other = to, .created = c->revision};
    rc = add_edge(c, TABLE_EDGES_OUT, from->id, &edge);
    if (rc == 0) {
        edge.other = from->id;
        rc = add_edge(c, TABLE_EDGES_IN, to, &edge);
    }
    if (rc == 0) {
        command_note(c, CHANGE_LINKED, from->id, number, to);
        rc = usage_add(c, from->ns, USE_EDGES, 1);
    }
    return rc;
}

/* Ends the edge in one direction: an edge of this very revision was never seen and goes. */
static int end_edge(struct command *c, enum table table, uint64_t at, const struct edge *edge)
{
    int rc = take_edge(c, table, at, edge);
    if (rc != 0 || edge->created == c->revision) {
        return rc;
    }
    struct edge ended = *edge;
    ended.ended = c->revision;
    return add_edge(c, table, at, &ended);
}

int edge_unlink(
    struct command *c, const struct thing *from, struct span label, uint64_t to, bool *ret_gone)
{
    uint32_t number;
    struct edge edge;
    int rc = lookup_label(c->view, label, &number);
    if (rc == 0) {
        rc = lookup_edge(c->view, from->id, number, to, &edge);
    }
    *ret_gone = rc == 0;
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    rc = end_edge(c, TABLE_EDGES_OUT, from->id, &edge);
    if (rc == 0) {
        edge.other = from->id;
        rc = end_edge(c, TABLE_EDGES_IN, to, &edge);
    }
    if (rc == 0) {
        rc = edge_end_props(c, from, number, to);
    }
    if (rc == 0) {
        command_note(c, CHANGE_UNLINKED, from->id, number, to);
        rc = usage_add(c, from->ns, USE_EDGES, -1);
    }
    return rc;
}
