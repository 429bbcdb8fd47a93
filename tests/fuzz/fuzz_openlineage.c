/* Events of OpenLineage: any line is an event or is refused, and any events become a transaction.
 */
#include <stdlib.h>

#include "base/check.h"
#include "cli/openlineage.h"

#define EVENTS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void merge(const struct openlineage_index *x,
                  const struct openlineage_event *events,
                  size_t len)
{
    json_t *refs = json_object();
    for (size_t i = 0; i < len; i++) {
        CHECK(openlineage_collect(x, &events[i], refs));
    }
    struct openlineage_plan *p = openlineage_plan_new(x, refs);
    for (size_t i = 0; i < len; i++) {
        openlineage_plan_add(p, &events[i], i);
    }
    size_t *owners = NULL;
    json_t *txn = openlineage_plan_txn(p, &owners);
    CHECK(txn != NULL);
    for (size_t i = 0; i < json_array_size(json_object_get(txn, "ops")); i++) {
        CHECK(owners[i] < len);
    }
    json_decref(txn);
    free(owners);
    openlineage_plan_free(p);
    json_decref(refs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct openlineage_index x = {0};
    struct openlineage_event events[EVENTS_MAX];
    size_t len = 0;
    while (size > 0 && len < EVENTS_MAX) {
        const uint8_t *newline = memchr(data, '\n', size);
        size_t line = newline == NULL ? size : (size_t)(newline - data);
        struct error error = {0};
        if (openlineage_parse(span_make(data, line), &events[len], &error) == 0) {
            CHECK(openlineage_index_add(&x, &events[len]));
            len++;
        } else {
            CHECK(error.message[0] != '\0');
            openlineage_release(&events[len]);
        }
        line += newline != NULL;
        data += line;
        size -= line;
    }
    if (len > 0) {
        merge(&x, events, len);
    }
    for (size_t i = 0; i < len; i++) {
        openlineage_release(&events[i]);
    }
    openlineage_index_release(&x);
    return 0;
}
