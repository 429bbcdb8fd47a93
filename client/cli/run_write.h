#pragma once
/* Commands that are one transaction of a few operations. */
#include "cli/cli.h"

#define RUN_WRITE_OPS_MAX 64

struct run_write {
    struct clade_txn *txn;                 /* with the reason that was given */
    struct cli_list memory;                /* of what is built of arguments */
    const char *labels[RUN_WRITE_OPS_MAX]; /* what each operation is about, for a person; NULL =
                                             what its result says */
};

/* An exit code; run_write_end in any case. */
int run_write_init(struct cli *cli, struct run_write *w);
/* Sends it when `code` is EXIT_DONE, shows what it did or why not, releases it. An exit code. */
int run_write_end(struct cli *cli, struct run_write *w, int code);
/* What operation `op` is about: `before` and `text`. */
void run_write_label(struct run_write *w, uint32_t op, const char *before, const char *text);
/* --expect N or unset, for the alias that the last operation moves. False after a usage error. */
bool run_write_expect(struct cli *cli, struct clade_txn *txn);
