/* What a server decodes of a client's frame: the message, then its method's parameters. */
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_read(enum query_kind kind, const struct message *m, struct arena *arena)
{
    struct query query;
    struct error error = {0};
    int rc = query_decode(kind, m->params, arena, &query, &error);
    CHECK(rc == 0 || (rc < 0 && error.code == rc));
    CHECK(rc != 0 || query.limit > 0);
}

static void decode_params(const struct message *m, struct arena *arena)
{
    struct error error = {0};
    struct hello_params hello;
    struct txn_params txn;
    struct session_params session;
    struct member_params member;
    uint64_t to;
    uint32_t msgid;
    int rc = 0;
    enum method method = method_parse(m->method);
    switch (method) {
    case METHOD_HELLO:
        rc = hello_decode(m->params, &hello, &error);
        break;
    case METHOD_SESSION_OPEN:
    case METHOD_SESSION_CLOSE:
        rc = session_params_decode(method, m->params, &session, &error);
        break;
    case METHOD_TXN:
        rc = txn_params_decode(m->params, &txn, &error);
        break;
    case METHOD_GET:
        decode_read(QUERY_GET, m, arena);
        break;
    case METHOD_LIST:
        decode_read(QUERY_LIST, m, arena);
        break;
    case METHOD_LINEAGE:
        decode_read(QUERY_LINEAGE, m, arena);
        break;
    case METHOD_PATHS:
        decode_read(QUERY_PATHS, m, arena);
        break;
    case METHOD_IMPACT:
        decode_read(QUERY_IMPACT, m, arena);
        break;
    case METHOD_PROVENANCE:
        decode_read(QUERY_PROVENANCE, m, arena);
        break;
    case METHOD_DIFF:
        decode_read(QUERY_DIFF, m, arena);
        break;
    case METHOD_DESCRIBE:
        decode_read(QUERY_DESCRIBE, m, arena);
        break;
    case METHOD_HISTORY:
        decode_read(QUERY_HISTORY, m, arena);
        break;
    case METHOD_MEMBER:
        rc = member_params_decode(m->params, &member, &error);
        break;
    case METHOD_TRANSFER:
        rc = transfer_decode(m->params, &to, &error);
        break;
    case METHOD_CANCEL:
        rc = cancel_decode(m->params, &msgid, &error);
        break;
    default:
        rc = empty_params_decode(m->params, &error);
        break;
    }
    CHECK(rc == 0 || (rc == CLADE_ERR_INVALID && error.code == rc));
    (void)message_deadline_ms(m->params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct message m;
    struct error error = {0};
    arena_init(&arena, (size_t)64 << 20);
    int rc = message_decode(span_make(data, size), &value_limits_request, &arena, &m, &error);
    CHECK(rc == 0 || error.code == rc);
    if (rc == 0 && m.type != MESSAGE_ANSWER) {
        decode_params(&m, &arena);
    }
    arena_release(&arena);
    return 0;
}
