#pragma once
/* What clients of all nodes together are promised, kept while they run: what was acknowledged and
 * when, what registers were written and read, which time each revision has. Every note is checked
 * against those before it. */
#include "tests/sim/history.h"
#include "tests/sim/world.h"

#define REGISTERS     6
#define COUNTER       0 /* the register that is only counted up */
#define REVISIONS_MAX 16384
#define FACTS_MAX     4096

/* A write of a register that was acknowledged, or what a read of any level found there. */
struct fact {
    uint64_t revision; /* of the write; of the store that was read */
    uint64_t changed;  /* read: the register's revision */
    uint64_t value;
};

struct sim_register {
    struct history history; /* of linearizable operations */
    struct fact *writes;
    size_t writes_len;
    struct fact *reads;
    size_t reads_len;
};

struct acknowledged {
    uint64_t at_us;
    uint64_t revision;
};

struct promises {
    struct world *world;
    struct acknowledged *acknowledged; /* both rise */
    size_t acknowledged_len;
    uint64_t time_of[REVISIONS_MAX]; /* by revision; 0 = not known */
    struct sim_register registers[REGISTERS];
    uint64_t registers_revision; /* that made them, holding 0 */
};

void promises_init(struct promises *p, struct world *w);
void promises_release(struct promises *p);
/* Somebody was told of this revision. */
void promises_note(struct promises *p, uint64_t revision);
/* The highest that anybody was told of at that time. */
uint64_t promises_floor(const struct promises *p, uint64_t at_us);
/* A revision is stamped with a time: later ones have later times. */
void promises_note_time(struct promises *p, uint64_t revision, uint64_t time_us);
/* A write of the register was acknowledged: no read of a revision from it on shows what was there
 * before. */
void promises_note_write(struct promises *p, unsigned reg, uint64_t revision, uint64_t value);
void promises_note_read(struct promises *p, unsigned reg, const struct fact *read);
/* That the histories are linearizable. Returns how many could not be decided. */
unsigned promises_check_histories(struct promises *p);
