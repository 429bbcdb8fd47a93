/* link and unlink. */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/props.h"
#include "cli/run.h"
#include "cli/show.h"

#define LINES_PER_TXN 1000
#define LABEL_BYTES   32

struct links {
    struct cli *cli;
    struct clade_txn *txn;
    char texts[LINES_PER_TXN][LABEL_BYTES];
    const char *labels[LINES_PER_TXN]; /* "line 12", of each operation */
    size_t len;                        /* operations so far */
};

static void begin(struct links *l)
{
    clade_txn_clear(l->txn);
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
        code = cli_fail_op(l->cli, l->labels, l->len, response);
    } else {
        show_results(l->cli, response);
    }
    clade_response_free(response);
    begin(l);
    return code;
}

/* False after a usage error. */
static bool add(struct links *l, const char *from, const char *label, const char *to)
{
    struct cli *cli = l->cli;
    bool ok = true;
    l->labels[l->len++] = NULL;
    if (strcmp(cli->args.command->subject, "unlink") == 0) {
        (void)clade_txn_unlink(l->txn, from, label, to);
        return true;
    }
    (void)clade_txn_link(l->txn, from, label, to);
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
static bool split_three(char *line, char *parts[3])
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

static int add_line(struct links *l, size_t number, char *line)
{
    char *parts[3];
    if (!split_three(line, parts)) {
        return cli_usage(l->cli, "line %zu is not FROM<tab>LABEL<tab>TO", number);
    }
    char *label = l->texts[l->len];
    (void)snprintf(label, LABEL_BYTES, "line %zu", number);
    if (!add(l, parts[0], parts[1], parts[2])) {
        return EXIT_USAGE;
    }
    l->labels[l->len - 1] = label;
    return EXIT_DONE;
}

/* Lines of stdin, all in transactions of half the largest size. */
static int add_lines(struct links *l)
{
    struct cli_list lines;
    int code = cli_arguments(l->cli, 0, NULL, &lines);
    for (size_t i = 0; code == EXIT_DONE && i < lines.len; i++) {
        code = add_line(l, i + 1, (char *)lines.items[i]);
        if (code == EXIT_DONE && (i + 1 == lines.len || l->len == LINES_PER_TXN ||
                                  clade_txn_bytes(l->txn) > CLADE_MAX_COMMAND_BYTES / 2)) {
            code = send(l);
        }
    }
    cli_list_release(&lines);
    return code;
}

static int run_with(struct links *l)
{
    struct cli *cli = l->cli;
    const char **arguments = cli->args.arguments;
    l->txn = clade_txn_new();
    if (l->txn == NULL) {
        return cli_no_memory(cli);
    }
    begin(l);
    int code = cli_open(cli);
    if (code == EXIT_DONE && cli->args.arguments_len == 1) {
        code = add_lines(l);
    } else if (code == EXIT_DONE) {
        code = add(l, arguments[0], arguments[1], arguments[2]) ? send(l) : EXIT_USAGE;
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
    int code = run_with(l);
    free(l);
    return code;
}
