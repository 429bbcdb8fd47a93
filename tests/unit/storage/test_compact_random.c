/* Compaction at random: stores that compact answer as those that do not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "compact_fixture.h"
#include "row_count.h"
#include "storage/purge.h"
#include "storage/view.h"

#define TXN(ops) "{'v':1,'ops':[" ops "]}"

/* Three stores get the same commands: one compacts, one has the floors alone, one not even those.
 */
struct trio {
    struct fixture *compacts;
    struct fixture *has_floors;
    struct fixture *has_all;
    uint64_t random;
    uint64_t floors[4]; /* by id of the namespace */
    unsigned done;
};

static uint64_t below(struct trio *t, uint64_t n)
{
    return next_random(&t->random) % n;
}

static const char *any_ref(struct trio *t, char *text, size_t len)
{
    static const char *const kinds[] = {"artifact", "model", "deployment", "run"};
    static const char *const spaces[] = {"", "//n//"};
    if (below(t, 3) > 0) {
        snprintf(text, len, "id/%lu", 4 + below(t, 12));
    } else {
        snprintf(text, len, "%s%s/%c", spaces[below(t, 2)], kinds[below(t, 4)],
                 (char)('a' + below(t, 6)));
    }
    return text;
}

static void random_op(struct trio *t, char *json, size_t len)
{
    static const char *const kinds[] = {"artifact", "artifact", "model", "deployment", "run"};
    static const char *const stages[] = {"staging", "production", "none"};
    static const char *const labels[] = {"trained_on", "consumed", "derived_from"};
    char a[60];
    char b[60];
    any_ref(t, a, sizeof a);
    any_ref(t, b, sizeof b);
    unsigned v = (unsigned)below(t, 4);
    switch (below(t, 17)) {
    case 0:
    case 1:
        snprintf(json, len,
                 "{'op':'create','kind':'%s','name':'%c','namespace':'%s','tags':{'k':'%u'},"
                 "'external_ids':['s:%lu']}",
                 kinds[below(t, 5)], (char)('a' + below(t, 6)), below(t, 2) ? "n" : "default", v,
                 below(t, 6));
        return;
    case 2:
    case 3:
        snprintf(json, len, "{'op':'create','kind':'version','model':'%s'}", a);
        return;
    case 4:
        snprintf(json, len, "{'op':'update','ref':'%s','tags':{'k':'%u','l':%s}}", a, v,
                 below(t, 2) ? "'1'" : "null");
        return;
    case 5:
        snprintf(json, len, "{'op':'update','ref':'%s','uris':{'u:%u':%s},'props':{'p':%u}}", a, v,
                 below(t, 2) ? "true" : "null", v);
        return;
    case 6:
        snprintf(json, len, "{'op':'update','ref':'%s','external_ids':{'s:%lu':%s}}", a,
                 below(t, 6), below(t, 2) ? "true" : "null");
        return;
    case 7:
        snprintf(json, len, "{'op':'rename','ref':'%s','name':'%c'}", a, (char)('a' + below(t, 6)));
        return;
    case 8:
        snprintf(json, len, "{'op':'%s','ref':'%s'}", below(t, 3) ? "delete" : "purge", a);
        return;
    case 9:
        snprintf(json, len, "{'op':'undelete','ref':'%s'}", a);
        return;
    case 10:
    case 11:
        snprintf(json, len, "{'op':'link','from':'%s','label':'%s','to':'%s','props':{'w':%u}}", a,
                 labels[below(t, 3)], b, v);
        return;
    case 12:
        snprintf(json, len, "{'op':'unlink','from':'%s','label':'%s','to':'%s'}", a,
                 labels[below(t, 3)], b);
        return;
    case 13:
        snprintf(json, len, "{'op':'set_alias','ref':'id/%lu','alias':'best'}", 4 + below(t, 12));
        return;
    case 14:
        snprintf(json, len, "{'op':'set_stage','ref':'id/%lu','stage':'%s','displace':'none'}",
                 4 + below(t, 12), stages[below(t, 3)]);
        return;
    case 15:
        snprintf(json, len, "{'op':'set_targets','ref':'%s','targets':[{'version':'id/%lu'}]}", a,
                 4 + below(t, 12));
        return;
    default:
        snprintf(json, len, "{'op':'%s','ref':'%s'}", below(t, 2) ? "hold" : "release", a);
        return;
    }
}

static void agree(struct trio *t)
{
    struct store_digest a = store_digest_current(t->compacts->store);
    struct store_digest b = store_digest_current(t->has_floors->store);
    if (!digests_equal(a, b)) {
        fail_msg("the digests differ");
    }
}

static void random_txn(struct trio *t)
{
    struct fixture *const all[] = {t->compacts, t->has_floors, t->has_all};
    char op[2][400];
    char json[1000];
    random_op(t, op[0], sizeof op[0]);
    random_op(t, op[1], sizeof op[1]);
    snprintf(json, sizeof json, "{'v':1,'reason':'r','ops':[%s%s%s]}", op[0],
             below(t, 4) == 0 ? "," : "", "");
    if (json[strlen(json) - 3] == ',') {
        snprintf(json, sizeof json, TXN("%s,%s"), op[0], op[1]);
    }
    int codes[3];
    for (int i = 0; i < 3; i++) {
        pass_minutes(all[i], 1);
        codes[i] = fixture_txn(all[i], json);
    }
    if (codes[0] != codes[1] || codes[0] != codes[2]) {
        fail_msg("%s: %d, %d, %d", json, codes[0], codes[1], codes[2]);
    }
    t->done += codes[0] == 0;
    agree(t);
}

static void random_floor(struct trio *t)
{
    uint64_t id = 1 + below(t, 2);
    char json[200];
    uint64_t newest = store_position(t->compacts->store).revision;
    snprintf(json, sizeof json, TXN("{'op':'compact','ref':'id/%lu','before':%lu}"), id,
             newest == 0 ? 0 : below(t, newest));
    int code = fixture_txn(t->compacts, json);
    assert_int_equal(fixture_txn(t->has_floors, json), code);
    tick(t->has_all);
    if (code == 0) {
        char *body = json_of(buffer_span(&t->compacts->body));
        const char *floor = strstr(body, "\"floor\":");
        assert_non_null(floor);
        t->floors[id] = strtoull(floor + 8, NULL, 10);
        free(body);
    }
}

/* The answer as text: code, revision, what was left out, data. */
static char *ask(struct fixture *f, enum query_kind kind, const char *query)
{
    int rc = fixture_read(f, kind, query);
    char *data = rc == 0 ? json_of(buffer_span(&f->out)) : strdup("");
    size_t len = strlen(data) + 100;
    char *text = malloc(len);
    char *work = kind == QUERY_SEARCH ? strstr(data, "\"rows\"") : NULL;
    if (work != NULL) {
        *work = '\0'; /* how much was read for it may differ */
    }
    snprintf(text, len, "%d %lu %lu %s", rc, rc == 0 ? f->answer.revision : f->error.revision,
             rc == 0 ? f->answer.compacted : 0, data);
    free(data);
    return text;
}

/* Floors alone and floors with rows gone answer alike; and like everything, if they answer. */
static void compare(struct trio *t, enum query_kind kind, const char *query, bool whole)
{
    char *a = ask(t->compacts, kind, query);
    char *b = ask(t->has_floors, kind, query);
    char *c = ask(t->has_all, kind, query);
    if (strcmp(a, b) != 0) {
        fail_msg("%s\n%s\n%s", query, a, b);
    }
    if (whole && strcmp(a, c) != 0) {
        fail_msg("%s\n%s\n%s", query, a, c);
    }
    free(a);
    free(b);
    free(c);
}

static void compare_at(struct trio *t, uint64_t at)
{
    static const char *const kinds[] = {"artifact", "model", "version", "deployment", "run"};
    static const char *const named[] = {"artifact", "model", "model", "deployment", "run"};
    char q[300];
    uint64_t highest = t->floors[1] > t->floors[2] ? t->floors[1] : t->floors[2];
    bool whole = at >= highest;
    for (uint64_t id = 2; id < 24; id++) {
        snprintf(q, sizeof q,
                 "{'refs':['id/%lu'],'view':'full','with':['edges','aliases'],'as_of':%lu}", id,
                 at);
        compare(t, QUERY_GET, q, whole);
        for (int down = 0; down < 2; down++) {
            snprintf(q, sizeof q, "{'ref':'id/%lu','direction':'%s','as_of':%lu}", id,
                     down ? "down" : "up", at);
            compare(t, QUERY_LINEAGE, q, whole);
        }
        snprintf(q, sizeof q, "{'ref':'id/%lu','as_of':%lu}", id, at);
        compare(t, QUERY_IMPACT, q, whole);
        compare(t, QUERY_HISTORY, q, highest == 0);
    }
    for (int i = 0; i < 2 * 5; i++) {
        const char *ns = i < 5 ? "default" : "n";
        bool here = at >= t->floors[i < 5 ? 1 : 2];
        snprintf(q, sizeof q, "{'kind':'%s','ns':'%s','state':'any','view':'full','as_of':%lu}",
                 kinds[i % 5], ns, at);
        compare(t, QUERY_LIST, q, here && whole);
        snprintf(q, sizeof q, "{'kind':'%s','ns':'%s','query':\"tags.k = \\\"1\\\"\",'as_of':%lu}",
                 kinds[i % 5], ns, at);
        compare(t, QUERY_SEARCH, q, here && whole);
        snprintf(q, sizeof q,
                 "{'refs':['//%s//%s/a','//%s//%s/ext:s:1','uri:u:1'],'ns':'%s','as_of':%lu}", ns,
                 named[i % 5], ns, named[i % 5], ns, at);
        compare(t, QUERY_GET, q, here && whole);
    }
    snprintf(q, sizeof q, "{'ns':'n','as_of':%lu}", at);
    compare(t, QUERY_AUDIT, q, highest == 0);
}

static void at_random_rows_that_go_are_not_missed(void **state)
{
    void *more[2];
    struct trio t = {.compacts = *state, .random = test_seed()};
    assert_int_equal(fixture_setup(&more[0]), 0);
    assert_int_equal(fixture_setup(&more[1]), 0);
    t.has_floors = more[0];
    t.has_all = more[1];
    struct fixture *const all[] = {t.compacts, t.has_floors, t.has_all};
    for (int i = 0; i < 3; i++) {
        all[i]->elapsed_ms = PURGE_PERIOD_MS;
        do_txn(all[i], TXN("{'op':'create','kind':'namespace','name':'n'}"));
        do_txn(all[i], TXN("{'op':'create','kind':'model','name':'a'}"));
    }
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 60; i++) {
            random_txn(&t);
            if (below(&t, 3) == 0) {
                compact_some(t.compacts, 1 + (unsigned)below(&t, 5));
            }
            if (below(&t, 20) == 0) {
                random_floor(&t);
                agree(&t);
            }
        }
        uint64_t newest = store_position(t.compacts->store).revision;
        compare_at(&t, newest);
        compare_at(&t, t.floors[1]);
        compare_at(&t, t.floors[2]);
        compare_at(&t, below(&t, newest + 1));
    }
    compact_all(t.compacts);
    verify(t.compacts);
    compare_at(&t, t.floors[1]);
    compare_at(&t, t.floors[2]);
    assert_true(count_rows(t.compacts, TABLE_CHANGES) < count_rows(t.has_floors, TABLE_CHANGES));
    assert_true(t.done > 50);
    fixture_teardown(&more[0]);
    fixture_teardown(&more[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(at_random_rows_that_go_are_not_missed, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
