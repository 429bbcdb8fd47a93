/* Arenas, buffers, errors, hashes, times, UTF-8, log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/time_text.h"
#include "base/utf8.h"

static void arena_gives_aligned_memory_up_to_its_cap(void **state)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    size_t given = 0;
    for (size_t size = 0;; size = size * 2 + 1) {
        uint8_t *p = arena_alloc(&a, size);
        if (p == NULL) {
            break;
        }
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, 0xAA, size);
        given += size;
    }
    assert_true(given > 1 << 18);
    assert_true(a.used <= 1 << 20);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_calloc(&a, SIZE_MAX / 2, 3));
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(arena_alloc(&a, 1 << 20));
    assert_null(arena_alloc(&a, 1));
    arena_release(&a);
    arena_release(&a);
    arena_release(NULL);
}

static void arena_copies_are_equal_and_terminated(void **state)
{
    struct arena a;
    arena_init(&a, 4096);
    assert_string_equal(arena_copy_str(&a, span_of("model")), "model");
    assert_true(span_equal_str(arena_copy_span(&a, span_of("run")), "run"));
    struct span empty = arena_copy_span(&a, (struct span){0});
    assert_non_null(empty.data);
    assert_int_equal(empty.len, 0);
    arena_release(&a);
}

static void buffer_append_past_the_cap_fails_and_changes_nothing(void **state)
{
    struct buffer b;
    buffer_init(&b, 8);
    assert_true(buffer_append_str(&b, "12345678"));
    assert_false(buffer_append_u8(&b, '9'));
    assert_true(b.failed);
    assert_true(span_equal_str(buffer_span(&b), "12345678"));
    buffer_clear(&b);
    assert_false(b.failed);
    assert_true(buffer_append_fmt(&b, "%d-%s", 1234, "abc"));
    assert_true(span_equal_str(buffer_span(&b), "1234-abc"));
    buffer_consume(&b, 5);
    assert_true(span_equal_str(buffer_span(&b), "abc"));
    size_t len;
    uint8_t *data = buffer_detach(&b, &len);
    assert_int_equal(len, 3);
    assert_int_equal(b.len, 0);
    free(data);
    buffer_release(&b);
    buffer_release(NULL);
}

static void buffer_formats_text_longer_than_its_scratch(void **state)
{
    struct buffer b;
    buffer_init(&b, 1000);
    assert_true(buffer_append_fmt(&b, "%0*d", 1000, 7));
    assert_int_equal(b.len, 1000);
    assert_false(buffer_append_fmt(&b, "%0*d", 300, 7));
    buffer_release(&b);
}

static void error_quotes_come_out_as_printable_utf8(void **state)
{
    struct error e = {0};
    error_set(&e, CLADE_ERR_INVALID, "tags\n", "bad \xFF name \xC3\xA9");
    assert_string_equal(e.where, "tags?");
    assert_string_equal(e.message, "bad ? name \xC3\xA9");
    char longer[600];
    memset(longer, 'x', sizeof longer);
    memcpy(longer + 510, "\xC3\xA9", 2);
    error_set(&e, CLADE_ERR_INVALID, NULL, "%.*s", 600, longer);
    assert_int_equal(strlen(e.message), 510);
    assert_true(utf8_is_valid(span_of(e.message)));
    assert_int_equal(error_set(NULL, CLADE_ERR_IO, NULL, "x"), CLADE_ERR_IO);
}

static void error_paths_and_wraps_join(void **state)
{
    struct error e = {0};
    error_set(&e, CLADE_ERR_INVALID, "[3]", "no space");
    error_prefix_where(&e, "uris");
    error_prefix_where(&e, "ops[%d]", 2);
    assert_string_equal(e.where, "ops[2].uris[3]");
    assert_int_equal(error_wrap(&e, "mapping %s", "data.mdb"), CLADE_ERR_INVALID);
    assert_string_equal(e.message, "mapping data.mdb: no space");
}

static void error_table_answers_for_every_code(void **state)
{
    assert_string_equal(clade_error_name(CLADE_ERR_CONFLICT), "CONFLICT");
    assert_string_equal(clade_error_name(0), "OK");
    assert_string_equal(clade_error_name(1), "UNKNOWN_ERROR");
    assert_string_equal(clade_error_name(-1000), "UNKNOWN_ERROR");
    assert_string_equal(clade_error_name(CLADE_ERR_UNSUPPORTED), "UNSUPPORTED");
    assert_int_equal(clade_error_http(CLADE_ERR_NOT_FOUND), 404);
    assert_int_equal(clade_error_advice(CLADE_ERR_UNKNOWN), CLADE_ADVICE_SESSION);
    assert_non_null(clade_error_text(INT32_MIN));
}

static void hash_sums_carry_and_text_reads_back(void **state)
{
    struct hash128 a = {.low = UINT64_MAX, .high = 1};
    struct hash128 sum = hash128_add(a, (struct hash128){.low = 1});
    assert_true(sum.low == 0 && sum.high == 2);
    struct hash128 back = hash128_subtract(sum, (struct hash128){.low = 1});
    assert_true(back.low == a.low && back.high == a.high);
    char text[33];
    hash128_format(a, text);
    assert_string_equal(text, "0000000000000001ffffffffffffffff");
    assert_true(hash128_parse(span_of(text), &back));
    assert_true(back.low == a.low && back.high == a.high);
    assert_false(hash128_parse(span_of("xyz"), &back));
    assert_false(hash128_parse(span_of("g000000000000001ffffffffffffffff"), &back));
}

static void time_text_reads_as_rfc3339_has_it(void **state)
{
    static const struct {
        const char *text;
        int64_t us; /* -1: refused */
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-03-01T12:00:00Z", 1772366400000000},
        {"2026-03-01t12:00:00.5z", 1772366400500000},
        {"2026-03-01T12:00:00.0000019Z", 1772366400000001},
        {"2026-03-01T14:00:00+02:00", 1772366400000000},
        {"2026-03-01", 1772409599999999},
        {"1969-12-31T23:30:00-01:00", 1800000000},
        {"2000-02-29", 951868799999999},
        {"2016-12-31T23:59:60Z", 1483228800000000},
        {"9999-12-31T23:59:59.999999Z", (int64_t)TIME_US_MAX},
        {"9999-12-31T23:59:59-01:00", -1},
        {"1969-12-31", -1},
        {"1900-02-29", -1},
        {"2023-02-29", -1},
        {"2016-12-31T22:59:60Z", -1},
        {"2026-03-01T12:00:00", -1},
        {"2026-03-01T24:00:00Z", -1},
        {"2026-03-01T12:00:00.Z", -1},
        {"2026-03-01T12:00:00Zx", -1},
        {"2026-13-01", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t us = 42;
        int r = time_parse(span_of(rows[i].text), &us);
        if (r != (rows[i].us < 0 ? CLADE_ERR_INVALID : 0) ||
            us != (rows[i].us < 0 ? 42 : (uint64_t)rows[i].us)) {
            fail_msg("%s: %d, %llu", rows[i].text, r, (unsigned long long)us);
        }
    }
}

static void time_text_written_reads_back(void **state)
{
    for (uint64_t us = 0; us <= TIME_US_MAX; us = us * 3 + 86399999999) {
        char text[TIME_TEXT_BYTES];
        uint64_t back;
        time_format(us, text);
        assert_int_equal(time_parse(span_of(text), &back), 0);
        assert_int_equal(back, us);
    }
    char text[TIME_TEXT_BYTES];
    time_format(1772366400000001, text);
    assert_string_equal(text, "2026-03-01T12:00:00.000001Z");
    time_format(UINT64_MAX, text);
}

static void utf8_is_judged_as_rfc3629_has_it(void **state)
{
    static const struct {
        const char *text;
        bool valid;
        bool printable;
    } rows[] = {
        {"plain ascii text", true, true},
        {"caf\xC3\xA9", true, true},
        {"\xF0\x9F\x98\x80", true, true},
        {"a\nb", true, false},
        {"\x7F", true, false},
        {"\xC2\x85", true, false},
        {"\xC0\x80", false, false},
        {"\xE0\x80\x80", false, false},
        {"\xED\xA0\x80", false, false},
        {"\xF4\x90\x80\x80", false, false},
        {"\xF5\x80\x80\x80", false, false},
        {"12345678\x80", false, false},
        {"\xE2\x82", false, false},
        {"", true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(utf8_is_valid(span_of(rows[i].text)), rows[i].valid);
        assert_int_equal(utf8_is_printable(span_of(rows[i].text)), rows[i].printable);
    }
}

static void log_line(char *line, size_t bytes, enum log_format format, const char *value)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    log_configure(fds[1], format, LOG_INFO);
    log_info("leader changed", LOG_U64("term", 3), LOG_STR("why", value), LOG_I64("n", -1));
    log_debug("not this");
    log_configure(STDERR_FILENO, LOG_TEXT, LOG_INFO);
    close(fds[1]);
    ssize_t n = read(fds[0], line, bytes - 1);
    assert_true(n > 0);
    line[n] = '\0';
    close(fds[0]);
}

static void log_lines_are_escaped_and_whole(void **state)
{
    char line[8192];
    log_line(line, sizeof line, LOG_TEXT, "a\n\"b\"");
    assert_non_null(
        strstr(line, " event=\"leader changed\" term=3 why=\"a\\u000a\\\"b\\\"\" n=-1\n"));
    log_line(line, sizeof line, LOG_JSON, "x\xFFy");
    assert_non_null(
        strstr(line, "\"event\":\"leader changed\",\"term\":3,\"why\":\"x\\ufffdy\",\"n\":-1}\n"));
    char big[6000];
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = '\0';
    log_line(line, sizeof line, LOG_JSON, big);
    assert_non_null(strstr(line, "\"term\":3,\"n\":-1}\n"));
}

static void list_keeps_order(void **state)
{
    struct list l;
    struct list nodes[3] = {0};
    list_init(&l);
    for (int i = 0; i < 3; i++) {
        list_push_back(&l, &nodes[i]);
    }
    list_remove(&nodes[1]);
    assert_false(list_is_linked(&nodes[1]));
    assert_ptr_equal(list_pop_front(&l), &nodes[0]);
    assert_ptr_equal(list_pop_front(&l), &nodes[2]);
    assert_null(list_pop_front(&l));
}

static void keys_in_big_endian_order_as_numbers(void **state)
{
    uint8_t a[8];
    uint8_t b[8];
    put_u64be(a, 255);
    put_u64be(b, 256);
    assert_true(memcmp(a, b, 8) < 0);
    assert_int_equal(get_u64be(b), 256);
}

static void monotonic_clock_does_not_go_back(void **state)
{
    const struct clock *c = clock_system();
    uint64_t first = clock_monotonic_us(c);
    assert_true(clock_monotonic_us(c) >= first);
    assert_true(clock_wall_us(c) > 1600000000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_gives_aligned_memory_up_to_its_cap),
        cmocka_unit_test(arena_copies_are_equal_and_terminated),
        cmocka_unit_test(buffer_append_past_the_cap_fails_and_changes_nothing),
        cmocka_unit_test(buffer_formats_text_longer_than_its_scratch),
        cmocka_unit_test(error_quotes_come_out_as_printable_utf8),
        cmocka_unit_test(error_paths_and_wraps_join),
        cmocka_unit_test(error_table_answers_for_every_code),
        cmocka_unit_test(hash_sums_carry_and_text_reads_back),
        cmocka_unit_test(time_text_reads_as_rfc3339_has_it),
        cmocka_unit_test(time_text_written_reads_back),
        cmocka_unit_test(utf8_is_judged_as_rfc3629_has_it),
        cmocka_unit_test(log_lines_are_escaped_and_whole),
        cmocka_unit_test(list_keeps_order),
        cmocka_unit_test(keys_in_big_endian_order_as_numbers),
        cmocka_unit_test(monotonic_clock_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
