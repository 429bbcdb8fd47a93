/* The commands about members: what they ask for, in which order, and what they say. The calls of
 * libclade that they make are the test's own; an answer is a JSON text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/run.h"

#define CALLS_MAX 8

struct clade_response {
    int code;
    const char *message;
    json_t *data;
};

struct clade_doc {
    char text[512];
    size_t len;
};

/* What is answered, in order, and what was asked. */
static struct {
    struct clade_response answers[CALLS_MAX];
    size_t answers_len;
    bool last_for_ever; /* the last answer again and again */
    char calls[CALLS_MAX][600];
    size_t calls_len;
    unsigned opened;
    unsigned closed;
    unsigned timeout_ms;
    uint64_t now_us; /* an error takes nearly the whole timeout to come */
} fake;

static int client; /* its address stands for one */

static uint64_t fake_now(const struct clock *clock)
{
    return fake.now_us;
}

const struct clock *clock_system(void)
{
    static const struct clock clock = {.monotonic_us = fake_now, .wall_us = fake_now};
    return &clock;
}

/* --- the calls of libclade --- */

int clade_open(const struct clade_options *options, struct clade_client **ret_client)
{
    fake.opened++;
    fake.timeout_ms = options->request_timeout_ms;
    *ret_client = (struct clade_client *)&client;
    return 0;
}

void clade_close(struct clade_client *c)
{
    fake.closed += c != NULL;
}

struct clade_doc *clade_doc_new(void)
{
    return calloc(1, sizeof(struct clade_doc));
}

void clade_doc_free(struct clade_doc *doc)
{
    free(doc);
}

static void doc_add(struct clade_doc *doc, const char *text)
{
    doc->len += (size_t)snprintf(doc->text + doc->len, sizeof doc->text - doc->len, " %s", text);
    CHECK(doc->len < sizeof doc->text);
}

void clade_doc_map(struct clade_doc *doc, uint32_t members)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u:", members);
    doc_add(doc, text);
}

void clade_doc_str(struct clade_doc *doc, const char *s)
{
    doc_add(doc, s);
}

void clade_doc_uint(struct clade_doc *doc, uint64_t v)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    doc_add(doc, text);
}

void clade_doc_bool(struct clade_doc *doc, bool v)
{
    doc_add(doc, v ? "yes" : "no");
}

struct clade_response *clade_call_wait(struct clade_client *c,
                                       const char *method,
                                       const struct clade_doc *params)
{
    bool again = fake.last_for_ever && fake.calls_len == fake.answers_len;
    CHECK(again || fake.calls_len < fake.answers_len);
    if (fake.answers[again ? fake.answers_len - 1 : fake.calls_len].code != 0) {
        fake.now_us += fake.timeout_ms * UINT64_C(950);
    }
    if (again) {
        return &fake.answers[fake.answers_len - 1];
    }
    (void)snprintf(fake.calls[fake.calls_len], sizeof fake.calls[0], "%s%s", method,
                   params == NULL ? "" : params->text);
    return &fake.answers[fake.calls_len++];
}

void clade_response_free(struct clade_response *r)
{
    json_decref(r->data);
    r->data = NULL;
}

int clade_response_code(const struct clade_response *r)
{
    return r->code;
}

const char *clade_response_message(const struct clade_response *r)
{
    return r->message;
}

const struct clade_value *clade_response_data(const struct clade_response *r)
{
    return (const struct clade_value *)r->data;
}

const struct clade_value *clade_response_error(const struct clade_response *r)
{
    return NULL;
}

uint64_t clade_response_node(const struct clade_response *r)
{
    return 7;
}

static const json_t *json_of(const struct clade_value *v)
{
    return (const json_t *)v;
}

enum clade_type clade_value_type(const struct clade_value *v)
{
    const json_t *j = json_of(v);
    return json_is_object(j)    ? CLADE_MAP
           : json_is_array(j)   ? CLADE_ARRAY
           : json_is_string(j)  ? CLADE_STRING
           : json_is_integer(j) ? CLADE_UINT
           : json_is_boolean(j) ? CLADE_BOOL
                                : CLADE_NIL;
}

uint64_t clade_value_uint(const struct clade_value *v)
{
    return (uint64_t)json_integer_value(json_of(v));
}

bool clade_value_bool(const struct clade_value *v)
{
    return json_is_true(json_of(v));
}

const char *clade_value_strn(const struct clade_value *v, size_t *ret_len)
{
    *ret_len = json_string_length(json_of(v));
    return json_string_value(json_of(v));
}

size_t clade_value_len(const struct clade_value *v)
{
    return json_is_object(json_of(v)) ? json_object_size(json_of(v)) : json_array_size(json_of(v));
}

const struct clade_value *clade_value_at(const struct clade_value *v, size_t i)
{
    return (const struct clade_value *)json_array_get(json_of(v), i);
}

const struct clade_value *clade_value_get(const struct clade_value *v, const char *key)
{
    return (const struct clade_value *)json_object_get(json_of(v), key);
}

/* --- fixture --- */

struct fixture {
    struct cli cli;
    char *out;
    char *messages;
    size_t out_len;
    size_t messages_len;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    memset(&fake, 0, sizeof fake);
    f->cli.out = open_memstream(&f->out, &f->out_len);
    f->cli.messages = open_memstream(&f->messages, &f->messages_len);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    (void)fclose(f->cli.out);
    (void)fclose(f->cli.messages);
    args_release(&f->cli.args);
    free(f->out);
    free(f->messages);
    free(f);
    return 0;
}

static void answer(int code, const char *text)
{
    struct clade_response *r = &fake.answers[fake.answers_len++];
    *r = (struct clade_response){.code = code, .message = code == 0 ? "" : text};
    if (code == 0) {
        r->data = json_loads(text, 0, NULL);
        assert_non_null(r->data);
    }
}

/* Runs "clade WORDS..."; the exit code. */
static int run(struct fixture *f, const char *const words[])
{
    int n = 0;
    struct error error = {0};
    while (words[n] != NULL) {
        n++;
    }
    if (args_parse(n, words, &f->cli.args, &error) != 0) {
        fail_msg("%s", error.message);
    }
    int code = f->cli.args.command->run(&f->cli);
    (void)fflush(f->cli.out);
    (void)fflush(f->cli.messages);
    return code;
}
#define RUN(f, ...) run(f, (const char *const[]){"clade", "cluster", __VA_ARGS__, NULL})

static const char status[] =
    "{\"cluster\":\"00ff\",\"term\":3,\"members\":["
    "{\"id\":1,\"role\":\"voter\",\"wanted\":\"configured\",\"address\":\"a:1\",\"leader\":false},"
    "{\"id\":2,\"role\":\"voter\",\"wanted\":\"voter\",\"address\":\"b:2\",\"client\":\"b:9\","
    "\"leader\":true},"
    "{\"id\":3,\"role\":\"spare\",\"wanted\":\"voter\",\"published\":1200,\"catching_up\":"
    "{\"index\":1200,\"of\":5000,\"copy_bytes\":0,\"copy_bytes_total\":0}},"
    "{\"id\":5,\"role\":\"spare\",\"wanted\":\"voter\",\"catching_up\":"
    "{\"index\":0,\"of\":5000,\"copy_bytes\":330,\"copy_bytes_total\":1000}},"
    "{\"id\":4,\"role\":\"none\",\"wanted\":\"voter\",\"address\":\"d:4\",\"leader\":false}]}";
static const char spare[] = "{\"id\":4,\"role\":\"spare\",\"wanted\":\"voter\"}";
static const char voter[] = "{\"id\":4,\"role\":\"voter\",\"wanted\":\"voter\"}";

/* --- tests --- */

static void add_asks_shows_what_to_run_and_waits(void **state)
{
    struct fixture *f = *state;
    answer(0, spare);
    answer(0, status);
    answer(CLADE_ERR_UNKNOWN, "accepted; node 4 is a spare");
    answer(CLADE_ERR_UNAVAILABLE, "no answer in time");
    answer(0, voter);
    assert_int_equal(RUN(f, "member", "add", "4=d:4"), EXIT_DONE);
    assert_int_equal(fake.calls_len, 5);
    assert_string_equal(fake.calls[0],
                        "member 5: action add node 4 wait no address d:4 promote yes");
    assert_string_equal(fake.calls[1], "status");
    assert_string_equal(fake.calls[2],
                        "member 5: action add node 4 wait yes address d:4 promote yes");
    assert_string_equal(fake.calls[4], fake.calls[2]);
    assert_non_null(strstr(f->out, "claded init --data n4 --node 4 --join --cluster 00ff \\\n"
                                   "      --member 1=a:1 \\\n"
                                   "      --member 2=b:2 \\\n"
                                   "      --member 4=d:4\n"
                                   "  claded --data n4 --listen HOST:PORT\n"));
    assert_non_null(strstr(f->out, "\nnode 4 is a voter\n"));
    assert_int_equal(fake.opened, fake.closed + 1);
}

static void add_without_promotion_and_waiting_says_so_and_stops(void **state)
{
    struct fixture *f = *state;
    answer(0, "{\"id\":4,\"role\":\"none\",\"wanted\":\"standby\"}");
    answer(0, status);
    assert_int_equal(RUN(f, "member", "add", "4=d:4", "--no-promote", "--no-wait"), EXIT_DONE);
    assert_string_equal(fake.calls[0],
                        "member 5: action add node 4 wait no address d:4 promote no");
    assert_int_equal(fake.calls_len, 2);
    assert_non_null(strstr(f->out, "node 4 is to be a standby\n"));
}

static void a_refused_node_gets_no_instructions(void **state)
{
    struct fixture *f = *state;
    answer(CLADE_ERR_CONFLICT, "node 4 was removed from this cluster");
    assert_int_equal(RUN(f, "member", "add", "4=d:4"), EXIT_CONFLICT);
    assert_int_equal(fake.calls_len, 1);
    assert_int_equal(f->out_len, 0);
    assert_string_equal(f->messages,
                        "clade: node 4: node 4 was removed from this cluster (CONFLICT)\n");
}

static void a_wait_ends_with_its_timeout_and_says_how_far_it_got(void **state)
{
    struct fixture *f = *state;
    f->cli.settings.timeout_ms = 1;
    fake.last_for_ever = true;
    answer(0, spare);
    answer(CLADE_ERR_UNKNOWN, "accepted; node 4 is a spare");
    assert_int_equal(RUN(f, "member", "demote", "4"), EXIT_UNKNOWN);
    assert_non_null(strstr(f->messages, "accepted; node 4 is a spare"));
    assert_int_equal(fake.timeout_ms, 1);
}

static void what_was_taken_up_and_cannot_be_looked_at_is_unknown(void **state)
{
    struct fixture *f = *state;
    f->cli.settings.timeout_ms = 1;
    fake.last_for_ever = true;
    answer(0, spare);
    answer(CLADE_ERR_UNAVAILABLE, "no node answers");
    assert_int_equal(RUN(f, "member", "demote", "4"), EXIT_UNKNOWN);
    assert_non_null(strstr(f->messages, "no node answers (UNAVAILABLE)"));
}

static void what_was_taken_up_and_cannot_be_shown_is_unknown(void **state)
{
    struct fixture *f = *state;
    answer(0, spare);
    answer(CLADE_ERR_UNAVAILABLE, "no node answers");
    assert_int_equal(RUN(f, "member", "add", "4=d:4"), EXIT_UNKNOWN);
    assert_int_equal(fake.calls_len, 2);
}

static void what_was_not_taken_up_is_unavailable(void **state)
{
    struct fixture *f = *state;
    answer(CLADE_ERR_RETRY, "another change of the members is under way");
    assert_int_equal(RUN(f, "member", "add", "4=d:4"), EXIT_UNAVAILABLE);
    assert_int_equal(fake.calls_len, 1);
}

static void a_wait_takes_its_time_and_no_longer(void **state)
{
    struct fixture *f = *state;
    for (unsigned timeout_s = 1; timeout_s < 200; timeout_s++) {
        memset(&fake, 0, sizeof fake);
        f->cli.settings.timeout_ms = timeout_s * 1000;
        fake.last_for_ever = true;
        answer(0, spare);
        answer(CLADE_ERR_UNKNOWN, "accepted; node 4 is a spare");
        assert_int_equal(RUN(f, "member", "demote", "4"), EXIT_UNKNOWN);
        assert_in_range(fake.now_us, timeout_s * 800000, timeout_s * 1000000);
        args_release(&f->cli.args);
    }
}

static void what_the_server_says_drives_no_terminal(void **state)
{
    struct fixture *f = *state;
    static const char bad[] =
        "{\"cluster\":\"0\\u001b[2J\",\"term\":3,\"members\":[{\"id\":1,\"role\":\"voter\","
        "\"address\":\"a\\u001b:1\",\"client\":\"\\u009b:9\",\"leader\":true}]}";
    answer(0, spare);
    answer(0, bad);
    answer(0, "{\"id\":4,\"role\":\"voter\",\"wanted\":\"\\u001bvoter\"}");
    assert_int_equal(RUN(f, "member", "add", "4=d:4"), EXIT_DONE);
    args_release(&f->cli.args);
    answer(0, bad);
    assert_int_equal(RUN(f, "leader"), EXIT_DONE);
    args_release(&f->cli.args);
    answer(CLADE_ERR_CONFLICT, "no\x1b[2J\nclade: done");
    assert_int_equal(RUN(f, "member", "remove", "4"), EXIT_CONFLICT);
    assert_non_null(strstr(f->out, "--member 1=a :1 \\"));
    assert_non_null(strstr(f->out, "node 4 is a  voter\n"));
    assert_non_null(strstr(f->out, "clients  :9, peers a :1\n"));
    assert_null(strchr(f->out, 0x1b));
    assert_null(strstr(f->out, "\xc2\x9b"));
    assert_string_equal(f->messages, "clade: node 4: no [2J clade: done (CONFLICT)\n");
}

static void a_refusal_while_waiting_is_final(void **state)
{
    struct fixture *f = *state;
    answer(0, voter);
    answer(CLADE_ERR_CONFLICT, "the last voter");
    assert_int_equal(RUN(f, "member", "remove", "4"), EXIT_CONFLICT);
    assert_string_equal(fake.calls[1], "member 3: action remove node 4 wait yes");
}

static void a_removed_node_is_said_to_be_removed(void **state)
{
    struct fixture *f = *state;
    answer(0, "{\"id\":4,\"role\":\"voter\",\"wanted\":\"removed\"}");
    answer(0, "{\"id\":4,\"role\":\"none\",\"wanted\":\"removed\"}");
    assert_int_equal(RUN(f, "member", "remove", "4"), EXIT_DONE);
    assert_string_equal(f->out, "node 4 was removed\n");
}

static void ids_and_addresses_are_checked_before_anything_is_asked(void **state)
{
    static const char *const bad[] = {
        "", "4", "=a:1", "0=a:1", "4=", "x=a:1", "99999999999999999999999=a:1", NULL};
    struct fixture *f = *state;
    for (size_t i = 0; bad[i] != NULL; i++) {
        assert_int_equal(RUN(f, "member", "add", bad[i]), EXIT_USAGE);
        args_release(&f->cli.args);
    }
    assert_int_equal(RUN(f, "member", "promote", "4=a:1"), EXIT_USAGE);
    assert_int_equal(fake.opened, 0);
}

static void list_shows_a_row_for_each_member(void **state)
{
    struct fixture *f = *state;
    answer(0, status);
    assert_int_equal(RUN(f, "member", "list"), EXIT_DONE);
    assert_non_null(strstr(f->out, "id  role   wanted"));
    assert_non_null(strstr(f->out, " 4  none   voter       no      d:4"));
    assert_non_null(strstr(f->out, "at 1,200 of 5,000"));
    assert_non_null(strstr(f->out, "33% of a copy"));
}

static void leader_shows_who_leads(void **state)
{
    struct fixture *f = *state;
    answer(0, status);
    assert_int_equal(RUN(f, "leader"), EXIT_DONE);
    assert_string_equal(f->out, "node 2 leads in term 3, clients b:9, peers b:2\n");
}

static void no_leader_is_unavailable(void **state)
{
    struct fixture *f = *state;
    answer(0, "{\"cluster\":\"00ff\",\"term\":3,\"members\":[]}");
    assert_int_equal(RUN(f, "leader"), EXIT_UNAVAILABLE);
    assert_non_null(strstr(f->messages, "node 7 knows of no leader"));
}

#define MEMBER_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MEMBER_TEST(add_asks_shows_what_to_run_and_waits),
        MEMBER_TEST(add_without_promotion_and_waiting_says_so_and_stops),
        MEMBER_TEST(a_refused_node_gets_no_instructions),
        MEMBER_TEST(a_wait_ends_with_its_timeout_and_says_how_far_it_got),
        MEMBER_TEST(a_wait_takes_its_time_and_no_longer),
        MEMBER_TEST(what_was_taken_up_and_cannot_be_looked_at_is_unknown),
        MEMBER_TEST(what_was_taken_up_and_cannot_be_shown_is_unknown),
        MEMBER_TEST(what_was_not_taken_up_is_unavailable),
        MEMBER_TEST(what_the_server_says_drives_no_terminal),
        MEMBER_TEST(a_refusal_while_waiting_is_final),
        MEMBER_TEST(a_removed_node_is_said_to_be_removed),
        MEMBER_TEST(ids_and_addresses_are_checked_before_anything_is_asked),
        MEMBER_TEST(list_shows_a_row_for_each_member),
        MEMBER_TEST(leader_shows_who_leads),
        MEMBER_TEST(no_leader_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
