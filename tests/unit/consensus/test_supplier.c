/* The giving side, asked directly: node 1 of the fixture gives, members 7 and 8 ask. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catch_up_fixture.h"

struct asked {
    struct buffer out;
    struct supply supply;
    uint64_t delay_us;
};

static struct asked asked;

static int asking_setup(void **state)
{
    (void)world_setup(state);
    grow(*state, 300);
    buffer_init(&asked.out, 4 << 20);
    return 0;
}

static int asking_teardown(void **state)
{
    buffer_release(&asked.out);
    return world_teardown(state);
}

/* Asks; the code of the answer, the rest in `asked`. */
static int ask(struct world *w, uint64_t from, const struct fetch *f)
{
    struct buffer b;
    buffer_init(&b, FETCH_BYTES_MAX);
    fetch_encode(&b, f);
    assert_false(b.failed);
    assert_true(supplier_answer(node_of(w, 1)->supplier, from, buffer_span(&b), &asked.out,
                                &asked.delay_us));
    buffer_release(&b);
    assert_true(supply_decode(buffer_span(&asked.out), &asked.supply));
    assert_int_equal(asked.supply.boot, f->boot);
    assert_int_equal(asked.supply.number, f->number);
    assert_int_equal(asked.supply.what, f->what);
    assert_true(asked.supply.code == 0 || asked.supply.bytes.len == 0);
    return asked.supply.code;
}

static int ask_archive(struct world *w, uint64_t after, uint32_t bytes)
{
    struct fetch f = {
        .boot = 1, .number = 2, .what = SUPPLY_ARCHIVE, .after = after, .bytes = bytes};
    return ask(w, 7, &f);
}

static int open_copy(struct world *w, uint64_t from, uint64_t number, uint64_t copy)
{
    struct fetch f = {.boot = from, .number = number, .what = SUPPLY_OPEN_COPY, .copy = copy};
    return ask(w, from, &f);
}

static int read_copy(struct world *w, uint64_t from, uint64_t copy, uint64_t offset, uint32_t bytes)
{
    struct fetch f = {.boot = from,
                      .number = 99,
                      .what = SUPPLY_READ_COPY,
                      .copy = copy,
                      .offset = offset,
                      .bytes = bytes};
    return ask(w, from, &f);
}

static void reopen(struct world *w)
{
    node_close(node_of(w, 1));
    node_open(node_of(w, 1));
}

/* --- archives --- */

static void an_archive_is_given_from_anywhere_in_it(void **state)
{
    struct world *w = *state;
    for (uint64_t after = 0; after <= 300; after += 25) {
        assert_int_equal(ask_archive(w, after, 3000), 0);
        struct span rest = asked.supply.bytes;
        struct archive_record r = {.index = after};
        while (rest.len > 0) {
            uint64_t before = r.index;
            assert_int_equal(archive_record_next(&rest, &r, NULL), 0);
            assert_int_equal(r.previous, before);
        }
        assert_int_equal(r.index, asked.supply.last);
        assert_true(after == 300 || r.index > after);
        assert_true(asked.supply.bytes.len <= 3000);
    }
    assert_int_equal(ask_archive(w, 299, 0), 0); /* at least one */
    assert_int_equal(asked.supply.last, 300);
}

static void what_an_archive_does_not_have_and_the_store_has_is_compacted(void **state)
{
    struct world *w = *state;
    struct error e;
    cut_archives(w);
    assert_int_equal(ask_archive(w, 299, 1000), CLADE_ERR_COMPACTED);
    assert_int_equal(ask_archive(w, 300, 1000), 0);
    assert_int_equal(asked.supply.last, 300);
    assert_int_equal(ask_archive(w, 400, 1000), 0); /* nobody here has that */
    assert_int_equal(asked.supply.last, 400);
    /* An archive that was lost, of a store that was not. */
    assert_int_equal(archive_reset(node_of(w, 1)->archive, 0, &e), 0);
    assert_int_equal(ask_archive(w, 0, 1000), CLADE_ERR_COMPACTED);
    assert_int_equal(ask_archive(w, 299, 1000), CLADE_ERR_COMPACTED);
    assert_int_equal(ask_archive(w, 300, 1000), 0);
}

/* --- copies --- */

static void a_copy_is_read_in_chunks_of_any_size(void **state)
{
    struct world *w = *state;
    assert_int_equal(open_copy(w, 7, 1, 0), 0);
    uint64_t copy = asked.supply.copy;
    struct store_copy_info info = asked.supply.info;
    struct store_digest d = store_digest_current(node_of(w, 1)->store);
    assert_int_equal(info.applied, 300);
    assert_memory_equal(&info.data, &d.data, sizeof d.data);
    assert_memory_equal(&info.state, &d.state, sizeof d.state);
    uint8_t *whole = malloc(info.bytes);
    assert_int_equal(read_copy(w, 7, copy, 0, UINT32_MAX), 0);
    uint64_t at = 0;
    for (; at < info.bytes; at += asked.supply.bytes.len) {
        assert_int_equal(read_copy(w, 7, copy, at, UINT32_MAX), 0);
        assert_in_range(asked.supply.bytes.len, 1, 1 << 20);
        memcpy(whole + at, asked.supply.bytes.data, asked.supply.bytes.len);
    }
    assert_int_equal(at, info.bytes);
    for (int i = 0; i < 200; i++) {
        uint64_t offset = random_below(&w->random, info.bytes);
        uint32_t len = 1 + (uint32_t)random_below(&w->random, 10000);
        assert_int_equal(read_copy(w, 7, copy, offset, len), 0);
        uint64_t left = info.bytes - offset;
        assert_int_equal(asked.supply.bytes.len, left < len ? left : len);
        assert_int_equal(asked.supply.offset, offset);
        assert_int_equal(asked.supply.copy, copy);
        assert_memory_equal(asked.supply.bytes.data, whole + offset, asked.supply.bytes.len);
        assert_true(hash64(asked.supply.bytes, 0) == asked.supply.checksum);
    }
    free(whole);
    assert_int_equal(read_copy(w, 7, copy, info.bytes, 1), CLADE_ERR_INVALID);
    assert_int_equal(read_copy(w, 7, copy, UINT64_MAX, UINT32_MAX), CLADE_ERR_INVALID);
    assert_int_equal(read_copy(w, 7, copy, 0, 0), CLADE_ERR_INVALID);
}

static void a_copy_is_its_members_alone(void **state)
{
    struct world *w = *state;
    assert_int_equal(open_copy(w, 7, 1, 0), 0);
    uint64_t copy = asked.supply.copy;
    assert_int_equal(read_copy(w, 8, copy, 0, 100), CLADE_ERR_NOT_FOUND);
    assert_int_equal(open_copy(w, 8, 1, copy), CLADE_ERR_NOT_FOUND);
    struct fetch close = {.boot = 8, .number = 3, .what = SUPPLY_CLOSE_COPY, .copy = copy};
    assert_int_equal(ask(w, 8, &close), 0);
    assert_int_equal(read_copy(w, 7, copy, 0, 100), 0);
    assert_int_equal(ask(w, 7, &close), 0);
    assert_int_equal(read_copy(w, 7, copy, 0, 100), CLADE_ERR_NOT_FOUND);
    assert_int_equal(open_copy(w, 7, 1, copy), CLADE_ERR_NOT_FOUND);
}

static void a_fetch_that_comes_twice_opens_one_copy(void **state)
{
    struct world *w = *state;
    assert_int_equal(open_copy(w, 7, 5, 0), 0);
    uint64_t copy = asked.supply.copy;
    assert_int_equal(open_copy(w, 7, 5, 0), 0);
    assert_int_equal(asked.supply.copy, copy);
    assert_int_equal(open_copy(w, 7, 4, 0), CLADE_ERR_NOT_FOUND); /* comes late */
    assert_int_equal(read_copy(w, 7, copy, 0, 100), 0);
    assert_int_equal(open_copy(w, 7, 6, copy), 0); /* goes on with it */
    assert_int_equal(asked.supply.copy, copy);
    assert_int_equal(open_copy(w, 7, 7, 0), 0); /* begins anew */
    assert_true(asked.supply.copy != copy);
    assert_int_equal(read_copy(w, 7, copy, 0, 100), CLADE_ERR_NOT_FOUND);
}

static void only_so_many_copies_are_open(void **state)
{
    struct world *w = *state;
    assert_int_equal(open_copy(w, 7, 1, 0), 0);
    assert_int_equal(open_copy(w, 8, 1, 0), CLADE_ERR_THROTTLED);
    struct fetch close = {.what = SUPPLY_CLOSE_COPY, .copy = asked.supply.copy};
    assert_int_equal(open_copy(w, 7, 2, 0), 0); /* its own is replaced */
    close.copy = asked.supply.copy;
    assert_int_equal(ask(w, 7, &close), 0);
    assert_int_equal(open_copy(w, 8, 2, 0), 0);
}

static void a_copy_that_nobody_reads_is_closed(void **state)
{
    struct world *w = *state;
    struct supplier *s = node_of(w, 1)->supplier;
    assert_int_equal(open_copy(w, 7, 1, 0), 0);
    uint64_t copy = asked.supply.copy;
    for (int i = 0; i < 5; i++) {
        w->now_us += 50 * SECOND;
        supplier_tick(s);
        assert_int_equal(read_copy(w, 7, copy, 0, 100), 0);
    }
    w->now_us += 61 * SECOND;
    supplier_tick(s);
    assert_int_equal(read_copy(w, 7, copy, 0, 100), CLADE_ERR_NOT_FOUND);
    assert_int_equal(node_of(w, 1)->notices, 1);
    assert_non_null(strstr(node_of(w, 1)->notice, "nobody reads it"));
    assert_int_equal(open_copy(w, 8, 1, 0), 0);
}

static void a_copy_that_comes_no_further_is_closed_though_it_is_read(void **state)
{
    struct world *w = *state;
    assert_int_equal(open_copy(w, 7, 1, 0), 0);
    uint64_t copy = asked.supply.copy;
    unsigned seconds = 0;
    while (read_copy(w, 7, copy, 0, 100) == 0) {
        w->now_us += 30 * SECOND;
        seconds += 30;
        supplier_tick(node_of(w, 1)->supplier);
        assert_true(seconds < 3600);
    }
    assert_in_range(seconds, 600, 700);
    assert_int_equal(node_of(w, 1)->notices, 1);
    assert_non_null(strstr(node_of(w, 1)->notice, "too slowly"));
}

static void a_slow_copy_is_read_to_its_end(void **state)
{
    struct world *w = *state;
    struct supplier *s = node_of(w, 1)->supplier;
    assert_int_equal(open_copy(w, 7, 1, 0), 0);
    uint64_t copy = asked.supply.copy;
    uint64_t bytes = asked.supply.info.bytes;
    uint32_t len = (uint32_t)(bytes / 100) + 1;
    for (uint64_t at = 0; at < bytes; at += asked.supply.bytes.len) {
        w->now_us += 45 * SECOND; /* more than an hour in all */
        supplier_tick(s);
        assert_int_equal(read_copy(w, 7, copy, at, len), 0);
    }
    /* Then it ends like one that comes no further, and nothing is lost with it. */
    for (int i = 0; i < 14; i++) {
        w->now_us += 45 * SECOND;
        supplier_tick(s);
        (void)read_copy(w, 7, copy, 0, len);
    }
    assert_int_equal(read_copy(w, 7, copy, 0, len), CLADE_ERR_NOT_FOUND);
    assert_int_equal(node_of(w, 1)->notices, 0);
}

/* Opens a copy and lets the store grow until it is given up. */
static void wear_out_a_copy(struct world *w, uint64_t number)
{
    struct node *n = node_of(w, 1);
    n->notice = NULL;
    assert_int_equal(open_copy(w, 7, number, 0), 0);
    uint64_t copy = asked.supply.copy;
    unsigned writes = 0;
    while (read_copy(w, 7, copy, 0, 100) == 0) {
        grow(w, store_position(n->store).applied + 1);
        supplier_tick(n->supplier);
        assert_true(++writes < 1000);
    }
    assert_true(writes > 5);
    assert_int_equal(asked.supply.code, CLADE_ERR_NOT_FOUND);
    assert_non_null(strstr(n->notice, "has grown by too much"));
}

static void copies_that_are_given_up_make_a_store_twice_as_long_and_no_longer(void **state)
{
    struct world *w = *state;
    uint64_t used;
    uint64_t map;
    w->growth_bytes_max = 1;
    reopen(w);
    grow(w, 2000);
    store_usage(node_of(w, 1)->store, &used, &map);
    uint64_t bytes = used;
    for (uint64_t i = 1; i <= 5; i++) {
        wear_out_a_copy(w, i);
        store_usage(node_of(w, 1)->store, &used, &map);
        assert_in_range(used, bytes * 3 / 2, bytes * 5 / 2);
    }
}

static void a_copy_of_an_earlier_start_is_not_found(void **state)
{
    struct world *w = *state;
    assert_int_equal(open_copy(w, 7, 1, 0), 0);
    uint64_t copy = asked.supply.copy;
    reopen(w);
    assert_int_equal(read_copy(w, 7, copy, 0, 100), CLADE_ERR_NOT_FOUND);
    assert_int_equal(open_copy(w, 7, 2, copy), CLADE_ERR_NOT_FOUND);
    assert_int_equal(open_copy(w, 7, 3, 0), 0);
    assert_true(asked.supply.copy != copy);
    assert_int_equal(read_copy(w, 7, copy, 0, 100), CLADE_ERR_NOT_FOUND);
}

static void the_rate_is_kept_by_delays_and_then_by_refusals(void **state)
{
    struct world *w = *state;
    w->rate_bytes = 100000;
    reopen(w);
    assert_int_equal(open_copy(w, 7, 1, 0), 0);
    uint64_t copy = asked.supply.copy;
    assert_int_equal(read_copy(w, 7, copy, 0, 20000), 0);
    assert_int_equal(asked.delay_us, 0);
    assert_int_equal(read_copy(w, 7, copy, 0, 40000), 0);
    assert_int_equal(asked.delay_us, 200000);
    assert_int_equal(read_copy(w, 7, copy, 0, 100), CLADE_ERR_THROTTLED); /* in 0.6 s */
    assert_int_equal(asked.delay_us, 0);
    assert_int_equal(ask_archive(w, 0, 1000), CLADE_ERR_THROTTLED);
    assert_int_equal(asked.delay_us, 0);
    w->now_us += 100000;
    assert_int_equal(read_copy(w, 7, copy, 0, 100), 0);
    assert_int_equal(asked.delay_us, 500000);
    /* What was not used is not saved up. */
    w->now_us += 100 * SECOND;
    assert_int_equal(open_copy(w, 7, 2, 0), 0);
    copy = asked.supply.copy;
    assert_int_equal(read_copy(w, 7, copy, 0, 50000), 0);
    assert_int_equal(read_copy(w, 7, copy, 0, 50000), 0);
    assert_int_equal(asked.delay_us, 500000);
}

static void an_archive_takes_of_the_rate_what_it_is(void **state)
{
    struct world *w = *state;
    w->rate_bytes = 10000;
    reopen(w);
    assert_int_equal(ask_archive(w, 0, 1000), 0);
    assert_int_equal(asked.delay_us, 0);
    uint64_t cost = asked.supply.bytes.len * 100;
    assert_in_range(cost, 1, 100000);
    assert_int_equal(ask_archive(w, 0, 1000), 0);
    assert_int_equal(asked.delay_us, cost);
    /* One that has all takes nothing, and waits for nobody. */
    assert_int_equal(ask_archive(w, 300, 1 << 20), 0);
    assert_int_equal(asked.delay_us, 0);
    assert_int_equal(ask_archive(w, 0, 1000), 0);
    assert_int_equal(asked.delay_us, 2 * cost);
}

/* --- bytes --- */

static void fetches_and_supplies_are_decoded_as_they_were_encoded(void **state)
{
    struct buffer b;
    buffer_init(&b, 1024);
    for (int what = SUPPLY_ARCHIVE; what <= SUPPLY_CLOSE_COPY; what++) {
        struct fetch f = {.boot = 1, .number = 2, .what = (enum supply_what)what};
        struct fetch f_again;
        f.after = what == SUPPLY_ARCHIVE ? 3 : 0;
        f.copy = what != SUPPLY_ARCHIVE ? 4 : 0;
        f.offset = what == SUPPLY_READ_COPY ? 5 : 0;
        f.bytes = what == SUPPLY_READ_COPY || what == SUPPLY_ARCHIVE ? 6 : 0;
        buffer_clear(&b);
        fetch_encode(&b, &f);
        assert_true(b.len <= FETCH_BYTES_MAX);
        assert_true(fetch_decode(buffer_span(&b), &f_again));
        assert_memory_equal(&f, &f_again, sizeof f);
        for (size_t len = 0; len < b.len; len++) {
            assert_false(fetch_decode(span_make(b.data, len), &f_again));
            assert_false(supplier_answer(node_of(*state, 1)->supplier, 7, span_make(b.data, len),
                                         &asked.out, &asked.delay_us));
        }
        (void)buffer_append_u8(&b, 0);
        assert_false(fetch_decode(buffer_span(&b), &f_again));
        struct supply s = {
            .boot = 1, .number = 2, .what = (enum supply_what)what, .code = -4, .copy = 3};
        buffer_clear(&b);
        supply_encode(&b, &s);
        assert_true(b.len <= SUPPLY_HEAD_BYTES_MAX);
        struct supply s_again;
        for (size_t len = 0; len < b.len; len++) {
            assert_false(supply_decode(span_make(b.data, len), &s_again));
        }
        assert_true(supply_decode(buffer_span(&b), &s_again));
        assert_int_equal(s_again.code, -4);
    }
    buffer_release(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, asking_setup, asking_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_archive_is_given_from_anywhere_in_it),
        TEST(what_an_archive_does_not_have_and_the_store_has_is_compacted),
        TEST(a_copy_is_read_in_chunks_of_any_size),
        TEST(a_copy_is_its_members_alone),
        TEST(a_fetch_that_comes_twice_opens_one_copy),
        TEST(only_so_many_copies_are_open),
        TEST(a_copy_that_nobody_reads_is_closed),
        TEST(a_copy_that_comes_no_further_is_closed_though_it_is_read),
        TEST(a_slow_copy_is_read_to_its_end),
        TEST(copies_that_are_given_up_make_a_store_twice_as_long_and_no_longer),
        TEST(a_copy_of_an_earlier_start_is_not_found),
        TEST(the_rate_is_kept_by_delays_and_then_by_refusals),
        TEST(an_archive_takes_of_the_rate_what_it_is),
        TEST(fetches_and_supplies_are_decoded_as_they_were_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
