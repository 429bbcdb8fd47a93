#include "storage/adjacency_pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

#define CHUNK_BYTES   ((size_t)2 << 20) /* of a huge page: a walk touches many at random */
#define FIRST_BYTES   ((size_t)1 << 20) /* of the first chunk of blocks: most stores are small */
#define CLASS_COUNT   36                /* capacities 1 to 8, then four a doubling up to */
#define CAPACITY_MAX  1024              /* above it a block has memory of its own */
#define EDGE_BYTES_IN 16

_Static_assert(sizeof(struct adjacency_block) == 16, "a block's head is as long as an edge");

struct chunk {
    struct chunk *next;
    uint64_t unused; /* keeps blocks at multiples of 16 */
};

/* What is left of the chunk that is cut at present. */
struct cutter {
    char *at;
    size_t left;
};

/* Before a block that has memory of its own. */
struct large {
    struct large *next;
    struct large **link;
};

/* A block that nobody has any more; lies in its place. */
struct spare {
    struct spare *next;
};

/* In the order of their epochs. */
struct retired {
    struct adjacency_block *block;
    uint64_t epoch;
};

struct adjacency_pool {
    uint64_t bytes;
    uint64_t bytes_max;
    struct chunk *chunks;
    struct cutter blocks;
    struct cutter segments;
    struct spare *spares[CLASS_COUNT];
    struct large *larges;
    struct retired *retired; /* from retired_begin on */
    size_t retired_begin;
    size_t retired_len;
    size_t retired_capacity;
};

static unsigned class_of(uint32_t capacity)
{
    if (capacity <= 8) {
        return capacity - 1;
    }
    unsigned log = 31 - (unsigned)__builtin_clz(capacity - 1);
    return 8 + (log - 3) * 4 + ((capacity - 1) >> (log - 2) & 3);
}

static uint32_t round_up(uint32_t capacity)
{
    if (capacity <= 8) {
        return capacity;
    }
    unsigned shift = 29 - (unsigned)__builtin_clz(capacity - 1);
    return (((capacity - 1) >> shift) + 1) << shift;
}

static size_t block_bytes(uint32_t capacity)
{
    return sizeof(struct adjacency_block) + (size_t)capacity * EDGE_BYTES_IN;
}

/* False when it would pass the bound. */
static bool charge(struct adjacency_pool *p, uint64_t bytes)
{
    if (bytes > p->bytes_max || p->bytes > p->bytes_max - bytes) {
        return false;
    }
    p->bytes += bytes;
    return true;
}

/* The first of its sort is as long as `first_bytes`, of ordinary pages. */
static bool new_chunk(struct adjacency_pool *p, struct cutter *cutter, size_t first_bytes)
{
    bool is_first = cutter->at == NULL;
    size_t bytes = is_first ? first_bytes : CHUNK_BYTES;
    struct chunk *chunk = NULL;
    if (charge(p, bytes)) {
        chunk = is_first ? malloc(bytes) : aligned_alloc(CHUNK_BYTES, bytes);
    }
    if (chunk == NULL) {
        return false;
    }
    if (!is_first) {
        (void)madvise(chunk, bytes, MADV_HUGEPAGE); /* a kernel without them: slower, no more */
    }
    chunk->next = p->chunks;
    p->chunks = chunk;
    *cutter = (struct cutter){.at = (char *)(chunk + 1), .left = bytes - sizeof *chunk};
    return true;
}

static void *cut(struct adjacency_pool *p, struct cutter *cutter, size_t bytes, size_t first_bytes)
{
    if (cutter->left < bytes && !new_chunk(p, cutter, first_bytes)) {
        return NULL;
    }
    void *at = cutter->at;
    cutter->at += bytes;
    cutter->left -= bytes;
    return at;
}

struct adjacency_segment *adjacency_pool_segment(struct adjacency_pool *p)
{
    size_t bytes = sizeof(struct adjacency_segment);
    struct adjacency_segment *s = cut(p, &p->segments, bytes, sizeof(struct chunk) + bytes);
    return s != NULL ? memset(s, 0, bytes) : NULL;
}

static void *get_small(struct adjacency_pool *p, uint32_t capacity)
{
    struct spare **spares = &p->spares[class_of(capacity)];
    struct spare *spare = *spares;
    if (spare == NULL) {
        return cut(p, &p->blocks, block_bytes(capacity), FIRST_BYTES);
    }
    *spares = spare->next;
    return spare;
}

static void *get_large(struct adjacency_pool *p, uint32_t capacity)
{
    size_t bytes = sizeof(struct large) + block_bytes(capacity);
    struct large *large = charge(p, bytes) ? malloc(bytes) : NULL;
    if (large == NULL) {
        return NULL;
    }
    large->next = p->larges;
    large->link = &p->larges;
    if (large->next != NULL) {
        large->next->link = &large->next;
    }
    p->larges = large;
    return large + 1;
}

static void put_large(struct adjacency_pool *p, struct adjacency_block *b)
{
    struct large *large = (struct large *)(void *)b - 1;
    *large->link = large->next;
    if (large->next != NULL) {
        large->next->link = large->link;
    }
    p->bytes -= sizeof *large + block_bytes(b->capacity);
    free(large);
}

struct adjacency_block *adjacency_pool_get(struct adjacency_pool *p, uint32_t capacity)
{
    CHECK(capacity > 0);
    bool is_small = capacity <= CAPACITY_MAX;
    capacity = is_small ? round_up(capacity) : capacity;
    struct adjacency_block *b = is_small ? get_small(p, capacity) : get_large(p, capacity);
    if (b != NULL) {
        atomic_init(&b->len, 0);
        atomic_init(&b->whole, 0);
        b->capacity = capacity;
    }
    return b;
}

static void put(struct adjacency_pool *p, struct adjacency_block *b)
{
    uint32_t capacity = b->capacity;
    if (capacity > CAPACITY_MAX) {
        put_large(p, b);
        return;
    }
    struct spare *spare = (void *)b;
    spare->next = p->spares[class_of(capacity)];
    p->spares[class_of(capacity)] = spare;
}

static bool reserve_retired(struct adjacency_pool *p)
{
    if (p->retired_begin > p->retired_len) {
        memmove(p->retired, p->retired + p->retired_begin, p->retired_len * sizeof *p->retired);
        p->retired_begin = 0;
    }
    if (p->retired_begin + p->retired_len == p->retired_capacity) {
        size_t capacity = p->retired_capacity == 0 ? 256 : 2 * p->retired_capacity;
        uint64_t more = (capacity - p->retired_capacity) * sizeof *p->retired;
        struct retired *grown =
            charge(p, more) ? realloc(p->retired, capacity * sizeof *grown) : NULL;
        if (grown == NULL) {
            return false;
        }
        p->retired = grown;
        p->retired_capacity = capacity;
    }
    return true;
}

bool adjacency_pool_retire(struct adjacency_pool *p, struct adjacency_block *block, uint64_t epoch)
{
    if (!reserve_retired(p)) {
        return false;
    }
    p->retired[p->retired_begin + p->retired_len++] =
        (struct retired){.block = block, .epoch = epoch};
    return true;
}

bool adjacency_pool_collect(struct adjacency_pool *p, uint64_t epoch_oldest)
{
    while (p->retired_len > 0 && p->retired[p->retired_begin].epoch < epoch_oldest) {
        put(p, p->retired[p->retired_begin].block);
        p->retired_begin++;
        p->retired_len--;
    }
    if (p->retired_len == 0) {
        p->retired_begin = 0;
    }
    return p->retired_len > 0;
}

struct adjacency_pool *adjacency_pool_new(uint64_t bytes_max)
{
    struct adjacency_pool *p = calloc(1, sizeof *p);
    if (p != NULL) {
        p->bytes_max = bytes_max;
    }
    return p;
}

void adjacency_pool_free(struct adjacency_pool *p)
{
    if (p == NULL) {
        return;
    }
    while (p->larges != NULL) {
        struct large *next = p->larges->next;
        free(p->larges);
        p->larges = next;
    }
    while (p->chunks != NULL) {
        struct chunk *next = p->chunks->next;
        free(p->chunks);
        p->chunks = next;
    }
    free(p->retired);
    free(p);
}

uint64_t adjacency_pool_bytes(const struct adjacency_pool *p)
{
    return p->bytes;
}
