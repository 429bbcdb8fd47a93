#pragma once
/* Threads that answer queries which are not surely short. One is quick: it gives a query a slice of
 * time and, when that was not enough, leaves it to the slow ones, who begin it again without a
 * bound and run at a lower priority. So what is quick is answered however many slow queries there
 * are. A lane remembers which sorts of its queries were slow: the next of that sort begins with the
 * slow ones, until one is quick there.
 *
 * Each connection has a lane; the threads go round the lanes, and one lane has only so many of the
 * slow threads at once, so that no client can take them all. */
#include "node/node.h"

struct lane;
struct job;
struct request;
struct workers;

/* `slow` threads and a quick one. */
int workers_new(struct node *n, unsigned slow, struct workers **ret, struct error *error);
int workers_start(struct workers *w, struct error *error);
/* Lets running queries end. Accepts NULL. Queues must be empty. */
void workers_stop(struct workers *w);
void workers_free(struct workers *w);

/* Jobs that wait. Any thread. */
unsigned workers_queued(struct workers *w);

void lane_init(struct lane *lane);
/* Hands the job over; it comes back through its `done`. False when the queue is full. */
bool workers_submit(struct workers *w, struct job *job);
/* True: it was still queued and is the caller's again. False: it runs and comes back, soon when
 * `interrupt`. */
bool workers_cancel(struct workers *w, struct request *r, bool interrupt);
