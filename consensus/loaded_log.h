#pragma once
/* What raft_io->load gives, in one piece, for those that look at it on its way. */
#include <raft.h>

struct loaded_log {
    raft_term term;
    raft_id vote;
    struct raft_snapshot *snapshot; /* NULL = none */
    raft_index start;               /* index of entries[0], or of the next entry */
    struct raft_entry *entries;
    size_t n;
};

/* Frees snapshot and entries, which were not given to libraft. */
void loaded_log_release(struct loaded_log *l);
