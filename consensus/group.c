#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "consensus/group_internal.h"

#define ELECTION_TIMEOUT_MS   1000
#define HEARTBEAT_MS          100
#define PENDING_BYTES_MAX     (32u << 20)
#define UNPUBLISHED_BYTES_MAX (64u << 20)
#define LOG_BYTES_MAX         (64u << 20)

/* --- what libraft calls --- */

static struct group *group_of_fsm(struct raft_fsm *fsm)
{
    return fsm->data;
}

/* libraft gives no index; it sets last_applied behind each entry, so this one is the next. */
static int on_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct group *g = group_of_fsm(fsm);
    uint64_t index = raft_last_applied(&g->raft) + 1;
    apply_queue_push(g->options.queue, index, span_make(buf->base, buf->len));
    *result = NULL;
    return 0;
}

/* --- small things that the other files use --- */

uint64_t group_leader(struct group *g)
{
    raft_id id = 0;
    const char *address = NULL;
    raft_leader(&g->raft, &id, &address);
    /* libraft goes on naming the former leader when a vote moves a follower to a new term. */
    bool heard = group_leads(g) || g->append_term == raft_current_term(&g->raft);
    return heard ? id : 0;
}

void group_send_scratch(struct group *g, uint64_t to)
{
    CHECK(!g->scratch.failed);
    g->options.transport->send(g->options.transport, to, buffer_span(&g->scratch));
}

int group_member_index(struct group *g, uint64_t id)
{
    const struct raft_configuration *c = &g->raft.configuration;
    for (unsigned i = 0; i < c->n && i < GROUP_MEMBERS_MAX; i++) {
        if (c->servers[i].id == id) {
            return (int)i;
        }
    }
    return -1;
}

void group_wake(struct group *g)
{
    g->options.callbacks.on_wake(g->options.arg);
}

void group_notice(struct group *g, bool is_warning, const char *what, uint64_t member)
{
    if (g->options.callbacks.on_notice != NULL) {
        g->options.callbacks.on_notice(g->options.arg, is_warning, what, member);
    }
}

void group_malformed(struct group *g, uint64_t from)
{
    uint64_t now = group_now(g);
    if (g->malformed++ == 0 || now - g->malformed_us >= GROUP_MALFORMED_INTERVAL_US) {
        g->malformed_us = now;
        group_notice(g, true, "dropped a message of a member that makes no sense", from);
    }
}

/* --- the barrier of a new leader --- */

/* A leader knows what is committed only once an entry of its own term is (dissertation, 6.4). */
static void keep_barrier(struct group *g)
{
    uint64_t term = raft_current_term(&g->raft);
    if (!group_leads(g) || g->barrier_term == term) {
        return;
    }
    if (raft_barrier(&g->raft, &g->barrier, NULL) == 0) {
        g->barrier_term = term;
        g->barrier_index = raft_last_index(&g->raft);
    } /* else again on the next tick */
}

static void notice_barrier(struct group *g)
{
    uint64_t term = raft_current_term(&g->raft);
    if (group_leads(g) && g->barrier_term == term && g->own_term_committed != term &&
        raft_commit_index(&g->raft) >= g->barrier_index) {
        g->own_term_committed = term;
        group_wake(g);
    }
}

/* libraft tells its followers of a commit with the next entry or heartbeat, up to heartbeat_ms
 * later; a client of a follower would wait for that. So a heartbeat of ours goes at once to those
 * that hold the entry and have not heard: it stands on the committed entry itself, whose term is
 * the leader's own. */
static void tell_commit(struct group *g)
{
    raft_index commit = raft_commit_index(&g->raft);
    uint64_t term = raft_current_term(&g->raft);
    if (!group_leads(g) || g->own_term_committed != term) {
        return;
    }
    const struct raft_configuration *c = &g->raft.configuration;
    for (unsigned i = 0; i < c->n && i < GROUP_MEMBERS_MAX; i++) {
        raft_index match = 0;
        if (c->servers[i].id == g->options.id || g->commit_told[i] >= commit ||
            raft_match_index(&g->raft, c->servers[i].id, &match) != 0 || match < commit) {
            continue;
        }
        struct raft_message m = {.type = RAFT_APPEND_ENTRIES};
        m.append_entries = (struct raft_append_entries){
            .term = term, .prev_log_index = commit, .prev_log_term = term, .leader_commit = commit};
        buffer_clear(&g->scratch);
        (void)peer_put_raft(&g->scratch, &m, NULL, 0);
        group_send_scratch(g, c->servers[i].id);
        g->commit_told[i] = commit;
    }
}

/* --- after every event --- */

static void notice_leader(struct group *g)
{
    uint64_t term = raft_current_term(&g->raft);
    uint64_t leader = group_leader(g);
    if (term == g->term && leader == g->leader) {
        return;
    }
    g->term = term;
    g->leader = leader;
    memset(g->commit_told, 0, sizeof g->commit_told);
    group_write_leader_changed(g);
    group_read_leader_changed(g);
    g->options.callbacks.on_leader(g->options.arg, leader, term);
    group_transfer_step(g);
    group_wake(g);
}

void group_after_event(struct group *g)
{
    /* Barriers and configurations move raft without a call of fsm->apply. */
    apply_queue_advance(g->options.queue, raft_last_applied(&g->raft));
    group_members_notice(g);
    notice_leader(g);
    notice_barrier(g);
    group_write_after_event(g);
    if (g->transfer.active) {
        group_transfer_step(g);
    }
}

void group_flush(struct group *g)
{
    if (g->closing || !g->started) {
        return;
    }
    keep_barrier(g);
    group_write_flush(g);
    group_read_flush(g);
    group_after_event(g);
    tell_commit(g);
}

/* --- receiving --- */

/* libraft would answer a message of an older term with uninitialised memory that the sender may
 * take for a match (README.md, hazard 4), so we do. */
static void answer_stale(struct group *g, uint64_t from)
{
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES_RESULT, .server_id = from};
    m.append_entries_result =
        (struct raft_append_entries_result){.term = raft_current_term(&g->raft), .rejected = 1};
    buffer_clear(&g->scratch);
    (void)peer_put_raft(&g->scratch, &m, NULL, 0);
    group_send_scratch(g, from);
}

/* Whether a message of a leader is of the present term; else it was answered and released. */
static bool is_of_leader(struct group *g, uint64_t from, uint64_t its_term, struct peer_message *m)
{
    uint64_t term = raft_current_term(&g->raft);
    if (its_term < term) {
        answer_stale(g, from);
        peer_message_release(m);
        return false;
    }
    if (its_term == term && group_leads(g)) {
        struct error e = {0};
        (void)error_set(&e, CLADE_ERR_CORRUPT, "raft log",
                        "member %llu leads in term %llu, and so does this node: one of them lost "
                        "its vote",
                        (unsigned long long)from, (unsigned long long)term);
        peer_message_release(m);
        g->options.callbacks.on_fatal(g->options.arg, &e);
        return false;
    }
    g->append_term = its_term;
    g->append_us = group_now(g);
    return true;
}

/* libraft asks for the entry before a message's first, but where there is none: of a message from
 * the log's very beginning it takes what was cut here for new, and crashes (README.md, hazard 33).
 * Where that entry was cut, as after an install that is newer than the one which the leader was
 * answered, it rejects, though it has that entry: the leader, who knows that it does, takes it for
 * a late rejection and would send the same for ever (hazard 13). What was cut is committed and so
 * in the leader's log, too: a heartbeat that stands on it says so.
 */
static void stand_on_snapshot(struct group *g, struct peer_message *m)
{
    const struct raft *r = &g->raft;
    if (r->trail.offset == 0 || r->snapshot.installing ||
        m->raft.append_entries.prev_log_index >= r->trail.offset) {
        return; /* nothing is cut, or not so much; or libraft drops it itself */
    }
    peer_message_release(m);
    m->raft.append_entries.prev_log_index = r->trail.snapshot.index;
    m->raft.append_entries.prev_log_term = r->trail.snapshot.term;
}

/* Whether libraft may see it; else it was answered or dropped. */
static bool append_is_welcome(struct group *g, uint64_t from, struct peer_message *m)
{
    struct raft_append_entries *a = &m->raft.append_entries;
    if (!is_of_leader(g, from, a->term, m)) {
        return false;
    }
    if (a->n_entries > 0 &&
        apply_queue_bytes(g->options.queue) > 2 * g->options.unpublished_bytes_max) {
        peer_message_release(m); /* what is left of it is a heartbeat */
    }
    if (a->prev_log_index != 0 || a->n_entries > 0) {
        stand_on_snapshot(g, m);
    }
    /* libraft sets its commit index to the message's last entry where the leader's is higher, also
     * when it knows of more already: it would go back (README.md, hazard 22). */
    raft_index commit = raft_commit_index(&g->raft);
    if (a->leader_commit > commit && a->prev_log_index + a->n_entries < commit) {
        a->leader_commit = commit;
    }
    return true;
}

static bool install_is_welcome(struct group *g, uint64_t from, struct peer_message *m)
{
    if (!is_of_leader(g, from, m->raft.install_snapshot.term, m)) {
        return false;
    }
    if (!group_install_is_welcome(g, from, &m->raft.install_snapshot)) {
        peer_message_release(m);
        return false;
    }
    return true;
}

/* A rejection of what the follower is known to have is a late one. libraft, probing, would take
 * its next index below the match index and never send an entry again (README.md, hazard 13); as
 * an answer that says nothing it still shows that the follower is there. */
static void defuse_late_rejection(struct group *g, uint64_t from, struct peer_message *m)
{
    struct raft_append_entries_result *r = &m->raft.append_entries_result;
    raft_index match = 0;
    if (r->rejected > 0 && r->term == raft_current_term(&g->raft) &&
        raft_match_index(&g->raft, from, &match) == 0 && r->rejected <= match) {
        r->rejected = 0;
        r->last_log_index = 0;
    }
}

/* A standby may be a voter already in the candidate's log, whose promotion it has not heard of; its
 * vote may be the one that is lacking (Raft lets any server vote, dissertation 4.1: a candidate
 * counts those of its own configuration). libraft lets none but voters, and a standby for ever
 * keeps to the leader that it heard last (README.md, hazard 20). What a vote is granted by stays:
 * its term, one vote a term, the longer log. */
static void receive_vote_request(struct group *g, struct peer_message *m)
{
    int self = group_member_index(g, g->options.id);
    struct raft_server *s = self < 0 ? NULL : &g->raft.configuration.servers[self];
    bool is_standby = s != NULL && s->role == RAFT_STANDBY;
    if (is_standby) {
        bool heard = group_now(g) - g->append_us < g->options.election_timeout_ms * UINT64_C(1000);
        if (raft_state(&g->raft) == RAFT_FOLLOWER && !heard) {
            g->raft.follower_state.current_leader.id = 0;
        }
        s->role = RAFT_VOTER;
    }
    g->raft_recv(g->io, &m->raft);
    if (is_standby) {
        s->role = RAFT_STANDBY;
    }
}

static void receive_raft(struct group *g, uint64_t from, struct peer_message *m)
{
    if (m->type == PEER_APPEND_ENTRIES_RESULT) {
        defuse_late_rejection(g, from, m);
    }
    if (m->type == PEER_APPEND_ENTRIES && !append_is_welcome(g, from, m)) {
        return;
    }
    if (m->type == PEER_INSTALL_SNAPSHOT && !install_is_welcome(g, from, m)) {
        return;
    }
    if (m->type == PEER_REQUEST_VOTE && m->raft.request_vote.candidate_id != from) {
        group_malformed(g, from);
        return;
    }
    /* libraft asks whether it is in a pre-vote before it asks whether it is a candidate, and a
     * follower has a pointer where the answer would stand (README.md, hazard 30). */
    if (m->type == PEER_REQUEST_VOTE_RESULT && raft_state(&g->raft) != RAFT_CANDIDATE) {
        return;
    }
    const struct group_member *member = group_known(g, from);
    m->raft.server_id = from;
    m->raft.server_address = member == NULL ? "" : member->address;
    if (m->type == PEER_REQUEST_VOTE) {
        receive_vote_request(g, m);
    } else {
        g->raft_recv(g->io, &m->raft);
    }
    group_after_event(g);
    group_wake(g);
}

void group_receive(struct group *g, uint64_t from, struct span message)
{
    struct peer_message m;
    struct error e = {0};
    if (g->closing || !g->started) {
        return;
    }
    if (peer_message_decode(message, &m, &e) != 0) {
        log_debug("dropped a message of a member", LOG_U64("member", from),
                  LOG_STR("error", e.message));
        group_malformed(g, from);
        return;
    }
    switch (m.type) {
    case PEER_PROPOSE:
    case PEER_REFUSED:
        group_write_receive(g, from, &m);
        break;
    case PEER_READ_PROBE:
    case PEER_READ_ANSWER:
    case PEER_READ_REQUEST:
    case PEER_READ_REPLY:
        group_read_receive(g, from, &m);
        break;
    case PEER_NEWS:
        group_news_receive(g, from, &m.news);
        break;
    case PEER_BEACON:
        group_members_beacon(g, from, &m.beacon);
        break;
    case PEER_FETCH:
        /* Who is no member, as far as this node knows, gets nothing of the data. */
        if (group_known(g, from) != NULL && g->options.callbacks.on_fetch != NULL) {
            g->options.callbacks.on_fetch(g->options.arg, from, m.items);
        }
        break;
    case PEER_SUPPLY:
        if (g->options.callbacks.on_supply != NULL) {
            g->options.callbacks.on_supply(g->options.arg, from, m.items);
        }
        break;
    default:
        receive_raft(g, from, &m);
        break;
    }
}

static void send_body(struct group *g, uint64_t to, enum peer_message_type type, struct span body)
{
    if (g->closing || !g->started) {
        return;
    }
    buffer_clear(&g->scratch);
    peer_put_head(&g->scratch, type);
    if (buffer_append_span(&g->scratch, body)) {
        group_send_scratch(g, to);
    }
}

void group_send_fetch(struct group *g, uint64_t to, struct span fetch)
{
    send_body(g, to, PEER_FETCH, fetch);
}

void group_send_supply(struct group *g, uint64_t to, struct span supply)
{
    send_body(g, to, PEER_SUPPLY, supply);
}

/* --- life --- */

static void fill_defaults(struct group_options *o)
{
    if (o->election_timeout_ms == 0) {
        o->election_timeout_ms = ELECTION_TIMEOUT_MS;
    }
    if (o->heartbeat_ms == 0) {
        o->heartbeat_ms = HEARTBEAT_MS;
    }
    if (o->pending_bytes_max == 0) {
        o->pending_bytes_max = PENDING_BYTES_MAX;
    }
    if (o->append_bytes_max == 0) {
        o->append_bytes_max = PEER_APPEND_BYTES_MAX;
    }
    if (o->log_bytes_max == 0) {
        o->log_bytes_max = LOG_BYTES_MAX;
    }
    if (o->trailing_bytes == 0) {
        o->trailing_bytes = o->log_bytes_max / 2;
    }
    if (o->unpublished_bytes_max == 0) {
        o->unpublished_bytes_max = UNPUBLISHED_BYTES_MAX;
    }
}

/* architecture.md 6, "How we hold it"; each line answers a hazard in README.md. */
static void set_up_raft(struct group *g)
{
    g->raft.tracer = NULL; /* formats every step otherwise */
    raft_set_election_timeout(&g->raft, g->options.election_timeout_ms);
    raft_set_heartbeat_timeout(&g->raft, g->options.heartbeat_ms);
    raft_set_install_snapshot_timeout(&g->raft, 3000);
    raft_set_max_inflight_entries(&g->raft, 4096);
    raft_set_pre_vote(&g->raft, true);
    raft_set_capacity_threshold(&g->raft, 0);
}

int group_new(const struct group_options *options, struct group **ret, struct error *error)
{
    struct group *g = calloc(1, sizeof *g);
    if (g == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    g->options = *options;
    fill_defaults(&g->options);
    g->io = options->io;
    g->fsm = (struct raft_fsm){.version = 3,
                               .data = g,
                               .apply = on_apply,
                               .snapshot = group_on_snapshot,
                               .restore = group_on_restore};
    group_write_init(g);
    group_read_init(g);
    buffer_init(&g->scratch, PEER_MESSAGE_BYTES_MAX);
    group_io_wrap(g);
    int rv = raft_init(&g->raft, g->io, &g->fsm, options->id, options->address);
    if (rv != 0) {
        int code = rv == RAFT_CORRUPT ? CLADE_ERR_CORRUPT : CLADE_ERR_IO;
        (void)error_set(error, code, "raft log", "opening the log: %s", raft_errmsg(&g->raft));
        group_io_unwrap(g);
        free(g);
        return code;
    }
    set_up_raft(g);
    group_snapshot_init(g);
    group_members_init(g);
    *ret = g;
    return 0;
}

int group_start(struct group *g, struct error *error)
{
    int rv = raft_start(&g->raft);
    if (rv != 0) {
        return error_set(error, rv == RAFT_CORRUPT ? CLADE_ERR_CORRUPT : CLADE_ERR_IO, "raft log",
                         "loading the log: %s", raft_errmsg(&g->raft));
    }
    g->started = true;
    group_after_event(g);
    group_wake(g);
    return 0;
}

static void on_raft_closed(struct raft *r)
{
    struct group *g = (struct group *)((char *)r - offsetof(struct group, raft));
    void (*cb)(void *arg) = g->close_cb;
    void *arg = g->close_arg;
    group_io_unwrap(g);
    group_write_release(g);
    buffer_release(&g->scratch);
    buffer_release(&g->entry);
    log_bytes_release(&g->log);
    free(g);
    cb(arg);
}

void group_close(struct group *g, void (*cb)(void *arg), void *arg)
{
    if (g->closing) {
        return;
    }
    if (g->transfer.active) {
        g->transfer.deadline_us = 0;
        group_transfer_step(g);
    }
    g->closing = true;
    g->close_cb = cb;
    g->close_arg = arg;
    group_write_close(g);
    group_read_close(g);
    raft_close(&g->raft, on_raft_closed);
}

static void on_bootstrap_closed(struct raft_io *io)
{
    io->data = NULL;
}

int group_bootstrap(struct raft_io *io,
                    uint64_t id,
                    const char *address,
                    const struct group_member *members,
                    size_t n,
                    struct error *error)
{
    static const int roles[] = {
        [GROUP_VOTER] = RAFT_VOTER, [GROUP_STANDBY] = RAFT_STANDBY, [GROUP_SPARE] = RAFT_SPARE};
    struct raft_configuration c;
    raft_configuration_init(&c);
    int rv = 0;
    for (size_t i = 0; i < n && rv == 0; i++) {
        rv = raft_configuration_add(&c, members[i].id, members[i].address, roles[members[i].role]);
    }
    if (rv != 0) {
        raft_configuration_close(&c);
        return error_set(error, CLADE_ERR_INVALID, "members", "%s", raft_strerror(rv));
    }
    io->data = NULL;
    rv = io->init(io, id, address);
    if (rv == 0) {
        rv = io->bootstrap(io, &c);
        if (rv != 0) {
            (void)error_set(error, rv == RAFT_CANTBOOTSTRAP ? CLADE_ERR_CONFLICT : CLADE_ERR_IO,
                            "raft log", "making the log: %s", io->errmsg);
        }
        io->close(io, on_bootstrap_closed);
    } else {
        (void)error_set(error, CLADE_ERR_IO, "raft log", "opening the log's folder: %s",
                        io->errmsg);
    }
    raft_configuration_close(&c);
    return rv == 0 ? 0 : rv == RAFT_CANTBOOTSTRAP ? CLADE_ERR_CONFLICT : CLADE_ERR_IO;
}

void group_set_limits(struct group *g,
                      uint64_t pending_bytes_max,
                      uint64_t unpublished_bytes_max,
                      uint64_t log_bytes_max)
{
    g->options.pending_bytes_max = pending_bytes_max;
    g->options.unpublished_bytes_max = unpublished_bytes_max;
    g->options.log_bytes_max = log_bytes_max;
    g->options.trailing_bytes = log_bytes_max / 2;
}

/* --- status --- */

static void fill_member(struct group *g, unsigned i, struct group_member_status *s)
{
    const struct raft_server *server = &g->raft.configuration.servers[i];
    group_copy_member(server, &s->member);
    s->wanted = group_wanted(g, server->id);
    raft_index match = 0;
    if (group_leads(g) && raft_match_index(&g->raft, server->id, &match) == 0) {
        s->match = match;
    }
    if (server->id == g->options.id) {
        const struct digest_sample *last =
            &g->samples.ring[(g->samples.next + GROUP_SAMPLES - 1) % GROUP_SAMPLES];
        s->connected = true;
        s->heard = true;
        s->published = g->published;
        s->revision = g->revision;
        s->sample_index = last->index;
        s->data = last->data;
        s->state = last->state;
        s->copy_bytes = g->copy_bytes;
        s->copy_bytes_total = g->copy_bytes_total;
        return;
    }
    const struct member_news *m = group_news_of(g, server->id);
    s->connected = g->options.transport->is_connected(g->options.transport, server->id);
    if (m != NULL) {
        s->heard = group_now(g) - m->heard_us < GROUP_HEARD_US;
        s->published = m->news.published;
        s->revision = m->news.revision;
        s->sample_index = m->news.sample_index;
        s->data = m->news.data;
        s->state = m->news.state;
        s->clock_offset_us = m->clock_offset_us;
        s->copy_bytes = m->news.copy_bytes;
        s->copy_bytes_total = m->news.copy_bytes_total;
    }
}

void group_status(struct group *g, struct group_status *ret)
{
    *ret = (struct group_status){.id = g->options.id,
                                 .term = raft_current_term(&g->raft),
                                 .leader = group_leader(g),
                                 .is_leader = group_leads(g),
                                 .commit = raft_commit_index(&g->raft),
                                 .last_index = raft_last_index(&g->raft),
                                 .queued = apply_queue_last(g->options.queue),
                                 .published = g->published,
                                 .pending_commands = g->pending_commands,
                                 .unpublished_bytes =
                                     g->applies_bytes + apply_queue_bytes(g->options.queue),
                                 .log_bytes = g->log.total,
                                 .log_first = g->log.first,
                                 .snapshot_index = g->snapshot.index,
                                 .snapshots = g->snapshot.count,
                                 .malformed = g->malformed,
                                 .clock_alarm = g->clock_alarm,
                                 .digest_alarm = g->digest_alarm};
    (void)group_room(g, &ret->room);
    for (; ret->members_len < g->raft.configuration.n && ret->members_len < GROUP_MEMBERS_MAX;
         ret->members_len++) {
        fill_member(g, (unsigned)ret->members_len, &ret->members[ret->members_len]);
    }
}
