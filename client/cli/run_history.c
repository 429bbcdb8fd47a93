/* history: what each revision changed of a thing, as paragraphs. */
#include "cli/json.h"
#include "cli/listing.h"
#include "cli/run.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/text.h"

#define LINE_BYTES_MAX (4u << 20)
#define NAME_COLUMNS   16

static struct span text_of(const struct clade_value *map, const char *key)
{
    size_t len = 0;
    const char *text = clade_value_strn(clade_value_get(map, key), &len);
    return span_make(text == NULL ? "" : text, text == NULL ? 0 : len);
}

/* "a, b" */
static void append_texts(struct buffer *b, const struct clade_value *list)
{
    for (size_t i = 0; i < clade_value_len(list); i++) {
        size_t len = 0;
        const char *text = clade_value_strn(clade_value_at(list, i), &len);
        buffer_append_str(b, i > 0 ? ", " : "");
        table_append_clean(b, span_make(text, len));
    }
}

static void append_side(struct buffer *b, struct span field, const struct clade_value *v)
{
    char time[TEXT_BYTES_MAX];
    size_t len = 0;
    const char *text = clade_value_strn(v, &len);
    if (v == NULL) {
        buffer_append_str(b, "-");
    } else if (span_equal_str(field, "targets")) {
        show_append_targets(b, v);
    } else if (clade_value_type(clade_value_at(v, 0)) == CLADE_STRING) {
        append_texts(b, v);
    } else if (text != NULL) {
        table_append_clean(b, span_make(text, len));
    } else if (span_equal_str(field, "start") || span_equal_str(field, "end")) {
        text_local_time(clade_value_uint(v), time);
        buffer_append_str(b, time);
    } else {
        json_append_value(b, v);
    }
}

static void write_line(struct cli *cli, struct span name, struct span rest)
{
    unsigned used = table_width(name);
    (void)fprintf(cli->out, "    %.*s%*s", SPAN_FMT(name),
                  used < NAME_COLUMNS ? (int)(NAME_COLUMNS - used) : 1, "");
    (void)fwrite(rest.data, 1, rest.len, cli->out);
    (void)fputc('\n', cli->out);
}

static void write_fields(struct cli *cli, const struct clade_value *fields, struct buffer *b)
{
    struct buffer name;
    buffer_init(&name, LINE_BYTES_MAX);
    for (size_t i = 0; i < clade_value_len(fields); i++) {
        size_t len = 0;
        const char *key = clade_value_strn(clade_value_key_at(fields, i), &len);
        const struct clade_value *change = clade_value_at(fields, i);
        const struct clade_value *from = clade_value_get(change, "from");
        buffer_clear(&name);
        table_append_clean(&name, span_make(key, len));
        buffer_clear(b);
        if (from != NULL) {
            append_side(b, span_make(key, len), from);
            buffer_append_str(b, " -> ");
        }
        append_side(b, span_make(key, len), clade_value_get(change, "to"));
        write_line(cli, buffer_span(&name), buffer_span(b));
    }
    buffer_release(&name);
}

static void write_edges(struct cli *cli, const struct clade_value *edges, struct buffer *b)
{
    for (size_t i = 0; i < clade_value_len(edges); i++) {
        const struct clade_value *edge = clade_value_at(edges, i);
        buffer_clear(b);
        table_append_clean(b, text_of(edge, "label"));
        buffer_append_str(b, " ");
        table_append_clean(b, text_of(edge, "to"));
        write_line(cli, text_of(edge, "change"), buffer_span(b));
        write_fields(cli, clade_value_get(edge, "props"), b);
    }
}

/* "best  1 -> 2": the versions of a model that an alias pointed to. */
static void write_aliases(struct cli *cli, const struct clade_value *aliases, struct buffer *b)
{
    for (size_t i = 0; i < clade_value_len(aliases); i++) {
        const struct clade_value *move = clade_value_at(aliases, i);
        struct span side = span_of("version");
        buffer_clear(b);
        append_side(b, side, clade_value_get(move, "from"));
        buffer_append_str(b, " -> ");
        append_side(b, side, clade_value_get(move, "to"));
        struct buffer name;
        buffer_init(&name, LINE_BYTES_MAX);
        buffer_append_str(&name, "@");
        table_append_clean(&name, text_of(move, "alias"));
        write_line(cli, buffer_span(&name), buffer_span(b));
        buffer_release(&name);
    }
}

/* "revision 12  2026-03-01 12:00:00  ann  changed  because" and a line for each change. */
static void show_revision(struct cli *cli, const struct clade_value *item)
{
    static const char *const heads[] = {"principal", "on_behalf_of", "change", "reason"};
    char time[TEXT_BYTES_MAX];
    struct buffer b;
    buffer_init(&b, LINE_BYTES_MAX);
    text_local_time(clade_value_uint(clade_value_get(item, "time")), time);
    buffer_append_fmt(&b, "%srevision %llu%s  %s", cli->color ? "\x1b[33m" : "",
                      (unsigned long long)clade_value_uint(clade_value_get(item, "revision")),
                      cli->color ? "\x1b[0m" : "", time);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct span text = text_of(item, heads[i]);
        if (text.len > 0) {
            buffer_append_str(&b, i == 1 ? " for " : "  ");
            table_append_clean(&b, text);
        }
    }
    if (clade_value_get(item, "happened") != NULL) {
        text_local_time(clade_value_uint(clade_value_get(item, "happened")), time);
        buffer_append_fmt(&b, "  happened %s", time);
    }
    buffer_append_str(&b, "\n");
    (void)fwrite(b.data, 1, b.len, cli->out);
    write_fields(cli, clade_value_get(item, "fields"), &b);
    write_edges(cli, clade_value_get(item, "edges"), &b);
    write_aliases(cli, clade_value_get(item, "aliases"), &b);
    buffer_release(&b);
}

static struct clade_response *fetch(struct cli *cli, const struct clade_read *read, void *arg)
{
    const char *const *ref = arg;
    return clade_history_wait(cli->client, *ref, read);
}

int run_history(struct cli *cli)
{
    static const struct listing_columns paragraphs = {.show = show_revision};
    struct clade_read read;
    struct cli_list refs;
    int code = cli_read(cli, &read);
    if (code != EXIT_DONE) {
        return code;
    }
    read.view = CLADE_VIEW_HEADS;
    code = cli_arguments(cli, 0, cli->args.command->subject, &refs);
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    for (size_t i = 0; code == EXIT_DONE && i < refs.len; i++) {
        read.cursor = NULL;
        code = listing_run(cli, &paragraphs, &read, fetch, &refs.items[i]);
    }
    cli_list_release(&refs);
    return code;
}
