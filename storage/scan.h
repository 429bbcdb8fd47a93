#pragma once
/* A scan of every row as of one commit, while the store is written: a running sum cannot see a row
 * that rotted, and one node alone cannot see a row that is whole and wrong. The commit is held by a
 * read transaction, so pages that the writer frees meanwhile are not used again until the scan is
 * closed: it must end, or be given up, in bounded time (as storage/copy.h has it). */
#include "base/error.h"
#include "storage/store.h"

struct store_scan;

/* All that a scan has found so far. */
struct store_scan_result {
    uint64_t rows;
    uint64_t bytes;            /* of their keys and values */
    uint64_t bad_rows;         /* that do not match their checksums; they are in no sum */
    struct error bad;          /* the first of them, its table in `where`; code 0: there is none */
    struct store_digest kept;  /* the store's digests: its running sums */
    struct store_digest found; /* what the rows add up to, once all were read; of the same index */
};

/* Begins at the last commit: any thread; takes one of the store's reader slots. Fills in
 * ret->kept. Returns 0 or a disk error. */
int store_scan_open(struct store *store,
                    struct store_scan **ret,
                    struct store_scan_result *ret_result,
                    struct error *error);
/* Reads all rows; one thread. Calls `progress` after some thousand rows or some hundred KiB, each;
 * CLADE_ERR_RETRY when that says false. Bad rows are no error; 0 means that all was read. After
 * another disk error the result has what was read before it. */
int store_scan_run(struct store_scan *scan,
                   bool (*progress)(const struct store_scan_result *result, void *arg),
                   void *arg,
                   struct store_scan_result *ret,
                   struct error *error);
/* Bytes of the file in use when it was opened, and by how much it has grown since. Any thread. */
void store_scan_cost(const struct store_scan *scan, uint64_t *ret_live, uint64_t *ret_beyond);
/* Accepts NULL. */
void store_scan_close(struct store_scan *scan);
/* Whether no row is bad and all add up to what the store says. */
bool store_scan_is_sound(const struct store_scan_result *result);
