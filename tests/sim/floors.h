#pragma once
/* Somebody who has history compacted while everything else goes on: lets time pass for all clocks,
 * moves floors by hand and as a leader's retention does, gives a namespace of its own a past with
 * names, edges and holds that come and go, and has each node take away what is below its floors at
 * its own pace.
 *
 * What must hold: of a revision at a floor or above it every node that has it tells the same,
 * whenever it is asked and whatever it has taken away; of one below the floor no node tells. */
#include "tests/sim/clients.h"

enum floors_truth {
    TRUTH_DEFAULT, /* what clients write */
    TRUTH_PAST,    /* the namespace of its own */
    TRUTH_BOTH,    /* edges that lead from one to the other */
    TRUTH_COUNT
};

struct floors_counts {
    unsigned moved;   /* by hand, as acknowledged */
    unsigned told;    /* answers that were compared with another */
    unsigned refused; /* reads below a floor */
};

struct floors {
    struct clients *clients;
    struct sim_random random; /* its own: clients do as they would without it */
    uint64_t next_us;
    /* the write under way */
    bool busy;
    bool may_change; /* it may take a revision */
    uint64_t tag;
    struct sim_node *node;
    uint64_t node_boot;
    uint64_t started_us;
    /* what is known */
    uint64_t made_revision;  /* from which on the namespace is there */
    uint64_t floor;          /* the highest of `default` that was acknowledged */
    uint64_t floor_revision; /* which it is behind: who has more has the floor */
    uint64_t truth[TRUTH_COUNT]
                  [REVISIONS_MAX]; /* by revision: hash of what was told; 0 = nothing */
    struct query_target targets[REGISTERS + 3];
    char refs[REGISTERS + 3][24];
    struct floors_counts counts;
};

/* When the clients are prepared; makes the namespace. */
void floors_init(struct floors *f, struct clients *clients);
/* Lets it act; what it writes is new work, if `begin`. Returns when it wants to again. */
uint64_t floors_step(struct floors *f, bool begin);
bool floors_is_idle(const struct floors *f);
/* Has each node take away all that it may, and holds them against each other: in a cluster that is
 * settled. */
void floors_check(struct floors *f);
