#pragma once
/* What the files of the group share: group.c (life, events), group_write.c (proposals),
 * group_read.c (read indexes), group_news.c (gossip, clocks, digests), group_snapshot.c,
 * group_members.c, group_io.c (the raft_io as libraft sees it). */
#include <raft.h>

#include "base/buffer.h"
#include "consensus/group.h"
#include "consensus/log_bytes.h"
#include "consensus/message.h"

/* Log entries of ours that may be uncommitted at once: few, so that commands gather into large
 * entries while a disk write is under way. */
#define GROUP_APPLIES_MAX           4
#define GROUP_ENTRY_BYTES_AIM       (64u * 1024)
#define GROUP_FORWARD_BYTES_AIM     (256u * 1024)
#define GROUP_NEWS_INTERVAL_US      1000000u
#define GROUP_HEARD_US              5000000u
#define GROUP_CLOCK_OFFSET_MAX_US   5000000
#define GROUP_APPEND_SLOW_US        10000000u
#define GROUP_MALFORMED_INTERVAL_US 60000000u
#define GROUP_SAMPLES               16

struct digest_sample {
    uint64_t index; /* 0 = none */
    struct hash128 data;
    struct hash128 state;
};

/* The newest samples, a ring by arrival. */
struct digest_samples {
    struct digest_sample ring[GROUP_SAMPLES];
    unsigned next;
};

/* What a member last said of itself. */
struct member_news {
    uint64_t id; /* 0 = an empty slot */
    uint64_t heard_us;
    int64_t clock_offset_us;
    struct peer_news news;
    struct digest_samples samples;
};

/* A read index being asked for: by this node's caller, or by another member. */
struct read_ticket {
    struct list node;
    uint64_t ticket; /* the caller's, or the member's request */
    uint64_t from;   /* the member that asks; 0 = this node's caller */
    uint64_t boot;   /* the asking member's */
    uint64_t deadline_us;
    uint64_t request; /* follower: the request to the leader that covers it; 0 = none yet */
};

struct read_round {
    bool active;
    uint64_t number;
    uint64_t term;
    uint64_t index;    /* commit index when it began */
    uint64_t answered; /* bit i: member i of the configuration answered */
    struct list tickets;
};

struct group_transfer_state {
    bool active;
    uint64_t ticket;
    uint64_t to;
    uint64_t deadline_us;
    struct raft_transfer req;
};

#define GROUP_OWN_TICKET UINT64_MAX

/* What the members table of the store wants of the configuration. */
struct group_wish {
    uint64_t id;
    enum member_wanted wanted;
    char address[MEMBER_ADDRESS_BYTES]; /* "" = as it is */
};

struct group_changes {
    struct raft_change req; /* libraft keeps a pointer to it */
    struct group_wish wishes[GROUP_MEMBERS_MAX];
    size_t wishes_len;
    uint64_t looked_us; /* when a change was looked for last */
    uint64_t retry_us;  /* no change before this */
    uint64_t self_us;   /* when the own record was looked at last */
    bool removed_told;
};

struct group_snapshot {
    raft_index index; /* of the newest; 0 = none */
    uint64_t count;   /* taken since the start */
    bool parked;      /* one waits for the apply thread */
    bool writing;     /* the disk has it */
    unsigned trailing;
    struct raft_io_snapshot_put put;      /* ours, for the disk */
    struct raft_io_snapshot_put *put_req; /* libraft's */
    raft_io_snapshot_put_cb put_cb;
    const struct raft_snapshot *taken;
};

struct group {
    struct raft raft;
    struct raft_io *io;
    struct raft_io inner; /* the io's functions before ours went over them */
    struct raft_fsm fsm;
    raft_io_tick_cb raft_tick;
    raft_io_recv_cb raft_recv;
    struct group_options options;
    bool started;
    bool closing;
    void (*close_cb)(void *arg);
    void *close_arg;

    uint64_t term; /* as news was last given of it */
    uint64_t leader;
    uint64_t append_term;                      /* of the last append that came from a leader */
    uint64_t append_us;                        /* and when */
    raft_index commit_told[GROUP_MEMBERS_MAX]; /* leader: highest commit index sent, by position */
    raft_index configuration_seen[2];
    bool members_seen;
    /* The members as far as this node knows: its configuration's, or what a leader's beacon or the
     * data folder told while it has none. */
    struct group_member known[GROUP_MEMBERS_MAX];
    size_t known_len;
    uint64_t beacon_index; /* configuration index of the newest beacon */
    uint64_t beacon_sent_us;
    uint64_t beacon_term; /* of the newest beacon, and its sender */
    uint64_t beacon_from;

    struct log_bytes log;
    struct group_snapshot snapshot;
    uint64_t synced; /* the store is durable up to this index */
    struct group_changes changes;

    /* writes */
    struct list pending; /* proposals to be given to a leader, in order */
    struct list sent;    /* proposals given to one, until they are answered */
    uint64_t pending_bytes;
    uint64_t pending_commands;
    struct list applies; /* raft_apply calls whose entries are not applied yet, in order */
    unsigned applies_len;
    uint64_t applies_bytes;
    uint64_t forward_hold_us; /* a leader refused: nothing is forwarded before this */
    uint64_t stamp_term;      /* term of our last entry, for elapsed_ms */
    uint64_t stamp_us;        /* monotonic time of it */
    struct buffer scratch;    /* a message being written; sending may happen inside raft_* calls */
    struct buffer entry;      /* an entry or a forward being gathered */

    /* reads */
    struct list reads; /* tickets for which nothing was sent yet */
    struct list asked; /* follower: tickets that wait for the leader's reply */
    struct read_round round;
    uint64_t round_number;
    uint64_t request_number;
    uint64_t request_us; /* monotonic; when the newest request left */
    struct raft_barrier barrier;
    raft_index barrier_index;
    uint64_t barrier_term;       /* the term that it was proposed in; 0 = none */
    uint64_t own_term_committed; /* the newest term of ours with a committed entry */

    struct group_transfer_state transfer;

    /* news */
    struct member_news news[GROUP_MEMBERS_MAX];
    struct digest_samples samples;
    uint64_t published;
    uint64_t revision;
    uint64_t news_sent_us;
    uint64_t news_published; /* as it was sent last */
    uint64_t copy_bytes;     /* of a copy that this node receives */
    uint64_t copy_bytes_total;
    struct room room; /* of this node */
    bool clock_alarm;
    bool digest_alarm;
    uint64_t malformed;        /* messages of peers that were dropped */
    uint64_t malformed_us;     /* when that was told last */
    uint64_t append_oldest_us; /* since when an append has been under way; 0 = none is */
    bool append_slow;
    unsigned appends;
};

static inline uint64_t group_now(const struct group *g)
{
    return clock_monotonic_us(g->options.clock);
}

static inline bool group_leads(struct group *g)
{
    return raft_state(&g->raft) == RAFT_LEADER;
}

/* The leader as far as this member knows; 0 = unknown. */
uint64_t group_leader(struct group *g);
/* Sends g->scratch to a member. */
void group_send_scratch(struct group *g, uint64_t to);
/* Position of a member in the configuration; -1 when it is none. */
int group_member_index(struct group *g, uint64_t id);
/* After anything that may have moved raft: advance markers, leadership, transfers. */
void group_after_event(struct group *g);
void group_wake(struct group *g);
/* Counts a message that was dropped, and tells of it unless it was told a moment ago. */
void group_malformed(struct group *g, uint64_t from);
void group_notice(struct group *g, bool is_warning, const char *what, uint64_t member);

/* group_io.c: puts our functions over the io's, and takes them off again. */
void group_io_wrap(struct group *g);
void group_io_unwrap(struct group *g);

/* group_write.c */
void group_write_init(struct group *g);
void group_write_flush(struct group *g);
void group_write_tick(struct group *g);
void group_write_leader_changed(struct group *g);
void group_write_receive(struct group *g, uint64_t from, const struct peer_message *m);
void group_write_after_event(struct group *g);
/* Refuses and drops what waits. */
void group_write_close(struct group *g);
/* Once raft is closed. */
void group_write_release(struct group *g);

/* group_read.c */
void group_read_init(struct group *g);
void group_read_flush(struct group *g);
void group_read_tick(struct group *g);
void group_read_leader_changed(struct group *g);
void group_read_receive(struct group *g, uint64_t from, const struct peer_message *m);
void group_read_close(struct group *g);

/* group_news.c */
void group_news_tick(struct group *g);
void group_news_send(struct group *g);
void group_news_receive(struct group *g, uint64_t from, const struct peer_news *news);
const struct member_news *group_news_of(const struct group *g, uint64_t id);
/* The wall clock that this leader stamps: its own, or the median of its peers' when it is far
 * off. */
uint64_t group_stamp(struct group *g);

/* group_room.c. The room that writes go by, and the member whose it is: this one's own, or if that
 * is less, that of the best member that a majority of the voters can not do without. */
uint64_t group_room(const struct group *g, struct room *ret);
/* Says why writes are refused, NO_SPACE: there is not enough. */
void group_room_explain(const struct group *g, struct error *ret);

/* group_transfer.c */
void group_transfer_step(struct group *g);
/* Of the group's own accord, to any voter but those that are to go; nobody is told. */
void group_transfer_away(struct group *g);

/* group_snapshot.c */
void group_snapshot_init(struct group *g);
void group_snapshot_before_tick(struct group *g);
void group_snapshot_after_tick(struct group *g);
void group_snapshot_close(struct group *g);
int group_on_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs);
int group_on_restore(struct raft_fsm *fsm, struct raft_buffer *buf);
int group_on_snapshot_put(struct raft_io *io,
                          unsigned trailing,
                          struct raft_io_snapshot_put *req,
                          const struct raft_snapshot *snapshot,
                          raft_io_snapshot_put_cb cb);
int group_on_snapshot_get(struct raft_io *io,
                          struct raft_io_snapshot_get *req,
                          raft_io_snapshot_get_cb cb);
/* Whether an outgoing install is consistent. */
bool group_install_may_leave(const struct raft_install_snapshot *s);
/* Whether libraft may have it; else it is dropped, and what is missing is being fetched. */
bool group_install_is_welcome(struct group *g,
                              uint64_t from,
                              const struct raft_install_snapshot *s);
/* The store must reach `index` from elsewhere. */
void group_snapshot_want(struct group *g, uint64_t index);

/* group_members.c */
void group_members_init(struct group *g);
/* Takes note of the configuration when it changed. */
void group_members_notice(struct group *g);
/* Moves the configuration towards what is wanted; sends beacons. */
void group_members_tick(struct group *g);
void group_members_beacon(struct group *g, uint64_t from, const struct peer_beacon *b);
/* Leader: tells a member who the members are and how far the log is. */
void group_members_send_beacon(struct group *g, uint64_t to);
/* What is wanted of a member, as it was read last. */
enum member_wanted group_wanted(const struct group *g, uint64_t id);
void group_copy_member(const struct raft_server *server, struct group_member *ret);
/* The member as it is known; NULL when it is not. */
const struct group_member *group_known(const struct group *g, uint64_t id);
