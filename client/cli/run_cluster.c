#include "cli/cli.h"
#include "cli/run.h"
#include "cli/show.h"
#include "cli/text.h"

static int call(struct cli *cli, const char *method, const struct clade_doc *params)
{
    struct clade_response *response = clade_call_wait(cli->client, method, params);
    int code = EXIT_DONE;
    if (clade_response_code(response) != 0) {
        code = cli_fail(cli, NULL, response);
    } else if (cli->settings.write == WRITE_JSON) {
        show_json(cli, response);
    } else if (cli->settings.write == WRITE_NDJSON) {
        show_ndjson(cli, response);
    } else {
        show_document(cli, clade_response_data(response));
    }
    clade_response_free(response);
    return code;
}

/* The read keys that `describe` takes. */
static struct clade_doc *describe_params(const struct settings *s)
{
    struct clade_doc *doc = clade_doc_new();
    if (doc == NULL) {
        return NULL;
    }
    clade_doc_map(doc, settings_consistency_members(s) + (s->as_of[0] != '\0'));
    settings_put_consistency(doc, s);
    if (s->as_of[0] != '\0') {
        clade_doc_str(doc, "as_of");
        clade_doc_str(doc, s->as_of);
    }
    return doc;
}

int run_show(struct cli *cli)
{
    const char *method = cli->args.command->subject;
    int code = cli_open(cli);
    if (code != EXIT_DONE) {
        return code;
    }
    struct clade_doc *params =
        strcmp(method, "describe") == 0 ? describe_params(&cli->settings) : NULL;
    code = call(cli, method, params);
    clade_doc_free(params);
    return code;
}

int run_transfer(struct cli *cli)
{
    uint64_t to = 0;
    if (cli->settings.dry_run) {
        return cli_no_dry_run(cli);
    }
    if (cli->args.arguments_len > 0 && !text_parse_uint(cli->args.arguments[0], &to)) {
        return cli_usage(cli, "\"%s\" is not a node's number", cli->args.arguments[0]);
    }
    int code = cli_open(cli);
    if (code != EXIT_DONE) {
        return code;
    }
    struct clade_doc *params = clade_doc_new();
    if (params != NULL) {
        clade_doc_map(params, 1);
        clade_doc_str(params, "to");
        clade_doc_uint(params, to);
    }
    code = call(cli, "transfer", params);
    clade_doc_free(params);
    return code;
}
