#include "storage/series.h"

#include "base/check.h"
#include "storage/varint.h"

#define CHUNK_VERSION       1
#define PARAM_HEADER_BYTES  8
#define SERIES_HAS_EXTREMES 1u

_Static_assert(CLADE_MAX_METRIC_KEY_BYTES + 8 + 1 + 8 <= KEY_BYTES_MAX, "keys are whole");
_Static_assert(CLADE_MAX_PARAM_KEY_BYTES + 8 <= KEY_BYTES_MAX, "keys are whole");

/* --- Keys --------------------------------------------------------------------------------- */

static void add(struct key *k, const void *data, size_t len)
{
    CHECK(k->len + len <= sizeof k->bytes);
    if (len > 0) {
        memcpy(k->bytes + k->len, data, len);
    }
    k->len = (uint16_t)(k->len + len);
}

static void add_u64(struct key *k, uint64_t v)
{
    uint8_t bytes[8];
    put_u64be(bytes, v);
    add(k, bytes, sizeof bytes);
}

struct key key_tally(uint64_t thing)
{
    return key_u64(thing);
}

struct key key_param(uint64_t thing, struct span key)
{
    struct key k = key_u64(thing);
    add(&k, key.data, key.len);
    return k;
}

struct key key_series(uint64_t thing, struct span key, uint64_t on)
{
    struct key k = key_param(thing, key);
    add(&k, "", 1);
    add_u64(&k, on);
    return k;
}

struct key key_points_prefix(uint64_t thing, uint32_t series)
{
    uint8_t bytes[4];
    struct key k = key_u64(thing);
    put_u32be(bytes, series);
    add(&k, bytes, sizeof bytes);
    return k;
}

struct key key_points(uint64_t thing, uint32_t series, const struct point *least)
{
    struct key k = key_points_prefix(thing, series);
    add_u64(&k, point_step_rank(least->step));
    add_u64(&k, least->time_ms);
    add_u64(&k, point_value_rank(least->value));
    return k;
}

/* --- The row of a series ------------------------------------------------------------------ */

void series_sums_add(struct series_sums *s, const struct point *p)
{
    bool is_nan = point_double(p->value) != point_double(p->value);
    if (s->count == 0 || point_compare(p, &s->first) < 0) {
        s->first = *p;
    }
    if (s->count == 0 || point_compare(p, &s->last) > 0) {
        s->last = *p;
    }
    s->count++;
    if (is_nan) {
        return;
    }
    uint64_t rank = point_value_rank(p->value);
    uint64_t min = point_value_rank(s->min.value);
    uint64_t max = point_value_rank(s->max.value);
    if (!s->has_extremes || rank < min || (rank == min && point_compare(p, &s->min) < 0)) {
        s->min = *p;
    }
    if (!s->has_extremes || rank > max || (rank == max && point_compare(p, &s->max) < 0)) {
        s->max = *p;
    }
    s->has_extremes = true;
}

static uint8_t *put_point(uint8_t *p, const struct point *point)
{
    put_u64le(p, (uint64_t)point->step);
    put_u64le(p + 8, point->time_ms);
    put_u64le(p + 16, point->value);
    return p + 24;
}

static const uint8_t *get_point(const uint8_t *p, struct point *ret)
{
    *ret = (struct point){
        .step = (int64_t)get_u64le(p), .time_ms = get_u64le(p + 8), .value = get_u64le(p + 16)};
    return p + 24;
}

size_t series_encode(const struct series *s,
                     const struct logged_point *tail,
                     size_t tail_len,
                     uint8_t bytes[SERIES_BYTES_MAX])
{
    put_u32le(bytes, s->number);
    put_u32le(bytes + 4, s->sums.has_extremes ? SERIES_HAS_EXTREMES : 0);
    put_u64le(bytes + 8, s->created);
    put_u64le(bytes + 16, s->changed);
    put_u64le(bytes + 24, s->sums.count);
    uint8_t *p = put_point(bytes + 32, &s->sums.first);
    p = put_point(p, &s->sums.last);
    p = put_point(p, &s->sums.min);
    p = put_point(p, &s->sums.max);
    CHECK(p == bytes + SERIES_SUMS_BYTES);
    return SERIES_SUMS_BYTES + chunk_encode(tail, tail_len, p);
}

int series_decode(struct view *v, const struct row *row, struct series *ret, struct span *ret_key)
{
    const uint8_t *p = row->value.data;
    if (row->value.len <= SERIES_SUMS_BYTES || row->key.len < 8 + 1 + 1 + 8 ||
        row->key.data[row->key.len - 9] != 0) {
        return row_corrupt(v->error, TABLE_SERIES, row->key, "is not of the form of a series");
    }
    *ret = (struct series){
        .thing = get_u64be(row->key.data),
        .on = get_u64be(row->key.data + row->key.len - 8),
        .number = get_u32le(p),
        .created = get_u64le(p + 8),
        .changed = get_u64le(p + 16),
        .sums = {.count = get_u64le(p + 24),
                 .has_extremes = (get_u32le(p + 4) & SERIES_HAS_EXTREMES) != 0},
    };
    p = get_point(p + 32, &ret->sums.first);
    p = get_point(p, &ret->sums.last);
    p = get_point(p, &ret->sums.min);
    get_point(p, &ret->sums.max);
    ret->tail = span_skip(row->value, SERIES_SUMS_BYTES);
    *ret_key = span_make(row->key.data + 8, row->key.len - 8 - 9);
    return 0;
}

/* --- Chunks ------------------------------------------------------------------------------- */

static uint64_t zigzag(uint64_t difference)
{
    return difference << 1 ^ (difference >> 63 != 0 ? UINT64_MAX : 0);
}

static uint64_t unzigzag(uint64_t v)
{
    return v >> 1 ^ (0 - (v & 1));
}

static uint8_t *put_number(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

/* A column of which one value mostly stands many times: how often, and the difference from the
 * value before. `offset` is the column's place in struct logged_point. */
static uint8_t *put_runs(uint8_t *p, const struct logged_point *points, size_t len, size_t offset)
{
    uint64_t before = 0;
    for (size_t i = 0; i < len;) {
        uint64_t value;
        uint64_t next;
        memcpy(&value, (const uint8_t *)&points[i] + offset, sizeof value);
        size_t end = i;
        do {
            end++;
            next = value;
            if (end < len) {
                memcpy(&next, (const uint8_t *)&points[end] + offset, sizeof next);
            }
        } while (end < len && next == value);
        p = put_number(p, end - i);
        p = put_number(p, zigzag(value - before));
        before = value;
        i = end;
    }
    return p;
}

static void get_runs(struct varint_reader *r,
                     struct logged_point *points,
                     size_t len,
                     size_t offset)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len;) {
        uint64_t times = varint_get(r);
        value += unzigzag(varint_get(r));
        if (r->failed || times == 0 || times > len - i) {
            r->failed = true;
            return;
        }
        for (; times > 0; times--, i++) {
            memcpy((uint8_t *)&points[i] + offset, &value, sizeof value);
        }
    }
}

size_t chunk_encode(const struct logged_point *points, size_t len, uint8_t bytes[CHUNK_BYTES_MAX])
{
    CHECK(len > 0 && len <= CHUNK_POINTS_MAX);
    uint8_t *p = bytes;
    *p++ = CHUNK_VERSION;
    *p++ = (uint8_t)len;
    uint64_t before = 0;
    for (size_t i = 0; i < len; i++) {
        p = put_number(p, zigzag((uint64_t)points[i].point.step - before));
        before = (uint64_t)points[i].point.step;
    }
    before = 0;
    for (size_t i = 0; i < len; i++) {
        p = put_number(p, zigzag(points[i].point.time_ms - before));
        before = points[i].point.time_ms;
    }
    for (size_t i = 0; i < len; i++, p += 8) {
        put_u64le(p, points[i].point.value);
    }
    p = put_runs(p, points, len, offsetof(struct logged_point, created));
    p = put_runs(p, points, len, offsetof(struct logged_point, run));
    CHECK(p <= bytes + CHUNK_BYTES_MAX);
    return (size_t)(p - bytes);
}

static bool in_order(const struct chunk *c)
{
    for (unsigned i = 1; i < c->len; i++) {
        if (point_compare(&c->points[i - 1].point, &c->points[i].point) >= 0) {
            return false;
        }
    }
    return true;
}

bool chunk_decode(struct span bytes, struct chunk *ret)
{
    if (bytes.len < 2 || bytes.data[0] != CHUNK_VERSION || bytes.data[1] == 0 ||
        bytes.data[1] > CHUNK_POINTS_MAX) {
        return false;
    }
    ret->len = bytes.data[1];
    struct varint_reader r = {.rest = span_skip(bytes, 2)};
    uint64_t value = 0;
    for (unsigned i = 0; i < ret->len; i++) {
        value += unzigzag(varint_get(&r));
        ret->points[i].point.step = (int64_t)value;
    }
    value = 0;
    for (unsigned i = 0; i < ret->len; i++) {
        value += unzigzag(varint_get(&r));
        ret->points[i].point.time_ms = value;
    }
    if (r.failed || r.rest.len < 8 * (size_t)ret->len) {
        return false;
    }
    for (unsigned i = 0; i < ret->len; i++) {
        ret->points[i].point.value = get_u64le(r.rest.data + 8 * (size_t)i);
    }
    r.rest = span_skip(r.rest, 8 * (size_t)ret->len);
    get_runs(&r, ret->points, ret->len, offsetof(struct logged_point, created));
    get_runs(&r, ret->points, ret->len, offsetof(struct logged_point, run));
    return !r.failed && r.rest.len == 0 && in_order(ret);
}

int chunk_of_row(struct view *v, const struct row *row, struct chunk *ret)
{
    return chunk_decode(row->value, ret)
               ? 0
               : row_corrupt(v->error, TABLE_POINTS, row->key, "is not of the form of points");
}

int series_tail(struct view *v, const struct series *s, struct chunk *ret)
{
    struct key key = key_points_prefix(s->thing, s->number);
    return chunk_decode(s->tail, ret) ? 0
                                      : row_corrupt(v->error, TABLE_SERIES, key_span(&key),
                                                    "is not of the form of points");
}

/* --- Look-ups ----------------------------------------------------------------------------- */

int lookup_series(struct view *v, uint64_t thing, struct span key, uint64_t on, struct series *ret)
{
    struct key k = key_series(thing, key, on);
    struct row row = {.key = key_span(&k)};
    struct span text;
    int rc = view_get(v, TABLE_SERIES, row.key, &row.value);
    return rc != 0 ? rc : series_decode(v, &row, ret, &text);
}

int lookup_tally(struct view *v, enum table table, uint64_t thing, struct tally *ret)
{
    struct key key = key_tally(thing);
    struct span value;
    int rc = view_get(v, table, key_span(&key), &value);
    if (rc < 0) {
        return rc;
    }
    if (rc == 0 && value.len != TALLY_BYTES) {
        return row_corrupt(v->error, table, key_span(&key), "has a wrong length");
    }
    *ret = rc == 1
               ? (struct tally){0}
               : (struct tally){.count = get_u64le(value.data), .bytes = get_u64le(value.data + 8)};
    return 0;
}

struct counting {
    struct series_sums sums;
    bool (*stop)(void *arg);
    void *arg;
};

static int count_point(void *arg, const struct logged_point *p)
{
    struct counting *c = arg;
    series_sums_add(&c->sums, &p->point);
    return c->stop != NULL && c->stop(c->arg) ? 1 : 0;
}

int series_sums_at(struct view *v, struct series *s, bool (*stop)(void *arg), void *arg)
{
    if (s->changed <= v->revision) {
        return 0;
    }
    struct counting c = {.stop = stop, .arg = arg};
    int rc = points_each(v, s, NULL, count_point, &c);
    s->sums = c.sums;
    return rc;
}

int series_each(struct view *v, uint64_t thing, const struct key *from, series_cb cb, void *arg)
{
    struct key prefix = key_tally(thing);
    struct key first = from != NULL ? *from : prefix;
    struct row row;
    int rc = view_seek(v, TABLE_SERIES, key_span(&first), &row);
    for (; rc == 0; rc = view_next(v, TABLE_SERIES, &row)) {
        if (!key_begins(row.key, &prefix)) {
            return 0;
        }
        if (row.key.len == prefix.len) {
            continue; /* the tally */
        }
        struct series s;
        struct span key;
        rc = series_decode(v, &row, &s, &key);
        if (rc == 0 && s.created <= v->revision) {
            rc = cb(arg, &s, key);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return rc < 0 ? rc : 0;
}

/* The chunk that `point` is or would be in; NULL: the first one. */
static int seek_chunk(struct view *v,
                      const struct series *s,
                      const struct point *point,
                      struct row *ret)
{
    struct key prefix = key_points_prefix(s->thing, s->number);
    if (point == NULL) {
        return view_seek(v, TABLE_POINTS, key_span(&prefix), ret);
    }
    struct key above = key_points(s->thing, s->number, point);
    add(&above, "", 1);
    return view_before(v, TABLE_POINTS, key_span(&above), ret);
}

/* Calls `cb` for what stands in the chunk at the view's revision, from `from` on. */
static int chunk_each(
    struct view *v, const struct chunk *chunk, const struct point *from, point_cb cb, void *arg)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < chunk->len; i++) {
        const struct logged_point *p = &chunk->points[i];
        if (p->created <= v->revision && (from == NULL || point_compare(&p->point, from) >= 0)) {
            rc = cb(arg, p);
        }
    }
    return rc;
}

int points_each(
    struct view *v, const struct series *s, const struct point *from, point_cb cb, void *arg)
{
    struct key prefix = key_points_prefix(s->thing, s->number);
    struct row row;
    struct chunk chunk;
    struct chunk tail;
    int rc = series_tail(v, s, &tail);
    if (rc != 0) {
        return rc;
    }
    if (from == NULL || point_compare(from, &tail.points[0].point) < 0) {
        rc = seek_chunk(v, s, from, &row);
        for (; rc == 0 && key_begins(row.key, &prefix); rc = view_next(v, TABLE_POINTS, &row)) {
            rc = chunk_of_row(v, &row, &chunk);
            if (rc == 0) {
                rc = chunk_each(v, &chunk, from, cb, arg);
            }
            if (rc != 0) {
                return rc;
            }
        }
    }
    return rc < 0 ? rc : chunk_each(v, &tail, from, cb, arg);
}

int lookup_param(struct view *v, uint64_t thing, struct span key, struct span *ret)
{
    struct span value;
    if (key.len == 0 || key.len > CLADE_MAX_PARAM_KEY_BYTES) {
        return 1;
    }
    struct key k = key_param(thing, key);
    int rc = view_get(v, TABLE_PARAMS, key_span(&k), &value);
    if (rc != 0) {
        return rc;
    }
    if (value.len < PARAM_HEADER_BYTES) {
        return row_corrupt(v->error, TABLE_PARAMS, key_span(&k), "has a wrong length");
    }
    *ret = span_skip(value, PARAM_HEADER_BYTES);
    return get_u64le(value.data) <= v->revision ? 0 : 1;
}

int params_each(struct view *v, uint64_t thing, uint64_t since, param_cb cb, void *arg)
{
    struct key prefix = key_tally(thing);
    struct row row;
    int rc = view_seek(v, TABLE_PARAMS, key_span(&prefix), &row);
    for (; rc == 0; rc = view_next(v, TABLE_PARAMS, &row)) {
        if (!key_begins(row.key, &prefix)) {
            return 0;
        }
        if (row.key.len == prefix.len) {
            continue; /* the tally */
        }
        if (row.value.len < PARAM_HEADER_BYTES) {
            return row_corrupt(v->error, TABLE_PARAMS, row.key, "has a wrong length");
        }
        uint64_t created = get_u64le(row.value.data);
        if (since <= created && created <= v->revision) {
            rc = cb(arg, span_skip(row.key, prefix.len), span_skip(row.value, PARAM_HEADER_BYTES));
        }
        if (rc != 0) {
            return rc;
        }
    }
    return rc < 0 ? rc : 0;
}
