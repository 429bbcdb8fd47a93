#pragma once
/* Props and the fields of types, as flags write them. */
#include "cli/cli.h"

/* KEY=VALUE, the value being what JSON takes it for (a number, true, false, an array, an object of
 * the protocol), else a string; or KEY:TYPE=VALUE, where a list is separated by commas. Adds it to
 * the transaction's current operation; false after a usage error. */
bool props_add(struct cli *cli, struct clade_txn *txn, const char *text);
/* NAME:TYPE[,required][,fixed][,indexed][,unit=UNIT]. */
bool props_add_field(struct cli *cli, struct clade_txn *txn, const char *text);
