#include "cli/completion.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/concepts.h"
#include "cli/run.h"

#define WORDS_BYTES_MAX 128

/* What stands before the word that is asked for. */
struct place {
    char words[WORDS_BYTES_MAX]; /* of the command so far, joined by a space */
    const struct command *command;
    size_t arguments;
    enum flag_id flag; /* whose value is asked for; FLAG_NONE = none's */
    bool flags_ended;
    bool given[FLAG_ID_COUNT];
};

static const char *const kinds[] = {"artifact",   "experiment", "run",       "model", "version",
                                    "deployment", "type",       "namespace", NULL};
static const char *const labels[] = {"consumed",       "produced_by",
                                     "derived_from",   "fine_tuned_from",
                                     "distilled_from", "merged_from",
                                     "quantized_from", "adapter_of",
                                     "trained_on",     "evaluated_on",
                                     "contains",       "version_of",
                                     "stands_for",     NULL};

/* Values that are words of a list. */
static const char *const *values_of(enum flag_id flag)
{
    static const char *const write[] = {"table", "json", "ndjson", NULL};
    static const char *const levels[] = {"linearizable", "at-least", "stale=", "local", NULL};
    static const char *const color[] = {"auto", "always", "never", NULL};
    static const char *const run[] = {"scheduled", "running", "finished", "failed", "killed", NULL};
    static const char *const content[] = {"none", "pending", "ready", "failed", "gone", NULL};
    static const char *const deployment[] = {"unknown", "pending", "running", "degraded",
                                             "failed",  "stopped", NULL};
    static const char *const if_exists[] = {"error", "return", "match", NULL};
    static const char *const view[] = {"ids", "heads", "full", NULL};
    static const char *const state[] = {"live", "deleted", "any", NULL};
    switch (flag) {
    case FLAG_WRITE:
        return write;
    case FLAG_CONSISTENCY:
        return levels;
    case FLAG_COLOR:
        return color;
    case FLAG_STATUS:
        return run;
    case FLAG_CONTENT:
        return content;
    case FLAG_DESIRED:
    case FLAG_OBSERVED:
        return deployment;
    case FLAG_IF_EXISTS:
        return if_exists;
    case FLAG_VIEW:
        return view;
    case FLAG_STATE:
        return state;
    default:
        return NULL;
    }
}

/* --- where the word is ----------------------------------------------------------------------- */

static bool is_flag(enum flag_id id, const char *name, size_t len)
{
    const struct flag *f = flag_by_id(id);
    return f->name != NULL && strlen(f->name) == len && memcmp(f->name, name, len) == 0;
}

static enum flag_id flag_named(const struct command *c, const char *name, size_t len)
{
    for (const enum flag_id *id = c == NULL ? NULL : c->flags; id != NULL && *id != FLAG_NONE;
         id++) {
        if (is_flag(*id, name, len)) {
            return *id;
        }
    }
    for (enum flag_id id = FLAG_NONE + 1; id < FLAG_GLOBAL_END; id++) {
        if (is_flag(id, name, len)) {
            return id;
        }
    }
    return FLAG_NONE;
}

static enum flag_id flag_lettered(const struct command *c, char letter)
{
    for (const enum flag_id *id = c == NULL ? NULL : c->flags; id != NULL && *id != FLAG_NONE;
         id++) {
        if (flag_by_id(*id)->letter == letter) {
            return *id;
        }
    }
    for (enum flag_id id = FLAG_NONE + 1; id < FLAG_GLOBAL_END; id++) {
        if (flag_by_id(id)->letter == letter) {
            return id;
        }
    }
    return FLAG_NONE;
}

/* A flag; the next word is its value when it has one and it is not attached. */
static void pass_flag(struct place *p, const char *word)
{
    bool is_long = word[1] == '-';
    size_t len = strcspn(word, "=");
    enum flag_id id =
        is_long ? flag_named(p->command, word + 2, len - 2) : flag_lettered(p->command, word[1]);
    bool attached = is_long ? word[len] == '=' : word[2] != '\0';
    p->given[id] = true;
    p->flag = flag_by_id(id)->value != NULL && !attached ? id : FLAG_NONE;
}

/* Whether the word goes on from the command's words, which it then does. */
static bool pass_command(struct place *p, const char *word)
{
    char words[WORDS_BYTES_MAX];
    int n = snprintf(words, sizeof words, "%s%s%s", p->words, p->words[0] == '\0' ? "" : " ", word);
    if (word[0] == '\0' || p->arguments > 0 || n < 0 || (size_t)n >= sizeof words ||
        (command_find(words) == NULL && !command_is_group(words))) {
        return false;
    }
    memcpy(p->words, words, sizeof words);
    p->command = command_find(words);
    return true;
}

static void pass(struct place *p, const char *word)
{
    if (p->flag != FLAG_NONE) {
        p->flag = FLAG_NONE;
    } else if (!p->flags_ended && strcmp(word, "--") == 0) {
        p->flags_ended = true;
    } else if (!p->flags_ended && word[0] == '-' && word[1] != '\0') {
        pass_flag(p, word);
    } else if (!pass_command(p, word)) {
        p->arguments++;
    }
}

/* --- what may stand there -------------------------------------------------------------------- */

struct answer {
    FILE *stream;
    const char *begun;  /* what was typed of it */
    const char *before; /* what stands before each word: "--write=" */
    bool files;
    bool no_space;
};

static void offer(struct answer *a, const char *word, const char *text)
{
    if (strncmp(word, a->begun, strlen(a->begun)) == 0) {
        (void)fprintf(a->stream, "%s%s\t%s\n", a->before, word, text);
    }
}

static void offer_all(struct answer *a, const char *const words[], const char *text)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        offer(a, words[i], text);
    }
}

/* KIND/, to which a name is added. */
static void offer_references(struct answer *a)
{
    char word[WORDS_BYTES_MAX];
    a->no_space = true;
    for (size_t i = 0; kinds[i] != NULL; i++) {
        (void)snprintf(word, sizeof word, "%s/", kinds[i]);
        offer(a, word, "a reference");
    }
}

/* Words behind the last comma. */
static void offer_list(struct answer *a, const char *const words[], const char *text)
{
    const char *comma = strrchr(a->begun, ',');
    char before[WORDS_BYTES_MAX] = "";
    if (comma != NULL) {
        int n = snprintf(before, sizeof before, "%s%.*s", a->before, (int)(comma + 1 - a->begun),
                         a->begun);
        if (n < 0 || (size_t)n >= sizeof before) {
            return;
        }
        a->before = before;
        a->begun = comma + 1;
    }
    offer_all(a, words, text);
}

/* By the name that usage gives it. */
static void offer_named(struct answer *a, const char *name, size_t len)
{
    struct span word = span_make(name, len);
    if (span_equal_str(word, "REF") || span_equal_str(word, "FROM") || span_equal_str(word, "TO") ||
        span_equal_str(word, "A") || span_equal_str(word, "B")) {
        offer_references(a);
    } else if (span_equal_str(word, "KIND")) {
        offer_all(a, kinds, "a kind");
    } else if (span_equal_str(word, "LABEL")) {
        offer_all(a, labels, "a label");
    } else if (span_starts_with(word, "FILE")) {
        a->files = true;
    }
}

static void offer_value(struct answer *a, enum flag_id flag)
{
    const char *const *values = values_of(flag);
    const struct flag *f = flag_by_id(flag);
    if (values != NULL) {
        offer_all(a, values, f->value);
    } else if (flag == FLAG_LABELS) {
        offer_list(a, labels, "a label");
    } else if (flag == FLAG_KINDS) {
        offer_list(a, kinds, "a kind");
    } else {
        offer_named(a, f->value, strlen(f->value));
    }
}

static void offer_flag(struct answer *a, const struct place *p, enum flag_id id)
{
    const struct flag *f = flag_by_id(id);
    char word[64];
    (void)snprintf(word, sizeof word, "--%s", f->name);
    if (!p->given[id] || f->repeats) {
        offer(a, word, f->text);
    }
}

static void offer_flags(struct answer *a, const struct place *p)
{
    for (const enum flag_id *id = p->command == NULL ? NULL : p->command->flags;
         id != NULL && *id != FLAG_NONE; id++) {
        offer_flag(a, p, *id);
    }
    for (enum flag_id id = FLAG_NONE + 1; id < FLAG_GLOBAL_END; id++) {
        offer_flag(a, p, id);
    }
}

/* Next words of commands, each once, with the summary where it is a whole command. */
static void offer_commands(struct answer *a, const struct place *p)
{
    size_t len = strlen(p->words);
    char last[WORDS_BYTES_MAX] = "";
    for (size_t i = 0; i < commands_len; i++) {
        const char *name = commands[i].name;
        if (strncmp(name, p->words, len) != 0 || (len > 0 && name[len] != ' ')) {
            continue;
        }
        const char *word = name + len + (len > 0);
        size_t word_len = strcspn(word, " ");
        bool whole = word[word_len] == '\0';
        if (strncmp(last, word, word_len) == 0 && last[word_len] == '\0') {
            continue;
        }
        (void)snprintf(last, sizeof last, "%.*s", (int)word_len, word);
        offer(a, last, whole ? commands[i].summary : "...");
    }
}

/* The n-th of "FROM LABEL [TO...]", or its last where that repeats. */
static void offer_argument(struct answer *a, const struct command *c, size_t n)
{
    const char *at = c->arguments;
    while (*at != '\0') {
        at += strspn(at, " [");
        size_t len = strcspn(at, " []=.|");
        const char *end = at + strcspn(at, " ");
        bool repeats = strstr(at, "...") != NULL && strstr(at, "...") < end;
        if (n == 0 || repeats) {
            offer_named(a, at, len);
            return;
        }
        at = end;
        n--;
    }
}

static void offer_words(struct answer *a, const struct place *p)
{
    static const char *const shells[] = {"bash", "zsh", "fish", NULL};
    bool first = p->arguments == 0;
    if (first && !p->flags_ended) {
        offer_commands(a, p);
    }
    if (p->command == NULL) {
        return;
    }
    if (p->command->run == run_help) {
        const struct place top = {0};
        if (first) {
            offer_commands(a, &top);
        }
        for (size_t i = 0; first && i < concepts_len; i++) {
            offer(a, concepts[i].name, concepts[i].summary);
        }
    } else if (p->command->run == run_completion) {
        offer_all(a, first ? shells : shells + 3, "a shell");
    } else {
        offer_argument(a, p->command, p->arguments);
    }
}

void completion_write(FILE *stream, const char *const words[], size_t words_len)
{
    struct place p = {0};
    for (size_t i = 0; i + 1 < words_len; i++) {
        pass(&p, words[i]);
    }
    const char *word = words[words_len - 1];
    const char *equals = strchr(word, '=');
    struct answer a = {.stream = stream, .begun = word, .before = ""};
    char before[WORDS_BYTES_MAX];
    bool flag = word[0] == '-' && !p.flags_ended && p.flag == FLAG_NONE;
    if (p.flag != FLAG_NONE) {
        offer_value(&a, p.flag);
    } else if (flag && word[1] == '-' && equals != NULL) {
        enum flag_id id = flag_named(p.command, word + 2, (size_t)(equals - word - 2));
        int n = snprintf(before, sizeof before, "%.*s=", (int)(equals - word), word);
        if (id != FLAG_NONE && flag_by_id(id)->value != NULL && n > 0 &&
            (size_t)n < sizeof before) {
            a.before = before;
            a.begun = equals + 1;
            offer_value(&a, id);
        }
    } else if (flag) {
        offer_flags(&a, &p);
    } else {
        offer_words(&a, &p);
    }
    (void)fputs(a.files ? ":files\n" : "", stream);
    (void)fputs(a.no_space ? ":nospace\n" : "", stream);
}

/* --- the scripts ----------------------------------------------------------------------------- */

/* Bash cuts words at = and : too, and wants only what stands behind the last of them. */
static const char bash[] =
    "# bash completion of clade: source <(clade completion bash)\n"
    "_clade() {\n"
    "    local line=${COMP_LINE:0:COMP_POINT} short=${COMP_WORDS[COMP_CWORD]} word skip\n"
    "    local -a words\n"
    "    read -ra words <<<\"$line\"\n"
    "    [[ $line == *[[:space:]] ]] && words+=('')\n"
    "    case $short in = | :) short= ;; esac\n"
    "    skip=$((${#words[-1]} - ${#short}))\n"
    "    ((skip >= 0)) || skip=0\n"
    "    COMPREPLY=()\n"
    "    while IFS=$'\\t' read -r word _; do\n"
    "        case $word in\n"
    "        :files)\n"
    "            compopt -o filenames 2>/dev/null\n"
    "            while IFS= read -r word; do COMPREPLY+=(\"$word\"); done < <(compgen -f -- "
    "\"$short\")\n"
    "            ;;\n"
    "        :nospace) compopt -o nospace 2>/dev/null ;;\n"
    "        *) COMPREPLY+=(\"${word:skip}\") ;;\n"
    "        esac\n"
    "    done < <(\"${words[0]}\" completion words -- \"${words[@]:1}\" 2>/dev/null)\n"
    "}\n"
    "complete -F _clade clade\n";

static const char zsh[] =
    "#compdef clade\n"
    "# zsh completion of clade: source <(clade completion zsh), after compinit\n"
    "_clade() {\n"
    "    local line files\n"
    "    local -a items space\n"
    "    for line in \"${(@f)$(\"$words[1]\" completion words -- \"${(@)words[2,CURRENT-1]}\" "
    "\"$PREFIX\" "
    "2>/dev/null)}\"; do\n"
    "        case $line in\n"
    "        '') ;;\n"
    "        :files) files=1 ;;\n"
    "        :nospace) space=(-S '') ;;\n"
    "        *) items+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
    "        esac\n"
    "    done\n"
    "    (( $#items )) && _describe clade items \"${space[@]}\"\n"
    "    [[ -n $files ]] && _files\n"
    "    return 0\n"
    "}\n"
    "if [[ $funcstack[1] == _clade ]]; then _clade \"$@\"; else compdef _clade clade; fi\n";

static const char fish[] =
    "# fish completion of clade: clade completion fish | source\n"
    "function __clade_complete\n"
    "    set -l words (commandline -opc)\n"
    "    set -l begun (commandline -ct)\n"
    "    for line in ($words[1] completion words -- $words[2..-1] \"$begun\" 2>/dev/null)\n"
    "        switch $line\n"
    "            case ':files'\n"
    "                __fish_complete_path \"$begun\"\n"
    "            case ':*'\n"
    "            case '*'\n"
    "                echo $line\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c clade -f -a '(__clade_complete)'\n";

int run_completion(struct cli *cli)
{
    static const struct {
        const char *shell;
        const char *script;
    } scripts[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    const struct args *args = &cli->args;
    const char *what = args->arguments[0];
    if (strcmp(what, "words") == 0) {
        if (args->arguments_len > 1) {
            completion_write(cli->out, args->arguments + 1, args->arguments_len - 1);
        }
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        if (strcmp(what, scripts[i].shell) == 0) {
            if (args->arguments_len > 1) {
                return cli_usage(cli, "one shell at a time");
            }
            (void)fputs(scripts[i].script, cli->out);
            return EXIT_DONE;
        }
    }
    return cli_usage(cli, "\"%s\" is not bash, zsh or fish", what);
}
