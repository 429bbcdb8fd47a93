/* The simulator's judge of histories: what it calls linearizable is, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/history.h"
#include "tests/sim/random.h"

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct history));
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

/* One after the other. */
static void did(struct history *h, enum register_op op, uint64_t value, uint64_t expected)
{
    history_end(h, history_begin(h, op, value, expected), op, value);
}

static void operations_in_turn_must_agree_with_a_register(void **state)
{
    struct history *h = *state;
    did(h, REGISTER_READ, 0, 0);
    did(h, REGISTER_WRITE, 1, 0);
    did(h, REGISTER_READ, 1, 0);
    did(h, REGISTER_SWAP, 2, 1);
    did(h, REGISTER_NO_SWAP, 3, 1);
    did(h, REGISTER_READ, 2, 0);
    assert_int_equal(history_check(h, 0), HISTORY_GOOD);
    assert_int_equal(history_check(h, 7), HISTORY_BAD);
    did(h, REGISTER_READ, 1, 0); /* stale */
    assert_int_equal(history_check(h, 0), HISTORY_BAD);
}

static void a_swap_that_was_refused_though_the_value_stood_there_is_found(void **state)
{
    struct history *h = *state;
    did(h, REGISTER_WRITE, 1, 0);
    did(h, REGISTER_NO_SWAP, 2, 1);
    assert_int_equal(history_check(h, 0), HISTORY_BAD);
}

static void a_swap_of_what_did_not_stand_there_is_found(void **state)
{
    struct history *h = *state;
    did(h, REGISTER_WRITE, 1, 0);
    did(h, REGISTER_SWAP, 3, 2);
    assert_int_equal(history_check(h, 0), HISTORY_BAD);
}

static void what_is_concurrent_may_be_seen_or_not(void **state)
{
    struct history *h = *state;
    int write = history_begin(h, REGISTER_WRITE, 1, 0);
    did(h, REGISTER_READ, 0, 0);
    did(h, REGISTER_READ, 1, 0);
    assert_int_equal(history_check(h, 0), HISTORY_GOOD);
    did(h, REGISTER_READ, 0, 0); /* but not seen and then not */
    history_end(h, write, REGISTER_WRITE, 1);
    assert_int_equal(history_check(h, 0), HISTORY_BAD);
}

static void a_write_of_unknown_fate_may_take_effect_late_or_never(void **state)
{
    struct history *h = *state;
    (void)history_begin(h, REGISTER_WRITE, 1, 0);
    (void)history_begin(h, REGISTER_WRITE, 9, 0);
    did(h, REGISTER_WRITE, 2, 0);
    did(h, REGISTER_READ, 2, 0);
    did(h, REGISTER_READ, 1, 0);
    assert_int_equal(history_check(h, 0), HISTORY_GOOD);
    did(h, REGISTER_READ, 2, 0); /* only once */
    assert_int_equal(history_check(h, 0), HISTORY_BAD);
}

static void a_dropped_write_has_no_effect(void **state)
{
    struct history *h = *state;
    int dropped = history_begin(h, REGISTER_WRITE, 1, 0);
    did(h, REGISTER_READ, 0, 0);
    history_drop(h, dropped);
    assert_int_equal(history_check(h, 0), HISTORY_GOOD);
    did(h, REGISTER_READ, 1, 0);
    assert_int_equal(history_check(h, 0), HISTORY_BAD);
}

/* Some clients on a real register: each operation takes effect at one moment between its two. */
static void run_register(struct history *h, struct sim_random *r, unsigned steps)
{
    enum { CLIENTS = 5 };
    int numbers[CLIENTS] = {0};
    bool busy[CLIENTS] = {0};
    bool done[CLIENTS] = {0};
    struct operation results[CLIENTS];
    uint64_t value = 0;
    uint64_t next = 0;
    for (unsigned s = 0; s < steps; s++) {
        unsigned c = (unsigned)random_below(r, CLIENTS);
        struct operation *o = &results[c];
        if (!busy[c]) {
            *o = (struct operation){
                .op = (enum register_op)random_below(r, 3), .value = ++next, .expected = value};
            numbers[c] = history_begin(h, o->op, o->value, o->expected);
            busy[c] = true;
            done[c] = false;
        } else if (!done[c]) {
            if (o->op == REGISTER_READ) {
                o->value = value;
            } else if (o->op == REGISTER_WRITE || o->expected == value) {
                value = o->value;
            } else {
                o->op = REGISTER_NO_SWAP;
            }
            done[c] = true;
        } else {
            history_end(h, numbers[c], o->op, o->value);
            busy[c] = false;
        }
    }
    for (unsigned c = 0; c < CLIENTS; c++) { /* reads without an end say nothing */
        if (busy[c] && results[c].op == REGISTER_READ) {
            history_drop(h, numbers[c]);
        }
    }
}

static void every_history_of_a_real_register_is_good_and_a_changed_one_is_not(void **state)
{
    struct history *h = *state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct sim_random r;
        random_seed(&r, seed);
        *h = (struct history){0};
        run_register(h, &r, 600);
        if (history_check(h, 0) != HISTORY_GOOD) {
            fail_msg("seed %llu", (unsigned long long)seed);
        }
        for (size_t i = h->len / 2; i < h->len; i++) {
            if (h->operations[i].op == REGISTER_READ && h->operations[i].end != HISTORY_NEVER &&
                h->operations[i].begin != h->operations[i].end) {
                h->operations[i].value = 1000000; /* that nobody wrote */
                break;
            }
        }
        if (history_check(h, 0) != HISTORY_BAD) {
            fail_msg("seed %llu, changed", (unsigned long long)seed);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(operations_in_turn_must_agree_with_a_register),
        TEST(a_swap_that_was_refused_though_the_value_stood_there_is_found),
        TEST(a_swap_of_what_did_not_stand_there_is_found),
        TEST(what_is_concurrent_may_be_seen_or_not),
        TEST(a_write_of_unknown_fate_may_take_effect_late_or_never),
        TEST(a_dropped_write_has_no_effect),
        TEST(every_history_of_a_real_register_is_good_and_a_changed_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
