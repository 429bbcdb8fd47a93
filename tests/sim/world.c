#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "consensus/message.h"

#define READ_ARENA_BYTES   (1u << 20)
#define READ_SCRATCH_BYTES (1u << 20)

void world_fail(struct world *w, const char *fmt, ...)
{
    if (w->failure[0] != '\0') {
        return;
    }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(w->failure, sizeof w->failure, fmt, args);
    va_end(args);
}

void world_trace(struct world *w, uint64_t a, uint64_t b)
{
    uint8_t bytes[16];
    put_u64le(bytes, a);
    put_u64le(bytes + 8, b);
    w->trace = hash64(span_make(bytes, sizeof bytes), w->trace);
}

/* --- what must hold --- */

void world_note_leader(struct world *w, uint64_t node, uint64_t term)
{
    CHECK(term < WORLD_TERMS);
    if (w->leaders[term] != 0 && w->leaders[term] != node) {
        world_fail(w, "term %llu has two leaders: %llu and %llu", (unsigned long long)term,
                   (unsigned long long)w->leaders[term], (unsigned long long)node);
    }
    w->leaders[term] = node;
}

static bool is_equal(struct hash128 a, struct hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

void world_check_digest(struct world *w, const struct sim_node *n)
{
    struct store_digest d = store_digest_current(n->store);
    struct sim_digest *known = &w->digest_at[d.index % WORLD_DIGESTS];
    world_trace(w, d.index, d.state.low);
    if (known->node == 0 || known->digest.index != d.index) {
        *known = (struct sim_digest){.digest = d, .node = n->id};
    } else if (!is_equal(known->digest.data, d.data) || !is_equal(known->digest.state, d.state)) {
        world_fail(w, "nodes %llu and %llu differ at index %llu", (unsigned long long)known->node,
                   (unsigned long long)n->id, (unsigned long long)d.index);
    }
}

/* --- nodes --- */

void world_address(unsigned node, char address[MEMBER_ADDRESS_BYTES])
{
    (void)snprintf(address, MEMBER_ADDRESS_BYTES, "node%u:1", node + 1);
}

static void list_members(const struct world *w, struct group_member members[SIM_NODES_MAX])
{
    memset(members, 0, SIM_NODES_MAX * sizeof *members);
    for (unsigned i = 0; i < w->nodes_len; i++) {
        members[i].id = i + 1;
        world_address(i, members[i].address);
    }
}

int world_join(struct world *w)
{
    struct group_member members[SIM_NODES_MAX];
    if (w->nodes_len == SIM_NODES_MAX) {
        return -1;
    }
    unsigned i = w->nodes_len++;
    list_members(w, members);
    node_init(&w->nodes[i], w, i, true, members, w->nodes_len);
    (void)node_start(&w->nodes[i]);
    return (int)i;
}

struct sim_node *world_leader(struct world *w)
{
    struct sim_node *leader = NULL;
    uint64_t term = 0;
    for (unsigned i = 0; i < w->nodes_len; i++) {
        struct group_status s;
        if (w->nodes[i].up) {
            group_status(w->nodes[i].group, &s);
            if (s.is_leader && s.term > term) {
                leader = &w->nodes[i];
                term = s.term;
            }
        }
    }
    return leader;
}

/* --- life --- */

struct world *world_new(uint64_t seed, unsigned nodes)
{
    struct world *w = calloc(1, sizeof *w);
    CHECK(w != NULL && nodes <= SIM_NODES_MAX);
    w->seed = seed;
    w->now_us = 1000000;
    w->log_bytes = seed % 3 == 0 ? WORLD_LOG_BYTES_SMALL : WORLD_LOG_BYTES;
    w->cluster = (struct hash128){.low = seed, .high = 1};
    random_seed(&w->random, seed);
    network_init(&w->network, &w->random);
    arena_init(&w->arena, READ_ARENA_BYTES);
    buffer_init(&w->scratch, READ_SCRATCH_BYTES);
    (void)snprintf(w->folder, sizeof w->folder, "%s/clade-sim-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(w->folder) != NULL);
    struct group_member members[SIM_NODES_MAX];
    w->nodes_len = nodes;
    list_members(w, members);
    for (unsigned i = 0; i < nodes; i++) {
        node_init(&w->nodes[i], w, i, false, members, nodes);
        (void)node_start(&w->nodes[i]);
    }
    return w;
}

void world_free(struct world *w)
{
    for (unsigned i = 0; i < w->nodes_len; i++) {
        node_release(&w->nodes[i]);
    }
    network_release(&w->network);
    arena_release(&w->arena);
    buffer_release(&w->scratch);
    (void)rmdir(w->folder);
    free(w);
}

/* --- time --- */

/* As peers.h has it: who was removed is told when it calls, and stops. */
static bool is_told_gone(struct sim_node *from, struct sim_node *to)
{
    if (!group_is_gone(to->group, from->id)) {
        return false;
    }
    from->removed = true;
    node_plan(from);
    return true;
}

/* When a message that waits for a stopped process comes: behind those before it, or anywhere. */
static uint64_t thaw_us(struct world *w, struct sim_node *n)
{
    if (!n->thaws_in_order) {
        return n->frozen_until_us + random_below(&w->random, 2000);
    }
    n->thawed_us += 1 + random_below(&w->random, 20);
    return n->frozen_until_us + n->thawed_us;
}

/* Of a copy no more than its length: LMDB leaves in a page where there are no rows what its memory
 * held, addresses among it. */
static void trace_mail(struct world *w, const struct sim_mail *m)
{
    size_t len = m->bytes[0] == PEER_SUPPLY ? 1 : m->len;
    w->trace = hash64(span_make(m->bytes, len), w->trace);
    world_trace(w, m->len, m->to);
}

static void deliver(struct world *w)
{
    struct sim_mail m = network_take(&w->network);
    struct sim_node *to = &w->nodes[m.to - 1];
    if (to->up && to->frozen_until_us > w->now_us) {
        m.due_us = thaw_us(w, to);
        network_put(&w->network, m);
        return;
    }
    if (to->up && to->boot == m.boot && !w->network.cut[m.from][m.to] &&
        !is_told_gone(&w->nodes[m.from - 1], to)) {
        trace_mail(w, &m);
        node_receive(to, m.from, span_make(m.bytes, m.len));
    }
    free(m.bytes);
}

bool world_step(struct world *w, uint64_t until_us)
{
    uint64_t next = network_next_us(&w->network);
    struct sim_node *node = NULL;
    for (unsigned i = 0; i < w->nodes_len; i++) {
        if (w->nodes[i].next_us < next) {
            next = w->nodes[i].next_us;
            node = &w->nodes[i];
        }
    }
    if (next > until_us || w->failure[0] != '\0') {
        w->now_us = until_us > w->now_us ? until_us : w->now_us;
        return false;
    }
    w->now_us = next > w->now_us ? next : w->now_us;
    w->steps++;
    if (node == NULL) {
        deliver(w);
    } else {
        node_step(node);
    }
    return true;
}
