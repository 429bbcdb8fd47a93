#pragma once
/* The commands: one static table that parsing, --help and usage errors read. */
#include <stddef.h>

#include "cli/flags.h"

struct cli;

#define COMMAND_ARGS_ANY 0xffffffffu

struct command {
    const char *name;          /* its words, joined by a space: "artifact create" */
    const char *arguments;     /* as usage shows them; "" when there are none */
    const char *summary;       /* one sentence without a full stop */
    const char *details;       /* more for --help; NULL when there is none */
    const enum flag_id *flags; /* its own, FLAG_NONE-terminated; NULL = none */
    unsigned args_min;
    unsigned args_max;
    const char *const *examples; /* NULL-terminated */
    const char *subject;         /* for `run`: the kind, the direction; NULL when it needs none */
    int (*run)(struct cli *cli); /* returns the exit code */
};

extern const struct command commands[];
extern const size_t commands_len;

/* The command with exactly this name; NULL when there is none. */
const struct command *command_find(const char *name);
/* Whether a command's name begins with these words ("cluster", "cluster leader"). */
bool command_is_group(const char *words);
