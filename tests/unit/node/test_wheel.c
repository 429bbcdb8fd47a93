/* Deadlines: none early, none forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/wheel.h"

#define TIMERS 2000

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void each_timer_fires_once_not_early_and_at_most_two_slots_late(void **state)
{
    const char *text = getenv("CLADE_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 42;
    print_message("seed %llu\n", (unsigned long long)seed);
    static struct wheel_timer timers[TIMERS];
    static bool fired[TIMERS];
    static struct wheel w;
    uint64_t now = 1000000000;
    wheel_init(&w, now);
    for (size_t i = 0; i < TIMERS; i++) {
        wheel_add(&w, &timers[i], now + next_random(&seed) % 40000000);
    }
    for (size_t i = 0; i < TIMERS; i += 10) {
        wheel_remove(&w, &timers[i]);
        fired[i] = true;
    }
    while (w.len > 0) {
        struct list due;
        list_init(&due);
        uint64_t before = now;
        now += next_random(&seed) % 50 == 0 ? 20000000 : next_random(&seed) % 30000;
        wheel_advance(&w, now, &due);
        for (struct list *n; (n = list_pop_front(&due)) != NULL;) {
            struct wheel_timer *t = LIST_ENTRY(n, struct wheel_timer, node);
            assert_true(t->due_us <= now);
            assert_true(t->due_us + 2 * WHEEL_SLOT_MS * 1000 >= before);
            assert_false(fired[t - timers]);
            fired[t - timers] = true;
        }
    }
    for (size_t i = 0; i < TIMERS; i++) {
        assert_true(fired[i]);
    }
}

static void a_timer_already_due_fires_at_the_next_advance_of_a_slot(void **state)
{
    static struct wheel w;
    struct wheel_timer t = {.due_us = 0};
    struct list due;
    list_init(&due);
    wheel_init(&w, 5000000);
    wheel_add(&w, &t, 1);
    wheel_advance(&w, 5000000 + WHEEL_SLOT_MS * 1000, &due);
    assert_false(list_is_empty(&due));
    assert_int_equal(w.len, 0);
}

static void removing_twice_is_harmless(void **state)
{
    static struct wheel w;
    struct wheel_timer t = {.due_us = 0};
    wheel_init(&w, 0);
    wheel_add(&w, &t, 100);
    wheel_remove(&w, &t);
    wheel_remove(&w, &t);
    assert_int_equal(w.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_timer_fires_once_not_early_and_at_most_two_slots_late),
        cmocka_unit_test(a_timer_already_due_fires_at_the_next_advance_of_a_slot),
        cmocka_unit_test(removing_twice_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
