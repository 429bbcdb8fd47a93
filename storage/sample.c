#include "storage/sample.h"

#include "base/check.h"

void sample_init(struct sample *s, struct logged_point *room, uint32_t points_max, uint64_t total)
{
    CHECK(points_max >= 4);
    *s = (struct sample){.total = total, .buckets = points_max / 4, .points = room};
}

/* The bucket's points, each once, in order. */
static void flush(struct sample *s)
{
    bool min_first = point_compare(&s->min.point, &s->max.point) < 0;
    const struct logged_point *const kept[] = {&s->first, min_first ? &s->min : &s->max,
                                               min_first ? &s->max : &s->min, &s->last};
    size_t begin = s->len;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        bool is_extreme = i == 1 || i == 2;
        if ((is_extreme && !s->has_extremes) ||
            (s->len > begin && point_compare(&kept[i]->point, &s->points[s->len - 1].point) == 0)) {
            continue;
        }
        s->points[s->len++] = *kept[i];
    }
    s->has_extremes = false;
}

void sample_add(struct sample *s, const struct logged_point *p)
{
    CHECK(s->seen < s->total);
    uint64_t bucket = (uint64_t)((__uint128_t)s->seen * s->buckets / s->total);
    if (s->seen > 0 && bucket != s->bucket) {
        flush(s);
    }
    if (s->seen == 0 || bucket != s->bucket) {
        s->first = *p;
    }
    s->bucket = bucket;
    s->seen++;
    s->last = *p;
    double value = point_double(p->point.value);
    if (value != value) {
        return; /* NaN is neither */
    }
    uint64_t rank = point_value_rank(p->point.value);
    if (!s->has_extremes || rank < point_value_rank(s->min.point.value)) {
        s->min = *p;
    }
    if (!s->has_extremes || rank > point_value_rank(s->max.point.value)) {
        s->max = *p;
    }
    s->has_extremes = true;
}

void sample_end(struct sample *s)
{
    if (s->seen > 0) {
        flush(s);
    }
}
