#include "client_fixture.h"

#include <stdlib.h>
#include <string.h>

#define GUARD_MS 20000

static void on_guard(uv_timer_t *timer)
{
    struct fixture *f = timer->data;
    f->late = true;
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    uv_timer_init(&f->loop, &f->guard);
    f->guard.data = f;
    uv_timer_start(&f->guard, on_guard, GUARD_MS, 0);
    fixture_add_server(f);
    f->txn = clade_txn_new();
    clade_txn_create(f->txn, "artifact", "a");
    *state = f;
    return 0;
}

void fixture_add_server(struct fixture *f)
{
    fake_server_start(&f->servers[f->servers_len++], &f->loop);
}

void fixture_client(struct fixture *f,
                    const char *endpoints,
                    unsigned request_timeout_ms,
                    unsigned requests_max)
{
    char text[128];
    size_t at = 0;
    for (size_t i = 0; i < f->servers_len; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s127.0.0.1:%d", i == 0 ? "" : ",",
                               f->servers[i].port);
    }
    struct clade_options options = {.endpoints = endpoints == NULL ? text : endpoints,
                                    .user = "ann",
                                    .connect_timeout_ms = 500,
                                    .request_timeout_ms = request_timeout_ms,
                                    .requests_max = requests_max};
    assert_int_equal(clade_client_new(&f->loop, &options, &f->client), 0);
}

static void on_client_closed(struct clade_client *client, void *arg)
{
    struct fixture *f = arg;
    assert_ptr_equal(client, f->client);
    f->client = NULL;
    f->closed = true;
}

void fixture_close_client(struct fixture *f)
{
    clade_client_close(f->client, on_client_closed, f);
    while (!f->closed && !f->late) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_true(f->closed);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    if (f->client != NULL) {
        fixture_close_client(f);
    }
    for (size_t i = 0; i < f->servers_len; i++) {
        fake_server_close(&f->servers[i]);
    }
    uv_close((uv_handle_t *)&f->guard, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    clade_txn_free(f->txn);
    free(f);
    return 0;
}

void fixture_wait(struct fixture *f, const struct outcome *o)
{
    while (o->calls == 0 && !f->late) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(o->calls, 1);
}

void fixture_wait_requests(struct fixture *f, size_t server, enum method method, size_t n)
{
    while (fake_server_count(&f->servers[server], method) < n && !f->late) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_true(fake_server_count(&f->servers[server], method) >= n);
}

void on_outcome(struct clade_request *request, struct clade_response *response, void *arg)
{
    struct outcome *o = arg;
    o->calls++;
    o->code = clade_response_code(response);
    o->revision = clade_response_revision(response);
    snprintf(o->message, sizeof o->message, "%s", clade_response_message(response));
    clade_response_free(response);
}

struct clade_request *send_txn(struct fixture *f, struct outcome *o)
{
    struct clade_request *r = clade_txn_send(f->client, f->txn, 0, on_outcome, o);
    assert_non_null(r);
    return r;
}

struct clade_request *send_get(struct fixture *f, struct outcome *o)
{
    const char *const refs[] = {"artifact/a"};
    struct clade_request *r = clade_get(f->client, refs, 1, NULL, 0, on_outcome, o);
    assert_non_null(r);
    return r;
}
