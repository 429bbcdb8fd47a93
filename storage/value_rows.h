#pragma once
/* The rows of the table `values`, kept by commands and taken away by purging and compaction. All
 * return 0 or a code. */
#include "storage/command.h"
#include "storage/value_key.h"

/* Rows for what `t` has and `before` (NULL: nothing) had not; those of what went end. */
int values_follow(struct command *c, const struct thing *before, const struct thing *t);
/* A param that is new. */
int values_param(struct command *c, const struct thing *t, const struct text_pair *param);
/* The last value of a series is `now`; `before` (NULL: there was none) goes. Bits of doubles. */
int values_metric(struct command *c,
                  const struct thing *t,
                  struct span key,
                  uint64_t on,
                  const uint64_t *before,
                  uint64_t now);
/* An alias moves from a version to another; 0 = nowhere. Both are of the namespace. */
int values_alias(struct command *c, uint64_t ns, struct span alias, uint64_t from, uint64_t to);
/* The row of a thing that is there from the beginning. */
int values_begin(struct rows *rows, const struct thing *t);

/* Takes the rows of all that the thing has in its record away, whenever they were written. */
int values_forget(struct command *c, const struct thing *t);
/* Takes the rows away that a state has, which began at its `changed` revision. */
int values_erase_state(struct rows *rows, const struct thing *state);
/* Takes the rows away that ended at a revision, when the state `next` came after `was`. */
int values_erase_ended(struct rows *rows,
                       const struct thing *was,
                       const struct thing *next,
                       uint64_t ended);
/* Takes a row of what is gone for good away, if it is there. */
int values_erase_param(
    struct rows *rows, const struct thing *t, struct span key, struct span value, uint64_t began);
int values_erase_metric(
    struct rows *rows, const struct thing *t, struct span key, uint64_t on, uint64_t last);
int values_erase_alias(
    struct rows *rows, uint64_t ns, struct span alias, uint64_t version, uint64_t began);
