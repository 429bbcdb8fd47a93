#pragma once
/* XXH3 (xxHash), 64 and 128 bits. */
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
/* 32 lower-case hex digits, high half first, and a NUL. */
void hash128_format(struct hash128 h, char text[33]);
/* The reverse; false when text is not 32 hex digits. */
bool hash128_parse(struct span text, struct hash128 *ret);
