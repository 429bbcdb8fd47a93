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

static void cancel_writes(struct sim_log *l)
{
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
    *snapshot = NULL;
    *start = 1;
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

static int on_set_term(struct raft_io *io, raft_term term)
{
    of(io)->term = term;
    of(io)->vote = 0;
    return 0;
}

static int on_set_vote(struct raft_io *io, raft_id id)
{
    of(io)->vote = id;
    return 0;
}

static int on_append(struct raft_io *io,
                     struct raft_io_append *req,
                     const struct raft_entry entries[],
                     unsigned n,
                     raft_io_append_cb cb)
{
    struct sim_log *l = of(io);
    CHECK(l->writes_len < SIM_WRITES_MAX);
    for (unsigned i = 0; i < n; i++) {
        push(l, &entries[i]);
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

static int on_truncate(struct raft_io *io, raft_index index)
{
    struct sim_log *l = of(io);
    cut(l, index - 1);
    for (size_t i = 0; i < l->writes_len; i++) {
        if (l->writes[i].entries_len > l->entries_len) {
            l->writes[i].entries_len = l->entries_len;
        }
    }
    return 0;
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
    *l = (struct sim_log){.now_us = now_us, .random = random, .write_us_max = 1000};
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
                             .time = on_time,
                             .random = on_random};
}

void sim_log_release(struct sim_log *l)
{
    cut(l, 0);
    free(l->entries);
    l->entries = NULL;
}

uint64_t sim_log_next_us(const struct sim_log *l)
{
    uint64_t next = l->tick == NULL ? UINT64_MAX : l->next_tick_us;
    if (l->writes_len > 0 && l->writes[0].due_us < next) {
        next = l->writes[0].due_us;
    }
    return next;
}

bool sim_log_step(struct sim_log *l)
{
    if (l->writes_len > 0 && l->writes[0].due_us <= *l->now_us) {
        struct sim_write w = l->writes[0];
        memmove(l->writes, l->writes + 1, --l->writes_len * sizeof l->writes[0]);
        if (w.entries_len > l->durable_len) {
            l->durable_len = w.entries_len;
        }
        w.cb(w.req, 0);
        return true;
    }
    if (l->tick != NULL && l->next_tick_us <= *l->now_us) {
        l->next_tick_us += l->tick_us;
        l->tick(&l->io);
        return true;
    }
    return false;
}

void sim_log_crash(struct sim_log *l)
{
    size_t at_risk = l->entries_len - l->durable_len;
    cut(l, l->durable_len + (at_risk == 0 ? 0 : random_below(l->random, at_risk + 1)));
    l->durable_len = l->entries_len;
}
