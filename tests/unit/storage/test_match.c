/* The guard `matches`: what a query says of one thing. */
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

/* The code of a transaction that changes nothing if the query matches. */
static int guarded(struct fixture *f, const char *ref, const char *query)
{
    struct buffer command;
    buffer_init(&command, 1 << 20);
    value_put_map(&command, 3);
    value_put_str(&command, "v");
    value_put_uint(&command, 1);
    value_put_str(&command, "guards");
    value_put_array(&command, 1);
    value_put_map(&command, 3);
    value_put_str(&command, "guard");
    value_put_str(&command, "matches");
    value_put_str(&command, "ref");
    value_put_str(&command, ref);
    value_put_str(&command, "query");
    value_put_str(&command, query);
    value_put_str(&command, "ops");
    json_put(&command, "[{'op':'update','ref':'artifact/a'}]");
    struct item item = {.kind = ITEM_TXN, .command = buffer_span(&command)};
    fixture_add(f, &item);
    assert_int_equal(fixture_run(f), 0);
    buffer_release(&command);
    return f->result.code;
}

static void make(struct fixture *f)
{
    run(f, "{'v':1,'ops':["
           "{'op':'create','kind':'type','name':'artifact:dataset'},"
           "{'op':'create','kind':'artifact','name':'a','owner':'ann','type':'dataset','size':2048,"
           "'tags':{'n':'0.5','word':'abc','a key':'x'},'digests':['x:1','y:2'],"
           "'uris':['s3://b/k','file:///k'],'props':{'i':-3,'f':2.5,'b':false,'s':'text',"
           "'t':{'time':'2026-03-01T12:00:00Z'},'l':[1,5,9],'j':{'json':'{}'},'e':[]}},"
           "{'op':'create','kind':'experiment','name':'e'},"
           "{'op':'create','kind':'run','name':'r','status':'finished','experiment':'experiment/e',"
           "'start':'2026-03-01T12:00:00Z'},"
           "{'op':'create','kind':'model','name':'m'},"
           "{'op':'create','kind':'version','model':'model/m','run':'run/r'},"
           "{'op':'create','kind':'version','model':'model/m'},"
           "{'op':'log','ref':'run/r','params':{'lr':'0.1','opt':'adam','none':''}}]}");
}

#define LETTERS_32     "abcdefghijklmnopqrstuvwxyzabcdef"
#define LETTERS_128    LETTERS_32 LETTERS_32 LETTERS_32 LETTERS_32
#define PARAM_TOO_LONG "params." LETTERS_128 LETTERS_128 LETTERS_128 LETTERS_128 LETTERS_128

static const struct {
    const char *ref;
    const char *query;
    bool matches;
} rows[] = {
    {"artifact/a", "name = 'a'", true},
    {"artifact/a", "name != 'a'", false},
    {"artifact/a", "NAME = 'a' OR name = 'b'", false}, /* refused: see below */
    {"artifact/a", "kind = 'artifact' and state = 'live' and namespace = 'default'", true},
    {"artifact/a", "owner in ('bob', 'ann')", true},
    {"artifact/a", "owner not in ('bob', 'ann')", false},
    {"artifact/a", "type = 'dataset'", true},
    {"artifact/a", "size = 2048 and size < 2048.5 and size between 2048 and 2048", true},
    {"artifact/a", "size not between 1 and 10", true},
    {"artifact/a", "tags.word = 'abc' and tags.word like 'A%'", false},
    {"artifact/a", "tags.word ilike 'A%'", true},
    {"artifact/a", "tags.word not ilike 'A%'", false},
    {"artifact/a", "tags.n > 0.25 and tags.n = .5", true},
    {"artifact/a", "tags.n = '0.50'", false},
    {"artifact/a", "tags.word > 1", false},
    {"artifact/a", "tags.\"a key\" = 'x'", true},
    {"artifact/a", "digests = 'y:2'", true},
    {"artifact/a", "digests != 'y:2'", false},
    {"artifact/a", "digests != 'z:3'", true},
    {"artifact/a", "uris like 'file:%'", true},
    {"artifact/a", "changed_by = 'ann' and created <= changed", false}, /* refused */
    {"artifact/a", "created > '1970-01-01T00:00:00Z' and created < 1000001", true},
    {"artifact/a", "id >= 1", true},
    /* A comparison with what is not there is false, NOT inverts it. */
    {"artifact/a", "description = 'x'", false},
    {"artifact/a", "description != 'x'", false},
    {"artifact/a", "description not like 'x'", false},
    {"artifact/a", "not description = 'x'", true},
    {"artifact/a", "tags.none not in ('x')", false},
    {"artifact/a", "not tags.none in ('x')", true},
    {"artifact/a", "description is null and tags.none is null", true},
    {"artifact/a", "tags.word is not null", true},
    {"artifact/a", "params.x = 1 or props.y = true", false},
    {"artifact/a", "props.i = -3 and props.i < -2.5 and props.i between -4 and 0", true},
    {"artifact/a", "props.f = 2.5 and not props.f > 2.5", true},
    {"artifact/a", "props.b = false and props.b != true", true},
    {"artifact/a", "props.b = 0 or props.b = 'false'", false},
    {"artifact/a", "props.s like 't%' and props.s > 'a' and props.j = '{}'", true},
    {"artifact/a", "props.s > 1", false},
    {"artifact/a", "props.t >= '2026-03-01T13:00:00+01:00' and props.t is not null", true},
    {"artifact/a", "props.t > '2026-03-01T12:00:00Z' or props.t = 'noon'", false},
    {"artifact/a", "props.l = 5 and props.l > 8 and props.l != 2 and props.l in (7, 9)", true},
    {"artifact/a", "props.l != 5", false},
    {"artifact/a", "props.e is null", true},
    {"artifact/a", "number = 1", false},
    {"artifact/a", "name = 'b' or name = 'c' or (name = 'a' and not size > 9000)", true},
    {"run/r", "status = 'finished' and experiment = 'experiment/e'", true},
    {"run/r", "experiment != 'experiment/none'", true},
    {"run/r", "start_time >= '2026-03-01T13:00:00+01:00' and end is null", true},
    {"run/r", "start > '2026-03-01T12:00:00Z'", false},
    {"run/r", "params.lr = 0.10 and params.opt like 'ad%' and parameter.lr in (1, 0.1)", true},
    {"run/r", "params.lr = '0.10' or params.opt > 1 or params.lr != 0.1", false},
    {"run/r", "params.none = '' and params.momentum is null and not params.momentum = 0", true},
    {"run/r", "params.lr is null or params.momentum != '0'", false},
    {"artifact/a", "params.lr is not null", false},
    {"run/r", PARAM_TOO_LONG " is not null", false},
    {"version/m/1", "number = 1 and model = 'model/m' and run in ('run/none','run/r')", true},
    {"version/m/1", "alias = 'latest'", false},
    {"version/m/1", "alias = 'best' and stage = 'staging' and alias in ('x', 'good')", true},
    {"version/m/2", "alias = 'best' or stage = 'staging'", false},
    {"version/m/2", "alias = 'latest' and name is null and stage is null", true},
    {"version/m/2", "run = 'run/r'", false},
};

static void each_query_matches_or_does_not(void **state)
{
    struct fixture *f = *state;
    make(f);
    assert_int_equal(
        fixture_txn(f, "{'v':1,'ops':[{'op':'set_alias','ref':'version/m/1','alias':'best'},"
                       "{'op':'set_alias','ref':'version/m/1','alias':'good'},"
                       "{'op':'set_stage','ref':'version/m/1','stage':'staging'}]}"),
        0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int rc = guarded(f, rows[i].ref, rows[i].query);
        bool refused = strstr(rows[i].query, "NAME") || strstr(rows[i].query, "<= changed");
        int want = refused ? CLADE_ERR_INVALID : rows[i].matches ? 0 : CLADE_ERR_CONFLICT;
        if (rc != want) {
            fail_msg("%s: %s: %d %s", rows[i].ref, rows[i].query, rc,
                     json_of(buffer_span(&f->body)));
        }
    }
}

static void a_refusal_says_which_guard_and_where_the_query_is_wrong(void **state)
{
    struct fixture *f = *state;
    make(f);
    assert_int_equal(guarded(f, "artifact/a", "owner IS NULL"), CLADE_ERR_CONFLICT);
    assert_body(f, "{'code':'CONFLICT','number':-3,'where':'guards[0]','id':3,'revision':1,"
                   "'there':'artifact/a','message':'the guard does not hold: artifact/a is not "
                   "as it says: owner IS NULL'}");
    assert_int_equal(guarded(f, "artifact/none", "owner = 'eve'"), CLADE_ERR_CONFLICT);
    assert_body(f, "{'code':'CONFLICT','number':-3,'where':'guards[0]','message':'the guard does "
                   "not hold: there is no artifact \\'none\\''}");
    assert_int_equal(guarded(f, "artifact/a", "owner = "), CLADE_ERR_INVALID);
    char *json = json_of(buffer_span(&f->body));
    assert_non_null(strstr(json, "\"where\":\"guards[0].query\""));
    free(json);
}

/* Each '%' makes the next search begin anew: the work of a transaction's guards is bounded. */
static void what_the_guards_of_a_transaction_compare_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    buffer_init(&b, 4 << 20);
    buffer_append_str(&b,
                      "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a','tags':{'k':'");
    for (int i = 0; i < CLADE_MAX_TAG_VALUE_BYTES; i++) {
        buffer_append_u8(&b, 'a');
    }
    buffer_append_str(&b, "'}}]}");
    buffer_append_u8(&b, 0);
    run(f, (const char *)b.data);
    buffer_clear(&b);
    buffer_append_str(&b, "tags.k like '%");
    for (int i = 0; i < CLADE_MAX_TAG_VALUE_BYTES / 2; i++) {
        buffer_append_u8(&b, 'a');
    }
    buffer_append_str(&b, "b'");
    buffer_append_u8(&b, 0);
    assert_int_equal(guarded(f, "artifact/a", (const char *)b.data), CLADE_ERR_LIMIT);
    buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_query_matches_or_does_not),
        TEST(a_refusal_says_which_guard_and_where_the_query_is_wrong),
        TEST(what_the_guards_of_a_transaction_compare_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
