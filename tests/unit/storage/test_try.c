/* A transaction that is only tried: what it would answer, and that nothing of it stays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

struct tried {
    struct fixture *f;
    int code;
    uint64_t revision;
    unsigned results;
    struct proposal_id id;
};

static void on_tried(void *arg, const struct apply_result *result)
{
    struct tried *t = arg;
    t->code = result->code;
    t->revision = result->revision;
    t->id = result->id;
    t->results++;
    assert_false(result->changed);
    buffer_clear(&t->f->body);
    buffer_append_span(&t->f->body, result->body);
}

static struct tried try_txn(struct fixture *f, const char *json)
{
    struct tried t = {.f = f};
    struct buffer command;
    struct buffer item;
    buffer_init(&command, 1 << 20);
    buffer_init(&item, 2 << 20);
    json_put(&command, json);
    item_encode(&item, &(struct item){.kind = ITEM_TXN,
                                      .id = {.node = 1, .boot = 2, .counter = 3},
                                      .principal = span_of("ann"),
                                      .command = buffer_span(&command)});
    assert_int_equal(apply_try(f->apply, 5000000, buffer_span(&item), on_tried, &t, &f->error), 0);
    assert_int_equal(t.results, 1);
    assert_int_equal(t.id.counter, 3);
    buffer_release(&command);
    buffer_release(&item);
    return t;
}

static void it_answers_what_the_transaction_then_answers_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    static const char *const txns[] = {
        "{'v':1,'ops':[{'op':'create','kind':'model','name':'m'},"
        "{'op':'create','kind':'version','model':'$0'},"
        "{'op':'create','kind':'artifact','as':'a','digests':['x:1']},"
        "{'op':'link','from':'$1','label':'contains','to':'$a'}]}",
        "{'v':1,'ops':[{'op':'create','kind':'model','name':'m'}]}",
        "{'v':1,'ops':[{'op':'link','from':'artifact/_4','label':'contains','to':'version/m/1'}]}",
        "{'v':1,'guards':[{'guard':'absent','ref':'model/m'}],"
        "'ops':[{'op':'delete','ref':'model/m'}]}",
        "{'v':1,'ops':[{'op':'update','ref':'model/m','tags':{'k':'v'}},"
        "{'op':'unlink','from':'version/m/1','label':'contains','to':'artifact/_4'},"
        "{'op':'delete','ref':'artifact/_4'},{'op':'create','kind':'artifact','name':'_4'}]}",
        "{'v':1,'ops':[{'op':'nonsense'}]}",
    };
    for (size_t i = 0; i < sizeof txns / sizeof *txns; i++) {
        struct store_digest before = store_digest_current(f->store);
        uint64_t revision = store_position(f->store).revision;
        struct tried t = try_txn(f, txns[i]);
        char *body = json_of(buffer_span(&f->body));
        struct store_digest after = store_digest_current(f->store);
        assert_true(digests_equal(before, after));
        assert_int_equal(t.revision, revision);
        assert_int_equal(store_position(f->store).revision, revision);
        assert_int_equal(fixture_txn(f, txns[i]), t.code);
        char *then = json_of(buffer_span(&f->body));
        assert_string_equal(body, then);
        free(body);
        free(then);
    }
    struct error e = {0};
    assert_int_equal(store_verify(f->store, NULL, NULL, &e), 0);
}

static void what_is_no_transaction_is_not_tried(void **state)
{
    struct fixture *f = *state;
    struct tried t = {.f = f};
    struct buffer item;
    buffer_init(&item, 1 << 20);
    uint8_t lease[8] = {0};
    item_encode(&item, &(struct item){.kind = ITEM_SESSION_OPEN,
                                      .command = span_make(lease, sizeof lease)});
    assert_int_equal(apply_try(f->apply, 1, buffer_span(&item), on_tried, &t, &f->error),
                     CLADE_ERR_CORRUPT);
    assert_int_equal(apply_try(f->apply, 1, span_of("x"), on_tried, &t, &f->error),
                     CLADE_ERR_CORRUPT);
    assert_int_equal(t.results, 0);
    buffer_release(&item);
    assert_int_equal(fixture_txn(f, "{'v':1,'ops':[{'op':'create','kind':'run','name':'r'}]}"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_answers_what_the_transaction_then_answers_and_leaves_nothing),
        TEST(what_is_no_transaction_is_not_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
