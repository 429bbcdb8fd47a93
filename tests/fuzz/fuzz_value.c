/* Any bytes: refused, or decoded to a value that is the same when it is written and read again,
 * and that msgpack-c reads as well. */
#include <msgpack.h>

#include "base/check.h"
#include "command/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_against_msgpack_c(struct span bytes)
{
    msgpack_unpacked u;
    size_t at = 0;
    msgpack_unpacked_init(&u);
    msgpack_unpack_return r = msgpack_unpack_next(&u, (const char *)bytes.data, bytes.len, &at);
    CHECK(r == MSGPACK_UNPACK_SUCCESS);
    CHECK(at == bytes.len);
    msgpack_unpacked_destroy(&u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct buffer first;
    struct buffer second;
    const struct value *v;
    struct error error = {0};
    arena_init(&arena, 64 << 20);
    buffer_init(&first, 8 << 20);
    buffer_init(&second, 8 << 20);
    int r = value_decode(span_make(data, size), &value_limits_request, &arena, &v, &error);
    if (r == 0) {
        check_against_msgpack_c(span_make(data, size));
        value_put_value(&first, v);
        CHECK(!first.failed);
        r = value_decode(buffer_span(&first), &value_limits_request, &arena, &v, &error);
        CHECK(r == 0);
        value_put_value(&second, v);
        CHECK(span_equal(buffer_span(&first), buffer_span(&second)));
    } else {
        CHECK(error.code == r && error.message[0] != '\0');
    }
    buffer_release(&first);
    buffer_release(&second);
    arena_release(&arena);
    return 0;
}
