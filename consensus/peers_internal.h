#pragma once
/* What peers.c (the mesh), peer_link.c (connections that we made) and peer_inbound.c (those that we
 * accepted) share. */
#include <uv.h>

#include "base/buffer.h"
#include "base/list.h"
#include "consensus/peer_frame.h"
#include "consensus/peers.h"

#define PEER_CONNECT_TIMEOUT_MS   3000
#define PEER_HANDSHAKE_TIMEOUT_MS 5000
#define PEER_BACKOFF_MIN_MS       50
#define PEER_BACKOFF_MAX_MS       1000
#define PEER_USER_TIMEOUT_MS      10000
#define PEER_INBOUND_MAX          128
#define PEER_READ_BYTES           65536
#define PEER_KEPT_BYTES           (1u << 20)
#define PEER_NOTICE_INTERVAL_NS   UINT64_C(60000000000)

/* Where a link stands; a timer covers every state but UP and IDLE.
 *
 *     IDLE -> RESOLVING -> CONNECTING -> SHAKING -> UP
 *       ^---- BACKOFF <------- any failure --------/
 */
enum link_state {
    LINK_IDLE,
    LINK_RESOLVING,
    LINK_CONNECTING,
    LINK_SHAKING,
    LINK_UP,
    LINK_BACKOFF,
    LINK_CLOSING,
    LINK_STATE_COUNT
};

/* What a connection sends: frames gather in `out` while those before them are written. */
struct peer_sender {
    struct buffer out;    /* frames not yet given to the socket */
    struct buffer flight; /* frames being written */
    uv_write_t write;     /* its data is the connection's */
    bool writing;
};

/* The connection to one member, on which we send. */
struct peer_link {
    struct list node;
    struct peers *peers;
    struct group_member member;
    enum link_state state;
    bool gone;      /* not a member any more, or closing: freed when its handles are */
    bool resolving; /* the resolver's callback is still to come */
    uv_timer_t timer;
    uv_tcp_t tcp;
    bool tcp_open;
    uv_connect_t connect;
    struct peer_sender sender;
    unsigned backoff_ms;
    struct buffer in; /* the handshake's answer; what comes from one that does not know us */
    unsigned handles; /* open handles of it */
};

/* A connection that a member made to us, on which we receive. */
struct peer_inbound {
    struct list node;
    struct peers *peers;
    uv_tcp_t tcp;
    uv_timer_t timer; /* the handshake must come in time */
    uint64_t from;    /* 0 until the handshake */
    struct buffer in;
    struct peer_sender sender; /* the handshake's answer; messages to whom we have no link to */
    unsigned handles;
    bool closing;
};

struct peers {
    struct group_transport transport; /* first, see peers_of */
    struct peers_options options;
    struct sockaddr_storage listen;
    uv_tcp_t listener;
    uv_prepare_t prepare; /* what was sent in an iteration leaves together */
    struct list links;
    struct list inbound;
    unsigned inbound_len;
    unsigned handles; /* the listener, the prepare, links and inbounds */
    bool closing;
    uint64_t jitter;
    uint64_t refused[PEER_CAUSE_COUNT];
    uint64_t noticed_ns[PEER_CAUSE_COUNT];
    char *read_buf; /* PEER_READ_BYTES, for all connections */
    void (*close_cb)(void *arg);
    void *close_arg;
};

struct peer_handshake peers_handshake(const struct peers *p, uint64_t to);
/* Whether the node is no member and was removed. */
bool peers_is_gone(const struct peers *p, uint64_t node);
/* Counts a refusal, and tells of it unless the same was told a moment ago. */
void peers_refuse(struct peers *p, enum peer_cause cause, uint64_t node);
/* TCP_NODELAY, keepalive, TCP_USER_TIMEOUT. */
void peers_tune(uv_tcp_t *tcp);
/* A handle of the mesh was closed; the last one ends it. */
void peers_handle_closed(struct peers *p);

void peer_sender_init(struct peer_sender *s, size_t bytes_max, void *data);
void peer_sender_release(struct peer_sender *s);
/* Writes what has gathered unless a write is under way; `cb` calls peer_sender_written. Returns 0
 * or libuv's error. */
int peer_sender_flush(struct peer_sender *s, uv_tcp_t *tcp, uv_write_cb cb);
void peer_sender_written(struct peer_sender *s);

struct peer_link *peer_link_new(struct peers *p, const struct group_member *member);
/* Starts to connect, or goes on with a changed address. */
void peer_link_connect(struct peer_link *l);
void peer_link_send(struct peer_link *l, struct span message);
void peer_link_flush(struct peer_link *l);
void peer_link_close(struct peer_link *l);

void peer_inbound_accept(struct peers *p);
/* Sends backwards, to one that has no link; drops it when it is too much. */
void peer_inbound_send(struct peer_inbound *c, struct span message);
void peer_inbound_flush(struct peer_inbound *c);
void peer_inbound_close(struct peer_inbound *c);
