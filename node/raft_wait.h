#pragma once
/* The raft loop's word for threads that may wait for it: not for loops. */
#include "consensus/peers.h"
#include "node/node.h"

struct raft_view {
    struct group_status status;
    uint64_t refused[PEER_CAUSE_COUNT];
};

/* Fills *ret; false when the loop did not answer within timeout_ms, is closed, or memory is out.
 * Any thread. */
bool raft_wait_status(struct raft_thread *rt, unsigned timeout_ms, struct raft_view *ret);
