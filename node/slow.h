#pragma once
/* Requests that take longer than slow_request_ms are logged, with how long they waited, how long
 * they ran, and what they did: the plan of a search, how far a walk went. What was compared with,
 * and what was written, is left out. */
#include <stdbool.h>

#include "node/node.h"

struct request;

#define SLOW_LINES_A_SECOND 10 /* of a serving thread */

/* How many lines may be written. Zeroed memory is a fresh one. */
struct slow_limit {
    uint64_t second_us; /* when it began */
    unsigned lines;     /* since then */
    uint64_t left_out;  /* since the last line */
};

/* Whether one more may be; if so, *ret_left_out is how many were not since the last that was. */
bool slow_limit_take(struct slow_limit *limit, uint64_t now_us, uint64_t *ret_left_out);

/* The setting in microseconds; UINT64_MAX when no request is slow. */
static inline uint64_t slow_request_us(const struct node *n)
{
    uint64_t ms = config_now(n->config->slow_request_ms);
    return ms == 0 ? UINT64_MAX : ms * 1000;
}

/* On the request's serving thread, as it is answered with that code, which took so long. */
void slow_log(const struct request *r, int code, uint64_t took_us);
