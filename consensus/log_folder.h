#pragma once
/* The folder of a log while no node runs on it: made anew behind a store, or read to its end. Both
 * run a loop of their own, and block. The caller has the folder locked. */
#include "base/error.h"
#include "base/span.h"
#include "consensus/reference.h"

/* Makes a log in the empty folder `path` that holds nothing but a snapshot: the reference, and the
 * configuration of the one voter `id` at `address`. The first entry gets the index behind it, so it
 * is never one that the store has. Makes its mark too. A crash leaves something that is to be
 * emptied and made anew. CLADE_ERR_IO, _NO_SPACE, _NO_MEMORY. */
int log_folder_found(const char *path,
                     uint64_t id,
                     const char *address,
                     const struct reference *reference,
                     struct error *error);

/* What a log says of itself. */
struct log_folder_end {
    uint64_t term;
    uint64_t last_term; /* of its last entry, or of its snapshot; 0 = it is empty */
    uint64_t last_index;
    uint64_t snapshot_index; /* 0 = none */
};

/* Reads the log of node `id`, as that node's start would: damage, and a log that lost what it
 * acknowledged, are refused (CLADE_ERR_CORRUPT), and what a crash left is tidied up. The mark's
 * witness (guard.h) lies in the folder `witness_path`; NULL: it is not looked at. Then calls
 * `cb` for each of its entries above `after`, in order; `entry` has no bytes where an entry holds
 * no commands, and is borrowed. What `cb` returns, if it is not 0, ends it and is returned. `cb`
 * may be NULL. CLADE_ERR_COMPACTED: the log begins behind `after` + 1. */
int log_folder_read(const char *path,
                    const char *witness_path,
                    uint64_t id,
                    const char *address,
                    uint64_t after,
                    int (*cb)(void *arg, uint64_t index, struct span entry, struct error *error),
                    void *arg,
                    struct log_folder_end *ret,
                    struct error *error);
