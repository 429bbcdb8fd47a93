#pragma once
/* What namespaces hold, and what they may hold.
 *
 * A command gathers what it adds to each namespace in memory and writes it once, at its end, to the
 * namespaces and all above them; so a quota judges the whole transaction, not its steps. README.md
 * says what is charged and when. */
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

/* What a thing counts, whatever its record looks like: its name, texts and keys; 8 for each number
 * and reference. The same content has the same bytes in every store. */
size_t usage_bytes(const struct thing *thing);
/* What an empty store holds: the namespace `default`. Returns 0 or a code. */
int usage_begin(struct rows *rows, const struct thing *ns);
/* Charges for a thing that was `before` (NULL: nothing) and is `after`. Returns 0 or a code, like
 * all below. */
int usage_thing(struct command *c, const struct thing *before, const struct thing *after);
/* Adds `by` to what is counted. */
int usage_add(struct command *c, uint64_t ns, unsigned what, int64_t by);
/* What the namespace itself holds, with what this command did so far. */
int usage_own(struct command *c, uint64_t ns, uint64_t ret[USE_COUNT]);
/* Keeps the list that store_rates reads, as a namespace was and is. */
int usage_rate(struct command *c, const struct thing *before, const struct thing *after);
/* Ends a command that succeeded so far: writes what it gathered. CLADE_ERR_QUOTA when a namespace
 * would hold more than it may, and more than before. */
int usage_settle(struct command *c);
