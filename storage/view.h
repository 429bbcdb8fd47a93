#pragma once
/* Rows as one transaction sees them: look-ups and ranges, each row's checksum checked. Used by
 * readers (a read transaction) and by apply (the write transaction, which sees its own writes).
 *
 * Functions return 0, 1 when there is no such row, or a negative CLADE_ERR_* with view->error
 * filled. Spans point into the map: they live until the transaction ends, or in a write
 * transaction until the next write. */
#include "storage/environment.h"

struct view {
    struct environment *env;
    MDB_txn *txn;
    MDB_cursor *cursors[TABLE_COUNT]; /* opened when first needed */
    unsigned bound;                   /* bit per cursor that belongs to `txn` */
    bool renewable;                   /* a read transaction's, kept from one query to the next */
    uint64_t revision;                /* reads are as of it; UINT64_MAX = newest */
    uint64_t floor_max;               /* below it reads look at compaction floors (floor.h) */
    struct lookup_memo *memo;         /* a reader's (lookup.h); NULL = none */
    struct error *error;              /* may be NULL */
};

struct row {
    struct span key;
    struct span value; /* without the checksum */
};

/* Begins a read of the last commit that lasts until view_close; `error` is where its functions say
 * what is wrong (NULL: nowhere). Any thread. */
int view_open(struct view *v, struct store *store, struct error *error);
void view_close(struct view *v, struct store *store);

int view_cursor(struct view *v, enum table table, MDB_cursor **ret);
/* Closes the cursors of a read view. */
void view_release(struct view *v);

/* The value of a row. */
int view_get(struct view *v, enum table table, struct span key, struct span *ret);
/* The first row at or above `key`. */
int view_seek(struct view *v, enum table table, struct span key, struct row *ret);
/* The last row below `key`. */
int view_before(struct view *v, enum table table, struct span key, struct row *ret);
/* Steps from the row that was read last. */
int view_next(struct view *v, enum table table, struct row *ret);
int view_previous(struct view *v, enum table table, struct row *ret);

/* What the store knows of itself at this snapshot; missing is CLADE_ERR_CORRUPT. */
int view_meta(struct view *v, struct meta *ret);
