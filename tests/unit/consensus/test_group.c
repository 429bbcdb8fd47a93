/* Three groups in one thread, on virtual time, over simulated logs, with a network that the test
 * cuts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "consensus/group.h"
#include "consensus/message.h"
#include "tests/sim/log.h"

#define NODES    3
#define MAIL_MAX 65536

struct mail {
    uint64_t from;
    uint64_t to;
    size_t len;
    uint8_t *bytes;
};

struct cluster;

struct node {
    struct group_transport transport; /* first */
    struct cluster *cluster;
    uint64_t id;
    uint64_t boot;
    struct sim_log log;
    struct group *group;
    struct apply_queue *queue;
    bool wake;
    bool closed;
    uint64_t applied;
    unsigned applied_commands;
    unsigned seen[4096]; /* by counter of proposals */
    int refused_code;
    unsigned refused;
    int read_code;
    uint64_t read_index;
    unsigned reads;
    int transfer_code;
    uint64_t transfer_leader;
    unsigned transfers;
    bool fatal;
};

struct cluster {
    uint64_t now_us;
    struct clock clock;
    struct sim_random random;
    struct node nodes[NODES];
    bool cut[NODES + 1][NODES + 1]; /* [from][to] */
    struct mail mail[MAIL_MAX];
    size_t mail_len;
    size_t longest; /* message sent */
};

static uint64_t virtual_us(const struct clock *c)
{
    return *(uint64_t *)c->data;
}

static void on_refused(void *arg, struct proposal *p, const struct error *e)
{
    struct node *n = arg;
    n->refused++;
    n->refused_code = e->code;
}

static void on_read_index(void *arg, uint64_t ticket, int code, uint64_t index)
{
    struct node *n = arg;
    n->reads++;
    n->read_code = code;
    n->read_index = index;
}

static void on_leader(void *arg, uint64_t leader, uint64_t term)
{
}

static void on_transfer(void *arg, uint64_t ticket, const struct error *e, uint64_t leader)
{
    struct node *n = arg;
    n->transfers++;
    n->transfer_code = e->code;
    n->transfer_leader = leader;
}

static void on_wake(void *arg)
{
    ((struct node *)arg)->wake = true;
}

static void on_fatal(void *arg, const struct error *e)
{
    ((struct node *)arg)->fatal = true;
}

static void net_send(struct group_transport *t, uint64_t to, struct span message)
{
    struct node *n = (struct node *)t;
    struct cluster *c = n->cluster;
    if (c->cut[n->id][to] || c->mail_len == MAIL_MAX) {
        return;
    }
    struct mail *m = &c->mail[c->mail_len++];
    c->longest = message.len > c->longest ? message.len : c->longest;
    *m = (struct mail){.from = n->id, .to = to, .len = message.len, .bytes = malloc(message.len)};
    memcpy(m->bytes, message.data, message.len);
}

static void net_set_members(struct group_transport *t, const struct group_member *m, size_t n)
{
    assert_int_equal(n, NODES);
}

static bool net_is_connected(struct group_transport *t, uint64_t to)
{
    struct node *n = (struct node *)t;
    return !n->cluster->cut[n->id][to];
}

static void start_node(struct node *n)
{
    struct group_options o = {.id = n->id,
                              .boot = ++n->boot,
                              .address = "node",
                              .io = &n->log.io,
                              .transport = &n->transport,
                              .clock = &n->cluster->clock,
                              .queue = n->queue = apply_queue_new(),
                              .callbacks = {.on_refused = on_refused,
                                            .on_read_index = on_read_index,
                                            .on_leader = on_leader,
                                            .on_transfer = on_transfer,
                                            .on_wake = on_wake,
                                            .on_fatal = on_fatal},
                              .arg = n};
    struct error e = {0};
    assert_int_equal(group_new(&o, &n->group, &e), 0);
    assert_int_equal(group_start(n->group, &e), 0);
}

static struct cluster *cluster_new(unsigned seed)
{
    struct cluster *c = calloc(1, sizeof *c);
    c->now_us = 1000000;
    random_seed(&c->random, seed);
    c->clock =
        (struct clock){.monotonic_us = virtual_us, .wall_us = virtual_us, .data = &c->now_us};
    struct group_member members[NODES] = {
        {.id = 1, .address = "a:1"}, {.id = 2, .address = "b:1"}, {.id = 3, .address = "c:1"}};
    for (int i = 0; i < NODES; i++) {
        struct node *n = &c->nodes[i];
        n->cluster = c;
        n->id = (uint64_t)i + 1;
        n->transport = (struct group_transport){
            .send = net_send, .set_members = net_set_members, .is_connected = net_is_connected};
        sim_log_init(&n->log, &c->now_us, &c->random);
        assert_int_equal(group_bootstrap(&n->log.io, n->id, "node", members, NODES, NULL), 0);
        start_node(n);
    }
    return c;
}

static void on_closed(void *arg)
{
    ((struct node *)arg)->closed = true;
}

static void stop_node(struct node *n)
{
    n->closed = false;
    group_close(n->group, on_closed, n);
    assert_true(n->closed);
    apply_queue_free(n->queue);
    n->group = NULL;
}

static void cluster_free(struct cluster *c)
{
    for (int i = 0; i < NODES; i++) {
        if (c->nodes[i].group != NULL) {
            stop_node(&c->nodes[i]);
        }
        sim_log_release(&c->nodes[i].log);
    }
    for (size_t i = 0; i < c->mail_len; i++) {
        free(c->mail[i].bytes);
    }
    free(c);
}

/* What the apply thread would do: notes the commands, publishes. */
static bool apply(struct node *n)
{
    struct apply_job *job = apply_queue_take(n->queue, 1000, 1 << 20);
    if (job == NULL) {
        return false;
    }
    uint64_t bytes = 0;
    while (job != NULL) {
        struct apply_job *next = job->next;
        if (job->len > 0 && job->index > n->applied) {
            struct entry_header h;
            assert_int_equal(entry_decode(span_make(job->bytes, job->len), &h, NULL), 0);
            struct span rest =
                span_make(job->bytes + ENTRY_HEADER_BYTES, job->len - ENTRY_HEADER_BYTES);
            for (unsigned i = 0; i < h.items; i++) {
                struct item item;
                size_t len;
                assert_int_equal(item_decode(rest, &item, &len, NULL), 0);
                n->seen[item.id.counter]++;
                n->applied_commands++;
                rest = span_skip(rest, len);
            }
        }
        if (job->index > n->applied) {
            assert_int_equal(job->previous <= n->applied, true);
            n->applied = job->index;
        }
        bytes += job->len;
        free(job);
        job = next;
    }
    apply_queue_done(n->queue, bytes);
    group_set_published(n->group, n->applied, n->applied, 0, (struct hash128){0},
                        (struct hash128){0});
    return true;
}

static bool deliver(struct cluster *c)
{
    size_t n = c->mail_len;
    struct mail *batch = malloc((n + 1) * sizeof *batch);
    memcpy(batch, c->mail, n * sizeof *batch);
    c->mail_len = 0;
    for (size_t i = 0; i < n; i++) {
        struct node *to = &c->nodes[batch[i].to - 1];
        if (to->group != NULL && !c->cut[batch[i].from][batch[i].to]) {
            group_receive(to->group, batch[i].from, span_make(batch[i].bytes, batch[i].len));
        }
        free(batch[i].bytes);
    }
    free(batch);
    return n > 0;
}

/* Runs everything that is due at this moment, then moves time by a millisecond. */
static void step(struct cluster *c)
{
    bool busy = true;
    for (int rounds = 0; busy && rounds < 1000; rounds++) {
        busy = deliver(c);
        for (int i = 0; i < NODES; i++) {
            struct node *n = &c->nodes[i];
            if (n->group == NULL) {
                continue;
            }
            busy = sim_log_step(&n->log) || busy;
            if (n->wake) {
                n->wake = false;
                group_flush(n->group);
            }
            busy = apply(n) || busy;
        }
    }
    c->now_us += 1000;
}

static void run_ms(struct cluster *c, unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        step(c);
    }
}

static struct group_status status_of(struct node *n)
{
    static struct group_status s;
    group_status(n->group, &s);
    return s;
}

static struct node *leader_of(struct cluster *c)
{
    for (int i = 0; i < NODES; i++) {
        struct node *n = &c->nodes[i];
        if (n->group != NULL && status_of(n).is_leader) {
            return n;
        }
    }
    return NULL;
}

static struct node *wait_for_leader(struct cluster *c)
{
    for (int i = 0; i < 20000; i++) {
        step(c);
        struct node *n = leader_of(c);
        if (n != NULL && status_of(n).published == status_of(n).last_index) {
            return n;
        }
    }
    fail_msg("no leader");
    return NULL;
}

static struct node *another(struct cluster *c, const struct node *n)
{
    return &c->nodes[n->id % NODES];
}

static struct proposal *propose(struct node *n, uint64_t counter, bool repeatable, unsigned ms)
{
    struct item item = {.kind = ITEM_TXN,
                        .id = {.node = n->id, .boot = 9, .counter = counter},
                        .command = span_of("command")};
    struct proposal *p = proposal_new(&item, repeatable, n->cluster->now_us + ms * 1000u);
    group_propose(n->group, p);
    return p;
}

static void isolate(struct cluster *c, uint64_t id, bool cut)
{
    for (uint64_t i = 1; i <= NODES; i++) {
        c->cut[id][i] = cut;
        c->cut[i][id] = cut;
    }
}

static void assert_all_applied_once(struct cluster *c, uint64_t counter)
{
    for (int i = 0; i < NODES; i++) {
        assert_int_equal(c->nodes[i].seen[counter], 1);
    }
}

static void a_command_given_to_a_follower_is_applied_once_on_every_node(void **state)
{
    struct cluster *c = cluster_new(1);
    struct node *leader = wait_for_leader(c);
    proposal_unref(propose(another(c, leader), 7, false, 5000));
    proposal_unref(propose(leader, 8, false, 5000));
    run_ms(c, 300);
    assert_all_applied_once(c, 7);
    assert_all_applied_once(c, 8);
    cluster_free(c);
}

static void commands_given_before_there_is_a_leader_wait_for_one(void **state)
{
    struct cluster *c = cluster_new(2);
    struct proposal *p = propose(&c->nodes[0], 5, false, 60000);
    assert_int_equal(atomic_load(&p->state), PROPOSAL_QUEUED);
    (void)wait_for_leader(c);
    run_ms(c, 500);
    assert_all_applied_once(c, 5);
    proposal_unref(p);
    cluster_free(c);
}

static void a_withdrawn_command_is_never_applied(void **state)
{
    struct cluster *c = cluster_new(3);
    struct node *leader = wait_for_leader(c);
    struct node *follower = another(c, leader);
    isolate(c, follower->id, true);
    struct proposal *p = propose(follower, 6, true, 60000);
    run_ms(c, 100);
    assert_true(proposal_move(p, PROPOSAL_QUEUED, PROPOSAL_WITHDRAWN));
    isolate(c, follower->id, false);
    run_ms(c, 3000);
    assert_int_equal(leader->seen[6], 0);
    proposal_unref(p);
    cluster_free(c);
}

static void a_repeatable_command_survives_its_leader(void **state)
{
    struct cluster *c = cluster_new(4);
    struct node *old = wait_for_leader(c);
    struct node *follower = another(c, old);
    /* The leader hears of it, but none of its messages leaves. */
    for (uint64_t i = 1; i <= NODES; i++) {
        c->cut[old->id][i] = true;
    }
    proposal_unref(propose(follower, 11, true, 60000));
    run_ms(c, 6000);
    struct node *next = leader_of(c);
    assert_non_null(next);
    assert_true(next->seen[11] >= 1);
    cluster_free(c);
}

static void reads_are_linearizable_on_every_node_right_after_an_election(void **state)
{
    struct cluster *c = cluster_new(5);
    struct node *leader = wait_for_leader(c);
    for (int i = 0; i < NODES; i++) {
        group_read_index(c->nodes[i].group, 1, c->now_us + 5000000);
    }
    run_ms(c, 50);
    for (int i = 0; i < NODES; i++) {
        struct node *n = &c->nodes[i];
        assert_int_equal(n->reads, 1);
        assert_int_equal(n->read_code, 0);
        assert_int_equal(n->read_index, status_of(leader).commit);
        assert_true(n->applied >= n->read_index); /* an idle cluster's read does not hang */
    }
    cluster_free(c);
}

static void a_cut_off_leader_serves_no_linearizable_read(void **state)
{
    struct cluster *c = cluster_new(6);
    struct node *old = wait_for_leader(c);
    isolate(c, old->id, true);
    group_read_index(old->group, 1, c->now_us + 4000000);
    run_ms(c, 3000);
    assert_int_equal(old->reads, 0);
    struct node *next = another(c, old);
    proposal_unref(propose(next, 21, true, 60000));
    run_ms(c, 3000);
    assert_int_equal(old->reads, 1);
    assert_int_equal(old->read_code, CLADE_ERR_UNAVAILABLE);
    assert_true(next->seen[21] >= 1);
    assert_int_equal(old->seen[21], 0);
    isolate(c, old->id, false);
    run_ms(c, 3000);
    assert_true(old->seen[21] >= 1);
    group_read_index(old->group, 2, c->now_us + 4000000);
    run_ms(c, 100);
    assert_int_equal(old->reads, 2);
    assert_int_equal(old->read_code, 0);
    cluster_free(c);
}

static void a_transfer_moves_leadership_and_loses_no_command(void **state)
{
    struct cluster *c = cluster_new(7);
    struct node *old = wait_for_leader(c);
    struct node *to = another(c, old);
    group_transfer(old->group, 1, to->id, c->now_us + 3000000);
    for (uint64_t i = 100; i < 200; i++) {
        proposal_unref(propose(old, i, true, 60000));
        step(c);
    }
    run_ms(c, 1000);
    assert_int_equal(old->transfers, 1);
    assert_int_equal(old->transfer_code, 0);
    assert_int_equal(old->transfer_leader, to->id);
    assert_ptr_equal(leader_of(c), to);
    for (uint64_t i = 100; i < 200; i++) {
        assert_all_applied_once(c, i);
    }
    cluster_free(c);
}

static void a_transfer_asked_of_a_follower_is_refused(void **state)
{
    struct cluster *c = cluster_new(8);
    struct node *follower = another(c, wait_for_leader(c));
    group_transfer(follower->group, 1, 0, c->now_us + 3000000);
    assert_int_equal(follower->transfers, 1);
    assert_int_equal(follower->transfer_code, CLADE_ERR_RETRY);
    cluster_free(c);
}

static void a_full_disk_refuses_writes_and_clears_by_itself(void **state)
{
    struct cluster *c = cluster_new(9);
    struct node *leader = wait_for_leader(c);
    group_set_headroom(leader->group, false);
    proposal_unref(propose(leader, 30, false, 5000));
    run_ms(c, 20);
    assert_int_equal(leader->refused, 1);
    assert_int_equal(leader->refused_code, CLADE_ERR_NO_SPACE);
    group_set_headroom(leader->group, true);
    proposal_unref(propose(leader, 31, false, 5000));
    run_ms(c, 300);
    assert_int_equal(leader->seen[30], 0);
    assert_all_applied_once(c, 31);
    cluster_free(c);
}

static void a_restarted_node_replays_its_log(void **state)
{
    struct cluster *c = cluster_new(10);
    struct node *leader = wait_for_leader(c);
    for (uint64_t i = 1; i <= 50; i++) {
        proposal_unref(propose(leader, i, false, 5000));
    }
    run_ms(c, 300);
    struct node *n = another(c, leader);
    stop_node(n);
    n->applied = 0;
    memset(n->seen, 0, sizeof n->seen);
    start_node(n);
    run_ms(c, 500);
    for (uint64_t i = 1; i <= 50; i++) {
        assert_all_applied_once(c, i);
    }
    cluster_free(c);
}

static void garbage_from_a_member_changes_nothing(void **state)
{
    struct cluster *c = cluster_new(11);
    struct node *leader = wait_for_leader(c);
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
        group_receive(leader->group, another(c, leader)->id, span_make(bytes, 2 + i % 94));
    }
    leader = wait_for_leader(c);
    proposal_unref(propose(leader, 40, true, 5000));
    run_ms(c, 500);
    assert_false(leader->fatal);
    assert_true(leader->seen[40] >= 1);
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
    struct node *leader = wait_for_leader(c);
    struct node *old = another(c, leader);
    struct raft_message stale = {.type = RAFT_APPEND_ENTRIES};
    stale.append_entries = (struct raft_append_entries){.term = 1};
    struct buffer b;
    buffer_init(&b, 4096);
    assert_true(peer_put_raft(&b, &stale, NULL, 0));
    group_receive(leader->group, old->id, buffer_span(&b));
    struct peer_message answer;
    assert_true(last_mail(c, leader->id, old->id, &answer));
    assert_int_equal(answer.type, PEER_APPEND_ENTRIES_RESULT);
    assert_int_equal(answer.raft.append_entries_result.term, status_of(leader).term);
    assert_int_equal(answer.raft.append_entries_result.rejected, 1);
    assert_int_equal(answer.raft.append_entries_result.last_log_index, 0);
    buffer_release(&b);
    cluster_free(c);
}

static void a_follower_that_lags_gets_its_entries_in_parts(void **state)
{
    struct cluster *c = cluster_new(13);
    struct node *leader = wait_for_leader(c);
    struct node *late = another(c, leader);
    char *command = calloc(1, 600000);
    isolate(c, late->id, true);
    for (uint64_t i = 1; i <= 8; i++) {
        struct item item = {.kind = ITEM_TXN,
                            .id = {.node = leader->id, .boot = 9, .counter = i},
                            .command = span_make(command, 600000)};
        struct proposal *p = proposal_new(&item, false, UINT64_MAX);
        group_propose(leader->group, p);
        proposal_unref(p);
        run_ms(c, 10);
    }
    c->longest = 0;
    isolate(c, late->id, false);
    run_ms(c, 3000);
    assert_int_equal(late->applied_commands, 8);
    assert_in_range(c->longest, 600000, PEER_APPEND_BYTES_MAX + 4096);
    free(command);
    cluster_free(c);
}

static uint64_t match_of(struct node *leader, uint64_t id)
{
    struct group_status s = status_of(leader);
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
    struct node *leader = wait_for_leader(c);
    struct node *follower = another(c, leader);
    run_ms(c, 500);
    isolate(c, follower->id, true);
    proposal_unref(propose(leader, 1, true, 60000));
    run_ms(c, 3000); /* until the leader probes */
    uint64_t match = match_of(leader, follower->id);
    struct raft_message late = {.type = RAFT_APPEND_ENTRIES_RESULT};
    late.append_entries_result = (struct raft_append_entries_result){
        .term = status_of(leader).term, .rejected = match, .last_log_index = match - 1};
    struct buffer b;
    buffer_init(&b, 4096);
    assert_true(peer_put_raft(&b, &late, NULL, 0));
    group_receive(leader->group, follower->id, buffer_span(&b));
    isolate(c, follower->id, false);
    run_ms(c, 3000);
    assert_true(follower->seen[1] >= 1);
    buffer_release(&b);
    cluster_free(c);
}

/* Seeds 58 and 79 of the simulator. */
static void a_reply_to_a_request_before_a_restart_answers_no_read_after_it(void **state)
{
    struct cluster *c = cluster_new(15);
    struct node *leader = wait_for_leader(c);
    struct node *n = another(c, leader);
    run_ms(c, 300);
    uint64_t boot = n->boot;
    stop_node(n);
    n->applied = 0;
    start_node(n);
    run_ms(c, 300);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_given_to_a_follower_is_applied_once_on_every_node),
        cmocka_unit_test(commands_given_before_there_is_a_leader_wait_for_one),
        cmocka_unit_test(a_withdrawn_command_is_never_applied),
        cmocka_unit_test(a_repeatable_command_survives_its_leader),
        cmocka_unit_test(reads_are_linearizable_on_every_node_right_after_an_election),
        cmocka_unit_test(a_cut_off_leader_serves_no_linearizable_read),
        cmocka_unit_test(a_transfer_moves_leadership_and_loses_no_command),
        cmocka_unit_test(a_transfer_asked_of_a_follower_is_refused),
        cmocka_unit_test(a_full_disk_refuses_writes_and_clears_by_itself),
        cmocka_unit_test(a_restarted_node_replays_its_log),
        cmocka_unit_test(garbage_from_a_member_changes_nothing),
        cmocka_unit_test(an_append_of_an_older_term_is_answered_with_a_rejection_of_ours),
        cmocka_unit_test(a_follower_that_lags_gets_its_entries_in_parts),
        cmocka_unit_test(a_rejection_that_comes_late_does_not_end_replication),
        cmocka_unit_test(a_reply_to_a_request_before_a_restart_answers_no_read_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
