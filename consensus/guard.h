#pragma once
/* The high-water guard: a node never comes back knowing less than it has acknowledged. libraft
 * drops the tail of its log silently when a bit of it flips, and its term and vote have no
 * checksum; such a node would vote as if it had never acknowledged what it lost. So a mark {term,
 * vote, last acknowledged index and its term} is kept beside the log, and a log or a term below it
 * is refused at the start: the node is rebuilt as a new member.
 *
 * The guard is a raft_io of its own that lies over another (a disk's, or a simulator's) and under
 * the group: give guard_io to the group and the io below it to nobody else.
 *     set_term, set_vote  the mark says what is coming, then the io writes, then the mark that it
 *                         has come, each synced, before it returns: what the disk says at a load is
 *                         what the mark says, or what was coming, or it is damaged
 *     append              before its success is passed on, the mark becomes due: guard_write has it
 *                         on disk GUARD_LAZY_US later
 *     truncate            below the mark: the mark is lowered and synced first. libraft truncates
 *                         before every append, mostly where nothing is; that costs nothing
 *     snapshot_put        of an install (trailing 0), after which the log ends at its index: the
 *                         same
 *     load                refuses with RAFT_CORRUPT and a sentence in errmsg; else raises the mark
 *                         to what was loaded, since libraft acknowledges that without an append
 * A second mark, the witness, lies outside of the log's folder: should that folder be put back as
 * it was on an earlier day, its mark is as old as its log. The witness says how far term, vote and
 * index had come at least: with each term and vote, and GUARD_WITNESS_US after an index.
 *
 * The index is written lazily, off the path of writes: before each acknowledgement it would nearly
 * double their latency. So the loss of what was acknowledged in the last 10 ms before a crash is
 * not noticed; it needs a crash and damage to the same few blocks at once.
 *
 *     mark file: two slots of 80 bytes at 0 and 4096, written in turn; all integers little-endian
 *     0 "clademk" and a zero   8 u32 version (2)   12 u32 0   16 u64 generation   24 u64 term
 *    32 u64 vote   40 u64 index   48 u64 term of that index   56 u64 term and 64 u64 vote that
 *    are coming (0: none are)   72 u64 XXH3-64 of the 72 before
 *     The slot with the higher generation counts; one damaged slot of two is normal after a crash.
 */
#include <stdbool.h>

#include "base/clock.h"
#include "base/error.h"

struct guard;
struct raft_io;

#define GUARD_SLOT_BYTES    80
#define GUARD_SLOT_DISTANCE 4096
#define GUARD_LAZY_US       10000
#define GUARD_WITNESS_US    1000000

struct guard_mark {
    uint64_t generation; /* counts its writes; the slot is generation % 2 */
    uint64_t term;
    uint64_t vote;
    uint64_t index;
    uint64_t index_term; /* 0 = not known: any will do */
    uint64_t next_term;  /* with next_vote, what is being written; 0 = nothing is */
    uint64_t next_vote;
};

void guard_mark_encode(const struct guard_mark *mark, uint8_t ret[GUARD_SLOT_BYTES]);
/* False when the slot is none: never written, damaged, or of a version that is not known. */
bool guard_mark_decode(const uint8_t slot[GUARD_SLOT_BYTES], struct guard_mark *ret);

/* Where the mark lies. A write is durable when it returns 0. May block. */
struct guard_disk {
    /* Both slots; a file that is not there reads as zeros with *ret_exists false. */
    int (*read)(struct guard_disk *d,
                uint8_t slots[2][GUARD_SLOT_BYTES],
                bool *ret_exists,
                struct error *error);
    /* Called by one thread at a time. */
    int (*write)(struct guard_disk *d,
                 unsigned slot,
                 const uint8_t bytes[GUARD_SLOT_BYTES],
                 struct error *error);
};

/* The newest mark that is whole. CORRUPT when there is none. */
int guard_mark_read(struct guard_disk *disk, struct guard_mark *ret, struct error *error);
int guard_mark_write(struct guard_disk *disk, const struct guard_mark *mark, struct error *error);

struct guard_options {
    struct raft_io *io;         /* outlives the guard */
    struct guard_disk *disk;    /* likewise; NULL when off */
    struct guard_disk *witness; /* likewise; NULL: there is none */
    const struct clock *clock;
    bool off; /* benchmarks alone: nothing is written, nothing checked */
    /* Something became due and the writer may sleep: wake it. Called on the loop. */
    void (*on_due)(void *arg, uint64_t due_us);
    /* The mark could not be written: the process must stop. From whichever thread wrote. */
    void (*on_fatal)(void *arg, const struct error *error);
    void *arg;
};

/* CLADE_ERR_NO_MEMORY. */
int guard_new(const struct guard_options *options, struct guard **ret, struct error *error);
/* For group_options.io. Valid until guard_free. */
struct raft_io *guard_io(struct guard *g);
/* After the group on it is closed, and the writer has ended. Accepts NULL. */
void guard_free(struct guard *g);
/* Writes what is due by now, from any one thread; returns when it wants to be called next,
 * UINT64_MAX when nothing is due (on_due tells when something is). Blocks on disk. */
uint64_t guard_write(struct guard *g, uint64_t now_us);
/* Writes what is not on disk yet, due or not: at shutdown. From any one thread. */
void guard_flush(struct guard *g);

/* Makes the mark of a new log, which asks for nothing. A log without one is refused at load. */
int guard_create(struct guard_disk *disk, struct error *error);

/* A guard_disk on the file "mark" in the folder: of the log, or that of the witness. */
int guard_file_open(const char *folder, struct guard_disk **ret, struct error *error);
/* Accepts NULL. */
void guard_file_close(struct guard_disk *d);
/* Makes that file and its mark, durably; one that is there is an error. */
int guard_file_create(const char *folder, struct error *error);
