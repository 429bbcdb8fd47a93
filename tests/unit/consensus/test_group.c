#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "consensus/message.h"
#include "tests/unit/consensus/group_fixture.h"

static void a_command_given_to_a_follower_is_applied_once_on_every_node(void **state)
{
    struct cluster *c = cluster_new(1);
    struct node *leader = cluster_wait_for_leader(c);
    proposal_unref(node_propose(cluster_another(c, leader), 7, false, 5000));
    proposal_unref(node_propose(leader, 8, false, 5000));
    cluster_run_ms(c, 300);
    assert_all_applied_once(c, 7);
    assert_all_applied_once(c, 8);
    cluster_free(c);
}

static void what_the_leader_does_not_admit_is_refused_for_certain_and_no_other(void **state)
{
    struct cluster *c = cluster_new(14);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *follower = cluster_another(c, leader);
    leader->throttle_ms = 250;
    follower->throttle_ms = 1; /* it does not lead: nobody asks it */
    struct proposal *here = node_propose(leader, 8, false, 5000);
    struct proposal *there = node_propose(follower, 7, false, 5000);
    while (follower->refused == 0) {
        cluster_step(c);
    }
    assert_int_equal(follower->refused_code, CLADE_ERR_THROTTLED);
    assert_int_equal(follower->refused_ms, 250);
    assert_int_equal(leader->refused_code, CLADE_ERR_THROTTLED);
    assert_int_equal(leader->refused_ms, 250);
    leader->throttle_ms = 0;
    /* Nothing is held that is not throttled: the next does not wait for a heartbeat. */
    proposal_unref(node_propose(follower, 9, false, 5000));
    cluster_run_ms(c, 60);
    assert_all_applied_once(c, 9);
    cluster_run_ms(c, 3000);
    assert_int_equal(leader->seen[7] + leader->seen[8], 0);
    assert_int_equal(follower->refused + leader->refused, 2);
    proposal_unref(there);
    proposal_unref(here);
    cluster_free(c);
}

static void the_clock_of_sessions_keeps_pace_however_fast_entries_come(void **state)
{
    struct cluster *c = cluster_new(3);
    struct node *leader = cluster_wait_for_leader(c);
    proposal_unref(node_propose(leader, 1, false, 5000));
    cluster_run_ms(c, 50);
    uint64_t before_us = c->now_us;
    uint64_t before_ms = leader->elapsed_ms;
    for (unsigned i = 2; i < 1000; i++) {
        proposal_unref(node_propose(leader, i, false, 5000));
        cluster_step(c);
        c->now_us -= 700; /* a step is 0.3 ms */
    }
    cluster_run_ms(c, 50);
    assert_all_applied_once(c, 999);
    assert_in_range(leader->elapsed_ms - before_ms, (c->now_us - before_us) / 1000 - 100,
                    (c->now_us - before_us) / 1000 + 100);
    cluster_free(c);
}

static void what_another_leader_may_have_logged_is_admitted_by_the_next(void **state)
{
    unsigned led = 0;
    for (unsigned seed = 1; seed <= 12; seed++) {
        struct cluster *c = cluster_new(seed);
        struct node *old = cluster_wait_for_leader(c);
        struct node *follower = cluster_another(c, old);
        /* The leader hears of it, but none of its messages leaves. */
        for (uint64_t i = 1; i <= NODES; i++) {
            c->cut[old->id][i] = true;
        }
        proposal_unref(node_propose(follower, 11, true, 60000));
        cluster_run_ms(c, 50);
        follower->throttle_ms = 250;
        cluster_run_ms(c, 6000);
        if (cluster_leader(c) == follower) {
            led++;
            assert_int_equal(follower->refused, 0);
            assert_true(follower->seen[11] >= 1);
        }
        cluster_free(c);
    }
    assert_true(led > 0);
}

static void commands_given_before_there_is_a_leader_wait_for_one(void **state)
{
    struct cluster *c = cluster_new(2);
    struct proposal *p = node_propose(&c->nodes[0], 5, false, 60000);
    assert_int_equal(atomic_load(&p->state), PROPOSAL_QUEUED);
    (void)cluster_wait_for_leader(c);
    cluster_run_ms(c, 500);
    assert_all_applied_once(c, 5);
    proposal_unref(p);
    cluster_free(c);
}

static void a_withdrawn_command_is_never_applied(void **state)
{
    struct cluster *c = cluster_new(3);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *follower = cluster_another(c, leader);
    cluster_isolate(c, follower->id, true);
    struct proposal *p = node_propose(follower, 6, true, 60000);
    cluster_run_ms(c, 100);
    assert_true(proposal_move(p, PROPOSAL_QUEUED, PROPOSAL_WITHDRAWN));
    cluster_isolate(c, follower->id, false);
    cluster_run_ms(c, 3000);
    assert_int_equal(leader->seen[6], 0);
    proposal_unref(p);
    cluster_free(c);
}

static void a_repeatable_command_survives_its_leader(void **state)
{
    struct cluster *c = cluster_new(4);
    struct node *old = cluster_wait_for_leader(c);
    struct node *follower = cluster_another(c, old);
    /* The leader hears of it, but none of its messages leaves. */
    for (uint64_t i = 1; i <= NODES; i++) {
        c->cut[old->id][i] = true;
    }
    proposal_unref(node_propose(follower, 11, true, 60000));
    cluster_run_ms(c, 6000);
    struct node *next = cluster_leader(c);
    assert_non_null(next);
    assert_true(next->seen[11] >= 1);
    cluster_free(c);
}

static void reads_are_linearizable_on_every_node_right_after_an_election(void **state)
{
    struct cluster *c = cluster_new(5);
    struct node *leader = cluster_wait_for_leader(c);
    for (int i = 0; i < NODES; i++) {
        group_read_index(c->nodes[i].group, 1, c->now_us + 5000000);
    }
    cluster_run_ms(c, 50);
    for (int i = 0; i < NODES; i++) {
        struct node *n = &c->nodes[i];
        assert_int_equal(n->reads, 1);
        assert_int_equal(n->read_code, 0);
        assert_int_equal(n->read_index, node_status(leader).commit);
        assert_true(n->applied >= n->read_index); /* an idle cluster's read does not hang */
    }
    cluster_free(c);
}

static void a_cut_off_leader_serves_no_linearizable_read(void **state)
{
    struct cluster *c = cluster_new(6);
    struct node *old = cluster_wait_for_leader(c);
    cluster_isolate(c, old->id, true);
    group_read_index(old->group, 1, c->now_us + 4000000);
    cluster_run_ms(c, 3000);
    assert_int_equal(old->reads, 0);
    struct node *next = cluster_another(c, old);
    proposal_unref(node_propose(next, 21, true, 60000));
    cluster_run_ms(c, 3000);
    assert_int_equal(old->reads, 1);
    assert_int_equal(old->read_code, CLADE_ERR_UNAVAILABLE);
    assert_true(next->seen[21] >= 1);
    assert_int_equal(old->seen[21], 0);
    cluster_isolate(c, old->id, false);
    cluster_run_ms(c, 3000);
    assert_true(old->seen[21] >= 1);
    group_read_index(old->group, 2, c->now_us + 4000000);
    cluster_run_ms(c, 100);
    assert_int_equal(old->reads, 2);
    assert_int_equal(old->read_code, 0);
    cluster_free(c);
}

static void a_transfer_moves_leadership_and_loses_no_command(void **state)
{
    struct cluster *c = cluster_new(7);
    struct node *old = cluster_wait_for_leader(c);
    struct node *to = cluster_another(c, old);
    group_transfer(old->group, 1, to->id, c->now_us + 3000000);
    for (uint64_t i = 100; i < 200; i++) {
        proposal_unref(node_propose(old, i, true, 60000));
        cluster_step(c);
    }
    cluster_run_ms(c, 1000);
    assert_int_equal(old->transfers, 1);
    assert_int_equal(old->transfer_code, 0);
    assert_int_equal(old->transfer_leader, to->id);
    assert_ptr_equal(cluster_leader(c), to);
    for (uint64_t i = 100; i < 200; i++) {
        assert_all_applied_once(c, i);
    }
    cluster_free(c);
}

static void a_transfer_asked_of_a_follower_is_refused(void **state)
{
    struct cluster *c = cluster_new(8);
    struct node *follower = cluster_another(c, cluster_wait_for_leader(c));
    group_transfer(follower->group, 1, 0, c->now_us + 3000000);
    assert_int_equal(follower->transfers, 1);
    assert_int_equal(follower->transfer_code, CLADE_ERR_RETRY);
    cluster_free(c);
}

static void a_restarted_node_replays_its_log(void **state)
{
    struct cluster *c = cluster_new(10);
    struct node *leader = cluster_wait_for_leader(c);
    for (uint64_t i = 1; i <= 50; i++) {
        proposal_unref(node_propose(leader, i, false, 5000));
    }
    cluster_run_ms(c, 300);
    struct node *n = cluster_another(c, leader);
    node_stop(n);
    n->applied = 0;
    memset(n->seen, 0, sizeof n->seen);
    node_start(n);
    cluster_run_ms(c, 500);
    for (uint64_t i = 1; i <= 50; i++) {
        assert_all_applied_once(c, i);
    }
    cluster_free(c);
}

static void garbage_from_a_member_changes_nothing(void **state)
{
    struct cluster *c = cluster_new(11);
    struct node *leader = cluster_wait_for_leader(c);
    uint32_t seed = 12345;
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[96];
        for (size_t j = 0; j < sizeof bytes; j++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[j] = (uint8_t)(seed >> 24);
        }
        bytes[0] = (uint8_t)(bytes[0] % 24);
        bytes[1] = 1;
        if (bytes[0] != 1) { /* a random append of a high term is a legal leader's */
            uint64_t term = 0;
            memcpy(bytes + 2, &term, sizeof term);
        }
        group_receive(leader->group, cluster_another(c, leader)->id, span_make(bytes, 2 + i % 94));
    }
    leader = cluster_wait_for_leader(c);
    proposal_unref(node_propose(leader, 40, true, 5000));
    cluster_run_ms(c, 500);
    assert_false(leader->fatal);
    assert_true(leader->seen[40] >= 1);
    cluster_free(c);
}

/* It would fit neither an entry nor the archive, of this node and of all others. */
static void a_command_over_the_limit_that_a_member_forwards_is_not_proposed(void **state)
{
    struct cluster *c = cluster_new(43);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *other = cluster_another(c, leader);
    static uint8_t command[CLADE_MAX_COMMAND_BYTES];
    struct item item = {.kind = ITEM_TXN,
                        .id = {.node = other->id, .boot = other->boot, .counter = 41},
                        .command = span_make(command, sizeof command)};
    struct buffer b;
    buffer_init(&b, PEER_MESSAGE_BYTES_MAX);
    peer_put_head(&b, PEER_PROPOSE);
    size_t at = b.len;
    item_encode(&b, &item);
    static const size_t more[] = {1, 2u << 20};
    for (size_t i = 0; i < 2; i++) {
        assert_non_null(buffer_extend(&b, more[i]));
        put_u32le(b.data + at, (uint32_t)(b.len - at));
        put_u32le(b.data + at + 12, (uint32_t)(b.len - at - ITEM_HEADER_BYTES));
        uint64_t malformed = node_status(leader).malformed;
        group_receive(leader->group, other->id, buffer_span(&b));
        assert_int_equal(node_status(leader).malformed, malformed + 1);
    }
    buffer_release(&b);
    proposal_unref(node_propose(leader, 42, false, 5000));
    cluster_run_ms(c, 500);
    assert_int_equal(leader->seen[41], 0);
    assert_all_applied_once(c, 42);
    cluster_free(c);
}

/* The newest message on its way from one node to another, decoded. */
static bool last_mail(struct cluster *c, uint64_t from, uint64_t to, struct peer_message *ret)
{
    for (size_t i = c->mail_len; i > 0; i--) {
        const struct mail *m = &c->mail[i - 1];
        if (m->from == from && m->to == to) {
            return peer_message_decode(span_make(m->bytes, m->len), ret, NULL) == 0;
        }
    }
    return false;
}

static void an_append_of_an_older_term_is_answered_with_a_rejection_of_ours(void **state)
{
    struct cluster *c = cluster_new(12);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *old = cluster_another(c, leader);
    struct raft_message stale = {.type = RAFT_APPEND_ENTRIES};
    stale.append_entries = (struct raft_append_entries){.term = 1};
    struct buffer b;
    buffer_init(&b, 4096);
    assert_true(peer_put_raft(&b, &stale, NULL, 0));
    group_receive(leader->group, old->id, buffer_span(&b));
    struct peer_message answer;
    assert_true(last_mail(c, leader->id, old->id, &answer));
    assert_int_equal(answer.type, PEER_APPEND_ENTRIES_RESULT);
    assert_int_equal(answer.raft.append_entries_result.term, node_status(leader).term);
    assert_int_equal(answer.raft.append_entries_result.rejected, 1);
    assert_int_equal(answer.raft.append_entries_result.last_log_index, 0);
    buffer_release(&b);
    cluster_free(c);
}

static void a_follower_that_lags_gets_its_entries_in_parts(void **state)
{
    struct cluster *c = cluster_new(13);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *late = cluster_another(c, leader);
    char *command = calloc(1, 600000);
    cluster_isolate(c, late->id, true);
    for (uint64_t i = 1; i <= 8; i++) {
        struct item item = {.kind = ITEM_TXN,
                            .id = {.node = leader->id, .boot = 9, .counter = i},
                            .command = span_make(command, 600000)};
        struct proposal *p = proposal_new(&item, false, UINT64_MAX);
        group_propose(leader->group, p);
        proposal_unref(p);
        cluster_run_ms(c, 10);
    }
    c->longest = 0;
    cluster_isolate(c, late->id, false);
    cluster_run_ms(c, 3000);
    assert_int_equal(late->applied_commands, 8);
    assert_in_range(c->longest, 600000, PEER_APPEND_BYTES_MAX + 4096);
    free(command);
    cluster_free(c);
}

static uint64_t match_of(struct node *leader, uint64_t id)
{
    struct group_status s = node_status(leader);
    for (size_t i = 0; i < s.members_len; i++) {
        if (s.members[i].member.id == id) {
            return s.members[i].match;
        }
    }
    return 0;
}

/* Seed 5125 of the simulator: libraft takes its next index below what the follower is known to
 * have, and sends it nothing but heartbeats from then on. */
static void a_rejection_that_comes_late_does_not_end_replication(void **state)
{
    struct cluster *c = cluster_new(14);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *follower = cluster_another(c, leader);
    cluster_run_ms(c, 500);
    cluster_isolate(c, follower->id, true);
    proposal_unref(node_propose(leader, 1, true, 60000));
    cluster_run_ms(c, 3000); /* until the leader probes */
    uint64_t match = match_of(leader, follower->id);
    struct raft_message late = {.type = RAFT_APPEND_ENTRIES_RESULT};
    late.append_entries_result = (struct raft_append_entries_result){
        .term = node_status(leader).term, .rejected = match, .last_log_index = match - 1};
    struct buffer b;
    buffer_init(&b, 4096);
    assert_true(peer_put_raft(&b, &late, NULL, 0));
    group_receive(leader->group, follower->id, buffer_span(&b));
    cluster_isolate(c, follower->id, false);
    cluster_run_ms(c, 3000);
    assert_true(follower->seen[1] >= 1);
    buffer_release(&b);
    cluster_free(c);
}

/* Seeds 58 and 79 of the simulator. */
static void a_reply_to_a_request_before_a_restart_answers_no_read_after_it(void **state)
{
    struct cluster *c = cluster_new(15);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *n = cluster_another(c, leader);
    cluster_run_ms(c, 300);
    uint64_t boot = n->boot;
    node_stop(n);
    n->applied = 0;
    node_start(n);
    cluster_run_ms(c, 300);
    group_read_index(n->group, 1, c->now_us + 4000000);
    group_flush(n->group); /* its request leaves, with number 1 */
    struct buffer b;
    buffer_init(&b, 4096);
    peer_put_read_reply(&b, boot, 1, 0, 1);
    group_receive(n->group, leader->id, buffer_span(&b));
    assert_int_equal(n->reads, 0);
    buffer_clear(&b);
    peer_put_read_reply(&b, n->boot, 1, 0, 2);
    group_receive(n->group, leader->id, buffer_span(&b));
    assert_int_equal(n->reads, 1);
    buffer_release(&b);
    cluster_free(c);
}

/* Seed 2865 of the simulator. */
static void an_append_that_ends_below_the_commit_index_does_not_take_it_back(void **state)
{
    struct cluster *c = cluster_new(18);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *n = cluster_another(c, leader);
    for (uint64_t i = 1; i <= 20; i++) {
        proposal_unref(node_propose(leader, i, false, 5000));
        cluster_run_ms(c, 10);
    }
    cluster_run_ms(c, 500);
    uint64_t commit = node_status(n).commit;
    assert_true(commit > 10);
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES};
    m.append_entries = (struct raft_append_entries){.term = node_status(leader).term,
                                                    .prev_log_index = 5,
                                                    .prev_log_term = node_status(leader).term,
                                                    .leader_commit = commit + 5};
    struct buffer b;
    buffer_init(&b, 4096);
    assert_true(peer_put_raft(&b, &m, NULL, 0));
    group_receive(n->group, leader->id, buffer_span(&b));
    assert_int_equal(node_status(n).commit, commit);
    buffer_release(&b);
    cluster_free(c);
}

/* Seed 47 of the simulator: the sole voter had written down that node 2 votes too, and needed its
 * vote before node 2 had heard of that. */
static void a_standby_votes_once_its_leader_is_silent(void **state)
{
    struct cluster *c = cluster_new(17);
    const struct group_member members[NODES] = {{.id = 1, .address = "a:1"},
                                                {.id = 2, .role = GROUP_STANDBY, .address = "b:1"},
                                                {.id = 3, .role = GROUP_STANDBY, .address = "c:1"}};
    for (int i = 0; i < NODES; i++) {
        struct node *n = &c->nodes[i];
        node_stop(n);
        n->applied = 0;
        sim_log_release(&n->log);
        sim_log_init(&n->log, &c->now_us, &c->random);
        assert_int_equal(group_bootstrap(&n->log.io, n->id, "node", members, NODES, NULL), 0);
        node_start(n);
    }
    struct node *leader = cluster_wait_for_leader(c);
    assert_int_equal(leader->id, 1);
    cluster_run_ms(c, 500);
    struct raft_message m = {.type = RAFT_REQUEST_VOTE};
    m.request_vote = (struct raft_request_vote){.term = node_status(leader).term + 1,
                                                .candidate_id = 1,
                                                .last_log_index = 1000,
                                                .last_log_term = node_status(leader).term};
    struct buffer b;
    struct peer_message answer;
    buffer_init(&b, 4096);
    assert_true(peer_put_raft(&b, &m, NULL, 0));
    group_receive(c->nodes[1].group, 1, buffer_span(&b));
    assert_true(last_mail(c, 2, 1, &answer));
    assert_false(answer.raft.request_vote_result.vote_granted); /* its leader lives */
    cluster_isolate(c, 1, true);
    cluster_run_ms(c, 1500);
    cluster_isolate(c, 1, false);
    group_receive(c->nodes[1].group, 1, buffer_span(&b));
    assert_true(last_mail(c, 2, 1, &answer));
    assert_int_equal(answer.type, PEER_REQUEST_VOTE_RESULT);
    assert_true(answer.raft.request_vote_result.vote_granted);
    assert_int_equal(node_status(&c->nodes[1]).members[1].member.role, GROUP_STANDBY);
    buffer_release(&b);
    cluster_free(c);
}

/* Seed 45 of the simulator: a standby had an entry that the leader lost, and kept it when another
 * one of the same index and term came. */
static void a_sole_voter_leads_in_a_new_term_after_a_restart(void **state)
{
    struct cluster *c = cluster_new(16);
    struct node *n = &c->nodes[0];
    const struct group_member alone = {.id = 1, .address = "a:1"};
    node_stop(n);
    sim_log_release(&n->log);
    sim_log_init(&n->log, &c->now_us, &c->random);
    assert_int_equal(group_bootstrap(&n->log.io, 1, "node", &alone, 1, NULL), 0);
    uint64_t term = 0;
    for (int i = 0; i < 3; i++) {
        n->applied = 0;
        node_start(n);
        cluster_isolate(c, 1, true);
        cluster_run_ms(c, 3000);
        assert_true(node_status(n).is_leader);
        assert_true(node_status(n).term > term);
        term = node_status(n).term;
        node_stop(n);
    }
    cluster_free(c);
}

/* Seed 3 of the simulator, whose runs differed: libraft asks whether it is in a pre-vote also when
 * it is none's candidate any more, and reads a byte of the pointer that lies there then. */
static void a_vote_that_comes_late_does_not_move_a_follower_to_its_term(void **state)
{
    struct cluster *c = cluster_new(18);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *n = cluster_another(c, leader);
    cluster_run_ms(c, 300);
    uint64_t term = node_status(n).term;
    struct raft_message late = {.type = RAFT_REQUEST_VOTE_RESULT};
    late.request_vote_result = (struct raft_request_vote_result){
        .version = 2, .term = term + 1, .vote_granted = true, .pre_vote = true};
    struct buffer b;
    buffer_init(&b, 4096);
    assert_true(peer_put_raft(&b, &late, NULL, 0));
    struct raft *raft = n->log.io.data;
    uint8_t *in_pre_vote = (uint8_t *)&raft->candidate_state.in_pre_vote;
    uint8_t byte = *in_pre_vote;
    *in_pre_vote = 0; /* a byte of the pointer, as it may be */
    group_receive(n->group, leader->id, buffer_span(&b));
    *in_pre_vote = byte;
    assert_int_equal(node_status(n).term, term);
    buffer_release(&b);
    cluster_free(c);
}

/* Seed 14609 of the simulator: two voters, one with the longer log, the other in the higher term.
 */
static void a_denied_pre_vote_tells_the_term_that_it_was_denied_in(void **state)
{
    struct cluster *c = cluster_new(19);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *n = cluster_another(c, leader);
    cluster_run_ms(c, 300);
    uint64_t term = node_status(n).term;
    struct raft_message ask = {.type = RAFT_REQUEST_VOTE};
    ask.request_vote = (struct raft_request_vote){
        .version = 2, .term = term - 1, .candidate_id = leader->id, .pre_vote = true};
    struct buffer b;
    struct peer_message answer;
    buffer_init(&b, 4096);
    assert_true(peer_put_raft(&b, &ask, NULL, 0));
    group_receive(n->group, leader->id, buffer_span(&b));
    assert_true(last_mail(c, n->id, leader->id, &answer));
    assert_int_equal(answer.type, PEER_REQUEST_VOTE_RESULT);
    assert_false(answer.raft.request_vote_result.vote_granted);
    assert_int_equal(answer.raft.request_vote_result.term, term);
    buffer_release(&b);
    cluster_free(c);
}

/* Seed 10791 of the simulator: the one voter that was left lost the entry in a crash, the one that
 * had lost its vote had it; its log was the longer one, and it did not stand. */
static void a_voter_hears_of_losing_its_vote_when_that_is_committed(void **state)
{
    struct cluster *c = cluster_new(20);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *demoted = cluster_another(c, leader);
    struct node *kept = &c->nodes[6 - leader->id - demoted->id - 1];
    struct raft_change change;
    cluster_run_ms(c, 300);
    cluster_isolate(c, kept->id, true); /* both votes that are left are needed */
    uint64_t last = node_status(leader).last_index;
    assert_int_equal(raft_assign(leader->log.io.data, &change, demoted->id, RAFT_STANDBY, NULL), 0);
    cluster_run_ms(c, 500);
    assert_int_equal(node_status(leader).last_index, last + 1);
    assert_int_equal(node_status(demoted).last_index, last);
    cluster_isolate(c, kept->id, false);
    cluster_run_ms(c, 3000);
    assert_true(node_status(demoted).last_index > last);
    assert_int_equal(node_status(demoted).members[demoted->id - 1].member.role, GROUP_STANDBY);
    cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_given_to_a_follower_is_applied_once_on_every_node),
        cmocka_unit_test(what_the_leader_does_not_admit_is_refused_for_certain_and_no_other),
        cmocka_unit_test(the_clock_of_sessions_keeps_pace_however_fast_entries_come),
        cmocka_unit_test(what_another_leader_may_have_logged_is_admitted_by_the_next),
        cmocka_unit_test(commands_given_before_there_is_a_leader_wait_for_one),
        cmocka_unit_test(a_withdrawn_command_is_never_applied),
        cmocka_unit_test(a_repeatable_command_survives_its_leader),
        cmocka_unit_test(reads_are_linearizable_on_every_node_right_after_an_election),
        cmocka_unit_test(a_cut_off_leader_serves_no_linearizable_read),
        cmocka_unit_test(a_transfer_moves_leadership_and_loses_no_command),
        cmocka_unit_test(a_transfer_asked_of_a_follower_is_refused),
        cmocka_unit_test(a_restarted_node_replays_its_log),
        cmocka_unit_test(garbage_from_a_member_changes_nothing),
        cmocka_unit_test(a_command_over_the_limit_that_a_member_forwards_is_not_proposed),
        cmocka_unit_test(an_append_of_an_older_term_is_answered_with_a_rejection_of_ours),
        cmocka_unit_test(a_follower_that_lags_gets_its_entries_in_parts),
        cmocka_unit_test(a_rejection_that_comes_late_does_not_end_replication),
        cmocka_unit_test(a_reply_to_a_request_before_a_restart_answers_no_read_after_it),
        cmocka_unit_test(an_append_that_ends_below_the_commit_index_does_not_take_it_back),
        cmocka_unit_test(a_standby_votes_once_its_leader_is_silent),
        cmocka_unit_test(a_sole_voter_leads_in_a_new_term_after_a_restart),
        cmocka_unit_test(a_vote_that_comes_late_does_not_move_a_follower_to_its_term),
        cmocka_unit_test(a_denied_pre_vote_tells_the_term_that_it_was_denied_in),
        cmocka_unit_test(a_voter_hears_of_losing_its_vote_when_that_is_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
