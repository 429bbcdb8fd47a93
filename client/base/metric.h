#pragma once
/* What a thread counts of its own work, for another to look at: each counter and histogram has one
 * thread that adds to it, without a locked instruction, and any number that read. How they are
 * written down for a monitoring system is node/metrics_page.h's. */
#include <stdatomic.h>
#include <stdint.h>

#define METRIC_BUCKETS 16

typedef _Atomic uint64_t metric_counter;

/* Durations; bucket i counts those of at most metric_bounds_us[i], and above the one before it; the
 * last has the rest. */
struct metric_histogram {
    metric_counter buckets[METRIC_BUCKETS + 1];
    metric_counter sum_us;
};

/* 100 us to 10 s, ascending. */
extern const uint32_t metric_bounds_us[METRIC_BUCKETS];

/* By the counter's own thread. */
static inline void metric_add(metric_counter *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}
static inline void metric_set(metric_counter *c, uint64_t n)
{
    atomic_store_explicit(c, n, memory_order_relaxed);
}
static inline uint64_t metric_read(const metric_counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

/* By the histogram's own thread. */
void metric_observe(struct metric_histogram *h, uint64_t us);
/* Adds what is in `from` now to `to`, which is the caller's alone. */
void metric_gather(struct metric_histogram *to, const struct metric_histogram *from);
