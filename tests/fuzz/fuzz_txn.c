/* Any bytes as a command: refused, or within what the decoder promises; the same both times. */
#include "base/check.h"
#include "command/txn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_fields(const struct op *op)
{
    for (size_t i = 0; i < op->fields_len; i++) {
        const struct field_write *w = &op->fields[i];
        CHECK(i == 0 || op->fields[i - 1].field->code < w->field->code);
        for (size_t k = 1; k < w->len && w->texts != NULL; k++) {
            CHECK(span_compare(w->texts[k - 1], w->texts[k]) < 0);
        }
        for (size_t k = 1; k < w->len && w->pairs != NULL; k++) {
            CHECK(span_compare(w->pairs[k - 1].key, w->pairs[k].key) < 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct txn txn = {0};
    struct txn again = {0};
    struct error error = {0};
    struct error error_again = {0};
    arena_init(&arena, 64 << 20);
    int r = txn_decode(span_make(data, size), &arena, &txn, &error);
    arena_reset(&arena);
    CHECK(r == txn_decode(span_make(data, size), &arena, &again, &error_again));
    CHECK(memcmp(&error, &error_again, sizeof error) == 0);
    CHECK(txn.ops_len == again.ops_len && txn.guards_len == again.guards_len);
    for (size_t i = 0; i < again.ops_len; i++) {
        CHECK(again.ops[i].op >= OP_CREATE && again.ops[i].op < OP_KIND_END);
        check_fields(&again.ops[i]);
    }
    arena_release(&arena);
    return 0;
}
