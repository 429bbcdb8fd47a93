#pragma once
/* What an operator should be told of a node: one table of what may be wrong, in status, metrics and
 * readiness. */
#include "node/node.h"

enum alarm {
    ALARM_NO_LEADER,
    ALARM_CLOCK,
    ALARM_DIGEST,
    ALARM_DISK_FULL,
    ALARM_MAP_FULL,
    ALARM_STORE_FULL,
    ALARM_SLOW_DISK,
    ALARM_COUNT
};

struct alarm_row {
    const char *name;
    const char *text;     /* a sentence, with the page of deploy/runbook.md that says what to do */
    bool is_of_raft;      /* the raft loop alone knows it */
    bool forbids_clients; /* the node is not ready while it is on */
};

const struct alarm_row *alarm_row(enum alarm alarm);
/* Whether it is on; `status` is looked at by those that are of raft. Any thread. */
bool alarm_is_on(enum alarm alarm, const struct node *n, const struct group_status *status);
