/* Purging: a tombstone at once, the rest erased a little with each log entry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "storage/keys.h"
#include "storage/purge.h"
#include "storage/view.h"

#define TXN(ops) "{'v':1,'ops':[" ops "]}"
#define SECRET   "what nobody may read any more"

static void do_txn(struct fixture *f, const char *json)
{
    if (fixture_txn(f, json) != 0) {
        fail_msg("%s: %s", json, json_of(buffer_span(&f->body)));
    }
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

static bool holds(struct span s, const char *text)
{
    return s.len > 0 && memmem(s.data, s.len, text, strlen(text)) != NULL;
}

/* Rows of any table but the results of sessions whose key or value has the text. */
static unsigned count_rows_with(struct fixture *f, const char *text)
{
    struct view view;
    unsigned found = 0;
    assert_int_equal(view_open(&view, f->store, NULL), 0);
    for (int t = 0; t < TABLE_COUNT; t++) {
        MDB_cursor *cursor;
        MDB_val key;
        MDB_val value;
        assert_int_equal(view_cursor(&view, (enum table)t, &cursor), 0);
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
            found += holds(span_make(key.mv_data, key.mv_size), text) ||
                     holds(span_make(value.mv_data, value.mv_size), text);
        }
    }
    view_close(&view, f->store);
    return found;
}

static unsigned count_rows(struct fixture *f, enum table table)
{
    struct view view;
    MDB_stat stat;
    assert_int_equal(view_open(&view, f->store, NULL), 0);
    assert_int_equal(mdb_stat(view.txn, view.env->tables[table], &stat), 0);
    view_close(&view, f->store);
    return (unsigned)stat.ms_entries;
}

static void verify(struct fixture *f)
{
    struct error e = {0};
    if (store_verify(f->store, NULL, NULL, &e) != 0) {
        fail_msg("%s", e.message);
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
    struct item tick = {.kind = ITEM_TICK, .id = {.node = 1}};
    fixture_add(f, &tick);
    assert_int_equal(fixture_run(f), 0);
    assert_int_equal(f->result.code, 0);
    assert_false(f->result.changed);
    assert_int_equal(count_rows(f, TABLE_HISTORY), 1);
    assert_true(store_has_work(f->store));
    fixture_add(f, &tick);
    assert_int_equal(fixture_run(f), 0);
    assert_int_equal(count_rows(f, TABLE_HISTORY), 0);
    assert_int_equal(count_rows(f, TABLE_PURGES), 0);
    assert_false(store_has_work(f->store));
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_purged_thing_leaves_a_tombstone_and_nothing_else),
        TEST(only_what_is_deleted_is_purged),
        TEST(a_model_is_purged_after_its_versions),
        TEST(a_hidden_run_loses_its_name_when_it_is_purged),
        TEST(the_next_holder_of_a_name_keeps_it),
        TEST(a_long_history_goes_a_little_with_each_entry),
        TEST(a_purge_that_is_refused_with_its_transaction_leaves_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
