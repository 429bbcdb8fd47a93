#pragma once
/* The thread that fills the store's lineage index: when the node starts, and when another store was
 * swapped in. */
#include "base/error.h"

struct lineage_thread;
struct store;

/* Fills at once. `store` outlives the thread. 0 or CLADE_ERR_NO_MEMORY. */
int lineage_thread_start(struct store *store, struct lineage_thread **ret, struct error *error);
/* The store is another one. Any thread; NULL is fine. */
void lineage_thread_wake(struct lineage_thread *t);
/* Logs what has become of the index since the last look. One thread; NULL is fine. */
void lineage_thread_look(struct lineage_thread *t);
/* Ends it in the midst of what it does, and frees it. Accepts NULL. */
void lineage_thread_stop(struct lineage_thread *t);
/* "ready" and so on, for status. */
const char *lineage_state_name(unsigned state);
