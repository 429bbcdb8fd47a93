#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "base/check.h"

enum {
    ALIGNMENT = 16,
    CHUNK_BYTES_MIN = 4096,
    CHUNK_BYTES_MAX = 65536 /* of an ordinary chunk; what is larger gets one of its own size */
};

struct arena_chunk {
    struct arena_chunk *next;
    size_t capacity; /* bytes of data */
    size_t used;
    alignas(ALIGNMENT) uint8_t data[];
};

void arena_init(struct arena *a, size_t bytes_max)
{
    *a = (struct arena){.bytes_max = bytes_max};
}

static void chunks_free(struct arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void arena_release(struct arena *a)
{
    if (a == NULL) {
        return;
    }
    chunks_free(a->chunks);
    *a = (struct arena){0};
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *kept = NULL;
    struct arena_chunk **link = &a->chunks;
    while (*link != NULL && kept == NULL) {
        /* An outsized chunk served one outsized request: it is not worth keeping. */
        if ((*link)->capacity <= CHUNK_BYTES_MAX) {
            kept = *link;
            *link = kept->next;
        } else {
            link = &(*link)->next;
        }
    }
    chunks_free(a->chunks);
    if (kept != NULL) {
        kept->next = NULL;
        kept->used = 0;
    }
    a->chunks = kept;
    a->used = 0;
}

static size_t chunk_capacity(const struct arena *a, size_t size)
{
    size_t capacity = a->chunks == NULL ? CHUNK_BYTES_MIN : 2 * a->chunks->capacity;
    if (capacity > CHUNK_BYTES_MAX) {
        capacity = CHUNK_BYTES_MAX;
    }
    return size > capacity ? size : capacity;
}

static struct arena_chunk *chunk_add(struct arena *a, size_t size)
{
    size_t capacity = chunk_capacity(a, size);
    if (capacity > SIZE_MAX - sizeof(struct arena_chunk)) {
        return NULL;
    }
    struct arena_chunk *chunk = malloc(sizeof *chunk + capacity);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->capacity = capacity;
    chunk->used = 0;
    chunk->next = a->chunks;
    a->chunks = chunk;
    return chunk;
}

bool arena_has_room(const struct arena *a, size_t size)
{
    CHECK(a->used <= a->bytes_max);
    return size <= a->bytes_max - a->used;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX - ALIGNMENT) {
        return NULL;
    }
    size = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!arena_has_room(a, size)) {
        return NULL;
    }
    struct arena_chunk *chunk = a->chunks;
    if (chunk == NULL || chunk->capacity - chunk->used < size) {
        chunk = chunk_add(a, size);
    }
    if (chunk == NULL) {
        return NULL;
    }
    void *p = chunk->data + chunk->used;
    chunk->used += size;
    a->used += size;
    return p;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        return NULL;
    }
    void *p = arena_alloc(a, bytes);
    if (p != NULL) {
        memset(p, 0, bytes);
    }
    return p;
}

struct span arena_copy_span(struct arena *a, struct span s)
{
    uint8_t *p = arena_alloc(a, s.len);
    if (p == NULL) {
        return (struct span){0};
    }
    if (s.len > 0) {
        memcpy(p, s.data, s.len);
    }
    return span_make(p, s.len);
}

char *arena_copy_str(struct arena *a, struct span s)
{
    if (s.len == SIZE_MAX) {
        return NULL;
    }
    char *p = arena_alloc(a, s.len + 1);
    if (p == NULL) {
        return NULL;
    }
    if (s.len > 0) {
        memcpy(p, s.data, s.len);
    }
    p[s.len] = '\0';
    return p;
}
