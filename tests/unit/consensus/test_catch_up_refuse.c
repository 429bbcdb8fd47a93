/* What a catching-up node does not believe, and what it does when its own disk or queue is full. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "catch_up_fixture.h"
#include "consensus/archive_internal.h"

#define HOUR (3600 * SECOND)

/* --- archives that make no sense --- */

enum nonsense {
    RECORD_GOES_BACK,
    RECORD_LEAVES_A_GAP,
    RECORD_BEGINS_TOO_LATE,
    RECORD_IS_OLD,
    RECORD_BEYOND_THE_LAST,
    RECORDS_END_EARLY,
    RECORD_IS_CUT,
    RECORD_OF_NO_ENTRY,
    RECORD_OF_AN_ENTRY_WITH_A_BAD_ITEM,
    RECORD_OF_AN_ENTRY_CUT_SHORT,
    NOTHING_UP_TO_SOMEWHERE,
    BYTES_OF_NO_RECORD,
    NONSENSE_COUNT
};

static void put_record(struct buffer *b, uint64_t previous, uint64_t index)
{
    struct buffer entry;
    buffer_init(&entry, 64 << 10);
    make_entry(&entry, index);
    assert_true(archive_record_put(b, previous, index, buffer_span(&entry)));
    buffer_release(&entry);
}

/* An entry whose header is sound, and what follows is not. */
static void put_bad_entry(struct buffer *b, uint64_t previous, enum nonsense n)
{
    struct buffer entry;
    buffer_init(&entry, 64 << 10);
    make_entry(&entry, previous + 1);
    entry.data[ENTRY_HEADER_BYTES + 4] = 0; /* the item's kind */
    if (n == RECORD_OF_AN_ENTRY_CUT_SHORT) {
        entry.data[ENTRY_HEADER_BYTES + 4] = ITEM_TXN;
        entry.len -= 8;
    }
    assert_true(archive_record_put(b, previous, previous + 1, buffer_span(&entry)));
    buffer_release(&entry);
}

/* Records behind `after`, wrong in one way; returns what the supply says is the last one. */
static uint64_t put_nonsense(struct buffer *b, enum nonsense n, uint64_t after)
{
    put_record(b, n == RECORD_BEGINS_TOO_LATE ? after + 1 : after, after + 2);
    switch (n) {
    case RECORD_GOES_BACK:
        put_record(b, after, after + 1);
        return after + 2;
    case RECORD_LEAVES_A_GAP:
        put_record(b, after + 3, after + 4);
        return after + 4;
    case RECORD_IS_OLD:
        buffer_clear(b);
        put_record(b, after - 2, after);
        put_record(b, after, after + 1);
        return after + 1;
    case RECORD_BEYOND_THE_LAST:
        put_record(b, after + 2, after + 3);
        return after + 2;
    case RECORDS_END_EARLY:
        return after + 9;
    case RECORD_IS_CUT:
        b->len--;
        return after + 2;
    case RECORD_OF_NO_ENTRY:
        assert_true(archive_record_put(b, after + 2, after + 3, span_of("no entry")));
        return after + 3;
    case RECORD_OF_AN_ENTRY_WITH_A_BAD_ITEM:
    case RECORD_OF_AN_ENTRY_CUT_SHORT:
        put_bad_entry(b, after + 2, n);
        return after + 3;
    case NOTHING_UP_TO_SOMEWHERE:
        buffer_clear(b);
        return after + 5;
    case BYTES_OF_NO_RECORD:
        buffer_clear(b);
        (void)buffer_append_str(b, "no record");
        return after;
    default:
        return after + 2;
    }
}

/* Member 1's answers are replaced. */
static bool answer_nonsense(struct world *w, uint64_t from, uint64_t to, struct buffer *supply)
{
    struct supply s;
    assert_true(supply_decode(buffer_span(supply), &s));
    if (from != 1 || s.what != SUPPLY_ARCHIVE) {
        return true;
    }
    struct buffer records;
    buffer_init(&records, 1 << 20);
    uint64_t after = store_position(node_of(w, 3)->store).applied;
    s.last = put_nonsense(&records, (enum nonsense)w->counter, after);
    buffer_clear(supply);
    supply_encode(supply, &s);
    assert_true(buffer_append_span(supply, buffer_span(&records)));
    buffer_release(&records);
    return true;
}

static void records_that_make_no_sense_are_refused_whole(void **state)
{
    struct world *w = *state;
    struct node *n = node_of(w, 3);
    uint64_t index = 20;
    grow(w, index);
    want(w, index);
    assert_true(run(w, SECOND));
    assert_caught_up(w, index);
    w->on_supply = answer_nonsense;
    for (w->counter = 0; w->counter < NONSENSE_COUNT; w->counter++) {
        w->now_us += HOUR; /* it is no longer held against member 1 */
        grow(w, index + 20);
        want(w, index + 20);
        while (status_of(n).refused == w->counter) {
            assert_int_equal(apply_queue_last(n->queue), index);
            assert_false(run(w, 10));
        }
        assert_int_equal(apply_queue_last(n->queue), index); /* nor the good ones among them */
        index += 20;
        assert_true(run(w, SECOND));
        assert_caught_up(w, index);
        assert_int_equal(status_of(n).refused, w->counter + 1);
    }
    w->now_us += SECOND;
    grow(w, index + 20);
    want(w, index + 20);
    assert_true(run(w, SECOND));
    assert_int_equal(status_of(n).refused, NONSENSE_COUNT); /* the suspect is asked last */
}

/* Every archive goes on to an index that was never given, in one step: behind the index `counter`,
 * or at once. */
static bool answer_far(struct world *w, uint64_t from, uint64_t to, struct buffer *supply)
{
    struct supply s;
    assert_true(supply_decode(buffer_span(supply), &s));
    if (s.what != SUPPLY_ARCHIVE || s.code != 0 || s.last < w->counter) {
        return true;
    }
    struct buffer records;
    uint64_t after = store_position(node_of(w, 3)->store).applied;
    uint64_t last = w->counter == 0 ? after : s.last;
    buffer_init(&records, 1 << 20);
    if (w->counter != 0) {
        assert_true(buffer_append_span(&records, s.bytes));
    }
    s.last = UINT64_C(1) << 63;
    assert_true(archive_record_put(&records, last, s.last, (struct span){0}));
    buffer_clear(supply);
    supply_encode(supply, &s);
    assert_true(buffer_append_span(supply, buffer_span(&records)));
    buffer_release(&records);
    return true;
}

static void nothing_beyond_the_index_that_was_wanted_is_applied(void **state)
{
    struct world *w = *state;
    struct node *n = node_of(w, 3);
    grow(w, 200);
    want(w, 100); /* the archives have more, truly */
    assert_true(run(w, SECOND));
    assert_caught_up(w, 100);
    w->on_supply = answer_far;
    w->counter = 200;
    want(w, 200);
    assert_true(run(w, SECOND));
    assert_caught_up(w, 200);
    w->counter = 0;
    want(w, 250);
    assert_true(run(w, SECOND));
    assert_int_equal(apply_queue_last(n->queue), 250);
    assert_int_equal(status_of(n).refused, 0);
}

/* --- supplies that were not asked for --- */

static void receive(struct world *w, uint64_t from, const struct supply *s)
{
    struct buffer b;
    buffer_init(&b, 4096);
    supply_encode(&b, s);
    (void)buffer_append_span(&b, s->bytes);
    catch_up_receive(node_of(w, 3)->catch_up, from, buffer_span(&b));
    buffer_release(&b);
}

static void what_was_not_asked_for_is_dropped_and_counted(void **state)
{
    struct world *w = *state;
    struct node *n = node_of(w, 3);
    grow(w, 100);
    struct supply s = {.boot = n->boot, .number = 1, .what = SUPPLY_ARCHIVE};
    receive(w, 1, &s); /* idle */
    want(w, 100);
    (void)catch_up_step(n->catch_up);
    struct catch_up_status before = status_of(n);
    assert_int_equal(before.dropped, 1);
    assert_int_equal(before.source, 1);
    struct supply wrong[] = {s, s, s, s, s};
    wrong[0].boot++;
    wrong[1].number++;
    wrong[2].what = SUPPLY_OPEN_COPY;
    wrong[3].what = SUPPLY_READ_COPY;
    for (size_t i = 0; i < 5; i++) {
        receive(w, i == 4 ? 2 : 1, &wrong[i]);
        assert_int_equal(status_of(n).dropped, i + 2);
        assert_int_equal(status_of(n).source, 1);
    }
    catch_up_receive(n->catch_up, 1, span_of("not a supply"));
    assert_int_equal(status_of(n).refused, 1);
    assert_true(run(w, SECOND));
    assert_caught_up(w, 100);
}

/* --- a full disk --- */

static void a_full_disk_is_waited_out(void **state)
{
    struct world *w = *state;
    grow(w, 120);
    cut_archives(w);
    grow(w, 130);
    for (int64_t left = 0; left < 200000; left += left < 600 ? 53 : 9973) {
        node_wipe(node_of(w, 3));
        room = left;
        want(w, 130);
        bool done = run(w, 3 * SECOND);
        if (!done) {
            assert_non_null(strstr(node_of(w, 3)->notice, "no room"));
            unsigned fetches = node_of(w, 3)->fetches;
            assert_false(run(w, 300 * SECOND));
            assert_true(node_of(w, 3)->fetches - fetches < 200); /* no loop */
            if (left % 2 == 0) {
                node_kill(node_of(w, 3));
                want(w, 130);
            }
        }
        room = INT64_MAX;
        assert_true(run(w, 60 * SECOND));
        assert_caught_up(w, 130);
        assert_int_equal(status_of(node_of(w, 3)).copies, 1);
    }
}

static bool count_chunks(struct world *w, uint64_t from, uint64_t to, const struct fetch *f)
{
    w->counter += f->what == SUPPLY_READ_COPY;
    return true;
}

static void a_copy_that_finds_no_room_to_become_the_store_is_kept_until_it_does(void **state)
{
    struct world *w = *state;
    struct node *n = node_of(w, 3);
    grow(w, 120);
    cut_archives(w);
    w->on_fetch = count_chunks;
    w->full_swaps = 3;
    want(w, 120);
    assert_false(run(w, SECOND));
    assert_int_equal(w->full_swaps, 2);
    assert_non_null(strstr(n->notice, "no room"));
    assert_true(has_incoming(w));
    uint64_t chunks = w->counter;
    assert_true(run(w, 60 * SECOND));
    assert_caught_up(w, 120);
    assert_int_equal(w->counter, chunks); /* none again */
    assert_int_equal(status_of(n).copies, 1);
}

/* Member 1 and 2 announce copies of any size. */
static bool announce(struct world *w, uint64_t from, uint64_t to, struct buffer *supply)
{
    struct supply s;
    assert_true(supply_decode(buffer_span(supply), &s));
    if (s.what == SUPPLY_OPEN_COPY && s.code == 0) {
        put_u64le(supply->data + 29, w->counter);
    }
    return true;
}

static void a_copy_that_cannot_fit_is_not_begun(void **state)
{
    struct world *w = *state;
    static const uint64_t sizes[] = {MAP_BYTES + 1, UINT64_C(1) << 62, UINT64_MAX - 1000,
                                     UINT64_MAX};
    grow(w, 100);
    cut_archives(w);
    w->on_supply = announce;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        w->map_bytes = i == 0 ? MAP_BYTES : 0; /* 0: only the disk's bound holds */
        node_wipe(node_of(w, 3));
        w->counter = sizes[i];
        unsigned fetches = node_of(w, 3)->fetches;
        want(w, 100);
        assert_false(run(w, 300 * SECOND));
        assert_non_null(strstr(node_of(w, 3)->notice, "no room"));
        assert_true(node_of(w, 3)->fetches - fetches < 100);
        assert_false(has_incoming(w));
    }
    w->on_supply = NULL;
    /* It would fit, but not leave enough. */
    w->headroom_bytes = UINT64_C(1) << 62;
    node_wipe(node_of(w, 3));
    want(w, 100);
    assert_false(run(w, 60 * SECOND));
    assert_false(has_incoming(w));
    w->headroom_bytes = 1;
    node_kill(node_of(w, 3));
    want(w, 100);
    assert_true(run(w, 60 * SECOND));
    assert_caught_up(w, 100);
}

/* --- its own queue, and Raft beside it --- */

static void no_more_is_pushed_than_the_queue_may_hold(void **state)
{
    struct world *w = *state;
    struct node *n = node_of(w, 3);
    w->queue_bytes_max = 1000;
    node_wipe(n);
    grow(w, 8000); /* more than one answer carries */
    n->holds_apply = true;
    want(w, 8000);
    assert_false(run(w, 60 * SECOND));
    uint64_t held = apply_queue_bytes(n->queue);
    assert_in_range(held, 1000, (1 << 20) + 4096);
    assert_int_equal(n->fetches, 1);
    n->holds_apply = false;
    n->step_us = w->now_us;
    assert_true(run(w, 60 * SECOND));
    assert_caught_up(w, 8000);
    assert_true(n->fetches > 3);
}

/* Raft gives node 3 all up to `index`. */
static void commit(struct world *w, uint64_t index)
{
    struct node *n = node_of(w, 3);
    struct buffer b;
    buffer_init(&b, 64 << 10);
    for (uint64_t i = 1; i <= index; i++) {
        buffer_clear(&b);
        if (i % 7 != 0) {
            make_entry(&b, i);
            apply_queue_push(n->queue, i, buffer_span(&b));
        } else {
            apply_queue_advance(n->queue, i);
        }
    }
    buffer_release(&b);
}

static void copy_some(struct world *w)
{
    grow(w, 300);
    cut_archives(w);
    want(w, 300);
    while (status_of(node_of(w, 3)).bytes < 10 * CHUNK) {
        assert_false(run(w, 100));
    }
    assert_true(has_incoming(w));
}

static void when_raft_is_faster_the_copy_is_given_up(void **state)
{
    struct world *w = *state;
    copy_some(w);
    commit(w, 300);
    assert_true(run(w, SECOND));
    assert_caught_up(w, 300);
    assert_int_equal(status_of(node_of(w, 3)).copies, 0);
    /* Its source has closed it: another member may have one. */
    struct fetch f = {.boot = 8, .number = 1, .what = SUPPLY_OPEN_COPY};
    struct buffer b;
    uint64_t delay_us;
    struct supply s;
    deliver_all(w);
    buffer_init(&b, 4096);
    fetch_encode(&b, &f);
    struct buffer out;
    buffer_init(&out, 4096);
    assert_true(supplier_answer(node_of(w, 1)->supplier, 8, buffer_span(&b), &out, &delay_us));
    assert_true(supply_decode(buffer_span(&out), &s));
    assert_int_equal(s.code, 0);
    buffer_release(&out);
    buffer_release(&b);
}

static void a_copy_that_was_left_goes_when_it_is_not_needed(void **state)
{
    struct world *w = *state;
    copy_some(w);
    node_kill(node_of(w, 3));
    assert_true(has_incoming(w));
    want(w, 300);
    commit(w, 300);
    assert_true(run(w, SECOND));
    assert_caught_up(w, 300);
}

static void what_an_earlier_run_left_goes_when_it_is_of_no_use(void **state)
{
    struct world *w = *state;
    struct node *n = node_of(w, 3);
    char path[128];
    copy_some(w);
    node_kill(n);
    assert_true(has_incoming(w)); /* it may be gone on with */
    (void)snprintf(path, sizeof path, "%s/incoming/progress", n->path);
    int rc = truncate(path, 50);
    assert_int_equal(rc, 0);
    node_kill(n);
    assert_false(has_incoming(w));
    want(w, 300);
    assert_true(run(w, HOUR));
    assert_caught_up(w, 300);
}

/* --- the rate --- */

static void a_copy_keeps_to_the_rate_of_its_source(void **state)
{
    struct world *w = *state;
    w->rate_bytes = 20000;
    for (uint64_t id = 1; id <= 2; id++) {
        node_close(node_of(w, id));
        node_open(node_of(w, id));
    }
    grow(w, 300);
    cut_archives(w);
    want(w, 300);
    uint64_t begin = w->now_us;
    while (status_of(node_of(w, 3)).state != CATCH_UP_COPYING) {
        assert_false(run(w, 100));
    }
    uint64_t bytes = status_of(node_of(w, 3)).bytes_total;
    assert_true(run(w, HOUR));
    assert_caught_up(w, 300);
    uint64_t least_us = (bytes - 4 * CHUNK) * SECOND / 20000;
    assert_in_range(w->now_us - begin, least_us, 3 * least_us);
    assert_int_equal(status_of(node_of(w, 3)).copies, 1);
    assert_int_equal(status_of(node_of(w, 3)).refused, 0);
}

/* Until `counter`, member 1 says "later" to every chunk. */
static bool say_later(struct world *w, uint64_t from, uint64_t to, struct buffer *supply)
{
    struct supply s;
    assert_true(supply_decode(buffer_span(supply), &s));
    if (from == 1 && s.what == SUPPLY_READ_COPY && w->now_us < w->counter) {
        s.code = CLADE_ERR_THROTTLED;
        buffer_clear(supply);
        supply_encode(supply, &s);
    }
    return true;
}

static void a_source_that_says_later_is_waited_for_but_not_for_ever(void **state)
{
    struct world *w = *state;
    struct node *n = node_of(w, 3);
    grow(w, 300);
    cut_archives(w);
    w->on_supply = say_later;
    w->counter = w->now_us + 40 * SECOND;
    want(w, 300);
    assert_false(run(w, 39 * SECOND));
    assert_int_equal(status_of(n).source, 1);
    assert_true(run(w, 10 * SECOND));
    assert_caught_up(w, 300);
    assert_int_equal(n->notices, 0);
    node_wipe(n);
    w->counter = UINT64_MAX;
    want(w, 300);
    assert_false(run(w, 59 * SECOND));
    assert_int_equal(status_of(n).source, 1);
    assert_true(run(w, 10 * SECOND));
    assert_caught_up(w, 300);
}

/* Every archive answers with the code `counter`. */
static bool fail_archives(struct world *w, uint64_t from, uint64_t to, struct buffer *supply)
{
    struct supply s;
    assert_true(supply_decode(buffer_span(supply), &s));
    if (s.what == SUPPLY_ARCHIVE && w->counter != 0) {
        s.code = -(int32_t)w->counter;
        buffer_clear(supply);
        supply_encode(supply, &s);
    }
    return true;
}

static void archives_that_cannot_be_read_lead_to_a_copy_and_busy_ones_do_not(void **state)
{
    struct world *w = *state;
    grow(w, 300);
    w->on_supply = fail_archives;
    w->counter = -CLADE_ERR_NO_MEMORY;
    want(w, 300);
    assert_false(run(w, 100 * SECOND));
    assert_int_equal(status_of(node_of(w, 3)).state, CATCH_UP_ARCHIVE);
    w->counter = -CLADE_ERR_IO;
    assert_true(run(w, 100 * SECOND));
    assert_caught_up(w, 300);
    assert_int_equal(status_of(node_of(w, 3)).copies, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_that_make_no_sense_are_refused_whole),
        TEST(nothing_beyond_the_index_that_was_wanted_is_applied),
        TEST(what_was_not_asked_for_is_dropped_and_counted),
        TEST(a_full_disk_is_waited_out),
        TEST(a_copy_that_finds_no_room_to_become_the_store_is_kept_until_it_does),
        TEST(a_copy_that_cannot_fit_is_not_begun),
        TEST(no_more_is_pushed_than_the_queue_may_hold),
        TEST(when_raft_is_faster_the_copy_is_given_up),
        TEST(a_copy_that_was_left_goes_when_it_is_not_needed),
        TEST(what_an_earlier_run_left_goes_when_it_is_of_no_use),
        TEST(a_source_that_says_later_is_waited_for_but_not_for_ever),
        TEST(archives_that_cannot_be_read_lead_to_a_copy_and_busy_ones_do_not),
        TEST(a_copy_keeps_to_the_rate_of_its_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
