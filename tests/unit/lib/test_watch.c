/* Watches: events once and in order, over connections that are lost. */
#include <string.h>

#include "client_fixture.h"
#include "wire/frame.h"

#define EVENTS_MAX 16

struct seen {
    struct fixture *f;
    uint64_t revisions[EVENTS_MAX];
    size_t len;
    size_t stop_after; /* 0 = never */
    unsigned ends;
    int code;
};

/* Tells of one revision, resp. of progress alone. */
static void tell(struct fake_server *s, uint32_t msgid, uint64_t revision, uint64_t next)
{
    struct buffer b;
    buffer_init(&b, 4096);
    size_t at = notification_begin(&b, METHOD_EVENT, 3);
    value_put_str(&b, "msgid");
    value_put_uint(&b, msgid);
    value_put_str(&b, "next");
    value_put_uint(&b, next);
    value_put_str(&b, "events");
    value_put_array(&b, revision != 0);
    if (revision != 0) {
        value_put_map(&b, 1);
        value_put_str(&b, "revision");
        value_put_uint(&b, revision);
    }
    frame_end(&b, at);
    fake_send(s, b.data, b.len);
    buffer_release(&b);
}

static void on_event(struct clade_watch *watch, const struct clade_value *event, void *arg)
{
    struct seen *seen = arg;
    assert_true(seen->len < EVENTS_MAX);
    seen->revisions[seen->len++] = clade_value_uint(clade_value_get(event, "revision"));
    if (seen->len == seen->stop_after) {
        clade_watch_stop(watch);
    }
}

static void on_end(struct clade_watch *watch, struct clade_response *response, void *arg)
{
    struct seen *seen = arg;
    seen->ends++;
    seen->code = clade_response_code(response);
    clade_response_free(response);
}

static void wait_for_end(struct seen *seen)
{
    while (seen->ends == 0 && !seen->f->late) {
        uv_run(&seen->f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(seen->ends, 1);
}

/* The first watch is lost after two events, the second one refused for now, the third one goes on.
 */
static bool lose_and_refuse(struct fake_server *s, const struct fake_request *r)
{
    if (r->method != METHOD_WATCH) {
        return false;
    }
    switch (fake_server_count(s, METHOD_WATCH)) {
    case 1:
        tell(s, r->msgid, 5, 6);
        tell(s, r->msgid, 6, 9); /* 7 and 8 did not pass */
        break;
    case 2:
        tell(s, r->msgid, 9, 10);
        fake_refuse(s, r, CLADE_ERR_THROTTLED, NULL);
        break;
    default:
        tell(s, r->msgid, 0, 10);
        tell(s, r->msgid, 10, 11);
        tell(s, r->msgid, 11, 12);
        break;
    }
    return true;
}

static void it_goes_on_where_it_was_after_a_loss_and_a_refusal(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.f = f, .stop_after = 4};
    const struct clade_watch_options options = {.from = 5};
    f->servers[0].handler = lose_and_refuse;
    fixture_client(f, NULL, 0, 0);
    struct clade_watch *w = clade_watch_start(f->client, &options, on_event, on_end, &seen);
    assert_non_null(w);
    while (seen.len < 2 && !f->late) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(clade_watch_revision(w), 9);
    fake_drop(&f->servers[0]);
    wait_for_end(&seen);
    static const uint64_t want[] = {5, 6, 9, 10};
    assert_int_equal(seen.len, 4); /* nothing after it was stopped, though 11 was on its way */
    assert_memory_equal(seen.revisions, want, sizeof want);
    assert_int_equal(seen.code, CLADE_ERR_CANCELLED);
    assert_int_equal(fake_server_find(&f->servers[0], METHOD_WATCH, 0)->from, 5);
    assert_int_equal(fake_server_find(&f->servers[0], METHOD_WATCH, 1)->from, 9);
    assert_int_equal(fake_server_find(&f->servers[0], METHOD_WATCH, 2)->from, 10);
}

static bool refuse_as_compacted(struct fake_server *s, const struct fake_request *r)
{
    if (r->method == METHOD_WATCH) {
        fake_refuse(s, r, CLADE_ERR_COMPACTED, NULL);
        return true;
    }
    return false;
}

static void what_repeating_does_not_help_ends_it(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.f = f};
    f->servers[0].handler = refuse_as_compacted;
    fixture_client(f, NULL, 0, 0);
    assert_non_null(clade_watch_start(f->client, NULL, on_event, on_end, &seen));
    wait_for_end(&seen);
    assert_int_equal(seen.code, CLADE_ERR_COMPACTED);
    assert_int_equal(fake_server_count(&f->servers[0], METHOD_WATCH), 1);
}

static bool tell_five(struct fake_server *s, const struct fake_request *r)
{
    for (uint64_t i = 1; r->method == METHOD_WATCH && i <= 5; i++) {
        tell(s, r->msgid, i, i + 1);
    }
    return r->method == METHOD_WATCH;
}

static void credit_is_given_back_for_what_was_told(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.f = f};
    f->servers[0].handler = tell_five;
    fixture_client(f, NULL, 0, 0);
    struct clade_watch *w = clade_watch_start(f->client, NULL, on_event, on_end, &seen);
    fixture_wait_requests(f, 0, METHOD_CREDIT, 5);
    assert_int_equal(seen.len, 5);
    clade_watch_stop(w);
    clade_watch_stop(w); /* again is no harm */
    wait_for_end(&seen);
}

static void closing_the_client_ends_it(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.f = f};
    f->servers[0].handler = tell_five;
    fixture_client(f, NULL, 0, 0);
    (void)clade_watch_start(f->client, NULL, on_event, on_end, &seen);
    fixture_wait_requests(f, 0, METHOD_WATCH, 1);
    fixture_close_client(f);
    assert_int_equal(seen.ends, 1);
    assert_int_equal(seen.code, CLADE_ERR_CANCELLED);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_goes_on_where_it_was_after_a_loss_and_a_refusal),
        TEST(what_repeating_does_not_help_ends_it),
        TEST(credit_is_given_back_for_what_was_told),
        TEST(closing_the_client_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
