#include "consensus/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

static bool port_is_sound(const char *port)
{
    size_t len = strlen(port);
    return len > 0 && len < 6 && strspn(port, "0123456789") == len &&
           strtoul(port, NULL, 10) <= 65535;
}

int address_parse(const char *text, struct address *ret, struct error *error)
{
    const char *host = text;
    const char *colon = strrchr(text, ':');
    size_t host_len = colon == NULL ? 0 : (size_t)(colon - text);
    if (text[0] == '[' && host_len >= 2 && text[host_len - 1] == ']') {
        host = text + 1;
        host_len -= 2;
    } else if (colon != NULL && memchr(text, ':', host_len) != NULL) {
        return error_set(error, CLADE_ERR_INVALID, NULL,
                         "\"%s\": write an IPv6 address in brackets, [ADDRESS]:PORT", text);
    }
    if (colon == NULL || host_len == 0 || host_len >= sizeof ret->host ||
        !port_is_sound(colon + 1)) {
        return error_set(error, CLADE_ERR_INVALID, NULL,
                         "\"%s\" is not an address; expected HOST:PORT or [IPV6]:PORT", text);
    }
    *ret = (struct address){0};
    memcpy(ret->host, host, host_len);
    memcpy(ret->port, colon + 1, strlen(colon + 1));
    return 0;
}

static int look_up(const struct address *a, int flags, struct sockaddr_storage *ret)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int rv = getaddrinfo(a->host, a->port, &hints, &found);
    if (rv == 0) {
        *ret = (struct sockaddr_storage){0};
        memcpy(ret, found->ai_addr, found->ai_addrlen);
        freeaddrinfo(found);
    }
    return rv;
}

int address_resolve(const struct address *a, struct sockaddr_storage *ret, struct error *error)
{
    int rv = look_up(a, 0, ret);
    if (rv != 0) {
        return error_set(error, CLADE_ERR_NOT_FOUND, a->host, "resolving the name: %s",
                         gai_strerror(rv));
    }
    return 0;
}

bool address_is_numeric(const struct address *a)
{
    struct sockaddr_storage ignored;
    return look_up(a, AI_NUMERICHOST, &ignored) == 0;
}

bool address_is_wildcard(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET) {
        return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr == htonl(INADDR_ANY);
    }
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)a;
    return memcmp(&six->sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
}
