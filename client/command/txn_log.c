/* The operation `log`: params and points of metrics. */
#include <stdlib.h>

#include "command/txn_internal.h"

static const char *const log_keys[] = {"op", "as", "ref", "params", "metrics", NULL};
static const char *const series_keys[] = {"key", "on", "run", "points", NULL};

static int fail_type(struct txn_decode *d, const struct value *v, const char *expected)
{
    return check_fail(d->error, CLADE_ERR_INVALID, NULL, "expected %s, got %s", expected,
                      check_type_text(v));
}

/* --- params ------------------------------------------------------------------------------- */

static int compare_pairs(const void *a, const void *b)
{
    return span_compare(((const struct text_pair *)a)->key, ((const struct text_pair *)b)->key);
}

static int decode_param(struct txn_decode *d, const struct value *v, struct text_pair *pair)
{
    int r = check_text(pair->key, "a param's key", CLADE_MAX_PARAM_KEY_BYTES, false, d->error);
    if (r == 0 && value_type(v) != CLADE_STRING) {
        r = fail_type(d, v, "a string (a param is text, numbers too)");
    }
    pair->value = value_string(v);
    return r != 0 ? r
                  : check_text(pair->value, "a param's value", CLADE_MAX_PARAM_VALUE_BYTES, true,
                               d->error);
}

static int decode_params(struct txn_decode *d, const struct value *map, struct op *op)
{
    size_t len = value_len(map);
    if (value_type(map) != CLADE_MAP) {
        return fail_type(d, map, "a map of strings");
    }
    if (len > CLADE_MAX_PARAMS) {
        return check_fail(d->error, CLADE_ERR_LIMIT, NULL, "a thing has at most %d params, got %zu",
                          CLADE_MAX_PARAMS, len);
    }
    if (len == 0) {
        return 0;
    }
    op->params = arena_calloc(d->arena, len, sizeof *op->params);
    if (op->params == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *op->params, d->error);
    }
    op->params_len = len;
    for (size_t i = 0; i < len; i++) {
        op->params[i].key = value_string(value_key_at(map, i));
        int r = decode_param(d, value_at(map, i), &op->params[i]);
        if (r != 0) {
            return check_fail_inside(d->error, r, "%.*s", SPAN_FMT(op->params[i].key));
        }
    }
    qsort(op->params, len, sizeof *op->params, compare_pairs);
    for (size_t i = 1; i < len; i++) {
        if (span_equal(op->params[i].key, op->params[i - 1].key)) {
            check_fail(d->error, CLADE_ERR_INVALID, NULL, "the key stands here twice");
            return check_fail_inside(d->error, CLADE_ERR_INVALID, "%.*s",
                                     SPAN_FMT(op->params[i].key));
        }
    }
    return 0;
}

/* --- points ------------------------------------------------------------------------------- */

/* JSON has no numbers for these. */
static bool parse_special(struct span text, double *ret)
{
    static const struct {
        const char *name;
        double value;
    } specials[] = {
        {"NaN", __builtin_nan("")}, {"Infinity", __builtin_inf()}, {"-Infinity", -__builtin_inf()}};
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (span_equal_str(text, specials[i].name)) {
            *ret = specials[i].value;
            return true;
        }
    }
    return false;
}

static bool decode_value(const struct value *v, uint64_t *ret)
{
    double value = value_double(v);
    enum clade_type type = value_type(v);
    if (type != CLADE_UINT && type != CLADE_INT && type != CLADE_DOUBLE &&
        !parse_special(value_string(v), &value)) {
        return false;
    }
    *ret = point_value_of(value);
    return true;
}

static int decode_point(struct txn_decode *d, const struct value *v, struct point *ret)
{
    if (value_type(v) != CLADE_ARRAY || value_len(v) != 3) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL,
                          "a point is [step, time in ms, value], not %s", check_type_text(v));
    }
    const struct value *step = value_at(v, 0);
    const struct value *time = value_at(v, 1);
    bool is_whole = value_type(step) == CLADE_INT ||
                    (value_type(step) == CLADE_UINT && value_uint(step) <= INT64_MAX);
    if (!is_whole) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL,
                          "the step must be an integer of 64 bits");
    }
    if (value_type(time) != CLADE_UINT || value_uint(time) > POINT_TIME_MS_MAX) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL,
                          "the time must be an integer, milliseconds since 1970, and not after the "
                          "year 9999");
    }
    ret->step = value_int(step);
    ret->time_ms = value_uint(time);
    if (!decode_value(value_at(v, 2), &ret->value)) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL,
                          "the value must be a number, or one of \"NaN\", \"Infinity\", "
                          "\"-Infinity\"");
    }
    return 0;
}

static int decode_points(struct txn_decode *d, const struct value *map, struct series_write *s)
{
    const struct value *points = value_get(map, "points");
    size_t len = value_len(points);
    if (value_type(points) != CLADE_ARRAY) {
        int r = points == NULL
                    ? check_fail(d->error, CLADE_ERR_INVALID, NULL, "the key \"points\" is missing")
                    : fail_type(d, points, "an array of points");
        return check_fail_inside(d->error, r, "points");
    }
    if (len == 0) {
        return 0;
    }
    s->points = arena_alloc(d->arena, len * sizeof *s->points);
    if (s->points == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *s->points, d->error);
    }
    for (size_t i = 0; i < len; i++) {
        int r = decode_point(d, value_at(points, i), &s->points[i]);
        if (r != 0) {
            return check_fail_inside(d->error, r, "points[%zu]", i);
        }
    }
    s->points_len = points_sort(s->points, len);
    return 0;
}

static int decode_end(struct txn_decode *d,
                      const struct value *map,
                      const char *key,
                      enum kind wanted,
                      bool *ret_has,
                      struct ref *ret)
{
    enum kind kind = KIND_NONE;
    if (value_get(map, key) == NULL) {
        return 0;
    }
    *ret_has = true;
    int r = txn_take_ref(d, map, key, ret, &kind);
    if (r == 0) {
        r = check_ref_kind(kind, wanted, d->error);
        r = r == 0 ? 0 : check_fail_inside(d->error, r, "%s", key);
    }
    return r;
}

static int decode_series(struct txn_decode *d, const struct value *map, struct series_write *s)
{
    if (value_type(map) != CLADE_MAP) {
        return fail_type(d, map, "a map with \"key\" and \"points\"");
    }
    if (!value_keys_known(map, series_keys, d->error)) {
        return CLADE_ERR_INVALID;
    }
    int r = take_text(map, "key", true, SIZE_MAX, &s->key, d->error);
    if (r != 0) {
        return r;
    }
    r = check_text(s->key, "a metric's key", CLADE_MAX_METRIC_KEY_BYTES, false, d->error);
    if (r != 0) {
        return check_fail_inside(d->error, r, "key");
    }
    r = decode_end(d, map, "on", KIND_NONE, &s->has_on, &s->on);
    r = r != 0 ? r : decode_end(d, map, "run", KIND_RUN, &s->has_run, &s->run);
    return r != 0 ? r : decode_points(d, map, s);
}

static int decode_metrics(struct txn_decode *d, const struct value *array, struct op *op)
{
    size_t len = value_len(array);
    if (value_type(array) != CLADE_ARRAY) {
        return fail_type(d, array, "an array of maps with \"key\" and \"points\"");
    }
    if (len == 0) {
        return 0;
    }
    op->series = arena_calloc(d->arena, len, sizeof *op->series);
    if (op->series == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *op->series, d->error);
    }
    op->series_len = len;
    for (size_t i = 0; i < len; i++) {
        int r = decode_series(d, value_at(array, i), &op->series[i]);
        if (r != 0) {
            return check_fail_inside(d->error, r, "[%zu]", i);
        }
    }
    return 0;
}

int txn_decode_log(struct txn_decode *d, const struct value *map, struct op *op)
{
    const struct value *params = value_get(map, "params");
    const struct value *metrics = value_get(map, "metrics");
    if (!value_keys_known(map, log_keys, d->error)) {
        return CLADE_ERR_INVALID;
    }
    int r = txn_take_ref(d, map, "ref", &op->ref, &op->kind);
    if (r != 0) {
        return r;
    }
    if (params == NULL && metrics == NULL) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL, "a log has \"params\" or \"metrics\"");
    }
    if (params != NULL) {
        r = decode_params(d, params, op);
        if (r != 0) {
            return check_fail_inside(d->error, r, "params");
        }
    }
    if (metrics != NULL) {
        r = decode_metrics(d, metrics, op);
        if (r != 0) {
            return check_fail_inside(d->error, r, "metrics");
        }
    }
    return 0;
}
