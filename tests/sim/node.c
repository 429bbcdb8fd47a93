#include "tests/sim/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/file.h"
#include "consensus/message.h"
#include "node/files.h"
#include "tests/sim/front.h"
#include "tests/sim/world.h"

#define COMMIT_US_MIN  20
#define COMMIT_US_MAX  4000
#define SPACE_RETRY_US 100000
#define HEADROOM_BYTES (256u << 10)

void node_note(const struct sim_node *n, const char *what, uint64_t number)
{
    if (n->world->talks) {
        (void)fprintf(stderr, "%10.3f node %llu: %s %llu\n", (double)n->world->now_us / 1e6,
                      (unsigned long long)n->id, what, (unsigned long long)number);
    }
}

/* A fault that was injected ends the process; any other error is a failure of the run. */
static void stop(struct sim_node *n, const struct error *e)
{
    if (sim_disk_counts(n->disk).errors == 0 && !n->log.failed && !n->stops) {
        world_fail(n->world, "node %llu stops: %s", (unsigned long long)n->id, e->message);
    }
    node_note(n, "stops, code", (uint64_t)-e->code);
    n->stops = true;
}

/* --- what a group says --- */

/* A link of its own, or backwards on that of the other. */
static bool has_way(const struct sim_node *n, uint64_t to)
{
    return n->links[to] || n->world->nodes[to - 1].links[n->id];
}

static void on_send(struct group_transport *t, uint64_t to, struct span message)
{
    struct sim_node *n = (struct sim_node *)t;
    const struct sim_node *peer = &n->world->nodes[to - 1];
    /* TCP doubles nothing. Raft must bear it all the same; but a command without a session that
     * comes twice is two commands. */
    bool may_double = message.data[0] != PEER_PROPOSE;
    if (!n->stops && !n->log.failed && peer->up && has_way(n, to)) {
        network_send(&n->world->network, n->world->now_us + n->send_delay_us, n->id, to, peer->boot,
                     may_double, message);
    }
}

static void on_set_members(struct group_transport *t, const struct group_member *m, size_t len)
{
    struct sim_node *n = (struct sim_node *)t;
    memset(n->links, 0, sizeof n->links);
    for (size_t i = 0; i < len; i++) {
        n->links[m[i].id] = true;
    }
}

static bool on_is_connected(struct group_transport *t, uint64_t to)
{
    const struct sim_node *n = (struct sim_node *)t;
    return has_way(n, to) && n->world->nodes[to - 1].up && !n->world->network.cut[n->id][to];
}

static void on_leader(void *arg, uint64_t leader, uint64_t term)
{
    struct sim_node *n = arg;
    if (leader == n->id && !n->log.failed) {
        world_note_leader(n->world, n->id, term);
        node_note(n, "leads in term", term);
    }
}

static void on_transfer(void *arg, uint64_t ticket, const struct error *e, uint64_t leader)
{
    struct sim_node *n = arg;
    n->world->counts.transfers += e->code == 0;
}

static void on_wake(void *arg)
{
    ((struct sim_node *)arg)->wake = true;
}

static void on_notice(void *arg, bool is_warning, const char *what, uint64_t member)
{
    node_note(arg, what, member);
}

static void on_fatal(void *arg, const struct error *e)
{
    stop(arg, e);
}

static void on_removed(void *arg, uint64_t index)
{
    ((struct sim_node *)arg)->removed = true;
}

/* --- catching up --- */

static void on_behind(void *arg, uint64_t index, const uint64_t *sources, size_t sources_len)
{
    struct sim_node *n = arg;
    catch_up_want(n->catch_up, index, sources, sources_len);
    n->catch_up_us = n->world->now_us;
}

static void on_fetch(void *arg, uint64_t from, struct span fetch)
{
    struct sim_node *n = arg;
    uint64_t delay_us = 0;
    if (supplier_answer(n->supplier, from, fetch, &n->answer, &delay_us)) {
        n->send_delay_us = delay_us;
        group_send_supply(n->group, from, buffer_span(&n->answer));
        n->send_delay_us = 0;
    }
}

static void on_supply(void *arg, uint64_t from, struct span supply)
{
    struct sim_node *n = arg;
    catch_up_receive(n->catch_up, from, supply);
    n->catch_up_us = n->world->now_us;
}

static void on_send_fetch(void *arg, uint64_t to, struct span fetch)
{
    group_send_fetch(((struct sim_node *)arg)->group, to, fetch);
}

static void on_swap(void *arg, const char *path, const struct store_copy_info *info)
{
    apply_queue_swap(((struct sim_node *)arg)->queue, path, info->applied);
}

static void on_sync(void *arg, uint64_t index)
{
    (void)apply_queue_mark(((struct sim_node *)arg)->queue);
}

static void on_copier_notice(void *arg, const char *what, uint64_t member)
{
    node_note(arg, what, member);
}

/* --- the apply thread --- */

static void on_published(void *arg, const struct store_position *p)
{
    struct sim_node *n = arg;
    struct store_digest d = store_digest_sample(n->store);
    world_check_digest(n->world, n);
    n->published_revision = p->revision;
    group_set_published(n->group, p->applied, p->revision, d.index, d.data, d.state);
}

static void on_marked(void *arg,
                      const struct store_position *position,
                      const struct store_digest *digest)
{
    group_set_marked(((struct sim_node *)arg)->group, position, digest);
}

static int on_make_current(void *arg, const char *path, struct error *e)
{
    struct sim_node *n = arg;
    (void)snprintf(n->old_store, sizeof n->old_store, "%s", n->folder.store_path);
    return data_folder_adopt_store(&n->folder, path, e);
}

static void on_swapped(void *arg, const char *path, int code)
{
    struct sim_node *n = arg;
    if (code == 0) {
        struct error e = {0};
        (void)data_folder_remove_store(&n->folder, n->old_store, &e);
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

/* A full disk is waited out; a broken one ends the process, and must end it. */
static void on_apply_error(struct sim_node *n, int code, const struct error *e, bool lost)
{
    if (code == CLADE_ERR_NO_SPACE && lost) {
        world_fail(n->world, "node %llu waits for room on a disk that has failed",
                   (unsigned long long)n->id);
    }
    if (code == CLADE_ERR_NO_SPACE && sim_disk_counts(n->disk).full > 0) {
        node_note(n, "waits for room to apply", 0);
        n->world->counts.full_batches++;
        n->apply_us = n->world->now_us + SPACE_RETRY_US;
        return;
    }
    stop(n, e);
}

static void run_apply(struct sim_node *n)
{
    n->apply_us =
        n->world->now_us + COMMIT_US_MIN + random_below(&n->world->random, n->commit_us_max);
    if (n->jobs == NULL) {
        n->jobs = apply_queue_take(n->queue, 256, 1 << 20);
    }
    if (n->jobs != NULL) {
        struct error e = {0};
        struct apply_job *next = n->jobs;
        uint64_t lost = sim_disk_counts(n->disk).lost;
        int code = applier_run(n->applier, n->jobs, &next, &e);
        bool has_lost = sim_disk_counts(n->disk).lost > lost;
        if (code != 0) {
            on_apply_error(n, code, &e, has_lost);
            return;
        }
        if (has_lost) {
            world_fail(n->world, "node %llu goes on though its disk has failed",
                       (unsigned long long)n->id);
        }
        drop_jobs(n, next);
    }
    if (n->jobs == NULL && n->jobs_bytes > 0) {
        apply_queue_done(n->queue, n->jobs_bytes);
        n->jobs_bytes = 0;
    }
    front_answer_reads(n);
}

/* --- starting --- */

static uint64_t node_monotonic(const struct clock *c)
{
    return ((const struct sim_node *)c->data)->world->now_us;
}

static uint64_t node_wall(const struct clock *c)
{
    const struct sim_node *n = c->data;
    return UINT64_C(1700000000000000) + n->world->now_us + n->world->passed_us +
           (uint64_t)n->clock_offset_us;
}

static int open_store(struct sim_node *n, struct error *e)
{
    const struct store_options o = {
        .path = n->folder.store_path, .map_bytes = WORLD_MAP_BYTES, .readers_max = 8};
    int r = store_open(&o, &n->store, e);
    /* As node.c: what a crash left in the page cache alone must not count as durable. */
    r = r == 0 ? store_sync(n->store, e) : r;
    return r == 0 ? reader_new(n->store, &n->reader, e) : r;
}

static int open_archive(struct sim_node *n, struct error *e)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/archive", n->path);
    const struct archive_options o = {.path = path,
                                      .cluster = n->world->cluster,
                                      .clock = &n->clock,
                                      .bytes_max = 2 * n->world->log_bytes,
                                      .segment_bytes = n->world->log_bytes / 2};
    return archive_open(&o, &n->archive, e);
}

static int open_applier(struct sim_node *n, struct error *e)
{
    const struct applier_options o = {.store = n->store,
                                      .archive = n->archive,
                                      .on_result = front_on_result,
                                      .on_answered = front_on_answered,
                                      .on_aborted = front_on_aborted,
                                      .on_published = on_published,
                                      .on_marked = on_marked,
                                      .make_current = on_make_current,
                                      .on_swapped = on_swapped,
                                      .arg = n};
    return applier_new(&o, &n->applier, e);
}

static int open_catch_up(struct sim_node *n, struct error *e)
{
    const struct supplier_options supplier = {.store = n->store,
                                              .archive = n->archive,
                                              .clock = &n->clock,
                                              .boot = n->boot,
                                              .rate_bytes = 4u << 20,
                                              .copy_idle_us = 3000000};
    const struct catch_up_options o = {.folder = n->folder.store_folder,
                                       .clock = &n->clock,
                                       .queue = n->queue,
                                       .store = n->store,
                                       .boot = n->boot,
                                       .map_bytes = WORLD_MAP_BYTES,
                                       .chunk_bytes = 16384,
                                       .timeout_us = 500000,
                                       .callbacks = {.send = on_send_fetch,
                                                     .swap = on_swap,
                                                     .sync = on_sync,
                                                     .on_notice = on_copier_notice},
                                       .arg = n};
    n->catch_up_us = UINT64_MAX;
    int r = supplier_new(&supplier, &n->supplier, e);
    return r == 0 ? catch_up_new(&o, &n->catch_up, e) : r;
}

static void on_due(void *arg, uint64_t due_us)
{
    struct sim_node *n = arg;
    n->guard_us = due_us < n->guard_us ? due_us : n->guard_us;
}

static int on_mark_read(struct guard_disk *d,
                        uint8_t slots[2][GUARD_SLOT_BYTES],
                        bool *ret_exists,
                        struct error *e)
{
    struct sim_node *n = (struct sim_node *)((char *)d - offsetof(struct sim_node, mark));
    return n->mark_file->read(n->mark_file, slots, ret_exists, e);
}

/* A write that fails ends the process; nothing that comes after may see it (log.h). */
static int on_mark_write(struct guard_disk *d,
                         unsigned slot,
                         const uint8_t bytes[GUARD_SLOT_BYTES],
                         struct error *e)
{
    struct sim_node *n = (struct sim_node *)((char *)d - offsetof(struct sim_node, mark));
    if (n->mark_file->write(n->mark_file, slot, bytes, e) != 0) {
        stop(n, e);
        sim_log_end(&n->log);
    }
    return 0;
}

static int open_guard(struct sim_node *n, struct error *e)
{
    n->mark = (struct guard_disk){.read = on_mark_read, .write = on_mark_write};
    int r = guard_file_open(n->folder.raft_path, &n->mark_file, e);
    if (r < 0) {
        return r;
    }
    const struct guard_options o = {.io = &n->log.io,
                                    .disk = &n->mark,
                                    .clock = &n->clock,
                                    .on_due = on_due,
                                    .on_fatal = on_fatal,
                                    .arg = n};
    n->guard_us = UINT64_MAX;
    return guard_new(&o, &n->guard, e);
}

static int open_group(struct sim_node *n, struct error *e)
{
    const struct group_options o = {.id = n->id,
                                    .boot = n->boot,
                                    .address = "node",
                                    .io = guard_io(n->guard),
                                    .transport = &n->transport,
                                    .clock = &n->clock,
                                    .queue = n->queue,
                                    .append_bytes_max = 1024,
                                    .log_bytes_max = n->world->log_bytes,
                                    .store = n->store,
                                    .synced = store_position(n->store).applied,
                                    .contacts = n->folder.identity.members,
                                    .contacts_len = n->folder.identity.members_len,
                                    .callbacks = {.on_refused = front_on_refused,
                                                  .on_read_index = front_on_read_index,
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
    int r = group_new(&o, &n->group, e);
    return r == 0 ? group_start(n->group, e) : r;
}

static int open_all(struct sim_node *n, struct error *e)
{
    char cluster[33];
    int r;
    hash128_format(n->world->cluster, cluster);
    if ((r = data_folder_open(n->path, cluster, n->id, &n->folder, e)) < 0 ||
        (r = open_store(n, e)) < 0 || (r = open_archive(n, e)) < 0 ||
        (r = open_applier(n, e)) < 0 || (r = open_catch_up(n, e)) < 0 ||
        (r = open_guard(n, e)) < 0 || (r = open_group(n, e)) < 0) {
        return r;
    }
    return 0;
}

static void on_closed(void *arg)
{
    ((struct sim_node *)arg)->group = NULL;
}

static void close_all(struct sim_node *n)
{
    if (n->group != NULL) {
        group_close(n->group, on_closed, n);
        CHECK(n->group == NULL);
    }
    guard_free(n->guard);
    guard_file_close(n->mark_file);
    n->guard = NULL;
    n->mark_file = NULL;
    drop_jobs(n, NULL);
    n->jobs_bytes = 0;
    apply_queue_free(n->queue);
    catch_up_free(n->catch_up);
    supplier_free(n->supplier);
    applier_free(n->applier);
    archive_close(n->archive);
    reader_free(n->reader);
    store_close(n->store);
    data_folder_close(&n->folder);
    n->queue = NULL;
    n->catch_up = NULL;
    n->supplier = NULL;
    n->applier = NULL;
    n->archive = NULL;
    n->reader = NULL;
    n->store = NULL;
}

bool node_start(struct sim_node *n)
{
    struct error e = {0};
    CHECK(!n->up && !n->removed);
    n->boot++;
    n->up = true;
    n->stops = false;
    n->wake = false;
    n->headroom = true;
    memset(n->links, 0, sizeof n->links);
    n->frozen_until_us = 0;
    n->counter = 0;
    n->confirmed_us = 0;
    n->apply_us = n->world->now_us;
    n->queue = apply_queue_new();
    CHECK(n->queue != NULL);
    int r = open_all(n, &e);
    struct sim_disk_counts c = sim_disk_counts(n->disk);
    if (n->lost && r == 0) {
        world_fail(n->world, "node %llu starts though its log lost what it had acknowledged",
                   (unsigned long long)n->id);
    }
    bool expected = n->lost || c.errors > 0 || (r == CLADE_ERR_NO_SPACE && c.full > 0);
    if (r != 0 && !expected) {
        world_fail(n->world, "node %llu does not start: %s: %s", (unsigned long long)n->id, e.where,
                   e.message);
    }
    if (r != 0 || n->stops) {
        node_note(n, "does not start, code", (uint64_t)-r);
        node_crash(n, CRASH_POWER);
        return false;
    }
    n->published_revision = store_position(n->store).revision;
    world_check_digest(n->world, n);
    node_note(n, "starts at index", store_position(n->store).applied);
    node_plan(n);
    return true;
}

void node_crash(struct sim_node *n, enum sim_crash how)
{
    CHECK(n->up);
    if (n->group != NULL) {
        struct group_status s;
        group_status(n->group, &s);
        n->world->counts.snapshots += s.snapshots;
        node_note(n, how == CRASH_POWER ? "loses power at index" : "is killed at index",
                  store_position(n->store).applied);
    }
    n->up = false;
    n->stops = true; /* what closing says is not heard */
    if (sim_disk_counts(n->disk).errors > 0 || n->log.failed) {
        how = CRASH_POWER; /* what a failed disk still has is not known */
    }
    front_forget(n);
    sim_log_crash(&n->log);
    sim_disk_fail_after(n->disk, 0); /* closing writes nothing any more */
    close_all(n);
    sim_disk_crash(n->disk, how);
    n->next_us = UINT64_MAX;
}

bool node_damage(struct sim_node *n)
{
    struct guard_mark mark;
    struct error e = {0};
    if (guard_mark_read(&n->mark, &mark, &e) != 0 || mark.index <= n->log.snapshot.index + 1) {
        return false;
    }
    bool term = mark.vote != 0 && random_chance(&n->world->random, 300);
    node_crash(n, CRASH_POWER);
    if (term) {
        sim_log_lose_term(&n->log);
    } else {
        sim_log_lose(&n->log, mark.index - 1);
    }
    node_note(n, term ? "lost a term" : "lost the end of its log", mark.index);
    n->lost = true;
    n->world->counts.damaged++;
    return true;
}

/* --- life --- */

static bool may_write_log(void *arg, size_t bytes)
{
    struct sim_node *n = arg;
    if (sim_disk_take(n->disk, bytes)) {
        return true;
    }
    sim_disk_fail_after(n->disk, 0); /* the process ends here: it writes nothing more anywhere */
    return false;
}

static void make_folder(const struct sim_node *n, const char *name)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s%s", n->path, name);
    CHECK(mkdir(path, 0700) == 0);
}

static void write_identity(const struct sim_node *n, const struct identity *id, const char *name)
{
    char path[PATH_MAX];
    struct error e = {0};
    (void)snprintf(path, sizeof path, "%s%s", n->path, name);
    CHECK(identity_write(id, name[0] != 0, path, &e) == 0);
}

/* As `claded init` makes it, but for the log. */
static void make_data_folder(struct sim_node *n, const struct identity *id)
{
    static const char *const folders[] = {"/raft", "/archive", "/store", "/store/1"};
    char path[PATH_MAX];
    struct error e = {0};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        make_folder(n, folders[i]);
    }
    (void)snprintf(path, sizeof path, "%s/store/CURRENT", n->path);
    CHECK(files_write_text(path, "1\n", &e) == 0);
    (void)snprintf(path, sizeof path, "%s/raft", n->path);
    CHECK(guard_file_create(path, &e) == 0);
    write_identity(n, id, "/raft");
    write_identity(n, id, "/store");
    write_identity(n, id, "");
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        (void)snprintf(path, sizeof path, "%s%s", n->path, folders[i]);
        CHECK(file_sync_folder(path, &e) == 0);
    }
    CHECK(file_sync_folder(n->path, &e) == 0);
}

void node_init(struct sim_node *n,
               struct world *w,
               unsigned number,
               bool joins,
               const struct group_member *members,
               size_t members_len)
{
    *n = (struct sim_node){
        .world = w, .id = number + 1, .next_us = UINT64_MAX, .commit_us_max = COMMIT_US_MAX};
    n->clock = (struct clock){.monotonic_us = node_monotonic, .wall_us = node_wall, .data = n};
    n->transport = (struct group_transport){
        .send = on_send, .set_members = on_set_members, .is_connected = on_is_connected};
    buffer_init(&n->answer, PEER_MESSAGE_BYTES_MAX);
    (void)snprintf(n->path, sizeof n->path, "%s/n%u", w->folder, number + 1);
    make_folder(n, "");
    n->disk = sim_disk_new(n->path, &w->random);
    struct identity id = {
        .cluster = w->cluster, .node = n->id, .joined = joins, .members_len = members_len};
    memcpy(id.members, members, members_len * sizeof *members);
    make_data_folder(n, &id);
    sim_log_init(&n->log, &w->now_us, &w->random);
    n->log.may_write = may_write_log;
    n->log.arg = n;
    if (!joins) {
        CHECK(group_bootstrap(&n->log.io, n->id, "node", members, members_len, NULL) == 0);
    }
}

void node_release(struct sim_node *n)
{
    if (n->up) {
        node_crash(n, CRASH_PROCESS);
    }
    sim_log_release(&n->log);
    sim_disk_free(n->disk);
    buffer_release(&n->answer);
}

/* --- time --- */

static bool has_jobs(const struct sim_node *n)
{
    return n->jobs != NULL || apply_queue_waits(n->queue);
}

void node_plan(struct sim_node *n)
{
    if (!n->up) {
        n->next_us = UINT64_MAX;
        return;
    }
    uint64_t next = n->wake ? n->world->now_us : sim_log_next_us(&n->log);
    if (n->apply_us < next && (has_jobs(n) || front_waits(n))) {
        next = n->apply_us;
    }
    next = n->catch_up_us < next ? n->catch_up_us : next;
    next = n->guard_us < next ? n->guard_us : next;
    n->next_us = next < n->frozen_until_us ? n->frozen_until_us : next;
}

static void look_at_room(struct sim_node *n)
{
    bool enough = sim_disk_room(n->disk) >= HEADROOM_BYTES;
    if (enough != n->headroom) {
        n->headroom = enough;
        group_set_room(n->group, &(struct room){.level = enough ? ROOM_ENOUGH : ROOM_NONE});
    }
}

static void end_if_it_must(struct sim_node *n)
{
    if (n->up && (n->stops || n->log.failed)) {
        n->world->counts.disk_stops++;
        node_crash(n, CRASH_POWER);
    } else if (n->up && n->removed) {
        n->world->counts.removals++;
        node_crash(n, CRASH_PROCESS);
    }
    node_plan(n);
}

void node_step(struct sim_node *n)
{
    struct world *w = n->world;
    if (n->wake) {
        n->wake = false;
        group_flush(n->group);
    } else if (n->apply_us <= w->now_us && (has_jobs(n) || front_waits(n))) {
        run_apply(n);
    } else if (n->guard_us <= w->now_us) {
        n->guard_us = UINT64_MAX;
        uint64_t next_us = guard_write(n->guard, w->now_us);
        n->guard_us = next_us < n->guard_us ? next_us : n->guard_us;
    } else if (n->catch_up_us <= w->now_us) {
        uint64_t next_us = catch_up_step(n->catch_up);
        n->catch_up_us = next_us <= w->now_us ? w->now_us + 1 : next_us;
        supplier_tick(n->supplier);
    } else {
        look_at_room(n);
        (void)sim_log_step(&n->log);
    }
    end_if_it_must(n);
}

void node_receive(struct sim_node *n, uint64_t from, struct span message)
{
    group_receive(n->group, from, message);
    end_if_it_must(n);
}
