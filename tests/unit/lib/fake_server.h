#pragma once
/* A server that does what a test tells it to, on the test's own loop and a real socket. */
#include <uv.h>

#include "base/buffer.h"
#include "wire/message.h"

#define FAKE_REQUESTS_MAX 8192

struct fake_server;

/* One request as it came. */
struct fake_request {
    enum method method;
    uint32_t msgid;
    unsigned connection; /* from 1, of this server */
    uint64_t session;
    uint64_t seq;
    uint64_t answered;
    uint64_t deadline_ms;
    uint64_t at_least;
    uint64_t from;      /* METHOD_WATCH */
    uint64_t happened;  /* METHOD_TXN: of the command, which a test may use to know it again */
    uint32_t cancelled; /* METHOD_CANCEL: the msgid */
};

/* Handles a request; false = the server's habit: hello and session_open are answered, the rest is
 * not. */
typedef bool (*fake_handler)(struct fake_server *s, const struct fake_request *r);

struct fake_server {
    uv_loop_t *loop;
    uv_tcp_t listener;
    uv_tcp_t *peer; /* the newest connection; NULL = none */
    int port;
    const char *cluster;
    const char *member; /* told of in hello; NULL = none */
    fake_handler handler;
    void *arg;
    unsigned connections;
    unsigned reads;
    uint64_t sessions;
    struct buffer in;
    struct fake_request requests[FAKE_REQUESTS_MAX];
    size_t requests_len;
    size_t hellos;
};

void fake_server_start(struct fake_server *s, uv_loop_t *loop);
void fake_server_close(struct fake_server *s);
/* The n-th request (from 0) of a method; NULL when fewer came. */
const struct fake_request *fake_server_find(const struct fake_server *s,
                                            enum method method,
                                            size_t n);
size_t fake_server_count(const struct fake_server *s, enum method method);

void fake_answer(struct fake_server *s, const struct fake_request *r, uint64_t revision);
void fake_answer_data(struct fake_server *s, const struct fake_request *r, struct span data);
void fake_refuse(struct fake_server *s, const struct fake_request *r, int code, const char *leader);
void fake_send(struct fake_server *s, const void *bytes, size_t len);
/* The notification of members: one with this client address, NULL = none. */
void fake_tell_members(struct fake_server *s, const char *member);
/* Closes the newest connection. */
void fake_drop(struct fake_server *s);

/* Handlers: answer each txn and get, with revision 40 + seq; refuse each with RETRY. */
bool fake_is_txn_or_get(const struct fake_request *r);
bool fake_answer_all(struct fake_server *s, const struct fake_request *r);
bool fake_refuse_all(struct fake_server *s, const struct fake_request *r);
