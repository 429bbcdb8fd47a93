#include "base/hash.h"

#include <stdio.h>

#include <xxhash.h>

uint64_t hash64(struct span s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.data, s.len, seed);
}

struct hash128 hash128(struct span s)
{
    XXH128_hash_t h = XXH3_128bits(s.data, s.len);
    return (struct hash128){.low = h.low64, .high = h.high64};
}

struct hash128 hash128_add(struct hash128 a, struct hash128 b)
{
    uint64_t low = a.low + b.low;
    return (struct hash128){.low = low, .high = a.high + b.high + (low < a.low)};
}

struct hash128 hash128_subtract(struct hash128 a, struct hash128 b)
{
    return (struct hash128){.low = a.low - b.low, .high = a.high - b.high - (a.low < b.low)};
}

void hash128_format(struct hash128 h, char text[33])
{
    snprintf(text, 33, "%016llx%016llx", (unsigned long long)h.high, (unsigned long long)h.low);
}

static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_half(const uint8_t *digits, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < 16; i++) {
        int d = digit_of(digits[i]);
        if (d < 0) {
            return false;
        }
        v = v << 4 | (uint64_t)d;
    }
    *ret = v;
    return true;
}

bool hash128_parse(struct span text, struct hash128 *ret)
{
    struct hash128 h;
    if (text.len != 32 || !parse_half(text.data, &h.high) || !parse_half(text.data + 16, &h.low)) {
        return false;
    }
    *ret = h;
    return true;
}
