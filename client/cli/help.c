#include "cli/help.h"

#include "cli/concepts.h"
#include "cli/run.h"
#include "cli/suggest.h"
#include "cli/table.h"

#define HELP_COLUMNS 79

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

static void list_examples(FILE *stream, bool color, const char *const *examples)
{
    heading(stream, color, "Examples:");
    for (; *examples != NULL; examples++) {
        (void)fprintf(stream, "  %s\n", *examples);
    }
}

/* Words up to the width, a paragraph for each line of the text. */
static void wrapped(FILE *stream, const char *text)
{
    size_t used = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " \n");
        if (used > 0 && used + 1 + len > HELP_COLUMNS) {
            (void)fputc('\n', stream);
            used = 0;
        }
        (void)fprintf(stream, "%s%.*s", used > 0 ? " " : "", (int)len, text);
        used += (used > 0) + len;
        text += len;
        if (*text == '\n') {
            (void)fputc('\n', stream);
            used = 0;
        }
        text += *text != '\0';
    }
    (void)fputc('\n', stream);
}

static void list_concepts(FILE *stream)
{
    char names[1024] = "";
    size_t at = 0;
    for (size_t i = 0; i < concepts_len; i++) {
        int n = snprintf(names + at, sizeof names - at, "%s%s", concepts[i].name,
                         i + 1 < concepts_len ? ", " : "");
        at += n < 0 || (size_t)n >= sizeof names - at ? 0 : (size_t)n;
    }
    wrapped(stream, names);
}

void help_all(struct cli *cli, FILE *stream)
{
    bool color = stream == cli->out ? cli->color : cli->messages_color;
    (void)fputs("clade: which models exist, what each was made from, what was made from it\n"
                "\nusage: clade [FLAGS] COMMAND [FLAGS] [ARGUMENTS]\n",
                stream);
    heading(stream, color, "Commands:");
    list_commands(stream, "");
    heading(stream, color, "Words that \"clade help WORD\" explains:");
    list_concepts(stream);
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
    list_examples(stream, color, c->examples);
}

void help_group(struct cli *cli, FILE *stream, const char *words)
{
    bool color = stream == cli->out ? cli->color : cli->messages_color;
    (void)fprintf(stream, "usage: clade [FLAGS] %s COMMAND\n", words);
    heading(stream, color, "Commands:");
    list_commands(stream, words);
}

static void help_concept(struct cli *cli, FILE *stream, const struct concept *c)
{
    (void)fprintf(stream, "%s: %s\n\n", c->name, c->summary);
    wrapped(stream, c->text);
    if (c->examples != NULL) {
        list_examples(stream, cli->color, c->examples);
    }
    heading(stream, cli->color, "See also:");
    for (const char *const *see = c->see; *see != NULL; see++) {
        (void)fprintf(stream, "%s%s", see == c->see ? "  clade help " : ", ", *see);
    }
    (void)fputc('\n', stream);
}

/* The words and the commands that are near; a usage error. */
static int help_unknown(struct cli *cli, const char *words)
{
    struct suggest near;
    char text[SUGGEST_TEXT_BYTES];
    suggest_init(&near, words);
    for (size_t i = 0; i < concepts_len; i++) {
        suggest_offer_as(&near, concepts[i].name, concepts[i].name);
        for (size_t j = 0; concepts[i].also != NULL && concepts[i].also[j] != NULL; j++) {
            suggest_offer_as(&near, concepts[i].also[j], concepts[i].name);
        }
    }
    for (size_t i = 0; i < commands_len; i++) {
        suggest_offer(&near, commands[i].name);
    }
    if (!suggest_join(&near, text)) {
        return cli_usage(cli, "there is no command and no word \"%s\"; clade help lists them",
                         words);
    }
    return cli_usage(cli, "there is no command and no word \"%s\"; did you mean %s?", words, text);
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
    const struct concept *word = concept_find(words);
    bool group = words[0] != '\0' && command_is_group(words);
    if (words[0] == '\0') {
        help_all(cli, cli->out);
        return EXIT_DONE;
    }
    if (word == NULL && c == NULL && !group) {
        return help_unknown(cli, words);
    }
    if (word != NULL) {
        help_concept(cli, cli->out, word);
    }
    if (word != NULL && (c != NULL || group)) {
        (void)fputc('\n', cli->out);
    }
    if (c != NULL) {
        help_command(cli, cli->out, c);
    } else if (group) {
        help_group(cli, cli->out, words);
    }
    return EXIT_DONE;
}
