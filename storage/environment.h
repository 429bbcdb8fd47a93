#pragma once
/* One LMDB environment: a folder with data.mdb and lock.mdb, opened once in this process. A store
 * has one that is current, and those before it that a reader or a copy still uses. */
#include "storage/lineage_index.h"
#include "storage/store_internal.h"

struct environment {
    MDB_env *mdb;
    MDB_dbi tables[TABLE_COUNT];
    uint64_t map_bytes;
    struct lineage_index lineage;
    unsigned users;           /* transactions that keep it open; the store's lock guards it */
    struct environment *next; /* the store's older ones */
};

/* Opens the environment in options->path and reads its meta row. One that is not there yet is made,
 * or CLADE_ERR_CORRUPT when it comes after `former` (NULL: none); a map that is sized to the file
 * system is then no smaller than that one's. CLADE_ERR_IO, _CORRUPT, _UNSUPPORTED, _NO_SPACE,
 * _NO_MEMORY, with a sentence. */
int environment_open(const struct store_options *options,
                     const struct environment *former,
                     struct environment **ret,
                     struct meta *ret_meta,
                     struct error *error);
/* Commits a write transaction, which is gone then in any case. 0 or a disk error. */
int environment_commit(struct environment *env, MDB_txn *txn, struct error *error);
/* No transaction may be left. Accepts NULL. */
void environment_close(struct environment *env);
/* Bytes of the file in use. */
uint64_t environment_used_bytes(const struct environment *env);
/* Whether data.mdb in the folder `path` is the file that this environment has open. */
bool environment_is_at(const struct environment *env, const char *path);
