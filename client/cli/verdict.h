#pragma once
/* What replicas that were scanned at one index say of each other. */
#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"

enum verdict {
    VERDICT_NO_ANSWER,
    VERDICT_DAMAGED, /* by what it says itself: its rows are not what they should be */
    VERDICT_SAME,    /* as the majority; or all that answered are the same, and they are too few */
    VERDICT_DIFFERS, /* from the majority */
    VERDICT_UNKNOWN  /* there is no majority, and they differ */
};

struct replica {
    bool answered;
    bool is_sound;
    struct hash128 data;
    struct hash128 state;
    enum verdict verdict;
};

enum outcome {
    OUTCOME_SAME,      /* all of them */
    OUTCOME_DIFFERENT, /* a strict majority of all agrees, and some that answered are not with it */
    OUTCOME_UNDECIDED, /* some differ or are damaged, and no strict majority of all agrees */
    OUTCOME_INCOMPLETE /* nothing was found, but not all answered */
};

/* Fills in each one's verdict. *ret_agree: how many of them are the same. */
enum outcome verdict_of(struct replica *replicas, size_t len, size_t *ret_agree);
