#include "consensus/supply_wire.h"

#include "base/bytes.h"

/* Reads fixed fields; after the first that is not there, `failed` and zeros. */
struct input {
    struct span rest;
    bool failed;
};

static const uint8_t *take(struct input *in, size_t n)
{
    if (in->failed || in->rest.len < n) {
        in->failed = true;
        return NULL;
    }
    const uint8_t *at = in->rest.data;
    in->rest = span_skip(in->rest, n);
    return at;
}

static uint64_t take_u64(struct input *in)
{
    const uint8_t *at = take(in, 8);
    return at == NULL ? 0 : get_u64le(at);
}

static uint32_t take_u32(struct input *in)
{
    const uint8_t *at = take(in, 4);
    return at == NULL ? 0 : get_u32le(at);
}

static struct hash128 take_hash(struct input *in)
{
    struct hash128 h;
    h.low = take_u64(in);
    h.high = take_u64(in);
    return h;
}

static void put_u64(struct buffer *b, uint64_t v)
{
    uint8_t bytes[8];
    put_u64le(bytes, v);
    (void)buffer_append(b, bytes, sizeof bytes);
}

static void put_u32(struct buffer *b, uint32_t v)
{
    uint8_t bytes[4];
    put_u32le(bytes, v);
    (void)buffer_append(b, bytes, sizeof bytes);
}

static void put_hash(struct buffer *b, struct hash128 h)
{
    put_u64(b, h.low);
    put_u64(b, h.high);
}

static void put_head(struct buffer *b, uint64_t boot, uint64_t number, enum supply_what what)
{
    put_u64(b, boot);
    put_u64(b, number);
    (void)buffer_append_u8(b, (uint8_t)what);
}

static bool take_head(struct input *in, uint64_t *boot, uint64_t *number, enum supply_what *what)
{
    *boot = take_u64(in);
    *number = take_u64(in);
    const uint8_t *w = take(in, 1);
    if (w == NULL || *w < SUPPLY_ARCHIVE || *w > SUPPLY_CLOSE_COPY) {
        return false;
    }
    *what = (enum supply_what) * w;
    return true;
}

void fetch_encode(struct buffer *b, const struct fetch *f)
{
    put_head(b, f->boot, f->number, f->what);
    put_u64(b, f->what == SUPPLY_ARCHIVE ? f->after : f->copy);
    if (f->what == SUPPLY_READ_COPY) {
        put_u64(b, f->offset);
    }
    if (f->what == SUPPLY_ARCHIVE || f->what == SUPPLY_READ_COPY) {
        put_u32(b, f->bytes);
    }
}

bool fetch_decode(struct span bytes, struct fetch *ret)
{
    struct input in = {.rest = bytes};
    struct fetch f = {0};
    if (!take_head(&in, &f.boot, &f.number, &f.what)) {
        return false;
    }
    if (f.what == SUPPLY_ARCHIVE) {
        f.after = take_u64(&in);
    } else {
        f.copy = take_u64(&in);
    }
    if (f.what == SUPPLY_READ_COPY) {
        f.offset = take_u64(&in);
    }
    if (f.what == SUPPLY_ARCHIVE || f.what == SUPPLY_READ_COPY) {
        f.bytes = take_u32(&in);
    }
    if (in.failed || in.rest.len != 0) {
        return false;
    }
    *ret = f;
    return true;
}

void supply_encode(struct buffer *b, const struct supply *s)
{
    put_head(b, s->boot, s->number, s->what);
    put_u32(b, (uint32_t)s->code);
    switch (s->what) {
    case SUPPLY_ARCHIVE:
        put_u64(b, s->last);
        break;
    case SUPPLY_OPEN_COPY:
        put_u64(b, s->copy);
        put_u64(b, s->info.bytes);
        put_u64(b, s->info.applied);
        put_u64(b, s->info.revision);
        put_hash(b, s->info.data);
        put_hash(b, s->info.state);
        put_u64(b, s->info.time_us);
        break;
    case SUPPLY_READ_COPY:
        put_u64(b, s->copy);
        put_u64(b, s->offset);
        put_u64(b, s->checksum);
        break;
    case SUPPLY_CLOSE_COPY:
        break;
    }
}

bool supply_decode(struct span bytes, struct supply *ret)
{
    struct input in = {.rest = bytes};
    struct supply s = {0};
    if (!take_head(&in, &s.boot, &s.number, &s.what)) {
        return false;
    }
    s.code = (int32_t)take_u32(&in);
    switch (s.what) {
    case SUPPLY_ARCHIVE:
        s.last = take_u64(&in);
        s.bytes = in.rest;
        break;
    case SUPPLY_OPEN_COPY:
        s.copy = take_u64(&in);
        s.info.bytes = take_u64(&in);
        s.info.applied = take_u64(&in);
        s.info.revision = take_u64(&in);
        s.info.data = take_hash(&in);
        s.info.state = take_hash(&in);
        s.info.time_us = take_u64(&in);
        break;
    case SUPPLY_READ_COPY:
        s.copy = take_u64(&in);
        s.offset = take_u64(&in);
        s.checksum = take_u64(&in);
        s.bytes = in.rest;
        break;
    case SUPPLY_CLOSE_COPY:
        break;
    }
    bool has_bytes = s.what == SUPPLY_ARCHIVE || s.what == SUPPLY_READ_COPY;
    if (in.failed || s.code > 0 || (!has_bytes && in.rest.len != 0)) {
        return false;
    }
    *ret = s;
    return true;
}
