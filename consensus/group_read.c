#include <stdlib.h>

#include "base/check.h"
#include "consensus/group_internal.h"

/* Read index (Ongaro's dissertation, section 6.4). A leader that has committed an entry of its own
 * term notes its commit index, then asks the voters for their term; when a majority, asked after
 * that, is still in the leader's term, no later leader can have committed anything before the
 * index was noted. No clock is trusted. A round serves every read that came before its probes
 * left; later ones wait for the next. */

void group_read_init(struct group *g)
{
    list_init(&g->reads);
    list_init(&g->asked);
    list_init(&g->round.tickets);
}

static struct read_ticket *ticket_of(struct list *node)
{
    return LIST_ENTRY(node, struct read_ticket, node);
}

/* Answers it and frees it. */
static void resolve(struct group *g, struct read_ticket *t, int code, uint64_t index)
{
    if (t->from == 0) {
        g->options.callbacks.on_read_index(g->options.arg, t->ticket, code, index);
    } else {
        buffer_clear(&g->scratch);
        peer_put_read_reply(&g->scratch, t->boot, t->ticket, code, index);
        group_send_scratch(g, t->from);
    }
    free(t);
}

static void resolve_all(struct group *g, struct list *tickets, int code, uint64_t index)
{
    while (!list_is_empty(tickets)) {
        resolve(g, ticket_of(list_pop_front(tickets)), code, index);
    }
}

static bool add_ticket(
    struct group *g, uint64_t ticket, uint64_t from, uint64_t boot, uint64_t deadline_us)
{
    struct read_ticket *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return false;
    }
    t->ticket = ticket;
    t->from = from;
    t->boot = boot;
    t->deadline_us = deadline_us;
    list_push_back(&g->reads, &t->node);
    return true;
}

void group_read_index(struct group *g, uint64_t ticket, uint64_t deadline_us)
{
    CHECK(add_ticket(g, ticket, 0, 0, deadline_us));
    group_wake(g);
}

/* --- the leader's rounds --- */

static bool is_voter(const struct raft_server *s)
{
    return s->role == RAFT_VOTER;
}

static void send_probes(struct group *g)
{
    const struct raft_configuration *c = &g->raft.configuration;
    for (unsigned i = 0; i < c->n; i++) {
        bool answered = (g->round.answered >> i & 1) != 0;
        if (is_voter(&c->servers[i]) && !answered && c->servers[i].id != g->options.id) {
            buffer_clear(&g->scratch);
            peer_put_round(&g->scratch, PEER_READ_PROBE, g->round.term, g->round.number);
            group_send_scratch(g, c->servers[i].id);
        }
    }
}

static bool majority_answered(struct group *g)
{
    const struct raft_configuration *c = &g->raft.configuration;
    unsigned voters = 0;
    unsigned answered = 0;
    for (unsigned i = 0; i < c->n && i < GROUP_MEMBERS_MAX; i++) {
        if (is_voter(&c->servers[i])) {
            voters++;
            answered += g->round.answered >> i & 1;
        }
    }
    return answered > voters / 2;
}

static void finish_round_if_done(struct group *g)
{
    if (!g->round.active || !majority_answered(g)) {
        return;
    }
    if (!group_leads(g) || raft_current_term(&g->raft) != g->round.term) {
        return; /* group_read_leader_changed cleans up */
    }
    g->round.active = false;
    resolve_all(g, &g->round.tickets, 0, g->round.index);
    if (!list_is_empty(&g->reads)) {
        group_wake(g);
    }
}

static void begin_round(struct group *g)
{
    int self = group_member_index(g, g->options.id);
    g->round.active = true;
    g->round.number = ++g->round_number;
    g->round.term = raft_current_term(&g->raft);
    g->round.index = raft_commit_index(&g->raft);
    g->round.answered = self < 0 ? 0 : UINT64_C(1) << self;
    list_splice_back(&g->round.tickets, &g->reads);
    send_probes(g);
    finish_round_if_done(g);
}

static void on_answer(struct group *g, uint64_t from, const struct peer_message *m)
{
    int i = group_member_index(g, from);
    if (g->round.active && i >= 0 && m->number == g->round.number && m->term == g->round.term) {
        g->round.answered |= UINT64_C(1) << i;
        finish_round_if_done(g);
    }
}

/* --- the follower's requests --- */

static void ask_leader(struct group *g, uint64_t leader)
{
    uint64_t request = ++g->request_number;
    LIST_FOREACH(node, &g->reads)
    {
        struct read_ticket *t = ticket_of(node);
        list_remove(node);
        if (t->from != 0) {
            resolve(g, t, CLADE_ERR_RETRY, 0); /* asked while we led */
            continue;
        }
        t->request = request;
        list_push_back(&g->asked, node);
    }
    if (list_is_empty(&g->asked)) {
        return;
    }
    g->request_us = group_now(g);
    buffer_clear(&g->scratch);
    peer_put_read_request(&g->scratch, g->options.boot, request);
    group_send_scratch(g, leader);
}

static void ask_again(struct group *g)
{
    list_splice_back(&g->asked, &g->reads);
    list_splice_back(&g->reads, &g->asked);
    if (!list_is_empty(&g->reads)) {
        group_wake(g);
    }
}

/* A reply to a later request covers the earlier ones: its index was noted after them. One to a
 * request from before this node's last start has a number that means nothing any more, and an
 * index that may be older than what was acknowledged since. */
static void on_reply(struct group *g, const struct peer_message *m)
{
    if (m->code != 0 || m->boot != g->options.boot) {
        return; /* asked again on a tick, of whoever leads then */
    }
    LIST_FOREACH(node, &g->asked)
    {
        struct read_ticket *t = ticket_of(node);
        if (t->request <= m->number) {
            list_remove(node);
            resolve(g, t, 0, m->index);
        }
    }
}

static void on_request(struct group *g, uint64_t from, const struct peer_message *m)
{
    uint64_t deadline_us = group_now(g) + 10u * 1000000u;
    if (!group_leads(g) || !add_ticket(g, m->number, from, m->boot, deadline_us)) {
        buffer_clear(&g->scratch);
        peer_put_read_reply(&g->scratch, m->boot, m->number, CLADE_ERR_RETRY, 0);
        group_send_scratch(g, from);
        return;
    }
    group_wake(g);
}

void group_read_receive(struct group *g, uint64_t from, const struct peer_message *m)
{
    switch (m->type) {
    case PEER_READ_PROBE:
        buffer_clear(&g->scratch);
        peer_put_round(&g->scratch, PEER_READ_ANSWER, raft_current_term(&g->raft), m->number);
        group_send_scratch(g, from);
        break;
    case PEER_READ_ANSWER:
        on_answer(g, from, m);
        break;
    case PEER_READ_REQUEST:
        on_request(g, from, m);
        break;
    default:
        if (from == group_leader(g)) {
            on_reply(g, m);
        }
        break;
    }
}

void group_read_flush(struct group *g)
{
    if (list_is_empty(&g->reads)) {
        return;
    }
    if (group_leads(g)) {
        if (!g->round.active && g->own_term_committed == raft_current_term(&g->raft)) {
            begin_round(g);
        }
        return;
    }
    uint64_t leader = group_leader(g);
    if (leader != 0 && leader != g->options.id &&
        g->options.transport->is_connected(g->options.transport, leader)) {
        ask_leader(g, leader);
    }
}

static void drop_late(struct group *g, struct list *tickets, uint64_t now)
{
    LIST_FOREACH(node, tickets)
    {
        struct read_ticket *t = ticket_of(node);
        if (now >= t->deadline_us) {
            list_remove(node);
            resolve(g, t, CLADE_ERR_UNAVAILABLE, 0);
        }
    }
}

void group_read_tick(struct group *g)
{
    uint64_t now = group_now(g);
    drop_late(g, &g->reads, now);
    drop_late(g, &g->asked, now);
    drop_late(g, &g->round.tickets, now);
    if (g->round.active) {
        int self = group_member_index(g, g->options.id);
        g->round.answered |= self < 0 ? 0 : UINT64_C(1) << self;
        send_probes(g);
    }
    uint64_t patience_us = g->options.election_timeout_ms * UINT64_C(500);
    if (!list_is_empty(&g->asked) && now - g->request_us > patience_us) {
        ask_again(g);
    }
}

void group_read_leader_changed(struct group *g)
{
    if (g->round.active && (!group_leads(g) || raft_current_term(&g->raft) != g->round.term)) {
        g->round.active = false;
        list_splice_back(&g->round.tickets, &g->reads);
        list_splice_back(&g->reads, &g->round.tickets);
    }
    ask_again(g);
}

void group_read_close(struct group *g)
{
    g->round.active = false;
    list_splice_back(&g->reads, &g->asked);
    list_splice_back(&g->reads, &g->round.tickets);
    LIST_FOREACH(node, &g->reads)
    {
        struct read_ticket *t = ticket_of(node);
        list_remove(node);
        if (t->from == 0) {
            g->options.callbacks.on_read_index(g->options.arg, t->ticket, CLADE_ERR_UNAVAILABLE, 0);
        }
        free(t);
    }
}
