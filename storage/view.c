#include "storage/view.h"

#include "base/bytes.h"

static int check_row(struct view *v, enum table table, MDB_val key, MDB_val value, struct row *ret)
{
    struct span k = span_make(key.mv_data, key.mv_size);
    if (value.mv_size < CHECKSUM_BYTES) {
        return row_corrupt(v->error, table, k, "is too short");
    }
    struct span payload = span_make(value.mv_data, value.mv_size - CHECKSUM_BYTES);
    uint32_t stored = get_u32le(payload.data + payload.len);
    if (stored != (uint32_t)row_hash(table, k, payload).low) {
        return row_corrupt(v->error, table, k, "does not match its checksum");
    }
    *ret = (struct row){.key = k, .value = payload};
    return 0;
}

int view_open(struct view *v, struct store *store, struct error *error)
{
    *v = (struct view){.env = store_ref(store), .revision = UINT64_MAX, .error = error};
    int rc = mdb_txn_begin(v->env->mdb, NULL, MDB_RDONLY, &v->txn);
    if (rc != 0) {
        store_unref(store, v->env);
        *v = (struct view){0};
    }
    return lmdb_error(rc, error, "beginning a read");
}

void view_close(struct view *v, struct store *store)
{
    view_release(v);
    mdb_txn_abort(v->txn);
    store_unref(store, v->env);
    *v = (struct view){0};
}

int view_cursor(struct view *v, enum table table, MDB_cursor **ret)
{
    MDB_cursor **slot = &v->cursors[table];
    if ((v->bound >> table & 1) == 0) {
        int rc = *slot != NULL && v->renewable
                     ? mdb_cursor_renew(v->txn, *slot)
                     : mdb_cursor_open(v->txn, v->env->tables[table], slot);
        if (rc != 0) {
            return lmdb_error(rc, v->error, "opening a cursor");
        }
        v->bound |= 1u << table;
    }
    *ret = *slot;
    return 0;
}

void view_release(struct view *v)
{
    for (int t = 0; t < TABLE_COUNT; t++) {
        if (v->cursors[t] != NULL) {
            mdb_cursor_close(v->cursors[t]);
            v->cursors[t] = NULL;
        }
    }
    v->bound = 0;
}

static int step(
    struct view *v, enum table table, struct span key, MDB_cursor_op op, struct row *ret)
{
    MDB_cursor *cursor;
    int rc = view_cursor(v, table, &cursor);
    if (rc != 0) {
        return rc;
    }
    MDB_val k = {.mv_size = key.len, .mv_data = (void *)key.data};
    MDB_val value;
    rc = mdb_cursor_get(cursor, &k, &value, op);
    if (rc == MDB_NOTFOUND) {
        return 1;
    }
    if (rc != 0) {
        return lmdb_error(rc, v->error, "reading a row");
    }
    return check_row(v, table, k, value, ret);
}

int view_get(struct view *v, enum table table, struct span key, struct span *ret)
{
    struct row row;
    int rc = step(v, table, key, MDB_SET_KEY, &row);
    if (rc == 0) {
        *ret = row.value;
    }
    return rc;
}

int view_seek(struct view *v, enum table table, struct span key, struct row *ret)
{
    return step(v, table, key, MDB_SET_RANGE, ret);
}

int view_before(struct view *v, enum table table, struct span key, struct row *ret)
{
    struct row above;
    int rc = step(v, table, key, MDB_SET_RANGE, &above);
    if (rc < 0) {
        return rc;
    }
    return step(v, table, (struct span){0}, rc == 0 ? MDB_PREV : MDB_LAST, ret);
}

int view_next(struct view *v, enum table table, struct row *ret)
{
    return step(v, table, (struct span){0}, MDB_NEXT, ret);
}

int view_previous(struct view *v, enum table table, struct row *ret)
{
    return step(v, table, (struct span){0}, MDB_PREV, ret);
}

int view_meta(struct view *v, struct meta *ret)
{
    struct span key = span_of("state");
    struct span value;
    int rc = view_get(v, TABLE_META, key, &value);
    if (rc == 1 || (rc == 0 && value.len != META_BYTES)) {
        return row_corrupt(v->error, TABLE_META, key, "is missing");
    }
    if (rc == 0) {
        meta_decode(value.data, ret);
    }
    return rc;
}
