#include "wire/frame.h"
#include "wire/message.h"

size_t request_begin_named(struct buffer *b, uint32_t msgid, struct span method, uint32_t members)
{
    size_t at = frame_begin(b);
    value_put_array(b, 4);
    value_put_uint(b, MESSAGE_REQUEST);
    value_put_uint(b, msgid);
    value_put_span(b, method);
    value_put_map(b, members);
    return at;
}

size_t request_begin(struct buffer *b, uint32_t msgid, enum method method, uint32_t members)
{
    return request_begin_named(b, msgid, span_of(method_name(method)), members);
}

size_t notification_begin(struct buffer *b, enum method method, uint32_t members)
{
    size_t at = frame_begin(b);
    value_put_array(b, 3);
    value_put_uint(b, MESSAGE_NOTIFICATION);
    value_put_str(b, method_name(method));
    value_put_map(b, members);
    return at;
}

void notification_write_cancel(struct buffer *b, uint32_t msgid)
{
    size_t at = notification_begin(b, METHOD_CANCEL, 1);
    value_put_str(b, "msgid");
    value_put_uint(b, msgid);
    frame_end(b, at);
}

void notification_write_credit(struct buffer *b, uint32_t msgid, uint64_t bytes)
{
    size_t at = notification_begin(b, METHOD_CREDIT, 2);
    value_put_str(b, "msgid");
    value_put_uint(b, msgid);
    value_put_str(b, "bytes");
    value_put_uint(b, bytes);
    frame_end(b, at);
}

size_t answer_begin(struct buffer *b, uint32_t msgid)
{
    size_t at = frame_begin(b);
    value_put_array(b, 4);
    value_put_uint(b, MESSAGE_ANSWER);
    value_put_uint(b, msgid);
    value_put_nil(b);
    return at;
}

static void put_uint_member(struct buffer *b, const char *key, uint64_t v)
{
    value_put_str(b, key);
    value_put_uint(b, v);
}

/* The members of the head; `more` are still to follow. */
static void put_head(struct buffer *b, const struct answer_head *head, uint32_t more)
{
    bool has_cursor = head->cursor.len > 0;
    value_put_map(b, 3u + head->has_complete + has_cursor + head->has_read +
                         (head->compacted != 0) + head->has_time + more);
    put_uint_member(b, "revision", head->revision);
    put_uint_member(b, "node", head->node);
    put_uint_member(b, "term", head->term);
    if (head->has_time) {
        put_uint_member(b, "time", head->time_us);
    }
    if (head->has_complete) {
        value_put_str(b, "complete");
        value_put_bool(b, head->complete);
    }
    if (head->has_read) {
        put_uint_member(b, "read", head->read);
    }
    if (head->compacted != 0) {
        put_uint_member(b, "compacted", head->compacted);
    }
    if (has_cursor) {
        value_put_str(b, "cursor");
        value_put_span(b, head->cursor);
    }
}

void answer_write(struct buffer *b,
                  uint32_t msgid,
                  const struct answer_head *head,
                  struct span data)
{
    size_t at = answer_begin(b, msgid);
    put_head(b, head, 1);
    value_put_str(b, "data");
    if (data.len == 0) {
        value_put_nil(b);
    } else {
        buffer_append_span(b, data);
    }
    frame_end(b, at);
}

void answer_write_session(struct buffer *b,
                          uint32_t msgid,
                          const struct answer_head *head,
                          uint64_t session,
                          uint64_t lease_ms)
{
    size_t at = answer_begin(b, msgid);
    put_head(b, head, 2);
    put_uint_member(b, "session", session);
    put_uint_member(b, "lease_ms", lease_ms);
    frame_end(b, at);
}

static size_t error_answer_begin(struct buffer *b, uint32_t msgid)
{
    size_t at = frame_begin(b);
    value_put_array(b, 4);
    value_put_uint(b, MESSAGE_ANSWER);
    value_put_uint(b, msgid);
    return at;
}

void answer_write_error(struct buffer *b, uint32_t msgid, const struct error *e, struct span leader)
{
    size_t at = error_answer_begin(b, msgid);
    value_put_error(b, e, leader);
    value_put_nil(b);
    frame_end(b, at);
}

void answer_write_error_body(struct buffer *b, uint32_t msgid, struct span body)
{
    size_t at = error_answer_begin(b, msgid);
    buffer_append_span(b, body);
    value_put_nil(b);
    frame_end(b, at);
}

void notification_write_error(struct buffer *b, const struct error *e)
{
    size_t at = frame_begin(b);
    value_put_array(b, 3);
    value_put_uint(b, MESSAGE_NOTIFICATION);
    value_put_str(b, method_name(METHOD_ERROR));
    value_put_error(b, e, (struct span){0});
    frame_end(b, at);
}
