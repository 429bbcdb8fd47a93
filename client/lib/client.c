/* A request's way from its start to its callback, and the client's own life. */
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/utf8.h"
#include "lib/lib_internal.h"

#define ENDPOINTS_DEFAULT          "127.0.0.1:7400"
#define CONNECT_TIMEOUT_MS_DEFAULT 2000
#define REQUEST_TIMEOUT_MS_DEFAULT 10000
#define LEASE_MS_DEFAULT           3600000
#define REQUESTS_MAX_DEFAULT       1024

uint64_t client_now_ms(const struct clade_client *client)
{
    return uv_now(client->loop);
}

uint64_t clade_client_revision(const struct clade_client *client)
{
    return client->revision;
}

/* --- requests --- */

static void on_idle(uv_idle_t *handle);

void client_kick(struct clade_client *client)
{
    if (client->handles_closing || uv_is_active((const uv_handle_t *)&client->pump)) {
        return;
    }
    uv_prepare_start(&client->pump, pump_on_prepare);
    /* A prepare handle started from another one is not run before the loop sleeps: the idle
     * handle keeps it from sleeping. */
    uv_idle_start(&client->drain, on_idle);
}

/* What comes back goes before what was started later. What comes back is old: the walk is
 * short. */
static void wait_in_order(struct clade_request *r)
{
    struct list *queue = &r->client->waiting[r->queue];
    struct list *next = queue->next;
    CHECK(!list_is_linked(&r->link));
    while (next != queue && LIST_ENTRY(next, struct clade_request, link)->order < r->order) {
        next = next->next;
    }
    list_push_back(next, &r->link);
    r->state = REQUEST_WAITING;
}

bool client_start(struct clade_request *r, unsigned deadline_ms)
{
    struct clade_client *client = r->client;
    if (!heap_reserve(&client->heap)) {
        free(r);
        return false;
    }
    uv_update_time(client->loop);
    r->deadline_ms =
        client_now_ms(client) + (deadline_ms == 0 ? client->request_timeout_ms : deadline_ms);
    r->wake_ms = r->deadline_ms;
    heap_push(&client->heap, r);
    if (r->internal) {
        wait_in_order(r);
    } else {
        r->order = ++client->order_next;
        r->state = REQUEST_WAITING;
        list_push_back(&client->waiting[r->queue], &r->link);
    }
    client_kick(client);
    return true;
}

static void set_wake(struct clade_request *r, uint64_t wake_ms)
{
    struct heap *heap = &r->client->heap;
    if (r->wake_ms != wake_ms) {
        heap_remove(heap, r);
        r->wake_ms = wake_ms;
        heap_push(heap, r);
    }
}

void client_requeue(struct clade_request *r)
{
    set_wake(r, r->deadline_ms);
    wait_in_order(r);
    client_kick(r->client);
}

void client_delay(struct clade_request *r, uint64_t least_ms)
{
    struct clade_client *client = r->client;
    CHECK(!list_is_linked(&r->link));
    uint64_t until = client_now_ms(client) + least_ms + backoff_ms(&client->seed, r->attempts);
    r->attempts++;
    r->state = REQUEST_DELAYED;
    list_push_back(&client->delayed, &r->link);
    set_wake(r, until < r->deadline_ms ? until : r->deadline_ms);
    client_kick(client);
}

void client_finish(struct clade_request *r, struct clade_response *response)
{
    struct clade_client *client = r->client;
    CHECK(r->state != REQUEST_DONE);
    if (r->state == REQUEST_SENT) {
        slots_give_up(&client->slots, r);
    }
    if (list_is_linked(&r->link)) {
        list_remove(&r->link);
    }
    if (list_is_linked(&r->unanswered)) {
        list_remove(&r->unanswered);
    }
    if (r->heap_at != 0) {
        heap_remove(&client->heap, r);
    }
    r->state = REQUEST_DONE;
    if (r->internal) {
        r->cb(r, response, r->arg);
        free(r);
        return;
    }
    r->response = response;
    list_push_back(&client->done, &r->link);
    client->done_len++;
    uv_idle_start(&client->drain, on_idle);
}

void client_finish_error(struct clade_request *r, const struct error *e)
{
    client_finish(r, response_new_error(e));
}

static void send_cancel(struct clade_client *client, const struct clade_request *r)
{
    struct connection *c = client->connection;
    /* It is a courtesy: a backlog is not made longer for it without a bound. */
    if (c != NULL && c->state == CONNECTION_READY && c->out.len < SEND_BYTES_MAX) {
        notification_write_cancel(&c->out, r->msgid);
        client_kick(client);
    }
}

void client_give_up(struct clade_request *r, int code, const char *why)
{
    struct clade_client *client = r->client;
    bool sent = r->state == REQUEST_SENT;
    bool maybe = r->writes && (r->maybe_happened || sent);
    bool connected = client->connection != NULL && client->connection->state == CONNECTION_READY;
    const char *failure = connected ? "" : client->failure;
    struct error e;
    error_set(&e, maybe ? CLADE_ERR_UNKNOWN : code, NULL, "%s%s%s%s", why,
              maybe ? "; it may have happened" : "", failure[0] == '\0' ? "" : "; ", failure);
    if (sent) {
        send_cancel(client, r);
    }
    client_finish_error(r, &e);
}

void client_fail_waiting(struct clade_client *client,
                         enum request_queue queue,
                         bool numbered,
                         const struct error *e)
{
    LIST_FOREACH(node, &client->waiting[queue])
    {
        struct clade_request *r = LIST_ENTRY(node, struct clade_request, link);
        if (r->seq != 0 && !numbered) {
            continue;
        }
        if (r->maybe_happened && r->writes) {
            client_give_up(r, CLADE_ERR_UNKNOWN, e->message);
        } else {
            client_finish_error(r, e);
        }
    }
}

/* --- callbacks --- */

static void on_handle_closed(uv_handle_t *handle);

static void close_handles(struct clade_client *client)
{
    client->handles_closing = true;
    uv_close((uv_handle_t *)&client->wake, on_handle_closed);
    uv_close((uv_handle_t *)&client->reconnect, on_handle_closed);
    uv_close((uv_handle_t *)&client->pump, on_handle_closed);
    uv_close((uv_handle_t *)&client->drain, on_handle_closed);
}

void client_drain(struct clade_client *client)
{
    /* Only those that are due now: a callback that starts and fails requests over and over must
     * not keep the loop. */
    for (size_t n = client->done_len; n > 0; n--) {
        struct list *node = list_pop_front(&client->done);
        CHECK(node != NULL);
        struct clade_request *r = LIST_ENTRY(node, struct clade_request, link);
        client->done_len--;
        r->cb(r, r->response, r->arg);
        free(r);
    }
}

static void on_idle(uv_idle_t *handle)
{
    struct clade_client *client = handle->data;
    client_drain(client);
    if (client->done_len > 0) {
        return;
    }
    if (client->closing) {
        close_handles(client);
    } else if (!uv_is_active((const uv_handle_t *)&client->pump)) {
        uv_idle_stop(handle);
    }
}

/* --- the end --- */

static void free_client(struct clade_client *client)
{
    heap_release(&client->heap);
    slots_release(&client->slots);
    buffer_release(&client->params.bytes);
    buffer_release(&client->command);
    free(client->ns);
    free(client->user);
    free(client->client_name);
    free(client);
}

static void finish_close(struct clade_client *client)
{
    if (client->handles > 0 || client->connections > 0) {
        return;
    }
    if (client->close_cb != NULL) {
        client->close_cb(client, client->close_arg);
    }
    free_client(client);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct clade_client *client = handle->data;
    client->handles--;
    finish_close(client);
}

void client_on_connection_freed(struct clade_client *client)
{
    client->connections--;
    finish_close(client);
}

static void give_up_all(struct clade_client *client, struct list *l)
{
    while (!list_is_empty(l)) {
        client_give_up(LIST_ENTRY(l->next, struct clade_request, link), CLADE_ERR_CANCELLED,
                       "the client was closed");
    }
}

/* Best effort: what is not ended here ends with its lease. */
static void end_session(struct clade_client *client)
{
    struct connection *c = client->connection;
    if (c != NULL && c->state == CONNECTION_READY && !c->writable_wanted) {
        session_write_close(client, &c->out);
        connection_flush(c);
    }
}

void clade_client_close(struct clade_client *client, clade_close_cb cb, void *arg)
{
    if (client == NULL || client->closing) {
        return;
    }
    client->closing = true;
    client->close_cb = cb;
    client->close_arg = arg;
    give_up_all(client, &client->sent);
    give_up_all(client, &client->waiting[QUEUE_TXNS]);
    give_up_all(client, &client->waiting[QUEUE_CALLS]);
    give_up_all(client, &client->delayed);
    end_session(client);
    connection_close(client->connection);
    uv_idle_start(&client->drain, on_idle);
}

/* --- the beginning --- */

static char *login_name(void)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char space[4096];
    const char *name = NULL;
    if (getpwuid_r(geteuid(), &entry, space, sizeof space, &found) == 0 && found != NULL) {
        name = found->pw_name;
    } else {
        name = getenv("LOGNAME");
    }
    bool usable = name != NULL && name[0] != '\0' && strlen(name) <= CLADE_MAX_PRINCIPAL_BYTES &&
                  utf8_is_printable(span_of(name));
    return strdup(usable ? name : "unknown");
}

static bool text_is_valid(const char *s, size_t bytes_max)
{
    return s == NULL || (strlen(s) <= bytes_max && utf8_is_printable(span_of(s)));
}

static char *copy_or(const char *s, const char *fallback)
{
    return strdup(s == NULL || s[0] == '\0' ? fallback : s);
}

static unsigned value_or(unsigned v, unsigned fallback)
{
    return v == 0 ? fallback : v;
}

static int take_options(struct clade_client *client, const struct clade_options *o)
{
    const char *endpoints = o->endpoints == NULL ? ENDPOINTS_DEFAULT : o->endpoints;
    unsigned requests_max = value_or(o->requests_max, REQUESTS_MAX_DEFAULT);
    if (endpoints_parse(&client->endpoints, endpoints) != 0 ||
        !text_is_valid(o->ns, CLADE_MAX_NAMESPACE_BYTES) ||
        !text_is_valid(o->user, CLADE_MAX_PRINCIPAL_BYTES) ||
        !text_is_valid(o->client_name, CLADE_MAX_PRINCIPAL_BYTES) ||
        requests_max > CLADE_MAX_REQUESTS) {
        return CLADE_ERR_INVALID;
    }
    client->connect_timeout_ms = value_or(o->connect_timeout_ms, CONNECT_TIMEOUT_MS_DEFAULT);
    client->request_timeout_ms = value_or(o->request_timeout_ms, REQUEST_TIMEOUT_MS_DEFAULT);
    client->dry_run = o->dry_run;
    client->lease_ms = value_or(o->lease_ms, LEASE_MS_DEFAULT);
    client->ns = copy_or(o->ns, "default");
    client->client_name = copy_or(o->client_name, "libclade/" CLADE_VERSION);
    client->user = o->user == NULL || o->user[0] == '\0' ? login_name() : strdup(o->user);
    if (client->ns == NULL || client->client_name == NULL || client->user == NULL ||
        !slots_init(&client->slots, requests_max)) {
        return CLADE_ERR_NO_MEMORY;
    }
    return 0;
}

static void init_loop_handles(struct clade_client *client)
{
    uv_timer_init(client->loop, &client->wake);
    uv_timer_init(client->loop, &client->reconnect);
    uv_prepare_init(client->loop, &client->pump);
    uv_idle_init(client->loop, &client->drain);
    client->wake.data = client;
    client->reconnect.data = client;
    client->pump.data = client;
    client->drain.data = client;
    client->handles = 4;
}

int clade_client_new(struct uv_loop_s *loop,
                     const struct clade_options *options,
                     struct clade_client **ret_client)
{
    static const struct clade_options defaults;
    struct clade_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return CLADE_ERR_NO_MEMORY;
    }
    int rc = take_options(client, options == NULL ? &defaults : options);
    if (rc != 0) {
        free_client(client);
        return rc;
    }
    client->loop = loop;
    client->seed = backoff_seed();
    list_init(&client->session.unanswered);
    list_init(&client->waiting[QUEUE_TXNS]);
    list_init(&client->waiting[QUEUE_CALLS]);
    list_init(&client->sent);
    list_init(&client->delayed);
    list_init(&client->done);
    buffer_init(&client->params.bytes, PARAMS_BYTES_MAX);
    buffer_init(&client->command, CLADE_MAX_FRAME_BYTES);
    init_loop_handles(client);
    *ret_client = client;
    return 0;
}
