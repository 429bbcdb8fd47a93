#pragma once
/* How fast namespaces may be written to: the leader asks before it proposes. A namespace that
 * bounds its writes has a bucket that fills with so many operations a second, and holds one
 * second's worth. A transaction takes one for each of its operations, from its namespace and from
 * all above it, or from none; it passes while each has something, so a long one passes too, and
 * those after it wait longer. Times are microseconds of the monotonic clock. */
#include "storage/entry.h"
#include "storage/store.h"

struct throttle;

struct throttle *throttle_new(void); /* NULL when memory is out */
void throttle_free(struct throttle *t);

/* Takes what the namespaces say now; those that said it before keep what is in their buckets. Any
 * thread. Returns 0 or a disk error; with no memory what was known stays. */
int throttle_refresh(struct throttle *t, struct store *store, struct error *error);
/* Whether the item, an encoded one, may be proposed: 0, or CLADE_ERR_THROTTLED with a sentence and
 * retry_ms. Any thread. */
int throttle_admit(struct throttle *t, struct span item, uint64_t now_us, struct error *error);
