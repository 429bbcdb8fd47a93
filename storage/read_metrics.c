/* metrics: series of things, their sums and their points. A page holds whole series as far as they
 * fit; one that does not is cut between two points, and goes on in the next page under the same
 * head. */
#include "base/check.h"
#include "command/value.h"
#include "storage/reading.h"
#include "storage/render_series.h"
#include "storage/sample.h"

/* A cursor's position: u32 target, then nothing, or where in the target: the point that comes next
 * (step, time, value), and key and `on` of its series as in its row's key. */
#define POSITION_TARGET_BYTES 4
#define POSITION_POINT_BYTES  24
#define POSITION_BYTES        (POSITION_TARGET_BYTES + POSITION_POINT_BYTES)

_Static_assert(POSITION_BYTES + KEY_BYTES_MAX <= CURSOR_POSITION_MAX, "a position fits a cursor");

/* What ends a walk, beside the codes. */
enum { CUT = 1, KEY_DONE = 2 };

struct metrics {
    struct reading *r;
    uint32_t target;         /* its place among the query's */
    struct span ref;         /* the thing's */
    uint64_t on;             /* ON_THING */
    uint64_t units;          /* points, and series without any, in the answer so far */
    const struct span *only; /* the key that is wanted; NULL = all */
    bool goes_on;            /* at `from`, in the middle of the first series */
    struct point from;
    struct ref_cache refs;
    /* the series that is being written */
    const struct series *series;
    struct span key;
    uint32_t points;
    struct sample *sample;
    uint64_t matching; /* points of the range, while they are counted */
};

/* --- Where to go on ----------------------------------------------------------------------- */

static uint8_t *put_target(uint8_t *p, uint32_t target)
{
    put_u32le(p, target);
    return p + POSITION_TARGET_BYTES;
}

static void set_next_target(struct metrics *m)
{
    uint8_t bytes[POSITION_TARGET_BYTES];
    put_target(bytes, m->target);
    reading_set_next(m->r, span_make(bytes, sizeof bytes));
}

static void set_next_point(struct metrics *m, const struct point *point)
{
    uint8_t bytes[POSITION_BYTES + KEY_BYTES_MAX];
    uint8_t *p = put_target(bytes, m->target);
    put_u64le(p, (uint64_t)point->step);
    put_u64le(p + 8, point->time_ms);
    put_u64le(p + 16, point->value);
    p += POSITION_POINT_BYTES;
    struct key key = key_series(0, m->key, m->series->on);
    memcpy(p, key.bytes + 8, key.len - 8u);
    p += key.len - 8u;
    reading_set_next(m->r, span_make(bytes, (size_t)(p - bytes)));
}

/* The row of the series that the position is in; `from` is set. */
static int parse_place(struct metrics *m, uint64_t thing, struct key *ret)
{
    struct span p = span_skip(m->r->position, POSITION_TARGET_BYTES);
    if (p.len < POSITION_POINT_BYTES + 1 + 1 + 8 ||
        p.len - POSITION_POINT_BYTES > KEY_BYTES_MAX - 8) {
        return reading_bad_cursor(m->r);
    }
    m->from = (struct point){.step = (int64_t)get_u64le(p.data),
                             .time_ms = get_u64le(p.data + 8),
                             .value = get_u64le(p.data + 16)};
    m->goes_on = true;
    p = span_skip(p, POSITION_POINT_BYTES);
    *ret = key_u64(thing);
    memcpy(ret->bytes + ret->len, p.data, p.len);
    ret->len = (uint16_t)(ret->len + p.len);
    return 0;
}

/* --- Points ------------------------------------------------------------------------------- */

static bool in_range(const struct query *q, const struct point *p)
{
    return p->step >= q->step_min && p->step <= q->step_max && p->time_ms >= q->time_min_ms &&
           p->time_ms <= q->time_max_ms;
}

static uint64_t bytes_max(const struct metrics *m)
{
    uint64_t max = m->r->budget->bytes_max;
    return max != 0 ? max : CLADE_MAX_ANSWER_BYTES;
}

static int put_point(struct metrics *m, const struct logged_point *p)
{
    struct reading *r = m->r;
    size_t mark = r->out->len;
    value_put_array(r->out, p->run != 0 ? 4 : 3);
    value_put_int(r->out, p->point.step);
    value_put_uint(r->out, p->point.time_ms);
    value_put_double(r->out, point_double(p->point.value));
    int rc = p->run != 0 ? ref_cache_put(&m->refs, p->run, r->out) : 0;
    if (rc != 0) {
        return rc;
    }
    if (r->out->failed || r->out->len - r->out_begin > bytes_max(m)) {
        r->out->len = mark;
        r->out->failed = false;
        return CUT;
    }
    m->points++;
    m->units++;
    return 0;
}

static int on_point(void *arg, const struct logged_point *p)
{
    struct metrics *m = arg;
    if (p->point.step > m->r->query->step_max) {
        return KEY_DONE;
    }
    if (!in_range(m->r->query, &p->point)) {
        return reading_step(m->r) ? CUT : 0;
    }
    int rc = reading_step(m->r) || m->units >= m->r->query->limit ? CUT : put_point(m, p);
    if (rc == CUT) {
        set_next_point(m, &p->point);
    }
    return rc;
}

static int on_counted(void *arg, const struct logged_point *p)
{
    struct metrics *m = arg;
    m->matching += in_range(m->r->query, &p->point);
    return reading_step(m->r) ? CUT : 0;
}

static int on_sampled(void *arg, const struct logged_point *p)
{
    struct metrics *m = arg;
    if (in_range(m->r->query, &p->point)) {
        sample_add(m->sample, p);
    }
    return reading_step(m->r) ? CUT : 0;
}

/* Where the range begins in the order of points. */
static const struct point *range_begin(const struct metrics *m, struct point *room)
{
    if (m->goes_on) {
        return &m->from;
    }
    /* The least point of the step: no time, and the value of rank 0. */
    *room = (struct point){.step = m->r->query->step_min, .value = point_value_of_rank(0)};
    return m->r->query->step_min == INT64_MIN ? NULL : room;
}

static int count_matching(struct metrics *m)
{
    m->matching = m->series->sums.count;
    if (!m->r->query->has_range) {
        return 0;
    }
    m->matching = 0;
    return points_each(m->r->view, m->series, NULL, on_counted, m);
}

/* A sampled series comes whole or not at all. */
static int put_sample(struct metrics *m, uint64_t *ret_of)
{
    struct reading *r = m->r;
    struct sample sample;
    struct logged_point *room = arena_alloc(r->scratch, r->query->sample * sizeof *room);
    if (room == NULL) {
        return arena_failure(r->scratch, r->query->sample * sizeof *room, r->error);
    }
    sample_init(&sample, room, r->query->sample, m->matching);
    m->sample = &sample;
    int rc = points_each(r->view, m->series, NULL, on_sampled, m);
    if (rc != 0) {
        return rc;
    }
    sample_end(&sample);
    if (r->items > 0 && m->units + sample.len > r->query->limit) {
        return CUT;
    }
    for (size_t i = 0; i < sample.len && rc == 0; i++) {
        rc = put_point(m, &sample.points[i]);
    }
    *ret_of = m->matching;
    return rc;
}

/* Appends the member "points"; CUT when not all of them are there. `of` is set when those that are
 * stand for more. */
static int put_points(struct metrics *m, uint64_t *ret_of)
{
    struct reading *r = m->r;
    struct point room;
    value_put_str(r->out, "points");
    size_t at = value_begin_array(r->out);
    int rc = r->query->sample > 0 ? count_matching(m) : 0;
    m->points = 0;
    if (rc == 0 && r->query->sample > 0 && m->matching > r->query->sample) {
        rc = put_sample(m, ret_of);
    } else if (rc == 0) {
        rc = points_each(r->view, m->series, range_begin(m, &room), on_point, m);
    }
    value_end(r->out, at, m->points);
    return rc == KEY_DONE ? 0 : rc;
}

/* --- Series ------------------------------------------------------------------------------- */

static int cut_before(struct metrics *m, size_t mark)
{
    m->r->out->len = mark;
    m->r->out->failed = false;
    m->points = 0;
    set_next_point(m, &m->series->sums.first);
    return CUT;
}

/* Nothing of the series is in the page. */
static int put_nothing(struct metrics *m, size_t mark, bool from_middle)
{
    struct reading *r = m->r;
    if (r->items == 0 && !r->stopped) {
        return error_set(r->error, CLADE_ERR_LIMIT, NULL,
                         "a series of the answer does not fit into it; ask for less of it");
    }
    cut_before(m, mark);
    if (from_middle) {
        reading_set_next(r, r->position);
    }
    return CUT;
}

static int put_series(struct metrics *m)
{
    struct reading *r = m->r;
    size_t mark = r->out->len;
    uint64_t before = m->units;
    uint64_t of = 0;
    uint32_t members = 2;
    bool from_middle = m->goes_on;
    m->sample = NULL;
    if (reading_step(r) || m->units >= r->query->limit) {
        return cut_before(m, mark);
    }
    size_t at = value_begin_map(r->out);
    value_put_str(r->out, "ref");
    value_put_span(r->out, m->ref);
    value_put_str(r->out, "id");
    value_put_uint(r->out, m->series->thing);
    int rc = render_sums(&m->refs, m->series, m->key, r->out, &members);
    if (rc == 0 && !r->query->sums_only) {
        rc = put_points(m, &of);
        members++;
    }
    if (of != 0) {
        value_put_str(r->out, "of");
        value_put_uint(r->out, of);
        members++;
    }
    value_end(r->out, at, members);
    if (rc < 0) {
        return rc;
    }
    bool too_long = r->out->failed || r->out->len - r->out_begin > bytes_max(m);
    if (too_long || (rc == CUT && (m->units == before || m->sample != NULL))) {
        m->units = before;
        return put_nothing(m, mark, from_middle);
    }
    m->goes_on = false;
    m->units += m->units == before;
    r->items++;
    return rc;
}

static bool is_wanted(const struct metrics *m, const struct series *s)
{
    switch (m->r->query->on_form) {
    case ON_NOTHING:
        return s->on == 0;
    case ON_THING:
        return s->on == m->on;
    default:
        return true;
    }
}

static int on_series(void *arg, const struct series *series, struct span key)
{
    struct metrics *m = arg;
    if (m->only != NULL && !span_equal(*m->only, key)) {
        return KEY_DONE;
    }
    struct series then = *series;
    m->series = &then;
    m->key = key;
    if (!is_wanted(m, series)) {
        return reading_step(m->r) ? cut_before(m, m->r->out->len) : 0;
    }
    int rc = series_sums_at(m->r->view, &then, reading_stop, m->r);
    if (rc == 1) {
        then = *series;
        return cut_before(m, m->r->out->len);
    }
    return rc != 0 ? rc : put_series(m);
}

/* The series of one thing, from `place` on (NULL: the first). */
static int put_all(struct metrics *m, uint64_t thing, const struct key *place)
{
    m->only = NULL;
    return series_each(m->r->view, thing, place, on_series, m);
}

static int put_keys(struct metrics *m, uint64_t thing, const struct key *place)
{
    const struct query *q = m->r->query;
    for (size_t i = 0; i < q->keys_len; i++) {
        struct key from = key_series(thing, q->keys[i], 0);
        struct key end = key_series(thing, q->keys[i], UINT64_MAX);
        if (place != NULL) {
            if (span_compare(key_span(&end), key_span(place)) < 0) {
                continue;
            }
            from = span_compare(key_span(&from), key_span(place)) < 0 ? *place : from;
        }
        m->only = &q->keys[i];
        int rc = series_each(m->r->view, thing, &from, on_series, m);
        if (rc != 0 && rc != KEY_DONE) {
            return rc;
        }
    }
    return 0;
}

/* --- Targets ------------------------------------------------------------------------------ */

static int find_on(struct metrics *m)
{
    struct reading *r = m->r;
    if (r->query->on_form != ON_THING) {
        return 0;
    }
    struct query_target target = {.ref = r->query->on};
    struct thing *on;
    int rc = reading_find(r, &target, &on);
    if (rc != 0) {
        if (!code_is_fatal(rc)) {
            error_prefix_where(r->error, "on");
        }
        return rc;
    }
    m->on = on->id;
    return 0;
}

static int put_target_series(struct metrics *m, const struct query_target *target, bool in_middle)
{
    struct reading *r = m->r;
    struct thing *thing;
    struct key place;
    reading_next_item(r);
    int rc = reading_find(r, target, &thing);
    if (rc != 0) {
        return code_is_fatal(rc) ? rc : reading_emit_error(r, target);
    }
    rc = render_ref(&r->render, thing, &m->ref);
    if (rc == 0 && in_middle) {
        rc = parse_place(m, thing->id, &place);
    }
    if (rc != 0) {
        return rc;
    }
    const struct key *from = in_middle ? &place : NULL;
    if (thing->purged) {
        return 0; /* what is left of them waits to be erased */
    }
    return r->query->keys != NULL ? put_keys(m, thing->id, from) : put_all(m, thing->id, from);
}

static int put_targets(struct metrics *m)
{
    struct reading *r = m->r;
    bool in_middle = r->position.len > POSITION_TARGET_BYTES;
    if (r->position.len > 0) {
        if (r->position.len < POSITION_TARGET_BYTES ||
            get_u32le(r->position.data) >= r->query->targets_len) {
            return reading_bad_cursor(r);
        }
        m->target = get_u32le(r->position.data);
    }
    for (; m->target < r->query->targets_len; m->target++) {
        size_t mark = r->out->len;
        if (reading_step(r) || m->units >= r->query->limit) {
            set_next_target(m);
            return CUT;
        }
        uint32_t items = r->items;
        int rc = put_target_series(m, &r->query->targets[m->target], in_middle);
        if (rc < 0) {
            return rc;
        }
        if (rc == CUT && r->next_len == 0) {
            CHECK(r->out->len == mark); /* an error of a target that did not fit */
            set_next_target(m);
        }
        if (rc == CUT) {
            return CUT;
        }
        m->units += r->items == items; /* looked at in vain */
        in_middle = false;
        m->goes_on = false;
    }
    return 0;
}

int read_metrics(struct reading *r)
{
    struct metrics m = {.r = r};
    int rc = find_on(&m);
    if (rc != 0) {
        return rc;
    }
    ref_cache_init(&m.refs, &r->render);
    size_t at = value_begin_array(r->out);
    rc = put_targets(&m);
    value_end(r->out, at, r->items);
    ref_cache_release(&m.refs);
    r->full |= rc == CUT && !r->stopped;
    return rc < 0 ? rc : 0;
}
