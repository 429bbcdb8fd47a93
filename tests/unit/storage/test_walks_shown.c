/* impact, provenance, paths and diff: what they say of each thing, and where budgets end them. */
#include "lineage_fixture.h"

/* --- By hand ---------------------------------------------------------------------------------- */

/* raw (2, deleted) <- clean (3) <- train (4, run) <- m/1 (6), m/2 (7); m/2 serves; code (8). */
static void make_story(struct fixture *f)
{
    run(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'raw'},"
           "{'op':'create','kind':'artifact','name':'clean','digests':['md5:00'],'size':7},"
           "{'op':'create','kind':'run','name':'train'},"
           "{'op':'create','kind':'model','name':'m'},"
           "{'op':'create','kind':'version','model':'$3','run':'$2'},"
           "{'op':'create','kind':'version','model':'$3','run':'$2'},"
           "{'op':'create','kind':'artifact','name':'src','uris':['git+https://x/y@1']},"
           "{'op':'link','from':'$1','label':'derived_from','to':'$0'},"
           "{'op':'link','from':'$2','label':'consumed','to':'$1'},"
           "{'op':'link','from':'$2','label':'consumed','to':'$6'},"
           "{'op':'link','from':'$5','label':'trained_on','to':'$1'},"
           "{'op':'link','from':'$4','label':'evaluated_on','to':'$1'},"
           "{'op':'log','ref':'$4','params':{'lr':'1','seed':'7'}},"
           "{'op':'log','ref':'$5','params':{'lr':'2','seed':'7'},"
           "'metrics':[{'key':'acc','points':[[1,5,0.5]]}]},"
           "{'op':'set_alias','ref':'$5','alias':'best'},"
           "{'op':'create','kind':'deployment','name':'prod'},"
           "{'op':'set_targets','ref':'$15','targets':"
           "[{'version':'$5','share':10000,'mode':'serving'}]}]}");
    run(f, "{'v':1,'ops':[{'op':'delete','ref':'artifact/raw'}]}");
}

static void impact_says_what_uses_it_and_by_which_path(void **state)
{
    struct fixture *f = *state;
    make_story(f);
    assert_int_equal(fixture_read(f, QUERY_IMPACT, "{'ref':'id/2'}"), 0);
    assert_answer(
        f,
        "[{'id':7,'kind':'version','ref':'version/m/2','state':'live','depth':2,"
        "'uses':[{'alias':'best'},"
        "{'deployment':'deployment/prod','share':10000,'mode':'serving'}],"
        "'path':[{'id':2,'kind':'artifact','ref':'artifact/raw','state':'deleted'},"
        "{'id':3,'kind':'artifact','ref':'artifact/clean','state':'live',"
        "'labels':['derived_from']},"
        "{'id':7,'kind':'version','ref':'version/m/2','state':'live','labels':['trained_on']}]}]");
    assert_int_equal(fixture_read(f, QUERY_IMPACT, "{'ref':'id/2','state':'deleted'}"), 0);
    assert_answer(f, "[]");
    assert_int_equal(fixture_read(f, QUERY_IMPACT, "{'ref':'id/2','query':'number = 1'}"), 0);
    assert_answer(f, "[]");
    assert_int_equal(fixture_read(f, QUERY_IMPACT, "{'ref':'id/2','depth':1}"), 0);
    assert_answer(f, "[]");
    assert_int_equal(fixture_read(f, QUERY_IMPACT, "{'ref':'artifact/raw'}"), CLADE_ERR_NOT_FOUND);
    assert_string_equal(f->error.where, "ref");
}

static void provenance_says_what_each_is_and_by_what_it_is_known(void **state)
{
    struct fixture *f = *state;
    make_story(f);
    assert_int_equal(fixture_read(f, QUERY_PROVENANCE, "{'ref':'version/m/1'}"), 0);
    assert_answer(f,
                  "[{'id':4,'kind':'run','ref':'run/train','state':'live','depth':1,'role':'run'},"
                  "{'id':3,'kind':'artifact','ref':'artifact/clean','state':'live','depth':2,"
                  "'role':'data','digests':['md5:00'],'size':7},"
                  "{'id':8,'kind':'artifact','ref':'artifact/src','state':'live','depth':2,"
                  "'role':'code','uris':['git+https://x/y@1']},"
                  "{'id':2,'kind':'artifact','ref':'artifact/raw','state':'deleted','depth':3,"
                  "'role':'data'}]");
}

static void a_query_says_what_is_shown_and_not_what_is_walked_through(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *query;
        const char *ids;
    } rows[] = {
        {"", "[3,4,2,8]"},
        {"kind = \\u0027artifact\\u0027", "[3,2,8]"},
        {"name LIKE \\u0027r%\\u0027", "[2]"},
        {"state = \\u0027deleted\\u0027", "[2]"},
        {"uris IS NOT NULL OR digests = \\u0027md5:00\\u0027", "[3,8]"},
        {"depends_on(\\u0027id/2\\u0027)", "[3,4]"},
        {"used_by((kind = \\u0027version\\u0027)) AND NOT kind = \\u0027run\\u0027", "[3,2,8]"},
        {"name = \\u0027nothing\\u0027", "[]"},
    };
    char text[256];
    make_story(f);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(text, sizeof text, "{'ref':'version/m/1','view':'ids','query':'%s'}",
                 rows[i].query);
        assert_int_equal(fixture_read(f, QUERY_LINEAGE, text), 0);
        assert_answer(f, rows[i].ids);
    }
    assert_int_equal(
        fixture_read(f, QUERY_LINEAGE,
                     "{'ref':'version/m/1','count':true,'query':'name = \\u0027raw\\u0027'}"),
        0);
    assert_answer(f, "{'count':1}");
    assert_int_equal(
        fixture_read(f, QUERY_LINEAGE,
                     "{'ref':'version/m/1','query':'depends_on(\\u0027artifact/nobody\\u0027)'}"),
        CLADE_ERR_NOT_FOUND);
    assert_string_equal(f->error.where, "query");
}

static void diff_says_what_differs_and_leaves_out_what_does_not(void **state)
{
    struct fixture *f = *state;
    make_story(f);
    assert_int_equal(
        fixture_read(f, QUERY_DIFF,
                     "{'from':'version/m/1','to':'version/m/2','labels':['trained_on']}"),
        0);
    char *got = json_of(buffer_span(&f->out));
    assert_non_null(strstr(got, "\"params\":{\"lr\":{\"from\":\"1\",\"to\":\"2\"}}"));
    assert_non_null(strstr(got, "\"metrics\":[{\"key\":\"acc\",\"to\":{\"count\":1,"));
    assert_non_null(strstr(got, "\"provenance\":{\"from\":[],\"to\":[{\"id\":3,"));
    free(got);
    /* One thing before and after: the heads say in which state it was. */
    assert_int_equal(fixture_read(f, QUERY_DIFF, "{'from':'id/2','from_as_of':1,'view':'ids'}"), 0);
    assert_answer(f, "{'from':{'id':2,'kind':'artifact','ref':'artifact/raw','state':'live',"
                     "'revision':1},"
                     "'to':{'id':2,'kind':'artifact','ref':'artifact/raw','state':'deleted',"
                     "'revision':2},"
                     "'fields':{},'params':{},'metrics':[],"
                     "'provenance':{'from':[],'to':[],'both':0}}");
}

static void paths_name_the_labels_of_each_step(void **state)
{
    struct fixture *f = *state;
    make_story(f);
    assert_int_equal(fixture_read(f, QUERY_PATHS, "{'from':'id/2','to':'version/m/1'}"), 0);
    assert_answer(f, "[{'direction':'down','length':2,'steps':["
                     "{'id':2,'kind':'artifact','ref':'artifact/raw','state':'deleted'},"
                     "{'id':3,'kind':'artifact','ref':'artifact/clean','state':'live',"
                     "'labels':['derived_from']},"
                     "{'id':6,'kind':'version','ref':'version/m/1','state':'live',"
                     "'labels':['evaluated_on']}]}]");
    assert_int_equal(
        fixture_read(f, QUERY_PATHS, "{'from':'id/2','to':'version/m/1','direction':'up'}"), 0);
    assert_answer(f, "[]");
    assert_true(f->answer.complete);
}

/* --- Budgets ---------------------------------------------------------------------------------- */

static int read_within(struct fixture *f, struct query *q, const struct reader_budget *budget)
{
    buffer_clear(&f->out);
    arena_reset(&f->arena);
    q->limit = q->limit == 0 ? 1000 : q->limit;
    q->start = (struct ref){.form = REF_ID, .number = FIRST_ID};
    q->to = (struct ref){.form = REF_ID, .number = FIRST_ID + CHAIN - 1};
    return reader_query(f->reader, q, span_of(""), budget, &f->arena, &f->out, &f->answer,
                        &f->error);
}

static void the_budget_ends_each_of_them_honestly(void **state)
{
    struct fixture *f = *state;
    struct reader_budget few = {.visits_max = 100};
    struct reader_budget enough = {.visits_max = CHAIN};
    make_chain(f);
    for (int indexed = 0; indexed < 2; indexed++) {
        struct query paths = {.kind = QUERY_PATHS, .limit = 1, .view = CLADE_VIEW_IDS};
        assert_int_equal(read_within(f, &paths, &few), 0);
        assert_answer(f, "[]");
        assert_false(f->answer.complete);
        paths.limit = 2;
        assert_int_equal(read_within(f, &paths, &enough), 0);
        assert_true(f->answer.complete);
        struct query diff = {.kind = QUERY_DIFF, .view = CLADE_VIEW_IDS};
        assert_int_equal(read_within(f, &diff, &few), 0);
        assert_false(f->answer.complete);
        assert_int_equal(answer_count(f, "provenance"), 0);
        assert_int_equal(read_within(f, &diff, &enough), 0);
        assert_int_equal(answer_count(f, "provenance"), 1);
        assert_false(f->answer.complete); /* of its things the limit cut some off */
        struct query provenance = {.kind = QUERY_PROVENANCE, .count_only = true};
        assert_int_equal(read_within(f, &provenance, &few), 0);
        assert_false(f->answer.complete);
        assert_answer(f, "{'count':100}");
        reopen(f, BYTES);
        fill(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(impact_says_what_uses_it_and_by_which_path, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(provenance_says_what_each_is_and_by_what_it_is_known,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_query_says_what_is_shown_and_not_what_is_walked_through,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(diff_says_what_differs_and_leaves_out_what_does_not,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(paths_name_the_labels_of_each_step, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(the_budget_ends_each_of_them_honestly, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
