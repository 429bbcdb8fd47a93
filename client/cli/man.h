#pragma once
/* Manual pages, from the tables that --help shows. */
#include <stdio.h>

#include "cli/commands.h"

/* clade(1): all commands, the flags that each has, settings, exit codes. */
void man_clade(FILE *stream);
/* clade-COMMAND(1) */
void man_command(FILE *stream, const struct command *c);
/* clade-config(5): the settings file. */
void man_config(FILE *stream);
/* clade-concepts(7): the words that a user meets. */
void man_concepts(FILE *stream);

#define MAN_NAME_BYTES 128

/* "clade-artifact-create" */
void man_name(const struct command *c, char ret[MAN_NAME_BYTES]);
