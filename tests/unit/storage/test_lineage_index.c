/* The lineage index: with it and without it lineage is the same, whatever happens meanwhile. */
#include "base/bytes.h"
#include "lineage_fixture.h"

#define THINGS 60

/* --- The same as without ---------------------------------------------------------------------- */

/* One transaction of links and unlinks; some are refused as a whole. */
static void random_command(uint64_t *seed, char *json, size_t bytes)
{
    int n = (int)(next_random(seed) % 6) + 1;
    bool refused = next_random(seed) % 6 == 0;
    size_t used = (size_t)snprintf(json, bytes, "{'v':1,'ops':[");
    for (int i = 0; i < n; i++) {
        /* A few hubs; the same pair more than once in a transaction. */
        unsigned hub = next_random(seed) % 3 == 0 ? 4 : THINGS;
        int from = (int)(next_random(seed) % THINGS);
        int to = (int)(next_random(seed) % hub);
        used += (size_t)snprintf(json + used, bytes - used,
                                 "{'op':'%s','from':'id/%d','label':'l%d','to':'id/%d'},",
                                 next_random(seed) % 3 == 0 ? "unlink" : "link", from + FIRST_ID,
                                 (int)(next_random(seed) % 3), to + FIRST_ID);
    }
    snprintf(json + used, bytes - used, "%s]}",
             refused ? "{'op':'delete','ref':'artifact/never'}"
                     : "{'op':'update','ref':'id/2','description':'x'}");
}

static void random_read(uint64_t *seed, uint64_t revision, char *json, size_t bytes)
{
    static const char *const shown[] = {"'view':'ids'", "'view':'ids','kinds':['run','model']",
                                        "'count':true", "'count':true,'kinds':['artifact']",
                                        "'view':'heads','state':'live'"};
    static const char *const labels[] = {"", ",'labels':['l0']", ",'labels':['l2','never','l1']"};
    unsigned back = next_random(seed) % 2 == 0 ? 1 : (unsigned)revision + 1;
    snprintf(json, bytes, "{'ref':'id/%lu','direction':'%s','depth':%lu,'as_of':%lu,%s%s}",
             next_random(seed) % THINGS + FIRST_ID, next_random(seed) % 2 == 0 ? "up" : "down",
             next_random(seed) % 5, revision - next_random(seed) % back,
             shown[next_random(seed) % 5], labels[next_random(seed) % 3]);
}

static void compare_one(struct fixture *with, struct fixture *without, uint64_t *seed)
{
    char json[512];
    random_read(seed, store_position(with->store).revision, json, sizeof json);
    int code = fixture_read(with, QUERY_LINEAGE, json);
    assert_int_equal(code, fixture_read(without, QUERY_LINEAGE, json));
    if (code != 0) {
        return; /* it was not there yet */
    }
    assert_int_equal(with->answer.revision, without->answer.revision);
    assert_true(with->answer.complete);
    if (with->out.len != without->out.len ||
        memcmp(with->out.data, without->out.data, with->out.len) != 0) {
        fail_msg("%s: %s, and %s without the index", json, json_of(buffer_span(&with->out)),
                 json_of(buffer_span(&without->out)));
    }
}

static void write_both(struct fixture *with, struct fixture *without, uint64_t *seed)
{
    char json[2048];
    random_command(seed, json, sizeof json);
    assert_int_equal(fixture_txn(with, json), fixture_txn(without, json));
}

static void answers_are_those_of_the_edge_tables(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct fixture *with = indexed_fixture(BYTES);
    struct fixture *without = indexed_fixture(0);
    make_things(with, THINGS);
    make_things(without, THINGS);
    for (int i = 0; i < 900; i++) {
        if (i == 100 || i == 500 || i == 700) {
            fill(with); /* of nothing yet; after a restart; again, which changes nothing */
            assert_int_equal(state_of(with), LINEAGE_READY);
        }
        if (i == 400) {
            reopen(with, BYTES);
            assert_int_equal(state_of(with), LINEAGE_ABSENT);
        }
        write_both(with, without, &seed);
        for (int j = 0; j < 4; j++) {
            compare_one(with, without, &seed);
        }
    }
    assert_int_equal(state_of(with), LINEAGE_READY);
    struct store_lineage look;
    store_lineage_look(with->store, &look);
    assert_true(look.edges > 100 && look.bytes > 0 && look.bytes <= BYTES);
    /* Since it was filled after the restart, every query has used it. */
    assert_int_equal(look.by_tables, 100 * 4);
    assert_int_equal(look.by_index, 400 * 4);
    store_lineage_look(without->store, &look);
    assert_int_equal(look.state, LINEAGE_OFF);
    indexed_fixture_free(with);
    indexed_fixture_free(without);
}

static void on_ignored(void *arg, const struct apply_result *result)
{
    (void)arg;
    (void)result;
}

/* A batch that is taken back. */
static void write_and_abort(struct fixture *f, const char *json)
{
    struct buffer command;
    buffer_init(&command, 1 << 20);
    json_put(&command, json);
    struct item item = {.kind = ITEM_TXN, .id = {1, 1, 1}, .command = buffer_span(&command)};
    fixture_add(f, &item);
    f->header.stamp_us = f->stamp_us;
    entry_end(&f->entry, &f->header);
    uint64_t index = f->index;
    assert_int_equal(apply_begin(f->apply, &f->error), 0);
    assert_int_equal(apply_entry(f->apply, index, index + 1, buffer_span(&f->entry), on_ignored,
                                 NULL, &f->error),
                     0);
    apply_abort(f->apply);
    buffer_clear(&f->entry);
    buffer_release(&command);
}

static void on_tried(void *arg, const struct apply_result *result)
{
    *(int *)arg = result->code;
}

static void try_it(struct fixture *f, const char *json)
{
    struct buffer command;
    struct buffer bytes;
    buffer_init(&command, 1 << 20);
    buffer_init(&bytes, 1 << 20);
    json_put(&command, json);
    struct item item = {.kind = ITEM_TXN, .id = {1, 1, 1}, .command = buffer_span(&command)};
    item_encode(&bytes, &item);
    int code = 1;
    assert_int_equal(
        apply_try(f->apply, f->stamp_us, buffer_span(&bytes), on_tried, &code, &f->error), 0);
    assert_int_equal(code, 0);
    buffer_release(&command);
    buffer_release(&bytes);
}

static void what_is_taken_back_leaves_no_edge(void **state)
{
    (void)state;
    static const char link[] =
        "{'v':1,'ops':[{'op':'link','from':'id/2','label':'l','to':'id/3'}]}";
    static const char up[] = "{'ref':'id/2','direction':'up','view':'ids'}";
    struct fixture *f = indexed_fixture(BYTES);
    make_things(f, 4);
    run(f, "{'v':1,'ops':[{'op':'link','from':'id/2','label':'l','to':'id/4'}]}");
    fill(f);
    write_and_abort(f, link);
    try_it(f, link);
    try_it(f, "{'v':1,'ops':[{'op':'unlink','from':'id/2','label':'l','to':'id/4'}]}");
    assert_int_not_equal(fixture_txn(f, "{'v':1,'ops':[{'op':'link','from':'id/2','label':'l',"
                                        "'to':'id/3'},{'op':'delete','ref':'run/never'}]}"),
                         0);
    /* The batch that commits next gives an id that a refused command had given to another kind. */
    run(f, "{'v':1,'ops':[{'op':'create','kind':'model','name':'m'}]}");
    assert_int_equal(state_of(f), LINEAGE_READY);
    assert_int_equal(fixture_read(f, QUERY_LINEAGE, up), 0);
    assert_answer(f, "[4]");
    run(f, "{'v':1,'ops':[{'op':'link','from':'id/2','label':'l','to':'id/6'}]}");
    assert_int_equal(fixture_read(f, QUERY_LINEAGE,
                                  "{'ref':'id/2','direction':'up','view':'ids','kinds':['model']}"),
                     0);
    assert_answer(f, "[4,6]");
    indexed_fixture_free(f);
}

/* --- Memory ----------------------------------------------------------------------------------- */

static void link_many(struct fixture *f, int from, int n, int label)
{
    struct buffer json;
    buffer_init(&json, 1 << 20);
    buffer_append_str(&json, "{'v':1,'ops':[");
    for (int i = 0; i < n; i++) {
        buffer_append_fmt(&json, "%s{'op':'link','from':'id/%d','label':'l%d','to':'id/%d'}",
                          i > 0 ? "," : "", from, label, i % THINGS + FIRST_ID);
    }
    buffer_append(&json, "]}", 3);
    run(f, (const char *)json.data);
    buffer_release(&json);
}

static void over_its_budget_it_goes_and_answers_stay(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct fixture *with = indexed_fixture(BYTES);
    struct fixture *without = indexed_fixture(0);
    struct fixture *both[] = {with, without};
    for (int i = 0; i < 2; i++) {
        make_things(both[i], THINGS);
        for (int label = 0; label < 200; label++) {
            link_many(both[i], FIRST_ID + label % THINGS, THINGS, label);
        }
    }
    /* Too little from the start. */
    reopen(with, 1 << 20);
    fill(with);
    assert_int_equal(state_of(with), LINEAGE_FULL);
    compare_one(with, without, &seed);
    /* Enough, until it grows. */
    reopen(with, 3 << 20);
    fill(with);
    assert_int_equal(state_of(with), LINEAGE_READY);
    for (int label = 200; state_of(with) == LINEAGE_READY; label++) {
        assert_true(label < 2000);
        for (int i = 0; i < 2; i++) {
            link_many(both[i], FIRST_ID + label % THINGS, THINGS, label);
        }
        compare_one(with, without, &seed);
    }
    assert_int_equal(state_of(with), LINEAGE_FULL);
    struct store_lineage look;
    store_lineage_look(with->store, &look);
    assert_int_equal(look.bytes, 0);
    for (int i = 0; i < 50; i++) {
        write_both(with, without, &seed);
        compare_one(with, without, &seed);
    }
    /* With more of it the index comes back. */
    reopen(with, BYTES);
    fill(with);
    assert_int_equal(state_of(with), LINEAGE_READY);
    compare_one(with, without, &seed);
    indexed_fixture_free(with);
    indexed_fixture_free(without);
}

/* --- Swaps and damage ------------------------------------------------------------------------- */

static void after_a_swap_it_is_of_the_new_store(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct fixture *with = indexed_fixture(BYTES);
    struct fixture *without = indexed_fixture(0);
    make_things(with, THINGS);
    for (int i = 0; i < 20; i++) {
        char json[2048];
        uint64_t other = seed + 99; /* another store than that of the donor */
        random_command(&other, json, sizeof json);
        fixture_txn(with, json);
    }
    fill(with);
    make_things(without, THINGS);
    struct fixture *donor = indexed_fixture(0);
    make_things(donor, THINGS);
    for (int i = 0; i < 100; i++) {
        write_both(donor, without, &seed);
    }
    fixture_close(donor);
    assert_int_equal(store_swap(with->store, donor->dir, NULL, NULL, &with->error), 0);
    with->index = store_position(with->store).applied;
    assert_int_equal(state_of(with), LINEAGE_ABSENT);
    for (int i = 0; i < 100; i++) {
        if (i == 30) {
            fill(with);
            assert_int_equal(state_of(with), LINEAGE_READY);
        }
        write_both(with, without, &seed);
        compare_one(with, without, &seed);
    }
    assert_int_equal(store_close_old(with->store), 0);
    fixture_close(with);
    indexed_fixture_free(without);
    fixture_open(with, FIXTURE_MAP_BYTES);
    indexed_fixture_free(with);
    fixture_open(donor, FIXTURE_MAP_BYTES);
    indexed_fixture_free(donor);
}

static void a_fill_that_is_stopped_leaves_none(void **state)
{
    (void)state;
    struct fixture *f = indexed_fixture(BYTES);
    struct error e = {0};
    for (int i = 0; i < 5; i++) {
        char json[128];
        snprintf(json, sizeof json, "{'v':1,'ops':[{'op':'create','kind':'run','name':'n%d'}]}", i);
        run(f, json);
    }
    struct buffer ops;
    buffer_init(&ops, 1 << 20);
    buffer_append_str(&ops, "{'v':1,'ops':[{'op':'create','kind':'run'}");
    for (int i = 0; i < 4999; i++) {
        buffer_append_str(&ops, ",{'op':'create','kind':'run'}");
    }
    buffer_append(&ops, "]}", 3);
    run(f, (const char *)ops.data);
    buffer_release(&ops);
    bool stop = true;
    assert_int_equal(store_fill_lineage(f->store, &stop, &e), 0);
    assert_int_equal(state_of(f), LINEAGE_ABSENT);
    stop = false;
    assert_int_equal(store_fill_lineage(f->store, &stop, &e), 0);
    assert_int_equal(state_of(f), LINEAGE_READY);
    indexed_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_the_edge_tables),
        cmocka_unit_test(what_is_taken_back_leaves_no_edge),
        cmocka_unit_test(over_its_budget_it_goes_and_answers_stay),
        cmocka_unit_test(after_a_swap_it_is_of_the_new_store),
        cmocka_unit_test(a_fill_that_is_stopped_leaves_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
