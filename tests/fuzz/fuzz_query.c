/* The first byte chooses the method, the rest are its parameters. */
#include "base/check.h"
#include "command/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    const struct value *params;
    struct query q = {0};
    struct error error = {0};
    if (size == 0) {
        return 0;
    }
    enum query_kind kind = (enum query_kind)(data[0] % (QUERY_EXPLAIN + 1));
    arena_init(&arena, 64 << 20);
    int r =
        value_decode(span_make(data + 1, size - 1), &value_limits_request, &arena, &params, &error);
    if (r == 0) {
        r = query_decode(kind, params, &arena, &q, &error);
        CHECK(r == 0 || (error.code == r && error.message[0] != '\0'));
        CHECK(r != 0 || (q.kind == kind && q.limit > 0 && q.limit <= CLADE_MAX_PAGE_ITEMS));
        CHECK(r != 0 || kind != QUERY_GET || q.targets_len > 0);
    }
    arena_release(&arena);
    return 0;
}
