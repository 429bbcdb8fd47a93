/* Any text: refused, or a time that is written and read back the same. */
#include "base/check.h"
#include "base/time_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t us;
    uint64_t again;
    char text[TIME_TEXT_BYTES];
    if (time_parse(span_make(data, size), &us) != 0) {
        return 0;
    }
    CHECK(us <= TIME_US_MAX);
    time_format(us, text);
    int r = time_parse(span_of(text), &again);
    CHECK(r == 0 && again == us);
    return 0;
}
