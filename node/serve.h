#pragma once
/* A serving thread: client connections on a libuv loop of its own. */
#include <sys/socket.h>

#include "node/answers.h"
#include "node/node.h"

struct request;
struct request_metrics;

/* Makes the thread's loop and reader; nothing runs yet. */
int serve_new(struct node *n, unsigned index, struct serve **ret, struct error *error);
/* Binds and listens; connections are handed to all serving threads in turn. */
int serve_listen(struct serve *s,
                 const struct sockaddr_storage *addresses,
                 unsigned n,
                 struct error *error);
int serve_start(struct serve *s, struct error *error);

/* Any thread: */
void serve_stop_accepting(struct serve *s);
/* Takes no more requests, finishes those in flight, for at most timeout_ms, and ends. */
void serve_drain(struct serve *s, unsigned timeout_ms);
/* Waits for the end that serve_drain began. Accepts NULL. */
void serve_join(struct serve *s);
void serve_free(struct serve *s);

/* Any thread: what it counts, and its last sign of life (0 = none yet). */
const struct request_metrics *serve_metrics(const struct serve *s);
const _Atomic uint64_t *serve_beat_us(const struct serve *s);

/* From the raft loop: a proposal came to nothing, a ticket has its index (code 0) or none. */
void serve_refused(struct serve *s, uint64_t key, const struct error *error);
void serve_read_index(struct serve *s, uint64_t ticket, int code, uint64_t index);
/* From the apply thread: takes the answers; something was published. */
void serve_answered(struct serve *s, struct answers *answers);
void serve_published(struct serve *s);
/* From a query worker: the request is done, its result in it. */
void serve_query_done(struct serve *s, struct request *r);
