#pragma once
/* Metrics and health over HTTP, on a thread of its own for each address: GET /metrics, /livez,
 * /readyz (?verbose). What it takes is bounded: 32 connections an address, 10 s for each that says
 * nothing, 16 KiB of a request. */
#include <sys/socket.h>

#include "node/node.h"

struct http;

/* Listens and answers at once, what the node cannot say yet excepted. CLADE_ERR_IO, _NO_MEMORY. */
int http_start(struct node *n,
               const struct sockaddr_storage *addresses,
               unsigned len,
               struct http **ret,
               struct error *error);
/* Waits for its threads. Accepts NULL. */
void http_stop(struct http *h);
