/* list: the things of a kind in the order of their names, versions by model and number. */
#include "base/check.h"
#include "command/value.h"
#include "storage/reading.h"
#include "storage/resolve.h"

struct listing {
    struct reading *r;
    uint64_t under; /* id; 0 = all */
    struct key at;  /* the names row that is shown; models' for versions */
};

/* Shows the thing if the query wants it: 0, 1 when the page ends before it, or a code. */
static int show(struct listing *l, uint64_t id)
{
    struct reading *r = l->r;
    struct thing *thing;
    bool live;
    reading_next_item(r);
    int rc = lookup_thing(r->view, r->scratch, id, &thing);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    rc = lookup_is_live(r->view, r->scratch, thing, &live);
    if (rc != 0) {
        return rc;
    }
    enum clade_state state = r->query->state;
    if (state != CLADE_STATE_ANY && (state == CLADE_STATE_LIVE) != live) {
        return 0;
    }
    const struct field_value *experiment = &thing->fields[FIELD_EXPERIMENT];
    if (thing->kind == KIND_RUN && l->under != 0 &&
        (!experiment->set || experiment->number != l->under)) {
        return 0;
    }
    return reading_emit(r, thing, 0);
}

/* Where the next page begins: after the names row `at`, for versions after `number` of it. */
static void note_position(struct listing *l, uint64_t number)
{
    uint8_t bytes[KEY_BYTES_MAX + 8];
    put_u64be(bytes, number);
    memcpy(bytes + 8, l->at.bytes, l->at.len);
    reading_set_next(l->r, span_make(bytes, 8u + l->at.len));
}

static int split_position(struct listing *l, uint64_t *ret_number)
{
    struct span p = l->r->position;
    l->at.len = 0;
    *ret_number = 0;
    if (p.len == 0) {
        return 0;
    }
    if (p.len < 8 || p.len > 8 + KEY_BYTES_MAX) {
        return reading_bad_cursor(l->r);
    }
    *ret_number = get_u64be(p.data);
    l->at.len = (uint16_t)(p.len - 8);
    memcpy(l->at.bytes, p.data + 8, p.len - 8);
    return 0;
}

/* A model's versions above `number`. */
static int list_versions(struct listing *l, uint64_t model, uint64_t number)
{
    struct reading *r = l->r;
    if (number == UINT64_MAX) {
        return 0;
    }
    struct key key = key_u64_u64(model, number + 1);
    struct row row;
    int rc = view_seek(r->view, TABLE_VERSIONS, key_span(&key), &row);
    for (; rc == 0; rc = view_next(r->view, TABLE_VERSIONS, &row)) {
        if (row.key.len != 16 || get_u64be(row.key.data) != model) {
            return 0;
        }
        if (row.value.len != 8) {
            return row_corrupt(r->error, TABLE_VERSIONS, row.key, "has a wrong length");
        }
        rc = reading_step(r) ? 1 : show(l, get_u64le(row.value.data));
        if (rc != 0) {
            return rc;
        }
        note_position(l, get_u64be(row.key.data + 8));
    }
    return rc < 0 ? rc : 0;
}

/* Whether a names row shows its thing: the row that holds the name at the revision, or, if dead
 * ones are wanted, the one under which the thing died; renames and undeletes leave others behind.
 */
static int row_counts(struct reading *r, const struct row *row, bool *ret)
{
    uint64_t created = key_name_created(row->key);
    uint64_t ended = get_u64le(row->value.data + 8);
    *ret = lives_at(created, ended, r->view->revision);
    if (*ret || created > r->view->revision || r->query->state == CLADE_STATE_LIVE) {
        return 0;
    }
    struct thing *thing;
    reading_next_item(r);
    int rc = lookup_thing(r->view, r->scratch, get_u64le(row->value.data), &thing);
    if (rc == 0) {
        /* A transaction may have deleted it under several names. */
        struct key key =
            key_name(NAME_SPACE_NAMES, thing->ns, thing->kind, thing->name, thing->named);
        *ret = span_equal(row->key, key_span(&key));
    }
    return rc == 1 ? 0 : rc;
}

static int show_row(struct listing *l, const struct row *row, uint64_t number)
{
    struct reading *r = l->r;
    if (row->value.len != NAME_VALUE_BYTES) {
        return row_corrupt(r->error, TABLE_NAMES, row->key, "has a wrong length");
    }
    uint64_t id = get_u64le(row->value.data);
    bool counts;
    int rc = row_counts(r, row, &counts);
    if (rc != 0 || !counts) {
        return rc;
    }
    return r->query->list_kind == KIND_VERSION ? list_versions(l, id, number) : show(l, id);
}

/* Every name of a kind in the namespace, from the position on. */
static int list_names(struct listing *l, uint64_t number)
{
    struct reading *r = l->r;
    bool versions = r->query->list_kind == KIND_VERSION;
    enum kind kind = versions ? KIND_MODEL : r->query->list_kind;
    uint64_t ns = kind == KIND_NAMESPACE ? NAMESPACE_ROOT : r->ns;
    struct key prefix = key_name_prefix(NAME_SPACE_NAMES, ns, kind);
    struct key from = l->at.len > 0 ? l->at : prefix;
    bool resumed = l->at.len > 0;
    struct row row;
    int rc = view_seek(r->view, TABLE_NAMES, key_span(&from), &row);
    for (; rc == 0; rc = view_next(r->view, TABLE_NAMES, &row)) {
        if (row.key.len < prefix.len + 8u || memcmp(row.key.data, prefix.bytes, prefix.len) != 0) {
            return 0;
        }
        bool here = resumed && span_equal(row.key, key_span(&from));
        if (here && !versions) {
            continue;
        }
        memcpy(l->at.bytes, row.key.data, row.key.len);
        l->at.len = (uint16_t)row.key.len;
        rc = reading_step(r) ? 1 : show_row(l, &row, here ? number : 0);
        if (rc != 0) {
            return rc;
        }
        note_position(l, UINT64_MAX);
        /* Showing may have looked for other names. */
        rc = view_seek(r->view, TABLE_NAMES, key_span(&l->at), &row);
        if (rc != 0) {
            return rc;
        }
    }
    return rc < 0 ? rc : 0;
}

static int find_under(struct listing *l)
{
    struct reading *r = l->r;
    if (!r->query->has_under) {
        return 0;
    }
    enum kind wanted = r->query->list_kind == KIND_VERSION ? KIND_MODEL
                       : r->query->list_kind == KIND_RUN   ? KIND_EXPERIMENT
                                                           : KIND_NONE;
    if (wanted == KIND_NONE) {
        return error_set(r->error, CLADE_ERR_INVALID, "under",
                         "only versions stand under a model, and runs under an experiment");
    }
    struct resolver resolver = {.view = r->view,
                                .arena = r->scratch,
                                .ns = r->ns,
                                .any_state = r->query->state != CLADE_STATE_LIVE};
    struct thing *thing;
    int rc = resolve(&resolver, &r->query->under, &thing);
    if (rc != 0) {
        if (!code_is_fatal(rc)) {
            error_prefix_where(r->error, "under");
        }
        return rc;
    }
    if (thing->kind != wanted) {
        return error_set(r->error, CLADE_ERR_INVALID, "under", "must be %s",
                         kind_with_article(wanted));
    }
    l->under = thing->id;
    /* Runs stand in their experiment's namespace or elsewhere; the query's is listed. */
    return 0;
}

int read_list(struct reading *r)
{
    struct listing l = {.r = r};
    uint64_t number;
    int rc = reading_check_floor(r);
    rc = rc != 0 ? rc : split_position(&l, &number);
    if (rc == 0) {
        rc = find_under(&l);
    }
    if (rc != 0) {
        return rc;
    }
    reading_set_next(r, r->position);
    size_t at = value_begin_array(r->out);
    rc = r->query->list_kind == KIND_VERSION && l.under != 0 ? list_versions(&l, l.under, number)
                                                             : list_names(&l, number);
    value_end(r->out, at, r->items);
    return rc == 1 ? 0 : rc;
}
