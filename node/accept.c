/* Accepting: one serving thread listens and deals the sockets out in turn, so that a few
 * connections spread as evenly as many. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/serve_internal.h"

#define BACKLOG        1024
#define ACCEPTS_A_TURN 64 /* so that accepting does not starve who is connected */

struct listener {
    uv_poll_t poll;
    int fd;
    struct serve *serve;
};

struct socket_mail {
    struct mail mail;
    int fd;
};

static void deliver_socket(struct mail *mail, void *owner)
{
    struct socket_mail *m = LIST_ENTRY(mail, struct socket_mail, mail);
    connection_new(owner, m->fd);
    free(m);
}

static void refuse(struct node *n, int fd)
{
    (void)close(fd);
    atomic_fetch_sub(&n->connections, 1);
}

static void deal_out(struct serve *s, int fd)
{
    struct node *n = s->node;
    if (atomic_fetch_add(&n->connections, 1) >= config_now(n->config->connections_max)) {
        log_debug("connection refused: too many");
        refuse(n, fd);
        return;
    }
    struct serve *to = n->serves[s->next_serve++ % n->serves_len];
    if (to == s) {
        connection_new(s, fd);
        return;
    }
    struct socket_mail *m = calloc(1, sizeof *m);
    if (m == NULL) {
        refuse(n, fd);
        return;
    }
    *m = (struct socket_mail){.mail.deliver = deliver_socket, .fd = fd};
    if (!mailbox_post(&to->mail, &m->mail.node)) {
        refuse(n, fd);
        free(m);
    }
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct listener *l = poll->data;
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            deal_out(l->serve, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* It would be called again at once; housekeeping starts it again. */
            log_warning("connections cannot be accepted", LOG_STR("error", strerror(errno)));
            (void)uv_poll_stop(poll);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

void accept_go_on(struct serve *s)
{
    for (unsigned i = 0; i < s->listeners_len; i++) {
        uv_poll_t *poll = &s->listeners[i].poll;
        if (!uv_is_active((uv_handle_t *)poll) && !uv_is_closing((uv_handle_t *)poll)) {
            (void)uv_poll_start(poll, UV_READABLE, on_acceptable);
        }
    }
}

static int open_listener(const struct sockaddr_storage *address)
{
    int one = 1;
    socklen_t len =
        address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (address->ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    if (bind(fd, (const struct sockaddr *)address, len) != 0 || listen(fd, BACKLOG) != 0) {
        int e = errno;
        (void)close(fd);
        return -e;
    }
    return fd;
}

int serve_listen(struct serve *s,
                 const struct sockaddr_storage *addresses,
                 unsigned n,
                 struct error *error)
{
    s->listeners = calloc(n, sizeof *s->listeners);
    if (s->listeners == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    for (unsigned i = 0; i < n; i++) {
        struct listener *l = &s->listeners[i];
        int fd = open_listener(&addresses[i]);
        if (fd < 0) {
            return error_set(error, CLADE_ERR_IO, s->node->config->listen, "cannot listen: %s",
                             strerror(-fd));
        }
        l->fd = fd;
        l->serve = s;
        l->poll.data = l;
        if (uv_poll_init(&s->loop, &l->poll, fd) != 0) {
            (void)close(fd);
            return error_set(error, CLADE_ERR_IO, s->node->config->listen, "cannot listen");
        }
        s->listeners_len++;
    }
    accept_go_on(s);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    (void)close(l->fd);
}

void accept_stop(struct serve *s)
{
    for (unsigned i = 0; i < s->listeners_len; i++) {
        if (!uv_is_closing((uv_handle_t *)&s->listeners[i].poll)) {
            uv_close((uv_handle_t *)&s->listeners[i].poll, on_closed);
        }
    }
}

void accept_release(struct serve *s)
{
    free(s->listeners);
}
