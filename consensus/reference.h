#pragma once
/* What a snapshot of the log holds: not the data, which every member has in its store, but where
 * the store stood. A member that is sent one it has not reached fetches data first (catch_up.h).
 *
 * REFERENCE_BYTES, all integers little-endian.
 *     0 "cladesn" and a zero   8 u32 version (1)   12 u32 0   16 u64 index   24 u64 term
 *    32 u64 revision   40 16 bytes data digest   56 16 bytes state digest   72 u64 XXH3 of the 72
 */
#include "base/error.h"
#include "base/hash.h"
#include "base/span.h"

#define REFERENCE_BYTES 80

struct reference {
    uint64_t index;
    uint64_t term;
    uint64_t revision;
    struct hash128 data; /* digests of the store at exactly `index` */
    struct hash128 state;
};

void reference_encode(const struct reference *r, uint8_t bytes[REFERENCE_BYTES]);
/* CLADE_ERR_CORRUPT, or _UNSUPPORTED for a newer version. */
int reference_decode(struct span bytes, struct reference *ret, struct error *error);
