/* Compaction: floors, what is refused below them, and that nothing above them changes when rows go.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "compact_fixture.h"
#include "row_count.h"
#include "storage/compact.h"
#include "storage/purge.h"
#include "storage/shrink.h"
#include "storage/view.h"

#define TXN(ops)     "{'v':1,'ops':[" ops "]}"
#define SHARED       "airflow:what-many-had"
#define ALL_OF_PURGE (PURGE_ROWS_AN_ENTRY / PURGE_ROWS * PURGE_PERIOD_MS)

static void move_floor(struct fixture *f, const char *ns, uint64_t revision)
{
    char json[200];
    snprintf(json, sizeof json, TXN("{'op':'compact','ref':'namespace/%s','before':%lu}"), ns,
             revision);
    pass_minutes(f, 16);
    do_txn(f, json);
}

static void refused_as_compacted(struct fixture *f,
                                 enum query_kind kind,
                                 const char *query,
                                 uint64_t oldest)
{
    int rc = fixture_read(f, kind, query);
    if (rc != CLADE_ERR_COMPACTED || f->error.revision != oldest) {
        fail_msg("%s: %d, revision %lu, %s", query, rc, f->error.revision, f->error.message);
    }
}

static void answers(struct fixture *f, enum query_kind kind, const char *query, const char *has)
{
    int rc = fixture_read(f, kind, query);
    if (rc != 0 || answer_count(f, has) == 0) {
        fail_msg("%s: %d, %s", query, rc,
                 rc != 0 ? f->error.message : json_of(buffer_span(&f->out)));
    }
}

/* --- What is asked for -------------------------------------------------------------------------
 */

/* An artifact at revisions 1 to 4, described by each. */
static void make_past(struct fixture *f)
{
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'x','description':'one',"
                  "'tags':{'k':'one'},'uris':['u:one'],'external_ids':['s:one']}"));
    do_txn(f, TXN("{'op':'update','ref':'artifact/x','description':'two','tags':{'k':'two'},"
                  "'uris':{'u:one':null,'u:two':true},"
                  "'external_ids':{'s:one':null,'s:two':true}}"));
    do_txn(f, TXN("{'op':'rename','ref':'artifact/x','name':'y'}"));
    do_txn(f, TXN("{'op':'update','ref':'artifact/y','description':'four','tags':{'k':'four'}}"));
}

static void below_the_floor_reads_are_refused_at_it_they_are_not(void **state)
{
    struct fixture *f = *state;
    make_past(f);
    move_floor(f, "default", 3);
    assert_body(f, "[{'status':'compacted','id':1,'ref':'namespace/default','floor':3}]");
    for (int gone = 0; gone < 2; gone++) {
        answers(f, QUERY_GET, "{'refs':['artifact/y'],'view':'full','as_of':3}", "two");
        answers(f, QUERY_LIST, "{'kind':'artifact','as_of':3}", "artifact/y");
        answers(f, QUERY_SEARCH, "{'kind':'artifact','query':\"tags.k = \\\"two\\\"\",'as_of':3}",
                "artifact/y");
        answers(
            f, QUERY_GET,
            "{'refs':['artifact/x','id/2','artifact/none','uri:u:one'],'view':'full','as_of':2}",
            "COMPACTED");
        assert_int_equal(answer_count(f, "COMPACTED"), 4);
        assert_int_equal(answer_count(f, "\"revision\":3"), 4);
        refused_as_compacted(f, QUERY_LIST, "{'kind':'artifact','as_of':2}", 3);
        refused_as_compacted(f, QUERY_SEARCH, "{'kind':'artifact','query':'','as_of':2}", 3);
        refused_as_compacted(f, QUERY_COUNT, "{'kind':'artifact','query':'','as_of':0}", 3);
        refused_as_compacted(f, QUERY_LINEAGE, "{'ref':'id/2','as_of':2}", 3);
        refused_as_compacted(f, QUERY_DESCRIBE, "{'as_of':2}", 3);
        refused_as_compacted(f, QUERY_HISTORY, "{'ref':'id/2','as_of':2}", 3);
        refused_as_compacted(f, QUERY_DIFF, "{'from':'id/2','from_as_of':2,'to':'id/2'}", 3);
        compact_all(f);
    }
    verify(f);
}

static void history_and_audit_end_at_the_floor_and_say_so(void **state)
{
    struct fixture *f = *state;
    make_past(f);
    move_floor(f, "default", 2);
    for (int gone = 0; gone < 2; gone++) {
        answers(f, QUERY_HISTORY, "{'ref':'id/2'}", "\"revision\":3");
        assert_int_equal(f->answer.compacted, 2);
        assert_true(f->answer.complete);
        assert_int_equal(answer_count(f, "\"change\""), 2);
        answers(f, QUERY_AUDIT, "{}", "\"revision\":4");
        assert_int_equal(f->answer.compacted, 2);
        assert_int_equal(answer_count(f, "\"revision\""), 2);
        answers(f, QUERY_AUDIT, "{'ref':'id/2'}", "\"revision\":4");
        assert_int_equal(answer_count(f, "\"revision\""), 2);
        assert_int_equal(f->answer.compacted, 2);
        compact_all(f);
    }
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'new'}"));
    answers(f, QUERY_HISTORY, "{'ref':'artifact/new'}", "created");
    assert_int_equal(f->answer.compacted, 0);
}

static void rows_below_the_floor_go(void **state)
{
    struct fixture *f = *state;
    make_past(f);
    assert_int_not_equal(count_rows_with(f, "one"), 0);
    move_floor(f, "default", 4);
    compact_all(f);
    assert_int_equal(count_rows_with(f, "one"), 0);
    assert_int_equal(count_rows(f, TABLE_HISTORY), 0);
    assert_int_equal(count_rows(f, TABLE_CHANGES), 0);
    assert_int_equal(count_rows_with(f, "s:two"), 2); /* the record, the name */
    answers(f, QUERY_GET, "{'refs':['artifact/y','uri:u:two','artifact/ext:s:two'],'view':'full'}",
            "four");
    assert_int_equal(answer_count(f, "four"), 3 * 2);
    verify(f);
}

static void a_step_stops_in_the_middle_and_goes_on(void **state)
{
    struct fixture *f = *state;
    make_past(f);
    do_txn(f, TXN("{'op':'update','ref':'id/2','description':'five'},"
                  "{'op':'create','kind':'artifact','name':'z'},"
                  "{'op':'link','from':'id/2','label':'trained_on','to':'$1'}"));
    move_floor(f, "default", 5);
    unsigned steps = 1;
    while (compact_some(f, 1)) {
        steps++;
        if (steps == 4) { /* a restart, as after a crash: what was not committed was not done */
            fixture_close(f);
            fixture_open(f, FIXTURE_MAP_BYTES);
        }
        verify(f);
    }
    assert_in_range(steps, 7, 20);
    assert_int_equal(count_rows(f, TABLE_HISTORY), 0);
    assert_int_equal(count_rows(f, TABLE_CHANGES), 0);
}

static void what_is_young_or_has_not_been_is_not_compacted(void **state)
{
    struct fixture *f = *state;
    make_past(f);
    assert_int_equal(fixture_txn(f, TXN("{'op':'compact','ref':'namespace/default','before':3}")),
                     CLADE_ERR_INVALID);
    pass_minutes(f, 16);
    assert_int_equal(fixture_txn(f, TXN("{'op':'compact','ref':'namespace/default','before':5}")),
                     CLADE_ERR_INVALID);
    assert_int_equal(fixture_txn(f, TXN("{'op':'compact','ref':'id/2','before':3}")),
                     CLADE_ERR_INVALID);
    assert_int_equal(fixture_txn(f, TXN("{'op':'compact','ref':'namespace/none','before':3}")),
                     CLADE_ERR_NOT_FOUND);
    do_txn(f, TXN("{'op':'compact','ref':'namespace/default','before':3}"));
    do_txn(f, TXN("{'op':'compact','ref':'namespace/default','before':2}"));
    assert_body(f, "[{'status':'unchanged','id':1,'ref':'namespace/default','floor':3}]");
    assert_false(f->result.changed);
    assert_int_equal(f->result.revision, 4);
    /* A refused transaction moves nothing, not in memory either. */
    assert_int_equal(fixture_txn(f, TXN("{'op':'compact','ref':'namespace/default','before':4},"
                                        "{'op':'delete','ref':'artifact/none'}")),
                     CLADE_ERR_NOT_FOUND);
    answers(f, QUERY_GET, "{'refs':['id/2'],'view':'full','as_of':3}", "two");
    answers(f, QUERY_DESCRIBE, "{}", "\"compacted\":{\"before\":3,");
    verify(f);
}

static void a_time_means_the_revision_at_it(void **state)
{
    struct fixture *f = *state;
    f->stamp_us = 1000000000 * (uint64_t)1000000; /* 2001-09-09T01:46:40Z */
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'x'}"));
    pass_minutes(f, 1);
    do_txn(f, TXN("{'op':'update','ref':'artifact/x','description':'d'}"));
    pass_minutes(f, 30);
    do_txn(f, TXN("{'op':'compact','ref':'namespace/default','before':'2001-09-09T01:47:00Z'}"));
    assert_body(f, "[{'status':'compacted','id':1,'ref':'namespace/default','floor':1}]");
    do_txn(f, TXN("{'op':'compact','ref':'namespace/default','before':'2001-09-09T02:00:00Z'}"));
    assert_body(f, "[{'status':'compacted','id':1,'ref':'namespace/default','floor':2}]");
}

/* --- Several namespaces ------------------------------------------------------------------------
 */

static void a_namespace_keeps_what_another_has_lost(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'n'}"));              /* 1, id 2 */
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'x'},"                 /* 2, id 3 */
                  "{'op':'create','kind':'artifact','name':'y','namespace':'n'}," /* id 4 */
                  "{'op':'create','kind':'artifact','name':'z'}"));               /* id 5 */
    do_txn(f, TXN("{'op':'link','from':'id/3','label':'trained_on','to':'id/4'}," /* 3 */
                  "{'op':'link','from':'id/5','label':'trained_on','to':'id/3'}"));
    do_txn(f, TXN("{'op':'unlink','from':'id/3','label':'trained_on','to':'id/4'}," /* 4 */
                  "{'op':'unlink','from':'id/5','label':'trained_on','to':'id/3'}"));
    do_txn(f, TXN("{'op':'update','ref':'id/3','description':'d'}," /* 5 */
                  "{'op':'update','ref':'id/4','description':'d'}"));
    move_floor(f, "n", 5);
    for (int gone = 0; gone < 2; gone++) {
        /* What was never in it is told as ever; what it leads to is not. */
        answers(f, QUERY_LINEAGE, "{'ref':'id/3','direction':'down','as_of':3}", "artifact/z");
        refused_as_compacted(f, QUERY_LINEAGE, "{'ref':'id/3','direction':'up','as_of':3}", 5);
        refused_as_compacted(f, QUERY_LINEAGE, "{'ref':'id/5','direction':'up','as_of':3}", 5);
        refused_as_compacted(f, QUERY_LINEAGE,
                             "{'ref':'id/5','direction':'up','as_of':3,'count':true}", 5);
        answers(f, QUERY_LINEAGE, "{'ref':'id/5','direction':'up','as_of':3,'depth':1}",
                "artifact/x");
        answers(f, QUERY_GET, "{'refs':['id/3'],'view':'full','as_of':3,'with':['edges']}",
                "\"to\":\"id/4\"");
        answers(f, QUERY_HISTORY, "{'ref':'id/3'}", "\"revision\":3");
        assert_int_equal(f->answer.compacted, 0);
        answers(f, QUERY_AUDIT, "{'namespace':'default'}", "\"revision\":2");
        assert_int_equal(f->answer.compacted, 0);
        answers(f, QUERY_AUDIT, "{}", "\"revision\":2");
        assert_int_equal(f->answer.compacted, 5);
        assert_int_equal(answer_count(f, "//n//artifact/y"), 0);
        compact_all(f);
    }
    /* The edge goes when both ends' floors have passed it, and with it its row of the change log.
     */
    assert_int_equal(count_rows(f, TABLE_EDGES_OUT), 2);
    assert_int_equal(count_rows(f, TABLE_HISTORY), 1);
    move_floor(f, "default", 5);
    compact_all(f);
    assert_int_equal(count_rows(f, TABLE_EDGES_OUT), 0);
    assert_int_equal(count_rows(f, TABLE_EDGES_IN), 0);
    assert_int_equal(count_rows(f, TABLE_HISTORY), 0);
    assert_int_equal(count_rows(f, TABLE_CHANGES), 1); /* of the namespace itself */
    verify(f);
}

static void what_is_held_keeps_its_history(void **state)
{
    struct fixture *f = *state;
    make_past(f);
    move_floor(f, "default", 2);
    do_txn(f, TXN("{'op':'hold','ref':'id/2','reason':'a court'}"));            /* 5 */
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'other'}"));         /* 6 */
    do_txn(f, TXN("{'op':'update','ref':'artifact/other','description':'d'}")); /* 7 */
    move_floor(f, "default", 7);
    compact_all(f);
    answers(f, QUERY_GET, "{'refs':['id/2','artifact/y'],'view':'full','as_of':3}", "two");
    assert_int_equal(answer_count(f, "COMPACTED"), 0);
    answers(f, QUERY_GET, "{'refs':['id/2','artifact/other','id/3'],'view':'full','as_of':1}",
            "COMPACTED");
    assert_int_equal(answer_count(f, "COMPACTED"), 3);
    answers(f, QUERY_HISTORY, "{'ref':'id/2'}", "\"revision\":3");
    assert_int_equal(f->answer.compacted, 2);
    assert_int_equal(count_rows(f, TABLE_HISTORY), 3);
    do_txn(f, TXN("{'op':'release','ref':'id/2'}")); /* 8 */
    answers(f, QUERY_GET, "{'refs':['id/2'],'view':'full','as_of':3}", "COMPACTED");
    compact_all(f);
    assert_int_equal(count_rows(f, TABLE_HISTORY), 1);
    assert_int_equal(count_rows(f, TABLE_FLOORS), 2); /* the namespace's, and the highest */
    verify(f);
}

static void a_namespace_that_is_held_keeps_its_floor(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'n'}")); /* 1: id/2 */
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'x','namespace':'n'}"));
    move_floor(f, "n", 2);
    do_txn(f, TXN("{'op':'hold','ref':'namespace/n','reason':'a court'}"));
    answers(f, QUERY_GET, "{'refs':['namespace/n'],'as_of':1}", "namespace/n");
    assert_int_equal(answer_count(f, "COMPACTED"), 0);
    do_txn(f, TXN("{'op':'release','ref':'namespace/n'}"));
    refused_as_compacted(f, QUERY_LIST, "{'kind':'artifact','ns':'n','as_of':1}", 2);
    assert_int_equal(count_rows(f, TABLE_FLOORS), 2); /* the namespace's, and the highest */
    verify(f);
}

/* A model of two versions, id/2 to id/4, whose alias moves; an artifact of another team, id/6, that
 * is made of both. What is held is so before all but the team's history goes. */
static void make_versions(struct fixture *f, const char *hold)
{
    do_txn(f, TXN("{'op':'create','kind':'model','name':'m'},"
                  "{'op':'create','kind':'version','model':'model/m'},"
                  "{'op':'create','kind':'version','model':'model/m'},"
                  "{'op':'create','kind':'namespace','name':'n'},"
                  "{'op':'create','kind':'artifact','name':'x','namespace':'n'}"));
    do_txn(f, TXN("{'op':'set_alias','ref':'version/m/1','alias':'best'},"
                  "{'op':'link','from':'//n//artifact/x','label':'contains','to':'version/m/1'},"
                  "{'op':'link','from':'//n//artifact/x','label':'contains','to':'version/m/2'}"));
    do_txn(f, TXN("{'op':'set_alias','ref':'version/m/2','alias':'best'}"));
    do_txn(f, hold); /* 4 */
    do_txn(f, TXN("{'op':'update','ref':'version/m/2','description':'d'}"));
    move_floor(f, "default", 5);
    compact_all(f);
}

static void a_held_model_is_told_of_though_its_versions_are_not(void **state)
{
    struct fixture *f = *state;
    make_versions(f, TXN("{'op':'hold','ref':'model/m'}"));
    answers(f, QUERY_HISTORY, "{'ref':'model/m'}", "\"from\":1,\"to\":2");
    answers(f, QUERY_AUDIT, "{'ref':'model/m'}", "\"from\":1,\"to\":2");
    answers(f, QUERY_GET, "{'refs':['id/2'],'with':['aliases'],'as_of':2}", "\"version\":1");
}

static void a_held_version_has_no_name_where_its_model_has_none(void **state)
{
    struct fixture *f = *state;
    make_versions(f, TXN("{'op':'hold','ref':'version/m/1'}"));
    answers(f, QUERY_AUDIT, "{'namespace':'default'}", "\"ref\":\"id/3\"");
    answers(f, QUERY_HISTORY, "{'ref':'id/6'}", "\"to\":\"id/3\"");
    answers(f, QUERY_GET, "{'ns':'n','refs':['id/6'],'with':['edges'],'as_of':2}",
            "\"to\":\"id/3\"");
    /* Whether it was live cannot be told: that is said of this one alone. */
    answers(f, QUERY_GET, "{'ns':'n','refs':['id/3','id/6'],'as_of':2}", "\"ref\":\"artifact/x\"");
    assert_int_equal(answer_count(f, "COMPACTED"), 1);
}

/* --- What apply must not see -------------------------------------------------------------------
 */

static void the_dead_are_found_by_their_names_for_ever(void **state)
{
    struct fixture *f = *state;
    make_past(f);
    do_txn(f, TXN("{'op':'delete','ref':'id/2'}"));
    move_floor(f, "default", 5);
    compact_all(f);
    do_txn(f, TXN("{'op':'undelete','ref':'artifact/ext:s:two'}"));
    do_txn(f, TXN("{'op':'delete','ref':'artifact/y'}"));
    move_floor(f, "default", 7);
    compact_all(f);
    do_txn(f, TXN("{'op':'undelete','ref':'artifact/y'}"));
    verify(f);
}

static void purging_takes_what_compaction_leaves_behind(void **state)
{
    struct fixture *f = *state;
    f->elapsed_ms = ALL_OF_PURGE;
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'SECRET','tags':{'k':'SECRET'},"
                  "'uris':['u:SECRET'],'external_ids':['s:SECRET']}"));
    do_txn(f, TXN("{'op':'update','ref':'id/2','description':'d'}"));
    move_floor(f, "default", 2);
    compact_all(f);
    do_txn(f, TXN("{'op':'update','ref':'id/2','tags':{'k':null},'uris':{'u:SECRET':null}}"));
    do_txn(f, TXN("{'op':'delete','ref':'id/2'}"));
    do_txn(f, TXN("{'op':'purge','ref':'id/2'}"));
    for (int i = 0; i < 10; i++) {
        tick(f);
    }
    assert_int_equal(count_rows_with(f, "SECRET"), 0);
    move_floor(f, "default", 5);
    compact_all(f);
    assert_int_equal(count_rows(f, TABLE_HISTORY), 0);
    verify(f);
}

/* --- Retention ---------------------------------------------------------------------------------
 */

static void retain(struct fixture *f, const uint64_t *ids, size_t len)
{
    uint8_t bytes[8 * 4];
    for (size_t i = 0; i < len; i++) {
        put_u64le(bytes + 8 * i, ids[i]);
    }
    struct item item = {
        .kind = ITEM_RETAIN, .id = {.node = 1}, .command = span_make(bytes, 8 * len)};
    fixture_add(f, &item);
    assert_int_equal(fixture_run(f), 0);
}

static void retention_moves_the_floor_by_store_time(void **state)
{
    struct fixture *f = *state;
    uint64_t ids[4];
    size_t len;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'n','retention_s':3600},"
                  "{'op':'create','kind':'namespace','name':'n/m'},"
                  "{'op':'create','kind':'namespace','name':'o'}"));
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'x','namespace':'n/m'}"));
    pass_minutes(f, 30);
    do_txn(f, TXN("{'op':'update','ref':'//n/m//artifact/x','description':'d'}"));
    pass_minutes(f, 31);
    assert_int_equal(store_past_retention(f->store, f->stamp_us, 0, ids, 4, &len, NULL), 0);
    assert_int_equal(len, 2); /* what is not told inherits: n and n/m */
    retain(f, ids, len);
    retain(f, (uint64_t[]){1, 4, 5, 99}, 4); /* nothing to be done, no namespaces */
    assert_int_equal(store_past_retention(f->store, f->stamp_us, 0, ids, 4, &len, NULL), 0);
    assert_int_equal(len, 0);
    answers(f, QUERY_DESCRIBE, "{'ns':'n/m'}", "\"compacted\":{\"before\":2,");
    answers(f, QUERY_GET, "{'refs':['//n/m//artifact/x'],'view':'full','as_of':1}", "COMPACTED");
    answers(f, QUERY_GET, "{'refs':['//n/m//artifact/x'],'view':'full','as_of':2}", "artifact/x");
    pass_minutes(f, 60);
    retain(f, (uint64_t[]){3}, 1);
    answers(f, QUERY_DESCRIBE, "{'ns':'n/m'}", "\"compacted\":{\"before\":3,");
    verify(f);
}

/* --- Giving space back -------------------------------------------------------------------------
 */

static uint64_t file_bytes(const char *folder)
{
    char path[200];
    struct stat st;
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static void a_shrunk_store_is_smaller_and_the_same(void **state)
{
    struct fixture *f = *state;
    struct fixture *g;
    void *other;
    char json[3000];
    char long_text[2000];
    struct store_copy_info info;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    do_txn(f, TXN("{'op':'create','kind':'artifact','name':'x'},"
                  "{'op':'create','kind':'artifact','name':'y'},"
                  "{'op':'link','from':'$0','label':'consumed','to':'$1'},"
                  "{'op':'link','from':'$0','label':'trained_on','to':'$1'}"));
    for (int i = 0; i < 500; i++) {
        snprintf(json, sizeof json, TXN("{'op':'update','ref':'id/2','description':'%d %s'}"), i,
                 long_text);
        do_txn(f, json);
    }
    move_floor(f, "default", 500);
    compact_all(f);
    assert_int_equal(fixture_setup(&other), 0);
    g = other;
    fixture_close(g);
    fixture_wipe(g);
    if (store_shrink(f->store, g->dir, NULL, NULL, &info, &f->error) != 0) {
        fail_msg("%s", f->error.message);
    }
    assert_int_equal(info.revision, 501);
    assert_true(file_bytes(g->dir) < file_bytes(f->dir) / 4);
    fixture_open(g, FIXTURE_MAP_BYTES);
    g->stamp_us = f->stamp_us;
    assert_true(digests_equal(store_digest_current(f->store), store_digest_current(g->store)));
    do_txn(f, TXN("{'op':'update','ref':'id/2','description':'d'}"));
    do_txn(g, TXN("{'op':'update','ref':'id/2','description':'d'}"));
    assert_true(digests_equal(store_digest_current(f->store), store_digest_current(g->store)));
    verify(g);
    fixture_teardown(&other);
}

/* Rows of others that compaction may have taken on some nodes do not hide a thing's own. */
static void purging_passes_over_any_number_of_compacted_rows(void **state)
{
    struct fixture *f = *state;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'n'}"));
    do_txn(f, TXN("{'op':'create','kind':'run','name':'r','namespace':'n','external_ids':["
                  "'" SHARED "']}"));
    do_txn(f, TXN("{'op':'delete','ref':'//n//run/r'}"));
    for (int i = 0; i < 1100; i++) {
        char json[200];
        snprintf(json, sizeof json,
                 TXN("{'op':'create','kind':'run','name':'s%d','namespace':'n','external_ids':["
                     "'" SHARED "']}"),
                 i);
        do_txn(f, json);
        snprintf(json, sizeof json,
                 TXN("{'op':'update','ref':'//n//run/s%d','external_ids':{'" SHARED "':null}}"), i);
        do_txn(f, json);
    }
    move_floor(f, "n", 2203);
    unsigned names = count_rows(f, TABLE_NAMES);
    do_txn(f, TXN("{'op':'purge','ref':'id/3'}"));
    /* Its name and its external id go at once, and a row comes that has neither. */
    assert_int_equal(count_rows(f, TABLE_NAMES), names - 1);
    compact_all(f);
    f->elapsed_ms = ALL_OF_PURGE;
    tick(f);
    assert_int_equal(count_rows_with(f, SHARED), 0);
    verify(f);
}

/* Where more namespaces are due than one item names, each has its turn. */
static void namespaces_past_their_retention_have_turns(void **state)
{
    struct fixture *f = *state;
    uint64_t first[4];
    uint64_t rest[4];
    size_t len;
    size_t rest_len;
    do_txn(f, TXN("{'op':'create','kind':'namespace','name':'n','retention_s':3600},"
                  "{'op':'create','kind':'namespace','name':'n/a'},"
                  "{'op':'create','kind':'namespace','name':'n/b'}"));
    pass_minutes(f, 61);
    assert_int_equal(store_past_retention(f->store, f->stamp_us, 0, first, 2, &len, NULL), 0);
    assert_int_equal(len, 2);
    assert_int_equal(store_past_retention(f->store, f->stamp_us, 2, rest, 2, &rest_len, NULL), 0);
    assert_int_equal(rest_len, 1);
    assert_true(rest[0] != first[0] && rest[0] != first[1]);
    assert_int_equal(store_past_retention(f->store, f->stamp_us, 3, rest, 2, &rest_len, NULL), 0);
    assert_int_equal(rest_len, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(below_the_floor_reads_are_refused_at_it_they_are_not),
        TEST(history_and_audit_end_at_the_floor_and_say_so),
        TEST(rows_below_the_floor_go),
        TEST(a_step_stops_in_the_middle_and_goes_on),
        TEST(what_is_young_or_has_not_been_is_not_compacted),
        TEST(a_time_means_the_revision_at_it),
        TEST(a_namespace_keeps_what_another_has_lost),
        TEST(what_is_held_keeps_its_history),
        TEST(a_namespace_that_is_held_keeps_its_floor),
        TEST(a_held_model_is_told_of_though_its_versions_are_not),
        TEST(a_held_version_has_no_name_where_its_model_has_none),
        TEST(the_dead_are_found_by_their_names_for_ever),
        TEST(purging_takes_what_compaction_leaves_behind),
        TEST(purging_passes_over_any_number_of_compacted_rows),
        TEST(retention_moves_the_floor_by_store_time),
        TEST(namespaces_past_their_retention_have_turns),
        TEST(a_shrunk_store_is_smaller_and_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
