#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/table.h"

static const struct table_column columns[] = {
    {"NAME", TABLE_LEFT, true}, {"N", TABLE_RIGHT, false}, {"TEXT", TABLE_LEFT, true}};

static char *render(const char *const cells[], size_t cells_len, unsigned terminal_columns)
{
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    struct table t;
    table_init(&t, columns, 3);
    for (size_t i = 0; i < cells_len; i++) {
        assert_true(table_add(&t, span_of(cells[i])));
    }
    table_flush(&t, stream, terminal_columns, false);
    table_release(&t);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    static const char *const cells[] = {"a", "7", "x", "longer", "1234", ""};
    char *text = render(cells, 6, 0);
    assert_string_equal(text, "NAME       N  TEXT\n"
                              "a          7  x\n"
                              "longer  1234  \n");
    free(text);
}

static void wide_and_combining_characters_are_counted_in_cells(void **state)
{
    static const char *const cells[] = {
        "\xe6\xa8\xa1\xe5\x9e\x8b", "1", "x", "e\xcc\x81", "2", "y"};
    char *text = render(cells, 6, 0);
    assert_string_equal(text, "NAME  N  TEXT\n"
                              "\xe6\xa8\xa1\xe5\x9e\x8b  1  x\n"
                              "e\xcc\x81     2  y\n");
    free(text);
}

static void the_widest_elastic_column_gives_way_to_the_terminal(void **state)
{
    static const char *const cells[] = {"name", "1", "a text that does not fit"};
    char *text = render(cells, 3, 20);
    assert_string_equal(text, "NAME  N  TEXT\n"
                              "name  1  a text tha\xe2\x80\xa6\n");
    free(text);
}

static void columns_stay_aligned_where_a_wide_character_is_cut_away(void **state)
{
    /* Nine cells take four wide characters and the mark; of eight one is left over. */
    static const char *const cells[] = {
        "\xe6\xa8\xa1\xe5\x9e\x8b\xe6\xa8\xa1\xe5\x9e\x8b\xe6\xa8\xa1",
        "1",
        "x",
        "abcdefghij",
        "2",
        "y"};
    char *text = render(cells, 6, 18);
    assert_string_equal(text, "NAME       N  TEXT\n"
                              "\xe6\xa8\xa1\xe5\x9e\x8b\xe6\xa8\xa1\xe5\x9e\x8b\xe2\x80\xa6  1  x\n"
                              "abcdefgh\xe2\x80\xa6  2  y\n");
    free(text);
    text = render(cells, 6, 17);
    assert_string_equal(text, "NAME      N  TEXT\n"
                              "\xe6\xa8\xa1\xe5\x9e\x8b\xe6\xa8\xa1\xe2\x80\xa6   1  x\n"
                              "abcdefg\xe2\x80\xa6  2  y\n");
    free(text);
}

static void control_characters_cannot_reach_a_terminal(void **state)
{
    static const char *const cells[] = {"a\x1b[31m", "1", "x\ny\xc2\x9bz"};
    char *text = render(cells, 3, 0);
    assert_string_equal(text, "NAME    N  TEXT\n"
                              "a [31m  1  x y z\n");
    free(text);
}

static void bytes_that_are_not_utf8_do_not_break_the_layout(void **state)
{
    static const char *const cells[] = {"\xff\xfe", "1", "\xe6\xa8"};
    char *text = render(cells, 3, 0);
    assert_non_null(text);
    free(text);
}

int main(void)
{
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(wide_and_combining_characters_are_counted_in_cells),
        cmocka_unit_test(the_widest_elastic_column_gives_way_to_the_terminal),
        cmocka_unit_test(columns_stay_aligned_where_a_wide_character_is_cut_away),
        cmocka_unit_test(control_characters_cannot_reach_a_terminal),
        cmocka_unit_test(bytes_that_are_not_utf8_do_not_break_the_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
