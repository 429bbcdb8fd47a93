#pragma once
/* What takes a thing's params and metrics away for good. */
#include "storage/rows.h"

struct thing;

/* Deletes one row of the thing's params, points or series, as of now. 0 when it did, 1 when none is
 * left, or a code. */
int series_erase_row(struct rows *rows, const struct thing *thing);
