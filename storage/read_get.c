/* get: many references, each answered by its thing or by its error. */
#include "base/check.h"
#include "command/value.h"
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

static int no_digest(struct reading *r, struct span digest)
{
    return error_set(r->error, CLADE_ERR_NOT_FOUND, NULL,
                     "nothing in the namespace has the digest %.*s", SPAN_FMT(digest));
}

/* The first thing of the query's namespace with the digest. */
static int by_digest(struct reading *r, struct span digest, struct thing **ret)
{
    if (digest.len > CLADE_MAX_DIGEST_BYTES) {
        return no_digest(r, digest);
    }
    struct key prefix = key_digest(digest, r->ns, 0);
    struct row row;
    int rc = view_seek(r->view, TABLE_DIGESTS, key_span(&prefix), &row);
    for (; rc == 0; rc = view_next(r->view, TABLE_DIGESTS, &row)) {
        if (row.key.len != prefix.len || memcmp(row.key.data, prefix.bytes, prefix.len - 8u) != 0 ||
            reading_step(r)) {
            break;
        }
        if (row.value.len != 8) {
            return row_corrupt(r->error, TABLE_DIGESTS, row.key, "has a wrong length");
        }
        if (get_u64le(row.value.data) > r->view->revision) {
            continue;
        }
        bool wanted = false;
        reading_next_item(r);
        rc = lookup_thing(r->view, r->scratch, get_u64be(row.key.data + row.key.len - 8), ret);
        if (rc == 0) {
            rc = wants(r, *ret, &wanted);
        }
        if (rc < 0 || wanted) {
            return rc;
        }
    }
    return rc < 0 ? rc : no_digest(r, digest);
}

int reading_find(struct reading *r, const struct query_target *target, struct thing **ret)
{
    if (target->is_digest) {
        struct span digest = target->text;
        size_t skip = strlen("digest:");
        CHECK(digest.len >= skip);
        return by_digest(r, span_skip(digest, skip), ret);
    }
    /* Deleting a thing frees its name, so a name means a live thing, unless the dead are asked
     * for; an id means its thing for ever. */
    bool by_id = target->ref.form == REF_ID && r->query->state == CLADE_STATE_ANY;
    bool any = by_id || r->query->state == CLADE_STATE_DELETED;
    struct resolver resolver = {
        .view = r->view, .arena = r->scratch, .ns = r->ns, .any_state = any};
    int rc = resolve(&resolver, &target->ref, ret);
    if (rc == 0 && r->query->state == CLADE_STATE_DELETED) {
        bool wanted;
        rc = wants(r, *ret, &wanted);
        if (rc == 0 && !wanted) {
            rc = error_set(r->error, CLADE_ERR_NOT_FOUND, NULL, "the thing is not deleted");
        }
    }
    return rc;
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
                                     .with_params = r->query->with_params,
                                     .with_metrics = r->query->with_metrics};
    size_t mark = r->out->len;
    rc = render_thing(&r->render, thing, &options, r->out);
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
