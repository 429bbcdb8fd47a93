#include "cli/args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "cli/suggest.h"

struct parser {
    struct args *args;
    struct error *error;
    int argc;
    const char *const *argv;
    int at;
    bool flags_ended;
};

static bool flag_matches(enum flag_id id, const char *name, size_t len, char letter)
{
    const struct flag *f = flag_by_id(id);
    if (f->name == NULL) {
        return false;
    }
    return letter != 0 ? f->letter == letter
                       : strlen(f->name) == len && memcmp(f->name, name, len) == 0;
}

/* A flag that may stand here: the command's own first, since they may shadow none of the global
 * ones. */
static enum flag_id flag_find(const struct command *c, const char *name, size_t len, char letter)
{
    for (const enum flag_id *id = c == NULL ? NULL : c->flags; id != NULL && *id != FLAG_NONE;
         id++) {
        if (flag_matches(*id, name, len, letter)) {
            return *id;
        }
    }
    for (enum flag_id id = FLAG_NONE + 1; id < FLAG_GLOBAL_END; id++) {
        if (flag_matches(id, name, len, letter)) {
            return id;
        }
    }
    return FLAG_NONE;
}

static const char *flag_nearest(const struct command *c, const char *name)
{
    struct suggest s;
    suggest_init(&s, name);
    for (const enum flag_id *id = c == NULL ? NULL : c->flags; id != NULL && *id != FLAG_NONE;
         id++) {
        suggest_offer(&s, flag_by_id(*id)->name);
    }
    for (enum flag_id id = FLAG_NONE + 1; id < FLAG_GLOBAL_END; id++) {
        suggest_offer(&s, flag_by_id(id)->name);
    }
    return s.names[0];
}

static int flag_unknown(struct parser *p, const char *word, const char *name)
{
    const struct command *c = p->args->command;
    const char *nearest = flag_nearest(c, name);
    char hint[128] = "";
    if (nearest != NULL) {
        (void)snprintf(hint, sizeof hint, "; did you mean --%s?", nearest);
    }
    if (c == NULL) {
        return error_set(p->error, CLADE_ERR_INVALID, NULL,
                         "%s is not a flag that may stand before the command%s", word, hint);
    }
    return error_set(p->error, CLADE_ERR_INVALID, NULL, "clade %s has no flag %s%s", c->name, word,
                     hint);
}

static int flag_add(struct parser *p, enum flag_id id, const char *value)
{
    struct args *args = p->args;
    if (!flag_by_id(id)->repeats && args_has(args, id)) {
        return error_set(p->error, CLADE_ERR_INVALID, NULL, "--%s stands twice",
                         flag_by_id(id)->name);
    }
    args->flags[args->flags_len++] = (struct args_flag){.id = id, .value = value};
    return 0;
}

static const char *next_word(struct parser *p)
{
    return p->at + 1 < p->argc ? p->argv[++p->at] : NULL;
}

static int flag_take(struct parser *p, enum flag_id id, const char *attached)
{
    const struct flag *f = flag_by_id(id);
    if (f->value == NULL && attached != NULL) {
        return error_set(p->error, CLADE_ERR_INVALID, NULL, "--%s takes no value", f->name);
    }
    const char *value = attached;
    if (f->value != NULL && value == NULL) {
        value = next_word(p);
        if (value == NULL) {
            return error_set(p->error, CLADE_ERR_INVALID, NULL, "--%s needs a value: --%s %s",
                             f->name, f->name, f->value);
        }
    }
    return flag_add(p, id, value);
}

static int parse_long(struct parser *p, const char *word)
{
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals == NULL ? strlen(name) : (size_t)(equals - name);
    enum flag_id id = flag_find(p->args->command, name, len, 0);
    if (id == FLAG_NONE) {
        char bare[64] = "";
        memcpy(bare, name, len < sizeof bare ? len : sizeof bare - 1);
        return flag_unknown(p, word, bare);
    }
    return flag_take(p, id, equals == NULL ? NULL : equals + 1);
}

/* -w json, -wjson. Switches with letters are few, so they are not bundled. */
static int parse_short(struct parser *p, const char *word)
{
    enum flag_id id = flag_find(p->args->command, NULL, 0, word[1]);
    if (id == FLAG_NONE) {
        return flag_unknown(p, word, word + 1);
    }
    return flag_take(p, id, word[2] == '\0' ? NULL : word + 2);
}

/* The nearest command that goes on from the words so far: each is compared with as many words as
 * were typed, so that "artifct" leads to "artifact" and "artifact lst" to "artifact list". */
static void command_suggest(const char *typed, char nearest[64])
{
    size_t spaces = 0;
    for (const char *c = typed; *c != '\0'; c++) {
        spaces += *c == ' ';
    }
    unsigned distance_min = 64;
    for (size_t i = 0; i < commands_len; i++) {
        char name[64] = "";
        size_t left = spaces + 1;
        for (size_t j = 0; commands[i].name[j] != '\0' && j + 1 < sizeof name; j++) {
            left -= commands[i].name[j] == ' ';
            if (left == 0) {
                break;
            }
            name[j] = commands[i].name[j];
        }
        struct suggest s;
        suggest_init(&s, typed);
        suggest_offer(&s, name);
        if (s.names[0] != NULL && s.distances[0] < distance_min) {
            distance_min = s.distances[0];
            memcpy(nearest, name, sizeof name);
        }
    }
}

static int command_unknown(struct parser *p, const char *words)
{
    char nearest[64] = "";
    command_suggest(words, nearest);
    if (nearest[0] != '\0') {
        return error_set(p->error, CLADE_ERR_INVALID, NULL,
                         "there is no command \"clade %s\"; did you mean \"clade %s\"?", words,
                         nearest);
    }
    return error_set(p->error, CLADE_ERR_INVALID, NULL,
                     "there is no command \"clade %s\"; clade help lists them", words);
}

/* "cluster leader" is a command, and "cluster leader transfer" another: whether `word` goes on. */
static bool goes_on(const struct args *args, const char *word)
{
    char words[sizeof args->words];
    int n = snprintf(words, sizeof words, "%s %s", args->words, word);
    return args->command->args_max == 0 && args->arguments_len == 0 && n > 0 &&
           (size_t)n < sizeof words && (command_find(words) != NULL || command_is_group(words));
}

static int parse_command_word(struct parser *p, const char *word)
{
    struct args *args = p->args;
    char words[sizeof args->words];
    size_t before = strlen(args->words);
    size_t len = strlen(word);
    if (before + 1 + len >= sizeof words) {
        return error_set(p->error, CLADE_ERR_INVALID, NULL, "there is no command \"%.40s...\"",
                         word);
    }
    memcpy(words, args->words, before);
    if (before > 0) {
        words[before++] = ' ';
    }
    memcpy(words + before, word, len + 1);
    args->command = command_find(words);
    if (args->command == NULL && !command_is_group(words)) {
        return command_unknown(p, words);
    }
    memcpy(args->words, words, before + len + 1);
    return 0;
}

static int parse_word(struct parser *p, const char *word)
{
    if (!p->flags_ended && strcmp(word, "--") == 0) {
        p->flags_ended = true;
        return 0;
    }
    if (!p->flags_ended && word[0] == '-' && word[1] != '\0') {
        return word[1] == '-' ? parse_long(p, word) : parse_short(p, word);
    }
    if (p->args->command == NULL || (!p->flags_ended && goes_on(p->args, word))) {
        return parse_command_word(p, word);
    }
    p->args->arguments[p->args->arguments_len++] = word;
    return 0;
}

static int check_arguments(const struct args *args, struct error *error)
{
    const struct command *c = args->command;
    if (args_has(args, FLAG_HELP) || args_has(args, FLAG_VERSION)) {
        return 0;
    }
    if (c == NULL) {
        return args->words[0] == '\0'
                   ? error_set(error, CLADE_ERR_INVALID, NULL, "a command is missing")
                   : error_set(error, CLADE_ERR_INVALID, NULL, "\"clade %s\" needs one more word",
                               args->words);
    }
    if (args->arguments_len < c->args_min || args->arguments_len > c->args_max) {
        return error_set(error, CLADE_ERR_INVALID, NULL, "too %s arguments; usage: clade %s %s",
                         args->arguments_len < c->args_min ? "few" : "many", c->name, c->arguments);
    }
    return 0;
}

int args_parse(int argc, const char *const argv[], struct args *args, struct error *error)
{
    *args = (struct args){0};
    args->flags = calloc((size_t)argc + 1, sizeof *args->flags);
    args->arguments = calloc((size_t)argc + 1, sizeof *args->arguments);
    if (args->flags == NULL || args->arguments == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    struct parser p = {.args = args, .error = error, .argc = argc, .argv = argv};
    for (p.at = 1; p.at < argc; p.at++) {
        int err = parse_word(&p, argv[p.at]);
        if (err != 0) {
            return err;
        }
    }
    return check_arguments(args, error);
}

void args_release(struct args *args)
{
    if (args != NULL) {
        free(args->flags);
        free(args->arguments);
        *args = (struct args){0};
    }
}

const char *args_get(const struct args *args, enum flag_id id)
{
    for (size_t i = args->flags_len; i > 0; i--) {
        if (args->flags[i - 1].id == id) {
            return args->flags[i - 1].value == NULL ? "" : args->flags[i - 1].value;
        }
    }
    return NULL;
}

bool args_has(const struct args *args, enum flag_id id)
{
    return args_get(args, id) != NULL;
}
