#pragma once
/* What changed of things, as paragraphs for a person: history, watch and audit. */
#include "cli/cli.h"

/* "revision 12  2026-03-01 12:00:00  ann  changed  because" */
void show_change_head(struct cli *cli, const struct clade_value *item);
/* A line for each field, edge and alias that changed. */
void show_change_parts(struct cli *cli, const struct clade_value *item);
