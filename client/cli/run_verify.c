/* cluster verify: each node scans its store at one index of the log, and what they find is
 * compared. Nothing is written for it: an idle cluster stands at one index, and of one that is
 * written to an index a little ahead is taken, further ahead when a node was faster. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <uv.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/run.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/verdict.h"

#define ASK_MS        10000u /* unless --timeout says otherwise */
#define PAUSE_MS      200u
#define STILL_US      (UINT64_C(2) * 1000000) /* no node goes on: another index is taken */
#define BEHIND_US     (UINT64_C(20) * 1000000)
#define NODES_MAX     64
#define AHEAD         4u /* entries of the log, at first */
#define BEGINNINGS    10 /* each four times as far ahead */
#define ANSWERS_BYTES (1u << 20)
#define DIGEST_BYTES  8 /* of a digest in a table */
#define ADDRESS_BYTES (CLADE_MAX_ADDRESS_BYTES + 1)

struct verified {
    struct verify_run *run;
    uint64_t id;
    char address[ADDRESS_BYTES];
    struct clade_client *client;      /* NULL: it is not asked any more */
    struct clade_response *response;  /* the last */
    const struct clade_value *answer; /* its data; NULL: none yet */
    uint64_t applied;
    uint64_t moved_us; /* when it was last seen to go on */
    char why[512];     /* there is no answer */
};

struct verify_run {
    struct cli *cli;
    uv_loop_t loop;
    uv_timer_t timer;
    struct clade_response *first;
    uint64_t id;
    uint64_t index;
    struct verified nodes[NODES_MAX];
    struct replica replicas[NODES_MAX];
    size_t len;
    size_t waiting;
    bool shown; /* progress */
};

static uint64_t number(const struct clade_value *map, const char *key)
{
    return clade_value_uint(clade_value_get(map, key));
}

static bool is_in(const struct verified *n, const char *phase)
{
    return n->client != NULL && span_equal_str(show_text_of(n->answer, "phase"), phase);
}

/* --- asking --- */

static void on_closed(struct clade_client *client, void *arg)
{
}

static void leave(struct verified *n, const char *why)
{
    (void)snprintf(n->why, sizeof n->why, "%s", why);
    n->answer = NULL;
    if (n->client != NULL) {
        clade_client_close(n->client, on_closed, NULL);
        n->client = NULL;
    }
}

static void take_answer(struct verified *n)
{
    if (n->response == NULL) {
        leave(n, "it could not be asked: out of memory");
        return;
    }
    if (clade_response_code(n->response) != 0) {
        leave(n, clade_response_message(n->response));
        return;
    }
    if (clade_response_node(n->response) != n->id) {
        leave(n, "it does not answer in time, or another node does at its address");
        return;
    }
    n->answer = clade_response_data(n->response);
    uint64_t applied = number(n->answer, "applied");
    if (applied != n->applied || n->moved_us == 0) {
        n->moved_us = clock_monotonic_us(clock_system());
        n->applied = applied;
    }
}

static void on_answer(struct clade_request *request, struct clade_response *response, void *arg)
{
    struct verified *n = arg;
    clade_response_free(n->response);
    n->response = response;
    n->run->waiting--;
}

static void ask(struct verified *n, const char *action, uint64_t index)
{
    struct clade_doc *doc = clade_doc_new();
    if (doc == NULL) {
        return;
    }
    clade_doc_map(doc, 2 + (index != 0));
    clade_doc_str(doc, "action");
    clade_doc_str(doc, action);
    clade_doc_str(doc, "id");
    clade_doc_uint(doc, n->run->id);
    if (index != 0) {
        clade_doc_str(doc, "index");
        clade_doc_uint(doc, index);
    }
    clade_response_free(n->response); /* what it said before is no answer to this */
    n->response = NULL;
    n->run->waiting += clade_call(n->client, "verify", doc, 0, on_answer, n) != NULL;
    clade_doc_free(doc);
}

static void wait_all(struct verify_run *v)
{
    while (v->waiting > 0) {
        (void)uv_run(&v->loop, UV_RUN_ONCE);
    }
}

/* Those that still take part, at `index` where it is one. */
static void ask_all(struct verify_run *v, const char *action, uint64_t index)
{
    bool asked[NODES_MAX] = {false};
    for (size_t i = 0; i < v->len; i++) {
        struct verified *n = &v->nodes[i];
        asked[i] = n->client != NULL && (index == 0 || n->answer == NULL ||
                                         number(n->answer, "index") != index || !is_in(n, "scans"));
        if (asked[i]) {
            n->answer = NULL;
            ask(n, action, index);
        }
    }
    wait_all(v);
    for (size_t i = 0; i < v->len; i++) {
        if (asked[i]) {
            take_answer(&v->nodes[i]);
        }
    }
}

static void on_pause(uv_timer_t *timer)
{
    struct verify_run *v = timer->data;
    v->waiting--;
}

static void pause_run(struct verify_run *v)
{
    v->waiting++;
    (void)uv_timer_start(&v->timer, on_pause, PAUSE_MS, 0);
    wait_all(v);
}

static void add_node(struct verify_run *v, const struct clade_value *member)
{
    struct span role = show_text_of(member, "role");
    if (v->len == NODES_MAX ||
        (!span_equal_str(role, "voter") && !span_equal_str(role, "standby"))) {
        return;
    }
    struct verified *n = &v->nodes[v->len++];
    struct clade_options options = cli_options(v->cli, ASK_MS);
    struct span address = show_text_of(member, "client");
    *n = (struct verified){.run = v, .id = number(member, "id")};
    if (address.len == 0 || address.len >= sizeof n->address) {
        leave(n, "its address for clients is not known yet");
        return;
    }
    memcpy(n->address, address.data, address.len);
    options.endpoints = n->address;
    if (clade_client_new(&v->loop, &options, &n->client) != 0) {
        n->client = NULL;
        leave(n, "it cannot be asked at that address");
    }
}

/* --- one index for all --- */

static bool any_in(const struct verify_run *v, const char *phase)
{
    for (size_t i = 0; i < v->len; i++) {
        if (is_in(&v->nodes[i], phase)) {
            return true;
        }
    }
    return false;
}

static uint64_t highest(const struct verify_run *v, const char *key)
{
    uint64_t max = 0;
    for (size_t i = 0; i < v->len; i++) {
        uint64_t at = v->nodes[i].answer == NULL ? 0 : number(v->nodes[i].answer, key);
        max = at > max ? at : max;
    }
    return max;
}

/* First where the foremost node is; while one passes it by, further and further ahead. */
static bool agree_on_index(struct verify_run *v)
{
    ask_all(v, "pin", 0);
    v->index = highest(v, "index");
    if (v->index == 0) {
        return true;
    }
    ask_all(v, "pin", v->index);
    uint64_t ahead = AHEAD;
    for (int i = 0; i < BEGINNINGS && any_in(v, "passed"); i++) {
        v->index = highest(v, "applied") + ahead;
        ask_all(v, "pin", v->index);
        ahead *= 4;
    }
    return !any_in(v, "passed");
}

/* Whether nobody has come to the index, and nobody goes on. */
static bool is_still(const struct verify_run *v)
{
    uint64_t now = clock_monotonic_us(clock_system());
    bool waits = false;
    for (size_t i = 0; i < v->len; i++) {
        const struct verified *n = &v->nodes[i];
        if (n->client != NULL && (!is_in(n, "waits") || now - n->moved_us < STILL_US)) {
            return false;
        }
        waits = waits || n->client != NULL;
    }
    return waits;
}

static void leave_behind(struct verify_run *v)
{
    uint64_t now = clock_monotonic_us(clock_system());
    for (size_t i = 0; i < v->len; i++) {
        struct verified *n = &v->nodes[i];
        if (is_in(n, "waits") && now - n->moved_us > BEHIND_US) {
            char why[128];
            (void)snprintf(why, sizeof why, "it stands at index %" PRIu64 " and does not go on",
                           n->applied);
            leave(n, why);
        } else if (is_in(n, "failed")) {
            char why[512];
            struct span error = show_text_of(n->answer, "error");
            (void)snprintf(why, sizeof why, "%.*s", SPAN_FMT(error));
            leave(n, why);
        }
    }
}

static void show_progress(struct verify_run *v)
{
    uint64_t done = 0;
    uint64_t of = 0;
    char text[TEXT_BYTES_MAX];
    for (size_t i = 0; i < v->len; i++) {
        const struct clade_value *a = v->nodes[i].answer;
        done += a == NULL ? 0 : number(a, "bytes");
        of += a == NULL ? 0 : number(a, "bytes_total");
    }
    if (isatty(STDERR_FILENO)) {
        v->shown = true;
        text_size(done, text);
        (void)fprintf(stderr, "\rindex %" PRIu64 ": %s of rows read", v->index, text);
        text_size(of, text);
        (void)fprintf(stderr, ", of files of %s", text);
    }
}

static bool scan_all(struct verify_run *v)
{
    bool found = agree_on_index(v);
    while (found && (any_in(v, "waits") || any_in(v, "scans") || any_in(v, "passed"))) {
        if (any_in(v, "passed") || is_still(v)) {
            found = agree_on_index(v);
        }
        show_progress(v);
        pause_run(v);
        ask_all(v, "look", 0);
        leave_behind(v);
    }
    leave_behind(v);
    if (v->shown) {
        (void)fputc('\n', stderr);
    }
    return found;
}

/* --- comparing --- */

static bool hash_at(const struct clade_value *map, const char *key, struct hash128 *ret)
{
    return hash128_parse(show_text_of(map, key), ret);
}

static void read_replica(const struct verified *n, struct replica *r)
{
    const struct clade_value *kept = clade_value_get(n->answer, "digest");
    const struct clade_value *found = clade_value_get(n->answer, "found");
    struct hash128 data = {0};
    struct hash128 state = {0};
    *r = (struct replica){.answered = n->answer != NULL};
    r->answered = r->answered && hash_at(kept, "data", &r->data) &&
                  hash_at(kept, "state", &r->state) && hash_at(found, "data", &data) &&
                  hash_at(found, "state", &state);
    r->is_sound = r->answered && number(n->answer, "bad_rows") == 0 &&
                  hash128_equal(data, r->data) && hash128_equal(state, r->state);
}

static const char *const verdict_words[] = {[VERDICT_NO_ANSWER] = "no answer",
                                            [VERDICT_DAMAGED] = "damaged",
                                            [VERDICT_SAME] = "same",
                                            [VERDICT_DIFFERS] = "differs",
                                            [VERDICT_UNKNOWN] = "undecided"};
static const char *const outcome_words[] = {[OUTCOME_SAME] = "same",
                                            [OUTCOME_DIFFERENT] = "different",
                                            [OUTCOME_UNDECIDED] = "undecided",
                                            [OUTCOME_INCOMPLETE] = "incomplete"};

/* --- for programs --- */

static void append_text(struct buffer *b, const char *key, struct span text)
{
    (void)buffer_append_fmt(b, ",\"%s\":", key);
    json_append_text(b, text);
}

static void append_value(struct buffer *b, const struct verified *n, const char *key)
{
    (void)buffer_append_fmt(b, ",\"%s\":", key);
    json_append_value(b, clade_value_get(n->answer, key));
}

static void append_node(struct buffer *b, const struct verified *n, const struct replica *r)
{
    static const char *const keys[] = {"index", "rows",   "bytes", "bad_rows",
                                       "bad",   "digest", "found"};
    (void)buffer_append_fmt(b, "{\"id\":%" PRIu64, n->id);
    append_text(b, "client", span_of(n->address));
    append_text(b, "result", span_of(verdict_words[r->verdict]));
    if (!r->answered) {
        append_text(b, "error", span_of(n->why));
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && r->answered; i++) {
        append_value(b, n, keys[i]);
    }
    (void)buffer_append_str(b, "}");
}

static void write_json(const struct verify_run *v, enum outcome outcome)
{
    struct buffer b;
    buffer_init(&b, ANSWERS_BYTES);
    (void)buffer_append_fmt(&b, "{\"index\":%" PRIu64, v->index);
    append_text(&b, "result", span_of(outcome_words[outcome]));
    (void)buffer_append_str(&b, ",\"nodes\":[");
    for (size_t i = 0; i < v->len; i++) {
        (void)buffer_append_str(&b, i > 0 ? "," : "");
        append_node(&b, &v->nodes[i], &v->replicas[i]);
    }
    (void)buffer_append_str(&b, "]}");
    if (v->cli->settings.write == WRITE_JSON) {
        show_json_text(v->cli, v->first, buffer_span(&b));
    } else {
        (void)fprintf(v->cli->out, "%.*s\n", SPAN_FMT(buffer_span(&b)));
    }
    buffer_release(&b);
}

/* --- for people --- */

static void add_cell(struct table *t, const char *text)
{
    (void)table_add(t, span_of(text));
}

static void add_row(struct table *t, const struct verified *n, const struct replica *r)
{
    char text[TEXT_BYTES_MAX];
    char digest[33];
    (void)snprintf(text, sizeof text, "%" PRIu64, n->id);
    add_cell(t, text);
    for (int i = 0; i < 3; i++) {
        static const char *const keys[] = {"index", "rows", "bytes"};
        uint64_t value = number(n->answer, keys[i]);
        i < 2 ? text_count(value, text) : text_size(value, text);
        add_cell(t, r->answered ? text : "-");
    }
    for (int i = 0; i < 2; i++) {
        hash128_format(i == 0 ? r->data : r->state, digest);
        digest[DIGEST_BYTES] = '\0';
        add_cell(t, r->answered ? digest : "-");
    }
    add_cell(t, verdict_words[r->verdict]);
}

static void write_table(const struct verify_run *v)
{
    static const struct table_column columns[] = {
        {"node", TABLE_RIGHT, false},  {"index", TABLE_RIGHT, false}, {"rows", TABLE_RIGHT, false},
        {"bytes", TABLE_RIGHT, false}, {"data", TABLE_LEFT, false},   {"state", TABLE_LEFT, false},
        {"result", TABLE_LEFT, false}};
    struct table t;
    table_init(&t, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < v->len; i++) {
        add_row(&t, &v->nodes[i], &v->replicas[i]);
    }
    table_flush(&t, v->cli->out, v->cli->terminal_columns, v->cli->color);
    table_release(&t);
    (void)fputc('\n', v->cli->out);
}

static void write_finding(const struct verify_run *v, size_t i, size_t agree)
{
    const struct verified *n = &v->nodes[i];
    FILE *out = v->cli->out;
    switch (v->replicas[i].verdict) {
    case VERDICT_NO_ANSWER:
        (void)fprintf(out, "node %" PRIu64 ": no answer: ", n->id);
        table_print_clean(out, span_of(n->why));
        (void)fputs(" (runbook: lost node)\n", out);
        return;
    case VERDICT_DAMAGED:
        (void)fprintf(out, "node %" PRIu64 ": ", n->id);
        if (number(n->answer, "bad_rows") > 0) {
            (void)fprintf(out,
                          "%" PRIu64 " damaged row%s, the first: ", number(n->answer, "bad_rows"),
                          number(n->answer, "bad_rows") == 1 ? "" : "s");
            table_print_clean(out, show_text_of(n->answer, "bad"));
        } else {
            (void)fputs("its rows do not add up to its digest", out);
        }
        (void)fputs(" (runbook: damaged node)\n", out);
        return;
    case VERDICT_DIFFERS:
        (void)fprintf(out,
                      "node %" PRIu64 ": its data differ from what %zu nodes agree on (runbook: "
                      "damaged node)\n",
                      n->id, agree);
        return;
    default:
        return;
    }
}

static void write_outcome(const struct verify_run *v, enum outcome outcome, size_t agree)
{
    FILE *out = v->cli->out;
    for (size_t i = 0; i < v->len; i++) {
        write_finding(v, i, agree);
    }
    switch (outcome) {
    case OUTCOME_SAME:
        (void)fprintf(out, "all %zu nodes have the same at index %" PRIu64 "\n", v->len, v->index);
        return;
    case OUTCOME_DIFFERENT:
        (void)fprintf(out, "%zu of %zu nodes have the same at index %" PRIu64 "\n", agree, v->len,
                      v->index);
        return;
    case OUTCOME_UNDECIDED:
        (void)fprintf(out,
                      "no majority of the %zu nodes agrees at index %" PRIu64
                      ": which is right is not known (runbook: damaged node)\n",
                      v->len, v->index);
        return;
    case OUTCOME_INCOMPLETE:
        (void)fprintf(out, "incomplete: %zu of %zu nodes were compared, and are the same\n", agree,
                      v->len);
        return;
    }
}

/* --- all of it --- */

static int report(struct verify_run *v)
{
    size_t agree = 0;
    for (size_t i = 0; i < v->len; i++) {
        read_replica(&v->nodes[i], &v->replicas[i]);
    }
    enum outcome outcome = verdict_of(v->replicas, v->len, &agree);
    if (v->cli->settings.write != WRITE_TABLE) {
        write_json(v, outcome);
    } else {
        write_table(v);
        write_outcome(v, outcome, agree);
    }
    return outcome == OUTCOME_SAME ? EXIT_DONE : EXIT_REFUSED;
}

static void close_all(struct verify_run *v)
{
    for (size_t i = 0; i < v->len; i++) {
        if (v->nodes[i].client != NULL) {
            ask(&v->nodes[i], "close", 0);
        }
    }
    wait_all(v);
    for (size_t i = 0; i < v->len; i++) {
        clade_response_free(v->nodes[i].response);
        v->nodes[i].response = NULL;
        leave(&v->nodes[i], "");
    }
    uv_close((uv_handle_t *)&v->timer, NULL);
    (void)uv_run(&v->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&v->loop);
}

static int run_all(struct verify_run *v)
{
    const struct clade_value *members = clade_value_get(clade_response_data(v->first), "members");
    if (uv_loop_init(&v->loop) != 0) {
        return cli_no_memory(v->cli);
    }
    (void)uv_timer_init(&v->loop, &v->timer);
    v->timer.data = v;
    if (getrandom(&v->id, sizeof v->id, 0) != (ssize_t)sizeof v->id) {
        v->id = clock_wall_us(clock_system());
    }
    v->id |= 1; /* not 0 */
    for (size_t i = 0; i < clade_value_len(members); i++) {
        add_node(v, clade_value_at(members, i));
    }
    int code = EXIT_UNAVAILABLE;
    if (scan_all(v)) {
        code = report(v);
    } else {
        cli_say(v->cli, "the nodes were not found at one index: too much is written; try again");
    }
    close_all(v);
    return code;
}

int run_verify(struct cli *cli)
{
    int code = cli_open(cli);
    if (code != EXIT_DONE) {
        return code;
    }
    struct verify_run *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return cli_no_memory(cli);
    }
    v->cli = cli;
    v->first = clade_call_wait(cli->client, "status", NULL);
    code = clade_response_code(v->first) != 0 ? cli_fail(cli, NULL, v->first) : run_all(v);
    clade_response_free(v->first);
    free(v);
    return code;
}
