#include "node/endpoint.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

bool endpoint_split(const char *text, char *ret_host, size_t host_bytes, char ret_port[8])
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == 0 || strlen(colon + 1) > 5) {
        return false;
    }
    const char *host = text;
    size_t n = (size_t)(colon - text);
    if (host[0] == '[' && n > 2 && host[n - 1] == ']') {
        host++;
        n -= 2;
    } else if (memchr(host, ':', n) != NULL) {
        return false; /* an IPv6 address without brackets */
    }
    if (n >= host_bytes) {
        return false;
    }
    memcpy(ret_host, host, n);
    ret_host[n] = 0;
    memcpy(ret_port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static bool is_there(const struct sockaddr_storage *all,
                     int n,
                     const struct sockaddr *one,
                     socklen_t len)
{
    for (int i = 0; i < n; i++) {
        if (endpoint_len(&all[i]) == len && memcmp(&all[i], one, len) == 0) {
            return true;
        }
    }
    return false;
}

int endpoint_resolve(const char *text,
                     struct sockaddr_storage ret[ENDPOINTS_MAX],
                     struct error *error)
{
    char host[256];
    char port[8];
    if (!endpoint_split(text, host, sizeof host, port)) {
        return error_set(error, CLADE_ERR_INVALID, text,
                         "not an address; expected HOST:PORT or [IPV6]:PORT");
    }
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int e = getaddrinfo(host, port, &hints, &found);
    if (e != 0) {
        return error_set(error, CLADE_ERR_NOT_FOUND, text, "cannot be resolved: %s",
                         gai_strerror(e));
    }
    int n = 0;
    for (const struct addrinfo *a = found; a != NULL && n < ENDPOINTS_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof *ret || is_there(ret, n, a->ai_addr, a->ai_addrlen)) {
            continue;
        }
        memset(&ret[n], 0, sizeof *ret);
        memcpy(&ret[n], a->ai_addr, a->ai_addrlen);
        n++;
    }
    freeaddrinfo(found);
    if (n == 0) {
        return error_set(error, CLADE_ERR_NOT_FOUND, text, "the name has no address");
    }
    return n;
}

bool endpoint_is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->ss_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
    }
    return false;
}

socklen_t endpoint_len(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}
