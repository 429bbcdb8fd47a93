/* How far a batch goes. */
#include <stdlib.h>

#include "catch_up_fixture.h"

static struct apply_job *queued(struct node *n, uint64_t last)
{
    struct buffer entry;
    buffer_init(&entry, 1 << 20);
    for (uint64_t i = 1; i <= last; i++) {
        buffer_clear(&entry);
        if (i % 7 == 0) {
            apply_queue_advance(n->queue, i);
        } else {
            make_entry(&entry, i);
            apply_queue_push(n->queue, i, buffer_span(&entry));
        }
    }
    buffer_release(&entry);
    return apply_queue_take(n->queue, last, SIZE_MAX);
}

/* One batch; what it took is freed. */
static struct apply_job *run_one(struct node *n, struct apply_job *jobs)
{
    struct apply_job *next;
    assert_int_equal(applier_run(n->applier, jobs, &next, NULL), 0);
    while (jobs != next) {
        struct apply_job *after = jobs->next;
        free(jobs);
        jobs = after;
    }
    return next;
}

static void a_batch_ends_at_the_index_that_it_is_to_stop_at(void **state)
{
    struct node *n = node_of(*state, 3);
    struct apply_job *jobs = queued(n, 30);
    applier_stop_at(n->applier, 17);
    jobs = run_one(n, jobs);
    assert_int_equal(store_position(n->store).applied, 17);
    assert_int_equal(jobs->index, 18);
    /* It stands behind that index now: no later batch is to end there. */
    jobs = run_one(n, jobs);
    assert_null(jobs);
    assert_int_equal(store_position(n->store).applied, 30);
}

static void a_batch_ends_at_an_index_without_a_command_as_well(void **state)
{
    struct node *n = node_of(*state, 3);
    struct apply_job *jobs = queued(n, 30);
    applier_stop_at(n->applier, 21);
    jobs = run_one(n, jobs);
    assert_int_equal(store_position(n->store).applied, 21);
    applier_stop_at(n->applier, 0);
    assert_null(run_one(n, jobs));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_batch_ends_at_the_index_that_it_is_to_stop_at,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_batch_ends_at_an_index_without_a_command_as_well,
                                        world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
