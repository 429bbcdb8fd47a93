#pragma once
/* A cluster in memory behind the calls of clade.h that import uses. It knows names and edges,
 * applies transactions whole or not at all, and answers on the loop, never at once. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_cluster {
    bool newest_first;   /* applies what waits in reverse: as if each were overtaken */
    bool names_no_place; /* refusals do not say which operation */
    int fail_with;       /* every transaction after `fail_after` fails with this */
    unsigned fail_after;
    unsigned sent;           /* transactions */
    unsigned waiting_max;    /* the most that were in flight at once */
    unsigned operations_max; /* of one transaction */
    size_t things;
    size_t edges;
};

extern struct fake_cluster fake;

/* An empty cluster. A name that contains "bad" is refused as INVALID. */
void fake_reset(void);
