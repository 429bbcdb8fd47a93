#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

enum { CAPACITY_MIN = 64 };

void buffer_init(struct buffer *b, size_t bytes_max)
{
    *b = (struct buffer){.bytes_max = bytes_max};
}

void buffer_release(struct buffer *b)
{
    if (b == NULL) {
        return;
    }
    free(b->data);
    *b = (struct buffer){0};
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
    b->failed = false;
}

static bool reserve(struct buffer *b, size_t len)
{
    CHECK(b->len <= b->bytes_max);
    if (b->failed || len > b->bytes_max - b->len) {
        return false;
    }
    size_t needed = b->len + len;
    if (needed <= b->capacity) {
        return true;
    }
    size_t capacity = b->capacity < CAPACITY_MIN ? CAPACITY_MIN : b->capacity;
    while (capacity < needed && capacity <= SIZE_MAX / 2) {
        capacity *= 2;
    }
    if (capacity > b->bytes_max || capacity < needed) {
        capacity = b->bytes_max;
    }
    uint8_t *data = realloc(b->data, capacity);
    if (data == NULL) {
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

uint8_t *buffer_extend(struct buffer *b, size_t len)
{
    if (!reserve(b, len)) {
        b->failed = true;
        return NULL;
    }
    if (b->data == NULL) {
        return (uint8_t *)b; /* no bytes are written there: any pointer but NULL will do */
    }
    uint8_t *p = b->data + b->len;
    b->len += len;
    return p;
}

bool buffer_append(struct buffer *b, const void *data, size_t len)
{
    uint8_t *p = buffer_extend(b, len);
    if (p == NULL) {
        return false;
    }
    if (len > 0) {
        memcpy(p, data, len);
    }
    return true;
}

bool buffer_append_span(struct buffer *b, struct span s)
{
    return buffer_append(b, s.data, s.len);
}

bool buffer_append_str(struct buffer *b, const char *s)
{
    return buffer_append(b, s, strlen(s));
}

bool buffer_append_u8(struct buffer *b, uint8_t v)
{
    return buffer_append(b, &v, 1);
}

/* vsnprintf writes a NUL behind the text, for which the cap may have no room: so the text is
 * made elsewhere and copied. */
static bool __attribute__((format(printf, 3, 0)))
append_long(struct buffer *b, size_t len, const char *fmt, va_list args)
{
    char *text = b->failed || len > b->bytes_max - b->len ? NULL : malloc(len + 1);
    if (text == NULL) {
        b->failed = true;
        return false;
    }
    vsnprintf(text, len + 1, fmt, args);
    bool fits = buffer_append(b, text, len);
    free(text);
    return fits;
}

bool buffer_append_fmt(struct buffer *b, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    CHECK(n >= 0);
    if ((size_t)n < sizeof text) {
        return buffer_append(b, text, (size_t)n);
    }
    va_start(args, fmt);
    bool fits = append_long(b, (size_t)n, fmt, args);
    va_end(args);
    return fits;
}

void buffer_consume(struct buffer *b, size_t n)
{
    CHECK(n <= b->len);
    if (n == 0) {
        return;
    }
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

uint8_t *buffer_detach(struct buffer *b, size_t *ret_len)
{
    uint8_t *data = b->data;
    *ret_len = b->len;
    *b = (struct buffer){.bytes_max = b->bytes_max};
    return data;
}
