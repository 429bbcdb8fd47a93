#pragma once
/* Help, written from the table of commands. */
#include "cli/cli.h"

/* For one who typed nothing: what commands begin with, and where to go on. */
void help_brief(FILE *stream);
/* All commands. */
void help_all(struct cli *cli, FILE *stream);
/* One command: usage, flags, examples. */
void help_command(struct cli *cli, FILE *stream, const struct command *command);
/* The commands whose names begin with these words. */
void help_group(struct cli *cli, FILE *stream, const char *words);
