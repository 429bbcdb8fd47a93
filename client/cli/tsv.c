#include "cli/tsv.h"

#include "base/utf8.h"

/* Cuts the next field off; the last one takes what is left. */
static struct span take_field(struct span *line)
{
    const uint8_t *tab = line->len == 0 ? NULL : memchr(line->data, '\t', line->len);
    struct span field = *line;
    if (tab != NULL) {
        field.len = (size_t)(tab - line->data);
        *line = span_skip(*line, field.len + 1);
    } else {
        *line = span_skip(*line, line->len);
    }
    return field;
}

static size_t count_tabs(struct span line)
{
    size_t n = 0;
    for (size_t i = 0; i < line.len; i++) {
        n += line.data[i] == '\t';
    }
    return n;
}

int tsv_parse(struct span line,
              unsigned required,
              struct span ret_fields[TSV_FIELDS],
              struct error *error)
{
    size_t fields_len = count_tabs(line) + 1;
    if (!utf8_is_valid(line)) {
        return error_set(error, CLADE_ERR_INVALID, NULL, "not UTF-8");
    }
    if (fields_len != TSV_FIELDS) {
        return error_set(error, CLADE_ERR_INVALID, NULL, "%zu field%s where %d were expected",
                         fields_len, fields_len == 1 ? "" : "s", TSV_FIELDS);
    }
    struct span fields[TSV_FIELDS];
    for (size_t i = 0; i < TSV_FIELDS; i++) {
        fields[i] = take_field(&line);
        if (!utf8_is_printable(fields[i])) {
            return error_set(error, CLADE_ERR_INVALID, NULL, "field %zu has a control character",
                             i + 1);
        }
        if (fields[i].len == 0 && (required >> i & 1) != 0) {
            return error_set(error, CLADE_ERR_INVALID, NULL, "field %zu is empty", i + 1);
        }
    }
    memcpy(ret_fields, fields, sizeof fields);
    return 0;
}
