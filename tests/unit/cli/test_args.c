#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/args.h"
#include "cli/suggest.h"

#define WORDS_MAX 16

/* Splits at spaces; the words live in `memory`. */
static int split(char *memory, const char *words[WORDS_MAX])
{
    int n = 0;
    words[n++] = "clade";
    for (char *word = memory; *word != '\0';) {
        size_t len = strcspn(word, " ");
        words[n++] = word;
        if (word[len] == '\0') {
            break;
        }
        word[len] = '\0';
        word += len + 1;
    }
    return n;
}

static const struct {
    const char *line;
    const char *command;   /* NULL = an error is expected */
    const char *complaint; /* part of the sentence */
    size_t arguments;
} rows[] = {
    {"artifact create a b", "artifact create", NULL, 2},
    {"-w json artifact list", "artifact list", NULL, 0},
    {"artifact list -wjson", "artifact list", NULL, 0},
    {"artifact --namespace=team list", "artifact list", NULL, 0},
    {"lineage down artifact/x --labels a,b --count", "lineage down", NULL, 1},
    {"bench get --count 100", "bench get", NULL, 0},
    {"artifact get -", "artifact get", NULL, 1},
    {"artifact get -- -w", "artifact get", NULL, 1},
    {"cluster leader transfer 2", "cluster leader transfer", NULL, 1},
    {"cluster leader", "cluster leader", NULL, 0},
    {"cluster leader -w json transfer 2", "cluster leader transfer", NULL, 1},
    {"cluster member add 4=h:1 --no-promote", "cluster member add", NULL, 1},
    {"cluster member remove 4 --no-wait", "cluster member remove", NULL, 1},
    {"help import", "help", NULL, 1},
    {"artifact create --tag a=1 --tag b=2 x", "artifact create", NULL, 1},
    {"artifct list", NULL, "did you mean \"clade artifact\"", 0},
    {"create model x", NULL, "did you mean \"clade model create\"?", 0},
    {"list", NULL, "did you mean \"clade artifact list\" or \"clade experiment list\" or", 0},
    {"status", NULL, "did you mean \"clade cluster status\"?", 0},
    {"describe --json", NULL, "has no flag --json; did you mean -w json?", 0},
    {"-o json describe", NULL, "did you mean -w FORMAT?", 0},
    {"describe extra", NULL, "usage: clade describe", 0},
    {"artifact lst", NULL, "did you mean \"clade artifact list\"", 0},
    {"frobnicate", NULL, "clade help lists them", 0},
    {"artifact", NULL, "needs one more word", 0},
    {"cluster member", NULL, "needs one more word", 0},
    {"cluster leader transfr", NULL, "too many arguments", 0},
    {"cluster leader 2 transfer", NULL, "too many arguments", 0},
    {"cluster member remove", NULL, "too few arguments", 0},
    {"cluster member remove 4 --no-promote", NULL, "has no flag --no-promote", 0},
    {"artifact list --sizes 1", NULL, "has no flag --sizes", 0},
    {"artifact create --diggest a:b x", NULL, "did you mean --digest", 0},
    {"model create m --digest a:b", NULL, "has no flag --digest", 0},
    {"--digest a:b artifact create x", NULL, "before the command", 0},
    {"artifact list extra", NULL, "too many arguments", 0},
    {"artifact get", NULL, "too few arguments", 0},
    {"artifact list --limit", NULL, "--limit needs a value", 0},
    {"lineage up x --count=3", NULL, "takes no value", 0},
    {"artifact list --limit 1 --limit 2", NULL, "stands twice", 0},
    {"-x artifact list", NULL, "-x", 0},
    {"", NULL, "a command is missing", 0},
};

static void each_line_is_understood_or_refused_with_a_sentence(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char memory[256] = "";
        const char *words[WORDS_MAX];
        struct args args;
        struct error error = {0};
        memcpy(memory, rows[i].line, strlen(rows[i].line) + 1);
        int n = split(memory, words);
        int err = args_parse(n, words, &args, &error);
        if (rows[i].command != NULL) {
            if (err != 0) {
                fail_msg("%s: %s", rows[i].line, error.message);
            }
            assert_string_equal(args.command->name, rows[i].command);
            assert_int_equal(args.arguments_len, rows[i].arguments);
        } else {
            assert_int_equal(err, CLADE_ERR_INVALID);
            if (strstr(error.message, rows[i].complaint) == NULL) {
                fail_msg("%s: %s", rows[i].line, error.message);
            }
        }
        args_release(&args);
    }
}

static void the_same_flag_name_may_take_a_value_elsewhere(void **state)
{
    const char *words[] = {"clade", "bench", "create", "--count", "7", "--json"};
    struct args args;
    struct error error = {0};
    assert_int_equal(args_parse(6, words, &args, &error), 0);
    assert_string_equal(args_get(&args, FLAG_COUNT), "7");
    assert_true(args_has(&args, FLAG_JSON));
    assert_false(args_has(&args, FLAG_COUNT_ONLY));
    args_release(&args);
}

static void help_lifts_the_number_of_arguments(void **state)
{
    const char *words[] = {"clade", "artifact", "get", "--help"};
    struct args args;
    struct error error = {0};
    assert_int_equal(args_parse(4, words, &args, &error), 0);
    assert_true(args_has(&args, FLAG_HELP));
    args_release(&args);
}

static void every_command_has_a_summary_an_example_and_something_to_run(void **state)
{
    for (size_t i = 0; i < commands_len; i++) {
        const struct command *c = &commands[i];
        assert_true(c->summary[0] != '\0' && c->summary[strlen(c->summary) - 1] != '.');
        assert_non_null(c->examples[0]);
        assert_true(c->run != NULL);
        assert_ptr_equal(command_find(c->name), c);
        /* The next word of a command that begins another's name is not an argument. */
        assert_true(!command_is_group(c->name) || c->args_max == 0);
        for (const enum flag_id *id = c->flags; id != NULL && *id != FLAG_NONE; id++) {
            assert_non_null(flag_by_id(*id)->name);
            assert_true(*id > FLAG_GLOBAL_END);
        }
    }
}

static void distance_counts_edits_and_swaps(void **state)
{
    assert_int_equal(suggest_distance("", "abc"), 3);
    assert_int_equal(suggest_distance("abc", "abc"), 0);
    assert_int_equal(suggest_distance("acb", "abc"), 1);
    assert_int_equal(suggest_distance("lineag", "lineage"), 1);
    assert_int_equal(suggest_distance("kitten", "sitting"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_understood_or_refused_with_a_sentence),
        cmocka_unit_test(the_same_flag_name_may_take_a_value_elsewhere),
        cmocka_unit_test(help_lifts_the_number_of_arguments),
        cmocka_unit_test(every_command_has_a_summary_an_example_and_something_to_run),
        cmocka_unit_test(distance_counts_edits_and_swaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
