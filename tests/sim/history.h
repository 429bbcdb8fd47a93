#pragma once
/* What happened to one register, as its clients saw it, and whether it is linearizable: whether
 * each operation can have taken effect at one moment between its beginning and its end, so that all
 * of them, in the order of those moments, are what one register would have answered. The search is
 * Wing and Gong's (1993) with Lowe's memory of states seen (2017). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_OPERATIONS_MAX 1024
#define HISTORY_NEVER          UINT32_MAX

enum register_op {
    REGISTER_READ,   /* found `value` */
    REGISTER_WRITE,  /* of `value` */
    REGISTER_SWAP,   /* `value` in place of `expected`, which stood there */
    REGISTER_NO_SWAP /* `expected` did not stand there */
};

struct operation {
    enum register_op op;
    uint64_t value;
    uint64_t expected;
    uint32_t begin; /* moments, counted up by every beginning and end */
    uint32_t end;   /* HISTORY_NEVER: it is not known whether it took effect */
};

struct history {
    struct operation operations[HISTORY_OPERATIONS_MAX];
    size_t len;
    uint32_t moment;
    bool is_full; /* more began than fit: what follows is not recorded */
};

enum history_verdict { HISTORY_GOOD, HISTORY_BAD, HISTORY_UNDECIDED };

/* Begins an operation; returns its number, or -1 when it is not recorded. */
int history_begin(struct history *h, enum register_op op, uint64_t value, uint64_t expected);
/* What a read found, whether a swap was one. */
void history_end(struct history *h, int number, enum register_op op, uint64_t value);
/* It had no effect, for certain: as if it had never begun. */
void history_drop(struct history *h, int number);
/* From a register that holds `initial`. Values are written once each, so the search is short;
 * UNDECIDED when it is not. Operations without an end must be writes or swaps. */
enum history_verdict history_check(const struct history *h, uint64_t initial);
