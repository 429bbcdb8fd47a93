#include "storage/refound.h"

#include "storage/keys.h"
#include "storage/lookup.h"
#include "storage/rows.h"

/* Deletes all rows of a table, whose keys begin with an id. */
static int empty(struct rows *r, enum table table)
{
    for (;;) {
        uint8_t bytes[KEY_BYTES_MAX];
        struct key first = key_u64(0);
        struct row row;
        int rc = view_seek(&r->view, table, key_span(&first), &row);
        if (rc != 0) {
            return rc == 1 ? 0 : rc;
        }
        memcpy(bytes, row.key.data, row.key.len); /* LMDB moves pages as it writes */
        rc = row_delete(r, table, span_make(bytes, row.key.len));
        if (rc != 0) {
            return rc;
        }
    }
}

static int refound(struct rows *r, uint64_t first_session)
{
    static const enum table tables[] = {TABLE_RESULTS, TABLE_SESSIONS, TABLE_MEMBERS};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        int rc = empty(r, tables[i]);
        if (rc != 0) {
            return rc;
        }
    }
    r->meta.sessions = 0;
    r->meta.sweep = 0;
    r->meta.next_session = first_session;
    return 0;
}

int store_refound(struct store *store, uint64_t first_session, struct error *error)
{
    struct rows rows;
    rows_init(&rows, store);
    int rc = rows_begin(&rows, error);
    if (rc == 0) {
        rows.view.error = error;
        rc = refound(&rows, first_session);
        if (rc == 0) {
            rc = rows_commit(&rows, error);
        } else {
            rows_abort(&rows);
        }
    }
    rows_release(&rows);
    return rc == 0 ? store_sync(store, error) : rc;
}

int store_revision_at(struct store *store, uint64_t time_us, uint64_t *ret, struct error *error)
{
    struct view v;
    int rc = view_open(&v, store, error);
    if (rc == 0) {
        rc = lookup_revision_at(&v, time_us, ret);
        view_close(&v, store);
    }
    return rc;
}
