#include "cli/man.h"

#include <ctype.h>
#include <string.h>

#include <clade.h>

#include "base/roff.h"
#include "cli/concepts.h"

/* The pages change with the tables, so a day of their own would only be wrong. */
static void head(FILE *stream, const char *name, const char *section, const char *summary)
{
    char title[MAN_NAME_BYTES];
    size_t i = 0;
    for (; name[i] != '\0' && i + 1 < sizeof title; i++) {
        title[i] = (char)toupper((unsigned char)name[i]);
    }
    title[i] = '\0';
    (void)fputs(".\\\" Made from the tables of the command line.\n.TH \"", stream);
    roff_text(stream, title);
    (void)fprintf(stream, "\" %s \"\" \"clade %s\"\n.SH NAME\n", section, CLADE_VERSION);
    roff_text(stream, name);
    (void)fputs(" \\- ", stream);
    roff_line(stream, summary);
}

static void section(FILE *stream, const char *title)
{
    (void)fprintf(stream, ".SH %s\n", title);
}

/* A paragraph for each line. */
static void paragraphs(FILE *stream, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        char line[4096];
        (void)snprintf(line, sizeof line, "%.*s", (int)len, text);
        roff_line(stream, line);
        text += len;
        if (*text == '\n') {
            (void)fputs(".PP\n", stream);
            text++;
        }
    }
}

static void flag(FILE *stream, const struct flag *f)
{
    (void)fputs(".TP\n", stream);
    if (f->letter != 0) {
        (void)fprintf(stream, "\\fB\\-%c\\fR, ", f->letter);
    }
    (void)fputs("\\fB\\-\\-", stream);
    roff_text(stream, f->name);
    (void)fputs("\\fR", stream);
    if (f->value != NULL) {
        (void)fputs(" \\fI", stream);
        roff_text(stream, f->value);
        (void)fputs("\\fR", stream);
    }
    (void)fputc('\n', stream);
    roff_line(stream, f->text);
}

static void synopsis(FILE *stream, const char *command, const char *arguments)
{
    section(stream, "SYNOPSIS");
    (void)fputs("\\fBclade\\fR [\\fIFLAGS\\fR] ", stream);
    (void)fputs("\\fB", stream);
    roff_text(stream, command);
    (void)fputs("\\fR ", stream);
    roff_line(stream, arguments);
}

void man_name(const struct command *c, char ret[MAN_NAME_BYTES])
{
    (void)snprintf(ret, MAN_NAME_BYTES, "clade-%s", c->name);
    for (char *at = ret; *at != '\0'; at++) {
        *at = *at == ' ' ? '-' : *at;
    }
}

static void see_also(FILE *stream, const char *const pages[])
{
    section(stream, "SEE ALSO");
    for (size_t i = 0; pages[i] != NULL; i++) {
        const char *paren = strchr(pages[i], '(');
        (void)fputs(".BR ", stream);
        char name[MAN_NAME_BYTES];
        (void)snprintf(name, sizeof name, "%.*s", (int)(paren - pages[i]), pages[i]);
        roff_text(stream, name);
        (void)fprintf(stream, " %s%s\n", paren, pages[i + 1] == NULL ? "" : " ,");
    }
}

void man_command(FILE *stream, const struct command *c)
{
    static const char *const pages[] = {"clade(1)", "clade-concepts(7)", NULL};
    char name[MAN_NAME_BYTES];
    man_name(c, name);
    head(stream, name, "1", c->summary);
    synopsis(stream, c->name, c->arguments);
    section(stream, "DESCRIPTION");
    (void)fputc(toupper((unsigned char)c->summary[0]), stream);
    roff_text(stream, c->summary + 1);
    (void)fputs(".\n", stream);
    if (c->details != NULL) {
        (void)fputs(".PP\n", stream);
        roff_line(stream, c->details);
    }
    if (c->flags != NULL) {
        section(stream, "FLAGS");
        for (const enum flag_id *id = c->flags; *id != FLAG_NONE; id++) {
            flag(stream, flag_by_id(*id));
        }
    }
    (void)fputs(c->flags == NULL ? ".SH FLAGS\n" : ".PP\n", stream);
    (void)fputs("The flags of every command stand in\n.BR clade (1).\n", stream);
    section(stream, "EXAMPLES");
    roff_examples(stream, c->examples);
    see_also(stream, pages);
}

static void list_commands(FILE *stream)
{
    section(stream, "COMMANDS");
    for (size_t i = 0; i < commands_len; i++) {
        const struct command *c = &commands[i];
        (void)fputs(".TP\n\\fB", stream);
        roff_text(stream, c->name);
        (void)fputs("\\fR ", stream);
        roff_line(stream, c->arguments);
        roff_line(stream, c->summary);
    }
    (void)fputs(".PP\nEach has a page of its own, such as\n.BR clade\\-artifact\\-create (1).\n",
                stream);
}

static void exit_codes(FILE *stream)
{
    static const char *const codes[] = {"done",
                                        "refused or failed",
                                        "usage",
                                        "not found",
                                        "conflict",
                                        "unavailable: nothing happened",
                                        "the outcome is unknown"};
    section(stream, "EXIT STATUS");
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        (void)fprintf(stream, ".TP\n%zu\n%s\n", i, codes[i]);
    }
}

void man_clade(FILE *stream)
{
    static const char *const pages[] = {"clade-config(5)", "clade-concepts(7)", "claded(8)", NULL};
    head(stream, "clade", "1",
         "which models exist, what each was made from, what was made from it");
    synopsis(stream, "COMMAND", "[FLAGS] [ARGUMENTS]");
    section(stream, "DESCRIPTION");
    roff_line(
        stream,
        "clade keeps models, their versions, runs, artifacts and what each was made from, on\n"
        "several nodes. This command talks to the nodes. Its output is for a person unless\n"
        "--write says otherwise. Where a reference may stand, \"-\" reads them from stdin, a line\n"
        "each. \"clade help COMMAND\" and \"clade help WORD\" show what these pages do.");
    list_commands(stream);
    section(stream, "FLAGS OF EVERY COMMAND");
    for (enum flag_id id = FLAG_NONE + 1; id < FLAG_GLOBAL_END; id++) {
        flag(stream, flag_by_id(id));
    }
    section(stream, "ENVIRONMENT");
    roff_line(
        stream,
        "CLADE_ENDPOINTS, CLADE_NAMESPACE, CLADE_WRITE, CLADE_CONSISTENCY, CLADE_TIMEOUT,\n"
        "CLADE_USER, CLADE_COLOR and CLADE_CONFIG stand for the flags of these names. Flags come\n"
        "first, then the environment, then the settings file. NO_COLOR switches colours off.");
    exit_codes(stream);
    see_also(stream, pages);
}

void man_config(FILE *stream)
{
    static const char *const example[] = {"# ~/.config/clade/config.yaml",
                                          "endpoints: db1:7400,db2:7400,db3:7400",
                                          "namespace: vision", "timeout: 30s", NULL};
    static const enum flag_id keys[] = {FLAG_ENDPOINTS,   FLAG_NAMESPACE, FLAG_WRITE,
                                        FLAG_CONSISTENCY, FLAG_TIMEOUT,   FLAG_USER,
                                        FLAG_COLOR};
    static const char *const pages[] = {"clade(1)", "claded(8)", NULL};
    head(stream, "clade-config", "5", "settings of the command line");
    section(stream, "DESCRIPTION");
    roff_line(
        stream,
        "A YAML mapping in ~/.config/clade/config.yaml, or the file that --config or CLADE_CONFIG\n"
        "names. Every key may be left out; flags and the environment go before it. A key that is\n"
        "not known is an error.");
    section(stream, "KEYS");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct flag *f = flag_by_id(keys[i]);
        (void)fputs(".TP\n\\fB", stream);
        roff_text(stream, f->name);
        (void)fputs("\\fR: \\fI", stream);
        roff_text(stream, f->value);
        (void)fputs("\\fR\n", stream);
        roff_line(stream, f->text);
    }
    section(stream, "EXAMPLES");
    roff_examples(stream, example);
    see_also(stream, pages);
}

void man_concepts(FILE *stream)
{
    static const char *const pages[] = {"clade(1)", NULL};
    head(stream, "clade-concepts", "7", "the words of clade");
    section(stream, "DESCRIPTION");
    roff_line(stream, "What \"clade help WORD\" says.");
    for (size_t i = 0; i < concepts_len; i++) {
        const struct concept *c = &concepts[i];
        roff_macro(stream, "SS", c->name);
        (void)fputc(toupper((unsigned char)c->summary[0]), stream);
        roff_text(stream, c->summary + 1);
        (void)fputs(".\n.PP\n", stream);
        paragraphs(stream, c->text);
        if (c->examples != NULL) {
            (void)fputs(".PP\n", stream);
            roff_examples(stream, c->examples);
        }
    }
    see_also(stream, pages);
}
