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
    unsigned changes;
};

void operator_init(struct operator* o, struct world *w);
/* Asks for what is to be done; thinks of something new only if `begin`. */
void operator_step(struct operator* o, bool begin);
/* Whether the configuration is what was asked for, and those that are to go have gone. */
bool operator_is_content(struct operator* o);
