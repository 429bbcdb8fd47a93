/* Import lines: any bytes become a transaction, or are refused. */
#include "cli/line_keys.h"
#include "cli/txn_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = {0};
    json_t *json = NULL;
    if (json_parse(span_make(data, size), &json, &error) != 0) {
        return 0;
    }
    struct line_keys keys;
    line_keys_collect(json, &keys);
    if (txn_json_needs_identity(json)) {
        txn_json_identify(json, "00112233445566778899aabbccddeeff", 1);
    }
    struct clade_txn *txn = clade_txn_new();
    if (txn != NULL) {
        (void)txn_from_json(json, txn, &error);
    }
    clade_txn_free(txn);
    json_decref(json);
    return 0;
}
