#include "storage/rows.h"

#include "base/bytes.h"
#include "base/check.h"
#include "storage/adjacency_log.h"

/* What an undo note says was done; the note is key, old value, then this. */
enum undo_op { UNDO_INSERTED = 1, UNDO_REPLACED, UNDO_DELETED, UNDO_EDGE_ADDED, UNDO_EDGE_GONE };

#define UNDO_TAIL_BYTES  8
#define KEEP_BYTES       (4u << 20)
#define EDGES_BYTES_MAX  ((size_t)1 << 30)
#define PAGE_SHARE_BYTES 256 /* what a row costs in dirtied pages beside its bytes, about */

static MDB_val to_val(struct span s)
{
    return (MDB_val){.mv_size = s.len, .mv_data = (void *)s.data};
}

static int note(struct rows *r, enum undo_op op, enum table table, struct span key, struct span old)
{
    if (!r->logging) {
        return 0;
    }
    size_t need = key.len + old.len + UNDO_TAIL_BYTES;
    if (r->undo.len + need > r->undo.bytes_max) {
        return error_set(r->view.error, CLADE_ERR_LIMIT, NULL,
                         "the transaction changes more than %u MiB of stored records; split it",
                         UNDO_BYTES_MAX >> 20);
    }
    uint8_t *p = buffer_extend(&r->undo, need);
    if (p == NULL) {
        return error_set(r->view.error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    memcpy(p, key.data, key.len);
    if (old.len > 0) {
        memcpy(p + key.len, old.data, old.len);
    }
    uint8_t *tail = p + key.len + old.len;
    tail[0] = (uint8_t)op;
    tail[1] = (uint8_t)table;
    put_u16le(tail + 2, (uint16_t)key.len);
    put_u32le(tail + 4, (uint32_t)old.len);
    return 0;
}

static struct hash128 *sum_of(struct rows *r, enum table table)
{
    switch (table_info(table)->sum) {
    case SUM_DATA:
        return &r->meta.sum_data;
    case SUM_STATE:
        return &r->meta.sum_state;
    default:
        return NULL;
    }
}

static void count_in(struct rows *r, enum table table, struct span value, struct hash128 hash)
{
    struct hash128 *sum = sum_of(r, table);
    if (sum != NULL && row_is_summed(table, value)) {
        *sum = hash128_add(*sum, hash);
    }
}

static void count_out(struct rows *r, enum table table, struct span value, struct hash128 hash)
{
    struct hash128 *sum = sum_of(r, table);
    if (sum != NULL && row_is_summed(table, value)) {
        *sum = hash128_subtract(*sum, hash);
    }
}

/* Whether rows are told to the lineage index. What is taken back is cut off its log instead. */
static bool tells(const struct rows *r)
{
    return !r->undoing && r->store != NULL && r->store->options.lineage_bytes != 0;
}

/* Puts value and checksum; flags as mdb_cursor_put's. */
static int put(struct rows *r, enum table table, struct span key, struct span value, unsigned flags)
{
    MDB_cursor *cursor;
    int rc = view_cursor(&r->view, table, &cursor);
    if (rc != 0) {
        return rc;
    }
    struct hash128 hash = row_hash(table, key, value);
    MDB_val k = to_val(key);
    MDB_val v = {.mv_size = value.len + CHECKSUM_BYTES};
    rc = mdb_cursor_put(cursor, &k, &v, flags | MDB_RESERVE);
    if (rc != 0) {
        return lmdb_error(rc, r->view.error, "writing a row");
    }
    if (value.len > 0) {
        memcpy(v.mv_data, value.data, value.len);
    }
    put_u32le((uint8_t *)v.mv_data + value.len, (uint32_t)hash.low);
    count_in(r, table, value, hash);
    r->bytes += key.len + value.len + PAGE_SHARE_BYTES;
    return 0;
}

int row_put(struct rows *r, enum table table, struct span key, struct span value)
{
    struct span old;
    int rc = view_get(&r->view, table, key, &old);
    if (rc == 1) {
        rc = note(r, UNDO_INSERTED, table, key, (struct span){0});
    } else if (rc == 0) {
        rc = note(r, UNDO_REPLACED, table, key, old);
        if (rc == 0) {
            count_out(r, table, old, row_hash(table, key, old));
        }
    }
    if (rc == 0 && tells(r)) {
        adjacency_log_came(&r->edges, r->edges_mark, table, key, value);
    }
    return rc != 0 ? rc : put(r, table, key, value, 0);
}

int row_insert(struct rows *r, enum table table, struct span key, struct span value)
{
    int rc = note(r, UNDO_INSERTED, table, key, (struct span){0});
    if (rc != 0) {
        return rc;
    }
    if (tells(r)) {
        adjacency_log_came(&r->edges, r->edges_mark, table, key, value);
    }
    return put(r, table, key, value, table_info(table)->append ? MDB_APPEND : MDB_NOOVERWRITE);
}

int row_delete(struct rows *r, enum table table, struct span key)
{
    struct span old;
    int rc = view_get(&r->view, table, key, &old);
    if (rc == 1) {
        return row_corrupt(r->view.error, table, key, "is missing");
    }
    if (rc == 0) {
        rc = note(r, UNDO_DELETED, table, key, old);
    }
    if (rc != 0) {
        return rc;
    }
    count_out(r, table, old, row_hash(table, key, old));
    r->bytes += PAGE_SHARE_BYTES;
    return lmdb_error(mdb_cursor_del(r->view.cursors[table], 0), r->view.error, "deleting a row");
}

static struct hash128 seal_edge(enum table table, struct span key, struct span value, uint8_t *ret)
{
    CHECK(value.len == EDGE_BYTES - CHECKSUM_BYTES);
    struct hash128 hash = row_hash(table, key, value);
    memcpy(ret, value.data, value.len);
    put_u32le(ret + value.len, (uint32_t)hash.low);
    return hash;
}

int row_insert_edge(struct rows *r, enum table table, struct span key, struct span value)
{
    uint8_t bytes[EDGE_BYTES];
    struct hash128 hash = seal_edge(table, key, value, bytes);
    MDB_cursor *cursor;
    int rc = note(r, UNDO_EDGE_ADDED, table, key, value);
    if (rc == 0) {
        rc = view_cursor(&r->view, table, &cursor);
    }
    if (rc != 0) {
        return rc;
    }
    MDB_val k = to_val(key);
    MDB_val v = {.mv_size = sizeof bytes, .mv_data = bytes};
    rc = mdb_cursor_put(cursor, &k, &v, MDB_NODUPDATA);
    if (rc != 0) {
        return lmdb_error(rc, r->view.error, "writing an edge");
    }
    if (tells(r)) {
        adjacency_log_came(&r->edges, r->edges_mark, table, key, value);
    }
    count_in(r, table, value, hash);
    r->bytes += EDGE_BYTES + PAGE_SHARE_BYTES;
    return 0;
}

int row_delete_edge(struct rows *r, enum table table, struct span key, struct span value)
{
    uint8_t bytes[EDGE_BYTES];
    struct hash128 hash = seal_edge(table, key, value, bytes);
    MDB_cursor *cursor;
    int rc = note(r, UNDO_EDGE_GONE, table, key, value);
    if (rc == 0) {
        rc = view_cursor(&r->view, table, &cursor);
    }
    if (rc != 0) {
        return rc;
    }
    MDB_val k = to_val(key);
    MDB_val v = {.mv_size = sizeof bytes, .mv_data = bytes};
    rc = mdb_cursor_get(cursor, &k, &v, MDB_GET_BOTH);
    if (rc == MDB_NOTFOUND) {
        return row_corrupt(r->view.error, table, key, "lacks an edge");
    }
    if (rc == 0) {
        rc = mdb_cursor_del(cursor, 0);
    }
    if (rc != 0) {
        return lmdb_error(rc, r->view.error, "deleting an edge");
    }
    if (tells(r)) {
        adjacency_log_went(&r->edges, table, key, value);
    }
    count_out(r, table, value, hash);
    r->bytes += PAGE_SHARE_BYTES;
    return 0;
}

void rows_init(struct rows *r, struct store *store)
{
    *r = (struct rows){.store = store, .view = {.revision = UINT64_MAX}};
    buffer_init(&r->undo, UNDO_BYTES_MAX);
    buffer_init(&r->edges, EDGES_BYTES_MAX);
}

void rows_release(struct rows *r)
{
    rows_abort(r);
    buffer_release(&r->undo);
    buffer_release(&r->edges);
}

/* Keeps some of the memory. */
static void empty(struct buffer *b, size_t bytes_max)
{
    if (b->capacity > KEEP_BYTES) {
        buffer_release(b);
        buffer_init(b, bytes_max);
    }
    buffer_clear(b);
}

int rows_begin(struct rows *r, struct error *error)
{
    CHECK(r->view.txn == NULL);
    r->view.error = error;
    r->view.env = r->store->env; /* that only this thread replaces */
    int rc = mdb_txn_begin(r->view.env->mdb, NULL, 0, &r->view.txn);
    if (rc != 0) {
        r->view.txn = NULL;
        return lmdb_error(rc, error, "beginning a write");
    }
    r->store->writing = true;
    r->meta = store_meta(r->store);
    r->bytes = 0;
    empty(&r->edges, EDGES_BYTES_MAX);
    r->edges_mark = 0;
    rows_seal(r);
    return 0;
}

/* LMDB frees a write transaction's cursors with it. */
static void forget_txn(struct rows *r)
{
    r->view.txn = NULL;
    r->view.bound = 0;
    memset(r->view.cursors, 0, sizeof r->view.cursors);
    r->store->writing = false;
}

int rows_commit(struct rows *r, struct error *error)
{
    CHECK(r->view.txn != NULL);
    r->view.error = error;
    uint8_t bytes[META_BYTES];
    meta_encode(&r->meta, bytes);
    int rc = put(r, TABLE_META, span_of("state"), span_make(bytes, sizeof bytes), 0);
    if (rc != 0) {
        rows_abort(r);
        return rc;
    }
    struct lineage_batch batch = {
        .changes = buffer_span(&r->edges),
        .lost = r->edges.failed,
        .revision = r->meta.revision,
        .txn = mdb_txn_id(r->view.txn),
    };
    lineage_index_before_commit(&r->view.env->lineage, &batch, r->store);
    rc = environment_commit(r->view.env, r->view.txn, error);
    forget_txn(r);
    if (rc == 0) {
        store_publish(r->store, &r->meta);
    }
    lineage_index_after_commit(&r->view.env->lineage, &batch, rc == 0, r->store);
    return rc;
}

void rows_abort(struct rows *r)
{
    if (r->view.txn != NULL) {
        mdb_txn_abort(r->view.txn);
        forget_txn(r);
    }
}

void rows_mark(struct rows *r)
{
    empty(&r->undo, UNDO_BYTES_MAX);
    r->edges_mark = r->edges.len;
    r->saved = r->meta;
    r->saved_floor = r->view.floor_max;
    r->logging = true;
}

void rows_seal(struct rows *r)
{
    r->logging = false;
}

static int undo_one(struct rows *r, enum undo_op op, enum table t, struct span key, struct span old)
{
    switch (op) {
    case UNDO_INSERTED:
        return row_delete(r, t, key);
    case UNDO_EDGE_ADDED:
        return row_delete_edge(r, t, key, old);
    case UNDO_EDGE_GONE:
        return row_insert_edge(r, t, key, old);
    default:
        return put(r, t, key, old, 0);
    }
}

int rows_undo(struct rows *r)
{
    /* The sums that these writes disturb are restored whole at the end. */
    r->logging = false;
    r->undoing = true;
    int rc = 0;
    while (rc == 0 && r->undo.len > 0) {
        const uint8_t *tail = r->undo.data + r->undo.len - UNDO_TAIL_BYTES;
        size_t key_len = get_u16le(tail + 2);
        size_t old_len = get_u32le(tail + 4);
        const uint8_t *key = tail - old_len - key_len;
        rc = undo_one(r, (enum undo_op)tail[0], (enum table)tail[1], span_make(key, key_len),
                      span_make(key + key_len, old_len));
        r->undo.len = (size_t)(key - r->undo.data);
    }
    r->meta = r->saved;
    r->view.floor_max = r->saved_floor;
    r->undoing = false;
    r->edges.len = r->edges_mark;
    return rc;
}
