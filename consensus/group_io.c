#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "consensus/group_internal.h"

static struct group *group_of(struct raft_io *io)
{
    struct raft *r = io->data; /* raft_init puts it there */
    return (struct group *)((char *)r - offsetof(struct group, raft));
}

static void note_entries(struct group *g, const struct raft_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        log_bytes_push(&g->log, entries[i].buf.len);
    }
}

static bool is_sole_voter(const struct raft_configuration *c, raft_id id)
{
    bool votes = false;
    for (unsigned i = 0; i < c->n; i++) {
        if (c->servers[i].role == RAFT_VOTER && c->servers[i].id != id) {
            return false;
        }
        votes = votes || c->servers[i].role == RAFT_VOTER;
    }
    return votes;
}

/* By the newest configuration of what was loaded. */
static bool votes_alone(const struct group *g,
                        const struct raft_snapshot *snapshot,
                        const struct raft_entry *entries,
                        size_t n)
{
    for (size_t i = n; i > 0; i--) {
        struct raft_configuration c;
        if (entries[i - 1].type != RAFT_CHANGE) {
            continue;
        }
        raft_configuration_init(&c);
        bool alone = raft_configuration_decode(&entries[i - 1].buf, &c) == 0 &&
                     is_sole_voter(&c, g->options.id);
        raft_configuration_close(&c);
        return alone;
    }
    return snapshot != NULL && is_sole_voter(&snapshot->configuration, g->options.id);
}

static int on_load(struct raft_io *io,
                   raft_term *term,
                   raft_id *voted_for,
                   struct raft_snapshot **snapshot,
                   raft_index *start_index,
                   struct raft_entry *entries[],
                   size_t *n_entries)
{
    struct group *g = group_of(io);
    int rv = g->inner.load(io, term, voted_for, snapshot, start_index, entries, n_entries);
    if (rv == 0) {
        log_bytes_start(&g->log, *start_index);
        note_entries(g, *entries, *n_entries);
    }
    /* A sole voter makes itself leader without a new term (README.md, hazard 19): what it had sent
     * to a standby, and lost in the crash, would get a namesake of the same index and term. */
    if (rv == 0 && votes_alone(g, *snapshot, *entries, *n_entries)) {
        rv = g->inner.set_term(io, *term + 1);
        *term += 1;
        *voted_for = 0;
    }
    return rv;
}

static void watch_appends(struct group *g)
{
    bool slow = g->appends > 0 && group_now(g) - g->append_oldest_us > GROUP_APPEND_SLOW_US;
    if (slow != g->append_slow) {
        g->append_slow = slow;
        group_notice(
            g, slow,
            slow ? "the disk has not finished a write to the log for 10 s (runbook: slow disk)"
                 : "the disk finishes writes to the log again",
            0);
    }
}

static void on_tick(struct raft_io *io)
{
    struct group *g = group_of(io);
    if (g->closing) {
        return;
    }
    group_snapshot_before_tick(g);
    g->raft_tick(io);
    group_snapshot_after_tick(g);
    group_after_event(g);
    group_write_tick(g);
    group_read_tick(g);
    group_news_tick(g);
    group_members_tick(g);
    group_transfer_step(g);
    watch_appends(g);
    group_wake(g);
}

static int on_start(struct raft_io *io, unsigned ms, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct group *g = group_of(io);
    g->raft_tick = tick;
    g->raft_recv = recv;
    return g->inner.start(io, ms, on_tick, recv);
}

/* An append on its way, so that what it commits is noticed as soon as it is done. */
struct append_watch {
    struct raft_io_append io_req;
    struct raft_io_append *raft_req;
    raft_io_append_cb raft_cb;
    struct group *group;
};

static void on_append_done(struct raft_io_append *req, int status)
{
    struct append_watch *w = req->data;
    struct group *g = w->group;
    struct raft_io_append *raft_req = w->raft_req;
    raft_io_append_cb cb = w->raft_cb;
    free(w);
    CHECK(g->appends > 0);
    g->appends--;
    g->append_oldest_us = g->appends == 0 ? 0 : group_now(g);
    cb(raft_req, status);
    if (!g->closing) {
        group_after_event(g);
        group_wake(g);
    }
}

static int on_append(struct raft_io *io,
                     struct raft_io_append *req,
                     const struct raft_entry entries[],
                     unsigned n,
                     raft_io_append_cb cb)
{
    struct group *g = group_of(io);
    struct append_watch *w = malloc(sizeof *w);
    if (w == NULL) {
        return RAFT_NOMEM;
    }
    for (unsigned i = 0; i < n; i++) {
        if (entries[i].type == RAFT_BARRIER) {
            memset(entries[i].buf.base, 0,
                   entries[i].buf.len); /* libraft leaves what malloc gave */
        }
    }
    *w = (struct append_watch){.raft_req = req, .raft_cb = cb, .group = g};
    w->io_req.data = w;
    note_entries(g, entries, n);
    if (g->appends++ == 0) {
        g->append_oldest_us = group_now(g);
    }
    int rv = g->inner.append(io, &w->io_req, entries, n, on_append_done);
    if (rv != 0) {
        g->appends--;
        free(w);
    }
    return rv;
}

/* Called before every append, with the index that it begins at. */
static int on_truncate(struct raft_io *io, raft_index index)
{
    struct group *g = group_of(io);
    log_bytes_truncate(&g->log, index);
    if (g->log.len == 0 && g->log.first != index) {
        log_bytes_start(&g->log, index);
    }
    CHECK(log_bytes_last(&g->log) + 1 == index);
    return g->inner.truncate(io, index);
}

static void on_close(struct raft_io *io, raft_io_close_cb cb)
{
    group_snapshot_close(group_of(io));
    group_of(io)->inner.close(io, cb);
}

/* Entries that fit one message: at least one. A configuration begins a message of its own
 * (README.md, hazard 14). */
static unsigned entries_that_fit(const struct raft_entry *entries, unsigned n, size_t bytes_max)
{
    size_t bytes = 0;
    unsigned i = 0;
    while (i < n && (i == 0 ||
                     (bytes + entries[i].buf.len <= bytes_max && entries[i].type != RAFT_CHANGE))) {
        bytes += entries[i].buf.len;
        i++;
    }
    return i;
}

/* Entries that a member without a vote may have already: those before a configuration that is not
 * committed. A voter that loses its vote by it must not have it before those who keep theirs: if it
 * alone did, the others could not be elected, whose logs are shorter, and it does not stand
 * (README.md, hazard 31). */
static unsigned entries_that_may_go(struct group *g, const struct raft_message *message)
{
    const struct raft_append_entries *all = &message->append_entries;
    raft_index uncommitted = g->raft.configuration_uncommitted_index;
    int i = group_member_index(g, message->server_id);
    if (uncommitted == 0 || i < 0 || g->raft.configuration.servers[i].role == RAFT_VOTER ||
        all->prev_log_index + all->n_entries < uncommitted) {
        return all->n_entries;
    }
    return all->prev_log_index >= uncommitted ? 0
                                              : (unsigned)(uncommitted - 1 - all->prev_log_index);
}

/* libraft answers a pre-vote with the asker's own term, so that it never learns of a higher one
 * that is all that stands against it: with a longer log and a lower term than the others it asks
 * for ever (README.md, hazard 32). */
static void tell_term(struct group *g, struct raft_message *message)
{
    struct raft_request_vote_result *r = &message->request_vote_result;
    raft_term term = raft_current_term(&g->raft);
    if (r->pre_vote && !r->vote_granted && r->term < term) {
        r->term = term;
    }
}

/* A follower that lags is otherwise sent thousands of entries in one message. The parts are
 * appends of their own, each following on the one before. */
static void send_append(struct group *g, const struct raft_message *message)
{
    struct raft_message part = *message;
    const struct raft_append_entries *all = &message->append_entries;
    unsigned all_n = entries_that_may_go(g, message);
    unsigned done = 0;
    int i = group_member_index(g, message->server_id);
    if (i >= 0) {
        g->commit_told[i] = all->leader_commit;
    }
    do {
        unsigned n =
            entries_that_fit(all->entries + done, all_n - done, g->options.append_bytes_max);
        buffer_clear(&g->scratch);
        (void)peer_put_raft(&g->scratch, &part, all->entries + done, n);
        group_send_scratch(g, message->server_id);
        done += n;
        if (done < all_n) {
            part.append_entries.prev_log_index = all->prev_log_index + done;
            part.append_entries.prev_log_term = all->entries[done - 1].term;
        }
    } while (done < all_n);
}

/* Always 0: an error would be taken for a failed step, and Raft repeats what is lost. The callback
 * comes at once, since the bytes were copied. */
static int on_send(struct raft_io *io,
                   struct raft_io_send *req,
                   const struct raft_message *message,
                   raft_io_send_cb cb)
{
    struct group *g = group_of(io);
    if (!g->closing) {
        if (message->type == RAFT_INSTALL_SNAPSHOT) {
            group_members_send_beacon(g, message->server_id); /* it may know none of us */
        }
        if (message->type == RAFT_APPEND_ENTRIES) {
            send_append(g, message);
        } else if (message->type != RAFT_INSTALL_SNAPSHOT ||
                   group_install_may_leave(&message->install_snapshot)) {
            struct raft_message m = *message;
            if (m.type == RAFT_REQUEST_VOTE_RESULT) {
                tell_term(g, &m);
            }
            buffer_clear(&g->scratch);
            if (peer_put_raft(&g->scratch, &m, NULL, 0)) {
                group_send_scratch(g, message->server_id);
            }
        }
    }
    cb(req, 0);
    return 0;
}

void group_io_wrap(struct group *g)
{
    struct raft_io *io = g->io;
    g->inner = *io;
    io->load = on_load;
    io->start = on_start;
    io->append = on_append;
    io->truncate = on_truncate;
    io->send = on_send;
    io->snapshot_put = group_on_snapshot_put;
    io->snapshot_get = group_on_snapshot_get;
    io->close = on_close;
}

void group_io_unwrap(struct group *g)
{
    g->io->load = g->inner.load;
    g->io->start = g->inner.start;
    g->io->append = g->inner.append;
    g->io->truncate = g->inner.truncate;
    g->io->send = g->inner.send;
    g->io->snapshot_put = g->inner.snapshot_put;
    g->io->snapshot_get = g->inner.snapshot_get;
    g->io->close = g->inner.close;
}
