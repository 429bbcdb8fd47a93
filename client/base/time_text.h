#pragma once
/* Times as text: RFC 3339. */
#include "base/span.h"

/* Parses an RFC 3339 time ("2026-03-01T12:00:00Z", fractions and offsets allowed, the offset
 * required) or a date ("2026-03-01": its last microsecond in UTC). On success returns 0 and sets
 * microseconds since 1970 UTC; else CLADE_ERR_INVALID. Years 1970 to 9999. */
int time_parse(struct span text, uint64_t *ret_us);

/* 9999-12-31T23:59:59.999999Z: the last time that is stored and shown. */
#define TIME_US_MAX UINT64_C(253402300799999999)

#define TIME_TEXT_BYTES 32
/* Writes "2026-03-01T12:00:00.000001Z" (fraction only when not zero) into `text`. */
void time_format(uint64_t us, char text[TIME_TEXT_BYTES]);
