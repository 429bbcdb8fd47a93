#include <msgpack/pack.h>

#include "base/bytes.h"
#include "base/check.h"
#include "command/value_internal.h"

enum {
    HEAD_UINT8 = 0xCC,
    HEAD_UINT16 = 0xCD,
    HEAD_UINT32 = 0xCE,
    HEAD_UINT64 = 0xCF,
    HEAD_ARRAY32 = 0xDD,
    HEAD_MAP32 = 0xDF,
    HEAD_BYTES = 5 /* of the last two, with their number */
};

static int write_to_buffer(void *data, const char *bytes, size_t len)
{
    return buffer_append(data, bytes, len) ? 0 : -1;
}

static msgpack_packer packer(struct buffer *b)
{
    return (msgpack_packer){.data = b, .callback = write_to_buffer};
}

void value_put_nil(struct buffer *b)
{
    msgpack_packer p = packer(b);
    msgpack_pack_nil(&p);
}

void value_put_bool(struct buffer *b, bool v)
{
    msgpack_packer p = packer(b);
    if (v) {
        msgpack_pack_true(&p);
    } else {
        msgpack_pack_false(&p);
    }
}

void value_put_uint(struct buffer *b, uint64_t v)
{
    msgpack_packer p = packer(b);
    msgpack_pack_uint64(&p, v);
}

/* One by one, a packer's call for each, ten thousand ids take as long as finding them. */
void value_put_uints(struct buffer *b, const uint64_t *values, size_t len)
{
    uint8_t *to = len <= SIZE_MAX / 9 ? buffer_extend(b, 9 * len) : NULL;
    if (to == NULL) {
        b->failed = true;
        return;
    }
    for (size_t i = 0; i < len; i++) {
        uint64_t v = values[i];
        if (v < 0x80) {
            *to++ = (uint8_t)v;
        } else if (v <= UINT16_MAX) {
            bool is_long = v > UINT8_MAX;
            *to++ = is_long ? HEAD_UINT16 : HEAD_UINT8;
            *to = (uint8_t)(v >> 8); /* of a short one written over */
            to += is_long;
            *to++ = (uint8_t)v;
        } else if (v <= UINT32_MAX) {
            *to = HEAD_UINT32;
            put_u32be(to + 1, (uint32_t)v);
            to += 5;
        } else {
            *to = HEAD_UINT64;
            put_u64be(to + 1, v);
            to += 9;
        }
    }
    b->len = (size_t)(to - b->data);
}

void value_put_int(struct buffer *b, int64_t v)
{
    msgpack_packer p = packer(b);
    msgpack_pack_int64(&p, v);
}

void value_put_double(struct buffer *b, double v)
{
    msgpack_packer p = packer(b);
    msgpack_pack_double(&p, v);
}

void value_put_str(struct buffer *b, const char *s)
{
    value_put_span(b, span_of(s));
}

void value_put_span(struct buffer *b, struct span s)
{
    if (s.len > UINT32_MAX) {
        b->failed = true;
        return;
    }
    msgpack_packer p = packer(b);
    msgpack_pack_str(&p, s.len);
    buffer_append_span(b, s);
}

void value_put_bytes(struct buffer *b, struct span s)
{
    if (s.len > UINT32_MAX) {
        b->failed = true;
        return;
    }
    msgpack_packer p = packer(b);
    msgpack_pack_bin(&p, s.len);
    buffer_append_span(b, s);
}

void value_put_array(struct buffer *b, uint32_t members)
{
    msgpack_packer p = packer(b);
    msgpack_pack_array(&p, members);
}

void value_put_map(struct buffer *b, uint32_t members)
{
    msgpack_packer p = packer(b);
    msgpack_pack_map(&p, members);
}

/* Recursion: a decoded value is at most VALUE_DEPTH_MAX deep. */
static void put_members(struct buffer *b, const struct value *v)
{
    for (size_t i = 0; i < value_len(v); i++) {
        if (v->type == CLADE_MAP) {
            value_put_value(b, value_key_at(v, i));
        }
        value_put_value(b, value_at(v, i));
    }
}

void value_put_value(struct buffer *b, const struct value *v)
{
    switch (value_type(v)) {
    case CLADE_NIL:
        value_put_nil(b);
        break;
    case CLADE_BOOL:
        value_put_bool(b, v->as.boolean);
        break;
    case CLADE_UINT:
        value_put_uint(b, v->as.u64);
        break;
    case CLADE_INT:
        value_put_int(b, v->as.i64);
        break;
    case CLADE_DOUBLE:
        value_put_double(b, v->as.f64);
        break;
    case CLADE_STRING:
        value_put_span(b, value_string(v));
        break;
    case CLADE_BYTES:
        value_put_bytes(b, value_bytes(v));
        break;
    case CLADE_ARRAY:
        value_put_array(b, v->len);
        put_members(b, v);
        break;
    case CLADE_MAP:
        value_put_map(b, v->len);
        put_members(b, v);
        break;
    }
}

static size_t begin(struct buffer *b, uint8_t head)
{
    size_t at = b->len;
    uint8_t *p = buffer_extend(b, HEAD_BYTES);
    if (p != NULL) {
        p[0] = head;
        put_u32be(p + 1, 0);
    }
    return at;
}

size_t value_begin_map(struct buffer *b)
{
    return begin(b, HEAD_MAP32);
}

size_t value_begin_array(struct buffer *b)
{
    return begin(b, HEAD_ARRAY32);
}

void value_end(struct buffer *b, size_t at, uint32_t members)
{
    if (b->failed) {
        return;
    }
    CHECK(at + HEAD_BYTES <= b->len);
    CHECK(b->data[at] == HEAD_MAP32 || b->data[at] == HEAD_ARRAY32);
    put_u32be(b->data + at + 1, members);
}
