#pragma once
/* One member of one Raft group: proposes, answers read indexes, hands committed entries to the
 * apply queue. Everything here runs on one thread, the raft loop's, and blocks nowhere. It starts
 * no thread and owns no loop: time, disk and network are parameters, and node/ or a simulator
 * calls its steps.
 *
 * A write: group_propose -> (a follower forwards it) -> pending -> group_flush makes one log entry
 * of many commands -> raft_apply -> committed -> fsm->apply -> apply queue. Answers come from
 * apply alone, on the node that accepted the command, matched by proposal id.
 * A linearizable read: group_read_index -> (a follower asks its leader) -> a round of probes to
 * the voters -> on_read_index with the index to wait for.
 * See README.md for the rules and the hazards of libraft that they answer.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "consensus/apply_queue.h"
#include "consensus/proposal.h"
#include "consensus/room.h"
#include "storage/member.h"

#define GROUP_MEMBERS_MAX    32
#define MEMBER_ADDRESS_BYTES (CLADE_MAX_ADDRESS_BYTES + 1) /* with NUL */
_Static_assert(MEMBER_ADDRESS_MAX == CLADE_MAX_ADDRESS_BYTES, "each address can be stored");

struct group;
struct raft_io;

enum group_role { GROUP_VOTER, GROUP_STANDBY, GROUP_SPARE };

struct group_member {
    uint64_t id;
    enum group_role role;
    char address[MEMBER_ADDRESS_BYTES]; /* peer address, HOST:PORT */
};

/* Where messages to other members go. */
struct group_transport {
    /* Sends one message, which is copied; drops it when the member is not connected or its queue
     * is full: Raft repeats what matters. */
    void (*send)(struct group_transport *t, uint64_t to, struct span message);
    /* The members and their addresses, whenever the configuration changed. */
    void (*set_members)(struct group_transport *t, const struct group_member *members, size_t n);
    bool (*is_connected)(struct group_transport *t, uint64_t to);
};

/* News, called on the raft loop. */
struct group_callbacks {
    /* The proposal came to nothing, for certain (RETRY, THROTTLED, NO_SPACE): the group has
     * dropped its reference. */
    void (*on_refused)(void *arg, struct proposal *proposal, const struct error *error);
    /* The leader is about to propose it, for the first time: 0, or THROTTLED with `retry_ms`, which
     * refuses it. May be NULL. */
    int (*on_admit)(void *arg, const struct proposal *proposal, uint64_t now_us, struct error *ret);
    /* There is less than enough room: whether the leader may propose it all the same, because it
     * makes some, or needs next to none. NULL: nothing may. */
    bool (*on_short)(void *arg, const struct proposal *proposal, const struct room *room);
    /* Code 0: a read that waits for `index` to be published is linearizable. Else UNAVAILABLE. */
    void (*on_read_index)(void *arg, uint64_t ticket, int code, uint64_t index);
    /* The leader (0 = unknown) or the term changed. */
    void (*on_leader)(void *arg, uint64_t leader, uint64_t term);
    /* A transfer ended: 0 and the new leader, or an error. */
    void (*on_transfer)(void *arg, uint64_t ticket, const struct error *error, uint64_t leader);
    /* There is something for group_flush to do; call it soon, from the loop, not from here. */
    void (*on_wake)(void *arg);
    /* Something that an operator should see, once a change: an alarm came or went, a message was
     * dropped. `what` is static; member 0 = none. May be NULL. */
    void (*on_notice)(void *arg, bool is_warning, const char *what, uint64_t member);
    /* The log of the others does not reach back to what this node's store needs: it must get to
     * `index` from elsewhere (catch_up.h), best from the first of `sources`. Called again and again
     * until it has. May be NULL. */
    void (*on_behind)(void *arg, uint64_t index, const uint64_t *sources, size_t n);
    /* What a member asks of this node's supplier, and what one answers this node's catch_up. May be
     * NULL. */
    void (*on_fetch)(void *arg, uint64_t from, struct span fetch);
    void (*on_supply)(void *arg, uint64_t from, struct span supply);
    /* This node was removed from the cluster, by the configuration at that index: it must stop, and
     * may not come back. */
    void (*on_removed)(void *arg, uint64_t index);
    /* The node must stop at once: a disk error, or this member's digest is in the minority. */
    void (*on_fatal)(void *arg, const struct error *error);
};

struct group_options {
    uint64_t id;
    uint64_t boot;       /* random for each start: answers to an earlier one are not taken */
    const char *address; /* own peer address */
    const char *folder;  /* on the disk whose room group_set_room tells of; NULL: not named */
    struct raft_io *io;  /* wrapped by disk.h, or a simulator's */
    struct group_transport *transport;
    const struct clock *clock;
    struct apply_queue *queue;
    unsigned election_timeout_ms;        /* default 1,000 */
    unsigned heartbeat_ms;               /* default 100; below a third of the election timeout */
    uint64_t pending_bytes_max;          /* commands waiting to be proposed; default 32 MiB */
    uint64_t unpublished_bytes_max;      /* proposed minus published; default 64 MiB */
    size_t append_bytes_max;             /* of an append to a member, about; default 1 MiB */
    uint64_t log_bytes_max;              /* a snapshot is taken above; default 64 MiB */
    uint64_t trailing_bytes;             /* kept of the log behind one; default half of that */
    struct store *store;                 /* for member records and digests; NULL: there are none */
    uint64_t synced;                     /* the store is durable up to this index */
    const struct group_member *contacts; /* members to talk to while there is no configuration */
    size_t contacts_len;
    struct group_callbacks callbacks;
    void *arg;
};

/* Writes the first configuration into an empty io, the same list on every member, and closes the
 * io: run its loop until nothing is left, then free it. */
int group_bootstrap(struct raft_io *io,
                    uint64_t id,
                    const char *address,
                    const struct group_member *members,
                    size_t n,
                    struct error *error);

int group_new(const struct group_options *options, struct group **ret, struct error *error);
/* Loads the log and starts; committed entries of it may reach the queue before it returns. */
int group_start(struct group *g, struct error *error);
/* Refuses what waits, closes raft and its io; then cb, after which the group is free. */
void group_close(struct group *g, void (*cb)(void *arg), void *arg);

/* Takes a reference. Commands that wait for a leader are held until their deadline. */
void group_propose(struct group *g, struct proposal *proposal);
/* Asks for a read index under a ticket of the caller's; on_read_index fires once, at the latest
 * after the deadline (monotonic), never from within. Make one call for many reads. */
void group_read_index(struct group *g, uint64_t ticket, uint64_t deadline_us);
/* Does what waits: log entries of pending commands, rounds, forwards. */
void group_flush(struct group *g);
/* A message from another member, as its transport delivered it. `from` was authenticated by the
 * transport's handshake. Malformed ones are dropped and counted. */
void group_receive(struct group *g, uint64_t from, struct span message);
/* The apply thread has published: what status, gossip and admission go by. */
void group_set_published(struct group *g,
                         uint64_t index,
                         uint64_t revision,
                         uint64_t sample_index,
                         struct hash128 data,
                         struct hash128 state);
/* The apply thread has reached a mark: everything up to `position` is durable; the digests are
 * those at exactly that index. */
void group_set_marked(struct group *g,
                      const struct store_position *position,
                      const struct store_digest *digest);
/* How much of a copy of a store has been received, of how much; both 0 when none is under way. For
 * the members' status alone. */
void group_set_copied(struct group *g, uint64_t bytes, uint64_t bytes_total);
/* Carry catch_up's and the supplier's messages; they may be lost. */
void group_send_fetch(struct group *g, uint64_t to, struct span fetch);
void group_send_supply(struct group *g, uint64_t to, struct span supply);

/* A change of the members, as an operator asks for it. It is made by a logged command (ITEM_MEMBER_
 * WANTED) that says what is wanted of a node; the leader's group then moves Raft's configuration
 * there, one change at a time, whoever leads: a new node is added as a spare, becomes a standby
 * when it has caught up, then a voter if that is wanted. */
struct group_change {
    enum member_wanted wanted;
    uint64_t id;
    bool is_add;
    char address[MEMBER_ADDRESS_BYTES]; /* add: its peer address */
};
/* Whether the change may be asked for now: 0, RETRY when this node does not lead or another change
 * is under way, or CONFLICT, NOT_FOUND, LIMIT, UNAVAILABLE with the reason. */
int group_check_change(struct group *g, const struct group_change *change, struct error *error);
/* Whether a node was removed from this cluster, for certain: it may be told to stop. */
bool group_is_gone(struct group *g, uint64_t id);

/* How much room this node has. The members tell each other. While the leader has not enough, or so
 * many voters that the others are no majority, writes are refused with NO_SPACE, but for what
 * on_short lets through. */
void group_set_room(struct group *g, const struct room *room);
/* New values for the options of these names, none of them 0; trailing_bytes is half of the last. */
void group_set_limits(struct group *g,
                      uint64_t pending_bytes_max,
                      uint64_t unpublished_bytes_max,
                      uint64_t log_bytes_max);
/* Hands leadership over to member `to` (0 = the best); on_transfer fires once. While it goes on,
 * new commands wait. INVALID when this node does not lead (error says who does). */
void group_transfer(struct group *g, uint64_t ticket, uint64_t to, uint64_t deadline_us);

struct group_member_status {
    struct group_member member;
    enum member_wanted wanted; /* MEMBER_AS_CONFIGURED: nothing else than it is */
    bool connected;            /* a live connection to it; true for oneself */
    bool heard;                /* what follows was heard from it in the last 5 s */
    uint64_t match;            /* leader only: index known to be in its log; else 0 */
    uint64_t published;
    uint64_t revision;
    uint64_t sample_index; /* 0 = none yet */
    struct hash128 data;
    struct hash128 state;
    int64_t clock_offset_us;   /* its wall clock minus ours, about */
    uint64_t copy_bytes;       /* received of a copy of a store, of copy_bytes_total */
    uint64_t copy_bytes_total; /* 0 = none is under way */
};

struct group_status {
    uint64_t id;
    uint64_t term;
    uint64_t leader; /* 0 = unknown */
    bool is_leader;
    uint64_t commit;
    uint64_t last_index; /* of the log */
    uint64_t queued;     /* index of the newest job in the apply queue */
    uint64_t published;
    uint64_t pending_commands;
    uint64_t unpublished_bytes;
    uint64_t log_bytes;      /* held in memory, and about as much on disk */
    uint64_t log_first;      /* lowest index of the log; what is below is in snapshots alone */
    uint64_t snapshot_index; /* of the newest snapshot; 0 = none */
    uint64_t snapshots;      /* taken since the start */
    uint64_t malformed;      /* messages of members that were refused */
    struct room room;        /* that writes go by: its own, or a majority's if that is less */
    bool clock_alarm;        /* this leader's clock is far from the median: it stamps the median */
    bool digest_alarm;       /* members disagree, no majority against this one */
    size_t members_len;
    struct group_member_status members[GROUP_MEMBERS_MAX];
};

/* Fills *ret with what this member knows now. */
void group_status(struct group *g, struct group_status *ret);
