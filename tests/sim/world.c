#include "tests/sim/world.h"

#include <ftw.h>
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
                         .due_us = w->now_us + from->send_delay_us + 50 +
                                   random_below(&w->random, w->faults.delay_us_max),
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

/* As peers.h has it: who was removed is told when it calls, and stops. */
static bool is_told_gone(struct world *w, struct sim_node *from, struct sim_node *to)
{
    if (!to->up || to->group == NULL || !group_is_gone(to->group, from->id)) {
        return false;
    }
    from->removed = true;
    return true;
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
    if (to->up && to->boot == m.boot && !w->cut[m.from][m.to] &&
        !is_told_gone(w, &w->nodes[m.from - 1], to)) {
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

/* With a log of what happens on stderr, for whoever looks into a failed seed. */
static void note(const struct sim_node *n, const char *what, uint64_t number)
{
    if (n->world->talks) {
        (void)fprintf(stderr, "%10.3f node %llu: %s %llu\n", (double)n->world->now_us / 1e6,
                      (unsigned long long)n->id, what, (unsigned long long)number);
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
    note(n, "leads in term", term);
}

static void on_transfer(void *arg, uint64_t ticket, const struct error *e, uint64_t leader)
{
}

static void on_wake(void *arg)
{
    ((struct sim_node *)arg)->wake = true;
}

static void on_notice(void *arg, bool is_warning, const char *what, uint64_t member)
{
    note(arg, what, member);
}

static void on_fatal(void *arg, const struct error *e)
{
    struct sim_node *n = arg;
    world_fail(n->world, "node %llu stops: %s", (unsigned long long)n->id, e->message);
}

/* --- catching up --- */

static void on_behind(void *arg, uint64_t index, const uint64_t *sources, size_t n)
{
    struct sim_node *node = arg;
    catch_up_want(node->catch_up, index, sources, n);
    node->catch_up_us = node->world->now_us;
}

static void on_fetch(void *arg, uint64_t from, struct span fetch)
{
    struct sim_node *n = arg;
    struct buffer answer;
    uint64_t delay_us = 0;
    buffer_init(&answer, 2u << 20);
    if (supplier_answer(n->supplier, from, fetch, &answer, &delay_us)) {
        n->send_delay_us = delay_us;
        group_send_supply(n->group, from, buffer_span(&answer));
        n->send_delay_us = 0;
    }
    buffer_release(&answer);
}

static void on_supply(void *arg, uint64_t from, struct span supply)
{
    struct sim_node *n = arg;
    catch_up_receive(n->catch_up, from, supply);
    n->catch_up_us = n->world->now_us;
}

static void on_removed(void *arg)
{
    ((struct sim_node *)arg)->removed = true;
}

static void on_send_fetch(void *arg, uint64_t to, struct span fetch)
{
    struct sim_node *n = arg;
    group_send_fetch(n->group, to, fetch);
}

static void on_swap(void *arg, const char *path, const struct store_copy_info *info)
{
    struct sim_node *n = arg;
    apply_queue_swap(n->queue, path, info->applied);
}

static void on_sync(void *arg, uint64_t index)
{
    struct sim_node *n = arg;
    (void)apply_queue_mark(n->queue);
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

static void on_answered(void *arg)
{
}

static void check_digest(struct sim_node *n)
{
    struct world *w = n->world;
    struct store_digest d = store_digest_current(n->store);
    struct sim_digest *known = &w->digest_at[d.index % WORLD_DIGESTS];
    if (known->node == 0 || known->digest.index != d.index) {
        *known = (struct sim_digest){.digest = d, .node = n->id};
    } else if (known->digest.data.low != d.data.low || known->digest.data.high != d.data.high ||
               known->digest.state.low != d.state.low || known->digest.state.high != d.state.high) {
        world_fail(w, "nodes %llu and %llu differ at index %llu", (unsigned long long)known->node,
                   (unsigned long long)n->id, (unsigned long long)d.index);
    }
}

static void on_published(void *arg, const struct store_position *p)
{
    struct sim_node *n = arg;
    check_digest(n);
    struct store_digest d = store_digest_sample(n->store);
    group_set_published(n->group, p->applied, p->revision, d.index, d.data, d.state);
}

static void on_marked(void *arg,
                      const struct store_position *position,
                      const struct store_digest *digest)
{
    struct sim_node *n = arg;
    group_set_marked(n->group, position, digest);
}

static void store_path(const struct sim_node *n, unsigned number, char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/store/%u", n->path, number);
}

static int on_make_current(void *arg, const char *path, char ret_path[PATH_MAX], struct error *e)
{
    struct sim_node *n = arg;
    store_path(n, n->store_number + 1, ret_path);
    if (rename(path, ret_path) != 0) {
        return error_set(e, CLADE_ERR_IO, path, "cannot be renamed: %m");
    }
    n->store_number++;
    return 0;
}

static void remove_store(const char *path);

static void on_swapped(void *arg, const char *path, int code)
{
    struct sim_node *n = arg;
    char old[PATH_MAX];
    if (code == 0) {
        store_path(n, n->store_number - 1, old);
        remove_store(old);
        (void)store_close_old(n->store);
        n->world->counts.copies++;
    }
    catch_up_swapped(n->catch_up, code);
    n->catch_up_us = n->world->now_us;
}

static void drop_jobs(struct sim_node *n, const struct apply_job *until)
{
    while (n->jobs != until) {
        struct apply_job *job = n->jobs;
        n->jobs = job->next;
        n->jobs_bytes += job->len;
        free(job);
    }
}

static void run_jobs(struct sim_node *n)
{
    struct error e = {0};
    struct apply_job *next = n->jobs;
    if (applier_run(n->applier, n->jobs, &next, &e) != 0) {
        world_fail(n->world, "node %llu cannot apply: %s", (unsigned long long)n->id, e.message);
        next = NULL;
    }
    drop_jobs(n, next);
    if (n->jobs == NULL) {
        apply_queue_done(n->queue, n->jobs_bytes);
        n->jobs_bytes = 0;
    }
}

static void run_apply(struct sim_node *n)
{
    if (n->jobs == NULL) {
        n->jobs = apply_queue_take(n->queue, 256, 1 << 20);
    }
    if (n->jobs != NULL) {
        run_jobs(n);
    }
    struct store_position p = store_position(n->store);
    answer_reads(n, &p);
}

/* --- nodes --- */

void world_address(unsigned node, char address[MEMBER_ADDRESS_BYTES])
{
    (void)snprintf(address, MEMBER_ADDRESS_BYTES, "node%u:1", node + 1);
}

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

static void check(int rv, const struct error *e)
{
    if (rv != 0) {
        (void)fprintf(stderr, "%s: %s\n", e->where, e->message);
    }
    CHECK(rv == 0);
}

static void open_store(struct sim_node *n)
{
    struct error e = {0};
    char path[PATH_MAX];
    store_path(n, n->store_number, path);
    const struct store_options o = {
        .path = path, .map_bytes = 256u << 20, .readers_max = 8, .no_sync = true};
    check(store_open(&o, &n->store, &e), &e);
    check(store_sync(n->store, &e), &e);
}

static void open_archive(struct sim_node *n)
{
    struct error e = {0};
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/archive", n->path);
    const struct archive_options o = {.path = path,
                                      .cluster = {.low = n->world->seed},
                                      .clock = &n->clock,
                                      .bytes_max = 8 * WORLD_LOG_BYTES,
                                      .segment_bytes = WORLD_LOG_BYTES};
    check(archive_open(&o, &n->archive, &e), &e);
}

static void open_applier(struct sim_node *n)
{
    struct error e = {0};
    const struct applier_options o = {.store = n->store,
                                      .archive = n->archive,
                                      .on_result = on_result,
                                      .on_answered = on_answered,
                                      .on_aborted = on_answered,
                                      .on_published = on_published,
                                      .on_marked = on_marked,
                                      .make_current = on_make_current,
                                      .on_swapped = on_swapped,
                                      .arg = n};
    check(applier_new(&o, &n->applier, &e), &e);
}

static void open_catch_up(struct sim_node *n)
{
    struct error e = {0};
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/store", n->path);
    const struct supplier_options supplier = {.store = n->store,
                                              .archive = n->archive,
                                              .clock = &n->clock,
                                              .boot = n->boot,
                                              .rate_bytes = 4u << 20,
                                              .copy_idle_us = 3000000};
    check(supplier_new(&supplier, &n->supplier, &e), &e);
    const struct catch_up_options o = {
        .folder = path,
        .clock = &n->clock,
        .queue = n->queue,
        .store = n->store,
        .boot = n->boot,
        .map_bytes = 256u << 20,
        .chunk_bytes = 16384,
        .timeout_us = 500000,
        .callbacks = {.send = on_send_fetch, .swap = on_swap, .sync = on_sync},
        .arg = n};
    check(catch_up_new(&o, &n->catch_up, &e), &e);
    n->catch_up_us = UINT64_MAX;
}

static void open_group(struct sim_node *n)
{
    struct error e = {0};
    struct group_member contacts[WORLD_NODES_MAX] = {0};
    size_t contacts_len = 0;
    for (unsigned i = 0; i < n->world->nodes_len; i++) {
        contacts[contacts_len].id = i + 1;
        world_address(i, contacts[contacts_len++].address);
    }
    const struct group_options o = {.id = n->id,
                                    .boot = n->boot,
                                    .address = "node",
                                    .io = &n->log.io,
                                    .transport = &n->transport,
                                    .clock = &n->clock,
                                    .queue = n->queue,
                                    .append_bytes_max = 1024,
                                    .log_bytes_max = WORLD_LOG_BYTES,
                                    .store = n->store,
                                    .synced = store_position(n->store).applied,
                                    .contacts = contacts,
                                    .contacts_len = contacts_len,
                                    .callbacks = {.on_refused = on_refused,
                                                  .on_read_index = on_read_index,
                                                  .on_leader = on_leader,
                                                  .on_transfer = on_transfer,
                                                  .on_wake = on_wake,
                                                  .on_notice = on_notice,
                                                  .on_behind = on_behind,
                                                  .on_fetch = on_fetch,
                                                  .on_supply = on_supply,
                                                  .on_removed = on_removed,
                                                  .on_fatal = on_fatal},
                                    .arg = n};
    check(group_new(&o, &n->group, &e), &e);
    check(group_start(n->group, &e), &e);
}

void world_restart(struct world *w, unsigned node)
{
    struct sim_node *n = &w->nodes[node];
    CHECK(!n->up && !n->removed);
    n->boot++;
    n->up = true;
    n->frozen_until_us = 0;
    n->counter = 0;
    n->apply_us = w->now_us;
    n->queue = apply_queue_new();
    open_store(n);
    open_archive(n);
    open_applier(n);
    open_catch_up(n);
    open_group(n);
    note(n, "starts at index", store_position(n->store).applied);
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
    struct group_status s;
    group_status(n->group, &s);
    w->counts.snapshots += s.snapshots;
    n->up = false;
    note(n, "ends at index", store_position(n->store).applied);
    forget_clients(n);
    sim_log_crash(&n->log);
    group_close(n->group, on_closed, n);
    CHECK(n->group == NULL);
    drop_jobs(n, NULL);
    n->jobs_bytes = 0;
    apply_queue_free(n->queue);
    catch_up_free(n->catch_up);
    supplier_free(n->supplier);
    applier_free(n->applier);
    archive_close(n->archive);
    store_close(n->store);
    n->wake = false;
}

static void make_folder(const struct sim_node *n, const char *name)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s%s", n->path, name);
    CHECK(mkdir(path, 0700) == 0);
}

static void init_node(struct world *w, unsigned i)
{
    struct sim_node *n = &w->nodes[i];
    n->world = w;
    n->id = i + 1;
    n->used = true;
    n->store_number = 1;
    n->clock = (struct clock){.monotonic_us = node_monotonic, .wall_us = node_wall, .data = n};
    n->transport = (struct group_transport){
        .send = on_send, .set_members = on_set_members, .is_connected = on_is_connected};
    (void)snprintf(n->path, sizeof n->path, "%s/n%u", w->folder, i + 1);
    make_folder(n, "");
    make_folder(n, "/archive");
    make_folder(n, "/store");
    make_folder(n, "/store/1");
    sim_log_init(&n->log, &w->now_us, &w->random);
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
        world_address(i, members[i].address);
    }
    for (unsigned i = 0; i < nodes; i++) {
        init_node(w, i);
        CHECK(group_bootstrap(&w->nodes[i].log.io, i + 1, "node", members, nodes, NULL) == 0);
        world_restart(w, i);
    }
    return w;
}

int world_join(struct world *w)
{
    if (w->nodes_len == WORLD_NODES_MAX) {
        return -1;
    }
    unsigned i = w->nodes_len++;
    init_node(w, i);
    world_restart(w, i);
    return (int)i;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

static void remove_store(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void world_free(struct world *w)
{
    for (unsigned i = 0; i < w->nodes_len; i++) {
        if (w->nodes[i].up) {
            world_crash(w, i);
        }
        sim_log_release(&w->nodes[i].log);
    }
    remove_store(w->folder);
    for (size_t i = 0; i < w->mail_len; i++) {
        free(w->mail[i].bytes);
    }
    free(w->mail);
    free(w);
}

/* --- time --- */

static bool node_has_work(struct sim_node *n)
{
    return n->jobs != NULL || apply_queue_waits(n->queue);
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
    next = n->catch_up_us < next ? n->catch_up_us : next;
    return next < n->frozen_until_us ? n->frozen_until_us : next;
}

static void step_node(struct sim_node *n)
{
    struct world *w = n->world;
    if (n->wake) {
        n->wake = false;
        group_flush(n->group);
    } else if (n->apply_us <= w->now_us && (node_has_work(n) || n->reads != NULL)) {
        run_apply(n);
        n->apply_us = w->now_us + 20 + random_below(&w->random, APPLY_US_MAX);
    } else if (n->catch_up_us <= w->now_us) {
        uint64_t next_us = catch_up_step(n->catch_up);
        n->catch_up_us = next_us <= w->now_us ? w->now_us + 1 : next_us;
        supplier_tick(n->supplier);
    } else {
        (void)sim_log_step(&n->log);
    }
}

static void stop_removed(struct world *w)
{
    for (unsigned i = 0; i < w->nodes_len; i++) {
        if (w->nodes[i].up && w->nodes[i].removed) {
            world_crash(w, i);
            w->counts.removals++;
        }
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
        stop_removed(w);
    } else {
        step_node(node);
        stop_removed(w);
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
