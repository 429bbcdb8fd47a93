#include "storage/floor.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "base/check.h"

#define FLOOR_HEADER_BYTES 16
#define FLOOR_BYTES_MAX    (FLOOR_HEADER_BYTES + UINT16_MAX) /* a principal's length is a u16 */
#define HIGHEST            UINT64_MAX /* the key of the highest floor of all; no thing's id */
#define PASS_BYTES         32
#define PATH_ARENA_BYTES   (4u << 20)

static struct span pass_key(void)
{
    return span_of("compaction");
}

/* --- Looking -------------------------------------------------------------------------------- */

/* All zero where there is none. */
static int find(struct view *v, uint64_t id, struct floor *ret)
{
    struct key key = key_u64(id);
    struct span value;
    *ret = (struct floor){0};
    int rc = view_get(v, TABLE_FLOORS, key_span(&key), &value);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    if (value.len < FLOOR_HEADER_BYTES) {
        return row_corrupt(v->error, TABLE_FLOORS, key_span(&key), "has a wrong length");
    }
    *ret = (struct floor){.revision = get_u64le(value.data),
                          .time_us = get_u64le(value.data + 8),
                          .by = span_skip(value, FLOOR_HEADER_BYTES)};
    return 0;
}

int floors_load(struct view *v)
{
    struct floor highest;
    int rc = find(v, HIGHEST, &highest);
    v->floor_max = rc == 0 ? highest.revision : 0;
    return rc;
}

int floor_of_namespace(struct view *v, uint64_t ns, struct floor *ret)
{
    if (ns == NAMESPACE_ROOT || v->floor_max == 0) {
        *ret = (struct floor){0};
        return 0;
    }
    return find(v, ns, ret);
}

int floor_of_thing(struct view *v, const struct thing *now, uint64_t *ret)
{
    struct floor floor = {0};
    int rc = 0;
    /* The row of a namespace's id is of what is in it, and not of a hold. */
    if (v->floor_max != 0 && now->kind != KIND_NAMESPACE) {
        rc = now->fields[FIELD_HOLD].set ? find(v, now->id, &floor)
                                         : floor_of_namespace(v, now->ns, &floor);
    }
    *ret = floor.revision;
    return rc;
}

/* The thing as it is now, whatever the view's revision. */
static int load_now(struct view *v, struct arena *arena, uint64_t id, struct thing **ret)
{
    uint64_t revision = v->revision;
    v->revision = UINT64_MAX;
    int rc = lookup_thing(v, arena, id, ret);
    v->revision = revision;
    if (rc == 1) {
        struct key key = key_u64(id);
        return row_corrupt(v->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    return rc;
}

static bool is_under(struct span path, struct span above)
{
    return span_starts_with_span(path, above) &&
           (path.len == above.len || path.data[above.len] == '/');
}

int floor_under(struct view *v, struct span path, uint64_t *ret)
{
    struct arena arena;
    struct row row;
    struct key first = key_u64(0);
    uint64_t highest = 0;
    if (path.len == 0 || v->floor_max == 0) {
        *ret = v->floor_max;
        return 0;
    }
    arena_init(&arena, PATH_ARENA_BYTES);
    int rc = view_seek(v, TABLE_FLOORS, key_span(&first), &row);
    while (rc == 0 && get_u64be(row.key.data) != HIGHEST) {
        struct thing *thing;
        uint64_t floor = get_u64le(row.value.data);
        arena_reset(&arena);
        rc = load_now(v, &arena, get_u64be(row.key.data), &thing);
        if (rc == 0 && thing->kind == KIND_NAMESPACE && is_under(thing->name, path)) {
            highest = floor > highest ? floor : highest;
        }
        rc = rc != 0 ? rc : view_next(v, TABLE_FLOORS, &row);
    }
    arena_release(&arena);
    *ret = highest;
    return rc < 0 ? rc : 0;
}

int floor_of_id(struct view *v, struct arena *arena, uint64_t id, uint64_t *ret)
{
    struct thing *now;
    int rc = load_now(v, arena, id, &now);
    return rc != 0 ? rc : floor_of_thing(v, now, ret);
}

/* --- Refusing ------------------------------------------------------------------------------- */

static int compacted(struct view *v, uint64_t ns, uint64_t floor)
{
    struct arena arena;
    struct thing *thing;
    arena_init(&arena, PATH_ARENA_BYTES);
    int rc = load_now(v, &arena, ns, &thing);
    if (rc == 0) {
        rc = error_set(v->error, CLADE_ERR_COMPACTED, "as_of",
                       "the history of namespace \"%.*s\" before revision %" PRIu64
                       " was compacted: that is the oldest that can be read",
                       SPAN_FMT(thing->name), floor);
        if (v->error != NULL) {
            v->error->revision = floor;
        }
    }
    arena_release(&arena);
    return rc;
}

int floor_check_namespace(struct view *v, uint64_t ns)
{
    struct floor floor;
    if (v->revision >= v->floor_max) {
        return 0;
    }
    int rc = floor_of_namespace(v, ns, &floor);
    return rc != 0 || v->revision >= floor.revision ? rc : compacted(v, ns, floor.revision);
}

int floor_check_thing(struct view *v, const struct thing *now)
{
    uint64_t floor;
    if (v->revision >= v->floor_max) {
        return 0;
    }
    int rc = floor_of_thing(v, now, &floor);
    return rc != 0 || v->revision >= floor ? rc : compacted(v, now->ns, floor);
}

int floor_check_id(struct view *v, struct arena *arena, uint64_t id)
{
    struct thing *now;
    if (v->revision >= v->floor_max) {
        return 0;
    }
    int rc = load_now(v, arena, id, &now);
    return rc != 0 ? rc : floor_check_thing(v, now);
}

/* --- Moving --------------------------------------------------------------------------------- */

static int put(struct rows *rows, uint64_t id, const struct floor *floor)
{
    struct key key = key_u64(id);
    struct buffer value;
    buffer_init(&value, FLOOR_BYTES_MAX);
    uint8_t *head = buffer_extend(&value, FLOOR_HEADER_BYTES);
    if (head != NULL) {
        put_u64le(head, floor->revision);
        put_u64le(head + 8, floor->time_us);
    }
    buffer_append_span(&value, floor->by);
    int rc = value.failed ? error_set(rows->view.error, CLADE_ERR_NO_MEMORY, NULL, "out of memory")
                          : row_put(rows, TABLE_FLOORS, key_span(&key), buffer_span(&value));
    buffer_release(&value);
    return rc;
}

/* Compaction looks, again or for the first time, at what changed above `from` up to `to`. */
static int begin_pass(struct rows *rows, uint64_t from, uint64_t to)
{
    struct floor_pass pass;
    int rc = floor_pass_get(&rows->view, &pass);
    if (rc < 0) {
        return rc;
    }
    if (rc == 1) {
        pass = (struct floor_pass){.next = from + 1, .end = to};
    } else if (from < pass.next) {
        pass.next = from + 1;
        pass.change = 0;
        pass.keeps = 0;
    }
    pass.end = to > pass.end ? to : pass.end;
    return floor_pass_put(rows, &pass);
}

int floor_move(struct rows *rows, uint64_t ns, uint64_t from, const struct floor *to)
{
    CHECK(to->revision > from && to->revision <= rows->meta.revision);
    int rc = put(rows, ns, to);
    if (rc == 0 && to->revision > rows->view.floor_max) {
        rc = put(rows, HIGHEST, &(struct floor){.revision = to->revision});
        rows->view.floor_max = to->revision;
    }
    return rc != 0 ? rc : begin_pass(rows, from, to->revision);
}

int floor_hold(struct rows *rows, const struct thing *thing)
{
    struct floor floor;
    int rc = floor_of_namespace(&rows->view, thing->ns, &floor);
    if (rc != 0 || floor.revision == 0) {
        return rc; /* as with namespaces: they are of the root */
    }
    return put(rows, thing->id, &(struct floor){.revision = floor.revision});
}

int floor_release(struct rows *rows, const struct thing *thing)
{
    struct floor had;
    struct floor has;
    struct key key = key_u64(thing->id);
    if (thing->kind == KIND_NAMESPACE) {
        return 0;
    }
    int rc = find(&rows->view, thing->id, &had);
    rc = rc != 0 ? rc : floor_of_namespace(&rows->view, thing->ns, &has);
    if (rc == 0 && had.revision != 0) {
        rc = row_delete(rows, TABLE_FLOORS, key_span(&key));
    }
    return rc != 0 || has.revision <= had.revision ? rc
                                                   : begin_pass(rows, had.revision, has.revision);
}

/* --- How far this node is ------------------------------------------------------------------- */

int floor_pass_get(struct view *v, struct floor_pass *ret)
{
    struct span value;
    int rc = view_get(v, TABLE_META, pass_key(), &value);
    if (rc != 0) {
        return rc;
    }
    if (value.len != PASS_BYTES) {
        return row_corrupt(v->error, TABLE_META, pass_key(), "has a wrong length");
    }
    *ret = (struct floor_pass){.next = get_u64le(value.data),
                               .end = get_u64le(value.data + 8),
                               .change = get_u64le(value.data + 16),
                               .keeps = get_u64le(value.data + 24)};
    return 0;
}

int floor_pass_put(struct rows *rows, const struct floor_pass *pass)
{
    uint8_t value[PASS_BYTES];
    if (pass->next > pass->end) {
        struct span old;
        int rc = view_get(&rows->view, TABLE_META, pass_key(), &old);
        return rc == 0 ? row_delete(rows, TABLE_META, pass_key()) : rc == 1 ? 0 : rc;
    }
    put_u64le(value, pass->next);
    put_u64le(value + 8, pass->end);
    put_u64le(value + 16, pass->change);
    put_u64le(value + 24, pass->keeps);
    return row_put(rows, TABLE_META, pass_key(), span_make(value, sizeof value));
}
