/* The mark's file, and the guard over raft_uv for what only that does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "consensus/guard.h"
#include "consensus/loaded_log.h"
#include "tests/unit/consensus/log_fixture.h"

/* --- files --- */

static void the_file_comes_back_as_it_was_written(void **state)
{
    char path[] = "/tmp/clade-mark-XXXXXX";
    char file[64];
    struct guard_disk *d;
    struct guard_mark m = {.term = 3};
    struct error e = {0};
    assert_non_null(mkdtemp(path));
    (void)snprintf(file, sizeof file, "%s/mark", path);
    assert_int_equal(guard_file_open(path, &d, NULL), 0);
    assert_int_equal(guard_mark_read(d, &m, &e), CLADE_ERR_CORRUPT);
    assert_int_equal(guard_mark_write(d, &m, &e), CLADE_ERR_IO);
    guard_file_close(d);
    assert_int_equal(guard_file_create(path, NULL), 0);
    assert_true(guard_file_create(path, NULL) < 0);
    assert_int_equal(guard_file_open(path, &d, NULL), 0);
    assert_int_equal(guard_mark_read(d, &m, NULL), 0);
    assert_int_equal(m.index, 0);
    for (uint64_t i = 3; i < 6; i++) {
        m = (struct guard_mark){
            .generation = i, .term = i, .vote = 2, .index = 10 * i, .index_term = i - 1};
        assert_int_equal(guard_mark_write(d, &m, NULL), 0);
        struct guard_mark again;
        assert_int_equal(guard_mark_read(d, &again, NULL), 0);
        assert_memory_equal(&again, &m, sizeof m);
    }
    guard_file_close(d);
    assert_int_equal(truncate(file, GUARD_SLOT_DISTANCE + 10), 0); /* the newer one is slot 1 */
    assert_int_equal(guard_file_open(path, &d, NULL), 0);
    assert_int_equal(guard_mark_read(d, &m, NULL), 0);
    assert_int_equal(m.generation, 4);
    guard_file_close(d);
    (void)unlink(file);
    (void)rmdir(path);
}

/* --- over raft_uv --- */

static void an_install_lowers_the_mark_and_then_raises_it(void **state)
{
    struct log_fixture *l = log_new();
    struct guard_mark m;
    struct loaded_log log;
    assert_int_equal(log_open(l, NULL, NULL), 0);
    for (unsigned i = 0; i < 50; i++) {
        log_append(l, 1, 400);
    }
    log_wait(l);
    guard_flush(l->guard);
    assert_int_equal(guard_mark_read(l->mark, &m, NULL), 0);
    assert_int_equal(m.index, 51);
    log_snapshot(l, 30, 7, 0);
    assert_int_equal(guard_mark_read(l->mark, &m, NULL), 0);
    assert_int_equal(m.index, 30);
    assert_int_equal(m.index_term, 0);
    l->term = 8;
    log_append(l, 2, 400);
    log_close(l);
    assert_int_equal(log_open(l, &log, NULL), 0);
    assert_int_equal(log.start, 31);
    assert_int_equal(log.n, 2);
    loaded_log_release(&log);
    assert_int_equal(guard_mark_read(l->mark, &m, NULL), 0);
    assert_int_equal(m.index, 32);
    assert_int_equal(m.index_term, 8);
    log_close(l);
    assert_string_equal(l->fatal, "");
    log_free(l);
}

static void an_append_that_ends_during_an_install_does_not_raise_the_mark(void **state)
{
    struct log_fixture *l = log_new();
    struct guard_mark m;
    assert_int_equal(log_open(l, NULL, NULL), 0);
    for (unsigned i = 0; i < 50; i++) {
        log_append(l, 1, 400);
    }
    log_snapshot(l, 30, 7, 0);
    guard_flush(l->guard);
    assert_int_equal(guard_mark_read(l->mark, &m, NULL), 0);
    assert_int_equal(m.index, 30);
    assert_int_equal(m.index_term, 7);
    log_close(l);
    assert_int_equal(log_open(l, NULL, NULL), 0);
    log_close(l);
    log_free(l);
}

static void a_snapshot_of_ones_own_leaves_the_mark(void **state)
{
    struct log_fixture *l = log_new();
    struct guard_mark m;
    struct loaded_log log;
    assert_int_equal(log_open(l, NULL, NULL), 0);
    for (unsigned i = 0; i < 300; i++) {
        log_append(l, 1, 400);
    }
    log_wait(l);
    log_snapshot(l, 250, 1, 20);
    log_append(l, 1, 400);
    log_close(l);
    assert_int_equal(log_open(l, &log, NULL), 0);
    assert_int_equal(log.snapshot->index, 250);
    assert_true(log.start > 1);
    assert_int_equal(log.start + log.n, 303);
    loaded_log_release(&log);
    assert_int_equal(guard_mark_read(l->mark, &m, NULL), 0);
    assert_int_equal(m.index, 302);
    log_close(l);
    log_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_comes_back_as_it_was_written),
        cmocka_unit_test(an_install_lowers_the_mark_and_then_raises_it),
        cmocka_unit_test(an_append_that_ends_during_an_install_does_not_raise_the_mark),
        cmocka_unit_test(a_snapshot_of_ones_own_leaves_the_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
