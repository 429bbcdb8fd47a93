#pragma once
/* A growable byte buffer with a cap that its owner states at init. Appending past the cap, or
 * when memory runs out, changes nothing but the sticky `failed` flag: a writer appends at will
 * and its owner looks once at the end. Zeroed memory is a buffer with a cap of 0. */
#include "base/span.h"

struct buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;  /* bytes allocated */
    size_t bytes_max; /* the cap; len never exceeds it */
    bool failed;      /* an append did not fit */
};

void buffer_init(struct buffer *b, size_t bytes_max);
/* Frees the bytes and zeroes the buffer. Accepts NULL and zeroed ones. */
void buffer_release(struct buffer *b);
/* Empties it, keeps the memory and the cap, clears `failed`. */
void buffer_clear(struct buffer *b);

/* Appends; true when it fitted. */
bool buffer_append(struct buffer *b, const void *data, size_t len);
bool buffer_append_span(struct buffer *b, struct span s);
bool buffer_append_str(struct buffer *b, const char *s);
bool buffer_append_u8(struct buffer *b, uint8_t v);
bool buffer_append_fmt(struct buffer *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Makes room for len more bytes and returns where they go (uninitialised, counted into len at
 * once), or NULL when it failed. */
uint8_t *buffer_extend(struct buffer *b, size_t len);
/* Drops the first n bytes (n <= len), moving the rest down. */
void buffer_consume(struct buffer *b, size_t n);

static inline struct span buffer_span(const struct buffer *b)
{
    return (struct span){.data = b->data, .len = b->len};
}

/* Hands the bytes to the caller, who frees them with free(); the buffer is empty after. */
uint8_t *buffer_detach(struct buffer *b, size_t *ret_len);
