#include "consensus/group_internal.h"

/* Handing leadership over: nothing new is proposed, the target gets all of the log, then libraft
 * tells it to call an election at once (dissertation, 3.10). */

static void finish(struct group *g, int code, const char *why, uint64_t leader)
{
    struct error e = {0};
    if (code != 0) {
        (void)error_set(&e, code, NULL, "%s", why);
    }
    g->transfer.active = false;
    if (g->transfer.ticket != GROUP_OWN_TICKET) {
        g->options.callbacks.on_transfer(g->options.arg, g->transfer.ticket, &e, leader);
    }
    group_wake(g);
}

static void fail(struct group *g, uint64_t ticket, int code, const char *why)
{
    struct error e = {0};
    (void)error_set(&e, code, NULL, "%s", why);
    g->options.callbacks.on_transfer(g->options.arg, ticket, &e, group_leader(g));
}

/* The connected voter whose log is longest, and which is to stay one; 0 when there is none. */
static uint64_t best_target(struct group *g)
{
    const struct raft_configuration *c = &g->raft.configuration;
    uint64_t best = 0;
    raft_index best_match = 0;
    for (unsigned i = 0; i < c->n; i++) {
        const struct raft_server *s = &c->servers[i];
        raft_index match = 0;
        enum member_wanted wanted = group_wanted(g, s->id);
        if (s->id != g->options.id && s->role == RAFT_VOTER && wanted != MEMBER_REMOVED &&
            wanted != MEMBER_STANDBY &&
            g->options.transport->is_connected(g->options.transport, s->id) &&
            raft_match_index(&g->raft, s->id, &match) == 0 && (best == 0 || match > best_match)) {
            best = s->id;
            best_match = match;
        }
    }
    return best;
}

static bool is_other_voter(struct group *g, uint64_t id)
{
    int i = group_member_index(g, id);
    return i >= 0 && id != g->options.id && g->raft.configuration.servers[i].role == RAFT_VOTER;
}

void group_transfer(struct group *g, uint64_t ticket, uint64_t to, uint64_t deadline_us)
{
    if (!group_leads(g)) {
        fail(g, ticket, CLADE_ERR_RETRY, "this node does not lead");
    } else if (g->transfer.active || g->raft.transfer != NULL) {
        fail(g, ticket, CLADE_ERR_RETRY, "a transfer is under way");
    } else if (to == g->options.id) {
        g->options.callbacks.on_transfer(g->options.arg, ticket, &(struct error){0}, to);
    } else if (to != 0 && !is_other_voter(g, to)) {
        fail(g, ticket, CLADE_ERR_INVALID, "the target is not a voter of this cluster");
    } else if (to == 0 && (to = best_target(g)) == 0) {
        fail(g, ticket, CLADE_ERR_UNAVAILABLE, "no other voter is connected");
    } else {
        g->transfer.active = true;
        g->transfer.ticket = ticket;
        g->transfer.to = to;
        g->transfer.deadline_us = deadline_us;
        group_transfer_step(g);
    }
}

void group_transfer_away(struct group *g)
{
    uint64_t to = best_target(g);
    if (g->transfer.active || g->raft.transfer != NULL || to == 0) {
        return;
    }
    g->transfer.active = true;
    g->transfer.ticket = GROUP_OWN_TICKET;
    g->transfer.to = to;
    g->transfer.deadline_us = group_now(g) + g->options.election_timeout_ms * UINT64_C(2000);
    group_transfer_step(g);
}

static void start(struct group *g)
{
    raft_index match = 0;
    if (raft_match_index(&g->raft, g->transfer.to, &match) != 0 ||
        match != raft_last_index(&g->raft)) {
        return; /* a later step finds it there */
    }
    (void)raft_transfer(&g->raft, &g->transfer.req, g->transfer.to, NULL);
}

void group_transfer_step(struct group *g)
{
    if (!g->transfer.active) {
        return;
    }
    if (!group_leads(g)) {
        uint64_t leader = group_leader(g);
        if (leader != 0) {
            bool ours = leader == g->transfer.to;
            finish(g, ours ? 0 : CLADE_ERR_CONFLICT, "another member took over", leader);
        } else if (group_now(g) >= g->transfer.deadline_us) {
            finish(g, CLADE_ERR_UNAVAILABLE, "no leader was elected in time", 0);
        }
        return;
    }
    if (group_now(g) >= g->transfer.deadline_us) {
        finish(g, CLADE_ERR_UNAVAILABLE, "the target did not take over in time; this node leads on",
               g->options.id);
        return;
    }
    if (g->raft.transfer == NULL) {
        start(g);
    }
}
