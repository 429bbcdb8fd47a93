/* watch and audit: what transactions changed, as the change log has it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "storage/changes.h"

#define TEST(t)           cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
#define WATCH_OUT_BYTES   (16u << 20)
#define WATCHERS_MAX      4
#define RECOUNT_THINGS    12
#define RECOUNT_REVISIONS 300

/* A watcher and what it owns. */
struct watch {
    struct arena arena;
    struct buffer params;
    struct query query;
    struct watcher watcher;
    struct buffer out;
};

static void watch_open(struct watch *w, const char *json)
{
    const struct value *v;
    struct error e = {.code = 0};
    arena_init(&w->arena, WATCH_OUT_BYTES);
    buffer_init(&w->params, WATCH_OUT_BYTES);
    buffer_init(&w->out, WATCH_OUT_BYTES);
    json_put(&w->params, json);
    int rc = value_decode(buffer_span(&w->params), &value_limits_request, &w->arena, &v, &e);
    if (rc != 0 || query_decode(QUERY_WATCH, v, &w->arena, &w->query, &e) != 0) {
        fail_msg("%s: %s: %s", json, e.where, e.message);
    }
    w->watcher = (struct watcher){
        .query = &w->query, .next = w->query.from, .room = SIZE_MAX, .out = &w->out};
}

static void watch_close(struct watch *w)
{
    arena_release(&w->arena);
    buffer_release(&w->params);
    buffer_release(&w->out);
}

static void run(struct fixture *f, const char *json)
{
    if (fixture_txn(f, json) != 0) {
        fail_msg("%s: %s", json, json_of(buffer_span(&f->body)));
    }
}

static int step(struct fixture *f, struct watch *watches[], size_t len, uint64_t bytes_max)
{
    struct watcher *watchers[WATCHERS_MAX];
    struct reader_budget budget = {.bytes_max = bytes_max};
    for (size_t i = 0; i < len; i++) {
        watchers[i] = &watches[i]->watcher;
        watches[i]->watcher.events = 0;
    }
    return reader_watch(f->reader, watchers, len, &budget, &f->error);
}

/* The events that one watcher is told, as an array. */
static char *events_of(struct fixture *f, const char *json, uint64_t *ret_next)
{
    struct watch w;
    struct watch *ws[] = {&w};
    struct buffer all;
    watch_open(&w, json);
    if (step(f, ws, 1, 0) != 0 || w.watcher.code != 0) {
        fail_msg("%s: %s %s", json, f->error.message, w.watcher.error.message);
    }
    buffer_init(&all, WATCH_OUT_BYTES);
    value_put_array(&all, w.watcher.events);
    buffer_append_span(&all, buffer_span(&w.out));
    char *text = json_of(buffer_span(&all));
    if (ret_next != NULL) {
        *ret_next = w.watcher.next;
    }
    buffer_release(&all);
    watch_close(&w);
    return text;
}

static void assert_events(struct fixture *f, const char *params, const char *want)
{
    char *got = events_of(f, params, NULL);
    char *plain = strdup(want);
    for (char *c = plain; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    assert_string_equal(got, plain);
    free(plain);
    free(got);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        n++;
    }
    return n;
}

/* How many events, and in how many things, the watcher sees. */
static void assert_seen(struct fixture *f, const char *params, size_t events, size_t things)
{
    char *got = events_of(f, params, NULL);
    if (count(got, "\"revision\":") != events || count(got, "\"ref\":") != things) {
        fail_msg("%s: %zu events of %zu things: %s", params, count(got, "\"revision\":"),
                 count(got, "\"ref\":"), got);
    }
    free(got);
}

static void an_event_says_who_when_why_and_what_of_each_thing(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'reason':'begun','happened':5,'ops':["
           "{'op':'create','kind':'model','name':'m','description':'one'},"
           "{'op':'create','kind':'version','model':'$0'},"
           "{'op':'create','kind':'artifact','name':'a'},"
           "{'op':'link','from':'$1','label':'trained_on','to':'$2','props':{'w':1}},"
           "{'op':'set_alias','ref':'$1','alias':'best'}]}");
    run(f, "{'v':1,'ops':[{'op':'update','ref':'model/m','description':'two'},"
           "{'op':'link','from':'version/m/1','label':'trained_on','to':'artifact/a',"
           "'props':{'w':2}}]}");
    run(f, "{'v':1,'ops':[{'op':'unlink','from':'version/m/1','label':'trained_on',"
           "'to':'artifact/a'},{'op':'unset_alias','ref':'model/m','alias':'best'}]}");
    assert_events(
        f, "{'from':1}",
        "[{'revision':1,'time':1000000,'principal':'ann','happened':5,'reason':'begun','things':["
        "{'id':2,'kind':'model','ref':'model/m','change':'created','fields':{'description':{"
        "'to':'one'}},'aliases':[{'alias':'best','to':1}]},"
        "{'id':3,'kind':'version','ref':'version/m/1','change':'created','fields':{},"
        "'edges':[{'change':'linked','label':'trained_on','to':'artifact/a','props':{'w':{"
        "'to':1}}}]},"
        "{'id':4,'kind':'artifact','ref':'artifact/a','change':'created','fields':{}}]},"
        "{'revision':2,'time':1001000,'principal':'ann','things':["
        "{'id':2,'kind':'model','ref':'model/m','change':'changed','fields':{'description':{"
        "'from':'one','to':'two'}}},"
        "{'id':3,'kind':'version','ref':'version/m/1','edges':[{'change':'changed',"
        "'label':'trained_on','to':'artifact/a','props':{'w':{'from':1,'to':2}}}]}]},"
        "{'revision':3,'time':1002000,'principal':'ann','things':["
        "{'id':2,'kind':'model','ref':'model/m','aliases':[{'alias':'best','from':1}]},"
        "{'id':3,'kind':'version','ref':'version/m/1','edges':[{'change':'unlinked',"
        "'label':'trained_on','to':'artifact/a'}]}]}]");
}

static void what_a_transaction_makes_and_unmakes_is_not_told(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'},"
           "{'op':'create','kind':'artifact','name':'b'}]}");
    run(f, "{'v':1,'ops':[{'op':'link','from':'artifact/a','label':'x','to':'artifact/b'},"
           "{'op':'unlink','from':'artifact/a','label':'x','to':'artifact/b'}]}");
    assert_events(f, "{'from':2}", "[{'revision':2,'time':1001000,'principal':'ann','things':[]}]");
    assert_seen(f, "{'from':2,'kinds':['artifact']}", 0, 0);
}

static void a_thing_passes_when_it_matched_before_or_after_the_change(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'raw/a','tags':{'k':'1'}},"
           "{'op':'create','kind':'artifact','name':'b'}]}");
    run(f, "{'v':1,'ops':[{'op':'rename','ref':'artifact/raw/a','name':'clean/a'}]}");
    run(f, "{'v':1,'ops':[{'op':'update','ref':'artifact/clean/a','tags':{'k':'2'}}]}");
    run(f, "{'v':1,'ops':[{'op':'delete','ref':'artifact/clean/a'}]}");
    assert_seen(f, "{'from':1,'prefix':'artifact/raw/'}", 2, 2);
    assert_seen(f, "{'from':1,'prefix':'artifact/clean/'}", 3, 3);
    assert_seen(f, "{'from':1,'prefix':'//default//artifact/clean/'}", 3, 3);
    assert_seen(f, "{'from':1,'prefix':'//other//'}", 0, 0);
    assert_seen(f, "{'from':1,'query':'tags.k = 1'}", 3, 3);
    assert_seen(f, "{'from':1,'query':'tags.k = 2'}", 2, 2);
    assert_seen(f, "{'from':1,'query':'state = \\'live\\''}", 4, 5);
    assert_seen(f, "{'from':1,'kinds':['run','model']}", 0, 0);
    assert_seen(f, "{'from':1}", 4, 5);
}

static void a_namespace_is_watched_with_what_is_under_it(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'namespace','name':'a'}]}");
    run(f, "{'v':1,'ops':[{'op':'create','kind':'namespace','name':'a/b'},"
           "{'op':'create','kind':'namespace','name':'ab'}]}");
    run(f, "{'v':1,'ns':'a/b','ops':[{'op':'create','kind':'artifact','name':'x'}]}");
    run(f, "{'v':1,'ns':'ab','ops':[{'op':'create','kind':'artifact','name':'x'}]}");
    run(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'x'}]}");
    assert_seen(f, "{'from':1,'namespace':'a'}", 3, 3);
    assert_seen(f, "{'from':1,'namespace':'a/b'}", 2, 2);
    assert_seen(f, "{'from':1,'namespace':'ab'}", 2, 2);
    assert_seen(f, "{'from':1,'namespace':'default'}", 1, 1);
    char *text = events_of(f, "{'from':3,'namespace':'a','ns':'a/b'}", NULL);
    assert_int_equal(count(text, "\"ref\":\"artifact/x\""), 1);
    free(text);
    text = events_of(f, "{'from':3,'namespace':'a'}", NULL);
    assert_int_equal(count(text, "\"ref\":\"//a/b//artifact/x\""), 1);
    free(text);
}

static void progress_passes_what_no_filter_lets_through(void **state)
{
    struct fixture *f = *state;
    uint64_t next = 0;
    for (int i = 0; i < 5; i++) {
        char json[128];
        snprintf(json, sizeof json,
                 "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a%d'}]}", i);
        run(f, json);
    }
    free(events_of(f, "{'from':2,'kinds':['run']}", &next));
    assert_int_equal(next, 6);
    free(events_of(f, "{'from':6}", &next));
    assert_int_equal(next, 6);
    free(events_of(f, "{'from':100}", &next));
    assert_int_equal(next, 100);
}

static void a_step_ends_where_there_is_no_more_room_and_goes_on_there(void **state)
{
    struct fixture *f = *state;
    struct watch w[2];
    struct watch *ws[] = {&w[0], &w[1]};
    for (int i = 0; i < 20; i++) {
        char json[128];
        snprintf(json, sizeof json,
                 "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a%02d'}]}", i);
        run(f, json);
    }
    watch_open(&w[0], "{'from':1}");
    watch_open(&w[1], "{'from':1}");
    w[0].watcher.room = 1; /* one event, whatever its length */
    assert_int_equal(step(f, ws, 2, 0), 0);
    assert_int_equal(w[0].watcher.next, 2);
    assert_int_equal(w[0].watcher.events, 1);
    assert_int_equal(w[1].watcher.next, 21);
    assert_int_equal(w[1].watcher.events, 20);
    struct watch *slow[] = {&w[0]};
    size_t events = 1;
    for (int i = 0; i < 19; i++) {
        w[0].watcher.room = w[0].out.len + 1;
        assert_int_equal(step(f, slow, 1, 0), 0);
        events += w[0].watcher.events;
    }
    assert_int_equal(events, 20);
    assert_true(span_equal(buffer_span(&w[0].out), buffer_span(&w[1].out)));
    /* the bytes of all together end a step too: none of them is told half of a revision */
    watch_close(&w[0]);
    watch_close(&w[1]);
    watch_open(&w[0], "{'from':1}");
    watch_open(&w[1], "{'from':1}");
    assert_int_equal(step(f, ws, 2, 1), 0);
    assert_int_equal(w[0].watcher.next + w[1].watcher.next, 3);
    watch_close(&w[0]);
    watch_close(&w[1]);
}

static void one_watcher_s_trouble_is_not_another_s(void **state)
{
    struct fixture *f = *state;
    struct watch w[2];
    struct watch *ws[] = {&w[0], &w[1]};
    run(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'}]}");
    watch_open(&w[0], "{'from':1,'ns':'nowhere'}");
    watch_open(&w[1], "{'from':1}");
    assert_int_equal(step(f, ws, 2, 0), 0);
    assert_int_equal(w[0].watcher.code, CLADE_ERR_NOT_FOUND);
    assert_int_equal(w[1].watcher.code, 0);
    assert_int_equal(w[1].watcher.events, 1);
    watch_close(&w[0]);
    watch_close(&w[1]);
    watch_open(&w[0], "{'from':0}");
    struct watch *old[] = {&w[0]};
    assert_int_equal(step(f, old, 1, 0), 0);
    assert_int_equal(w[0].watcher.code, CLADE_ERR_COMPACTED);
    assert_int_equal(w[0].watcher.error.revision, 1);
    watch_close(&w[0]);
}

static void what_does_not_fit_in_an_event_is_said(void **state)
{
    struct fixture *f = *state;
    enum { THINGS = 100, BYTES = 60000 };
    struct buffer text;
    char *big = malloc(BYTES + 1);
    memset(big, 'x', BYTES);
    big[BYTES] = '\0';
    buffer_init(&text, WATCH_OUT_BYTES);
    for (int i = 0; i < THINGS; i++) {
        buffer_clear(&text);
        buffer_append_fmt(&text, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a%03d',",
                          i);
        buffer_append_str(&text, "'description':'");
        buffer_append_str(&text, big);
        buffer_append(&text, "'}]}", sizeof "'}]}");
        run(f, (const char *)text.data);
    }
    buffer_clear(&text);
    buffer_append_str(&text, "{'v':1,'ops':[");
    for (int i = 0; i < THINGS; i++) {
        buffer_append_fmt(&text, "%s{'op':'update','ref':'artifact/a%03d','description':'y'}",
                          i > 0 ? "," : "", i);
    }
    buffer_append(&text, "]}", sizeof "]}");
    run(f, (const char *)text.data);
    char *events = events_of(f, "{'from':101}", NULL);
    size_t cut = count(events, "\"cut\":true");
    assert_int_equal(count(events, "\"ref\":"), THINGS);
    assert_int_equal(count(events, "\"to\":\"y\"") + cut, THINGS);
    assert_true(cut > 0 && cut < 40);
    free(events);
    events = events_of(f, "{'from':101,'prefix':'artifact/a099'}", NULL);
    assert_int_equal(count(events, "\"cut\":true"), 0);
    assert_int_equal(count(events, "\"to\":\"y\""), 1);
    free(events);
    buffer_release(&text);
    free(big);
}

static void audit_tells_the_newest_first_by_whom_and_of_what(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'}]}");
    run(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'b'}]}");
    run(f, "{'v':1,'reason':'r','ops':[{'op':'update','ref':'artifact/a','description':'d'}]}");
    assert_int_equal(fixture_read(f, QUERY_AUDIT, "{'ref':'artifact/a'}"), 0);
    assert_answer(f, "[{'revision':3,'time':1002000,'principal':'ann','reason':'r','things':["
                     "{'id':2,'kind':'artifact','ref':'artifact/a','change':'changed','fields':{"
                     "'description':{'to':'d'}}}]},"
                     "{'revision':1,'time':1000000,'principal':'ann','things':["
                     "{'id':2,'kind':'artifact','ref':'artifact/a','change':'created',"
                     "'fields':{}}]}]");
    assert_true(f->answer.complete);
    assert_true(f->answer.has_read);
    assert_int_equal(f->answer.read, 3);
    assert_int_equal(f->answer.revision, 3);
    assert_int_equal(fixture_read(f, QUERY_AUDIT, "{'by':'bob'}"), 0);
    assert_answer(f, "[]");
    assert_int_equal(f->answer.read, 3);
    assert_int_equal(fixture_read(f, QUERY_AUDIT, "{'by':'ann'}"), 0);
    assert_int_equal(answer_count(f, "\"revision\":"), 3);
    assert_int_equal(fixture_read(f, QUERY_AUDIT, "{'from_time':1001000,'to_time':1001999}"), 0);
    assert_int_equal(answer_count(f, "\"revision\":"), 1);
    assert_int_equal(answer_count(f, "\"revision\":2"), 1);
    assert_int_equal(f->answer.read, 1);
    assert_int_equal(fixture_read(f, QUERY_AUDIT, "{'as_of':2}"), 0);
    assert_int_equal(answer_count(f, "\"revision\":"), 2);
    assert_int_equal(fixture_read(f, QUERY_AUDIT, "{'ref':'artifact/none'}"), CLADE_ERR_NOT_FOUND);
}

static void pages_of_an_audit_fit_together(void **state)
{
    struct fixture *f = *state;
    char params[512] = "{'limit':3}";
    size_t seen = 0;
    for (int i = 0; i < 10; i++) {
        char json[128];
        snprintf(json, sizeof json,
                 "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a%d'}]}", i);
        run(f, json);
    }
    for (int page = 0; page < 4; page++) {
        assert_int_equal(fixture_read(f, QUERY_AUDIT, params), 0);
        seen += answer_count(f, "\"revision\":");
        assert_int_equal(f->answer.complete, page == 3);
        assert_int_equal(f->answer.revision, 10);
        snprintf(params, sizeof params, "{'limit':3,'cursor':'%.*s'}", SPAN_FMT(f->answer.cursor));
        run(f, "{'v':1,'ops':[{'op':'create','kind':'run'}]}"); /* comes too late */
    }
    assert_int_equal(seen, 10);
    snprintf(params, sizeof params, "{'limit':3}");
    assert_int_equal(fixture_read(f, QUERY_AUDIT, params), 0);
    snprintf(params, sizeof params, "{'by':'ann','cursor':'%.*s'}", SPAN_FMT(f->answer.cursor));
    assert_int_equal(fixture_read(f, QUERY_AUDIT, params), CLADE_ERR_INVALID);
}

static void what_was_purged_is_told_by_its_id_alone(void **state)
{
    struct fixture *f = *state;
    run(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'secret','description':'s'}]}");
    run(f, "{'v':1,'ops':[{'op':'delete','ref':'artifact/secret'}]}");
    run(f, "{'v':1,'ops':[{'op':'purge','ref':'id/2'}]}");
    char *text = events_of(f, "{'from':1}", NULL);
    assert_int_equal(count(text, "secret"), 0);
    assert_int_equal(count(text, "\"to\":\"s\""), 0);
    assert_int_equal(count(text, "\"change\":\"purged\""), 1);
    assert_int_equal(count(text, "\"revision\":"), 3);
    free(text);
}

/* --- The recount: random transactions; each thing's history says what its events say. ----------
 */

/* What `history` says of the thing at the revision, from the first member after who and why; NULL
 * when it says nothing. */
static char *history_at(struct fixture *f, uint64_t id, uint64_t revision)
{
    char params[128];
    char head[64];
    snprintf(params, sizeof params, "{'ref':'id/%" PRIu64 "','as_of':%" PRIu64 ",'limit':1}", id,
             revision);
    if (fixture_read(f, QUERY_HISTORY, params) != 0) {
        return NULL;
    }
    char *text = json_of(buffer_span(&f->out));
    int len = snprintf(head, sizeof head, "[{\"revision\":%" PRIu64 ",", revision);
    const char *rest = strstr(text, "\"principal\":\"ann\"");
    char *ret = strncmp(text, head, (size_t)len) == 0 && rest != NULL
                    ? strdup(rest + strlen("\"principal\":\"ann\""))
                    : NULL;
    free(text);
    if (ret != NULL) {
        ret[strlen(ret) - 1] = '\0'; /* the array's end */
    }
    return ret;
}

static void random_transaction(struct fixture *f, uint64_t *seed)
{
    char json[1024] = "{'v':1,'ops':[";
    size_t ops = 1 + next_random(seed) % 3;
    for (size_t i = 0; i < ops; i++) {
        char op[256];
        unsigned long long a = next_random(seed) % RECOUNT_THINGS;
        unsigned long long b = next_random(seed) % RECOUNT_THINGS;
        unsigned long long v = next_random(seed) % 3;
        switch (next_random(seed) % 8) {
        case 0:
            snprintf(op, sizeof op,
                     "{'op':'create','kind':'artifact','name':'a%llu','if_exists':'return'}", a);
            break;
        case 1:
        case 2:
            snprintf(op, sizeof op,
                     "{'op':'update','ref':'artifact/a%llu','tags':{'t%llu':'%llu'},"
                     "'description':'%llu'}",
                     a, b % 3, v, v);
            break;
        case 3:
            snprintf(op, sizeof op, "{'op':'delete','ref':'artifact/a%llu'}", a);
            break;
        case 4:
            snprintf(op, sizeof op, "{'op':'log','ref':'artifact/a%llu','params':{'p%llu':'x'}}", a,
                     b);
            break;
        case 5:
            snprintf(op, sizeof op,
                     "{'op':'unlink','from':'artifact/a%llu','label':'l','to':'artifact/a%llu'}", a,
                     b);
            break;
        default:
            snprintf(op, sizeof op,
                     "{'op':'link','from':'artifact/a%llu','label':'l','to':'artifact/a%llu',"
                     "'props':{'w':%llu}}",
                     a, b, v);
            break;
        }
        snprintf(json + strlen(json), sizeof json - strlen(json), "%s%s", i > 0 ? "," : "", op);
    }
    snprintf(json + strlen(json), sizeof json - strlen(json), "]}");
    (void)fixture_txn(f, json); /* many are refused */
}

static void events_are_what_a_recount_of_the_histories_gives(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    size_t told = 0;
    for (unsigned i = 0; i < 4 * RECOUNT_REVISIONS && f->result.revision < RECOUNT_REVISIONS; i++) {
        random_transaction(f, &seed);
    }
    uint64_t newest = f->result.revision;
    uint64_t ids = 0;
    char *all = events_of(f, "{'from':1}", &newest);
    assert_int_equal(newest, f->result.revision + 1);
    while (ids < 2000) {
        char params[64];
        snprintf(params, sizeof params, "{'ref':'id/%" PRIu64 "'}", ids + 1);
        if (fixture_read(f, QUERY_HISTORY, params) != 0) {
            break;
        }
        ids++;
    }
    const char *at = all;
    for (uint64_t revision = 1; revision < newest; revision++) {
        char head[64];
        snprintf(head, sizeof head, "{\"revision\":%" PRIu64 ",", revision);
        at = strstr(at, head); /* in order, each once */
        assert_non_null(at);
        for (uint64_t id = 2; id <= ids; id++) {
            char *want = history_at(f, id, revision);
            char thing[64];
            char event_end[64];
            snprintf(thing, sizeof thing, "{\"id\":%" PRIu64 ",", id);
            snprintf(event_end, sizeof event_end, "{\"revision\":%" PRIu64 ",", revision + 1);
            const char *end = strstr(at, event_end);
            const char *got = strstr(at, thing);
            if (got != NULL && end != NULL && got > end) {
                got = NULL;
            }
            if (want == NULL) {
                if (got != NULL && strstr(got, "\"logged\"") == NULL) {
                    fail_msg("revision %" PRIu64 " tells of id/%" PRIu64
                             ", history does not: %.200s",
                             revision, id, got);
                }
                continue;
            }
            assert_non_null(got);
            got = strstr(strstr(got, "\"ref\":"), ",\"");
            if (strncmp(got, want, strlen(want)) != 0) {
                fail_msg("revision %" PRIu64 " of id/%" PRIu64 ": %.300s, not %s", revision, id,
                         got, want);
            }
            told++;
            free(want);
        }
    }
    assert_true(told > RECOUNT_REVISIONS / 2);
    assert_int_equal(count(all, "{\"revision\":"), newest - 1);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_event_says_who_when_why_and_what_of_each_thing),
        TEST(what_a_transaction_makes_and_unmakes_is_not_told),
        TEST(a_thing_passes_when_it_matched_before_or_after_the_change),
        TEST(a_namespace_is_watched_with_what_is_under_it),
        TEST(progress_passes_what_no_filter_lets_through),
        TEST(a_step_ends_where_there_is_no_more_room_and_goes_on_there),
        TEST(one_watcher_s_trouble_is_not_another_s),
        TEST(what_does_not_fit_in_an_event_is_said),
        TEST(audit_tells_the_newest_first_by_whom_and_of_what),
        TEST(pages_of_an_audit_fit_together),
        TEST(what_was_purged_is_told_by_its_id_alone),
        TEST(events_are_what_a_recount_of_the_histories_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
