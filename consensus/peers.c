#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "consensus/address.h"
#include "consensus/peers_internal.h"

#define QUEUE_BYTES_MAX (64u << 20)

static struct peers *peers_of(struct group_transport *t)
{
    return (struct peers *)t;
}

struct peer_handshake peers_handshake(const struct peers *p, uint64_t to)
{
    return (struct peer_handshake){.version = PEER_PROTOCOL_VERSION,
                                   .cluster = p->options.cluster,
                                   .from = p->options.id,
                                   .to = to};
}

static const struct {
    const char *name;
    const char *text;
} causes[] = {
    /* clang-format off */
    [PEER_CAUSE_CLUSTER]   = {"cluster", "refused a node of another cluster"},
    [PEER_CAUSE_NODE]      = {"node", "refused a node that looks for another one at this address"},
    [PEER_CAUSE_REMOVED]   = {"removed", "told a removed node that it was removed"},
    [PEER_CAUSE_FRAME]     = {"frame", "ended a connection whose frame is too long, or does not "
                                       "match its checksum"},
    [PEER_CAUSE_HANDSHAKE] = {"handshake", "ended a connection that does not begin as a member's"},
    [PEER_CAUSE_ANSWER]    = {"answer", "another node, or one of another cluster, answers at a "
                                        "member's address"},
    /* clang-format on */
};
_Static_assert(sizeof causes / sizeof causes[0] == PEER_CAUSE_COUNT, "a cause has no row");

const char *peer_cause_name(enum peer_cause cause)
{
    return causes[cause].name;
}

void peers_refused(const struct peers *p, uint64_t ret[PEER_CAUSE_COUNT])
{
    memcpy(ret, p->refused, sizeof p->refused);
}

void peers_refuse(struct peers *p, enum peer_cause cause, uint64_t node)
{
    uint64_t now_ns = uv_hrtime();
    bool recent = p->refused[cause] > 0 && now_ns - p->noticed_ns[cause] < PEER_NOTICE_INTERVAL_NS;
    p->refused[cause]++;
    if (p->options.on_notice != NULL && !recent) {
        p->noticed_ns[cause] = now_ns;
        p->options.on_notice(p->options.arg, true, causes[cause].text, node);
    }
}

void peers_tune(uv_tcp_t *tcp)
{
    uv_os_fd_t fd;
    (void)uv_tcp_nodelay(tcp, 1);
    (void)uv_tcp_keepalive(tcp, 1, 5);
    if (uv_fileno((const uv_handle_t *)tcp, &fd) == 0) {
        unsigned ms = PEER_USER_TIMEOUT_MS;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
    }
}

void peers_handle_closed(struct peers *p)
{
    CHECK(p->handles > 0);
    if (--p->handles > 0) {
        return;
    }
    void (*cb)(void *arg) = p->close_cb;
    void *arg = p->close_arg;
    free(p->read_buf);
    free(p);
    cb(arg);
}

/* --- sending --- */

void peer_sender_init(struct peer_sender *s, size_t bytes_max, void *data)
{
    *s = (struct peer_sender){.writing = false};
    s->write.data = data;
    buffer_init(&s->out, bytes_max);
    buffer_init(&s->flight, bytes_max);
}

void peer_sender_release(struct peer_sender *s)
{
    buffer_release(&s->out);
    buffer_release(&s->flight);
}

int peer_sender_flush(struct peer_sender *s, uv_tcp_t *tcp, uv_write_cb cb)
{
    if (s->writing || s->out.len == 0) {
        return 0;
    }
    struct buffer full = s->out;
    s->out = s->flight;
    s->flight = full;
    uv_buf_t buf = uv_buf_init((char *)s->flight.data, (unsigned)s->flight.len);
    int rv = uv_write(&s->write, (uv_stream_t *)tcp, &buf, 1, cb);
    s->writing = rv == 0;
    return rv;
}

void peer_sender_written(struct peer_sender *s)
{
    s->writing = false;
    if (s->flight.capacity > PEER_KEPT_BYTES) {
        size_t bytes_max = s->flight.bytes_max;
        buffer_release(&s->flight); /* a burst is over: an idle node stays small */
        buffer_init(&s->flight, bytes_max);
    }
    buffer_clear(&s->flight);
}

/* --- the transport --- */

static struct peer_link *find_link(struct peers *p, uint64_t id)
{
    LIST_FOREACH(node, &p->links)
    {
        struct peer_link *l = LIST_ENTRY(node, struct peer_link, node);
        if (l->member.id == id && !l->gone) {
            return l;
        }
    }
    return NULL;
}

/* The connection that the node made to us. */
static struct peer_inbound *find_inbound(struct peers *p, uint64_t id)
{
    LIST_FOREACH(node, &p->inbound)
    {
        struct peer_inbound *c = LIST_ENTRY(node, struct peer_inbound, node);
        if (c->from == id && !c->closing) {
            return c;
        }
    }
    return NULL;
}

static void transport_send(struct group_transport *t, uint64_t to, struct span message)
{
    struct peers *p = peers_of(t);
    struct peer_link *l = find_link(p, to);
    struct peer_inbound *c = l == NULL ? find_inbound(p, to) : NULL;
    if (l != NULL) {
        peer_link_send(l, message);
    } else if (c != NULL) {
        peer_inbound_send(c, message);
    }
}

static bool transport_is_connected(struct group_transport *t, uint64_t to)
{
    struct peers *p = peers_of(t);
    struct peer_link *l = find_link(p, to);
    return l != NULL ? l->state == LINK_UP : find_inbound(p, to) != NULL;
}

bool peers_is_gone(const struct peers *p, uint64_t node)
{
    return p->options.is_gone != NULL && find_link((struct peers *)p, node) == NULL &&
           p->options.is_gone(p->options.arg, node);
}

static bool is_listed(const struct group_member *members, size_t n, const struct peer_link *l)
{
    for (size_t i = 0; i < n; i++) {
        if (members[i].id == l->member.id && strcmp(members[i].address, l->member.address) == 0) {
            return true;
        }
    }
    return false;
}

static void transport_set_members(struct group_transport *t,
                                  const struct group_member *members,
                                  size_t n)
{
    struct peers *p = peers_of(t);
    if (p->closing) {
        return;
    }
    LIST_FOREACH(node, &p->links)
    {
        struct peer_link *l = LIST_ENTRY(node, struct peer_link, node);
        if (!l->gone && !is_listed(members, n, l)) {
            peer_link_close(l);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (members[i].id != p->options.id && find_link(p, members[i].id) == NULL) {
            struct peer_link *l = peer_link_new(p, &members[i]);
            CHECK(l != NULL);
            peer_link_connect(l);
        }
    }
}

struct group_transport *peers_transport(struct peers *p)
{
    return &p->transport;
}

/* --- the mesh --- */

static void on_prepare(uv_prepare_t *prepare)
{
    struct peers *p = prepare->data;
    LIST_FOREACH(node, &p->links)
    {
        peer_link_flush(LIST_ENTRY(node, struct peer_link, node));
    }
    LIST_FOREACH(node, &p->inbound)
    {
        peer_inbound_flush(LIST_ENTRY(node, struct peer_inbound, node));
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct peers *p = listener->data;
    if (status == 0 && !p->closing) {
        peer_inbound_accept(p);
    }
}

static int start_listening(struct peers *p, struct error *error)
{
    struct address a;
    int rv = address_parse(p->options.listen, &a, error);
    if (rv == 0) {
        rv = address_resolve(&a, &p->listen, error);
    }
    if (rv != 0) {
        return rv;
    }
    rv = uv_tcp_bind(&p->listener, (const struct sockaddr *)&p->listen, 0);
    if (rv == 0) {
        rv = uv_listen((uv_stream_t *)&p->listener, 64, on_connection);
    }
    if (rv != 0) {
        return error_set(error, CLADE_ERR_IO, "peer_listen", "listening on %s: %s",
                         p->options.listen, uv_strerror(rv));
    }
    return 0;
}

static void on_failed_start(void *arg)
{
}

int peers_new(const struct peers_options *options, struct peers **ret, struct error *error)
{
    struct peers *p = calloc(1, sizeof *p);
    char *read_buf = malloc(PEER_READ_BYTES);
    if (p == NULL || read_buf == NULL) {
        free(p);
        free(read_buf);
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    p->options = *options;
    if (p->options.queue_bytes_max == 0) {
        p->options.queue_bytes_max = QUEUE_BYTES_MAX;
    }
    p->read_buf = read_buf;
    p->jitter = uv_hrtime() | 1;
    p->transport = (struct group_transport){.send = transport_send,
                                            .set_members = transport_set_members,
                                            .is_connected = transport_is_connected};
    list_init(&p->links);
    list_init(&p->inbound);
    CHECK(uv_tcp_init(options->loop, &p->listener) == 0);
    CHECK(uv_prepare_init(options->loop, &p->prepare) == 0);
    p->listener.data = p;
    p->prepare.data = p;
    p->handles = 2;
    int rv = start_listening(p, error);
    if (rv != 0) {
        peers_close(p, on_failed_start, NULL);
        return rv;
    }
    CHECK(uv_prepare_start(&p->prepare, on_prepare) == 0);
    *ret = p;
    return 0;
}

static void on_own_handle_closed(uv_handle_t *handle)
{
    peers_handle_closed(handle->data);
}

void peers_close(struct peers *p, void (*cb)(void *arg), void *arg)
{
    if (p->closing) {
        return;
    }
    p->closing = true;
    p->close_cb = cb;
    p->close_arg = arg;
    LIST_FOREACH(link, &p->links)
    {
        peer_link_close(LIST_ENTRY(link, struct peer_link, node));
    }
    LIST_FOREACH(conn, &p->inbound)
    {
        peer_inbound_close(LIST_ENTRY(conn, struct peer_inbound, node));
    }
    uv_close((uv_handle_t *)&p->listener, on_own_handle_closed);
    uv_close((uv_handle_t *)&p->prepare, on_own_handle_closed);
}
