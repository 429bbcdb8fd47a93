/* Responses and values: what is there is read, what is not is nil; and the error table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/lib_internal.h"
#include "wire/frame.h"

static struct clade_response *decode(struct buffer *b)
{
    struct message m;
    struct error e;
    struct span payload = span_skip(buffer_span(b), FRAME_HEADER_BYTES);
    struct clade_response *r = response_decode(payload, &m, &e);
    assert_non_null(r);
    if (value_type(m.error) != CLADE_NIL) {
        value_get_error(m.error, &e);
        response_take_error(r, m.error, &e);
    } else {
        response_take_result(r, m.result);
    }
    buffer_release(b);
    return r;
}

static struct clade_response *make(const struct answer_head *head, const char *data, size_t len)
{
    struct buffer b;
    buffer_init(&b, 4096);
    answer_write(&b, 1, head, span_make(data, len));
    return decode(&b);
}

static void an_answer_is_read(void **state)
{
    static const char data[] = "\x92\x82\xa2id\x05\xa3ref\xa6run/r1\x81\xa6status\xa7"
                               "created";
    struct answer_head head = {.revision = 3,
                               .node = 2,
                               .term = 9,
                               .has_complete = true,
                               .complete = false,
                               .cursor = span_of("abc")};
    struct clade_response *r = make(&head, data, sizeof data - 1);
    assert_int_equal(clade_response_code(r), 0);
    assert_string_equal(clade_response_message(r), "");
    assert_int_equal(clade_response_revision(r), 3);
    assert_int_equal(clade_response_node(r), 2);
    assert_int_equal(clade_response_term(r), 9);
    assert_false(clade_response_complete(r));
    assert_string_equal(clade_response_cursor(r), "abc");
    assert_null(clade_response_error(r));
    assert_int_equal(clade_value_len(clade_response_data(r)), 2);
    assert_int_equal(clade_response_id(r, 0), 5);
    assert_string_equal(clade_response_ref(r, 0), "run/r1");
    assert_ptr_equal(clade_response_ref(r, 0), clade_response_ref(r, 0));
    assert_int_equal(clade_response_id(r, 1), 0);
    assert_null(clade_response_ref(r, 1));
    assert_null(clade_response_ref(r, 2));
    assert_null(clade_response_ref(r, UINT32_MAX));
    clade_response_free(r);
}

static void data_of_another_shape_has_no_ids_and_refs(void **state)
{
    static const char *const shapes[] = {"\x81\xa2id\x05", "\x05",
                                         "\xa3"
                                         "abc",
                                         "\x91\x91\x01"};
    static const size_t lens[] = {5, 1, 4, 3};
    struct answer_head head = {0};
    for (size_t i = 0; i < 4; i++) {
        struct clade_response *r = make(&head, shapes[i], lens[i]);
        assert_int_equal(clade_response_id(r, 0), 0);
        assert_null(clade_response_ref(r, 0));
        assert_true(clade_response_complete(r));
        clade_response_free(r);
    }
}

static void an_error_is_read_with_its_place(void **state)
{
    struct buffer b;
    struct error e;
    buffer_init(&b, 4096);
    error_set(&e, CLADE_ERR_INVALID, "ops[2].name", "is too long");
    answer_write_error(&b, 1, &e, (struct span){0});
    struct clade_response *r = decode(&b);
    assert_int_equal(clade_response_code(r), CLADE_ERR_INVALID);
    assert_string_equal(clade_response_message(r), "ops[2].name: is too long");
    assert_null(clade_response_data(r));
    assert_false(clade_response_complete(r));
    assert_int_equal(clade_value_int(clade_value_get(clade_response_error(r), "number")),
                     CLADE_ERR_INVALID);
    clade_response_free(r);
}

static void no_response_is_out_of_memory(void **state)
{
    assert_int_equal(clade_response_code(NULL), CLADE_ERR_NO_MEMORY);
    assert_true(clade_response_message(NULL)[0] != '\0');
    assert_int_equal(clade_response_revision(NULL), 0);
    assert_null(clade_response_data(NULL));
    assert_null(clade_response_error(NULL));
    assert_null(clade_response_cursor(NULL));
    assert_null(clade_response_ref(NULL, 0));
    assert_int_equal(clade_response_id(NULL, 0), 0);
    clade_response_free(NULL);
}

/* One of each type; each accessor but its own answers nothing. */
static void accessors_of_the_wrong_type_answer_nothing(void **state)
{
    static const char data[] = "\x99\xc0\xc3\x05\xfb\xcb\x3f\xf8\0\0\0\0\0\0\xa1s\xc4\x01"
                               "b\x91\x01"
                               "\x81\xa1k\x07";
    struct answer_head head = {0};
    struct clade_response *r = make(&head, data, sizeof data - 1);
    const struct clade_value *all = clade_response_data(r);
    assert_int_equal(clade_value_len(all), 9);
    for (size_t i = 0; i < 9; i++) {
        const struct clade_value *v = clade_value_at(all, i);
        size_t len = 99;
        assert_int_equal(clade_value_type(v), i);
        assert_int_equal(clade_value_bool(v), i == CLADE_BOOL);
        assert_int_equal(clade_value_uint(v), i == CLADE_UINT ? 5 : 0);
        assert_true(i == CLADE_UINT || i == CLADE_INT || clade_value_int(v) == 0);
        assert_int_equal(clade_value_strn(v, &len) != NULL, i == CLADE_STRING || i == CLADE_BYTES);
        assert_int_equal(len, i == CLADE_STRING || i == CLADE_BYTES);
        assert_int_equal(clade_value_len(v), i == CLADE_ARRAY || i == CLADE_MAP);
        assert_int_equal(clade_value_at(v, 0) != NULL, i == CLADE_ARRAY || i == CLADE_MAP);
        assert_int_equal(clade_value_key_at(v, 0) != NULL, i == CLADE_MAP);
        assert_int_equal(clade_value_get(v, "k") != NULL, i == CLADE_MAP);
        assert_null(clade_value_at(v, 1));
        assert_null(clade_value_get(v, "nothing"));
    }
    assert_int_equal(clade_value_int(clade_value_at(all, CLADE_INT)), -5);
    assert_true(clade_value_double(clade_value_at(all, CLADE_DOUBLE)) == 1.5);
    const struct clade_value *none = clade_value_get(clade_value_at(NULL, 3), "k");
    assert_int_equal(clade_value_type(none), CLADE_NIL);
    assert_null(clade_value_strn(none, NULL));
    clade_response_free(r);
}

struct row {
    int code;
    const char *name;
    int http;
    enum clade_advice advice;
};

static void the_error_table_is_answered(void **state)
{
#define ROW(code, name, http, advice, text) {code, #name, http, CLADE_ADVICE_##advice},
    static const struct row rows[] = {CLADE_ERRORS(ROW)};
#undef ROW
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(clade_error_name(rows[i].code), rows[i].name);
        assert_int_equal(clade_error_http(rows[i].code), rows[i].http);
        assert_int_equal(clade_error_advice(rows[i].code), rows[i].advice);
        assert_true(clade_error_text(rows[i].code)[0] != '\0');
    }
    assert_string_equal(clade_error_name(0), "OK");
    assert_string_equal(clade_error_name(1), "UNKNOWN_ERROR");
    assert_string_equal(clade_error_name(-1000), "UNKNOWN_ERROR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_read),
        cmocka_unit_test(data_of_another_shape_has_no_ids_and_refs),
        cmocka_unit_test(an_error_is_read_with_its_place),
        cmocka_unit_test(no_response_is_out_of_memory),
        cmocka_unit_test(accessors_of_the_wrong_type_answer_nothing),
        cmocka_unit_test(the_error_table_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
