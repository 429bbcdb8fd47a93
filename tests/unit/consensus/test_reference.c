#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "consensus/reference.h"

static const struct reference sample = {.index = 12,
                                        .term = 3,
                                        .revision = 9,
                                        .data = {.low = 1, .high = 2},
                                        .state = {.low = 3, .high = 4}};

static void a_reference_comes_back_as_it_was(void **state)
{
    uint8_t bytes[REFERENCE_BYTES];
    struct reference r;
    reference_encode(&sample, bytes);
    assert_int_equal(reference_decode(span_make(bytes, sizeof bytes), &r, NULL), 0);
    assert_int_equal(r.index, sample.index);
    assert_int_equal(r.term, sample.term);
    assert_int_equal(r.revision, sample.revision);
    assert_int_equal(r.data.high, sample.data.high);
    assert_int_equal(r.state.low, sample.state.low);
}

static void a_flipped_bit_anywhere_is_found(void **state)
{
    for (size_t bit = 0; bit < REFERENCE_BYTES * 8; bit++) {
        uint8_t bytes[REFERENCE_BYTES];
        struct reference r;
        reference_encode(&sample, bytes);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(reference_decode(span_make(bytes, sizeof bytes), &r, NULL) < 0);
    }
}

static void what_is_too_short_or_empty_is_no_reference(void **state)
{
    uint8_t bytes[REFERENCE_BYTES] = {0};
    struct reference r;
    assert_int_equal(reference_decode(span_make(bytes, sizeof bytes), &r, NULL), CLADE_ERR_CORRUPT);
    reference_encode(&sample, bytes);
    for (size_t len = 0; len < sizeof bytes; len++) {
        assert_int_equal(reference_decode(span_make(bytes, len), &r, NULL), CLADE_ERR_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reference_comes_back_as_it_was),
        cmocka_unit_test(a_flipped_bit_anywhere_is_found),
        cmocka_unit_test(what_is_too_short_or_empty_is_no_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
