#include "command/prop.h"

#include <clade.h>

#include "base/bytes.h"

#define INT_IN_FLOAT_MAX ((int64_t)1 << 53) /* every integer up to it is a double */

static const struct {
    const char *one;
    const char *list;
} texts[PROP_TYPE_COUNT] = {
    [PROP_ANY] = {NULL, "list"},      [PROP_STRING] = {"string", "string[]"},
    [PROP_INT] = {"int", "int[]"},    [PROP_FLOAT] = {"float", "float[]"},
    [PROP_BOOL] = {"bool", "bool[]"}, [PROP_TIME] = {"time", "time[]"},
    [PROP_JSON] = {"json", "json[]"}, [PROP_REF] = {"ref", "ref[]"},
};

const char *prop_type_text(unsigned type)
{
    unsigned bare = type & ~PROP_LIST;
    if (bare >= PROP_TYPE_COUNT) {
        return "unknown";
    }
    return (type & PROP_LIST) != 0 ? texts[bare].list : texts[bare].one;
}

unsigned prop_type_parse(struct span text)
{
    for (unsigned type = PROP_STRING; type < PROP_TYPE_COUNT; type++) {
        if (span_equal_str(text, texts[type].one)) {
            return type;
        }
        if (span_equal_str(text, texts[type].list)) {
            return type | PROP_LIST;
        }
    }
    return 0;
}

static bool is_text(unsigned type)
{
    return type == PROP_STRING || type == PROP_JSON;
}

void prop_put(struct buffer *b, unsigned type, bool is_list, const struct prop_item *item)
{
    uint8_t bytes[8];
    if (is_text(type)) {
        if (is_list) {
            put_u32le(bytes, (uint32_t)item->text.len);
            buffer_append(b, bytes, 4);
        }
        buffer_append_span(b, item->text);
    } else if (type == PROP_BOOL) {
        buffer_append_u8(b, (uint8_t)item->bits);
    } else {
        put_u64le(bytes, item->bits);
        buffer_append(b, bytes, sizeof bytes);
    }
}

struct prop_reader prop_read(struct span value)
{
    struct prop_reader r = {.type = PROP_TYPE_COUNT};
    if (value.len > 0 && (value.data[0] & ~PROP_LIST) < PROP_TYPE_COUNT) {
        r.type = value.data[0] & ~PROP_LIST;
        r.is_list = (value.data[0] & PROP_LIST) != 0;
        r.rest = span_skip(value, 1);
    }
    return r;
}

static int next_text(struct prop_reader *r, struct prop_item *ret)
{
    size_t len = r->rest.len;
    if (r->is_list) {
        if (len < 4 || get_u32le(r->rest.data) > len - 4) {
            return -1;
        }
        len = get_u32le(r->rest.data);
        r->rest = span_skip(r->rest, 4);
    }
    *ret = (struct prop_item){.text = span_make(r->rest.data, len)};
    r->rest = span_skip(r->rest, len);
    return 1;
}

/* One value is exactly what its type says; an empty string too is one, so `rest` is no measure. */
int prop_next(struct prop_reader *r, struct prop_item *ret)
{
    if (r->type >= PROP_TYPE_COUNT || (r->type == PROP_ANY && (!r->is_list || r->rest.len > 0))) {
        return -1;
    }
    if (r->is_list && r->rest.len == 0) {
        return 0;
    }
    if (is_text(r->type)) {
        return next_text(r, ret);
    }
    size_t len = r->type == PROP_BOOL ? 1 : 8;
    if (r->rest.len < len || (!r->is_list && r->rest.len > len)) {
        return -1;
    }
    uint64_t bits = len == 1 ? r->rest.data[0] : get_u64le(r->rest.data);
    *ret = (struct prop_item){.bits = bits};
    r->rest = span_skip(r->rest, len);
    return len == 1 && bits > 1 ? -1 : 1;
}

bool prop_is_valid(struct span value)
{
    struct prop_reader r = prop_read(value);
    struct prop_item item;
    if (!r.is_list) {
        return prop_next(&r, &item) == 1;
    }
    int rc;
    do {
        rc = prop_next(&r, &item);
    } while (rc == 1);
    return rc == 0;
}

bool prop_fits(struct span value, unsigned type)
{
    unsigned is = value.len > 0 ? value.data[0] : 0;
    return is == type || (is == (PROP_ANY | PROP_LIST) && (type & PROP_LIST) != 0);
}

bool prop_int_is_float(int64_t i)
{
    return i <= INT_IN_FLOAT_MAX && i >= -INT_IN_FLOAT_MAX;
}

bool prop_widens(struct span value, unsigned type)
{
    struct prop_reader r = prop_read(value);
    unsigned list = r.is_list ? PROP_LIST : 0;
    if (r.type != PROP_INT || type != (PROP_FLOAT | list)) {
        return false;
    }
    struct prop_item item;
    int rc = 1;
    while ((r.rest.len > 0) && (rc = prop_next(&r, &item)) == 1) {
        if (!prop_int_is_float((int64_t)item.bits)) {
            return false;
        }
    }
    return rc == 1;
}

void prop_widen(struct buffer *b, struct span value)
{
    struct prop_reader r = prop_read(value);
    struct prop_item item;
    buffer_append_u8(b, (uint8_t)(PROP_FLOAT | (r.is_list ? PROP_LIST : 0)));
    while (r.rest.len > 0 && prop_next(&r, &item) == 1) {
        double d = (double)(int64_t)item.bits;
        memcpy(&item.bits, &d, sizeof d);
        prop_put(b, PROP_FLOAT, r.is_list, &item);
    }
}

bool decl_read(struct span bytes, struct decl *ret)
{
    if (bytes.len < 2 || (bytes.data[0] & ~PROP_LIST) == PROP_ANY ||
        (bytes.data[0] & ~PROP_LIST) >= PROP_TYPE_COUNT) {
        return false;
    }
    *ret =
        (struct decl){.type = bytes.data[0], .flags = bytes.data[1], .unit = span_skip(bytes, 2)};
    return true;
}
