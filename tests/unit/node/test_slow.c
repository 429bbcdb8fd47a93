/* How many lines on slow requests are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/slow.h"

static void so_many_lines_a_second_and_the_next_says_how_many_were_left_out(void **state)
{
    struct slow_limit limit = {.lines = 0};
    uint64_t now_us = 5000000;
    uint64_t left_out = 99;
    for (unsigned i = 0; i < SLOW_LINES_A_SECOND; i++) {
        assert_true(slow_limit_take(&limit, now_us + i, &left_out));
        assert_int_equal(left_out, 0);
    }
    assert_false(slow_limit_take(&limit, now_us + 500000, &left_out));
    assert_false(slow_limit_take(&limit, now_us + 999999, &left_out));
    assert_true(slow_limit_take(&limit, now_us + 1000000, &left_out));
    assert_int_equal(left_out, 2);
    assert_true(slow_limit_take(&limit, now_us + 1000001, &left_out));
    assert_int_equal(left_out, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_lines_a_second_and_the_next_says_how_many_were_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
