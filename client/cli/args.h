#pragma once
/* The words of a command line, sorted into a command, its flags and its arguments. */
#include "base/error.h"
#include "cli/commands.h"

struct args_flag {
    enum flag_id id;
    const char *value; /* NULL for a switch; borrows from argv */
};

struct args {
    const struct command *command; /* NULL when none was named */
    char words[64];                /* the command's words so far, joined by a space */
    struct args_flag *flags;       /* in the order given */
    size_t flags_len;
    const char **arguments; /* without the command's words; borrow from argv */
    size_t arguments_len;
};

/* Parses argv[1] and on. Flags may stand anywhere; "--" ends them; a "-" is an argument. Unknown
 * commands and flags, flags of another command, missing values and wrong numbers of arguments
 * are CLADE_ERR_INVALID with a sentence; `--help` and `--version` lift the last of these. On
 * failure *args still holds what was understood; release it in any case. */
int args_parse(int argc, const char *const argv[], struct args *args, struct error *error);
void args_release(struct args *args);

/* The last value given; NULL when the flag was not given. A switch that was given is "". */
const char *args_get(const struct args *args, enum flag_id id);
bool args_has(const struct args *args, enum flag_id id);
