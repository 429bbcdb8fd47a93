/* Segments of the log and slots of its mark: any bytes are judged without a read outside them, and
 * a mark that decodes encodes to the same bytes again. */
#include "base/check.h"
#include "consensus/guard.h"
#include "consensus/segment_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct segment_scan scan;
    struct guard_mark mark;
    segment_scan(span_make(data, size), &scan);
    CHECK(scan.bytes <= size && (scan.after == 0 || scan.after > scan.bytes));
    if (scan.end == SEGMENT_WHOLE && scan.bytes < size) {
        CHECK(data[scan.bytes] == 0);
    }
    if (size >= GUARD_SLOT_BYTES && guard_mark_decode(data, &mark)) {
        uint8_t again[GUARD_SLOT_BYTES];
        guard_mark_encode(&mark, again);
        CHECK(memcmp(data, again, sizeof again) == 0 || data[12] + data[13] + data[14] + data[15]);
    }
    return 0;
}
