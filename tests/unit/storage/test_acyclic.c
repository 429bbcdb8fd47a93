/* Links of acyclic labels: against a search of a plain matrix, and what a refusal says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define THINGS   12
#define STEPS    1500
#define FIRST_ID 2
#define TEST(t)  cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

static void run(struct fixture *f, const char *json)
{
    if (fixture_txn(f, json) != 0) {
        fail_msg("%s: %s", json, json_of(buffer_span(&f->body)));
    }
}

static void make(struct fixture *f, int things)
{
    for (int i = 0; i < things; i++) {
        char json[128];
        snprintf(json, sizeof json,
                 "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'n%d'}]}", i);
        run(f, json);
    }
}

static int edge(struct fixture *f, const char *op, int from, const char *label, int to)
{
    char json[256];
    snprintf(json, sizeof json,
             "{'v':1,'ops':[{'op':'%s','from':'artifact/n%d','label':'%s','to':'artifact/n%d'}]}",
             op, from, label, to);
    return fixture_txn(f, json);
}

static void assert_says(struct fixture *f, const char *text)
{
    char *json = json_of(buffer_span(&f->body));
    if (strstr(json, text) == NULL) {
        fail_msg("\"%s\" is not in %s", text, json);
    }
    free(json);
}

static void a_link_that_closes_a_cycle_is_refused_and_names_it(void **state)
{
    struct fixture *f = *state;
    make(f, 4);
    assert_int_equal(edge(f, "link", 0, "derived_from", 1), 0);
    assert_int_equal(edge(f, "link", 1, "contains", 2), 0);
    struct store_digest before = store_digest_current(f->store);
    assert_int_equal(edge(f, "link", 2, "stands_for", 0), CLADE_ERR_CYCLE);
    assert_says(f, "artifact/n2 stands_for artifact/n0 derived_from artifact/n1 contains "
                   "artifact/n2");
    assert_says(f, "\"where\":\"ops[0]\"");
    struct store_digest after = store_digest_current(f->store);
    assert_memory_equal(&before.data, &after.data, sizeof before.data);
    assert_int_equal(edge(f, "link", 3, "version_of", 3), CLADE_ERR_CYCLE);
    assert_says(f, "artifact/n3 version_of artifact/n3");
}

static void other_labels_may_close_cycles(void **state)
{
    struct fixture *f = *state;
    make(f, 2);
    assert_int_equal(edge(f, "link", 0, "derived_from", 1), 0);
    assert_int_equal(edge(f, "link", 1, "consumed", 0), 0);
    assert_int_equal(edge(f, "link", 0, "consumed", 1), 0);
    assert_int_equal(edge(f, "link", 1, "mine", 1), 0);
    assert_int_equal(edge(f, "link", 1, "trained_on", 0), 0);
}

static void an_edge_that_is_gone_closes_nothing(void **state)
{
    struct fixture *f = *state;
    make(f, 2);
    assert_int_equal(edge(f, "link", 0, "derived_from", 1), 0);
    assert_int_equal(edge(f, "link", 1, "derived_from", 0), CLADE_ERR_CYCLE);
    run(f, "{'v':1,'ops':["
           "{'op':'unlink','from':'artifact/n0','label':'derived_from','to':'artifact/n1'},"
           "{'op':'link','from':'artifact/n1','label':'derived_from','to':'artifact/n0'}]}");
    assert_int_equal(edge(f, "link", 0, "merged_from", 1), CLADE_ERR_CYCLE);
}

static void a_cycle_within_one_transaction_is_refused_whole(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_txn(f,
                                 "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'},"
                                 "{'op':'create','kind':'artifact','name':'b'},"
                                 "{'op':'link','from':'$0','label':'adapter_of','to':'$1'},"
                                 "{'op':'link','from':'$1','label':'quantized_from','to':'$0'}]}"),
                     CLADE_ERR_CYCLE);
    assert_says(f, "ops[3]");
    assert_int_equal(store_position(f->store).revision, 0);
}

static void a_long_cycle_is_named_by_its_ends(void **state)
{
    struct fixture *f = *state;
    make(f, 40);
    for (int i = 0; i + 1 < 40; i++) {
        assert_int_equal(edge(f, "link", i, "derived_from", i + 1), 0);
    }
    assert_int_equal(edge(f, "link", 39, "derived_from", 0), CLADE_ERR_CYCLE);
    assert_says(f, "artifact/n39 derived_from artifact/n0 derived_from artifact/n1");
    assert_says(f, "(32 more) ... derived_from artifact/n38 derived_from artifact/n39\"");
}

static void the_look_of_one_transaction_is_bounded(void **state)
{
    struct fixture *f = *state;
    const int things = 1500;
    struct buffer b;
    buffer_init(&b, 8 << 20);
    make(f, 3);
    buffer_append_str(&b, "{'v':1,'ops':[");
    for (int i = 0; i < things; i++) {
        buffer_append_fmt(&b, "%s{'op':'create','kind':'artifact','name':'m%d'}", i > 0 ? "," : "",
                          i);
    }
    for (int i = 0; i < things; i++) {
        buffer_append_fmt(&b, ",{'op':'link','from':'artifact/n0','label':'contains','to':'$%d'}",
                          i);
    }
    buffer_append_str(&b,
                      ",{'op':'link','from':'artifact/n2','label':'contains','to':'artifact/n1'}"
                      "]}");
    buffer_append_u8(&b, 0);
    run(f, (const char *)b.data);
    /* Each of these finds n1 contained by n2 and looks through all of n0. */
    buffer_clear(&b);
    buffer_append_str(&b, "{'v':1,'ops':[");
    for (int i = 0; i < 2 * things; i++) {
        buffer_append_fmt(
            &b, "%s{'op':'%s','from':'artifact/n1','label':'contains','to':'artifact/n0'}",
            i > 0 ? "," : "", i % 2 == 0 ? "link" : "unlink");
    }
    buffer_append_str(&b, "]}");
    buffer_append_u8(&b, 0);
    struct store_digest before = store_digest_current(f->store);
    assert_int_equal(fixture_txn(f, (const char *)b.data), CLADE_ERR_LIMIT);
    assert_says(f, "1000000 edges");
    struct store_digest after = store_digest_current(f->store);
    assert_memory_equal(&before.data, &after.data, sizeof before.data);
    buffer_release(&b);
}

static bool reaches(bool m[THINGS][THINGS], int from, int to)
{
    bool seen[THINGS] = {false};
    seen[from] = true;
    for (int round = 0; round < THINGS; round++) {
        for (int i = 0; i < THINGS; i++) {
            for (int j = 0; j < THINGS && seen[i]; j++) {
                seen[j] = seen[j] || m[i][j];
            }
        }
    }
    return seen[to];
}

static void random_links_are_refused_exactly_when_they_close_a_cycle(void **state)
{
    struct fixture *f = *state;
    static const char *const labels[] = {"derived_from", "contains", "consumed"};
    static bool m[3][THINGS][THINGS];
    memset(m, 0, sizeof m);
    uint64_t seed = test_seed();
    make(f, THINGS);
    for (int step = 0; step < STEPS; step++) {
        int from = (int)(next_random(&seed) % THINGS);
        int to = (int)(next_random(&seed) % THINGS);
        int label = (int)(next_random(&seed) % 3);
        if (next_random(&seed) % 4 == 0) {
            assert_int_equal(edge(f, "unlink", from, labels[label], to), 0);
            m[label][from][to] = false;
            continue;
        }
        bool both[THINGS][THINGS];
        for (int i = 0; i < THINGS; i++) {
            for (int j = 0; j < THINGS; j++) {
                both[i][j] = m[0][i][j] || m[1][i][j];
            }
        }
        bool refused = label < 2 && !m[label][from][to] && reaches(both, to, from);
        assert_int_equal(edge(f, "link", from, labels[label], to), refused ? CLADE_ERR_CYCLE : 0);
        m[label][from][to] = m[label][from][to] || !refused;
    }
    struct error e = {0};
    assert_int_equal(store_verify(f->store, NULL, NULL, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_link_that_closes_a_cycle_is_refused_and_names_it),
        TEST(other_labels_may_close_cycles),
        TEST(an_edge_that_is_gone_closes_nothing),
        TEST(a_cycle_within_one_transaction_is_refused_whole),
        TEST(a_long_cycle_is_named_by_its_ends),
        TEST(the_look_of_one_transaction_is_bounded),
        TEST(random_links_are_refused_exactly_when_they_close_a_cycle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
