#pragma once
/* The taking side of catching up. When the log of the other members no longer holds what this
 * node's store needs next, the group says so (on_behind), and this machine fetches it: from another
 * member's archive if that still reaches back to us, else a copy of a store first, then the archive
 * behind it, until the store has reached the index that was asked for. Then Raft goes on.
 *
 *     IDLE -> ARCHIVE <-> OPENING -> COPYING -> CHECKING -> SWAPPING -> ARCHIVE -> IDLE
 *
 * It blocks on disk (it writes the copy, checks it), so it runs on a thread of its own (node/) or
 * as steps of the simulator; one caller at a time. Everything is repeatable: a process killed at
 * any point goes on, or begins anew, with the same outcome. A copy being received lies in
 * `folder`/incoming: data.mdb, and `progress` (source, copy, bytes that are synced, their checksum
 * state), so that a restart goes on where it stood if the source still has the copy open.
 * Sources are untrusted with memory: lengths are checked before anything is kept; a source that
 * stalls, sends a wrong checksum or contradicts itself is left, noted, and another one is tried.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "consensus/apply_queue.h"
#include "storage/copy.h"

#define CATCH_UP_SOURCES_MAX 32

struct catch_up;

struct catch_up_callbacks {
    /* Sends a fetch to a member; it may be lost. */
    void (*send)(void *arg, uint64_t to, struct span fetch);
    /* A checked copy lies in `path`: the apply thread shall swap it in (make it current on disk,
     * then store_swap) and then call catch_up_swapped. The folder at `path` is the caller's from
     * then. */
    void (*swap)(void *arg, const char *path, const struct store_copy_info *info);
    /* The store shall be synced once it has published `index`, and the group told. Called when the
     * index that was wanted is on its way through the apply queue. */
    void (*sync)(void *arg, uint64_t index);
    /* For the log, rate-limited by the machine to one a cause and minute. `what` is static. */
    void (*notice)(void *arg, bool is_warning, const char *what, uint64_t member);
};

struct catch_up_options {
    const char *folder; /* where incoming/ may be made: on the file system of the store */
    const struct clock *clock;
    struct apply_queue *queue; /* records of the archive are pushed to it, as Raft pushes entries */
    struct store *store;       /* for its position alone */
    uint64_t boot;
    uint64_t map_bytes;
    size_t chunk_bytes;       /* default 256 KiB */
    unsigned window;          /* chunks asked for at once; default 4 */
    uint64_t timeout_us;      /* a fetch without an answer is repeated after; default 2 s */
    uint64_t queue_bytes_max; /* no more is pushed above; default 32 MiB */
    struct catch_up_callbacks callbacks;
    void *arg;
};

int catch_up_new(const struct catch_up_options *options,
                 struct catch_up **ret,
                 struct error *error);
void catch_up_free(struct catch_up *c);

/* The store must reach `index`; members that may have it, the best first. While one is under way it
 * only replaces the target and the list. */
void catch_up_want(struct catch_up *c, uint64_t index, const uint64_t *sources, size_t n);
/* A supply from a member. Malformed ones are dropped and counted. */
void catch_up_receive(struct catch_up *c, uint64_t from, struct span supply);
/* What `swap` asked for was done: code 0, or an error after which it begins anew. */
void catch_up_swapped(struct catch_up *c, int code);
/* Does what is due; returns the monotonic time when it wants to be called next, UINT64_MAX when
 * only news moves it. May block on disk. */
uint64_t catch_up_step(struct catch_up *c);

enum catch_up_state {
    CATCH_UP_IDLE,
    CATCH_UP_ARCHIVE,
    CATCH_UP_OPENING,
    CATCH_UP_COPYING,
    CATCH_UP_CHECKING,
    CATCH_UP_SWAPPING,
    CATCH_UP_STATE_COUNT
};

struct catch_up_status {
    enum catch_up_state state;
    uint64_t source;      /* member */
    uint64_t target;      /* index */
    uint64_t bytes;       /* of the copy received */
    uint64_t bytes_total; /* of the copy */
    uint64_t copies;      /* swapped in since the start */
    uint64_t refused;     /* answers that were wrong, since the start */
};
/* The machine's own thread. */
void catch_up_status(const struct catch_up *c, struct catch_up_status *ret);
const char *catch_up_state_name(enum catch_up_state state);
