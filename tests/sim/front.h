#pragma once
/* What clients see of a simulated node: writes that end when apply answers them, and reads at every
 * level, held until they may be answered, as node/ does it with its serving threads. */
#include "base/clock.h"
#include "command/query.h"
#include "consensus/group.h"
#include "storage/apply.h"

struct sim_node;

/* `tag` is the caller's, to tell an answer to what it has given up. NULL: refused, for certain.
 * `result` is borrowed. */
typedef void (*front_done_cb)(void *arg, uint64_t tag, const struct apply_result *result);

/* What a read found of the one thing that it asked for. */
struct front_answer {
    int code; /* 0, or UNAVAILABLE: no read index could be had in time */
    uint64_t revision;
    bool found;
    uint64_t changed;    /* revision of its last change */
    struct span content; /* its tag "v"; borrowed */
};
typedef void (*front_read_cb)(void *arg, uint64_t tag, const struct front_answer *answer);

/* Proposes through node n: on_done once, unless the node crashes; then never. */
void front_write(struct sim_node *n,
                 struct item *item,
                 bool repeatable,
                 uint64_t timeout_us,
                 front_done_cb on_done,
                 void *arg,
                 uint64_t tag);
/* Reads one thing through node n: on_done once, perhaps before this returns; never when the node
 * crashes. `query` is valid until then, and carries the level. */
void front_read(struct sim_node *n,
                const struct query *query,
                uint64_t timeout_us,
                front_read_cb on_done,
                void *arg,
                uint64_t tag);

/* The node's own: what its group and its applier say. */
void front_on_refused(void *arg, struct proposal *p, const struct error *e);
void front_on_read_index(void *arg, uint64_t ticket, int code, uint64_t index);
void front_on_result(void *arg, const struct apply_result *result);
void front_on_answered(void *arg);
void front_on_aborted(void *arg);
/* Answers the reads that may be. */
void front_answer_reads(struct sim_node *n);
/* Whether there are any. */
bool front_waits(const struct sim_node *n);
/* The clients of a crashed node hear nothing. */
void front_forget(struct sim_node *n);
