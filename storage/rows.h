#pragma once
/* Writes: the one door through which rows change. It knows each row's old value, keeps the two
 * running sums, and notes how to take the running command back, so that a refused command costs a
 * roll-back and a successful one nothing. A sorted write buffer for a whole batch would stand
 * behind these functions; nothing above them would change.
 *
 * All return 0 or a negative CLADE_ERR_*: fatal ones (code_is_fatal) end the batch;
 * CLADE_ERR_LIMIT means that this command writes too much to be taken back, and refuses it. Keys
 * and values given must not point into the map: LMDB moves pages as it writes. */
#include "base/buffer.h"
#include "storage/view.h"

#define UNDO_BYTES_MAX (64u << 20)

struct rows {
    struct store *store;
    struct view view;     /* the batch's write transaction */
    struct meta meta;     /* as of the last write */
    struct meta saved;    /* as of rows_mark */
    uint64_t saved_floor; /* view.floor_max then */
    struct buffer undo;
    struct buffer edges; /* the batch's changes for the lineage index (adjacency_log.h) */
    size_t edges_mark;   /* of them, those before rows_mark */
    uint64_t bytes;      /* written in this batch, about */
    bool logging;        /* notes are taken */
    bool undoing;
};

/* `store` may be NULL where a batch is begun and committed by the caller. */
void rows_init(struct rows *rows, struct store *store);
void rows_release(struct rows *rows);

int rows_begin(struct rows *rows, struct error *error);
/* Writes the meta row and commits; on failure the transaction is gone. */
int rows_commit(struct rows *rows, struct error *error);
void rows_abort(struct rows *rows);

/* What is written from here on can be taken back, up to the next rows_mark or rows_seal. */
void rows_mark(struct rows *rows);
int rows_undo(struct rows *rows);
/* What is written from here on stays, and needs no notes. */
void rows_seal(struct rows *rows);

/* Sets a row, new or not. */
int row_put(struct rows *rows, enum table table, struct span key, struct span value);
/* Adds a row that is known to be new; in tables that are appended to, its key is the highest. */
int row_insert(struct rows *rows, enum table table, struct span key, struct span value);
/* Takes a row away, which must be there. */
int row_delete(struct rows *rows, enum table table, struct span key);
/* The same for the edge tables, whose rows are values of a key. `value` has EDGE_BYTES -
 * CHECKSUM_BYTES bytes. */
int row_insert_edge(struct rows *rows, enum table table, struct span key, struct span value);
int row_delete_edge(struct rows *rows, enum table table, struct span key, struct span value);
