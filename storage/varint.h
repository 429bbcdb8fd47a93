#pragma once
/* Little-endian base-128 numbers and length-prefixed strings, written into capped buffers and
 * read with checks: the building blocks of stored values. */
#include "base/buffer.h"

static inline void varint_put(struct buffer *b, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;
    while (v >= 0x80) {
        bytes[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    bytes[n++] = (uint8_t)v;
    buffer_append(b, bytes, n);
}

static inline void varint_put_text(struct buffer *b, struct span s)
{
    varint_put(b, s.len);
    buffer_append_span(b, s);
}

/* What is left to read; `failed` is sticky and everything read after it is zero. */
struct varint_reader {
    struct span rest;
    bool failed;
};

static inline uint64_t varint_get(struct varint_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && r->rest.len > 0; shift += 7) {
        uint8_t byte = r->rest.data[0];
        r->rest = span_skip(r->rest, 1);
        if (shift == 63 && byte > 1) {
            break;
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return v;
        }
    }
    r->failed = true;
    r->rest.len = 0;
    return 0;
}

static inline struct span varint_get_text(struct varint_reader *r)
{
    uint64_t len = varint_get(r);
    if (r->failed || len > r->rest.len) {
        r->failed = true;
        r->rest.len = 0;
        return (struct span){0};
    }
    struct span s = {.data = r->rest.data, .len = (size_t)len};
    r->rest = span_skip(r->rest, (size_t)len);
    return s;
}
