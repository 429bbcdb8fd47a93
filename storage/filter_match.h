#pragma once
/* Whether one thing is as a query says: what guards ask, and search will. */
#include "command/filter.h"
#include "storage/lookup.h"

struct matcher {
    struct view *view;
    struct arena *arena;  /* for what is looked up */
    uint64_t ns;          /* what plain references mean */
    uint64_t *steps_left; /* bytes that may be compared, about */
};

/* A comparison with a missing value is false, however it is written; NOT in front of one inverts
 * that. Returns 0, CLADE_ERR_LIMIT when no steps are left, or a fatal code. */
int match_thing(const struct matcher *m,
                const struct filter *filter,
                const struct thing *thing,
                bool *ret);
