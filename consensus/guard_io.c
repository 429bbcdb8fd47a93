#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/guard_internal.h"
#include "consensus/loaded_log.h"

/* An append between the group and the io, so that its success is seen. */
struct guard_append {
    struct raft_io_append req;
    struct raft_io_append *raft_req;
    raft_io_append_cb raft_cb;
    struct guard *guard;
    struct list node;
    raft_index last; /* of its entries, those that were truncated meanwhile left out; 0 = none */
};

/* An install, likewise. */
struct guard_install {
    struct raft_io_snapshot_put req;
    struct raft_io_snapshot_put *raft_req;
    raft_io_snapshot_put_cb raft_cb;
    struct guard *guard;
    raft_index index;
};

static struct guard *guard_of(struct raft_io *io)
{
    return (struct guard *)((char *)io - offsetof(struct guard, face));
}

/* --- what the log holds --- */

/* Keeps the stretches of the entries below `index`. */
static void stretches_cut(struct guard *g, raft_index index)
{
    while (g->stretches_len > 0 && g->stretches[g->stretches_len - 1].first >= index) {
        g->stretches_len--;
    }
}

static int stretches_add(struct guard *g, raft_index index, raft_term term)
{
    if (g->stretches_len > 0 && g->stretches[g->stretches_len - 1].term == term) {
        return 0;
    }
    if (g->stretches_len == g->stretches_cap) {
        size_t cap = g->stretches_cap == 0 ? 16 : 2 * g->stretches_cap;
        struct stretch *grown = realloc(g->stretches, cap * sizeof *grown);
        if (grown == NULL) {
            return RAFT_NOMEM;
        }
        g->stretches = grown;
        g->stretches_cap = cap;
    }
    g->stretches[g->stretches_len++] = (struct stretch){.first = index, .term = term};
    return 0;
}

/* The term of an entry of the log; 0 = it is too old to be known. */
static raft_term term_of(const struct guard *g, raft_index index)
{
    size_t i = g->stretches_len;
    while (i > 0 && g->stretches[i - 1].first > index) {
        i--;
    }
    return i == 0 ? 0 : g->stretches[i - 1].term;
}

/* Nothing below a snapshot's trailing entries is ever asked for. */
static void stretches_forget(struct guard *g, raft_index index)
{
    size_t n = 0;
    while (n + 1 < g->stretches_len && g->stretches[n + 1].first <= index) {
        n++;
    }
    if (n > 0) {
        g->stretches_len -= n;
        memmove(g->stretches, g->stretches + n, g->stretches_len * sizeof *g->stretches);
    }
}

/* --- what libraft calls --- */

/* The io writes its own errmsg; libraft reads the face's. */
static int passed(struct guard *g, int rv)
{
    if (rv != 0) {
        memcpy(g->face.errmsg, g->io->errmsg, sizeof g->face.errmsg);
    }
    return rv;
}

static int face_init(struct raft_io *io, raft_id id, const char *address)
{
    struct guard *g = guard_of(io);
    g->io->data = io->data;
    return passed(g, g->io->init(g->io, id, address));
}

static void face_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct guard *g = guard_of(io);
    g->io->close(g->io, cb); /* which finds what it needs in io->data */
}

static void on_tick(struct raft_io *io)
{
    const struct raft *r = io->data;
    struct guard *g = guard_of(r->io);
    g->face.capacity = io->capacity;
    g->tick(&g->face);
}

static int face_start(struct raft_io *io, unsigned ms, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct guard *g = guard_of(io);
    g->tick = tick;
    return passed(g, g->io->start(g->io, ms, on_tick, recv));
}

static int face_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
    struct guard *g = guard_of(io);
    return passed(g, g->io->bootstrap(g->io, conf));
}

static int face_recover(struct raft_io *io, const struct raft_configuration *conf)
{
    struct guard *g = guard_of(io);
    return passed(g, g->io->recover(g->io, conf));
}

static int write_term_and_vote(struct guard *g)
{
    return g->options.off ? 0 : guard_write_now(g);
}

/* The io is about to write them: if it says so at the next load, that is no damage. */
static int expect(struct guard *g, raft_term term, raft_id vote)
{
    pthread_mutex_lock(&g->state);
    g->wanted.next_term = term;
    g->wanted.next_vote = vote;
    pthread_mutex_unlock(&g->state);
    return write_term_and_vote(g);
}

static int set_term_and_vote(struct guard *g, raft_term term, raft_id vote)
{
    pthread_mutex_lock(&g->state);
    g->wanted.term = term;
    g->wanted.vote = vote;
    g->wanted.next_term = 0;
    g->wanted.next_vote = 0;
    pthread_mutex_unlock(&g->state);
    int rv = write_term_and_vote(g);
    return rv != 0 || g->options.off ? rv : guard_witness_now(g);
}

/* libraft writes the term again when it grants its vote to the same candidate again, and raft_uv
 * takes the vote back with it: a crash before it is written again would lose one that was given
 * (README.md, hazard 34). */
static int face_set_term(struct raft_io *io, raft_term term)
{
    struct guard *g = guard_of(io);
    if (term == g->wanted.term) {
        return 0;
    }
    int rv = expect(g, term, 0);
    rv = rv != 0 ? rv : passed(g, g->io->set_term(g->io, term));
    return rv != 0 ? rv : set_term_and_vote(g, term, 0);
}

static int face_set_vote(struct raft_io *io, raft_id vote)
{
    struct guard *g = guard_of(io);
    if (vote == g->wanted.vote) {
        return 0;
    }
    int rv = expect(g, g->wanted.term, vote);
    rv = rv != 0 ? rv : passed(g, g->io->set_vote(g->io, vote));
    return rv != 0 ? rv : set_term_and_vote(g, g->wanted.term, vote);
}

static void on_append(struct raft_io_append *req, int status)
{
    struct guard_append *a = req->data;
    struct raft_io_append *raft_req = a->raft_req;
    raft_io_append_cb cb = a->raft_cb;
    list_remove(&a->node);
    if (status == 0 && a->last > 0) {
        guard_raise(a->guard, a->last, term_of(a->guard, a->last));
    }
    free(a);
    cb(raft_req, status);
}

static int append(struct guard *g,
                  struct guard_append *a,
                  const struct raft_entry entries[],
                  unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        int rv = stretches_add(g, g->next + i, entries[i].term);
        if (rv != 0) {
            return rv;
        }
    }
    a->last = g->next + n - 1;
    list_push_back(&g->appends, &a->node);
    int rv = passed(g, g->io->append(g->io, &a->req, entries, n, on_append));
    if (rv != 0) {
        list_remove(&a->node);
        return rv;
    }
    g->next += n;
    return 0;
}

static int face_append(struct raft_io *io,
                       struct raft_io_append *req,
                       const struct raft_entry entries[],
                       unsigned n,
                       raft_io_append_cb cb)
{
    struct guard *g = guard_of(io);
    if (g->options.off) {
        return passed(g, g->io->append(g->io, req, entries, n, cb));
    }
    struct guard_append *a = malloc(sizeof *a);
    if (a == NULL) {
        return RAFT_NOMEM;
    }
    *a = (struct guard_append){.raft_req = req, .raft_cb = cb, .guard = g};
    a->req.data = a;
    req->cb = cb;
    int rv = append(g, a, entries, n);
    if (rv != 0) {
        stretches_cut(g, g->next);
        free(a);
    }
    return rv;
}

/* What is being written and will have been cut away must not raise the mark. */
static void cap_appends(struct guard *g, raft_index last)
{
    LIST_FOREACH(n, &g->appends)
    {
        struct guard_append *a = LIST_ENTRY(n, struct guard_append, node);
        a->last = a->last < last ? a->last : last;
    }
}

static int face_truncate(struct raft_io *io, raft_index index)
{
    struct guard *g = guard_of(io);
    if (!g->options.off && index < g->next) {
        cap_appends(g, index - 1);
        stretches_cut(g, index);
        g->next = index;
        int rv = guard_lower(g, index - 1, term_of(g, index - 1));
        if (rv != 0) {
            return rv;
        }
    }
    return passed(g, g->io->truncate(g->io, index));
}

static int face_send(struct raft_io *io,
                     struct raft_io_send *req,
                     const struct raft_message *message,
                     raft_io_send_cb cb)
{
    struct guard *g = guard_of(io);
    return passed(g, g->io->send(g->io, req, message, cb));
}

static void on_install(struct raft_io_snapshot_put *req, int status)
{
    struct guard_install *i = req->data;
    struct raft_io_snapshot_put *raft_req = i->raft_req;
    raft_io_snapshot_put_cb cb = i->raft_cb;
    if (status == 0) {
        guard_raise(i->guard, i->index, term_of(i->guard, i->index));
    }
    free(i);
    cb(raft_req, status);
}

/* Until the install is done the old log may come back, which may hold another term at that index;
 * so the mark asks for the index alone. */
static int install(struct guard *g, const struct raft_snapshot *snapshot)
{
    cap_appends(g, 0);
    g->stretches_len = 0;
    g->next = snapshot->index + 1;
    int rv = stretches_add(g, snapshot->index, snapshot->term);
    return rv != 0 ? rv : guard_lower(g, snapshot->index, 0);
}

static int face_snapshot_put(struct raft_io *io,
                             unsigned trailing,
                             struct raft_io_snapshot_put *req,
                             const struct raft_snapshot *snapshot,
                             raft_io_snapshot_put_cb cb)
{
    struct guard *g = guard_of(io);
    if (trailing > 0 || g->options.off) {
        stretches_forget(g, snapshot->index > trailing ? snapshot->index - trailing : 0);
        return passed(g, g->io->snapshot_put(g->io, trailing, req, snapshot, cb));
    }
    struct guard_install *i = malloc(sizeof *i);
    if (i == NULL) {
        return RAFT_NOMEM;
    }
    *i = (struct guard_install){
        .raft_req = req, .raft_cb = cb, .guard = g, .index = snapshot->index};
    i->req.data = i;
    req->cb = cb;
    int rv = install(g, snapshot);
    if (rv == 0) {
        rv = passed(g, g->io->snapshot_put(g->io, 0, &i->req, snapshot, on_install));
    }
    if (rv != 0) {
        free(i);
    }
    return rv;
}

static int face_snapshot_get(struct raft_io *io,
                             struct raft_io_snapshot_get *req,
                             raft_io_snapshot_get_cb cb)
{
    struct guard *g = guard_of(io);
    return passed(g, g->io->snapshot_get(g->io, req, cb));
}

static raft_time face_time(struct raft_io *io)
{
    struct guard *g = guard_of(io);
    return g->io->time(g->io);
}

static int face_random(struct raft_io *io, int min, int max)
{
    struct guard *g = guard_of(io);
    return g->io->random(g->io, min, max);
}

/* --- loading --- */

/* Whether the io may say this: what the mark has, what was coming, or, of a log that was never
 * loaded, what libraft's bootstrap writes. */
static bool may_be(const struct guard_mark *m, raft_term term, raft_id vote)
{
    return (term == m->term && vote == m->vote) ||
           (m->next_term != 0 && term == m->next_term && vote == m->next_vote) ||
           (m->term == 0 && term <= 1 && vote == 0);
}

/* How the term and the vote on disk differ from the mark's, as a sentence. */
static int compare_term(const struct guard_mark *m,
                        const struct loaded_log *l,
                        char *text,
                        size_t text_bytes)
{
    if (may_be(m, l->term, l->vote)) {
        return 0;
    }
    if (l->term == m->term) {
        (void)snprintf(text, text_bytes,
                       "the vote on disk is for %llu, but in term %" PRIu64
                       " this node has voted for %" PRIu64 " (0: nobody)",
                       l->vote, m->term, m->vote);
        return RAFT_CORRUPT;
    }
    (void)snprintf(
        text, text_bytes,
        l->term < m->term
            ? "the term on disk is %llu, but this node has been in term %" PRIu64
            : "the term on disk is %llu, but this node has never been beyond term %" PRIu64
              ": raft's metadata is damaged",
        l->term, m->next_term > m->term ? m->next_term : m->term);
    return RAFT_CORRUPT;
}

/* What is missing to the mark, as a sentence; 0 when nothing is. */
static int compare_log(const struct guard *g,
                       const struct guard_mark *m,
                       const struct loaded_log *l,
                       char *text,
                       size_t text_bytes)
{
    raft_index snapshot = l->snapshot == NULL ? 0 : l->snapshot->index;
    raft_index last = g->next - 1;
    if (last < m->index) {
        (void)snprintf(text, text_bytes,
                       "the log ends at index %llu, but this node has acknowledged up to %" PRIu64
                       ": its end is lost",
                       last, m->index);
        return RAFT_CORRUPT;
    }
    if (m->index > snapshot && m->index_term != 0 && term_of(g, m->index) != m->index_term) {
        (void)snprintf(text, text_bytes,
                       "the log holds term %llu at index %" PRIu64
                       ", but this node has acknowledged it of term %" PRIu64,
                       term_of(g, m->index), m->index, m->index_term);
        return RAFT_CORRUPT;
    }
    return 0;
}

/* The witness lags behind, and never is ahead: a term or a vote that it knows of was written
 * before. */
static int compare_witness(const struct guard *g,
                           const struct guard_mark *w,
                           const struct loaded_log *l,
                           char *text,
                           size_t text_bytes)
{
    if (l->term < w->term || (l->term == w->term && w->vote != 0 && l->vote != w->vote)) {
        (void)snprintf(text, text_bytes,
                       "the log's folder is an older copy, or lost its term: it says term %llu and "
                       "a vote for %llu, but this node has been in term %" PRIu64
                       " and voted for %" PRIu64 " (0: nobody)",
                       l->term, l->vote, w->term, w->vote);
        return RAFT_CORRUPT;
    }
    return compare_log(g, w, l, text, text_bytes);
}

static int note_log(struct guard *g, const struct loaded_log *l)
{
    int rv = 0;
    g->stretches_len = 0;
    g->next = l->start + l->n;
    if (l->n == 0 && l->snapshot != NULL) {
        g->next = l->snapshot->index + 1;
        rv = stretches_add(g, l->snapshot->index, l->snapshot->term);
    }
    for (size_t i = 0; i < l->n && rv == 0; i++) {
        rv = stretches_add(g, l->start + i, l->entries[i].term);
    }
    return rv;
}

/* libraft holds what it loaded for acknowledged, and its term and vote for known: so does the
 * mark. */
static int adopt(struct guard *g, const struct guard_mark *m, const struct loaded_log *l)
{
    pthread_mutex_lock(&g->state);
    g->taken = *m;
    g->wanted = (struct guard_mark){.generation = m->generation,
                                    .term = l->term,
                                    .vote = l->vote,
                                    .index = g->next - 1,
                                    .index_term = term_of(g, g->next - 1)};
    bool same = memcmp(&g->wanted, m, sizeof *m) == 0;
    pthread_mutex_unlock(&g->state);
    int rv = same ? 0 : guard_write_now(g);
    return rv != 0 ? rv : guard_witness_now(g);
}

/* The mark on one of the disks, as a sentence where there is none. */
static int read_mark(struct guard *g, struct guard_disk *disk, struct guard_mark *ret)
{
    struct error error = {0};
    if (guard_mark_read(disk, ret, &error) == 0) {
        return 0;
    }
    (void)snprintf(g->face.errmsg, sizeof g->face.errmsg, "%s%s: %.*s",
                   disk == g->options.witness ? "outside of the log's folder: " : "", error.where,
                   (int)sizeof g->face.errmsg / 4, error.message);
    return error.code == CLADE_ERR_CORRUPT ? RAFT_CORRUPT : RAFT_IOERR;
}

static int check_loaded(struct guard *g, const struct loaded_log *l)
{
    struct guard_mark mark;
    char *text = g->face.errmsg;
    const size_t text_bytes = sizeof g->face.errmsg;
    int rv = note_log(g, l);
    rv = rv != 0 ? rv : read_mark(g, g->options.disk, &mark);
    rv = rv != 0 ? rv : compare_term(&mark, l, text, text_bytes);
    rv = rv != 0 ? rv : compare_log(g, &mark, l, text, text_bytes);
    if (rv == 0 && g->options.witness != NULL) {
        rv = read_mark(g, g->options.witness, &g->witnessed);
        rv = rv != 0 ? rv : compare_witness(g, &g->witnessed, l, text, text_bytes);
    }
    return rv != 0 ? rv : adopt(g, &mark, l);
}

static int face_load(struct raft_io *io,
                     raft_term *ret_term,
                     raft_id *ret_vote,
                     struct raft_snapshot **ret_snapshot,
                     raft_index *ret_start,
                     struct raft_entry *ret_entries[],
                     size_t *ret_n)
{
    struct guard *g = guard_of(io);
    struct loaded_log l = {.entries = NULL};
    int rv =
        passed(g, g->io->load(g->io, &l.term, &l.vote, &l.snapshot, &l.start, &l.entries, &l.n));
    if (rv != 0) {
        return rv;
    }
    g->wanted.term = l.term;
    g->wanted.vote = l.vote;
    rv = g->options.off ? 0 : check_loaded(g, &l);
    if (rv != 0) {
        loaded_log_release(&l);
        return rv;
    }
    *ret_term = l.term;
    *ret_vote = l.vote;
    *ret_snapshot = l.snapshot;
    *ret_start = l.start;
    *ret_entries = l.entries;
    *ret_n = l.n;
    return 0;
}

/* --- all of it --- */

void guard_face_init(struct guard *g)
{
    g->face = (struct raft_io){.version = g->io->version,
                               .capacity = g->io->capacity,
                               .init = face_init,
                               .close = face_close,
                               .load = face_load,
                               .start = face_start,
                               .bootstrap = face_bootstrap,
                               .recover = face_recover,
                               .set_term = face_set_term,
                               .set_vote = face_set_vote,
                               .send = face_send,
                               .append = face_append,
                               .truncate = face_truncate,
                               .snapshot_put = face_snapshot_put,
                               .snapshot_get = face_snapshot_get,
                               .time = face_time,
                               .random = face_random};
}
