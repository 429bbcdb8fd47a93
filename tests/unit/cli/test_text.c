#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cli/text.h"

static void counts_are_grouped_by_three(void **state)
{
    static const struct {
        uint64_t n;
        const char *text;
    } rows[] = {{0, "0"},
                {999, "999"},
                {1000, "1,000"},
                {1234567, "1,234,567"},
                {UINT64_MAX, "18,446,744,073,709,551,615"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[TEXT_BYTES_MAX];
        text_count(rows[i].n, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void sizes_have_one_decimal(void **state)
{
    static const struct {
        uint64_t n;
        const char *text;
    } rows[] = {
        {0, "0 B"},           {1023, "1023 B"},        {1024, "1.0 KiB"},       {1536, "1.5 KiB"},
        {1048575, "1.0 MiB"}, {5368709120, "5.0 GiB"}, {UINT64_MAX, "16.0 EiB"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[TEXT_BYTES_MAX];
        text_size(rows[i].n, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void durations_are_rounded_up(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {{0, "0s"}, {1, "1s"}, {59000, "59s"}, {61000, "1m01s"}, {3720000, "1h02m"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[TEXT_BYTES_MAX];
        text_duration(rows[i].ms, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void durations_are_parsed_with_their_units(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t ms;
    } rows[] = {{"250ms", true, 250},
                {"10s", true, 10000},
                {"2m", true, 120000},
                {"5", true, 5000},
                {"1h", true, 3600000},
                {"", false, 0},
                {"s", false, 0},
                {"-1s", false, 0},
                {"1d", true, 86400000},
                {"1w", false, 0},
                {"1.5s", false, 0},
                {"99999999999999999999", false, 0},
                {"18446744073709551615h", false, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t ms = 0;
        assert_int_equal(text_parse_duration(rows[i].text, 1000, &ms), rows[i].ok);
        assert_int_equal(ms, rows[i].ms);
    }
}

static void times_without_an_offset_are_local(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t us;
    } rows[] = {
        {"2026-03-01T12:00:00Z", true, 1772366400000000},
        {"2026-03-01T12:00:00+02:00", true, 1772359200000000},
        {"2026-03-01T12:00", true, 1772362800000000}, /* one hour east of Greenwich */
        {"2026-03-01 12:00:00", true, 1772362800000000},
        {"2026-03-01T12:00:00.25", true, 1772362800250000},
        {"2026-03-01", true, 1772405999999999}, /* its end, in local time */
        {"2026-02-28", true, 1772319599999999},
        {"2026-02-30", false, 0},
        {"2026-13-01", false, 0},
        {"2026-03-01T25:00", false, 0},
        {"2026-03-01T12:00x", false, 0},
        {"2026-3-1", false, 0},
        {"1969-01-01", false, 0},
        {"yesterday", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t us = 0;
        if (text_parse_time(rows[i].text, &us) != rows[i].ok || us != rows[i].us) {
            fail_msg("%s: %llu", rows[i].text, (unsigned long long)us);
        }
    }
}

static void times_are_shown_in_local_time(void **state)
{
    char text[TEXT_BYTES_MAX];
    text_local_time(1772366400000000, text);
    assert_string_equal(text, "2026-03-01 13:00:00");
    text_local_time(0, text);
    assert_string_equal(text, "-");
}

static void names_become_references_of_the_expected_kind(void **state)
{
    static const char *const rows[][2] = {
        {"x", "artifact/x"},
        {"artifact/x", "artifact/x"},
        {"//t//artifact/x", "//t//artifact/x"},
        {"id/12", "id/12"},
        {"$0", "$0"},
        {"a/b", "artifact/a/b"},
        {"artifacts/x", "artifact/artifacts/x"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer b;
        buffer_init(&b, 1024);
        text_append_ref(&b, "artifact", rows[i][0]);
        assert_true(span_equal_str(buffer_span(&b), rows[i][1]));
        buffer_release(&b);
    }
}

int main(void)
{
    (void)setenv("TZ", "UTC-1", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_grouped_by_three),
        cmocka_unit_test(sizes_have_one_decimal),
        cmocka_unit_test(durations_are_rounded_up),
        cmocka_unit_test(durations_are_parsed_with_their_units),
        cmocka_unit_test(times_without_an_offset_are_local),
        cmocka_unit_test(times_are_shown_in_local_time),
        cmocka_unit_test(names_become_references_of_the_expected_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
