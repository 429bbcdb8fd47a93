#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "consensus/group_internal.h"

/* Membership. What is wanted of each node stands in the members table of the store, written by a
 * logged command; whoever leads moves Raft's configuration there, one change at a time:
 *
 *     (not in it) --add--> spare --its store is near--> standby --its log is near--> voter
 *          ^                                               ^---------- demote ---------'
 *          '------------------------- remove, from each of them
 *
 * So a change survives its leader, and asking for one again does no harm. A node's id is used once:
 * the table remembers the removed. A spare hears nothing from libraft; the leader's beacon tells it
 * how far the log is, and catch_up.h brings it there. */

#define WISHES_INTERVAL_US 250000u
#define BEACON_INTERVAL_US 500000u
#define CHANGE_RETRY_US    1000000u
/* A standby this close to the end of the log becomes a voter. */
#define NEAR_BYTES (4u << 20)

/* --- who is known --- */

const struct group_member *group_known(const struct group *g, uint64_t id)
{
    for (size_t i = 0; i < g->known_len; i++) {
        if (g->known[i].id == id) {
            return &g->known[i];
        }
    }
    return NULL;
}

static enum group_role role_of(int raft_role)
{
    return raft_role == RAFT_VOTER     ? GROUP_VOTER
           : raft_role == RAFT_STANDBY ? GROUP_STANDBY
                                       : GROUP_SPARE;
}

void group_copy_member(const struct raft_server *server, struct group_member *ret)
{
    *ret = (struct group_member){.id = server->id, .role = role_of(server->role)};
    (void)snprintf(ret->address, sizeof ret->address, "%s", server->address);
}

static void know_configuration(struct group *g, const struct raft_configuration *c)
{
    g->known_len = 0;
    for (unsigned i = 0; i < c->n && g->known_len < GROUP_MEMBERS_MAX; i++) {
        group_copy_member(&c->servers[i], &g->known[g->known_len++]);
    }
    g->options.transport->set_members(g->options.transport, g->known, g->known_len);
}

void group_members_init(struct group *g)
{
    g->known_len = g->options.contacts_len;
    CHECK(g->known_len <= GROUP_MEMBERS_MAX);
    if (g->known_len > 0) {
        memcpy(g->known, g->options.contacts, g->known_len * sizeof g->known[0]);
    }
}

void group_members_notice(struct group *g)
{
    const struct raft *r = &g->raft;
    if (g->members_seen && g->configuration_seen[0] == r->configuration_committed_index &&
        g->configuration_seen[1] == r->configuration_uncommitted_index) {
        return;
    }
    g->members_seen = true;
    g->configuration_seen[0] = r->configuration_committed_index;
    g->configuration_seen[1] = r->configuration_uncommitted_index;
    raft_index newest = r->configuration_uncommitted_index != 0 ? r->configuration_uncommitted_index
                                                                : r->configuration_committed_index;
    /* A member that follows a log from long ago meets the configurations of then: what the leader
     * of this term said of now stands above them. */
    bool told = g->beacon_index > newest && g->beacon_term == raft_current_term(&g->raft);
    if (r->configuration.n > 0 && !told) {
        know_configuration(g, &r->configuration);
    } else {
        g->options.transport->set_members(g->options.transport, g->known, g->known_len);
    }
    memset(g->commit_told, 0, sizeof g->commit_told);
    g->round.answered = 0; /* positions may mean other members now: the round asks again */
}

/* --- what is wanted --- */

static void on_record(void *arg, const struct member_record *record)
{
    struct group *g = arg;
    struct group_changes *c = &g->changes;
    bool matters = record->wanted == MEMBER_REMOVED ? group_member_index(g, record->node) >= 0
                                                    : record->wanted != MEMBER_AS_CONFIGURED;
    if (!matters || c->wishes_len == GROUP_MEMBERS_MAX) {
        return;
    }
    struct group_wish *w = &c->wishes[c->wishes_len++];
    *w = (struct group_wish){.id = record->node, .wanted = record->wanted};
    (void)snprintf(w->address, sizeof w->address, "%s", record->peer_address);
}

/* False while the store is behind what the configuration came after: an older wish must not undo a
 * newer change. */
static bool read_wishes(struct group *g)
{
    struct group_changes *c = &g->changes;
    struct error e = {0};
    uint64_t applied = store_position(g->options.store).applied;
    if (applied < g->raft.configuration_committed_index || applied < g->barrier_index) {
        return false;
    }
    c->wishes_len = 0;
    return store_members(g->options.store, on_record, g, &e) == 0;
}

static const struct group_wish *wish_of(const struct group *g, uint64_t id)
{
    for (size_t i = 0; i < g->changes.wishes_len; i++) {
        if (g->changes.wishes[i].id == id) {
            return &g->changes.wishes[i];
        }
    }
    return NULL;
}

enum member_wanted group_wanted(const struct group *g, uint64_t id)
{
    const struct group_wish *w = wish_of(g, id);
    return w == NULL ? MEMBER_AS_CONFIGURED : w->wanted;
}

static bool is_removed(struct group *g, uint64_t id)
{
    struct member_record record;
    return g->options.store != NULL && store_member(g->options.store, id, &record, NULL) == 0 &&
           record.wanted == MEMBER_REMOVED;
}

/* Not before the configuration without it is committed: until then its vote may be needed. */
bool group_is_gone(struct group *g, uint64_t id)
{
    return g->raft.configuration.n > 0 && g->raft.configuration_uncommitted_index == 0 &&
           group_member_index(g, id) < 0 && is_removed(g, id);
}

/* --- quorum --- */

static bool is_healthy(struct group *g, uint64_t id)
{
    if (id == g->options.id) {
        return true;
    }
    const struct member_news *news = group_news_of(g, id);
    return g->options.transport->is_connected(g->options.transport, id) && news != NULL &&
           group_now(g) - news->heard_us < GROUP_HEARD_US;
}

/* Voters without that one, and how many of them answer. */
static void count_voters(struct group *g, uint64_t without, unsigned *ret_voters, unsigned *ret_up)
{
    *ret_voters = 0;
    *ret_up = 0;
    const struct raft_configuration *c = &g->raft.configuration;
    for (unsigned i = 0; i < c->n; i++) {
        if (c->servers[i].role == RAFT_VOTER && c->servers[i].id != without) {
            (*ret_voters)++;
            *ret_up += is_healthy(g, c->servers[i].id);
        }
    }
}

static int check_quorum(struct group *g, uint64_t without, struct error *error)
{
    unsigned voters;
    unsigned up;
    count_voters(g, without, &voters, &up);
    if (voters == 0) {
        return error_set(error, CLADE_ERR_CONFLICT, "node",
                         "node %llu is the last voter; promote another node first",
                         (unsigned long long)without);
    }
    if (up < voters / 2 + 1) {
        return error_set(error, CLADE_ERR_UNAVAILABLE, "node",
                         "the cluster would lose its quorum: without node %llu, %u of %u voters "
                         "answer; bring others back first",
                         (unsigned long long)without, up, voters);
    }
    return 0;
}

/* --- the changes, on the leader --- */

static bool may_change(struct group *g)
{
    return group_leads(g) && g->own_term_committed == raft_current_term(&g->raft) &&
           !g->transfer.active && g->raft.transfer == NULL && g->raft.legacy.change == NULL &&
           g->raft.configuration_uncommitted_index == 0;
}

static void finish_change(struct group *g, int rv, const char *what, uint64_t id)
{
    if (rv != 0) {
        g->raft.legacy.change = NULL; /* raft_assign leaves it set when it fails */
        g->changes.retry_us = group_now(g) + CHANGE_RETRY_US;
        return;
    }
    group_notice(g, false, what, id);
}

static void remove_member(struct group *g, uint64_t id)
{
    int rv = raft_remove(&g->raft, &g->changes.req, id, NULL);
    finish_change(g, rv, "removing a member", id);
}

static void assign(struct group *g, uint64_t id, int role, const char *what)
{
    int rv = raft_assign(&g->raft, &g->changes.req, id, role, NULL);
    finish_change(g, rv, what, id);
}

/* A voter that is to go. The leader hands over first. */
static bool retire(struct group *g, const struct raft_server *s, enum member_wanted wanted)
{
    struct error e = {0};
    if (s->role == RAFT_VOTER && check_quorum(g, s->id, &e) != 0) {
        return false;
    }
    if (s->id == g->options.id) {
        group_transfer_away(g);
    } else if (wanted == MEMBER_REMOVED) {
        remove_member(g, s->id);
    } else {
        assign(g, s->id, RAFT_STANDBY, "a voter becomes a standby");
    }
    return true;
}

/* The store of a spare has reached what a snapshot of ours stands for, so that the log follows. */
static bool spare_is_near(struct group *g, uint64_t id)
{
    const struct member_news *news = group_news_of(g, id);
    raft_index commit = raft_commit_index(&g->raft);
    return is_healthy(g, id) && news->news.published >= g->snapshot.index &&
           news->news.published + 1 >= g->log.first &&
           (news->news.published >= commit ||
            commit - news->news.published <= (commit + 1 - g->log.first) / 2 + 64);
}

/* Log and store of a standby are both near the end, and it knows itself as one: else it could not
 * vote before it has heard of its promotion. */
static bool standby_is_near(struct group *g, uint64_t id)
{
    const struct member_news *news = group_news_of(g, id);
    raft_index match = 0;
    raft_index last = raft_last_index(&g->raft);
    if (!is_healthy(g, id) || raft_match_index(&g->raft, id, &match) != 0 || match < g->log.first ||
        last > log_bytes_last(&g->log)) {
        return false;
    }
    uint64_t near = log_bytes_trailing(&g->log, last, NEAR_BYTES);
    return match + near >= last && news->news.published + near >= last;
}

static bool advance_member(struct group *g, const struct raft_server *s, enum member_wanted wanted)
{
    if (s->role == RAFT_SPARE && spare_is_near(g, s->id)) {
        assign(g, s->id, RAFT_STANDBY, "a spare has caught up and becomes a standby");
        return true;
    }
    if (s->role == RAFT_STANDBY && wanted == MEMBER_VOTER && standby_is_near(g, s->id)) {
        assign(g, s->id, RAFT_VOTER, "a standby becomes a voter");
        return true;
    }
    return false;
}

static bool step_member(struct group *g, const struct raft_server *s)
{
    enum member_wanted wanted = group_wanted(g, s->id);
    bool retires = wanted == MEMBER_REMOVED || (wanted == MEMBER_STANDBY && s->role == RAFT_VOTER);
    if (retires) {
        return retire(g, s, wanted);
    }
    return wanted != MEMBER_AS_CONFIGURED && advance_member(g, s, wanted);
}

static bool add_wished(struct group *g)
{
    for (size_t i = 0; i < g->changes.wishes_len; i++) {
        const struct group_wish *w = &g->changes.wishes[i];
        if (w->wanted != MEMBER_REMOVED && w->address[0] != '\0' &&
            group_member_index(g, w->id) < 0 && g->raft.configuration.n < GROUP_MEMBERS_MAX) {
            int rv = raft_add(&g->raft, &g->changes.req, w->id, w->address, NULL);
            finish_change(g, rv, "adding a member as a spare", w->id);
            return true;
        }
    }
    return false;
}

static void reconcile(struct group *g)
{
    uint64_t now = group_now(g);
    if (!may_change(g) || now < g->changes.retry_us ||
        now - g->changes.looked_us < WISHES_INTERVAL_US || !read_wishes(g)) {
        return;
    }
    g->changes.looked_us = now;
    bool began = false;
    const struct raft_configuration *c = &g->raft.configuration;
    for (unsigned i = 0; i < c->n && !began; i++) {
        struct raft_server s = c->servers[i]; /* the array moves with a change */
        began = step_member(g, &s);
    }
    if (!began) {
        began = add_wished(g);
    }
    if (began) {
        group_after_event(g);
    }
}

/* --- beacons --- */

void group_members_send_beacon(struct group *g, uint64_t to)
{
    struct raft_buffer conf;
    if (raft_configuration_encode(&g->raft.configuration, &conf) != 0) {
        return;
    }
    const struct peer_beacon b = {.term = raft_current_term(&g->raft),
                                  .commit = raft_commit_index(&g->raft),
                                  .log_start = g->log.first - 1,
                                  .configuration_index =
                                      g->raft.configuration_uncommitted_index != 0
                                          ? g->raft.configuration_uncommitted_index
                                          : g->raft.configuration_committed_index,
                                  .configuration = span_make(conf.base, conf.len)};
    buffer_clear(&g->scratch);
    peer_put_beacon(&g->scratch, &b);
    group_send_scratch(g, to);
    raft_free(conf.base);
}

/* To spares, which libraft tells nothing, and to those that are not heard: one that was away while
 * the members changed may not know the leader, and could not answer it. */
static void send_beacons(struct group *g)
{
    const struct raft_configuration *c = &g->raft.configuration;
    g->beacon_sent_us = group_now(g);
    for (unsigned i = 0; i < c->n; i++) {
        raft_id id = c->servers[i].id;
        const struct member_news *news = group_news_of(g, id);
        bool heard = news != NULL && group_now(g) - news->heard_us < GROUP_HEARD_US;
        if (id != g->options.id && (c->servers[i].role == RAFT_SPARE || !heard)) {
            group_members_send_beacon(g, id);
        }
    }
}

static bool is_spare_in(const struct raft_configuration *c, raft_id id)
{
    for (unsigned i = 0; i < c->n; i++) {
        if (c->servers[i].id == id) {
            return c->servers[i].role == RAFT_SPARE;
        }
    }
    return true;
}

void group_members_beacon(struct group *g, uint64_t from, const struct peer_beacon *b)
{
    /* By the leader's own configuration: what this node takes itself for may be a change that never
     * came to be, or long past. */
    if (b->term < g->beacon_term || b->term < raft_current_term(&g->raft) || group_leads(g) ||
        b->configuration_index < g->raft.configuration_committed_index) {
        return;
    }
    struct raft_configuration c;
    const struct raft_buffer bytes = {.base = (void *)b->configuration.data,
                                      .len = b->configuration.len};
    raft_configuration_init(&c);
    if (raft_configuration_decode(&bytes, &c) != 0) {
        raft_configuration_close(&c);
        return;
    }
    bool news = b->term > g->beacon_term || b->configuration_index > g->beacon_index;
    g->beacon_term = b->term;
    g->beacon_from = from;
    if (news && b->configuration_index > g->raft.configuration_committed_index) {
        g->beacon_index = b->configuration_index;
        know_configuration(g, &c);
    }
    uint64_t last = apply_queue_last(g->options.queue);
    if (b->commit > last && (last < b->log_start || is_spare_in(&c, g->options.id))) {
        group_snapshot_want(g, b->commit);
    }
    raft_configuration_close(&c);
}

/* --- the tick --- */

static void notice_removal(struct group *g)
{
    uint64_t now = group_now(g);
    if (g->changes.removed_told || now - g->changes.self_us < GROUP_NEWS_INTERVAL_US) {
        return;
    }
    g->changes.self_us = now;
    /* Mostly another member says it first (peers.h): the leader lets the removed go at once. */
    if (group_is_gone(g, g->options.id)) {
        g->changes.removed_told = true;
        if (g->options.callbacks.on_removed != NULL) {
            g->options.callbacks.on_removed(g->options.arg, g->raft.configuration_committed_index);
        }
    }
}

void group_members_tick(struct group *g)
{
    if (group_leads(g) && group_now(g) - g->beacon_sent_us >= BEACON_INTERVAL_US) {
        send_beacons(g);
    }
    if (g->options.store == NULL) {
        return;
    }
    reconcile(g);
    notice_removal(g);
}

/* --- what an operator may ask for --- */

/* Against a node that was asked for and is not in the configuration yet. */
static int check_wishes(struct group *g, const struct group_change *c, struct error *error)
{
    for (size_t i = 0; i < g->changes.wishes_len; i++) {
        const struct group_wish *w = &g->changes.wishes[i];
        if (w->wanted == MEMBER_REMOVED || w->address[0] == '\0') {
            continue;
        }
        bool same_address = strcmp(w->address, c->address) == 0;
        if ((w->id == c->id) != same_address) {
            return error_set(error, CLADE_ERR_CONFLICT, "node", "node %llu is being added at %s",
                             (unsigned long long)w->id, w->address);
        }
    }
    return 0;
}

static int check_add(struct group *g, const struct group_change *c, struct error *error)
{
    unsigned long long id = c->id;
    if (is_removed(g, c->id)) {
        return error_set(error, CLADE_ERR_CONFLICT, "node",
                         "node %llu was removed from this cluster; give the new node an id of its "
                         "own",
                         id);
    }
    for (size_t i = 0; i < g->known_len; i++) {
        bool same_id = g->known[i].id == c->id;
        bool same_address = strcmp(g->known[i].address, c->address) == 0;
        if (same_id && same_address) {
            return 0; /* again */
        }
        if (same_id) {
            return error_set(error, CLADE_ERR_CONFLICT, "node",
                             "node %llu is a member already, at %s", id, g->known[i].address);
        }
        if (same_address) {
            return error_set(error, CLADE_ERR_CONFLICT, "address", "%s is the address of node %llu",
                             c->address, (unsigned long long)g->known[i].id);
        }
    }
    if (g->known_len >= GROUP_MEMBERS_MAX) {
        return error_set(error, CLADE_ERR_LIMIT, "node", "a cluster has at most %d members",
                         GROUP_MEMBERS_MAX);
    }
    return check_wishes(g, c, error);
}

static int check_other(struct group *g, const struct group_change *c, struct error *error)
{
    int i = group_member_index(g, c->id);
    if (i < 0) {
        bool known =
            wish_of(g, c->id) != NULL || (c->wanted == MEMBER_REMOVED && is_removed(g, c->id));
        return known
                   ? 0
                   : error_set(error, CLADE_ERR_NOT_FOUND, "node",
                               "node %llu is no member of this cluster", (unsigned long long)c->id);
    }
    bool is_voter = g->raft.configuration.servers[i].role == RAFT_VOTER;
    return c->wanted != MEMBER_VOTER && is_voter ? check_quorum(g, c->id, error) : 0;
}

/* A voter that is about to go: the quorum will be another one. One whose going would cost the
 * quorum waits, perhaps for a voter that never comes back: then that one may be taken out first. */
static uint64_t retiring_voter(struct group *g)
{
    const struct raft_configuration *c = &g->raft.configuration;
    for (unsigned i = 0; i < c->n; i++) {
        enum member_wanted wanted = group_wanted(g, c->servers[i].id);
        if (c->servers[i].role == RAFT_VOTER &&
            (wanted == MEMBER_REMOVED || wanted == MEMBER_STANDBY) &&
            check_quorum(g, c->servers[i].id, NULL) == 0) {
            return c->servers[i].id;
        }
    }
    return 0;
}

int group_check_change(struct group *g, const struct group_change *change, struct error *error)
{
    if (!group_leads(g) || g->own_term_committed != raft_current_term(&g->raft)) {
        return error_set(error, CLADE_ERR_RETRY, NULL, "this node does not lead");
    }
    if (g->options.store == NULL || !read_wishes(g)) {
        return error_set(error, CLADE_ERR_RETRY, NULL, "the leader has not caught up yet");
    }
    uint64_t retiring = retiring_voter(g);
    if (g->raft.configuration_uncommitted_index != 0 || g->raft.legacy.change != NULL ||
        (retiring != 0 && retiring != change->id)) {
        return error_set(error, CLADE_ERR_RETRY, "node",
                         "another change of the members is under way; try again when it has ended");
    }
    if (g->transfer.active) {
        return error_set(error, CLADE_ERR_RETRY, NULL, "leadership is being handed over");
    }
    return change->is_add ? check_add(g, change, error) : check_other(g, change, error);
}
