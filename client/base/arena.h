#pragma once
/* Memory for one request: bumped from chunks, freed whole. Nothing in it outlives the request.
 * Every arena has a cap, so that no request can grow a process without a bound. */
#include "base/span.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used;                /* bytes handed out, of all chunks */
    size_t bytes_max;           /* the cap */
};

void arena_init(struct arena *a, size_t bytes_max);
/* Frees every chunk. Accepts NULL and zeroed ones. */
void arena_release(struct arena *a);
/* Frees all chunks but at most one of ordinary size and starts over; the cap stays. */
void arena_reset(struct arena *a);

/* `size` bytes aligned to 16, uninitialised; NULL when the cap is reached or memory is out. */
void *arena_alloc(struct arena *a, size_t size);
/* Whether `size` more bytes would fit under the cap: tells a NULL for want of room from one for
 * want of memory. */
bool arena_has_room(const struct arena *a, size_t size);
/* n zeroed elements of `size` bytes; NULL as above, or when n * size overflows. */
void *arena_calloc(struct arena *a, size_t n, size_t size);
/* A copy of s; {NULL, 0} when there is no room. An empty s gives a non-NULL empty copy. */
struct span arena_copy_span(struct arena *a, struct span s);
/* A NUL-terminated copy of s; NULL when there is no room. */
char *arena_copy_str(struct arena *a, struct span s);
