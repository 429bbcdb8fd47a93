#include <stdio.h>

#include "fixture.h"

#define CREATE "{'v':1,'ops':[{'op':'create','kind':'artifact'}]}"

static void a_repeat_gets_the_first_answer_and_does_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t s = fixture_open_session(f, 1000, 0);
    assert_int_not_equal(s, 0);
    assert_int_equal(fixture_txn_in(f, s, 1, 1, CREATE), 0);
    uint64_t time_us = f->result.time_us;
    assert_body(f, "[{'status':'created','id':2,'ref':'artifact/_2'}]");
    assert_int_equal(fixture_txn_in(f, s, 2, 1, CREATE), 0);
    assert_int_equal(f->result.revision, 2);
    assert_int_equal(fixture_txn_in(f, s, 1, 1, CREATE), 0);
    assert_int_equal(f->result.revision, 1);
    assert_int_equal(f->result.time_us, time_us);
    assert_true(f->result.changed);
    assert_body(f, "[{'status':'created','id':2,'ref':'artifact/_2'}]");
    assert_int_equal(store_position(f->store).revision, 2);
}

static void a_refusal_is_repeated_too(void **state)
{
    struct fixture *f = *state;
    uint64_t s = fixture_open_session(f, 1000, 0);
    static const char *const bad = "{'v':1,'ops':[{'op':'delete','ref':'artifact/a'}]}";
    assert_int_equal(fixture_txn_in(f, s, 1, 1, bad), CLADE_ERR_NOT_FOUND);
    assert_int_equal(fixture_txn(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'}]}"),
                     0);
    assert_int_equal(fixture_txn_in(f, s, 1, 1, bad), CLADE_ERR_NOT_FOUND);
    assert_int_equal(f->result.revision, 0);
}

static void a_repeat_in_the_same_batch_gets_the_first_answer(void **state)
{
    struct fixture *f = *state;
    uint64_t s = fixture_open_session(f, 1000, 0);
    struct buffer command;
    buffer_init(&command, 4096);
    json_put(&command, CREATE);
    struct item item = {.kind = ITEM_TXN, .session = s, .seq = 1, .command = buffer_span(&command)};
    fixture_add(f, &item);
    fixture_add(f, &item);
    assert_int_equal(fixture_run(f), 0);
    assert_int_equal(f->results, 2);
    assert_int_equal(f->result.revision, 1);
    assert_int_equal(store_position(f->store).revision, 1);
    buffer_release(&command);
}

static void below_answered_is_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t s = fixture_open_session(f, 1000, 0);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_int_equal(fixture_txn_in(f, s, seq, seq, CREATE), 0);
    }
    assert_int_equal(fixture_txn_in(f, s, 2, 2, CREATE), CLADE_ERR_SESSION_EXPIRED);
    assert_int_equal(fixture_txn_in(f, s, 3, 3, CREATE), 0);
    assert_int_equal(store_position(f->store).revision, 3);
}

static void the_window_is_bounded(void **state)
{
    struct fixture *f = *state;
    uint64_t s = fixture_open_session(f, 1000, 0);
    uint64_t last = CLADE_MAX_SESSION_WINDOW;
    assert_int_equal(fixture_txn_in(f, s, last, 1, CREATE), 0);
    assert_int_equal(fixture_txn_in(f, s, last + 1, 1, CREATE), CLADE_ERR_LIMIT);
    assert_int_equal(fixture_txn_in(f, s, last + 1, 2, CREATE), 0);
    assert_int_equal(fixture_txn_in(f, s, UINT64_MAX, 2, CREATE), CLADE_ERR_LIMIT);
    assert_int_equal(fixture_txn_in(f, s, 0, 0, CREATE), CLADE_ERR_INVALID);
    assert_int_equal(fixture_txn_in(f, s, 5, 6, CREATE), CLADE_ERR_INVALID);
}

static void an_unknown_session_is_never_made(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_txn_in(f, 99, 1, 1, CREATE), CLADE_ERR_SESSION_EXPIRED);
    assert_int_equal(store_position(f->store).revision, 0);
}

static void a_lease_ends_in_session_time(void **state)
{
    struct fixture *f = *state;
    uint64_t s = fixture_open_session(f, 1000, 0);
    uint64_t other = fixture_open_session(f, 5000, 900);
    assert_int_equal(fixture_txn_in(f, s, 1, 1, CREATE), 0);
    /* The wall clock of the leader's stamps means nothing to it. */
    f->stamp_us += (uint64_t)3600 * 1000000;
    assert_int_equal(fixture_txn_in(f, s, 2, 1, CREATE), 0);
    assert_int_not_equal(fixture_open_session(f, 1000, 1001), 0);
    assert_int_equal(fixture_txn_in(f, s, 3, 1, CREATE), CLADE_ERR_SESSION_EXPIRED);
    assert_int_equal(fixture_txn_in(f, s, 1, 1, CREATE), CLADE_ERR_SESSION_EXPIRED);
    assert_int_equal(fixture_txn_in(f, other, 1, 1, CREATE), 0);
}

static void a_closed_session_has_ended(void **state)
{
    struct fixture *f = *state;
    uint64_t s = fixture_open_session(f, 1000, 0);
    assert_int_equal(fixture_txn_in(f, s, 1, 1, CREATE), 0);
    struct item item = {.kind = ITEM_SESSION_CLOSE, .session = s};
    fixture_add(f, &item);
    assert_int_equal(fixture_run(f), 0);
    assert_int_equal(f->result.code, 0);
    assert_int_equal(fixture_txn_in(f, s, 1, 1, CREATE), CLADE_ERR_SESSION_EXPIRED);
    assert_int_equal(fixture_read(f, QUERY_DESCRIBE, "{}"), 0);
    assert_int_equal(answer_count(f, "\"sessions\":0"), 1);
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 0);
}

static void opening_sweeps_the_dead_away(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++) {
        /* Each lives less long than the next takes to come. */
        assert_int_not_equal(fixture_open_session(f, 10, 20), 0);
    }
    assert_int_equal(fixture_read(f, QUERY_DESCRIBE, "{}"), 0);
    assert_int_equal(answer_count(f, "\"sessions\":1,") + answer_count(f, "\"sessions\":2,"), 1);
    assert_int_equal(fixture_open_session(f, 0, 0), 0);
    assert_int_equal(f->result.code, CLADE_ERR_INVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_repeat_gets_the_first_answer_and_does_nothing),
        TEST(a_refusal_is_repeated_too),
        TEST(a_repeat_in_the_same_batch_gets_the_first_answer),
        TEST(below_answered_is_refused),
        TEST(the_window_is_bounded),
        TEST(an_unknown_session_is_never_made),
        TEST(a_lease_ends_in_session_time),
        TEST(a_closed_session_has_ended),
        TEST(opening_sweeps_the_dead_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
