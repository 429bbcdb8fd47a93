/* Purging: a tombstone at once, the rest erased a little with each log entry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "row_count.h"
#include "storage/keys.h"
#include "storage/purge.h"
#include "storage/view.h"

#define TXN(ops) "{'v':1,'ops':[" ops "]}"
#define SECRET   "what nobody may read any more"

/* There is always time for all that may go with an entry. */
static int setup(void **state)
{
    int rc = fixture_setup(state);
    if (rc == 0) {
        struct fixture *f = *state;
        f->elapsed_ms = PURGE_ROWS_AN_ENTRY / PURGE_ROWS * PURGE_PERIOD_MS;
    }
    return rc;
}

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

static void make_secret(struct fixture *f)
{
    do_txn(f, "{'v':1,'reason':'" SECRET "','ops':[{'op':'create','kind':'artifact','name':'" SECRET
              "','digests':['x:1'],'external_ids':['s:" SECRET "'],'tags':{'k':'" SECRET "'}},"
              "{'op':'create','kind':'run','name':'r'},"
              "{'op':'link','from':'run/r','label':'consumed','to':'$0'}]}");
    do_txn(f, "{'v':1,'reason':'why " SECRET
              "','ops':[{'op':'update','ref':'id/2','description':'" SECRET
              "','external_ids':['t:" SECRET "']}]}");
    do_txn(f, "{'v':1,'reason':'why not " SECRET "','ops':[{'op':'delete','ref':'id/2'}]}");
}

static void a_purged_thing_leaves_a_tombstone_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    make_secret(f);
    assert_int_not_equal(count_rows_with(f, SECRET), 0);
    do_txn(f, "{'v':1,'reason':'they asked','ops':[{'op':'purge','ref':'id/2'}]}");
    assert_body(f, "[{'status':'purged','id':2,'ref':'id/2'}]");
    assert_int_equal(count_rows_with(f, SECRET), 0);
    assert_int_equal(count_rows_with(f, "they asked"), 1);
    assert_int_equal(count_rows(f, TABLE_PURGES), 0);
    answer_has(f, QUERY_GET, "{'refs':['id/2'],'view':'full','with':['edges']}",
               "\"id\":2,\"kind\":\"artifact\",\"ref\":\"id/2\",\"state\":\"deleted\","
               "\"purged\":true,\"namespace\":\"default\",\"created\":{\"revision\":1,");
    answer_has(f, QUERY_GET, "{'refs':['digest:x:1']}", "\"purged\":true");
    /* As it is at every revision; lineage keeps it. */
    answer_has(f, QUERY_GET, "{'refs':['id/2'],'as_of':1}", "\"purged\":true");
    answer_has(f, QUERY_LINEAGE, "{'ref':'run/r'}", "\"purged\":true");
    answer_has(f, QUERY_LINEAGE, "{'ref':'run/r','as_of':1}", "\"purged\":true");
    answer_has(f, QUERY_LIST, "{'kind':'artifact','state':'any','as_of':2}", "[]");
    do_txn(f, TXN("{'op':'purge','ref':'id/2'}"));
    assert_body(f, "[{'status':'unchanged','id':2,'ref':'id/2'}]");
    verify(f);
}

/* What is not in the record: params, points, the props of edges, pointers. */
static void what_stands_beside_the_record_is_purged_with_it(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'model','name':'m'},"
                  "{'op':'create','kind':'version','model':'$0','uris':['s3://" SECRET "'],"
                  "'props':{'p':'" SECRET "'}},"
                  "{'op':'create','kind':'artifact','name':'a'},"
                  "{'op':'create','kind':'deployment','name':'d','endpoint':'https://" SECRET "'},"
                  "{'op':'link','from':'$1','label':'own','to':'$2','props':{'w':'" SECRET "'}},"
                  "{'op':'log','ref':'$1','params':{'" SECRET "':'1'},'metrics':[{'key':'" SECRET
                  "','points':[[1,1,1]]}]},"
                  "{'op':'set_alias','ref':'$1','alias':'" SECRET "'},"
                  "{'op':'set_stage','ref':'$1','stage':'staging'},"
                  "{'op':'set_targets','ref':'$3','targets':[{'version':'$1'}]}"));
    do_txn(f, TXN("{'op':'link','from':'version/m/1','label':'own','to':'artifact/a','props':"
                  "{'w':'other " SECRET "'}},"
                  "{'op':'update','ref':'version/m/1','uris':{'s3://" SECRET
                  "':null,'s3://2 " SECRET "':true}}"));
    do_txn(f, TXN("{'op':'unset_alias','ref':'model/m','alias':'" SECRET "'},"
                  "{'op':'set_stage','ref':'version/m/1','stage':'none'},"
                  "{'op':'delete','ref':'deployment/d'},{'op':'delete','ref':'model/m'}"));
    fixture_read(f, QUERY_DESCRIBE, "{}");
    char *before = json_of(buffer_span(&f->out));
    do_txn(f, TXN("{'op':'purge','ref':'id/5'},{'op':'purge','ref':'id/3'},{'op':'purge',"
                  "'ref':'id/2'}"));
    assert_int_equal(count_rows_with(f, SECRET), 0);
    assert_int_equal(count_rows(f, TABLE_EDGE_PROPS), 0);
    assert_int_equal(count_rows(f, TABLE_SERIES), 0);
    assert_int_equal(count_rows(f, TABLE_PARAMS), 0);
    assert_int_equal(count_rows(f, TABLE_URIS), 0);
    assert_int_equal(count_rows(f, TABLE_STAGES), 0);
    assert_int_equal(count_rows(f, TABLE_DEPLOYED), 0);
    assert_int_equal(count_rows(f, TABLE_ALIASES), 0);
    verify(f);
    free(before);
}

/* All of it is hidden at once, though it goes a little at a time. */
static void what_is_purged_is_hidden_before_it_is_erased(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    buffer_init(&b, 1 << 20);
    do_txn(f, TXN("{'op':'create','kind':'run','name':'r'},{'op':'create','kind':'run','name':'s'},"
                  "{'op':'link','from':'run/r','label':'own','to':'run/s','props':{'w':1}}"));
    buffer_append_str(&b, "{'v':1,'ops':[{'op':'log','ref':'run/r','params':{");
    for (int i = 0; i < 2 * PURGE_ROWS_AN_ENTRY; i++) {
        buffer_append_fmt(&b, "%s'p%d':'v'", i == 0 ? "" : ",", i);
    }
    buffer_append_str(&b, "},'metrics':[{'key':'k','points':[[1,1,1]]}]}]}");
    buffer_append_u8(&b, 0);
    do_txn(f, (const char *)b.data);
    buffer_release(&b);
    do_txn(f, TXN("{'op':'delete','ref':'run/r'},{'op':'purge','ref':'run/r'}"));
    assert_true(count_rows(f, TABLE_PARAMS) > 0);
    answer_has(
        f, QUERY_GET, "{'refs':['id/2'],'with':['params','metrics','edges'],'as_of':2}",
        "\"edges\":[{\"label\":\"own\",\"to\":\"run/s\",\"id\":3}],\"params\":{},\"metrics\":[]");
    assert_int_equal(fixture_read(f, QUERY_METRICS, "{'refs':['id/2'],'as_of':2}"), 0);
    assert_answer(f, "[]");
    assert_int_equal(fixture_read(f, QUERY_HISTORY, "{'ref':'id/2'}"), 0);
    assert_answer(f, "[{'revision':3,'time':1002000,'principal':'ann','change':'purged',"
                     "'fields':{}},"
                     "{'revision':1,'time':1000000,'principal':'ann','edges':[{'change':'linked',"
                     "'label':'own','to':'run/s'}]}]");
    assert_int_equal(fixture_read(f, QUERY_HISTORY, "{'ref':'id/2','as_of':2}"), 0);
    assert_int_equal(answer_count(f, "\"revision\":"), 1);
    for (int i = 0; i < 4; i++) {
        tick(f);
    }
    assert_int_equal(count_rows(f, TABLE_PARAMS), 0);
    assert_int_equal(count_rows(f, TABLE_EDGE_PROPS), 0);
    assert_false(store_has_work(f->store));
    verify(f);
}

static void what_was_purged_or_is_nowhere_does_not_come_back(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'n'},"
                  "{'op':'create','kind':'namespace','name':'n/o'},"
                  "{'op':'create','kind':'artifact','name':'a','namespace':'n'},"
                  "{'op':'create','kind':'experiment','name':'e'},"
                  "{'op':'create','kind':'run','name':'r','namespace':'n','experiment':'$3'},"
                  "{'op':'create','kind':'artifact','name':'p'}"));
    do_txn(f, TXN("{'op':'hold','ref':'artifact/p'},{'op':'release','ref':'artifact/p'},"
                  "{'op':'delete','ref':'artifact/p'},{'op':'hold','ref':'id/7'}"));
    refuse(f, TXN("{'op':'purge','ref':'id/7'}"), CLADE_ERR_CONFLICT, "is held");
    do_txn(f, TXN("{'op':'release','ref':'id/7'},{'op':'purge','ref':'id/7'}"));
    refuse(f, TXN("{'op':'undelete','ref':'id/7'}"), CLADE_ERR_CONFLICT, "was purged");
    refuse(f, TXN("{'op':'hold','ref':'id/7'}"), CLADE_ERR_CONFLICT, "was purged");
    do_txn(f, TXN("{'op':'delete','ref':'//n//artifact/a'},{'op':'delete','ref':'experiment/e'},"
                  "{'op':'delete','ref':'namespace/n/o'},{'op':'delete','ref':'namespace/n'}"));
    refuse(f, TXN("{'op':'undelete','ref':'id/4'}"), CLADE_ERR_CONFLICT, "which is deleted");
    refuse(f, TXN("{'op':'undelete','ref':'id/3'}"), CLADE_ERR_CONFLICT, "above");
    /* Its run would live in n. */
    refuse(f, TXN("{'op':'undelete','ref':'id/5'}"), CLADE_ERR_CONFLICT, "which is deleted");
    do_txn(f, TXN("{'op':'undelete','ref':'namespace/n'},{'op':'undelete','ref':'id/4'},"
                  "{'op':'undelete','ref':'id/5'},{'op':'undelete','ref':'namespace/n/o'}"));
    verify(f);
}

static void the_edges_of_what_has_no_name_are_counted_at_each_revision(void **state)
{
    struct fixture *f = *state;
    /* Names on many pages. */
    for (int i = 0; i < 400; i++) {
        char json[128];
        snprintf(json, sizeof json, TXN("{'op':'create','kind':'model','name':'%0*d'}"), 60, i);
        do_txn(f, json);
    }
    uint64_t begin = store_position(f->store).revision;
    do_txn(f, TXN("{'op':'create','kind':'run','name':'r'},"
                  "{'op':'create','kind':'artifact','name':'a'},"
                  "{'op':'create','kind':'run','name':'s'},"
                  "{'op':'link','from':'run/r','label':'consumed','to':'artifact/a'},"
                  "{'op':'link','from':'run/s','label':'consumed','to':'artifact/a'},"
                  "{'op':'delete','ref':'run/s'}"));
    do_txn(f, TXN("{'op':'rename','ref':'run/r','name':'t'},{'op':'delete','ref':'run/t'}"));
    do_txn(f, TXN("{'op':'undelete','ref':'id/402'}"));
    do_txn(f, TXN("{'op':'rename','ref':'id/402','name':'q'}"));
    do_txn(f, TXN("{'op':'delete','ref':'id/402'}"));
    do_txn(f, TXN("{'op':'purge','ref':'id/402'}"));
    do_txn(f, TXN("{'op':'purge','ref':'id/404'}"));
    for (uint64_t revision = begin + 1; revision < begin + 7; revision++) {
        char query[64];
        snprintf(query, sizeof query, "{'as_of':%lu}", (unsigned long)revision);
        assert_int_equal(fixture_read(f, QUERY_DESCRIBE, query), 0);
        if (answer_count(f, "\"edges\":2,") < 2) {
            fail_msg("%lu: %s", (unsigned long)revision, json_of(buffer_span(&f->out)));
        }
    }
    verify(f);
}

static void only_what_is_deleted_is_purged(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'a'},"
                  "{'op':'create','kind':'namespace','name':'n'},"
                  "{'op':'create','kind':'type','name':'run:t'}"));
    refuse(f, TXN("{'op':'purge','ref':'artifact/a'}"), CLADE_ERR_CONFLICT, "is live");
    refuse(f, TXN("{'op':'purge','ref':'artifact/b'}"), CLADE_ERR_NOT_FOUND, "no artifact");
    refuse(f, TXN("{'op':'purge','ref':'id/3'}"), CLADE_ERR_INVALID, "a namespace is not purged");
    refuse(f, TXN("{'op':'purge','ref':'id/4'}"), CLADE_ERR_INVALID, "a type is not purged");
    /* The name means who held it last. */
    do_txn(f, TXN("{'op':'delete','ref':'artifact/a'},{'op':'purge','ref':'artifact/a'}"));
    verify(f);
}

static void a_model_is_purged_after_its_versions(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'model','name':'m'},"
                  "{'op':'create','kind':'version','model':'$0','description':'" SECRET "'},"
                  "{'op':'create','kind':'version','model':'$0'}"));
    do_txn(f, TXN("{'op':'delete','ref':'version/m/2'}"));
    do_txn(f, TXN("{'op':'purge','ref':'version/m/2'}"));
    do_txn(f, TXN("{'op':'delete','ref':'model/m'}"));
    refuse(f, TXN("{'op':'purge','ref':'model/m'}"), CLADE_ERR_IN_USE, "1 versions");
    /* A version that is hidden with its model is not live. */
    do_txn(f, TXN("{'op':'purge','ref':'version/m/1'},{'op':'purge','ref':'model/m'}"));
    assert_body(f, "[{'status':'purged','id':3,'ref':'id/3'},"
                   "{'status':'purged','id':2,'ref':'id/2'}]");
    assert_int_equal(count_rows_with(f, SECRET), 0);
    verify(f);
}

static void a_hidden_run_loses_its_name_when_it_is_purged(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'experiment','name':'e'},"
                  "{'op':'create','kind':'run','name':'" SECRET "','experiment':'$0'}"));
    do_txn(f, TXN("{'op':'delete','ref':'experiment/e'}"));
    do_txn(f, "{'v':1,'reason':'they asked','ops':[{'op':'purge','ref':'id/3'}]}");
    assert_int_equal(count_rows_with(f, SECRET), 0);
    assert_int_equal(count_rows_with(f, "they asked"), 1);
    do_txn(f, TXN("{'op':'create','kind':'run','name':'" SECRET "'}"));
    verify(f);
}

static void the_next_holder_of_a_name_keeps_it(void **state)
{
    struct fixture *f = *state;
    make_secret(f);
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'" SECRET "','external_ids':['s:" SECRET
                  "']}"));
    do_txn(f, TXN("{'op':'purge','ref':'id/2'}"));
    answer_has(f, QUERY_GET, "{'refs':['artifact/" SECRET "']}", "\"id\":4");
    answer_has(f, QUERY_GET, "{'refs':['artifact/ext:s:" SECRET "']}", "\"id\":4");
    verify(f);
}

static void the_holder_before_it_has_the_name_again(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'a'}"));
    do_txn(f, TXN("{'op':'delete','ref':'artifact/a'},{'op':'create','kind':'artifact',"
                  "'name':'a'}"));
    do_txn(f, TXN("{'op':'delete','ref':'artifact/a'}"));
    answer_has(f, QUERY_GET, "{'refs':['artifact/a'],'state':'deleted','view':'ids'}", "[3]");
    do_txn(f, TXN("{'op':'purge','ref':'artifact/a'}"));
    answer_has(f, QUERY_GET, "{'refs':['artifact/a'],'state':'deleted','view':'ids'}", "[2]");
    do_txn(f, TXN("{'op':'undelete','ref':'artifact/a'}"));
    assert_body(f, "[{'status':'undeleted','id':2,'ref':'artifact/a'}]");
    verify(f);
}

static void a_long_history_goes_a_little_with_each_entry(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'a'}"));
    for (int i = 0; i < 2 * PURGE_ROWS_AN_ENTRY; i++) {
        char json[128];
        snprintf(json, sizeof json, TXN("{'op':'update','ref':'artifact/a','description':'d%d'}"),
                 i);
        do_txn(f, json);
    }
    do_txn(f, TXN("{'op':'delete','ref':'id/2'},{'op':'purge','ref':'id/2'}"));
    assert_int_equal(count_rows(f, TABLE_HISTORY), PURGE_ROWS_AN_ENTRY + 1);
    /* It is gone for readers from the beginning. */
    answer_has(f, QUERY_GET, "{'refs':['id/2'],'view':'full','as_of':300}", "\"purged\":true");
    tick(f);
    assert_int_equal(f->result.code, 0);
    assert_false(f->result.changed);
    assert_int_equal(count_rows(f, TABLE_HISTORY), 1);
    assert_true(store_has_work(f->store));
    tick(f);
    assert_int_equal(count_rows(f, TABLE_HISTORY), 0);
    assert_int_equal(count_rows(f, TABLE_PURGES), 0);
    assert_false(store_has_work(f->store));
    verify(f);
}

static void as_many_rows_go_as_there_was_time_for(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'a'}"));
    for (int i = 0; i < 2 * PURGE_ROWS; i++) {
        char json[128];
        snprintf(json, sizeof json, TXN("{'op':'update','ref':'artifact/a','description':'d%d'}"),
                 i);
        do_txn(f, json);
    }
    f->elapsed_ms = 0;
    do_txn(f, TXN("{'op':'delete','ref':'id/2'},{'op':'purge','ref':'id/2'}"));
    unsigned before = count_rows(f, TABLE_HISTORY);
    f->elapsed_ms = PURGE_PERIOD_MS - 1;
    tick(f);
    assert_int_equal(count_rows(f, TABLE_HISTORY), before);
    f->elapsed_ms = 1; /* what it has in the sums, which is nothing, goes with it */
    tick(f);
    assert_int_equal(count_rows(f, TABLE_HISTORY), before - PURGE_ROWS);
    tick(f);
    assert_int_equal(count_rows(f, TABLE_HISTORY), before - PURGE_ROWS);
    f->elapsed_ms = PURGE_PERIOD_MS;
    tick(f);
    assert_int_equal(count_rows(f, TABLE_HISTORY), before - 2 * PURGE_ROWS);
    verify(f);
}

static void a_purge_that_is_refused_with_its_transaction_leaves_everything(void **state)
{
    struct fixture *f = *state;
    make_secret(f);
    unsigned rows = count_rows_with(f, SECRET);
    refuse(f, TXN("{'op':'purge','ref':'id/2'},{'op':'delete','ref':'run/nobody'}"),
           CLADE_ERR_NOT_FOUND, "ops[1]");
    assert_int_equal(count_rows_with(f, SECRET), rows);
    assert_int_equal(count_rows(f, TABLE_PURGES), 0);
    verify(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_purged_thing_leaves_a_tombstone_and_nothing_else),
        TEST(what_stands_beside_the_record_is_purged_with_it),
        TEST(what_is_purged_is_hidden_before_it_is_erased),
        TEST(what_was_purged_or_is_nowhere_does_not_come_back),
        TEST(the_edges_of_what_has_no_name_are_counted_at_each_revision),
        TEST(only_what_is_deleted_is_purged),
        TEST(a_model_is_purged_after_its_versions),
        TEST(a_hidden_run_loses_its_name_when_it_is_purged),
        TEST(the_next_holder_of_a_name_keeps_it),
        TEST(the_holder_before_it_has_the_name_again),
        TEST(a_long_history_goes_a_little_with_each_entry),
        TEST(as_many_rows_go_as_there_was_time_for),
        TEST(a_purge_that_is_refused_with_its_transaction_leaves_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
