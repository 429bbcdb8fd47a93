#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/lines.h"
#include "cli/names.h"
#include "cli/tsv.h"

static void a_line_is_cut_or_refused_with_a_reason(void **state)
{
    static const struct {
        const char *line;
        unsigned required;
        const char *complaint; /* NULL = it is good */
    } rows[] = {
        {"a\tb\tc", 7, NULL},
        {"a\t\t", 1, NULL},
        {"a\t\tc", 7, "field 2 is empty"},
        {"a\tb", 1, "2 fields where 3"},
        {"a", 1, "1 field where 3"},
        {"a\tb\tc\td", 1, "4 fields where 3"},
        {"\tb\tc", 1, "field 1 is empty"},
        {"a\xff\tb\tc", 1, "not UTF-8"},
        {"a\tb\x07\tc", 1, "field 2 has a control character"},
        {"a\tb\t\xc3\xa4", 7, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span fields[TSV_FIELDS];
        struct error error = {0};
        int err = tsv_parse(span_of(rows[i].line), rows[i].required, fields, &error);
        if (rows[i].complaint == NULL) {
            assert_int_equal(err, 0);
            assert_true(span_equal_str(fields[0], "a"));
        } else {
            assert_int_equal(err, CLADE_ERR_INVALID);
            assert_non_null(strstr(error.message, rows[i].complaint));
        }
    }
}

static void the_fields_are_those_between_the_tabs(void **state)
{
    struct span fields[TSV_FIELDS];
    struct error error = {0};
    assert_int_equal(tsv_parse(span_of("one\ttwo\tthree"), 7, fields, &error), 0);
    assert_true(span_equal_str(fields[0], "one"));
    assert_true(span_equal_str(fields[1], "two"));
    assert_true(span_equal_str(fields[2], "three"));
}

static FILE *file_of(const char *text, size_t len)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
    return file;
}

static void lines_come_without_ends_and_marks(void **state)
{
    static const char text[] = "\xef\xbb\xbfone\r\n\ntwo\nlast";
    static const char *const expected[] = {"one", "", "two", "last"};
    FILE *file = file_of(text, sizeof text - 1);
    struct lines l;
    struct span line;
    assert_int_equal(lines_init(&l, fileno(file)), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(lines_next(&l, &line), LINES_LINE);
        assert_int_equal(l.number, i + 1);
        assert_true(span_equal_str(line, expected[i]));
    }
    assert_int_equal(lines_next(&l, &line), LINES_END);
    lines_release(&l);
    assert_int_equal(fclose(file), 0);
}

/* A line of `len` bytes stands between two short ones. */
static int middle_line(size_t len, size_t *ret_len)
{
    char *text = malloc(len + 16);
    assert_non_null(text);
    memcpy(text, "first\n", 6);
    memset(text + 6, 'x', len);
    memcpy(text + 6 + len, "\nthird\n", 7);
    FILE *file = file_of(text, len + 13);
    struct lines l;
    struct span line;
    assert_int_equal(lines_init(&l, fileno(file)), 0);
    assert_int_equal(lines_next(&l, &line), LINES_LINE);
    int result = lines_next(&l, &line);
    *ret_len = line.len;
    assert_int_equal(l.number, 2);
    assert_int_equal(lines_next(&l, &line), LINES_LINE);
    assert_int_equal(l.number, 3);
    assert_true(span_equal_str(line, "third"));
    lines_release(&l);
    assert_int_equal(fclose(file), 0);
    free(text);
    return result;
}

static void a_line_that_is_too_long_is_passed_over(void **state)
{
    size_t len;
    assert_int_equal(middle_line(LINES_BYTES_MAX, &len), LINES_LINE);
    assert_int_equal(len, LINES_BYTES_MAX);
    assert_int_equal(middle_line(LINES_BYTES_MAX + 1, &len), LINES_TOO_LONG);
    assert_int_equal(middle_line(LINES_BYTES_MAX * 5, &len), LINES_TOO_LONG);
}

static void every_name_is_found_with_its_first_value(void **state)
{
    struct names n = {0};
    char name[32];
    uint64_t value = 0;
    for (unsigned i = 0; i < 20000; i++) {
        int len = snprintf(name, sizeof name, "name-%u", i);
        assert_true(names_add(&n, span_make(name, (size_t)len), (uint8_t)(i % 7)));
        assert_true(names_add(&n, span_make(name, (size_t)len), 9));
    }
    for (unsigned i = 0; i < 20000; i++) {
        int len = snprintf(name, sizeof name, "name-%u", i);
        assert_true(names_find(&n, span_make(name, (size_t)len), &value));
        assert_int_equal(value, i % 7);
    }
    assert_int_equal(n.len, 20000);
    assert_false(names_find(&n, span_of("name-20000"), &value));
    assert_false(names_find(&n, span_of(""), &value));
    names_release(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_cut_or_refused_with_a_reason),
        cmocka_unit_test(the_fields_are_those_between_the_tabs),
        cmocka_unit_test(lines_come_without_ends_and_marks),
        cmocka_unit_test(a_line_that_is_too_long_is_passed_over),
        cmocka_unit_test(every_name_is_found_with_its_first_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
