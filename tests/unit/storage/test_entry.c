#include <stdlib.h>

#include "base/bytes.h"
#include "fixture.h"
#include "storage/entry.h"

static struct item sample(void)
{
    return (struct item){
        .kind = ITEM_TXN,
        .id = {.node = 1, .boot = 0x1122334455667788, .counter = 3},
        .session = 4,
        .seq = 5,
        .answered = 2,
        .principal = span_of("ann"),
        .on_behalf_of = span_of("bob"),
        .ns = span_of("team/a"),
        .command = span_of("0123456789"),
    };
}

static void build(struct buffer *b, unsigned items)
{
    struct item item = sample();
    buffer_init(b, 4096);
    entry_begin(b);
    for (unsigned i = 0; i < items; i++) {
        item_encode(b, &item);
    }
    struct entry_header h = {
        .level = SEMANTICS_LEVEL, .items = (uint16_t)items, .elapsed_ms = 7, .stamp_us = 8};
    entry_end(b, &h);
    assert_false(b->failed);
}

static void an_entry_decodes_to_what_was_encoded(void **state)
{
    (void)state;
    struct buffer b;
    struct entry_header h;
    struct item want = sample();
    build(&b, 3);
    assert_int_equal(b.len % 8, 0);
    assert_int_equal(entry_check(buffer_span(&b), &h, NULL), 0);
    assert_int_equal(h.items, 3);
    assert_int_equal(h.elapsed_ms, 7);
    assert_int_equal(h.stamp_us, 8);
    struct span rest = span_skip(buffer_span(&b), ENTRY_HEADER_BYTES);
    for (int i = 0; i < 3; i++) {
        struct item item;
        size_t len;
        assert_int_equal(item_decode(rest, &item, &len, NULL), 0);
        assert_int_equal(len, item_bytes(&want));
        assert_true(span_equal(item.principal, want.principal));
        assert_true(span_equal(item.on_behalf_of, want.on_behalf_of));
        assert_true(span_equal(item.ns, want.ns));
        assert_true(span_equal(item.command, want.command));
        assert_int_equal(item.id.boot, want.id.boot);
        assert_int_equal(item.session, 4);
        assert_int_equal(item.seq, 5);
        assert_int_equal(item.answered, 2);
        rest = span_skip(rest, len);
    }
    buffer_release(&b);
}

static void an_item_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct buffer b;
    build(&b, 1);
    struct item item = sample();
    size_t whole = item_bytes(&item);
    for (size_t len = 0; len < whole; len++) {
        /* A copy of its own, so that a sanitizer sees a read past the end. */
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, b.data + ENTRY_HEADER_BYTES, len);
        size_t ret;
        struct error e;
        assert_int_equal(item_decode(span_make(copy, len), &item, &ret, &e), CLADE_ERR_CORRUPT);
        free(copy);
    }
    buffer_release(&b);
}

static void a_damaged_header_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t byte;
        int code;
        const char *why;
    } rows[] = {
        {0, 0, CLADE_ERR_CORRUPT, "no version"},
        {0, ENTRY_VERSION + 1, CLADE_ERR_UNSUPPORTED, "a newer version"},
        {1, 0, CLADE_ERR_CORRUPT, "no semantics level"},
        {1, SEMANTICS_LEVEL + 1, CLADE_ERR_UNSUPPORTED, "a newer semantics level"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer b;
        struct entry_header h;
        struct error e;
        build(&b, 1);
        b.data[rows[i].at] = rows[i].byte;
        if (entry_check(buffer_span(&b), &h, &e) != rows[i].code) {
            fail_msg("%s", rows[i].why);
        }
        buffer_release(&b);
    }
}

static void a_damaged_item_is_refused(void **state)
{
    (void)state;
    static const size_t at[] = {0, 3, 4, 5, 6, 8, 10, 12};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        struct buffer b;
        struct item item;
        size_t len;
        build(&b, 1);
        b.data[ENTRY_HEADER_BYTES + at[i]] ^= 0x40;
        struct span rest = span_skip(buffer_span(&b), ENTRY_HEADER_BYTES);
        assert_int_equal(item_decode(rest, &item, &len, NULL), CLADE_ERR_CORRUPT);
        buffer_release(&b);
    }
}

/* The bytes of an item whose lengths add up: the longest texts, and a command of so many bytes. */
static void put_long_item(struct buffer *b, size_t command)
{
    static uint8_t bytes[CLADE_MAX_COMMAND_BYTES];
    struct item item = sample();
    item.principal = item.on_behalf_of = item.ns = span_make(bytes, UINT16_MAX);
    item.command = span_make(bytes, CLADE_MAX_COMMAND_BYTES);
    size_t at = b->len;
    size_t more = command - item.command.len;
    item_encode(b, &item);
    assert_non_null(buffer_extend(b, more));
    put_u32le(b->data + at, (uint32_t)(item_bytes(&item) + more));
    put_u32le(b->data + at + 12, (uint32_t)command);
}

static void the_longest_item_makes_an_entry_and_a_longer_one_is_damage(void **state)
{
    (void)state;
    for (size_t more = 0; more <= 1; more++) {
        struct buffer b;
        struct item item;
        size_t len;
        struct entry_header h = {.level = SEMANTICS_LEVEL, .items = 1};
        int code = more == 0 ? 0 : CLADE_ERR_CORRUPT;
        buffer_init(&b, ENTRY_BYTES_MAX);
        entry_begin(&b);
        put_long_item(&b, CLADE_MAX_COMMAND_BYTES + more);
        entry_end(&b, &h);
        assert_false(b.failed);
        struct span bytes = buffer_span(&b);
        assert_int_equal(item_decode(span_skip(bytes, ENTRY_HEADER_BYTES), &item, &len, NULL),
                         code);
        assert_int_equal(entry_check(bytes, &h, NULL), code);
        buffer_release(&b);
    }
}

static void an_entry_is_checked_to_its_last_byte(void **state)
{
    (void)state;
    static const struct {
        size_t at; /* from the end, of two items of 86 bytes and 4 of padding */
        uint8_t byte;
        const char *why;
    } rows[] = {
        {4 + 86 - 4, 0, "the second item is of no kind"},
        {4 + 86 - 5, 1, "the second item has a flag"},
        {1, 1, "the padding is not zero"},
        {2 * 86 + 4 + ENTRY_HEADER_BYTES - 2, 3, "an item more is announced"},
        {2 * 86 + 4 + ENTRY_HEADER_BYTES - 2, 1, "an item is behind those that are announced"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer b;
        struct entry_header h;
        build(&b, 2);
        assert_int_equal(b.len, ENTRY_HEADER_BYTES + 2 * 86 + 4);
        assert_int_equal(entry_check(buffer_span(&b), &h, NULL), 0);
        b.data[b.len - rows[i].at] = rows[i].byte;
        if (entry_check(buffer_span(&b), &h, NULL) != CLADE_ERR_CORRUPT) {
            fail_msg("%s", rows[i].why);
        }
        buffer_release(&b);
    }
}

static void an_entry_longer_than_the_limit_is_damage(void **state)
{
    (void)state;
    struct buffer b;
    struct entry_header h = {.level = SEMANTICS_LEVEL, .items = 2};
    buffer_init(&b, 2 * ENTRY_BYTES_MAX);
    entry_begin(&b);
    put_long_item(&b, CLADE_MAX_COMMAND_BYTES);
    put_long_item(&b, CLADE_MAX_COMMAND_BYTES);
    entry_end(&b, &h);
    assert_false(b.failed);
    assert_int_equal(entry_check(buffer_span(&b), &h, NULL), CLADE_ERR_CORRUPT);
    buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_decodes_to_what_was_encoded),
        cmocka_unit_test(an_item_cut_anywhere_is_refused),
        cmocka_unit_test(a_damaged_header_is_refused),
        cmocka_unit_test(a_damaged_item_is_refused),
        cmocka_unit_test(the_longest_item_makes_an_entry_and_a_longer_one_is_damage),
        cmocka_unit_test(an_entry_is_checked_to_its_last_byte),
        cmocka_unit_test(an_entry_longer_than_the_limit_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
