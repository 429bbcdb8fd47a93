#pragma once
/* A page of metrics, as Prometheus reads it (text format 0.0.4), or OpenMetrics 1.0, which wants it
 * a little otherwise: families are written one after the other, each with its samples. */
#include "base/buffer.h"
#include "base/metric.h"

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM };

/* The name of a counter ends with _total. Units are base units: seconds, bytes. */
struct metric_family {
    const char *name;
    enum metric_type type;
    const char *help; /* one sentence without a full stop */
};

struct metric_label {
    const char *name;
    struct span value; /* any bytes: what is not fit to stand there is escaped */
};
#define METRIC_LABELS_MAX 4

struct metrics_page {
    struct buffer out; /* `failed`: the page is not whole */
    bool is_openmetrics;
    const struct metric_family *family; /* that samples are of */
};

/* Begins a page of at most bytes_max; release page->out when it is of no more use. */
void metrics_page_init(struct metrics_page *page, bool is_openmetrics, size_t bytes_max);
void metrics_page_begin(struct metrics_page *page, const struct metric_family *family);
void metrics_page_end(struct metrics_page *page);

/* A sample of the family that was begun last. Labels end at one without a name, or at
 * METRIC_LABELS_MAX; NULL = none. */
void metrics_put(struct metrics_page *page, const struct metric_label *labels, uint64_t value);
/* Microseconds or other millionths, which may be negative, as seconds or whole ones. */
void metrics_put_millionths(struct metrics_page *page,
                            const struct metric_label *labels,
                            int64_t millionths);
void metrics_put_histogram(struct metrics_page *page,
                           const struct metric_label *labels,
                           const struct metric_histogram *histogram);
