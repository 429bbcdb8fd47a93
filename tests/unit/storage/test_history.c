/* history: what each revision changed of a thing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

static void run(struct fixture *f, const char *json)
{
    if (fixture_txn(f, json) != 0) {
        fail_msg("%s: %s", json, json_of(buffer_span(&f->body)));
    }
}

static void history(struct fixture *f, const char *params)
{
    if (fixture_read(f, QUERY_HISTORY, params) != 0) {
        fail_msg("%s: %s", params, f->error.message);
    }
}

static void each_revision_says_who_when_why_and_from_what_to_what(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'reason':'begun','happened':5,'ops':[{'op':'create','kind':'artifact',"
           "'name':'a','description':'one','tags':{'k':'1','l':'2'}}]}");
    run(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'other'}]}");
    run(f, "{'v':1,'ops':[{'op':'update','ref':'artifact/a','description':'two',"
           "'uris':['s3://b'],'tags':{'k':'3','l':null,'m':'4'}}]}");
    run(f, "{'v':1,'reason':'no more','ops':[{'op':'delete','ref':'artifact/a'}]}");
    history(f, "{'ref':'id/2'}");
    assert_answer(
        f, "[{'revision':4,'time':1003000,'principal':'ann','reason':'no more','change':'deleted',"
           "'fields':{}},"
           "{'revision':3,'time':1002000,'principal':'ann','change':'changed','fields':{"
           "'description':{'from':'one','to':'two'},'tags.k':{'from':'1','to':'3'},"
           "'tags.l':{'from':'2'},'tags.m':{'to':'4'},'uris':{'to':['s3://b']}}},"
           "{'revision':1,'time':1000000,'principal':'ann','happened':5,'reason':'begun',"
           "'change':'created','fields':{'description':{'to':'one'},'tags.k':{'to':'1'},"
           "'tags.l':{'to':'2'}}}]");
    assert_true(f->answer.complete);
    assert_int_equal(f->answer.revision, 4);
}

static void params_are_told_by_the_revision_that_wrote_them(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'r'},"
           "{'op':'log','ref':'$0','params':{'lr':'0.1','a':''}}]}");
    run(f, "{'v':1,'ops':[{'op':'log','ref':'run/r','params':{'lr':'0.1','b':'x'}},"
           "{'op':'update','ref':'run/r','status':'running'}]}");
    run(f,
        "{'v':1,'ops':[{'op':'log','ref':'run/r','metrics':[{'key':'k','points':[[0,0,1.0]]}]}]}");
    history(f, "{'ref':'run/r'}");
    assert_answer(f, "[{'revision':2,'time':1001000,'principal':'ann','change':'changed',"
                     "'fields':{'status':{'to':'running'},'params.b':{'to':'x'}}},"
                     "{'revision':1,'time':1000000,'principal':'ann','change':'created',"
                     "'fields':{'params.a':{'to':''},'params.lr':{'to':'0.1'}}}]");
}

static void edges_that_come_and_go_are_told_with_the_name_of_then(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'r'},"
           "{'op':'create','kind':'artifact','name':'a'},"
           "{'op':'link','from':'$0','label':'consumed','to':'$1'}]}");
    run(f, "{'v':1,'ops':[{'op':'unlink','from':'run/r','label':'consumed','to':'artifact/a'},"
           "{'op':'update','ref':'run/r','status':'finished'}]}");
    run(f, "{'v':1,'ops':[{'op':'link','from':'run/r','label':'consumed','to':'artifact/a'}]}");
    history(f, "{'ref':'run/r'}");
    assert_answer(f,
                  "[{'revision':3,'time':1002000,'principal':'ann',"
                  "'edges':[{'change':'linked','label':'consumed','to':'artifact/a'}]},"
                  "{'revision':2,'time':1001000,'principal':'ann','change':'changed',"
                  "'fields':{'status':{'to':'finished'}},"
                  "'edges':[{'change':'unlinked','label':'consumed','to':'artifact/a'}]},"
                  "{'revision':1,'time':1000000,'principal':'ann','change':'created','fields':{},"
                  "'edges':[{'change':'linked','label':'consumed','to':'artifact/a'}]}]");
    /* What comes into a thing is not its own history. */
    history(f, "{'ref':'artifact/a'}");
    assert_int_equal(answer_count(f, "\"edges\""), 0);
}

static void aliases_stages_and_targets_are_told_as_they_moved(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'model','name':'m'},"
           "{'op':'create','kind':'version','model':'$0'},"
           "{'op':'create','kind':'version','model':'$0'},"
           "{'op':'create','kind':'deployment','name':'prod'}]}");
    run(f, "{'v':1,'reason':'first','ops':[{'op':'set_alias','ref':'version/m/1','alias':'best'},"
           "{'op':'set_stage','ref':'version/m/1','stage':'staging'},"
           "{'op':'set_targets','ref':'deployment/prod','targets':[{'version':'version/m/1'}]}]}");
    run(f, "{'v':1,'ops':[{'op':'set_alias','ref':'version/m/2','alias':'best','expect':1},"
           "{'op':'create','kind':'run','name':'r'},"
           "{'op':'link','from':'model/m','label':'l','to':'$1'},"
           "{'op':'update','ref':'model/m','description':'d'}]}");
    run(f, "{'v':1,'ops':[{'op':'unset_alias','ref':'model/m','alias':'best'},"
           "{'op':'set_stage','ref':'version/m/1','stage':'none'}]}");
    history(f, "{'ref':'model/m'}");
    assert_answer(f, "[{'revision':4,'time':1003000,'principal':'ann',"
                     "'aliases':[{'alias':'best','from':2}]},"
                     "{'revision':3,'time':1002000,'principal':'ann','change':'changed',"
                     "'fields':{'description':{'to':'d'}},"
                     "'edges':[{'change':'linked','label':'l','to':'run/r'}],"
                     "'aliases':[{'alias':'best','from':1,'to':2}]},"
                     "{'revision':2,'time':1001000,'principal':'ann','reason':'first',"
                     "'aliases':[{'alias':'best','to':1}]},"
                     "{'revision':1,'time':1000000,'principal':'ann','change':'created',"
                     "'fields':{}}]");
    history(f, "{'ref':'model/m','as_of':3,'limit':1}");
    assert_int_equal(answer_count(f, "\"revision\":3"), 1);
    assert_int_equal(answer_count(f, "\"from\":2"), 0);
    history(f, "{'ref':'version/m/1'}");
    assert_answer(f, "[{'revision':4,'time':1003000,'principal':'ann','change':'changed',"
                     "'fields':{'stage':{'from':'staging'}}},"
                     "{'revision':2,'time':1001000,'principal':'ann','reason':'first',"
                     "'change':'changed','fields':{'stage':{'to':'staging'}}},"
                     "{'revision':1,'time':1000000,'principal':'ann','change':'created',"
                     "'fields':{}}]");
    history(f, "{'ref':'deployment/prod'}");
    assert_answer(f, "[{'revision':2,'time':1001000,'principal':'ann','reason':'first',"
                     "'change':'changed','fields':{'targets':{'to':[{'version':'version/m/1',"
                     "'share':10000,'mode':'serving'}]}}},"
                     "{'revision':1,'time':1000000,'principal':'ann','change':'created',"
                     "'fields':{}}]");
}

static void what_a_namespace_bounds_is_told_one_by_one(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'namespace','name':'n','quota':{'things':5,"
           "'edges':6},'defaults':{'run.type':'t'}}]}");
    run(f, "{'v':1,'ops':[{'op':'update','ref':'namespace/n','quota':{'things':7}}]}");
    history(f, "{'ref':'namespace/n'}");
    assert_int_equal(answer_count(f, "\"fields\":{\"quota.things\":{\"from\":5,\"to\":7}}"), 1);
    assert_int_equal(answer_count(f, "\"quota.edges\":{\"to\":6}"), 1);
    assert_int_equal(answer_count(f, "\"defaults.run.type\":{\"to\":\"t\"}"), 1);
}

static void as_of_ends_the_history_there(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'r'},"
           "{'op':'create','kind':'artifact','name':'a'}]}");
    run(f, "{'v':1,'ops':[{'op':'link','from':'run/r','label':'consumed','to':'artifact/a'}]}");
    run(f, "{'v':1,'ops':[{'op':'unlink','from':'run/r','label':'consumed','to':'artifact/a'}]}");
    run(f, "{'v':1,'ops':[{'op':'delete','ref':'run/r'}]}");
    history(f, "{'ref':'run/r','as_of':2}");
    assert_answer(f, "[{'revision':2,'time':1001000,'principal':'ann','edges':[{'change':'linked',"
                     "'label':'consumed','to':'artifact/a'}]},"
                     "{'revision':1,'time':1000000,'principal':'ann','change':'created',"
                     "'fields':{}}]");
    assert_int_equal(fixture_read(f, QUERY_HISTORY, "{'ref':'run/r'}"), CLADE_ERR_NOT_FOUND);
    assert_string_equal(f->error.where, "ref");
    history(f, "{'ref':'run/r','state':'deleted'}");
    assert_int_equal(answer_count(f, "\"revision\""), 4);
    assert_int_equal(fixture_read(f, QUERY_HISTORY, "{'ref':'run/r','as_of':0}"),
                     CLADE_ERR_NOT_FOUND);
    history(f, "{'ref':'namespace/default'}");
    assert_int_equal(answer_count(f, "\"change\":\"created\""), 1);
}

static void pages_fit_together(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    run(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'r'},"
           "{'op':'create','kind':'artifact','name':'a'}]}");
    for (int i = 0; i < 60; i++) {
        char json[256];
        switch (next_random(&seed) % 3) {
        case 0:
            snprintf(json, sizeof json,
                     "{'v':1,'ops':[{'op':'update','ref':'run/r','description':'%d'}]}", i);
            break;
        case 1:
            snprintf(json, sizeof json,
                     "{'v':1,'ops':[{'op':'link','from':'run/r','label':'l%d','to':'artifact/a'}]}",
                     i);
            break;
        default:
            snprintf(json, sizeof json,
                     "{'v':1,'ops':[{'op':'update','ref':'artifact/a','description':'%d'}]}", i);
        }
        run(f, json);
    }
    history(f, "{'ref':'run/r'}");
    char *whole = json_of(buffer_span(&f->out));
    size_t want = answer_count(f, "\"revision\"");
    char cursor[256] = "";
    size_t got = 0;
    const char *at = whole;
    do {
        char params[400];
        unsigned limit = 1 + (unsigned)(next_random(&seed) % 5);
        snprintf(params, sizeof params, "{'ref':'run/r','limit':%u%s%s%s}", limit,
                 cursor[0] != '\0' ? ",'cursor':'" : "", cursor, cursor[0] != '\0' ? "'" : "");
        history(f, params);
        char *page = json_of(buffer_span(&f->out));
        got += answer_count(f, "\"revision\"");
        size_t inner = strlen(page) - 2;
        page[inner + 1] = '\0';
        at = strstr(at, page + 1);
        assert_non_null(at);
        free(page);
        snprintf(cursor, sizeof cursor, "%.*s", SPAN_FMT(f->answer.cursor));
    } while (cursor[0] != '\0');
    assert_true(f->answer.complete);
    assert_int_equal(got, want);
    free(whole);
}

#define MANY_EDGES  9000
#define MANY_ROUNDS 8

static void the_history_of_very_many_edges_is_shown_whole_in_pages(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    buffer_init(&b, 16 << 20);
    run(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'r'}]}");
    for (int round = 0; round < MANY_ROUNDS; round++) {
        buffer_clear(&b);
        buffer_append_str(&b, "{'v':1,'ops':[");
        for (int i = 0; i < MANY_EDGES; i++) {
            buffer_append_fmt(&b, "%s{'op':'link','from':'id/2','label':'l%d','to':'id/2'}",
                              i > 0 ? "," : "", round * MANY_EDGES + i);
        }
        buffer_append_str(&b, "]}");
        buffer_append_u8(&b, 0);
        run(f, (const char *)b.data);
    }
    size_t links = 0;
    size_t pages = 0;
    char params[400] = "{'ref':'run/r'}";
    do {
        history(f, params);
        links += answer_count(f, "\"linked\"");
        pages++;
        snprintf(params, sizeof params, "{'ref':'run/r','cursor':'%.*s'}",
                 SPAN_FMT(f->answer.cursor));
    } while (f->answer.cursor.len > 0);
    assert_int_equal(links, MANY_EDGES * MANY_ROUNDS);
    assert_in_range(pages, 2, 10);
    buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_revision_says_who_when_why_and_from_what_to_what),
        TEST(params_are_told_by_the_revision_that_wrote_them),
        TEST(edges_that_come_and_go_are_told_with_the_name_of_then),
        TEST(aliases_stages_and_targets_are_told_as_they_moved),
        TEST(what_a_namespace_bounds_is_told_one_by_one),
        TEST(as_of_ends_the_history_there),
        TEST(pages_fit_together),
        TEST(the_history_of_very_many_edges_is_shown_whole_in_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
