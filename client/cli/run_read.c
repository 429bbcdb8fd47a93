#include "cli/listing.h"
#include "cli/run.h"
#include "cli/show.h"
#include "cli/text.h"

struct get_arg {
    const char *const *refs;
    size_t len;
};

static struct clade_response *fetch_get(struct cli *cli, const struct clade_read *read, void *arg)
{
    const struct get_arg *get = arg;
    return clade_get_wait(cli->client, get->refs, get->len, read);
}

/* One request takes as many references as a get may have; more are asked for in turn. */
static int get_all(struct cli *cli, const struct cli_list *refs, struct clade_read *read)
{
    int code = EXIT_DONE;
    const struct listing_columns *columns =
        read->view == CLADE_VIEW_FULL ? NULL : listing_columns_heads();
    for (size_t at = 0; at < refs->len; at += CLADE_MAX_GET_REFERENCES) {
        size_t left = refs->len - at;
        struct get_arg arg = {.refs = refs->items + at,
                              .len = left < CLADE_MAX_GET_REFERENCES ? left
                                                                     : CLADE_MAX_GET_REFERENCES};
        int err = listing_run(cli, columns, read, fetch_get, &arg);
        code = code == EXIT_DONE ? err : code;
    }
    return code;
}

int run_get(struct cli *cli)
{
    struct clade_read read;
    struct cli_list refs;
    int code = cli_read(cli, &read);
    if (code != EXIT_DONE) {
        return code;
    }
    code = cli_arguments(cli, 0, cli->args.command->subject, &refs);
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    if (code == EXIT_DONE) {
        code = get_all(cli, &refs, &read);
    }
    cli_list_release(&refs);
    return code;
}

struct list_arg {
    const char *kind;
    const char *under;
};

static struct clade_response *fetch_list(struct cli *cli, const struct clade_read *read, void *arg)
{
    const struct list_arg *list = arg;
    return clade_list_wait(cli->client, list->kind, list->under, read);
}

/* "model/NAME" from --model NAME; NULL when it was not given. */
static const char *under_ref(struct cli *cli, struct cli_list *memory)
{
    const char *model = args_get(&cli->args, FLAG_UNDER_MODEL);
    const char *experiment = args_get(&cli->args, FLAG_UNDER_EXPERIMENT);
    if (model != NULL) {
        return cli_list_ref(memory, "model", model);
    }
    return experiment == NULL ? NULL : cli_list_ref(memory, "experiment", experiment);
}

int run_list(struct cli *cli)
{
    struct clade_read read;
    int code = cli_read(cli, &read);
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    struct cli_list memory = {0};
    arena_init(&memory.arena, CLADE_MAX_COMMAND_BYTES);
    struct list_arg arg = {.kind = cli->args.command->subject, .under = under_ref(cli, &memory)};
    const struct listing_columns *columns =
        read.view == CLADE_VIEW_FULL ? listing_columns_things(arg.kind) : listing_columns_heads();
    code = listing_run(cli, columns, &read, fetch_list, &arg);
    cli_list_release(&memory);
    return code;
}
