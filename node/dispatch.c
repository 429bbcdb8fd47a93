/* From a frame's payload to the method that answers it. */
#include <stdlib.h>

#include "command/txn.h"
#include "node/serve_internal.h"
#include "node/workers.h"

struct method_row {
    bool before_hello;
    void (*handle)(struct request *r, const struct value *params);
};

static const struct method_row methods[METHOD_COUNT];

/* --- answers --- */

struct answer_head head_make(const struct serve *s, uint64_t revision)
{
    return (struct answer_head){.revision = revision,
                                .node = s->node->folder.identity.node,
                                .term = atomic_load(&s->node->term)};
}

void request_finish(struct request *r, int code)
{
    struct connection *c = r->conn;
    request_count(r, code);
    request_free(r);
    connection_touch(c);
}

void request_answer(struct request *r, const struct answer_head *head, struct span data)
{
    if (data.len > CLADE_MAX_ANSWER_BYTES - ANSWER_SLACK_BYTES) {
        data.len = 0; /* a transaction's results that do not fit: it did happen */
    }
    answer_write(&r->conn->out, r->msgid, head, data);
    request_finish(r, 0);
}

void request_fail(struct request *r, const struct error *e)
{
    answer_write_error(&r->conn->out, r->msgid, e, span_make(NULL, 0));
    request_finish(r, e->code);
}

void request_fail_with_leader(struct request *r, const struct error *e)
{
    struct node *n = r->conn->serve->node;
    uint64_t leader = atomic_load(&n->leader);
    char address[MEMBER_ADDRESS_BYTES] = "";
    if (leader != 0 && leader != n->folder.identity.node) {
        members_find(&n->members, leader, address);
    }
    answer_write_error(&r->conn->out, r->msgid, e, span_of(address));
    request_finish(r, e->code);
}

void request_fail_code(struct request *r, int code, const char *message)
{
    struct error e = {.code = 0};
    (void)error_set(&e, code, NULL, "%s", message);
    request_fail_with_leader(r, &e);
}

void request_drop(struct request *r)
{
    struct serve *s = r->conn->serve;
    if (r->state != REQUEST_NEW) {
        request_count(r, OUTCOME_DROPPED);
    }
    switch (r->state) {
    case REQUEST_NEW:
        break;
    case REQUEST_WRITE:
        (void)write_withdraw(r);
        table_remove(s, r);
        break;
    case REQUEST_EVENTS:
        watch_end(r);
        break;
    case REQUEST_READ_FRESH:
    case REQUEST_READ_ASKED:
    case REQUEST_READ_WAITS:
    case REQUEST_WATCHING:
        list_remove(&r->node);
        break;
    case REQUEST_QUERY:
        if (!workers_cancel(s->node->workers, r, true)) {
            return; /* it runs, and is freed when it comes back */
        }
        r->conn->queries--;
        s->queries_out--;
        break;
    case REQUEST_ASKING:
    case REQUEST_TRIED:
        table_remove(s, r);
        break;
    }
    request_free(r);
}

void dispatch_protocol_error(struct connection *c, const struct error *e)
{
    log_debug("connection ended", LOG_STR("error", e->message), LOG_STR("where", e->where));
    notification_write_error(&c->out, e);
    connection_doom(c);
}

/* --- methods of their own --- */

static bool copy_names(struct connection *c, const struct hello_params *h)
{
    size_t total = h->ns.len + h->user.len + h->on_behalf_of.len + 1;
    char *to = malloc(total);
    if (to == NULL) {
        return false;
    }
    struct span *spans[] = {&c->ns, &c->user, &c->on_behalf_of};
    const struct span from[] = {h->ns, h->user, h->on_behalf_of};
    c->names = to;
    for (unsigned i = 0; i < 3; i++) {
        if (from[i].len > 0) {
            memcpy(to, from[i].data, from[i].len);
        }
        *spans[i] = span_make(to, from[i].len);
        to += from[i].len;
    }
    return true;
}

static int check_hello(const struct connection *c, const struct hello_params *h, struct error *e)
{
    if (c->said_hello) {
        return error_set(e, CLADE_ERR_INVALID, NULL, "a second hello");
    }
    if (!h->version_1) {
        return error_set(e, CLADE_ERR_UNSUPPORTED, "versions",
                         "this server speaks version %d of the protocol", WIRE_VERSION);
    }
    if (h->user.len > CLADE_MAX_PRINCIPAL_BYTES ||
        h->on_behalf_of.len > CLADE_MAX_PRINCIPAL_BYTES) {
        return error_set(e, CLADE_ERR_LIMIT, "user", "longer than %d bytes",
                         CLADE_MAX_PRINCIPAL_BYTES);
    }
    return h->ns.len == 0 ? 0 : name_check(KIND_NAMESPACE, h->ns, e);
}

static void handle_hello(struct request *r, const struct value *params)
{
    struct connection *c = r->conn;
    struct hello_params h;
    struct error e = {.code = 0};
    if (hello_decode(params, &h, &e) < 0 || check_hello(c, &h, &e) < 0) {
        request_fail(r, &e);
        return;
    }
    if (!copy_names(c, &h)) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return;
    }
    c->said_hello = true;
    status_hello(r);
}

static void handle_ping(struct request *r, const struct value *params)
{
    struct serve *s = r->conn->serve;
    const struct answer_head head = head_make(s, atomic_load(&s->node->published_revision));
    struct error e = {.code = 0};
    if (empty_params_decode(params, &e) < 0) {
        request_fail(r, &e);
        return;
    }
    request_answer(r, &head, span_make(NULL, 0));
}

static void cancel(struct connection *c, const struct value *params)
{
    uint32_t msgid;
    if (cancel_decode(params, &msgid, NULL) < 0) {
        return;
    }
    LIST_FOREACH(n, &c->requests)
    {
        struct request *r = LIST_ENTRY(n, struct request, conn_node);
        if (r->msgid == msgid && r->state != REQUEST_NEW) {
            request_expire(r, true);
            return;
        }
    }
}

/* --- dispatch --- */

static void handle(struct request *r, const struct message *m)
{
    struct connection *c = r->conn;
    r->method = method_parse(m->method);
    const struct method_row *row = r->method == METHOD_COUNT ? NULL : &methods[r->method];
    if (!c->said_hello && (row == NULL || !row->before_hello)) {
        request_fail_code(r, CLADE_ERR_UNAUTHENTICATED, "the first request is hello");
        return;
    }
    if (row == NULL || row->handle == NULL) {
        request_fail_code(r, CLADE_ERR_UNSUPPORTED, "there is no such method");
        return;
    }
    request_set_deadline(r, message_deadline_ms(m->params));
    row->handle(r, m->params);
}

static bool charge(struct request *r, uint64_t bytes)
{
    if (!node_charge(r->conn->serve->node, bytes)) {
        return false;
    }
    r->charged += bytes;
    r->conn->in_flight_bytes += bytes;
    return true;
}

void dispatch(struct connection *c, struct span payload)
{
    struct request *r = request_new(c);
    struct message m;
    struct error e = {.code = 0};
    if (r == NULL) {
        (void)error_set(&e, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
        dispatch_protocol_error(c, &e);
        return;
    }
    /* The request outlives the bytes it came in. */
    struct span copy = arena_copy_span(&r->arena, payload);
    int code = copy.data == NULL ? error_set(&e, CLADE_ERR_NO_MEMORY, NULL, "out of memory")
                                 : message_decode(copy, &value_limits_request, &r->arena, &m, &e);
    if (code == 0 && m.type == MESSAGE_ANSWER) {
        code = error_set(&e, CLADE_ERR_INVALID, NULL, "an answer, and nothing was asked");
    }
    if (code < 0) {
        request_drop(r);
        dispatch_protocol_error(c, &e);
        return;
    }
    if (m.type == MESSAGE_NOTIFICATION) {
        if (method_parse(m.method) == METHOD_CANCEL && c->said_hello) {
            cancel(c, m.params);
        } else if (method_parse(m.method) == METHOD_CREDIT && c->said_hello) {
            watch_credit(c, m.params);
        }
        request_drop(r); /* unknown notifications are of no consequence */
        return;
    }
    r->msgid = m.msgid;
    if (!charge(r, r->arena.used)) {
        request_fail_code(r, CLADE_ERR_THROTTLED, "the node has no memory for more requests");
        return;
    }
    handle(r, &m);
}

static const struct method_row methods[METHOD_COUNT] = {
    [METHOD_HELLO] = {.before_hello = true, .handle = handle_hello},
    [METHOD_PING] = {.handle = handle_ping},
    [METHOD_SESSION_OPEN] = {.handle = write_session_open},
    [METHOD_SESSION_CLOSE] = {.handle = write_session_close},
    [METHOD_TXN] = {.handle = write_txn},
    [METHOD_GET] = {.handle = read_query},
    [METHOD_LIST] = {.handle = read_query},
    [METHOD_LINEAGE] = {.handle = read_query},
    [METHOD_PATHS] = {.handle = read_query},
    [METHOD_IMPACT] = {.handle = read_query},
    [METHOD_PROVENANCE] = {.handle = read_query},
    [METHOD_DIFF] = {.handle = read_query},
    [METHOD_DESCRIBE] = {.handle = read_query},
    [METHOD_HISTORY] = {.handle = read_query},
    [METHOD_METRICS] = {.handle = read_query},
    [METHOD_AUDIT] = {.handle = read_query},
    [METHOD_WATCH] = {.handle = watch_start},
    [METHOD_SEARCH] = {.handle = read_query},
    [METHOD_COUNT_THINGS] = {.handle = read_query},
    [METHOD_EXPLAIN] = {.handle = read_query},
    [METHOD_LIMITS] = {.handle = status_limits},
    [METHOD_STATUS] = {.handle = status_status},
    [METHOD_TRANSFER] = {.handle = status_transfer},
    [METHOD_MEMBER] = {.handle = member_change},
    [METHOD_BACKUP] = {.handle = backup_request},
    [METHOD_VERIFY] = {.handle = verify_request},
    [METHOD_CANCEL] = {.handle = NULL}, /* notifications */
    [METHOD_CREDIT] = {.handle = NULL},
    [METHOD_ERROR] = {.handle = NULL},
    [METHOD_EVENT] = {.handle = NULL},
    [METHOD_MEMBERS] = {.handle = NULL},
};
_Static_assert(METHOD_COUNT == 31, "a method has no row");
