#pragma once
/* The clients of a simulated cluster: each does one thing at a time, through any node, and repeats
 * under its session what it has no answer for. In bursts they hurry, between them they think. */
#include "command/query.h"
#include "tests/sim/promises.h"

#define CLIENTS          8
#define CLIENT_NAMES_MAX 256 /* that are gotten or created */

enum client_task {
    TASK_OPEN,          /* a session */
    TASK_CREATE,        /* a thing of a name of its own, and a version of the one model */
    TASK_PUT,           /* a register */
    TASK_SWAP,          /* a register, if it is unchanged since it was read */
    TASK_GET_OR_CREATE, /* a thing of a name that others want too */
    TASK_READ           /* a register, at some level */
};

/* An answer that was given: its repetition must be the same. */
struct client_answer {
    int code;
    uint64_t revision;
    uint64_t time_us;
    bool changed;
    uint64_t body; /* hash */
};

struct client {
    struct clients *all;
    unsigned number;
    uint64_t session;
    uint64_t seq; /* of the write under way or done last */
    uint64_t next_us;
    /* what is under way */
    bool busy;
    enum client_task task;
    bool is_refused;  /* CREATE: its last operation must fail */
    bool in_session;  /* PUT */
    bool is_repeated; /* it was answered, as `answer` */
    struct client_answer answer;
    bool unknown; /* refused for certain: to be given again */
    uint64_t tag; /* of the last call */
    struct sim_node *node;
    uint64_t node_boot;
    uint64_t started_us;
    unsigned reg;
    uint64_t value;
    uint64_t expected;
    uint64_t expected_revision;
    int operation; /* in the register's history; -1 = in none */
    uint64_t floor;
    struct query query;
    /* what it knows */
    bool has_read;
    unsigned read_reg;
    struct fact read;
    uint64_t seen_revision;
    uint64_t seen_time_us;
};

struct client_counts {
    unsigned writes;
    unsigned reads;
    unsigned repeats;
    unsigned created;   /* things by CREATE, versions as many */
    unsigned gotten;    /* things by GET_OR_CREATE */
    unsigned counted;   /* successful swaps of the counter */
    unsigned revisions; /* acknowledged as changes */
    unsigned lost;      /* writes that are not repeated, and whose fate is not known */
};

struct clients {
    struct promises promises;
    struct client clients[CLIENTS];
    struct client_counts counts;
    uint64_t next_value;
    uint64_t name_ids[CLIENT_NAMES_MAX]; /* ids that were answered for names; 0 = none */
    bool name_created[CLIENT_NAMES_MAX];
    struct query_target targets[REGISTERS];
    char refs[REGISTERS][24];
    uint64_t burst_until_us;
    uint64_t next_burst_us;
};

void clients_init(struct clients *cs, struct world *w);
void clients_release(struct clients *cs);
/* Makes the model and the registers, through a healthy cluster. */
void clients_prepare(struct clients *cs);
/* Lets those act that want to; those that have nothing under way only if `begin`. Returns when the
 * next one wants to. */
uint64_t clients_step(struct clients *cs, bool begin);
bool clients_are_idle(const struct clients *cs);
/* What the store of a node must hold when all is answered. */
void clients_check_contents(struct clients *cs, struct sim_node *n);
