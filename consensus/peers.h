#pragma once
/* The connections between members: TCP on a libuv loop. Each member connects to every other and
 * sends on that connection; it receives on those that it accepted. Whom it does not know as a
 * member it answers on the connection that came from there: a voter that was away may be needed to
 * elect one that joined meanwhile. A handshake checks magic,
 * protocol version, cluster id and both node ids. Frames have a length under a limit and a
 * checksum. Lost connections are made again with backoff and names resolved again. */
#include "base/error.h"
#include "base/hash.h"
#include "consensus/group.h"

struct peers;
struct uv_loop_s;
struct sockaddr_storage;

/* Names to addresses, off the loop (libuv's pool carries the log's disk work). */
struct peers_resolver {
    /* Calls cb on the loop, later, once: status 0 and an address, or CLADE_ERR_NOT_FOUND. */
    void (*resolve)(struct peers_resolver *r,
                    const char *address,
                    void (*cb)(void *arg, int status, const struct sockaddr_storage *address),
                    void *arg);
};

/* Why something of a peer was refused. */
enum peer_cause {
    PEER_CAUSE_CLUSTER,   /* a node of another cluster called */
    PEER_CAUSE_NODE,      /* one that looks for another node, or calls itself us, or nobody */
    PEER_CAUSE_REMOVED,   /* a removed node, which was told so */
    PEER_CAUSE_FRAME,     /* a frame that is too long, or whose checksum is wrong */
    PEER_CAUSE_HANDSHAKE, /* a connection that did not begin as a member's does, or not in time */
    PEER_CAUSE_ANSWER,    /* another node, or another cluster's, answers at a member's address */
    PEER_CAUSE_COUNT
};

struct peers_options {
    struct uv_loop_s *loop;
    const char *listen; /* HOST:PORT to accept on; also the source address of connections */
    uint64_t id;
    struct hash128 cluster;
    struct peers_resolver *resolver;
    /* A message from member `from`; on the loop. */
    void (*on_message)(void *arg, uint64_t from, struct span message);
    /* Whether a node that is no member was removed for certain: it is told so. May be NULL. */
    bool (*is_gone)(void *arg, uint64_t node);
    /* A member says that this node was removed from the cluster. May be NULL. */
    void (*on_removed)(void *arg, uint64_t by);
    /* Something was refused: at most once a minute for each cause. `node` is who it says it is, 0 =
     * not known. May be NULL. */
    void (*on_notice)(void *arg, bool is_warning, const char *what, uint64_t node);
    void *arg;
    uint64_t queue_bytes_max; /* unsent, for each member; default 64 MiB */
};

/* Binds and listens; CLADE_ERR_IO with a sentence. */
int peers_new(const struct peers_options *options, struct peers **ret, struct error *error);
/* How often each was refused since the start. */
void peers_refused(const struct peers *p, uint64_t ret[PEER_CAUSE_COUNT]);
const char *peer_cause_name(enum peer_cause cause);
/* For group_options.transport. */
struct group_transport *peers_transport(struct peers *p);
void peers_close(struct peers *p, void (*cb)(void *arg), void *arg);
