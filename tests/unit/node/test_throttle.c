/* How fast namespaces may be written to. */
#include <stdio.h>
#include <string.h>

#include "node/throttle.h"
#include "tests/unit/storage/fixture.h"

#define SECOND UINT64_C(1000000)

struct test {
    struct fixture *f;
    struct throttle *throttle;
    struct error error;
};

/* A transaction of `ops` operations in the namespace: what its client is told. */
static int write_in(
    struct test *t, const char *ns, const char *in_command, unsigned ops, uint64_t now_us)
{
    struct buffer command;
    struct buffer item;
    buffer_init(&command, 1 << 16);
    buffer_init(&item, 1 << 16);
    value_put_map(&command, in_command == NULL ? 2 : 3);
    value_put_str(&command, "v");
    value_put_uint(&command, 1);
    value_put_str(&command, "ops");
    value_put_array(&command, ops);
    for (unsigned i = 0; i < ops; i++) {
        value_put_map(&command, 1);
        value_put_str(&command, "ns");
        value_put_str(&command, "none of this");
    }
    if (in_command != NULL) {
        value_put_str(&command, "ns");
        value_put_str(&command, in_command);
    }
    const struct item i = {.kind = ITEM_TXN, .ns = span_of(ns), .command = buffer_span(&command)};
    item_encode(&item, &i);
    t->error = (struct error){0};
    int code = throttle_admit(t->throttle, buffer_span(&item), now_us, &t->error);
    buffer_release(&command);
    buffer_release(&item);
    return code;
}

static void bound(struct test *t, const char *ops)
{
    char json[1024];
    snprintf(json, sizeof json, "{'v':1,'ops':[%s]}", ops);
    assert_int_equal(fixture_txn(t->f, json), 0);
    assert_int_equal(throttle_refresh(t->throttle, t->f->store, NULL), 0);
}

static int setup(void **state)
{
    static struct test t;
    void *f;
    assert_int_equal(fixture_setup(&f), 0);
    t = (struct test){.f = f, .throttle = throttle_new()};
    *state = &t;
    bound(&t, "{'op':'create','kind':'namespace','name':'a','quota':{'writes_per_s':10}},"
              "{'op':'create','kind':'namespace','name':'a/b'},"
              "{'op':'create','kind':'namespace','name':'a/b/c','quota':{'writes_per_s':100}},"
              "{'op':'create','kind':'namespace','name':'ab'}");
    return 0;
}

static int teardown(void **state)
{
    struct test *t = *state;
    throttle_free(t->throttle);
    void *f = t->f;
    return fixture_teardown(&f);
}

static void a_namespace_takes_its_rate_and_no_more(void **state)
{
    struct test *t = *state;
    unsigned taken = 0;
    for (uint64_t now = SECOND; now <= 11 * SECOND; now += 1000) {
        taken += write_in(t, "a", NULL, 1, now) == 0;
    }
    /* One second's worth that had gathered, and 10 a second. */
    assert_in_range(taken, 109, 111);
}

static void a_refusal_says_who_how_much_and_until_when(void **state)
{
    struct test *t = *state;
    assert_int_equal(write_in(t, "a", NULL, 10, SECOND), 0);
    assert_int_equal(write_in(t, "a", NULL, 1, SECOND), CLADE_ERR_THROTTLED);
    assert_non_null(strstr(t->error.message, "namespace \"a\" takes 10 operations a second"));
    assert_in_range(t->error.retry_ms, 100, 102);
    uint64_t then = SECOND + t->error.retry_ms * UINT64_C(1000);
    assert_int_equal(write_in(t, "a", NULL, 1, then - 5000), CLADE_ERR_THROTTLED);
    assert_int_equal(write_in(t, "a", NULL, 1, then), 0);
}

static void what_is_under_it_is_charged_to_it_too_or_to_none(void **state)
{
    struct test *t = *state;
    assert_int_equal(write_in(t, "a/b/c", NULL, 30, SECOND), 0);
    assert_int_equal(write_in(t, "a", NULL, 1, SECOND + 1000), CLADE_ERR_THROTTLED);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(write_in(t, "a/b/c", NULL, 1, SECOND + 1000), CLADE_ERR_THROTTLED);
    }
    assert_int_equal(write_in(t, "ab", NULL, 1, SECOND + 1000), 0);
    assert_int_equal(write_in(t, "", NULL, 1, SECOND + 1000), 0);
    /* a owes 20 and is over that 2.1 s later; a/b/c was charged 30 of 100 once. */
    assert_int_equal(write_in(t, "a/b/c", NULL, 1, SECOND + 2200000), 0);
}

static void the_commands_own_namespace_is_the_one(void **state)
{
    struct test *t = *state;
    assert_int_equal(write_in(t, "ab", "a", 10, SECOND), 0);
    assert_int_equal(write_in(t, "ab", "a", 1, SECOND), CLADE_ERR_THROTTLED);
    assert_int_equal(write_in(t, "a", "ab", 1, SECOND), 0);
}

static void a_new_rate_holds_and_the_bucket_stays(void **state)
{
    struct test *t = *state;
    assert_int_equal(write_in(t, "a", NULL, 20, SECOND), 0);
    bound(t, "{'op':'update','ref':'namespace/a','quota':{'writes_per_s':1000}}");
    assert_int_equal(write_in(t, "a", NULL, 1, SECOND), CLADE_ERR_THROTTLED);
    assert_int_equal(write_in(t, "a", NULL, 1, SECOND + 12000), 0);
    bound(t, "{'op':'update','ref':'namespace/a','quota':{'writes_per_s':null}}");
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(write_in(t, "a", NULL, 1, SECOND + 12000), 0);
    }
}

static void other_items_and_bytes_are_not_held_back(void **state)
{
    struct test *t = *state;
    struct buffer item;
    buffer_init(&item, 1 << 16);
    assert_int_equal(write_in(t, "a", NULL, 50, SECOND), 0);
    const struct item tick = {.kind = ITEM_TICK, .ns = span_of("a")};
    item_encode(&item, &tick);
    assert_int_equal(throttle_admit(t->throttle, buffer_span(&item), SECOND, NULL), 0);
    assert_int_equal(throttle_admit(t->throttle, span_of("rubbish"), SECOND, NULL), 0);
    buffer_release(&item);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_namespace_takes_its_rate_and_no_more),
        TEST(a_refusal_says_who_how_much_and_until_when),
        TEST(what_is_under_it_is_charged_to_it_too_or_to_none),
        TEST(the_commands_own_namespace_is_the_one),
        TEST(a_new_rate_holds_and_the_bucket_stays),
        TEST(other_items_and_bytes_are_not_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
