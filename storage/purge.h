#pragma once
/* Purging: the operation makes a tombstone of a thing at once; what is left of it in history and
 * change log is erased afterwards, a few rows with each log entry. */
#include "base/arena.h"
#include "storage/rows.h"

#define PURGE_ROWS_AN_ENTRY 256 /* of history, about */

/* Erases up to `rows_max` rows of what waits to be erased. `scratch` is emptied. Returns 0 or a
 * fatal code. */
int purge_step(struct rows *rows, struct arena *scratch, unsigned rows_max);
