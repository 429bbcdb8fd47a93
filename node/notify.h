#pragma once
/* What a service manager is told (sd_notify(3)): datagrams of KEY=VALUE lines to the socket that
 * $NOTIFY_SOCKET names. The protocol is a page long and promised to stay as it is, so it stands
 * here and the daemon does without libsystemd. */
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"

struct notify {
    int fd; /* -1: nobody is to be told */
    struct sockaddr_un to;
    socklen_t to_len;
    uint64_t watchdog_us; /* "WATCHDOG=1" is wanted that often at least; 0 = never */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID of the environment. Without the first nothing
 * is ever sent. CLADE_ERR_INVALID when one of them cannot be meant. notify_close undoes it. */
int notify_open(struct notify *n, struct error *error);
void notify_close(struct notify *n);
/* Sends the lines without waiting; false when they did not go out and may be sent again. True when
 * nobody is to be told. */
bool notify_send(const struct notify *n, const char *lines);
