/* Any text: refused with a sentence, or a reference whose parts lie within it. */
#include "base/check.h"
#include "base/utf8.h"
#include "command/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct span part, const uint8_t *data, size_t size)
{
    CHECK(part.len == 0 || (part.data >= data && part.data + part.len <= data + size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_make(data, size);
    struct ref ref = {0};
    struct ref again = {0};
    struct error error = {0};
    int r = ref_parse(text, true, &ref, &error);
    CHECK(r == 0 || r == CLADE_ERR_INVALID);
    CHECK(r == ref_parse(text, true, &again, NULL));
    if (r != 0) {
        CHECK(error.message[0] != '\0' && utf8_is_printable(span_of(error.message)));
        return 0;
    }
    check_within(ref.ns, data, size);
    check_within(ref.name, data, size);
    check_within(ref.alias, data, size);
    CHECK(ref.form == again.form && ref.number == again.number);
    bool in_txn = ref.form == REF_OP || ref.form == REF_OP_NAME;
    CHECK((ref_parse(text, false, &again, NULL) == 0) == !in_txn);
    CHECK(ref.form == REF_ID || in_txn || (ref.kind > KIND_NONE && ref.kind < KIND_COUNT));
    return 0;
}
