#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/hash.h"

#define APPLY_US_MAX 2000 /* the apply thread may be that late */

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

static void trace(struct world *w, const void *data, size_t len)
{
    w->trace = hash64(span_make(data, len), w->trace);
}

/* --- the network --- */

static bool mail_before(const struct sim_mail *a, const struct sim_mail *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void swap_mail(struct world *w, size_t a, size_t b)
{
    struct sim_mail m = w->mail[a];
    w->mail[a] = w->mail[b];
    w->mail[b] = m;
}

static void push_mail(struct world *w, struct sim_mail m)
{
    CHECK(w->mail_len < WORLD_MAIL_MAX);
    size_t i = w->mail_len++;
    w->mail[i] = m;
    while (i > 0 && mail_before(&w->mail[i], &w->mail[(i - 1) / 2])) {
        swap_mail(w, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static struct sim_mail pop_mail(struct world *w)
{
    struct sim_mail first = w->mail[0];
    w->mail[0] = w->mail[--w->mail_len];
    size_t i = 0;
    for (;;) {
        size_t least = i;
        for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < w->mail_len; c++) {
            least = mail_before(&w->mail[c], &w->mail[least]) ? c : least;
        }
        if (least == i) {
            return first;
        }
        swap_mail(w, i, least);
        i = least;
    }
}

static void post(struct world *w,
                 const struct sim_node *from,
                 struct sim_node *to,
                 struct span message)
{
    struct sim_mail m = {.from = from->id,
                         .to = to->id,
                         .boot = to->boot,
                         .order = w->mail_order++,
                         .due_us =
                             w->now_us + 50 + random_below(&w->random, w->faults.delay_us_max),
                         .len = message.len,
                         .bytes = malloc(message.len)};
    CHECK(m.bytes != NULL);
    memcpy(m.bytes, message.data, message.len);
    push_mail(w, m);
}

static void on_send(struct group_transport *t, uint64_t to, struct span message)
{
    struct sim_node *n = (struct sim_node *)t;
    struct world *w = n->world;
    struct sim_node *peer = &w->nodes[to - 1];
    if (w->cut[n->id][to] || !peer->up || random_chance(&w->random, w->faults.lose_per_thousand)) {
        return;
    }
    post(w, n, peer, message);
    if (random_chance(&w->random, w->faults.double_per_thousand)) {
        post(w, n, peer, message);
    }
}

static void on_set_members(struct group_transport *t, const struct group_member *m, size_t n)
{
}

static bool on_is_connected(struct group_transport *t, uint64_t to)
{
    struct sim_node *n = (struct sim_node *)t;
    return n->world->nodes[to - 1].up && !n->world->cut[n->id][to];
}

static void deliver(struct world *w)
{
    struct sim_mail m = pop_mail(w);
    struct sim_node *to = &w->nodes[m.to - 1];
    if (to->up && to->frozen_until_us > w->now_us) {
        m.due_us = to->frozen_until_us + random_below(&w->random, 2000);
        push_mail(w, m);
        return;
    }
    if (to->up && to->boot == m.boot && !w->cut[m.from][m.to]) {
        trace(w, m.bytes, m.len);
        group_receive(to->group, m.from, span_make(m.bytes, m.len));
    }
    free(m.bytes);
}

/* --- what a group says --- */

static void finish_call(struct sim_node *n, struct proposal_id id, const struct apply_result *r)
{
    for (struct sim_call **at = &n->calls; *at != NULL; at = &(*at)->next) {
        struct sim_call *c = *at;
        if (c->proposal->id.counter == id.counter) {
            *at = c->next;
            (void)proposal_move(c->proposal, PROPOSAL_PROPOSED, PROPOSAL_ANSWERED);
            c->on_done(c->arg, r);
            proposal_unref(c->proposal);
            free(c);
            return;
        }
    }
}

static void on_refused(void *arg, struct proposal *p, const struct error *e)
{
    finish_call(arg, p->id, NULL);
}

static void on_read_index(void *arg, uint64_t ticket, int code, uint64_t index)
{
    struct sim_node *n = arg;
    for (struct sim_read **at = &n->reads; *at != NULL; at = &(*at)->next) {
        struct sim_read *r = *at;
        if (r->ticket != ticket) {
            continue;
        }
        if (code == 0) {
            r->has_index = true;
            r->index = index;
            n->apply_us = n->world->now_us;
            return;
        }
        *at = r->next;
        r->on_done(r->arg, code, 0);
        free(r);
        return;
    }
}

static void on_leader(void *arg, uint64_t leader, uint64_t term)
{
    struct sim_node *n = arg;
    struct world *w = n->world;
    if (leader != n->id || term >= sizeof w->leader_of_term / sizeof w->leader_of_term[0]) {
        return;
    }
    if (w->leader_of_term[term] != 0 && w->leader_of_term[term] != n->id) {
        world_fail(w, "term %llu has two leaders: %llu and %llu", (unsigned long long)term,
                   (unsigned long long)w->leader_of_term[term], (unsigned long long)n->id);
    }
    w->leader_of_term[term] = n->id;
}

static void on_transfer(void *arg, uint64_t ticket, const struct error *e, uint64_t leader)
{
}

static void on_wake(void *arg)
{
    ((struct sim_node *)arg)->wake = true;
}

static void on_fatal(void *arg, const struct error *e)
{
    struct sim_node *n = arg;
    world_fail(n->world, "node %llu stops: %s", (unsigned long long)n->id, e->message);
}

/* --- the apply thread --- */

static void on_result(void *arg, const struct apply_result *result)
{
    struct sim_node *n = arg;
    if (result->id.node == n->id && result->id.boot == n->boot) {
        finish_call(n, result->id, result);
    }
}

static void answer_reads(struct sim_node *n, const struct store_position *p)
{
    struct sim_read **at = &n->reads;
    while (*at != NULL) {
        struct sim_read *r = *at;
        if (!r->has_index || r->index > p->applied) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        r->on_done(r->arg, 0, p->revision);
        free(r);
    }
}

static void run_jobs(struct sim_node *n, struct apply_job *job)
{
    struct error e = {0};
    struct store_position p;
    uint64_t bytes = 0;
    CHECK(apply_begin(n->apply, &e) == 0);
    while (job != NULL) {
        struct apply_job *next = job->next;
        int rv = job->kind == JOB_ADVANCE
                     ? apply_advance(n->apply, job->previous, job->index, &e)
                     : apply_entry(n->apply, job->previous, job->index,
                                   span_make(job->bytes, job->len), on_result, n, &e);
        if (rv != 0) {
            world_fail(n->world, "node %llu cannot apply %llu: %s", (unsigned long long)n->id,
                       (unsigned long long)job->index, e.message);
        }
        bytes += job->len;
        free(job);
        job = next;
    }
    CHECK(apply_commit(n->apply, &p, &e) == 0);
    apply_queue_done(n->queue, bytes);
}

static bool run_apply(struct sim_node *n)
{
    struct apply_job *jobs = apply_queue_take(n->queue, 256, 1 << 20);
    if (jobs != NULL) {
        run_jobs(n, jobs);
    }
    struct store_position p = store_position(n->store);
    struct store_digest d = store_digest_sample(n->store);
    if (jobs != NULL) {
        group_set_published(n->group, p.applied, p.revision, d.index, d.data, d.state);
    }
    answer_reads(n, &p);
    return jobs != NULL;
}

/* --- nodes --- */

static uint64_t node_monotonic(const struct clock *c)
{
    const struct sim_node *n = c->data;
    return n->world->now_us;
}

static uint64_t node_wall(const struct clock *c)
{
    const struct sim_node *n = c->data;
    return UINT64_C(1700000000000000) + n->world->now_us + (uint64_t)n->clock_offset_us;
}

static void open_store(struct sim_node *n)
{
    struct error e = {0};
    struct store_options o = {
        .path = n->path, .map_bytes = 256u << 20, .readers_max = 4, .no_sync = true};
    int rv = store_open(&o, &n->store, &e);
    if (rv != 0) {
        (void)fprintf(stderr, "%s: %s\n", e.where, e.message);
    }
    CHECK(rv == 0);
    CHECK(apply_new(n->store, &n->apply, &e) == 0);
}

void world_restart(struct world *w, unsigned node)
{
    struct sim_node *n = &w->nodes[node];
    struct error e = {0};
    CHECK(!n->up);
    n->boot++;
    n->up = true;
    n->frozen_until_us = 0;
    n->counter = 0;
    n->apply_us = w->now_us;
    n->queue = apply_queue_new();
    open_store(n);
    struct group_options o = {.id = n->id,
                              .boot = n->boot,
                              .address = "node",
                              .io = &n->log.io,
                              .transport = &n->transport,
                              .clock = &n->clock,
                              .queue = n->queue,
                              .append_bytes_max = 1024,
                              .callbacks = {.on_refused = on_refused,
                                            .on_read_index = on_read_index,
                                            .on_leader = on_leader,
                                            .on_transfer = on_transfer,
                                            .on_wake = on_wake,
                                            .on_fatal = on_fatal},
                              .arg = n};
    CHECK(group_new(&o, &n->group, &e) == 0);
    CHECK(group_start(n->group, &e) == 0);
}

static void on_closed(void *arg)
{
    ((struct sim_node *)arg)->group = NULL;
}

/* The clients of a crashed node hear nothing; what it would have said is dropped. */
static void forget_clients(struct sim_node *n)
{
    while (n->calls != NULL) {
        struct sim_call *c = n->calls;
        n->calls = c->next;
        proposal_unref(c->proposal);
        free(c);
    }
    while (n->reads != NULL) {
        struct sim_read *r = n->reads;
        n->reads = r->next;
        free(r);
    }
}

void world_crash(struct world *w, unsigned node)
{
    struct sim_node *n = &w->nodes[node];
    CHECK(n->up);
    n->up = false;
    forget_clients(n);
    sim_log_crash(&n->log);
    group_close(n->group, on_closed, n);
    CHECK(n->group == NULL);
    apply_queue_free(n->queue);
    apply_free(n->apply);
    store_close(n->store);
    n->wake = false;
}

static void init_node(struct world *w, unsigned i, const struct group_member *members)
{
    struct sim_node *n = &w->nodes[i];
    n->world = w;
    n->id = i + 1;
    n->clock = (struct clock){.monotonic_us = node_monotonic, .wall_us = node_wall, .data = n};
    n->transport = (struct group_transport){
        .send = on_send, .set_members = on_set_members, .is_connected = on_is_connected};
    (void)snprintf(n->path, sizeof n->path, "%s/n%u", w->folder, i + 1);
    CHECK(mkdir(n->path, 0700) == 0);
    sim_log_init(&n->log, &w->now_us, &w->random);
    CHECK(group_bootstrap(&n->log.io, n->id, "node", members, w->nodes_len, NULL) == 0);
    world_restart(w, i);
}

struct world *world_new(uint64_t seed, unsigned nodes)
{
    struct world *w = calloc(1, sizeof *w);
    CHECK(w != NULL && nodes <= WORLD_NODES_MAX);
    w->seed = seed;
    w->now_us = 1000000;
    w->nodes_len = nodes;
    w->faults.delay_us_max = 500;
    random_seed(&w->random, seed);
    w->mail = malloc(WORLD_MAIL_MAX * sizeof *w->mail);
    CHECK(w->mail != NULL);
    (void)snprintf(w->folder, sizeof w->folder, "%s/clade-sim-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(w->folder) != NULL);
    struct group_member members[WORLD_NODES_MAX] = {0};
    for (unsigned i = 0; i < nodes; i++) {
        members[i].id = i + 1;
        (void)snprintf(members[i].address, sizeof members[i].address, "node%u:1", i + 1);
    }
    for (unsigned i = 0; i < nodes; i++) {
        init_node(w, i, members);
    }
    return w;
}

static void remove_store(const struct sim_node *n)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    char path[192];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", n->path, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(n->path);
}

void world_free(struct world *w)
{
    for (unsigned i = 0; i < w->nodes_len; i++) {
        if (w->nodes[i].up) {
            world_crash(w, i);
        }
        sim_log_release(&w->nodes[i].log);
        remove_store(&w->nodes[i]);
    }
    (void)rmdir(w->folder);
    for (size_t i = 0; i < w->mail_len; i++) {
        free(w->mail[i].bytes);
    }
    free(w->mail);
    free(w);
}

/* --- time --- */

static bool node_has_work(struct sim_node *n)
{
    return apply_queue_bytes(n->queue) > 0 ||
           apply_queue_last(n->queue) > store_position(n->store).applied;
}

static uint64_t node_next_us(struct sim_node *n)
{
    if (!n->up) {
        return UINT64_MAX;
    }
    uint64_t next = n->wake ? n->world->now_us : sim_log_next_us(&n->log);
    bool reads_wait = n->reads != NULL && n->reads->has_index;
    if ((node_has_work(n) || reads_wait) && n->apply_us < next) {
        next = n->apply_us;
    }
    return next < n->frozen_until_us ? n->frozen_until_us : next;
}

static void step_node(struct sim_node *n)
{
    struct world *w = n->world;
    if (n->wake) {
        n->wake = false;
        group_flush(n->group);
    } else if (n->apply_us <= w->now_us && (node_has_work(n) || n->reads != NULL)) {
        (void)run_apply(n);
        n->apply_us = w->now_us + 20 + random_below(&w->random, APPLY_US_MAX);
    } else {
        (void)sim_log_step(&n->log);
    }
}

bool world_step(struct world *w, uint64_t until_us)
{
    uint64_t next = w->mail_len == 0 ? UINT64_MAX : w->mail[0].due_us;
    struct sim_node *node = NULL;
    for (unsigned i = 0; i < w->nodes_len; i++) {
        uint64_t at = node_next_us(&w->nodes[i]);
        if (at < next) {
            next = at;
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
        step_node(node);
    }
    return true;
}

/* --- clients --- */

void world_write(struct sim_node *n,
                 struct item *item,
                 bool repeatable,
                 uint64_t timeout_us,
                 void (*on_done)(void *arg, const struct apply_result *result),
                 void *arg)
{
    struct sim_call *c = calloc(1, sizeof *c);
    CHECK(c != NULL && n->up);
    item->id = (struct proposal_id){.node = n->id, .boot = n->boot, .counter = ++n->counter};
    c->proposal = proposal_new(item, repeatable, n->world->now_us + timeout_us);
    CHECK(c->proposal != NULL);
    c->on_done = on_done;
    c->arg = arg;
    c->next = n->calls;
    n->calls = c;
    group_propose(n->group, c->proposal);
}

void world_read(struct sim_node *n,
                uint64_t timeout_us,
                void (*on_done)(void *arg, int code, uint64_t revision),
                void *arg)
{
    struct sim_read *r = calloc(1, sizeof *r);
    CHECK(r != NULL && n->up);
    r->ticket = ++n->counter;
    r->on_done = on_done;
    r->arg = arg;
    r->next = n->reads;
    n->reads = r;
    group_read_index(n->group, r->ticket, n->world->now_us + timeout_us);
}
