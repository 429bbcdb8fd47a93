#pragma once
/* What Raft has committed and apply has not yet done: a queue of byte strings in log order, from
 * the raft loop to the apply thread. Thread-safe. It cannot refuse (fsm->apply can neither block
 * nor fail); the group bounds it by refusing earlier, see group.h. */
#include "base/span.h"

struct apply_queue;

struct apply_job {
    struct apply_job *next;
    uint64_t previous; /* index of the job before it */
    uint64_t index;
    size_t len;      /* 0: the log advanced to `index` without a command */
    uint8_t bytes[]; /* the log entry */
};

struct apply_queue *apply_queue_new(void);
void apply_queue_free(struct apply_queue *q);

/* Raft loop: appends a copy. When `index` is not the last one's successor, an advance to index - 1
 * goes before it: barriers and configurations stand there. */
void apply_queue_push(struct apply_queue *q, uint64_t index, struct span entry);
/* Raft loop: an advance to `index`, unless the queue is there already. */
void apply_queue_advance(struct apply_queue *q, uint64_t index);
/* Index of the newest job pushed so far; 0 when none was. */
uint64_t apply_queue_last(struct apply_queue *q);
/* Bytes pushed and not yet released with apply_queue_done. */
uint64_t apply_queue_bytes(struct apply_queue *q);

/* Apply thread: all jobs that wait, at most jobs_max and about bytes_max (at least one), as a list
 * in order that the caller frees job by job with free(); NULL when none waits. */
struct apply_job *apply_queue_take(struct apply_queue *q, size_t jobs_max, size_t bytes_max);
/* Apply thread: blocks until a job waits or the queue is closed; false when closed and empty. */
bool apply_queue_wait(struct apply_queue *q);
/* Apply thread: jobs with that many bytes are published, and no longer count. */
void apply_queue_done(struct apply_queue *q, uint64_t bytes);
/* Any thread: wakes the waiter; what is queued can still be taken. */
void apply_queue_close(struct apply_queue *q);
