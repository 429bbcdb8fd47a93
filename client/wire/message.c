#include "wire/message.h"

static int refuse(struct error *error, const char *what)
{
    return error_set(error, CLADE_ERR_INVALID, "message", "%s", what);
}

static bool is_u32(const struct value *v)
{
    return value_type(v) == CLADE_UINT && value_uint(v) <= UINT32_MAX;
}

static bool is_method(const struct value *v)
{
    return value_type(v) == CLADE_STRING && value_string(v).len > 0;
}

static int decode_request(const struct value *v, struct message *m, struct error *error)
{
    if (value_len(v) != 4) {
        return refuse(error, "a request has 4 elements");
    }
    if (!is_u32(value_at(v, 1))) {
        return refuse(error, "a request's msgid is an unsigned 32-bit integer");
    }
    if (!is_method(value_at(v, 2))) {
        return refuse(error, "a request's method is a string");
    }
    if (value_type(value_at(v, 3)) != CLADE_MAP) {
        return refuse(error, "a request's params are a map");
    }
    m->msgid = (uint32_t)value_uint(value_at(v, 1));
    m->method = value_string(value_at(v, 2));
    m->params = value_at(v, 3);
    return 0;
}

static int decode_answer(const struct value *v, struct message *m, struct error *error)
{
    if (value_len(v) != 4) {
        return refuse(error, "an answer has 4 elements");
    }
    if (!is_u32(value_at(v, 1))) {
        return refuse(error, "an answer's msgid is an unsigned 32-bit integer");
    }
    enum clade_type e = value_type(value_at(v, 2));
    enum clade_type r = value_type(value_at(v, 3));
    if (e != CLADE_NIL && e != CLADE_MAP) {
        return refuse(error, "an answer's error is nil or a map");
    }
    if (e != CLADE_NIL && r != CLADE_NIL) {
        return refuse(error, "an answer has an error or a result, not both");
    }
    m->msgid = (uint32_t)value_uint(value_at(v, 1));
    m->error = value_at(v, 2);
    m->result = value_at(v, 3);
    return 0;
}

static int decode_notification(const struct value *v, struct message *m, struct error *error)
{
    if (value_len(v) != 3) {
        return refuse(error, "a notification has 3 elements");
    }
    if (!is_method(value_at(v, 1))) {
        return refuse(error, "a notification's method is a string");
    }
    if (value_type(value_at(v, 2)) != CLADE_MAP) {
        return refuse(error, "a notification's params are a map");
    }
    m->method = value_string(value_at(v, 1));
    m->params = value_at(v, 2);
    return 0;
}

int message_decode(struct span payload,
                   const struct value_limits *limits,
                   struct arena *arena,
                   struct message *ret,
                   struct error *error)
{
    const struct value *v;
    int rc = value_decode(payload, limits, arena, &v, error);
    if (rc != 0) {
        return rc;
    }
    if (value_type(v) != CLADE_ARRAY || value_type(value_at(v, 0)) != CLADE_UINT) {
        return refuse(error, "a message is an array that begins with its type");
    }
    struct message m = {0};
    switch (value_uint(value_at(v, 0))) {
    case MESSAGE_REQUEST:
        m.type = MESSAGE_REQUEST;
        rc = decode_request(v, &m, error);
        break;
    case MESSAGE_ANSWER:
        m.type = MESSAGE_ANSWER;
        rc = decode_answer(v, &m, error);
        break;
    case MESSAGE_NOTIFICATION:
        m.type = MESSAGE_NOTIFICATION;
        rc = decode_notification(v, &m, error);
        break;
    default:
        return refuse(error, "a message's type is 0, 1 or 2");
    }
    if (rc == 0) {
        *ret = m;
    }
    return rc;
}
