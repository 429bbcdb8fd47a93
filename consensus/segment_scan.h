#pragma once
/* Reads what raft_uv wrote into a segment of the log, to tell a tail that a crash tore from damage.
 *
 *     segment  0 u64 format (1)   then batches, each right behind the one before
 *     batch    0 u32 CRC of the header   4 u32 CRC of the data
 *              8 header: u64 n, then n x (u64 term, u8 type 1..3, 3 zeros, u32 length)
 *              then the data of the entries, each a multiple of 8 long
 *     All integers little-endian; the CRC is the one of Ethernet from 0, most significant bit
 *     first, not inverted. An open segment is laid out in advance and ends in zeros.
 */
#include "base/span.h"

enum segment_end {
    SEGMENT_EMPTY,   /* nothing was written to it */
    SEGMENT_WHOLE,   /* batches, then nothing, or zeros */
    SEGMENT_TORN,    /* batches, then what a write that a crash interrupted may have left */
    SEGMENT_DAMAGED, /* batches, then something that no crash leaves */
};

struct segment_scan {
    enum segment_end end;
    size_t bytes;     /* of the format and the whole batches: where the end begins */
    uint64_t entries; /* in those batches */
    size_t after;     /* DAMAGED: where the next whole batch stands; 0 = there is none */
};

void segment_scan(struct span bytes, struct segment_scan *ret);
