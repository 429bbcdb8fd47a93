/* What the server says: hello's answer, answers to requests, and its last word before it closes a
 * connection. */
#include <string.h>

#include "base/check.h"
#include "lib/lib_internal.h"

/* --- hello --- */

/* Nobody would answer these requests: the server will not talk to this client. */
static int hello_refused(struct clade_client *client, const struct value *map, struct error *error)
{
    value_get_error(map, error);
    error_wrap(error, "hello was refused");
    if (clade_error_advice(error->code) == CLADE_ADVICE_STOP) {
        client_fail_waiting(client, QUEUE_TXNS, true, error);
        client_fail_waiting(client, QUEUE_CALLS, true, error);
    }
    return error->code;
}

/* Endpoints of two clusters would mix two stores up; the first one met is the client's. */
static int check_cluster(struct clade_client *client, struct span cluster, struct error *error)
{
    size_t n = cluster.len < sizeof client->cluster ? cluster.len : sizeof client->cluster - 1;
    if (client->cluster[0] == '\0' && n > 0) {
        memcpy(client->cluster, cluster.data, n);
        client->cluster[n] = '\0';
    }
    if (!span_equal_str(span_make(cluster.data, n), client->cluster)) {
        return error_set(error, CLADE_ERR_CONFLICT, NULL, "it belongs to another cluster");
    }
    return 0;
}

static int take_hello(struct connection *c, const struct message *m, struct error *error)
{
    struct clade_client *client = c->client;
    if (c->state != CONNECTION_GREETING) {
        return error_set(error, CLADE_ERR_INVALID, NULL, "hello was answered twice");
    }
    if (value_type(m->error) != CLADE_NIL) {
        return hello_refused(client, m->error, error);
    }
    if (value_uint(value_get(m->result, "version")) != WIRE_VERSION) {
        return error_set(error, CLADE_ERR_UNSUPPORTED, NULL,
                         "the server speaks another version of the protocol");
    }
    int rc = check_cluster(client, value_string(value_get(m->result, "cluster")), error);
    if (rc != 0) {
        return rc;
    }
    endpoints_learn(&client->endpoints, value_get(m->result, "members"));
    connection_ready(c);
    client_kick(client);
    return 0;
}

/* --- answers --- */

static void note_revision(struct clade_client *client, uint64_t revision)
{
    if (revision > client->revision) {
        client->revision = revision;
    }
}

/* Whether this connection refused the request twice in a row, so that another should be tried. */
static bool refused_twice(struct clade_request *r, const struct connection *c)
{
    r->refusals = r->refused_by == c->number ? r->refusals + 1 : 1;
    r->refused_by = c->number;
    return r->refusals >= 2;
}

/* True when the next try goes to another node, which is endpoints.next from now on. */
static bool choose_next(struct clade_request *r,
                        const struct connection *c,
                        int code,
                        struct span leader)
{
    struct endpoints *all = &r->client->endpoints;
    struct endpoint at;
    bool refused = code == CLADE_ERR_RETRY || code == CLADE_ERR_UNAVAILABLE;
    if (code == CLADE_ERR_RETRY && endpoint_parse(leader, &at) == 0 &&
        !endpoint_equal(&at, &c->endpoint)) {
        endpoints_prefer(all, &at);
        return endpoint_equal(&all->items[all->next], &at);
    }
    if (refused && refused_twice(r, c) && all->len > 1) {
        endpoints_rotate(all, &c->endpoint);
        return true;
    }
    return false;
}

static void finish_refused(struct clade_request *r,
                           struct clade_response *response,
                           const struct value *map,
                           const struct error *e)
{
    response_take_error(response, map, e);
    client_finish(r, response);
}

static void finish_unknown(struct clade_request *r,
                           struct clade_response *response,
                           const struct error *e)
{
    struct error unknown;
    error_set(&unknown, CLADE_ERR_UNKNOWN, NULL,
              e->code == CLADE_ERR_SESSION_EXPIRED
                  ? "the session ended before the outcome was learnt; it may have happened"
                  : "it may have happened when it was first sent; repeated, it was refused: %s",
              e->message);
    clade_response_free(response);
    client_finish_error(r, &unknown);
}

/* A server that forgets each session at once must not be asked in a tight loop. */
static void start_over(struct clade_request *r)
{
    session_expired(r->client, r->session);
    session_forget(r);
    if (r->attempts > 0) {
        client_delay(r, 0);
    } else {
        r->attempts++;
        client_requeue(r);
    }
}

static void take_error(struct connection *c,
                       struct clade_request *r,
                       struct clade_response *response,
                       const struct value *map)
{
    struct clade_client *client = c->client;
    struct error e;
    value_get_error(map, &e);
    if (e.code == CLADE_ERR_SESSION_EXPIRED) {
        session_expired(client, r->session);
    }
    enum verdict verdict = request_judge(r, e.code, client_now_ms(client));
    if (verdict == VERDICT_AGAIN && e.retry_ms > 0 && !r->maybe_happened &&
        client_now_ms(client) + e.retry_ms >= r->deadline_ms) {
        verdict = VERDICT_FINAL; /* nothing that is sooner will do */
    }
    switch (verdict) {
    case VERDICT_FINAL:
        finish_refused(r, response, map, &e);
        return;
    case VERDICT_UNKNOWN:
        finish_unknown(r, response, &e);
        return;
    case VERDICT_NEW_SESSION:
        start_over(r);
        break;
    case VERDICT_AGAIN: {
        bool elsewhere = choose_next(r, c, e.code, value_string(value_get(map, "leader")));
        client_delay(r, e.retry_ms);
        if (elsewhere) {
            client_switch(client);
        }
        break;
    }
    }
    clade_response_free(response);
}

static int take_answer(struct connection *c,
                       struct clade_response *response,
                       const struct message *m,
                       struct error *error)
{
    struct clade_client *client = c->client;
    struct clade_request *r = NULL;
    if (m->msgid == MSGID_HELLO || c->state != CONNECTION_READY) {
        int rc = m->msgid == MSGID_HELLO
                     ? take_hello(c, m, error)
                     : error_set(error, CLADE_ERR_INVALID, NULL, "an answer before hello's");
        clade_response_free(response);
        return rc;
    }
    /* An answer that nobody waits for is that of a ping, or of a request given up. */
    if (!slots_answer(&client->slots, m->msgid, &r) || r == NULL) {
        clade_response_free(response);
        return 0;
    }
    CHECK(r->state == REQUEST_SENT);
    list_remove(&r->link);
    r->state = REQUEST_NEW;
    c->served = true;
    client->failures = 0;
    client_kick(client); /* a slot is free */
    if (value_type(m->error) != CLADE_NIL) {
        take_error(c, r, response, m->error);
        return 0;
    }
    response_take_result(response, m->result);
    note_revision(client, response->revision);
    client_finish(r, response);
    return 0;
}

static int take_notification(struct connection *c,
                             struct clade_response *response,
                             const struct message *m,
                             struct error *error)
{
    int rc = 0;
    enum method method = method_parse(m->method);
    if (method == METHOD_ERROR) {
        value_get_error(m->params, error);
        rc = error_wrap(error, "the server ends the connection");
    } else if (method == METHOD_MEMBERS && c->state == CONNECTION_READY) {
        endpoints_learn(&c->client->endpoints, value_get(m->params, "members"));
    }
    clade_response_free(response);
    return rc;
}

bool client_on_frame(struct connection *c, struct span payload)
{
    struct message m;
    struct error error;
    int rc;
    struct clade_response *response = response_decode(payload, &m, &error);
    if (response == NULL) {
        rc = error_wrap(&error, "not an answer");
    } else if (m.type == MESSAGE_ANSWER) {
        rc = take_answer(c, response, &m, &error);
    } else if (m.type == MESSAGE_NOTIFICATION) {
        rc = take_notification(c, response, &m, &error);
    } else {
        clade_response_free(response);
        rc = error_set(&error, CLADE_ERR_INVALID, NULL, "a server sends no requests");
    }
    if (rc != 0) {
        client_on_lost(c, error.message);
    }
    return c->state != CONNECTION_CLOSED;
}
