#pragma once
/* A cluster in one thread on virtual time: real groups over simulated logs, real stores, and a
 * network that delays, loses, doubles and cuts. Everything that happens follows from the seed. */
#include "base/clock.h"
#include "consensus/applier.h"
#include "consensus/catch_up.h"
#include "consensus/group.h"
#include "consensus/supplier.h"
#include "storage/reader.h"
#include "tests/sim/log.h"

#define WORLD_NODES_MAX 7
#define WORLD_MAIL_MAX  200000
#define WORLD_DIGESTS   65536
#define WORLD_LOG_BYTES 32768 /* so little that logs are cut, and members fall behind them */

struct world;

struct sim_mail {
    uint64_t due_us;
    uint64_t order;
    uint64_t from;
    uint64_t to;
    uint64_t boot; /* of the receiver; a restart loses what was on its way */
    size_t len;
    uint8_t *bytes;
};

/* A client's write that a node has accepted. */
struct sim_call {
    struct sim_call *next;
    struct proposal *proposal;
    void (*on_done)(void *arg, const struct apply_result *result); /* result NULL: refused */
    void *arg;
};

/* A client's linearizable read: waits for a read index, then for its publication. */
struct sim_read {
    struct sim_read *next;
    uint64_t ticket;
    bool has_index;
    uint64_t index;
    void (*on_done)(void *arg, int code, uint64_t revision);
    void *arg;
};

struct sim_node {
    struct group_transport transport; /* first */
    struct clock clock;
    int64_t clock_offset_us;
    struct world *world;
    uint64_t id;
    bool used; /* its id was given to a node */
    bool up;
    bool removed; /* it was told that it is no member any more, and stays down */
    uint64_t boot;
    struct sim_log log;
    char path[128];
    unsigned store_number; /* the folder of the current store */
    struct store *store;
    struct archive *archive;
    struct apply_queue *queue;
    struct applier *applier;
    struct apply_job *jobs; /* taken and not run yet */
    uint64_t jobs_bytes;
    struct supplier *supplier;
    struct catch_up *catch_up;
    uint64_t catch_up_us;   /* when it wants to be called */
    uint64_t send_delay_us; /* of what is sent just now: a supply that keeps its rate */
    struct group *group;
    uint64_t frozen_until_us; /* as a stopped process: messages wait, time goes on */
    bool wake;
    uint64_t apply_us; /* when the apply thread looks next */
    uint64_t counter;
    struct sim_call *calls;
    struct sim_read *reads;
    uint64_t sample_index;
};

struct sim_faults {
    unsigned lose_per_thousand;
    unsigned double_per_thousand;
    uint64_t delay_us_max;
};

struct world {
    uint64_t seed;
    bool talks; /* on stderr */
    uint64_t now_us;
    uint64_t trace; /* hash of all that was delivered: equal seeds give equal ones */
    uint64_t steps;
    struct sim_random random;
    struct sim_faults faults;
    unsigned nodes_len; /* that were given an id so far */
    struct sim_node nodes[WORLD_NODES_MAX];
    bool cut[WORLD_NODES_MAX + 1][WORLD_NODES_MAX + 1]; /* [from][to] */
    struct sim_mail *mail;                              /* a heap by (due_us, order) */
    size_t mail_len;
    uint64_t mail_order;
    struct sim_digest {
        struct store_digest digest;
        uint64_t node;          /* the first one that was there; 0 = none */
    } digest_at[WORLD_DIGESTS]; /* by index: what every store must be when it is there */
    uint64_t leader_of_term[100000];
    char folder[64];
    struct sim_counts {
        uint64_t snapshots; /* taken by nodes that ended since */
        uint64_t copies;    /* swapped in */
        uint64_t removals;
    } counts;
    char failure[512]; /* "" = none: the first invariant that did not hold */
};

struct world *world_new(uint64_t seed, unsigned nodes);
void world_free(struct world *w);
/* Does the next thing that is due, at most until `until_us`; false when that is reached. */
bool world_step(struct world *w, uint64_t until_us);
void world_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void world_crash(struct world *w, unsigned node);
void world_restart(struct world *w, unsigned node);
/* Starts an empty node under an id of its own that knows some members; to be added by a command.
 * Returns its number, or -1 when there are no more ids. */
int world_join(struct world *w);
/* The peer address of a node. */
void world_address(unsigned node, char address[MEMBER_ADDRESS_BYTES]);

/* A write through node n: on_done once, unless the node crashes; then never. */
void world_write(struct sim_node *n,
                 struct item *item,
                 bool repeatable,
                 uint64_t timeout_us,
                 void (*on_done)(void *arg, const struct apply_result *result),
                 void *arg);
void world_read(struct sim_node *n,
                uint64_t timeout_us,
                void (*on_done)(void *arg, int code, uint64_t revision),
                void *arg);
