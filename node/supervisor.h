#pragma once
/* What a running node tells the service manager that started it, if one did: that it serves, what
 * it is doing, and that its threads go on. All on the main thread. */
#include "node/node.h"
#include "node/notify.h"

struct supervisor {
    struct node *node;
    struct notify notify;
    uint64_t raft_turns; /* seen at the last look */
    uint64_t apply_turns;
    uint64_t raft_moved_us; /* when each was last seen to go on */
    uint64_t apply_moved_us;
    bool told_ready;
    char told_status[256];
};

/* Reads the environment, see notify.h. supervisor_close undoes it. */
int supervisor_open(struct supervisor *s, struct node *n, struct error *error);
void supervisor_close(struct supervisor *s);
/* The node serves: has what is to be told next say so. Begins the watchdog. */
void supervisor_ready(struct supervisor *s);
/* Tells what has changed, and feeds the watchdog when raft loop and apply thread have gone on since
 * the last look, or have nothing to do. Once a second or more often. */
void supervisor_look(struct supervisor *s);
/* Milliseconds until the next look is due at the latest. */
int supervisor_pause_ms(const struct supervisor *s, int ms);
/* Around a reload of the settings. */
void supervisor_reloading(struct supervisor *s);
void supervisor_reloaded(struct supervisor *s);
void supervisor_stopping(struct supervisor *s, const char *reason);
