#include "storage/series_erase.h"

#include "base/bytes.h"
#include "storage/series.h"
#include "storage/value_rows.h"

/* A row of the index goes with what it leads to. `key` is the row's; `value` lives in the map. */
static int erase_value(struct rows *rows,
                       enum table table,
                       const struct thing *t,
                       const struct key *key,
                       struct span value)
{
    struct row row = {.key = key_span(key), .value = value};
    if (key->len == 8 || table == TABLE_POINTS) {
        return 0; /* a tally */
    }
    if (table == TABLE_SERIES) {
        struct series s;
        struct span text;
        int rc = series_decode(&rows->view, &row, &s, &text);
        return rc != 0 ? rc : values_erase_metric(rows, t, text, s.on, s.sums.last.value);
    }
    uint8_t copy[CLADE_MAX_PARAM_VALUE_BYTES];
    if (value.len < 8 || value.len - 8 > sizeof copy) {
        return row_corrupt(rows->view.error, table, row.key, "has a wrong length");
    }
    uint64_t began = get_u64le(value.data);
    struct span text = span_make(copy, value.len - 8);
    memcpy(copy, value.data + 8, text.len);
    return values_erase_param(rows, t, span_skip(row.key, 8), text, began);
}

int series_erase_row(struct rows *rows, const struct thing *t)
{
    uint64_t thing = t->id;
    /* A series goes after its points: whoever reads meanwhile finds fewer points, not none that a
     * row speaks of. All keys begin with the thing. */
    static const enum table tables[] = {TABLE_PARAMS, TABLE_POINTS, TABLE_SERIES};
    struct key from = key_u64(thing);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        struct row row;
        int rc = view_seek(&rows->view, tables[i], key_span(&from), &row);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0 && row.key.len >= 8 && get_u64be(row.key.data) == thing) {
            struct key key = {.len = (uint16_t)row.key.len};
            memcpy(key.bytes, row.key.data, row.key.len);
            rc = erase_value(rows, tables[i], t, &key, row.value);
            return rc != 0 ? rc : row_delete(rows, tables[i], key_span(&key));
        }
    }
    return 1;
}
