#include "command/value.h"

static bool has_text(const char *s)
{
    return s[0] != '\0';
}

void value_put_error(struct buffer *b, const struct error *e, struct span leader)
{
    uint32_t members = 3;
    members += has_text(e->where);
    members += e->revision != 0;
    members += e->id != 0;
    members += has_text(e->there);
    members += e->retry_ms != 0;
    members += leader.len > 0;
    value_put_map(b, members);
    value_put_str(b, "code");
    value_put_str(b, clade_error_name(e->code));
    value_put_str(b, "number");
    value_put_int(b, e->code);
    value_put_str(b, "message");
    value_put_str(b, has_text(e->message) ? e->message : clade_error_text(e->code));
    if (has_text(e->where)) {
        value_put_str(b, "where");
        value_put_str(b, e->where);
    }
    if (e->revision != 0) {
        value_put_str(b, "revision");
        value_put_uint(b, e->revision);
    }
    if (e->id != 0) {
        value_put_str(b, "id");
        value_put_uint(b, e->id);
    }
    if (has_text(e->there)) {
        value_put_str(b, "there");
        value_put_str(b, e->there);
    }
    if (e->retry_ms != 0) {
        value_put_str(b, "retry_ms");
        value_put_uint(b, e->retry_ms);
    }
    if (leader.len > 0) {
        value_put_str(b, "leader");
        value_put_span(b, leader);
    }
}

static int known_code(const struct value *number)
{
    int64_t n = value_int(number);
#define IS_CODE(code, name, http, advice, text)                                                    \
    if (n == (code)) {                                                                             \
        return CLADE_ERR_##name;                                                                   \
    }
    CLADE_ERRORS(IS_CODE)
#undef IS_CODE
    return CLADE_ERR_INTERNAL;
}

void value_get_error(const struct value *v, struct error *ret)
{
    struct span where = value_string(value_get(v, "where"));
    struct span message = value_string(value_get(v, "message"));
    char where_text[sizeof ret->where];
    size_t n = where.len < sizeof where_text ? where.len : sizeof where_text - 1;
    if (n > 0) {
        memcpy(where_text, where.data, n);
    }
    where_text[n] = '\0';
    int code = known_code(value_get(v, "number"));
    if (message.len == 0) {
        message = span_of(clade_error_text(code));
    }
    error_set(ret, code, where_text, "%.*s", SPAN_FMT(message));
    ret->revision = value_uint(value_get(v, "revision"));
    ret->id = value_uint(value_get(v, "id"));
    struct span there = value_string(value_get(v, "there"));
    if (there.len > 0) {
        error_set_there(ret, "%.*s", SPAN_FMT(there));
    }
    uint64_t retry_ms = value_uint(value_get(v, "retry_ms"));
    ret->retry_ms = retry_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)retry_ms;
}
