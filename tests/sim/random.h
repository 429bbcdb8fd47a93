#pragma once
/* All chance of a run comes from one seed (xorshift64*, Vigna 2016). */
#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
};

static inline void random_seed(struct sim_random *r, uint64_t seed)
{
    r->state = seed * UINT64_C(0x9e3779b97f4a7c15) + UINT64_C(0x2545f4914f6cdd1d);
    if (r->state == 0) {
        r->state = 1;
    }
}

static inline uint64_t random_u64(struct sim_random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* From 0 to n - 1; n is not 0. */
static inline uint64_t random_below(struct sim_random *r, uint64_t n)
{
    return (random_u64(r) >> 16) % n;
}

static inline bool random_chance(struct sim_random *r, unsigned per_thousand)
{
    return random_below(r, 1000) < per_thousand;
}
