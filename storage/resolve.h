#pragma once
/* References of commands and queries to the things that they mean. */
#include "command/reference.h"
#include "storage/lookup.h"

/* What references mean where no operation of a transaction is among them. */
struct resolver {
    struct view *view;
    struct arena *arena;
    uint64_t ns;    /* what plain references mean */
    bool any_state; /* also things that are deleted; else those are NOT_FOUND */
};

/* Returns 0 or CLADE_ERR_NOT_FOUND, _INVALID with a sentence, or a fatal code. Never 1. */
int resolve(const struct resolver *r, const struct ref *ref, struct thing **ret);
