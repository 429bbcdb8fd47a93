/* Two servers of one cluster that lose, refuse, repeat, forget and lie dead at random: what the
 * client says of a write must be what happened to it. Seed: CLADE_SEED, or the clock. */
#include <stdlib.h>
#include <string.h>

#include "client_fixture.h"

#define WRITES       600
#define OUTSTANDING  48
#define TIMEOUT_MS   400
#define SESSIONS_MAX 4096

struct write {
    struct cluster *cluster;
    struct clade_request *request;
    unsigned happened; /* times that it was run */
    unsigned calls;
    int code;
};

struct run {
    uint64_t session;
    uint64_t seq;
    uint64_t write;
};

/* What the two servers share: their replicated store. */
struct cluster {
    struct fixture *f;
    uint64_t seed;
    uint64_t sessions; /* ids from 1 to this one were given */
    bool expired[SESSIONS_MAX];
    uint64_t answered[SESSIONS_MAX];
    struct run runs[WRITES * 2];
    size_t runs_len;
    struct write writes[WRITES + 1]; /* from 1 */
    size_t started;
    size_t done;
};

static struct cluster cluster; /* of the test that runs; large for a stack */

static uint64_t roll(struct cluster *c, uint64_t n)
{
    c->seed ^= c->seed << 13;
    c->seed ^= c->seed >> 7;
    c->seed ^= c->seed << 17;
    return c->seed % n;
}

static bool was_run(const struct cluster *c, uint64_t session, uint64_t seq)
{
    for (size_t i = 0; i < c->runs_len; i++) {
        if (c->runs[i].session == session && c->runs[i].seq == seq) {
            return true;
        }
    }
    return false;
}

/* Runs it, unless it ran before under the same number. */
static void run(struct cluster *c, const struct fake_request *r)
{
    if (was_run(c, r->session, r->seq)) {
        return;
    }
    assert_true(r->happened >= 1 && r->happened <= WRITES);
    assert_true(c->runs_len < WRITES * 2);
    c->runs[c->runs_len++] =
        (struct run){.session = r->session, .seq = r->seq, .write = r->happened};
    c->writes[r->happened].happened++;
}

static void check_numbers(struct cluster *c, const struct fake_request *r)
{
    assert_true(r->session >= 1 && r->session <= c->sessions);
    assert_true(r->answered >= 1 && r->answered <= r->seq);
    assert_true(r->seq >= c->answered[r->session]); /* below it the server has forgotten */
    if (r->answered > c->answered[r->session]) {
        c->answered[r->session] = r->answered;
    }
}

static void handle_txn(struct cluster *c, struct fake_server *s, const struct fake_request *r)
{
    check_numbers(c, r);
    if (roll(c, 100) == 0) {
        c->expired[r->session] = true;
    }
    if (c->expired[r->session]) {
        fake_refuse(s, r, CLADE_ERR_SESSION_EXPIRED, NULL);
        return;
    }
    bool runs = roll(c, 2) == 0;
    switch (roll(c, 24)) {
    case 0:
        fake_refuse(s, r, CLADE_ERR_RETRY, NULL);
        return;
    case 1:
        fake_refuse(s, r, CLADE_ERR_THROTTLED, NULL);
        return;
    case 2:
        fake_refuse(s, r, CLADE_ERR_UNAVAILABLE, NULL);
        return;
    case 3:
        if (runs) {
            run(c, r);
        }
        fake_refuse(s, r, CLADE_ERR_UNKNOWN, NULL);
        return;
    case 4:
        if (runs) {
            run(c, r);
        }
        fake_drop(s);
        return;
    case 5:
        if (runs) {
            run(c, r);
        }
        return; /* never answered */
    case 6:
        fake_send(s, "\0\0\0\1\xc1", 5);
        return;
    default:
        run(c, r);
        fake_answer(s, r, r->happened);
        return;
    }
}

static bool handle(struct fake_server *s, const struct fake_request *copied)
{
    struct cluster *c = s->arg;
    struct fake_request r = *copied;
    s->requests_len = 0;
    if (r.method == METHOD_HELLO && roll(c, 8) == 0) {
        fake_refuse(s, &r, CLADE_ERR_RETRY, NULL);
        return true;
    }
    if (r.method == METHOD_SESSION_OPEN) {
        struct buffer b;
        struct answer_head head = {0};
        assert_true(c->sessions + 1 < SESSIONS_MAX);
        buffer_init(&b, 1000);
        answer_write_session(&b, r.msgid, &head, ++c->sessions, 1000);
        fake_send(s, b.data, b.len);
        buffer_release(&b);
        return true;
    }
    if (r.method == METHOD_TXN) {
        handle_txn(c, s, &r);
        return true;
    }
    return false;
}

static void start_write(struct cluster *c);

static void on_write(struct clade_request *request, struct clade_response *response, void *arg)
{
    struct write *w = arg;
    w->request = NULL;
    w->calls++;
    w->code = clade_response_code(response);
    clade_response_free(response);
    w->cluster->done++;
    start_write(w->cluster);
}

static void start_write(struct cluster *c)
{
    if (c->started == WRITES) {
        return;
    }
    struct write *w = &c->writes[++c->started];
    w->cluster = c;
    clade_txn_happened(c->f->txn, c->started);
    w->request = clade_txn_send(c->f->client, c->f->txn, 0, on_write, w);
    assert_non_null(w->request);
    struct write *other = &c->writes[1 + roll(c, c->started)];
    if (roll(c, 20) == 0 && other->request != NULL) {
        clade_cancel(other->request);
    }
}

static void check_writes(const struct cluster *c)
{
    size_t known = 0;
    for (size_t i = 1; i <= WRITES; i++) {
        const struct write *w = &c->writes[i];
        assert_int_equal(w->calls, 1);
        assert_true(w->happened <= 1);
        switch (w->code) {
        case 0:
            assert_int_equal(w->happened, 1);
            known++;
            break;
        case CLADE_ERR_UNKNOWN:
            break;
        case CLADE_ERR_UNAVAILABLE:
        case CLADE_ERR_CANCELLED:
            assert_int_equal(w->happened, 0);
            break;
        default:
            fail_msg("write %zu: %s", i, clade_error_name(w->code));
        }
    }
    print_message("%zu of %d writes answered, %u sessions\n", known, WRITES, (unsigned)c->sessions);
    assert_true(known > WRITES / 10);
}

static void what_the_client_says_of_a_write_is_what_happened(void **state)
{
    struct fixture *f = *state;
    const char *seed = getenv("CLADE_SEED");
    memset(&cluster, 0, sizeof cluster);
    cluster.f = f;
    cluster.seed = (seed == NULL ? uv_hrtime() : strtoull(seed, NULL, 10)) | 1;
    print_message("CLADE_SEED=%llu\n", (unsigned long long)cluster.seed);
    fixture_add_server(f);
    for (size_t i = 0; i < 2; i++) {
        f->servers[i].handler = handle;
        f->servers[i].arg = &cluster;
    }
    fixture_client(f, NULL, TIMEOUT_MS, 16);
    for (size_t i = 0; i < OUTSTANDING; i++) {
        start_write(&cluster);
    }
    while (cluster.done < WRITES && !f->late) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    check_writes(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_client_says_of_a_write_is_what_happened,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
