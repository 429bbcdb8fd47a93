#pragma once
/* Time enters through this interface, so that a simulated cluster can supply it. */
#include <stdint.h>

struct clock {
    /* Monotonic microseconds from an arbitrary start; never goes back. */
    uint64_t (*monotonic_us)(const struct clock *clock);
    /* Microseconds since 1970 UTC as this machine believes; may jump. */
    uint64_t (*wall_us)(const struct clock *clock);
    void *data;
};

/* CLOCK_MONOTONIC and CLOCK_REALTIME. */
const struct clock *clock_system(void);

static inline uint64_t clock_monotonic_us(const struct clock *c)
{
    return c->monotonic_us(c);
}

static inline uint64_t clock_wall_us(const struct clock *c)
{
    return c->wall_us(c);
}
