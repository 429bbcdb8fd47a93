#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/frame.h"

struct row {
    const char *why;
    const char *bytes;
    size_t len;
    int rc;
    size_t frame_len;
};

static void parse_tells_whole_frames_from_cut_and_bad_ones(void **state)
{
    static const struct row rows[] = {
        {"nothing", "", 0, 1, 0},
        {"half a head", "\0\0", 2, 1, 0},
        {"a head alone", "\0\0\0\3", 4, 1, 7},
        {"a cut payload", "\0\0\0\3ab", 6, 1, 7},
        {"a whole frame", "\0\0\0\3abc", 7, 0, 7},
        {"a frame and the next one's beginning", "\0\0\0\3abc\0\0", 9, 0, 7},
        {"a frame of the largest size",
         "\0\0\0\x10"
         "0123456789abcdef",
         20, 0, 20},
        {"a frame above the largest size", "\0\0\0\x11", 4, CLADE_ERR_INVALID, 0},
        {"an absurd size", "\xff\xff\xff\xff", 4, CLADE_ERR_INVALID, 0},
        {"an empty frame", "\0\0\0\0", 4, CLADE_ERR_INVALID, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];
        struct span payload = {0};
        struct error error = {0};
        size_t len = 0;
        print_message("%s\n", r->why);
        assert_int_equal(frame_parse(span_make(r->bytes, r->len), 16, &payload, &len, &error),
                         r->rc);
        assert_int_equal(error.code, r->rc < 0 ? r->rc : 0);
        if (r->rc >= 0) {
            assert_int_equal(len, r->frame_len);
        }
        if (r->rc == 0) {
            assert_ptr_equal(payload.data, r->bytes + 4);
            assert_int_equal(payload.len, r->frame_len - 4);
        }
    }
}

static void what_begin_and_end_wrote_is_parsed_again(void **state)
{
    struct buffer b;
    struct span payload;
    size_t len;
    buffer_init(&b, 1000);
    buffer_append_str(&b, "before");
    size_t at = frame_begin(&b);
    buffer_append_str(&b, "payload");
    frame_end(&b, at);
    assert_int_equal(at, 6);
    assert_int_equal(frame_parse(span_skip(buffer_span(&b), at), 100, &payload, &len, NULL), 0);
    assert_true(span_equal_str(payload, "payload"));
    buffer_release(&b);
}

static void a_frame_that_overflows_its_buffer_only_fails_the_buffer(void **state)
{
    struct buffer b;
    buffer_init(&b, 6);
    size_t at = frame_begin(&b);
    buffer_append_str(&b, "payload");
    frame_end(&b, at);
    assert_true(b.failed);
    buffer_release(&b);
    buffer_init(&b, 2);
    frame_end(&b, frame_begin(&b));
    assert_true(b.failed);
    buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_tells_whole_frames_from_cut_and_bad_ones),
        cmocka_unit_test(what_begin_and_end_wrote_is_parsed_again),
        cmocka_unit_test(a_frame_that_overflows_its_buffer_only_fails_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
