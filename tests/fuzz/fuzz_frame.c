/* Frames: any bytes, cut into frames as a server and a client do. */
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_make(data, size);
    struct error error;
    for (;;) {
        struct span payload;
        size_t len = 0;
        int rc = frame_parse(rest, CLADE_MAX_FRAME_BYTES, &payload, &len, &error);
        if (rc != 0) {
            CHECK(rc == CLADE_ERR_INVALID || (rc == 1 && (len == 0 || len > rest.len)));
            return 0;
        }
        CHECK(payload.len > 0 && payload.len <= CLADE_MAX_FRAME_BYTES);
        CHECK(len == payload.len + FRAME_HEADER_BYTES && len <= rest.len);
        rest = span_skip(rest, len);
    }
}
