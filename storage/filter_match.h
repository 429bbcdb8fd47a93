#pragma once
/* Whether one thing is as a query says: what guards ask, and search will. */
#include "command/filter.h"
#include "storage/lookup.h"

/* Whether a thing stands in the relation of a FILTER_LINEAGE. 0 or a code. */
typedef int (*match_lineage)(void *arg,
                             const struct filter *filter,
                             const struct thing *thing,
                             bool *ret);

struct matcher {
    struct view *view;
    struct arena *arena;  /* for what is looked up */
    uint64_t ns;          /* what plain references mean */
    uint64_t *steps_left; /* bytes that may be compared, about */
    /* of searches */
    match_lineage lineage;
    void *lineage_arg;
    const struct field_value *edge; /* the props that edge.KEY means; NULL: none */
};

/* A comparison with a missing value is false, however it is written; NOT in front of one inverts
 * that. Returns 0, CLADE_ERR_LIMIT when no steps are left, or a fatal code. */
/* The value by which a thing stands in an order: the first of the key's values, as value_key.h has
 * it; len 0 when it has none. The same outcomes. */
struct value_code;
int match_value(const struct matcher *m,
                const struct filter *key,
                const struct thing *thing,
                struct value_code *ret);
/* The same as text for people, in the arena; len 0 when there is none. */
int match_value_text(const struct matcher *m,
                     const struct filter *key,
                     const struct thing *thing,
                     struct span *ret);
int match_thing(const struct matcher *m,
                const struct filter *filter,
                const struct thing *thing,
                bool *ret);
