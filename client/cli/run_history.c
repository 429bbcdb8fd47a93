/* history: what each revision changed of a thing, as paragraphs. */
#include "cli/listing.h"
#include "cli/run.h"
#include "cli/show_change.h"

static void show_revision(struct cli *cli, const struct clade_value *item)
{
    show_change_head(cli, item);
    show_change_parts(cli, item);
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
