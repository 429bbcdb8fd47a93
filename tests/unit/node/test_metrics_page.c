/* The text of metrics, byte by byte, and which namespaces get a place among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/metrics_page.h"
#include "node/request_metrics.h"

static const struct metric_family gauge = {"a_gauge", METRIC_GAUGE, "what it says"};
static const struct metric_family counter = {"a_counter_total", METRIC_COUNTER, "what it counts"};
static const struct metric_family histogram = {"a_seconds", METRIC_HISTOGRAM, "how long"};

static void assert_page(struct metrics_page *page, const char *expected)
{
    metrics_page_end(page);
    assert_false(page->out.failed);
    assert_true(buffer_append_u8(&page->out, 0));
    assert_string_equal((const char *)page->out.data, expected);
    buffer_release(&page->out);
}

static void put_gauge_and_counter(struct metrics_page *page)
{
    const struct metric_label labels[] = {
        {"x", span_of("a\"b\\c\nd")}, {"y", span_of("")}, {.name = NULL}};
    metrics_page_begin(page, &gauge);
    metrics_put(page, labels, 7);
    metrics_put_millionths(page, NULL, -1500);
    metrics_page_begin(page, &counter);
    metrics_put(page, NULL, UINT64_MAX);
}

static void labels_are_escaped_and_millionths_are_exact(void **state)
{
    struct metrics_page page;
    metrics_page_init(&page, false, 4096);
    put_gauge_and_counter(&page);
    assert_page(&page, "# HELP a_gauge what it says\n# TYPE a_gauge gauge\n"
                       "a_gauge{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 7\na_gauge -0.001500\n"
                       "# HELP a_counter_total what it counts\n# TYPE a_counter_total counter\n"
                       "a_counter_total 18446744073709551615\n");
}

static void openmetrics_names_the_family_of_a_counter_without_total_and_has_an_end(void **state)
{
    struct metrics_page page;
    metrics_page_init(&page, true, 4096);
    put_gauge_and_counter(&page);
    assert_page(&page, "# HELP a_gauge what it says\n# TYPE a_gauge gauge\n"
                       "a_gauge{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 7\na_gauge -0.001500\n"
                       "# HELP a_counter what it counts\n# TYPE a_counter counter\n"
                       "a_counter_total 18446744073709551615\n# EOF\n");
}

static void a_histogram_counts_up_to_each_bound_and_all(void **state)
{
    struct metric_histogram h = {.sum_us = 0};
    struct metric_histogram sum = {.sum_us = 0};
    const uint64_t observed[] = {0, 100, 101, 1000000, 10000001};
    for (size_t i = 0; i < sizeof observed / sizeof observed[0]; i++) {
        metric_observe(&h, observed[i]);
    }
    metric_gather(&sum, &h);
    metric_gather(&sum, &h);
    struct metrics_page page;
    metrics_page_init(&page, false, 4096);
    metrics_page_begin(&page, &histogram);
    metrics_put_histogram(&page, NULL, &sum);
    assert_page(&page, "# HELP a_seconds how long\n# TYPE a_seconds histogram\n"
                       "a_seconds_bucket{le=\"0.0001\"} 4\na_seconds_bucket{le=\"0.00025\"} 6\n"
                       "a_seconds_bucket{le=\"0.0005\"} 6\na_seconds_bucket{le=\"0.001\"} 6\n"
                       "a_seconds_bucket{le=\"0.0025\"} 6\na_seconds_bucket{le=\"0.005\"} 6\n"
                       "a_seconds_bucket{le=\"0.01\"} 6\na_seconds_bucket{le=\"0.025\"} 6\n"
                       "a_seconds_bucket{le=\"0.05\"} 6\na_seconds_bucket{le=\"0.1\"} 6\n"
                       "a_seconds_bucket{le=\"0.25\"} 6\na_seconds_bucket{le=\"0.5\"} 6\n"
                       "a_seconds_bucket{le=\"1.0\"} 8\na_seconds_bucket{le=\"2.5\"} 8\n"
                       "a_seconds_bucket{le=\"5.0\"} 8\na_seconds_bucket{le=\"10.0\"} 8\n"
                       "a_seconds_bucket{le=\"+Inf\"} 10\na_seconds_sum 22.000404\n"
                       "a_seconds_count 10\n");
}

static void a_page_that_does_not_fit_says_so(void **state)
{
    struct metrics_page page;
    metrics_page_init(&page, false, 60);
    put_gauge_and_counter(&page);
    assert_true(page.out.failed);
    buffer_release(&page.out);
}

static void as_many_namespaces_as_there_are_places_get_one_each(void **state)
{
    struct namespace_places *p = namespace_places_new();
    char path[16];
    for (unsigned i = 1; i < NAMESPACES_MAX; i++) {
        (void)snprintf(path, sizeof path, "team/%u", i);
        assert_int_equal(namespace_places_find(p, span_of(path)), 0);
        assert_int_equal(namespace_places_add(p, span_of(path)), i);
        assert_int_equal(namespace_places_add(p, span_of(path)), i);
        assert_int_equal(namespace_places_find(p, span_of(path)), i);
    }
    assert_int_equal(namespace_places_len(p), NAMESPACES_MAX);
    assert_int_equal(namespace_places_add(p, span_of("one/more")), 0);
    assert_true(span_equal_str(namespace_places_path(p, 2), "team/2"));
    namespace_places_free(p);
}

static void a_path_that_is_too_long_gets_no_place(void **state)
{
    static char path[CLADE_MAX_NAMESPACE_BYTES + 1];
    memset(path, 'a', sizeof path);
    struct namespace_places *p = namespace_places_new();
    assert_int_equal(namespace_places_add(p, span_make(path, sizeof path)), 0);
    assert_int_equal(namespace_places_add(p, span_make(path, 0)), 0);
    assert_int_equal(namespace_places_add(p, span_make(path, sizeof path - 1)), 1);
    namespace_places_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_escaped_and_millionths_are_exact),
        cmocka_unit_test(openmetrics_names_the_family_of_a_counter_without_total_and_has_an_end),
        cmocka_unit_test(a_histogram_counts_up_to_each_bound_and_all),
        cmocka_unit_test(a_page_that_does_not_fit_says_so),
        cmocka_unit_test(as_many_namespaces_as_there_are_places_get_one_each),
        cmocka_unit_test(a_path_that_is_too_long_gets_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
