/* From the queues to the connection, once before the loop sleeps: all that was started since
 * goes out in one write. */
#include <stdio.h>

#include "base/check.h"
#include "lib/lib_internal.h"
#include "wire/frame.h"

/* --- connecting --- */

static bool has_waiting(const struct clade_client *client)
{
    return !list_is_empty(&client->waiting[QUEUE_TXNS]) ||
           !list_is_empty(&client->waiting[QUEUE_CALLS]);
}

static void start_reconnect_timer(struct clade_client *client)
{
    unsigned round = (unsigned)(client->failures / client->endpoints.len);
    uint64_t ms = backoff_ms(&client->seed, round == 0 ? 0 : round - 1);
    uv_timer_start(&client->reconnect, pump_on_reconnect, ms, 0);
}

void pump_on_reconnect(uv_timer_t *handle)
{
    client_kick(handle->data);
}

/* Every endpoint failed once more: wait before the next round. */
static void count_failure(struct clade_client *client)
{
    client->failures++;
    if (client->failures % client->endpoints.len == 0) {
        start_reconnect_timer(client);
    }
}

static void put_member(struct buffer *b, const char *key, const char *value)
{
    value_put_str(b, key);
    value_put_str(b, value);
}

void client_on_connected(struct connection *c)
{
    struct clade_client *client = c->client;
    struct buffer *b = &c->out;
    size_t at = request_begin(b, MSGID_HELLO, METHOD_HELLO, 4);
    value_put_str(b, "versions");
    value_put_array(b, 1);
    value_put_uint(b, WIRE_VERSION);
    put_member(b, "client", client->client_name);
    put_member(b, "namespace", client->ns);
    put_member(b, "user", client->user);
    frame_end(b, at);
    if (b->failed) {
        client_on_lost(c, "out of memory");
        return;
    }
    connection_flush(c);
}

/* What was sent may have happened. Reads, commands under a session, and what has the same effect
 * twice are sent again. */
static void take_back(struct clade_request *r)
{
    list_remove(&r->link);
    r->state = REQUEST_NEW;
    r->maybe_happened = r->maybe_happened || r->writes;
    if (r->writes && r->seq == 0 && !r->idempotent) {
        client_give_up(r, CLADE_ERR_UNAVAILABLE, "the connection was lost before the answer");
    } else {
        client_requeue(r);
    }
}

static void drop(struct connection *c)
{
    struct clade_client *client = c->client;
    connection_close(c);
    /* From the last to the first: each finds its place at the front of its queue. */
    while (!list_is_empty(&client->sent)) {
        take_back(LIST_ENTRY(client->sent.prev, struct clade_request, link));
    }
    slots_reset(&client->slots);
    client_kick(client);
}

void client_on_lost(struct connection *c, const char *why)
{
    struct clade_client *client = c->client;
    if (c->state == CONNECTION_CLOSED) {
        return;
    }
    snprintf(client->failure, sizeof client->failure, "%s:%u: %.200s", c->endpoint.host,
             (unsigned)c->endpoint.port, why);
    endpoints_rotate(&client->endpoints, &c->endpoint);
    if (c->served) {
        client->failures = 0;
    }
    drop(c);
    count_failure(client);
}

void client_switch(struct clade_client *client)
{
    drop(client->connection);
}

/* --- sending --- */

static struct clade_request *head_of(struct clade_client *client, enum request_queue queue)
{
    struct list *l = &client->waiting[queue];
    return list_is_empty(l) ? NULL : LIST_ENTRY(l->next, struct clade_request, link);
}

/* The oldest request that may be sent. */
static struct clade_request *next_request(struct clade_client *client)
{
    struct clade_request *txn = head_of(client, QUEUE_TXNS);
    if (txn != NULL && !session_admits(client, txn)) {
        txn = NULL;
    }
    struct clade_request *call = head_of(client, QUEUE_CALLS);
    if (txn == NULL || call == NULL) {
        return txn == NULL ? call : txn;
    }
    return txn->order < call->order ? txn : call;
}

static void send_request(struct clade_client *client, struct clade_request *r, uint64_t now_ms)
{
    CHECK(r->state == REQUEST_WAITING);
    if (r->queue == QUEUE_TXNS && r->seq == 0) {
        session_number(client, r);
    }
    list_remove(&r->link);
    list_push_back(&client->sent, &r->link);
    r->state = REQUEST_SENT;
    uint64_t answered = r->seq == 0 ? 0 : session_answered(client, r);
    request_encode(r, answered, now_ms, &client->connection->out);
}

static void send_waiting(struct clade_client *client)
{
    struct connection *c = client->connection;
    uint64_t now_ms = client_now_ms(client);
    bool sent = false;
    while (connection_unsent(c) < SEND_BYTES_MAX) {
        struct clade_request *r = next_request(client);
        if (r == NULL || !slots_take(&client->slots, r)) {
            break;
        }
        send_request(client, r, now_ms);
        sent = true;
        if (c->out.failed) {
            client_on_lost(c, "out of memory");
            return;
        }
    }
    if (sent) {
        connection_watch(c);
    }
    connection_flush(c);
}

static void advance(struct clade_client *client)
{
    if (client->closing) {
        return;
    }
    if (client->connection != NULL && client->connection->state == CONNECTION_READY) {
        send_waiting(client);
    } else if (client->connection == NULL && has_waiting(client) &&
               !uv_is_active((const uv_handle_t *)&client->reconnect)) {
        struct endpoint *e = &client->endpoints.items[client->endpoints.next];
        if (connection_open(client, e) == NULL) {
            count_failure(client);
            start_reconnect_timer(client);
        }
    }
}

/* --- time --- */

static void arm_wake(struct clade_client *client)
{
    const struct clade_request *top = heap_top(&client->heap);
    uint64_t now_ms = client_now_ms(client);
    if (top == NULL) {
        uv_timer_stop(&client->wake);
        return;
    }
    uint64_t left = top->wake_ms > now_ms ? top->wake_ms - now_ms : 0;
    /* A timer that comes too early does no harm: it is armed again. */
    if (!uv_is_active((const uv_handle_t *)&client->wake) ||
        uv_timer_get_due_in(&client->wake) > left) {
        uv_timer_start(&client->wake, pump_on_wake, left, 0);
    }
}

void pump_on_prepare(uv_prepare_t *handle)
{
    struct clade_client *client = handle->data;
    uv_prepare_stop(handle);
    if (list_is_empty(&client->done)) {
        uv_idle_stop(&client->drain);
    }
    advance(client);
    if (!client->closing) {
        arm_wake(client);
    }
}

static void wake(struct clade_client *client, struct clade_request *r, uint64_t now_ms)
{
    if (r->deadline_ms <= now_ms) {
        client_give_up(r, CLADE_ERR_UNAVAILABLE, "no answer in time");
        return;
    }
    CHECK(r->state == REQUEST_DELAYED);
    list_remove(&r->link);
    client_requeue(r);
}

void pump_on_wake(uv_timer_t *handle)
{
    struct clade_client *client = handle->data;
    uint64_t now_ms = client_now_ms(client);
    struct clade_request *r;
    while ((r = heap_top(&client->heap)) != NULL && r->wake_ms <= now_ms) {
        wake(client, r, now_ms);
    }
    client_kick(client);
    client_drain(client);
}
