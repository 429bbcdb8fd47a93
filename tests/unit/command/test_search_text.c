/* Searches as text: what only they have, and a table of mistakes with the place of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "command/filter.h"

#define ARENA_BYTES (4u << 20)

static int parse(struct span text, struct search *ret, struct error *e)
{
    static struct arena arena;
    arena_release(&arena);
    arena_init(&arena, ARENA_BYTES);
    *e = (struct error){0};
    return search_parse(text, &arena, ret, e);
}

static void each_row_is_parsed(void **state)
{
    static const char *const rows[] = {
        "",
        "  ",
        "ORDER BY created DESC",
        "name = 'a' order by name, metrics.loss asc, tags.\"a key\" desc",
        "metrics.loss < 0.1 AND max(metrics.acc) >= 0.9 AND count(metric.acc) > 3",
        "metrics.acc ON 'artifact/set' > 0.9 ORDER BY metrics.acc ON 'artifact/set'",
        "depends_on('artifact/a') OR used_by() OR NOT linked(trained_on)",
        "linked(trained_on, (edge.role = 'train' AND name LIKE 'a%'))",
        "depends_on((tags.a = '1' AND used_by((kind = 'run'))))",
        "attributes.run_name = 'x' AND attributes.start_time > 0 AND model_name = 'm'",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct search search;
        struct error e;
        if (parse(span_of(rows[i]), &search, &e) != 0) {
            fail_msg("%s: %s", rows[i], e.message);
        }
    }
}

static void what_is_asked_for_is_said(void **state)
{
    struct search s;
    struct error e;
    assert_int_equal(
        parse(span_of("depends_on() AND linked(a) ORDER BY metrics.m DESC, id"), &s, &e), 0);
    assert_int_equal(s.lineage_len, 2);
    assert_int_equal(s.order_len, 2);
    assert_true(s.uses_metrics && s.order[0].descending && !s.order[1].descending);
    assert_true(span_equal_str(s.filter->first->written, "depends_on()"));
}

/* A phrase, a tab, the query with a '^' before the mistake. */
static bool row_is_right(char *line)
{
    char *query = strchr(line, '\t');
    char place[64];
    struct search search;
    struct error e;
    assert_non_null(query);
    *query++ = '\0';
    query[strcspn(query, "\n")] = '\0';
    char *mark = strchr(query, '^');
    assert_non_null(mark);
    snprintf(place, sizeof place, "at byte %zu of the query", (size_t)(mark - query));
    memmove(mark, mark + 1, strlen(mark));
    int rc = parse(span_of(query), &search, &e);
    bool right = rc < 0 && strstr(e.message, place) != NULL && strstr(e.message, line) != NULL;
    if (!right) {
        print_error("%s: %d %s; wanted: %s, %s\n", query, rc, rc < 0 ? e.message : "", place, line);
    }
    return right;
}

static void each_mistake_is_told_with_its_place(void **state)
{
    FILE *file = fopen(BAD_QUERIES, "r");
    char line[512];
    size_t rows = 0;
    size_t wrong = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        wrong += !row_is_right(line);
        rows++;
    }
    assert_int_equal(wrong, 0);
    assert_true(rows >= 150);
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_parsed),
        cmocka_unit_test(what_is_asked_for_is_said),
        cmocka_unit_test(each_mistake_is_told_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
