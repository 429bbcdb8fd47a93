#include "tests/sim/log.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static struct sim_log *of(struct raft_io *io)
{
    return (struct sim_log *)io;
}

static int on_init(struct raft_io *io, raft_id id, const char *address)
{
    return 0;
}

static void release_snapshot(struct sim_snapshot *s)
{
    raft_free(s->configuration.base);
    raft_free(s->data.base);
    *s = (struct sim_snapshot){0};
}

static void cancel_writes(struct sim_log *l)
{
    if (l->put != NULL) {
        struct raft_io_snapshot_put *put = l->put;
        l->put = NULL;
        release_snapshot(&l->writing);
        l->put_cb(put, RAFT_CANCELED);
    }
    while (l->gets_len > 0) {
        struct sim_get get = l->gets[--l->gets_len];
        get.cb(get.req, NULL, RAFT_CANCELED);
    }
    while (l->writes_len > 0) {
        struct sim_write w = l->writes[--l->writes_len];
        w.cb(w.req, RAFT_CANCELED);
    }
}

static void on_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct sim_log *l = of(io);
    l->closing = true;
    cancel_writes(l);
    l->tick = NULL;
    cb(io);
}

static struct raft_buffer copy_bytes(const void *base, size_t len)
{
    struct raft_buffer b = {.base = raft_malloc(len), .len = len};
    CHECK(b.base != NULL);
    memcpy(b.base, base, len);
    return b;
}

/* As libraft wants it: everything in memory of its own. */
static struct raft_snapshot *load_snapshot(const struct sim_snapshot *s)
{
    struct raft_snapshot *r = raft_malloc(sizeof *r);
    CHECK(r != NULL);
    *r = (struct raft_snapshot){
        .index = s->index, .term = s->term, .configuration_index = s->configuration_index};
    CHECK(raft_configuration_decode(&s->configuration, &r->configuration) == 0);
    r->bufs = raft_malloc(sizeof *r->bufs);
    CHECK(r->bufs != NULL);
    r->bufs[0] = copy_bytes(s->data.base, s->data.len);
    r->n_bufs = 1;
    return r;
}

static struct raft_entry copy_entry(const struct raft_entry *e)
{
    struct raft_entry c = *e;
    c.batch = raft_malloc(e->buf.len);
    CHECK(c.batch != NULL);
    memcpy(c.batch, e->buf.base, e->buf.len);
    c.buf.base = c.batch;
    return c;
}

static int on_load(struct raft_io *io,
                   raft_term *term,
                   raft_id *vote,
                   struct raft_snapshot **snapshot,
                   raft_index *start,
                   struct raft_entry *entries[],
                   size_t *n)
{
    struct sim_log *l = of(io);
    *term = l->term;
    *vote = l->vote;
    *snapshot = l->snapshot.index == 0 ? NULL : load_snapshot(&l->snapshot);
    *start = l->first;
    *n = l->entries_len;
    *entries = l->entries_len == 0 ? NULL : raft_malloc(l->entries_len * sizeof **entries);
    for (size_t i = 0; i < l->entries_len; i++) {
        (*entries)[i] = copy_entry(&l->entries[i]);
    }
    return 0;
}

static int on_start(struct raft_io *io, unsigned ms, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct sim_log *l = of(io);
    l->closing = false;
    l->tick_us = ms * UINT64_C(1000);
    l->next_tick_us = *l->now_us + 1 + random_below(l->random, l->tick_us);
    l->tick = tick;
    return 0;
}

static void push(struct sim_log *l, const struct raft_entry *e)
{
    if (l->entries_len == l->entries_cap) {
        l->entries_cap = l->entries_cap == 0 ? 256 : l->entries_cap * 2;
        l->entries = realloc(l->entries, l->entries_cap * sizeof *l->entries);
        CHECK(l->entries != NULL);
    }
    l->entries[l->entries_len++] = copy_entry(e);
}

static int on_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
    struct sim_log *l = of(io);
    struct raft_entry e = {.term = 1, .type = RAFT_CHANGE};
    CHECK(raft_configuration_encode(conf, &e.buf) == 0);
    l->term = 1;
    push(l, &e);
    l->durable_len = 1;
    raft_free(e.buf.base);
    return 0;
}

/* False when the write fails: then the process ends before it could tell anybody, so that libraft
 * is not told either. What it was to write may be there or not. */
static bool works(struct sim_log *l, size_t bytes)
{
    if (!l->failed && l->may_write != NULL && !l->may_write(l->arg, bytes)) {
        sim_log_end(l);
        return random_chance(l->random, 500);
    }
    return !l->failed;
}

static int on_set_term(struct raft_io *io, raft_term term)
{
    struct sim_log *l = of(io);
    if (works(l, 0)) {
        l->term = term;
        l->vote = 0;
    }
    return 0;
}

static int on_set_vote(struct raft_io *io, raft_id id)
{
    struct sim_log *l = of(io);
    if (works(l, 0)) {
        l->vote = id;
    }
    return 0;
}

static int on_append(struct raft_io *io,
                     struct raft_io_append *req,
                     const struct raft_entry entries[],
                     unsigned n,
                     raft_io_append_cb cb)
{
    struct sim_log *l = of(io);
    size_t bytes = 0;
    for (unsigned i = 0; i < n; i++) {
        push(l, &entries[i]);
        bytes += entries[i].buf.len;
    }
    (void)works(l, bytes);
    if (l->writes_len == l->writes_cap) {
        l->writes_cap = l->writes_cap == 0 ? 64 : 2 * l->writes_cap;
        l->writes = realloc(l->writes, l->writes_cap * sizeof *l->writes);
        CHECK(l->writes != NULL);
    }
    uint64_t due_us = *l->now_us + 50 + random_below(l->random, l->write_us_max);
    if (l->writes_len > 0 && l->writes[l->writes_len - 1].due_us > due_us) {
        due_us = l->writes[l->writes_len - 1].due_us; /* in order */
    }
    l->writes[l->writes_len++] =
        (struct sim_write){.req = req, .cb = cb, .due_us = due_us, .entries_len = l->entries_len};
    return 0;
}

static void cut(struct sim_log *l, size_t len)
{
    while (l->entries_len > len) {
        raft_free(l->entries[--l->entries_len].batch);
    }
    if (l->durable_len > len) {
        l->durable_len = len;
    }
}

static void forget_tail(struct sim_log *l)
{
    for (size_t i = 0; i < l->tail_len; i++) {
        raft_free(l->tail[i].batch);
    }
    free(l->tail);
    l->tail = NULL;
    l->tail_len = 0;
}

/* The disk removes what is durable of it before it writes anything else, but not at once. */
static void keep_tail(struct sim_log *l, size_t from)
{
    if (from >= l->durable_len) {
        return;
    }
    forget_tail(l);
    l->tail_len = l->durable_len - from;
    l->tail = malloc(l->tail_len * sizeof *l->tail);
    CHECK(l->tail != NULL);
    l->tail_first = l->first + from;
    for (size_t i = 0; i < l->tail_len; i++) {
        l->tail[i] = copy_entry(&l->entries[from + i]);
    }
}

static int on_truncate(struct raft_io *io, raft_index index)
{
    struct sim_log *l = of(io);
    CHECK(index >= l->first);
    if (!works(l, 0)) {
        return 0;
    }
    keep_tail(l, index - l->first);
    cut(l, index - l->first);
    if (l->failed) {
        l->failed_len = l->entries_len; /* it came to be, and what follows does not */
    }
    if (l->entries_len == 0) {
        l->first = index;
    }
    for (size_t i = 0; i < l->writes_len; i++) {
        if (l->writes[i].entries_len > l->entries_len) {
            l->writes[i].entries_len = l->entries_len;
        }
    }
    return 0;
}

/* --- snapshots --- */

static int on_snapshot_put(struct raft_io *io,
                           unsigned trailing,
                           struct raft_io_snapshot_put *req,
                           const struct raft_snapshot *snapshot,
                           raft_io_snapshot_put_cb cb)
{
    struct sim_log *l = of(io);
    CHECK(l->put == NULL && snapshot->n_bufs == 1);
    l->writing =
        (struct sim_snapshot){.index = snapshot->index,
                              .term = snapshot->term,
                              .configuration_index = snapshot->configuration_index,
                              .data = copy_bytes(snapshot->bufs[0].base, snapshot->bufs[0].len)};
    CHECK(raft_configuration_encode(&snapshot->configuration, &l->writing.configuration) == 0);
    (void)works(l, 0);
    l->put = req;
    l->put_cb = cb;
    l->put_trailing = trailing;
    l->put_due_us = *l->now_us + 100 + random_below(l->random, l->put_us_max);
    return 0;
}

static void drop_prefix(struct sim_log *l, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        raft_free(l->entries[i].batch);
    }
    memmove(l->entries, l->entries + n, (l->entries_len - n) * sizeof *l->entries);
    l->entries_len -= n;
    l->durable_len -= n < l->durable_len ? n : l->durable_len;
    l->first += n;
    for (size_t i = 0; i < l->writes_len; i++) {
        l->writes[i].entries_len -= n < l->writes[i].entries_len ? n : l->writes[i].entries_len;
    }
}

static void finish_put(struct sim_log *l)
{
    struct raft_io_snapshot_put *put = l->put;
    forget_tail(l);
    release_snapshot(&l->snapshot);
    l->snapshot = l->writing;
    l->writing = (struct sim_snapshot){0};
    l->put = NULL;
    if (l->put_trailing == 0) { /* an install: the log goes */
        cut(l, 0);
        l->first = l->snapshot.index + 1;
        for (size_t i = 0; i < l->writes_len; i++) {
            l->writes[i].entries_len = 0;
        }
    } else if (l->snapshot.index >= l->first + l->put_trailing) {
        drop_prefix(l, (size_t)(l->snapshot.index - l->put_trailing - l->first) + 1);
    }
    l->put_cb(put, 0);
}

static int on_snapshot_get(struct raft_io *io,
                           struct raft_io_snapshot_get *req,
                           raft_io_snapshot_get_cb cb)
{
    struct sim_log *l = of(io);
    CHECK(l->gets_len < SIM_GETS_MAX && l->snapshot.index != 0);
    l->gets[l->gets_len++] = (struct sim_get){
        .req = req, .cb = cb, .due_us = *l->now_us + 50 + random_below(l->random, l->write_us_max)};
    return 0;
}

static void finish_get(struct sim_log *l)
{
    struct sim_get get = l->gets[0];
    memmove(l->gets, l->gets + 1, --l->gets_len * sizeof l->gets[0]);
    get.cb(get.req, load_snapshot(&l->snapshot), 0);
}

static raft_time on_time(struct raft_io *io)
{
    return *of(io)->now_us / 1000;
}

static int on_random(struct raft_io *io, int min, int max)
{
    return min + (int)random_below(of(io)->random, (uint64_t)(max - min));
}

void sim_log_init(struct sim_log *l, const uint64_t *now_us, struct sim_random *random)
{
    *l = (struct sim_log){
        .now_us = now_us, .random = random, .write_us_max = 1000, .put_us_max = 4000, .first = 1};
    l->io = (struct raft_io){.version = 2,
                             .init = on_init,
                             .close = on_close,
                             .load = on_load,
                             .start = on_start,
                             .bootstrap = on_bootstrap,
                             .set_term = on_set_term,
                             .set_vote = on_set_vote,
                             .append = on_append,
                             .truncate = on_truncate,
                             .snapshot_put = on_snapshot_put,
                             .snapshot_get = on_snapshot_get,
                             .time = on_time,
                             .random = on_random};
}

void sim_log_release(struct sim_log *l)
{
    cut(l, 0);
    forget_tail(l);
    release_snapshot(&l->snapshot);
    free(l->entries);
    free(l->writes);
    l->entries = NULL;
}

uint64_t sim_log_next_us(const struct sim_log *l)
{
    if (l->failed) {
        return UINT64_MAX;
    }
    uint64_t next = l->tick == NULL ? UINT64_MAX : l->next_tick_us;
    if (l->writes_len > 0 && l->writes[0].due_us < next) {
        next = l->writes[0].due_us;
    }
    if (l->put != NULL && l->writes_len == 0 && l->put_due_us < next) {
        next = l->put_due_us;
    }
    if (l->gets_len > 0 && l->gets[0].due_us < next) {
        next = l->gets[0].due_us;
    }
    return next;
}

bool sim_log_step(struct sim_log *l)
{
    if (l->writes_len > 0 && l->writes[0].due_us <= *l->now_us) {
        struct sim_write w = l->writes[0];
        memmove(l->writes, l->writes + 1, --l->writes_len * sizeof l->writes[0]);
        forget_tail(l);
        if (w.entries_len > l->durable_len) {
            l->durable_len = w.entries_len;
        }
        w.cb(w.req, 0);
        return true;
    }
    if (l->put != NULL && l->put_due_us <= *l->now_us && l->writes_len == 0) {
        finish_put(l); /* a snapshot waits for what is being written, as raft_uv's barrier does */
        return true;
    }
    if (l->gets_len > 0 && l->gets[0].due_us <= *l->now_us) {
        finish_get(l);
        return true;
    }
    if (l->tick != NULL && l->next_tick_us <= *l->now_us) {
        l->next_tick_us += l->tick_us;
        l->tick(&l->io);
        return true;
    }
    return false;
}

void sim_log_end(struct sim_log *l)
{
    if (!l->failed) {
        l->failed = true;
        l->failed_len = l->entries_len;
    }
}

void sim_log_crash(struct sim_log *l)
{
    if (l->failed && l->entries_len > l->failed_len) {
        cut(l, l->failed_len); /* the process had ended before it could write these */
    }
    if (l->tail_len > 0 && random_chance(l->random, 500)) { /* the cut had not come to be */
        cut(l, l->tail_first - l->first);
        for (size_t i = 0; i < l->tail_len; i++) {
            push(l, &l->tail[i]);
        }
    } else {
        size_t at_risk = l->entries_len - l->durable_len;
        cut(l, l->durable_len + (at_risk == 0 ? 0 : random_below(l->random, at_risk + 1)));
    }
    forget_tail(l);
    l->durable_len = l->entries_len;
    l->failed = false;
}

void sim_log_lose(struct sim_log *l, raft_index last)
{
    cut(l, last < l->first ? 0 : (size_t)(last - l->first) + 1);
}

void sim_log_lose_term(struct sim_log *l)
{
    l->term--;
    l->vote = 0;
}
