#pragma once
/* A cluster in one thread on virtual time: real groups over simulated logs, real stores, and a
 * network that delays, loses, doubles and cuts. Everything that happens follows from the seed. */
#include "base/clock.h"
#include "consensus/group.h"
#include "storage/apply.h"
#include "storage/reader.h"
#include "tests/sim/log.h"

#define WORLD_NODES_MAX 7
#define WORLD_MAIL_MAX  200000

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
    bool up;
    uint64_t boot;
    struct sim_log log;
    char path[128];
    struct store *store;
    struct apply *apply;
    struct apply_queue *queue;
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
    uint64_t now_us;
    uint64_t trace; /* hash of all that was delivered: equal seeds give equal ones */
    uint64_t steps;
    struct sim_random random;
    struct sim_faults faults;
    unsigned nodes_len;
    struct sim_node nodes[WORLD_NODES_MAX];
    bool cut[WORLD_NODES_MAX + 1][WORLD_NODES_MAX + 1]; /* [from][to] */
    struct sim_mail *mail;                              /* a heap by (due_us, order) */
    size_t mail_len;
    uint64_t mail_order;
    uint64_t leader_of_term[100000];
    char folder[64];
    char failure[512]; /* "" = none: the first invariant that did not hold */
};

struct world *world_new(uint64_t seed, unsigned nodes);
void world_free(struct world *w);
/* Does the next thing that is due, at most until `until_us`; false when that is reached. */
bool world_step(struct world *w, uint64_t until_us);
void world_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void world_crash(struct world *w, unsigned node);
void world_restart(struct world *w, unsigned node);

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
