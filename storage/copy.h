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
    uint64_t time_us;    /* store time of the last entry */
    struct hash128 data; /* digests at `applied` */
    struct hash128 state;
};

/* Begins: any thread; takes one of the store's reader slots until it is closed, and keeps the
 * environment open that is current now, whatever is swapped in. Returns 0, a disk error,
 * CLADE_ERR_UNSUPPORTED when LMDB's file is of a format that this does not know, or CLADE_ERR_RETRY
 * when commits came too fast to begin between two. */
int store_copy_open(struct store *store,
                    struct store_copy **ret,
                    struct store_copy_info *ret_info,
                    struct error *error);
/* Reads `len` bytes at `offset`; CLADE_ERR_INVALID when they are not within the file. One thread at
 * a time. Blocks on disk. */
int store_copy_read(
    struct store_copy *copy, uint64_t offset, uint8_t *to, size_t len, struct error *error);
/* What it costs: bytes of the file that the snapshot reaches, and those beyond them if the file has
 * grown since, else 0. Pages that were free at the begin are used up first, and those that are
 * freed meanwhile can not be used again. */
void store_copy_cost(const struct store_copy *copy, uint64_t *ret_live, uint64_t *ret_beyond);
/* Accepts NULL. */
void store_copy_close(struct store_copy *copy);

/* Checks a received copy, data.mdb in the folder `path`, and fills in what it holds: every page
 * before LMDB sees the file (storage/data_file.h), then every row and both sums (store_verify). The
 * file may be anything. When it returns 0 the copy and its folder's entries are synced, and it is
 * not open, so that it can be swapped in; a lock.mdb lies beside it. CLADE_ERR_CORRUPT says what is
 * wrong; CLADE_ERR_IO, _NO_SPACE, _NO_MEMORY are this machine's. Whether the copy is what its
 * source announced is for the caller to compare. Takes as long as reading it three times;
 * `progress` (may be NULL) is called now and then, with what is of no interest, and ends it when it
 * says false (CLADE_ERR_RETRY). */
int store_copy_check(const char *path,
                     uint64_t map_bytes,
                     bool (*progress)(uint64_t n, void *arg),
                     void *arg,
                     struct store_copy_info *ret,
                     struct error *error);
