#pragma once
/* What namespaces hold, and what they may hold.
 *
 * A command gathers what it adds to each namespace in memory and writes it once, at its end, to the
 * namespaces and all above them; so a quota judges the whole transaction, not its steps. README.md
 * says what is charged and when. */
#include "storage/usage_row.h"

/* Charges for a thing that was `before` (NULL: nothing) and is `after`. Returns 0 or a code, like
 * all below. */
int usage_thing(struct command *c, const struct thing *before, const struct thing *after);
/* Charges for params and points that were added to a live thing. */
int usage_logged(struct command *c, const struct thing *thing, uint64_t bytes);
/* Adds `by` to what is counted. */
int usage_add(struct command *c, uint64_t ns, unsigned what, int64_t by);
/* Takes bytes from the namespace and those above it at once, outside any command. */
int usage_take_bytes(struct rows *rows, struct arena *scratch, uint64_t ns, uint64_t bytes);
/* What the namespace itself holds, with what this command did so far. */
int usage_own(struct command *c, uint64_t ns, uint64_t ret[USE_COUNT]);
/* Ends a command that succeeded so far: writes what it gathered. CLADE_ERR_QUOTA when a namespace
 * would hold more than it may, and more than before. */
int usage_settle(struct command *c);
