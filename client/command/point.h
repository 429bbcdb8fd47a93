#pragma once
/* A point of a metric's series, and the order in which points stand: by step, time and value. */
#include <stddef.h>
#include <stdint.h>

struct point {
    int64_t step;
    uint64_t time_ms; /* since 1970 UTC */
    uint64_t value;   /* the bits of an IEEE 754 double, every NaN the same one */
};

/* The end of the year 9999. */
#define POINT_TIME_MS_MAX UINT64_C(253402300799999)

uint64_t point_value_of(double value);
double point_double(uint64_t value);
/* Values as numbers that compare as they do: -Infinity, ..., -0, 0, ..., Infinity, NaN. No two
 * values have the same. */
uint64_t point_value_rank(uint64_t value);
uint64_t point_value_of_rank(uint64_t rank);
static inline uint64_t point_step_rank(int64_t step)
{
    return (uint64_t)step ^ UINT64_C(1) << 63;
}

/* < 0, 0, > 0. Points that are equal are the same point. */
static inline int point_compare(const struct point *a, const struct point *b)
{
    if (a->step != b->step) {
        return a->step < b->step ? -1 : 1;
    }
    if (a->time_ms != b->time_ms) {
        return a->time_ms < b->time_ms ? -1 : 1;
    }
    uint64_t x = point_value_rank(a->value);
    uint64_t y = point_value_rank(b->value);
    return (x > y) - (x < y);
}

/* Sorts in place and takes out doubles; returns how many are left. */
size_t points_sort(struct point *points, size_t len);
