/* What the exit status tells a service manager. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <clade.h>
#include <cmocka.h>

#include "node/exit_status.h"

static void what_a_restart_does_not_change_is_told_apart(void **state)
{
    static const struct {
        int code;
        enum exit_status status;
    } rows[] = {
        {CLADE_ERR_CORRUPT, EXIT_UNFIT},     /* damage */
        {CLADE_ERR_UNSUPPORTED, EXIT_UNFIT}, /* made by a newer version */
        {CLADE_ERR_CONFLICT, EXIT_UNFIT},    /* of a node that was removed */
        {CLADE_ERR_INVALID, EXIT_USAGE},     /* a setting */
        {CLADE_ERR_IO, EXIT_FAILED},         /* a port in use, a failed sync */
        {CLADE_ERR_NOT_FOUND, EXIT_FAILED},  /* a name that is not resolved yet */
        {CLADE_ERR_IN_USE, EXIT_FAILED},     /* the process before it has not ended yet */
        {CLADE_ERR_NO_MEMORY, EXIT_FAILED},  {CLADE_ERR_NO_SPACE, EXIT_FAILED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(exit_status_of(rows[i].code), rows[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_restart_does_not_change_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
