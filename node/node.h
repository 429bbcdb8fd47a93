#pragma once
/* One running node: what its threads share. README.md tells who runs what. */
#include <stdatomic.h>

#include "base/clock.h"
#include "consensus/apply_queue.h"
#include "node/config.h"
#include "node/data_folder.h"
#include "node/members.h"
#include "node/metrics.h"
#include "storage/store.h"

struct apply_thread;
struct archive;
struct copier;
struct http;
struct lineage_thread;
struct namespace_places;
struct raft_thread;
struct serve;
struct throttle;
struct verifier;
struct workers;

enum node_phase { NODE_STARTING, NODE_SERVING, NODE_STOPPING };

struct node {
    struct config *config; /* changed by reload.c alone, see config_now */
    const struct clock *clock;
    struct data_folder folder;
    char peer_address[CONFIG_ADDRESS_BYTES];   /* in the member list */
    char client_address[CONFIG_ADDRESS_BYTES]; /* told to clients */
    uint64_t started_wall_us;
    uint64_t boot; /* random for each start: proposal ids of another start are not ours */

    struct store *store;
    struct archive *archive;
    struct apply_queue *queue;
    struct members members;
    struct throttle *throttle;
    struct apply_thread *apply;
    struct raft_thread *raft;
    struct copier *copier;
    struct workers *workers;
    struct lineage_thread *lineage;
    struct verifier *verifier;
    struct serve **serves;
    unsigned serves_len;
    struct http *http;                   /* NULL: none is wanted */
    struct namespace_places *namespaces; /* that metrics tell apart */
    struct node_metrics metrics;
    struct node_look look;

    /* Readers see at least this; the revision is stored before the index. */
    _Atomic uint64_t published_index;
    _Atomic uint64_t published_revision;
    _Atomic uint64_t term;
    _Atomic uint64_t leader; /* 0 = unknown */
    _Atomic uint64_t connections;
    _Atomic uint64_t charged;      /* bytes of connections and requests, see config memory_max */
    _Atomic uint64_t applied_full; /* apply waits for disk space */
    atomic_int disk_level;         /* enum room_level, of the disk and of the store's map */
    atomic_int map_level;
    atomic_bool removed; /* this node was removed from its cluster */

    /* That the threads go on, and how far; seen by the main thread. */
    _Atomic uint64_t raft_turns;  /* looks at the members that the raft loop has taken */
    _Atomic uint64_t apply_turns; /* of the apply thread; odd while it is in one */
    _Atomic uint64_t commit_index;
    _Atomic uint64_t raft_beat_us; /* last sign of life; 0 = none yet */
    _Atomic uint64_t main_beat_us;
    atomic_int phase; /* enum node_phase */
};

static inline uint64_t node_now(const struct node *n)
{
    return clock_monotonic_us(n->clock);
}

/* Takes bytes of memory_max; false when they are not to be had. */
bool node_charge(struct node *n, uint64_t bytes);
void node_discharge(struct node *n, uint64_t bytes);

/* Bytes of the disk that are to stay free: below, writes are refused. Any thread. */
uint64_t node_headroom(const struct node *n);

/* Which serving thread a proposal or a ticket belongs to stands in its number's high bits;
 * NODE_OWN is the node itself. */
#define NODE_OWN UINT64_C(0xffff)
static inline uint64_t node_number(uint64_t owner, uint64_t n)
{
    return owner << 48 | n;
}
static inline uint64_t node_number_owner(uint64_t number)
{
    return number >> 48;
}

/* Logs and leaves at once with exit_status_of(error->code): what is in memory may not go on. */
_Noreturn void node_fatal(const struct error *error);
/* The same where memory is out and an answer was promised. */
_Noreturn void node_fatal_memory(const char *what);
/* This node was removed from its cluster, at that index of the log (0 = not known): marks its
 * folder, and has it stop in order. From the raft loop. */
void node_removed(struct node *n, uint64_t index);

/* Opens everything, serves until SIGTERM or SIGINT, closes; SIGHUP has it read its settings again.
 * Returns the process's status; a start that fails was logged. */
int node_run(struct config *config);
/* Resolves the addresses to listen on as a start does. CLADE_ERR_INVALID: one is not loopback, and
 * the settings do not allow that; CLADE_ERR_NOT_FOUND: one cannot be resolved. */
int node_check_addresses(const struct config *config, struct error *error);
