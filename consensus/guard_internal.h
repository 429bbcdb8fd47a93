#pragma once
/* What the files of the guard share: guard.c (when the mark is written), guard_io.c (the raft_io
 * that the group sees, and the log's terms that it follows), guard_mark.c, guard_file.c. */
#include <pthread.h>

#include <raft.h>

#include "base/list.h"
#include "consensus/guard.h"

/* Entries of one term that follow on each other, up to the next stretch. */
struct stretch {
    raft_index first;
    raft_term term;
};

struct guard {
    struct raft_io face; /* what the group sees; first, see guard_of */
    struct raft_io *io;
    struct guard_options options;
    raft_io_tick_cb tick;

    /* The loop's own. */
    raft_index next; /* index of the next entry to be appended */
    struct stretch *stretches;
    size_t stretches_len;
    size_t stretches_cap;
    struct list appends; /* under way; they end in order */

    pthread_mutex_t writing; /* held while a mark goes to disk; taken before `state` */
    pthread_mutex_t state;   /* held for moments: for what follows */
    struct guard_mark wanted;
    struct guard_mark taken;     /* what was given to the disk last */
    uint64_t due_us;             /* when `wanted` must be given to it; UINT64_MAX = it was */
    struct guard_mark witnessed; /* what was given to the witness last */
    uint64_t witness_due_us;     /* likewise */
};

/* guard.c. Acknowledged up to `index`, of that term: the mark becomes due. */
void guard_raise(struct guard *g, raft_index index, raft_term term);
/* The log will legally end at `index`, of that term (0 = it may be any), or above: when the mark
 * says more, or will, it is lowered, on disk before this returns. RAFT_IOERR after on_fatal. */
int guard_lower(struct guard *g, raft_index index, raft_term term);
/* Puts what is wanted on disk. RAFT_IOERR after on_fatal. */
int guard_write_now(struct guard *g);
/* The same for the witness, where there is one. What is coming is none of its. */
int guard_witness_now(struct guard *g);

/* guard_io.c */
void guard_face_init(struct guard *g);
