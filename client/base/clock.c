#include "base/clock.h"

#include <time.h>

#include "base/check.h"

static uint64_t now_us(clockid_t id)
{
    struct timespec t;
    int r = clock_gettime(id, &t);
    CHECK(r == 0);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t system_monotonic_us(const struct clock *clock)
{
    return now_us(CLOCK_MONOTONIC);
}

static uint64_t system_wall_us(const struct clock *clock)
{
    return now_us(CLOCK_REALTIME);
}

const struct clock *clock_system(void)
{
    static const struct clock system = {
        .monotonic_us = system_monotonic_us,
        .wall_us = system_wall_us,
    };
    return &system;
}
