#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "consensus/group_internal.h"
#include "consensus/reference.h"

/* Snapshots by reference. A snapshot says where the store stood; the store itself is the data.
 *
 *   taking:  a tick finds the log too long -> libraft calls on_snapshot (a mark goes into the apply
 *            queue at exactly that index) and io->snapshot_put, which is parked -> the apply thread
 *            reaches the mark, store and archive are synced, group_set_marked -> the reference is
 *            filled in, raft_uv writes it, the log is cut
 *   given:   io->send drops an install whose reference is of another snapshot (README.md, hazard
 * 15) taken:   an install goes to libraft only when this node's store is synced at or above its
 * index; else it is dropped, never held, and catch_up.h is asked to get there: the leader sends it
 * again
 */

#define THRESHOLD_NEVER (1u << 30)

void group_snapshot_init(struct group *g)
{
    raft_set_snapshot_threshold(&g->raft, THRESHOLD_NEVER);
    raft_set_snapshot_trailing(&g->raft, THRESHOLD_NEVER); /* until one is taken; 0 would install */
    g->synced = g->options.synced;
    /* What the store had at the start counts, also where nothing is applied after it. */
    g->published = g->options.synced;
    if (g->options.store != NULL) {
        g->revision = store_position(g->options.store).revision;
    }
}

static bool is_taking(const struct group *g)
{
    return g->raft.legacy.snapshot_taking || g->snapshot.parked || g->snapshot.writing;
}

/* --- taking --- */

/* libraft counts entries, we bound bytes: for one tick it is told that any entry is enough. Only in
 * a tick, and only when it has taken note of every configuration that it applied: else the snapshot
 * would hold an older configuration than its index. */
void group_snapshot_before_tick(struct group *g)
{
    raft_index commit = raft_commit_index(&g->raft);
    if (is_taking(g) || g->raft.snapshot.installing || g->log.total <= g->options.log_bytes_max ||
        commit < g->log.first || commit > log_bytes_last(&g->log) ||
        apply_queue_last(g->options.queue) > raft_last_applied(&g->raft)) {
        return;
    }
    uint64_t trailing = log_bytes_trailing(&g->log, commit, g->options.trailing_bytes);
    if (commit - trailing < g->log.first) {
        return; /* nothing to cut: the rest is not committed yet */
    }
    g->snapshot.trailing = (unsigned)trailing;
    raft_set_snapshot_trailing(&g->raft, g->snapshot.trailing);
    raft_set_snapshot_threshold(&g->raft, 1);
}

void group_snapshot_after_tick(struct group *g)
{
    raft_set_snapshot_threshold(&g->raft, THRESHOLD_NEVER);
}

int group_on_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct group *g = fsm->data;
    raft_index applied = raft_last_applied(&g->raft);
    raft_index uncommitted = g->raft.configuration_uncommitted_index;
    bool older = uncommitted != 0 && uncommitted <= applied;
    bool newer = g->raft.configuration_committed_index > applied; /* after a start, hazard 35 */
    if (older || newer) {
        return RAFT_BUSY;
    }
    *bufs = raft_malloc(sizeof **bufs);
    void *base = raft_calloc(1, REFERENCE_BYTES);
    if (*bufs == NULL || base == NULL) {
        raft_free(*bufs);
        raft_free(base);
        return RAFT_NOMEM;
    }
    (*bufs)[0] = (struct raft_buffer){.base = base, .len = REFERENCE_BYTES};
    *n_bufs = 1;
    apply_queue_advance(g->options.queue, applied);
    (void)apply_queue_mark(g->options.queue); /* further on, if catching up pushes just now */
    return 0;
}

static void on_put_done(struct raft_io_snapshot_put *req, int status)
{
    struct group *g = req->data;
    struct group_snapshot *s = &g->snapshot;
    s->writing = false;
    if (status == 0) {
        s->index = s->taken->index;
        s->count++;
        log_bytes_cut(&g->log, s->index - s->trailing);
    }
    s->put_cb(s->put_req, status);
    if (!g->closing) {
        group_after_event(g);
        group_wake(g);
    }
}

static void write_reference(struct group *g, const struct store_digest *digest, uint64_t revision)
{
    struct group_snapshot *s = &g->snapshot;
    struct reference r = {.index = s->taken->index, .term = s->taken->term};
    if (digest->index == r.index) {
        r.revision = revision;
        r.data = digest->data;
        r.state = digest->state;
    } /* else the store was ahead of the log, as after a restart: what it was there is not known */
    reference_encode(&r, s->taken->bufs[0].base);
    s->parked = false;
    s->writing = true;
    s->put = (struct raft_io_snapshot_put){.data = g};
    int rv = g->inner.snapshot_put(g->io, s->trailing, &s->put, s->taken, on_put_done);
    if (rv != 0) {
        on_put_done(&s->put, rv); /* the disk has stopped the node, or it is closing */
    }
}

void group_set_marked(struct group *g,
                      const struct store_position *position,
                      const struct store_digest *digest)
{
    if (g->closing) {
        return;
    }
    if (position->applied > g->synced) {
        g->synced = position->applied;
    }
    if (g->snapshot.parked && position->applied >= g->snapshot.taken->index) {
        write_reference(g, digest, position->revision);
    }
    group_wake(g);
}

int group_on_snapshot_put(struct raft_io *io,
                          unsigned trailing,
                          struct raft_io_snapshot_put *req,
                          const struct raft_snapshot *snapshot,
                          raft_io_snapshot_put_cb cb)
{
    struct raft *r = io->data;
    struct group *g = (struct group *)((char *)r - offsetof(struct group, raft));
    struct group_snapshot *s = &g->snapshot;
    if (trailing == 0) { /* an install, which the gate below has let through */
        log_bytes_start(&g->log, snapshot->index + 1);
        s->index = snapshot->index;
        return g->inner.snapshot_put(io, 0, req, snapshot, cb);
    }
    CHECK(!s->parked && !s->writing && trailing == s->trailing);
    s->parked = true;
    s->put_req = req;
    s->put_cb = cb;
    s->taken = snapshot;
    return 0;
}

/* What is parked when the io closes would be waited for. */
void group_snapshot_close(struct group *g)
{
    if (g->snapshot.parked) {
        g->snapshot.parked = false;
        g->snapshot.put_cb(g->snapshot.put_req, RAFT_CANCELED);
    }
}

/* --- giving --- */

/* A read of the newest snapshot for an install, between libraft and the disk. */
struct snapshot_read {
    struct raft_io_snapshot_get io_req;
    struct raft_io_snapshot_get *raft_req;
    raft_io_snapshot_get_cb raft_cb;
};

/* When it failed, as it does when the io is closed meanwhile, libraft frees a configuration that it
 * has never set (README.md, hazard 21): its request, which is what raft_req->data points to, is
 * freed here in its stead. The leader sends again. */
static void on_read(struct raft_io_snapshot_get *req, struct raft_snapshot *snapshot, int status)
{
    struct snapshot_read *r = req->data;
    struct raft_io_snapshot_get *raft_req = r->raft_req;
    raft_io_snapshot_get_cb cb = r->raft_cb;
    free(r);
    if (status != 0) {
        raft_free(raft_req->data);
    } else {
        cb(raft_req, snapshot, status);
    }
}

int group_on_snapshot_get(struct raft_io *io,
                          struct raft_io_snapshot_get *req,
                          raft_io_snapshot_get_cb cb)
{
    struct raft *raft = io->data;
    struct group *g = (struct group *)((char *)raft - offsetof(struct group, raft));
    struct snapshot_read *r = malloc(sizeof *r);
    if (r == NULL) {
        return RAFT_NOMEM;
    }
    *r = (struct snapshot_read){.io_req.data = r, .raft_req = req, .raft_cb = cb};
    int rv = g->inner.snapshot_get(io, &r->io_req, on_read);
    if (rv != 0) {
        free(r);
    }
    return rv;
}

bool group_install_may_leave(const struct raft_install_snapshot *s)
{
    struct reference r;
    return reference_decode(span_make(s->data.base, s->data.len), &r, NULL) == 0 &&
           r.index == s->last_index && r.term == s->last_term;
}

/* --- being given --- */

/* Members that may have what this node lacks: those that lead nothing first, so that the leader is
 * left to its work. */
static size_t choose_sources(struct group *g, uint64_t index, uint64_t sources[GROUP_MEMBERS_MAX])
{
    size_t n = 0;
    uint64_t leader = group_leader(g) != 0 ? group_leader(g) : g->beacon_from;
    for (int pass = 0; pass < 4; pass++) {
        for (size_t i = 0; i < g->known_len; i++) {
            const struct group_member *m = &g->known[i];
            const struct member_news *news = group_news_of(g, m->id);
            bool healthy = news != NULL && news->news.published >= index &&
                           group_now(g) - news->heard_us < GROUP_HEARD_US;
            int class = !healthy ? 3 : m->id == leader ? 2 : m->role == GROUP_STANDBY ? 0 : 1;
            bool may = m->id != g->options.id && m->role != GROUP_SPARE;
            if (may && class == pass) {
                sources[n++] = m->id;
            }
        }
    }
    return n;
}

void group_snapshot_want(struct group *g, uint64_t index)
{
    uint64_t sources[GROUP_MEMBERS_MAX];
    size_t n = choose_sources(g, index, sources);
    if (n > 0 && g->options.callbacks.on_behind != NULL) {
        g->options.callbacks.on_behind(g->options.arg, index, sources, n);
    }
}

/* A copy that is not what the leader's was is worse than none. */
static bool store_contradicts(struct group *g, const struct reference *r)
{
    static const struct hash128 unknown;
    if (g->options.store == NULL || hash128_equal(r->state, unknown)) {
        return false;
    }
    struct store_digest d = store_digest_current(g->options.store);
    return d.index == r->index &&
           (!hash128_equal(d.data, r->data) || !hash128_equal(d.state, r->state));
}

bool group_install_is_welcome(struct group *g, uint64_t from, const struct raft_install_snapshot *s)
{
    struct reference r;
    if (reference_decode(span_make(s->data.base, s->data.len), &r, NULL) != 0 ||
        r.index != s->last_index || r.term != s->last_term) {
        group_malformed(g, from);
        return false;
    }
    /* libraft crashes on an install while it takes a snapshot or installs another (README.md,
     * hazard 16). */
    if (is_taking(g) || g->raft.snapshot.installing) {
        return false;
    }
    if (s->last_index > g->synced) {
        group_snapshot_want(g, s->last_index);
        return false;
    }
    if (store_contradicts(g, &r)) {
        struct error e = {0};
        (void)error_set(&e, CLADE_ERR_CORRUPT, "store",
                        "this node's data differs from the leader's at index %llu",
                        (unsigned long long)r.index);
        g->options.callbacks.on_fatal(g->options.arg, &e);
        return false;
    }
    return true;
}

/* What Raft goes on from must be in the store: a store that lost it would lack those entries for
 * ever, and the log no longer has them. */
static bool store_reaches(struct group *g, uint64_t index)
{
    if (g->options.store == NULL) {
        return true;
    }
    uint64_t applied = store_position(g->options.store).applied;
    if (applied < index) {
        (void)snprintf(
            g->raft.errmsg, sizeof g->raft.errmsg,
            "the log goes on after index %llu, and the store, data.mdb, has only reached "
            "%llu: it is an older copy, or was lost",
            (unsigned long long)index, (unsigned long long)applied);
    }
    return applied >= index;
}

/* At the start with what the log's folder holds, and at the end of an install. What is below the
 * snapshot is not in the log any more: the store must have it. */
int group_on_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct group *g = fsm->data;
    struct reference r;
    struct error e = {0};
    if (reference_decode(span_make(buf->base, buf->len), &r, &e) != 0) {
        CHECK(!g->started);
        (void)snprintf(g->raft.errmsg, sizeof g->raft.errmsg, "the snapshot %.200s", e.message);
        return RAFT_MALFORMED;
    }
    if (!g->started && !store_reaches(g, r.index)) {
        return RAFT_CORRUPT;
    }
    raft_free(buf->base);
    g->snapshot.index = r.index;
    apply_queue_expect(g->options.queue, r.index);
    return 0;
}
