#include <stdlib.h>

#include "fixture.h"
#include "storage/record.h"

static struct span uris[] = {{(const uint8_t *)"s3://a", 6}, {(const uint8_t *)"s3://b", 6}};
static struct text_pair tags[] = {
    {.key = {(const uint8_t *)"k", 1}, .value = {(const uint8_t *)"v", 1}},
    {.key = {(const uint8_t *)"l", 1}, .value = {(const uint8_t *)"", 0}},
};

static struct thing sample(void)
{
    struct thing t = {
        .id = 77,
        .kind = KIND_ARTIFACT,
        .deleted = true,
        .ns = 1,
        .name = span_of("a name"),
        .created = {.revision = 3, .time_us = 1u << 30, .principal = span_of("ann")},
        .happened_us = 5,
        .changed = {.revision = 300, .time_us = (uint64_t)1 << 50, .principal = span_of("bob")},
    };
    t.fields[FIELD_DESCRIPTION] = (struct field_value){.set = true, .text = span_of("why")};
    t.fields[FIELD_SIZE] = (struct field_value){.set = true, .number = UINT64_MAX};
    t.fields[FIELD_URIS] = (struct field_value){.set = true, .texts = uris, .len = 2};
    t.fields[FIELD_TAGS] = (struct field_value){.set = true, .pairs = tags, .len = 2};
    return t;
}

static void a_record_decodes_to_what_was_encoded(void **state)
{
    (void)state;
    struct thing want = sample();
    struct thing got;
    struct buffer b;
    struct buffer again;
    struct arena arena;
    buffer_init(&b, 4096);
    buffer_init(&again, 4096);
    arena_init(&arena, 1 << 20);
    record_encode(&want, &b);
    assert_int_equal(record_decode(buffer_span(&b), 77, &arena, &got, NULL), 0);
    assert_int_equal(got.id, 77);
    assert_true(got.deleted);
    assert_true(span_equal(got.name, want.name));
    assert_int_equal(got.happened_us, 5);
    assert_int_equal(got.changed.revision, 300);
    assert_true(span_equal(got.changed.principal, span_of("bob")));
    assert_int_equal(got.fields[FIELD_SIZE].number, UINT64_MAX);
    assert_int_equal(got.fields[FIELD_TAGS].len, 2);
    assert_false(got.fields[FIELD_OWNER].set);
    record_encode(&got, &again);
    assert_true(span_equal(buffer_span(&b), buffer_span(&again)));
    buffer_release(&b);
    buffer_release(&again);
    arena_release(&arena);
}

static void a_damaged_record_never_reads_past_its_end(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct thing thing = sample();
    struct buffer b;
    buffer_init(&b, 4096);
    record_encode(&thing, &b);
    for (int i = 0; i < 20000; i++) {
        struct arena arena;
        arena_init(&arena, 1 << 16);
        size_t len = next_random(&seed) % (b.len + 1);
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, b.data, len);
        for (unsigned n = (unsigned)(next_random(&seed) % 4); n > 0 && len > 0; n--) {
            copy[next_random(&seed) % len] = (uint8_t)next_random(&seed);
        }
        struct thing got;
        int rc = record_decode(span_make(copy, len), 77, &arena, &got, NULL);
        assert_true(rc == 0 || rc == CLADE_ERR_CORRUPT || rc == CLADE_ERR_LIMIT);
        free(copy);
        arena_release(&arena);
    }
    buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_decodes_to_what_was_encoded),
        cmocka_unit_test(a_damaged_record_never_reads_past_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
