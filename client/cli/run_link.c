/* link and unlink. */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/props.h"
#include "cli/run.h"
#include "cli/show.h"

struct links {
    struct cli *cli;
    struct clade_txn *txn;
    struct arena memory; /* of the texts below */
    /* of each operation, for a person */
    const char
        *lines[CLI_LINES_PER_TXN]; /* "line 12": where one that failed stands; NULL = it is alone */
    const char *edges[CLI_LINES_PER_TXN]; /* "a derived_from b": what was done */
    size_t len;                           /* operations so far */
};

static void begin(struct links *l)
{
    clade_txn_clear(l->txn);
    arena_reset(&l->memory);
    l->len = 0;
    if (l->cli->settings.reason != NULL) {
        clade_txn_reason(l->txn, l->cli->settings.reason);
    }
}

static int send(struct links *l)
{
    struct clade_response *response = clade_txn_wait(l->cli->client, l->txn);
    int code = EXIT_DONE;
    if (clade_response_code(response) != 0) {
        code = cli_fail_op(l->cli, l->lines, l->len, response);
    } else {
        show_results_of(l->cli, l->edges, l->len, response);
    }
    clade_response_free(response);
    begin(l);
    return code;
}

static const char *keep(struct links *l, const struct buffer *b)
{
    return b->failed ? NULL : arena_copy_str(&l->memory, buffer_span(b));
}

/* False after a usage error. `line` 0 = it is none of many. */
static bool add(struct links *l, size_t line, const char *parts[3])
{
    struct cli *cli = l->cli;
    struct buffer b;
    bool ok = true;
    buffer_init(&b, CLADE_MAX_COMMAND_BYTES);
    buffer_append_fmt(&b, "%s %s %s", parts[0], parts[1], parts[2]);
    l->edges[l->len] = keep(l, &b);
    buffer_clear(&b);
    buffer_append_fmt(&b, "line %zu", line);
    l->lines[l->len++] = line == 0 ? NULL : keep(l, &b);
    buffer_release(&b);
    if (strcmp(cli->args.command->subject, "unlink") == 0) {
        (void)clade_txn_unlink(l->txn, parts[0], parts[1], parts[2]);
        return true;
    }
    (void)clade_txn_link(l->txn, parts[0], parts[1], parts[2]);
    for (size_t i = 0; ok && i < cli->args.flags_len; i++) {
        const struct args_flag *given = &cli->args.flags[i];
        if (given->id == FLAG_PROP) {
            ok = props_add(cli, l->txn, given->value);
        } else if (given->id == FLAG_UNPROP) {
            clade_txn_prop(l->txn, given->value, NULL);
        }
    }
    return ok;
}

/* "FROM<tab>LABEL<tab>TO" is cut up in place. */
static bool split_three(char *line, const char *parts[3])
{
    for (size_t i = 0; i < 3; i++) {
        parts[i] = line;
        char *tab = strchr(line, '\t');
        if ((tab == NULL) != (i == 2)) {
            return false;
        }
        if (tab != NULL) {
            *tab = '\0';
            line = tab + 1;
        }
    }
    return true;
}

/* Lines of stdin, all in transactions of half the largest size. */
static int add_lines(struct links *l)
{
    struct cli_list lines;
    int code = cli_arguments(l->cli, 0, NULL, &lines);
    for (size_t i = 0; code == EXIT_DONE && i < lines.len; i++) {
        const char *parts[3];
        if (!split_three((char *)lines.items[i], parts)) {
            code = cli_usage(l->cli, "line %zu is not FROM<tab>LABEL<tab>TO", i + 1);
        } else if (!add(l, i + 1, parts)) {
            code = EXIT_USAGE;
        } else if (i + 1 == lines.len || l->len == CLI_LINES_PER_TXN ||
                   clade_txn_bytes(l->txn) > CLADE_MAX_COMMAND_BYTES / 2) {
            code = send(l);
        }
    }
    cli_list_release(&lines);
    return code;
}

static int run_with(struct links *l)
{
    struct cli *cli = l->cli;
    l->txn = clade_txn_new();
    if (l->txn == NULL) {
        return cli_no_memory(cli);
    }
    begin(l);
    int code = cli_open(cli);
    if (code == EXIT_DONE && cli->args.arguments_len == 1) {
        code = add_lines(l);
    } else if (code == EXIT_DONE) {
        code = add(l, 0, cli->args.arguments) ? send(l) : EXIT_USAGE;
    }
    clade_txn_free(l->txn);
    return code;
}

int run_link(struct cli *cli)
{
    bool lines = cli->args.arguments_len == 1 && strcmp(cli->args.arguments[0], "-") == 0;
    if (!lines && cli->args.arguments_len != 3) {
        return cli_usage(cli, "usage: clade %s %s", cli->args.command->name,
                         cli->args.command->arguments);
    }
    struct links *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return cli_no_memory(cli);
    }
    l->cli = cli;
    arena_init(&l->memory, 2 * CLADE_MAX_COMMAND_BYTES);
    int code = run_with(l);
    arena_release(&l->memory);
    free(l);
    return code;
}
