/* Members of the cluster: what is wanted is one request; the cluster gets there by itself. Waiting
 * is asking again for the same, which changes nothing and is answered when it is there. */
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/run.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/text.h"

#define WAIT_MS         600000u /* unless --timeout says otherwise: a copy of a store takes a while */
#define ASK_MS          30000u /* one request of the waiting */
#define ASK_TERMINAL_MS 2000u  /* the same where somebody wants to see it go on */
#define MESSAGE_BYTES   512

struct change {
    const char *action;
    uint64_t node;
    const char *address; /* add; else NULL */
    bool promote;
    uint64_t until_ms; /* for all that is asked together */
};

static uint64_t now_ms(void)
{
    return clock_monotonic_us(clock_system()) / 1000;
}

/* What is left of the time, at least 1, at most most_ms. */
static unsigned left_ms(const struct change *change, unsigned most_ms)
{
    uint64_t now = now_ms();
    uint64_t left = change->until_ms > now ? change->until_ms - now : 1;
    return left < most_ms ? (unsigned)left : most_ms;
}

/* --- asking --- */

static void put_str(struct clade_doc *doc, const char *key, const char *value)
{
    clade_doc_str(doc, key);
    clade_doc_str(doc, value);
}

static void put_bool(struct clade_doc *doc, const char *key, bool value)
{
    clade_doc_str(doc, key);
    clade_doc_bool(doc, value);
}

static struct clade_response *ask(struct cli *cli, const struct change *change, bool wait)
{
    struct clade_doc *doc = clade_doc_new();
    if (doc == NULL) {
        return NULL;
    }
    clade_doc_map(doc, change->address != NULL ? 5 : 3);
    put_str(doc, "action", change->action);
    clade_doc_str(doc, "node");
    clade_doc_uint(doc, change->node);
    put_bool(doc, "wait", wait);
    if (change->address != NULL) {
        put_str(doc, "address", change->address);
        put_bool(doc, "promote", change->promote);
    }
    struct clade_response *response = clade_call_wait(cli->client, "member", doc);
    clade_doc_free(doc);
    return response;
}

/* --- answers --- */

static struct span text_at(const struct clade_value *map, const char *key)
{
    size_t len = 0;
    const char *text = clade_value_strn(clade_value_get(map, key), &len);
    return span_make(text == NULL ? "" : text, text == NULL ? 0 : len);
}

static void show_member(struct cli *cli,
                        const struct change *change,
                        bool waited,
                        const struct clade_response *response)
{
    const struct clade_value *member = clade_response_data(response);
    unsigned long long node = change->node;
    struct span wanted = text_at(member, "wanted");
    if (cli->settings.write == WRITE_JSON) {
        show_json(cli, response);
    } else if (cli->settings.write == WRITE_NDJSON) {
        show_ndjson(cli, response);
    } else if (span_equal_str(wanted, "removed")) {
        (void)fprintf(cli->out, "node %llu %s\n", node,
                      waited ? "was removed" : "is to be removed");
    } else {
        (void)fprintf(cli->out, "node %llu %s a ", node, waited ? "is" : "is to be");
        table_print_clean(cli->out, wanted);
        (void)fputc('\n', cli->out);
    }
}

static int fail(struct cli *cli, const struct change *change, const struct clade_response *response)
{
    char what[64];
    (void)snprintf(what, sizeof what, "node %llu", (unsigned long long)change->node);
    return cli_fail(cli, what, response);
}

/* --- waiting --- */

static bool goes_on(int code)
{
    return code == CLADE_ERR_UNKNOWN || code == CLADE_ERR_UNAVAILABLE || code == CLADE_ERR_RETRY;
}

/* Where somebody looks on: how far it is, once each. */
static void show_progress(struct cli *cli,
                          const struct clade_response *response,
                          char shown[MESSAGE_BYTES])
{
    const char *message = clade_response_message(response);
    if (isatty(STDERR_FILENO) && clade_response_code(response) == CLADE_ERR_UNKNOWN &&
        strncmp(message, shown, MESSAGE_BYTES - 1) != 0) {
        (void)snprintf(shown, MESSAGE_BYTES, "%s", message);
        cli_say(cli, "%s", message);
    }
}

/* The answer of the last asking. NULL: there is none, and why was said. */
static struct clade_response *ask_again(struct cli *cli, const struct change *change)
{
    unsigned ask_ms = isatty(STDERR_FILENO) ? ASK_TERMINAL_MS : ASK_MS;
    unsigned open_ms = 0;
    char shown[MESSAGE_BYTES] = "";
    for (;;) {
        unsigned ms = left_ms(change, ask_ms);
        if (ms != open_ms && cli_open_for(cli, ms) != EXIT_DONE) {
            return NULL;
        }
        open_ms = ms;
        struct clade_response *response = ask(cli, change, true);
        /* An answer comes a little before its deadline. */
        bool late = now_ms() + ms / 10 >= change->until_ms;
        if (!goes_on(clade_response_code(response)) || late) {
            return response;
        }
        show_progress(cli, response, shown);
        clade_response_free(response);
    }
}

static int wait_for(struct cli *cli, const struct change *change)
{
    struct clade_response *response = ask_again(cli, change);
    int code = response == NULL ? EXIT_UNAVAILABLE : EXIT_DONE;
    if (response != NULL && clade_response_code(response) == 0) {
        show_member(cli, change, true, response);
    } else if (response != NULL) {
        code = fail(cli, change, response);
    }
    clade_response_free(response);
    return code;
}

/* --- what to run on the new machine --- */

static void append_members(struct buffer *b,
                           const struct clade_value *members,
                           const struct change *change)
{
    for (size_t i = 0; i < clade_value_len(members); i++) {
        const struct clade_value *m = clade_value_at(members, i);
        uint64_t id = clade_value_uint(clade_value_get(m, "id"));
        struct span address = text_at(m, "address");
        if (id != change->node && address.len > 0) {
            buffer_append_fmt(b, " \\\n      --member %llu=", (unsigned long long)id);
            table_append_clean(b, address);
        }
    }
    buffer_append_fmt(b, " \\\n      --member %llu=%s\n", (unsigned long long)change->node,
                      change->address);
}

static void show_instructions(struct cli *cli,
                              const struct change *change,
                              const struct clade_value *status)
{
    unsigned long long node = change->node;
    struct buffer b;
    buffer_init(&b, CLADE_MAX_FRAME_BYTES);
    buffer_append_fmt(&b,
                      "On the machine of node %llu, unless it was done before (choose the data "
                      "folder and the\naddress for clients):\n"
                      "  claded init --data n%llu --node %llu --join --cluster ",
                      node, node, node);
    table_append_clean(&b, text_at(status, "cluster"));
    append_members(&b, clade_value_get(status, "members"), change);
    buffer_append_fmt(&b, "  claded --data n%llu --listen HOST:PORT\n", node);
    (void)fwrite(b.data, 1, b.len, cli->out);
    (void)fflush(cli->out); /* whoever waits for the node has to know it before */
    buffer_release(&b);
}

/* Once the node is taken, so that what is shown of a refused one is the refusal alone. */
static int instruct(struct cli *cli, const struct change *change)
{
    if (change->address == NULL || cli->settings.write != WRITE_TABLE) {
        return EXIT_DONE;
    }
    int code = cli_open_for(cli, left_ms(change, ASK_MS));
    if (code != EXIT_DONE) {
        return code;
    }
    struct clade_response *response = clade_call_wait(cli->client, "status", NULL);
    if (clade_response_code(response) != 0) {
        code = cli_fail(cli, "the members of the cluster", response);
    } else {
        show_instructions(cli, change, clade_response_data(response));
    }
    clade_response_free(response);
    return code;
}

/* --- commands --- */

static bool parse_id(const char *text, size_t len, uint64_t *ret)
{
    char number[24];
    if (len >= sizeof number) {
        return false;
    }
    memcpy(number, text, len);
    number[len] = '\0';
    return text_parse_uint(number, ret) && *ret > 0;
}

static int parse_change(struct cli *cli, struct change *change)
{
    const char *text = cli->args.arguments[0];
    uint64_t wait_ms = cli->settings.timeout_ms != 0 ? cli->settings.timeout_ms : WAIT_MS;
    *change = (struct change){.action = cli->args.command->subject,
                              .promote = !args_has(&cli->args, FLAG_NO_PROMOTE),
                              .until_ms = now_ms() + wait_ms};
    if (strcmp(change->action, "add") != 0) {
        return parse_id(text, strlen(text), &change->node)
                   ? EXIT_DONE
                   : cli_usage(cli, "\"%s\" is not a node's number", text);
    }
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals[1] == '\0' ||
        !parse_id(text, (size_t)(equals - text), &change->node)) {
        return cli_usage(cli, "\"%s\" is not ID=HOST:PORT with an id above 0", text);
    }
    change->address = equals + 1;
    return EXIT_DONE;
}

/* The change was taken up: `response` says so. */
static int go_on(struct cli *cli,
                 const struct change *change,
                 const struct clade_response *response)
{
    int code = instruct(cli, change);
    if (code == EXIT_DONE && args_has(&cli->args, FLAG_NO_WAIT)) {
        show_member(cli, change, false, response);
    } else if (code == EXIT_DONE) {
        code = wait_for(cli, change);
    }
    /* What could not be asked may have come to be all the same. */
    return code == EXIT_UNAVAILABLE ? EXIT_UNKNOWN : code;
}

int run_member(struct cli *cli)
{
    struct change change;
    int code = cli_no_dry_run(cli);
    code = code != EXIT_DONE ? code : parse_change(cli, &change);
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    struct clade_response *response = ask(cli, &change, false);
    code = clade_response_code(response) != 0 ? fail(cli, &change, response)
                                              : go_on(cli, &change, response);
    clade_response_free(response);
    return code;
}

/* Shows `part` of a status answer; the table is the caller's. */
static void show_part(struct cli *cli,
                      const struct clade_response *response,
                      const struct clade_value *part)
{
    if (cli->settings.write == WRITE_JSON) {
        show_json_part(cli, response, part);
    } else {
        show_ndjson_part(cli, part);
    }
}

/* "67% of a copy", "at 1,200 of 5,000"; "-" where there is nothing to say. */
static void append_catching_up(struct buffer *b, const struct clade_value *v)
{
    uint64_t total = clade_value_uint(clade_value_get(v, "copy_bytes_total"));
    char at[TEXT_BYTES_MAX];
    char of[TEXT_BYTES_MAX];
    if (clade_value_type(v) != CLADE_MAP) {
        buffer_append_str(b, "-");
    } else if (total > 0) {
        uint64_t bytes = clade_value_uint(clade_value_get(v, "copy_bytes"));
        buffer_append_fmt(b, "%.0f%% of a copy", (double)bytes / (double)total * 100);
    } else {
        text_count(clade_value_uint(clade_value_get(v, "index")), at);
        text_count(clade_value_uint(clade_value_get(v, "of")), of);
        buffer_append_fmt(b, "at %s of %s", at, of);
    }
}

static void append_cell(struct buffer *b, const char *heading, const struct clade_value *member)
{
    const struct clade_value *v = clade_value_get(member, heading);
    char text[TEXT_BYTES_MAX];
    if (strcmp(heading, "catching_up") == 0) {
        append_catching_up(b, v);
    } else if (clade_value_type(v) == CLADE_BOOL) {
        buffer_append_str(b, clade_value_bool(v) ? "yes" : "no");
    } else if (strcmp(heading, "published") == 0) {
        text_count(clade_value_uint(v), text);
        buffer_append_str(b, text);
    } else if (clade_value_type(v) == CLADE_UINT) {
        buffer_append_fmt(b, "%llu", (unsigned long long)clade_value_uint(v));
    } else {
        table_append_clean(b, text_at(member, heading));
    }
}

static void show_members(struct cli *cli, const struct clade_value *members)
{
    static const struct table_column columns[] = {
        {"id", TABLE_RIGHT, false},       {"role", TABLE_LEFT, false},
        {"wanted", TABLE_LEFT, false},    {"leader", TABLE_LEFT, false},
        {"address", TABLE_LEFT, true},    {"client", TABLE_LEFT, true},
        {"connected", TABLE_LEFT, false}, {"published", TABLE_RIGHT, false},
        {"catching_up", TABLE_LEFT, true}};
    const size_t len = sizeof columns / sizeof columns[0];
    struct table t;
    struct buffer b;
    table_init(&t, columns, len);
    buffer_init(&b, CLADE_MAX_FRAME_BYTES);
    for (size_t i = 0; i < clade_value_len(members) * len; i++) {
        buffer_clear(&b);
        append_cell(&b, columns[i % len].heading, clade_value_at(members, i / len));
        (void)table_add(&t, buffer_span(&b));
    }
    table_flush(&t, cli->out, cli->terminal_columns, cli->color);
    buffer_release(&b);
    table_release(&t);
}

int run_member_list(struct cli *cli)
{
    int code = cli_open(cli);
    if (code != EXIT_DONE) {
        return code;
    }
    struct clade_response *response = clade_call_wait(cli->client, "status", NULL);
    const struct clade_value *members = clade_value_get(clade_response_data(response), "members");
    if (clade_response_code(response) != 0) {
        code = cli_fail(cli, NULL, response);
    } else if (cli->settings.write == WRITE_TABLE) {
        show_members(cli, members);
    } else {
        show_part(cli, response, members);
    }
    clade_response_free(response);
    return code;
}

static const struct clade_value *find_leader(const struct clade_value *status)
{
    const struct clade_value *members = clade_value_get(status, "members");
    for (size_t i = 0; i < clade_value_len(members); i++) {
        const struct clade_value *m = clade_value_at(members, i);
        if (clade_value_bool(clade_value_get(m, "leader"))) {
            return m;
        }
    }
    return NULL;
}

static int show_leader(struct cli *cli, const struct clade_response *response)
{
    const struct clade_value *status = clade_response_data(response);
    const struct clade_value *leader = find_leader(status);
    if (leader == NULL) {
        struct error e = {0};
        (void)error_set(&e, CLADE_ERR_UNAVAILABLE, NULL, "node %llu knows of no leader",
                        (unsigned long long)clade_response_node(response));
        return cli_fail_error(cli, NULL, &e);
    }
    if (cli->settings.write != WRITE_TABLE) {
        show_part(cli, response, leader);
        return EXIT_DONE;
    }
    (void)fprintf(cli->out, "node %llu leads in term %llu, clients ",
                  (unsigned long long)clade_value_uint(clade_value_get(leader, "id")),
                  (unsigned long long)clade_value_uint(clade_value_get(status, "term")));
    table_print_clean(cli->out, text_at(leader, "client"));
    (void)fputs(", peers ", cli->out);
    table_print_clean(cli->out, text_at(leader, "address"));
    (void)fputc('\n', cli->out);
    return EXIT_DONE;
}

int run_leader(struct cli *cli)
{
    int code = cli_open(cli);
    if (code != EXIT_DONE) {
        return code;
    }
    struct clade_response *response = clade_call_wait(cli->client, "status", NULL);
    code = clade_response_code(response) != 0 ? cli_fail(cli, NULL, response)
                                              : show_leader(cli, response);
    clade_response_free(response);
    return code;
}
