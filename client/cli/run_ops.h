#pragma once
/* Commands that do one operation to each of their arguments. */
#include "cli/cli.h"

/* Adds the operation for one name or reference; NULL is a create without a name. An exit code. */
typedef int (*add_op)(struct cli *cli, struct clade_txn *txn, const char *name);

/* Runs it for the arguments (resp. the lines of stdin), many to a transaction, and shows the
 * results. `ref_kind`: what a plain name means, NULL = names stay as they are. An exit code. */
int run_ops(struct cli *cli, const char *ref_kind, add_op add);
/* The fields that flags give, for the transaction's current operation; false after saying what is
 * wrong. */
bool run_ops_set_fields(struct cli *cli, struct clade_txn *txn);
