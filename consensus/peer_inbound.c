#include <stdlib.h>

#include "base/check.h"
#include "consensus/message.h"
#include "consensus/peers_internal.h"

static void on_closed(uv_handle_t *handle)
{
    struct peer_inbound *c = handle->data;
    if (--c->handles > 0) {
        return;
    }
    struct peers *p = c->peers;
    list_remove(&c->node);
    p->inbound_len--;
    buffer_release(&c->in);
    peer_sender_release(&c->sender);
    free(c);
    peers_handle_closed(p);
}

void peer_inbound_close(struct peer_inbound *c)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void on_timeout(uv_timer_t *timer)
{
    struct peer_inbound *c = timer->data;
    peers_refuse(c->peers, PEER_CAUSE_HANDSHAKE, 0);
    peer_inbound_close(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct peer_inbound *c = handle->data;
    *buf = uv_buf_init(c->peers->read_buf, PEER_READ_BYTES);
}

static void on_written(uv_write_t *req, int status)
{
    struct peer_inbound *c = req->data;
    peer_sender_written(&c->sender);
    if (status != 0) {
        peer_inbound_close(c);
    }
}

void peer_inbound_flush(struct peer_inbound *c)
{
    if (!c->closing && peer_sender_flush(&c->sender, &c->tcp, on_written) != 0) {
        peer_inbound_close(c);
    }
}

void peer_inbound_send(struct peer_inbound *c, struct span message)
{
    (void)peer_frame_put(&c->sender.out, message);
}

/* A member that connects anew has lost its former connection, whatever TCP thinks of it. */
static void close_former(struct peer_inbound *c, uint64_t from)
{
    LIST_FOREACH(node, &c->peers->inbound)
    {
        struct peer_inbound *other = LIST_ENTRY(node, struct peer_inbound, node);
        if (other != c && other->from == from) {
            peer_inbound_close(other);
        }
    }
}

static bool on_handshake(struct peer_inbound *c, struct span payload)
{
    struct peer_handshake h;
    struct error e = {0};
    struct peers *p = c->peers;
    if (peer_handshake_decode(payload, &h, &e) != 0) {
        peers_refuse(p, PEER_CAUSE_HANDSHAKE, 0);
        return false;
    }
    struct peer_handshake answer = peers_handshake(p, h.from);
    bool ours = hash128_equal(h.cluster, p->options.cluster);
    bool gone = ours && peers_is_gone(p, h.from);
    bool welcome = ours && h.to == p->options.id && h.from != 0 && h.from != p->options.id &&
                   h.version >= PEER_PROTOCOL_VERSION && !gone;
    if (gone) {
        answer.features |= PEER_FEATURE_REMOVED;
        peers_refuse(p, PEER_CAUSE_REMOVED, h.from);
    } else if (!welcome) {
        peers_refuse(p, ours ? PEER_CAUSE_NODE : PEER_CAUSE_CLUSTER, h.from);
    }
    /* The answer goes out in any case: it tells the other side who is here. */
    peer_handshake_put(&c->sender.out, &answer);
    peer_inbound_flush(c);
    if (!welcome) {
        return false;
    }
    close_former(c, h.from);
    c->from = h.from;
    return uv_timer_stop(&c->timer) == 0;
}

static bool on_frame(struct peer_inbound *c, struct span payload)
{
    if (c->from == 0) {
        return on_handshake(c, payload);
    }
    if (peers_is_gone(c->peers, c->from)) {
        return false; /* it calls again, and is told */
    }
    c->peers->options.on_message(c->peers->options.arg, c->from, payload);
    return true;
}

/* Handles every whole frame; false when the connection must end. */
static bool drain(struct peer_inbound *c)
{
    size_t done = 0;
    while (!c->closing) {
        struct span payload;
        size_t len = 0;
        struct error e = {0};
        struct span rest = span_make(c->in.data + done, c->in.len - done);
        /* Before it has said who it is, nobody may have us keep more than a handshake. */
        size_t bytes_max = c->from == 0 ? PEER_HANDSHAKE_BYTES : PEER_MESSAGE_BYTES_MAX;
        int rv = c->in.len == 0 ? 1 : peer_frame_parse(rest, bytes_max, &payload, &len, &e);
        if (rv == 1) {
            break;
        }
        if (rv < 0) {
            peers_refuse(c->peers, c->from == 0 ? PEER_CAUSE_HANDSHAKE : PEER_CAUSE_FRAME, c->from);
        }
        if (rv < 0 || !on_frame(c, payload)) {
            return false;
        }
        done += len;
    }
    buffer_consume(&c->in, done);
    return true;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer_inbound *c = stream->data;
    if (n == 0 || c->closing) {
        return;
    }
    if (n < 0 || !buffer_append(&c->in, buf->base, (size_t)n) || !drain(c)) {
        peer_inbound_close(c);
    }
}

void peer_inbound_accept(struct peers *p)
{
    struct peer_inbound *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    c->peers = p;
    buffer_init(&c->in, PEER_FRAME_HEADER_BYTES + PEER_MESSAGE_BYTES_MAX + PEER_READ_BYTES);
    peer_sender_init(&c->sender, PEER_FRAME_HEADER_BYTES + PEER_MESSAGE_BYTES_MAX, c);
    CHECK(uv_tcp_init(p->options.loop, &c->tcp) == 0);
    CHECK(uv_timer_init(p->options.loop, &c->timer) == 0);
    c->tcp.data = c;
    c->timer.data = c;
    c->handles = 2;
    list_push_back(&p->inbound, &c->node);
    p->inbound_len++;
    p->handles++;
    int rv = uv_accept((uv_stream_t *)&p->listener, (uv_stream_t *)&c->tcp);
    if (rv != 0 || p->inbound_len > PEER_INBOUND_MAX) {
        peer_inbound_close(c);
        return;
    }
    peers_tune(&c->tcp);
    CHECK(uv_timer_start(&c->timer, on_timeout, PEER_HANDSHAKE_TIMEOUT_MS, 0) == 0);
    if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0) {
        peer_inbound_close(c);
    }
}
