#pragma once
/* The memory of blocks: chunks that are cut into classes of size, so that 10 million blocks are
 * made in a moment, taken by no more than they need, and given back at once. Large blocks are
 * malloc's. A block that is let go waits until no reader can have it. The writer's alone. */
#include "storage/adjacency.h"

struct adjacency_pool;

/* NULL when memory is out. */
struct adjacency_pool *adjacency_pool_new(uint64_t bytes_max);
void adjacency_pool_free(struct adjacency_pool *pool);
uint64_t adjacency_pool_bytes(const struct adjacency_pool *pool);

/* A segment that is empty; NULL when there is no memory under the bound. It goes with the pool. */
struct adjacency_segment *adjacency_pool_segment(struct adjacency_pool *pool);
/* An empty block for at least so many edges; NULL when there is no memory under the bound. */
struct adjacency_block *adjacency_pool_get(struct adjacency_pool *pool, uint32_t capacity);
/* A block that readers of `epoch` and before it may have. False when there is no memory to note
 * it: it stays until the pool goes. */
bool adjacency_pool_retire(struct adjacency_pool *pool,
                           struct adjacency_block *block,
                           uint64_t epoch);
/* As adjacency_collect. */
bool adjacency_pool_collect(struct adjacency_pool *pool, uint64_t epoch_oldest);
