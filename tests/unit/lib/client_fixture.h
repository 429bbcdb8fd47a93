#pragma once
/* A client and up to two fake servers on one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <clade.h>
#include <cmocka.h>
#include <uv.h>

#include "fake_server.h"

struct fixture {
    uv_loop_t loop;
    uv_timer_t guard; /* a test that waits for too long fails */
    bool late;
    struct fake_server servers[2];
    size_t servers_len;
    struct clade_client *client;
    struct clade_txn *txn;
    bool closed;
};

/* What became of a request. */
struct outcome {
    unsigned calls;
    int code;
    uint64_t revision;
    char message[256];
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* A second server, before fixture_client. */
void fixture_add_server(struct fixture *f);
/* Makes the client; `endpoints` NULL = those of the servers. */
void fixture_client(struct fixture *f,
                    const char *endpoints,
                    unsigned request_timeout_ms,
                    unsigned requests_max);
/* Runs the loop until the outcome is there; fails the test when that takes too long. */
void fixture_wait(struct fixture *f, const struct outcome *o);
/* The same until a server has n requests of a method. */
void fixture_wait_requests(struct fixture *f, size_t server, enum method method, size_t n);
void fixture_close_client(struct fixture *f);

/* Starts a small transaction, resp. a get of one reference. */
struct clade_request *send_txn(struct fixture *f, struct outcome *o);
struct clade_request *send_get(struct fixture *f, struct outcome *o);
void on_outcome(struct clade_request *request, struct clade_response *response, void *arg);
