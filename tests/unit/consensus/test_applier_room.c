/* What the applier does when the store has no room for what waits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/applier.h"
#include "tests/unit/storage/compact_fixture.h"

#define MAP_BYTES  ((uint64_t)1 << 20)
#define TEXT_BYTES 4000
#define TRIES_MAX  200

static void on_result(void *arg, const struct apply_result *result)
{
    unsigned *results = arg;
    assert_int_equal(result->code, 0);
    (*results)++;
}

static void on_batch(void *arg)
{
    (void)arg;
}

static void on_published(void *arg, const struct store_position *position)
{
    (void)arg;
    (void)position;
}

static struct applier *new_applier(struct fixture *f, unsigned *results)
{
    struct applier *a;
    struct applier_options options = {.store = f->store,
                                      .on_result = on_result,
                                      .on_answered = on_batch,
                                      .on_aborted = on_batch,
                                      .on_published = on_published,
                                      .arg = results};
    assert_int_equal(applier_new(&options, &a, &f->error), 0);
    return a;
}

/* One transaction that writes a long text, as the next entry in the queue. */
static void push(struct fixture *f, struct apply_queue *q, const char *op)
{
    char json[TEXT_BYTES + 200];
    char text[TEXT_BYTES + 1];
    struct buffer command;
    memset(text, 't', TEXT_BYTES);
    text[TEXT_BYTES] = '\0';
    snprintf(json, sizeof json, "{'v':1,'ops':[{%s,'description':'%s%lu'}]}", op, text, f->index);
    buffer_init(&command, 2 * sizeof json);
    json_put(&command, json);
    struct item item = {.kind = ITEM_TXN, .command = buffer_span(&command)};
    fixture_add(f, &item);
    f->header.stamp_us = f->stamp_us;
    f->stamp_us += 1000;
    entry_end(&f->entry, &f->header);
    f->index++;
    apply_queue_push(q, f->index, buffer_span(&f->entry));
    buffer_clear(&f->entry);
    buffer_release(&command);
}

#define CREATE "'op':'create','kind':'artifact'"
#define UPDATE "'op':'update','ref':'id/2'"

/* Until all is applied or `tries` were in vain; the number of those. Done jobs are freed. */
static unsigned run_all(struct applier *a, struct apply_job **jobs, unsigned tries)
{
    unsigned failed = 0;
    while (*jobs != NULL && failed < tries) {
        struct apply_job *next = NULL;
        struct error error = {0};
        int rc = applier_run(a, *jobs, &next, &error);
        if (rc != 0) {
            assert_int_equal(rc, CLADE_ERR_NO_SPACE);
            failed++;
            continue;
        }
        while (*jobs != next) {
            struct apply_job *done = *jobs;
            *jobs = done->next;
            free(done);
        }
    }
    return failed;
}

static void drop(struct apply_job *jobs)
{
    while (jobs != NULL) {
        struct apply_job *next = jobs->next;
        free(jobs);
        jobs = next;
    }
}

static void reopen(struct fixture *f, uint64_t map_bytes)
{
    fixture_close(f);
    fixture_open(f, map_bytes);
}

static void of_a_batch_that_does_not_fit_what_fits_is_applied(void **state)
{
    struct fixture *f = *state;
    unsigned results = 0;
    reopen(f, MAP_BYTES);
    struct apply_queue *q = apply_queue_new();
    for (unsigned i = 0; i < 400; i++) {
        push(f, q, CREATE);
    }
    struct apply_job *jobs = apply_queue_take(q, SIZE_MAX, SIZE_MAX);
    struct applier *a = new_applier(f, &results);
    run_all(a, &jobs, TRIES_MAX);
    uint64_t applied = store_position(f->store).applied;
    assert_non_null(jobs);
    assert_int_equal(jobs->index, applied + 1);
    assert_in_range(applied, 50, 399);
    applier_free(a);
    /* With more room it goes on there, and answers each once. */
    reopen(f, 16 * MAP_BYTES);
    a = new_applier(f, &results);
    assert_int_equal(run_all(a, &jobs, 1), 0);
    assert_int_equal(store_position(f->store).applied, 400);
    f->index = 400;
    verify(f);
    applier_free(a);
    apply_queue_free(q);
}

static void batches_grow_again_when_there_is_room(void **state)
{
    struct fixture *f = *state;
    unsigned results = 0;
    unsigned batches = 0;
    reopen(f, MAP_BYTES);
    struct apply_queue *q = apply_queue_new();
    for (unsigned i = 0; i < 400; i++) {
        push(f, q, CREATE);
    }
    struct apply_job *jobs = apply_queue_take(q, SIZE_MAX, SIZE_MAX);
    struct applier *a = new_applier(f, &results);
    struct apply_job *next = jobs;
    struct error error = {0};
    assert_int_equal(applier_run(a, jobs, &next, &error), CLADE_ERR_NO_SPACE);
    for (struct apply_job *j = jobs; batches < 6; j = next, batches++) {
        assert_int_equal(applier_run(a, j, &next, &error), 0);
    }
    assert_int_equal(store_position(f->store).applied, 1 + 2 + 4 + 8 + 16 + 32);
    applier_free(a);
    drop(jobs);
    apply_queue_free(q);
}

static void what_is_below_the_floors_makes_room_for_what_waits(void **state)
{
    struct fixture *f = *state;
    unsigned results = 0;
    reopen(f, MAP_BYTES);
    do_txn(f, "{'v':1,'ops':[{'op':'create','kind':'artifact'}]}");
    struct apply_queue *q = apply_queue_new();
    for (unsigned i = 0; i < 180; i++) {
        push(f, q, UPDATE);
    }
    struct apply_job *jobs = apply_queue_take(q, SIZE_MAX, SIZE_MAX);
    struct applier *a = new_applier(f, &results);
    assert_int_equal(run_all(a, &jobs, 1), 0);
    pass_minutes(f, 16);
    do_txn(f, "{'v':1,'ops':[{'op':'compact','ref':'namespace/default','before':181}]}");
    assert_true(store_has_past(f->store));
    for (unsigned i = 0; i < 120; i++) {
        push(f, q, CREATE);
    }
    jobs = apply_queue_take(q, SIZE_MAX, SIZE_MAX);
    unsigned failed = run_all(a, &jobs, TRIES_MAX);
    assert_null(jobs);
    assert_int_not_equal(failed, 0); /* else it shows nothing */
    verify(f);
    applier_free(a);
    apply_queue_free(q);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(of_a_batch_that_does_not_fit_what_fits_is_applied),
        TEST(batches_grow_again_when_there_is_room),
        TEST(what_is_below_the_floors_makes_room_for_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
