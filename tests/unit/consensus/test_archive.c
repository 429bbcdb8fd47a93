/* What an archive keeps, and its bounds. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_fixture.h"
#include "tests/sim/random.h"

/* --- what it keeps --- */

static void what_was_appended_is_read_in_order(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    assert_range(f, 0, 0);
    assert_reads(f, 0, 0);
    append_up_to(f, 200);
    assert_true(files_of(f) > 5);
    for (int i = 0; i < 2; i++) {
        assert_range(f, 0, 200);
        assert_reads(f, 0, 200);
        for (uint64_t after = 0; after <= 200; after += 7) {
            uint64_t end;
            assert_int_equal(read_all(f->archive, after, 1, &end), 0);
            assert_int_equal(end, 200);
        }
        assert_int_equal(archive_sync(f->archive, &f->error), 0);
        reopen(f);
    }
    append_up_to(f, 250);
    assert_reads(f, 0, 250);
}

static void what_it_has_is_not_appended_again(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    append_up_to(f, 10);
    uint64_t bytes = archive_bytes(f->archive);
    assert_int_equal(append(f, 4, 5), 0);
    assert_int_equal(append(f, 0, 10), 0);
    assert_int_equal(archive_bytes(f->archive), bytes);
    /* A job that begins before the end: the record begins at the end. */
    assert_int_equal(append(f, 7, 12), 0);
    struct archive_record r;
    uint64_t last;
    assert_int_equal(archive_read(f->archive, 11, 1000, &f->out, &last, &f->error), 0);
    struct span out = buffer_span(&f->out);
    assert_int_equal(archive_record_next(&out, &r, NULL), 0);
    assert_int_equal(r.previous, 10);
    assert_int_equal(r.index, 12);
    assert_int_equal(last, 12);
}

static void a_gap_begins_anew(void **state)
{
    struct fixture *f = *state;
    uint64_t end;
    reopen(f);
    append_up_to(f, 100);
    assert_int_equal(append(f, 150, 151), 0);
    append_up_to(f, 160);
    for (int i = 0; i < 2; i++) {
        assert_range(f, 150, 160);
        assert_int_equal(read_all(f->archive, 99, 1000, &end), 1);
        assert_reads(f, 150, 160);
        assert_int_equal(files_of(f), 1);
        reopen(f);
    }
}

static void a_reset_survives_a_restart(void **state)
{
    struct fixture *f = *state;
    uint64_t end;
    reopen(f);
    append_up_to(f, 100);
    assert_int_equal(archive_reset(f->archive, 40, &f->error), 0);
    for (int i = 0; i < 2; i++) {
        assert_range(f, 40, 40);
        assert_int_equal(read_all(f->archive, 39, 1000, &end), 1);
        assert_reads(f, 40, 40);
        reopen(f);
    }
    append_up_to(f, 50);
    assert_int_equal(read_all(f->archive, 39, 1000, &end), 1);
    assert_reads(f, 40, 50);
}

static void the_oldest_go_when_there_are_too_many_bytes(void **state)
{
    struct fixture *f = *state;
    uint64_t end;
    uint64_t base;
    uint64_t last;
    f->options.bytes_max = 20000;
    reopen(f);
    for (uint64_t i = 0; i < 500; i++) {
        append_up_to(f, i + 1);
        assert_true(archive_bytes(f->archive) <= 20000);
    }
    assert_in_range(files_of(f), 3, 6);
    archive_range(f->archive, &base, &last);
    assert_in_range(base, 300, 480);
    assert_int_equal(last, 500);
    assert_int_equal(read_all(f->archive, base - 1, 1000, &end), 1);
    assert_reads(f, base, 500);
    f->options.bytes_max = 9000; /* a smaller bound holds from the next append on */
    reopen(f);
    append_up_to(f, 501);
    assert_true(archive_bytes(f->archive) <= 9000);
}

static void the_oldest_go_when_they_are_too_old(void **state)
{
    struct fixture *f = *state;
    uint64_t base;
    uint64_t last;
    f->options.age_max_us = 3600000000;
    reopen(f);
    append_up_to(f, 50);
    f->now_us += 3000000000;
    append_up_to(f, 100);
    assert_range(f, 0, 100);
    f->now_us += 1000000000;
    assert_int_equal(archive_sync(f->archive, &f->error), 0);
    archive_range(f->archive, &base, &last);
    assert_in_range(base, 30, 50);
    f->now_us += 36000000000;
    reopen(f); /* now their files' times count */
    assert_int_equal(archive_sync(f->archive, &f->error), 0);
    assert_int_equal(files_of(f), 1); /* the newest stays */
    archive_range(f->archive, &base, &last);
    assert_reads(f, base, 100);
}

static void what_a_member_will_need_stays_up_to_four_times_the_bytes(void **state)
{
    struct fixture *f = *state;
    uint64_t base;
    uint64_t last;
    f->options.bytes_max = 20000;
    f->options.age_max_us = 3600000000;
    reopen(f);
    append_up_to(f, 80);
    archive_keep(f->archive, 70);
    uint64_t i = 80;
    while (archive_bytes(f->archive) <= 3 * 20000) {
        append_up_to(f, ++i);
        f->now_us += 100000000;
        archive_range(f->archive, &base, &last);
        assert_true(base <= 70);
    }
    assert_in_range(base, 40, 70); /* what is not needed went */
    while (i < 800) {
        append_up_to(f, ++i);
        assert_true(archive_bytes(f->archive) <= 4 * 20000);
    }
    archive_range(f->archive, &base, &last);
    assert_true(base > 70);
    assert_reads(f, base, 800);
    archive_keep(f->archive, UINT64_MAX);
    append_up_to(f, 801);
    assert_true(archive_bytes(f->archive) <= 20000);
}

/* --- a disk that is full, or fails --- */

static void on_a_full_disk_the_oldest_make_room(void **state)
{
    struct fixture *f = *state;
    uint64_t base;
    uint64_t last;
    reopen(f);
    append_up_to(f, 100);
    archive_keep(f->archive, 0); /* that is no reason to stop */
    room = 100;
    unlink_gives = true;
    for (uint64_t i = 100; i < 200; i++) {
        assert_int_equal(append(f, i, i + 1), 0);
    }
    room = INT64_MAX;
    unlink_gives = false;
    archive_range(f->archive, &base, &last);
    assert_in_range(base, 50, 150);
    assert_reads(f, base, 200);
    reopen(f);
    assert_reads(f, base, 200);
}

static void a_full_disk_leaves_nothing_of_the_record(void **state)
{
    struct fixture *f = *state;
    f->options.segment_bytes = f->options.bytes_max / 2; /* none that could make room */
    reopen(f);
    uint64_t last = 20;
    append_up_to(f, last);
    for (int64_t left = 0; left < 700; left++) {
        uint64_t bytes = archive_bytes(f->archive);
        room = left;
        int rc = append(f, last, last + 1);
        room = INT64_MAX;
        if (rc == 0) {
            last++;
            continue;
        }
        assert_int_equal(rc, CLADE_ERR_NO_SPACE);
        assert_range(f, 0, last);
        assert_true(archive_bytes(f->archive) <= bytes + ARCHIVE_FILE_HEADER);
        assert_int_equal(bytes_of(f), archive_bytes(f->archive));
        if (left % 10 == 0) {
            reopen(f);
        }
        if (left % 30 == 0) {
            append_up_to(f, ++last);
        }
    }
    assert_true(last > 100);
    reopen(f);
    assert_reads(f, 0, last);
}

static void after_a_failed_sync_nothing_is_promised(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    append_up_to(f, 20);
    sync_fails = true;
    assert_int_equal(archive_sync(f->archive, &f->error), CLADE_ERR_IO);
    sync_fails = false;
    assert_int_equal(archive_sync(f->archive, &f->error), CLADE_ERR_IO);
    assert_int_equal(append(f, 20, 21), CLADE_ERR_IO);
    assert_int_equal(archive_reset(f->archive, 30, &f->error), CLADE_ERR_IO);
    reopen(f);
    append_up_to(f, 21);
    assert_int_equal(archive_sync(f->archive, &f->error), 0);
}

/* --- all at once --- */

static void it_does_what_its_model_does(void **state)
{
    struct fixture *f = *state;
    const char *text = getenv("CLADE_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : clock_wall_us(clock_system());
    print_message("seed %llu\n", (unsigned long long)seed);
    struct sim_random r;
    random_seed(&r, seed);
    f->options.bytes_max = 12000;
    reopen(f);
    uint64_t lowest = 0; /* base may not be below */
    uint64_t last = 0;
    for (int i = 0; i < 3000; i++) {
        uint64_t base;
        uint64_t found;
        uint64_t end;
        switch (random_below(&r, 40)) {
        case 0:
            lowest = last + 1 + random_below(&r, 50);
            assert_int_equal(append(f, lowest, lowest + 1), 0);
            last = lowest + 1;
            break;
        case 1:
            reopen(f);
            break;
        case 2:
            lowest = random_below(&r, last + 10);
            last = lowest;
            assert_int_equal(archive_reset(f->archive, lowest, &f->error), 0);
            break;
        case 3:
            assert_int_equal(archive_sync(f->archive, &f->error), 0);
            break;
        case 4:
            room = (int64_t)random_below(&r, 300);
            int rc = append(f, last, last + 1);
            room = INT64_MAX;
            last += rc == 0;
            break;
        default:
            append_up_to(f, ++last);
            break;
        }
        archive_range(f->archive, &base, &found);
        assert_int_equal(found, last);
        assert_true(base >= lowest && archive_bytes(f->archive) <= 12000);
        if (i % 8 == 0) {
            uint64_t after = base + random_below(&r, last - base + 1);
            assert_int_equal(read_all(f->archive, after, random_below(&r, 5000), &end), 0);
            assert_int_equal(end, last);
        }
        if (base > 0 && base < last) {
            assert_int_equal(read_all(f->archive, base - 1, 1000, &end), 1);
        }
    }
}

struct reading {
    struct archive *archive;
    atomic_bool stop;
    uint64_t rounds;
    uint64_t behind; /* times that it was too slow */
};

static void *read_along(void *arg)
{
    struct reading *r = arg;
    uint64_t base;
    uint64_t last;
    do {
        archive_range(r->archive, &base, &last);
        uint64_t end;
        r->behind += read_all(r->archive, base, 500, &end) == 1;
        assert_true(end >= base);
        r->rounds++;
    } while (!atomic_load(&r->stop));
    return NULL;
}

static void readers_on_other_threads_see_only_what_is_whole(void **state)
{
    struct fixture *f = *state;
    f->options.bytes_max = 20000;
    reopen(f);
    append_up_to(f, 10);
    struct reading readings[2] = {{.archive = f->archive}, {.archive = f->archive}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_along, &readings[i]), 0);
    }
    for (uint64_t i = 10; i < 3000; i++) {
        if (i % 500 == 499) {
            assert_int_equal(archive_reset(f->archive, i, &f->error), 0);
        }
        append_up_to(f, i + 1);
        if (i % 100 == 0) {
            room = 20;
            assert_int_equal(append(f, i + 1, i + 2), CLADE_ERR_NO_SPACE);
            room = INT64_MAX;
            assert_int_equal(archive_sync(f->archive, &f->error), 0);
        }
    }
    for (int i = 0; i < 2; i++) {
        atomic_store(&readings[i].stop, true);
        pthread_join(threads[i], NULL);
        assert_true(readings[i].rounds > 0);
    }
    uint64_t base;
    uint64_t last;
    archive_range(f->archive, &base, &last);
    assert_true(base >= 2500 && last == 3000);
    assert_reads(f, base, 3000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, archive_setup, archive_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_appended_is_read_in_order),
        TEST(what_it_has_is_not_appended_again),
        TEST(a_gap_begins_anew),
        TEST(a_reset_survives_a_restart),
        TEST(the_oldest_go_when_there_are_too_many_bytes),
        TEST(the_oldest_go_when_they_are_too_old),
        TEST(what_a_member_will_need_stays_up_to_four_times_the_bytes),
        TEST(on_a_full_disk_the_oldest_make_room),
        TEST(a_full_disk_leaves_nothing_of_the_record),
        TEST(after_a_failed_sync_nothing_is_promised),
        TEST(it_does_what_its_model_does),
        TEST(readers_on_other_threads_see_only_what_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
