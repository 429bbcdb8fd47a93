#include "fake_server.h"

#include <signal.h>
#include <stdlib.h>

#include "base/check.h"
#include "wire/frame.h"

struct sending {
    uv_write_t write;
    uint8_t *bytes;
};

static void on_peer_closed(uv_handle_t *handle)
{
    free(handle);
}

void fake_drop(struct fake_server *s)
{
    if (s->peer != NULL) {
        uv_close((uv_handle_t *)s->peer, on_peer_closed);
        s->peer = NULL;
        buffer_clear(&s->in);
    }
}

static void on_sent(uv_write_t *write, int status)
{
    struct sending *sending = (struct sending *)write;
    free(sending->bytes);
    free(sending);
}

void fake_send(struct fake_server *s, const void *bytes, size_t len)
{
    struct sending *sending = malloc(sizeof *sending);
    CHECK(sending != NULL && s->peer != NULL);
    sending->bytes = malloc(len);
    CHECK(sending->bytes != NULL);
    memcpy(sending->bytes, bytes, len);
    uv_buf_t buf = uv_buf_init((char *)sending->bytes, (unsigned)len);
    uv_write(&sending->write, (uv_stream_t *)s->peer, &buf, 1, on_sent);
}

static void send_buffer(struct fake_server *s, struct buffer *b)
{
    CHECK(!b->failed);
    fake_send(s, b->data, b->len);
    buffer_release(b);
}

void fake_answer(struct fake_server *s, const struct fake_request *r, uint64_t revision)
{
    struct buffer b;
    struct answer_head head = {.revision = revision, .node = 7, .term = 3};
    buffer_init(&b, 1 << 20);
    answer_write(&b, r->msgid, &head, (struct span){0});
    send_buffer(s, &b);
}

void fake_answer_data(struct fake_server *s, const struct fake_request *r, struct span data)
{
    struct buffer b;
    struct answer_head head = {.revision = 1, .has_complete = true, .complete = true};
    buffer_init(&b, (size_t)16 << 20);
    answer_write(&b, r->msgid, &head, data);
    send_buffer(s, &b);
}

void fake_refuse(struct fake_server *s, const struct fake_request *r, int code, const char *leader)
{
    struct buffer b;
    struct error e;
    error_set(&e, code, NULL, "the test says so");
    buffer_init(&b, 1 << 20);
    answer_write_error(&b, r->msgid, &e, leader == NULL ? (struct span){0} : span_of(leader));
    send_buffer(s, &b);
}

static void put_members(struct buffer *b, const char *member)
{
    value_put_str(b, "members");
    value_put_array(b, member != NULL);
    if (member != NULL) {
        value_put_map(b, 1);
        value_put_str(b, "client");
        value_put_str(b, member);
    }
}

void fake_tell_members(struct fake_server *s, const char *member)
{
    struct buffer b;
    buffer_init(&b, 1 << 20);
    size_t at = notification_begin(&b, METHOD_MEMBERS, 1);
    put_members(&b, member);
    frame_end(&b, at);
    send_buffer(s, &b);
}

static void answer_hello(struct fake_server *s, const struct fake_request *r)
{
    struct buffer b;
    buffer_init(&b, 1 << 20);
    size_t at = answer_begin(&b, r->msgid);
    value_put_map(&b, 3);
    value_put_str(&b, "version");
    value_put_uint(&b, 1);
    value_put_str(&b, "cluster");
    value_put_str(&b, s->cluster);
    put_members(&b, s->member);
    frame_end(&b, at);
    send_buffer(s, &b);
}

static void answer_session(struct fake_server *s, const struct fake_request *r)
{
    struct buffer b;
    struct answer_head head = {.revision = 1, .node = 1, .term = 1};
    buffer_init(&b, 1 << 20);
    answer_write_session(&b, r->msgid, &head, 100 + s->sessions++, 1000);
    send_buffer(s, &b);
}

static uint64_t happened(const struct value *params)
{
    struct arena arena;
    const struct value *command = NULL;
    arena_init(&arena, (size_t)64 << 20);
    struct span bytes = value_bytes(value_get(params, "command"));
    (void)value_decode(bytes, &value_limits_request, &arena, &command, NULL);
    uint64_t us = value_uint(value_get(command, "happened"));
    arena_release(&arena);
    return us;
}

static void take_request(struct fake_server *s, const struct message *m)
{
    CHECK(s->requests_len < FAKE_REQUESTS_MAX);
    struct fake_request *r = &s->requests[s->requests_len++];
    *r = (struct fake_request){
        .method = method_parse(m->method),
        .msgid = m->msgid,
        .connection = s->connections,
        .session = value_uint(value_get(m->params, "session")),
        .seq = value_uint(value_get(m->params, "seq")),
        .answered = value_uint(value_get(m->params, "answered")),
        .at_least = value_uint(value_get(m->params, "at_least")),
        .from = value_uint(value_get(m->params, "from")),
        .deadline_ms = message_deadline_ms(m->params),
        .happened = happened(m->params),
        .cancelled = (uint32_t)value_uint(value_get(m->params, "msgid")),
    };
    if (s->handler != NULL && s->handler(s, r)) {
        return;
    }
    if (r->method == METHOD_HELLO) {
        answer_hello(s, r);
    } else if (r->method == METHOD_SESSION_OPEN) {
        answer_session(s, r);
    }
}

static void take_frames(struct fake_server *s)
{
    struct span payload;
    size_t len;
    while (s->peer != NULL &&
           frame_parse(buffer_span(&s->in), CLADE_MAX_FRAME_BYTES, &payload, &len, NULL) == 0) {
        struct arena arena;
        struct message m;
        arena_init(&arena, (size_t)64 << 20);
        /* The request is copied: a handler may drop the connection, which empties `in`. */
        struct span copy = arena_copy_span(&arena, payload);
        CHECK(message_decode(copy, &value_limits_request, &arena, &m, NULL) == 0);
        buffer_consume(&s->in, len);
        take_request(s, &m);
        arena_release(&arena);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    *buf = uv_buf_init(malloc(suggested), (unsigned)suggested);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct fake_server *s = stream->data;
    if (s->peer != (uv_tcp_t *)stream) {
        free(buf->base);
        return;
    }
    if (n < 0) {
        fake_drop(s);
    } else if (n > 0) {
        s->reads++;
        buffer_append(&s->in, buf->base, (size_t)n);
        take_frames(s);
    }
    free(buf->base);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct fake_server *s = listener->data;
    fake_drop(s);
    uv_tcp_t *peer = malloc(sizeof *peer);
    CHECK(status == 0 && peer != NULL);
    uv_tcp_init(s->loop, peer);
    peer->data = s;
    CHECK(uv_accept(listener, (uv_stream_t *)peer) == 0);
    s->peer = peer;
    s->connections++;
    uv_read_start((uv_stream_t *)peer, on_alloc, on_read);
}

void fake_server_start(struct fake_server *s, uv_loop_t *loop)
{
    struct sockaddr_in address;
    struct sockaddr_storage bound;
    int len = sizeof bound;
    /* This server's uv_write raises it; the client's sends do not. */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    *s = (struct fake_server){.loop = loop, .cluster = "c1"};
    buffer_init(&s->in, (size_t)16 << 20);
    uv_tcp_init(loop, &s->listener);
    s->listener.data = s;
    uv_ip4_addr("127.0.0.1", 0, &address);
    CHECK(uv_tcp_bind(&s->listener, (const struct sockaddr *)&address, 0) == 0);
    CHECK(uv_listen((uv_stream_t *)&s->listener, 16, on_connection) == 0);
    CHECK(uv_tcp_getsockname(&s->listener, (struct sockaddr *)&bound, &len) == 0);
    s->port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

void fake_server_close(struct fake_server *s)
{
    fake_drop(s);
    uv_close((uv_handle_t *)&s->listener, NULL);
    uv_run(s->loop, UV_RUN_NOWAIT);
    uv_run(s->loop, UV_RUN_NOWAIT);
    buffer_release(&s->in);
}

const struct fake_request *fake_server_find(const struct fake_server *s,
                                            enum method method,
                                            size_t n)
{
    for (size_t i = 0; i < s->requests_len; i++) {
        if (s->requests[i].method == method && n-- == 0) {
            return &s->requests[i];
        }
    }
    return NULL;
}

size_t fake_server_count(const struct fake_server *s, enum method method)
{
    size_t n = 0;
    for (size_t i = 0; i < s->requests_len; i++) {
        n += s->requests[i].method == method;
    }
    return n;
}

bool fake_is_txn_or_get(const struct fake_request *r)
{
    return r->method == METHOD_TXN || r->method == METHOD_GET;
}

bool fake_answer_all(struct fake_server *s, const struct fake_request *r)
{
    if (fake_is_txn_or_get(r)) {
        fake_answer(s, r, 40 + r->seq);
        return true;
    }
    return false;
}

bool fake_refuse_all(struct fake_server *s, const struct fake_request *r)
{
    if (fake_is_txn_or_get(r)) {
        fake_refuse(s, r, CLADE_ERR_RETRY, NULL);
        return true;
    }
    return false;
}
