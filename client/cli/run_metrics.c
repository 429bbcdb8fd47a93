/* Params and metrics: run log, log, run finish, metrics. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/json.h"
#include "cli/run.h"
#include "cli/run_ops.h"
#include "cli/table.h"
#include "cli/text.h"

#define TEXT_MEMORY_BYTES (16u << 20)
#define POINTS_PER_PAGE   CLADE_MAX_PAGE_ITEMS

/* --- log ----------------------------------------------------------------------------------- */

/* "KEY=VALUE" with the key copied, at the first "="; NULL after saying what is wrong. */
static const char *split_key(struct cli *cli,
                             struct cli_list *memory,
                             const char *flag,
                             const char *text,
                             const char **ret_value)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        (void)cli_usage(cli, "--%s: \"%s\" is not KEY=VALUE", flag, text);
        return NULL;
    }
    *ret_value = equals + 1;
    return arena_copy_str(&memory->arena, span_make(text, (size_t)(equals - text)));
}

static bool parse_double(const char *text, double *ret)
{
    char *end;
    errno = 0;
    *ret = strtod(text, &end);
    return end != text && *end == '\0' && text[0] != ' ';
}

static bool parse_step(struct cli *cli, const char *flag, const char *text, int64_t *ret)
{
    char *end;
    errno = 0;
    long long step = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == ' ') {
        (void)cli_usage(cli, "--%s: \"%s\" is not a whole number", flag, text);
        return false;
    }
    *ret = step;
    return true;
}

static bool parse_time_ms(struct cli *cli, const char *flag, const char *text, uint64_t *ret)
{
    uint64_t us = clock_wall_us(clock_system());
    if (strcmp(text, "now") != 0 && !text_parse_time(text, &us)) {
        (void)cli_usage(cli,
                        "--%s: \"%s\" is not a time: 2026-03-01T12:00:00 (local, or with an "
                        "offset), a date, or now",
                        flag, text);
        return false;
    }
    *ret = us / 1000;
    return true;
}

static bool log_param(struct cli *cli,
                      struct clade_txn *txn,
                      struct cli_list *memory,
                      const char *text)
{
    const char *value;
    const char *key = split_key(cli, memory, "param", text, &value);
    if (key != NULL) {
        clade_txn_param(txn, key, value);
    }
    return key != NULL;
}

struct log_at {
    int64_t step;
    uint64_t time_ms;
    const char *on;
    const char *run;
};

static bool log_metric(struct cli *cli,
                       struct clade_txn *txn,
                       struct cli_list *memory,
                       const struct log_at *at,
                       const char *text)
{
    const char *value_text;
    double value;
    const char *key = split_key(cli, memory, "metric", text, &value_text);
    if (key == NULL) {
        return false;
    }
    if (!parse_double(value_text, &value)) {
        (void)cli_usage(cli, "--metric: \"%s\" is not a number, nan or inf", value_text);
        return false;
    }
    clade_txn_metric(txn, key, at->on, at->run);
    clade_txn_point(txn, at->step, at->time_ms, value);
    return true;
}

static bool log_begin(struct cli *cli, struct cli_list *memory, struct log_at *ret)
{
    const char *step = args_get(&cli->args, FLAG_STEP);
    const char *time = args_get(&cli->args, FLAG_TIME);
    const char *run = args_get(&cli->args, FLAG_LOGGED_BY);
    *ret = (struct log_at){.on = args_get(&cli->args, FLAG_ON)};
    if (run != NULL) {
        ret->run = cli_list_ref(memory, "run", run);
    }
    return (step == NULL || parse_step(cli, "step", step, &ret->step)) &&
           parse_time_ms(cli, "time", time == NULL ? "now" : time, &ret->time_ms);
}

static int add_log(struct cli *cli, struct clade_txn *txn, const char *ref)
{
    struct cli_list memory = {0};
    struct log_at at;
    bool any = false;
    arena_init(&memory.arena, TEXT_MEMORY_BYTES);
    (void)clade_txn_log(txn, ref);
    bool ok = log_begin(cli, &memory, &at);
    for (size_t i = 0; ok && i < cli->args.flags_len; i++) {
        const struct args_flag *given = &cli->args.flags[i];
        if (given->id == FLAG_PARAM) {
            ok = log_param(cli, txn, &memory, given->value);
        } else if (given->id == FLAG_METRIC) {
            ok = log_metric(cli, txn, &memory, &at, given->value);
        }
        any = any || given->id == FLAG_PARAM || given->id == FLAG_METRIC;
    }
    if (ok && !any) {
        ok = false;
        (void)cli_usage(cli, "nothing to log: --param KEY=VALUE or --metric KEY=VALUE is needed");
    }
    cli_list_release(&memory);
    return ok ? EXIT_DONE : EXIT_USAGE;
}

int run_log(struct cli *cli)
{
    return run_ops(cli, cli->args.command->subject, add_log);
}

static int add_finish(struct cli *cli, struct clade_txn *txn, const char *ref)
{
    (void)clade_txn_update(txn, ref);
    if (!args_has(&cli->args, FLAG_STATUS)) {
        clade_txn_set(txn, "status", "finished");
    }
    if (!args_has(&cli->args, FLAG_END)) {
        clade_txn_set_uint(txn, "end", clock_wall_us(clock_system()));
    }
    return run_ops_set_fields(cli, txn) ? EXIT_DONE : EXIT_USAGE;
}

int run_finish(struct cli *cli)
{
    return run_ops(cli, cli->args.command->subject, add_finish);
}

/* --- metrics ------------------------------------------------------------------------------- */

static const struct table_column point_heads[] = {
    {"KEY", TABLE_LEFT, true},   {"ON", TABLE_LEFT, true},      {"STEP", TABLE_RIGHT, false},
    {"TIME", TABLE_LEFT, false}, {"VALUE", TABLE_RIGHT, false},
};
static const struct table_column sum_heads[] = {
    {"KEY", TABLE_LEFT, true},    {"ON", TABLE_LEFT, true},      {"COUNT", TABLE_RIGHT, false},
    {"STEP", TABLE_RIGHT, false}, {"LAST", TABLE_RIGHT, false},  {"MIN", TABLE_RIGHT, false},
    {"MAX", TABLE_RIGHT, false},  {"FIRST", TABLE_RIGHT, false},
};

struct metrics {
    struct cli *cli;
    struct clade_metrics what;
    struct clade_read read;
    struct cli_list keys;
    int64_t from_step, to_step;
    uint64_t from_time_ms, to_time_ms;
    uint64_t limit; /* points, 0 = all */
    uint64_t seen;
    bool begun;
    uint64_t items;
    struct table table;
    struct buffer text;
};

static void add_text(struct metrics *m, const struct clade_value *v)
{
    size_t len = 0;
    const char *text = clade_value_strn(v, &len);
    (void)table_add(&m->table, span_make(text == NULL ? "" : text, text == NULL ? 0 : len));
}

/* A number in the fewest digits that mean it; integers without a fraction. */
static void add_number(struct metrics *m, const struct clade_value *v)
{
    char text[40] = "";
    double d = clade_value_double(v);
    if (clade_value_type(v) == CLADE_DOUBLE) {
        for (int digits = 6; digits <= 17; digits += digits == 6 ? 9 : 1) {
            (void)snprintf(text, sizeof text, "%.*g", digits, d);
            if (strtod(text, NULL) == d || d != d) {
                break;
            }
        }
    } else if (clade_value_type(v) == CLADE_INT) {
        (void)snprintf(text, sizeof text, "%lld", (long long)clade_value_int(v));
    } else if (clade_value_type(v) == CLADE_UINT) {
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)clade_value_uint(v));
    }
    (void)table_add(&m->table, span_of(text));
}

static void add_points(struct metrics *m, const struct clade_value *series)
{
    const struct clade_value *points = clade_value_get(series, "points");
    for (size_t i = 0; i < clade_value_len(points); i++) {
        const struct clade_value *p = clade_value_at(points, i);
        char time[TEXT_BYTES_MAX];
        text_local_time(clade_value_uint(clade_value_at(p, 1)) * 1000, time);
        add_text(m, clade_value_get(series, "key"));
        add_text(m, clade_value_get(series, "on"));
        add_number(m, clade_value_at(p, 0));
        (void)table_add(&m->table, span_of(time));
        add_number(m, clade_value_at(p, 2));
    }
}

static void add_sums(struct metrics *m, const struct clade_value *series)
{
    const struct clade_value *last = clade_value_get(series, "last");
    add_text(m, clade_value_get(series, "key"));
    add_text(m, clade_value_get(series, "on"));
    add_number(m, clade_value_get(series, "count"));
    add_number(m, clade_value_at(last, 0));
    add_number(m, clade_value_at(last, 2));
    add_number(m, clade_value_at(clade_value_get(series, "min"), 2));
    add_number(m, clade_value_at(clade_value_get(series, "max"), 2));
    add_number(m, clade_value_at(clade_value_get(series, "first"), 2));
}

/* What the store says of a reference that means nothing. */
static int say_error(struct metrics *m, const struct clade_value *item)
{
    const struct clade_value *e = clade_value_get(item, "error");
    size_t len = 0;
    const char *message = clade_value_strn(clade_value_get(e, "message"), &len);
    int code = (int)clade_value_int(clade_value_get(e, "number"));
    cli_say(m->cli, "%.*s (%s)", (int)len, message == NULL ? "" : message, clade_error_name(code));
    return cli_exit_code(code);
}

static void add_json(struct metrics *m, const struct clade_value *item)
{
    bool document = m->cli->settings.write == WRITE_JSON;
    buffer_clear(&m->text);
    buffer_append_str(&m->text, document && m->items > 0 ? "," : "");
    json_append_value(&m->text, item);
    buffer_append_str(&m->text, document ? "" : "\n");
    (void)fwrite(m->text.data, 1, m->text.len, m->cli->out);
}

static int add_page(struct metrics *m, const struct clade_response *response)
{
    const struct clade_value *data = clade_response_data(response);
    int code = EXIT_DONE;
    if (!m->begun && m->cli->settings.write == WRITE_JSON) {
        (void)fprintf(m->cli->out, "{\"revision\":%llu,\"node\":%llu,\"data\":[",
                      (unsigned long long)clade_response_revision(response),
                      (unsigned long long)clade_response_node(response));
    }
    m->begun = true;
    for (size_t i = 0; i < clade_value_len(data); i++, m->items++) {
        const struct clade_value *item = clade_value_at(data, i);
        m->seen += clade_value_len(clade_value_get(item, "points"));
        if (clade_value_get(item, "error") != NULL) {
            code = say_error(m, item);
        }
        if (m->cli->settings.write != WRITE_TABLE) {
            add_json(m, item);
        } else if (clade_value_get(item, "error") == NULL) {
            (m->what.last ? add_sums : add_points)(m, item);
        }
    }
    if (m->cli->settings.write == WRITE_TABLE) {
        table_flush(&m->table, m->cli->out, m->cli->terminal_columns, m->cli->color);
    }
    return code;
}

static int read_pages(struct metrics *m)
{
    char *cursor = NULL;
    int code = EXIT_DONE;
    bool complete = false;
    for (bool more = true; more && code == EXIT_DONE;) {
        uint64_t left = m->limit == 0 ? POINTS_PER_PAGE : m->limit - m->seen;
        m->read.limit = (uint32_t)(left < POINTS_PER_PAGE ? left : POINTS_PER_PAGE);
        m->read.cursor = cursor;
        struct clade_response *response = clade_metrics_wait(m->cli->client, &m->what, &m->read);
        code = clade_response_code(response) != 0 ? cli_fail(m->cli, NULL, response)
                                                  : add_page(m, response);
        free(cursor);
        const char *next = clade_response_cursor(response);
        cursor = next == NULL ? NULL : strdup(next);
        complete = clade_response_complete(response);
        more = cursor != NULL && (m->limit == 0 || m->seen < m->limit) && cli_output_works(m->cli);
        clade_response_free(response);
    }
    free(cursor);
    if (m->begun && m->cli->settings.write == WRITE_JSON) {
        (void)fprintf(m->cli->out, "],\"complete\":%s}\n", complete ? "true" : "false");
    }
    if (code == EXIT_DONE && !complete && m->limit == 0) {
        cli_say(m->cli, "the answer is not complete: the store stopped at a limit of its own");
        code = EXIT_REFUSED;
    }
    return code;
}

static bool take_bounds(struct metrics *m)
{
    struct cli *cli = m->cli;
    const char *from_step = args_get(&cli->args, FLAG_FROM_STEP);
    const char *to_step = args_get(&cli->args, FLAG_TO_STEP);
    const char *from = args_get(&cli->args, FLAG_FROM);
    const char *to = args_get(&cli->args, FLAG_TO);
    m->what.from_step = from_step == NULL ? NULL : &m->from_step;
    m->what.to_step = to_step == NULL ? NULL : &m->to_step;
    m->what.from_time_ms = from == NULL ? NULL : &m->from_time_ms;
    m->what.to_time_ms = to == NULL ? NULL : &m->to_time_ms;
    return (from_step == NULL || parse_step(cli, "from-step", from_step, &m->from_step)) &&
           (to_step == NULL || parse_step(cli, "to-step", to_step, &m->to_step)) &&
           (from == NULL || parse_time_ms(cli, "from", from, &m->from_time_ms)) &&
           (to == NULL || parse_time_ms(cli, "to", to, &m->to_time_ms));
}

static int metrics_init(struct metrics *m, struct cli *cli)
{
    uint64_t sample;
    int code = cli_read(cli, &m->read);
    m->read.view = CLADE_VIEW_HEADS;
    if (code != EXIT_DONE || !take_bounds(m) || !cli_uint(cli, FLAG_SAMPLE, 0, &sample) ||
        !cli_uint(cli, FLAG_LIMIT, 0, &m->limit)) {
        return EXIT_USAGE;
    }
    if (args_has(&cli->args, FLAG_SAMPLE) && (sample < 4 || sample > CLADE_MAX_PAGE_ITEMS)) {
        return cli_usage(cli, "--sample is from 4 to %d points", CLADE_MAX_PAGE_ITEMS);
    }
    m->what.refs = (const char *const *)cli->args.arguments;
    m->what.refs_len = 1;
    m->what.on = args_get(&cli->args, FLAG_ON);
    m->what.last = args_has(&cli->args, FLAG_LAST);
    m->what.sample = (uint32_t)sample;
    code = cli_arguments(cli, 1, NULL, &m->keys);
    m->what.keys = m->keys.len == 0 ? NULL : m->keys.items;
    return code;
}

int run_metrics(struct cli *cli)
{
    struct metrics m = {.cli = cli};
    int code = metrics_init(&m, cli);
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    if (code == EXIT_DONE) {
        buffer_init(&m.text, CLADE_MAX_ANSWER_BYTES * 4u);
        if (m.what.last) {
            table_init(&m.table, sum_heads, sizeof sum_heads / sizeof *sum_heads);
        } else {
            table_init(&m.table, point_heads, sizeof point_heads / sizeof *point_heads);
        }
        code = read_pages(&m);
        table_release(&m.table);
        buffer_release(&m.text);
    }
    cli_list_release(&m.keys);
    return code;
}
