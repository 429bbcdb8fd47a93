/* The functions that start a request. */
#include "lib/lib_internal.h"
#include "wire/frame.h"

static struct params *begin(struct clade_client *client)
{
    struct params *p = &client->params;
    buffer_clear(&p->bytes);
    p->members = 0;
    return p;
}

/* A frame that the server could not read would cost the connection, and be repeated. */
static int check_frame(struct clade_client *client,
                       struct span method,
                       const struct params *p,
                       struct error *error)
{
    struct buffer *b = &client->command;
    size_t len;
    buffer_clear(b);
    frame_end(b, request_begin_named(b, 0, method, p->members));
    buffer_append_span(b, buffer_span(&p->bytes));
    if (p->bytes.failed || b->failed) {
        return error_set(error, CLADE_ERR_LIMIT, "params", "are above %d bytes, or memory is out",
                         PARAMS_BYTES_MAX);
    }
    int rc = value_check(span_skip(buffer_span(b), FRAME_HEADER_BYTES), &value_limits_request, &len,
                         error);
    return rc == 0 ? 0 : error_wrap(error, "the parameters cannot be sent");
}

/* Starts it, or has its callback told of the mistake. */
static struct clade_request *start(struct clade_client *client,
                                   enum request_queue queue,
                                   struct span method,
                                   const struct error *mistake,
                                   unsigned deadline_ms,
                                   clade_cb cb,
                                   void *arg)
{
    static const struct params none;
    bool refused = mistake->code != 0;
    struct clade_request *r =
        request_new(client, method, refused ? &none : &client->params, cb, arg);
    if (r == NULL) {
        return NULL;
    }
    r->queue = queue;
    if (refused) {
        client_finish_error(r, mistake);
        return r;
    }
    return client_start(r, deadline_ms) ? r : NULL;
}

static struct clade_request *start_call(
    struct clade_client *client, struct span method, unsigned deadline_ms, clade_cb cb, void *arg)
{
    struct error error = {0};
    check_frame(client, method, &client->params, &error);
    return start(client, QUEUE_CALLS, method, &error, deadline_ms, cb, arg);
}

struct clade_request *clade_txn_send(struct clade_client *client,
                                     const struct clade_txn *txn,
                                     unsigned deadline_ms,
                                     clade_cb cb,
                                     void *arg)
{
    struct error error = {0};
    if (client->closing) {
        return NULL;
    }
    bool dry = client->dry_run || txn_is_dry_run(txn);
    struct params *p = begin(client);
    struct buffer *command = &client->command;
    buffer_clear(command);
    if (txn_encode(txn, command, &error) == 0) {
        p->members = 1;
        value_put_str(&p->bytes, "command");
        value_put_bytes(&p->bytes, buffer_span(command));
        if (dry) {
            p->members++;
            value_put_str(&p->bytes, "dry_run");
            value_put_bool(&p->bytes, true);
        }
        if (p->bytes.failed) {
            error_set(&error, CLADE_ERR_NO_MEMORY, NULL, "no memory for the transaction");
        }
    }
    struct clade_request *r = start(client, dry ? QUEUE_CALLS : QUEUE_TXNS,
                                    span_of(method_name(METHOD_TXN)), &error, deadline_ms, cb, arg);
    if (r != NULL && dry) {
        r->writes = false; /* it may be tried again, anywhere */
    }
    return r;
}

struct clade_request *clade_get(struct clade_client *client,
                                const char *const refs[],
                                size_t refs_len,
                                const struct clade_read *read,
                                unsigned deadline_ms,
                                clade_cb cb,
                                void *arg)
{
    struct span method = span_of(method_name(METHOD_GET));
    if (client->closing) {
        return NULL;
    }
    if (refs_len > CLADE_MAX_GET_REFERENCES) {
        struct error error;
        error_set(&error, CLADE_ERR_LIMIT, "refs", "%zu references; at most %d are accepted",
                  refs_len, CLADE_MAX_GET_REFERENCES);
        return start(client, QUEUE_CALLS, method, &error, deadline_ms, cb, arg);
    }
    params_get(begin(client), refs, refs_len, read, client->revision);
    return start_call(client, method, deadline_ms, cb, arg);
}

struct clade_request *clade_list(struct clade_client *client,
                                 const char *kind,
                                 const char *under,
                                 const struct clade_read *read,
                                 unsigned deadline_ms,
                                 clade_cb cb,
                                 void *arg)
{
    if (client->closing) {
        return NULL;
    }
    params_list(begin(client), kind, under, read, client->revision);
    return start_call(client, span_of(method_name(METHOD_LIST)), deadline_ms, cb, arg);
}

struct clade_request *clade_lineage_walk(struct clade_client *client,
                                         const struct clade_lineage *lineage,
                                         const struct clade_read *read,
                                         unsigned deadline_ms,
                                         clade_cb cb,
                                         void *arg)
{
    if (client->closing) {
        return NULL;
    }
    params_lineage(begin(client), lineage, read, client->revision);
    return start_call(client, span_of(method_name(METHOD_LINEAGE)), deadline_ms, cb, arg);
}

struct clade_request *clade_impact(struct clade_client *client,
                                   const struct clade_lineage *lineage,
                                   const struct clade_read *read,
                                   unsigned deadline_ms,
                                   clade_cb cb,
                                   void *arg)
{
    if (client->closing) {
        return NULL;
    }
    params_impact(begin(client), lineage, read, client->revision);
    return start_call(client, span_of(method_name(METHOD_IMPACT)), deadline_ms, cb, arg);
}

struct clade_request *clade_provenance(struct clade_client *client,
                                       const struct clade_lineage *lineage,
                                       const struct clade_read *read,
                                       unsigned deadline_ms,
                                       clade_cb cb,
                                       void *arg)
{
    if (client->closing) {
        return NULL;
    }
    params_provenance(begin(client), lineage, read, client->revision);
    return start_call(client, span_of(method_name(METHOD_PROVENANCE)), deadline_ms, cb, arg);
}

struct clade_request *clade_paths_find(struct clade_client *client,
                                       const struct clade_paths *paths,
                                       const struct clade_read *read,
                                       unsigned deadline_ms,
                                       clade_cb cb,
                                       void *arg)
{
    if (client->closing) {
        return NULL;
    }
    params_paths(begin(client), paths, read, client->revision);
    return start_call(client, span_of(method_name(METHOD_PATHS)), deadline_ms, cb, arg);
}

struct clade_request *clade_diff_read(struct clade_client *client,
                                      const struct clade_diff *diff,
                                      const struct clade_read *read,
                                      unsigned deadline_ms,
                                      clade_cb cb,
                                      void *arg)
{
    if (client->closing) {
        return NULL;
    }
    params_diff(begin(client), diff, read, client->revision);
    return start_call(client, span_of(method_name(METHOD_DIFF)), deadline_ms, cb, arg);
}

struct clade_request *clade_history(struct clade_client *client,
                                    const char *ref,
                                    const struct clade_read *read,
                                    unsigned deadline_ms,
                                    clade_cb cb,
                                    void *arg)
{
    if (client->closing) {
        return NULL;
    }
    params_history(begin(client), ref, read, client->revision);
    return start_call(client, span_of(method_name(METHOD_HISTORY)), deadline_ms, cb, arg);
}

struct clade_request *clade_metrics_read(struct clade_client *client,
                                         const struct clade_metrics *metrics,
                                         const struct clade_read *read,
                                         unsigned deadline_ms,
                                         clade_cb cb,
                                         void *arg)
{
    if (client->closing) {
        return NULL;
    }
    params_metrics(begin(client), metrics, read, client->revision);
    return start_call(client, span_of(method_name(METHOD_METRICS)), deadline_ms, cb, arg);
}

struct clade_request *clade_audit_read(struct clade_client *client,
                                       const struct clade_audit *audit,
                                       const struct clade_read *read,
                                       unsigned deadline_ms,
                                       clade_cb cb,
                                       void *arg)
{
    if (client->closing) {
        return NULL;
    }
    params_audit(begin(client), audit, read, client->revision);
    return start_call(client, span_of(method_name(METHOD_AUDIT)), deadline_ms, cb, arg);
}

struct clade_request *calls_start_watch(struct clade_client *client,
                                        const struct clade_watch_options *options,
                                        struct clade_watch *watch,
                                        clade_cb cb)
{
    struct span method = span_of(method_name(METHOD_WATCH));
    struct error error = {0};
    params_watch(begin(client), options);
    check_frame(client, method, &client->params, &error);
    struct clade_request *r = request_new(client, method, &client->params, cb, watch);
    if (r == NULL) {
        return NULL;
    }
    r->watch = watch;
    if (error.code != 0) {
        client_finish_error(r, &error);
        return r;
    }
    return client_start(r, 0) ? r : NULL;
}

static struct clade_request *start_search(struct clade_client *client,
                                          enum method method,
                                          const struct clade_search *search,
                                          const struct clade_read *read,
                                          unsigned deadline_ms,
                                          clade_cb cb,
                                          void *arg)
{
    if (client->closing) {
        return NULL;
    }
    params_search(begin(client), search, read, client->revision);
    return start_call(client, span_of(method_name(method)), deadline_ms, cb, arg);
}

struct clade_request *clade_search(struct clade_client *client,
                                   const struct clade_search *search,
                                   const struct clade_read *read,
                                   unsigned deadline_ms,
                                   clade_cb cb,
                                   void *arg)
{
    return start_search(client, METHOD_SEARCH, search, read, deadline_ms, cb, arg);
}

struct clade_request *clade_count(struct clade_client *client,
                                  const struct clade_search *search,
                                  const struct clade_read *read,
                                  unsigned deadline_ms,
                                  clade_cb cb,
                                  void *arg)
{
    return start_search(client, METHOD_COUNT_THINGS, search, read, deadline_ms, cb, arg);
}

struct clade_request *clade_explain(struct clade_client *client,
                                    const struct clade_search *search,
                                    const struct clade_read *read,
                                    unsigned deadline_ms,
                                    clade_cb cb,
                                    void *arg)
{
    return start_search(client, METHOD_EXPLAIN, search, read, deadline_ms, cb, arg);
}

struct clade_request *clade_call(struct clade_client *client,
                                 const char *method,
                                 const struct clade_doc *params,
                                 unsigned deadline_ms,
                                 clade_cb cb,
                                 void *arg)
{
    struct error error = {0};
    struct span name = span_of(method == NULL ? "" : method);
    if (client->closing) {
        return NULL;
    }
    if (name.len == 0 || name.len > METHOD_BYTES_MAX) {
        error_set(&error, CLADE_ERR_INVALID, "method", "a method's name has 1 to %d bytes",
                  METHOD_BYTES_MAX);
        name.len = 0;
    } else {
        params_doc(begin(client), params, &error);
    }
    if (error.code != 0) {
        return start(client, QUEUE_CALLS, name, &error, deadline_ms, cb, arg);
    }
    return start_call(client, name, deadline_ms, cb, arg);
}

void clade_cancel(struct clade_request *request)
{
    if (request != NULL && request->state != REQUEST_DONE) {
        client_give_up(request, CLADE_ERR_CANCELLED, "the caller cancelled it");
    }
}
