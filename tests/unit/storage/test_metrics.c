/* How series are read: by range, sampled, in pages. */
#include <stdio.h>
#include <string.h>

#include "fixture.h"

static void make_run(struct fixture *f)
{
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'r'},"
              "{'op':'create','kind':'artifact','name':'test'}]}");
}

#define LOG(what) "{'v':1,'ops':[{'op':'log','ref':'run/r'," what "}]}"

static void a_range_holds_both_its_ends(void **state)
{
    struct fixture *f = *state;
    make_run(f);
    do_txn(f,
           LOG("'metrics':[{'key':'a','points':[[1,1000,1],[2,2000,2],[3,1500,3],[4,4000,4]]}]"));
    static const struct {
        const char *params;
        const char *points;
    } rows[] = {
        {"'from_step':2", "[[2,2000,2.0],[3,1500,3.0],[4,4000,4.0]]"},
        {"'to_step':2", "[[1,1000,1.0],[2,2000,2.0]]"},
        {"'from_step':2,'to_step':3", "[[2,2000,2.0],[3,1500,3.0]]"},
        {"'from_step':-1,'to_step':0", "[]"},
        {"'from_time':1500,'to_time':2000", "[[2,2000,2.0],[3,1500,3.0]]"},
        {"'from_time':'1970-01-01T00:00:02Z'", "[[2,2000,2.0],[4,4000,4.0]]"},
        {"'from_step':3,'to_time':1999", "[[3,1500,3.0]]"},
        {"'from_step':3,'to_time':3999,'sample':4", "[[3,1500,3.0]]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char params[128];
        char want[512];
        snprintf(params, sizeof params, "{'refs':['run/r'],%s}", rows[i].params);
        snprintf(want, sizeof want,
                 "[{'ref':'run/r','id':2,'key':'a','count':4,'first':[1,1000,1.0],"
                 "'last':[4,4000,4.0],'min':[1,1000,1.0],'max':[4,4000,4.0],'points':%s}]",
                 rows[i].points);
        assert_int_equal(fixture_read(f, QUERY_METRICS, params), 0);
        assert_answer(f, want);
    }
}

static void a_sample_longer_than_a_page_is_a_page_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    make_run(f);
    buffer_init(&b, 1 << 16);
    buffer_append_str(&b, "{'v':1,'ops':[{'op':'log','ref':'run/r','metrics':[{'key':'a',"
                          "'points':[[0,1,0]");
    for (int i = 1; i < 60; i++) {
        buffer_append_fmt(&b, ",[%d,1,%d]", i, i % 2 == 0 ? i : -i);
    }
    buffer_append_str(&b, "]}]}]}");
    buffer_append_u8(&b, 0);
    do_txn(f, (const char *)b.data);
    buffer_release(&b);
    /* Four stand beside the points. */
    assert_int_equal(fixture_read(f, QUERY_METRICS, "{'refs':['run/r'],'sample':40}"), 0);
    size_t whole = answer_count(f, ",1,");
    assert_true(whole > 4 + 4);
    assert_int_equal(
        fixture_read(f, QUERY_METRICS, "{'refs':['artifact/test','run/r'],'sample':40,'limit':4}"),
        0);
    assert_int_equal(answer_count(f, ",1,"), whole);
    /* An answer for a reference goes first. */
    assert_int_equal(
        fixture_read(f, QUERY_METRICS, "{'refs':['run/none','run/r'],'sample':40,'limit':4}"), 0);
    assert_int_equal(answer_count(f, "NOT_FOUND"), 1);
    assert_false(f->answer.complete);
    char next[1024];
    snprintf(next, sizeof next,
             "{'refs':['run/none','run/r'],'sample':40,'limit':4,'cursor':'%.*s'}",
             SPAN_FMT(f->answer.cursor));
    assert_int_equal(fixture_read(f, QUERY_METRICS, next), 0);
    assert_int_equal(answer_count(f, ",1,"), whole);
}

static void pages_of_many_series_fit_together(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    make_run(f);
    buffer_init(&b, 1 << 20);
    buffer_append_str(&b, "{'v':1,'ops':[{'op':'create','kind':'run','name':'s'},"
                          "{'op':'log','ref':'run/r','metrics':[");
    for (int i = 0; i < 20; i++) {
        buffer_append_fmt(&b,
                          "%s{'key':'k%d','points':[[1,1,1],[2,1,1],[3,1,1]]},"
                          "{'key':'k%d','on':'artifact/test','points':[[1,1,1]]}",
                          i == 0 ? "" : ",", i, i);
    }
    buffer_append_str(&b,
                      "]},{'op':'log','ref':'$0','metrics':[{'key':'z','points':[[1,1,1]]}]}]}");
    buffer_append_u8(&b, 0);
    do_txn(f, (const char *)b.data);
    buffer_release(&b);
    static const struct {
        const char *more;
        unsigned points;
        unsigned heads; /* at least */
    } rows[] = {
        {"", 81, 41},
        {",'last':true", 0, 41},
        {",'on':null", 61, 21},
        {",'on':'artifact/test'", 20, 20},
        {",'keys':['k7','z','k3','none']", 9, 5},
        {",'from_step':2", 40, 41},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (unsigned limit = 1; limit < 9; limit++) {
            unsigned points = 0;
            unsigned heads = 0;
            char cursor[1024] = "";
            do {
                char params[2048];
                snprintf(params, sizeof params,
                         "{'refs':['run/r','run/none','run/s'],'limit':%u%s%s%s%s}", limit,
                         rows[i].more, cursor[0] != 0 ? ",'cursor':'" : "", cursor,
                         cursor[0] != 0 ? "'" : "");
                assert_int_equal(fixture_read(f, QUERY_METRICS, params), 0);
                snprintf(cursor, sizeof cursor, "%.*s", SPAN_FMT(f->answer.cursor));
                const struct value *v;
                assert_int_equal(value_decode(buffer_span(&f->out), &value_limits_answer, &f->arena,
                                              &v, &f->error),
                                 0);
                unsigned here = 0;
                for (size_t k = 0; k < value_len(v); k++) {
                    heads += value_get(value_at(v, k), "key") != NULL;
                    here += (unsigned)value_len(value_get(value_at(v, k), "points"));
                }
                assert_true(here <= limit);
                points += here;
            } while (cursor[0] != 0);
            assert_int_equal(points, rows[i].points);
            assert_true(heads >= rows[i].heads);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_range_holds_both_its_ends),
        TEST(a_sample_longer_than_a_page_is_a_page_of_its_own),
        TEST(pages_of_many_series_fit_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
