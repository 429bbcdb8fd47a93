#include "base/utf8.h"

/* The length of the character at p, 0 when there is none; its code point in *ret. RFC 3629,
 * section 4: the second byte's range is what keeps overlong forms and surrogates out. */
static size_t decode(const uint8_t *p, size_t len, uint32_t *ret)
{
    uint8_t first = p[0];
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    size_t n;
    if (first < 0x80) {
        *ret = first;
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        n = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
        n = 3;
        low = first == 0xE0 ? 0xA0 : low;
        high = first == 0xED ? 0x9F : high;
    } else if (first >= 0xF0 && first <= 0xF4) {
        n = 4;
        low = first == 0xF0 ? 0x90 : low;
        high = first == 0xF4 ? 0x8F : high;
    } else {
        return 0;
    }
    if (len < n || p[1] < low || p[1] > high) {
        return 0;
    }
    uint32_t c = first & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3F);
    }
    *ret = c;
    return n;
}

static bool is_ascii8(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return (word & UINT64_C(0x8080808080808080)) == 0;
}

bool utf8_is_valid(struct span s)
{
    size_t i = 0;
    while (i < s.len) {
        if (s.len - i >= 8 && is_ascii8(s.data + i)) {
            i += 8;
            continue;
        }
        uint32_t c;
        size_t n = decode(s.data + i, s.len - i, &c);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

size_t utf8_printable_at(struct span s)
{
    uint32_t c;
    size_t n = s.len == 0 ? 0 : decode(s.data, s.len, &c);
    return n == 0 || c < 0x20 || (c >= 0x7F && c <= 0x9F) ? 0 : n;
}

bool utf8_is_printable(struct span s)
{
    while (s.len > 0) {
        size_t n = utf8_printable_at(s);
        if (n == 0) {
            return false;
        }
        s = span_skip(s, n);
    }
    return true;
}
