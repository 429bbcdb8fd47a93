#pragma once
/* Borrowed bytes. A span never owns what it points to; whoever made the bytes says how long
 * they live. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data; /* may be NULL only when len is 0 */
    size_t len;          /* bytes */
};

/* The bytes of a C string without its NUL. */
static inline struct span span_of(const char *s)
{
    return (struct span){.data = (const uint8_t *)s, .len = strlen(s)};
}

static inline struct span span_make(const void *data, size_t len)
{
    return (struct span){.data = data, .len = len};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool span_equal_str(struct span a, const char *s)
{
    return span_equal(a, span_of(s));
}

static inline bool span_starts_with(struct span s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.len >= n && memcmp(s.data, prefix, n) == 0;
}

/* The place of s in a list that ends with NULL; that of the NULL when it is not in it. */
static inline size_t span_place_in(struct span s, const char *const list[])
{
    size_t i = 0;
    while (list[i] != NULL && !span_equal_str(s, list[i])) {
        i++;
    }
    return i;
}

static inline bool span_is_one_of(struct span s, const char *const list[])
{
    return list[span_place_in(s, list)] != NULL;
}

/* memcmp order; a proper prefix sorts first. Returns < 0, 0, > 0. */
static inline int span_compare(struct span a, struct span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int r = n == 0 ? 0 : memcmp(a.data, b.data, n);
    if (r != 0) {
        return r;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

/* s without its first n bytes; n must not be above s.len. */
static inline struct span span_skip(struct span s, size_t n)
{
    return (struct span){.data = s.data + n, .len = s.len - n};
}

/* For printf's "%.*s". */
#define SPAN_FMT(s) (int)(s).len, (const char *)(s).data
