/* diff: what differs between two things, or in one since then. */
#include <string.h>

#include "cli/json.h"
#include "cli/run.h"
#include "cli/run_walk.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/text.h"

#define CELL_BYTES_MAX ((size_t)4 << 20)
#define DIFF_LIMIT     100

/* "0.5 at step 7, 12 points" */
static void append_series(struct buffer *b, const struct clade_value *side)
{
    const struct clade_value *last = clade_value_get(side, "last");
    char count[TEXT_BYTES_MAX];
    if (side == NULL) {
        buffer_append_str(b, "-");
        return;
    }
    json_append_value(b, clade_value_at(last, 2));
    uint64_t n = clade_value_uint(clade_value_get(side, "count"));
    text_count(n, count);
    buffer_append_fmt(b, " at step %lld, %s point%s",
                      (long long)clade_value_int(clade_value_at(last, 0)), count,
                      n == 1 ? "" : "s");
}

struct rows {
    struct table table;
    struct buffer cell;
    size_t len;
};

static void add_cell(struct rows *r)
{
    (void)table_add(&r->table, buffer_span(&r->cell));
    buffer_clear(&r->cell);
}

static void add_map(struct rows *r, const char *prefix, const struct clade_value *map)
{
    for (size_t i = 0; i < clade_value_len(map); i++) {
        size_t len = 0;
        const char *key = clade_value_strn(clade_value_key_at(map, i), &len);
        const struct clade_value *change = clade_value_at(map, i);
        buffer_append_str(&r->cell, prefix);
        table_append_clean(&r->cell, span_make(key, len));
        add_cell(r);
        show_append_field(&r->cell, span_make(key, len), clade_value_get(change, "from"));
        add_cell(r);
        show_append_field(&r->cell, span_make(key, len), clade_value_get(change, "to"));
        add_cell(r);
        r->len++;
    }
}

static void add_metrics(struct rows *r, const struct clade_value *metrics)
{
    for (size_t i = 0; i < clade_value_len(metrics); i++) {
        const struct clade_value *m = clade_value_at(metrics, i);
        struct span on = show_text_of(m, "on");
        buffer_append_str(&r->cell, "metrics.");
        table_append_clean(&r->cell, show_text_of(m, "key"));
        buffer_append_str(&r->cell, on.len > 0 ? " on " : "");
        table_append_clean(&r->cell, on);
        add_cell(r);
        append_series(&r->cell, clade_value_get(m, "from"));
        add_cell(r);
        append_series(&r->cell, clade_value_get(m, "to"));
        add_cell(r);
        r->len++;
    }
}

static void add_states(struct rows *r, const struct clade_value *from, const struct clade_value *to)
{
    struct span a = show_text_of(from, "state");
    struct span b = show_text_of(to, "state");
    if (!span_equal(a, b)) {
        (void)table_add(&r->table, span_of("state"));
        (void)table_add(&r->table, a);
        (void)table_add(&r->table, b);
        r->len++;
    }
}

static void write_only(struct cli *cli, const char *sign, const struct clade_value *things)
{
    for (size_t i = 0; i < clade_value_len(things); i++) {
        const struct clade_value *t = clade_value_at(things, i);
        bool deleted = span_equal_str(show_text_of(t, "state"), "deleted");
        (void)fprintf(cli->out, "%s ", sign);
        table_print_clean(cli->out, show_text_of(t, "ref"));
        (void)fputs(deleted ? " (deleted)\n" : "\n", cli->out);
    }
}

static void write_provenance(struct cli *cli, const struct clade_value *provenance)
{
    const struct clade_value *from = clade_value_get(provenance, "from");
    const struct clade_value *to = clade_value_get(provenance, "to");
    uint64_t n = clade_value_uint(clade_value_get(provenance, "both"));
    char both[TEXT_BYTES_MAX];
    text_count(n, both);
    if (n > 0) {
        (void)fprintf(cli->out, "both made from %s thing%s\n", both, n == 1 ? "" : "s");
    }
    if (clade_value_len(from) + clade_value_len(to) > 0) {
        (void)fputs("only one of them made from\n", cli->out);
    }
    write_only(cli, "-", from);
    write_only(cli, "+", to);
}

static void show_diff(struct cli *cli, const struct clade_value *data)
{
    static const struct table_column columns[] = {
        {"FIELD", TABLE_LEFT, false}, {"FROM", TABLE_LEFT, true}, {"TO", TABLE_LEFT, true}};
    struct rows r = {.len = 0};
    table_init(&r.table, columns, 3);
    buffer_init(&r.cell, CELL_BYTES_MAX);
    add_states(&r, clade_value_get(data, "from"), clade_value_get(data, "to"));
    add_map(&r, "", clade_value_get(data, "fields"));
    add_map(&r, "params.", clade_value_get(data, "params"));
    add_metrics(&r, clade_value_get(data, "metrics"));
    if (r.len > 0) {
        table_flush(&r.table, cli->out, cli->terminal_columns, cli->color);
    } else {
        (void)fputs("no field, param or metric differs\n", cli->out);
    }
    if (clade_value_get(data, "provenance") != NULL) {
        write_provenance(cli, clade_value_get(data, "provenance"));
    }
    buffer_release(&r.cell);
    table_release(&r.table);
}

static int compare(struct cli *cli, const struct clade_diff *diff, const struct clade_read *read)
{
    struct clade_response *response = clade_diff_wait(cli->client, diff, read);
    int code = EXIT_DONE;
    if (clade_response_code(response) != 0) {
        code = cli_fail(cli, NULL, response);
    } else if (cli->settings.write == WRITE_JSON) {
        show_json(cli, response);
    } else if (cli->settings.write == WRITE_NDJSON) {
        show_ndjson(cli, response);
    } else {
        show_diff(cli, clade_response_data(response));
    }
    if (code == EXIT_DONE && !clade_response_complete(response)) {
        bool walked = clade_value_get(clade_response_data(response), "provenance") != NULL;
        cli_say(cli, walked ? "they were made from more that differs: see --limit"
                            : "what they were made from was too much to be compared: see --depth");
        code = walked ? EXIT_DONE : EXIT_REFUSED;
    }
    clade_response_free(response);
    return code;
}

static int parse_from(struct cli *cli, size_t args, char ret[40])
{
    const char *text = args_get(&cli->args, FLAG_FROM_AS_OF);
    ret[0] = '\0';
    if (text == NULL && args == 1) {
        return cli_usage(cli, "one thing is compared with itself: say when, --from-as-of");
    }
    if (text != NULL && !settings_parse_as_of(text, ret)) {
        return cli_usage(cli, "--from-as-of: \"%s\" is not a revision, a time or a date", text);
    }
    return EXIT_DONE;
}

int run_diff(struct cli *cli)
{
    struct clade_read read;
    struct clade_diff diff = {.from = NULL};
    struct cli_list labels = {.items = NULL};
    struct cli_list refs = {.items = NULL};
    char from[40];
    uint64_t limit = DIFF_LIMIT;
    int code = cli_read(cli, &read);
    code = code != EXIT_DONE ? code : walk_depth(cli, &diff.depth);
    code = code != EXIT_DONE ? code : walk_names(cli, FLAG_LABELS, &labels, &diff.labels);
    if (code == EXIT_DONE && !cli_uint(cli, FLAG_DIFF_LIMIT, DIFF_LIMIT, &limit)) {
        code = EXIT_USAGE;
    }
    code = code != EXIT_DONE ? code : cli_arguments(cli, 0, NULL, &refs);
    code = code != EXIT_DONE ? code : parse_from(cli, refs.len, from);
    code = code != EXIT_DONE ? code : cli_open(cli);
    if (code == EXIT_DONE) {
        diff.from = refs.items[0];
        diff.to = refs.len > 1 ? refs.items[1] : NULL;
        diff.from_as_of = from[0] != '\0' ? from : NULL;
        read.view = CLADE_VIEW_HEADS;
        read.limit = limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
        code = compare(cli, &diff, &read);
    }
    cli_list_release(&labels);
    cli_list_release(&refs);
    return code;
}
