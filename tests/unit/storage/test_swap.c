/* store_swap: another store takes the place of one that is read and written. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "fixture.h"

#define PAIR "{'v':1,'ops':[{'op':'create','kind':'artifact'},{'op':'create','kind':'artifact'}]}"

static struct fixture *new_fixture(void)
{
    void *f;
    fixture_setup(&f);
    return f;
}

static void free_fixture(struct fixture *f)
{
    void *state = f;
    fixture_teardown(&state);
}

/* Two artifacts for each revision. */
static void write_to(struct fixture *f, uint64_t index)
{
    while (f->index < index) {
        assert_int_equal(fixture_txn(f, PAIR), 0);
    }
}

/* What a member that is at `index` would hand out, in a folder of its own; closed. */
static struct fixture *donor_at(uint64_t index)
{
    struct fixture *f = new_fixture();
    write_to(f, index);
    fixture_close(f);
    return f;
}

static void swap_for(struct fixture *f, const struct fixture *donor)
{
    if (store_swap(f->store, donor->dir, NULL, NULL, &f->error) != 0) {
        fail_msg("%s", f->error.message);
    }
    f->index = store_position(f->store).applied;
}

/* The donor's folder becomes the fixture's, to be removed with it, and the other way round. */
static void exchange_folders(struct fixture *f, struct fixture *donor)
{
    char dir[sizeof f->dir];
    memcpy(dir, f->dir, sizeof dir);
    memcpy(f->dir, donor->dir, sizeof dir);
    memcpy(donor->dir, dir, sizeof dir);
}

static void after_a_swap_everything_is_of_the_new_store(void **state)
{
    struct fixture *f = *state;
    write_to(f, 3);
    assert_int_equal(fixture_read(f, QUERY_LIST, "{'kind':'artifact'}"), 0);
    assert_int_equal(answer_count(f, "\"ref\""), 6);
    struct fixture *donor = new_fixture();
    write_to(donor, 8);
    struct store_position position = store_position(donor->store);
    struct store_digest digest = store_digest_current(donor->store);
    fixture_close(donor);
    swap_for(f, donor);
    assert_int_equal(store_position(f->store).applied, position.applied);
    assert_int_equal(store_position(f->store).revision, position.revision);
    assert_int_equal(store_position(f->store).time_us, position.time_us);
    assert_true(digests_equal(digest, store_digest_current(f->store)));
    /* The reader that was there before, and a new one. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fixture_read(f, QUERY_LIST, "{'kind':'artifact'}"), 0);
        assert_int_equal(answer_count(f, "\"ref\""), 16);
        assert_int_equal(f->answer.revision, 8);
        reader_free(f->reader);
        assert_int_equal(reader_new(f->store, &f->reader, &f->error), 0);
    }
    write_to(f, 10);
    assert_int_equal(store_position(f->store).revision, 10);
    assert_int_equal(store_verify(f->store, NULL, NULL, &f->error), 0);
    assert_int_equal(store_sync(f->store, &f->error), 0);
    assert_int_equal(store_close_old(f->store), 0);
    /* What was written since went to the new folder. */
    exchange_folders(f, donor);
    fixture_close(f);
    fixture_open(f, FIXTURE_MAP_BYTES);
    assert_int_equal(f->index, 10);
    free_fixture(donor);
}

static uint64_t disk_gib; /* free; 0 = as it is */

/* In place of libc's. */
int statvfs(const char *path, struct statvfs *ret)
{
    struct statfs fs;
    if (disk_gib == 0) {
        int rc = statfs(path, &fs);
        *ret = (struct statvfs){.f_frsize = (unsigned long)fs.f_bsize, .f_bavail = fs.f_bavail};
        return rc;
    }
    *ret = (struct statvfs){.f_frsize = 1 << 30, .f_bavail = disk_gib};
    return 0;
}

static void a_map_of_the_disk_s_size_does_not_shrink_with_a_swap(void **state)
{
    struct fixture *f = *state;
    uint64_t used;
    uint64_t before;
    uint64_t after;
    fixture_close(f);
    disk_gib = 40;
    fixture_open(f, 0);
    store_usage(f->store, &used, &before);
    struct fixture *donor = donor_at(2);
    disk_gib = 2; /* the old store and the copy take the rest */
    swap_for(f, donor);
    store_usage(f->store, &used, &after);
    assert_int_equal(before, (uint64_t)36 << 30);
    assert_int_equal(after, before);
    /* And grows with the disk. */
    struct fixture *next = donor_at(3);
    disk_gib = 400;
    swap_for(f, next);
    disk_gib = 0;
    store_usage(f->store, &used, &after);
    assert_int_equal(after, (uint64_t)360 << 30);
    fixture_close(f);
    fixture_open(f, FIXTURE_MAP_BYTES);
    free_fixture(next);
    free_fixture(donor);
}

static void a_reader_that_rests_does_not_keep_the_old_environment(void **state)
{
    struct fixture *f = *state;
    write_to(f, 1);
    assert_int_equal(fixture_read(f, QUERY_LIST, "{'kind':'artifact'}"), 0);
    struct fixture *donor = donor_at(2);
    char old_file[128];
    snprintf(old_file, sizeof old_file, "%s/data.mdb", f->dir);
    swap_for(f, donor);
    assert_int_equal(store_close_old(f->store), 0);
    exchange_folders(f, donor);
    free_fixture(donor);
    assert_int_not_equal(access(old_file, F_OK), 0);
    assert_int_equal(fixture_read(f, QUERY_LIST, "{'kind':'artifact'}"), 0);
    assert_int_equal(answer_count(f, "\"ref\""), 4);
}

/* A clock that swaps the store when a query looks at it. */
struct swapping_clock {
    struct clock clock;
    struct fixture *f;
    const struct fixture *donor;
    unsigned looks;
    unsigned in_use; /* old environments after the swap, while the query runs */
};

static uint64_t swap_once(const struct clock *clock)
{
    struct swapping_clock *c = (struct swapping_clock *)clock;
    if (c->looks++ == 0) {
        swap_for(c->f, c->donor);
        c->in_use = store_close_old(c->f->store);
    }
    return 1;
}

static uint64_t wall(const struct clock *clock)
{
    (void)clock;
    return 1000000;
}

static void a_query_under_way_ends_on_the_old_store(void **state)
{
    struct fixture *f = *state;
    write_to(f, 400);
    struct fixture *donor = donor_at(500);
    struct swapping_clock clock = {
        .clock = {.monotonic_us = swap_once, .wall_us = wall}, .f = f, .donor = donor};
    struct query q = {.kind = QUERY_LIST, .limit = 10000, .list_kind = KIND_ARTIFACT};
    struct reader_budget budget = {.clock = &clock.clock, .deadline_us = 1000};
    buffer_clear(&f->out);
    arena_reset(&f->arena);
    assert_int_equal(reader_query(f->reader, &q, span_of(""), &budget, &f->arena, &f->out,
                                  &f->answer, &f->error),
                     0);
    assert_true(clock.looks > 1);
    assert_int_equal(clock.in_use, 1);
    assert_int_equal(f->answer.revision, 400);
    assert_int_equal(answer_count(f, "\"ref\""), 800);
    /* It let go as it ended. */
    assert_int_equal(store_close_old(f->store), 0);
    assert_int_equal(fixture_read(f, QUERY_LIST, "{'kind':'artifact','limit':10000}"), 0);
    assert_int_equal(f->answer.revision, 500);
    assert_int_equal(answer_count(f, "\"ref\""), 1000);
    exchange_folders(f, donor);
    free_fixture(donor);
}

static void what_can_not_be_swapped_in_changes_nothing(void **state)
{
    struct fixture *f = *state;
    write_to(f, 5);
    struct store_digest before = store_digest_current(f->store);
    struct error e = {0};
    struct fixture *behind = donor_at(4);
    assert_int_equal(store_swap(f->store, behind->dir, NULL, NULL, &e), CLADE_ERR_INVALID);
    assert_non_null(strstr(e.message, "ends at index 4"));
    assert_int_equal(store_swap(f->store, f->dir, NULL, NULL, &e), CLADE_ERR_INVALID);
    assert_non_null(strstr(e.message, "open already"));
    assert_int_equal(store_swap(f->store, "/nonexistent/store", NULL, NULL, &e), CLADE_ERR_CORRUPT);
    fixture_wipe(behind);
    assert_int_equal(store_swap(f->store, behind->dir, NULL, NULL, &e), CLADE_ERR_CORRUPT);
    char file[128];
    snprintf(file, sizeof file, "%s/data.mdb", behind->dir);
    assert_int_not_equal(access(file, F_OK), 0); /* none was made */
    assert_true(digests_equal(before, store_digest_current(f->store)));
    write_to(f, 6);
    assert_int_equal(store_close_old(f->store), 0);
    free_fixture(behind);
}

struct keeping {
    struct fixture *f;
    int code;          /* what it answers */
    const char *to;    /* what it renames the folder to; NULL: it stays */
    uint64_t revision; /* the store's, as it was asked */
};

static int on_keep(void *arg, const char *path, struct error *error)
{
    struct keeping *k = arg;
    k->revision = store_position(k->f->store).revision;
    if (k->code != 0) {
        return error_set(error, k->code, path, "not now");
    }
    return k->to != NULL ? rename(path, k->to) : 0;
}

static void a_copy_that_is_not_to_be_kept_changes_nothing(void **state)
{
    struct fixture *f = *state;
    write_to(f, 5);
    struct fixture *donor = donor_at(8);
    struct keeping k = {.f = f, .code = CLADE_ERR_NO_SPACE};
    struct error e = {0};
    assert_int_equal(store_swap(f->store, donor->dir, on_keep, &k, &e), CLADE_ERR_NO_SPACE);
    assert_int_equal(store_position(f->store).revision, 5);
    assert_int_equal(store_close_old(f->store), 0);
    write_to(f, 6);
    /* The same copy, when there is room. */
    k.code = 0;
    assert_int_equal(store_swap(f->store, donor->dir, on_keep, &k, &e), 0);
    assert_int_equal(k.revision, 6); /* kept before anybody sees it */
    assert_int_equal(store_position(f->store).revision, 8);
    exchange_folders(f, donor);
    fixture_close(f);
    fixture_open(f, FIXTURE_MAP_BYTES);
    free_fixture(donor);
}

static void a_folder_that_is_renamed_as_it_is_kept_is_the_store_s(void **state)
{
    struct fixture *f = *state;
    write_to(f, 5);
    struct fixture *donor = donor_at(8);
    char to[80];
    snprintf(to, sizeof to, "%s-kept", donor->dir);
    struct keeping k = {.f = f, .to = to};
    assert_int_equal(store_swap(f->store, donor->dir, on_keep, &k, &f->error), 0);
    f->index = 8;
    write_to(f, 10);
    assert_int_equal(fixture_read(f, QUERY_LIST, "{'kind':'artifact'}"), 0);
    assert_int_equal(answer_count(f, "\"ref\""), 20);
    fixture_close(f);
    assert_int_equal(rename(to, donor->dir), 0);
    exchange_folders(f, donor);
    fixture_open(f, FIXTURE_MAP_BYTES);
    assert_int_equal(f->index, 10);
    free_fixture(donor);
}

/* --- Readers beside it ------------------------------------------------------------------------ */

#define READERS 3
#define SWAPS   6
#define STEP    20

struct reading_thread {
    pthread_t thread;
    struct store *store;
    bool stop; /* set by the main thread */
    unsigned reads;
    const char *failure; /* cmocka asserts belong to the main thread */
};

static const char *read_once(struct store *store, struct reader *reader, struct buffer *out)
{
    struct arena arena;
    struct error e;
    struct reader_answer answer;
    struct reader_budget budget = {0};
    struct query q = {.kind = QUERY_LIST, .limit = 10000, .list_kind = KIND_ARTIFACT};
    uint64_t before = store_position(store).revision;
    buffer_clear(out);
    arena_init(&arena, 16 << 20);
    const char *failure = NULL;
    const struct value *v;
    if (reader_query(reader, &q, span_of(""), &budget, &arena, out, &answer, &e) != 0) {
        failure = "the query failed";
    } else if (answer.revision < before) {
        failure = "what was published is not seen";
    } else if (value_decode(buffer_span(out), &value_limits_answer, &arena, &v, &e) != 0) {
        failure = "the answer is not MessagePack";
    } else if (value_len(v) != 2 * answer.revision) {
        failure = "the answer is not of its revision";
    }
    arena_release(&arena);
    return failure;
}

static void *read_on(void *arg)
{
    struct reading_thread *t = arg;
    struct reader *reader = NULL;
    struct error e;
    struct buffer out;
    buffer_init(&out, 16 << 20);
    while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE) && t->failure == NULL) {
        uint64_t used;
        uint64_t map;
        if (t->reads % 7 == 0) {
            reader_free(reader);
            reader = NULL;
            if (reader_new(t->store, &reader, &e) != 0) {
                t->failure = "no reader";
                break;
            }
        }
        t->failure = read_once(t->store, reader, &out);
        store_digest_current(t->store);
        store_usage(t->store, &used, &map);
        if (t->failure == NULL && t->reads % 5 == 0 &&
            store_verify(t->store, NULL, NULL, &e) != 0) {
            t->failure = "the store is damaged";
        }
        t->reads++;
    }
    reader_free(reader);
    buffer_release(&out);
    return NULL;
}

static void readers_never_notice_a_swap(void **state)
{
    struct fixture *f = *state;
    struct fixture *donors[SWAPS];
    for (int i = 0; i < SWAPS; i++) {
        donors[i] = donor_at((uint64_t)(i + 1) * 2 * STEP);
    }
    struct reading_thread threads[READERS] = {0};
    for (int i = 0; i < READERS; i++) {
        threads[i].store = f->store;
        assert_int_equal(pthread_create(&threads[i].thread, NULL, read_on, &threads[i]), 0);
    }
    for (int i = 0; i < SWAPS; i++) {
        write_to(f, f->index + STEP);
        swap_for(f, donors[i]);
        assert_true(store_close_old(f->store) <= READERS * 2);
    }
    write_to(f, f->index + STEP);
    for (int i = 0; i < READERS; i++) {
        __atomic_store_n(&threads[i].stop, true, __ATOMIC_RELEASE);
        pthread_join(threads[i].thread, NULL);
        if (threads[i].failure != NULL) {
            fail_msg("%s", threads[i].failure);
        }
    }
    assert_int_equal(store_close_old(f->store), 0);
    assert_int_equal(store_position(f->store).revision, SWAPS * 2 * STEP + STEP);
    fixture_close(f);
    for (int i = 0; i < SWAPS; i++) {
        free_fixture(donors[i]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(after_a_swap_everything_is_of_the_new_store),
        TEST(a_map_of_the_disk_s_size_does_not_shrink_with_a_swap),
        TEST(a_reader_that_rests_does_not_keep_the_old_environment),
        TEST(a_query_under_way_ends_on_the_old_store),
        TEST(what_can_not_be_swapped_in_changes_nothing),
        TEST(a_copy_that_is_not_to_be_kept_changes_nothing),
        TEST(a_folder_that_is_renamed_as_it_is_kept_is_the_store_s),
        TEST(readers_never_notice_a_swap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
