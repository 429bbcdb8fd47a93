#include "storage/series_erase.h"

#include "base/bytes.h"
#include "storage/keys.h"

int series_erase_row(struct rows *rows, uint64_t thing)
{
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
            return row_delete(rows, tables[i], key_span(&key));
        }
    }
    return 1;
}
