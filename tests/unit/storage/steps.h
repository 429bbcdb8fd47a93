#pragma once
/* Tables of transactions, each on the store that those before it made. */
#include "fixture.h"

struct step {
    const char *why;
    const char *command;
    int code;          /* 0 or CLADE_ERR_* */
    uint64_t revision; /* after it */
    const char *want;  /* code 0: the body; else the error's `where` */
};

/* Runs them in order: code, revision and body or `where` are what the row says, what is refused
 * changes no digest, and at the end every row of the store is whole. */
void run_steps(struct fixture *f, const struct step *steps, size_t n);

#define RUN(f, steps) run_steps(f, steps, sizeof(steps) / sizeof *(steps))
