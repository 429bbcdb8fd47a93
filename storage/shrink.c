/* Every row is put into a new environment in the order of its keys: LMDB fills page after page
 * then. Its own compacting copy is of no use here: it renumbers pages, but not those within pages
 * that hold the values of a key, and so writes what data_check, rightly, does not know. */
#include "storage/shrink.h"

#include "storage/environment.h"

#define BATCH_ROWS    100000u
#define PROGRESS_ROWS 10000u

struct shrink {
    struct environment *from;
    struct environment *to;
    MDB_txn *read;
    MDB_txn *write;
    uint64_t rows;
    bool (*progress)(uint64_t n, void *arg);
    void *arg;
    struct error *error;
};

static int begin_batch(struct shrink *s)
{
    int rc = mdb_txn_begin(s->to->mdb, NULL, 0, &s->write);
    s->write = rc == 0 ? s->write : NULL;
    return lmdb_error(rc, s->error, "beginning a write");
}

static int end_batch(struct shrink *s)
{
    MDB_txn *txn = s->write;
    s->write = NULL;
    return environment_commit(s->to, txn, s->error);
}

/* What a new store begins with goes: all rows are the other one's. */
static int empty(struct shrink *s)
{
    int rc = begin_batch(s);
    for (int t = 0; t < TABLE_COUNT && rc == 0; t++) {
        if (table_info((enum table)t)->name != NULL) {
            rc = lmdb_error(mdb_drop(s->write, s->to->tables[t], 0), s->error, "emptying a table");
        }
    }
    return rc != 0 ? rc : end_batch(s);
}

static int put_row(struct shrink *s, enum table table, MDB_val *key, MDB_val *value)
{
    bool many = (table_info(table)->flags & MDB_DUPSORT) != 0;
    int rc = s->write == NULL ? begin_batch(s) : 0;
    if (rc == 0) {
        rc = lmdb_error(
            mdb_put(s->write, s->to->tables[table], key, value, many ? MDB_APPENDDUP : MDB_APPEND),
            s->error, "writing a row");
    }
    if (rc == 0 && ++s->rows % BATCH_ROWS == 0) {
        rc = end_batch(s);
    }
    if (rc == 0 && s->rows % PROGRESS_ROWS == 0 && s->progress != NULL &&
        !s->progress(s->rows, s->arg)) {
        return error_set(s->error, CLADE_ERR_RETRY, NULL, "the copying was stopped");
    }
    return rc;
}

static int copy_table(struct shrink *s, enum table table)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int rc = mdb_cursor_open(s->read, s->from->tables[table], &cursor);
    if (rc != 0) {
        return lmdb_error(rc, s->error, "opening a cursor");
    }
    int found = 0;
    while (rc == 0 && (found = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        rc = put_row(s, table, &key, &value);
    }
    mdb_cursor_close(cursor);
    return rc != 0 || found == MDB_NOTFOUND ? rc : lmdb_error(found, s->error, "reading the store");
}

static int copy_rows(struct shrink *s)
{
    int rc = mdb_txn_begin(s->from->mdb, NULL, MDB_RDONLY, &s->read);
    if (rc != 0) {
        return lmdb_error(rc, s->error, "beginning a read");
    }
    rc = empty(s);
    for (int t = 0; t < TABLE_COUNT && rc == 0; t++) {
        rc = table_info((enum table)t)->name != NULL ? copy_table(s, (enum table)t) : 0;
    }
    rc = rc == 0 && s->write != NULL ? end_batch(s) : rc;
    if (s->write != NULL) {
        mdb_txn_abort(s->write);
    }
    mdb_txn_abort(s->read);
    return rc;
}

static int same(struct store *store, const struct store_copy_info *copy, struct error *error)
{
    struct store_digest d = store_digest_current(store);
    bool equal = copy->applied == d.index && hash128_equal(copy->data, d.data) &&
                 hash128_equal(copy->state, d.state);
    return equal ? 0 : error_set(error, CLADE_ERR_CORRUPT, NULL, "the copy is not what was copied");
}

int store_shrink(struct store *store,
                 const char *path,
                 bool (*progress)(uint64_t n, void *arg),
                 void *arg,
                 struct store_copy_info *ret,
                 struct error *error)
{
    struct shrink s = {.progress = progress, .arg = arg, .error = error};
    s.from = store_ref(store);
    uint64_t map_bytes = s.from->map_bytes;
    const struct store_options options = {.path = path, .map_bytes = map_bytes, .no_sync = true};
    struct meta meta;
    int rc = environment_open(&options, NULL, &s.to, &meta, error);
    if (rc == 0) {
        rc = copy_rows(&s);
        environment_close(s.to);
    }
    store_unref(store, s.from);
    rc = rc != 0 ? rc : store_copy_check(path, map_bytes, progress, arg, ret, error);
    return rc != 0 ? rc : same(store, ret, error);
}
