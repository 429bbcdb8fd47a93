/* The cluster's status: one node says who the others are, then each is asked for itself, all at
 * once. One that does not answer is a line like the others. */
#include <stdlib.h>

#include <uv.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/run.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/text.h"

#define ASK_MS        2000u /* unless --timeout says otherwise */
#define NODES_MAX     64
#define ANSWERS_BYTES (64u << 20)
#define DIGEST_BYTES  8 /* of a digest in a table */
#define ADDRESS_BYTES (CLADE_MAX_ADDRESS_BYTES + 1)
#define COLUMNS       (sizeof columns / sizeof columns[0])

struct asked {
    const struct clade_value *member; /* what the first node says of it */
    uint64_t id;
    char address[ADDRESS_BYTES];
    struct clade_client *client;
    struct clade_response *response;  /* NULL: it was not asked */
    const struct clade_value *status; /* NULL: it does not answer */
    const char *why;                  /* it does not */
};

struct status_run {
    struct cli *cli;
    uv_loop_t loop;
    struct clade_response *first;
    struct asked nodes[NODES_MAX];
    size_t len;
    size_t waiting;
    uint64_t commit; /* the highest that any knows */
};

static uint64_t number(const struct clade_value *map, const char *key)
{
    return clade_value_uint(clade_value_get(map, key));
}

static const struct clade_value *data_of(const struct status_run *s)
{
    return clade_response_data(s->first);
}

/* --- asking --- */

/* A node that does not answer is no reason to take another's word for it: a client goes on at any
 * member. */
static void take_answer(struct status_run *s,
                        struct asked *a,
                        const struct clade_response *response)
{
    const struct clade_value *data = clade_response_data(response);
    if (clade_response_code(response) != 0) {
        a->why = clade_response_message(response);
    } else if (number(data, "node") != a->id) {
        a->why = "it does not answer in time, or another node does at its address";
    } else {
        a->status = data;
        uint64_t commit = number(data, "commit");
        s->commit = commit > s->commit ? commit : s->commit;
    }
}

static void on_closed(struct clade_client *client, void *arg)
{
}

static void on_answer(struct clade_request *request, struct clade_response *response, void *arg)
{
    struct asked *a = arg;
    a->response = response;
    clade_client_close(a->client, on_closed, NULL);
    a->client = NULL;
}

static void ask(struct status_run *s, struct asked *a)
{
    struct clade_options options = cli_options(s->cli, ASK_MS);
    options.endpoints = a->address;
    if (a->id == number(data_of(s), "node")) {
        take_answer(s, a, s->first); /* it has said it already */
        return;
    }
    if (a->address[0] == '\0') {
        a->why = "its address for clients is not known yet";
        return;
    }
    if (clade_client_new(&s->loop, &options, &a->client) != 0) {
        a->client = NULL;
        a->why = "it cannot be asked at that address";
        return;
    }
    if (clade_call(a->client, "status", NULL, 0, on_answer, a) == NULL) {
        clade_client_close(a->client, on_closed, NULL);
        a->why = "out of memory";
    }
}

static void list_nodes(struct status_run *s)
{
    const struct clade_value *members = clade_value_get(data_of(s), "members");
    for (size_t i = 0; i < clade_value_len(members) && s->len < NODES_MAX; i++) {
        struct asked *a = &s->nodes[s->len++];
        a->member = clade_value_at(members, i);
        a->id = number(a->member, "id");
        struct span address = show_text_of(a->member, "client");
        if (address.len < sizeof a->address) {
            memcpy(a->address, address.data, address.len);
        }
    }
}

static bool ask_all(struct status_run *s)
{
    if (uv_loop_init(&s->loop) != 0) {
        return false;
    }
    list_nodes(s);
    for (size_t i = 0; i < s->len; i++) {
        ask(s, &s->nodes[i]);
    }
    (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&s->loop);
    for (size_t i = 0; i < s->len; i++) {
        if (s->nodes[i].response != NULL) {
            take_answer(s, &s->nodes[i], s->nodes[i].response);
        }
    }
    return true;
}

/* --- for programs --- */

static void append_node(struct buffer *b, const struct asked *a)
{
    (void)buffer_append_fmt(b, "{\"id\":%llu,\"client\":", (unsigned long long)a->id);
    json_append_text(b, span_of(a->address));
    (void)buffer_append_fmt(b, ",\"answers\":%s,", a->status != NULL ? "true" : "false");
    if (a->status != NULL) {
        (void)buffer_append_str(b, "\"status\":");
        json_append_value(b, a->status);
    } else {
        (void)buffer_append_str(b, "\"error\":");
        json_append_text(b, span_of(a->why));
    }
    (void)buffer_append_str(b, "}");
}

/* The first node's status, and "nodes": what each says itself. */
static void append_data(struct buffer *b, const struct status_run *s)
{
    const struct clade_value *data = data_of(s);
    (void)buffer_append_str(b, "{");
    for (size_t i = 0; i < clade_value_len(data); i++) {
        json_append_value(b, clade_value_key_at(data, i));
        (void)buffer_append_str(b, ":");
        json_append_value(b, clade_value_at(data, i));
        (void)buffer_append_str(b, ",");
    }
    (void)buffer_append_str(b, "\"nodes\":[");
    for (size_t i = 0; i < s->len; i++) {
        (void)buffer_append_str(b, i > 0 ? "," : "");
        append_node(b, &s->nodes[i]);
    }
    (void)buffer_append_str(b, "]}");
}

static int write_json(const struct status_run *s)
{
    struct cli *cli = s->cli;
    struct buffer b;
    buffer_init(&b, ANSWERS_BYTES);
    append_data(&b, s);
    if (b.failed) {
        buffer_release(&b);
        return cli_no_memory(cli);
    }
    if (cli->settings.write == WRITE_JSON) {
        show_json_text(cli, s->first, buffer_span(&b));
    } else {
        (void)fprintf(cli->out, "%.*s\n", SPAN_FMT(buffer_span(&b)));
    }
    buffer_release(&b);
    return EXIT_DONE;
}

/* --- for people --- */

static void append_role(struct buffer *b, const struct status_run *s, const struct asked *a)
{
    table_append_clean(b, show_text_of(a->member, "role"));
}

static void append_state(struct buffer *b, const struct status_run *s, const struct asked *a)
{
    if (a->status == NULL) {
        (void)buffer_append_str(b, "no answer");
        return;
    }
    struct span copying = show_text_of(clade_value_get(a->status, "catch_up"), "state");
    uint64_t leader = number(a->status, "leader");
    if (leader == 0) {
        (void)buffer_append_str(b, "no leader");
    } else if (leader == a->id) {
        (void)buffer_append_str(b, "leads");
    } else if (copying.len > 0 && !span_equal_str(copying, "idle")) {
        (void)buffer_append_str(b, "catches up");
    } else {
        (void)buffer_append_fmt(b, "follows %llu", (unsigned long long)leader);
    }
}

static void append_count(struct buffer *b, uint64_t n)
{
    char text[TEXT_BYTES_MAX];
    text_count(n, text);
    (void)buffer_append_str(b, text);
}

static void append_size(struct buffer *b, uint64_t bytes)
{
    char text[TEXT_BYTES_MAX];
    text_size(bytes, text);
    (void)buffer_append_str(b, text);
}

static void append_published(struct buffer *b, const struct status_run *s, const struct asked *a)
{
    append_count(b, number(a->status, "published"));
}

static void append_lag(struct buffer *b, const struct status_run *s, const struct asked *a)
{
    uint64_t published = number(a->status, "published");
    append_count(b, s->commit > published ? s->commit - published : 0);
}

static void append_digest(struct buffer *b, const struct status_run *s, const struct asked *a)
{
    struct span digest = show_text_of(clade_value_get(a->status, "digest"), "data");
    digest.len = digest.len < DIGEST_BYTES ? digest.len : DIGEST_BYTES;
    table_append_clean(b, digest);
}

static void append_store(struct buffer *b, const struct status_run *s, const struct asked *a)
{
    append_size(b, number(a->status, "store_bytes"));
}

static void append_free(struct buffer *b, const struct status_run *s, const struct asked *a)
{
    append_size(b, number(clade_value_get(a->status, "disk"), "free"));
}

/* As the first node sees it: its own clock is the measure. */
static void append_clock(struct buffer *b, const struct status_run *s, const struct asked *a)
{
    int64_t us = clade_value_int(clade_value_get(a->member, "clock_offset_us"));
    (void)buffer_append_fmt(b, "%+.1f ms", (double)us / 1000);
}

static void append_version(struct buffer *b, const struct status_run *s, const struct asked *a)
{
    table_append_clean(b, show_text_of(a->status, "version"));
}

static const struct {
    struct table_column column;
    bool by_itself; /* the node itself says it, so it is not known of one that does not answer */
    void (*append)(struct buffer *b, const struct status_run *s, const struct asked *a);
} columns[] = {
    {{"role", TABLE_LEFT, false}, false, append_role},
    {{"state", TABLE_LEFT, false}, false, append_state},
    {{"published", TABLE_RIGHT, false}, true, append_published},
    {{"lag", TABLE_RIGHT, false}, true, append_lag},
    {{"digest", TABLE_LEFT, false}, true, append_digest},
    {{"store", TABLE_RIGHT, false}, true, append_store},
    {{"disk free", TABLE_RIGHT, false}, true, append_free},
    {{"clock", TABLE_RIGHT, false}, true, append_clock},
    {{"version", TABLE_LEFT, false}, true, append_version},
};

static void add_row(struct table *t, const struct status_run *s, const struct asked *a)
{
    struct buffer b;
    buffer_init(&b, CLADE_MAX_FRAME_BYTES);
    (void)buffer_append_fmt(&b, "%llu", (unsigned long long)a->id);
    (void)table_add(t, buffer_span(&b));
    for (size_t i = 0; i < COLUMNS; i++) {
        buffer_clear(&b);
        if (a->status == NULL && columns[i].by_itself) {
            (void)buffer_append_str(&b, "-");
        } else {
            columns[i].append(&b, s, a);
        }
        (void)table_add(t, buffer_span(&b));
    }
    (void)table_add(t, span_of(a->address));
    buffer_release(&b);
}

static void write_nodes(const struct status_run *s)
{
    struct table_column all[COLUMNS + 2] = {{"node", TABLE_RIGHT, false}};
    struct table t;
    for (size_t i = 0; i < COLUMNS; i++) {
        all[i + 1] = columns[i].column;
    }
    all[COLUMNS + 1] = (struct table_column){"clients", TABLE_LEFT, true};
    table_init(&t, all, COLUMNS + 2);
    for (size_t i = 0; i < s->len; i++) {
        add_row(&t, s, &s->nodes[i]);
    }
    table_flush(&t, s->cli->out, s->cli->terminal_columns, s->cli->color);
    table_release(&t);
}

static size_t write_alarms_of(const struct status_run *s, const struct asked *a)
{
    FILE *out = s->cli->out;
    const struct clade_value *alarms = clade_value_get(a->status, "alarms");
    if (a->status == NULL) {
        (void)fprintf(out, "  node %llu: no answer: ", (unsigned long long)a->id);
        table_print_clean(out, span_of(a->why));
        (void)fputs(" (runbook: lost node)\n", out);
        return 1;
    }
    for (size_t i = 0; i < clade_value_len(alarms); i++) {
        size_t len = 0;
        const char *text = clade_value_strn(clade_value_at(alarms, i), &len);
        (void)fprintf(out, "  node %llu: ", (unsigned long long)a->id);
        table_print_clean(out, span_make(text == NULL ? "" : text, len));
        (void)fputc('\n', out);
    }
    return clade_value_len(alarms);
}

static int write_table(const struct status_run *s)
{
    FILE *out = s->cli->out;
    const struct clade_value *data = data_of(s);
    (void)fputs("cluster ", out);
    table_print_clean(out, show_text_of(data, "cluster"));
    (void)fprintf(out, ", term %llu, asked of node %llu\n\n",
                  (unsigned long long)number(data, "term"),
                  (unsigned long long)number(data, "node"));
    write_nodes(s);
    (void)fputs("\nalarms\n", out);
    size_t alarms = 0;
    for (size_t i = 0; i < s->len; i++) {
        alarms += write_alarms_of(s, &s->nodes[i]);
    }
    if (alarms == 0) {
        (void)fputs("  none\n", out);
    }
    return EXIT_DONE;
}

int run_status(struct cli *cli)
{
    int code = cli_open(cli);
    if (code != EXIT_DONE) {
        return code;
    }
    struct status_run *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return cli_no_memory(cli);
    }
    s->cli = cli;
    s->first = clade_call_wait(cli->client, "status", NULL);
    if (clade_response_code(s->first) != 0) {
        code = cli_fail(cli, NULL, s->first);
    } else if (!ask_all(s)) {
        code = cli_no_memory(cli);
    } else {
        code = cli->settings.write == WRITE_TABLE ? write_table(s) : write_json(s);
    }
    for (size_t i = 0; i < s->len; i++) {
        clade_response_free(s->nodes[i].response);
    }
    clade_response_free(s->first);
    free(s);
    return code;
}
