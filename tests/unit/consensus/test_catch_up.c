/* A node that is behind catches up, whatever the network and its own crashes do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catch_up_fixture.h"

#define HOUR (3600 * SECOND)

static void an_empty_node_catches_up_from_an_archive_alone(void **state)
{
    struct world *w = *state;
    grow(w, 300);
    want(w, 300);
    assert_true(run(w, 10 * SECOND));
    assert_caught_up(w, 300);
    assert_int_equal(status_of(node_of(w, 3)).copies, 0);
    /* What it has it is told to sync at once. */
    node_of(w, 3)->synced = 0;
    want(w, 290);
    assert_int_equal(status_of(node_of(w, 3)).state, CATCH_UP_IDLE);
    assert_int_equal(node_of(w, 3)->synced, 290);
}

static void a_copy_comes_when_no_archive_reaches_back(void **state)
{
    struct world *w = *state;
    grow(w, 300);
    cut_archives(w);
    grow(w, 340);
    want(w, 340);
    assert_true(run(w, 10 * SECOND));
    assert_caught_up(w, 340);
    assert_int_equal(status_of(node_of(w, 3)).copies, 1);
}

static bool grow_as_it_copies(struct world *w, uint64_t from, uint64_t to, const struct fetch *f)
{
    w->counter += f->what == SUPPLY_READ_COPY;
    if (f->what == SUPPLY_READ_COPY && w->counter % 10 == 0) {
        grow(w, store_position(node_of(w, 1)->store).applied + 20);
    }
    return true;
}

static void what_is_written_during_the_copy_comes_from_the_archive(void **state)
{
    struct world *w = *state;
    grow(w, 300);
    cut_archives(w);
    w->on_fetch = grow_as_it_copies;
    want(w, 320);
    assert_true(run(w, 10 * SECOND));
    uint64_t reached = store_position(node_of(w, 3)->store).applied;
    assert_in_range(reached, 320, 2000);
    w->on_fetch = NULL;
    want(w, store_position(node_of(w, 1)->store).applied);
    assert_true(run(w, 10 * SECOND));
    assert_caught_up(w, store_position(node_of(w, 1)->store).applied);
    assert_int_equal(status_of(node_of(w, 3)).copies, 1);
}

static bool grow_fast_as_it_copies(struct world *w,
                                   uint64_t from,
                                   uint64_t to,
                                   const struct fetch *f)
{
    if (f->what == SUPPLY_READ_COPY && archive_bytes(node_of(w, 1)->archive) < 100000) {
        grow(w, store_position(node_of(w, 1)->store).applied + 10);
    }
    return true;
}

static void a_joiner_of_a_busy_cluster_needs_one_copy(void **state)
{
    struct world *w = *state;
    w->archive_bytes_max = 40000;
    for (uint64_t id = 1; id <= 2; id++) {
        node_close(node_of(w, id));
        node_open(node_of(w, id));
    }
    grow(w, 300);
    cut_archives(w);
    w->on_fetch = grow_fast_as_it_copies;
    want(w, 340);
    assert_true(run(w, 100 * SECOND));
    assert_int_equal(store_position(node_of(w, 3)->store).applied, 340);
    assert_int_equal(status_of(node_of(w, 3)).copies, 1);
    /* More than an archive keeps was written meanwhile. When it has caught up nothing is kept. */
    assert_true(archive_bytes(node_of(w, 1)->archive) > 40000);
    w->now_us += 61 * SECOND;
    supplier_tick(node_of(w, 1)->supplier);
    grow(w, store_position(node_of(w, 1)->store).applied + 1);
    assert_true(archive_bytes(node_of(w, 1)->archive) <= 40000);
}

static void an_archive_is_asked_first_from_each(void **state)
{
    struct world *w = *state;
    struct error e;
    grow(w, 200);
    assert_int_equal(archive_reset(node_of(w, 1)->archive, 200, &e), 0);
    want(w, 200);
    assert_true(run(w, 10 * SECOND));
    assert_caught_up(w, 200);
    assert_int_equal(status_of(node_of(w, 3)).copies, 0);
}

static void a_network_that_loses_and_doubles_only_delays(void **state)
{
    struct world *w = *state;
    uint64_t index = 0;
    w->loss = 100;
    w->copies = 100;
    for (int i = 0; i < 6; i++) {
        index += 150 + random_below(&w->random, 100);
        grow(w, index);
        if (i % 2 == 0) {
            cut_archives(w);
        }
        want(w, index);
        assert_true(run(w, HOUR));
        assert_caught_up(w, index);
    }
    assert_int_equal(status_of(node_of(w, 3)).copies, 3);
    assert_int_equal(status_of(node_of(w, 3)).refused, 0);
    assert_true(status_of(node_of(w, 3)).dropped > 0);
}

/* --- crashes --- */

/* Members 1 and 2 at 120, with no archive before it, and at 150 once a copy is under way. */
static bool grow_behind_the_copy(struct world *w, uint64_t from, uint64_t to, const struct fetch *f)
{
    if (f->what == SUPPLY_READ_COPY) {
        grow(w, 150);
    }
    return true;
}

static void begin_anew(struct world *w)
{
    w->on_fetch = grow_behind_the_copy;
    w->killed = false;
    w->events = 0;
    w->kill_at = 0;
    for (uint64_t id = 1; id <= NODES; id++) {
        node_wipe(node_of(w, id));
    }
    grow(w, 120);
    cut_archives(w);
    want(w, 150);
}

static void killed_at_any_step_it_comes_back_right(void **state)
{
    struct world *w = *state;
    bool killed = true;
    unsigned points = 0;
    for (uint64_t at = 1; killed; at++) {
        begin_anew(w);
        w->kill_at = at;
        assert_true(run(w, HOUR));
        assert_caught_up(w, 150);
        killed = w->killed;
        points++;
    }
    print_message("%u points\n", points);
    assert_true(points > 60);
}

static void killed_in_a_swap_it_comes_back_right(void **state)
{
    struct world *w = *state;
    for (int cut = CUT_BEFORE_RENAME; cut <= CUT_AFTER_CURRENT; cut++) {
        begin_anew(w);
        w->swap_cut = (enum swap_cut)cut;
        unsigned fetches = node_of(w, 3)->fetches;
        assert_true(run(w, HOUR));
        assert_true(w->killed);
        assert_caught_up(w, 150);
        /* A copy that is all there is not fetched again. */
        fetches = node_of(w, 3)->fetches - fetches;
        assert_true(cut == CUT_BEFORE_CURRENT ? fetches > 70 : fetches < 60);
    }
}

static void a_restarted_node_goes_on_from_what_its_store_has(void **state)
{
    struct world *w = *state;
    grow(w, 100);
    want(w, 100);
    assert_true(run(w, SECOND));
    assert_caught_up(w, 100);
    node_kill(node_of(w, 3)); /* its queue knows of nothing now */
    grow(w, 150);
    want(w, 150);
    assert_true(run(w, SECOND));
    assert_caught_up(w, 150);
}

static void told_to_stop_it_leaves_the_check_and_the_next_start_goes_on(void **state)
{
    struct world *w = *state;
    begin_anew(w);
    w->stops = true;
    assert_false(run(w, HOUR));
    assert_int_equal(status_of(node_of(w, 3)).state, CATCH_UP_CHECKING);
    assert_int_equal(node_of(w, 3)->notices, 0);
    w->stops = false;
    node_kill(node_of(w, 3));
    unsigned fetches = node_of(w, 3)->fetches;
    want(w, 150);
    assert_true(run(w, HOUR));
    assert_caught_up(w, 150);
    assert_true(node_of(w, 3)->fetches - fetches < 20); /* no chunk again */
}

static bool count_chunks(struct world *w, uint64_t from, uint64_t to, const struct fetch *f)
{
    w->counter += f->what == SUPPLY_READ_COPY;
    return true;
}

static void a_restart_goes_on_where_it_stood(void **state)
{
    struct world *w = *state;
    grow(w, 1500);
    cut_archives(w);
    w->on_fetch = count_chunks;
    want(w, 1500);
    while (status_of(node_of(w, 3)).bytes * 10 <= status_of(node_of(w, 3)).bytes_total * 9 ||
           status_of(node_of(w, 3)).state != CATCH_UP_COPYING) {
        assert_false(run(w, 100));
    }
    uint64_t total = status_of(node_of(w, 3)).bytes_total / CHUNK;
    assert_true(total > 100);
    node_kill(node_of(w, 3));
    w->counter = 0;
    want(w, 1500);
    assert_true(run(w, HOUR));
    assert_caught_up(w, 1500);
    assert_true(w->counter < total / 10 + 10);
}

/* --- members that are no help --- */

static bool spoil_a_chunk(struct world *w, uint64_t from, uint64_t to, struct buffer *supply)
{
    struct supply s;
    assert_true(supply_decode(buffer_span(supply), &s));
    if (from == 1 && s.what == SUPPLY_READ_COPY && ++w->counter == 5) {
        supply->data[supply->len - 1] ^= 1;
    }
    return true;
}

static void a_wrong_checksum_makes_it_ask_another(void **state)
{
    struct world *w = *state;
    grow(w, 300);
    cut_archives(w);
    w->on_supply = spoil_a_chunk;
    want(w, 300);
    assert_true(run(w, HOUR));
    assert_caught_up(w, 300);
    struct catch_up_status s = status_of(node_of(w, 3));
    assert_int_equal(s.refused, 1);
    assert_int_equal(s.copies, 1);
    assert_true(w->counter < 20); /* the rest came from member 2 */
}

enum lie { LIE_BYTES, LIE_APPLIED, LIE_REVISION, LIE_DIGEST, LIE_LENGTH, LIE_COUNT };

/* Member 1 says what is not so, with a right checksum. */
static bool lie(struct world *w, uint64_t from, uint64_t to, struct buffer *supply)
{
    struct supply s;
    assert_true(supply_decode(buffer_span(supply), &s));
    if (from != 1 || s.code != 0) {
        return true;
    }
    if (s.what == SUPPLY_READ_COPY && w->counter == LIE_BYTES && s.offset > 0) {
        supply->data[supply->len - 100] ^= 1;
        s.checksum = hash64(s.bytes, 0);
        memcpy(supply->data + 37, &s.checksum, 8);
    }
    if (s.what == SUPPLY_OPEN_COPY && w->counter != LIE_BYTES) {
        static const size_t at[LIE_COUNT] = {0, 37, 45, 53, 29};
        supply->data[at[w->counter] + (w->counter == LIE_LENGTH)] += 16;
    }
    return true;
}

static void a_source_that_lies_is_found_out_and_another_is_asked(void **state)
{
    struct world *w = *state;
    grow(w, 300);
    cut_archives(w);
    w->on_supply = lie;
    for (w->counter = 0; w->counter < LIE_COUNT; w->counter++) {
        node_wipe(node_of(w, 3));
        want(w, 300);
        assert_true(run(w, HOUR));
        assert_caught_up(w, 300);
        struct catch_up_status s = status_of(node_of(w, 3));
        assert_int_equal(s.copies, 1);
        assert_true(s.refused == 1 || w->counter == LIE_LENGTH);
    }
}

static bool only_member_2_answers(struct world *w,
                                  uint64_t from,
                                  uint64_t to,
                                  const struct fetch *f)
{
    return to == 2 || w->now_us < w->counter;
}

static void a_source_that_falls_silent_is_left_after_ten_seconds(void **state)
{
    struct world *w = *state;
    grow(w, 300);
    cut_archives(w);
    w->on_fetch = only_member_2_answers;
    w->counter = w->now_us + 40000; /* until then, member 1 does */
    want(w, 300);
    assert_false(run(w, 9 * SECOND));
    assert_int_equal(status_of(node_of(w, 3)).state, CATCH_UP_COPYING);
    assert_int_equal(status_of(node_of(w, 3)).source, 1);
    assert_true(run(w, 2 * SECOND));
    assert_caught_up(w, 300);
    assert_int_equal(status_of(node_of(w, 3)).copies, 1);
    assert_non_null(strstr(node_of(w, 3)->notice, "does not answer"));
}

static bool lose_all(struct world *w, uint64_t from, uint64_t to, const struct fetch *f)
{
    return false;
}

static void a_fetch_is_sent_again_ever_more_rarely(void **state)
{
    struct world *w = *state;
    w->on_fetch = lose_all;
    grow(w, 15);
    want(w, 15);
    assert_false(run(w, 10 * SECOND - 1));
    assert_int_equal(status_of(node_of(w, 3)).source, 1);
    assert_int_equal(node_of(w, 3)->fetches, 3); /* after 0, 2 and 6 s */
}

static void a_slow_answer_counts_though_it_was_asked_for_again(void **state)
{
    struct world *w = *state;
    grow(w, 15);
    w->latency_us = 3 * SECOND; /* a fetch is repeated after 2 s */
    want(w, 15);
    assert_true(run(w, 4 * SECOND));
    assert_caught_up(w, 15);
    assert_int_equal(node_of(w, 3)->fetches, 2);
    assert_int_equal(status_of(node_of(w, 3)).dropped, 0);
}

static bool count_sources(struct world *w, uint64_t from, uint64_t to, const struct fetch *f)
{
    w->counter |= UINT64_C(1) << to;
    return true;
}

static void a_member_that_keeps_its_rate_is_waited_for(void **state)
{
    struct world *w = *state;
    w->rate_bytes = w->archive_segment_bytes; /* one answer a second, more than it holds one back */
    for (uint64_t id = 1; id <= 2; id++) {
        node_close(node_of(w, id));
        node_open(node_of(w, id));
    }
    grow(w, 300);
    uint64_t bytes = archive_bytes(node_of(w, 1)->archive);
    w->on_fetch = count_sources;
    want(w, 300);
    assert_false(run(w, (bytes / w->rate_bytes - 2) * SECOND));
    assert_true(run(w, (bytes / w->rate_bytes + 4) * SECOND));
    assert_caught_up(w, 300);
    assert_int_equal(status_of(node_of(w, 3)).copies, 0);
    assert_int_equal(node_of(w, 3)->notices, 0);
    assert_int_equal(w->counter & (w->counter - 1), 0); /* of one member */
}

static void a_copy_that_expires_is_begun_anew(void **state)
{
    struct world *w = *state;
    grow(w, 300);
    cut_archives(w);
    want(w, 300);
    while (status_of(node_of(w, 3)).bytes < 10 * CHUNK) {
        assert_false(run(w, 100));
    }
    node_close(node_of(w, 1));
    node_open(node_of(w, 1));
    assert_true(run(w, 10 * SECOND));
    assert_caught_up(w, 300);
    assert_int_equal(status_of(node_of(w, 3)).copies, 1);
}

static bool lose_the_archive(struct world *w, uint64_t from, uint64_t to, const struct fetch *f)
{
    if (f->what == SUPPLY_ARCHIVE && f->after > 0 && w->counter == 0) {
        w->counter = 1;
        cut_archives(w);
    }
    return true;
}

static void an_archive_that_is_cut_midway_leads_to_a_copy(void **state)
{
    struct world *w = *state;
    grow(w, 300);
    w->on_fetch = lose_the_archive;
    want(w, 300);
    assert_true(run(w, 10 * SECOND));
    assert_caught_up(w, 300);
    assert_int_equal(status_of(node_of(w, 3)).copies, 1);
}

static void an_archive_that_was_lost_leads_to_a_copy(void **state)
{
    struct world *w = *state;
    struct error e;
    grow(w, 300);
    for (uint64_t id = 1; id <= 2; id++) {
        /* As if its folder had been deleted: it covers nothing, and says so. */
        assert_int_equal(archive_reset(node_of(w, id)->archive, 0, &e), 0);
    }
    want(w, 300);
    assert_true(run(w, 10 * SECOND));
    assert_caught_up(w, 300);
    assert_int_equal(status_of(node_of(w, 3)).copies, 1);
}

static void members_that_have_nothing_are_asked_ever_more_rarely(void **state)
{
    struct world *w = *state;
    struct node *n = node_of(w, 3);
    want(w, 200);
    assert_false(run(w, 4 * SECOND));
    assert_int_equal(n->fetches, 6); /* after 0, 1 and 3 s */
    assert_false(run(w, HOUR));
    assert_int_equal(status_of(n).state, CATCH_UP_ARCHIVE);
    assert_in_range(n->fetches, 200, 300);
    assert_in_range(n->notices, 2, 61);
    grow(w, 200);
    assert_true(run(w, 40 * SECOND));
    assert_caught_up(w, 200);
}

static void what_comes_a_moment_later_is_asked_for_a_moment_later(void **state)
{
    struct world *w = *state;
    grow(w, 100);
    want(w, 110);
    assert_false(run(w, SECOND / 10));
    grow(w, 110);
    assert_true(run(w, SECOND / 2));
    assert_caught_up(w, 110);
    assert_int_equal(node_of(w, 3)->notices, 0);
}

static void a_copy_that_is_no_newer_is_not_taken(void **state)
{
    struct world *w = *state;
    grow(w, 100);
    want(w, 100);
    assert_true(run(w, HOUR));
    cut_archives(w);
    struct error e;
    for (uint64_t id = 1; id <= 2; id++) {
        assert_int_equal(archive_reset(node_of(w, id)->archive, 150, &e), 0);
    }
    want(w, 200);
    assert_false(run(w, HOUR));
    assert_int_equal(status_of(node_of(w, 3)).copies, 0);
    assert_true(node_of(w, 3)->fetches < 1500);
    assert_false(has_incoming(w));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_node_catches_up_from_an_archive_alone),
        TEST(a_copy_comes_when_no_archive_reaches_back),
        TEST(what_is_written_during_the_copy_comes_from_the_archive),
        TEST(a_joiner_of_a_busy_cluster_needs_one_copy),
        TEST(an_archive_is_asked_first_from_each),
        TEST(a_network_that_loses_and_doubles_only_delays),
        TEST(killed_at_any_step_it_comes_back_right),
        TEST(killed_in_a_swap_it_comes_back_right),
        TEST(told_to_stop_it_leaves_the_check_and_the_next_start_goes_on),
        TEST(a_restarted_node_goes_on_from_what_its_store_has),
        TEST(a_restart_goes_on_where_it_stood),
        TEST(a_wrong_checksum_makes_it_ask_another),
        TEST(a_source_that_lies_is_found_out_and_another_is_asked),
        TEST(a_source_that_falls_silent_is_left_after_ten_seconds),
        TEST(a_fetch_is_sent_again_ever_more_rarely),
        TEST(a_slow_answer_counts_though_it_was_asked_for_again),
        TEST(a_member_that_keeps_its_rate_is_waited_for),
        TEST(a_copy_that_expires_is_begun_anew),
        TEST(an_archive_that_is_cut_midway_leads_to_a_copy),
        TEST(an_archive_that_was_lost_leads_to_a_copy),
        TEST(members_that_have_nothing_are_asked_ever_more_rarely),
        TEST(what_comes_a_moment_later_is_asked_for_a_moment_later),
        TEST(a_copy_that_is_no_newer_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
