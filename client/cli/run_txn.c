#include "cli/cli.h"
#include "cli/json.h"
#include "cli/props.h"
#include "cli/run.h"
#include "cli/show.h"
#include "cli/txn_json.h"

static int send_txn(struct cli *cli, const struct clade_txn *txn)
{
    struct clade_response *response = clade_txn_wait(cli->client, txn);
    int code = EXIT_DONE;
    if (clade_response_code(response) != 0) {
        code = cli_fail(cli, NULL, response);
    } else {
        show_results(cli, response);
    }
    clade_response_free(response);
    return code;
}

/* False after a usage error. */
static bool add_link(
    struct cli *cli, struct clade_txn *txn, const char *from, const char *label, const char *to)
{
    bool ok = true;
    if (strcmp(cli->args.command->subject, "unlink") == 0) {
        (void)clade_txn_unlink(txn, from, label, to);
        return true;
    }
    (void)clade_txn_link(txn, from, label, to);
    for (size_t i = 0; ok && i < cli->args.flags_len; i++) {
        const struct args_flag *given = &cli->args.flags[i];
        if (given->id == FLAG_PROP) {
            ok = props_add(cli, txn, given->value);
        } else if (given->id == FLAG_UNPROP) {
            clade_txn_prop(txn, given->value, NULL);
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

/* Lines of stdin, all in transactions of half the largest size. */
static int link_lines(struct cli *cli, struct clade_txn *txn)
{
    struct cli_list lines;
    int code = cli_arguments(cli, 0, NULL, &lines);
    size_t pending = 0;
    for (size_t i = 0; code == EXIT_DONE && i < lines.len; i++) {
        char *parts[3];
        if (!split_three((char *)lines.items[i], parts)) {
            code = cli_usage(cli, "line %zu is not FROM<tab>LABEL<tab>TO", i + 1);
            break;
        }
        if (!add_link(cli, txn, parts[0], parts[1], parts[2])) {
            code = EXIT_USAGE;
            break;
        }
        pending++;
        if (i + 1 == lines.len || pending == CLADE_MAX_OPERATIONS / 10 ||
            clade_txn_bytes(txn) > CLADE_MAX_COMMAND_BYTES / 2) {
            code = send_txn(cli, txn);
            clade_txn_clear(txn);
            pending = 0;
        }
    }
    cli_list_release(&lines);
    return code;
}

int run_link(struct cli *cli)
{
    const char **arguments = cli->args.arguments;
    bool lines = cli->args.arguments_len == 1 && strcmp(arguments[0], "-") == 0;
    if (!lines && cli->args.arguments_len != 3) {
        return cli_usage(cli, "usage: clade %s %s", cli->args.command->name,
                         cli->args.command->arguments);
    }
    int code = cli_open(cli);
    struct clade_txn *txn = clade_txn_new();
    if (code == EXIT_DONE && txn == NULL) {
        cli_say(cli, "out of memory");
        code = EXIT_REFUSED;
    }
    if (code == EXIT_DONE) {
        if (cli->settings.reason != NULL) {
            clade_txn_reason(txn, cli->settings.reason);
        }
        if (lines) {
            code = link_lines(cli, txn);
        } else {
            code = add_link(cli, txn, arguments[0], arguments[1], arguments[2]) ? send_txn(cli, txn)
                                                                                : EXIT_USAGE;
        }
    }
    clade_txn_free(txn);
    return code;
}

/* A whole small file into `b`. */
static int read_stream(FILE *stream, struct buffer *b, struct error *error)
{
    uint8_t chunk[16384];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, stream)) > 0) {
        if (!buffer_append(b, chunk, n)) {
            return error_set(error, CLADE_ERR_LIMIT, NULL, "longer than %u bytes", JSON_BYTES_MAX);
        }
    }
    return ferror(stream) ? error_set(error, CLADE_ERR_IO, NULL, "cannot be read: %m") : 0;
}

static int read_document(const char *path, json_t **ret, struct error *error)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *stream = is_stdin ? stdin : fopen(path, "re");
    if (stream == NULL) {
        return error_set(error, CLADE_ERR_INVALID, NULL, "cannot be opened: %m");
    }
    struct buffer b;
    buffer_init(&b, JSON_BYTES_MAX);
    int err = read_stream(stream, &b, error);
    if (!is_stdin) {
        (void)fclose(stream);
    }
    if (err == 0) {
        err = json_parse(buffer_span(&b), ret, error);
    }
    buffer_release(&b);
    return err;
}

int run_txn(struct cli *cli)
{
    const char *path = cli->args.arguments_len == 0 ? "-" : cli->args.arguments[0];
    struct error error = {0};
    json_t *json = NULL;
    if (read_document(path, &json, &error) != 0) {
        return cli_fail_error(cli, strcmp(path, "-") == 0 ? "stdin" : path, &error);
    }
    struct clade_txn *txn = clade_txn_new();
    int code = EXIT_DONE;
    if (txn == NULL) {
        cli_say(cli, "out of memory");
        code = EXIT_REFUSED;
    } else if (txn_from_json(json, txn, &error) != 0) {
        code = cli_fail_error(cli, NULL, &error);
    } else {
        if (cli->settings.reason != NULL && json_object_get(json, "reason") == NULL) {
            clade_txn_reason(txn, cli->settings.reason);
        }
        code = cli_open(cli);
    }
    json_decref(json);
    if (code == EXIT_DONE) {
        code = send_txn(cli, txn);
    }
    clade_txn_free(txn);
    return code;
}
