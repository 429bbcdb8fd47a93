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
#include "cli/run.h"
#include "cli/show.h"
#include "cli/text.h"
#include "cli/verify.h"

#define ASK_MS     10000u /* unless --timeout says otherwise */
#define PAUSE_MS   200u
#define STILL_US   (UINT64_C(2) * 1000000) /* no node goes on: another index is taken */
#define BEHIND_US  (UINT64_C(20) * 1000000)
#define AHEAD      4u /* entries of the log, at first */
#define BEGINNINGS 10 /* each four times as far ahead */

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
    int code = clade_response_code(n->response);
    if (code != 0) {
        n->is_away = code == CLADE_ERR_UNAVAILABLE;
        leave(n, clade_response_message(n->response));
        return;
    }
    if (clade_response_node(n->response) != n->id) {
        n->is_away = true;
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
    bool asked[VERIFY_NODES_MAX] = {false};
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
    if (v->len == VERIFY_NODES_MAX ||
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

/* What was acknowledged before is in what is compared: the node that answers a linearizable read
 * has published all of it, and the foremost index is no lower. Without a leader nothing is being
 * acknowledged, and the nodes are compared where they stand. */
static void wait_for_acknowledged(struct verify_run *v)
{
    clade_response_free(clade_call_wait(v->cli->client, "describe", NULL));
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

/* --- all of it --- */

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
    wait_for_acknowledged(v);
    if (scan_all(v)) {
        code = verify_report(v);
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
