#include "node/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A path, or with '@' in front a name of the abstract namespace. */
static int set_address(struct notify *n, const char *name, struct error *error)
{
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof n->to.sun_path) {
        return error_set(error, CLADE_ERR_INVALID, "environment NOTIFY_SOCKET",
                         "'%.100s' is neither a path nor an abstract name of at most %zu bytes; "
                         "unset it where no service manager started this",
                         name, sizeof n->to.sun_path - 1);
    }
    n->to.sun_family = AF_UNIX;
    memcpy(n->to.sun_path, name, len);
    if (name[0] == '@') {
        n->to.sun_path[0] = 0;
    }
    n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return 0;
}

static int read_number(const char *variable, uint64_t *ret, struct error *error)
{
    const char *text = getenv(variable);
    char *end;
    if (text == NULL) {
        return 0;
    }
    errno = 0;
    uint64_t v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != 0 || errno != 0) {
        char where[64];
        (void)snprintf(where, sizeof where, "environment %s", variable);
        return error_set(error, CLADE_ERR_INVALID, where, "'%.32s' is not a number", text);
    }
    *ret = v;
    return 0;
}

/* The watchdog is another process's where WATCHDOG_PID says so. */
static int read_watchdog(struct notify *n, struct error *error)
{
    uint64_t pid = (uint64_t)getpid();
    int r = read_number("WATCHDOG_PID", &pid, error);
    if (r == 0) {
        r = read_number("WATCHDOG_USEC", &n->watchdog_us, error);
    }
    if (r == 0 && pid != (uint64_t)getpid()) {
        n->watchdog_us = 0;
    }
    return r;
}

int notify_open(struct notify *n, struct error *error)
{
    *n = (struct notify){.fd = -1};
    const char *name = getenv("NOTIFY_SOCKET");
    if (name == NULL || name[0] == 0) {
        return 0;
    }
    int r = set_address(n, name, error);
    if (r == 0) {
        r = read_watchdog(n, error);
    }
    if (r < 0) {
        return r;
    }
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return n->fd >= 0 ? 0
                      : error_set(error, CLADE_ERR_IO, "environment NOTIFY_SOCKET",
                                  "no socket can be made: %s", strerror(errno));
}

void notify_close(struct notify *n)
{
    if (n->fd >= 0) {
        (void)close(n->fd);
    }
    n->fd = -1;
}

bool notify_send(const struct notify *n, const char *lines)
{
    return n->fd < 0 || sendto(n->fd, lines, strlen(lines), MSG_NOSIGNAL | MSG_DONTWAIT,
                               (const struct sockaddr *)&n->to, n->to_len) >= 0;
}
