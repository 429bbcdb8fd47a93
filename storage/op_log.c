/* log: params and points of metrics. The last points of a series stand in its own row, beside those
 * of the thing's other series: a step of a training adds a point to each, and so writes few pages.
 * The rest is in chunks; points go where they belong whatever order they come in, and a chunk that
 * grows beyond its room is split. What stands in the end depends on the log's order alone, since
 * chunks are laid out anew only by commands. */
#include <inttypes.h>

#include "base/check.h"
#include "command/value.h"
#include "storage/series.h"
#include "storage/usage.h"

/* --- Params ------------------------------------------------------------------------------- */

static int param_differs(struct command *c,
                         const struct thing *t,
                         const struct text_pair *p,
                         struct span there)
{
    error_set(c->error, CLADE_ERR_CONFLICT, NULL,
              "the param is written already, with another value");
    c->error->id = t->id;
    c->error->revision = t->changed.revision;
    error_set_there(c->error, "%.*s", SPAN_FMT(there));
    error_prefix_where(c->error, "params.%.*s", SPAN_FMT(p->key));
    return CLADE_ERR_CONFLICT;
}

/* 0 when the param is there with this value, 1 when it is not there. */
static int find_param(struct command *c, const struct thing *t, const struct text_pair *p)
{
    struct span value;
    int rc = lookup_param(c->view, t->id, p->key, &value);
    if (rc != 0) {
        return rc;
    }
    return span_equal(value, p->value) ? 0 : param_differs(c, t, p, value);
}

static int put_tally(struct command *c, enum table table, uint64_t thing, const struct tally *tally)
{
    struct key key = key_tally(thing);
    uint8_t value[TALLY_BYTES];
    put_u64le(value, tally->count);
    put_u64le(value + 8, tally->bytes);
    return row_put(c->rows, table, key_span(&key), span_make(value, sizeof value));
}

static int insert_param(struct command *c, const struct thing *t, const struct text_pair *p)
{
    buffer_clear(c->record);
    uint8_t created[8];
    put_u64le(created, c->revision);
    buffer_append(c->record, created, sizeof created);
    buffer_append_span(c->record, p->value);
    if (c->record->failed) {
        return error_set(c->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    struct key key = key_param(t->id, p->key);
    return row_insert(c->rows, TABLE_PARAMS, key_span(&key), buffer_span(c->record));
}

static int too_many(struct command *c, const char *where, const char *what, unsigned max)
{
    return error_set(c->error, CLADE_ERR_LIMIT, where, "the thing would have more than %u %s", max,
                     what);
}

static int log_params(struct command *c,
                      const struct op *op,
                      const struct thing *t,
                      uint64_t *ret_new)
{
    struct tally tally = {0};
    int rc = op->params_len > 0 ? lookup_tally(c->view, TABLE_PARAMS, t->id, &tally) : 0;
    uint64_t had = tally.bytes;
    uint64_t added = 0;
    for (size_t i = 0; i < op->params_len && rc == 0; i++) {
        const struct text_pair *p = &op->params[i];
        rc = find_param(c, t, p);
        if (rc == 1) {
            rc = insert_param(c, t, p);
            tally.bytes += p->key.len + p->value.len;
            added++;
        }
    }
    *ret_new = added;
    if (rc != 0 || added == 0) {
        return rc;
    }
    tally.count += added;
    if (tally.count > CLADE_MAX_PARAMS) {
        return too_many(c, "params", "params", CLADE_MAX_PARAMS);
    }
    struct thing touched = *t;
    rc = put_tally(c, TABLE_PARAMS, t->id, &tally);
    rc = rc != 0 ? rc : usage_logged(c, t, tally.bytes - had);
    return rc != 0 ? rc : thing_touch(c, t, &touched);
}

/* --- Points ------------------------------------------------------------------------------- */

/* Points going into one series. */
struct adding {
    struct command *c;
    struct tally *tally; /* of the thing's series */
    struct series series;
    struct chunk tail;
    uint64_t run;
    uint64_t added;
    struct logged_point *merged; /* a chunk with what goes into it: room for that */
};

/* The chunk that a point goes into, and where the next one begins. */
struct place {
    struct key key;
    struct chunk chunk;
    bool has_end;
    struct point end;
};

/* Of rank 0: no point comes before it. A series' first chunk may hold anything from it on. */
static const struct point least = {.step = INT64_MIN, .value = UINT64_MAX};

static bool is_of_series(const struct series *s, struct span row_key)
{
    struct key prefix = key_points_prefix(s->thing, s->number);
    return row_key.len == prefix.len + 24u && memcmp(row_key.data, prefix.bytes, prefix.len) == 0;
}

static struct point point_of_key(struct span key)
{
    const uint8_t *p = key.data + key.len - 24;
    return (struct point){.step = (int64_t)point_step_rank((int64_t)get_u64be(p)),
                          .time_ms = get_u64be(p + 8),
                          .value = point_value_of_rank(get_u64be(p + 16))};
}

static int find_place(struct adding *a, const struct point *point, struct place *ret)
{
    struct view *v = a->c->view;
    struct row row;
    struct key above = key_points(a->series.thing, a->series.number, point);
    above.bytes[above.len++] = 0;
    ret->chunk.len = 0;
    ret->has_end = false;
    int rc = view_before(v, TABLE_POINTS, key_span(&above), &row);
    if (rc < 0) {
        return rc;
    }
    if (rc == 1 || !is_of_series(&a->series, row.key)) {
        ret->key = key_points(a->series.thing, a->series.number, &least);
        return 0;
    }
    ret->key.len = (uint16_t)row.key.len;
    memcpy(ret->key.bytes, row.key.data, row.key.len);
    rc = chunk_of_row(v, &row, &ret->chunk);
    if (rc == 0) {
        rc = view_next(v, TABLE_POINTS, &row);
        if (rc == 0 && is_of_series(&a->series, row.key)) {
            ret->has_end = true;
            ret->end = point_of_key(row.key);
        }
    }
    return rc < 0 ? rc : 0;
}

/* Merges the points before `end` (NULL: all) into a copy of the chunk; returns how many of them
 * were taken, new or not. */
static size_t merge(struct adding *a,
                    const struct chunk *old,
                    const struct point *end,
                    const struct point *points,
                    size_t len,
                    size_t *ret_merged)
{
    size_t taken = 0;
    size_t at = 0;
    size_t n = 0;
    while (taken < len && (end == NULL || point_compare(&points[taken], end) < 0)) {
        const struct point *p = &points[taken];
        int order = at < old->len ? point_compare(&old->points[at].point, p) : 1;
        if (order <= 0) {
            a->merged[n++] = old->points[at++];
            taken += order == 0;
            continue;
        }
        a->merged[n++] =
            (struct logged_point){.point = *p, .created = a->c->revision, .run = a->run};
        series_sums_add(&a->series.sums, p);
        a->added++;
        taken++;
    }
    while (at < old->len) {
        a->merged[n++] = old->points[at++];
    }
    *ret_merged = n;
    return taken;
}

static int put_chunk(struct adding *a, const struct key *key, size_t begin, size_t end, bool is_new)
{
    uint8_t bytes[CHUNK_BYTES_MAX];
    struct span value = span_make(bytes, chunk_encode(&a->merged[begin], end - begin, bytes));
    return is_new ? row_insert(a->c->rows, TABLE_POINTS, key_span(key), value)
                  : row_put(a->c->rows, TABLE_POINTS, key_span(key), value);
}

/* Writes what merge has made: one chunk, or several with equal shares, which leaves room for
 * more. */
static int write_chunks(struct adding *a, const struct place *place, size_t len)
{
    size_t chunks = (len + CHUNK_POINTS_MAX - 1) / CHUNK_POINTS_MAX;
    int rc = 0;
    for (size_t i = 0; i < chunks && rc == 0; i++) {
        size_t begin = len * i / chunks;
        struct key key =
            i == 0 ? place->key
                   : key_points(a->series.thing, a->series.number, &a->merged[begin].point);
        rc = put_chunk(a, &key, begin, len * (i + 1) / chunks, i > 0 || place->chunk.len == 0);
    }
    return rc;
}

/* Points below the tail, each into the chunk that it belongs to. */
static int add_below(struct adding *a, const struct point *points, size_t len)
{
    for (size_t i = 0; i < len;) {
        struct place place;
        size_t merged;
        int rc = find_place(a, &points[i], &place);
        if (rc != 0) {
            return rc;
        }
        i +=
            merge(a, &place.chunk, place.has_end ? &place.end : NULL, &points[i], len - i, &merged);
        if (merged > place.chunk.len) {
            rc = write_chunks(a, &place, merged);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* Points from the tail's first on, as they mostly come. What is too much for the tail becomes full
 * chunks. */
static int add_to_tail(struct adding *a, const struct point *points, size_t len)
{
    bool is_first = a->series.sums.count == a->tail.len; /* there is no chunk yet */
    size_t merged;
    size_t begin = 0;
    merge(a, &a->tail, NULL, points, len, &merged);
    for (; merged - begin > CHUNK_POINTS_MAX; begin += CHUNK_POINTS_MAX) {
        struct key key = key_points(a->series.thing, a->series.number,
                                    is_first ? &least : &a->merged[begin].point);
        int rc = put_chunk(a, &key, begin, begin + CHUNK_POINTS_MAX, true);
        if (rc != 0) {
            return rc;
        }
        is_first = false;
    }
    a->tail.len = (unsigned)(merged - begin);
    memcpy(a->tail.points, &a->merged[begin], a->tail.len * sizeof *a->merged);
    return 0;
}

static int add_points(struct adding *a, const struct point *points, size_t len)
{
    size_t below = 0;
    while (below < len && a->tail.len > 0 &&
           point_compare(&points[below], &a->tail.points[0].point) < 0) {
        below++;
    }
    int rc = add_below(a, points, below);
    return rc != 0 || below == len ? rc : add_to_tail(a, points + below, len - below);
}

/* The series and its tail, or the beginning of a new one. */
static int find_series(struct adding *a, const struct thing *t, struct span key, uint64_t on)
{
    int rc = lookup_series(a->c->view, t->id, key, on, &a->series);
    if (rc != 1) {
        return rc != 0 ? rc : series_tail(a->c->view, &a->series, &a->tail);
    }
    if (a->tally->count >= CLADE_MAX_SERIES) {
        return too_many(a->c, "key", "metric series", CLADE_MAX_SERIES);
    }
    a->tally->count++;
    a->tally->bytes += key.len + (on != 0 ? TALLY_REFERENCE_BYTES : 0);
    a->series = (struct series){
        .thing = t->id, .on = on, .number = (uint32_t)a->tally->count, .created = a->c->revision};
    return 0;
}

/* Ids of what a series' references mean; 0 where there is none. */
static int resolve_ends(struct command *c,
                        const struct series_write *w,
                        uint64_t *ret_on,
                        uint64_t *ret_run)
{
    struct thing *thing;
    int rc = w->has_on ? command_resolve(c, &w->on, "on", &thing) : 0;
    *ret_on = rc == 0 && w->has_on ? thing->id : 0;
    if (rc == 0 && w->has_run) {
        rc = command_resolve(c, &w->run, "run", &thing);
        if (rc == 0 && thing->kind != KIND_RUN) {
            rc = command_wrong_kind(c, "run", KIND_RUN, thing);
        }
    }
    *ret_run = rc == 0 && w->has_run ? thing->id : 0;
    return rc;
}

static int log_series(struct command *c,
                      const struct series_write *w,
                      const struct thing *t,
                      struct tally *tally,
                      struct logged_point *room,
                      uint64_t *ret_new)
{
    struct adding a = {.c = c, .tally = tally, .merged = room};
    uint64_t on;
    int rc = resolve_ends(c, w, &on, &a.run);
    *ret_new = 0;
    if (rc != 0 || w->points_len == 0) {
        return rc;
    }
    rc = find_series(&a, t, w->key, on);
    if (rc == 0) {
        rc = add_points(&a, w->points, w->points_len);
    }
    if (rc != 0 || a.added == 0) {
        return rc;
    }
    a.series.changed = c->revision;
    tally->bytes += a.added * (TALLY_POINT_BYTES + (a.run != 0 ? TALLY_REFERENCE_BYTES : 0));
    uint8_t bytes[SERIES_BYTES_MAX];
    size_t bytes_len = series_encode(&a.series, a.tail.points, a.tail.len, bytes);
    struct key key = key_series(t->id, w->key, on);
    *ret_new = a.added;
    return row_put(c->rows, TABLE_SERIES, key_span(&key), span_make(bytes, bytes_len));
}

static int log_metrics(struct command *c,
                       const struct op *op,
                       const struct thing *t,
                       uint64_t *ret_new)
{
    size_t points_max = 0;
    for (size_t i = 0; i < op->series_len; i++) {
        size_t len = op->series[i].points_len;
        points_max = len > points_max ? len : points_max;
    }
    size_t room_bytes = (points_max + CHUNK_POINTS_MAX) * sizeof(struct logged_point);
    struct logged_point *room = op->series_len > 0 ? arena_alloc(c->scratch, room_bytes) : NULL;
    if (op->series_len > 0 && room == NULL) {
        return arena_failure(c->scratch, room_bytes, c->error);
    }
    struct tally tally = {0};
    int rc = op->series_len > 0 ? lookup_tally(c->view, TABLE_SERIES, t->id, &tally) : 0;
    if (rc != 0) {
        return rc;
    }
    uint64_t had = tally.bytes;
    for (size_t i = 0; i < op->series_len; i++) {
        uint64_t added;
        rc = log_series(c, &op->series[i], t, &tally, room, &added);
        if (rc != 0) {
            error_prefix_where(c->error, "metrics[%zu]", i);
            return rc;
        }
        *ret_new += added;
    }
    rc = *ret_new > 0 ? put_tally(c, TABLE_SERIES, t->id, &tally) : 0;
    return rc != 0 || *ret_new == 0 ? rc : usage_logged(c, t, tally.bytes - had);
}

int op_log(struct command *c, const struct op *op)
{
    struct thing *thing;
    uint64_t params = 0;
    uint64_t points = 0;
    int rc = command_resolve(c, &op->ref, "ref", &thing);
    if (rc != 0) {
        return rc;
    }
    c->op_ids[c->op] = thing->id;
    rc = log_params(c, op, thing, &params);
    if (rc == 0) {
        rc = log_metrics(c, op, thing, &points);
    }
    if (rc != 0) {
        return rc;
    }
    bool changed = params + points > 0;
    if (changed) {
        command_note(c, CHANGE_LOGGED, thing->id, 0, 0);
    }
    rc = command_begin_answer(c, changed ? "changed" : "unchanged", thing, 2);
    if (rc == 0) {
        value_put_str(c->body, "params");
        value_put_uint(c->body, params);
        value_put_str(c->body, "points");
        value_put_uint(c->body, points);
        rc = command_check_answer(c);
    }
    return rc;
}
