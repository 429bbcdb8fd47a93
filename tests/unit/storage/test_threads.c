/* One writer and readers beside it, for the thread sanitizer and for snapshots that are whole. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define READERS 2
#define WRITES  400

struct reading_thread {
    pthread_t thread;
    struct fixture *f;
    bool stop;      /* set by the writer */
    bool cancelled; /* never */
    unsigned reads;
    const char *failure; /* cmocka asserts belong to the main thread */
};

static const char *read_once(struct reading_thread *t, struct reader *reader, struct buffer *out)
{
    struct arena arena;
    struct error e;
    struct reader_answer answer;
    struct reader_budget budget = {.cancelled = &t->cancelled};
    struct query q = {.kind = QUERY_LIST, .limit = 10000, .list_kind = KIND_ARTIFACT};
    uint64_t before = store_position(t->f->store).revision;
    buffer_clear(out);
    arena_init(&arena, 16 << 20);
    const char *failure = NULL;
    if (reader_query(reader, &q, span_of(""), &budget, &arena, out, &answer, &e) != 0) {
        failure = "the query failed";
    } else if (answer.revision < before) {
        failure = "a commit that was published is not seen";
    } else {
        const struct value *v;
        if (value_decode(buffer_span(out), &value_limits_answer, &arena, &v, &e) != 0) {
            failure = "the answer is not MessagePack";
        } else if (value_len(v) != 2 * answer.revision) {
            failure = "half of a transaction is seen";
        }
    }
    arena_release(&arena);
    return failure;
}

static void *read_on(void *arg)
{
    struct reading_thread *t = arg;
    struct reader *reader;
    struct error e;
    struct buffer out;
    buffer_init(&out, 16 << 20);
    if (reader_new(t->f->store, &reader, &e) != 0) {
        t->failure = "no reader";
        return NULL;
    }
    while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE) && t->failure == NULL) {
        t->failure = read_once(t, reader, &out);
        store_digest_current(t->f->store);
        store_digest_sample(t->f->store);
        t->reads++;
    }
    reader_free(reader);
    buffer_release(&out);
    return NULL;
}

static void readers_see_whole_transactions(void **state)
{
    struct fixture *f = *state;
    struct reading_thread threads[READERS] = {0};
    for (int i = 0; i < READERS; i++) {
        threads[i].f = f;
        assert_int_equal(pthread_create(&threads[i].thread, NULL, read_on, &threads[i]), 0);
    }
    for (int i = 0; i < WRITES; i++) {
        assert_int_equal(fixture_txn(f, "{'v':1,'ops':[{'op':'create','kind':'artifact'},"
                                        "{'op':'create','kind':'artifact'}]}"),
                         0);
    }
    for (int i = 0; i < READERS; i++) {
        __atomic_store_n(&threads[i].stop, true, __ATOMIC_RELEASE);
        pthread_join(threads[i].thread, NULL);
        if (threads[i].failure != NULL) {
            fail_msg("%s", threads[i].failure);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readers_see_whole_transactions, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
