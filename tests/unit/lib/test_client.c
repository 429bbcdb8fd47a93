/* A request's way: sessions and numbers, deadlines, cancelling and closing. */
#include <string.h>

#include "client_fixture.h"
static const struct fake_request *txn_at(const struct fixture *f, size_t server, size_t n)
{
    const struct fake_request *r = fake_server_find(&f->servers[server], METHOD_TXN, n);
    assert_non_null(r);
    return r;
}

/* --- sessions and numbers --- */

static void a_transaction_gets_a_session_and_numbers_from_one(void **state)
{
    struct fixture *f = *state;
    struct outcome o[3] = {0};
    f->servers[0].handler = fake_answer_all;
    fixture_client(f, NULL, 0, 0);
    for (size_t i = 0; i < 3; i++) {
        send_txn(f, &o[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        fixture_wait(f, &o[i]);
        assert_int_equal(o[i].code, 0);
        assert_int_equal(txn_at(f, 0, i)->seq, i + 1);
        assert_int_equal(txn_at(f, 0, i)->session, 100);
        assert_int_equal(txn_at(f, 0, i)->answered, 1);
    }
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_SESSION_OPEN), 1);
    assert_int_equal(clade_client_revision(f->client), 43);
    struct outcome later = {0};
    send_txn(f, &later);
    fixture_wait(f, &later);
    assert_int_equal(txn_at(f, 0, 3)->seq, 4);
    assert_int_equal(txn_at(f, 0, 3)->answered, 4);
}

static bool refuse_once(struct fake_server *s, const struct fake_request *r)
{
    if (fake_is_txn_or_get(r) && fake_server_count(s, r->method) == 1) {
        fake_refuse(s, r, CLADE_ERR_RETRY, NULL);
        return true;
    }
    return fake_answer_all(s, r);
}

static void what_was_refused_with_retry_is_sent_again_under_the_same_number(void **state)
{
    struct fixture *f = *state;
    struct outcome write = {0};
    struct outcome read = {0};
    f->servers[0].handler = refuse_once;
    fixture_client(f, NULL, 0, 0);
    send_txn(f, &write);
    send_get(f, &read);
    fixture_wait(f, &write);
    fixture_wait(f, &read);
    assert_int_equal(write.code, 0);
    assert_int_equal(read.code, 0);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_TXN), 2);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_GET), 2);
    assert_int_equal(txn_at(f, 0, 0)->seq, txn_at(f, 0, 1)->seq);
    assert_int_equal(f->servers[0].connections, 1);
}

static bool drop_once(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_TXN && s->connections == 1) {
        fake_drop(s);
        return true;
    }
    return fake_answer_all(s, r);
}

static void a_lost_connection_repeats_the_write_under_its_session_and_number(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    f->servers[0].handler = drop_once;
    fixture_client(f, NULL, 0, 0);
    send_txn(f, &o);
    fixture_wait(f, &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(f->servers[0].connections, 2);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_SESSION_OPEN), 1);
    assert_int_equal(txn_at(f, 0, 1)->session, txn_at(f, 0, 0)->session);
    assert_int_equal(txn_at(f, 0, 1)->seq, txn_at(f, 0, 0)->seq);
}

static void a_lost_connection_keeps_the_order_of_numbers(void **state)
{
    struct fixture *f = *state;
    struct outcome o[5] = {0};
    f->servers[0].handler = drop_once;
    fixture_client(f, NULL, 0, 0);
    for (size_t i = 0; i < 5; i++) {
        send_txn(f, &o[i]);
    }
    for (size_t i = 0; i < 5; i++) {
        fixture_wait(f, &o[i]);
        assert_int_equal(o[i].revision, 41 + i);
    }
    size_t first = fake_server_count(&f->servers[0], METHOD_TXN) - 5;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(txn_at(f, 0, first + i)->seq, i + 1);
    }
}

static bool expire_first_session(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_TXN && r->session == 100) {
        fake_refuse(s, r, CLADE_ERR_SESSION_EXPIRED, NULL);
        return true;
    }
    return fake_answer_all(s, r);
}

static void a_session_expired_at_the_first_sending_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct outcome o[2] = {0};
    f->servers[0].handler = expire_first_session;
    fixture_client(f, NULL, 0, 0);
    send_txn(f, &o[0]);
    send_txn(f, &o[1]);
    fixture_wait(f, &o[0]);
    fixture_wait(f, &o[1]);
    assert_int_equal(o[0].code, 0);
    assert_int_equal(o[1].code, 0);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_SESSION_OPEN), 2);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_TXN), 4);
    assert_int_equal(txn_at(f, 0, 2)->session, 101);
    assert_int_equal(o[0].revision, 41); /* in the order of their starting */
    assert_int_equal(o[1].revision, 42);
}

/* The first sending is lost with its connection; the repeat meets an expired session. */
static bool drop_then_expire(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_TXN && s->connections == 1) {
        fake_drop(s);
        return true;
    }
    return expire_first_session(s, r);
}

static void a_session_expired_at_a_repeat_is_unknown_and_never_sent_anew(void **state)
{
    struct fixture *f = *state;
    struct outcome lost = {0};
    struct outcome later = {0};
    f->servers[0].handler = drop_then_expire;
    fixture_client(f, NULL, 0, 0);
    send_txn(f, &lost);
    fixture_wait(f, &lost);
    assert_int_equal(lost.code, CLADE_ERR_UNKNOWN);
    assert_non_null(strstr(lost.message, "session ended"));
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_TXN), 2);
    send_txn(f, &later);
    fixture_wait(f, &later);
    assert_int_equal(later.code, 0);
    assert_int_equal(txn_at(f, 0, 2)->session, 101);
    assert_int_equal(txn_at(f, 0, 2)->seq, 1);
}

static bool unknown_once(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_TXN && fake_server_count(s, METHOD_TXN) == 1) {
        fake_refuse(s, r, CLADE_ERR_UNKNOWN, NULL);
        return true;
    }
    return fake_answer_all(s, r);
}

static void an_unknown_outcome_is_asked_for_again_under_the_session(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    f->servers[0].handler = unknown_once;
    fixture_client(f, NULL, 0, 0);
    send_txn(f, &o);
    fixture_wait(f, &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(txn_at(f, 0, 1)->seq, 1);
    assert_int_equal(txn_at(f, 0, 1)->session, 100);
}

static bool drop_first_txn(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_TXN && fake_server_count(s, METHOD_TXN) == 1) {
        fake_drop(s);
        return true;
    }
    return fake_answer_all(s, r);
}

static void a_dry_run_has_no_session_and_is_repeated_without_one(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    f->servers[0].handler = drop_first_txn;
    fixture_client(f, NULL, 0, 0);
    clade_txn_dry_run(f->txn, true);
    send_txn(f, &o);
    fixture_wait(f, &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_TXN), 2);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_SESSION_OPEN), 0);
    assert_int_equal(txn_at(f, 0, 1)->session, 0);
}

static bool swallow_first(struct fake_server *s, const struct fake_request *r)
{
    return r->seq == 1 || fake_answer_all(s, r);
}

static void no_number_is_a_window_above_the_lowest_without_an_answer(void **state)
{
    enum { N = CLADE_MAX_SESSION_WINDOW + 10 };
    struct fixture *f = *state;
    static struct outcome o[N];
    memset(o, 0, sizeof o);
    f->servers[0].handler = swallow_first;
    fixture_client(f, NULL, 0, 0);
    for (size_t i = 0; i < N; i++) {
        send_txn(f, &o[i]);
    }
    fixture_wait(f, &o[CLADE_MAX_SESSION_WINDOW - 1]);
    for (int i = 0; i < 10; i++) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_TXN), CLADE_MAX_SESSION_WINDOW);
    fake_answer(&f->servers[0], txn_at(f, 0, 0), 1);
    fixture_wait(f, &o[N - 1]);
    assert_int_equal(o[N - 1].code, 0);
    assert_true(txn_at(f, 0, CLADE_MAX_SESSION_WINDOW)->answered > 1);
}

static bool refuse_sessions(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_SESSION_OPEN) {
        fake_refuse(s, r, CLADE_ERR_LIMIT, NULL);
        return true;
    }
    return fake_answer_all(s, r);
}

static void a_refused_session_refuses_the_writes_and_not_the_reads(void **state)
{
    struct fixture *f = *state;
    struct outcome write = {0};
    struct outcome read = {0};
    f->servers[0].handler = refuse_sessions;
    fixture_client(f, NULL, 0, 0);
    send_txn(f, &write);
    send_get(f, &read);
    fixture_wait(f, &write);
    fixture_wait(f, &read);
    assert_int_equal(write.code, CLADE_ERR_LIMIT);
    assert_int_equal(read.code, 0);
}

/* --- deadlines --- */

static void a_deadline_is_unavailable_for_a_read_and_unknown_for_a_sent_write(void **state)
{
    struct fixture *f = *state;
    struct outcome write = {0};
    struct outcome read = {0};
    fixture_client(f, NULL, 200, 0);
    send_txn(f, &write);
    send_get(f, &read);
    fixture_wait(f, &write);
    fixture_wait(f, &read);
    assert_int_equal(write.code, CLADE_ERR_UNKNOWN);
    assert_int_equal(read.code, CLADE_ERR_UNAVAILABLE);
    assert_true(txn_at(f, 0, 0)->deadline_ms <= 190);
    assert_true(txn_at(f, 0, 0)->deadline_ms > 0);
}

static bool swallow_sessions(struct fake_server *s, const struct fake_request *r)
{
    return r->method == METHOD_SESSION_OPEN;
}

static void a_write_that_was_never_sent_is_unavailable(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    f->servers[0].handler = swallow_sessions;
    fixture_client(f, NULL, 200, 0);
    send_txn(f, &o);
    fixture_wait(f, &o);
    assert_int_equal(o.code, CLADE_ERR_UNAVAILABLE);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_TXN), 0);
}

static void a_write_whose_every_sending_was_refused_is_unavailable(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    f->servers[0].handler = fake_refuse_all;
    fixture_client(f, NULL, 300, 0);
    send_txn(f, &o);
    fixture_wait(f, &o);
    assert_int_equal(o.code, CLADE_ERR_UNAVAILABLE);
    assert_true(fake_server_count(&f->servers[0], METHOD_TXN) > 1);
}

static void without_a_server_the_message_says_why(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    fixture_client(f, "127.0.0.1:1", 200, 0);
    send_txn(f, &o);
    fixture_wait(f, &o);
    assert_int_equal(o.code, CLADE_ERR_UNAVAILABLE);
    assert_non_null(strstr(o.message, "127.0.0.1:1: connection refused"));
}

/* --- cancelling and closing --- */

static void a_cancelled_read_is_cancelled_at_the_server_too(void **state)
{
    struct fixture *f = *state;
    struct outcome read = {0};
    struct outcome write = {0};
    fixture_client(f, NULL, 0, 0);
    struct clade_request *get = send_get(f, &read);
    struct clade_request *txn = send_txn(f, &write);
    fixture_wait_requests(f, 0, METHOD_GET, 1);
    fixture_wait_requests(f, 0, METHOD_TXN, 1);
    clade_cancel(get);
    clade_cancel(txn);
    assert_int_equal(read.calls, 0);
    fixture_wait(f, &read);
    fixture_wait(f, &write);
    assert_int_equal(read.code, CLADE_ERR_CANCELLED);
    assert_int_equal(write.code, CLADE_ERR_UNKNOWN);
    fixture_wait_requests(f, 0, METHOD_CANCEL, 2);
    assert_int_equal(fake_server_find(&f->servers[0], METHOD_CANCEL, 0)->cancelled,
                     fake_server_find(&f->servers[0], METHOD_GET, 0)->msgid);
}

static void a_request_that_waits_is_cancelled_without_being_sent(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    fixture_client(f, NULL, 0, 0);
    struct clade_request *r = send_txn(f, &o);
    clade_cancel(r);
    clade_cancel(r);
    assert_int_equal(o.calls, 0);
    fixture_wait(f, &o);
    assert_int_equal(o.code, CLADE_ERR_CANCELLED);
    assert_int_equal(f->servers[0].requests_len, 0);
}

static void closing_answers_every_outstanding_request_once(void **state)
{
    struct fixture *f = *state;
    struct outcome o[4] = {0};
    fixture_client(f, NULL, 0, 2);
    send_txn(f, &o[0]);
    send_get(f, &o[1]);
    fixture_wait_requests(f, 0, METHOD_TXN, 1);
    send_get(f, &o[2]); /* above requests_max: it waits */
    send_txn(f, &o[3]);
    fixture_close_client(f);
    assert_int_equal(o[0].code, CLADE_ERR_UNKNOWN);
    assert_int_equal(o[1].code, CLADE_ERR_CANCELLED);
    assert_int_equal(o[2].code, CLADE_ERR_CANCELLED);
    assert_int_equal(o[3].code, CLADE_ERR_CANCELLED);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(o[i].calls, 1);
    }
    fixture_wait_requests(f, 0, METHOD_SESSION_CLOSE, 1);
}

static void a_client_that_never_connected_closes(void **state)
{
    struct fixture *f = *state;
    fixture_client(f, NULL, 0, 0);
    fixture_close_client(f);
    assert_int_equal(f->servers[0].connections, 0);
}

static void on_done_close(struct clade_request *request, struct clade_response *response, void *arg)
{
    struct fixture *f = arg;
    const char *const refs[] = {"artifact/a"};
    clade_response_free(response);
    clade_client_close(f->client, NULL, NULL);
    assert_null(clade_get(f->client, refs, 1, NULL, 0, on_outcome, NULL));
    f->closed = true;
    f->client = NULL;
}

static void a_callback_may_close_the_client(void **state)
{
    struct fixture *f = *state;
    const char *const refs[] = {"artifact/a"};
    f->servers[0].handler = fake_answer_all;
    fixture_client(f, NULL, 0, 0);
    assert_non_null(clade_get(f->client, refs, 1, NULL, 0, on_done_close, f));
    while (!f->closed && !f->late) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_true(f->closed);
}

#define CLIENT_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(a_transaction_gets_a_session_and_numbers_from_one),
        CLIENT_TEST(what_was_refused_with_retry_is_sent_again_under_the_same_number),
        CLIENT_TEST(a_lost_connection_repeats_the_write_under_its_session_and_number),
        CLIENT_TEST(a_lost_connection_keeps_the_order_of_numbers),
        CLIENT_TEST(a_session_expired_at_the_first_sending_is_replaced),
        CLIENT_TEST(a_session_expired_at_a_repeat_is_unknown_and_never_sent_anew),
        CLIENT_TEST(an_unknown_outcome_is_asked_for_again_under_the_session),
        CLIENT_TEST(a_dry_run_has_no_session_and_is_repeated_without_one),
        CLIENT_TEST(no_number_is_a_window_above_the_lowest_without_an_answer),
        CLIENT_TEST(a_refused_session_refuses_the_writes_and_not_the_reads),
        CLIENT_TEST(a_deadline_is_unavailable_for_a_read_and_unknown_for_a_sent_write),
        CLIENT_TEST(a_write_that_was_never_sent_is_unavailable),
        CLIENT_TEST(a_write_whose_every_sending_was_refused_is_unavailable),
        CLIENT_TEST(without_a_server_the_message_says_why),
        CLIENT_TEST(a_cancelled_read_is_cancelled_at_the_server_too),
        CLIENT_TEST(a_request_that_waits_is_cancelled_without_being_sent),
        CLIENT_TEST(closing_answers_every_outstanding_request_once),
        CLIENT_TEST(a_client_that_never_connected_closes),
        CLIENT_TEST(a_callback_may_close_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
