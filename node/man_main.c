/* claded_man: writes the manual page of claded. */
#include "node/help.h"

int main(void)
{
    help_manual(stdout);
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 1;
}
