#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/concepts.h"
#include "cli/run.h"
#include "cli/suggest.h"

#define WORDS_MAX 64

/* Runs `clade help WORDS...`; what it wrote to both streams is in *ret_text, freed by the caller.
 */
static int help(const char *a, const char *b, char **ret_text)
{
    const char *words[] = {"clade", "help", a, b};
    struct error error = {0};
    struct cli cli = {0};
    size_t len;
    int argc = b != NULL ? 4 : a != NULL ? 3 : 2;
    assert_int_equal(args_parse(argc, words, &cli.args, &error), 0);
    cli.out = open_memstream(ret_text, &len);
    assert_non_null(cli.out);
    cli.messages = cli.out;
    int code = run_help(&cli);
    (void)fclose(cli.out);
    args_release(&cli.args);
    return code;
}

static void holds(const char *a, const char *b, int code, const char *phrase)
{
    char *text = NULL;
    assert_int_equal(help(a, b, &text), code);
    if (strstr(text, phrase) == NULL) {
        fail_msg("help %s: no \"%s\" in: %s", a, phrase, text);
    }
    free(text);
}

static void each_word_is_explained_and_leads_to_others_that_are(void **state)
{
    for (size_t i = 0; i < concepts_len; i++) {
        const struct concept *c = &concepts[i];
        assert_true(c->summary[strlen(c->summary) - 1] != '.');
        assert_true(strlen(c->text) > 60);
        assert_ptr_equal(concept_find(c->name), c);
        for (size_t j = 0; c->also != NULL && c->also[j] != NULL; j++) {
            assert_ptr_equal(concept_find(c->also[j]), c);
        }
        assert_non_null(c->see[0]);
        for (size_t j = 0; c->see[j] != NULL; j++) {
            assert_non_null(concept_find(c->see[j]));
            assert_string_equal(concept_find(c->see[j])->name, c->see[j]);
            assert_string_not_equal(c->see[j], c->name);
        }
        assert_true(i == 0 || strcmp(concepts[i - 1].name, c->name) < 0);
        holds(c->name, NULL, EXIT_DONE, c->summary);
    }
}

/* Cuts a command line as a shell does, quotes taken off; the words live in `line`. */
static int split(char *line, const char *words[WORDS_MAX])
{
    int n = 0;
    char *to = line;
    for (char *from = line; *from != '\0' && n < WORDS_MAX;) {
        words[n++] = to;
        while (*from != '\0' && *from != ' ') {
            if (*from == '\'' || *from == '"') {
                char quote = *from++;
                while (*from != quote) {
                    *to++ = *from++;
                }
                from++;
            } else {
                *to++ = *from++;
            }
        }
        from += *from == ' ';
        *to++ = '\0';
    }
    return n;
}

static void is_a_command_line(const char *example)
{
    char line[512];
    const char *words[WORDS_MAX];
    struct args args;
    struct error error = {0};
    size_t len = strcspn(example, "|<>");
    if (strncmp(example, "clade ", 6) != 0) {
        return; /* what stands before a pipe */
    }
    assert_true(len + 1 < sizeof line);
    memcpy(line, example, len);
    while (line[len - 1] == ' ') {
        len--;
    }
    line[len] = '\0';
    if (args_parse(split(line, words), words, &args, &error) != 0) {
        fail_msg("%s: %s", example, error.message);
    }
    args_release(&args);
}

static void every_example_is_a_command_line_that_is_understood(void **state)
{
    for (size_t i = 0; i < concepts_len; i++) {
        for (size_t j = 0; concepts[i].examples != NULL && concepts[i].examples[j] != NULL; j++) {
            is_a_command_line(concepts[i].examples[j]);
        }
    }
    for (size_t i = 0; i < commands_len; i++) {
        for (size_t j = 0; commands[i].examples[j] != NULL; j++) {
            is_a_command_line(commands[i].examples[j]);
        }
    }
}

static void a_word_is_found_by_its_other_names(void **state)
{
    assert_string_equal(concept_find("dataset")->name, "artifact");
    assert_string_equal(concept_find("Upstream")->name, "lineage");
    assert_string_equal(concept_find("aliases")->name, "alias");
    assert_string_equal(concept_find("deployments")->name, "deployment");
    assert_null(concept_find("s"));
    assert_null(concept_find(""));
}

static void a_word_that_is_a_command_too_is_explained_and_shown(void **state)
{
    holds("alias", NULL, EXIT_DONE, "(compare-and-set)");
    holds("alias", NULL, EXIT_DONE, "alias unset");
    holds("hold", NULL, EXIT_DONE, "everything else about the thing may change");
    holds("hold", NULL, EXIT_DONE, "usage: clade [FLAGS] hold REF...");
    holds("alias", "set", EXIT_DONE, "usage: clade [FLAGS] alias set");
}

static void help_lists_the_words(void **state)
{
    for (size_t i = 0; i < concepts_len; i++) {
        holds(NULL, NULL, EXIT_DONE, concepts[i].name);
    }
}

static void an_unknown_word_is_a_usage_error_with_what_is_near(void **state)
{
    holds("verson", NULL, EXIT_USAGE, "did you mean \"version\"?");
    holds("depl", NULL, EXIT_USAGE, "did you mean \"deployment\"?");
    holds("metrix", NULL, EXIT_USAGE, "\"metric\"");
    holds("artifact", "lst", EXIT_USAGE, "did you mean \"artifact list\"?");
    holds("xyzzy", NULL, EXIT_USAGE, "clade help lists them");
}

static void those_that_are_equally_near_are_all_suggested(void **state)
{
    struct suggest s;
    char text[SUGGEST_TEXT_BYTES];
    suggest_init(&s, "aab");
    suggest_offer(&s, "xyz");
    assert_false(suggest_join(&s, text));
    suggest_offer(&s, "aac");
    suggest_offer_as(&s, "caab", "other");
    suggest_offer_as(&s, "aabd", "other");
    assert_true(suggest_join(&s, text));
    assert_string_equal(text, "\"aac\" or \"other\"");
    suggest_offer_as(&s, "aab", "other");
    assert_true(suggest_join(&s, text));
    assert_string_equal(text, "\"other\"");
    assert_string_equal(s.names[1], "aac");
    assert_null(s.names[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_is_explained_and_leads_to_others_that_are),
        cmocka_unit_test(every_example_is_a_command_line_that_is_understood),
        cmocka_unit_test(a_word_is_found_by_its_other_names),
        cmocka_unit_test(a_word_that_is_a_command_too_is_explained_and_shown),
        cmocka_unit_test(help_lists_the_words),
        cmocka_unit_test(an_unknown_word_is_a_usage_error_with_what_is_near),
        cmocka_unit_test(those_that_are_equally_near_are_all_suggested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
