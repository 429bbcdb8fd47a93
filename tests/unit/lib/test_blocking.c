/* The blocking client against a server on a thread of its own. */
#include <stdlib.h>

#include "client_fixture.h"

struct server_thread {
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t stop;
    uv_sem_t ready;
    struct fake_server server;
};

static bool answer_all(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_HELLO || r->method == METHOD_SESSION_OPEN) {
        return false;
    }
    fake_answer(s, r, 17);
    return true;
}

static void on_stop(uv_async_t *async)
{
    uv_stop(async->loop);
}

static void run_server(void *arg)
{
    struct server_thread *t = arg;
    uv_loop_init(&t->loop);
    uv_async_init(&t->loop, &t->stop, on_stop);
    fake_server_start(&t->server, &t->loop);
    t->server.handler = answer_all;
    uv_sem_post(&t->ready);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    fake_server_close(&t->server);
    uv_close((uv_handle_t *)&t->stop, NULL);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    uv_loop_close(&t->loop);
}

static int setup(void **state)
{
    struct server_thread *t = calloc(1, sizeof *t);
    assert_non_null(t);
    uv_sem_init(&t->ready, 0);
    uv_thread_create(&t->thread, run_server, t);
    uv_sem_wait(&t->ready);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct server_thread *t = *state;
    uv_async_send(&t->stop);
    uv_thread_join(&t->thread);
    uv_sem_destroy(&t->ready);
    free(t);
    return 0;
}

static struct clade_client *connect_to(const struct server_thread *t)
{
    char endpoints[64];
    struct clade_client *client = NULL;
    snprintf(endpoints, sizeof endpoints, "127.0.0.1:%d", t->server.port);
    struct clade_options options = {.endpoints = endpoints};
    assert_int_equal(clade_open(&options, &client), 0);
    return client;
}

static void check(struct clade_response *response)
{
    assert_int_equal(clade_response_code(response), 0);
    assert_int_equal(clade_response_revision(response), 17);
    assert_int_equal(clade_response_node(response), 7);
    clade_response_free(response);
}

static void each_call_waits_for_its_answer(void **state)
{
    struct clade_client *client = connect_to(*state);
    const char *const refs[] = {"run/r"};
    struct clade_lineage lineage = {.ref = "run/r"};
    struct clade_paths paths = {.from = "run/r", .to = "run/s"};
    struct clade_diff diff = {.from = "run/r", .to = "run/s"};
    struct clade_txn *txn = clade_txn_new();
    clade_txn_create(txn, "run", "r");
    check(clade_txn_wait(client, txn));
    check(clade_txn_wait(client, txn));
    check(clade_get_wait(client, refs, 1, NULL));
    check(clade_list_wait(client, "run", NULL, NULL));
    check(clade_lineage_wait(client, &lineage, NULL));
    check(clade_impact_wait(client, &lineage, NULL));
    check(clade_provenance_wait(client, &lineage, NULL));
    check(clade_paths_wait(client, &paths, NULL));
    check(clade_diff_wait(client, &diff, NULL));
    check(clade_call_wait(client, "status", NULL));
    assert_int_equal(clade_client_revision(client), 17);
    clade_txn_free(txn);
    clade_close(client);
}

static void a_mistake_is_answered_without_a_server(void **state)
{
    struct clade_client *client = NULL;
    struct clade_options options = {.endpoints = "127.0.0.1:1", .request_timeout_ms = 100};
    assert_int_equal(clade_open(&options, &client), 0);
    struct clade_txn *txn = clade_txn_new();
    struct clade_response *response = clade_txn_wait(client, txn);
    assert_int_equal(clade_response_code(response), CLADE_ERR_INVALID);
    clade_response_free(response);
    clade_txn_create(txn, "run", "r");
    response = clade_txn_wait(client, txn);
    assert_int_equal(clade_response_code(response), CLADE_ERR_UNAVAILABLE);
    clade_response_free(response);
    clade_txn_free(txn);
    clade_close(client);
    clade_close(NULL);
}

static void bad_options_are_refused(void **state)
{
    struct clade_client *client = NULL;
    struct clade_options options = {.endpoints = "nowhere"};
    assert_int_equal(clade_open(&options, &client), CLADE_ERR_INVALID);
    assert_null(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_call_waits_for_its_answer, setup, teardown),
        cmocka_unit_test(a_mistake_is_answered_without_a_server),
        cmocka_unit_test(bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
