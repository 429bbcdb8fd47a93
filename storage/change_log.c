#include "storage/change_log.h"

#include "command/value.h"

#define CHANGE_ROW_VERSION 1

static const char *const edge_words[] = {
    [EDGE_LINKED] = "linked", [EDGE_CHANGED] = "changed", [EDGE_UNLINKED] = "unlinked"};

void change_row_begin(struct buffer *row, const struct change_who *who)
{
    buffer_append_u8(row, CHANGE_ROW_VERSION);
    varint_put(row, who->time_us);
    varint_put(row, who->happened_us);
    varint_put_text(row, who->principal);
    varint_put_text(row, who->on_behalf_of);
    varint_put_text(row, who->reason);
}

static bool is_edge(enum change_kind kind)
{
    return kind == CHANGE_LINKED || kind == CHANGE_UNLINKED;
}

static bool is_alias(enum change_kind kind)
{
    return kind == CHANGE_ALIAS_SET || kind == CHANGE_ALIAS_UNSET;
}

void change_put(struct buffer *row, const struct change *c)
{
    buffer_append_u8(row, (uint8_t)c->kind);
    varint_put(row, c->id);
    if (is_edge(c->kind)) {
        varint_put(row, c->label);
        varint_put(row, c->other);
    } else if (is_alias(c->kind)) {
        varint_put_text(row, c->alias);
        varint_put(row, c->from);
        varint_put(row, c->to);
    }
}

int change_row_decode(struct span row, uint64_t revision, struct change_who *ret, struct error *e)
{
    struct varint_reader v = {.rest = span_skip(row, row.len > 0)};
    struct key key = key_u64(revision);
    ret->time_us = varint_get(&v);
    ret->happened_us = varint_get(&v);
    ret->principal = varint_get_text(&v);
    ret->on_behalf_of = varint_get_text(&v);
    ret->reason = varint_get_text(&v);
    ret->changes = v.rest;
    return v.failed ? row_corrupt(e, TABLE_CHANGES, key_span(&key), "is damaged") : 0;
}

int change_who_find(struct view *v, uint64_t revision, struct change_who *ret)
{
    struct key key = key_u64(revision);
    struct span row;
    int rc = view_get(v, TABLE_CHANGES, key_span(&key), &row);
    *ret = (struct change_who){0};
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    return change_row_decode(row, revision, ret, v->error);
}

struct change change_next(struct varint_reader *v)
{
    struct change c = {.kind = (enum change_kind)varint_get(v)};
    c.id = varint_get(v);
    if (is_edge(c.kind)) {
        c.label = (uint32_t)varint_get(v);
        c.other = varint_get(v);
    } else if (is_alias(c.kind)) {
        c.alias = varint_get_text(v);
        c.from = varint_get(v);
        c.to = varint_get(v);
    }
    return c;
}

static uint32_t put_text_unless_empty(struct buffer *out, const char *key, struct span text)
{
    if (text.len == 0) {
        return 0;
    }
    value_put_str(out, key);
    value_put_span(out, text);
    return 1;
}

uint32_t change_put_who(struct buffer *out, uint64_t revision, const struct change_who *who)
{
    value_put_str(out, "revision");
    value_put_uint(out, revision);
    value_put_str(out, "time");
    value_put_uint(out, who->time_us);
    value_put_str(out, "principal");
    value_put_span(out, who->principal);
    uint32_t members = 3;
    members += put_text_unless_empty(out, "on_behalf_of", who->on_behalf_of);
    if (who->happened_us != 0) {
        value_put_str(out, "happened");
        value_put_uint(out, who->happened_us);
        members++;
    }
    return members + put_text_unless_empty(out, "reason", who->reason);
}

const char *change_word(const struct thing *from, const struct thing *to)
{
    if (to->purged) {
        return "purged";
    }
    if (from == NULL) {
        return "created";
    }
    if (from->deleted != to->deleted) {
        return to->deleted ? "deleted" : "undeleted";
    }
    return "changed";
}

/* The props that the change wrote: against those before it, unless the edge is new. */
static int put_edge_props(struct reading *r,
                          uint64_t from,
                          uint32_t label,
                          uint64_t other,
                          enum edge_change change,
                          uint32_t *members)
{
    uint64_t revision = r->view->revision;
    struct edge_props before = {0};
    struct edge_props after = {0};
    int rc = lookup_edge_props(r->view, r->scratch, from, label, other, &after);
    if (rc != 0 || after.set != revision) {
        return rc == 1 ? 0 : rc;
    }
    if (change == EDGE_CHANGED) {
        r->view->revision = revision - 1;
        rc = lookup_edge_props(r->view, r->scratch, from, label, other, &before);
        r->view->revision = revision;
    }
    if (rc < 0) {
        return rc;
    }
    value_put_str(r->out, "props");
    size_t at = value_begin_map(r->out);
    uint32_t keys = 0;
    rc = history_put_pairs(r, NULL, &before.props, &after.props, &keys);
    value_end(r->out, at, keys);
    ++*members;
    return rc;
}

int change_put_edge(struct reading *r,
                    uint64_t from,
                    uint32_t label,
                    uint64_t other,
                    enum edge_change change,
                    bool bare)
{
    struct span text;
    struct span ref;
    int rc = lookup_label_text(r->view, r->scratch, label, &text);
    if (rc == 0) {
        rc = render_ref_of_id(&r->render, other, &ref);
    }
    if (rc != 0) {
        return rc;
    }
    size_t at = value_begin_map(r->out);
    uint32_t members = 3;
    value_put_str(r->out, "change");
    value_put_str(r->out, edge_words[change]);
    value_put_str(r->out, "label");
    value_put_span(r->out, text);
    value_put_str(r->out, "to");
    value_put_span(r->out, ref);
    if (change != EDGE_UNLINKED && !bare) {
        rc = put_edge_props(r, from, label, other, change, &members);
    }
    value_end(r->out, at, members);
    return rc;
}

static int put_version_side(struct reading *r, const char *side, uint64_t version)
{
    uint64_t number;
    if (version == 0) {
        return 0;
    }
    int rc = lookup_version_number(r->view, r->scratch, version, &number);
    if (rc == 0) {
        value_put_str(r->out, side);
        value_put_uint(r->out, number);
    }
    return rc;
}

int change_put_alias(struct reading *r, const struct change *c)
{
    value_put_map(r->out, 1 + (c->from != 0) + (c->to != 0));
    value_put_str(r->out, "alias");
    value_put_span(r->out, c->alias);
    int rc = put_version_side(r, "from", c->from);
    return rc != 0 ? rc : put_version_side(r, "to", c->to);
}
