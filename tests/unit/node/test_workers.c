/* Who runs which query: the quick thread, or the slow ones. The queries are of the test, which
 * holds them as long as it likes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/serve_internal.h"
#include "node/thread.h"
#include "node/workers.h"
#include "tests/unit/storage/fixture.h"

#define SLOW 2 /* threads */
#define SORT QUERY_LINEAGE

struct test {
    void *fixture;
    struct node node;
    struct workers *workers;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;    /* jobs that are held may end */
    int held_len; /* that run */
};

struct probe {
    struct job job;
    struct test *test;
    bool held;      /* runs until the test opens */
    bool is_long;   /* does not end within a slice */
    bool has_slice; /* of its last run */
    bool running;
    bool done;
    int runs;
};

static void wait_for(struct test *t, const bool *what)
{
    while (!*what) {
        pthread_cond_wait(&t->changed, &t->mutex);
    }
}

static bool run(struct job *job, struct reader *reader, const struct reader_slice *slice)
{
    struct probe *p = LIST_ENTRY(job, struct probe, job);
    struct test *t = p->test;
    assert_non_null(reader);
    bool ended = true;
    if (p->is_long && slice != NULL) {
        while (!slice->is_over(slice->arg)) {
        }
        ended = false;
    }
    pthread_mutex_lock(&t->mutex);
    p->runs++;
    p->has_slice = slice != NULL;
    p->running = ended;
    t->held_len += ended && p->held;
    pthread_cond_broadcast(&t->changed);
    while (ended && p->held && !t->open) {
        pthread_cond_wait(&t->changed, &t->mutex);
    }
    pthread_mutex_unlock(&t->mutex);
    return ended;
}

static void done(struct job *job)
{
    struct probe *p = LIST_ENTRY(job, struct probe, job);
    pthread_mutex_lock(&p->test->mutex);
    p->done = true;
    pthread_cond_broadcast(&p->test->changed);
    pthread_mutex_unlock(&p->test->mutex);
}

static void submit(struct test *t, struct lane *lane, struct probe *p)
{
    p->test = t;
    p->job.lane = lane;
    p->job.run = run;
    p->job.done = done;
    assert_true(workers_submit(t->workers, &p->job));
}

static void await(struct test *t, const bool *what)
{
    pthread_mutex_lock(&t->mutex);
    wait_for(t, what);
    pthread_mutex_unlock(&t->mutex);
}

static void let_go(struct test *t)
{
    pthread_mutex_lock(&t->mutex);
    t->open = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mutex);
}

static int setup(void **state)
{
    static struct test t;
    t = (struct test){.node = {.clock = clock_system()}};
    assert_int_equal(fixture_setup(&t.fixture), 0);
    t.node.store = ((struct fixture *)t.fixture)->store;
    *state = &t;
    pthread_mutex_init(&t.mutex, NULL);
    pthread_cond_init(&t.changed, NULL);
    assert_int_equal(workers_new(&t.node, SLOW, &t.workers, NULL), 0);
    assert_int_equal(workers_start(t.workers, NULL), 0);
    return 0;
}

static int teardown(void **state)
{
    struct test *t = *state;
    let_go(t); /* where a test failed */
    workers_stop(t->workers);
    workers_free(t->workers);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->mutex);
    return fixture_teardown(&t->fixture);
}

static void what_is_quick_ends_while_all_slow_threads_are_held(void **state)
{
    struct test *t = *state;
    struct lane lanes[SLOW + 1];
    struct probe held[SLOW + 1] = {{.held = true, .is_long = true, .job.sort = SORT},
                                   {.held = true, .is_long = true, .job.sort = SORT},
                                   {.held = true, .is_long = true, .job.sort = SORT}};
    struct probe quick[3] = {{.job.sort = SORT}, {.job.sort = SORT}, {.job.sort = JOB_BOUNDED}};
    struct lane other;
    lane_init(&other);
    for (int i = 0; i <= SLOW; i++) {
        lane_init(&lanes[i]);
        submit(t, &lanes[i], &held[i]);
    }
    pthread_mutex_lock(&t->mutex);
    while (t->held_len < SLOW) {
        pthread_cond_wait(&t->changed, &t->mutex);
    }
    pthread_mutex_unlock(&t->mutex);
    for (int i = 0; i < 3; i++) {
        submit(t, &other, &quick[i]);
        await(t, &quick[i].done);
        assert_true(quick[i].has_slice);
    }
    assert_int_equal(t->held_len, SLOW);
    assert_false(held[0].done || held[1].done || held[2].done);
    let_go(t);
    for (int i = 0; i <= SLOW; i++) {
        await(t, &held[i].done);
        assert_false(held[i].has_slice);
    }
}

static void a_sort_that_was_slow_begins_with_the_slow_threads_until_it_is_quick(void **state)
{
    struct test *t = *state;
    struct lane lane;
    struct probe slow = {.is_long = true, .job.sort = SORT};
    struct probe probes[4] = {
        {.job.sort = SORT + 1}, {.job.sort = SORT}, {.job.sort = SORT}, {.is_long = true}};
    const bool has_slice[4] = {true, false, true, false};
    lane_init(&lane);
    submit(t, &lane, &slow);
    await(t, &slow.done);
    assert_int_equal(slow.runs, 2);
    /* What ran without a slice took nothing, so the sort is quick again: it is told that it was
     * not. */
    lane.slow_sorts |= (uint32_t)1 << SORT;
    for (int i = 0; i < 4; i++) {
        submit(t, &lane, &probes[i]);
        await(t, &probes[i].done);
        assert_int_equal(probes[i].has_slice, has_slice[i]);
    }
    assert_int_equal(probes[3].runs, 2);
}

static void one_lane_does_not_have_all_slow_threads(void **state)
{
    struct test *t = *state;
    struct lane greedy;
    struct lane other;
    struct probe many[8] = {{.held = true}};
    struct probe one = {.is_long = true, .job.sort = SORT};
    lane_init(&greedy);
    lane_init(&other);
    greedy.slow_sorts = UINT32_MAX;
    for (int i = 0; i < 8; i++) {
        many[i].held = true;
        many[i].job.sort = SORT;
        submit(t, &greedy, &many[i]);
    }
    await(t, &many[0].running);
    submit(t, &other, &one);
    await(t, &one.done);
    assert_false(many[1].running);
    let_go(t);
    for (int i = 0; i < 8; i++) {
        await(t, &many[i].done);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_quick_ends_while_all_slow_threads_are_held),
        TEST(a_sort_that_was_slow_begins_with_the_slow_threads_until_it_is_quick),
        TEST(one_lane_does_not_have_all_slow_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
