#pragma once
/* What members say to each other: Raft's messages and ours. Bytes of a peer are not trusted to be
 * well formed: whatever does not decode is an error, never an assertion of libraft.
 *
 * All integers little-endian.
 *     0 u8 type   1 u8 version (1)   2 body
 *     1 append entries   u64 term, previous index, previous term, commit; u32 n; n x
 *                        (u64 term, u8 type, u32 length, bytes)
 *     2 its result       u64 term, rejected, last index; u16 features, capacity
 *     3 request vote     u64 term, candidate, last index, last term; u8 disrupt, u8 pre-vote
 *     4 its result       u64 term; u8 granted, u8 pre-vote; u16 features, capacity
 *     5 install snapshot u64 term, last index, last term, configuration index; u32 length,
 *                        configuration as libraft encodes it; u32 length, reference.h
 *     6 timeout now      u64 term, last index, last term
 *    16 propose          the items (storage/entry.h), one behind the other
 *    17 refused          i32 code; u32 wait_ms (0 = not known); u32 length, why as text; u32 n;
 *                        n x (u64 boot, u64 counter)
 *    18 read probe       u64 term, round            (leader to voters)
 *    19 read answer      u64 term, round            (voter to leader)
 *    20 read request     u64 boot, request          (member to leader)
 *    21 read reply       u64 boot, request; i32 code; u64 index
 *    22 news             u64 published, revision, sample index; 16 data digest, 16 state digest;
 *                        u64 wall clock in us; u64 bytes received of a copy of a store that is
 *                        under way, u64 bytes of that copy (0 = none is); u8 level and u8 kind
 *                        of its room (room.h), u64 bytes left, u64 bytes wanted
 *    23 beacon           u64 term, commit, log start (the lowest index after which the log can be
 *                        sent), configuration index; configuration as libraft encodes it
 *                        (leader to spares, to which libraft says nothing)
 *    24 fetch            bytes (supplier.h)      (a member that is behind, to any)
 *    25 supply           bytes (supplier.h)      (its answer)
 */
#include <raft.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"
#include "consensus/room.h"

#define PEER_MESSAGE_VERSION 1
/* An append entries message is split so that it stays about this small. */
#define PEER_APPEND_BYTES_MAX (1u << 20)
/* Nothing longer is read from a peer: one command, its header and slack above that. */
#define PEER_MESSAGE_BYTES_MAX (4u << 20)

enum peer_message_type {
    PEER_APPEND_ENTRIES = RAFT_APPEND_ENTRIES,
    PEER_APPEND_ENTRIES_RESULT = RAFT_APPEND_ENTRIES_RESULT,
    PEER_REQUEST_VOTE = RAFT_REQUEST_VOTE,
    PEER_REQUEST_VOTE_RESULT = RAFT_REQUEST_VOTE_RESULT,
    PEER_INSTALL_SNAPSHOT = RAFT_INSTALL_SNAPSHOT,
    PEER_TIMEOUT_NOW = RAFT_TIMEOUT_NOW,
    PEER_PROPOSE = 16,
    PEER_REFUSED = 17,
    PEER_READ_PROBE = 18,
    PEER_READ_ANSWER = 19,
    PEER_READ_REQUEST = 20,
    PEER_READ_REPLY = 21,
    PEER_NEWS = 22,
    PEER_BEACON = 23,
    PEER_FETCH = 24,
    PEER_SUPPLY = 25
};

struct peer_news {
    uint64_t published;
    uint64_t revision;
    uint64_t sample_index;
    struct hash128 data;
    struct hash128 state;
    uint64_t wall_us;
    uint64_t copy_bytes;
    uint64_t copy_bytes_total;
    struct room room;
};

struct peer_beacon {
    uint64_t term;
    uint64_t commit;
    uint64_t log_start;
    uint64_t configuration_index;
    struct span configuration; /* sound: raft_configuration_decode may have it */
};

struct peer_message {
    enum peer_message_type type;
    struct raft_message raft; /* types 1 to 6; server_id and server_address are the caller's */
    struct span items;        /* PROPOSE; REFUSED: n x 16 bytes; FETCH, SUPPLY: the body */
    int32_t code;             /* REFUSED, READ_REPLY */
    uint32_t wait_ms;         /* REFUSED */
    struct span why;          /* REFUSED; a sentence, or len 0 */
    uint64_t term;            /* READ_PROBE, READ_ANSWER */
    uint64_t boot;            /* READ_REQUEST, READ_REPLY: the asker's */
    uint64_t number;          /* round, or request */
    uint64_t index;           /* READ_REPLY */
    struct peer_news news;
    struct peer_beacon beacon;
};

/* Decodes; borrows from `bytes`, but for the entries of an append, which are raft_malloc'd in one
 * batch as libraft wants them, and an install's configuration and data: give the message to
 * libraft, or free them with peer_message_release. CLADE_ERR_CORRUPT says what is wrong. */
int peer_message_decode(struct span bytes, struct peer_message *ret, struct error *error);
void peer_message_release(struct peer_message *m);

/* Appends a message of libraft's. `entries` of an append entries message are given apart, so that
 * the caller can split them; NULL and 0 for all other types. False: a type that is not sent. */
bool peer_put_raft(struct buffer *b,
                   const struct raft_message *m,
                   const struct raft_entry *entries,
                   unsigned n);
void peer_put_head(struct buffer *b, enum peer_message_type type);
void peer_put_round(struct buffer *b, enum peer_message_type type, uint64_t term, uint64_t round);
void peer_put_read_request(struct buffer *b, uint64_t boot, uint64_t request);
void peer_put_read_reply(
    struct buffer *b, uint64_t boot, uint64_t request, int32_t code, uint64_t index);
void peer_put_beacon(struct buffer *b, const struct peer_beacon *beacon);
void peer_put_news(struct buffer *b, const struct peer_news *news);
/* The head of a REFUSED for n ids, which follow with peer_put_u64 (boot, counter). */
void peer_put_refused(
    struct buffer *b, int32_t code, uint32_t wait_ms, const char *why, uint32_t n);
void peer_put_u64(struct buffer *b, uint64_t v);
