#pragma once
/* Namespaces as a tree of paths: `a/b` stands under `a`, and what a namespace does not say itself
 * it inherits. */
#include "storage/command.h"

/* The namespace that a path stands under: NAMESPACE_ROOT when it has one segment. Returns 0, 1 when
 * there is none (which only a deleted namespace may see), or a negative code. */
int namespace_parent(struct view *v, struct arena *arena, struct span path, uint64_t *ret);
/* The namespace `ns`, or the nearest above it, that has the field. Returns 0, 1 when none says it,
 * or a negative code. */
int namespace_find(
    struct view *v, struct arena *arena, uint64_t ns, enum field_code field, struct thing **ret);

/* Gives a new thing, whose fields are written, what its namespace and those above it say by
 * `defaults` and it does not say itself; the nearest has the word. Returns 0 or a code. */
int namespace_defaults(struct command *c, struct thing *new);
