/* Namespaces: a tree of paths, what they hold and may hold, what their things inherit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "storage/purge.h"

/* The transaction is refused with a message that has `says`, and leaves nothing behind. */
static void refuse(struct fixture *f, const char *json, int code, const char *says)
{
    struct store_digest before = store_digest_current(f->store);
    int got = fixture_txn(f, json);
    char *body = json_of(buffer_span(&f->body));
    if (got != code || strstr(body, says) == NULL) {
        fail_msg("%s: %d, %s", json, got, body);
    }
    free(body);
    struct store_digest after = store_digest_current(f->store);
    assert_memory_equal(&before.data, &after.data, sizeof before.data);
}

static void answer_has(struct fixture *f, enum query_kind kind, const char *query, const char *want)
{
    assert_int_equal(fixture_read(f, kind, query), 0);
    if (answer_count(f, want) != 1) {
        fail_msg("%s: %s", query, json_of(buffer_span(&f->out)));
    }
}

#define TXN(ops)      "{'v':1,'ops':[" ops "]}"
#define TXN_IN(ns, o) "{'v':1,'ns':'" ns "','ops':[" o "]}"

static void a_namespace_is_updated_like_any_thing(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'a','retention_s':3600}"));
    do_txn(f, TXN("{'op':'update','ref':'namespace/a','description':'d','quota':{'things':5,"
                  "'bytes':9000},'defaults':{'run.tags.team':'x'}}"));
    answer_has(f, QUERY_GET, "{'refs':['namespace/a'],'view':'full'}",
               "\"description\":\"d\",\"quota\":{\"bytes\":9000,\"things\":5},\"retention_s\":3600,"
               "\"defaults\":{\"run.tags.team\":\"x\"}");
    do_txn(f, TXN("{'op':'update','ref':'namespace/a','quota':{'things':null,'edges':7},"
                  "'retention_s':null,'defaults':{'run.tags.team':null}}"));
    answer_has(f, QUERY_GET, "{'refs':['namespace/a'],'view':'full'}",
               "\"description\":\"d\",\"quota\":{\"bytes\":9000,\"edges\":7}}");
    answer_has(f, QUERY_GET, "{'refs':['namespace/a'],'view':'full','as_of':2}",
               "\"retention_s\":3600");
    verify(f);
}

static void only_an_empty_namespace_is_deleted(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'a'},"
                  "{'op':'create','kind':'namespace','name':'a/b'}"));
    do_txn(f, TXN_IN("a/b", "{'op':'create','kind':'model','name':'m'},"
                            "{'op':'create','kind':'version','model':'$0'}"));
    refuse(f, TXN("{'op':'delete','ref':'namespace/a'}"), CLADE_ERR_IN_USE, "1 of kind namespace");
    refuse(f, TXN("{'op':'delete','ref':'namespace/a/b'}"), CLADE_ERR_IN_USE, "1 of kind model");
    refuse(f, TXN("{'op':'delete','ref':'namespace/default'}"), CLADE_ERR_INVALID, "always there");
    /* A transaction that empties it may delete it; what hangs on the model is hidden with it. */
    do_txn(f, TXN("{'op':'delete','ref':'//a/b//model/m'},{'op':'delete','ref':'namespace/a/b'},"
                  "{'op':'delete','ref':'namespace/a'}"));
    refuse(f, TXN_IN("a", "{'op':'create','kind':'run'}"), CLADE_ERR_NOT_FOUND, "no namespace");
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'a'}"));
    assert_int_equal(f->result.revision, 4);
    answer_has(f, QUERY_LIST, "{'kind':'model','ns':'a'}", "[]");
    /* The old one's are still there by id. */
    answer_has(f, QUERY_GET, "{'refs':['id/4']}", "//a/b//model/m");
    verify(f);
}

static void nothing_is_made_in_a_namespace_that_the_same_transaction_deleted(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'a'}"));
    refuse(f, TXN_IN("a", "{'op':'delete','ref':'namespace/a'},{'op':'create','kind':'run'}"),
           CLADE_ERR_NOT_FOUND, "ops[1].namespace");
    refuse(f,
           TXN_IN("a", "{'op':'delete','ref':'namespace/a'},"
                       "{'op':'create','kind':'run','namespace':'a'}"),
           CLADE_ERR_NOT_FOUND, "ops[1].namespace");
    do_txn(f, TXN_IN("a", "{'op':'create','kind':'run'},{'op':'delete','ref':'id/3'},"
                          "{'op':'delete','ref':'namespace/a'}"));
    verify(f);
}

static void a_quota_holds_for_the_namespace_and_all_under_it(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'a','quota':{'things':3,'edges':1}},"
                  "{'op':'create','kind':'namespace','name':'a/b'}"));
    do_txn(f, TXN_IN("a/b", "{'op':'create','kind':'artifact','name':'x'}"));
    do_txn(f, TXN_IN("a", "{'op':'create','kind':'artifact','name':'y'}"));
    refuse(f, TXN_IN("a/b", "{'op':'create','kind':'run'}"), CLADE_ERR_QUOTA,
           "namespace \\\"a\\\" may hold 3 things, what is under it included; with this it would "
           "hold 4");
    refuse(f, TXN("{'op':'create','kind':'namespace','name':'a/c'}"), CLADE_ERR_QUOTA, "3 things");
    do_txn(f,
           TXN_IN("a/b", "{'op':'link','from':'artifact/x','label':'l','to':'//a//artifact/y'}"));
    refuse(f, TXN_IN("a", "{'op':'link','from':'artifact/y','label':'l','to':'artifact/y'}"),
           CLADE_ERR_QUOTA, "may hold 1 edges");
    /* An edge is its from's, and other namespaces have no bound. */
    do_txn(f, TXN("{'op':'create','kind':'run','name':'r'},"
                  "{'op':'link','from':'$0','label':'l','to':'//a//artifact/y'}"));
    verify(f);
}

static void a_quota_judges_the_whole_transaction(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'a','quota':{'things':1}}"));
    do_txn(f, TXN_IN("a", "{'op':'create','kind':'run','name':'r'}"));
    do_txn(f, TXN_IN("a", "{'op':'create','kind':'run','name':'s'},"
                          "{'op':'delete','ref':'run/r'}"));
    refuse(f,
           TXN_IN("a", "{'op':'update','ref':'run/s','description':'d'},"
                       "{'op':'create','kind':'run'}"),
           CLADE_ERR_QUOTA, "QUOTA");
    refuse(f,
           TXN("{'op':'create','kind':'run'},"
               "{'op':'update','ref':'namespace/default','quota':{'things':0}}"),
           CLADE_ERR_QUOTA, "may hold 0 things");
    verify(f);
}

static void a_quota_below_what_is_there_refuses_only_more(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'a'}"));
    do_txn(f, TXN_IN("a", "{'op':'create','kind':'run','name':'r'},"
                          "{'op':'create','kind':'run','name':'s','description':'long enough'}"));
    do_txn(f, TXN("{'op':'update','ref':'namespace/a','quota':{'things':1,'bytes':1}}"));
    refuse(f, TXN_IN("a", "{'op':'create','kind':'run'}"), CLADE_ERR_QUOTA, "1 things");
    refuse(f, TXN_IN("a", "{'op':'update','ref':'run/r','description':'more'}"), CLADE_ERR_QUOTA,
           "1 bytes");
    do_txn(f, TXN_IN("a", "{'op':'delete','ref':'run/s'}"));
    /* The transaction that raises it may use it. */
    do_txn(f, TXN_IN("a", "{'op':'create','kind':'run'},"
                          "{'op':'update','ref':'namespace/a','quota':{'things':2,'bytes':null}}"));
    verify(f);
}

static void a_parent_takes_what_it_hides_out_of_the_count(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'a','quota':{'things':4}}"));
    do_txn(f, TXN_IN("a", "{'op':'create','kind':'model','name':'m'},"
                          "{'op':'create','kind':'version','model':'$0'},"
                          "{'op':'create','kind':'version','model':'$0'},"
                          "{'op':'create','kind':'run','name':'r'}"));
    do_txn(f, TXN_IN("a", "{'op':'delete','ref':'version/m/1'}"));
    do_txn(f, TXN_IN("a", "{'op':'delete','ref':'model/m'}"));
    answer_has(f, QUERY_DESCRIBE, "{'ns':'a'}",
               "{\"name\":\"a\",\"namespace\":0,\"type\":0,\"artifact\":0,\"experiment\":0,"
               "\"run\":1,\"model\":0,\"version\":0,");
    /* Runs of an experiment may stand elsewhere. */
    do_txn(f, TXN("{'op':'create','kind':'experiment','name':'e'}"));
    do_txn(f, TXN_IN("a", "{'op':'update','ref':'run/r','experiment':'//default//experiment/e'}"));
    do_txn(f, TXN("{'op':'delete','ref':'experiment/e'}"));
    answer_has(f, QUERY_DESCRIBE, "{'ns':'a'}",
               "\"run\":0,\"model\":0,\"version\":0,\"deployment\":"
               "0,\"edges\":0,\"bytes\":0,\"with_children\"");
    verify(f);
}

static void new_things_get_the_nearest_defaults_where_they_say_nothing(void **state)
{
    struct fixture *f = *state;
    do_txn(f,
           TXN("{'op':'create','kind':'namespace','name':'a','defaults':{'artifact.type':'table',"
               "'artifact.tags.team':'a','artifact.tags.cost':'7','run.tags.x':'y'}},"
               "{'op':'create','kind':'namespace','name':'a/b',"
               "'defaults':{'artifact.tags.team':'b'}},"
               "{'op':'create','kind':'type','name':'artifact:table','namespace':'a'},"
               "{'op':'create','kind':'type','name':'artifact:file','namespace':'a'}"));
    do_txn(f, TXN_IN("a/b", "{'op':'create','kind':'artifact','name':'x','tags':{'cost':'9'}},"
                            "{'op':'create','kind':'artifact','name':'y','type':'file'},"
                            "{'op':'create','kind':'artifact','name':'z','if_exists':'match'}"));
    answer_has(f, QUERY_GET, "{'refs':['artifact/x'],'view':'full','ns':'a/b'}",
               "\"tags\":{\"cost\":\"9\",\"team\":\"b\"},\"type\":\"table\"");
    answer_has(f, QUERY_GET, "{'refs':['artifact/y'],'view':'full','ns':'a/b'}",
               "\"tags\":{\"cost\":\"7\",\"team\":\"b\"},\"type\":\"file\"");
    /* A stub says nothing yet. */
    assert_int_equal(fixture_read(f, QUERY_GET, "{'refs':['artifact/z'],'view':'full','ns':'a/b'}"),
                     0);
    assert_int_equal(answer_count(f, "\"type\""), 0);
    assert_int_equal(answer_count(f, "\"tags\""), 0);
    do_txn(f, TXN("{'op':'update','ref':'namespace/a','defaults':{'artifact.type':'nobody'}}"));
    refuse(f, TXN_IN("a/b", "{'op':'create','kind':'artifact','name':'w'}"), CLADE_ERR_NOT_FOUND,
           "by the defaults of namespace");
    verify(f);
}

static void describe_shows_quotas_and_what_is_inherited(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'a','retention_s':3600,"
                  "'quota':{'things':9,'writes_per_s':50}},"
                  "{'op':'create','kind':'namespace','name':'a/b','quota':{'edges':4}}"));
    do_txn(f, TXN_IN("a/b", "{'op':'create','kind':'run'}"));
    answer_has(
        f, QUERY_DESCRIBE, "{'ns':'a/b'}",
        "\"retention_s\":3600,\"quotas\":[{\"namespace\":\"a/b\",\"of\":\"edges\",\"limit\":4,"
        "\"used\":0},{\"namespace\":\"a\",\"of\":\"things\",\"limit\":9,\"used\":2},"
        "{\"namespace\":\"a\",\"of\":\"writes_per_s\",\"limit\":50}]");
}

static void on_rate(void *arg, struct span path, uint64_t rate)
{
    char *text = arg;
    size_t used = strlen(text);
    snprintf(text + used, 256 - used, "%.*s=%lu ", SPAN_FMT(path), (unsigned long)rate);
}

static void rates_are(struct fixture *f, const char *want)
{
    char text[256] = "";
    assert_int_equal(store_rates(f->store, on_rate, text, NULL), 0);
    assert_string_equal(text, want);
}

static void the_rates_are_those_of_live_namespaces(void **state)
{
    struct fixture *f = *state;
    rates_are(f, "");
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'a','quota':{'writes_per_s':5}},"
                  "{'op':'create','kind':'namespace','name':'b','quota':{'things':5}},"
                  "{'op':'update','ref':'namespace/default','quota':{'writes_per_s':7}}"));
    rates_are(f, "default=7 a=5 ");
    do_txn(f, TXN("{'op':'update','ref':'namespace/default','quota':{'writes_per_s':null}},"
                  "{'op':'update','ref':'namespace/b','quota':{'writes_per_s':1}},"
                  "{'op':'update','ref':'namespace/a','quota':{'writes_per_s':6}}"));
    rates_are(f, "a=6 b=1 ");
    do_txn(f, TXN("{'op':'delete','ref':'namespace/a'}"));
    rates_are(f, "b=1 ");
    verify(f);
}

/* --- What is counted as it changes is what a count of everything finds ------------------------ */

static const char *const paths[] = {"default", "a", "a/b", "a/b/c", "ab", "a-b"};

#define PATHS (sizeof paths / sizeof *paths)

static void random_change(uint64_t *seed, char *json, size_t size)
{
    const char *ns = paths[next_random(seed) % PATHS];
    const char *other = paths[next_random(seed) % PATHS];
    unsigned i = (unsigned)(next_random(seed) % 4);
    unsigned j = (unsigned)(next_random(seed) % 4);
    switch (next_random(seed) % 10) {
    case 0:
        snprintf(json, size, "{'op':'undelete','ref':'namespace/%s'}", ns);
        break;
    case 1:
        snprintf(json, size, "{'op':'undelete','ref':'//%s//%s%u'}", ns,
                 (const char *[]){"model/m", "experiment/e", "run/r"}[j % 3], i);
        break;
    case 2:
        snprintf(json, size, "{'op':'rename','ref':'//%s//%s%u','name':'%s%u'}", ns,
                 (const char *[]){"model/m", "experiment/e", "run/r"}[j % 3], i,
                 (const char *[]){"m", "e", "r"}[j % 3], (i + j) % 5);
        break;
    case 3:
        snprintf(json, size, "{'op':'purge','ref':'id/%lu'}",
                 (unsigned long)(next_random(seed) % 300));
        break;
    case 4:
        snprintf(json, size, "{'op':'undelete','ref':'id/%lu'}",
                 (unsigned long)(next_random(seed) % 300));
        break;
    case 5:
        snprintf(json, size,
                 "{'op':'log','ref':'//%s//run/r%u','params':{'p%u':'v'},'metrics':[{'key':'k',"
                 "'on':'//%s//run/r%u','points':[[%u,1,0.5],[%u,2,0.5]]}]}",
                 ns, i, j, ns, i, j, i);
        break;
    case 6:
        snprintf(json, size, "{'op':'log','ref':'//%s//model/m%u','params':{'p%u':'v'}}", ns, i, j);
        break;
    case 7:
        snprintf(json, size,
                 "{'op':'create','kind':'deployment','name':'d%u','namespace':'%s','props':"
                 "{'a':true,'b':{'json':'[]'}}},"
                 "{'op':'set_targets','ref':'$0','targets':[{'version':'//%s//version/m%u/1'}]}",
                 i, ns, other, j);
        break;
    case 8:
        snprintf(json, size, "{'op':'delete','ref':'//%s//deployment/d%u'}", ns, i);
        break;
    default:
        snprintf(json, size, "{'op':'delete','ref':'namespace/%s'}", ns);
        break;
    }
}

static void random_operation(uint64_t *seed, char *json, size_t size)
{
    const char *ns = paths[next_random(seed) % PATHS];
    const char *other = paths[next_random(seed) % PATHS];
    unsigned i = (unsigned)(next_random(seed) % 4);
    unsigned j = (unsigned)(next_random(seed) % 4);
    switch (next_random(seed) % 20) {
    case 0:
        snprintf(json, size, "{'op':'create','kind':'model','name':'m%u','namespace':'%s'}", i, ns);
        break;
    case 1:
    case 2:
        snprintf(json, size, "{'op':'create','kind':'version','model':'//%s//model/m%u'}", ns, i);
        break;
    case 3:
        snprintf(json, size, "{'op':'create','kind':'experiment','name':'e%u','namespace':'%s'}", i,
                 ns);
        break;
    case 4:
        snprintf(json, size, "{'op':'create','kind':'run','name':'r%u','namespace':'%s'}", i, ns);
        break;
    case 5:
        snprintf(json, size,
                 "{'op':'update','ref':'//%s//run/r%u','experiment':"
                 "'//%s//experiment/e%u','description':'%.*s'}",
                 ns, i, other, j, (int)(3 * j), "abcdefghijkl");
        break;
    case 6:
        snprintf(json, size, "{'op':'delete','ref':'//%s//%s%u'}", ns,
                 (const char *[]){"model/m", "experiment/e", "run/r"}[j % 3], i);
        break;
    case 7:
        snprintf(json, size, "{'op':'delete','ref':'//%s//version/m%u/%u'}", ns, i, j + 1);
        break;
    case 8:
        snprintf(json, size,
                 "{'op':'link','from':'//%s//run/r%u','label':'l','to':"
                 "'//%s//version/m%u/1','props':{'w%u':[1,2],'x':'%.*s'}}",
                 ns, i, other, j, i, (int)j, "abcd");
        break;
    case 9:
        snprintf(json, size,
                 "{'op':'unlink','from':'//%s//run/r%u','label':'l','to':"
                 "'//%s//version/m%u/1'}",
                 ns, i, other, j);
        break;
    case 10:
        snprintf(json, size, "{'op':'create','kind':'namespace','name':'%s'}", ns);
        break;
    default:
        random_change(seed, json, size);
        break;
    }
}

/* The figures of a namespace, without what is the newest alone. */
static char *figures(struct fixture *f, const char *path, uint64_t as_of)
{
    char query[128];
    if (as_of == UINT64_MAX) {
        snprintf(query, sizeof query, "{'ns':'%s'}", path);
    } else {
        snprintf(query, sizeof query, "{'ns':'%s','as_of':%lu}", path, (unsigned long)as_of);
    }
    if (fixture_read(f, QUERY_DESCRIBE, query) != 0) {
        return NULL;
    }
    char *json = json_of(buffer_span(&f->out));
    char *end = strstr(json, ",\"quotas\"");
    assert_non_null(end);
    *end = '\0';
    return json;
}

static void what_is_charged_is_what_a_count_finds(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    char *newest[PATHS];
    unsigned done = 0;
    /* What is purged is charged until it is erased, for which there is always time. */
    f->elapsed_ms = PURGE_ROWS_AN_ENTRY / PURGE_ROWS * PURGE_PERIOD_MS;
    for (size_t i = 1; i < PATHS; i++) {
        char json[128];
        snprintf(json, sizeof json, TXN("{'op':'create','kind':'namespace','name':'%s'}"),
                 paths[i]);
        do_txn(f, json);
    }
    for (int round = 0; round < 2000; round++) {
        char op[2][512];
        char json[1200];
        random_operation(&seed, op[0], sizeof op[0]);
        random_operation(&seed, op[1], sizeof op[1]);
        snprintf(json, sizeof json, "{'v':1,'ops':[%s%s%s]}", op[0], round % 3 == 0 ? "," : "",
                 round % 3 == 0 ? op[1] : "");
        done += fixture_txn(f, json) == 0;
        if (round % 50 != 0) {
            continue;
        }
        for (size_t i = 0; i < PATHS; i++) {
            newest[i] = figures(f, paths[i], UINT64_MAX);
        }
        uint64_t revision = store_position(f->store).revision;
        do_txn(f, TXN("{'op':'create','kind':'artifact'}"));
        for (size_t i = 0; i < PATHS; i++) {
            char *counted = figures(f, paths[i], revision);
            assert_true((counted == NULL) == (newest[i] == NULL));
            if (counted != NULL) {
                assert_string_equal(counted, newest[i]);
            }
            free(counted);
            free(newest[i]);
        }
    }
    assert_true(done > 200);
    verify(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_namespace_is_updated_like_any_thing),
        TEST(only_an_empty_namespace_is_deleted),
        TEST(nothing_is_made_in_a_namespace_that_the_same_transaction_deleted),
        TEST(a_quota_holds_for_the_namespace_and_all_under_it),
        TEST(a_quota_judges_the_whole_transaction),
        TEST(a_quota_below_what_is_there_refuses_only_more),
        TEST(a_parent_takes_what_it_hides_out_of_the_count),
        TEST(new_things_get_the_nearest_defaults_where_they_say_nothing),
        TEST(describe_shows_quotas_and_what_is_inherited),
        TEST(the_rates_are_those_of_live_namespaces),
        TEST(what_is_charged_is_what_a_count_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
