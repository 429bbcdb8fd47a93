/* Log entries: any bytes are an entry that encodes to the same bytes again, or an error. */
#include "base/check.h"
#include "storage/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct entry_header header;
    struct error error;
    if (entry_check(span_make(data, size), &header, &error) != 0) {
        CHECK(error.code != 0);
        return 0;
    }
    struct span rest = span_make(data + ENTRY_HEADER_BYTES, size - ENTRY_HEADER_BYTES);
    for (unsigned i = 0; i < header.items; i++) {
        struct item item;
        size_t len;
        CHECK(item_decode(rest, &item, &len, NULL) == 0);
        CHECK(len == item_bytes(&item) && len <= rest.len && len <= ITEM_BYTES_MAX);
        struct buffer again;
        buffer_init(&again, len);
        item_encode(&again, &item);
        CHECK(span_equal(buffer_span(&again), span_make(rest.data, len)));
        buffer_release(&again);
        rest = span_skip(rest, len);
    }
    return 0;
}
