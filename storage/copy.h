#pragma once
/* A copy of a running store, as of one commit, for a member that is behind or new. The source reads
 * its own data.mdb by offset under one LMDB read transaction: pages that the snapshot reaches are
 * not written while it is open, so any part can be read again at any time, and a copy that was
 * interrupted goes on where it stood. What pages outside the snapshot hold does not matter.
 * The price: pages that the writer frees meanwhile are not used again until the copy is closed, so
 * the source grows by what is written; a copy must end, or be given up, in bounded time. */
#include "base/error.h"
#include "base/hash.h"
#include "storage/store.h"

struct store_copy;

struct store_copy_info {
    uint64_t bytes; /* length of the file */
    uint64_t applied;
    uint64_t revision;
    struct hash128 data; /* digests at `applied` */
    struct hash128 state;
};

/* Begins: any thread; takes one of the store's reader slots until it is closed. */
int store_copy_open(struct store *store,
                    struct store_copy **ret,
                    struct store_copy_info *ret_info,
                    struct error *error);
/* Reads `len` bytes at `offset`, which lie within the file. One thread at a time. Blocks on disk.
 */
int store_copy_read(
    struct store_copy *copy, uint64_t offset, uint8_t *to, size_t len, struct error *error);
/* Accepts NULL. */
void store_copy_close(struct store_copy *copy);

/* Checks a received copy, data.mdb in the folder `path`: opens it, scans every row, compares both
 * sums (store_verify), and fills in what it holds. CLADE_ERR_CORRUPT says what is wrong. The copy
 * is synced when it returns 0. */
int store_copy_check(const char *path,
                     uint64_t map_bytes,
                     struct store_copy_info *ret,
                     struct error *error);
