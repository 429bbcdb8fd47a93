#include "cli/cli.h"
#include "cli/json.h"
#include "cli/run.h"
#include "cli/show.h"
#include "cli/txn_json.h"

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
        code = cli_no_memory(cli);
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
        struct clade_response *response = clade_txn_wait(cli->client, txn);
        if (clade_response_code(response) != 0) {
            code = cli_fail(cli, NULL, response);
        } else {
            show_results(cli, response);
        }
        clade_response_free(response);
    }
    clade_txn_free(txn);
    return code;
}
