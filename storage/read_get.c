/* get: many references, each answered by its thing or by its error. */
#include "base/check.h"
#include "command/value.h"
#include "storage/floor.h"
#include "storage/reading.h"
#include "storage/resolve.h"

/* Whether the query wants things in this state. */
static int wants(struct reading *r, const struct thing *t, bool *ret)
{
    bool live;
    int rc = lookup_is_live(r->view, r->scratch, t, &live);
    *ret = r->query->state == CLADE_STATE_ANY || (r->query->state == CLADE_STATE_LIVE) == live;
    return rc;
}

static int nothing_has(struct reading *r, const struct query_target *target)
{
    return error_set(r->error, CLADE_ERR_NOT_FOUND, NULL,
                     "nothing in the namespace has the %s %.*s",
                     target->form == TARGET_URI ? "uri" : "digest", SPAN_FMT(target->what));
}

/* An index row's thing, and whether it holds at the revision. */
static int read_index_row(struct reading *r,
                          const struct query_target *target,
                          const struct row *row,
                          uint64_t *ret_id)
{
    bool uri = target->form == TARGET_URI;
    if (row->value.len != (uri ? URI_VALUE_BYTES : 8u)) {
        return row_corrupt(r->error, uri ? TABLE_URIS : TABLE_DIGESTS, row->key,
                           "has a wrong length");
    }
    uint64_t created = get_u64le(row->value.data);
    uint64_t ended = uri ? get_u64le(row->value.data + 8) : 0;
    *ret_id = get_u64be(row->key.data + row->key.len - (uri ? 16 : 8));
    return lives_at(created, ended, r->view->revision) ? 0 : 1;
}

/* Long uris are found by a hash: the record has the last word. */
static bool has_uri(const struct thing *t, struct span uri)
{
    const struct field_value *uris = &t->fields[FIELD_URIS];
    for (size_t i = 0; i < uris->len; i++) {
        if (span_equal(uris->texts[i], uri)) {
            return true;
        }
    }
    return false;
}

/* The first thing of the query's namespace that is indexed under the digest or the uri. */
static int by_index(struct reading *r, const struct query_target *target, struct thing **ret)
{
    bool uri = target->form == TARGET_URI;
    enum table table = uri ? TABLE_URIS : TABLE_DIGESTS;
    if (!uri && target->what.len > CLADE_MAX_DIGEST_BYTES) {
        return nothing_has(r, target);
    }
    struct key from =
        uri ? key_uri(target->what, r->ns, 0, UINT64_MAX) : key_digest(target->what, r->ns, 0);
    size_t prefix = from.len - (uri ? 16u : 8u);
    struct row row;
    int rc = floor_check_namespace(r->view, r->ns);
    if (rc != 0) {
        return rc;
    }
    rc = view_seek(r->view, table, key_span(&from), &row);
    for (; rc == 0; rc = view_next(r->view, table, &row)) {
        uint64_t id;
        bool wanted = false;
        if (row.key.len != from.len || memcmp(row.key.data, from.bytes, prefix) != 0 ||
            reading_step(r)) {
            break;
        }
        rc = read_index_row(r, target, &row, &id);
        if (rc != 0) {
            rc = rc == 1 ? 0 : rc;
        } else {
            reading_next_item(r);
            rc = lookup_thing(r->view, r->scratch, id, ret);
            if (rc == 0) {
                rc = wants(r, *ret, &wanted);
            }
            wanted = wanted && (!uri || has_uri(*ret, target->what));
        }
        if (rc < 0 || wanted) {
            return rc;
        }
    }
    return rc < 0 ? rc : nothing_has(r, target);
}

int reading_resolve(struct reading *r, const struct ref *ref, struct thing **ret)
{
    /* Deleting a thing frees its name, so a name means a live thing, unless the dead are asked
     * for; an id means its thing for ever. */
    bool by_id = ref->form == REF_ID && r->query->state == CLADE_STATE_ANY;
    bool any = by_id || r->query->state == CLADE_STATE_DELETED;
    struct resolver resolver = {
        .view = r->view, .arena = r->scratch, .ns = r->ns, .any_state = any};
    int rc = resolve(&resolver, ref, ret);
    if (rc == 0 && r->query->state == CLADE_STATE_DELETED) {
        bool wanted;
        rc = wants(r, *ret, &wanted);
        if (rc == 0 && !wanted) {
            rc = error_set(r->error, CLADE_ERR_NOT_FOUND, NULL, "the thing is not deleted");
        }
    }
    return rc;
}

int reading_find(struct reading *r, const struct query_target *target, struct thing **ret)
{
    return target->form == TARGET_REF ? reading_resolve(r, &target->ref, ret)
                                      : by_index(r, target, ret);
}

int reading_emit_error(struct reading *r, const struct query_target *target)
{
    size_t mark = r->out->len;
    value_put_map(r->out, 2);
    value_put_str(r->out, "ref");
    value_put_span(r->out, target->text);
    value_put_str(r->out, "error");
    value_put_error(r->out, r->error, (struct span){0});
    return reading_emitted(r, mark);
}

static int get_one(struct reading *r, const struct query_target *target)
{
    struct thing *thing;
    reading_next_item(r);
    int rc = reading_find(r, target, &thing);
    if (rc != 0) {
        return code_is_fatal(rc) ? rc : reading_emit_error(r, target);
    }
    struct render_options options = {.view = r->query->view,
                                     .with_edges = r->query->with_edges,
                                     .with_aliases = r->query->with_aliases,
                                     .with_params = r->query->with_params,
                                     .with_metrics = r->query->with_metrics};
    size_t mark = r->out->len;
    rc = render_thing(&r->render, thing, &options, r->out);
    if (rc == CLADE_ERR_COMPACTED) { /* what is held may be known, and what decides its state not */
        r->out->len = mark;
        return reading_emit_error(r, target);
    }
    return reading_rendered(r, rc, mark);
}

int read_get(struct reading *r)
{
    size_t i = 0;
    if (r->position.len > 0) {
        if (r->position.len != 4 || get_u32le(r->position.data) > r->query->targets_len) {
            return reading_bad_cursor(r);
        }
        i = get_u32le(r->position.data);
    }
    size_t at = value_begin_array(r->out);
    for (; i < r->query->targets_len; i++) {
        int rc = reading_step(r) ? 1 : get_one(r, &r->query->targets[i]);
        if (rc < 0) {
            return rc;
        }
        if (rc == 1) {
            uint8_t next[4];
            put_u32le(next, (uint32_t)i);
            reading_set_next(r, span_make(next, sizeof next));
            break;
        }
    }
    value_end(r->out, at, r->items);
    return 0;
}
