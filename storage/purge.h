#pragma once
/* Purging: the operation makes a tombstone of a thing at once; what is left of it in history and
 * change log is erased afterwards, a few rows with each log entry. */
#include "base/arena.h"
#include "storage/rows.h"

/* So many rows for each period of the sessions' clock that ended since the last entry: purging
 * takes a part of processor and disk that does not grow with the rate of writes. Rows that go
 * together stand on the same pages, so a few at a time cost less than one with each entry. */
#define PURGE_ROWS          16
#define PURGE_PERIOD_MS     16
#define PURGE_ROWS_AN_ENTRY 256

/* Erases rows of what waits to be erased, of each phase as many as that; the clock went from
 * `before_ms` to `after_ms`. `scratch` is emptied. Returns 0 or a fatal code. */
int purge_step(struct rows *rows, struct arena *scratch, uint64_t before_ms, uint64_t after_ms);
