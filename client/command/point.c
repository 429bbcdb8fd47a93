#include "command/point.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAN_BITS UINT64_C(0x7ff8000000000000)
#define SIGN     (UINT64_C(1) << 63)

uint64_t point_value_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return isnan(value) ? NAN_BITS : bits;
}

double point_double(uint64_t value)
{
    double d;
    memcpy(&d, &value, sizeof d);
    return d;
}

uint64_t point_value_rank(uint64_t value)
{
    return (value & SIGN) != 0 ? ~value : value | SIGN;
}

uint64_t point_value_of_rank(uint64_t rank)
{
    return (rank & SIGN) != 0 ? rank & ~SIGN : ~rank;
}

static int compare(const void *a, const void *b)
{
    return point_compare(a, b);
}

size_t points_sort(struct point *points, size_t len)
{
    size_t ascending = 1;
    while (ascending < len && point_compare(&points[ascending - 1], &points[ascending]) < 0) {
        ascending++;
    }
    if (ascending >= len) {
        return len; /* as points mostly come */
    }
    qsort(points, len, sizeof *points, compare);
    size_t kept = 1;
    for (size_t i = 1; i < len; i++) {
        if (point_compare(&points[i], &points[kept - 1]) != 0) {
            points[kept++] = points[i];
        }
    }
    return kept;
}
