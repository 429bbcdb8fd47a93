#include "cli/show_change.h"

#include "cli/json.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/text.h"

#define LINE_BYTES_MAX (4u << 20)
#define NAME_COLUMNS   16

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
            show_append_field(b, span_make(key, len), from);
            buffer_append_str(b, " -> ");
        }
        show_append_field(b, span_make(key, len), clade_value_get(change, "to"));
        write_line(cli, buffer_span(&name), buffer_span(b));
    }
    buffer_release(&name);
}

static void write_edges(struct cli *cli, const struct clade_value *edges, struct buffer *b)
{
    for (size_t i = 0; i < clade_value_len(edges); i++) {
        const struct clade_value *edge = clade_value_at(edges, i);
        buffer_clear(b);
        table_append_clean(b, show_text_of(edge, "label"));
        buffer_append_str(b, " ");
        table_append_clean(b, show_text_of(edge, "to"));
        write_line(cli, show_text_of(edge, "change"), buffer_span(b));
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
        show_append_field(b, side, clade_value_get(move, "from"));
        buffer_append_str(b, " -> ");
        show_append_field(b, side, clade_value_get(move, "to"));
        struct buffer name;
        buffer_init(&name, LINE_BYTES_MAX);
        buffer_append_str(&name, "@");
        table_append_clean(&name, show_text_of(move, "alias"));
        write_line(cli, buffer_span(&name), buffer_span(b));
        buffer_release(&name);
    }
}

void show_change_head(struct cli *cli, const struct clade_value *item)
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
        struct span text = show_text_of(item, heads[i]);
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
    buffer_release(&b);
}

void show_change_parts(struct cli *cli, const struct clade_value *item)
{
    struct buffer b;
    buffer_init(&b, LINE_BYTES_MAX);
    write_fields(cli, clade_value_get(item, "fields"), &b);
    write_edges(cli, clade_value_get(item, "edges"), &b);
    write_aliases(cli, clade_value_get(item, "aliases"), &b);
    buffer_release(&b);
}
