/* Chunks of points: any bytes are points in order that encode to what decodes to the same, or none.
 */
#include "base/check.h"
#include "storage/series.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chunk chunk;
    struct chunk again;
    uint8_t bytes[CHUNK_BYTES_MAX];
    if (!chunk_decode(span_make(data, size), &chunk)) {
        return 0;
    }
    size_t len = chunk_encode(chunk.points, chunk.len, bytes);
    CHECK(chunk_decode(span_make(bytes, len), &again) && again.len == chunk.len);
    for (unsigned i = 0; i < chunk.len; i++) {
        const struct logged_point *a = &chunk.points[i];
        const struct logged_point *b = &again.points[i];
        CHECK(point_compare(&a->point, &b->point) == 0 && a->created == b->created &&
              a->run == b->run);
        CHECK(i == 0 || point_compare(&a[-1].point, &a->point) < 0);
    }
    return 0;
}
