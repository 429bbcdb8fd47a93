#include "node/help.h"

#include <stddef.h>

#include <clade.h>

#include "base/roff.h"
#include "node/config.h"

struct row {
    const char *name;
    const char *text; /* lines */
};

static const char *const usages[] = {
    "claded [OPTIONS] [run]",
    "claded [OPTIONS] init --node N --member ID=HOST:PORT... [--name TEXT]",
    "claded [OPTIONS] init --node N --join --cluster ID --member ID=HOST:PORT...",
    "claded [OPTIONS] check",
    "claded [OPTIONS] check-config [FILE] [--running FILE | --data DIR]",
    "claded [OPTIONS] restore --from FILE... --node N --member N=HOST:PORT [--revision R]",
    "claded [OPTIONS] restore --from FILE... --node N --member N=HOST:PORT [--time TIME]",
    "claded restore --check --from FILE...",
    "claded [OPTIONS] shrink",
    "claded [OPTIONS] recover --data DIR [--data OTHER]... [--check] [--force]",
};

static const char *const summary =
    "a node of clade, a replicated store of model lineage and artifact indexes";

static const struct row commands[] = {
    {"run", "serve (the default)"},
    {"init", "make the data folder of a member of a new cluster; give the same members\n"
             "and name on every node, and one member for a cluster of one.\n"
             "With --join, of a node that joins a running cluster: give the cluster's id,\n"
             "the present members and the new one ('clade cluster member add' prints it)"},
    {"check", "look for damage in all that a stopped node has: each page and row of its store,\n"
              "its log as a start reads it, and the archive"},
    {"check-config", "look at the settings, and say which of them a reload (SIGHUP) changes and\n"
                     "which a restart: of those of another file, or of the node that runs on the\n"
                     "folder DIR"},
    {"restore",
     "make the data folder of the first node of a new cluster from a backup\n"
     "('clade cluster backup'): name the full one, then what was taken with --since\n"
     "on top of it, in that order. With --revision or --time as all was then. All of it\n"
     "is checked, every row too; with --check the files alone, and nothing is made.\n"
     "Further nodes join with 'clade cluster member add'. Sessions of clients end\n"
     "(runbook: restore drill)"},
    {"shrink", "give back the space in a stopped node's store that nothing uses"},
    {"recover", "when more than half of the voters are lost for good: make the node of the data\n"
                "folder the first of a new cluster. It says how far the folder is, and the\n"
                "OTHERs, of other stopped survivors; one that lacks what another has is refused\n"
                "without --force. With --check it only says. What was acknowledged and is in no\n"
                "folder is lost. The other nodes must never be started again\n"
                "(runbook: lost quorum)"},
};

static const struct row flags[] = {
    {"--config FILE", "settings in YAML, with the keys below ('_' for '-')"},
    {"--print-config", "show every setting and where it came from"},
    {"--help, --version", "show help, or the version, and stop"},
};

static const struct row statuses[] = {
    {"0", "it was told to stop, or was removed from its cluster"},
    {"1", "it failed; another start may do"},
    {"2", "the command line or a setting is wrong"},
    {"3", "the data folder is damaged, newer than this program, or of a removed node:\n"
          "another start comes to the same"},
    {"130", "a second signal came while it stopped"},
};

static const char *const settings =
    "Settings, by flag, environment (CLADE_LISTEN for --listen) or file, in that order:";
static const char *const example =
    "Examples, a cluster of three on one machine (run the like with --node 2 and 3), and a new\n"
    "cluster from backups:";
static const char *const examples[] = {
    "claded init --data n1 --node 1 --member 1=127.0.0.1:7501 --member 2=127.0.0.1:7502 \\",
    "    --member 3=127.0.0.1:7503",
    "claded --data n1 --listen 127.0.0.1:7401",
    "claded restore --check --from monday.backup --from tuesday.backup",
    "claded restore --from monday.backup --from tuesday.backup --time 2026-03-03T09:30:00Z \\",
    "    --data r1 --node 1 --member 1=127.0.0.1:7601",
    NULL,
};

#define LEN(array) (sizeof(array) / sizeof *(array))

static void print_row(FILE *to, const struct row *row, int width)
{
    (void)fprintf(to, "  %-*s  ", width, row->name);
    for (const char *c = row->text; *c != 0; c++) {
        (void)fputc(*c, to);
        if (*c == '\n') {
            (void)fprintf(to, "%*s", width + 4, "");
        }
    }
    (void)fputc('\n', to);
}

void help_print(FILE *to)
{
    for (size_t i = 0; i < LEN(usages); i++) {
        (void)fprintf(to, "%s%s\n", i == 0 ? "Usage: " : "       ", usages[i]);
    }
    (void)fprintf(to, "\ncladed: %s\n\nCommands:\n", summary);
    for (size_t i = 0; i < LEN(commands); i++) {
        print_row(to, &commands[i], 12);
    }
    (void)fputc('\n', to);
    for (size_t i = 0; i < LEN(flags); i++) {
        print_row(to, &flags[i], 17);
    }
    (void)fprintf(to, "\n%s\n", settings);
    config_print_help(to);
    (void)fputs("\nExit status:\n", to);
    for (size_t i = 0; i < LEN(statuses); i++) {
        print_row(to, &statuses[i], 3);
    }
    (void)fprintf(to, "\n%s\n", example);
    for (size_t i = 0; examples[i] != NULL; i++) {
        (void)fprintf(to, "  %s\n", examples[i]);
    }
}

static void manual_rows(FILE *to, const struct row *rows, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        (void)fputs(".TP\n\\fB", to);
        roff_text(to, rows[i].name);
        (void)fputs("\\fR\n", to);
        roff_line(to, rows[i].text);
    }
}

void help_manual(FILE *to)
{
    (void)fprintf(to,
                  ".\\\" Made from the tables of the daemon.\n.TH CLADED 8 \"\" \"clade %s\"\n"
                  ".SH NAME\ncladed \\- ",
                  CLADE_VERSION);
    roff_line(to, summary);
    (void)fputs(".SH SYNOPSIS\n", to);
    for (size_t i = 0; i < LEN(usages); i++) {
        (void)fputs(i > 0 ? ".br\n" : "", to);
        roff_line(to, usages[i]);
    }
    (void)fputs(".SH COMMANDS\n", to);
    manual_rows(to, commands, LEN(commands));
    (void)fputs(".SH OPTIONS\n", to);
    manual_rows(to, flags, LEN(flags));
    (void)fputs(".SH SETTINGS\n", to);
    roff_line(to, settings);
    config_print_manual(to);
    (void)fputs(".SH EXIT STATUS\n", to);
    manual_rows(to, statuses, LEN(statuses));
    (void)fputs(".SH EXAMPLES\n", to);
    roff_line(to, example);
    (void)fputs(".PP\n", to);
    roff_examples(to, examples);
    (void)fputs(".SH SEE ALSO\n.BR clade (1)\n", to);
}
