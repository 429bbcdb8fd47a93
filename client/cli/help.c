#include "cli/help.h"

#include "cli/run.h"
#include "cli/suggest.h"
#include "cli/table.h"

static void heading(FILE *stream, bool color, const char *text)
{
    (void)fprintf(stream, "\n%s%s%s\n", color ? "\x1b[1m" : "", text, color ? "\x1b[0m" : "");
}

static void padded(FILE *stream, const char *left, const char *right, unsigned width)
{
    unsigned used = table_width(span_of(left));
    if (used > width) {
        (void)fprintf(stream, "  %s\n%*s%s\n", left, (int)width + 4, "", right);
    } else {
        (void)fprintf(stream, "  %s%*s  %s\n", left, (int)(width - used), "", right);
    }
}

static void flag_line(FILE *stream, const struct flag *f)
{
    char left[80];
    char letter[8] = "    ";
    if (f->letter != 0) {
        (void)snprintf(letter, sizeof letter, "-%c, ", f->letter);
    }
    (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, f->name, f->value == NULL ? "" : " ",
                   f->value == NULL ? "" : f->value);
    padded(stream, left, f->text, 26);
}

static void global_flags(FILE *stream, bool color)
{
    heading(stream, color, "Flags of every command:");
    for (enum flag_id id = FLAG_NONE + 1; id < FLAG_GLOBAL_END; id++) {
        flag_line(stream, flag_by_id(id));
    }
}

static bool in_group(const struct command *c, const char *words)
{
    size_t len = strlen(words);
    return len == 0 || (strncmp(c->name, words, len) == 0 && c->name[len] == ' ');
}

static void list_commands(FILE *stream, const char *words)
{
    for (size_t i = 0; i < commands_len; i++) {
        if (in_group(&commands[i], words)) {
            padded(stream, commands[i].name, commands[i].summary, 24);
        }
    }
}

void help_all(struct cli *cli, FILE *stream)
{
    bool color = stream == cli->out ? cli->color : cli->messages_color;
    (void)fputs("clade: which models exist, what each was made from, what was made from it\n"
                "\nusage: clade [FLAGS] COMMAND [FLAGS] [ARGUMENTS]\n",
                stream);
    heading(stream, color, "Commands:");
    list_commands(stream, "");
    global_flags(stream, color);
    (void)fputs("\nSettings come from flags, then the environment, then the settings file.\n"
                "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 not found, 4 conflict,\n"
                "5 unavailable, 6 outcome unknown.\n"
                "\n\"clade help COMMAND\" shows a command's flags and examples.\n",
                stream);
}

void help_command(struct cli *cli, FILE *stream, const struct command *c)
{
    bool color = stream == cli->out ? cli->color : cli->messages_color;
    (void)fprintf(stream, "clade %s: %s\n\nusage: clade [FLAGS] %s%s%s\n", c->name, c->summary,
                  c->name, c->arguments[0] == '\0' ? "" : " ", c->arguments);
    if (c->details != NULL) {
        (void)fprintf(stream, "\n%s\n", c->details);
    }
    if (c->flags != NULL) {
        heading(stream, color, "Flags:");
        for (const enum flag_id *id = c->flags; *id != FLAG_NONE; id++) {
            flag_line(stream, flag_by_id(*id));
        }
    }
    global_flags(stream, color);
    heading(stream, color, "Examples:");
    for (const char *const *example = c->examples; *example != NULL; example++) {
        (void)fprintf(stream, "  %s\n", *example);
    }
}

void help_group(struct cli *cli, FILE *stream, const char *words)
{
    bool color = stream == cli->out ? cli->color : cli->messages_color;
    (void)fprintf(stream, "usage: clade [FLAGS] %s COMMAND\n", words);
    heading(stream, color, "Commands:");
    list_commands(stream, words);
}

int run_help(struct cli *cli)
{
    char words[128] = "";
    size_t at = 0;
    for (size_t i = 0; i < cli->args.arguments_len; i++) {
        int n = snprintf(words + at, sizeof words - at, "%s%s", i > 0 ? " " : "",
                         cli->args.arguments[i]);
        if (n < 0 || (size_t)n >= sizeof words - at) {
            return cli_usage(cli, "there is no such command; clade help lists them");
        }
        at += (size_t)n;
    }
    const struct command *c = command_find(words);
    if (words[0] == '\0') {
        help_all(cli, cli->out);
    } else if (c != NULL) {
        help_command(cli, cli->out, c);
    } else if (command_is_group(words)) {
        help_group(cli, cli->out, words);
    } else {
        return cli_usage(cli, "there is no command \"clade %s\"; clade help lists them", words);
    }
    return EXIT_DONE;
}
