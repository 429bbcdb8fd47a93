#pragma once
/* One simulated node: what `claded` makes of consensus/ and storage/, with steps in place of
 * threads. Its data folder, store, archive and copies lie on a disk of its own; its log is log.h's.
 * A node that starts reads what the disk has, and a crash may take anything else. */
#include <limits.h>

#include "base/clock.h"
#include "consensus/applier.h"
#include "consensus/catch_up.h"
#include "consensus/group.h"
#include "consensus/guard.h"
#include "consensus/supplier.h"
#include "node/data_folder.h"
#include "storage/reader.h"
#include "tests/sim/disk.h"
#include "tests/sim/log.h"
#include "tests/sim/network.h"

struct world;
struct sim_call;
struct sim_read;
struct sim_result;

struct sim_node {
    struct group_transport transport; /* first */
    struct world *world;
    struct clock clock;
    int64_t clock_offset_us;
    uint64_t id;
    bool up;
    bool removed; /* it was told that it is no member any more, and stays down */
    bool lost;    /* its log is damaged: it must not start */
    bool stops;   /* its process ends in this step: nothing of what it does is seen any more */
    uint64_t boot;
    uint64_t frozen_until_us; /* as a stopped process: messages wait, time goes on */
    bool thaws_in_order;      /* then they come as they were sent, before what is newer */
    uint64_t thawed_us;       /* how long after that the last one comes */
    uint64_t next_us;         /* when it has something to do */
    bool wake;
    char path[128];
    struct sim_disk *disk;
    uint64_t commit_us_max; /* how long a commit of the store may take */
    bool headroom;
    bool links[SIM_NODES_MAX + 1]; /* by id: members that it may send to, as peers.h has it */
    struct sim_log log;
    struct guard_disk mark; /* over mark_file */
    struct guard_disk *mark_file;
    struct guard *guard;
    uint64_t guard_us; /* when it wants to be called */
    struct group *group;
    struct data_folder folder;
    struct store *store;
    struct reader *reader;
    struct archive *archive;
    struct apply_queue *queue;
    struct applier *applier;
    struct apply_job *jobs; /* taken and not run yet */
    uint64_t jobs_bytes;
    uint64_t apply_us; /* when the apply thread looks next */
    char old_store[PATH_MAX];
    struct supplier *supplier;
    struct catch_up *catch_up;
    uint64_t catch_up_us;   /* when it wants to be called */
    struct buffer answer;   /* of the supplier */
    uint64_t send_delay_us; /* of what is sent just now: a supply that keeps its rate */
    /* clients, front.h */
    uint64_t counter;
    struct sim_call *calls;
    struct sim_read *reads;
    struct sim_result *results; /* of the batch that runs, newest first */
    uint64_t confirmed_us;      /* when the newest read index was asked for that is published */
    uint64_t published_revision;
};

/* Makes an empty node, durably; not started. `members` are those that it knows, itself among them;
 * the log of one that does not join is bootstrapped with them. */
void node_init(struct sim_node *n,
               struct world *w,
               unsigned number,
               bool joins,
               const struct group_member *members,
               size_t members_len);
void node_release(struct sim_node *n);
/* Starts its process; false when its disk does not let it. */
bool node_start(struct sim_node *n);
/* Ends its process, with all that was not written. */
void node_crash(struct sim_node *n, enum sim_crash how);
/* The same, and the log loses something of what its mark knows of; false: there is nothing yet.
 * From then on the node must refuse to start. */
bool node_damage(struct sim_node *n);
/* Does the next thing that is due. */
void node_step(struct sim_node *n);
void node_receive(struct sim_node *n, uint64_t from, struct span message);
/* Sets next_us, after anything that may have given the node work. */
void node_plan(struct sim_node *n);
/* On stderr, when the world talks. */
void node_note(const struct sim_node *n, const char *what, uint64_t number);
