#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/frame.h"
#include "wire/message.h"

struct bad {
    const char *why;
    const char *bytes;
    size_t len;
    const char *where;
};

#define BAD(why, bytes, where)                                                                     \
    {                                                                                              \
        why, bytes, sizeof(bytes) - 1, where                                                       \
    }
static const struct bad bad[] = {
    BAD("nothing", "", "byte 0"),
    BAD("a cut array", "\x94\x00\x01", "byte 0"),
    BAD("bytes behind the message", "\x93\x02\xa1x\x80\xc0", NULL),
    BAD("a map", "\x80", "message"),
    BAD("an empty array", "\x90", "message"),
    BAD("a type that is text", "\x94\xa1\x30\x01\xa1x\x80", "message"),
    BAD("a negative type", "\x94\xff\x01\xa1x\x80", "message"),
    BAD("a type of 3", "\x94\x03\x01\xa1x\x80", "message"),
    BAD("a request of three", "\x93\x00\x01\xa1x", "message"),
    BAD("a request of five", "\x95\x00\x01\xa1x\x80\xc0", "message"),
    BAD("a msgid that is text",
        "\x94\x00\xa1"
        "1\xa1x\x80",
        "message"),
    BAD("a negative msgid", "\x94\x00\xff\xa1x\x80", "message"),
    BAD("a msgid above 32 bits", "\x94\x00\xcf\0\0\0\1\0\0\0\0\xa1x\x80", "message"),
    BAD("a method that is a number", "\x94\x00\x01\x05\x80", "message"),
    BAD("an empty method", "\x94\x00\x01\xa0\x80", "message"),
    BAD("params that are an array", "\x94\x00\x01\xa1x\x90", "message"),
    BAD("params that are nil", "\x94\x00\x01\xa1x\xc0", "message"),
    BAD("a key that is a number", "\x94\x00\x01\xa1x\x81\x01\x01", "byte 6"),
    BAD("text that is not UTF-8", "\x94\x00\x01\xa1\xff\x80", "byte 3"),
    BAD("an extension type", "\x94\x00\x01\xa1x\xd4\x01\x01", "byte 5"),
    BAD("an answer of three", "\x93\x01\x01\xc0", "message"),
    BAD("an answer's error that is text", "\x94\x01\x01\xa1x\xc0", "message"),
    BAD("an answer with both", "\x94\x01\x01\x80\x80", "message"),
    BAD("a notification of four", "\x94\x02\xa1x\x80\xc0", "message"),
    BAD("a notification without params", "\x93\x02\xa1x\xc0", "message"),
    BAD("a string that promises 4 GiB", "\x94\x00\x01\xdb\xff\xff\xff\xff", "byte 3"),
    BAD("an array that promises 4 Gi members", "\x94\x00\x01\xa1x\xdd\xff\xff\xff\xff", "byte 5"),
};

static void malformed_messages_are_refused_with_their_place(void **state)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct arena arena;
        struct message m = {.msgid = 77};
        struct error error = {0};
        print_message("%s\n", bad[i].why);
        arena_init(&arena, 1 << 20);
        assert_int_equal(message_decode(span_make(bad[i].bytes, bad[i].len), &value_limits_request,
                                        &arena, &m, &error),
                         CLADE_ERR_INVALID);
        assert_int_equal(error.code, CLADE_ERR_INVALID);
        assert_true(error.message[0] != '\0');
        if (bad[i].where != NULL) {
            assert_string_equal(error.where, bad[i].where);
        }
        assert_int_equal(m.msgid, 77);
        arena_release(&arena);
    }
}

static void nesting_above_the_limit_is_refused(void **state)
{
    struct arena arena;
    struct message m;
    struct error error;
    struct buffer b;
    arena_init(&arena, 1 << 20);
    for (unsigned depth = CLADE_MAX_DOCUMENT_DEPTH - 2; depth <= CLADE_MAX_DOCUMENT_DEPTH;
         depth++) {
        buffer_init(&b, 1000);
        buffer_append(&b, "\x94\x00\x01\xa1x\x81\xa1k", 8);
        for (unsigned i = 0; i < depth; i++) {
            value_put_array(&b, 1);
        }
        value_put_nil(&b);
        int rc = message_decode(buffer_span(&b), &value_limits_request, &arena, &m, &error);
        assert_int_equal(rc, depth + 2 <= CLADE_MAX_DOCUMENT_DEPTH ? 0 : CLADE_ERR_INVALID);
        buffer_release(&b);
    }
    arena_release(&arena);
}

static void decode_frame(const struct buffer *b, struct arena *arena, struct message *ret)
{
    struct span payload;
    size_t len;
    assert_false(b->failed);
    assert_int_equal(frame_parse(buffer_span(b), CLADE_MAX_FRAME_BYTES, &payload, &len, NULL), 0);
    assert_int_equal(len, b->len);
    assert_int_equal(message_decode(payload, &value_limits_answer, arena, ret, NULL), 0);
}

struct fixture {
    struct arena arena;
    struct buffer b;
    struct message m;
};

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    arena_init(&f.arena, 1 << 20);
    buffer_init(&f.b, 4096);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buffer_release(&f->b);
    arena_release(&f->arena);
    return 0;
}

static void a_written_request_is_read_back(void **state)
{
    struct fixture *f = *state;
    size_t at = request_begin(&f->b, UINT32_MAX, METHOD_LINEAGE, 1);
    value_put_str(&f->b, "deadline_ms");
    value_put_uint(&f->b, 123);
    frame_end(&f->b, at);
    decode_frame(&f->b, &f->arena, &f->m);
    assert_int_equal(f->m.type, MESSAGE_REQUEST);
    assert_int_equal(f->m.msgid, UINT32_MAX);
    assert_int_equal(method_parse(f->m.method), METHOD_LINEAGE);
    assert_int_equal(message_deadline_ms(f->m.params), 123);
}

static void a_written_cancel_is_read_back(void **state)
{
    struct fixture *f = *state;
    uint32_t cancelled = 0;
    notification_write_cancel(&f->b, 9);
    decode_frame(&f->b, &f->arena, &f->m);
    assert_int_equal(f->m.type, MESSAGE_NOTIFICATION);
    assert_int_equal(method_parse(f->m.method), METHOD_CANCEL);
    assert_int_equal(cancel_decode(f->m.params, &cancelled, NULL), 0);
    assert_int_equal(cancelled, 9);
}

static void a_written_notification_of_members_is_read_back(void **state)
{
    struct fixture *f = *state;
    size_t at = notification_begin(&f->b, METHOD_MEMBERS, 1);
    value_put_str(&f->b, "members");
    value_put_array(&f->b, 1);
    value_put_uint(&f->b, 4);
    frame_end(&f->b, at);
    decode_frame(&f->b, &f->arena, &f->m);
    assert_int_equal(f->m.type, MESSAGE_NOTIFICATION);
    assert_int_equal(method_parse(f->m.method), METHOD_MEMBERS);
    assert_int_equal(value_uint(value_at(value_get(f->m.params, "members"), 0)), 4);
}

static const struct answer_head full_head = {.revision = 5,
                                             .node = 6,
                                             .term = 7,
                                             .has_complete = true,
                                             .complete = false,
                                             .cursor = {(const uint8_t *)"c", 1},
                                             .has_time = true,
                                             .time_us = 8};

static void a_written_answer_is_read_back(void **state)
{
    struct fixture *f = *state;
    answer_write(&f->b, 3, &full_head, span_make("\x91\x01", 2));
    decode_frame(&f->b, &f->arena, &f->m);
    const struct value *result = f->m.result;
    assert_int_equal(f->m.type, MESSAGE_ANSWER);
    assert_int_equal(f->m.msgid, 3);
    assert_int_equal(value_type(f->m.error), CLADE_NIL);
    assert_int_equal(value_len(result), 7);
    assert_int_equal(value_uint(value_get(result, "revision")), 5);
    assert_int_equal(value_uint(value_get(result, "node")), 6);
    assert_int_equal(value_uint(value_get(result, "term")), 7);
    assert_int_equal(value_uint(value_get(result, "time")), 8);
    assert_int_equal(value_type(value_get(result, "complete")), CLADE_BOOL);
    assert_true(span_equal_str(value_string(value_get(result, "cursor")), "c"));
    assert_int_equal(value_len(value_get(result, "data")), 1);
}

static void a_written_session_is_read_back(void **state)
{
    struct fixture *f = *state;
    answer_write_session(&f->b, 4, &full_head, 11, 12);
    decode_frame(&f->b, &f->arena, &f->m);
    assert_int_equal(value_uint(value_get(f->m.result, "session")), 11);
    assert_int_equal(value_uint(value_get(f->m.result, "lease_ms")), 12);
}

static void a_written_error_is_read_back(void **state)
{
    struct fixture *f = *state;
    struct error e;
    struct error back;
    error_set(&e, CLADE_ERR_CONFLICT, "guards[0]", "it changed");
    e.revision = 20;
    e.id = 21;
    answer_write_error(&f->b, 5, &e, span_of("h:1"));
    decode_frame(&f->b, &f->arena, &f->m);
    value_get_error(f->m.error, &back);
    assert_int_equal(value_type(f->m.result), CLADE_NIL);
    assert_int_equal(back.code, CLADE_ERR_CONFLICT);
    assert_string_equal(back.where, "guards[0]");
    assert_string_equal(back.message, "it changed");
    assert_int_equal(back.revision, 20);
    assert_int_equal(back.id, 21);
    assert_true(span_equal_str(value_string(value_get(f->m.error, "code")), "CONFLICT"));
    assert_true(span_equal_str(value_string(value_get(f->m.error, "leader")), "h:1"));
}

static void an_encoded_error_is_carried_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct error e;
    struct buffer body;
    buffer_init(&body, 1000);
    error_set(&e, CLADE_ERR_CONFLICT, NULL, "it changed");
    value_put_error(&body, &e, (struct span){0});
    answer_write_error_body(&f->b, 6, buffer_span(&body));
    decode_frame(&f->b, &f->arena, &f->m);
    assert_int_equal(f->m.msgid, 6);
    assert_null(value_get(f->m.error, "leader"));
    assert_null(value_get(f->m.error, "where"));
    assert_int_equal(value_int(value_get(f->m.error, "number")), CLADE_ERR_CONFLICT);
    buffer_release(&body);
}

static void a_written_farewell_is_read_back(void **state)
{
    struct fixture *f = *state;
    struct error e;
    error_set(&e, CLADE_ERR_INVALID, NULL, "a frame of 0 bytes");
    notification_write_error(&f->b, &e);
    decode_frame(&f->b, &f->arena, &f->m);
    assert_int_equal(method_parse(f->m.method), METHOD_ERROR);
    assert_int_equal(value_int(value_get(f->m.params, "number")), CLADE_ERR_INVALID);
}

static void an_answer_without_data_says_nil(void **state)
{
    struct arena arena;
    struct buffer b;
    struct message m;
    struct answer_head head = {0};
    arena_init(&arena, 1 << 20);
    buffer_init(&b, 100);
    answer_write(&b, 1, &head, (struct span){0});
    decode_frame(&b, &arena, &m);
    assert_int_equal(value_len(m.result), 4);
    assert_non_null(value_get(m.result, "data"));
    assert_int_equal(value_type(value_get(m.result, "data")), CLADE_NIL);
    buffer_release(&b);
    arena_release(&arena);
}

static void an_error_of_an_unknown_number_is_internal(void **state)
{
    struct error e;
    value_get_error(NULL, &e);
    assert_int_equal(e.code, CLADE_ERR_INTERNAL);
    assert_true(e.message[0] != '\0');
}

static void each_method_is_found_by_its_name(void **state)
{
    for (unsigned m = 0; m < METHOD_COUNT; m++) {
        assert_int_equal(method_parse(span_of(method_name((enum method)m))), m);
    }
    assert_int_equal(method_parse(span_of("")), METHOD_COUNT);
    assert_int_equal(method_parse(span_of("helloo")), METHOD_COUNT);
    assert_null(method_name(METHOD_COUNT));
}

#define MESSAGE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_messages_are_refused_with_their_place),
        cmocka_unit_test(nesting_above_the_limit_is_refused),
        MESSAGE_TEST(a_written_request_is_read_back),
        MESSAGE_TEST(a_written_cancel_is_read_back),
        MESSAGE_TEST(a_written_notification_of_members_is_read_back),
        MESSAGE_TEST(a_written_answer_is_read_back),
        MESSAGE_TEST(a_written_session_is_read_back),
        MESSAGE_TEST(a_written_error_is_read_back),
        MESSAGE_TEST(an_encoded_error_is_carried_as_it_is),
        MESSAGE_TEST(a_written_farewell_is_read_back),
        cmocka_unit_test(an_answer_without_data_says_nil),
        cmocka_unit_test(an_error_of_an_unknown_number_is_internal),
        cmocka_unit_test(each_method_is_found_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
