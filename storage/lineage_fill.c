/* Filling a lineage index from the disk, in a read transaction of one moment. */
#include <stdlib.h>

#include "storage/adjacency_log.h"
#include "storage/environment.h"
#include "storage/lookup.h"

#define ROWS_BETWEEN_LOOKS 4096

struct fill {
    struct store *store;
    const bool *stop;
    struct view view;
    struct adjacency *into;
    struct edge *edges; /* of one thing */
    size_t edges_len;
    size_t edges_capacity;
    unsigned rows;
    enum store_lineage_state gave_up; /* when a function returned 1 */
};

static int give_up(struct fill *f, enum store_lineage_state why)
{
    f->gave_up = why;
    return 1;
}

/* Now and then: whether somebody still wants it. */
static int look(struct fill *f)
{
    if (++f->rows % ROWS_BETWEEN_LOOKS != 0) {
        return 0;
    }
    bool stop = f->stop != NULL && __atomic_load_n(f->stop, __ATOMIC_RELAXED);
    bool swapped = __atomic_load_n(&f->store->env, __ATOMIC_SEQ_CST) != f->view.env;
    return stop || swapped ? give_up(f, LINEAGE_ABSENT) : 0;
}

static int mark(struct fill *f, uint64_t id, uint8_t what)
{
    enum adjacency_result result = adjacency_set_mark(f->into, id, what);
    return result == ADJACENCY_DONE ? look(f) : give_up(f, LINEAGE_FULL);
}

/* Every row of a table, marked as `mark_row` says. */
static int each_row(struct fill *f,
                    enum table table,
                    int (*mark_row)(struct fill *f, enum table table, const struct row *row))
{
    struct row row;
    int rc = view_seek(&f->view, table, span_make("", 1), &row);
    while (rc == 0) {
        rc = mark_row(f, table, &row);
        if (rc != 0) {
            return rc;
        }
        rc = view_next(&f->view, table, &row);
    }
    return rc < 0 ? rc : 0;
}

static int mark_thing(struct fill *f, enum table table, const struct row *row)
{
    enum kind kind = record_kind(row->value);
    if (row->key.len != 8 || kind == KIND_NONE) {
        return row_corrupt(f->view.error, table, row->key, "is no thing");
    }
    return mark(f, get_u64be(row->key.data), (uint8_t)kind);
}

static int mark_pointed(struct fill *f, enum table table, const struct row *row)
{
    uint64_t id = adjacency_pointed(table, row->key, row->value);
    return id == 0 ? 0 : mark(f, id, MARK_POINTED);
}

static int reserve(struct fill *f, size_t more)
{
    if (f->edges_len + more <= f->edges_capacity) {
        return 0;
    }
    size_t capacity = 2 * (f->edges_len + more);
    struct edge *grown = realloc(f->edges, capacity * sizeof *grown);
    if (grown == NULL) {
        return error_set(f->view.error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    f->edges = grown;
    f->edges_capacity = capacity;
    return 0;
}

static int take_edges(struct fill *f, enum table table, struct span key, MDB_val values)
{
    size_t len = values.mv_size / EDGE_BYTES;
    if (values.mv_size % EDGE_BYTES != 0 || key.len != 8) {
        return row_corrupt(f->view.error, table, key, "has a wrong length");
    }
    int rc = reserve(f, len);
    for (size_t i = 0; rc == 0 && i < len; i++) {
        const uint8_t *bytes = (const uint8_t *)values.mv_data + i * EDGE_BYTES;
        rc = lookup_decode_edge(&f->view, table, key, bytes, &f->edges[f->edges_len++]);
    }
    return rc;
}

static int put_edges(struct fill *f, enum adjacency_side side, struct span key)
{
    if (f->edges_len > UINT32_MAX) {
        return give_up(f, LINEAGE_FULL);
    }
    enum adjacency_result result =
        adjacency_load(f->into, side, get_u64be(key.data), f->edges, (uint32_t)f->edges_len);
    f->edges_len = 0;
    return result == ADJACENCY_DONE ? look(f) : give_up(f, LINEAGE_FULL);
}

/* The edges of the thing where the cursor stands. */
static int fill_thing(struct fill *f, enum adjacency_side side, MDB_cursor *cursor, MDB_val k)
{
    enum table table = side == SIDE_OUT ? TABLE_EDGES_OUT : TABLE_EDGES_IN;
    struct span key = span_make(k.mv_data, k.mv_size);
    MDB_val values;
    int rc = mdb_cursor_get(cursor, &k, &values, MDB_GET_CURRENT);
    /* GET_MULTIPLE leaves `values` as it is where a key has one value: then that is all. */
    if (rc == 0) {
        rc = mdb_cursor_get(cursor, &k, &values, MDB_GET_MULTIPLE);
    }
    while (rc == 0) {
        int taken = take_edges(f, table, key, values);
        if (taken != 0) {
            return taken;
        }
        rc = mdb_cursor_get(cursor, &k, &values, MDB_NEXT_MULTIPLE);
    }
    return rc == MDB_NOTFOUND ? put_edges(f, side, key)
                              : lmdb_error(rc, f->view.error, "reading edges");
}

static int fill_side(struct fill *f, enum adjacency_side side)
{
    MDB_cursor *cursor;
    int rc = view_cursor(&f->view, side == SIDE_OUT ? TABLE_EDGES_OUT : TABLE_EDGES_IN, &cursor);
    if (rc != 0) {
        return rc;
    }
    MDB_val k = {0};
    MDB_val v;
    int got = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    while (got == 0) {
        rc = fill_thing(f, side, cursor, k);
        if (rc != 0) {
            return rc;
        }
        got = mdb_cursor_get(cursor, &k, &v, MDB_NEXT_NODUP);
    }
    return got == MDB_NOTFOUND ? 0 : lmdb_error(got, f->view.error, "reading edges");
}

static int fill_all(struct fill *f)
{
    int rc = each_row(f, TABLE_THINGS, mark_thing);
    rc = rc != 0 ? rc : each_row(f, TABLE_ALIASES, mark_pointed);
    rc = rc != 0 ? rc : each_row(f, TABLE_STAGES, mark_pointed);
    rc = rc != 0 ? rc : each_row(f, TABLE_DEPLOYED, mark_pointed);
    rc = rc != 0 ? rc : fill_side(f, SIDE_OUT);
    return rc != 0 ? rc : fill_side(f, SIDE_IN);
}

/* Whatever is committed after the transaction begins is pending. */
static int fill(struct fill *f)
{
    struct lineage_index *x = &f->view.env->lineage;
    int rc = lmdb_error(mdb_txn_begin(f->view.env->mdb, NULL, MDB_RDONLY, &f->view.txn),
                        f->view.error, "beginning a read");
    if (rc != 0) {
        lineage_index_give_up(x, LINEAGE_ABSENT);
        return rc;
    }
    struct meta meta;
    size_t txn = mdb_txn_id(f->view.txn);
    rc = view_meta(&f->view, &meta);
    rc = rc != 0 ? rc : fill_all(f);
    view_release(&f->view);
    mdb_txn_abort(f->view.txn);
    free(f->edges);
    if (rc == 0) {
        lineage_index_hand_over(x, txn, meta.revision);
    } else {
        lineage_index_give_up(x, rc == 1 ? f->gave_up : LINEAGE_DAMAGED);
    }
    return rc < 0 ? rc : 0;
}

int store_fill_lineage(struct store *store, const bool *stop, struct error *error)
{
    struct fill f = {
        .store = store,
        .stop = stop,
        .view = {.env = store_ref(store), .revision = UINT64_MAX, .error = error},
    };
    struct environment *env = f.view.env;
    f.into = lineage_index_begin(&env->lineage);
    int rc = f.into != NULL ? fill(&f) : 0;
    store_unref(store, env);
    return rc;
}
