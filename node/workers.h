#pragma once
/* Threads that answer long queries. Each connection has a lane; the workers go round the lanes,
 * and one lane runs only so many at once, so that no client can take them all. */
#include "node/node.h"

struct lane;
struct job;
struct request;
struct workers;

int workers_new(struct node *n, unsigned threads, struct workers **ret, struct error *error);
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
