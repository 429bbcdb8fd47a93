/* A client's bytes: frames in, answers out, with what it may make us keep bounded. */
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "node/serve_internal.h"
#include "node/workers.h"
#include "wire/frame.h"

/* Buffers above this are given back when they are empty. */
#define BUFFER_KEPT_BYTES 16384U
#define IN_BYTES_MAX      (CLADE_MAX_FRAME_BYTES + FRAME_HEADER_BYTES + READ_CHUNK_BYTES)

static void free_if_done(struct connection *c)
{
    if (!c->closed || c->queries > 0) {
        return;
    }
    CHECK(list_is_empty(&c->requests));
    free(c->names);
    free(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct serve *s = c->serve;
    buffer_release(&c->in);
    buffer_release(&c->out);
    buffer_release(&c->sending);
    node_discharge(s->node, c->charged);
    atomic_fetch_sub(&s->node->connections, 1);
    c->charged = 0;
    c->closed = true;
    free_if_done(c);
}

void connection_query_returned(struct connection *c)
{
    c->queries--;
    free_if_done(c);
}

static void drop_requests(struct connection *c)
{
    LIST_FOREACH(n, &c->requests)
    {
        request_drop(LIST_ENTRY(n, struct request, conn_node));
    }
}

void connection_close(struct connection *c)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    drop_requests(c);
    list_remove(&c->node);
    if (list_is_linked(&c->dirty_node)) {
        list_remove(&c->dirty_node);
    }
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void connection_doom(struct connection *c)
{
    c->doomed = true;
    connection_touch(c);
}

void connection_touch(struct connection *c)
{
    if (!c->closing && !list_is_linked(&c->dirty_node)) {
        list_push_back(&c->serve->dirty, &c->dirty_node);
    }
}

/* --- what it may make us keep --- */

static bool recharge(struct connection *c)
{
    struct node *n = c->serve->node;
    uint64_t now = c->in.capacity + c->out.capacity + c->sending.capacity;
    if (now > c->charged && !node_charge(n, now - c->charged)) {
        return false;
    }
    if (now < c->charged) {
        node_discharge(n, c->charged - now);
    }
    c->charged = now;
    return true;
}

static void shrink(struct buffer *b)
{
    if (b->len == 0 && b->capacity > BUFFER_KEPT_BYTES) {
        size_t cap = b->bytes_max;
        buffer_release(b);
        buffer_init(b, cap);
    }
}

static bool may_take_more(const struct connection *c)
{
    return !c->closing && !c->doomed && !c->serve->draining && c->in_flight < CLADE_MAX_REQUESTS &&
           c->in_flight_bytes < CONNECTION_IN_FLIGHT_BYTES_MAX &&
           c->out.len + c->sending.len < CONNECTION_UNSENT_BYTES_PAUSE;
}

/* --- in --- */

/* Handles whole frames; returns how many bytes they took. */
static size_t consume(struct connection *c, struct span bytes)
{
    size_t at = 0;
    while (may_take_more(c)) {
        uint32_t max = c->said_hello ? CLADE_MAX_FRAME_BYTES : HELLO_FRAME_BYTES_MAX;
        struct span payload;
        size_t len;
        struct error e = {.code = 0};
        int r = frame_parse(span_skip(bytes, at), max, &payload, &len, &e);
        if (r < 0) {
            dispatch_protocol_error(c, &e);
        }
        if (r != 0) {
            break;
        }
        at += len;
        dispatch(c, payload);
    }
    return at;
}

static void overloaded(struct connection *c)
{
    struct error e = {.code = 0};
    (void)error_set(&e, CLADE_ERR_THROTTLED, NULL, "the node is out of memory for connections");
    dispatch_protocol_error(c, &e);
}

static void pause_if_full(struct connection *c)
{
    if (!c->closing && !c->paused && !may_take_more(c)) {
        c->paused = true;
        (void)uv_read_stop((uv_stream_t *)&c->tcp);
    }
}

static void take_bytes(struct connection *c, struct span bytes)
{
    if (c->in.len == 0) {
        size_t used = consume(c, bytes);
        bytes = span_skip(bytes, used);
        if (c->closing || c->doomed || bytes.len == 0) {
            pause_if_full(c);
            return;
        }
        if (!buffer_append_span(&c->in, bytes) || !recharge(c)) {
            overloaded(c);
        }
    } else if (!buffer_append_span(&c->in, bytes) || !recharge(c)) {
        overloaded(c);
    } else {
        size_t used = consume(c, buffer_span(&c->in));
        if (!c->closing) {
            buffer_consume(&c->in, used);
            shrink(&c->in);
        }
    }
    pause_if_full(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct connection *c = handle->data;
    *ret = uv_buf_init((char *)c->serve->chunk, READ_CHUNK_BYTES);
}

static void close_if_finished(struct connection *c)
{
    bool written = !c->writing && c->out.len == 0;
    if (written && (c->doomed || (c->in_flight == 0 && (c->ended || c->serve->draining)))) {
        connection_close(c);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *c = stream->data;
    if (n > 0) {
        take_bytes(c, span_make(buf->base, (size_t)n));
    } else if (n == UV_EOF) {
        /* Its requests in flight are still answered. */
        c->ended = true;
        (void)uv_read_stop(stream);
        connection_touch(c);
    } else if (n < 0) {
        connection_close(c);
    }
}

/* Goes on with what was read before the pause. */
static void resume(struct connection *c)
{
    if (!c->paused || !may_take_more(c)) {
        return;
    }
    size_t used = consume(c, buffer_span(&c->in));
    if (c->closing) {
        return;
    }
    buffer_consume(&c->in, used);
    shrink(&c->in);
    if (may_take_more(c)) {
        c->paused = false;
        if (!c->ended) {
            (void)uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
        }
    }
}

/* --- out --- */

static void on_written(uv_write_t *write, int status)
{
    struct connection *c = write->data;
    c->writing = false;
    buffer_clear(&c->sending);
    shrink(&c->sending);
    if (status < 0) {
        connection_close(c);
    } else {
        connection_touch(c);
    }
}

static void write_out(struct connection *c)
{
    uv_buf_t buf = uv_buf_init((char *)c->out.data, (unsigned)c->out.len);
    int n = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (n < 0 && n != UV_EAGAIN) {
        connection_close(c);
        return;
    }
    size_t done = n > 0 ? (size_t)n : 0;
    if (done == c->out.len) {
        buffer_clear(&c->out);
        shrink(&c->out);
        return;
    }
    struct buffer t = c->sending;
    c->sending = c->out;
    c->out = t;
    c->writing = true;
    c->write_started_us = node_now(c->serve->node);
    buf = uv_buf_init((char *)c->sending.data + done, (unsigned)(c->sending.len - done));
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) != 0) {
        c->writing = false;
        connection_close(c);
    }
}

void connection_flush(struct connection *c)
{
    if (c->closing) {
        return;
    }
    if (c->out.failed) {
        connection_close(c); /* it does not read its answers */
        return;
    }
    if (!c->writing && c->out.len > 0) {
        write_out(c);
    }
    if (!c->closing) {
        resume(c);
    }
    if (!c->closing) {
        (void)recharge(c); /* what is there already is kept; new requests are refused */
        close_if_finished(c);
    }
}

void connection_check(struct connection *c, uint64_t now_us, uint64_t members_version)
{
    if (!c->said_hello && now_us > c->opened_us + CONNECTION_HELLO_US) {
        if (c->doomed) {
            connection_close(c);
            return;
        }
        struct error e = {.code = 0};
        (void)error_set(&e, CLADE_ERR_UNAUTHENTICATED, NULL, "no hello within 10 s");
        dispatch_protocol_error(c, &e);
    } else if (c->writing && now_us > c->write_started_us + CONNECTION_STALL_US) {
        log_debug("connection closed: its peer does not read");
        connection_close(c);
    } else if (c->said_hello && c->members_version != members_version && !c->doomed &&
               c->out.len + c->sending.len < CONNECTION_UNSENT_BYTES_PAUSE) {
        status_tell_members(c);
    }
}

/* --- beginning --- */

void connection_new(struct serve *s, int fd)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) {
        (void)close(fd);
        atomic_fetch_sub(&s->node->connections, 1);
        return;
    }
    c->serve = s;
    c->tcp.data = c;
    c->write.data = c;
    c->opened_us = node_now(s->node);
    list_init(&c->requests);
    lane_init(&c->lane);
    buffer_init(&c->in, IN_BYTES_MAX);
    buffer_init(&c->out, CONNECTION_UNSENT_BYTES_MAX);
    buffer_init(&c->sending, CONNECTION_UNSENT_BYTES_MAX);
    list_push_back(&s->connections, &c->node);
    (void)uv_tcp_init(&s->loop, &c->tcp);
    if (uv_tcp_open(&c->tcp, fd) != 0) {
        (void)close(fd);
        connection_close(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
    (void)uv_tcp_keepalive(&c->tcp, 1, 60);
    if (s->draining || uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0) {
        connection_close(c);
    }
}
