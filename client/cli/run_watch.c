/* watch and audit: transactions as they come, and those that were. */
#include <signal.h>
#include <string.h>

#include "base/time_text.h"
#include "cli/json.h"
#include "cli/listing.h"
#include "cli/run.h"
#include "cli/show_change.h"
#include "cli/table.h"
#include "cli/text.h"

#define LINE_BYTES_MAX (64u << 20)
#define LOOK_MS        200 /* how soon Ctrl-C is seen */

/* What both tell of. */
struct what {
    struct cli_list kinds;
    const char *ns;
    const char *prefix;
    const char *query;
};

static int what_init(struct cli *cli, struct what *w)
{
    const char *kinds = args_get(&cli->args, FLAG_KINDS);
    *w = (struct what){.ns = cli->settings.ns,
                       .prefix = args_get(&cli->args, FLAG_PREFIX),
                       .query = args_get(&cli->args, FLAG_QUERY)};
    return kinds == NULL || cli_split(kinds, &w->kinds) ? EXIT_DONE : cli_no_memory(cli);
}

/* --- showing -------------------------------------------------------------------------------- */

static void write_text(struct cli *cli, const struct clade_value *map, const char *key)
{
    struct buffer b;
    size_t len = 0;
    const char *text = clade_value_strn(clade_value_get(map, key), &len);
    buffer_init(&b, LINE_BYTES_MAX);
    table_append_clean(&b, span_make(text == NULL ? "" : text, text == NULL ? 0 : len));
    (void)fwrite(b.data, 1, b.len, cli->out);
    buffer_release(&b);
}

static void show_event(struct cli *cli, const struct clade_value *event)
{
    const struct clade_value *things = clade_value_get(event, "things");
    const struct clade_value *left_out = clade_value_get(event, "left_out");
    show_change_head(cli, event);
    for (size_t i = 0; i < clade_value_len(things); i++) {
        const struct clade_value *thing = clade_value_at(things, i);
        (void)fputs("  ", cli->out);
        write_text(cli, thing, "ref");
        if (clade_value_get(thing, "change") != NULL) {
            (void)fputs("  ", cli->out);
            write_text(cli, thing, "change");
        }
        (void)fputs(clade_value_get(thing, "cut") != NULL ? "  (too long to be told)\n" : "\n",
                    cli->out);
        show_change_parts(cli, thing);
    }
    if (left_out != NULL) {
        (void)fprintf(cli->out, "  and %llu more things\n",
                      (unsigned long long)clade_value_uint(left_out));
    }
}

static void write_json_line(struct cli *cli, const struct clade_value *event)
{
    struct buffer b;
    buffer_init(&b, LINE_BYTES_MAX);
    json_append_value(&b, event);
    buffer_append_u8(&b, '\n');
    (void)fwrite(b.data, 1, b.len, cli->out);
    buffer_release(&b);
}

/* --- watch ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static void write_event(struct cli *cli, const struct clade_value *event)
{
    if (cli->settings.write == WRITE_TABLE) {
        show_event(cli, event);
    } else {
        write_json_line(cli, event);
    }
    (void)fflush(cli->out);
}

static int follow(struct cli *cli, struct clade_watch *watch, uint64_t count)
{
    uint64_t seen = 0;
    catch_signals();
    while (!interrupted && cli_output_works(cli) && (count == 0 || seen < count)) {
        const struct clade_value *event = clade_watch_wait(watch, LOOK_MS);
        if (event != NULL) {
            write_event(cli, event);
            seen++;
        } else if (clade_watch_ended(watch) != NULL) {
            return cli_fail(cli, NULL, clade_watch_ended(watch));
        }
    }
    return cli_output_works(cli) ? EXIT_DONE : EXIT_REFUSED;
}

int run_watch(struct cli *cli)
{
    struct what what;
    uint64_t count;
    uint64_t from;
    if (!cli_uint(cli, FLAG_EVENTS, 0, &count) || !cli_uint(cli, FLAG_FROM_REVISION, 0, &from)) {
        return EXIT_USAGE;
    }
    int code = what_init(cli, &what);
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    if (code == EXIT_DONE) {
        const struct clade_watch_options options = {.from = from,
                                                    .ns = what.ns,
                                                    .kinds = what.kinds.items,
                                                    .prefix = what.prefix,
                                                    .query = what.query};
        struct clade_watch *watch = clade_watch_open(cli->client, &options);
        code = watch == NULL ? cli_no_memory(cli) : follow(cli, watch, count);
        if (watch != NULL && clade_watch_revision(watch) != 0) {
            cli_say(cli, "go on with --from %llu", (unsigned long long)clade_watch_revision(watch));
        }
        clade_watch_close(watch);
    }
    cli_list_release(&what.kinds);
    return code;
}

/* --- audit ---------------------------------------------------------------------------------- */

struct audit {
    struct cli *cli;
    struct clade_audit what;
    uint64_t read;
};

static struct clade_response *fetch(struct cli *cli, const struct clade_read *read, void *arg)
{
    struct audit *a = arg;
    struct clade_response *response = clade_audit_wait(cli->client, &a->what, read);
    a->read += clade_response_read(response);
    return response;
}

static void csv_text(struct cli *cli, const char *text, size_t len)
{
    (void)fputc('"', cli->out);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"') {
            (void)fputc('"', cli->out);
        }
        (void)fputc(text[i], cli->out);
    }
    (void)fputc('"', cli->out);
}

static void csv_member(struct cli *cli, const struct clade_value *map, const char *key)
{
    size_t len = 0;
    const char *text = clade_value_strn(clade_value_get(map, key), &len);
    (void)fputc(',', cli->out);
    if (text != NULL) {
        csv_text(cli, text, len);
    }
}

/* "description;tags.k": what changed of the thing, in one cell. */
static void csv_parts(struct cli *cli, const struct clade_value *thing)
{
    const struct clade_value *fields = clade_value_get(thing, "fields");
    struct buffer b;
    buffer_init(&b, LINE_BYTES_MAX);
    for (size_t i = 0; i < clade_value_len(fields); i++) {
        size_t len = 0;
        const char *key = clade_value_strn(clade_value_key_at(fields, i), &len);
        buffer_append_str(&b, b.len > 0 ? ";" : "");
        buffer_append(&b, key, len);
    }
    static const char *const more[] = {"edges", "aliases"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        if (clade_value_get(thing, more[i]) != NULL) {
            buffer_append_str(&b, b.len > 0 ? ";" : "");
            buffer_append_str(&b, more[i]);
        }
    }
    (void)fputc(',', cli->out);
    csv_text(cli, (const char *)b.data, b.len);
    buffer_release(&b);
}

/* A row for each thing of each transaction. */
static void show_csv(struct cli *cli, const struct clade_value *event)
{
    const struct clade_value *things = clade_value_get(event, "things");
    char time[TIME_TEXT_BYTES];
    time_format(clade_value_uint(clade_value_get(event, "time")), time);
    for (size_t i = 0; i < clade_value_len(things); i++) {
        const struct clade_value *thing = clade_value_at(things, i);
        (void)fprintf(cli->out, "%llu,%s",
                      (unsigned long long)clade_value_uint(clade_value_get(event, "revision")),
                      time);
        csv_member(cli, event, "principal");
        csv_member(cli, event, "on_behalf_of");
        csv_member(cli, event, "reason");
        csv_member(cli, thing, "ref");
        csv_member(cli, thing, "change");
        csv_parts(cli, thing);
        (void)fputs("\r\n", cli->out);
    }
}

/* The beginning of a day, where --from is a date; else as text_parse_time. */
static int parse_time(struct cli *cli, enum flag_id flag, char text[TIME_TEXT_BYTES])
{
    const char *given = args_get(&cli->args, flag);
    char begin[sizeof "2026-03-01T00:00"];
    uint64_t us;
    text[0] = '\0';
    if (given == NULL) {
        return EXIT_DONE;
    }
    const char *meant = given;
    if (flag == FLAG_SINCE && strlen(given) == sizeof "2026-03-01" - 1) {
        (void)snprintf(begin, sizeof begin, "%sT00:00", given);
        meant = begin;
    }
    if (!text_parse_time(meant, &us)) {
        return cli_usage(cli, "--%s: \"%s\" is no time: RFC 3339, local time, or a date",
                         flag_by_id(flag)->name, given);
    }
    time_format(us, text);
    return EXIT_DONE;
}

static int audit_run(struct audit *a)
{
    static const struct listing_columns paragraphs = {.show = show_event};
    static const struct listing_columns rows = {.show = show_csv, .dense = true};
    struct cli *cli = a->cli;
    struct clade_read read;
    bool csv = args_has(&cli->args, FLAG_CSV);
    int code = cli_read(cli, &read);
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    read.view = CLADE_VIEW_HEADS;
    if (csv) {
        cli->settings.write = WRITE_TABLE;
        (void)fputs("revision,time,principal,on_behalf_of,reason,ref,change,what\r\n", cli->out);
    }
    code = listing_run(cli, csv ? &rows : &paragraphs, &read, fetch, a);
    if (code == EXIT_DONE && cli->messages_color) {
        cli_say(cli, "looked at %llu transactions", (unsigned long long)a->read);
    }
    return code;
}

int run_audit(struct cli *cli)
{
    char from[TIME_TEXT_BYTES];
    char to[TIME_TEXT_BYTES];
    struct what what;
    struct cli_list refs;
    int code = cli_arguments(cli, 0, NULL, &refs);
    code = code != EXIT_DONE ? code : parse_time(cli, FLAG_SINCE, from);
    code = code != EXIT_DONE ? code : parse_time(cli, FLAG_UNTIL, to);
    if (code != EXIT_DONE) {
        cli_list_release(&refs);
        return code;
    }
    code = what_init(cli, &what);
    struct audit a = {.cli = cli,
                      .what = {.by = args_get(&cli->args, FLAG_BY),
                               .ref = refs.len > 0 ? refs.items[0] : NULL,
                               .ns = what.ns,
                               .kinds = what.kinds.items,
                               .prefix = what.prefix,
                               .query = what.query,
                               .from_time = from[0] == '\0' ? NULL : from,
                               .to_time = to[0] == '\0' ? NULL : to}};
    if (code == EXIT_DONE) {
        code = audit_run(&a);
    }
    cli_list_release(&refs);
    cli_list_release(&what.kinds);
    return code;
}
