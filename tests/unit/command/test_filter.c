/* The query language: what is parsed, what is refused and where, numbers, LIKE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "command/filter.h"

#define ARENA_BYTES (4u << 20)

static int parse(const char *text, struct arena *arena, const struct filter **ret, struct error *e)
{
    *e = (struct error){0};
    return filter_parse(span_of(text), arena, ret, e);
}

static void each_row_is_parsed_or_refused_with_the_byte(void **state)
{
    static const struct {
        const char *text;
        const char *says; /* NULL: it is parsed */
    } rows[] = {
        {"name = 'a'", NULL},
        {"name='a' AND NOT (owner != \"b\" or status in ('x','y'))", NULL},
        {"tags.k = 'v'", NULL},
        {"tags.\"a key\" = 'v' and tags.`another one` like '%'", NULL},
        {"tags.mlflow.source.name = 'x'", NULL},
        {"params.lr between 0.1 and 1e-3 and params.n not between 1 and 2", NULL},
        {"props.f = true OR props.g <> FALSE", NULL},
        {"attributes.start_time > 5 and attr.end is not null", NULL},
        {"created >= '2026-03-01T12:00:00Z'", NULL},
        {"model = 'model/m' and run in ('run/r', 'id/7')", NULL},
        {"uris ilike 's3://%' or digests = 'x:1'", NULL},
        {"size < 18446744073709551615 and number == 7", NULL},
        {"alias = 'champion' and stage is null", NULL},
        {"name = 'it''s'", NULL},
        {"", "byte 0"},
        {"   ", "byte 3"},
        {"name", "byte 4"},
        {"name =", "byte 6"},
        {"name = a", "byte 7"},
        {"name = 5", "byte 7"},
        {"name = 'a", "the quote is not closed"},
        {"name = 'a' and", "byte 14"},
        {"name = 'a' name = 'b'", "byte 11"},
        {"(name = 'a'", "byte 11"},
        {"name = 'a')", "byte 10"},
        {"nothing = 'a'", "there is no such attribute"},
        {"tags = 'a'", "there is no such attribute"},
        {"tags. = 'a'", "a key is expected"},
        {"tag.k", "expected ="},
        {"metrics.loss < 1", "metrics cannot be asked for here"},
        {"stuff.k = 1", "a key with a dot"},
        {"size = 'a'", "a number is expected"},
        {"size = 1x", "this is no number"},
        {"size = -", "this is no number"},
        {"size = .", "this is no number"},
        {"created > '2026-03-01'", "a time with an offset"},
        {"created > '2026-03-01T12:00:00'", "a time with an offset"},
        {"run = 'r'", "a reference is expected"},
        {"run = '$0'", "a reference is expected"},
        {"run < 'run/r'", "can only be equal or not"},
        {"props.x > true", "can only be equal or not"},
        {"run like 'run/%'", "only texts are LIKE"},
        {"name like 5", "a pattern in quotes"},
        {"name not = 'a'", "expected ="},
        {"name in 'a'", "a list in parentheses"},
        {"name in ()", "a value is expected"},
        {"name in ('a' 'b')", "a ',' or a ')'"},
        {"name between 'a' 'b'", "AND is expected"},
        {"name is 'a'", "NULL is expected"},
        {"name ! 'a'", "expected ="},
        {"'name' = 'a'", "is expected"},
        {"not", "byte 3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena arena;
        struct error e;
        const struct filter *f = NULL;
        arena_init(&arena, ARENA_BYTES);
        int rc = parse(rows[i].text, &arena, &f, &e);
        if (rc != (rows[i].says == NULL ? 0 : CLADE_ERR_INVALID) ||
            (rows[i].says != NULL && strstr(e.message, rows[i].says) == NULL)) {
            fail_msg("%s: %d %s", rows[i].text, rc, e.message);
        }
        arena_release(&arena);
    }
}

static void what_is_too_long_or_too_deep_is_refused(void **state)
{
    struct arena arena;
    struct error e;
    const struct filter *f;
    arena_init(&arena, ARENA_BYTES);
    static char text[CLADE_MAX_QUERY_BYTES + 2];
    memset(text, ' ', sizeof text - 1);
    memcpy(text, "name='a'", 8);
    assert_int_equal(parse(text, &arena, &f, &e), CLADE_ERR_LIMIT);
    text[CLADE_MAX_QUERY_BYTES] = '\0';
    assert_int_equal(parse(text, &arena, &f, &e), 0);
    memset(text, '(', sizeof text - 1);
    assert_int_equal(parse(text, &arena, &f, &e), CLADE_ERR_LIMIT);
    size_t n = 0;
    while (n + 4 < CLADE_MAX_QUERY_BYTES) {
        memcpy(text + n, "not ", 4);
        n += 4;
    }
    text[n] = '\0';
    assert_int_equal(parse(text, &arena, &f, &e), CLADE_ERR_LIMIT);
    arena_release(&arena);
}

/* As many values and conditions as fit cost memory by their number, not by its square. */
static void the_longest_queries_fit_in_a_small_arena(void **state)
{
    static const char *const forms[] = {"name in (''%s)", "id=1%s"};
    static const char *const more[] = {",''", " or id=1"};
    static char text[CLADE_MAX_QUERY_BYTES + 1];
    for (int form = 0; form < 2; form++) {
        struct arena arena;
        struct error e;
        const struct filter *f;
        size_t n = (size_t)(strchr(forms[form], '%') - forms[form]);
        memcpy(text, forms[form], n);
        while (n + 16 < CLADE_MAX_QUERY_BYTES) {
            memcpy(text + n, more[form], strlen(more[form]));
            n += strlen(more[form]);
        }
        snprintf(text + n, sizeof text - n, "%s", strchr(forms[form], '%') + 2);
        arena_init(&arena, ARENA_BYTES);
        if (parse(text, &arena, &f, &e) != 0) {
            fail_msg("%s", e.message);
        }
        arena_release(&arena);
    }
}

static void numbers_are_compared_exactly_when_they_are_whole(void **state)
{
    static const char *const ascending[] = {"-1e300",
                                            "-18446744073709551615",
                                            "-9007199254740993",
                                            "-9007199254740992",
                                            "-1.5",
                                            "-1",
                                            "-0",
                                            "1e-300",
                                            ".5",
                                            "1.",
                                            "1.0000001",
                                            "2",
                                            "9007199254740992",
                                            "9007199254740993",
                                            "18446744073709551615",
                                            "1e20"};
    size_t len = sizeof ascending / sizeof *ascending;
    for (size_t i = 0; i < len; i++) {
        for (size_t j = 0; j < len; j++) {
            struct filter_number a;
            struct filter_number b;
            assert_true(filter_parse_number(span_of(ascending[i]), &a));
            assert_true(filter_parse_number(span_of(ascending[j]), &b));
            int order = filter_compare_numbers(&a, &b);
            if ((order > 0) - (order < 0) != (i > j) - (i < j)) {
                fail_msg("%s and %s: %d", ascending[i], ascending[j], order);
            }
        }
    }
    static const char *const none[] = {"", "+", "1e", "1e+", "e5", ".", "nan", "inf", "0x1", "1 "};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct filter_number n;
        assert_false(filter_parse_number(span_of(none[i]), &n));
    }
}

static void like_matches_as_its_rows_say(void **state)
{
    static const struct {
        const char *text;
        const char *pattern;
        bool fold;
        bool matches;
    } rows[] = {
        {"", "", false, true},
        {"", "%", false, true},
        {"", "_", false, false},
        {"abc", "abc", false, true},
        {"abc", "ab", false, false},
        {"abc", "a%", false, true},
        {"abc", "%c", false, true},
        {"abc", "%b%", false, true},
        {"abc", "%d%", false, false},
        {"abc", "a_c", false, true},
        {"abc", "ABC", false, false},
        {"abc", "A%C", true, true},
        {"aXbXc", "a%X_", false, true},
        {"50%", "50\\%", false, true},
        {"50x", "50\\%", false, false},
        {"a\\", "a\\", false, true},
        {"für", "f_r", false, true},
        {"\xf0\x9f\x90\x8d!", "_!", false, true},
        {"aab", "%ab", false, true},
        {"mississippi", "m%iss%ip%", false, true},
        {"mississippi", "m%iss%ix%", false, false},
        {"x", "%%%_%%", false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t steps = 1000;
        if (filter_like(span_of(rows[i].text), span_of(rows[i].pattern), rows[i].fold, &steps) !=
            rows[i].matches) {
            fail_msg("'%s' LIKE '%s'", rows[i].text, rows[i].pattern);
        }
    }
    static char a[10000];
    memset(a, 'a', sizeof a);
    uint64_t steps = 50;
    assert_false(filter_like(span_make(a, sizeof a), span_of("%b"), false, &steps));
    assert_int_equal(steps, 0);
}

static void the_shape_of_a_query_has_none_of_its_values(void **state)
{
    static const struct {
        const char *text;
        const char *shape;
    } rows[] = {
        {"name='a' AND NOT (owner != \"b\" or size in (1,-2e3))",
         "name = ? AND NOT ( owner != ? or size in ( ? , ? ) )"},
        {"tags.\"a key\" = 'it''s secret' and tags.k like '%x'",
         "tags.\"a key\" = ? and tags.k like ?"},
        {"depends_on('artifact/x') ORDER BY max(metrics.acc ON 'artifact/y') DESC",
         "depends_on ( ? ) ORDER BY max ( metrics.acc ON ? ) DESC"},
        {"tags. 'x' = 5", "tags. ? = ?"},
        {"name = 'not closed", "name ="},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena arena;
        struct buffer out;
        arena_init(&arena, ARENA_BYTES);
        buffer_init(&out, 4096);
        filter_shape(span_of(rows[i].text), &arena, &out);
        assert_true(buffer_append_u8(&out, 0));
        assert_string_equal((const char *)out.data, rows[i].shape);
        buffer_release(&out);
        arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_parsed_or_refused_with_the_byte),
        cmocka_unit_test(what_is_too_long_or_too_deep_is_refused),
        cmocka_unit_test(the_longest_queries_fit_in_a_small_arena),
        cmocka_unit_test(numbers_are_compared_exactly_when_they_are_whole),
        cmocka_unit_test(the_shape_of_a_query_has_none_of_its_values),
        cmocka_unit_test(like_matches_as_its_rows_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
