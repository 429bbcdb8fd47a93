#pragma once
/* Addresses as text: "HOST:PORT", "[IPV6]:PORT". */
#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"

#define ADDRESS_HOST_BYTES 256
#define ADDRESS_PORT_BYTES 8

struct address {
    char host[ADDRESS_HOST_BYTES]; /* without brackets */
    char port[ADDRESS_PORT_BYTES]; /* decimal, 0 to 65535 */
};

/* CLADE_ERR_INVALID with what is wrong. */
int address_parse(const char *text, struct address *ret, struct error *error);
/* getaddrinfo: blocks for a name, not for a numeric host. CLADE_ERR_NOT_FOUND when there is no
 * such name. */
int address_resolve(const struct address *a, struct sockaddr_storage *ret, struct error *error);
bool address_is_wildcard(const struct sockaddr_storage *a);
/* Whether the host is written as a number, so that resolving can not block. */
bool address_is_numeric(const struct address *a);
