#include <stdlib.h>

#include "base/check.h"
#include "lib/lib_internal.h"
#include "wire/frame.h"

/* Methods that change something beyond a session: without an answer they may have happened, and
 * but for a txn under its session, and what has the same effect twice, they are not repeated. A
 * name from a later protocol counts as one. */
static bool method_writes(enum method method)
{
    switch (method) {
    case METHOD_TXN:
    case METHOD_TRANSFER:
    case METHOD_MEMBER:
    case METHOD_COUNT:
        return true;
    default:
        return false;
    }
}

struct clade_request *request_new(struct clade_client *client,
                                  struct span method,
                                  const struct params *params,
                                  clade_cb cb,
                                  void *arg)
{
    size_t params_len = params->bytes.len;
    enum method known = method_parse(method);
    struct clade_request *r = malloc(sizeof *r + method.len + params_len);
    if (r == NULL) {
        return NULL;
    }
    *r = (struct clade_request){.client = client,
                                .queue = QUEUE_CALLS,
                                .writes = method_writes(known),
                                .idempotent = known == METHOD_MEMBER,
                                .cb = cb,
                                .arg = arg,
                                .members = params->members};
    r->method = span_make(r->bytes, method.len);
    r->params = span_make(r->bytes + method.len, params_len);
    if (method.len > 0) {
        memcpy(r->bytes, method.data, method.len);
    }
    if (params_len > 0) {
        memcpy(r->bytes + method.len, params->bytes.data, params_len);
    }
    return r;
}

/* A little less than what is left, so that the server's answer, which knows more than our own
 * timer, comes first. */
static uint64_t server_deadline_ms(const struct clade_request *r, uint64_t now_ms)
{
    uint64_t left = r->deadline_ms > now_ms ? r->deadline_ms - now_ms : 0;
    left -= left / 20;
    return left == 0 ? 1 : left;
}

static void put_uint(struct buffer *b, const char *key, uint64_t v)
{
    value_put_str(b, key);
    value_put_uint(b, v);
}

void request_encode(const struct clade_request *r,
                    uint64_t answered,
                    uint64_t now_ms,
                    struct buffer *b)
{
    bool numbered = r->seq != 0;
    bool begins = r->watch != NULL && r->watch->next != 0;
    uint32_t members = r->members + 1 + (numbered ? 3 : 0) + begins;
    size_t at = request_begin_named(b, r->msgid, r->method, members);
    buffer_append_span(b, r->params);
    put_uint(b, "deadline_ms", server_deadline_ms(r, now_ms));
    if (begins) {
        put_uint(b, "from", r->watch->next);
    }
    if (numbered) {
        put_uint(b, "session", r->session);
        put_uint(b, "seq", r->seq);
        put_uint(b, "answered", answered);
    }
    frame_end(b, at);
}

/* Errors that a node gives at its edge, without asking what became of an earlier sending. */
static bool says_nothing_of_earlier(int code)
{
    switch (code) {
    case CLADE_ERR_UNAUTHENTICATED:
    case CLADE_ERR_DENIED:
    case CLADE_ERR_UNSUPPORTED:
    case CLADE_ERR_CANCELLED:
    case CLADE_ERR_UNAVAILABLE:
    case CLADE_ERR_UNKNOWN:
    case CLADE_ERR_INTERNAL:
    case CLADE_ERR_NO_MEMORY:
    case CLADE_ERR_NO_SPACE:
    case CLADE_ERR_IO:
    case CLADE_ERR_CORRUPT:
        return true;
    default:
        return false;
    }
}

static enum verdict final_verdict(const struct clade_request *r, int code)
{
    return r->maybe_happened && says_nothing_of_earlier(code) ? VERDICT_UNKNOWN : VERDICT_FINAL;
}

enum verdict request_judge(struct clade_request *r, int code, uint64_t now_ms)
{
    bool little_left = now_ms + FINAL_MS > r->deadline_ms;
    switch (code) {
    case CLADE_ERR_RETRY:
    case CLADE_ERR_THROTTLED:
        return VERDICT_AGAIN;
    case CLADE_ERR_UNAVAILABLE:
        return little_left ? final_verdict(r, code) : VERDICT_AGAIN;
    case CLADE_ERR_UNKNOWN:
        if (r->seq == 0) {
            return VERDICT_FINAL;
        }
        r->maybe_happened = true;
        return little_left ? VERDICT_FINAL : VERDICT_AGAIN;
    case CLADE_ERR_SESSION_EXPIRED:
        if (r->seq == 0) {
            return VERDICT_FINAL;
        }
        /* An expired session runs nothing. If every earlier sending was refused too, the command
         * never happened and may be numbered anew; else it must not be. */
        return r->maybe_happened ? VERDICT_UNKNOWN : VERDICT_NEW_SESSION;
    default:
        return final_verdict(r, code);
    }
}
