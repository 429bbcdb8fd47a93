#pragma once
/* What the commands that follow edges share. */
#include "cli/cli.h"
#include "cli/graph.h"

/* --depth; 0 = no bound. An exit code. */
int walk_depth(struct cli *cli, uint32_t *ret);
/* A flag's parts, NULL when it is not given; `memory` owns them. An exit code. */
int walk_names(struct cli *cli,
               enum flag_id flag,
               struct cli_list *memory,
               const char *const **ret);
/* --tree and --dot and -w, of which one may be given. An exit code. */
int walk_check_format(struct cli *cli);
/* Adds the things of a path and the edges between them; `down`: each was made from the one before.
 * `note` is of the last. False when memory is out. */
bool walk_add_path(struct graph *g, const struct clade_value *steps, bool down, struct span note);
/* As --tree or --dot says. An exit code. */
int walk_write(struct cli *cli, struct graph *g, const char *name);
