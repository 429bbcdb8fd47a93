#pragma once
/* XXH3 (xxHash), 64 and 128 bits. */
#include "base/bytes.h"
#include "base/span.h"

struct hash128 {
    uint64_t low;
    uint64_t high;
};

uint64_t hash64(struct span s, uint64_t seed);
struct hash128 hash128(struct span s);
/* 128-bit sums modulo 2^128, for running digests. */
struct hash128 hash128_add(struct hash128 a, struct hash128 b);
struct hash128 hash128_subtract(struct hash128 a, struct hash128 b);
static inline bool hash128_equal(struct hash128 a, struct hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

/* 16 bytes, the low half first. */
static inline void hash128_put(uint8_t *p, struct hash128 h)
{
    put_u64le(p, h.low);
    put_u64le(p + 8, h.high);
}

static inline struct hash128 hash128_get(const uint8_t *p)
{
    return (struct hash128){.low = get_u64le(p), .high = get_u64le(p + 8)};
}

/* 32 lower-case hex digits, high half first, and a NUL. */
void hash128_format(struct hash128 h, char text[33]);
/* The reverse; false when text is not 32 hex digits. */
bool hash128_parse(struct span text, struct hash128 *ret);
