/* Any bytes as a prop's stored value, and as JSON: never read past their end, and what is a value
 * is itself again when its elements are written. */
#include "base/check.h"
#include "command/prop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(struct span value)
{
    struct prop_reader r = prop_read(value);
    struct prop_item item;
    struct buffer b;
    buffer_init(&b, 8 << 20);
    buffer_append_u8(&b, value.data[0]);
    if (r.is_list) {
        while (prop_next(&r, &item) == 1) {
            prop_put(&b, r.type, true, &item);
        }
    } else {
        CHECK(prop_next(&r, &item) == 1);
        prop_put(&b, r.type, false, &item);
    }
    CHECK(span_equal(buffer_span(&b), value));
    buffer_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_make(data, size);
    struct error error = {0};
    struct decl decl;
    if (prop_is_valid(bytes)) {
        write_again(bytes);
        for (unsigned type = PROP_STRING; type < PROP_TYPE_COUNT; type++) {
            (void)prop_widens(bytes, type);
        }
    }
    (void)decl_read(bytes, &decl);
    int rc = json_check(bytes, &error);
    CHECK(rc == 0 || (error.code == rc && error.message[0] != '\0'));
    return 0;
}
