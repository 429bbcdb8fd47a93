#include "cli/run_write.h"

#include "cli/show.h"
#include "cli/text.h"

int run_write_init(struct cli *cli, struct run_write *w)
{
    *w = (struct run_write){.txn = clade_txn_new()};
    arena_init(&w->memory.arena, CLADE_MAX_COMMAND_BYTES);
    if (w->txn == NULL) {
        return cli_no_memory(cli);
    }
    if (cli->settings.reason != NULL) {
        clade_txn_reason(w->txn, cli->settings.reason);
    }
    return EXIT_DONE;
}

int run_write_end(struct cli *cli, struct run_write *w, int code)
{
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    if (code == EXIT_DONE) {
        struct clade_response *response = clade_txn_wait(cli->client, w->txn);
        if (clade_response_code(response) != 0) {
            code = cli_fail_op(cli, w->labels, RUN_WRITE_OPS_MAX, response);
        } else {
            show_results_of(cli, w->labels, RUN_WRITE_OPS_MAX, response);
        }
        clade_response_free(response);
    }
    clade_txn_free(w->txn);
    cli_list_release(&w->memory);
    return code;
}

void run_write_label(struct run_write *w, uint32_t op, const char *before, const char *text)
{
    struct buffer b;
    buffer_init(&b, CLADE_MAX_COMMAND_BYTES);
    buffer_append_fmt(&b, "%s%s", before, text);
    if (op < RUN_WRITE_OPS_MAX && !b.failed) {
        w->labels[op] = arena_copy_str(&w->memory.arena, buffer_span(&b));
    }
    buffer_release(&b);
}

bool run_write_expect(struct cli *cli, struct clade_txn *txn)
{
    const char *text = args_get(&cli->args, FLAG_EXPECT);
    uint64_t number = 0;
    if (text == NULL) {
        return true;
    }
    if (strcmp(text, "unset") != 0 && (!text_parse_uint(text, &number) || number == 0)) {
        (void)cli_usage(cli, "--expect: \"%s\" is not a version's number, or unset", text);
        return false;
    }
    clade_txn_expect_version(txn, number);
    return true;
}
