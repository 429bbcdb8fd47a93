/* What replicas say of each other, as a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/verdict.h"

/* A letter for each replica: its data ('a', 'b', ...), '!' one that is unsound by what it says
 * itself, '.' one that did not answer. Verdicts: '=' same, 'x' differs, '!' damaged, '.' no answer,
 * '?' unknown. */
static const struct {
    const char *sentence;
    const char *replicas;
    enum outcome outcome;
    size_t agree;
    const char *verdicts;
} rows[] = {
    {"all are the same", "aaa", OUTCOME_SAME, 3, "==="},
    {"one alone is the same as itself", "a", OUTCOME_SAME, 1, "="},
    {"one differs from a majority", "aba", OUTCOME_DIFFERENT, 2, "=x="},
    {"the majority need not come first", "baa", OUTCOME_DIFFERENT, 2, "x=="},
    {"one is damaged, and the others agree", "a!a", OUTCOME_DIFFERENT, 2, "=!="},
    {"three ways to differ", "abc", OUTCOME_UNDECIDED, 1, "???"},
    {"two that differ have no majority", "ab", OUTCOME_UNDECIDED, 1, "??"},
    {"two of five agree, which is none", "aabcd", OUTCOME_UNDECIDED, 2, "?????"},
    {"three of five agree", "aabca", OUTCOME_DIFFERENT, 3, "==xx="},
    {"a half of four is no majority", "aabb", OUTCOME_UNDECIDED, 2, "????"},
    {"one did not answer", "a.a", OUTCOME_INCOMPLETE, 2, "=.="},
    {"most did not answer", "a..", OUTCOME_INCOMPLETE, 1, "=.."},
    {"nobody answered", "...", OUTCOME_INCOMPLETE, 0, "..."},
    {"one did not answer, and two differ", "a.b", OUTCOME_UNDECIDED, 1, "?.?"},
    {"one did not answer, one is damaged", "a.!", OUTCOME_UNDECIDED, 1, "?.!"},
    {"all are damaged", "!!!", OUTCOME_UNDECIDED, 0, "!!!"},
    {"no nodes", "", OUTCOME_INCOMPLETE, 0, ""},
};

static void a_majority_decides_and_what_is_missing_is_said(void **state)
{
    static const char letters[] = {[VERDICT_NO_ANSWER] = '.',
                                   [VERDICT_DAMAGED] = '!',
                                   [VERDICT_SAME] = '=',
                                   [VERDICT_DIFFERS] = 'x',
                                   [VERDICT_UNKNOWN] = '?'};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct replica replicas[8] = {{.answered = false}};
        char verdicts[9] = "";
        size_t len = 0;
        size_t agree = 99;
        print_message("%s\n", rows[i].sentence);
        for (const char *c = rows[i].replicas; *c != 0; c++) {
            replicas[len++] = (struct replica){.answered = *c != '.',
                                               .is_sound = *c != '.' && *c != '!',
                                               .data = {.low = (uint64_t)*c}};
        }
        assert_int_equal(verdict_of(replicas, len, &agree), rows[i].outcome);
        assert_int_equal(agree, rows[i].agree);
        for (size_t k = 0; k < len; k++) {
            verdicts[k] = letters[replicas[k].verdict];
        }
        assert_string_equal(verdicts, rows[i].verdicts);
    }
}

static void data_that_are_equal_with_another_state_differ(void **state)
{
    struct replica r[3] = {{.answered = true, .is_sound = true},
                           {.answered = true, .is_sound = true},
                           {.answered = true, .is_sound = true, .state = {.high = 1}}};
    size_t agree;
    assert_int_equal(verdict_of(r, 3, &agree), OUTCOME_DIFFERENT);
    assert_int_equal(r[2].verdict, VERDICT_DIFFERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_majority_decides_and_what_is_missing_is_said),
        cmocka_unit_test(data_that_are_equal_with_another_state_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
