/* Reads, now and as of revisions before, whole and in pages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "storage/cursor.h"

static void get_answers_each_reference(void **state)
{
    struct fixture *f = *state;
    do_txn(f, "{'v':1,'reason':'why','ops':[{'op':'create','kind':'artifact','name':'a','size':5,"
              "'digests':['sha:1'],'tags':{'k':'v'}},"
              "{'op':'create','kind':'model','name':'m'},{'op':'create','kind':'run','name':'r'},"
              "{'op':'create','kind':'version','model':'$1','run':'$2'},"
              "{'op':'link','from':'$3','label':'contains','to':'$0'}]}");
    assert_int_equal(
        fixture_read(
            f, QUERY_GET,
            "{'refs':['artifact/a','id/3','version/m@latest','digest:sha:1'],'view':'heads'}"),
        0);
    assert_answer(f, "[{'id':2,'kind':'artifact','ref':'artifact/a','state':'live'},"
                     "{'id':3,'kind':'model','ref':'model/m','state':'live'},"
                     "{'id':5,'kind':'version','ref':'version/m/1','state':'live'},"
                     "{'id':2,'kind':'artifact','ref':'artifact/a','state':'live'}]");
    assert_true(f->answer.complete);
    assert_int_equal(f->answer.revision, 1);
    assert_int_equal(
        fixture_read(f, QUERY_GET,
                     "{'refs':['version/m/1','artifact/a'],'view':'full','with':['edges']}"),
        0);
    assert_answer(
        f, "[{'id':5,'kind':'version','ref':'version/m/1','state':'live','namespace':'default',"
           "'model':'model/m','number':1,"
           "'created':{'revision':1,'time':1000000,'principal':'ann'},"
           "'changed':{'revision':1,'time':1000000,'principal':'ann'},'run':'run/r',"
           "'edges':[{'label':'contains','to':'artifact/a','id':2},"
           "{'label':'produced_by','to':'run/r','id':4}]},"
           "{'id':2,'kind':'artifact','ref':'artifact/a','state':'live','namespace':'default',"
           "'name':'a','created':{'revision':1,'time':1000000,'principal':'ann'},"
           "'changed':{'revision':1,'time':1000000,'principal':'ann'},'tags':{'k':'v'},"
           "'digests':['sha:1'],'size':5,'edges':[]}]");
    assert_int_equal(fixture_read(f, QUERY_GET, "{'refs':['artifact/b','id/2'],'view':'ids'}"), 0);
    assert_int_equal(answer_count(f, "\"code\":\"NOT_FOUND\""), 1);
    assert_int_equal(answer_count(f, "\"ref\":\"artifact/b\""), 1);
    assert_int_equal(answer_count(f, ",2]"), 1);
}

static void a_get_of_the_past_answers_what_was(void **state)
{
    struct fixture *f = *state;
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a','description':'1'}]}");
    do_txn(f, "{'v':1,'ops':[{'op':'update','ref':'artifact/a','description':'2'}]}");
    do_txn(f, "{'v':1,'ops':[{'op':'delete','ref':'artifact/a'}]}");
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a','description':'4'}]}");
    static const struct {
        const char *query;
        const char *text;
        const char *why;
    } rows[] = {
        {"{'refs':['artifact/a'],'as_of':0,'view':'full'}", "NOT_FOUND", "not yet"},
        {"{'refs':['artifact/a'],'as_of':1,'view':'full'}", "\"description\":\"1\"", "first"},
        {"{'refs':['artifact/a'],'as_of':2,'view':'full'}", "\"description\":\"2\"", "second"},
        {"{'refs':['artifact/a'],'as_of':3,'view':'full'}", "NOT_FOUND", "deleted"},
        {"{'refs':['id/2'],'as_of':3,'view':'full'}", "\"state\":\"deleted\"", "by id"},
        {"{'refs':['artifact/a'],'as_of':3,'view':'full','state':'deleted'}", "\"id\":2",
         "the dead"},
        {"{'refs':['artifact/a'],'as_of':4,'view':'full'}", "\"id\":3", "the namesake"},
        {"{'refs':['artifact/a'],'as_of':'1970-01-01T00:00:01.001500Z','view':'full'}",
         "\"description\":\"2\"", "at a time between revisions"},
        {"{'refs':['artifact/a'],'as_of':'1970-01-01T00:00:00Z','view':'full'}", "NOT_FOUND",
         "at a time before all"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(fixture_read(f, QUERY_GET, rows[i].query), 0);
        if (answer_count(f, rows[i].text) != 1) {
            fail_msg("%s: %s", rows[i].why, json_of(buffer_span(&f->out)));
        }
    }
    assert_int_equal(fixture_read(f, QUERY_GET, "{'refs':['artifact/a'],'as_of':5}"),
                     CLADE_ERR_INVALID);
}

static void list_goes_by_name_and_state(void **state)
{
    struct fixture *f = *state;
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'c'},"
              "{'op':'create','kind':'artifact','name':'a'},"
              "{'op':'create','kind':'artifact','name':'b'},"
              "{'op':'create','kind':'namespace','name':'n'},"
              "{'op':'create','kind':'artifact','name':'z','namespace':'n'}]}");
    do_txn(f, "{'v':1,'ops':[{'op':'delete','ref':'artifact/b'}]}");
    static const struct {
        const char *query;
        const char *want;
    } rows[] = {
        {"{'kind':'artifact','view':'ids'}", "[3,2]"},
        {"{'kind':'artifact','view':'ids','as_of':1}", "[3,4,2]"},
        {"{'kind':'artifact','view':'ids','as_of':0}", "[]"},
        {"{'kind':'artifact','view':'ids','state':'deleted'}", "[4]"},
        {"{'kind':'artifact','view':'ids','state':'deleted','as_of':1}", "[]"},
        {"{'kind':'artifact','view':'ids','state':'any'}", "[3,4,2]"},
        {"{'kind':'artifact','view':'ids','ns':'n'}", "[6]"},
        {"{'kind':'namespace','view':'ids'}", "[1,5]"},
        {"{'kind':'model','view':'ids'}", "[]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(fixture_read(f, QUERY_LIST, rows[i].query), 0);
        assert_answer(f, rows[i].want);
    }
}

static void versions_and_runs_are_listed_under_what_holds_them(void **state)
{
    struct fixture *f = *state;
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'model','name':'n'},"
              "{'op':'create','kind':'model','name':'m'},"
              "{'op':'create','kind':'version','model':'$0'},"
              "{'op':'create','kind':'version','model':'$1'},"
              "{'op':'create','kind':'version','model':'$0'},"
              "{'op':'create','kind':'experiment','name':'e'},"
              "{'op':'create','kind':'run','name':'r','experiment':'$5'},"
              "{'op':'create','kind':'run','name':'q'}]}");
    do_txn(f, "{'v':1,'ops':[{'op':'delete','ref':'model/m'}]}");
    static const struct {
        const char *query;
        const char *want;
    } rows[] = {
        {"{'kind':'version','view':'ids'}", "[4,6]"},
        {"{'kind':'version','view':'ids','as_of':1}", "[5,4,6]"},
        {"{'kind':'version','view':'ids','state':'deleted'}", "[5]"},
        {"{'kind':'version','view':'ids','under':'model/n'}", "[4,6]"},
        {"{'kind':'version','view':'ids','under':'model/n','limit':1}", "[4]"},
        {"{'kind':'run','view':'ids'}", "[9,8]"},
        {"{'kind':'run','view':'ids','under':'experiment/e'}", "[8]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(fixture_read(f, QUERY_LIST, rows[i].query), 0);
        assert_answer(f, rows[i].want);
    }
    assert_int_equal(fixture_read(f, QUERY_LIST, "{'kind':'run','under':'id/2'}"),
                     CLADE_ERR_INVALID);
}

#define PAGES_TEXT_BYTES 65536

/* Reads page by page and returns the ids as text; what is written in between is not seen. */
static char *read_pages(struct fixture *f, enum query_kind kind, const char *query, int limit)
{
    char *ids = calloc(1, PAGES_TEXT_BYTES);
    char cursor[4096] = "";
    for (int page = 0; page < 1000; page++) {
        char json[8192];
        snprintf(json, sizeof json, "{%s,'view':'ids','limit':%d%s%s%s}", query, limit,
                 cursor[0] ? ",'cursor':'" : "", cursor, cursor[0] ? "'" : "");
        assert_int_equal(fixture_read(f, kind, json), 0);
        char *text = json_of(buffer_span(&f->out));
        text[strlen(text) - 1] = '\0';
        size_t used = strlen(ids);
        snprintf(ids + used, PAGES_TEXT_BYTES - used, "%s%s", used > 0 && text[1] ? "," : "",
                 text + 1);
        free(text);
        if (f->answer.complete) {
            assert_int_equal(f->answer.cursor.len, 0);
            return ids;
        }
        snprintf(cursor, sizeof cursor, "%.*s", SPAN_FMT(f->answer.cursor));
        if (page > 2) {
            continue;
        }
        do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'artifact'},{'op':'create','kind':'model',"
                  "'name':'m3','if_exists':'return'},{'op':'create','kind':'version','model':'$1'},"
                  "{'op':'link','from':'$0','label':'l','to':'artifact/a5'}]}");
    }
    fail_msg("the pages do not end");
    return ids;
}

static void pages_fit_together(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 40; i++) {
        char json[512];
        snprintf(json, sizeof json,
                 "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a%d'},"
                 "{'op':'create','kind':'model','name':'m%d'},"
                 "{'op':'create','kind':'version','model':'$1'},"
                 "{'op':'create','kind':'version','model':'$1'},"
                 "{'op':'link','from':'$0','label':'l','to':'artifact/a%d'}]}",
                 i, i, i / 2);
        do_txn(f, json);
    }
    static const struct {
        enum query_kind kind;
        const char *query;
    } rows[] = {
        {QUERY_LIST, "'kind':'artifact'"},
        {QUERY_LIST, "'kind':'version'"},
        {QUERY_LIST, "'kind':'version','state':'any'"},
        {QUERY_LIST, "'kind':'version','under':'model/m3'"},
        {QUERY_LINEAGE, "'ref':'artifact/a0','direction':'down'"},
        {QUERY_LINEAGE, "'ref':'artifact/a39','direction':'up'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *whole = read_pages(f, rows[i].kind, rows[i].query, 1000);
        static const int limits[] = {1, 2, 3, 7, 40};
        for (size_t j = 0; j < sizeof limits / sizeof *limits; j++) {
            char *again = read_pages(f, rows[i].kind, rows[i].query, 1000);
            free(whole);
            whole = again;
            char *pages = read_pages(f, rows[i].kind, rows[i].query, limits[j]);
            assert_string_equal(pages, whole);
            free(pages);
        }
        free(whole);
    }
}

static void a_cursor_goes_on_in_a_namespace_that_went(void **state)
{
    struct fixture *f = *state;
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'namespace','name':'n'},"
              "{'op':'create','kind':'run','name':'a','namespace':'n'},"
              "{'op':'create','kind':'run','name':'b','namespace':'n'}]}");
    assert_int_equal(fixture_read(f, QUERY_LIST, "{'kind':'run','ns':'n','limit':1,'view':'ids'}"),
                     0);
    assert_answer(f, "[3]");
    char json[1024];
    snprintf(json, sizeof json, "{'kind':'run','ns':'n','limit':1,'view':'ids','cursor':'%.*s'}",
             SPAN_FMT(f->answer.cursor));
    do_txn(f, "{'v':1,'ops':[{'op':'delete','ref':'//n//run/a'},{'op':'delete','ref':'//n//run/b'},"
              "{'op':'delete','ref':'namespace/n'}]}");
    assert_int_equal(fixture_read(f, QUERY_LIST, json), 0);
    assert_answer(f, "[4]");
    /* Another one of that path is another one. */
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'namespace','name':'n'}]}");
    assert_int_equal(fixture_read(f, QUERY_LIST, json), 0);
    assert_answer(f, "[4]");
}

static void a_bad_cursor_is_invalid(void **state)
{
    struct fixture *f = *state;
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'a'},"
              "{'op':'create','kind':'run','name':'b'}]}");
    assert_int_equal(fixture_read(f, QUERY_LIST, "{'kind':'run','limit':1}"), 0);
    assert_false(f->answer.complete);
    char good[512];
    char json[1024];
    snprintf(good, sizeof good, "%.*s", SPAN_FMT(f->answer.cursor));
    snprintf(json, sizeof json, "{'kind':'model','limit':1,'cursor':'%s'}", good);
    assert_int_equal(fixture_read(f, QUERY_LIST, json), CLADE_ERR_INVALID);
    snprintf(json, sizeof json, "{'ref':'run/a','direction':'up','cursor':'%s'}", good);
    assert_int_equal(fixture_read(f, QUERY_LINEAGE, json), CLADE_ERR_INVALID);
    for (size_t i = 0; i < strlen(good); i++) {
        char bad[512];
        snprintf(bad, sizeof bad, "%s", good);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        snprintf(json, sizeof json, "{'kind':'run','limit':1,'cursor':'%s'}", bad);
        assert_int_equal(fixture_read(f, QUERY_LIST, json), CLADE_ERR_INVALID);
        snprintf(json, sizeof json, "{'kind':'run','limit':1,'cursor':'%.*s'}", (int)i + 1, good);
        int want = i + 1 == strlen(good) ? 0 : CLADE_ERR_INVALID;
        assert_int_equal(fixture_read(f, QUERY_LIST, json), want);
    }
}

/* Whoever can compute the checksum can make a cursor say anything: it gets things that it may ask
 * for anyway, or an error. */
static void a_forged_position_is_harmless(void **state)
{
    static const struct {
        enum query_kind kind;
        const char *query;
    } rows[] = {
        {QUERY_LIST, "{'kind':'run','limit':1"},
        {QUERY_LIST, "{'kind':'version','limit':1"},
        {QUERY_LIST, "{'kind':'version','under':'model/m','limit':1"},
        {QUERY_LINEAGE, "{'ref':'run/a','direction':'down','limit':1"},
    };
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'a'},"
              "{'op':'create','kind':'run','name':'b'},{'op':'create','kind':'model','name':'m'},"
              "{'op':'create','kind':'version','model':'$2','run':'$0'},"
              "{'op':'create','kind':'version','model':'$2','run':'$0'}]}");
    for (int i = 0; i < 2000; i++) {
        size_t row = next_random(&seed) % (sizeof rows / sizeof *rows);
        char json[4096];
        snprintf(json, sizeof json, "%s}", rows[row].query);
        assert_int_equal(fixture_read(f, rows[row].kind, json), 0);
        assert_true(f->answer.cursor.len > 0);
        struct cursor cursor;
        uint8_t position[CURSOR_POSITION_MAX];
        assert_int_equal(cursor_decode(f->answer.cursor, &f->arena, &cursor, &f->error), 0);
        size_t keep = next_random(&seed) % (cursor.position.len + 1);
        size_t len = next_random(&seed) % 3 != 0 ? cursor.position.len
                                                 : next_random(&seed) % sizeof position;
        for (size_t j = 0; j < len; j++) {
            position[j] = j < keep && j < cursor.position.len ? cursor.position.data[j]
                                                              : (uint8_t)next_random(&seed);
        }
        cursor.position = span_make(position, len);
        struct span text = cursor_encode(&cursor, &f->arena);
        snprintf(json, sizeof json, "%s,'cursor':'%.*s'}", rows[row].query, SPAN_FMT(text));
        int rc = fixture_read(f, rows[row].kind, json);
        assert_true(rc == 0 || rc == CLADE_ERR_INVALID);
    }
}

/* Full things show whose they are, and looking for that goes through the names that are listed. */
static void a_list_of_whole_things_has_each_once(void **state)
{
    struct fixture *f = *state;
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'namespace','name':'t','owner':'ann'},"
              "{'op':'create','kind':'namespace','name':'t/u'},"
              "{'op':'create','kind':'artifact','name':'c','namespace':'t/u'},"
              "{'op':'create','kind':'artifact','name':'a','namespace':'t/u'},"
              "{'op':'create','kind':'artifact','name':'b','namespace':'t/u'},"
              "{'op':'create','kind':'namespace','name':'t/v'},"
              "{'op':'create','kind':'namespace','name':'z'}]}");
    static const struct {
        const char *query;
        const char *refs;
        size_t count;
    } rows[] = {
        {"{'kind':'artifact','ns':'t/u','view':'full'}", "artifact/", 3},
        {"{'kind':'artifact','ns':'t/u','view':'full'}", "artifact/c\"", 1},
        {"{'kind':'namespace','view':'full'}", "\"ref\":\"namespace/", 5},
        {"{'kind':'namespace','view':'full'}", "\"ref\":\"namespace/z\"", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(fixture_read(f, QUERY_LIST, rows[i].query), 0);
        assert_true(f->answer.complete);
        assert_int_equal(answer_count(f, rows[i].refs), rows[i].count);
    }
}

static void describe_of_the_past_is_what_it_was(void **state)
{
    struct fixture *f = *state;
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'},"
              "{'op':'create','kind':'model','name':'m'},"
              "{'op':'create','kind':'version','model':'$1'},"
              "{'op':'link','from':'$2','label':'l','to':'$0'}]}");
    do_txn(f, "{'v':1,'ops':[{'op':'unlink','from':'version/m/1','label':'l','to':'artifact/a'},"
              "{'op':'delete','ref':'artifact/a'}]}");
    static const struct {
        const char *query;
        const char *want;
    } rows[] = {
        {"{}", "{\"name\":\"default\",\"namespace\":0,\"type\":0,\"artifact\":0,\"experiment\":0,"
               "\"run\":0,\"model\":1,"
               "\"version\":1,\"deployment\":0,\"edges\":0,"},
        {"{'as_of':1}", "{\"name\":\"default\",\"namespace\":0,\"type\":0,\"artifact\":1,"
                        "\"experiment\":0,\"run\":0,\"model\":1,"
                        "\"version\":1,\"deployment\":0,\"edges\":1,"},
        {"{'as_of':0}", "{\"name\":\"default\",\"namespace\":0,\"type\":0,\"artifact\":0,"
                        "\"experiment\":0,\"run\":0,\"model\":0,"
                        "\"version\":0,\"deployment\":0,\"edges\":0,"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(fixture_read(f, QUERY_DESCRIBE, rows[i].query), 0);
        if (answer_count(f, rows[i].want) != 1) {
            fail_msg("%s", json_of(buffer_span(&f->out)));
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(get_answers_each_reference),
        TEST(a_get_of_the_past_answers_what_was),
        TEST(list_goes_by_name_and_state),
        TEST(versions_and_runs_are_listed_under_what_holds_them),
        TEST(pages_fit_together),
        TEST(a_cursor_goes_on_in_a_namespace_that_went),
        TEST(a_bad_cursor_is_invalid),
        TEST(a_forged_position_is_harmless),
        TEST(a_list_of_whole_things_has_each_once),
        TEST(describe_of_the_past_is_what_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
