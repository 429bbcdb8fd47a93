#pragma once
/* The raft loop: the group, its disk and its peers, on one thread. Everything here may be called
 * from any thread unless it says otherwise; answers come as letters. */
#include "consensus/group.h"
#include "consensus/peers.h"
#include "node/mailbox.h"
#include "node/node.h"

/* Opens disk, peers and group on a loop; nothing runs yet. Logged by the caller. */
int raft_thread_new(struct node *n, struct raft_thread **ret, struct error *error);
/* Loads the log and starts the thread; committed entries go to the apply queue meanwhile. */
int raft_thread_start(struct raft_thread *rt, struct error *error);
/* Closes group and peers, waits for the thread. Proposals that wait are refused with RETRY. */
void raft_thread_stop(struct raft_thread *rt);
/* Accepts NULL; after stop, or when start failed or was never called. */
void raft_thread_free(struct raft_thread *rt);

/* Gives the proposal to the group; takes a reference of its own. Bounded by what connections may
 * have in flight. False when the loop is closed. */
bool raft_thread_propose(struct raft_thread *rt, struct proposal *p);
/* Asks for a read index; the serving thread that the ticket names hears of it. */
bool raft_thread_read_index(struct raft_thread *rt, uint64_t ticket, uint64_t deadline_us);
/* Carry the copier's messages to a member; the bytes are copied, and may be lost. */
void raft_thread_send_fetch(struct raft_thread *rt, uint64_t to, struct span fetch);
void raft_thread_send_supply(struct raft_thread *rt, uint64_t to, struct span supply);
/* The apply thread has reached a mark. */
void raft_thread_marked(struct raft_thread *rt,
                        const struct store_position *position,
                        const struct store_digest *digest);
/* The apply thread has published. */
void raft_thread_published(struct raft_thread *rt);
/* False: it was not told, for want of memory. */
bool raft_thread_room(struct raft_thread *rt, const struct room *room);
/* Has node->members look at the configuration, soon. */
void raft_thread_look_at_members(struct raft_thread *rt);

/* A request whose answer comes to mailbox `reply` as the same letter with another `deliver`. */
struct raft_letter {
    struct mail mail;
    struct mailbox *reply;
    void (*on_reply)(struct mail *mail, void *owner); /* owns the letter */
    void (*on_lost)(struct raft_letter *letter);      /* reply is closed; NULL = free() */
    uint64_t key;                                     /* the asker's */
};

/* Sends it back; from whoever has answered it. */
void raft_letter_return(struct raft_letter *letter);

struct raft_status_letter {
    struct raft_letter letter;
    struct group_status status;
    uint64_t refused[PEER_CAUSE_COUNT];
};

struct raft_transfer_letter {
    struct raft_letter letter;
    struct list node;
    uint64_t ticket;
    uint64_t to;
    uint64_t deadline_us;
    struct error error;
    uint64_t leader;
};

/* Whether a change of the members may be asked for, see group.h. */
struct raft_change_letter {
    struct raft_letter letter;
    struct group_change change;
    struct error error; /* code 0: it may */
};

/* False when the loop is closed: the letter stays the caller's. */
bool raft_thread_check_change(struct raft_thread *rt, struct raft_change_letter *letter);
bool raft_thread_status(struct raft_thread *rt, struct raft_status_letter *letter);
bool raft_thread_transfer(struct raft_thread *rt, struct raft_transfer_letter *letter);
/* Blocks until a transfer to the best member has ended, for shutdown; true when it moved. Does
 * nothing when this node does not lead or is alone. */
bool raft_thread_hand_over(struct raft_thread *rt, unsigned timeout_ms);
