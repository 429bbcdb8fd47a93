#pragma once
/* HOST:PORT as text, resolved. The calls that resolve block: for boot and the resolver's thread. */
#include <sys/socket.h>

#include "base/error.h"
#include "base/span.h"

#define ENDPOINTS_MAX 8

/* Splits "HOST:PORT" or "[IPV6]:PORT". False when it is neither, or does not fit. */
bool endpoint_split(const char *text, char *ret_host, size_t host_bytes, char ret_port[8]);
/* All addresses of a name, without doubles. Returns how many, or CLADE_ERR_INVALID (not
 * HOST:PORT), CLADE_ERR_NOT_FOUND. */
int endpoint_resolve(const char *text,
                     struct sockaddr_storage ret[ENDPOINTS_MAX],
                     struct error *error);
bool endpoint_is_loopback(const struct sockaddr_storage *address);
socklen_t endpoint_len(const struct sockaddr_storage *address);
