/* A connection is one attempt at one address:
 *
 *     RESOLVING -> CONNECTING -> GREETING -> READY
 *         \____________\____________\_________\____-> CLOSED, freed when its handles are
 *
 * It is on uv_poll and send(MSG_NOSIGNAL), not on uv_tcp, whose writes raise SIGPIPE in a program
 * that never asked for it. */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "lib/lib_internal.h"
#include "wire/frame.h"

#define READS_MAX       16                /* in a row, before others get their turn */
#define BUFFER_KEPT_MAX ((size_t)1 << 20) /* an empty buffer above this is given back */
#define IN_BYTES_MAX    (FRAME_HEADER_BYTES + CLADE_MAX_ANSWER_BYTES + 2 * RECEIVE_BYTES)

static const bool legal[CONNECTION_STATES][CONNECTION_STATES] = {
    [CONNECTION_RESOLVING] = {[CONNECTION_CONNECTING] = true, [CONNECTION_CLOSED] = true},
    [CONNECTION_CONNECTING] = {[CONNECTION_GREETING] = true, [CONNECTION_CLOSED] = true},
    [CONNECTION_GREETING] = {[CONNECTION_READY] = true, [CONNECTION_CLOSED] = true},
    [CONNECTION_READY] = {[CONNECTION_CLOSED] = true},
};

static void on_poll(uv_poll_t *handle, int status, int events);

static void enter(struct connection *c, enum connection_state state)
{
    CHECK(legal[c->state][state]);
    c->state = state;
}

/* --- the end --- */

static void handle_gone(struct connection *c)
{
    CHECK(c->handles > 0);
    if (--c->handles > 0) {
        return;
    }
    struct clade_client *client = c->client;
    buffer_release(&c->in);
    buffer_release(&c->out);
    free(c);
    client_on_connection_freed(client);
}

static void on_closed(uv_handle_t *handle)
{
    handle_gone(handle->data);
}

void connection_close(struct connection *c)
{
    if (c == NULL || c->state == CONNECTION_CLOSED) {
        return;
    }
    enter(c, CONNECTION_CLOSED);
    if (c->client->connection == c) {
        c->client->connection = NULL;
    }
    if (c->has_poll) {
        uv_close((uv_handle_t *)&c->poll, on_closed);
    }
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
    if (c->resolving) {
        uv_cancel((uv_req_t *)&c->resolver); /* on_resolved comes in any case */
    }
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

/* --- connecting --- */

static int open_socket(struct connection *c)
{
    const struct sockaddr *address = (const struct sockaddr *)&c->addresses[0];
    socklen_t len =
        address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int on = 1;
    c->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        return errno;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (connect(c->fd, address, len) != 0 && errno != EINPROGRESS) {
        return errno;
    }
    int rc = uv_poll_init(c->client->loop, &c->poll, c->fd);
    if (rc != 0) {
        return -rc;
    }
    c->has_poll = true;
    c->handles++;
    c->poll.data = c;
    return -uv_poll_start(&c->poll, UV_WRITABLE, on_poll);
}

static struct connection *connection_new(struct clade_client *client,
                                         const struct endpoint *endpoint)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    c->client = client;
    c->number = ++client->connections_made;
    c->endpoint = *endpoint;
    c->fd = -1;
    buffer_init(&c->in, IN_BYTES_MAX);
    buffer_init(&c->out, OUT_BYTES_MAX);
    uv_timer_init(client->loop, &c->timer);
    c->timer.data = c;
    c->handles = 1;
    client->connections++;
    client->connection = c;
    return c;
}

static void on_timer(uv_timer_t *handle);
static void start_connect(struct connection *c);

/* On to the next address of the same name, or the end. */
static void connect_failed(struct connection *c, const char *why)
{
    if (c->addresses_len < 2) {
        client_on_lost(c, why);
        return;
    }
    struct connection *next = connection_new(c->client, &c->endpoint);
    if (next == NULL) {
        client_on_lost(c, why);
        return;
    }
    next->addresses_len = c->addresses_len - 1;
    memcpy(next->addresses, c->addresses + 1, next->addresses_len * sizeof c->addresses[0]);
    connection_close(c);
    start_connect(next);
}

static void start_connect(struct connection *c)
{
    enter(c, CONNECTION_CONNECTING);
    uv_timer_start(&c->timer, on_timer, c->client->connect_timeout_ms, 0);
    int error = open_socket(c);
    if (error != 0) {
        connect_failed(c, uv_strerror(-error));
    }
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct connection *c = req->data;
    c->resolving = false;
    if (c->state == CONNECTION_CLOSED) {
        uv_freeaddrinfo(found);
        handle_gone(c);
        return;
    }
    c->handles--;
    for (struct addrinfo *a = found; a != NULL && c->addresses_len < ADDRESSES_MAX;
         a = a->ai_next) {
        if (a->ai_addrlen <= sizeof c->addresses[0] &&
            (a->ai_family == AF_INET || a->ai_family == AF_INET6)) {
            memcpy(&c->addresses[c->addresses_len++], a->ai_addr, a->ai_addrlen);
        }
    }
    uv_freeaddrinfo(found);
    if (status != 0 || c->addresses_len == 0) {
        client_on_lost(c, status != 0 ? uv_strerror(status) : "the name has no address");
        return;
    }
    start_connect(c);
}

static bool parse_address(struct connection *c)
{
    struct sockaddr_storage *a = &c->addresses[0];
    const struct endpoint *e = &c->endpoint;
    if (uv_ip4_addr(e->host, e->port, (struct sockaddr_in *)a) == 0 ||
        uv_ip6_addr(e->host, e->port, (struct sockaddr_in6 *)a) == 0) {
        c->addresses_len = 1;
        return true;
    }
    return false;
}

static void start_resolve(struct connection *c)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)c->endpoint.port);
    c->resolver.data = c;
    uv_timer_start(&c->timer, on_timer, c->client->connect_timeout_ms, 0);
    int rc =
        uv_getaddrinfo(c->client->loop, &c->resolver, on_resolved, c->endpoint.host, port, &hints);
    if (rc != 0) {
        client_on_lost(c, uv_strerror(rc));
        return;
    }
    c->resolving = true;
    c->handles++;
}

struct connection *connection_open(struct clade_client *client, const struct endpoint *endpoint)
{
    struct connection *c = connection_new(client, endpoint);
    if (c == NULL) {
        return NULL;
    }
    if (parse_address(c)) {
        start_connect(c);
    } else {
        start_resolve(c);
    }
    return c;
}

static void on_connected(struct connection *c)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    if (error != 0) {
        connect_failed(c, uv_strerror(-error));
        return;
    }
    enter(c, CONNECTION_GREETING);
    uv_poll_start(&c->poll, UV_READABLE, on_poll);
    client_on_connected(c);
}

void connection_ready(struct connection *c)
{
    enter(c, CONNECTION_READY);
    uv_timer_stop(&c->timer);
}

/* --- sending --- */

size_t connection_unsent(const struct connection *c)
{
    return c->out.len - c->out_sent;
}

/* Moving the rest down each time would cost its square on a slow peer. */
static void drop_sent(struct connection *c)
{
    if (c->out_sent == c->out.len) {
        c->out_sent = 0;
        buffer_clear(&c->out);
        if (c->out.capacity > BUFFER_KEPT_MAX) {
            buffer_release(&c->out);
            buffer_init(&c->out, OUT_BYTES_MAX);
        }
    } else if (c->out_sent > c->out.len / 2) {
        buffer_consume(&c->out, c->out_sent);
        c->out_sent = 0;
    }
}

static void want_writable(struct connection *c, bool wanted)
{
    if (c->writable_wanted != wanted) {
        c->writable_wanted = wanted;
        uv_poll_start(&c->poll, UV_READABLE | (wanted ? UV_WRITABLE : 0), on_poll);
    }
}

void connection_flush(struct connection *c)
{
    while (c->out_sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->out_sent, c->out.len - c->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            client_on_lost(c, uv_strerror(-errno));
            return;
        }
        if (n < 0) {
            break;
        }
        c->out_sent += (size_t)n;
    }
    drop_sent(c);
    want_writable(c, c->out.len > 0);
}

/* --- receiving --- */

/* False when the connection is gone. */
static bool take_frames(struct connection *c)
{
    size_t at = 0;
    for (;;) {
        struct span payload;
        size_t len;
        struct error error;
        int rc = frame_parse(span_skip(buffer_span(&c->in), at), CLADE_MAX_ANSWER_BYTES, &payload,
                             &len, &error);
        if (rc == 1) {
            break;
        }
        if (rc != 0) {
            client_on_lost(c, error.message);
            return false;
        }
        if (!client_on_frame(c, payload)) {
            return false;
        }
        at += len;
    }
    buffer_consume(&c->in, at);
    if (c->in.len == 0 && c->in.capacity > BUFFER_KEPT_MAX) {
        buffer_release(&c->in);
        buffer_init(&c->in, IN_BYTES_MAX);
    }
    return true;
}

/* The bytes received; 0 when there are no more for now, or the connection is gone. */
static size_t read_once(struct connection *c)
{
    uint8_t *p = buffer_extend(&c->in, RECEIVE_BYTES);
    if (p == NULL) {
        client_on_lost(c, "out of memory");
        return 0;
    }
    ssize_t n;
    do {
        n = recv(c->fd, p, RECEIVE_BYTES, 0);
    } while (n < 0 && errno == EINTR);
    c->in.len -= RECEIVE_BYTES - (n > 0 ? (size_t)n : 0);
    if (n > 0) {
        c->heard = true;
        return (size_t)n;
    }
    if (n == 0) {
        client_on_lost(c, "the server closed the connection");
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
        client_on_lost(c, uv_strerror(-errno));
    }
    return 0;
}

static void on_readable(struct connection *c)
{
    for (int i = 0; i < READS_MAX; i++) {
        size_t n = read_once(c);
        if (n == 0 || !take_frames(c) || n < RECEIVE_BYTES) {
            return;
        }
    }
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct connection *c = handle->data;
    struct clade_client *client = c->client;
    if (c->state == CONNECTION_CONNECTING) {
        on_connected(c);
    } else if (status != 0) {
        client_on_lost(c, uv_strerror(status));
    } else {
        if ((events & UV_READABLE) != 0) {
            on_readable(c);
        }
        if ((events & UV_WRITABLE) != 0 && c->state != CONNECTION_CLOSED) {
            connection_flush(c);
            client_kick(client);
        }
    }
    client_drain(client);
}

/* --- time --- */

static void send_ping(struct connection *c)
{
    frame_end(&c->out, request_begin(&c->out, MSGID_PING, METHOD_PING, 0));
    connection_flush(c);
}

/* A peer that froze, or a network that swallows packets, closes nothing: what owes answers and is
 * quiet is asked, and then given up. */
static void look(struct connection *c)
{
    if (c->client->slots.taken == 0) {
        uv_timer_stop(&c->timer);
        return;
    }
    c->quiet = c->heard ? 0 : c->quiet + 1;
    c->heard = false;
    if ((uint64_t)c->quiet * LIVENESS_MS >= LIVENESS_MS + c->client->connect_timeout_ms) {
        client_on_lost(c, "the server gives no sign of life");
    } else if (c->quiet == 1) {
        send_ping(c);
    }
}

static void on_timer(uv_timer_t *handle)
{
    struct connection *c = handle->data;
    struct clade_client *client = c->client;
    switch (c->state) {
    case CONNECTION_RESOLVING:
        client_on_lost(c, "resolving the name takes too long");
        break;
    case CONNECTION_CONNECTING:
        connect_failed(c, "connecting takes too long");
        break;
    case CONNECTION_GREETING:
        client_on_lost(c, "the server does not answer hello");
        break;
    case CONNECTION_READY:
        look(c);
        break;
    case CONNECTION_CLOSED:
    case CONNECTION_STATES:
        break;
    }
    client_drain(client);
}

void connection_watch(struct connection *c)
{
    if (!uv_is_active((const uv_handle_t *)&c->timer)) {
        c->heard = false;
        c->quiet = 0;
        uv_timer_start(&c->timer, on_timer, LIVENESS_MS, LIVENESS_MS);
    }
}
