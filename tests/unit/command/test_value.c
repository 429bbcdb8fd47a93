#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <msgpack.h>

#include "notation.h"

static int check(const char *bytes, size_t len)
{
    size_t ret;
    return value_check(span_make(bytes, len), &value_limits_request, &ret, NULL);
}

#define CHECK_BYTES(s) check(s, sizeof(s) - 1)

static void malformed_bytes_are_refused(void **state)
{
    assert_int_equal(CHECK_BYTES("\xC0"), 0);
    assert_int_equal(CHECK_BYTES(""), CLADE_ERR_INVALID);
    assert_int_equal(CHECK_BYTES("\xC1"), CLADE_ERR_INVALID);
    assert_int_equal(CHECK_BYTES("\xD4\x01\x02"), CLADE_ERR_INVALID);
    assert_int_equal(CHECK_BYTES("\xC7\x00\x02"), CLADE_ERR_INVALID);
    assert_int_equal(CHECK_BYTES("\xA2x"), CLADE_ERR_INVALID);
    assert_int_equal(CHECK_BYTES("\xA1\xFF"), CLADE_ERR_INVALID);
    assert_int_equal(CHECK_BYTES("\xDD\xFF\xFF\xFF\xFF"), CLADE_ERR_INVALID);
    assert_int_equal(CHECK_BYTES("\xDF\xFF\xFF\xFF\xFF\xA0"), CLADE_ERR_INVALID);
    assert_int_equal(CHECK_BYTES("\x81\x01\x02"), CLADE_ERR_INVALID);
    assert_int_equal(CHECK_BYTES("\x82\xA1k\x02"), CLADE_ERR_INVALID);
    assert_int_equal(CHECK_BYTES("\xCF\x01"), CLADE_ERR_INVALID);
}

static void errors_say_at_which_byte(void **state)
{
    struct error e = {0};
    size_t len;
    value_check(span_make("\x92\x01\xC1", 3), &value_limits_request, &len, &e);
    assert_string_equal(e.where, "byte 2");
}

static void nesting_ends_at_the_limit(void **state)
{
    char deep[64];
    memset(deep, '\x91', sizeof deep);
    deep[16] = '\xC0';
    assert_int_equal(check(deep, 17), 0);
    deep[16] = '\x91';
    deep[17] = '\xC0';
    assert_int_equal(check(deep, 18), CLADE_ERR_INVALID);
}

static void more_values_than_the_limit_are_refused(void **state)
{
    static const struct value_limits few = {
        .depth_max = 4, .objects_max = 4, .string_bytes_max = 2};
    size_t len;
    assert_int_equal(value_check(span_make("\x93\1\2\3", 4), &few, &len, NULL), 0);
    assert_int_equal(value_check(span_make("\x94\1\2\3\4", 5), &few, &len, NULL),
                     CLADE_ERR_INVALID);
    assert_int_equal(value_check(span_make("\xA3xyz", 4), &few, &len, NULL), CLADE_ERR_INVALID);
}

static void decoded_values_read_and_write_back(void **state)
{
    struct buffer b;
    struct buffer again;
    struct arena a;
    const struct value *v;
    buffer_init(&b, 4096);
    buffer_init(&again, 4096);
    arena_init(&a, 65536);
    static const int64_t ints[] = {0,      127,    128,       255,       256,       65535,
                                   65536,  -1,     -32,       -33,       -128,      -129,
                                   -32768, -32769, INT32_MIN, INT64_MIN, INT64_MAX, UINT32_MAX};
    size_t n = sizeof ints / sizeof ints[0];
    value_put_array(&b, (uint32_t)n + 3);
    for (size_t i = 0; i < n; i++) {
        value_put_int(&b, ints[i]);
    }
    value_put_uint(&b, UINT64_MAX);
    value_put_double(&b, -1.5);
    value_put_bytes(&b, span_of("\xFF"));
    assert_int_equal(value_decode(buffer_span(&b), &value_limits_request, &a, &v, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(value_int(value_at(v, i)), ints[i]);
        assert_int_equal(value_type(value_at(v, i)), ints[i] < 0 ? CLADE_INT : CLADE_UINT);
    }
    assert_true(value_uint(value_at(v, n)) == UINT64_MAX);
    assert_int_equal(value_int(value_at(v, n)), 0);
    assert_true(value_double(value_at(v, n + 1)) == -1.5);
    assert_true(span_equal_str(value_bytes(value_at(v, n + 2)), "\xFF"));
    assert_null(value_at(v, n + 3));
    value_put_value(&again, v);
    assert_true(span_equal(buffer_span(&b), buffer_span(&again)));
    buffer_release(&b);
    buffer_release(&again);
    arena_release(&a);
}

static void a_member_is_found_without_decoding(void **state)
{
    /* {"a": [{"k": 1}, "x"], "ns": "team", "ops": [1, 2, 3], "n": 7} */
    static const char bytes[] = "\x84\xA1"
                                "a\x92\x81\xA1k\x01\xA1x\xA2ns\xA4team\xA3ops\x93\x01\x02\x03"
                                "\xA1n\x07";
    struct span whole = span_make(bytes, sizeof bytes - 1);
    struct span text;
    uint32_t len;
    value_peek(whole, "ns", &text, &len);
    assert_true(span_equal_str(text, "team") && len == 0);
    value_peek(whole, "ops", &text, &len);
    assert_true(text.len == 0 && len == 3);
    value_peek(whole, "a", &text, &len);
    assert_true(text.len == 0 && len == 2);
    value_peek(whole, "n", &text, &len);
    assert_true(text.len == 0 && len == 0);
    value_peek(whole, "k", &text, &len);
    assert_true(text.len == 0 && len == 0);
    for (size_t cut = 0; cut < whole.len; cut++) {
        value_peek(span_make(bytes, cut), "n", &text, &len);
        value_peek(span_make(bytes + cut, whole.len - cut), "n", &text, &len);
    }
}

static void strings_borrow_from_the_bytes(void **state)
{
    struct buffer b;
    struct arena a;
    const struct value *v;
    buffer_init(&b, 4096);
    arena_init(&a, 4096);
    notation_put(&b, "{'name': 'bert', 'tags': {'a': nil}}");
    assert_int_equal(value_decode(buffer_span(&b), &value_limits_request, &a, &v, NULL), 0);
    struct span name = value_string(value_get(v, "name"));
    assert_true(span_equal_str(name, "bert"));
    assert_true(name.data > b.data && name.data < b.data + b.len);
    assert_null(value_get(v, "other"));
    assert_int_equal(value_len(value_get(v, "tags")), 1);
    struct arena small;
    arena_init(&small, 32);
    assert_int_equal(value_decode(buffer_span(&b), &value_limits_request, &small, &v, NULL),
                     CLADE_ERR_LIMIT);
    arena_release(&small);
    buffer_release(&b);
    arena_release(&a);
}

/* The reader of tokens is ours, so another's judges it: what it accepts, msgpack-c accepts, with
 * the same length. */
static void msgpack_c_agrees_with_the_reader(void **state)
{
    uint64_t seed = 20260301;
    uint8_t bytes[48];
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 200000; round++) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (uint8_t)(seed >> 56);
            bytes[i] = i < 4 ? bytes[i] | 0x80 : bytes[i];
        }
        size_t len;
        if (value_check(span_make(bytes, sizeof bytes), &value_limits_request, &len, NULL) != 0) {
            continue;
        }
        msgpack_unpacked u;
        msgpack_unpacked_init(&u);
        size_t theirs = 0;
        msgpack_unpack_return r = msgpack_unpack_next(&u, (char *)bytes, sizeof bytes, &theirs);
        assert_true(r == MSGPACK_UNPACK_SUCCESS || r == MSGPACK_UNPACK_EXTRA_BYTES);
        assert_int_equal(theirs, len);
        msgpack_unpacked_destroy(&u);
    }
}

static void many_numbers_are_written_as_each_is_alone(void **state)
{
    static const uint64_t values[] = {0,         1,          127,        128,
                                      255,       256,        257,        65535,
                                      65536,     16777216,   UINT32_MAX, 1 + (uint64_t)UINT32_MAX,
                                      INT64_MAX, UINT64_MAX, 7};
    const size_t n = sizeof values / sizeof *values;
    struct buffer each;
    struct buffer many;
    buffer_init(&each, 1024);
    buffer_init(&many, 1024);
    value_put_str(&many, "before");
    value_put_str(&each, "before");
    value_put_uints(&many, values, n);
    for (size_t i = 0; i < n; i++) {
        value_put_uint(&each, values[i]);
    }
    assert_true(span_equal(buffer_span(&each), buffer_span(&many)));
    value_put_uints(&many, values, 0);
    assert_int_equal(many.len, each.len);
    many.bytes_max = many.len + 8;
    value_put_uints(&many, values, 1);
    assert_true(many.failed);
    buffer_release(&each);
    buffer_release(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_bytes_are_refused),
        cmocka_unit_test(errors_say_at_which_byte),
        cmocka_unit_test(nesting_ends_at_the_limit),
        cmocka_unit_test(more_values_than_the_limit_are_refused),
        cmocka_unit_test(decoded_values_read_and_write_back),
        cmocka_unit_test(many_numbers_are_written_as_each_is_alone),
        cmocka_unit_test(a_member_is_found_without_decoding),
        cmocka_unit_test(strings_borrow_from_the_bytes),
        cmocka_unit_test(msgpack_c_agrees_with_the_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
