#pragma once
/* Somebody who changes the members now and then: one change at a time, asked for until it is
 * acknowledged. */
#include "tests/sim/world.h"

struct operator
{
    struct world *world;
    bool active;
    bool busy;  /* its command is under way */
    bool asked; /* it was under way once, and may have been carried out */
    uint64_t tag;
    struct sim_node *node;
    uint64_t node_boot;
    uint64_t started_us;
    struct group_change change;
    uint64_t next_us;
    enum member_wanted wanted[SIM_NODES_MAX]; /* as acknowledged; voters from the start */
    uint64_t wanted_index[SIM_NODES_MAX];     /* by which it was */
    uint64_t done_index[SIM_NODES_MAX];       /* by which the members were so; 0: not seen yet */
    unsigned changes;
    bool few_voters;        /* it likes standbys: one voter is left most of the time */
    unsigned members_first; /* at the start: about as many it keeps */
};

void operator_init(struct operator* o, struct world *w);
/* Adds a node that is new, if there are ids left. NULL: there are none, or it is busy. */
struct sim_node *operator_add(struct operator* o);
/* Asks for what is to be done; thinks of something new only if `begin`. */
void operator_step(struct operator* o, bool begin);
/* Whether the configuration is what was asked for, and those that are to go have gone. */
bool operator_is_content(struct operator* o);
