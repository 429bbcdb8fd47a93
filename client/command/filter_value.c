/* What queries in text compare: numbers, and texts with patterns. */
#include <stdlib.h>

#include "command/filter.h"

#define NUMBER_BYTES_MAX 400 /* the digits of the smallest double and its like */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* --- Numbers -------------------------------------------------------------------------------- */

static size_t skip_digits(struct span s, size_t at)
{
    while (at < s.len && is_digit(s.data[at])) {
        at++;
    }
    return at;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before or behind the dot. */
static bool is_number(struct span s, bool *ret_whole)
{
    size_t begin = s.len > 0 && (s.data[0] == '-' || s.data[0] == '+');
    size_t at = skip_digits(s, begin);
    size_t digits = at - begin;
    *ret_whole = at == s.len;
    if (at < s.len && s.data[at] == '.') {
        size_t end = skip_digits(s, at + 1);
        digits += end - at - 1;
        at = end;
    }
    if (digits > 0 && at < s.len && (s.data[at] == 'e' || s.data[at] == 'E')) {
        at++;
        at += at < s.len && (s.data[at] == '-' || s.data[at] == '+');
        size_t end = skip_digits(s, at);
        digits = end - at;
        at = end;
    }
    return digits > 0 && at == s.len && s.len <= NUMBER_BYTES_MAX;
}

bool filter_parse_number(struct span text, struct filter_number *ret)
{
    char digits[NUMBER_BYTES_MAX + 1];
    struct filter_number n = {0};
    bool whole;
    if (!is_number(text, &whole)) {
        return false;
    }
    memcpy(digits, text.data, text.len);
    digits[text.len] = '\0';
    /* Correctly rounded, so the same on every machine. */
    n.value = strtod(digits, NULL);
    n.is_negative = digits[0] == '-';
    size_t at = digits[0] == '-' || digits[0] == '+';
    for (; whole && at < text.len; at++) {
        whole = !__builtin_mul_overflow(n.magnitude, 10, &n.magnitude) &&
                !__builtin_add_overflow(n.magnitude, (uint64_t)(digits[at] - '0'), &n.magnitude);
    }
    n.is_whole = whole;
    n.is_negative = n.is_negative && (!whole || n.magnitude > 0);
    *ret = n;
    return true;
}

int filter_compare_numbers(const struct filter_number *a, const struct filter_number *b)
{
    if (!a->is_whole || !b->is_whole) {
        return (a->value > b->value) - (a->value < b->value);
    }
    if (a->is_negative != b->is_negative) {
        return a->is_negative ? -1 : 1;
    }
    int order = (a->magnitude > b->magnitude) - (a->magnitude < b->magnitude);
    return a->is_negative ? -order : order;
}

/* --- LIKE ----------------------------------------------------------------------------------- */

static uint8_t folded(uint8_t c, bool fold)
{
    return fold && c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* The bytes of the character that begins at `at`. */
static size_t character(struct span s, size_t at)
{
    size_t end = at + 1;
    while (end < s.len && (s.data[end] & 0xc0) == 0x80) {
        end++;
    }
    return end - at;
}

/* Tries one element of the pattern at *p against the text at *t; moves both on where it fits. */
static bool take_element(struct span text, struct span pattern, bool fold, size_t *t, size_t *p)
{
    if (*p == pattern.len || *t == text.len) {
        return false;
    }
    if (pattern.data[*p] == '_') {
        *t += character(text, *t);
        ++*p;
        return true;
    }
    size_t at = *p + (pattern.data[*p] == '\\' && *p + 1 < pattern.len);
    if (folded(text.data[*t], fold) != folded(pattern.data[at], fold)) {
        return false;
    }
    *p = at + 1;
    ++*t;
    return true;
}

/* Where an element does not fit, the last '%' takes one more character. */
bool filter_like(struct span text, struct span pattern, bool fold, uint64_t *steps)
{
    size_t t = 0;
    size_t p = 0;
    size_t star_t = 0;
    size_t star_p = SIZE_MAX; /* behind the last '%' */
    while (*steps > 0) {
        --*steps;
        if (p < pattern.len && pattern.data[p] == '%') {
            star_p = ++p;
            star_t = t;
        } else if (t == text.len && p == pattern.len) {
            return true;
        } else if (!take_element(text, pattern, fold, &t, &p)) {
            if (star_p == SIZE_MAX || star_t == text.len) {
                return false;
            }
            star_t += character(text, star_t);
            t = star_t;
            p = star_p;
        }
    }
    return false;
}
