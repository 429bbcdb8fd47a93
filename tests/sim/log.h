#pragma once
/* A node's Raft log as a disk would keep it: a raft_io on virtual time. What is being written is
 * lost, or kept in part, when the node crashes; what was reported as written survives. Entries that
 * were cut off may come back with a crash, until something was written in their place. */
#include <stddef.h>

#include <raft.h>

#include "tests/sim/random.h"

#define SIM_GETS_MAX 64

struct sim_write {
    struct raft_io_append *req;
    raft_io_append_cb cb;
    uint64_t due_us;
    size_t entries_len; /* entries of the log once it is done */
};

/* A snapshot as the disk keeps it: complete or not there. */
struct sim_snapshot {
    raft_index index; /* 0 = none */
    raft_term term;
    raft_index configuration_index;
    struct raft_buffer configuration;
    struct raft_buffer data;
};

struct sim_get {
    struct raft_io_snapshot_get *req;
    raft_io_snapshot_get_cb cb;
    uint64_t due_us;
};

struct sim_log {
    struct raft_io io; /* first */
    const uint64_t *now_us;
    struct sim_random *random;
    uint64_t write_us_max; /* how long a write may take */
    uint64_t put_us_max;   /* and one of a snapshot */
    raft_term term;
    raft_id vote;
    struct raft_entry *entries; /* entries[0] has index `first` */
    raft_index first;
    size_t entries_len;
    size_t entries_cap;
    size_t durable_len;      /* entries that a crash can not take */
    struct raft_entry *tail; /* what was cut off last */
    size_t tail_len;
    raft_index tail_first;
    struct sim_write *writes;
    size_t writes_len;
    size_t writes_cap;
    struct sim_snapshot snapshot;
    struct sim_snapshot writing; /* until put_due_us; lost in a crash */
    struct raft_io_snapshot_put *put;
    raft_io_snapshot_put_cb put_cb;
    unsigned put_trailing;
    uint64_t put_due_us;
    struct sim_get gets[SIM_GETS_MAX];
    size_t gets_len;
    uint64_t tick_us;
    uint64_t next_tick_us;
    raft_io_tick_cb tick;
    bool closing;
    bool failed;       /* nothing is written any more until a crash, and nothing is reported */
    size_t failed_len; /* entries that were given to the disk by then */
    /* Whether the disk takes a write of so many bytes; NULL: always. At the first that it does not
     * take the log fails: the node must stop, as disk.h's on_fatal stops it. */
    bool (*may_write)(void *arg, size_t bytes);
    void *arg;
};

void sim_log_init(struct sim_log *l, const uint64_t *now_us, struct sim_random *random);
void sim_log_release(struct sim_log *l);
/* When something is due next; UINT64_MAX when nothing is. */
uint64_t sim_log_next_us(const struct sim_log *l);
/* Does what is due; true when it did something. */
bool sim_log_step(struct sim_log *l);
/* The process ends elsewhere in this step: nothing is written any more until the crash. */
void sim_log_end(struct sim_log *l);
/* Loses what was not written yet, but for some of it. The group on it must be closed after. */
void sim_log_crash(struct sim_log *l);
/* Damage, of a node that is down: the log is as if it had never had what is above `last`, or had
 * never heard of its newest term. */
void sim_log_lose(struct sim_log *l, raft_index last);
void sim_log_lose_term(struct sim_log *l);
