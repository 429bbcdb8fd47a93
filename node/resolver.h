#pragma once
/* Names to addresses on a thread of its own: libuv's pool carries the log's disk work. The queue
 * holds at most one request for each member that consensus asks about. */
#include "consensus/peers.h"
#include "node/mailbox.h"

struct resolver;

/* Answers go to `reply`, a mailbox of letters on the loop that asks. Starts the thread. */
int resolver_new(struct mailbox *reply, struct resolver **ret, struct error *error);
struct peers_resolver *resolver_face(struct resolver *r);
/* Stops the thread; what waits is dropped. Accepts NULL. */
void resolver_free(struct resolver *r);
