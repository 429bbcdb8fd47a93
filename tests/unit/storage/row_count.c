#include "row_count.h"

#include <string.h>

unsigned count_rows(struct fixture *f, enum table table)
{
    struct view view;
    MDB_stat stat;
    assert_int_equal(view_open(&view, f->store, NULL), 0);
    assert_int_equal(mdb_stat(view.txn, view.env->tables[table], &stat), 0);
    view_close(&view, f->store);
    return (unsigned)stat.ms_entries;
}

unsigned count_rows_with(struct fixture *f, const char *text)
{
    struct view view;
    unsigned found = 0;
    assert_int_equal(view_open(&view, f->store, NULL), 0);
    for (int t = 0; t < TABLE_COUNT; t++) {
        MDB_cursor *cursor;
        MDB_val key;
        MDB_val value;
        assert_int_equal(view_cursor(&view, (enum table)t, &cursor), 0);
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
            found += memmem(key.mv_data, key.mv_size, text, strlen(text)) != NULL ||
                     memmem(value.mv_data, value.mv_size, text, strlen(text)) != NULL;
        }
    }
    view_close(&view, f->store);
    return found;
}
