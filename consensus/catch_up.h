#pragma once
/* The taking side of catching up. When the log of the other members no longer holds what this
 * node's store needs next, the group says so (on_behind), and this machine fetches it: from another
 * member's archive if that still reaches back to us, else a copy of a store first, then the archive
 * behind it, until the store has reached the index that was asked for. Then Raft goes on.
 *
 *     IDLE -> ARCHIVE <-> OPENING -> COPYING -> CHECKING -> SWAPPING -> ARCHIVE -> IDLE
 *
 * Members are asked in rounds: each once, in the order given, those that were caught lying last.
 * A copy is begun when in a round of archives none had anything, and one said that it does not
 * reach back. A round of copies that came to nothing is followed by one of archives, after a pause
 * of 1 s, doubled each time up to 30 s until something was got.
 *
 * It blocks on disk (it writes the copy, checks it), so it runs on a thread of its own (node/) or
 * as steps of the simulator; one caller at a time. Everything is repeatable: a process killed at
 * any point goes on, or begins anew, with the same outcome. A copy being received lies in
 * `folder`/incoming (incoming.h), with a note of whose it is and how much of it is synced, so that
 * a restart goes on where it stood if the source still has the copy open, or checks it when all of
 * it is there. Sources are untrusted with memory: lengths are checked before anything is kept; a
 * source that stalls, sends a wrong checksum or contradicts itself is left, noted, and another one
 * is tried.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "consensus/apply_queue.h"
#include "storage/copy.h"

#define CATCH_UP_SOURCES_MAX 32

struct catch_up;

struct catch_up_callbacks {
    /* Sends a fetch to a member; it may be lost. None of these may call the machine, but for
     * catch_up_swapped from within `swap`. */
    void (*send)(void *arg, uint64_t to, struct span fetch);
    /* A checked copy lies in `path`: the apply thread shall swap it in (store_swap, which makes
     * it current on disk as well) and then call catch_up_swapped. The folder at `path` is the
     * caller's until then, and for good when it was swapped in. */
    void (*swap)(void *arg, const char *path, const struct store_copy_info *info);
    /* The store shall be synced once it has published `index`, and the group told. Called when the
     * index that was wanted is on its way through the apply queue. */
    void (*sync)(void *arg, uint64_t index);
    /* False: the process ends; a check that takes long is left. May be NULL: it does not. */
    bool (*goes_on)(void *arg);
    /* A warning for the log, at most one a cause and minute. `what` is static. May be NULL. */
    void (*on_notice)(void *arg, const char *what, uint64_t member);
};

struct catch_up_options {
    const char *folder; /* where incoming/ may be made: on the file system of the store */
    const struct clock *clock;
    struct apply_queue *queue; /* records of the archive are pushed to it, as Raft pushes entries */
    struct store *store;       /* for its position alone */
    uint64_t boot;
    uint64_t map_bytes;
    uint64_t headroom_bytes; /* a copy is begun only if so much stays free; default 64 MiB */
    size_t chunk_bytes;      /* default 256 KiB */
    unsigned window;         /* chunks asked for at once; default 4 */
    uint64_t timeout_us;     /* a fetch without an answer is repeated after, and then after twice as
                                long each time; default 2 s. A source
                                that gives nothing of use for five times as long is left */
    uint64_t sync_bytes;     /* received bytes of a copy are synced after as many; default 8 MiB:
                                about that much is fetched again after a restart */
    uint64_t queue_bytes_max; /* no more is pushed above; default 32 MiB */
    struct catch_up_callbacks callbacks;
    void *arg;
};

int catch_up_new(const struct catch_up_options *options,
                 struct catch_up **ret,
                 struct error *error);
/* Another headroom_bytes, for copies that are begun from now on. */
void catch_up_set_headroom(struct catch_up *c, uint64_t headroom_bytes);
/* Accepts NULL. */
void catch_up_free(struct catch_up *c);

/* The store must reach `index`; members that may have it, the best first, at most
 * CATCH_UP_SOURCES_MAX. While one is under way it only raises the target and replaces the list; the
 * member that is being asked is asked on. When the store is there already, `sync` is called. */
void catch_up_want(struct catch_up *c, uint64_t index, const uint64_t *sources, size_t n);
/* A supply from a member. Malformed ones, and those that were not asked for (any more), are dropped
 * and counted. May block on disk; catch_up_step is due after it. */
void catch_up_receive(struct catch_up *c, uint64_t from, struct span supply);
/* What `swap` asked for was done: code 0, or an error after which it begins anew; with NO_SPACE
 * the copy is kept if its folder is still there, and tried again. */
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
    uint64_t dropped;     /* answers that were not asked for, or came again, since the start */
};
/* The machine's own thread. */
void catch_up_status(const struct catch_up *c, struct catch_up_status *ret);
const char *catch_up_state_name(enum catch_up_state state);
