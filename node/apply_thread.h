#pragma once
/* The only writer of the store: takes committed entries from the queue, applies them in batches,
 * answers the clients of this node, commits, publishes. */
#include "node/node.h"

int apply_thread_new(struct node *n, struct apply_thread **ret, struct error *error);
/* After everything that it wakes exists. */
int apply_thread_start(struct apply_thread *a, struct error *error);
/* Finishes what is in the closed queue and waits for the thread. Accepts NULL. */
void apply_thread_stop(struct apply_thread *a);
void apply_thread_free(struct apply_thread *a);
