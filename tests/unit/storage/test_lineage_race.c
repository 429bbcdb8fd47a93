/* The lineage index under readers: each sees its revision, while the writer changes the index, a
 * filler makes it, and it goes. */
#include <pthread.h>

#include "base/clock.h"
#include "lineage_fixture.h"

/* --- Readers and a filler beside the writer --------------------------------------------------- */

/* Each transaction links the hub to one thing more and lets go of the one that was linked WINDOW
 * transactions before: what a reader sees follows from its revision. */
#define READERS 3
#define WINDOW  7
#define LEAVES  40
#define WRITES  600

struct watch {
    pthread_t thread;
    struct store *store;
    uint64_t first; /* the revision of the first such transaction */
    bool stop;      /* set by the main thread */
    uint64_t seed;
    const char *failure; /* cmocka asserts belong to the main thread */
};

static uint64_t leaf(uint64_t step)
{
    return FIRST_ID + 1 + step * 7 % LEAVES;
}

static int compare_ids(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x;
    uint64_t b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

/* The ids that the hub is linked to at `revision`. */
static size_t expect(uint64_t first, uint64_t revision, uint64_t ids[WINDOW])
{
    size_t n = 0;
    for (uint64_t r = revision; r >= first && n < WINDOW; r--) {
        ids[n++] = leaf(r - first);
    }
    qsort(ids, n, sizeof *ids, compare_ids);
    return n;
}

static const char *check_ids(const struct watch *w, const struct value *v, uint64_t revision)
{
    uint64_t ids[WINDOW];
    size_t n = expect(w->first, revision, ids);
    if (value_len(v) != n) {
        return "another number of things than at that revision";
    }
    for (size_t i = 0; i < n; i++) {
        if (value_uint(value_at(v, i)) != ids[i]) {
            return "other things than at that revision";
        }
    }
    return NULL;
}

static const char *watch_once(struct watch *w, struct reader *reader, struct buffer *out)
{
    struct arena arena;
    struct error e;
    struct reader_answer answer;
    struct reader_budget budget = {0};
    uint64_t newest = store_position(w->store).revision;
    struct query q = {
        .kind = QUERY_LINEAGE,
        .limit = 1000,
        .view = CLADE_VIEW_IDS,
        .depth_max = 1,
        .state = CLADE_STATE_ANY,
        .start = {.form = REF_ID, .number = FIRST_ID},
    };
    if (next_random(&w->seed) % 2 == 0) {
        q.as_of.form = AS_OF_REVISION;
        q.as_of.revision = w->first + next_random(&w->seed) % (newest - w->first + 1);
    }
    buffer_clear(out);
    arena_init(&arena, 16 << 20);
    const char *failure = NULL;
    const struct value *v;
    if (reader_query(reader, &q, span_of(""), &budget, &arena, out, &answer, &e) != 0) {
        failure = "the query failed";
    } else if (q.as_of.form == AS_OF_NOW && answer.revision < newest) {
        failure = "a commit that was published is not seen";
    } else if (value_decode(buffer_span(out), &value_limits_answer, &arena, &v, &e) != 0) {
        failure = "the answer is not MessagePack";
    } else {
        failure = check_ids(w, v, answer.revision);
    }
    arena_release(&arena);
    return failure;
}

static void *watch_on(void *arg)
{
    struct watch *w = arg;
    struct reader *reader;
    struct error e;
    struct buffer out;
    buffer_init(&out, 16 << 20);
    if (reader_new(w->store, &reader, &e) != 0) {
        w->failure = "no reader";
        return NULL;
    }
    do {
        w->failure = watch_once(w, reader, &out);
    } while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE) && w->failure == NULL);
    reader_free(reader);
    buffer_release(&out);
    return NULL;
}

static void *fill_on(void *arg)
{
    struct watch *w = arg;
    struct error e;
    if (store_fill_lineage(w->store, &w->stop, &e) != 0) {
        w->failure = "it could not be filled";
    }
    return NULL;
}

/* `more` links of other things make their blocks come and go, so that memory is used again. */
static void write_step(struct fixture *f, uint64_t step, unsigned more)
{
    struct buffer json;
    buffer_init(&json, 1 << 20);
    buffer_append_fmt(&json, "{'v':1,'ops':[{'op':'link','from':'id/%d','label':'l','to':'id/%lu'}",
                      FIRST_ID, leaf(step));
    if (step >= WINDOW) {
        buffer_append_fmt(&json, ",{'op':'unlink','from':'id/%d','label':'l','to':'id/%lu'}",
                          FIRST_ID, leaf(step - WINDOW));
    }
    for (unsigned i = 0; i < more; i++) {
        buffer_append_fmt(&json, ",{'op':'link','from':'id/%lu','label':'x%lu','to':'id/%lu'}",
                          leaf(step * 3 + i), step % 90 + i, leaf(step * 5));
    }
    buffer_append(&json, "]}", 3);
    run(f, (const char *)json.data);
    buffer_release(&json);
}

/* One store from its first link to its last; the filler begins after `fill_after` of them. */
static void race(struct fixture *f, uint64_t fill_after, unsigned more, uint64_t seed)
{
    struct watch readers[READERS];
    struct watch filler;
    uint64_t first = store_position(f->store).revision + 1;
    write_step(f, 0, more);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct watch){.store = f->store, .first = first, .seed = seed + (uint64_t)i};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, watch_on, &readers[i]), 0);
    }
    filler = (struct watch){.store = f->store};
    for (uint64_t step = 1; step < WRITES; step++) {
        if (step == fill_after) {
            assert_int_equal(pthread_create(&filler.thread, NULL, fill_on, &filler), 0);
        }
        write_step(f, step, more);
    }
    pthread_join(filler.thread, NULL);
    assert_null(filler.failure);
    for (int i = 0; i < READERS; i++) {
        __atomic_store_n(&readers[i].stop, true, __ATOMIC_RELEASE);
        pthread_join(readers[i].thread, NULL);
    }
    for (int i = 0; i < READERS; i++) {
        if (readers[i].failure != NULL) {
            fail_msg("%s", readers[i].failure);
        }
    }
}

static void readers_see_each_revision_as_it_was(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    for (uint64_t i = 0; i < 4; i++) {
        struct fixture *f = indexed_fixture(BYTES);
        make_things(f, LEAVES + 1);
        for (int j = 0; j < 4; j++) {
            make_chain(f); /* so that a fill is not done between two commits */
        }
        race(f, 1 + next_random(&seed) % 300, 1, seed + i);
        assert_int_equal(state_of(f), LINEAGE_READY);
        indexed_fixture_free(f);
    }
}

static void readers_do_not_notice_that_it_goes(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct fixture *f = indexed_fixture((uint64_t)1400 << 10);
    make_things(f, LEAVES + 1);
    race(f, 2, 60, seed);
    assert_int_equal(state_of(f), LINEAGE_FULL);
    indexed_fixture_free(f);
}

/* --- A query under way ------------------------------------------------------------------------ */

/* A clock that writes when a query looks at it. */
struct writing_clock {
    struct clock clock;
    struct fixture *f;
    unsigned looks;
};

/* Cuts the chain, makes its blocks others, and a shortcut to its end. */
static void change_chain(struct fixture *f, unsigned look)
{
    struct buffer json;
    buffer_init(&json, 1 << 20);
    buffer_append_fmt(&json, "{'v':1,'ops':[{'op':'link','from':'id/%d','label':'l','to':'id/%u'}",
                      FIRST_ID, FIRST_ID + CHAIN - 1 - look);
    for (unsigned i = look; i < CHAIN; i += 20) {
        buffer_append_fmt(&json, ",{'op':'unlink','from':'id/%u','label':'l','to':'id/%u'}",
                          FIRST_ID + i, FIRST_ID + i + 1);
    }
    for (unsigned i = 1; i + look < CHAIN; i += 3) {
        buffer_append_fmt(&json, ",{'op':'link','from':'id/%u','label':'x%u','to':'id/%u'}",
                          FIRST_ID + i, look, FIRST_ID + i + look);
    }
    buffer_append(&json, "]}", 3);
    run(f, (const char *)json.data);
    buffer_release(&json);
}

static uint64_t write_meanwhile(const struct clock *clock)
{
    struct writing_clock *c = (struct writing_clock *)clock;
    if (c->looks < 10) {
        change_chain(c->f, c->looks++);
    }
    return 1;
}

static uint64_t wall(const struct clock *clock)
{
    (void)clock;
    return 1000000;
}

/* Counts the chain while it is changed: it is as it was when the query began. */
static void count_chain(struct fixture *f)
{
    struct writing_clock clock = {
        .clock = {.monotonic_us = write_meanwhile, .wall_us = wall},
        .f = f,
    };
    struct query q = {
        .kind = QUERY_LINEAGE,
        .limit = 1,
        .state = CLADE_STATE_ANY,
        .start = {.form = REF_ID, .number = FIRST_ID},
        .count_only = true,
    };
    struct reader_budget budget = {.clock = &clock.clock, .deadline_us = UINT64_MAX};
    struct reader *reader;
    struct arena arena;
    struct buffer out;
    buffer_init(&out, 1 << 20);
    arena_init(&arena, 1 << 20);
    assert_int_equal(reader_new(f->store, &reader, &f->error), 0);
    uint64_t revision = store_position(f->store).revision;
    assert_int_equal(
        reader_query(reader, &q, span_of(""), &budget, &arena, &out, &f->answer, &f->error), 0);
    assert_int_equal(clock.looks, 10);
    assert_int_equal(f->answer.revision, revision);
    assert_json(buffer_span(&out), "{'count':2999}", __FILE__, __LINE__);
    reader_free(reader);
    arena_release(&arena);
    buffer_release(&out);
}

static void a_query_under_way_is_not_disturbed(void **state)
{
    (void)state;
    struct fixture *f = indexed_fixture(BYTES);
    make_chain(f);
    fill(f);
    count_chain(f);
    assert_int_equal(state_of(f), LINEAGE_READY);
    indexed_fixture_free(f);
}

static void a_query_under_way_keeps_an_index_that_goes(void **state)
{
    (void)state;
    struct fixture *f = indexed_fixture((uint64_t)1500 << 10);
    make_chain(f);
    fill(f);
    assert_int_equal(state_of(f), LINEAGE_READY);
    count_chain(f);
    assert_int_equal(state_of(f), LINEAGE_FULL);
    indexed_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_under_way_is_not_disturbed),
        cmocka_unit_test(a_query_under_way_keeps_an_index_that_goes),
        cmocka_unit_test(readers_see_each_revision_as_it_was),
        cmocka_unit_test(readers_do_not_notice_that_it_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
