/* What libraft 0.22.1 itself does wrong (README.md, the table of hazards): these tests hold on to
 * it, so that a version that behaves otherwise is noticed, and the guard against it can go. A bare
 * libraft on the simulator's log, driven by messages. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <raft.h>

#include "tests/sim/log.h"

#define SENT_MAX 4096

/* --- a bare libraft: member 1 of three voters --- */

struct bare {
    uint64_t now_us;
    struct sim_random random;
    struct sim_log log;
    struct raft raft;
    struct raft_fsm fsm;
    raft_io_recv_cb recv;
    unsigned applied;
    unsigned fired; /* callbacks of requests */
    /* what it sent */
    struct raft_message sent[SENT_MAX];
    unsigned sent_len;
    int send_fails;
    /* snapshots */
    struct raft_io_snapshot_put *put_req;
    raft_io_snapshot_put_cb put_cb;
    raft_index get_index;
    raft_term get_term;
};

static struct bare *bare_of(struct raft_io *io)
{
    return (struct bare *)((char *)io - offsetof(struct bare, log));
}

static int on_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    ((struct bare *)fsm->data)->applied++;
    *result = NULL;
    return 0;
}

static int on_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n)
{
    *n = 1;
    *bufs = raft_malloc(sizeof **bufs);
    (*bufs)[0] = (struct raft_buffer){.base = raft_calloc(1, 8), .len = 8};
    return 0;
}

static int on_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    raft_free(buf->base);
    return 0;
}

static int on_start(struct raft_io *io, unsigned ms, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct bare *b = bare_of(io);
    b->recv = recv;
    b->log.tick = tick;
    b->log.tick_us = ms * UINT64_C(1000);
    b->log.next_tick_us = b->now_us + b->log.tick_us;
    return 0;
}

static int on_send(struct raft_io *io,
                   struct raft_io_send *req,
                   const struct raft_message *message,
                   raft_io_send_cb cb)
{
    struct bare *b = bare_of(io);
    if (b->send_fails != 0) {
        return b->send_fails;
    }
    assert_true(b->sent_len < SENT_MAX);
    b->sent[b->sent_len] = *message;
    b->sent[b->sent_len++].append_entries.entries =
        message->type == RAFT_APPEND_ENTRIES ? NULL : message->append_entries.entries;
    cb(req, 0);
    return 0;
}

/* Parked until finish_put. */
static int on_put(struct raft_io *io,
                  unsigned trailing,
                  struct raft_io_snapshot_put *req,
                  const struct raft_snapshot *snapshot,
                  raft_io_snapshot_put_cb cb)
{
    struct bare *b = bare_of(io);
    b->put_req = req;
    b->put_cb = cb;
    return 0;
}

static void finish_put(struct bare *b)
{
    raft_io_snapshot_put_cb cb = b->put_cb;
    assert_non_null(cb);
    b->put_cb = NULL;
    cb(b->put_req, 0);
}

/* The newest snapshot, whatever was asked for. */
static int on_get(struct raft_io *io, struct raft_io_snapshot_get *req, raft_io_snapshot_get_cb cb)
{
    struct bare *b = bare_of(io);
    struct raft_snapshot *s = raft_calloc(1, sizeof *s);
    s->index = b->get_index;
    s->term = b->get_term;
    s->n_bufs = 1;
    s->bufs = raft_malloc(sizeof *s->bufs);
    s->bufs[0] = (struct raft_buffer){.base = raft_calloc(1, 8), .len = 8};
    s->configuration_index = 1;
    raft_configuration_init(&s->configuration);
    cb(req, s, 0);
    return 0;
}

static void three_voters(struct raft_configuration *c)
{
    raft_configuration_init(c);
    assert_int_equal(raft_configuration_add(c, 1, "1", RAFT_VOTER), 0);
    assert_int_equal(raft_configuration_add(c, 2, "2", RAFT_VOTER), 0);
    assert_int_equal(raft_configuration_add(c, 3, "3", RAFT_VOTER), 0);
}

static struct bare *bare_new(void)
{
    struct bare *b = calloc(1, sizeof *b);
    struct raft_configuration c;
    random_seed(&b->random, 1);
    b->now_us = 1000000;
    sim_log_init(&b->log, &b->now_us, &b->random);
    three_voters(&c);
    assert_int_equal(b->log.io.bootstrap(&b->log.io, &c), 0);
    raft_configuration_close(&c);
    b->log.io.start = on_start;
    b->log.io.send = on_send;
    b->log.io.snapshot_put = on_put;
    b->log.io.snapshot_get = on_get;
    b->fsm = (struct raft_fsm){
        .version = 3, .data = b, .apply = on_apply, .snapshot = on_snapshot, .restore = on_restore};
    assert_int_equal(raft_init(&b->raft, &b->log.io, &b->fsm, 1, "1"), 0);
    raft_set_election_timeout(&b->raft, 1000);
    raft_set_heartbeat_timeout(&b->raft, 100);
    raft_set_install_snapshot_timeout(&b->raft, 3000);
    raft_set_capacity_threshold(&b->raft, 0);
    raft_set_snapshot_threshold(&b->raft, 1000000);
    return b;
}

static void on_closed(struct raft *raft)
{
}

static void bare_free(struct bare *b)
{
    raft_close(&b->raft, on_closed);
    sim_log_release(&b->log);
    free(b);
}

/* Lets writes end and time pass. */
static void run(struct bare *b, uint64_t us)
{
    uint64_t end = b->now_us + us;
    while (sim_log_next_us(&b->log) <= end) {
        b->now_us = sim_log_next_us(&b->log);
        (void)sim_log_step(&b->log);
    }
    b->now_us = end;
}

static void receive(struct bare *b, struct raft_message *m, raft_id from)
{
    m->server_id = from;
    m->server_address = from == 2 ? "2" : "3";
    b->recv(&b->log.io, m);
}

/* --- messages --- */

/* Entries in one batch, as libraft wants them; type 0 ends the list. */
static void append(struct bare *b,
                   raft_term term,
                   raft_index previous,
                   raft_term previous_term,
                   const struct raft_configuration *change,
                   const unsigned short types[],
                   raft_index commit)
{
    struct raft_buffer encoded = {.len = 8};
    unsigned n = 0;
    while (types[n] != 0) {
        n++;
    }
    if (change != NULL) {
        assert_int_equal(raft_configuration_encode(change, &encoded), 0);
    }
    struct raft_entry *e = n == 0 ? NULL : raft_calloc(n, sizeof *e);
    uint8_t *batch = n == 0 ? NULL : raft_calloc(n, encoded.len);
    for (unsigned i = 0; i < n; i++) {
        uint8_t *at = batch + i * encoded.len;
        e[i] = (struct raft_entry){
            .term = term, .type = types[i], .batch = batch, .buf = {.base = at, .len = 8}};
        if (types[i] == RAFT_CHANGE) {
            memcpy(at, encoded.base, encoded.len);
            e[i].buf.len = encoded.len;
        }
    }
    if (change != NULL) {
        raft_free(encoded.base);
    }
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES};
    m.append_entries = (struct raft_append_entries){.version = 1,
                                                    .term = term,
                                                    .prev_log_index = previous,
                                                    .prev_log_term = previous_term,
                                                    .leader_commit = commit,
                                                    .n_entries = n,
                                                    .entries = e};
    receive(b, &m, 2);
    run(b, 10000);
}

static void install(struct bare *b, raft_term term, raft_index index, raft_term index_term)
{
    struct raft_message m = {.type = RAFT_INSTALL_SNAPSHOT};
    struct raft_install_snapshot *s = &m.install_snapshot;
    *s = (struct raft_install_snapshot){
        .version = 1, .term = term, .last_index = index, .last_term = index_term, .conf_index = 1};
    three_voters(&s->conf);
    s->data = (struct raft_buffer){.base = raft_calloc(1, 8), .len = 8};
    receive(b, &m, 2);
}

static void appended(struct bare *b, raft_id from, raft_index last)
{
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES_RESULT};
    m.append_entries_result = (struct raft_append_entries_result){
        .version = 1, .term = raft_current_term(&b->raft), .last_log_index = last};
    receive(b, &m, from);
}

/* The election timeout passes, and member 2 votes for us. */
static void become_leader(struct bare *b)
{
    for (unsigned i = 0; i < 100 && raft_state(&b->raft) != RAFT_CANDIDATE; i++) {
        run(b, 100000);
    }
    assert_int_equal(raft_state(&b->raft), RAFT_CANDIDATE);
    struct raft_message m = {.type = RAFT_REQUEST_VOTE_RESULT};
    m.request_vote_result = (struct raft_request_vote_result){
        .version = 2, .term = raft_current_term(&b->raft), .vote_granted = 1};
    receive(b, &m, 2);
    assert_int_equal(raft_state(&b->raft), RAFT_LEADER);
    run(b, 10000);
}

static void on_applied(struct raft_apply *req, int status, void *result)
{
    ((struct bare *)req->data)->fired++;
}

static int apply(struct bare *b, struct raft_apply *req)
{
    struct raft_buffer buf = {.base = raft_calloc(1, 8), .len = 8};
    req->data = b;
    int rv = raft_apply(&b->raft, req, &buf, 1, on_applied);
    run(b, 10000);
    return rv;
}

/* How many new entries the appends to a member carried. */
static unsigned entries_to(const struct bare *b, raft_id to)
{
    unsigned n = 0;
    for (unsigned i = 0; i < b->sent_len; i++) {
        if (b->sent[i].type == RAFT_APPEND_ENTRIES && b->sent[i].server_id == to) {
            n += b->sent[i].append_entries.n_entries;
        }
    }
    return n;
}

/* --- hazards --- */

static void hazard_5_callbacks_wait_for_handles_of_raft_uv(void **state)
{
    struct bare *b = bare_new();
    struct raft_apply req;
    assert_int_equal(raft_start(&b->raft), 0);
    become_leader(b);
    assert_int_equal(apply(b, &req), 0);
    appended(b, 2, raft_last_index(&b->raft));
    run(b, 500000);
    assert_int_equal(b->applied, 1); /* committed and applied, */
    assert_int_equal(b->fired, 0);   /* and nobody is told */
    bare_free(b);
}

/* Member 3 was heard once, and says nothing more; member 2 has everything. */
static unsigned entries_to_a_silent_member(unsigned max_inflight)
{
    static struct raft_apply reqs[200];
    struct bare *b = bare_new();
    if (max_inflight != 0) {
        raft_set_max_inflight_entries(&b->raft, max_inflight);
    }
    assert_int_equal(raft_start(&b->raft), 0);
    become_leader(b);
    appended(b, 3, raft_last_index(&b->raft));
    b->sent_len = 0;
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(apply(b, &reqs[i]), 0);
        appended(b, 2, raft_last_index(&b->raft));
        b->now_us -= 10000; /* all in a moment: nothing is repeated */
    }
    assert_int_equal(b->applied, 200);
    unsigned n = entries_to(b, 3);
    bare_free(b);
    return n;
}

static void hazard_10_thirty_two_entries_in_flight_throttle(void **state)
{
    assert_int_equal(entries_to_a_silent_member(0), 32);
    assert_int_equal(entries_to_a_silent_member(4096), 200);
}

static void hazard_12_an_error_of_send_fails_the_step(void **state)
{
    struct bare *b = bare_new();
    struct raft_apply req;
    assert_int_equal(raft_start(&b->raft), 0);
    become_leader(b);
    raft_index last = raft_last_index(&b->raft);
    appended(b, 2, last);
    b->send_fails = RAFT_NOCONNECTION;
    assert_int_equal(apply(b, &req), RAFT_NOCONNECTION);
    /* The entry is in the log all the same. */
    assert_int_equal(raft_last_index(&b->raft), last + 1);
    b->send_fails = 0;
    bare_free(b);
}

static const unsigned short command_then_change[] = {RAFT_COMMAND, RAFT_CHANGE, 0};
static const unsigned short nothing[] = {0};

static void on_changed(struct raft_change *req, int status)
{
}

static void hazard_14_a_configuration_that_is_not_first_in_its_message_is_never_committed(void **s)
{
    struct bare *b = bare_new();
    struct raft_configuration c;
    struct raft_change req;
    three_voters(&c);
    assert_int_equal(raft_configuration_add(&c, 4, "4", RAFT_SPARE), 0);
    assert_int_equal(raft_start(&b->raft), 0);
    append(b, 2, 1, 1, &c, command_then_change, 1);
    assert_int_equal(b->raft.configuration.n, 4);
    assert_int_equal(b->raft.configuration_uncommitted_index, 2); /* it is entry 3 */
    append(b, 2, 3, 2, NULL, nothing, 3);
    assert_int_equal(raft_last_applied(&b->raft), 3);
    assert_int_equal(b->raft.configuration_committed_index, 1);
    assert_int_equal(b->raft.configuration_committed.n, 3); /* what a snapshot would hold */
    become_leader(b);
    assert_int_equal(raft_assign(&b->raft, &req, 4, RAFT_STANDBY, on_changed), RAFT_CANTCHANGE);
    raft_configuration_close(&c);
    bare_free(b);
}

static const unsigned short change_alone[] = {RAFT_CHANGE, 0};

static void a_configuration_in_a_message_of_its_own_is_committed(void **state)
{
    struct bare *b = bare_new();
    struct raft_configuration c;
    three_voters(&c);
    assert_int_equal(raft_configuration_add(&c, 4, "4", RAFT_SPARE), 0);
    assert_int_equal(raft_start(&b->raft), 0);
    append(b, 2, 1, 1, &c, change_alone, 1);
    append(b, 2, 2, 2, NULL, nothing, 2);
    assert_int_equal(b->raft.configuration_uncommitted_index, 0);
    assert_int_equal(b->raft.configuration_committed_index, 2);
    raft_configuration_close(&c);
    bare_free(b);
}

/* Takes a snapshot of all that is committed, keeping one entry. */
static void take_snapshot(struct bare *b)
{
    static struct raft_apply reqs[5];
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(apply(b, &reqs[i]), 0);
        appended(b, 2, raft_last_index(&b->raft));
    }
    raft_set_snapshot_threshold(&b->raft, 3);
    raft_set_snapshot_trailing(&b->raft, 1);
    run(b, 200000); /* it is begun on any event */
    raft_set_snapshot_threshold(&b->raft, 1000000);
    finish_put(b);
}

static void hazard_15_an_install_has_the_index_of_one_snapshot_and_the_term_of_another(void **state)
{
    struct bare *b = bare_new();
    assert_int_equal(raft_start(&b->raft), 0);
    become_leader(b);
    take_snapshot(b);
    raft_term term = b->raft.trail.snapshot.term;
    assert_true(b->raft.trail.snapshot.index > 1);
    b->get_index = b->raft.trail.snapshot.index + 5; /* a newer one is on disk meanwhile */
    b->get_term = term + 1;
    b->sent_len = 0;
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES_RESULT};
    m.append_entries_result = (struct raft_append_entries_result){
        .version = 1, .term = raft_current_term(&b->raft), .rejected = 1, .last_log_index = 0};
    receive(b, &m, 3);
    run(b, 200000);
    bool seen = false;
    for (unsigned i = 0; i < b->sent_len; i++) {
        if (b->sent[i].type == RAFT_INSTALL_SNAPSHOT) {
            seen = true;
            assert_int_equal(b->sent[i].install_snapshot.last_index, b->get_index);
            assert_int_equal(b->sent[i].install_snapshot.last_term, term);
        }
    }
    assert_true(seen);
    bare_free(b);
}

static const unsigned short five_commands[] = {RAFT_COMMAND, RAFT_COMMAND, RAFT_COMMAND,
                                               RAFT_COMMAND, RAFT_COMMAND, 0};

/* Ends the process, one way or the other. */
static _Noreturn void install_while_taking(void)
{
    struct bare *b = bare_new();
    const struct sigaction crash = {.sa_handler = SIG_DFL}; /* not cmocka's, nor a sanitizer's */
    (void)sigaction(SIGSEGV, &crash, NULL);
    raft_set_snapshot_threshold(&b->raft, 3);
    raft_set_snapshot_trailing(&b->raft, 2);
    (void)raft_start(&b->raft);
    append(b, 2, 1, 1, NULL, five_commands, 1);
    append(b, 2, 6, 2, NULL, nothing, 6);
    append(b, 2, 6, 2, NULL, nothing, 6); /* a snapshot is taken on the event after */
    if (b->put_cb == NULL) {
        _exit(2);
    }
    install(b, 2, 1000, 2);
    finish_put(b);
    _exit(0);
}

static void hazard_16_an_install_while_a_snapshot_is_taken_crashes(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        install_while_taking();
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hazard_16_an_install_while_a_snapshot_is_taken_crashes),
        cmocka_unit_test(hazard_5_callbacks_wait_for_handles_of_raft_uv),
        cmocka_unit_test(hazard_10_thirty_two_entries_in_flight_throttle),
        cmocka_unit_test(hazard_12_an_error_of_send_fails_the_step),
        cmocka_unit_test(
            hazard_14_a_configuration_that_is_not_first_in_its_message_is_never_committed),
        cmocka_unit_test(a_configuration_in_a_message_of_its_own_is_committed),
        cmocka_unit_test(
            hazard_15_an_install_has_the_index_of_one_snapshot_and_the_term_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
