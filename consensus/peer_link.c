#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "consensus/address.h"
#include "consensus/message.h"
#include "consensus/peers_internal.h"

static const bool may_follow[LINK_STATE_COUNT][LINK_STATE_COUNT] = {
    [LINK_IDLE] = {[LINK_RESOLVING] = true, [LINK_CLOSING] = true},
    [LINK_RESOLVING] = {[LINK_CONNECTING] = true, [LINK_BACKOFF] = true, [LINK_CLOSING] = true},
    [LINK_CONNECTING] = {[LINK_SHAKING] = true, [LINK_BACKOFF] = true, [LINK_CLOSING] = true},
    [LINK_SHAKING] = {[LINK_UP] = true, [LINK_BACKOFF] = true, [LINK_CLOSING] = true},
    [LINK_UP] = {[LINK_BACKOFF] = true, [LINK_CLOSING] = true},
    [LINK_BACKOFF] = {[LINK_RESOLVING] = true, [LINK_CLOSING] = true},
};

static void move(struct peer_link *l, enum link_state to)
{
    CHECK(may_follow[l->state][to]);
    l->state = to;
}

static void resolve(struct peer_link *l);

/* --- memory: freed when every handle is closed and the resolver has answered --- */

static void free_if_done(struct peer_link *l)
{
    if (!l->gone || l->handles > 0 || l->resolving) {
        return;
    }
    struct peers *p = l->peers;
    list_remove(&l->node);
    peer_sender_release(&l->sender);
    buffer_release(&l->in);
    free(l);
    peers_handle_closed(p);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct peer_link *l = handle->data;
    l->handles--;
    free_if_done(l);
}

static void on_tcp_closed(uv_handle_t *handle)
{
    struct peer_link *l = handle->data;
    l->handles--;
    l->tcp_open = false;
    l->sender.writing = false;
    buffer_clear(&l->sender.flight);
    free_if_done(l);
}

static void close_tcp(struct peer_link *l)
{
    if (l->tcp_open && !uv_is_closing((uv_handle_t *)&l->tcp)) {
        uv_close((uv_handle_t *)&l->tcp, on_tcp_closed);
    }
}

/* --- failure and backoff --- */

static void on_backoff_over(uv_timer_t *timer)
{
    struct peer_link *l = timer->data;
    if (l->tcp_open) {
        CHECK(uv_timer_start(&l->timer, on_backoff_over, PEER_BACKOFF_MIN_MS, 0) == 0);
        return;
    }
    resolve(l);
}

static unsigned with_jitter(struct peers *p, unsigned ms)
{
    p->jitter ^= p->jitter << 13;
    p->jitter ^= p->jitter >> 7;
    p->jitter ^= p->jitter << 17;
    return ms / 2 + (unsigned)(p->jitter % (ms / 2 + 1));
}

static void fail(struct peer_link *l, const char *what, const char *why)
{
    if (l->state == LINK_CLOSING || l->state == LINK_BACKOFF) {
        return;
    }
    log_debug("a connection to a member failed", LOG_U64("member", l->member.id),
              LOG_STR("address", l->member.address), LOG_STR("step", what), LOG_STR("error", why));
    move(l, LINK_BACKOFF);
    buffer_clear(&l->sender.out); /* Raft repeats what matters, and a frame may have been cut */
    buffer_clear(&l->in);
    close_tcp(l);
    unsigned ms = with_jitter(l->peers, l->backoff_ms);
    l->backoff_ms =
        l->backoff_ms * 2 > PEER_BACKOFF_MAX_MS ? PEER_BACKOFF_MAX_MS : l->backoff_ms * 2;
    CHECK(uv_timer_start(&l->timer, on_backoff_over, ms, 0) == 0);
}

static void on_timeout(uv_timer_t *timer)
{
    fail(timer->data, "waiting", "no answer in time");
}

/* --- resolving, connecting, shaking hands: in the order in which they fire --- */

static void on_connected(uv_connect_t *req, int status);
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

/* The own peer address is the source too, so that rules between members can go by it. */
static void bind_source(struct peer_link *l, const struct sockaddr_storage *to)
{
    struct sockaddr_storage from = l->peers->listen;
    if (from.ss_family != to->ss_family || address_is_wildcard(&from)) {
        return;
    }
    if (from.ss_family == AF_INET) {
        ((struct sockaddr_in *)(void *)&from)->sin_port = 0;
    } else {
        ((struct sockaddr_in6 *)(void *)&from)->sin6_port = 0;
    }
    (void)uv_tcp_bind(&l->tcp, (const struct sockaddr *)&from, 0);
}

static void on_resolved(void *arg, int status, const struct sockaddr_storage *address)
{
    struct peer_link *l = arg;
    l->resolving = false;
    if (l->state != LINK_RESOLVING) {
        free_if_done(l);
        return;
    }
    if (status != 0) {
        fail(l, "resolving", clade_error_text(status));
        return;
    }
    move(l, LINK_CONNECTING);
    CHECK(uv_tcp_init(l->peers->options.loop, &l->tcp) == 0);
    l->tcp.data = l;
    l->tcp_open = true;
    l->handles++;
    bind_source(l, address);
    l->connect.data = l;
    int rv = uv_tcp_connect(&l->connect, &l->tcp, (const struct sockaddr *)address, on_connected);
    if (rv != 0) {
        fail(l, "connecting", uv_strerror(rv));
        return;
    }
    CHECK(uv_timer_start(&l->timer, on_timeout, PEER_CONNECT_TIMEOUT_MS, 0) == 0);
}

static void resolve(struct peer_link *l)
{
    move(l, LINK_RESOLVING);
    l->resolving = true;
    struct peers_resolver *r = l->peers->options.resolver;
    r->resolve(r, l->member.address, on_resolved, l);
}

static void on_connected(uv_connect_t *req, int status)
{
    struct peer_link *l = req->data;
    if (l->state != LINK_CONNECTING) {
        return;
    }
    if (status != 0) {
        fail(l, "connecting", uv_strerror(status));
        return;
    }
    move(l, LINK_SHAKING);
    peers_tune(&l->tcp);
    struct peer_handshake h = peers_handshake(l->peers, l->member.id);
    buffer_clear(&l->sender.out);
    peer_handshake_put(&l->sender.out, &h);
    int rv = uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
    if (rv != 0) {
        fail(l, "reading", uv_strerror(rv));
        return;
    }
    CHECK(uv_timer_start(&l->timer, on_timeout, PEER_HANDSHAKE_TIMEOUT_MS, 0) == 0);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct peer_link *l = handle->data;
    *buf = uv_buf_init(l->peers->read_buf, PEER_READ_BYTES);
}

static void on_handshake(struct peer_link *l, struct span payload)
{
    struct peer_handshake h;
    struct error e = {0};
    if (peer_handshake_decode(payload, &h, &e) != 0) {
        fail(l, "shaking hands", e.message);
        return;
    }
    struct peer_handshake own = peers_handshake(l->peers, l->member.id);
    bool same = hash128_equal(h.cluster, own.cluster);
    if (!same || h.from != l->member.id || h.to != own.from || h.version == 0) {
        peers_refuse(l->peers, PEER_CAUSE_ANSWER, l->member.id);
        fail(l, "shaking hands", "another node");
        return;
    }
    if ((h.features & PEER_FEATURE_REMOVED) != 0) {
        fail(l, "shaking hands", "this node was removed");
        if (l->peers->options.on_removed != NULL) {
            l->peers->options.on_removed(l->peers->options.arg, l->member.id);
        }
        return;
    }
    move(l, LINK_UP);
    l->backoff_ms = PEER_BACKOFF_MIN_MS;
    CHECK(uv_timer_stop(&l->timer) == 0);
    log_debug("connected to a member", LOG_U64("member", l->member.id));
}

/* The handshake's answer, then what a member says that has no link to this node. */
static void drain(struct peer_link *l)
{
    struct peers *p = l->peers;
    size_t done = 0;
    while (done < l->in.len && (l->state == LINK_SHAKING || l->state == LINK_UP)) {
        struct span payload;
        size_t len = 0;
        struct error e = {0};
        bool up = l->state == LINK_UP;
        struct span rest = span_make(l->in.data + done, l->in.len - done);
        int rv = peer_frame_parse(rest, up ? PEER_MESSAGE_BYTES_MAX : PEER_HANDSHAKE_BYTES,
                                  &payload, &len, &e);
        if (rv == 1) {
            break;
        }
        if (rv < 0) {
            fail(l, up ? "reading" : "shaking hands", e.message);
        } else if (up) {
            p->options.on_message(p->options.arg, l->member.id, payload);
        } else {
            on_handshake(l, payload);
        }
        done += len;
    }
    buffer_consume(&l->in, done < l->in.len ? done : l->in.len);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer_link *l = stream->data;
    if (n < 0) {
        fail(l, "reading", uv_strerror((int)n));
    } else if (n > 0 && !buffer_append(&l->in, buf->base, (size_t)n)) {
        fail(l, "reading", "a frame is too long");
    } else if (n > 0) {
        drain(l);
    }
}

/* --- sending --- */

static void on_written(uv_write_t *req, int status)
{
    struct peer_link *l = req->data;
    peer_sender_written(&l->sender);
    if (status != 0 && l->state != LINK_CLOSING) {
        fail(l, "writing", uv_strerror(status));
    }
}

void peer_link_flush(struct peer_link *l)
{
    bool open = l->state == LINK_UP || l->state == LINK_SHAKING;
    int rv = open ? peer_sender_flush(&l->sender, &l->tcp, on_written) : 0;
    if (rv != 0) {
        fail(l, "writing", uv_strerror(rv));
    }
}

void peer_link_send(struct peer_link *l, struct span message)
{
    if (l->state == LINK_UP) {
        (void)peer_frame_put(&l->sender.out, message);
    }
}

/* --- life --- */

struct peer_link *peer_link_new(struct peers *p, const struct group_member *member)
{
    struct peer_link *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    l->peers = p;
    l->member = *member;
    l->state = LINK_IDLE;
    l->backoff_ms = PEER_BACKOFF_MIN_MS;
    peer_sender_init(&l->sender, p->options.queue_bytes_max, l);
    buffer_init(&l->in, PEER_FRAME_HEADER_BYTES + PEER_MESSAGE_BYTES_MAX + PEER_READ_BYTES);
    CHECK(uv_timer_init(p->options.loop, &l->timer) == 0);
    l->timer.data = l;
    l->handles = 1;
    list_push_back(&p->links, &l->node);
    p->handles++;
    return l;
}

void peer_link_connect(struct peer_link *l)
{
    if (l->state == LINK_IDLE) {
        resolve(l);
    }
}

void peer_link_close(struct peer_link *l)
{
    if (l->gone) {
        return;
    }
    move(l, LINK_CLOSING);
    l->gone = true;
    close_tcp(l);
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}
