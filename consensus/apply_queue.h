#pragma once
/* What Raft has committed and apply has not yet done: jobs in log order, from the raft loop (and
 * from catch_up.h, which fetches committed entries elsewhere) to the apply thread. Thread-safe. It
 * cannot refuse (fsm->apply can neither block nor fail); the group bounds it by refusing earlier,
 * see group.h. Indexes only rise: what was pushed before is not pushed again. */
#include "base/span.h"

struct apply_queue;

enum apply_job_kind {
    JOB_ENTRY,   /* a log entry of commands */
    JOB_ADVANCE, /* the log advanced to `index` without a command */
    JOB_EXPECT,  /* the store holds `index` already, from elsewhere: to be checked */
    JOB_MARK,    /* all up to `index` is to be committed and synced, and its position told */
    JOB_SWAP,    /* the folder named by the bytes is to become the store */
    JOB_TRY,     /* a transaction's answer is asked for, and nothing of it is to stay */
    JOB_COMPACT  /* some of what is below the floors is to go */
};

struct apply_job {
    struct apply_job *next;
    enum apply_job_kind kind;
    uint64_t previous; /* index of the job before it */
    uint64_t index;
    size_t len;
    uint8_t bytes[]; /* ENTRY: the log entry; SWAP: u64 applied index, a path and a NUL;
                        TRY: u64 time, an item; COMPACT: u16 changes */
};

struct apply_queue *apply_queue_new(void);
void apply_queue_free(struct apply_queue *q);

/* Appends a copy of the log entry at `index`. When `index` is not the last one's successor, an
 * advance to index - 1 goes before it: barriers and configurations stand there. An index that was
 * pushed before is left out: it is the same committed entry. */
void apply_queue_push(struct apply_queue *q, uint64_t index, struct span entry);
/* The same for a job of another member's archive, whose jobs are contiguous: true when it stands
 * in the queue now or did before, false when `previous` is above the last index. An empty entry is
 * an advance. */
bool apply_queue_push_follow(struct apply_queue *q,
                             uint64_t previous,
                             uint64_t index,
                             struct span entry);
/* An advance to `index`, unless the queue is there already. */
void apply_queue_advance(struct apply_queue *q, uint64_t index);
/* The log goes on above `index`, and what is up to it must be in the store by then: a snapshot was
 * restored, or a copy swapped in. */
void apply_queue_expect(struct apply_queue *q, uint64_t index);
/* Asks for a mark behind what was pushed; returns the index that it stands at. */
uint64_t apply_queue_mark(struct apply_queue *q);
/* Asks for the store to be swapped for the one in `path`, which has reached `applied`. */
void apply_queue_swap(struct apply_queue *q, const char *path, uint64_t applied);
/* Asks for what a transaction would answer, behind what was pushed: no part of the log. False when
 * memory is out. Any thread. */
bool apply_queue_try(struct apply_queue *q, uint64_t stamp_us, struct span item);
/* Asks for some of what is below the floors to go (apply_compact, `changes_max`): no part of the
 * log. Nothing happens when that was asked for already and is not done, or memory is out. Any
 * thread. */
void apply_queue_compact(struct apply_queue *q, uint16_t changes_max);
/* Index of the newest job pushed so far; 0 when none was. */
uint64_t apply_queue_last(struct apply_queue *q);
/* Bytes pushed and not yet released with apply_queue_done. */
uint64_t apply_queue_bytes(struct apply_queue *q);
/* Whether a job waits. */
bool apply_queue_waits(struct apply_queue *q);

/* Apply thread: all jobs that wait, at most jobs_max and about bytes_max (at least one), as a list
 * in order that the caller frees job by job with free(); NULL when none waits. */
struct apply_job *apply_queue_take(struct apply_queue *q, size_t jobs_max, size_t bytes_max);
/* Apply thread: blocks until a job waits or the queue is closed; false when closed and empty. */
bool apply_queue_wait(struct apply_queue *q);
/* Apply thread: jobs with that many bytes are published, and no longer count. */
void apply_queue_done(struct apply_queue *q, uint64_t bytes);
/* Any thread: wakes the waiter; what is queued can still be taken. */
void apply_queue_close(struct apply_queue *q);
