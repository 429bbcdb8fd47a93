/* The props of edges: rows of their own beside the edge, since few edges have any. An edge that has
 * had props keeps a row until it ends, empty when they were all taken away, so that each row but
 * the edge's first says at which revision they changed. */
#include "base/check.h"
#include "storage/fields_internal.h"
#include "storage/usage.h"
#include "storage/varint.h"

#define TYPE_PREFIX  "edge:"
#define HEADER_BYTES 16

/* --- Rows ----------------------------------------------------------------------------------- */

int edge_props_decode(struct view *v,
                      struct arena *arena,
                      const struct row *row,
                      struct edge_props *ret)
{
    if (row->key.len != EDGE_PROPS_KEY_BYTES || row->value.len < HEADER_BYTES) {
        return row_corrupt(v->error, TABLE_EDGE_PROPS, row->key, "has a wrong length");
    }
    uint64_t set = ~get_u64be(row->key.data + EDGE_PROPS_PREFIX_BYTES);
    struct span copy = arena_copy_span(arena, row->value);
    if (copy.data == NULL) {
        return arena_failure(arena, row->value.len, v->error);
    }
    struct varint_reader r = {.rest = span_skip(copy, HEADER_BYTES)};
    uint64_t len = varint_get(&r);
    bool fits = !r.failed && len <= r.rest.len / 2;
    struct text_pair *pairs = fits ? arena_calloc(arena, len + 1, sizeof *pairs) : NULL;
    if (fits && pairs == NULL) {
        return arena_failure(arena, (len + 1) * sizeof *pairs, v->error);
    }
    for (uint64_t i = 0; fits && i < len; i++) {
        pairs[i].key = varint_get_text(&r);
        pairs[i].value = varint_get_text(&r);
        fits = !r.failed && prop_is_valid(pairs[i].value);
    }
    if (!fits || r.rest.len > 0) {
        return row_corrupt(v->error, TABLE_EDGE_PROPS, row->key, "is damaged");
    }
    *ret = (struct edge_props){
        .set = set,
        .edge = get_u64le(copy.data),
        .ended = get_u64le(copy.data + 8),
        .props = {.set = len > 0, .pairs = pairs, .len = (size_t)len},
    };
    return 0;
}

int lookup_edge_props(struct view *v,
                      struct arena *arena,
                      uint64_t from,
                      uint32_t label,
                      uint64_t to,
                      struct edge_props *ret)
{
    struct key key = key_edge_props(from, label, to, v->revision);
    struct row row;
    int rc = view_seek(v, TABLE_EDGE_PROPS, key_span(&key), &row);
    if (rc != 0) {
        return rc;
    }
    if (row.key.len != key.len || memcmp(row.key.data, key.bytes, EDGE_PROPS_PREFIX_BYTES) != 0) {
        return 1;
    }
    struct edge_props found;
    rc = edge_props_decode(v, arena, &row, &found);
    if (rc == 0 && !lives_at(found.set, found.ended, v->revision)) {
        rc = 1;
    }
    if (rc == 0) {
        *ret = found;
    }
    return rc;
}

int lookup_has_edge_props(struct view *v, uint64_t from, bool *ret)
{
    struct key key = key_u64(from);
    struct row row;
    int rc = view_seek(v, TABLE_EDGE_PROPS, key_span(&key), &row);
    *ret = rc == 0 && row.key.len >= 8 && memcmp(row.key.data, key.bytes, 8) == 0;
    return rc < 0 ? rc : 0;
}

static int put_row(
    struct command *c, uint64_t from, uint32_t label, uint64_t to, const struct edge_props *p)
{
    struct buffer *b = c->record;
    buffer_clear(b);
    uint8_t *head = buffer_extend(b, HEADER_BYTES);
    if (head != NULL) {
        put_u64le(head, p->edge);
        put_u64le(head + 8, p->ended);
    }
    varint_put(b, p->props.len);
    for (size_t i = 0; i < p->props.len; i++) {
        varint_put_text(b, p->props.pairs[i].key);
        varint_put_text(b, p->props.pairs[i].value);
    }
    if (b->failed) {
        return error_set(c->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    if (b->len > CLADE_MAX_RECORD_BYTES) {
        return error_set(c->error, CLADE_ERR_LIMIT, "props",
                         "the edge's props would be longer than %d bytes", CLADE_MAX_RECORD_BYTES);
    }
    struct key key = key_edge_props(from, label, to, p->set);
    return row_put(c->rows, TABLE_EDGE_PROPS, key_span(&key), buffer_span(b));
}

/* Props that this revision wrote were never seen and go. */
static int end_row(
    struct command *c, uint64_t from, uint32_t label, uint64_t to, struct edge_props *p)
{
    if (p->set == c->revision) {
        struct key key = key_edge_props(from, label, to, p->set);
        return row_delete(c->rows, TABLE_EDGE_PROPS, key_span(&key));
    }
    p->ended = c->revision;
    return put_row(c, from, label, to, p);
}

int edge_end_props(struct command *c, const struct thing *from, uint32_t label, uint64_t to)
{
    struct edge_props p;
    int rc = lookup_edge_props(c->view, c->scratch, from->id, label, to, &p);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    rc = usage_add(c, from->ns, USE_BYTES, -(int64_t)usage_props_bytes(&p.props));
    return rc != 0 ? rc : end_row(c, from->id, label, to, &p);
}

/* --- Types ---------------------------------------------------------------------------------- */

int command_find_edge_type(struct command *c, uint64_t ns, struct span label, struct thing **ret)
{
    char name[sizeof TYPE_PREFIX + CLADE_MAX_LABEL_BYTES];
    size_t prefix = sizeof TYPE_PREFIX - 1;
    CHECK(label.len <= CLADE_MAX_LABEL_BYTES);
    memcpy(name, TYPE_PREFIX, prefix);
    memcpy(name + prefix, label.data, label.len);
    return command_find_type(c, ns, span_make(name, prefix + label.len), ret);
}

/* --- Writing -------------------------------------------------------------------------------- */

/* Merges as with a thing that has the edge's props and its type. */
static int merge(struct command *c,
                 const struct op *op,
                 struct thing *type,
                 bool is_new,
                 struct thing *edge,
                 bool *ret_changed)
{
    struct field_value *props = &edge->fields[FIELD_PROPS];
    struct merge m = {.c = c,
                      .op = op,
                      .mode = WRITE_UPDATE,
                      .thing = edge,
                      .had_props = *props,
                      .had_type = !is_new,
                      .type = type};
    edge->fields[FIELD_TYPE].set = type != NULL;
    int rc = op->fields_len == 0 ? 0 : props_write(&m, &op->fields[0], props);
    if (rc == 0 && m.differs[0] != '\0') {
        return error_set(c->error, CLADE_ERR_CONFLICT, NULL,
                         "the edge has other values for what its type fixes: %s", m.differs);
    }
    *ret_changed = m.changed;
    return rc != 0 ? rc : props_check(&m);
}

int edge_write_props(struct command *c,
                     const struct op *op,
                     const struct thing *from,
                     uint64_t to,
                     bool is_new,
                     bool *ret_changed)
{
    struct thing *type = NULL;
    struct edge_props p = {0};
    struct edge live;
    uint32_t label;
    if (!is_new && op->fields_len == 0) {
        return 0;
    }
    int rc = command_find_edge_type(c, from->ns, op->label, &type);
    if (rc < 0 || (rc == 1 && op->fields_len == 0)) {
        return rc < 0 ? rc : 0;
    }
    rc = lookup_label(c->view, op->label, &label);
    CHECK(rc != 1);
    bool had = false;
    if (rc == 0) {
        rc = lookup_edge_props(c->view, c->scratch, from->id, label, to, &p);
        had = rc == 0;
    }
    if (rc >= 0) {
        rc = lookup_edge(c->view, from->id, label, to, &live);
        CHECK(rc != 1);
    }
    if (rc != 0) {
        return rc;
    }
    struct thing edge = {.kind = KIND_NONE, .ns = from->ns};
    bool changed = false;
    edge.fields[FIELD_PROPS] = p.props;
    int64_t bytes = -(int64_t)usage_props_bytes(&p.props);
    rc = merge(c, op, type, is_new, &edge, &changed);
    if (rc != 0 || !changed) {
        return rc;
    }
    if (had && p.set != c->revision) {
        rc = end_row(c, from->id, label, to, &p);
    }
    if (rc == 0) {
        p = (struct edge_props){
            .set = c->revision, .edge = live.created, .props = edge.fields[FIELD_PROPS]};
        rc = put_row(c, from->id, label, to, &p);
    }
    if (rc == 0) {
        bytes += (int64_t)usage_props_bytes(&p.props);
        rc = usage_add(c, from->ns, USE_BYTES, bytes);
    }
    if (rc == 0 && !is_new) {
        command_note(c, CHANGE_LINKED, from->id, label, to);
    }
    *ret_changed = true;
    return rc;
}
