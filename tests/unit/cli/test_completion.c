#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/roff.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/man.h"

#define WORDS_MAX 8

/* What is offered for the words of a line, the last of which is begun; "|" stands for a line end,
 * texts are left out. */
static char *offered(const char *line)
{
    char *copy = strdup(line);
    const char *words[WORDS_MAX];
    size_t len = 0;
    for (char *word = copy; word != NULL && len < WORDS_MAX;) {
        words[len++] = strsep(&word, " ");
    }
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    completion_write(stream, words, len);
    assert_int_equal(fclose(stream), 0);
    char *to = text;
    bool skip = false;
    for (const char *c = text; *c != '\0'; c++) {
        skip = (skip || *c == '\t') && *c != '\n';
        if (!skip) {
            *to++ = (char)(*c == '\n' ? '|' : *c);
        }
    }
    *to = '\0';
    free(copy);
    return text;
}

static void what_may_follow_is_offered(void **state)
{
    static const struct {
        const char *line;
        const char *want;
    } rows[] = {
        {"arti", "artifact|"},
        {"artifact cr", "create|"},
        {"-n vision artifact cr", "create|"},
        {"--namespace=vision artifact cr", "create|"},
        {"--dry-run artifact cr", "create|"},
        {"-nvision artifact cr", "create|"},
        {"artifact create --desc", "--description|"},
        {"artifact create x --desc", "--description|"},
        {"run create --desc", "--description|"},
        {"cluster leader ", "transfer|"},
        {"-w j", "json|"},
        {"--write=nd", "--write=ndjson|"},
        {"--write j", "json|"},
        {"run create --status fi", "finished|"},
        {"deployment update x --observed de", "degraded|"},
        {"artifact list --view i", "ids|"},
        {"get art", "artifact/|:nospace|"},
        {"get artifact/x ver", "version/|:nospace|"},
        {"link ver", "version/|:nospace|"},
        {"link version/x/1 tr", "trained_on|"},
        {"link version/x/1 trained_on art", "artifact/|:nospace|"},
        {"link version/x/1 trained_on artifact/y ar", ""},
        {"lineage up --kinds ru", "run|"},
        {"lineage up --kinds run,mo", "run,model|"},
        {"lineage up --labels=contains,ada", "--labels=contains,adapter_of|"},
        {"import ", ":files|"},
        {"import one two", ":files|"},
        {"import --nodes ", ":files|"},
        {"txn ", ":files|"},
        {"txn one ", ""},
        {"help promo", "promotion|"},
        {"help artif", "artifact|artifact|"},
        {"completion f", "fish|"},
        {"artifact create --tag k=v --ta", "--tag|"},
        {"--user me --use", ""},
        {"no such command ", ""},
        {"artifact create -- --desc", ""},
        {"--no-such=x", ""},
        {"artifact create --description ", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *got = offered(rows[i].line);
        if (strcmp(got, rows[i].want) != 0) {
            fail_msg("\"%s\": \"%s\"", rows[i].line, got);
        }
        free(got);
    }
}

static void each_command_is_offered_word_by_word(void **state)
{
    for (size_t i = 0; i < commands_len; i++) {
        char line[128] = "";
        char words[128];
        (void)snprintf(words, sizeof words, "%s", commands[i].name);
        char *rest = words;
        for (char *word; (word = strsep(&rest, " ")) != NULL;) {
            size_t len = strlen(line);
            (void)snprintf(line + len, sizeof line - len, "%s%s", len > 0 ? " " : "", word);
            char *got = offered(line);
            char want[128];
            (void)snprintf(want, sizeof want, "%s|", word);
            assert_non_null(strstr(got, want));
            free(got);
        }
    }
}

static void a_text_in_a_page_reads_as_it_is(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    roff_line(stream, ".a\\b --c 'd' \"e\" ~^`\n.f");
    roff_macro(stream, "SS", "\"x\".");
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(text, "\\&.a\\eb \\-\\-c \\(aqd\\(aq \"e\" \\(ti\\(ha\\(ga\n\\&.f\n"
                              ".SS \"\\(dqx\\(dq.\"\n");
    free(text);
}

static void a_page_has_all_flags_and_examples_of_its_command(void **state)
{
    for (size_t i = 0; i < commands_len; i++) {
        char *text = NULL;
        size_t len = 0;
        FILE *stream = open_memstream(&text, &len);
        man_command(stream, &commands[i]);
        assert_int_equal(fclose(stream), 0);
        for (const enum flag_id *id = commands[i].flags; id != NULL && *id != FLAG_NONE; id++) {
            char *name = NULL;
            size_t name_len = 0;
            FILE *to = open_memstream(&name, &name_len);
            (void)fputs(".TP\n", to);
            if (flag_by_id(*id)->letter != 0) {
                (void)fprintf(to, "\\fB\\-%c\\fR, ", flag_by_id(*id)->letter);
            }
            (void)fputs("\\fB\\-\\-", to);
            roff_text(to, flag_by_id(*id)->name);
            assert_int_equal(fclose(to), 0);
            assert_non_null(strstr(text, name));
            free(name);
        }
        assert_non_null(strstr(text, ".SH EXAMPLES\n.EX\n"));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_follow_is_offered),
        cmocka_unit_test(each_command_is_offered_word_by_word),
        cmocka_unit_test(a_text_in_a_page_reads_as_it_is),
        cmocka_unit_test(a_page_has_all_flags_and_examples_of_its_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
