#pragma once
/* The thread that scans this node's store for `clade cluster verify`: one scan at a time, paced by
 * `catch_up_rate_bytes`, at a low priority. Members are compared at one index of the log, so a scan
 * is of exactly the index that was asked for: the apply thread ends a batch there, and hands over
 * what is then committed. A scan that nobody looks at for ten seconds ends. */
#include "node/node.h"
#include "storage/scan.h"

struct verifier;

enum verifier_phase {
    VERIFIER_WAITS,  /* the index is not reached yet */
    VERIFIER_PASSED, /* this node had gone beyond it, or never stood at it */
    VERIFIER_SCANS,
    VERIFIER_DONE,
    VERIFIER_FAILED /* `error` says why */
};

struct verifier_look {
    enum verifier_phase phase;
    uint64_t index;       /* that is wanted */
    uint64_t bytes_total; /* of the file that are in use: what `bytes` comes to, about */
    struct store_scan_result result;
    struct error error;
};

int verifier_new(struct node *n, struct verifier **ret, struct error *error);
int verifier_start(struct verifier *v, struct error *error);
/* Ends a scan and waits for the thread. Accepts NULL. */
void verifier_stop(struct verifier *v);
void verifier_free(struct verifier *v);

/* Any thread, each. `id` is the asker's number for its scan. 0, or an error with a sentence. */

/* Begins a scan at that index, 0 being the last commit's, in place of one that the same asker had.
 * Said twice with one index it is one scan. CLADE_ERR_THROTTLED: another asker's is under way. */
int verifier_pin(struct verifier *v,
                 uint64_t id,
                 uint64_t index,
                 struct verifier_look *ret,
                 struct error *error);
/* CLADE_ERR_NOT_FOUND: there is no such scan any more. */
int verifier_look(struct verifier *v, uint64_t id, struct verifier_look *ret, struct error *error);
/* Ends it, if it is there. */
void verifier_close(struct verifier *v, uint64_t id);

/* Apply thread: the index at which a batch is to end; 0 = none. */
uint64_t verifier_index(struct verifier *v);
/* Apply thread: up to there all is committed, and nothing behind it. */
void verifier_published(struct verifier *v, uint64_t index);
