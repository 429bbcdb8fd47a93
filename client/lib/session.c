/* One session for a client, opened before its first transaction. What must hold: a command that
 * may have happened under a session is never sent under another one. So a request keeps the
 * session and number of its first sending, and loses them only when the server said that nothing
 * happened. */
#include "base/check.h"
#include "lib/lib_internal.h"
#include "wire/frame.h"

/* In the result, beside the revision; a server may also give it as the answer's data. */
static uint64_t session_id(const struct clade_response *response)
{
    const struct value *id = value_get(response->result, "session");
    return value_uint(id != NULL ? id : value_get(response->data, "session"));
}

static void on_refused(struct clade_client *client, const struct clade_response *response)
{
    struct error e;
    int code = clade_response_code(response);
    /* No answer in time: the transactions go on waiting, each with its own deadline. */
    if (client->closing || clade_error_advice(code) != CLADE_ADVICE_STOP) {
        return;
    }
    error_set(&e, code, NULL, "no session could be opened: %s", clade_response_message(response));
    client_fail_waiting(client, QUEUE_TXNS, false, &e);
}

static void on_opened(struct clade_request *r, struct clade_response *response, void *arg)
{
    struct clade_client *client = arg;
    struct session *s = &client->session;
    CHECK(s->opening == r);
    s->opening = NULL;
    if (clade_response_code(response) != 0) {
        on_refused(client, response);
    } else if (session_id(response) == 0) {
        struct error e;
        error_set(&e, CLADE_ERR_INTERNAL, NULL, "the server opened a session without an id");
        client_fail_waiting(client, QUEUE_TXNS, false, &e);
    } else {
        s->id = session_id(response);
        s->next_seq = 1;
    }
    clade_response_free(response);
    client_kick(client);
}

static void open_session(struct clade_client *client)
{
    struct params p = {.members = 1};
    buffer_init(&p.bytes, METHOD_BYTES_MAX);
    value_put_str(&p.bytes, "lease_ms");
    value_put_uint(&p.bytes, client->lease_ms);
    struct clade_request *r =
        p.bytes.failed
            ? NULL
            : request_new(client, span_of(method_name(METHOD_SESSION_OPEN)), &p, on_opened, client);
    buffer_release(&p.bytes);
    if (r == NULL) {
        return; /* out of memory: the transactions wait for the next try, or their deadline */
    }
    r->internal = true;
    if (client_start(r, 0)) {
        client->session.opening = r;
    }
}

static bool window_is_full(const struct session *s)
{
    /* An ended session's commands stand before this one's; until they are gone the window is
     * taken from the first that counts. */
    for (const struct list *n = s->unanswered.next; n != &s->unanswered; n = n->next) {
        const struct clade_request *first = LIST_ENTRY(n, struct clade_request, unanswered);
        if (first->session == s->id) {
            return s->next_seq - first->seq >= CLADE_MAX_SESSION_WINDOW;
        }
    }
    return false;
}

bool session_admits(struct clade_client *client, const struct clade_request *r)
{
    struct session *s = &client->session;
    if (r->session != 0) {
        return true;
    }
    if (s->id == 0) {
        if (s->opening == NULL) {
            open_session(client);
        }
        return false;
    }
    return !window_is_full(s);
}

void session_number(struct clade_client *client, struct clade_request *r)
{
    struct session *s = &client->session;
    CHECK(s->id != 0 && r->session == 0 && !r->maybe_happened);
    r->session = s->id;
    r->seq = s->next_seq++;
    list_push_back(&s->unanswered, &r->unanswered);
}

uint64_t session_answered(const struct clade_client *client, const struct clade_request *r)
{
    const struct list *head = &client->session.unanswered;
    for (const struct list *n = head->next; n != head; n = n->next) {
        const struct clade_request *first = LIST_ENTRY(n, struct clade_request, unanswered);
        if (first->session == r->session) {
            return first->seq;
        }
    }
    return r->seq;
}

void session_expired(struct clade_client *client, uint64_t id)
{
    if (client->session.id == id) {
        client->session.id = 0;
    }
}

void session_forget(struct clade_request *r)
{
    if (list_is_linked(&r->unanswered)) {
        list_remove(&r->unanswered);
    }
    r->session = 0;
    r->seq = 0;
}

void session_write_close(struct clade_client *client, struct buffer *b)
{
    if (client->session.id == 0) {
        return;
    }
    size_t at = request_begin(b, MSGID_PING, METHOD_SESSION_CLOSE, 1);
    value_put_str(b, "session");
    value_put_uint(b, client->session.id);
    frame_end(b, at);
}
