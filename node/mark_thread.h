#pragma once
/* The thread that writes the log's mark (consensus/guard.h) when it is due: the raft loop does not
 * wait for it. */
#include "base/clock.h"
#include "base/error.h"

struct guard;
struct mark_thread;

/* On the system's clock, which must be the guard's too. */
int mark_thread_start(struct guard *guard, struct mark_thread **ret, struct error *error);
/* From guard_options.on_due. */
void mark_thread_due(struct mark_thread *t);
/* Once nothing acknowledges any more: writes what is not on disk and waits for the thread. Accepts
 * NULL. */
void mark_thread_stop(struct mark_thread *t);
