#pragma once
/* The stages that a version may be in. */
#include "command/stage.h"
#include "storage/lookup.h"

struct stage_list {
    struct stage stages[CLADE_MAX_STAGES]; /* the names live in the arena */
    size_t len;
};

/* The list of a namespace: its own, else that of the nearest parent that has one, else the
 * default. Never 1. */
int stages_of(struct view *v, struct arena *arena, uint64_t ns, struct stage_list *ret);
/* NULL when it is not listed. */
const struct stage *stages_find(const struct stage_list *list, struct span name);
/* Where a version is; STAGE_NONE when it has no stage. */
struct span stage_of(const struct thing *version);
