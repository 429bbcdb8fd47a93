#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "consensus/apply_queue.h"

static void free_jobs(struct apply_job *job)
{
    while (job != NULL) {
        struct apply_job *next = job->next;
        free(job);
        job = next;
    }
}

static void a_gap_in_the_indexes_becomes_an_advance(void **state)
{
    struct apply_queue *q = apply_queue_new();
    apply_queue_push(q, 4, span_of("four"));
    apply_queue_push(q, 5, span_of("five"));
    apply_queue_advance(q, 5);
    apply_queue_advance(q, 9);
    struct apply_job *jobs = apply_queue_take(q, 100, 1000);
    static const uint64_t expected[][3] = {{0, 3, 0}, {3, 4, 4}, {4, 5, 4}, {5, 9, 0}};
    struct apply_job *job = jobs;
    for (int i = 0; i < 4; i++) {
        assert_non_null(job);
        assert_int_equal(job->previous, expected[i][0]);
        assert_int_equal(job->index, expected[i][1]);
        assert_int_equal(job->len, expected[i][2]);
        job = job->next;
    }
    assert_null(job);
    assert_int_equal(apply_queue_last(q), 9);
    free_jobs(jobs);
    apply_queue_free(q);
}

static void what_was_pushed_before_is_left_out(void **state)
{
    struct apply_queue *q = apply_queue_new();
    assert_true(apply_queue_push_follow(q, 0, 3, (struct span){0}));
    assert_true(apply_queue_push_follow(q, 3, 4, span_of("four")));
    assert_false(apply_queue_push_follow(q, 5, 6, span_of("six")));
    apply_queue_push(q, 4, span_of("four"));
    apply_queue_expect(q, 4);
    apply_queue_expect(q, 8);
    assert_int_equal(apply_queue_mark(q), 8);
    apply_queue_swap(q, "a/b", 9);
    assert_true(apply_queue_try(q, 7, span_of("item")));
    struct apply_job *jobs = apply_queue_take(q, 100, 1000);
    static const uint64_t expected[][3] = {{JOB_ADVANCE, 0, 3}, {JOB_ENTRY, 3, 4},
                                           {JOB_EXPECT, 4, 8},  {JOB_MARK, 8, 8},
                                           {JOB_SWAP, 8, 8},    {JOB_TRY, 8, 8}};
    struct apply_job *job = jobs;
    for (int i = 0; i < 6; i++) {
        assert_non_null(job);
        assert_int_equal(job->kind, expected[i][0]);
        assert_int_equal(job->previous, expected[i][1]);
        assert_int_equal(job->index, expected[i][2]);
        assert_true(job->kind != JOB_SWAP || strcmp((const char *)job->bytes + 8, "a/b") == 0);
        job = job->next;
    }
    assert_null(job);
    free_jobs(jobs);
    apply_queue_free(q);
}

static void compaction_is_asked_for_once_until_it_is_taken(void **state)
{
    struct apply_queue *q = apply_queue_new();
    for (int i = 0; i < 2; i++) {
        apply_queue_compact(q, 7);
        apply_queue_compact(q, 7);
        struct apply_job *jobs = apply_queue_take(q, 100, 1000);
        assert_non_null(jobs);
        assert_int_equal(jobs->kind, JOB_COMPACT);
        assert_null(jobs->next);
        free_jobs(jobs);
    }
    assert_int_equal(apply_queue_last(q), 0);
    apply_queue_free(q);
}

static void bytes_count_until_they_are_done(void **state)
{
    struct apply_queue *q = apply_queue_new();
    apply_queue_push(q, 1, span_of("12345678"));
    apply_queue_push(q, 2, span_of("1234"));
    struct apply_job *jobs = apply_queue_take(q, 100, 8);
    assert_null(jobs->next); /* the second would pass the bound */
    assert_int_equal(apply_queue_bytes(q), 12);
    apply_queue_done(q, 8);
    assert_int_equal(apply_queue_bytes(q), 4);
    free_jobs(jobs);
    jobs = apply_queue_take(q, 100, 1); /* at least one */
    assert_int_equal(jobs->index, 2);
    free_jobs(jobs);
    apply_queue_free(q);
}

#define MANY 20000

static void *produce(void *arg)
{
    struct apply_queue *q = arg;
    for (uint64_t i = 1; i <= MANY; i++) {
        apply_queue_push(q, i, span_make(&i, sizeof i));
    }
    apply_queue_close(q);
    return NULL;
}

static void a_consumer_on_another_thread_gets_all_in_order(void **state)
{
    struct apply_queue *q = apply_queue_new();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, produce, q), 0);
    uint64_t last = 0;
    while (apply_queue_wait(q)) {
        struct apply_job *jobs = apply_queue_take(q, 64, 1 << 20);
        for (struct apply_job *job = jobs; job != NULL; job = job->next) {
            assert_int_equal(job->previous, last);
            last = job->index;
        }
        free_jobs(jobs);
    }
    assert_int_equal(last, MANY);
    pthread_join(thread, NULL);
    apply_queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gap_in_the_indexes_becomes_an_advance),
        cmocka_unit_test(what_was_pushed_before_is_left_out),
        cmocka_unit_test(compaction_is_asked_for_once_until_it_is_taken),
        cmocka_unit_test(bytes_count_until_they_are_done),
        cmocka_unit_test(a_consumer_on_another_thread_gets_all_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
