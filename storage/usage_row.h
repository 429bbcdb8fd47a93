#pragma once
/* The rows of the table `usage`: what namespaces hold, what hangs on models and experiments, and
 * how fast namespaces may be written to. Functions return 0 or a code unless they say otherwise. */
#include "storage/command.h"

/* What is counted: the kinds of things by their numbers, and these. */
enum { USE_BYTES = 0, USE_EDGES = KIND_COUNT, USE_COUNT };

struct usage {
    uint64_t own[USE_COUNT];
    uint64_t all[USE_COUNT]; /* with what is in the namespaces under it */
};

/* Things of all kinds. */
uint64_t usage_things(const uint64_t counts[USE_COUNT]);
/* What a namespace holds, as of now; nothing is zeros. NAMESPACE_ROOT's `all` is the whole store.
 * Returns 0 or a negative code. */
int usage_of(struct view *v, uint64_t ns, struct usage *ret);

/* What hangs on a model or an experiment from one namespace. */
struct dependents {
    uint64_t things; /* not deleted themselves */
    uint64_t bytes;  /* of them */
    uint64_t kept;   /* not purged */
};
/* Things of any namespace that hang on `holder` and are not purged. Returns 0 or a code. */
int usage_kept(struct view *v, uint64_t holder, uint64_t *ret);

/* What a thing counts, whatever its record looks like: its name, texts and keys; 8 for each number,
 * boolean and reference; for a stage of a list and for a declared field its texts and 8; 16 for a
 * target. The same content has the same bytes in every store. */
size_t usage_bytes(const struct thing *thing);
/* The same for props. */
size_t usage_props_bytes(const struct field_value *props);
/* What an empty store holds: the namespace `default`. Returns 0 or a code. */
int usage_begin(struct rows *rows, const struct thing *ns);
#define USAGE_ROW_BYTES_MAX 1024
int usage_put(struct rows *rows, struct buffer *row, uint64_t ns, const struct usage *usage);
/* *number += by; damage when it would fall below zero. */
int usage_add_to(struct view *v, const struct key *key, uint64_t *number, int64_t by);

/* Adds to what hangs on `holder` from the namespace. */
int dependents_add(
    struct command *c, uint64_t holder, uint64_t ns, int64_t things, int64_t bytes, int64_t kept);
/* The first row of what hangs on `holder`, of `from` or a namespace above it in number: 0, 1 when
 * there is none, or a code. */
int dependents_next(
    struct view *v, uint64_t holder, uint64_t from, uint64_t *ret_ns, struct dependents *ret);

/* Keeps the list that store_rates reads, as a namespace was (NULL: not at all) and is. */
int rate_note(struct command *c, const struct thing *before, const struct thing *after);
