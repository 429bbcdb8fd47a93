#include "base/metric.h"

const uint32_t metric_bounds_us[METRIC_BUCKETS] = {
    100,   250,    500,    1000,   2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

void metric_observe(struct metric_histogram *h, uint64_t us)
{
    unsigned i = 0;
    while (i < METRIC_BUCKETS && us > metric_bounds_us[i]) {
        i++;
    }
    metric_add(&h->buckets[i], 1);
    metric_add(&h->sum_us, us);
}

void metric_gather(struct metric_histogram *to, const struct metric_histogram *from)
{
    for (unsigned i = 0; i <= METRIC_BUCKETS; i++) {
        metric_add(&to->buckets[i], metric_read(&from->buckets[i]));
    }
    metric_add(&to->sum_us, metric_read(&from->sum_us));
}
