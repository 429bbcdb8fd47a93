#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "consensus/group_internal.h"
#include "consensus/message.h"
#include "consensus/reference.h"
#include "tests/unit/consensus/group_fixture.h"

#define LOG_BYTES 65536u

/* One command of about 8 KiB. */
static void write_one(struct node *leader, uint64_t counter)
{
    static uint8_t command[8192];
    struct item item = {.kind = ITEM_TXN,
                        .id = {.node = leader->id, .boot = 9, .counter = counter},
                        .command = span_make(command, sizeof command)};
    struct proposal *p = proposal_new(&item, false, UINT64_MAX);
    group_propose(leader->group, p);
    proposal_unref(p);
}

static void write_many(struct cluster *c, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        write_one(cluster_leader(c), i);
        cluster_run_ms(c, 10);
    }
}

/* What another process would have fetched: the store of `from` takes the place of that of `n`. */
static void take_store(struct node *n, const struct node *from)
{
    n->applied = from->applied;
    memcpy(n->seen, from->seen, sizeof n->seen);
    apply_queue_expect(n->queue, n->applied);
    (void)apply_queue_mark(n->queue);
}

static void the_log_is_bounded_in_bytes_on_every_node(void **state)
{
    struct cluster *c = cluster_new_with_log(21, LOG_BYTES);
    (void)cluster_wait_for_leader(c);
    for (uint64_t i = 1; i < 200; i++) {
        write_many(c, i, i + 1);
        for (int j = 0; j < NODES; j++) {
            /* What comes until the next tick, and while the snapshot is written, is above it. */
            assert_in_range(node_status(&c->nodes[j]).log_bytes, 0, LOG_BYTES * 4);
        }
    }
    cluster_run_ms(c, 1000);
    for (int j = 0; j < NODES; j++) {
        struct group_status s = node_status(&c->nodes[j]);
        assert_true(s.snapshots > 3);
        assert_in_range(s.log_bytes, 8192, LOG_BYTES);
        assert_true(s.log_first > 1 && s.snapshot_index >= s.log_first);
        assert_all_applied_once(c, (uint64_t)j + 50);
    }
    cluster_free(c);
}

static void the_log_is_not_cut_before_the_store_is_synced(void **state)
{
    struct cluster *c = cluster_new_with_log(22, LOG_BYTES);
    struct node *n = cluster_another(c, cluster_wait_for_leader(c));
    n->hold_marks = true;
    write_many(c, 1, 60);
    assert_int_equal(node_status(n).log_first, 1);
    assert_int_equal(node_status(n).snapshot_index, 0);
    assert_true(node_status(cluster_leader(c)).log_first > 1);
    const struct store_position p = {.applied = n->applied};
    const struct store_digest d = {.index = n->applied};
    group_set_marked(n->group, &p, &d);
    cluster_run_ms(c, 300);
    assert_true(node_status(n).log_first > 1);
    cluster_free(c);
}

static void a_node_that_restarts_behind_a_snapshot_expects_its_store_there(void **state)
{
    struct cluster *c = cluster_new_with_log(23, LOG_BYTES);
    struct node *n = cluster_another(c, cluster_wait_for_leader(c));
    write_many(c, 1, 60);
    cluster_run_ms(c, 500);
    uint64_t snapshot = node_status(n).snapshot_index;
    assert_true(snapshot > 1);
    node_stop(n);
    n->expected = 0;
    node_start(n);
    cluster_run_ms(c, 500);
    assert_int_equal(n->expected, snapshot);
    write_many(c, 60, 70);
    cluster_run_ms(c, 500);
    for (uint64_t i = 1; i < 70; i++) {
        assert_all_applied_once(c, i);
    }
    cluster_free(c);
}

static void a_member_that_is_behind_the_log_is_sent_elsewhere_and_then_follows(void **state)
{
    struct cluster *c = cluster_new_with_log(24, LOG_BYTES);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *late = cluster_another(c, leader);
    cluster_isolate(c, late->id, true);
    write_many(c, 1, 100);
    cluster_run_ms(c, 500);
    cluster_isolate(c, late->id, false);
    cluster_run_ms(c, 5000);
    leader = cluster_leader(c);
    assert_true(c->installs > 1);
    assert_true(late->behinds > 1); /* dropped each time, never held */
    assert_int_equal(late->behind, node_status(leader).snapshot_index);
    assert_int_not_equal(late->source, late->id);
    assert_int_equal(late->seen[50], 0);
    assert_int_equal(node_status(late).snapshot_index, 0);
    take_store(late, leader);
    cluster_run_ms(c, 5000);
    assert_int_equal(late->expected, late->applied);
    write_many(c, 100, 110);
    cluster_run_ms(c, 500);
    for (uint64_t i = 1; i < 110; i++) {
        assert_all_applied_once(c, i);
    }
    cluster_free(c);
}

static void an_empty_store_behind_a_snapshot_gets_no_install(void **state)
{
    struct cluster *c = cluster_new_with_log(25, LOG_BYTES);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *late = cluster_another(c, leader);
    cluster_isolate(c, late->id, true);
    write_many(c, 1, 100);
    cluster_isolate(c, late->id, false);
    cluster_run_ms(c, 3000);
    assert_int_equal(node_status(late).snapshot_index, 0);
    /* Synced a little too low: still not. */
    const struct store_position p = {.applied = node_status(leader).snapshot_index - 1};
    const struct store_digest d = {.index = p.applied};
    group_set_marked(late->group, &p, &d);
    c->installs = 0;
    cluster_run_ms(c, 3000);
    assert_true(c->installs > 0);
    assert_int_equal(node_status(late).snapshot_index, 0);
    cluster_free(c);
}

/* libraft has applied the entry that says so and not yet looked into it. */
static void a_snapshot_holds_no_older_configuration_than_its_index(void **state)
{
    struct cluster *c = cluster_new_with_log(30, LOG_BYTES);
    struct node *n = cluster_another(c, cluster_wait_for_leader(c));
    raft_index *uncommitted = &n->group->raft.configuration_uncommitted_index;
    *uncommitted = node_status(n).commit;
    write_many(c, 1, 60);
    assert_int_equal(node_status(n).snapshots, 0);
    assert_true(node_status(n).log_bytes > LOG_BYTES);
    *uncommitted = 0;
    write_many(c, 60, 70);
    assert_true(node_status(n).snapshots > 0);
    cluster_free(c);
}

/* A log that is loaded with two configurations has the first taken for committed, before anything
 * is applied again. */
static void a_snapshot_holds_no_newer_configuration_than_its_index(void **state)
{
    struct cluster *c = cluster_new_with_log(37, LOG_BYTES);
    struct node *n = cluster_another(c, cluster_wait_for_leader(c));
    raft_index *committed = &n->group->raft.configuration_committed_index;
    raft_index before = *committed;
    *committed = node_status(n).commit + 1000;
    write_many(c, 1, 60);
    assert_int_equal(node_status(n).snapshots, 0);
    assert_true(node_status(n).log_bytes > LOG_BYTES);
    *committed = before;
    write_many(c, 60, 70);
    assert_true(node_status(n).snapshots > 0);
    cluster_free(c);
}

/* Between ticks libraft takes one amid what it does with a message, and that for any entry. */
static void a_snapshot_is_taken_in_a_tick_alone(void **state)
{
    struct cluster *c = cluster_new_with_log(31, LOG_BYTES);
    struct node *n = cluster_another(c, cluster_wait_for_leader(c));
    write_many(c, 1, 60);
    uint64_t taken = node_status(n).snapshots;
    assert_true(taken > 0);
    cluster_run_ms(c, 1000);
    taken = node_status(n).snapshots;
    for (uint64_t i = 60; node_status(n).log_bytes + 2 * 8192 < LOG_BYTES; i++) {
        write_many(c, i, i + 1);
        cluster_run_ms(c, 200);
    }
    assert_int_equal(node_status(n).snapshots, taken);
    cluster_free(c);
}

/* The members may be others than it has ever heard of: it must know whom to ask for what it lacks,
 * and where the leader is. */
static void an_install_comes_with_the_members(void **state)
{
    struct cluster *c = cluster_new_with_log(28, LOG_BYTES);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *late = cluster_another(c, leader);
    cluster_isolate(c, late->id, true);
    write_many(c, 1, 100);
    c->installs = 0;
    c->beacons = 0;
    cluster_isolate(c, late->id, false);
    cluster_run_ms(c, 3000);
    assert_true(c->installs > 0);
    assert_true(c->beacons >= c->installs);
    assert_true(late->behinds > 0);
    cluster_free(c);
}

/* Seed 87 of the simulator: one that was away while another member came to lead did not know it,
 * and could not answer it. */
static void a_member_that_is_not_heard_is_told_the_members(void **state)
{
    struct cluster *c = cluster_new(29);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *silent = cluster_another(c, leader);
    cluster_run_ms(c, 2000);
    c->beacons = 0;
    cluster_run_ms(c, 2000);
    assert_int_equal(c->beacons, 0);
    c->cut[silent->id][leader->id] = true;
    cluster_run_ms(c, 8000);
    assert_true(c->beacons > 0);
    assert_int_equal(silent->behinds, 0); /* the log has all that it lacks */
    cluster_free(c);
}

/* As the leader would send it. */
static void put_install(struct buffer *b, struct node *leader, uint64_t index, uint64_t reference)
{
    struct group_status s = node_status(leader);
    uint8_t bytes[REFERENCE_BYTES];
    const struct reference r = {.index = reference, .term = s.term};
    reference_encode(&r, bytes);
    struct raft_message m = {.type = RAFT_INSTALL_SNAPSHOT};
    m.install_snapshot = (struct raft_install_snapshot){
        .term = s.term, .last_index = index, .last_term = s.term, .conf_index = 1};
    m.install_snapshot.data = (struct raft_buffer){.base = bytes, .len = sizeof bytes};
    raft_configuration_init(&m.install_snapshot.conf);
    for (uint64_t id = 1; id <= NODES; id++) {
        char address[8] = {(char)('a' + id), ':', '1'};
        assert_int_equal(raft_configuration_add(&m.install_snapshot.conf, id, address, RAFT_VOTER),
                         0);
    }
    assert_true(peer_put_raft(b, &m, NULL, 0));
    raft_configuration_close(&m.install_snapshot.conf);
}

/* libraft 0.22.1 keeps the install for when its own snapshot is done, and then follows a pointer
 * that it has just set to NULL. */
static void an_install_while_a_snapshot_is_taken_does_not_reach_libraft(void **state)
{
    struct cluster *c = cluster_new_with_log(26, LOG_BYTES);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *n = cluster_another(c, leader);
    n->hold_marks = true;
    write_many(c, 1, 30);
    struct buffer b;
    buffer_init(&b, 4096);
    uint64_t index = node_status(leader).last_index + 100;
    put_install(&b, leader, index, index);
    const struct store_position ahead = {.applied = index};
    n->hold_marks = true;
    group_receive(n->group, leader->id, buffer_span(&b));
    assert_int_equal(n->behinds, 0); /* dropped before anything was asked of it */
    const struct store_digest d = {.index = index};
    group_set_marked(n->group, &ahead, &d); /* the snapshot under way is done */
    cluster_run_ms(c, 100);
    assert_true(node_status(n).snapshot_index > 0 && node_status(n).snapshot_index < index);
    buffer_release(&b);
    cluster_free(c);
}

static void an_install_that_contradicts_its_reference_is_dropped(void **state)
{
    struct cluster *c = cluster_new_with_log(27, LOG_BYTES);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *n = cluster_another(c, leader);
    struct buffer b;
    buffer_init(&b, 4096);
    uint64_t index = node_status(leader).last_index + 100;
    put_install(&b, leader, index, index + 1);
    uint64_t malformed = node_status(n).malformed;
    group_receive(n->group, leader->id, buffer_span(&b));
    assert_int_equal(node_status(n).malformed, malformed + 1);
    assert_int_equal(n->behinds, 0);
    buffer_release(&b);
    cluster_free(c);
}

/* Seed 2280 of the simulator. libraft would free what its stack held. */
static void a_node_that_stops_while_a_snapshot_is_read_ends_in_order(void **state)
{
    struct cluster *c = cluster_new_with_log(28, LOG_BYTES);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *late = cluster_another(c, leader);
    cluster_isolate(c, late->id, true);
    write_many(c, 1, 100);
    leader = cluster_leader(c);
    leader->log.write_us_max = 60000000; /* a disk that is slow to read */
    cluster_isolate(c, late->id, false);
    for (int i = 0; i < 10000 && leader->log.gets_len == 0; i++) {
        cluster_step(c);
    }
    assert_true(leader->log.gets_len > 0);
    cluster_free(c);
}

/* A new member is sent the log from its beginning, and then, since the leader has cut it, a
 * snapshot; what was on its way comes behind that. libraft would take the entries for new ones. */
static void an_append_from_the_beginning_does_not_reach_a_log_that_was_cut(void **state)
{
    struct cluster *c = cluster_new_with_log(29, LOG_BYTES);
    struct node *n = cluster_another(c, cluster_wait_for_leader(c));
    write_many(c, 1, 60);
    cluster_run_ms(c, 500);
    struct node *leader = cluster_leader(c);
    struct group_status before = node_status(n);
    assert_in_range(before.log_first, 2, 256);
    assert_true(before.last_index >= before.log_first);
    uint8_t bytes[8] = {0};
    struct raft_entry entries[256];
    for (size_t i = 0; i < 256; i++) {
        entries[i] = (struct raft_entry){
            .term = 1, .type = RAFT_BARRIER, .buf = {.base = bytes, .len = sizeof bytes}};
    }
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES};
    m.append_entries =
        (struct raft_append_entries){.term = before.term, .leader_commit = before.commit};
    struct buffer b;
    buffer_init(&b, 65536);
    assert_true(peer_put_raft(&b, &m, entries, before.log_first));
    group_receive(n->group, leader->id, buffer_span(&b));
    struct group_status after = node_status(n);
    assert_int_equal(after.log_first, before.log_first);
    assert_int_equal(after.last_index, before.last_index);
    assert_int_equal(after.commit, before.commit);
    write_many(c, 60, 70);
    cluster_run_ms(c, 500);
    for (uint64_t i = 1; i < 70; i++) {
        assert_all_applied_once(c, i);
    }
    buffer_release(&b);
    cluster_free(c);
}

static struct raft_append_entries_result answered;

static void keep_answer(struct group_transport *t, uint64_t to, struct span message)
{
    struct peer_message m;
    assert_int_equal(peer_message_decode(message, &m, NULL), 0);
    if (m.type == PEER_APPEND_ENTRIES_RESULT) {
        answered = m.raft.append_entries_result;
    }
}

/* Seed 1784 of the simulator: of two installs the older one was answered last, and the leader went
 * on from there. Rejected, it would send the same for ever. */
static void an_append_that_stands_on_what_was_cut_is_answered_with_the_snapshot(void **state)
{
    struct cluster *c = cluster_new_with_log(30, LOG_BYTES);
    struct node *n = cluster_another(c, cluster_wait_for_leader(c));
    write_many(c, 1, 60);
    cluster_run_ms(c, 500);
    struct group_status before = node_status(n);
    assert_in_range(before.log_first, 4, UINT32_MAX);
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES};
    m.append_entries = (struct raft_append_entries){.term = before.term,
                                                    .prev_log_index = before.log_first - 3,
                                                    .prev_log_term = before.term,
                                                    .leader_commit = before.commit};
    struct buffer b;
    buffer_init(&b, 4096);
    assert_true(peer_put_raft(&b, &m, NULL, 0));
    void (*send)(struct group_transport *, uint64_t, struct span) = n->transport.send;
    n->transport.send = keep_answer;
    answered.rejected = UINT64_MAX;
    group_receive(n->group, cluster_leader(c)->id, buffer_span(&b));
    n->transport.send = send;
    assert_int_equal(answered.rejected, 0);
    assert_true(answered.last_log_index >= before.snapshot_index);
    assert_int_equal(node_status(n).last_index, before.last_index);
    buffer_release(&b);
    cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_is_bounded_in_bytes_on_every_node),
        cmocka_unit_test(the_log_is_not_cut_before_the_store_is_synced),
        cmocka_unit_test(a_node_that_restarts_behind_a_snapshot_expects_its_store_there),
        cmocka_unit_test(a_member_that_is_behind_the_log_is_sent_elsewhere_and_then_follows),
        cmocka_unit_test(a_snapshot_holds_no_older_configuration_than_its_index),
        cmocka_unit_test(a_snapshot_holds_no_newer_configuration_than_its_index),
        cmocka_unit_test(a_snapshot_is_taken_in_a_tick_alone),
        cmocka_unit_test(an_empty_store_behind_a_snapshot_gets_no_install),
        cmocka_unit_test(an_install_comes_with_the_members),
        cmocka_unit_test(a_member_that_is_not_heard_is_told_the_members),
        cmocka_unit_test(an_install_while_a_snapshot_is_taken_does_not_reach_libraft),
        cmocka_unit_test(an_install_that_contradicts_its_reference_is_dropped),
        cmocka_unit_test(a_node_that_stops_while_a_snapshot_is_read_ends_in_order),
        cmocka_unit_test(an_append_from_the_beginning_does_not_reach_a_log_that_was_cut),
        cmocka_unit_test(an_append_that_stands_on_what_was_cut_is_answered_with_the_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
