/* Props of edges: merged by linking again, kept with their past, held against edge types. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

#define LINK(props)                                                                                \
    "{'op':'link','from':'artifact/a','label':'contains','to':'artifact/b','props':{" props "}}"
#define TXN(ops) "{'v':1,'ops':[" ops "]}"
#define EDGE     "'label':'contains','to':'artifact/b'"
#define SHOWN    EDGE ",'id':3"

static void run(struct fixture *f, const char *json)
{
    if (fixture_txn(f, json) != 0) {
        fail_msg("%s: %s", json, json_of(buffer_span(&f->body)));
    }
}

/* Runs it, and what it answers is `status`. */
static void link_is(struct fixture *f, const char *json, const char *status)
{
    char want[64];
    run(f, json);
    snprintf(want, sizeof want, "[{'status':'%s'}]", status);
    assert_body(f, want);
}

static void refused(struct fixture *f, const char *json, int code, const char *says)
{
    struct store_digest before = store_digest_current(f->store);
    int rc = fixture_txn(f, json);
    char *body = json_of(buffer_span(&f->body));
    if (rc != code || strstr(body, says) == NULL) {
        fail_msg("%s: %s", json, body);
    }
    free(body);
    struct store_digest after = store_digest_current(f->store);
    assert_memory_equal(&before.data, &after.data, sizeof before.data);
}

static void make(struct fixture *f)
{
    run(f, TXN("{'op':'create','kind':'artifact','name':'a'},"
               "{'op':'create','kind':'artifact','name':'b'}"));
}

static void edges_are(struct fixture *f, const char *more, const char *edges)
{
    char json[256];
    char want[512];
    snprintf(json, sizeof json, "{'refs':['artifact/a'],'with':['edges']%s}", more);
    assert_int_equal(fixture_read(f, QUERY_GET, json), 0);
    snprintf(want, sizeof want,
             "[{'id':2,'kind':'artifact','ref':'artifact/a','state':'live','edges':[%s]}]", edges);
    assert_answer(f, want);
}

static void linking_again_merges_props_and_says_what_it_did(void **state)
{
    struct fixture *f = *state;
    make(f);
    link_is(f, TXN(LINK("'n':1,'s':'x'")), "created");
    link_is(f, TXN(LINK("'n':1")), "unchanged");
    link_is(f, TXN(LINK("")), "unchanged");
    link_is(f, TXN(LINK("'n':2,'r':{'ref':'artifact/b'},'l':[1,2.5]")), "changed");
    edges_are(f, "", "{" SHOWN ",'props':{'l':[1.0,2.5],'n':2,'r':{'ref':'artifact/b'},'s':'x'}}");
    link_is(f, TXN(LINK("'l':null,'r':null,'s':null,'never':null")), "changed");
    edges_are(f, "", "{" SHOWN ",'props':{'n':2}}");
    link_is(f, TXN(LINK("'n':null")), "changed");
    edges_are(f, "", "{" SHOWN "}");
    edges_are(f, ",'as_of':2", "{" SHOWN ",'props':{'n':1,'s':'x'}}");
    edges_are(f, ",'as_of':4", "{" SHOWN ",'props':{'n':2}}");
    edges_are(f, ",'as_of':1", "");
    struct error e = {0};
    assert_int_equal(store_verify(f->store, NULL, NULL, &e), 0);
}

static void an_edge_that_comes_back_begins_without_props(void **state)
{
    struct fixture *f = *state;
    static const char unlink[] = "{'op':'unlink','from':'artifact/a'," EDGE "}";
    char json[512];
    make(f);
    run(f, TXN(LINK("'n':1")));
    snprintf(json, sizeof json, "{'v':1,'ops':[%s]}", unlink);
    run(f, json);
    edges_are(f, "", "");
    run(f, TXN("{'op':'link','from':'artifact/a'," EDGE "}"));
    edges_are(f, "", "{" SHOWN "}");
    snprintf(json, sizeof json, "{'v':1,'ops':[%s,%s,%s]}", LINK("'n':2"), unlink, LINK("'m':3"));
    run(f, json);
    edges_are(f, "", "{" SHOWN ",'props':{'m':3}}");
    edges_are(f, ",'as_of':2", "{" SHOWN ",'props':{'n':1}}");
    struct error e = {0};
    assert_int_equal(store_verify(f->store, NULL, NULL, &e), 0);
}

static void a_history_tells_how_props_changed(void **state)
{
    struct fixture *f = *state;
    make(f);
    run(f, TXN(LINK("'n':1,'s':'x'")));
    run(f, TXN(LINK("'n':2,'s':null")));
    run(f, TXN("{'op':'unlink','from':'artifact/a'," EDGE "}"));
    run(f, TXN("{'op':'update','ref':'artifact/a','props':{'p':1.5}}"));
    run(f, TXN("{'op':'update','ref':'artifact/a','props':{'p':2.5}}"));
    assert_int_equal(fixture_read(f, QUERY_HISTORY, "{'ref':'artifact/a','limit':5}"), 0);
    assert_answer(
        f,
        "[{'revision':6,'time':1005000,'principal':'ann','change':'changed',"
        "'fields':{'props.p':{'from':1.5,'to':2.5}}},"
        "{'revision':5,'time':1004000,'principal':'ann','change':'changed',"
        "'fields':{'props.p':{'to':1.5}}},"
        "{'revision':4,'time':1003000,'principal':'ann','edges':[{'change':'unlinked'," EDGE "}]},"
        "{'revision':3,'time':1002000,'principal':'ann','edges':[{'change':'changed'," EDGE
        ",'props':{'n':{'from':1,'to':2},'s':{'from':'x'}}}]},"
        "{'revision':2,'time':1001000,'principal':'ann','edges':[{'change':'linked'," EDGE
        ",'props':{'n':{'to':1},'s':{'to':'x'}}}]}]");
}

static void edges_are_held_against_the_type_of_their_label(void **state)
{
    struct fixture *f = *state;
    make(f);
    run(f, TXN("{'op':'create','kind':'type','name':'edge:contains','closed':true,'fields':{"
               "'share':{'type':'float','required':true},'kind':{'type':'string','fixed':true}}}"));
    refused(f, TXN(LINK("'kind':'x'")), CLADE_ERR_INVALID, "props.share");
    refused(f, TXN("{'op':'link','from':'artifact/a'," EDGE "}"), CLADE_ERR_INVALID, "required");
    refused(f, TXN(LINK("'share':'much'")), CLADE_ERR_INVALID, "must be of type float");
    refused(f, TXN(LINK("'share':0.5,'other':1")), CLADE_ERR_INVALID, "no such field");
    link_is(f, TXN(LINK("'share':1,'kind':'x'")), "created");
    edges_are(f, "", "{" SHOWN ",'props':{'kind':'x','share':1.0}}");
    refused(f, TXN(LINK("'kind':'y'")), CLADE_ERR_CONFLICT, "kind");
    refused(f, TXN(LINK("'share':null")), CLADE_ERR_INVALID, "required");
    link_is(f, TXN(LINK("'share':0.25")), "changed");
    refused(f, TXN(LINK("'share':0.75") ",{'op':'delete','ref':'artifact/none'}"),
            CLADE_ERR_NOT_FOUND, "none");
    edges_are(f, "", "{" SHOWN ",'props':{'kind':'x','share':0.25}}");
    struct error e = {0};
    assert_int_equal(store_verify(f->store, NULL, NULL, &e), 0);
}

static void a_cyclic_type_lets_its_label_form_cycles_in_its_namespace(void **state)
{
    struct fixture *f = *state;
    make(f);
    run(f, TXN("{'op':'create','kind':'namespace','name':'t'},"
               "{'op':'create','kind':'type','name':'edge:contains','namespace':'t','cyclic':true},"
               "{'op':'create','kind':'namespace','name':'t/sub'},"
               "{'op':'create','kind':'artifact','name':'c','namespace':'t'},"
               "{'op':'create','kind':'artifact','name':'d','namespace':'t/sub'}"));
    run(f,
        TXN("{'op':'link','from':'//t//artifact/c','label':'contains','to':'//t/sub//artifact/d'},"
            "{'op':'link','from':'//t/sub//artifact/d','label':'contains',"
            "'to':'//t//artifact/c'}"));
    /* Nor does what is free of it stand in the way of another label. */
    run(f, TXN("{'op':'link','from':'//t//artifact/c','label':'derived_from',"
               "'to':'//t/sub//artifact/d'}"));
    refused(f,
            TXN("{'op':'link','from':'//t/sub//artifact/d','label':'derived_from',"
                "'to':'//t//artifact/c'}"),
            CLADE_ERR_CYCLE, "derived_from");
    refused(f, TXN("{'op':'link','from':'artifact/a','label':'contains','to':'artifact/a'}"),
            CLADE_ERR_CYCLE, "contains");
}

#define KEYS  3
#define STEPS 150

static void every_past_of_random_props_is_what_it_was(void **state)
{
    struct fixture *f = *state;
    static char past[STEPS + 2][128];
    uint64_t seed = test_seed();
    int values[KEYS] = {0}; /* 0: not set */
    bool linked = false;
    make(f);
    past[1][0] = '\0';
    for (int step = 2; step < STEPS + 2; step++) {
        char ops[1024] = "";
        int n = 1 + (int)(next_random(&seed) % 3);
        for (int i = 0; i < n; i++) {
            size_t used = strlen(ops);
            const char *comma = i > 0 ? "," : "";
            if (next_random(&seed) % 6 == 0) {
                snprintf(ops + used, sizeof ops - used,
                         "%s{'op':'unlink','from':'artifact/a'," EDGE "}", comma);
                linked = false;
                memset(values, 0, sizeof values);
                continue;
            }
            int key = (int)(next_random(&seed) % KEYS);
            values[key] = (int)(next_random(&seed) % 4);
            char value[8] = "null";
            if (values[key] != 0) {
                snprintf(value, sizeof value, "%d", values[key]);
            }
            snprintf(ops + used, sizeof ops - used,
                     "%s{'op':'link','from':'artifact/a'," EDGE ",'props':{'k%d':%s}}", comma, key,
                     value);
            linked = true;
        }
        /* Each step takes a revision, so that steps and revisions are one. */
        size_t used = strlen(ops);
        snprintf(ops + used, sizeof ops - used,
                 ",{'op':'update','ref':'artifact/b','description':'%d'}", step);
        char json[1100];
        snprintf(json, sizeof json, "{'v':1,'ops':[%s]}", ops);
        run(f, json);
        char props[64] = "";
        for (int key = 0; key < KEYS; key++) {
            size_t at = strlen(props);
            if (values[key] != 0) {
                snprintf(props + at, sizeof props - at, "%s'k%d':%d", at > 0 ? "," : "", key,
                         values[key]);
            }
        }
        snprintf(past[step], sizeof past[step], "%s%s%s%s%s", linked ? "{" SHOWN : "",
                 props[0] != '\0' ? ",'props':{" : "", props, props[0] != '\0' ? "}" : "",
                 linked ? "}" : "");
    }
    for (int step = 1; step < STEPS + 2; step++) {
        char more[32];
        snprintf(more, sizeof more, ",'as_of':%d", step);
        edges_are(f, more, past[step]);
    }
    struct error e = {0};
    assert_int_equal(store_verify(f->store, NULL, NULL, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(linking_again_merges_props_and_says_what_it_did),
        TEST(an_edge_that_comes_back_begins_without_props),
        TEST(a_history_tells_how_props_changed),
        TEST(edges_are_held_against_the_type_of_their_label),
        TEST(a_cyclic_type_lets_its_label_form_cycles_in_its_namespace),
        TEST(every_past_of_random_props_is_what_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
