/* What the client library makes of a server's frame. Link with clade_static. */
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "lib/lib_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every value through the public accessors; the depth is bounded by the decoder. */
static void walk(const struct clade_value *v)
{
    size_t len = 0;
    (void)clade_value_bool(v);
    (void)clade_value_uint(v);
    (void)clade_value_int(v);
    (void)clade_value_double(v);
    const char *s = clade_value_strn(v, &len);
    CHECK(s != NULL || len == 0);
    for (size_t i = 0; i < clade_value_len(v); i++) {
        walk(clade_value_key_at(v, i));
        walk(clade_value_at(v, i));
    }
}

static void read_all(const struct clade_response *r)
{
    (void)clade_response_code(r);
    CHECK(clade_response_message(r) != NULL);
    (void)clade_response_cursor(r);
    (void)clade_response_complete(r);
    for (uint32_t op = 0; op < 4; op++) {
        (void)clade_response_id(r, op);
        (void)clade_response_ref(r, op);
    }
    walk(clade_response_data(r));
    walk(clade_response_error(r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message m;
    struct error error = {0};
    struct clade_response *r = response_decode(span_make(data, size), &m, &error);
    if (r == NULL) {
        CHECK(error.code != 0);
        return 0;
    }
    if (m.type == MESSAGE_ANSWER && value_type(m.error) != CLADE_NIL) {
        value_get_error(m.error, &error);
        CHECK(error.code < 0);
        response_take_error(r, m.error, &error);
    } else if (m.type == MESSAGE_ANSWER) {
        struct endpoints endpoints;
        CHECK(endpoints_parse(&endpoints, "127.0.0.1:1") == 0);
        endpoints_learn(&endpoints, value_get(m.result, "members"));
        CHECK(endpoints.len >= 1 && endpoints.next == 0);
        response_take_result(r, m.result);
    }
    read_all(r);
    clade_response_free(r);
    return 0;
}
