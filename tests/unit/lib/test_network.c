/* The client's connections: bad servers, endpoints, what is sent and received. */
#include <string.h>

#include "client_fixture.h"

/* --- bad servers --- */

struct garbage {
    const char *why;
    const char *bytes;
    size_t len;
};

#define GARBAGE(why, text)                                                                         \
    {                                                                                              \
        why, text, sizeof(text) - 1                                                                \
    }
static const struct garbage garbage[] = {
    GARBAGE("a frame of no bytes", "\0\0\0\0"),
    GARBAGE("a frame above the limit", "\xff\xff\xff\xff"),
    GARBAGE("not MessagePack", "\0\0\0\1\xc1"),
    GARBAGE("a cut array", "\0\0\0\2\x94\x01"),
    GARBAGE("not an array", "\0\0\0\1\xc0"),
    GARBAGE("an unknown type of message", "\0\0\0\5\x94\x07\x01\xc0\xc0"),
    GARBAGE("a request", "\0\0\0\x0a\x94\x00\x01\xa4ping\x80\xc0"),
    GARBAGE("an error and a result", "\0\0\0\5\x94\x01\x01\x80\x80"),
    GARBAGE("the server's own farewell",
            "\0\0\0\x09\x93\x02\xa5"
            "error\x80"),
};

static bool send_garbage_once(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_GET && s->connections == 1) {
        const struct garbage *g = s->arg;
        fake_send(s, g->bytes, g->len);
        return true;
    }
    return fake_answer_all(s, r);
}

static void garbage_ends_the_connection_and_nothing_else(void **state)
{
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        struct fixture *f = *state;
        struct outcome o = {0};
        f->servers[0].handler = send_garbage_once;
        f->servers[0].arg = (void *)&garbage[i];
        fixture_client(f, NULL, 0, 0);
        send_get(f, &o);
        fixture_wait(f, &o);
        print_message("%s: %u connections\n", garbage[i].why, f->servers[0].connections);
        assert_int_equal(o.code, 0);
        assert_int_equal(f->servers[0].connections, 2);
        fixture_teardown(state);
        fixture_setup(state);
    }
}

static bool answer_odd(struct fake_server *s, const struct fake_request *r)
{
    struct fake_request other = *r;
    if (r->method != METHOD_GET) {
        return false;
    }
    other.msgid = r->msgid + 1;
    fake_answer(s, &other, 5); /* of nobody */
    fake_answer(s, r, 6);
    fake_answer(s, r, 7); /* a second time */
    return true;
}

static void answers_that_nobody_waits_for_are_passed_over(void **state)
{
    struct fixture *f = *state;
    struct outcome o[2] = {0};
    f->servers[0].handler = answer_odd;
    fixture_client(f, NULL, 0, 0);
    send_get(f, &o[0]);
    fixture_wait(f, &o[0]);
    send_get(f, &o[1]);
    fixture_wait(f, &o[1]);
    assert_int_equal(o[0].revision, 6);
    assert_int_equal(o[1].revision, 6);
    assert_int_equal(f->servers[0].connections, 1);
}

static bool refuse_hello(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_HELLO) {
        fake_refuse(s, r, CLADE_ERR_DENIED, NULL);
        return true;
    }
    return false;
}

static void a_refused_hello_refuses_what_waits(void **state)
{
    struct fixture *f = *state;
    struct outcome write = {0};
    struct outcome read = {0};
    f->servers[0].handler = refuse_hello;
    fixture_client(f, NULL, 0, 0);
    send_txn(f, &write);
    send_get(f, &read);
    fixture_wait(f, &write);
    fixture_wait(f, &read);
    assert_int_equal(write.code, CLADE_ERR_DENIED);
    assert_int_equal(read.code, CLADE_ERR_DENIED);
}

static bool drop_first_get(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_GET && fake_server_count(s, METHOD_GET) == 1) {
        s->cluster = "c2";
        fake_drop(s);
        return true;
    }
    return fake_answer_all(s, r);
}

static void a_server_of_another_cluster_is_not_used(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    f->servers[0].handler = drop_first_get;
    fixture_client(f, NULL, 400, 0);
    send_get(f, &o);
    fixture_wait(f, &o);
    assert_int_equal(o.code, CLADE_ERR_UNAVAILABLE);
    assert_non_null(strstr(o.message, "another cluster"));
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_GET), 1);
}

/* --- endpoints --- */

static void a_dead_endpoint_is_passed_over(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    char endpoints[64];
    snprintf(endpoints, sizeof endpoints, "127.0.0.1:1, 127.0.0.1:%d", f->servers[0].port);
    f->servers[0].handler = fake_answer_all;
    fixture_client(f, endpoints, 0, 0);
    send_txn(f, &o);
    fixture_wait(f, &o);
    assert_int_equal(o.code, 0);
}

static void a_name_is_resolved(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    char endpoints[64];
    snprintf(endpoints, sizeof endpoints, "localhost:%d", f->servers[0].port);
    f->servers[0].handler = fake_answer_all;
    fixture_client(f, endpoints, 0, 0);
    send_get(f, &o);
    fixture_wait(f, &o);
    assert_int_equal(o.code, 0);
}

static bool drop_gets(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_GET) {
        fake_drop(s);
        return true;
    }
    return false;
}

static void a_member_told_of_by_hello_is_a_fallback(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    char endpoints[64];
    char member[64];
    fixture_add_server(f);
    snprintf(endpoints, sizeof endpoints, "127.0.0.1:%d", f->servers[0].port);
    snprintf(member, sizeof member, "127.0.0.1:%d", f->servers[1].port);
    f->servers[0].member = member;
    f->servers[0].handler = drop_gets;
    f->servers[1].handler = fake_answer_all;
    fixture_client(f, endpoints, 0, 0);
    send_get(f, &o);
    fixture_wait(f, &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(fake_server_count(&f->servers[1], METHOD_GET), 1);
}

/* Tells of the other server, answers, and is gone for ever. */
static bool tell_and_leave(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_GET && fake_server_count(s, METHOD_GET) == 1) {
        fake_tell_members(s, s->arg);
        fake_answer(s, r, 5);
        return true;
    }
    return drop_gets(s, r);
}

static void a_member_told_of_later_is_a_fallback(void **state)
{
    struct fixture *f = *state;
    struct outcome o[2] = {0};
    char endpoints[64];
    char member[64];
    fixture_add_server(f);
    snprintf(endpoints, sizeof endpoints, "127.0.0.1:%d", f->servers[0].port);
    snprintf(member, sizeof member, "127.0.0.1:%d", f->servers[1].port);
    f->servers[0].handler = tell_and_leave;
    f->servers[0].arg = member;
    f->servers[1].handler = fake_answer_all;
    fixture_client(f, endpoints, 0, 0);
    send_get(f, &o[0]);
    fixture_wait(f, &o[0]);
    assert_int_equal(o[0].revision, 5);
    send_get(f, &o[1]);
    fixture_wait(f, &o[1]);
    assert_int_equal(o[1].code, 0);
    assert_int_equal(fake_server_count(&f->servers[1], METHOD_GET), 1);
}

/* A peer that has not shown its cluster yet may send clients anywhere. */
static bool tell_too_early(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_HELLO) {
        fake_tell_members(s, s->arg);
        return false;
    }
    return drop_gets(s, r);
}

static void members_told_of_before_hello_are_passed_over(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    char endpoints[64];
    char member[64];
    fixture_add_server(f);
    snprintf(endpoints, sizeof endpoints, "127.0.0.1:%d", f->servers[0].port);
    snprintf(member, sizeof member, "127.0.0.1:%d", f->servers[1].port);
    f->servers[0].handler = tell_too_early;
    f->servers[0].arg = member;
    fixture_client(f, endpoints, 200, 0);
    send_get(f, &o);
    fixture_wait(f, &o);
    assert_int_equal(o.code, CLADE_ERR_UNAVAILABLE);
    assert_int_equal(f->servers[1].connections, 0);
}

static void two_refusals_in_a_row_lead_to_another_endpoint(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    fixture_add_server(f);
    f->servers[0].handler = fake_refuse_all;
    f->servers[1].handler = fake_answer_all;
    fixture_client(f, NULL, 0, 0);
    send_get(f, &o);
    fixture_wait(f, &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_GET), 2);
}

static bool refuse_to_leader(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_TRANSFER) {
        fake_refuse(s, r, CLADE_ERR_RETRY, s->arg);
        return true;
    }
    return false;
}

static bool answer_transfer(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_TRANSFER) {
        fake_answer(s, r, 9);
        return true;
    }
    return false;
}

static void a_refusal_that_names_the_leader_leads_there(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    char leader[64];
    char endpoints[64];
    fixture_add_server(f);
    snprintf(endpoints, sizeof endpoints, "127.0.0.1:%d", f->servers[0].port);
    snprintf(leader, sizeof leader, "127.0.0.1:%d", f->servers[1].port);
    f->servers[0].handler = refuse_to_leader;
    f->servers[0].arg = leader;
    f->servers[1].handler = answer_transfer;
    fixture_client(f, endpoints, 0, 0);
    assert_non_null(clade_call(f->client, "transfer", NULL, 0, on_outcome, &o));
    fixture_wait(f, &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_TRANSFER), 1);
}

static bool drop_transfer(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_TRANSFER) {
        fake_drop(s);
        return true;
    }
    return false;
}

static void a_call_that_writes_outside_a_session_is_not_repeated(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    f->servers[0].handler = drop_transfer;
    fixture_client(f, NULL, 0, 0);
    assert_non_null(clade_call(f->client, "transfer", NULL, 0, on_outcome, &o));
    fixture_wait(f, &o);
    assert_int_equal(o.code, CLADE_ERR_UNKNOWN);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_TRANSFER), 1);
}

static bool drop_first_member(struct fake_server *s, const struct fake_request *r)
{
    if (r->method != METHOD_MEMBER) {
        return false;
    }
    if (fake_server_count(s, METHOD_MEMBER) == 1) {
        fake_drop(s);
    } else {
        fake_answer(s, r, 9);
    }
    return true;
}

static void a_change_of_members_is_repeated_when_its_connection_is_lost(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    f->servers[0].handler = drop_first_member;
    fixture_client(f, NULL, 0, 0);
    assert_non_null(clade_call(f->client, "member", NULL, 0, on_outcome, &o));
    fixture_wait(f, &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_MEMBER), 2);
}

static void a_change_of_members_without_an_answer_is_unknown(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    fixture_client(f, NULL, 200, 0);
    assert_non_null(clade_call(f->client, "member", NULL, 0, on_outcome, &o));
    fixture_wait(f, &o);
    assert_int_equal(o.code, CLADE_ERR_UNKNOWN);
}

static void a_server_that_froze_is_left(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    fixture_add_server(f);
    f->servers[1].handler = fake_answer_all;
    fixture_client(f, NULL, 15000, 0);
    send_get(f, &o); /* the first server answers neither it nor the ping */
    fixture_wait(f, &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_PING), 1);
}

/* --- what is sent --- */

static void at_least_zero_means_the_newest_revision_seen(void **state)
{
    struct fixture *f = *state;
    struct outcome write = {0};
    struct outcome read = {0};
    const char *const refs[] = {"artifact/a"};
    struct clade_read at_least = {.consistency = CLADE_AT_LEAST};
    f->servers[0].handler = fake_answer_all;
    fixture_client(f, NULL, 0, 0);
    send_txn(f, &write);
    fixture_wait(f, &write);
    clade_get(f->client, refs, 1, &at_least, 0, on_outcome, &read);
    fixture_wait(f, &read);
    assert_int_equal(fake_server_find(&f->servers[0], METHOD_GET, 0)->at_least, 41);
}

static bool count_without_answer(struct fake_server *s, const struct fake_request *r)
{
    return r->method == METHOD_GET;
}

static void no_more_than_requests_max_are_in_flight(void **state)
{
    struct fixture *f = *state;
    struct outcome o[10] = {0};
    struct fake_server *s = &f->servers[0];
    s->handler = count_without_answer;
    fixture_client(f, NULL, 0, 4);
    for (size_t i = 0; i < 10; i++) {
        send_get(f, &o[i]);
    }
    fixture_wait_requests(f, 0, METHOD_GET, 4);
    for (int i = 0; i < 10; i++) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(fake_server_count(s, METHOD_GET), 4);
    fake_answer(s, fake_server_find(s, METHOD_GET, 2), 1);
    fixture_wait_requests(f, 0, METHOD_GET, 5);
    assert_int_equal(o[2].calls, 1);
    assert_int_equal(o[0].calls, 0);
    fixture_close_client(f); /* its callbacks still point to this frame */
}

static void requests_started_together_go_out_together(void **state)
{
    enum { N = 500 };
    struct fixture *f = *state;
    static struct outcome o[N];
    memset(o, 0, sizeof o);
    f->servers[0].handler = fake_answer_all;
    fixture_client(f, NULL, 0, 0);
    for (size_t i = 0; i < N; i++) {
        send_get(f, &o[i]);
    }
    for (size_t i = 0; i < N; i++) {
        fixture_wait(f, &o[i]);
        assert_int_equal(o[i].code, 0);
    }
    assert_true(f->servers[0].reads < 20);
}

static bool answer_large(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_GET) {
        struct buffer *data = s->arg;
        fake_answer_data(s, r, buffer_span(data));
        return true;
    }
    return false;
}

static void an_answer_of_megabytes_is_received(void **state)
{
    struct fixture *f = *state;
    struct outcome o[2] = {0};
    struct buffer data;
    static uint8_t chunk[1000];
    buffer_init(&data, (size_t)8 << 20);
    value_put_array(&data, 7000);
    for (int i = 0; i < 7000; i++) {
        value_put_bytes(&data, span_make(chunk, sizeof chunk));
    }
    f->servers[0].handler = answer_large;
    f->servers[0].arg = &data;
    fixture_client(f, NULL, 0, 0);
    send_get(f, &o[0]);
    send_get(f, &o[1]);
    fixture_wait(f, &o[0]);
    fixture_wait(f, &o[1]);
    assert_int_equal(o[0].code, 0);
    assert_int_equal(o[1].code, 0);
    buffer_release(&data);
}

/* --- mistakes of the caller --- */

static void mistakes_are_told_by_the_callback_and_never_sent(void **state)
{
    struct fixture *f = *state;
    struct outcome o[5] = {0};
    const char *const bad_utf8[] = {"artifact/\xff"};
    struct clade_doc *doc = clade_doc_new();
    struct clade_txn *txn = clade_txn_new();
    clade_doc_map(doc, 2);
    clade_doc_str(doc, "k");
    fixture_client(f, NULL, 0, 0);
    assert_non_null(clade_txn_send(f->client, txn, 0, on_outcome, &o[0]));
    assert_non_null(clade_call(f->client, "status", doc, 0, on_outcome, &o[1]));
    assert_non_null(clade_get(f->client, bad_utf8, 1, NULL, 0, on_outcome, &o[2]));
    assert_non_null(clade_call(f->client, "", NULL, 0, on_outcome, &o[3]));
    assert_non_null(clade_get(f->client, NULL, 10001, NULL, 0, on_outcome, &o[4]));
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(o[i].calls, 0);
    }
    for (size_t i = 0; i < 5; i++) {
        fixture_wait(f, &o[i]);
        assert_int_equal(o[i].code, i == 4 ? CLADE_ERR_LIMIT : CLADE_ERR_INVALID);
        assert_true(o[i].message[0] != '\0');
    }
    assert_int_equal(f->servers[0].connections, 0);
    clade_doc_free(doc);
    clade_txn_free(txn);
}

static void options_are_checked(void **state)
{
    static const char *const bad[] = {"",        "host",  ":1",     "h:",       "h:0",
                                      "h:65536", "h:1,",  "[::1:1", "::1:1",    "h:1,,i:2",
                                      "h:1x",    "a b:1", "[]:1",   "h:123456", "[h]x:1"};
    struct fixture *f = *state;
    struct clade_client *client = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct clade_options o = {.endpoints = bad[i]};
        print_message("endpoints '%s'\n", bad[i]);
        assert_int_equal(clade_client_new(&f->loop, &o, &client), CLADE_ERR_INVALID);
    }
    struct clade_options user = {.user = "\xff"};
    assert_int_equal(clade_client_new(&f->loop, &user, &client), CLADE_ERR_INVALID);
    struct clade_options many = {.requests_max = CLADE_MAX_REQUESTS + 1};
    assert_int_equal(clade_client_new(&f->loop, &many, &client), CLADE_ERR_INVALID);
    assert_null(client);
}

#define CLIENT_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(garbage_ends_the_connection_and_nothing_else),
        CLIENT_TEST(answers_that_nobody_waits_for_are_passed_over),
        CLIENT_TEST(a_refused_hello_refuses_what_waits),
        CLIENT_TEST(a_server_of_another_cluster_is_not_used),
        CLIENT_TEST(a_dead_endpoint_is_passed_over),
        CLIENT_TEST(a_name_is_resolved),
        CLIENT_TEST(a_member_told_of_by_hello_is_a_fallback),
        CLIENT_TEST(a_member_told_of_later_is_a_fallback),
        CLIENT_TEST(members_told_of_before_hello_are_passed_over),
        CLIENT_TEST(two_refusals_in_a_row_lead_to_another_endpoint),
        CLIENT_TEST(a_refusal_that_names_the_leader_leads_there),
        CLIENT_TEST(a_call_that_writes_outside_a_session_is_not_repeated),
        CLIENT_TEST(a_change_of_members_is_repeated_when_its_connection_is_lost),
        CLIENT_TEST(a_change_of_members_without_an_answer_is_unknown),
        CLIENT_TEST(a_server_that_froze_is_left),
        CLIENT_TEST(at_least_zero_means_the_newest_revision_seen),
        CLIENT_TEST(no_more_than_requests_max_are_in_flight),
        CLIENT_TEST(requests_started_together_go_out_together),
        CLIENT_TEST(an_answer_of_megabytes_is_received),
        CLIENT_TEST(mistakes_are_told_by_the_callback_and_never_sent),
        CLIENT_TEST(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
