#pragma once
/* A long series as a few of its points, for a chart: M4 (Jugel, Jerzak, Hackenbroich, Markl: "M4: A
 * Visualization-Oriented Time Series Data Aggregation", PVLDB 7(10), 2014). Of each of a row of
 * buckets the first point, the least, the greatest and the last stay, so that no peak is lost, as
 * it is by taking every n-th, and no point is made up, as by means. The buckets hold equally many
 * points: steps of a metric may be all the same, or far apart. */
#include "storage/series.h"

struct sample {
    uint64_t total; /* points that will come */
    uint64_t seen;
    uint32_t buckets;
    struct logged_point *points; /* that stay so far */
    size_t len;
    uint64_t bucket;   /* its number */
    bool has_extremes; /* of the bucket */
    struct logged_point first, min, max, last;
};

/* `points_max`, at least 4, is how many may stay; `room` is for as many, and the caller's. */
void sample_init(struct sample *s, struct logged_point *room, uint32_t points_max, uint64_t total);
/* The next point, in the series' order. */
void sample_add(struct sample *s, const struct logged_point *point);
/* After the last: what stays is in points[0, len). */
void sample_end(struct sample *s);
