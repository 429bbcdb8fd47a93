#include "wire/message.h"

static const char *const method_names[] = {
    [METHOD_HELLO] = "hello",
    [METHOD_PING] = "ping",
    [METHOD_SESSION_OPEN] = "session_open",
    [METHOD_SESSION_CLOSE] = "session_close",
    [METHOD_TXN] = "txn",
    [METHOD_GET] = "get",
    [METHOD_LIST] = "list",
    [METHOD_LINEAGE] = "lineage",
    [METHOD_PATHS] = "paths",
    [METHOD_IMPACT] = "impact",
    [METHOD_PROVENANCE] = "provenance",
    [METHOD_DIFF] = "diff",
    [METHOD_DESCRIBE] = "describe",
    [METHOD_HISTORY] = "history",
    [METHOD_METRICS] = "metrics",
    [METHOD_AUDIT] = "audit",
    [METHOD_WATCH] = "watch",
    [METHOD_SEARCH] = "search",
    [METHOD_COUNT_THINGS] = "count",
    [METHOD_EXPLAIN] = "explain",
    [METHOD_LIMITS] = "limits",
    [METHOD_STATUS] = "status",
    [METHOD_TRANSFER] = "transfer",
    [METHOD_MEMBER] = "member",
    [METHOD_BACKUP] = "backup",
    [METHOD_VERIFY] = "verify",
    [METHOD_CANCEL] = "cancel",
    [METHOD_CREDIT] = "credit",
    [METHOD_ERROR] = "error",
    [METHOD_EVENT] = "event",
    [METHOD_MEMBERS] = "members",
};
_Static_assert(sizeof method_names / sizeof method_names[0] == METHOD_COUNT,
               "each method has a name");

const char *method_name(enum method m)
{
    return m < METHOD_COUNT ? method_names[m] : NULL;
}

enum method method_parse(struct span name)
{
    for (unsigned m = 0; m < METHOD_COUNT; m++) {
        if (span_equal_str(name, method_names[m])) {
            return (enum method)m;
        }
    }
    return METHOD_COUNT;
}
