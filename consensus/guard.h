#pragma once
/* The high-water guard: a node never comes back knowing less than it has acknowledged. libraft
 * drops the tail of its log silently when a bit of it flips, and its term and vote have no
 * checksum; such a node would vote as if it had never acknowledged what it lost. So a mark {term,
 * vote, last acknowledged index and its term} is kept beside the log, and a log or term below it is
 * refused at the start: the node is rebuilt as a new member.
 *
 * The guard lies over a raft_io (a disk's, or a simulator's) and under the group's own wrapping:
 *     set_term, set_vote   the mark is written and synced after the io's own write
 *     append               on its success the mark is due: written by guard_write within 10 ms of
 * it truncate, and snapshot_put of an install: the mark is lowered and synced before load refuses
 * with RAFT_CORRUPT and a sentence in io->errmsg The index is written lazily, off the path of
 * writes: before each acknowledgement it would nearly double their latency. So the loss of what was
 * acknowledged in the last 10 ms before a crash is not noticed; it needs a crash and damage to the
 * same few blocks at once.
 *
 *     mark file: two slots of 64 bytes at 0 and 4096, written in turn; all integers little-endian
 *     0 "clademk" and a zero   8 u32 version (1)   12 u32 0   16 u64 generation   24 u64 term
 *    32 u64 vote   40 u64 index   48 u64 term of that index   56 u64 XXH3-64 of the 56 before
 *     The slot with the higher generation counts; one damaged slot of two is normal after a crash.
 */
#include "base/clock.h"
#include "base/error.h"

struct guard;
struct raft_io;

#define GUARD_SLOT_BYTES    64
#define GUARD_SLOT_DISTANCE 4096
#define GUARD_LAZY_US       10000

/* Where the mark lies. A write is durable when it returns 0. May block. */
struct guard_disk {
    /* Both slots; a file that is not there reads as zeros with *ret_exists false. */
    int (*read)(struct guard_disk *d,
                uint8_t slots[2][GUARD_SLOT_BYTES],
                bool *ret_exists,
                struct error *error);
    int (*write)(struct guard_disk *d,
                 unsigned slot,
                 const uint8_t bytes[GUARD_SLOT_BYTES],
                 struct error *error);
};

struct guard_options {
    struct raft_io *io; /* its functions are replaced until guard_free */
    struct guard_disk *disk;
    const struct clock *clock;
    bool off; /* benchmarks alone: nothing is written, nothing checked */
    /* The mark is due and the writer may sleep: wake it. Called on the loop. */
    void (*on_due)(void *arg, uint64_t due_us);
    /* The mark could not be written: the process must stop. From whichever thread wrote. */
    void (*on_fatal)(void *arg, const struct error *error);
    void *arg;
};

/* Over the io, before group_new. A log that has entries and no mark beside it is refused at load
 * unless it was bootstrapped and never started (guard_adopt). */
int guard_new(const struct guard_options *options, struct guard **ret, struct error *error);
/* After the group on it is closed. Accepts NULL. */
void guard_free(struct guard *g);
/* Writes what is due by now, from any one thread; returns when it wants to be called next,
 * UINT64_MAX when nothing is due. Blocks on disk. */
uint64_t guard_write(struct guard *g, uint64_t now_us);
/* Writes what is due at once: at shutdown. */
void guard_flush(struct guard *g);

/* A guard_disk on a file in the folder of the log ("mark"). */
struct guard_disk *guard_file_open(const char *folder, struct error *error);
void guard_file_close(struct guard_disk *d);
