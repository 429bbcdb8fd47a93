#include "memory_io.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static struct memory_io *of(struct raft_io *io)
{
    return (struct memory_io *)io;
}

static int mem_init(struct raft_io *io, raft_id id, const char *address)
{
    return 0;
}

static void mem_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct memory_io *m = of(io);
    for (size_t i = 0; i < m->pending_len; i++) {
        m->pending[i].cb(m->pending[i].req, RAFT_CANCELED);
    }
    m->pending_len = 0;
    m->tick = NULL;
    cb(io);
}

static struct raft_entry copy_entry(const struct raft_entry *e, void *batch)
{
    struct raft_entry c = *e;
    c.buf.base = batch;
    c.batch = batch;
    memcpy(batch, e->buf.base, e->buf.len);
    return c;
}

static int mem_load(struct raft_io *io,
                    raft_term *term,
                    raft_id *vote,
                    struct raft_snapshot **snapshot,
                    raft_index *start,
                    struct raft_entry *entries[],
                    size_t *n)
{
    struct memory_io *m = of(io);
    *term = m->term;
    *vote = m->vote;
    *snapshot = NULL;
    *start = 1;
    *n = m->entries_len;
    *entries = m->entries_len == 0 ? NULL : raft_malloc(m->entries_len * sizeof **entries);
    for (size_t i = 0; i < m->entries_len; i++) {
        (*entries)[i] = copy_entry(&m->entries[i], raft_malloc(m->entries[i].buf.len));
    }
    return 0;
}

static int mem_start(struct raft_io *io, unsigned ms, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct memory_io *m = of(io);
    m->tick_ms = ms;
    m->next_tick_us = *m->now_us + ms * 1000u;
    m->tick = tick;
    m->recv = recv;
    return 0;
}

static void push_entry(struct memory_io *m, const struct raft_entry *e)
{
    if (m->entries_len == m->entries_cap) {
        m->entries_cap = m->entries_cap == 0 ? 64 : m->entries_cap * 2;
        m->entries = realloc(m->entries, m->entries_cap * sizeof *m->entries);
        CHECK(m->entries != NULL);
    }
    m->entries[m->entries_len++] = copy_entry(e, raft_malloc(e->buf.len));
}

static int mem_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
    struct memory_io *m = of(io);
    struct raft_entry e = {.term = 1, .type = RAFT_CHANGE};
    CHECK(raft_configuration_encode(conf, &e.buf) == 0);
    m->term = 1;
    push_entry(m, &e);
    raft_free(e.buf.base);
    return 0;
}

static int mem_set_term(struct raft_io *io, raft_term term)
{
    of(io)->term = term;
    of(io)->vote = 0;
    return 0;
}

static int mem_set_vote(struct raft_io *io, raft_id id)
{
    of(io)->vote = id;
    return 0;
}

static int mem_append(struct raft_io *io,
                      struct raft_io_append *req,
                      const struct raft_entry entries[],
                      unsigned n,
                      raft_io_append_cb cb)
{
    struct memory_io *m = of(io);
    CHECK(m->pending_len < sizeof m->pending / sizeof m->pending[0]);
    for (unsigned i = 0; i < n; i++) {
        push_entry(m, &entries[i]);
    }
    m->pending[m->pending_len++] = (struct memory_append){.req = req, .cb = cb};
    return 0;
}

static int mem_truncate(struct raft_io *io, raft_index index)
{
    struct memory_io *m = of(io);
    while (m->entries_len >= index) {
        raft_free(m->entries[--m->entries_len].batch);
    }
    return 0;
}

static raft_time mem_time(struct raft_io *io)
{
    return *of(io)->now_us / 1000;
}

static int mem_random(struct raft_io *io, int min, int max)
{
    struct memory_io *m = of(io);
    m->seed = m->seed * 1103515245u + 12345u;
    return min + (int)((m->seed >> 8) % (unsigned)(max - min));
}

void memory_io_init(struct memory_io *m, uint64_t *now_us, unsigned seed)
{
    *m = (struct memory_io){.now_us = now_us, .seed = seed};
    m->io = (struct raft_io){.version = 2,
                             .init = mem_init,
                             .close = mem_close,
                             .load = mem_load,
                             .start = mem_start,
                             .bootstrap = mem_bootstrap,
                             .set_term = mem_set_term,
                             .set_vote = mem_set_vote,
                             .append = mem_append,
                             .truncate = mem_truncate,
                             .time = mem_time,
                             .random = mem_random};
}

void memory_io_release(struct memory_io *m)
{
    (void)mem_truncate(&m->io, 1);
    free(m->entries);
}

bool memory_io_step(struct memory_io *m)
{
    bool did = false;
    if (m->tick != NULL && *m->now_us >= m->next_tick_us) {
        m->next_tick_us += m->tick_ms * 1000u;
        m->tick(&m->io);
        did = true;
    }
    size_t n = m->pending_len;
    struct memory_append done[64];
    if (n > 64) {
        n = 64;
    }
    memcpy(done, m->pending, n * sizeof done[0]);
    memmove(m->pending, m->pending + n, (m->pending_len - n) * sizeof done[0]);
    m->pending_len -= n;
    for (size_t i = 0; i < n; i++) {
        done[i].cb(done[i].req, 0);
        did = true;
    }
    return did;
}
