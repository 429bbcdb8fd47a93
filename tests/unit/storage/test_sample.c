/* Long series as a few of their points. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "storage/sample.h"

static void make_run(struct fixture *f)
{
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'r'},"
              "{'op':'create','kind':'artifact','name':'test'}]}");
}

static void a_sample_keeps_the_peaks_and_the_ends(void **state)
{
    uint64_t seed = test_seed();
    static struct logged_point points[5000];
    static struct logged_point room[400];
    (void)state;
    for (int round = 0; round < 200; round++) {
        size_t total = 5 + next_random(&seed) % 4995;
        uint32_t max = 4 + (uint32_t)(next_random(&seed) % 396);
        struct series_sums all = {0};
        struct series_sums kept = {0};
        struct sample s;
        sample_init(&s, room, max, total);
        for (size_t i = 0; i < total; i++) {
            double v = next_random(&seed) % 9 == 0 ? NAN : (double)(next_random(&seed) % 100000);
            points[i] = (struct logged_point){
                .point = {.step = (int64_t)(i / 7), .time_ms = i, .value = point_value_of(v)}};
            series_sums_add(&all, &points[i].point);
            sample_add(&s, &points[i]);
        }
        sample_end(&s);
        assert_true(s.len > 0 && s.len <= max);
        for (size_t i = 0; i < s.len; i++) {
            series_sums_add(&kept, &s.points[i].point);
            assert_true(i == 0 || point_compare(&s.points[i - 1].point, &s.points[i].point) < 0);
            assert_int_equal(
                point_compare(&points[s.points[i].point.time_ms].point, &s.points[i].point), 0);
        }
        assert_int_equal(point_compare(&kept.first, &all.first), 0);
        assert_int_equal(point_compare(&kept.last, &all.last), 0);
        assert_int_equal(kept.has_extremes, all.has_extremes);
        assert_int_equal(kept.min.value, all.min.value);
        assert_int_equal(kept.max.value, all.max.value);
    }
}

static void a_sampled_series_says_what_it_stands_for(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    make_run(f);
    buffer_init(&b, 1 << 20);
    buffer_append_str(&b, "{'v':1,'ops':[{'op':'log','ref':'run/r','metrics':"
                          "[{'key':'k','points':[");
    for (int i = 0; i < 1000; i++) {
        buffer_append_fmt(&b, "%s[%d,%d,%d]", i == 0 ? "" : ",", i, i, i == 500 ? 99 : i % 7);
    }
    buffer_append_str(&b, "]},{'key':'l','points':[[1,1,1]]}]}]}");
    buffer_append_u8(&b, 0);
    do_txn(f, (const char *)b.data);
    buffer_release(&b);
    fixture_read(f, QUERY_METRICS, "{'refs':['run/r'],'sample':8}");
    assert_int_equal(answer_count(f, "\"of\":1000"), 1);
    assert_int_equal(answer_count(f, "[500,500,99.0]"), 2); /* max, and among the points */
    assert_int_equal(answer_count(f, "[999,999,5.0]"), 2);
    fixture_read(f, QUERY_METRICS, "{'refs':['run/r'],'sample':8,'from_step':501,'limit':1}");
    assert_int_equal(answer_count(f, "\"of\":499"), 1);
    assert_false(f->answer.complete);
    char params[512];
    snprintf(params, sizeof params, "{'refs':['run/r'],'sample':8,'from_step':501,'cursor':'%.*s'}",
             SPAN_FMT(f->answer.cursor));
    fixture_read(f, QUERY_METRICS, params);
    assert_int_equal(answer_count(f, "\"key\":\"l\""), 1);
    assert_int_equal(answer_count(f, "\"key\":\"k\""), 0);
    assert_true(f->answer.complete);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_keeps_the_peaks_and_the_ends),
        cmocka_unit_test_setup_teardown(a_sampled_series_says_what_it_stands_for, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
