#pragma once
/* Three groups in one thread, on virtual time, over simulated logs, with a network that the test
 * cuts. */
#include "consensus/group.h"
#include "storage/apply.h"
#include "tests/sim/log.h"

#define NODES    3
#define MAIL_MAX 65536

struct mail {
    uint64_t from;
    uint64_t to;
    size_t len;
    uint8_t *bytes;
};

struct cluster;

struct node {
    struct group_transport transport; /* first */
    struct cluster *cluster;
    uint64_t id;
    uint64_t boot;
    struct sim_log log;
    struct group *group;
    struct apply_queue *queue;
    struct store *store; /* NULL: what is applied is only counted */
    struct apply *apply;
    bool wake;
    bool closed;
    uint64_t applied;
    unsigned applied_commands;
    uint64_t elapsed_ms;  /* of all that was applied: the clock of sessions */
    unsigned seen[4096];  /* by counter of proposals */
    uint32_t throttle_ms; /* what is given to it as the leader is refused for so long; 0 = none */
    uint64_t makes_room;  /* counter of the proposal that little room is enough for; 0 = none */
    int refused_code;
    char refused_why[512];
    uint32_t refused_ms;
    unsigned refused;
    int read_code;
    uint64_t read_index;
    unsigned reads;
    int transfer_code;
    uint64_t transfer_leader;
    unsigned transfers;
    bool fatal;
    uint64_t expected; /* what the newest expectation of the queue named */
    bool hold_marks;   /* marks stay unanswered, as by an apply thread that is slow */
    uint64_t behind;   /* the index that it is to reach from elsewhere */
    uint64_t source;
    unsigned behinds;
};

struct cluster {
    uint64_t now_us;
    struct clock clock;
    struct sim_random random;
    struct node nodes[NODES];
    bool cut[NODES + 1][NODES + 1]; /* [from][to] */
    struct mail mail[MAIL_MAX];
    size_t mail_len;
    size_t longest; /* message sent */
    uint64_t log_bytes_max;
    char folder[32];   /* of the stores; "" = there are none */
    unsigned installs; /* messages of that kind sent */
    unsigned beacons;
};

struct cluster *cluster_new(unsigned seed);
/* The same, with logs that are cut above so many bytes. */
struct cluster *cluster_new_with_log(unsigned seed, uint64_t log_bytes_max);
/* The same, with a store on each node, so that there is a table of members. */
struct cluster *cluster_new_with_stores(unsigned seed);
void cluster_free(struct cluster *c);
void node_start(struct node *n);
void node_stop(struct node *n);
void cluster_step(struct cluster *c);
void cluster_run_ms(struct cluster *c, unsigned ms);
struct group_status node_status(struct node *n);
struct node *cluster_leader(struct cluster *c);
struct node *cluster_wait_for_leader(struct cluster *c);
struct node *cluster_another(struct cluster *c, const struct node *n);
struct proposal *node_propose(struct node *n, uint64_t counter, bool repeatable, unsigned ms);
void cluster_isolate(struct cluster *c, uint64_t id, bool cut);
void assert_all_applied_once(struct cluster *c, uint64_t counter);
