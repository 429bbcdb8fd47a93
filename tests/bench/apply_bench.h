#pragma once
/* A store that a program in this folder drives as the apply thread does: commands are put one by
 * one, and run many to an entry. Whatever fails ends the program. */
#include "base/buffer.h"
#include "base/error.h"
#include "storage/apply.h"

#define BATCH 1000 /* commands of an entry, and of a commit */

struct bench {
    struct store *store;
    struct apply *apply;
    uint64_t index;
    uint64_t stamp_us;
    uint64_t refused;
    uint64_t session; /* of the commands; 0 = none */
    uint64_t seq;
    struct buffer entry;
    struct buffer command;
    unsigned items;
};

uint64_t now_us(void);
/* Ends the program with the error's message unless rc is 0. */
void must(int rc, const struct error *e);

/* A store in an empty folder. BENCH_NO_SYNC in the environment leaves the disk out of it. */
void bench_open(struct bench *b, const char *folder);
void bench_close(struct bench *b);
/* A command of so many operations, which are put into b->command between the two. */
void begin_command(struct bench *b, uint32_t ops);
void end_command(struct bench *b);
/* Runs what was put as one entry and commits it. */
void run_batch(struct bench *b);
