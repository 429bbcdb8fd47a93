/* search, count and explain. */
#include "cli/json.h"
#include "cli/listing.h"
#include "cli/run.h"
#include "cli/text.h"

#define LINE_BYTES_MAX (1u << 20)

static struct clade_response *fetch(struct cli *cli, const struct clade_read *read, void *arg)
{
    return clade_search_wait(cli->client, arg, read);
}

/* What is asked for, and how; then the connection. */
static int begin(struct cli *cli, struct clade_search *search, struct clade_read *read)
{
    const struct args *args = &cli->args;
    int code = cli_read(cli, read);
    *search = (struct clade_search){
        .kind = args->arguments[0],
        .query = args->arguments_len > 1 ? args->arguments[1] : NULL,
    };
    return code != EXIT_DONE ? code : cli_open(cli);
}

int run_search(struct cli *cli)
{
    struct clade_search search;
    struct clade_read read;
    int code = begin(cli, &search, &read);
    if (code != EXIT_DONE) {
        return code;
    }
    const struct listing_columns *columns = read.view == CLADE_VIEW_FULL
                                                ? listing_columns_things(search.kind)
                                                : listing_columns_heads();
    return listing_run(cli, columns, &read, fetch, &search);
}

/* --- count ------------------------------------------------------------------------------------ */

static uint64_t number(const struct clade_value *map, const char *key)
{
    return clade_value_uint(clade_value_get(map, key));
}

static void write_groups(struct cli *cli, const struct clade_value *groups)
{
    static const struct table_column heads[] = {{"COUNT", TABLE_RIGHT, false},
                                                {"VALUE", TABLE_LEFT, true}};
    struct table table;
    char text[32];
    table_init(&table, heads, sizeof heads / sizeof *heads);
    for (size_t i = 0; i < clade_value_len(groups); i++) {
        const struct clade_value *group = clade_value_at(groups, i);
        size_t len = 0;
        const char *value = clade_value_strn(clade_value_get(group, "value"), &len);
        int width = snprintf(text, sizeof text, "%llu", (unsigned long long)number(group, "count"));
        table_add(&table, span_make(text, (size_t)width));
        table_add(&table, value != NULL ? span_make(value, len) : span_of("(none)"));
    }
    table_flush(&table, cli->out, cli->terminal_columns, cli->color);
    table_release(&table);
}

/* The whole answer as one document. */
static void write_json(struct cli *cli, const struct clade_response *response)
{
    struct buffer b;
    buffer_init(&b, LINE_BYTES_MAX);
    json_append_value(&b, clade_response_data(response));
    (void)fprintf(cli->out, "{\"revision\":%llu,\"node\":%llu,\"data\":%.*s,\"complete\":%s}\n",
                  (unsigned long long)clade_response_revision(response),
                  (unsigned long long)clade_response_node(response), (int)b.len,
                  b.len > 0 ? (const char *)b.data : "",
                  clade_response_complete(response) ? "true" : "false");
    buffer_release(&b);
}

static void write_count(struct cli *cli, const struct clade_response *response)
{
    const struct clade_value *data = clade_response_data(response);
    const struct clade_value *groups = clade_value_get(data, "by");
    if (cli->settings.write != WRITE_TABLE) {
        write_json(cli, response);
    } else if (groups != NULL) {
        write_groups(cli, groups);
    } else {
        (void)fprintf(cli->out, "%llu\n", (unsigned long long)number(data, "count"));
    }
}

int run_count(struct cli *cli)
{
    struct clade_search search;
    struct clade_read read;
    int code = begin(cli, &search, &read);
    if (code != EXIT_DONE) {
        return code;
    }
    search.by = args_get(&cli->args, FLAG_BY);
    struct clade_response *response = clade_count_wait(cli->client, &search, &read);
    if (clade_response_code(response) != 0) {
        code = cli_fail(cli, NULL, response);
    } else {
        write_count(cli, response);
        if (!clade_response_complete(response)) {
            cli_say(cli, "the count is not complete: there are more");
            code = EXIT_REFUSED;
        }
    }
    clade_response_free(response);
    return code;
}

/* --- explain ---------------------------------------------------------------------------------- */

static bool is_text(const struct clade_value *map, const char *key, const char *text)
{
    size_t len = 0;
    const char *is = clade_value_strn(clade_value_get(map, key), &len);
    return is != NULL && span_equal_str(span_make(is, len), text);
}

static const char *use_text(const struct clade_value *source)
{
    static const char *const texts[][2] = {
        {"all", "every thing of the kind"}, {"value", "index, in the order of ids:"},
        {"set", "index, read into a set:"}, {"lineage", "edges, walked into a set:"},
        {"and", "what all of these have:"}, {"or", "what any of these has:"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (is_text(source, "use", texts[i][0])) {
            return texts[i][1];
        }
    }
    return "";
}

static void write_source(struct cli *cli, const struct clade_value *source, int depth)
{
    const struct clade_value *parts = clade_value_get(source, "parts");
    size_t len = 0;
    const char *of = clade_value_strn(clade_value_get(source, "of"), &len);
    (void)fprintf(cli->out, "%*s%s ", depth * 2, "", use_text(source));
    if (of != NULL && parts == NULL) {
        table_print_clean(cli->out, span_make(of, len));
        (void)fputs(" ", cli->out);
    }
    (void)fprintf(cli->out, "(%s%llu)\n",
                  clade_value_bool(clade_value_get(source, "exact")) ? "" : "at least ",
                  (unsigned long long)number(source, "estimate"));
    for (size_t i = 0; i < clade_value_len(parts); i++) {
        write_source(cli, clade_value_at(parts, i), depth + 1);
    }
}

static void write_plan(struct cli *cli, const struct clade_value *data)
{
    const char *text =
        is_text(data, "order", "index")  ? "the index of its key, until enough are found"
        : is_text(data, "order", "best") ? "all candidates are looked at, the first are kept"
                                         : "that of ids, until enough are found";
    (void)fputs("candidates:\n", cli->out);
    write_source(cli, clade_value_get(data, "plan"), 1);
    (void)fprintf(cli->out, "order: %s\n", text);
    (void)fprintf(
        cli->out, "read: %llu rows of indexes, %llu of %llu things; %llu matched\n",
        (unsigned long long)number(data, "rows"), (unsigned long long)number(data, "things"),
        (unsigned long long)number(data, "total"), (unsigned long long)number(data, "matched"));
}

int run_explain(struct cli *cli)
{
    struct clade_search search;
    struct clade_read read;
    uint64_t limit;
    int code = begin(cli, &search, &read);
    if (code != EXIT_DONE || !cli_uint(cli, FLAG_LIMIT, 0, &limit)) {
        return code != EXIT_DONE ? code : EXIT_USAGE;
    }
    read.limit = limit < CLADE_MAX_PAGE_ITEMS ? (uint32_t)limit : CLADE_MAX_PAGE_ITEMS;
    struct clade_response *response = clade_explain_wait(cli->client, &search, &read);
    if (clade_response_code(response) != 0) {
        code = cli_fail(cli, NULL, response);
    } else if (cli->settings.write == WRITE_TABLE) {
        write_plan(cli, clade_response_data(response));
    } else {
        write_json(cli, response);
    }
    clade_response_free(response);
    return code;
}
