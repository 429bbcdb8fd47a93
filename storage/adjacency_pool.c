#include "storage/adjacency_pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define CHUNK_BYTES   ((size_t)1 << 20)
#define CLASS_COUNT   36   /* capacities 1 to 8, then four a doubling up to */
#define CAPACITY_MAX  1024 /* above it a block has memory of its own */
#define EDGE_BYTES_IN 16

_Static_assert(sizeof(struct adjacency_block) == 16, "a block's head is as long as an edge");

struct chunk {
    struct chunk *next;
    uint64_t unused; /* keeps blocks at multiples of 16 */
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
    size_t chunk_used; /* of the first */
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

bool adjacency_pool_charge(struct adjacency_pool *p, uint64_t bytes)
{
    if (bytes > p->bytes_max || p->bytes > p->bytes_max - bytes) {
        return false;
    }
    p->bytes += bytes;
    return true;
}

static void *cut(struct adjacency_pool *p, size_t bytes)
{
    if (p->chunks == NULL || CHUNK_BYTES - p->chunk_used < bytes) {
        struct chunk *chunk = adjacency_pool_charge(p, CHUNK_BYTES) ? malloc(CHUNK_BYTES) : NULL;
        if (chunk == NULL) {
            return NULL;
        }
        chunk->next = p->chunks;
        p->chunks = chunk;
        p->chunk_used = sizeof *chunk;
    }
    void *at = (char *)p->chunks + p->chunk_used;
    p->chunk_used += bytes;
    return at;
}

static void *get_small(struct adjacency_pool *p, uint32_t capacity)
{
    struct spare **spares = &p->spares[class_of(capacity)];
    struct spare *spare = *spares;
    if (spare == NULL) {
        return cut(p, block_bytes(capacity));
    }
    *spares = spare->next;
    return spare;
}

static void *get_large(struct adjacency_pool *p, uint32_t capacity)
{
    size_t bytes = sizeof(struct large) + block_bytes(capacity);
    struct large *large = adjacency_pool_charge(p, bytes) ? malloc(bytes) : NULL;
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
            adjacency_pool_charge(p, more) ? realloc(p->retired, capacity * sizeof *grown) : NULL;
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
