/* clade: the command line. */
#include <locale.h>
#include <signal.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/help.h"
#include "cli/run.h"

static const char *environment(const char *name)
{
    return getenv(name);
}

static int usage_error(struct cli *cli, const struct error *error, bool alone)
{
    int code =
        cli_usage(cli, "%s%s%s", error->where, error->where[0] == '\0' ? "" : ": ", error->message);
    const struct args *args = &cli->args;
    if (args->command != NULL) {
        (void)fprintf(cli->messages, "\"clade help %s\" shows its flags and examples.\n",
                      args->command->name);
    } else if (args->words[0] != '\0') {
        help_group(cli, cli->messages, args->words);
    } else if (alone) {
        help_brief(cli->messages);
    } else {
        (void)fputs("\"clade help\" lists the commands.\n", cli->messages);
    }
    return code;
}

/* --help wins over everything that is wrong with the rest. */
static bool wants_help(const struct args *args)
{
    return args_has(args, FLAG_HELP) || args_has(args, FLAG_VERSION);
}

static int show_help(struct cli *cli)
{
    const struct args *args = &cli->args;
    if (args_has(args, FLAG_VERSION)) {
        (void)fprintf(cli->out, "clade %s\n", CLADE_VERSION);
    } else if (args->command != NULL) {
        help_command(cli, cli->out, args->command);
    } else if (args->words[0] != '\0') {
        help_group(cli, cli->out, args->words);
    } else {
        help_all(cli, cli->out);
    }
    return EXIT_DONE;
}

static int run(struct cli *cli, int argc, char *argv[])
{
    struct error error = {0};
    int err = args_parse(argc, (const char *const *)argv, &cli->args, &error);
    if (err != 0) {
        cli_init_output(cli);
        return usage_error(cli, &error, argc == 1);
    }
    if (wants_help(&cli->args)) {
        cli_init_output(cli);
        return show_help(cli);
    }
    err = settings_load(&cli->args, environment, &cli->settings, &error);
    cli_init_output(cli);
    return err != 0 ? usage_error(cli, &error, false) : cli->args.command->run(cli);
}

int main(int argc, char *argv[])
{
    /* Names are UTF-8 wherever they are shown: only their width is asked of the locale. */
    if (setlocale(LC_CTYPE, "") == NULL || MB_CUR_MAX == 1) {
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    }
    /* A peer that goes away, or a reader such as head, is an error code and not a signal. */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    struct cli cli = {.out = stdout, .messages = stderr};
    int code = run(&cli, argc, argv);
    if (!cli_output_works(&cli) && code == EXIT_DONE) {
        code = EXIT_REFUSED;
    }
    if (cli.client != NULL) {
        clade_close(cli.client);
    }
    settings_release(&cli.settings);
    args_release(&cli.args);
    return code;
}
