#pragma once
/* A few nodes in one thread, each with a real store and archive, a supplier and a catch_up;
 * messages between them are delayed, lost, doubled and reordered as the seed says, on virtual time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/applier.h"
#include "consensus/archive.h"
#include "consensus/catch_up.h"
#include "consensus/incoming.h"
#include "consensus/supplier.h"
#include "consensus/supply_wire.h"
#include "storage/apply.h"
#include "tests/sim/random.h"

#define NODES     3
#define SECOND    UINT64_C(1000000)
#define CHUNK     ((size_t)4096)
#define MAP_BYTES ((uint64_t)64 << 20)

/* Bytes that may still be written to a copy that is being received. */
extern int64_t room;

struct world;

struct mail {
    struct mail *next;
    uint64_t due_us;
    uint64_t from;
    uint64_t to;
    bool is_supply;
    size_t len;
    uint8_t bytes[];
};

/* Where a swap is cut off by a crash. */
enum swap_cut { CUT_NEVER, CUT_BEFORE_RENAME, CUT_BEFORE_CURRENT, CUT_AFTER_CURRENT };

struct node {
    struct world *world;
    uint64_t id; /* from 1 */
    char path[64];
    unsigned current; /* what the file CURRENT would say */
    struct store *store;
    struct apply *apply; /* grow's */
    struct applier *applier;
    struct apply_queue *queue;
    struct archive *archive;
    struct supplier *supplier;
    struct catch_up *catch_up;
    uint64_t boot;
    uint64_t step_us;       /* when catch_up wants to be called */
    struct apply_job *jobs; /* that the apply thread has taken */
    bool dies;              /* in a swap: nothing more is applied */
    uint64_t synced;        /* as `sync` was told */
    unsigned notices;
    const char *notice; /* the last one */
    unsigned fetches;
    bool holds_apply; /* the apply thread is slow */
};

struct world {
    struct clock clock; /* first */
    uint64_t now_us;
    struct sim_random random;
    unsigned loss;       /* of a thousand */
    unsigned copies;     /* the same: delivered twice */
    uint64_t latency_us; /* of supplies, above the usual */
    struct node nodes[NODES];
    struct mail *mail;
    uint64_t boots;
    uint64_t events;
    uint64_t kill_at; /* the event before which node 3 is killed; 0 = never */
    enum swap_cut swap_cut;
    unsigned full_swaps; /* so many swaps meet a full disk */
    bool killed;
    uint64_t archive_bytes_max;
    uint64_t archive_segment_bytes;
    uint64_t map_bytes; /* of catch_up */
    uint64_t rate_bytes;
    uint64_t growth_bytes_max;
    uint64_t headroom_bytes; /* of catch_up */
    bool stops;              /* node 3 is told to */
    uint64_t sync_bytes;
    uint64_t queue_bytes_max;
    /* May change a supply before it is sent, or return false to lose it. */
    bool (*on_supply)(struct world *w, uint64_t from, uint64_t to, struct buffer *supply);
    /* The same for a fetch, before it is answered. */
    bool (*on_fetch)(struct world *w, uint64_t from, uint64_t to, const struct fetch *f);
    uint64_t counter; /* a test's own */
};

/* cmocka's setup and teardown; *state is the world, its nodes open and empty. */
int world_setup(void **state);
int world_teardown(void **state);

struct node *node_of(struct world *w, uint64_t id);
void node_open(struct node *n);
void node_close(struct node *n);
/* All that was not on disk is gone: what of a copy was not synced is garbage. */
void node_kill(struct node *n);
/* Empties it. */
void node_wipe(struct node *n);

/* Applies entries on nodes 1 and 2 alike, up to `index`: every seventh index is an advance. */
void grow(struct world *w, uint64_t index);
/* The entry at an index; appended to `b`. */
void make_entry(struct buffer *b, uint64_t index);
/* Only what is newer stays in their archives. */
void cut_archives(struct world *w);

/* Node 3 shall reach `index`, from nodes 1 and 2. */
void want(struct world *w, uint64_t index);
/* Runs until node 3 is idle, or so many microseconds went by; true when idle. */
bool run(struct world *w, uint64_t us);
/* Delivers what is under way, and lets nobody else do anything. */
void deliver_all(struct world *w);
void assert_caught_up(struct world *w, uint64_t index);
struct catch_up_status status_of(struct node *n);
/* Whether anything of a copy lies in the folder of node 3. */
bool has_incoming(struct world *w);
