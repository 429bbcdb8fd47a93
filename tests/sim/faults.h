#pragma once
/* What goes wrong in a run, by chance: every second or two of virtual time something does. */
#include "tests/sim/world.h"

struct faults {
    struct world *world;
    uint64_t next_us;
    uint64_t flaky_until_us; /* nodes crash and come back all the time */
    uint64_t flaky_look_us;
    uint64_t plan_us; /* when the second half of a fault is due */
    enum fault_plan {
        PLAN_FREEZE,
        PLAN_LEAD,
        PLAN_CUT_OFF,
        PLAN_RESTART,
        PLAN_LEAVE,
        PLAN_SWAP
    } plan;
    uint64_t plan_node;
    uint64_t swap_us;  /* until when a swap waits for the case of most interest */
    uint64_t elect_us; /* until when a leader must be elected; UINT64_MAX: one need not */
};

void faults_init(struct faults *f, struct world *w);
/* Does what is due; returns when it wants to be called next. */
uint64_t faults_step(struct faults *f);
/* From now on one node is away for a while, in which members come and go; it comes back as the
 * leader goes, and nothing else goes wrong. */
void faults_swap(struct faults *f);
/* Ends every process that runs, by a power cut or not. */
void faults_crash_all(struct world *w);
/* Mends everything, and starts what is down. */
void faults_heal(struct world *w);
