#pragma once
/* What is shared by the two halves of `cluster verify`: asking the nodes (run_verify.c), and
 * comparing and showing what they answered (verify_show.c). */
#include <stdbool.h>

#include <uv.h>

#include "cli/cli.h"
#include "cli/verdict.h"

#define VERIFY_NODES_MAX 64

/* A node. */
struct verified {
    struct verify_run *run;
    uint64_t id;
    char address[CLADE_MAX_ADDRESS_BYTES + 1];
    struct clade_client *client;      /* NULL: it is not asked any more */
    struct clade_response *response;  /* the last */
    const struct clade_value *answer; /* its data; NULL: none yet */
    uint64_t applied;
    uint64_t moved_us; /* when it was last seen to go on */
    bool is_away;      /* it cannot be reached */
    char why[512];     /* there is no answer */
};

/* What a run of the command has found. */
struct verify_run {
    struct cli *cli;
    uv_loop_t loop;
    uv_timer_t timer;
    struct clade_response *first;
    uint64_t id;
    uint64_t index;
    struct verified nodes[VERIFY_NODES_MAX];
    struct replica replicas[VERIFY_NODES_MAX];
    size_t len;
    size_t waiting;
    bool shown; /* progress */
};

/* Compares and shows. Returns the exit code. */
int verify_report(struct verify_run *v);
