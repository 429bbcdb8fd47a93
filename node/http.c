#include "node/http.h"

#include <errno.h>
#include <stdlib.h>

#include <microhttpd.h>

#include "node/endpoint.h"
#include "node/health.h"
#include "node/metrics.h"
#include "node/metrics_page.h"

#define CONNECTIONS_MAX        32U
#define TIMEOUT_S              10U
#define REQUEST_BYTES          (16U << 10)
#define HEALTH_BYTES_MAX       (64U << 10)
#define METRICS_BYTES_MAX      (4U << 20)
#define PLAIN                  "text/plain; charset=utf-8"
#define PROMETHEUS             "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS            "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define OPENMETRICS_MEDIA_TYPE "application/openmetrics-text"

struct http {
    struct MHD_Daemon *daemons[ENDPOINTS_MAX];
    unsigned len;
};

/* --- answers --- */

/* Takes the bytes. */
static enum MHD_Result answer(struct MHD_Connection *c,
                              unsigned status,
                              const char *type,
                              struct buffer *body)
{
    if (body->failed) {
        status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        buffer_release(body);
    }
    size_t len;
    uint8_t *bytes = buffer_detach(body, &len);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        len, bytes == NULL ? (void *)"" : bytes,
        bytes == NULL ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(bytes);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    enum MHD_Result r = MHD_queue_response(c, status, response);
    MHD_destroy_response(response);
    return r;
}

static enum MHD_Result say(struct MHD_Connection *c, unsigned status, const char *text)
{
    struct buffer body;
    buffer_init(&body, HEALTH_BYTES_MAX);
    (void)buffer_append_str(&body, text);
    return answer(c, status, PLAIN, &body);
}

static enum MHD_Result get_metrics(struct node *n, struct MHD_Connection *c)
{
    const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    bool is_openmetrics = accept != NULL && strstr(accept, OPENMETRICS_MEDIA_TYPE) != NULL;
    struct metrics_page page;
    metrics_page_init(&page, is_openmetrics, METRICS_BYTES_MAX);
    metrics_write(n, &page);
    return answer(c, MHD_HTTP_OK, is_openmetrics ? OPENMETRICS : PROMETHEUS, &page.out);
}

static enum MHD_Result get_health(struct node *n,
                                  struct MHD_Connection *c,
                                  const char *name,
                                  bool (*look)(struct node *n, struct buffer *out))
{
    struct buffer body;
    buffer_init(&body, HEALTH_BYTES_MAX);
    bool well = look(n, &body);
    bool verbose = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "verbose") != NULL ||
                   MHD_lookup_connection_value_n(c, MHD_GET_ARGUMENT_KIND, "verbose", 7, NULL,
                                                 NULL) == MHD_YES;
    if (well && !verbose) {
        buffer_clear(&body);
        (void)buffer_append_str(&body, "ok\n");
    } else {
        (void)buffer_append_fmt(&body, "%s %s\n", name, well ? "ok" : "failed");
    }
    return answer(c, well ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, PLAIN, &body);
}

static enum MHD_Result get_livez(struct node *n, struct MHD_Connection *c)
{
    return get_health(n, c, "livez", health_is_live);
}

static enum MHD_Result get_readyz(struct node *n, struct MHD_Connection *c)
{
    return get_health(n, c, "readyz", health_is_ready);
}

/* --- requests --- */

static const struct {
    const char *path;
    enum MHD_Result (*get)(struct node *n, struct MHD_Connection *c);
} routes[] = {
    {"/metrics", get_metrics},
    {"/livez", get_livez},
    {"/readyz", get_readyz},
};

static enum MHD_Result on_request(void *arg,
                                  struct MHD_Connection *c,
                                  const char *path,
                                  const char *method,
                                  const char *version,
                                  const char *body,
                                  size_t *body_len,
                                  void **state)
{
    static int seen;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    /* Called once for the head, when an answer would end the connection, and again behind it. */
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    if (*body_len != 0) {
        *body_len = 0; /* of no consequence */
        return MHD_YES;
    }
    for (unsigned i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(path, routes[i].path) == 0) {
            return routes[i].get(arg, c);
        }
    }
    return say(c, MHD_HTTP_NOT_FOUND, "there are /metrics, /livez and /readyz\n");
}

/* --- life --- */

static struct MHD_Daemon *listen_on(struct node *n, const struct sockaddr_storage *address)
{
    unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD;
    flags |= address->ss_family == AF_INET6 ? MHD_USE_IPv6 : 0;
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, n, MHD_OPTION_SOCK_ADDR,
                            (const struct sockaddr *)address, MHD_OPTION_CONNECTION_LIMIT,
                            CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES,
                            MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
}

int http_start(struct node *n,
               const struct sockaddr_storage *addresses,
               unsigned len,
               struct http **ret,
               struct error *error)
{
    struct http *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    for (; h->len < len; h->len++) {
        errno = 0;
        h->daemons[h->len] = listen_on(n, &addresses[h->len]);
        if (h->daemons[h->len] == NULL) {
            int e = errno;
            http_stop(h);
            return error_set(error, CLADE_ERR_IO, n->config->metrics_listen,
                             "metrics_listen: cannot listen: %s",
                             e != 0 ? strerror(e) : "the HTTP server did not start");
        }
    }
    *ret = h;
    return 0;
}

void http_stop(struct http *h)
{
    if (h == NULL) {
        return;
    }
    for (unsigned i = 0; i < h->len; i++) {
        MHD_stop_daemon(h->daemons[i]);
    }
    free(h);
}
