#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/log_bytes.h"

static void the_total_is_that_of_the_entries_that_are_left(void **state)
{
    struct log_bytes l = {0};
    log_bytes_start(&l, 10);
    assert_int_equal(log_bytes_last(&l), 9);
    for (size_t i = 0; i < 5000; i++) {
        log_bytes_push(&l, 8 + i % 7);
    }
    uint64_t total = 0;
    for (size_t i = 0; i < 5000; i++) {
        total += i + 10 > 100 && i + 10 < 4000 ? 8 + i % 7 : 0;
    }
    log_bytes_cut(&l, 100);
    log_bytes_truncate(&l, 4000);
    assert_int_equal(l.first, 101);
    assert_int_equal(log_bytes_last(&l), 3999);
    assert_int_equal(l.total, total);
    log_bytes_release(&l);
}

static void a_ring_that_wraps_and_shrinks_keeps_its_order(void **state)
{
    struct log_bytes l = {0};
    log_bytes_start(&l, 1);
    for (uint64_t i = 1; i <= 100000; i++) {
        log_bytes_push(&l, (size_t)(i % 1000));
        if (i > 300) {
            log_bytes_cut(&l, i - 300);
        }
    }
    for (uint64_t i = 1; i <= 20000; i++) {
        log_bytes_push(&l, (size_t)((100000 + i) % 1000));
    }
    log_bytes_cut(&l, 119990);
    assert_int_equal(l.len, 10);
    assert_int_equal(l.total, 991 + 992 + 993 + 994 + 995 + 996 + 997 + 998 + 999 + 0);
    log_bytes_release(&l);
}

static void trailing_entries_fit_the_bound_and_are_one_at_least(void **state)
{
    struct log_bytes l = {0};
    log_bytes_start(&l, 1);
    for (size_t i = 0; i < 10; i++) {
        log_bytes_push(&l, 100);
    }
    static const uint64_t expected[][3] = {/* index, bound, entries */
                                           {10, 1000, 10}, {10, 999, 9}, {10, 100, 1},
                                           {10, 1, 1},     {4, 250, 2},  {1, 5000, 1}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(log_bytes_trailing(&l, expected[i][0], expected[i][1]), expected[i][2]);
    }
    log_bytes_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_total_is_that_of_the_entries_that_are_left),
        cmocka_unit_test(a_ring_that_wraps_and_shrinks_keeps_its_order),
        cmocka_unit_test(trailing_entries_fit_the_bound_and_are_one_at_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
