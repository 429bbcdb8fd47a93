#pragma once
/* A raft_io in memory, on virtual time, for tests of the group: appends are done when the test says
 * so, and what was not done is lost with memory_io_crash. */
#include <stdbool.h>
#include <stdint.h>

#include <raft.h>

struct memory_append {
    struct raft_io_append *req;
    raft_io_append_cb cb;
};

struct memory_io {
    struct raft_io io; /* first */
    uint64_t *now_us;
    unsigned seed;
    raft_term term;
    raft_id vote;
    struct raft_entry *entries; /* entries[0] is index 1 */
    size_t entries_len;
    size_t entries_cap;
    struct memory_append pending[8192];
    size_t pending_len;
    unsigned tick_ms;
    uint64_t next_tick_us;
    raft_io_tick_cb tick;
    raft_io_recv_cb recv;
    raft_io_close_cb close_cb;
};

void memory_io_init(struct memory_io *m, uint64_t *now_us, unsigned seed);
void memory_io_release(struct memory_io *m);
/* Ticks that are due, then the appends that wait; true when it did something. */
bool memory_io_step(struct memory_io *m);
