/* Rows of a graph: any line is cut into three fields, or refused; the fields lie in the line. */
#include "base/check.h"
#include "cli/names.h"
#include "cli/tsv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct names names = {0};
    while (size > 0) {
        const uint8_t *newline = memchr(data, '\n', size);
        size_t len = newline == NULL ? size : (size_t)(newline - data);
        struct span fields[TSV_FIELDS];
        struct error error = {0};
        uint64_t value;
        if (tsv_parse(span_make(data, len), 1, fields, &error) == 0) {
            CHECK(fields[0].len + fields[1].len + fields[2].len + 2 == len);
            (void)names_add(&names, fields[0], 1);
            CHECK(names_find(&names, fields[0], &value));
        }
        len += newline != NULL;
        data += len;
        size -= len;
    }
    names_release(&names);
    return 0;
}
