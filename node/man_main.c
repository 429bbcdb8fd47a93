/* claded_man: writes the manual page of claded; with "settings" the table of its settings for
 * docs/configuration.md. */
#include <string.h>

#include "node/config.h"
#include "node/help.h"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "settings") == 0) {
        config_print_table(stdout);
    } else {
        help_manual(stdout);
    }
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 1;
}
