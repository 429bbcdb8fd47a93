#pragma once
/* A cluster in one thread on virtual time: real groups over simulated logs, real stores on
 * simulated disks, and a network that delays, loses, doubles and cuts. Everything that happens
 * follows from the seed. What must hold after every step is checked here; what clients are promised
 * is checked by the workload. */
#include "base/arena.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"

#define WORLD_DIGESTS 16384
#define WORLD_TERMS   16384
/* So little that logs are cut, and members fall behind them; in some runs all the time. */
#define WORLD_LOG_BYTES       32768
#define WORLD_LOG_BYTES_SMALL 4096
#define WORLD_MAP_BYTES       (64u << 20)

struct world {
    uint64_t seed;
    bool talks; /* on stderr */
    uint64_t now_us;
    uint64_t passed_us; /* by which the wall clocks of all have gone on beside */
    uint64_t log_bytes; /* of a node, before it cuts its log */
    uint64_t trace; /* hash of all that was delivered and answered: equal seeds give equal ones */
    uint64_t steps;
    struct sim_random random;
    struct hash128 cluster;
    struct sim_network network;
    unsigned nodes_len; /* that were given an id so far */
    struct sim_node nodes[SIM_NODES_MAX];
    uint64_t away; /* the node that is down while members come and go, faults_swap; 0: none is */
    struct sim_digest {
        struct store_digest digest;
        uint64_t node;             /* the first one that was there; 0 = none */
    } digest_at[WORLD_DIGESTS];    /* by index: what every store must be when it is there */
    uint64_t leaders[WORLD_TERMS]; /* by term */
    struct arena arena;            /* of the read that runs */
    struct buffer scratch;
    char folder[64];
    struct sim_counts {
        uint64_t snapshots; /* taken by nodes that ended since */
        uint64_t copies;    /* swapped in */
        uint64_t removals;
        uint64_t transfers;
        uint64_t disk_stops;   /* processes ended by a failed disk */
        uint64_t full_batches; /* that had to wait for room */
        uint64_t swaps;        /* of the leader for a voter that was away */
        uint64_t damaged;      /* logs that lost something */
    } counts;
    char failure[512]; /* "" = none: the first invariant that did not hold */
};

struct world *world_new(uint64_t seed, unsigned nodes);
void world_free(struct world *w);
/* Does the next thing that is due, at most until `until_us`; false when that is reached. */
bool world_step(struct world *w, uint64_t until_us);
void world_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Takes two numbers into the trace. */
void world_trace(struct world *w, uint64_t a, uint64_t b);

/* One leader a term. */
void world_note_leader(struct world *w, uint64_t node, uint64_t term);
/* A node's store at its present index is what every other's was there. */
void world_check_digest(struct world *w, const struct sim_node *n);

/* Starts an empty node under an id of its own that knows some members; to be added by a command.
 * Returns its number, or -1 when there are no more ids. */
int world_join(struct world *w);
/* The peer address of a node. */
void world_address(unsigned node, char address[MEMBER_ADDRESS_BYTES]);
/* The node that leads in the highest term; NULL when none does. */
struct sim_node *world_leader(struct world *w);
