/* Moving floors: by hand, and by retention. */
#include "storage/compact.h"

#include <inttypes.h>

#include "storage/namespace.h"

#define CURSOR_LIFE_US ((uint64_t)CLADE_MAX_CURSOR_MINUTES * 60 * 1000000)

/* --- By hand ---------------------------------------------------------------------------------- */

/* The newest revision that is older than `age_us`. */
static int revision_of_age(struct view *v, uint64_t now_us, uint64_t age_us, uint64_t *ret)
{
    *ret = 0;
    return now_us <= age_us ? 0 : lookup_revision_at(v, now_us - age_us, ret);
}

static int find_target(struct command *c, const struct op *op, uint64_t *ret)
{
    uint64_t newest = c->rows->meta.revision;
    uint64_t highest;
    int rc = revision_of_age(c->view, c->time_us, CURSOR_LIFE_US, &highest);
    *ret = op->before.revision;
    if (rc == 0 && op->before.form == AS_OF_TIME) {
        rc = lookup_revision_at(c->view, op->before.time_us, ret);
    }
    if (rc != 0) {
        return rc;
    }
    if (*ret > newest) {
        error_set(c->error, CLADE_ERR_INVALID, "before",
                  "revision %" PRIu64 " has not been yet; the newest is %" PRIu64, *ret, newest);
        c->error->revision = newest;
        return CLADE_ERR_INVALID;
    }
    if (*ret > highest) {
        error_set(c->error, CLADE_ERR_INVALID, "before",
                  "what is younger than %d minutes is kept, for cursors: the highest revision that "
                  "can be asked for is %" PRIu64,
                  CLADE_MAX_CURSOR_MINUTES, highest);
        c->error->revision = highest;
        return CLADE_ERR_INVALID;
    }
    return 0;
}

int op_compact(struct command *c, const struct op *op)
{
    struct thing *ns;
    struct floor floor;
    uint64_t to = 0;
    int rc = command_resolve_any(c, &op->ref, "ref", &ns);
    if (rc == 0 && ns->kind != KIND_NAMESPACE) {
        rc = command_wrong_kind(c, "ref", KIND_NAMESPACE, ns);
    }
    rc = rc != 0 ? rc : find_target(c, op, &to);
    rc = rc != 0 ? rc : floor_of_namespace(c->view, ns->id, &floor);
    if (rc != 0) {
        return rc;
    }
    c->op_ids[c->op] = ns->id;
    bool moves = to > floor.revision;
    if (moves) {
        const struct floor moved = {
            .revision = to, .time_us = c->time_us, .by = c->item->principal};
        rc = floor_move(c->rows, ns->id, floor.revision, &moved);
    }
    rc = rc != 0 ? rc : command_begin_answer(c, moves ? "compacted" : "unchanged", ns, 1);
    if (rc != 0) {
        return rc;
    }
    value_put_str(c->body, "floor");
    value_put_uint(c->body, moves ? to : floor.revision);
    return command_check_answer(c);
}

/* --- By retention ----------------------------------------------------------------------------- */

/* Where the namespace's retention has its floor; 0 where everything is kept. */
static int target_of(
    struct view *v, struct arena *arena, uint64_t ns, uint64_t time_us, uint64_t *ret)
{
    struct thing *says;
    *ret = 0;
    int rc = namespace_find(v, arena, ns, FIELD_RETENTION_S, &says);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    uint64_t age_us = says->fields[FIELD_RETENTION_S].number * 1000000;
    return revision_of_age(v, time_us, age_us > CURSOR_LIFE_US ? age_us : CURSOR_LIFE_US, ret);
}

static int compact_one(struct rows *rows, struct arena *scratch, uint64_t ns, uint64_t time_us)
{
    struct thing *thing;
    struct floor floor;
    uint64_t to;
    arena_reset(scratch);
    int rc = lookup_thing(&rows->view, scratch, ns, &thing);
    if (rc != 0 || thing->kind != KIND_NAMESPACE) {
        return rc < 0 ? rc : 0;
    }
    rc = target_of(&rows->view, scratch, ns, time_us, &to);
    rc = rc != 0 ? rc : floor_of_namespace(&rows->view, ns, &floor);
    if (rc != 0 || to <= floor.revision) {
        return rc;
    }
    return floor_move(rows, ns, floor.revision,
                      &(struct floor){.revision = to, .time_us = time_us});
}

int compact_by_retention(struct rows *rows,
                         struct arena *scratch,
                         struct span ids,
                         uint64_t time_us)
{
    if (ids.len % 8 != 0 || ids.len / 8 > RETAIN_NAMESPACES_MAX) {
        return error_set(rows->view.error, CLADE_ERR_INVALID, "ids",
                         "must be at most %d numbers of 8 bytes", RETAIN_NAMESPACES_MAX);
    }
    int rc = 0;
    for (size_t at = 0; at < ids.len && rc == 0; at += 8) {
        rc = compact_one(rows, scratch, get_u64le(ids.data + at), time_us);
    }
    return rc;
}

int store_past_retention(struct store *store,
                         uint64_t now_us,
                         size_t skip,
                         uint64_t *ids,
                         size_t ids_max,
                         size_t *ret_len,
                         struct error *error)
{
    struct key prefix = key_name_prefix(NAME_SPACE_NAMES, NAMESPACE_ROOT, KIND_NAMESPACE);
    struct view v;
    struct row row;
    struct arena arena;
    *ret_len = 0;
    int rc = view_open(&v, store, error);
    if (rc != 0) {
        return rc;
    }
    arena_init(&arena, OPERATION_ARENA_BYTES);
    rc = floors_load(&v);
    rc = rc != 0 ? rc : view_seek(&v, TABLE_NAMES, key_span(&prefix), &row);
    while (rc == 0 && *ret_len < ids_max && row.key.len >= prefix.len + 8u &&
           key_begins(row.key, &prefix)) {
        struct key at = {.len = (uint16_t)row.key.len};
        struct floor floor = {0};
        uint64_t to;
        memcpy(at.bytes, row.key.data, row.key.len);
        arena_reset(&arena);
        uint64_t ns = get_u64le(row.value.data);
        rc = target_of(&v, &arena, ns, now_us, &to);
        rc = rc != 0 ? rc : floor_of_namespace(&v, ns, &floor);
        bool due = rc == 0 && to > floor.revision;
        if (due && skip == 0) {
            ids[(*ret_len)++] = ns;
        }
        skip -= due && skip > 0;
        /* Looking at what stands above it has moved the cursor. */
        rc = rc != 0 ? rc : view_seek(&v, TABLE_NAMES, key_span(&at), &row);
        rc = rc != 0 ? rc : view_next(&v, TABLE_NAMES, &row);
    }
    arena_release(&arena);
    view_close(&v, store);
    return rc < 0 ? rc : 0;
}

bool store_has_past(struct store *store)
{
    struct view view;
    struct floor_pass pass;
    if (view_open(&view, store, NULL) != 0) {
        return false; /* the next look tells */
    }
    int rc = floor_pass_get(&view, &pass);
    view_close(&view, store);
    return rc == 0;
}
