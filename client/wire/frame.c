#include "wire/frame.h"

#include "base/bytes.h"
#include "base/check.h"

int frame_parse(
    struct span bytes, uint32_t bytes_max, struct span *ret, size_t *ret_len, struct error *error)
{
    if (bytes.len < FRAME_HEADER_BYTES) {
        *ret_len = 0;
        return 1;
    }
    uint32_t len = get_u32be(bytes.data);
    if (len == 0) {
        return error_set(error, CLADE_ERR_INVALID, "byte 0", "a frame of 0 bytes");
    }
    if (len > bytes_max) {
        return error_set(error, CLADE_ERR_INVALID, "byte 0",
                         "a frame of %u bytes; at most %u are accepted", len, bytes_max);
    }
    *ret_len = FRAME_HEADER_BYTES + (size_t)len;
    if (bytes.len < *ret_len) {
        return 1;
    }
    *ret = span_make(bytes.data + FRAME_HEADER_BYTES, len);
    return 0;
}

size_t frame_begin(struct buffer *b)
{
    size_t at = b->len;
    (void)buffer_extend(b, FRAME_HEADER_BYTES);
    return at;
}

void frame_end(struct buffer *b, size_t at)
{
    /* A buffer that overflowed has no place to write the length to. */
    if (b->failed) {
        return;
    }
    CHECK(at + FRAME_HEADER_BYTES <= b->len);
    size_t len = b->len - at - FRAME_HEADER_BYTES;
    CHECK(len <= UINT32_MAX);
    put_u32be(b->data + at, (uint32_t)len);
}
