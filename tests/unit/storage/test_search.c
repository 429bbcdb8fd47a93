/* Searching: every plan gives the same answer as looking at each thing, and reads no more than it
 * says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

static struct reader_budget budget; /* how soon an index is large, and what a page reads */

static void run(struct fixture *f, const char *json)
{
    if (fixture_txn(f, json) != 0) {
        fail_msg("%s: %s", json, json_of(buffer_span(&f->body)));
    }
}

/* A read of `kind` for things of `of`; `more` is further members as JSON. */
static int ask(struct fixture *f,
               enum query_kind kind,
               const char *of,
               const char *query,
               const char *by,
               uint64_t as_of,
               uint32_t limit,
               struct span cursor)
{
    struct buffer b;
    struct query q;
    const struct value *params;
    buffer_init(&b, 1 << 20);
    size_t at = value_begin_map(&b);
    uint32_t members = 3;
    value_put_str(&b, "kind");
    value_put_str(&b, of);
    value_put_str(&b, "query");
    value_put_str(&b, query);
    value_put_str(&b, "view");
    value_put_str(&b, "ids");
    if (by != NULL) {
        members++;
        value_put_str(&b, "by");
        value_put_str(&b, by);
    }
    if (as_of != 0) {
        members++;
        value_put_str(&b, "as_of");
        value_put_uint(&b, as_of);
    }
    if (limit != 0) {
        members++;
        value_put_str(&b, "limit");
        value_put_uint(&b, limit);
    }
    if (cursor.len > 0) {
        members++;
        value_put_str(&b, "cursor");
        value_put_span(&b, cursor);
    }
    value_end(&b, at, members);
    arena_reset(&f->arena);
    struct span bytes = arena_copy_span(&f->arena, buffer_span(&b));
    buffer_release(&b);
    assert_int_equal(value_decode(bytes, &value_limits_request, &f->arena, &params, &f->error), 0);
    int rc = query_decode(kind, params, &f->arena, &q, &f->error);
    buffer_clear(&f->out);
    return rc != 0 ? rc
                   : reader_query(f->reader, &q, span_of(""), &budget, &f->arena, &f->out,
                                  &f->answer, &f->error);
}

/* What was found, without what was read. */
static char *found(struct fixture *f)
{
    char *json = json_of(buffer_span(&f->out));
    char *end = strstr(json, ",\"rows\":");
    if (end != NULL) {
        *end = '\0';
    }
    return json;
}

static char *search_as_of(struct fixture *f, const char *of, const char *query, uint64_t as_of)
{
    if (ask(f, QUERY_SEARCH, of, query, NULL, as_of, 0, span_of("")) != 0) {
        fail_msg("%s: %s", query, f->error.message);
    }
    return found(f);
}

/* --- The index against a look at each thing --------------------------------------------------- */

static const char *const tests[] = {
    "tags.a = '1'",
    "tags.a = 1",
    "tags.a >= 2",
    "tags.a > 1 AND tags.a <= 3",
    "tags.a BETWEEN 1 AND 2",
    "tags.b LIKE 'x%'",
    "tags.b LIKE 'xy'",
    "tags.b > 'x0'",
    "tags.b >= 'x1' AND tags.b != '2'",
    "tags.b BETWEEN 'x1' AND 'x2'",
    "tags.b > '1' AND tags.b <= 'x2' AND tags.b > 'x0'",
    "tags.b < 'x2'",
    "tags.a > '1'",
    "tags.b IN ('x1', 'x2', 'nothing')",
    "tags.a IS NOT NULL",
    "props.n < 3",
    "props.n = 2",
    "props.l = 2",
    "props.l BETWEEN 2 AND 3",
    "props.t >= '2026-03-02T00:00:00Z'",
    "props.s = 'deep'",
    "props.r = 'run/r1'",
    "props.b = true",
    "params.lr <= 0.2",
    "params.lr = '0.1'",
    "metrics.acc > 0.5",
    "metrics.acc >= 0.25 AND tags.a = 1",
    "metrics.acc ON 'artifact/set' > 0.5",
    "max(metrics.acc) > 0.9 OR count(metrics.acc) = 1",
    "status = 'running'",
    "status != 'running' AND tags.a = '2'",
    "status IN ('failed', 'finished') AND metrics.acc > 0.3 AND tags.b LIKE 'x%'",
    "name = 'r3'",
    "name LIKE 'r1%'",
    "run_name IN ('r1', 'r2')",
    "owner = 'ann' OR tags.a = '3'",
    "owner = 'ann' OR description = 'none'",
    "NOT owner = 'ann'",
    "id > 20 AND tags.a = '1'",
    "id BETWEEN 10 AND 30",
    "created >= '1970-01-01T00:00:00Z' AND tags.a = '1'",
    "external_ids = 'sys:4'",
    "experiment = 'experiment/e' AND tags.a = '1'",
    "depends_on('artifact/set')",
    "depends_on((tags.a = '1' AND kind = 'run'))",
    "used_by('run/r9')",
    "linked(consumed, 'artifact/set') AND tags.a = '1'",
    "linked(consumed, (edge.role = 'train'))",
    "linked_by(derived_from)",
    "depends_on()",
    "linked(nobody, 'artifact/set')",
};

static const char *const orders[] = {
    "",
    " ORDER BY id DESC",
    " ORDER BY created DESC",
    " ORDER BY tags.a",
    " ORDER BY tags.a DESC",
    " ORDER BY tags.b",
    " ORDER BY tags.b DESC",
    " ORDER BY props.l",
    " ORDER BY metrics.acc DESC",
    " ORDER BY metrics.acc",
    " ORDER BY status, tags.a DESC",
    " ORDER BY name",
    " ORDER BY params.lr",
    " ORDER BY experiment DESC",
    " ORDER BY start",
};

static void make(struct fixture *f, uint64_t *seed)
{
    static const char *const statuses[] = {"running", "finished", "failed", "killed"};
    char text[4096];
    run(f, "{'v':1,'ops':[{'op':'create','kind':'experiment','name':'e'},"
           "{'op':'create','kind':'artifact','name':'set'}]}");
    for (int i = 0; i < 60; i++) {
        uint64_t r = next_random(seed);
        int len = snprintf(
            text, sizeof text,
            "{'v':1,'ops':[{'op':'create','kind':'run','name':'r%d','status':'%s'%s%s,"
            "'external_ids':['sys:%d'],'tags':{'a':'%d'%s%u%s},"
            "'props':{'n':%d,'l':[%d,%d],'s':'%s','b':%s%s,"
            "'t':{'time':'2026-03-0%dT00:00:00Z'}}},"
            "{'op':'log','ref':'run/r%d','params':{'lr':'0.%d'},'metrics':["
            "{'key':'acc','points':[[1,1,%d],[2,2,0.%u]]}%s]}%s%s]}",
            i, statuses[r % 4], r & 16 ? ",'owner':'ann'" : "",
            r & 32 ? ",'experiment':'experiment/e','start':'2026-01-01T00:00:00Z'" : "", i,
            (int)(r >> 8 & 3), r & 64 ? (r >> 45 & 3 ? ",'b':'x" : ",'b':'") : ",'c':'y",
            (unsigned)(r >> 10 & 3), "'", (int)(r >> 12 & 7) - 2, (int)(r >> 15 & 3),
            (int)(r >> 17 & 3), r & 128 ? "deep" : "12", r & 256 ? "true" : "false",
            i > 1 && r & 512 ? ",'r':{'ref':'run/r1'}" : "", (int)(r >> 20 & 3) + 1, i,
            (int)(r >> 22 & 3), (int)(r >> 24 & 1), (unsigned)(r >> 25 & 7),
            r & 1024 ? ",{'key':'acc','on':'artifact/set','points':[[1,1,0.7]]}" : "",
            r & 2048 ? ",{'op':'link','from':{'$':1},'label':'consumed','to':'artifact/set'}" : "",
            "");
        assert_true((size_t)len < sizeof text);
        char *dollar = strstr(text, "{'$':1}");
        if (dollar != NULL) {
            memcpy(dollar, "'$0'   ", 7);
        }
        run(f, text);
        if (i > 0 && (r & 4096) != 0) {
            snprintf(text, sizeof text,
                     "{'v':1,'ops':[{'op':'link','from':'run/r%d','label':'derived_from',"
                     "'to':'run/r%d'},{'op':'link','from':'run/r%d','label':'consumed',"
                     "'to':'artifact/set','props':{'role':'%s'}}]}",
                     i, (int)(r >> 30 & 63) % i, i, r & 8192 ? "train" : "test");
            run(f, text);
        }
        if (i > 5 && (r >> 40 & 3) == 0) {
            snprintf(text, sizeof text,
                     "{'v':1,'ops':[{'op':'update','ref':'run/r%d','tags':{'a':'%d','b':null},"
                     "'props':{'l':[3,3,1]}}]}",
                     i - 3, (int)(r >> 42 & 3));
            run(f, text);
        }
    }
    for (int i = 10; i < 60; i += 9) {
        snprintf(text, sizeof text, "{'v':1,'ops':[{'op':'delete','ref':'run/r%d'}]}", i);
        run(f, text);
    }
}

/* The same query with what no index helps, and an order that none has. */
static void plain(const char *test, const char *order, char *text, size_t size)
{
    bool desc = strstr(order, "DESC") != NULL;
    const char *more = order[0] == '\0' || strchr(order, ',') != NULL ||
                               strstr(order, " id") != NULL || strstr(order, "created") != NULL
                           ? ""
                       : desc ? ", id DESC"
                              : ", id";
    snprintf(text, size, "NOT NOT (%s)%s%s", test, order, more);
}

static void compare_plans(struct fixture *f)
{
    char with[512];
    char without[512];
    size_t found_some = 0;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        for (size_t j = 0; j < sizeof orders / sizeof *orders; j++) {
            bool metrics =
                strstr(tests[i], "metrics") != NULL || strstr(orders[j], "metrics") != NULL;
            for (uint64_t as_of = 0; as_of <= (metrics ? 0 : 60); as_of += 30) {
                snprintf(with, sizeof with, "%s%s", tests[i], orders[j]);
                plain(tests[i], orders[j], without, sizeof without);
                char *a = search_as_of(f, "run", with, as_of);
                char *b = search_as_of(f, "run", without, as_of);
                if (strcmp(a, b) != 0) {
                    fail_msg("%s as of %llu:\n%s\n%s", with, (unsigned long long)as_of, a, b);
                }
                found_some += strstr(a, "[]") == NULL;
                free(a);
                free(b);
            }
        }
    }
    assert_true(found_some > sizeof tests / sizeof *tests * sizeof orders / sizeof *orders / 2);
}

static void each_plan_finds_what_a_look_at_each_thing_finds(void **state)
{
    uint64_t seed = test_seed();
    make(*state, &seed);
    budget = (struct reader_budget){.count_max = 0};
    compare_plans(*state);
    for (budget.count_max = 1; budget.count_max < 40; budget.count_max *= 6) {
        compare_plans(*state); /* as if there were many things */
    }
    budget.count_max = 0;
}

#define LONG_TEXT 320

/* Texts of up to 240 bytes end in their row; of those above 256 the row has the beginning. */
static void strict_bounds_leave_out_what_is_equal_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    static const int lengths[] = {1, 2, 238, 239, 240, 241, 242, 255, 256, 257, 258, 300};
    static const char *const ops[] = {">", "<", ">=", "<="};
    static const char *const ends[] = {"", "a", "x", "z"};
    char text[LONG_TEXT + 1];
    char json[LONG_TEXT + 200];
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (int end = 0; end < 4; end++) {
            memset(text, 'x', (size_t)lengths[i]);
            memcpy(text + lengths[i], ends[end], strlen(ends[end]) + 1);
            snprintf(json, sizeof json,
                     "{'v':1,'ops':[{'op':'create','kind':'run','tags':{'w':'%s'}}]}", text);
            run(f, json);
        }
    }
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths * 16; i++) {
        char with[2 * LONG_TEXT];
        char without[2 * LONG_TEXT];
        memset(text, 'x', (size_t)lengths[i / 16]);
        memcpy(text + lengths[i / 16], ends[i / 4 % 4], strlen(ends[i / 4 % 4]) + 1);
        snprintf(json, sizeof json, "tags.w %s '%s'", ops[i % 4], text);
        for (int desc = 0; desc < 2; desc++) {
            const char *order = desc ? " ORDER BY tags.w DESC" : " ORDER BY tags.w";
            budget.count_max = 1; /* the index of the key, not the best of all */
            snprintf(with, sizeof with, "%s%s", json, order);
            char *a = search_as_of(f, "run", with, 0);
            budget.count_max = 0;
            plain(json, order, without, sizeof without);
            char *b = search_as_of(f, "run", without, 0);
            if (strcmp(a, b) != 0) {
                fail_msg("%s:\n%s\n%s", with, a, b);
            }
            free(a);
            free(b);
        }
    }
}

static void compare_pages(struct fixture *f)
{
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i += 3) {
        for (size_t j = 0; j < sizeof orders / sizeof *orders; j++) {
            char query[512];
            snprintf(query, sizeof query, "%s%s", tests[i], orders[j]);
            char *whole = search_as_of(f, "run", query, 0);
            struct buffer paged;
            buffer_init(&paged, 1 << 20);
            buffer_append_str(&paged, "{\"items\":[");
            char cursor[2048] = "";
            do {
                assert_int_equal(ask(f, QUERY_SEARCH, "run", query, NULL, 0, 3, span_of(cursor)),
                                 0);
                snprintf(cursor, sizeof cursor, "%.*s", (int)f->answer.cursor.len,
                         f->answer.cursor.len > 0 ? (const char *)f->answer.cursor.data : "");
                char *page = found(f);
                size_t begin = strlen("{\"items\":[");
                size_t len = strlen(page) - begin - 1;
                if (len > 0 && paged.data[paged.len - 1] != '[') {
                    buffer_append_str(&paged, ",");
                }
                buffer_append(&paged, page + begin, len);
                free(page);
            } while (!f->answer.complete && cursor[0] != '\0');
            buffer_append(&paged, "]", 2);
            if (strcmp(whole, (char *)paged.data) != 0) {
                fail_msg("%s:\n%s\n%s", query, whole, (char *)paged.data);
            }
            free(whole);
            buffer_release(&paged);
        }
    }
}

static void pages_follow_each_other_whatever_the_order(void **state)
{
    uint64_t seed = test_seed();
    make(*state, &seed);
    compare_pages(*state);
    budget.count_max = 2;
    compare_pages(*state);
    budget.count_max = 0;
}

static void a_search_that_stops_says_so_and_goes_on(void **state)
{
    struct fixture *f = *state;
    char text[128];
    char cursor[2048] = "";
    unsigned pages = 0;
    uint64_t count = 0;
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof text,
                 "{'v':1,'ops':[{'op':'create','kind':'run','name':'r%d','description':'d%d'}]}", i,
                 i % 10);
        run(f, text);
    }
    budget.things_max = 7;
    do {
        assert_int_equal(
            ask(f, QUERY_SEARCH, "run", "description = 'd3'", NULL, 0, 0, span_of(cursor)), 0);
        assert_true(f->answer.complete == (f->answer.cursor.len == 0));
        snprintf(cursor, sizeof cursor, "%.*s", (int)f->answer.cursor.len,
                 f->answer.cursor.len > 0 ? (const char *)f->answer.cursor.data : "");
        char *json = found(f);
        count += strstr(json, "[]") == NULL;
        free(json);
        pages++;
    } while (!f->answer.complete);
    assert_int_equal(pages, 8);
    assert_int_equal(count, 5);
    assert_int_equal(ask(f, QUERY_SEARCH, "run", "ORDER BY description", NULL, 0, 0, span_of("")),
                     CLADE_ERR_LIMIT);
    assert_int_equal(ask(f, QUERY_COUNT, "run", "description = 'd3'", NULL, 0, 0, span_of("")), 0);
    assert_false(f->answer.complete);
    budget.things_max = 0;
}

/* --- What an index reads ------------------------------------------------------------------------
 */

static uint64_t number_in(const char *json, const char *name)
{
    const char *at = strstr(json, name);
    return at == NULL ? UINT64_MAX : strtoull(at + strlen(name), NULL, 10);
}

static void an_indexed_query_reads_what_it_finds_and_no_more(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *query;
        uint64_t things;
        const char *plan;
        uint64_t count_max; /* above it an index is large; 0: what it is for all */
    } rows[] = {
        {"tags.n = '7'", 1, "\"use\":\"value\"", 0},
        {"tags.n = 7", 1, "\"use\":\"value\"", 0},
        {"tags.n BETWEEN 10 AND 14", 5, "\"use\":\"set\"", 0},
        {"tags.word > 'w5' ORDER BY tags.word", 101, "\"order\":\"index\"", 50},
        {"tags.word > 'w5' ORDER BY tags.word DESC", 101, "\"order\":\"index\"", 50},
        {"tags.word < 'w5' ORDER BY tags.word DESC", 101, "\"order\":\"index\"", 50},
        {"tags.n > 990 ORDER BY tags.n DESC", 10, "\"order\":\"best\"", 0},
        {"tags.even = 'yes' AND tags.n = '8'", 1, "\"use\":\"value\"", 0},
        {"tags.even = 'yes' AND tags.fifth = 'yes'", 101, "\"use\":\"and\"", 0},
        {"name = 'a5'", 1, "\"use\":\"set\"", 0},
        {"tags.even = 'yes' ORDER BY id DESC", 101, "\"order\":\"ids\"", 0},
        {"description = 'nothing'", 1000, "\"use\":\"all\"", 0},
    };
    char text[256];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text,
                 "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a%d',"
                 "'tags':{'n':'%d','word':'w%d','even':'%s','fifth':'%s'}}]}",
                 i, i, i % 10, i % 2 == 0 ? "yes" : "no", i % 5 == 0 ? "yes" : "no");
        run(f, text);
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        budget.count_max = rows[i].count_max;
        assert_int_equal(
            ask(f, QUERY_EXPLAIN, "artifact", rows[i].query, NULL, 0, 100, span_of("")), 0);
        char *json = json_of(buffer_span(&f->out));
        if (number_in(json, "\"things\":") > rows[i].things || strstr(json, rows[i].plan) == NULL) {
            fail_msg("%s: %s", rows[i].query, json);
        }
        free(json);
    }
    budget.count_max = 0;
}

static void things_are_counted_by_the_values_of_a_key(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'a','status':'failed'},"
           "{'op':'create','kind':'run','name':'b','status':'failed'},"
           "{'op':'create','kind':'run','name':'c','status':'running'},"
           "{'op':'create','kind':'run','name':'d'}]}");
    assert_int_equal(ask(f, QUERY_COUNT, "run", "", "status", 0, 0, span_of("")), 0);
    assert_answer(f, "{'count':4,'things':4,'by':[{'value':'failed','count':2},"
                     "{'value':null,'count':1},{'value':'running','count':1}]}");
    assert_int_equal(ask(f, QUERY_COUNT, "run", "name != 'a'", NULL, 0, 0, span_of("")), 0);
    assert_answer(f, "{'count':3,'things':4}");
}

/* An alias is read from a key that is gone when the next is read. */
static void versions_are_counted_and_ordered_by_their_aliases(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'model','name':'m'},"
           "{'op':'create','kind':'version','model':'model/m'},"
           "{'op':'create','kind':'version','model':'model/m'},"
           "{'op':'create','kind':'version','model':'model/m'},"
           "{'op':'set_alias','ref':'version/m/1','alias':'champion-of-all'},"
           "{'op':'set_alias','ref':'version/m/2','alias':'a'}]}");
    assert_int_equal(ask(f, QUERY_COUNT, "version", "", "alias", 0, 0, span_of("")), 0);
    assert_answer(f, "{'count':3,'things':3,'by':[{'value':'a','count':1},"
                     "{'value':'champion-of-all','count':1},{'value':'latest','count':1}]}");
    char *json = search_as_of(f, "version", "ORDER BY alias DESC", 0);
    char *ids = search_as_of(f, "version", "number IN (1, 2, 3) ORDER BY number DESC, id", 0);
    uint64_t latest = number_in(ids, "[");
    uint64_t first = number_in(json, "[");
    assert_int_equal(first, latest);
    free(json);
    free(ids);
}

static void what_is_purged_is_found_no_more(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'a','tags':{'t':'secret'}}]}");
    run(f, "{'v':1,'ops':[{'op':'update','ref':'run/a','tags':{'t':'other'}}]}");
    run(f, "{'v':1,'ops':[{'op':'delete','ref':'run/a'}]}");
    char *json = search_as_of(f, "run", "tags.t = 'secret'", 1);
    assert_string_equal(json, "{\"items\":[2]");
    free(json);
    run(f, "{'v':1,'ops':[{'op':'purge','ref':'id/2'}]}");
    json = search_as_of(f, "run", "tags.t = 'secret'", 1);
    assert_string_equal(json, "{\"items\":[]");
    free(json);
}

static void mistakes_are_told_before_anything_is_read(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *query;
        uint64_t as_of;
        int code;
        const char *says;
    } rows[] = {
        {"metrics.a > 1", 1, CLADE_ERR_INVALID, "no as_of"},
        {"depends_on('run/none')", 0, CLADE_ERR_NOT_FOUND, "no run"},
        {"tags.a = '1' LIMIT 3", 0, CLADE_ERR_INVALID, "at byte 13"},
        {"ORDER BY", 0, CLADE_ERR_INVALID, "at byte 8"},
        {"edge.a = 1", 0, CLADE_ERR_INVALID, "at byte 0"},
    };
    run(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'a'}]}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int rc = ask(f, QUERY_SEARCH, "run", rows[i].query, NULL, rows[i].as_of, 0, span_of(""));
        if (rc != rows[i].code || strstr(f->error.message, rows[i].says) == NULL) {
            fail_msg("%s: %d %s", rows[i].query, rc, f->error.message);
        }
    }
}

static void what_a_query_did_is_told_without_what_it_compares_with(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 40; i++) {
        char text[256];
        (void)snprintf(text, sizeof text,
                       "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a%u',"
                       "'tags':{'team':'%s','n':'%u'}}]}",
                       i, i % 4 == 0 ? "secret" : "other", i);
        assert_int_equal(fixture_txn(f, text), 0);
    }
    budget = (struct reader_budget){.clock = clock_system(), .effort = &f->effort};
    assert_int_equal(ask(f, QUERY_SEARCH, "artifact", "tags.team = 'secret' AND tags.n LIKE '%2%'",
                         NULL, 0, 0, (struct span){0}),
                     0);
    assert_int_equal(f->effort.matched, 5);
    assert_int_equal(f->effort.items, 5);
    assert_int_equal(f->effort.things, 10);
    assert_false(f->effort.walked);
    assert_non_null(strstr(f->effort.plan, "[tags.team = ?]"));
    assert_null(strstr(f->effort.plan, "secret"));
    budget = (struct reader_budget){.count_max = 0};
    assert_int_equal(
        fixture_txn(f, "{'v':1,'ops':[{'op':'link','from':'artifact/a1','label':'derived_from',"
                       "'to':'artifact/a0'},{'op':'link','from':'artifact/a2','label':"
                       "'derived_from','to':'artifact/a1'}]}"),
        0);
    assert_int_equal(fixture_read(f, QUERY_LINEAGE, "{'ref':'artifact/a2','direction':'up'}"), 0);
    assert_true(f->effort.walked);
    assert_false(f->effort.by_index);
    assert_int_equal(f->effort.met, 2);
    assert_int_equal(f->effort.items, 2);
    assert_string_equal(f->effort.plan, "");
}

int main(void)
{
    const struct CMUnitTest all[] = {
        TEST(what_a_query_did_is_told_without_what_it_compares_with),
        TEST(each_plan_finds_what_a_look_at_each_thing_finds),
        TEST(strict_bounds_leave_out_what_is_equal_and_nothing_else),
        TEST(pages_follow_each_other_whatever_the_order),
        TEST(a_search_that_stops_says_so_and_goes_on),
        TEST(an_indexed_query_reads_what_it_finds_and_no_more),
        TEST(things_are_counted_by_the_values_of_a_key),
        TEST(versions_are_counted_and_ordered_by_their_aliases),
        TEST(what_is_purged_is_found_no_more),
        TEST(mistakes_are_told_before_anything_is_read),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
