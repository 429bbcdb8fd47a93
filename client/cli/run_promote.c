/* version promote: alias, stage and deployments move to a version together. */
#include "cli/cli.h"
#include "cli/run.h"
#include "cli/run_write.h"

#define SHARE_ALL 10000

static int check_flags(struct cli *cli)
{
    const struct args *args = &cli->args;
    bool alias = args_has(args, FLAG_ALIAS);
    bool stage = args_has(args, FLAG_TO_STAGE);
    if (!alias && !stage && !args_has(args, FLAG_DEPLOYMENT)) {
        return cli_usage(cli, "say where to: --alias, --stage or --deployment");
    }
    if (args_has(args, FLAG_EXPECT) && !alias) {
        return cli_usage(cli, "--expect is about an alias: give --alias, too");
    }
    if (args_has(args, FLAG_DISPLACE) && !stage) {
        return cli_usage(cli, "--displace is about a stage: give --stage, too");
    }
    return EXIT_DONE;
}

/* The operations in the order in which a person would do them. */
static int add_operations(struct cli *cli, struct run_write *w, const char *version)
{
    const char *alias = args_get(&cli->args, FLAG_ALIAS);
    const char *stage = args_get(&cli->args, FLAG_TO_STAGE);
    const char *displace = args_get(&cli->args, FLAG_DISPLACE);
    const char *condition = args_get(&cli->args, FLAG_IF);
    if (condition != NULL) {
        clade_txn_guard_matches(w->txn, version, condition);
    }
    if (alias != NULL) {
        run_write_label(w, clade_txn_set_alias(w->txn, version, alias), "@", alias);
        if (!run_write_expect(cli, w->txn)) {
            return EXIT_USAGE;
        }
    }
    if (stage != NULL) {
        run_write_label(w, clade_txn_set_stage(w->txn, version, stage), "stage ", stage);
        if (displace != NULL) {
            clade_txn_set(w->txn, "displace", displace);
        }
    }
    for (size_t i = 0; i < cli->args.flags_len; i++) {
        if (cli->args.flags[i].id != FLAG_DEPLOYMENT) {
            continue;
        }
        const char *ref = cli_list_ref(&w->memory, "deployment", cli->args.flags[i].value);
        if (ref == NULL) {
            return cli_no_memory(cli);
        }
        (void)clade_txn_set_targets(w->txn, ref);
        clade_txn_target(w->txn, version, SHARE_ALL, false);
    }
    return EXIT_DONE;
}

int run_version_promote(struct cli *cli)
{
    struct run_write w;
    int code = check_flags(cli);
    if (code != EXIT_DONE) {
        return code;
    }
    code = run_write_init(cli, &w);
    if (code == EXIT_DONE) {
        const char *version = cli_list_ref(&w.memory, "version", cli->args.arguments[0]);
        code = version == NULL ? cli_no_memory(cli) : add_operations(cli, &w, version);
    }
    return run_write_end(cli, &w, code);
}
