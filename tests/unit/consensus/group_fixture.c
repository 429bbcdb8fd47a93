#include "tests/unit/consensus/group_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/check.h"
#include "consensus/message.h"

static uint64_t virtual_us(const struct clock *c)
{
    return *(uint64_t *)c->data;
}

static void on_refused(void *arg, struct proposal *p, const struct error *e)
{
    struct node *n = arg;
    n->refused++;
    n->refused_code = e->code;
    n->refused_ms = e->retry_ms;
    memcpy(n->refused_why, e->message, sizeof n->refused_why);
}

static int on_admit(void *arg, const struct proposal *p, uint64_t now_us, struct error *ret)
{
    struct node *n = arg;
    if (n->throttle_ms == 0) {
        return 0;
    }
    (void)error_set(ret, CLADE_ERR_THROTTLED, NULL, "slow down");
    ret->retry_ms = n->throttle_ms;
    return CLADE_ERR_THROTTLED;
}

static bool on_short(void *arg, const struct proposal *p, const struct room *room)
{
    const struct node *n = arg;
    return room->level == ROOM_LOW && p->id.counter == n->makes_room;
}

static void on_read_index(void *arg, uint64_t ticket, int code, uint64_t index)
{
    struct node *n = arg;
    n->reads++;
    n->read_code = code;
    n->read_index = index;
}

static void on_leader(void *arg, uint64_t leader, uint64_t term)
{
}

static void on_transfer(void *arg, uint64_t ticket, const struct error *e, uint64_t leader)
{
    struct node *n = arg;
    n->transfers++;
    n->transfer_code = e->code;
    n->transfer_leader = leader;
}

static void on_wake(void *arg)
{
    ((struct node *)arg)->wake = true;
}

static void on_fatal(void *arg, const struct error *e)
{
    ((struct node *)arg)->fatal = true;
}

static void on_behind(void *arg, uint64_t index, const uint64_t *sources, size_t n)
{
    struct node *node = arg;
    node->behind = index;
    node->source = sources[0];
    node->behinds++;
}

static void net_send(struct group_transport *t, uint64_t to, struct span message)
{
    struct node *n = (struct node *)t;
    struct cluster *c = n->cluster;
    if (c->cut[n->id][to] || c->mail_len == MAIL_MAX) {
        return;
    }
    struct mail *m = &c->mail[c->mail_len++];
    c->installs += message.data[0] == PEER_INSTALL_SNAPSHOT;
    c->beacons += message.data[0] == PEER_BEACON;
    c->longest = message.len > c->longest ? message.len : c->longest;
    *m = (struct mail){.from = n->id, .to = to, .len = message.len, .bytes = malloc(message.len)};
    memcpy(m->bytes, message.data, message.len);
}

static void net_set_members(struct group_transport *t, const struct group_member *m, size_t n)
{
    assert_true(n == NODES || n == 1);
}

static bool net_is_connected(struct group_transport *t, uint64_t to)
{
    struct node *n = (struct node *)t;
    return !n->cluster->cut[n->id][to];
}

void node_start(struct node *n)
{
    struct group_options o = {.id = n->id,
                              .boot = ++n->boot,
                              .address = "node",
                              .folder = "/data",
                              .io = &n->log.io,
                              .transport = &n->transport,
                              .clock = &n->cluster->clock,
                              .queue = n->queue = apply_queue_new(),
                              .log_bytes_max = n->cluster->log_bytes_max,
                              .store = n->store,
                              .synced = n->applied,
                              .callbacks = {.on_refused = on_refused,
                                            .on_admit = on_admit,
                                            .on_short = on_short,
                                            .on_read_index = on_read_index,
                                            .on_leader = on_leader,
                                            .on_transfer = on_transfer,
                                            .on_wake = on_wake,
                                            .on_behind = on_behind,
                                            .on_fatal = on_fatal},
                              .arg = n};
    struct error e = {0};
    assert_int_equal(group_new(&o, &n->group, &e), 0);
    assert_int_equal(group_start(n->group, &e), 0);
}

static void must(int rc, const struct error *e)
{
    if (rc != 0) {
        fail_msg("%s: %s", e->where, e->message);
    }
}

static void open_store(struct node *n)
{
    char path[64];
    struct error e = {0};
    (void)snprintf(path, sizeof path, "%s/%llu", n->cluster->folder, (unsigned long long)n->id);
    assert_int_equal(mkdir(path, 0700), 0);
    const struct store_options o = {
        .path = path, .map_bytes = 64 << 20, .readers_max = 8, .no_sync = true};
    must(store_open(&o, &n->store, &e), &e);
    must(apply_new(n->store, &n->apply, &e), &e);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static struct cluster *make(unsigned seed, uint64_t log_bytes_max, bool with_stores)
{
    struct cluster *c = calloc(1, sizeof *c);
    c->log_bytes_max = log_bytes_max;
    if (with_stores) {
        (void)snprintf(c->folder, sizeof c->folder, "/tmp/clade-group-XXXXXX");
        assert_non_null(mkdtemp(c->folder));
    }
    c->now_us = 1000000;
    random_seed(&c->random, seed);
    c->clock =
        (struct clock){.monotonic_us = virtual_us, .wall_us = virtual_us, .data = &c->now_us};
    struct group_member members[NODES] = {
        {.id = 1, .address = "a:1"}, {.id = 2, .address = "b:1"}, {.id = 3, .address = "c:1"}};
    for (int i = 0; i < NODES; i++) {
        struct node *n = &c->nodes[i];
        n->cluster = c;
        n->id = (uint64_t)i + 1;
        n->transport = (struct group_transport){
            .send = net_send, .set_members = net_set_members, .is_connected = net_is_connected};
        sim_log_init(&n->log, &c->now_us, &c->random);
        if (with_stores) {
            open_store(n);
        }
        assert_int_equal(group_bootstrap(&n->log.io, n->id, "node", members, NODES, NULL), 0);
        node_start(n);
    }
    return c;
}

struct cluster *cluster_new(unsigned seed)
{
    return make(seed, 0, false);
}

struct cluster *cluster_new_with_log(unsigned seed, uint64_t log_bytes_max)
{
    return make(seed, log_bytes_max, false);
}

struct cluster *cluster_new_with_stores(unsigned seed)
{
    return make(seed, 0, true);
}

static void on_closed(void *arg)
{
    ((struct node *)arg)->closed = true;
}

void node_stop(struct node *n)
{
    n->closed = false;
    group_close(n->group, on_closed, n);
    assert_true(n->closed);
    apply_queue_free(n->queue);
    n->group = NULL;
}

void cluster_free(struct cluster *c)
{
    for (int i = 0; i < NODES; i++) {
        if (c->nodes[i].group != NULL) {
            node_stop(&c->nodes[i]);
        }
        sim_log_release(&c->nodes[i].log);
        apply_free(c->nodes[i].apply);
        store_close(c->nodes[i].store);
    }
    if (c->folder[0] != '\0') {
        (void)nftw(c->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
    for (size_t i = 0; i < c->mail_len; i++) {
        free(c->mail[i].bytes);
    }
    free(c);
}

static void mark(struct node *n)
{
    const struct store_position p = {.applied = n->applied, .revision = n->applied};
    const struct store_digest d = {.index = n->applied, .data = {.low = n->applied}};
    if (!n->hold_marks) {
        group_set_marked(n->group, &p, &d);
    }
}

static void ignore(void *arg, const struct apply_result *result)
{
}

static void store_job(struct node *n, const struct apply_job *job)
{
    struct error e = {0};
    struct store_position p;
    struct span entry = span_make(job->bytes, job->len);
    if (n->store == NULL || job->kind == JOB_EXPECT || job->kind == JOB_MARK) {
        return;
    }
    must(apply_begin(n->apply, &e), &e);
    must(job->len > 0 ? apply_entry(n->apply, job->previous, job->index, entry, ignore, NULL, &e)
                      : apply_advance(n->apply, job->previous, job->index, &e),
         &e);
    must(apply_commit(n->apply, &p, &e), &e);
}

/* What the apply thread would do: notes the commands, publishes. */
static bool apply(struct node *n)
{
    struct apply_job *job = apply_queue_take(n->queue, 1000, 1 << 20);
    if (job == NULL) {
        return false;
    }
    uint64_t bytes = 0;
    while (job != NULL) {
        struct apply_job *next = job->next;
        store_job(n, job);
        if (job->kind == JOB_EXPECT) {
            n->expected = job->index;
            assert_true(n->applied >= job->index);
        } else if (job->kind == JOB_MARK) {
            mark(n);
        } else if (job->len > 0 && job->index > n->applied) {
            struct entry_header h;
            assert_int_equal(entry_check(span_make(job->bytes, job->len), &h, NULL), 0);
            n->elapsed_ms += h.elapsed_ms;
            struct span rest =
                span_make(job->bytes + ENTRY_HEADER_BYTES, job->len - ENTRY_HEADER_BYTES);
            for (unsigned i = 0; i < h.items; i++) {
                struct item item;
                size_t len;
                assert_int_equal(item_decode(rest, &item, &len, NULL), 0);
                n->seen[item.id.counter]++;
                n->applied_commands++;
                rest = span_skip(rest, len);
            }
        }
        if (job->index > n->applied) {
            assert_true(job->previous <= n->applied);
            n->applied = job->index;
        }
        bytes += job->len;
        free(job);
        job = next;
    }
    apply_queue_done(n->queue, bytes);
    group_set_published(n->group, n->applied, n->applied, 0, (struct hash128){0},
                        (struct hash128){0});
    return true;
}

static bool deliver(struct cluster *c)
{
    size_t n = c->mail_len;
    struct mail *batch = malloc((n + 1) * sizeof *batch);
    memcpy(batch, c->mail, n * sizeof *batch);
    c->mail_len = 0;
    for (size_t i = 0; i < n; i++) {
        struct node *to = &c->nodes[batch[i].to - 1];
        if (to->group != NULL && !c->cut[batch[i].from][batch[i].to]) {
            group_receive(to->group, batch[i].from, span_make(batch[i].bytes, batch[i].len));
        }
        free(batch[i].bytes);
    }
    free(batch);
    return n > 0;
}

/* Runs everything that is due at this moment, then moves time by a millisecond. */
void cluster_step(struct cluster *c)
{
    bool busy = true;
    for (int rounds = 0; busy && rounds < 1000; rounds++) {
        busy = deliver(c);
        for (int i = 0; i < NODES; i++) {
            struct node *n = &c->nodes[i];
            if (n->group == NULL) {
                continue;
            }
            busy = sim_log_step(&n->log) || busy;
            if (n->wake) {
                n->wake = false;
                group_flush(n->group);
            }
            busy = apply(n) || busy;
        }
    }
    c->now_us += 1000;
}

void cluster_run_ms(struct cluster *c, unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        cluster_step(c);
    }
}

struct group_status node_status(struct node *n)
{
    static struct group_status s;
    group_status(n->group, &s);
    return s;
}

struct node *cluster_leader(struct cluster *c)
{
    for (int i = 0; i < NODES; i++) {
        struct node *n = &c->nodes[i];
        if (n->group != NULL && node_status(n).is_leader) {
            return n;
        }
    }
    return NULL;
}

struct node *cluster_wait_for_leader(struct cluster *c)
{
    for (int i = 0; i < 20000; i++) {
        cluster_step(c);
        struct node *n = cluster_leader(c);
        if (n != NULL && node_status(n).published == node_status(n).last_index) {
            return n;
        }
    }
    fail_msg("no leader");
    return NULL;
}

struct node *cluster_another(struct cluster *c, const struct node *n)
{
    return &c->nodes[n->id % NODES];
}

struct proposal *node_propose(struct node *n, uint64_t counter, bool repeatable, unsigned ms)
{
    struct item item = {.kind = ITEM_TXN,
                        .id = {.node = n->id, .boot = 9, .counter = counter},
                        .command = span_of("command")};
    struct proposal *p = proposal_new(&item, repeatable, n->cluster->now_us + ms * 1000u);
    group_propose(n->group, p);
    return p;
}

void cluster_isolate(struct cluster *c, uint64_t id, bool cut)
{
    for (uint64_t i = 1; i <= NODES; i++) {
        c->cut[id][i] = cut;
        c->cut[i][id] = cut;
    }
}

void assert_all_applied_once(struct cluster *c, uint64_t counter)
{
    for (int i = 0; i < NODES; i++) {
        assert_int_equal(c->nodes[i].seen[counter], 1);
    }
}
