#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/time_text.h"
#include "base/utf8.h"
#include "command/check_internal.h"
#include "command/txn.h"

int check_fail(struct error *error, int code, const char *key, const char *fmt, ...)
{
    char message[sizeof error->message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    return error_set(error, code, key, "%s", message);
}

int check_fail_inside(struct error *error, int code, const char *fmt, ...)
{
    char path[sizeof error->where];
    va_list args;
    va_start(args, fmt);
    vsnprintf(path, sizeof path, fmt, args);
    va_end(args);
    error_prefix_where(error, "%s", path);
    return code;
}

int check_fail_no_room(const struct arena *arena, size_t bytes, struct error *error)
{
    if (arena_has_room(arena, bytes)) {
        return check_fail(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    return check_fail(error, CLADE_ERR_LIMIT, NULL,
                      "the request needs more than its %zu bytes of memory", arena->bytes_max);
}

const char *check_type_text(const struct value *v)
{
    static const char *const texts[] = {
        [CLADE_NIL] = "nil",           [CLADE_BOOL] = "a boolean",
        [CLADE_UINT] = "an integer",   [CLADE_INT] = "a negative integer",
        [CLADE_DOUBLE] = "a float",    [CLADE_STRING] = "a string",
        [CLADE_BYTES] = "binary data", [CLADE_ARRAY] = "an array",
        [CLADE_MAP] = "a map",
    };
    return texts[value_type(v)];
}

int check_text(
    struct span text, const char *what, size_t bytes_max, bool control, struct error *error)
{
    if (text.len > bytes_max) {
        return check_fail(error, CLADE_ERR_LIMIT, NULL,
                          "%s has at most %zu bytes, this one has %zu", what, bytes_max, text.len);
    }
    if (control) {
        bool valid = utf8_is_valid(text) && (text.len == 0 || !memchr(text.data, 0, text.len));
        return valid ? 0
                     : check_fail(error, CLADE_ERR_INVALID, NULL, "%s must be UTF-8 without NUL",
                                  what);
    }
    if (text.len == 0) {
        return check_fail(error, CLADE_ERR_INVALID, NULL, "%s must not be empty", what);
    }
    if (!utf8_is_printable(text)) {
        return check_fail(error, CLADE_ERR_INVALID, NULL,
                          "%s must be UTF-8 without control characters", what);
    }
    return 0;
}

bool check_number(struct span s, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.len == 0 || (s.len > 1 && s.data[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = s.data[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, digit, &v)) {
            return false;
        }
    }
    *ret = v;
    return true;
}

/* 0 when key is absent and need not be there, so that the caller stops either way. */
static int missing(const char *key, bool required, struct error *error)
{
    return required ? check_fail(error, CLADE_ERR_INVALID, key, "the key \"%s\" is missing", key)
                    : 0;
}

static int fail_type(const struct value *v,
                     const char *key,
                     const char *expected,
                     struct error *error)
{
    return check_fail(error, CLADE_ERR_INVALID, key, "expected %s, got %s", expected,
                      check_type_text(v));
}

int take_text(const struct value *map,
              const char *key,
              bool required,
              size_t bytes_max,
              struct span *ret,
              struct error *error)
{
    const struct value *v = value_get(map, key);
    if (v == NULL) {
        return missing(key, required, error);
    }
    if (value_type(v) != CLADE_STRING) {
        return fail_type(v, key, "a string", error);
    }
    int r = check_text(value_string(v), key, bytes_max, false, error);
    if (r != 0) {
        return check_fail_inside(error, r, "%s", key);
    }
    *ret = value_string(v);
    return 0;
}

int take_flag(const struct value *map, const char *key, bool *ret, struct error *error)
{
    const struct value *v = value_get(map, key);
    if (v != NULL && value_type(v) != CLADE_BOOL) {
        return fail_type(v, key, "a boolean", error);
    }
    *ret = v == NULL ? *ret : value_bool(v);
    return 0;
}

int take_uint(const struct value *map,
              const char *key,
              bool required,
              uint64_t max,
              uint64_t *ret,
              struct error *error)
{
    const struct value *v = value_get(map, key);
    if (v == NULL) {
        return missing(key, required, error);
    }
    if (value_type(v) != CLADE_UINT) {
        return fail_type(v, key, "an integer of 0 or more", error);
    }
    if (value_uint(v) > max) {
        return check_fail(error, CLADE_ERR_LIMIT, key, "%s is at most %" PRIu64 ", got %" PRIu64,
                          key, max, value_uint(v));
    }
    *ret = value_uint(v);
    return 0;
}

int take_namespace(const struct value *map, const char *key, struct span *ret, struct error *error)
{
    struct span path = {0};
    int r = take_text(map, key, false, SIZE_MAX, &path, error);
    if (r != 0 || path.len == 0) {
        return r;
    }
    r = name_check(KIND_NAMESPACE, path, error);
    if (r != 0) {
        return check_fail_inside(error, r, "%s", key);
    }
    *ret = path;
    return 0;
}

int take_ref(
    const struct value *map, const char *key, bool in_txn, struct ref *ret, struct error *error)
{
    const struct value *v = value_get(map, key);
    if (v == NULL) {
        return missing(key, true, error);
    }
    if (value_type(v) != CLADE_STRING) {
        return fail_type(v, key, "a reference (a string)", error);
    }
    int r = ref_parse(value_string(v), in_txn, ret, error);
    return r == 0 ? 0 : check_fail_inside(error, r, "%s", key);
}

int check_fail_choice(struct error *error,
                      const char *key,
                      struct span got,
                      const char *const choices[])
{
    char list[256];
    size_t len = 0;
    for (size_t i = 0; choices[i] != NULL && len < sizeof list; i++) {
        len += (size_t)snprintf(list + len, sizeof list - len, "%s\"%s\"", i == 0 ? "" : ", ",
                                choices[i]);
    }
    return check_fail(error, CLADE_ERR_INVALID, key,
                      "\"%.*s\" is not known here; expected one of %s",
                      (int)(got.len < 64 ? got.len : 64), (const char *)got.data, list);
}

int check_fail_kind(struct error *error, const char *key, struct span got)
{
    const char *kinds[KIND_COUNT];
    for (int kind = KIND_NONE + 1; kind < KIND_COUNT; kind++) {
        kinds[kind - 1] = kind_name((enum kind)kind);
    }
    kinds[KIND_COUNT - 1] = NULL;
    check_fail_choice(error, key, got, kinds);
    if (error != NULL && key == NULL) {
        error_wrap(error, "kind");
    }
    return CLADE_ERR_INVALID;
}

int take_choice(const struct value *map,
                const char *key,
                bool required,
                const char *const choices[],
                int *ret,
                struct error *error)
{
    const struct value *v = value_get(map, key);
    if (v == NULL) {
        return missing(key, required, error);
    }
    if (value_type(v) != CLADE_STRING) {
        return fail_type(v, key, "a string", error);
    }
    for (int i = 0; choices[i] != NULL; i++) {
        if (span_equal_str(value_string(v), choices[i])) {
            *ret = i;
            return 0;
        }
    }
    return check_fail_choice(error, key, value_string(v), choices);
}

int take_time(const struct value *v, uint64_t *ret, struct error *error)
{
    uint64_t us = 0;
    if (value_type(v) == CLADE_UINT) {
        us = value_uint(v);
        if (us > TIME_US_MAX) {
            return check_fail(error, CLADE_ERR_INVALID, NULL,
                              "a time is in microseconds since 1970 and not after the year 9999");
        }
        *ret = us;
        return 0;
    }
    /* A date alone means its end, which is a fine bound for a read and no time of an event. */
    struct span text = value_string(v);
    bool is_date = text.len == sizeof "2026-03-01" - 1;
    if (value_type(v) != CLADE_STRING || is_date || time_parse(text, &us) != 0) {
        return check_fail(
            error, CLADE_ERR_INVALID, NULL,
            "expected a time: microseconds since 1970 UTC, or text as RFC 3339 has it, "
            "with an offset (2026-03-01T12:00:00Z), from 1970 to 9999");
    }
    *ret = us;
    return 0;
}

static bool is_digits(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return false;
        }
    }
    return s.len > 0;
}

static bool parse_as_of(const struct value *v, struct query_as_of *ret)
{
    struct span text = value_string(v);
    if (value_type(v) == CLADE_UINT) {
        *ret = (struct query_as_of){.form = AS_OF_REVISION, .revision = value_uint(v)};
        return true;
    }
    if (is_digits(text)) {
        ret->form = AS_OF_REVISION;
        return check_number(text, &ret->revision);
    }
    /* A date alone has no offset: its end depends on where one is. */
    bool is_date = text.len == sizeof "2026-03-01" - 1;
    ret->form = AS_OF_TIME;
    return !is_date && time_parse(text, &ret->time_us) == 0;
}

int take_as_of(const struct value *map,
               const char *key,
               struct query_as_of *ret,
               struct error *error)
{
    const struct value *v = value_get(map, key);
    if (v == NULL) {
        return check_fail(error, CLADE_ERR_INVALID, key, "the key \"%s\" is missing", key);
    }
    if (parse_as_of(v, ret)) {
        return 0;
    }
    return check_fail(error, CLADE_ERR_INVALID, key,
                      "expected a revision (an integer), or a time as RFC 3339 has it with an "
                      "offset (2026-03-01T12:00:00Z)");
}

int check_ref_kind(enum kind is, enum kind wanted, struct error *error)
{
    if (is == KIND_NONE || wanted == KIND_NONE || is == wanted) {
        return 0;
    }
    return check_fail(error, CLADE_ERR_INVALID, NULL,
                      "expected a reference to kind %s, got one to %s", kind_name(wanted),
                      kind_name(is));
}

static int compare_spans(const void *a, const void *b)
{
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

size_t sort_spans(struct span *spans, size_t len)
{
    if (len == 0) {
        return 0;
    }
    qsort(spans, len, sizeof *spans, compare_spans);
    size_t kept = 1;
    for (size_t i = 1; i < len; i++) {
        if (!span_equal(spans[i], spans[kept - 1])) {
            spans[kept++] = spans[i];
        }
    }
    return kept;
}
