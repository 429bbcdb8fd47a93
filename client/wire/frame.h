#pragma once
/* Frames: u32 big-endian length, then that many bytes (client/wire/README.md). */
#include "base/buffer.h"
#include "base/error.h"

#define FRAME_HEADER_BYTES 4

/* Looks for a whole frame at the beginning of `bytes`. 0: *ret is its payload and *ret_len the
 * bytes it takes with its head. 1: more bytes are needed (*ret_len = how many in all, or 0 when
 * even the head is not there). CLADE_ERR_INVALID: the length is 0 or above bytes_max. */
int frame_parse(
    struct span bytes, uint32_t bytes_max, struct span *ret, size_t *ret_len, struct error *error);
/* Opens a frame at the buffer's end; returns where. */
size_t frame_begin(struct buffer *b);
/* Writes the length of what was appended since. */
void frame_end(struct buffer *b, size_t at);
