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

static struct clade_response *fetch_lineage(struct cli *cli,
                                            const struct clade_read *read,
                                            void *arg)
{
    return clade_lineage_wait(cli->client, arg, read);
}

static void write_count(struct cli *cli, const struct clade_response *response)
{
    uint64_t n = clade_value_uint(clade_value_get(clade_response_data(response), "count"));
    if (cli->settings.write == WRITE_TABLE) {
        (void)fprintf(cli->out, "%llu\n", (unsigned long long)n);
        return;
    }
    (void)fprintf(cli->out, "{\"count\":%llu,\"complete\":%s,\"revision\":%llu,\"node\":%llu}\n",
                  (unsigned long long)n, clade_response_complete(response) ? "true" : "false",
                  (unsigned long long)clade_response_revision(response),
                  (unsigned long long)clade_response_node(response));
}

static int count(struct cli *cli,
                 const struct clade_lineage *lineage,
                 const struct clade_read *read)
{
    struct clade_response *response = clade_lineage_wait(cli->client, lineage, read);
    int code = EXIT_DONE;
    if (clade_response_code(response) != 0) {
        code = cli_fail(cli, lineage->ref, response);
    } else {
        write_count(cli, response);
        if (!clade_response_complete(response)) {
            cli_say(cli, "%s: the count is not complete: there are more", lineage->ref);
            code = EXIT_REFUSED;
        }
    }
    clade_response_free(response);
    return code;
}

struct walk {
    struct clade_lineage lineage;
    struct clade_read read;
    struct cli_list labels;
    struct cli_list kinds;
    struct cli_list refs;
};

static int walk_init(struct cli *cli, struct walk *w)
{
    *w = (struct walk){0};
    uint64_t depth;
    int code = cli_read(cli, &w->read);
    if (code != EXIT_DONE || !cli_uint(cli, FLAG_DEPTH, 0, &depth)) {
        return EXIT_USAGE;
    }
    if (depth > UINT32_MAX || (depth == 0 && args_has(&cli->args, FLAG_DEPTH))) {
        return cli_usage(cli, "--depth is from 1 to %u", UINT32_MAX);
    }
    if (!args_has(&cli->args, FLAG_VIEW)) {
        w->read.view = CLADE_VIEW_HEADS;
    }
    const char *labels = args_get(&cli->args, FLAG_LABELS);
    const char *kinds = args_get(&cli->args, FLAG_KINDS);
    if ((labels != NULL && !cli_split(labels, &w->labels)) ||
        (kinds != NULL && !cli_split(kinds, &w->kinds))) {
        return cli_no_memory(cli);
    }
    w->lineage = (struct clade_lineage){
        .downstream = strcmp(cli->args.command->subject, "down") == 0,
        .labels = w->labels.items,
        .kinds = w->kinds.items,
        .depth = (uint32_t)depth,
        .count = args_has(&cli->args, FLAG_COUNT_ONLY),
    };
    return cli_arguments(cli, 0, NULL, &w->refs);
}

int run_lineage(struct cli *cli)
{
    struct walk w;
    int code = walk_init(cli, &w);
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    for (size_t i = 0; code == EXIT_DONE && i < w.refs.len; i++) {
        w.lineage.ref = w.refs.items[i];
        w.read.cursor = NULL;
        code = w.lineage.count
                   ? count(cli, &w.lineage, &w.read)
                   : listing_run(cli, listing_columns_walk(), &w.read, fetch_lineage, &w.lineage);
    }
    cli_list_release(&w.labels);
    cli_list_release(&w.kinds);
    cli_list_release(&w.refs);
    return code;
}
