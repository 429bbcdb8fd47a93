/* lineage against a walk of a plain matrix, on random graphs that change. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define THINGS    40
#define LABELS    3
#define REVISIONS 120
#define FIRST_ID  2

/* edges[revision][label][from][to] */
typedef bool matrix[LABELS][THINGS][THINGS];

static void run(struct fixture *f, const char *json)
{
    if (fixture_txn(f, json) != 0) {
        fail_msg("%s", json_of(buffer_span(&f->body)));
    }
}

static void make_things(struct fixture *f)
{
    for (int i = 0; i < THINGS; i++) {
        char json[128];
        snprintf(json, sizeof json, "{'v':1,'ops':[{'op':'create','kind':'%s','name':'n%d'}]}",
                 i % 4 == 0 ? "run" : "artifact", i);
        run(f, json);
    }
}

/* A few links and unlinks in one transaction; `m` follows. */
static void change(struct fixture *f, uint64_t *seed, matrix m)
{
    char json[2048] = "{'v':1,'ops':[";
    int n = (int)(next_random(seed) % 5) + 1;
    for (int i = 0; i < n; i++) {
        bool link = next_random(seed) % 3 != 0;
        int from = (int)(next_random(seed) % THINGS);
        int to = (int)(next_random(seed) % THINGS);
        int label = (int)(next_random(seed) % LABELS);
        size_t used = strlen(json);
        snprintf(json + used, sizeof json - used,
                 "%s{'op':'%s','from':'id/%d','label':'l%d','to':'id/%d'}", i > 0 ? "," : "",
                 link ? "link" : "unlink", from + FIRST_ID, label, to + FIRST_ID);
        m[label][from][to] = link;
    }
    size_t end = strlen(json);
    snprintf(json + end, sizeof json - end, "]}");
    run(f, json);
}

#define IDS_TEXT_BYTES 1024

/* "[id,...]" by (depth, id), in IDS_TEXT_BYTES. */
static void brute_force(
    matrix m, int start, bool down, unsigned labels, int depth_max, bool runs, char *text)
{
    int depth[THINGS];
    memset(depth, -1, sizeof depth);
    depth[start] = 0;
    size_t used = 0;
    used += (size_t)snprintf(text, IDS_TEXT_BYTES, "[");
    for (int d = 1; d <= depth_max; d++) {
        for (int from = 0; from < THINGS; from++) {
            for (int to = 0; to < THINGS && depth[from] == d - 1; to++) {
                for (int l = 0; l < LABELS; l++) {
                    bool edge = down ? m[l][to][from] : m[l][from][to];
                    if ((labels >> l & 1) != 0 && edge && depth[to] < 0) {
                        depth[to] = d;
                    }
                }
            }
        }
        for (int i = 0; i < THINGS; i++) {
            if (depth[i] == d && (!runs || i % 4 == 0)) {
                used += (size_t)snprintf(text + used, IDS_TEXT_BYTES - used, "%s%d",
                                         used > 1 ? "," : "", i + FIRST_ID);
            }
        }
    }
    snprintf(text + used, IDS_TEXT_BYTES - used, "]");
}

static void check_one(struct fixture *f, uint64_t *seed, matrix m, uint64_t revision)
{
    int start = (int)(next_random(seed) % THINGS);
    bool down = next_random(seed) % 2 != 0;
    bool runs = next_random(seed) % 3 == 0;
    unsigned labels = (unsigned)(next_random(seed) % 8);
    int depth = (int)(next_random(seed) % 4);
    char json[512];
    char names[64] = "";
    for (int l = 0; l < LABELS; l++) {
        if ((labels >> l & 1) != 0) {
            size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, ",'l%d'", l);
        }
    }
    snprintf(json, sizeof json,
             "{'ref':'id/%d','direction':'%s','labels':['never'%s],'depth':%d,'as_of':%lu,"
             "'view':'ids'%s",
             start + FIRST_ID, down ? "down" : "up", names, depth, revision,
             runs ? ",'kinds':['run']" : "");
    char want[IDS_TEXT_BYTES];
    brute_force(m, start, down, labels, depth == 0 ? THINGS : depth, runs, want);
    char whole[600];
    snprintf(whole, sizeof whole, "%s}", json);
    assert_int_equal(fixture_read(f, QUERY_LINEAGE, whole), 0);
    assert_answer(f, want);
    assert_true(f->answer.complete);
    size_t count = want[1] == ']' ? 0 : 1;
    for (const char *p = want; *p != '\0'; p++) {
        count += *p == ',';
    }
    snprintf(whole, sizeof whole, "%s,'count':true,'limit':1}", json);
    snprintf(want, sizeof want, "{'count':%zu}", count);
    assert_int_equal(fixture_read(f, QUERY_LINEAGE, whole), 0);
    assert_answer(f, want);
}

static void lineage_is_what_a_plain_walk_finds(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    matrix *history = calloc(REVISIONS + 1, sizeof *history);
    uint64_t *revisions = calloc(REVISIONS + 1, sizeof *revisions);
    make_things(f);
    revisions[0] = f->result.revision;
    for (int i = 1; i <= REVISIONS; i++) {
        memcpy(history[i], history[i - 1], sizeof *history);
        change(f, &seed, history[i]);
        revisions[i] = f->result.revision;
    }
    for (int i = 0; i < 2000; i++) {
        size_t at = next_random(&seed) % (REVISIONS + 1);
        /* Of several steps at one revision, which changed nothing, any will do. */
        check_one(f, &seed, history[at], revisions[at]);
    }
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 0);
    free(history);
    free(revisions);
}

static void a_deleted_thing_is_shown_and_walked_through(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'},"
           "{'op':'create','kind':'artifact','name':'b'},"
           "{'op':'create','kind':'artifact','name':'c'},"
           "{'op':'link','from':'$0','label':'l','to':'$1'},"
           "{'op':'link','from':'$1','label':'l','to':'$2'}]}");
    run(f, "{'v':1,'ops':[{'op':'delete','ref':'artifact/b'}]}");
    assert_int_equal(fixture_read(f, QUERY_LINEAGE, "{'ref':'artifact/a','direction':'up'}"), 0);
    assert_answer(f, "[{'id':3,'kind':'artifact','ref':'artifact/b','state':'deleted','depth':1},"
                     "{'id':4,'kind':'artifact','ref':'artifact/c','state':'live','depth':2}]");
    assert_int_equal(fixture_read(f, QUERY_LINEAGE, "{'ref':'artifact/b','direction':'up'}"),
                     CLADE_ERR_NOT_FOUND);
    assert_string_equal(f->error.where, "ref");
}

static void with_the_deleted_asked_for_a_name_means_its_last_holder(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'},"
           "{'op':'create','kind':'artifact','name':'b'},"
           "{'op':'link','from':'$0','label':'l','to':'$1'}]}");
    run(f, "{'v':1,'ops':[{'op':'delete','ref':'artifact/a'},{'op':'delete','ref':'artifact/b'}]}");
    assert_int_equal(fixture_read(f, QUERY_LINEAGE, "{'ref':'artifact/a','state':'deleted'}"), 0);
    assert_answer(f, "[{'id':3,'kind':'artifact','ref':'artifact/b','state':'deleted','depth':1}]");
}

static void the_budget_ends_a_walk_honestly(void **state)
{
    struct fixture *f = *state;
    make_things(f);
    for (int i = 1; i < THINGS; i++) {
        char json[128];
        snprintf(json, sizeof json,
                 "{'v':1,'ops':[{'op':'link','from':'id/%d','label':'l','to':'id/%d'}]}",
                 i - 1 + FIRST_ID, i + FIRST_ID);
        run(f, json);
    }
    struct query q = {
        .kind = QUERY_LINEAGE,
        .limit = 1000,
        .start = {.form = REF_ID, .number = FIRST_ID},
        .count_only = true,
    };
    struct reader_budget budget = {.visits_max = 10};
    buffer_clear(&f->out);
    assert_int_equal(reader_query(f->reader, &q, span_of(""), &budget, &f->arena, &f->out,
                                  &f->answer, &f->error),
                     0);
    assert_false(f->answer.complete);
    assert_answer(f, "{'count':10}");
    bool cancelled = true;
    budget = (struct reader_budget){.cancelled = &cancelled};
    assert_int_equal(reader_query(f->reader, &q, span_of(""), &budget, &f->arena, &f->out,
                                  &f->answer, &f->error),
                     CLADE_ERR_CANCELLED);
}

/* 2 to 3, 4 and 5; 3 to 6. */
static void make_tree(struct fixture *f)
{
    run(f, "{'v':1,'ops':[{'op':'create','kind':'artifact'},{'op':'create','kind':'run'},"
           "{'op':'create','kind':'artifact'},{'op':'create','kind':'run'},"
           "{'op':'create','kind':'artifact'},{'op':'link','from':'$0','label':'l','to':'$1'},"
           "{'op':'link','from':'$0','label':'l','to':'$2'},"
           "{'op':'link','from':'$0','label':'l','to':'$3'},"
           "{'op':'link','from':'$1','label':'l','to':'$4'}]}");
}

static void ids_come_alone_or_by_depth(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *query;
        const char *want;
    } rows[] = {
        {"'view':'ids'", "[3,4,5,6]"},
        {"'view':'ids','with':['depth']", "[{'depth':1,'ids':[3,4,5]},{'depth':2,'ids':[6]}]"},
        {"'view':'ids','with':['depth'],'kinds':['run']", "[{'depth':1,'ids':[3,5]}]"},
        {"'view':'ids','with':['depth'],'kinds':['model']", "[]"},
        {"'view':'ids','with':['depth'],'state':'deleted'", "[{'depth':1,'ids':[4]}]"},
        {"'view':'ids','with':['depth'],'count':true", "{'count':4}"},
        {"'view':'heads','with':['depth'],'depth':1,'kinds':['artifact']",
         "[{'id':4,'kind':'artifact','ref':'artifact/_4','state':'deleted','depth':1}]"},
    };
    make_tree(f);
    run(f, "{'v':1,'ops':[{'op':'delete','ref':'id/4'}]}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[256];
        snprintf(json, sizeof json, "{'ref':'id/2',%s}", rows[i].query);
        assert_int_equal(fixture_read(f, QUERY_LINEAGE, json), 0);
        assert_answer(f, rows[i].want);
    }
}

static void pages_of_ids_by_depth_go_on_in_a_depth(void **state)
{
    struct fixture *f = *state;
    static const char *const pages[] = {"[{'depth':1,'ids':[3,4]}]",
                                        "[{'depth':1,'ids':[5]},{'depth':2,'ids':[6]}]"};
    make_tree(f);
    char json[512] = "{'ref':'id/2','view':'ids','with':['depth'],'limit':2}";
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fixture_read(f, QUERY_LINEAGE, json), 0);
        assert_answer(f, pages[i]);
        assert_int_equal(f->answer.complete, i == 1);
        snprintf(json, sizeof json,
                 "{'ref':'id/2','view':'ids','with':['depth'],'limit':2,'cursor':'%.*s'}",
                 SPAN_FMT(f->answer.cursor));
    }
    assert_int_equal(f->answer.cursor.len, 0);
}

/* A page of as many bytes as the answer may have, from one id to all of them. */
static void ids_that_do_not_fit_stand_on_the_next_page(void **state)
{
    struct fixture *f = *state;
    make_tree(f);
    for (size_t bytes_max = 6; bytes_max < 130; bytes_max++) {
        struct query q = {
            .kind = QUERY_LINEAGE,
            .limit = 1000,
            .state = CLADE_STATE_ANY,
            .view = CLADE_VIEW_IDS,
            .start = {.form = REF_ID, .number = 2},
        };
        struct reader_budget budget = {.bytes_max = bytes_max};
        uint64_t next = 3;
        do {
            const struct value *v;
            buffer_clear(&f->out);
            assert_int_equal(reader_query(f->reader, &q, span_of(""), &budget, &f->arena, &f->out,
                                          &f->answer, &f->error),
                             0);
            assert_true(f->out.len <= bytes_max);
            assert_int_equal(
                value_decode(buffer_span(&f->out), &value_limits_answer, &f->arena, &v, &f->error),
                0);
            assert_true(value_len(v) > 0);
            for (size_t i = 0; i < value_len(v); i++) {
                assert_int_equal(value_uint(value_at(v, i)), next++);
            }
            q.cursor = f->answer.cursor;
        } while (!f->answer.complete);
        assert_int_equal(next, 7);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(lineage_is_what_a_plain_walk_finds),
        TEST(a_deleted_thing_is_shown_and_walked_through),
        TEST(with_the_deleted_asked_for_a_name_means_its_last_holder),
        TEST(the_budget_ends_a_walk_honestly),
        TEST(ids_come_alone_or_by_depth),
        TEST(pages_of_ids_by_depth_go_on_in_a_depth),
        TEST(ids_that_do_not_fit_stand_on_the_next_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
