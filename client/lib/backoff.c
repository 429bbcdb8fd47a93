#include <sys/random.h>

#include "lib/lib_internal.h"

uint64_t backoff_seed(void)
{
    uint64_t seed = 0;
    /* Without the kernel's randomness clients are merely less spread out. */
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) {
        seed = uv_hrtime();
    }
    return seed | 1;
}

static uint64_t xorshift(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x;
}

uint64_t backoff_ms(uint64_t *seed, unsigned n)
{
    uint64_t ms = n >= 6 ? BACKOFF_MAX_MS : (uint64_t)BACKOFF_MIN_MS << n;
    if (ms > BACKOFF_MAX_MS) {
        ms = BACKOFF_MAX_MS;
    }
    return ms / 2 + xorshift(seed) % (ms / 2 + 1);
}
