#include "catch_up_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "command/value.h"

/* --- a disk that fills up --- */

int64_t room = INT64_MAX;

static bool is_incoming(int fd)
{
    char link[64];
    char path[PATH_MAX];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    return strstr(path, "/incoming/") != NULL;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    bool counts = room != INT64_MAX && is_incoming(fd);
    if (counts && (int64_t)len > room) {
        len = (size_t)room;
    }
    if (len == 0) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t n = syscall(SYS_pwrite64, fd, data, len, offset);
    room -= counts && n > 0 ? n : 0;
    return n;
}

/* --- time and mail --- */

static uint64_t now_of(const struct clock *c)
{
    return ((const struct world *)(const void *)c)->now_us;
}

static void post_one(
    struct world *w, uint64_t from, uint64_t to, bool is_supply, struct span bytes, uint64_t us)
{
    struct mail *m = malloc(sizeof *m + bytes.len);
    *m = (struct mail){
        .due_us = w->now_us + us, .from = from, .to = to, .is_supply = is_supply, .len = bytes.len};
    memcpy(m->bytes, bytes.data, bytes.len);
    struct mail **at = &w->mail;
    while (*at != NULL && (*at)->due_us <= m->due_us) {
        at = &(*at)->next;
    }
    m->next = *at;
    *at = m;
}

static void post(
    struct world *w, uint64_t from, uint64_t to, bool is_supply, struct span bytes, uint64_t us)
{
    for (int i = random_chance(&w->random, w->copies) ? 0 : 1; i < 2; i++) {
        if (!random_chance(&w->random, w->loss)) {
            post_one(w, from, to, is_supply, bytes, us + 100 + random_below(&w->random, 5000));
        }
    }
}

static void deliver_fetch(struct world *w, struct node *to, const struct mail *m)
{
    struct fetch f;
    struct buffer out;
    uint64_t delay_us;
    assert_true(fetch_decode(span_make(m->bytes, m->len), &f));
    if (w->on_fetch != NULL && !w->on_fetch(w, m->from, m->to, &f)) {
        return;
    }
    buffer_init(&out, 4 << 20);
    if (supplier_answer(to->supplier, m->from, span_make(m->bytes, m->len), &out, &delay_us) &&
        (w->on_supply == NULL || w->on_supply(w, m->to, m->from, &out))) {
        assert_true(out.len < (1 << 20) + 4096);
        post(w, m->to, m->from, true, buffer_span(&out), delay_us + w->latency_us);
    }
    buffer_release(&out);
}

static void deliver(struct world *w)
{
    struct mail *m = w->mail;
    w->mail = m->next;
    struct node *to = node_of(w, m->to);
    if (m->is_supply) {
        catch_up_receive(to->catch_up, m->from, span_make(m->bytes, m->len));
        to->step_us = w->now_us;
    } else {
        deliver_fetch(w, to, m);
    }
    free(m);
}

/* --- the callbacks of a node --- */

static void on_send(void *arg, uint64_t to, struct span fetch)
{
    struct node *n = arg;
    n->fetches++;
    post(n->world, n->id, to, false, fetch, 0);
}

static void on_swap(void *arg, const char *path, const struct store_copy_info *info)
{
    struct node *n = arg;
    assert_true(info->applied > store_position(n->store).applied);
    apply_queue_swap(n->queue, path, info->applied);
}

static void on_sync(void *arg, uint64_t index)
{
    ((struct node *)arg)->synced = index;
}

static bool on_goes_on(void *arg)
{
    return !((struct node *)arg)->world->stops;
}

static void on_notice(void *arg, const char *what, uint64_t member)
{
    struct node *n = arg;
    n->notices++;
    n->notice = what;
}

static void on_result(void *arg, const struct apply_result *result)
{
    assert_int_equal(result->code, 0);
}

static void on_batch(void *arg)
{
}

static void on_published(void *arg, const struct store_position *position)
{
}

static int on_make_current(void *arg, const char *path, struct error *e)
{
    struct node *n = arg;
    char to[128];
    struct world *w = n->world;
    enum swap_cut cut = w->swap_cut;
    if (w->full_swaps > 0) {
        w->full_swaps--;
        return error_set(e, CLADE_ERR_NO_SPACE, path, "the disk is full");
    }
    (void)snprintf(to, sizeof to, "%s/%u", n->path, n->current + 1);
    if (cut != CUT_BEFORE_RENAME) {
        assert_int_equal(rename(path, to), 0);
    }
    if (cut == CUT_NEVER || cut == CUT_AFTER_CURRENT) {
        n->current++;
    }
    if (cut == CUT_NEVER) {
        return 0;
    }
    w->swap_cut = CUT_NEVER;
    w->kill_at = w->events + 1;
    n->dies = true;
    return error_set(e, CLADE_ERR_IO, path, "killed");
}

static void on_swapped(void *arg, const char *path, int code)
{
    struct node *n = arg;
    (void)store_close_old(n->store);
    catch_up_swapped(n->catch_up, code);
    n->step_us = n->world->now_us;
}

/* --- the life of a node --- */

struct node *node_of(struct world *w, uint64_t id)
{
    CHECK(id >= 1 && id <= NODES);
    return &w->nodes[id - 1];
}

static void path_of(const struct node *n, const char *what, char path[128])
{
    (void)snprintf(path, 128, "%s/%s", n->path, what);
}

static void store_path(const struct node *n, unsigned number, char path[128])
{
    (void)snprintf(path, 128, "%s/%u", n->path, number);
}

static void must(int rc, const struct error *e)
{
    if (rc != 0) {
        fail_msg("%s: %s", e->where, e->message);
    }
}

static void open_disk(struct node *n)
{
    struct error e = {0};
    char path[128];
    store_path(n, n->current, path);
    (void)mkdir(path, 0700);
    struct store_options s = {
        .path = path, .map_bytes = MAP_BYTES, .readers_max = 16, .no_sync = true};
    must(store_open(&s, &n->store, &e), &e);
    must(apply_new(n->store, &n->apply, &e), &e);
    path_of(n, "archive", path);
    struct archive_options a = {.path = path,
                                .cluster = {.low = 1},
                                .clock = &n->world->clock,
                                .bytes_max = n->world->archive_bytes_max,
                                .segment_bytes = n->world->archive_segment_bytes};
    must(archive_open(&a, &n->archive, &e), &e);
}

void node_open(struct node *n)
{
    struct world *w = n->world;
    struct error e = {0};
    open_disk(n);
    n->queue = apply_queue_new();
    n->boot = ++w->boots * 1000003;
    struct supplier_options s = {.store = n->store,
                                 .archive = n->archive,
                                 .clock = &w->clock,
                                 .boot = n->boot,
                                 .rate_bytes = w->rate_bytes,
                                 .growth_bytes_max = w->growth_bytes_max,
                                 .on_notice = on_notice,
                                 .arg = n};
    must(supplier_new(&s, &n->supplier, &e), &e);
    struct catch_up_options c = {.folder = n->path,
                                 .clock = &w->clock,
                                 .queue = n->queue,
                                 .store = n->store,
                                 .boot = n->boot,
                                 .map_bytes = w->map_bytes,
                                 .headroom_bytes = w->headroom_bytes,
                                 .chunk_bytes = CHUNK,
                                 .sync_bytes = w->sync_bytes,
                                 .queue_bytes_max = w->queue_bytes_max,
                                 .callbacks = {.send = on_send,
                                               .swap = on_swap,
                                               .sync = on_sync,
                                               .goes_on = on_goes_on,
                                               .on_notice = on_notice},
                                 .arg = n};
    must(catch_up_new(&c, &n->catch_up, &e), &e);
    struct applier_options a = {.store = n->store,
                                .archive = n->archive,
                                .on_result = on_result,
                                .on_answered = on_batch,
                                .on_aborted = on_batch,
                                .on_published = on_published,
                                .make_current = on_make_current,
                                .on_swapped = on_swapped,
                                .arg = n};
    must(applier_new(&a, &n->applier, &e), &e);
    n->step_us = UINT64_MAX;
    n->dies = false;
    n->synced = 0;
}

/* The jobs up to `until` are done with. */
static void drop_jobs(struct node *n, const struct apply_job *until)
{
    while (n->jobs != until) {
        struct apply_job *j = n->jobs;
        n->jobs = j->next;
        apply_queue_done(n->queue, j->len);
        free(j);
    }
}

void node_close(struct node *n)
{
    drop_jobs(n, NULL);
    applier_free(n->applier);
    catch_up_free(n->catch_up);
    supplier_free(n->supplier);
    apply_queue_free(n->queue);
    archive_close(n->archive);
    apply_free(n->apply);
    store_close(n->store);
}

/* A page that was written and not synced may hold anything after a crash. */
static void lose_unsynced(struct node *n)
{
    struct incoming in;
    struct stat st;
    char file[INCOMING_PATH_BYTES];
    uint8_t garbage[512];
    memset(garbage, 0xAA, sizeof garbage);
    incoming_init(&in, n->path);
    if (!incoming_load(&in)) {
        return;
    }
    (void)snprintf(file, sizeof file, "%.4000s/data.mdb", in.store);
    int fd = open(file, O_WRONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    for (off_t at = (off_t)in.synced; at < st.st_size; at += sizeof garbage) {
        size_t len =
            st.st_size - at < (off_t)sizeof garbage ? (size_t)(st.st_size - at) : sizeof garbage;
        assert_int_equal(syscall(SYS_pwrite64, fd, garbage, len, at), len);
    }
    (void)close(fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

void node_kill(struct node *n)
{
    char path[128];
    node_close(n);
    lose_unsynced(n);
    /* As node/ does at a start: stores that are not the current one go. */
    for (unsigned i = 1; i < n->current + 4; i++) {
        store_path(n, i, path);
        if (i != n->current) {
            (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        }
    }
    node_open(n);
    n->world->killed = true;
}

void node_wipe(struct node *n)
{
    node_close(n);
    (void)nftw(n->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(mkdir(n->path, 0700), 0);
    n->current = 1;
    node_open(n);
}

int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    const char *text = getenv("CLADE_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : clock_wall_us(clock_system());
    print_message("seed %llu\n", (unsigned long long)seed);
    random_seed(&w->random, seed);
    w->clock = (struct clock){.monotonic_us = now_of, .wall_us = now_of};
    w->now_us = SECOND;
    w->archive_bytes_max = 16 << 20;
    w->archive_segment_bytes = 8192;
    w->map_bytes = MAP_BYTES;
    w->sync_bytes = 4 * CHUNK;
    for (uint64_t i = 1; i <= NODES; i++) {
        struct node *n = node_of(w, i);
        *n = (struct node){.world = w, .id = i, .current = 1};
        (void)snprintf(n->path, sizeof n->path, "/tmp/clade-catch-up-XXXXXX");
        assert_non_null(mkdtemp(n->path));
        node_open(n);
    }
    room = INT64_MAX;
    *state = w;
    return 0;
}

int world_teardown(void **state)
{
    struct world *w = *state;
    for (uint64_t i = 1; i <= NODES; i++) {
        node_close(node_of(w, i));
        (void)nftw(node_of(w, i)->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
    while (w->mail != NULL) {
        struct mail *m = w->mail;
        w->mail = m->next;
        free(m);
    }
    free(w);
    return 0;
}

/* --- entries --- */

static void put_command(struct buffer *b, uint64_t index)
{
    char name[32];
    char description[301];
    (void)snprintf(name, sizeof name, "a%llu", (unsigned long long)index);
    memset(description, 'a' + (int)(index % 26), 300);
    description[300] = '\0';
    value_put_map(b, 2);
    value_put_str(b, "v");
    value_put_int(b, 1);
    value_put_str(b, "ops");
    value_put_array(b, 1);
    value_put_map(b, 4);
    value_put_str(b, "op");
    value_put_str(b, "create");
    value_put_str(b, "kind");
    value_put_str(b, "artifact");
    value_put_str(b, "name");
    value_put_str(b, name);
    value_put_str(b, "description");
    value_put_str(b, description);
}

void make_entry(struct buffer *b, uint64_t index)
{
    struct buffer command;
    buffer_init(&command, ENTRY_BYTES_MAX);
    put_command(&command, index);
    struct item item = {.kind = ITEM_TXN,
                        .id = {.node = 1, .boot = 1, .counter = index},
                        .command = buffer_span(&command)};
    struct entry_header header = {.level = SEMANTICS_LEVEL, .items = 1, .stamp_us = index * 1000};
    entry_begin(b);
    item_encode(b, &item);
    entry_end(b, &header);
    assert_false(b->failed);
    buffer_release(&command);
}

static void apply_one(
    struct node *n, uint64_t previous, uint64_t index, struct span entry, struct error *e)
{
    must(entry.len > 0 ? apply_entry(n->apply, previous, index, entry, on_result, n, e)
                       : apply_advance(n->apply, previous, index, e),
         e);
    must(archive_append(n->archive, previous, index, entry, e), e);
}

void grow(struct world *w, uint64_t index)
{
    struct error e = {0};
    struct buffer b;
    buffer_init(&b, ENTRY_BYTES_MAX);
    for (uint64_t id = 1; id <= 2; id++) {
        struct node *n = node_of(w, id);
        struct store_position p = store_position(n->store);
        must(apply_begin(n->apply, &e), &e);
        for (uint64_t i = p.applied + 1; i <= index; i++) {
            buffer_clear(&b);
            if (i % 7 != 0) {
                make_entry(&b, i);
            }
            apply_one(n, i - 1, i, buffer_span(&b), &e);
        }
        must(apply_commit(n->apply, &p, &e), &e);
    }
    buffer_release(&b);
}

void cut_archives(struct world *w)
{
    struct error e = {0};
    for (uint64_t id = 1; id <= 2; id++) {
        struct node *n = node_of(w, id);
        must(archive_reset(n->archive, store_position(n->store).applied, &e), &e);
    }
}

/* --- the apply thread --- */

static void run_apply(struct node *n)
{
    struct error e = {0};
    n->jobs = apply_queue_take(n->queue, 64, 1 << 20);
    while (n->jobs != NULL && !n->dies) {
        struct apply_job *next = n->jobs;
        int rc = applier_run(n->applier, n->jobs, &next, &e);
        must(n->dies ? 0 : rc, &e);
        drop_jobs(n, next);
        n->step_us = n->world->now_us;
    }
}

/* --- running --- */

void want(struct world *w, uint64_t index)
{
    static const uint64_t sources[] = {1, 2};
    catch_up_want(node_of(w, 3)->catch_up, index, sources, 2);
    node_of(w, 3)->step_us = w->now_us;
}

struct catch_up_status status_of(struct node *n)
{
    struct catch_up_status s;
    catch_up_status(n->catch_up, &s);
    return s;
}

/* The next thing that happens: a message, or a step of node 3. False: nothing will. */
static bool run_one(struct world *w, uint64_t until)
{
    struct node *n = node_of(w, 3);
    uint64_t due = n->step_us;
    bool is_mail = w->mail != NULL && w->mail->due_us <= due;
    due = is_mail ? w->mail->due_us : due;
    if (due > until) {
        return false;
    }
    w->now_us = due > w->now_us ? due : w->now_us;
    if (is_mail) {
        deliver(w);
    } else {
        uint64_t next = catch_up_step(n->catch_up);
        n->step_us = next <= w->now_us ? w->now_us + 1 : next;
    }
    if (!n->holds_apply) {
        run_apply(n);
    }
    for (uint64_t id = 1; id <= 2; id++) {
        supplier_tick(node_of(w, id)->supplier);
    }
    return true;
}

bool run(struct world *w, uint64_t us)
{
    struct node *n = node_of(w, 3);
    uint64_t until = w->now_us + us;
    while (status_of(n).state != CATCH_UP_IDLE) {
        if (!run_one(w, until)) {
            w->now_us = until;
            return false;
        }
        if (++w->events == w->kill_at) {
            uint64_t target = status_of(n).target;
            node_kill(n);
            want(w, target);
        }
    }
    return true;
}

void deliver_all(struct world *w)
{
    while (w->mail != NULL) {
        w->now_us = w->mail->due_us > w->now_us ? w->mail->due_us : w->now_us;
        deliver(w);
    }
}

void assert_caught_up(struct world *w, uint64_t index)
{
    struct node *n = node_of(w, 3);
    struct error e = {0};
    while (apply_queue_waits(n->queue)) {
        run_apply(n);
    }
    assert_int_equal(store_position(n->store).applied, index);
    assert_int_equal(n->synced, index);
    assert_int_equal(apply_queue_last(n->queue), index);
    struct store_digest ours = store_digest_current(n->store);
    struct store_digest theirs = store_digest_current(node_of(w, 1)->store);
    if (theirs.index == index) {
        assert_memory_equal(&ours, &theirs, sizeof ours);
    }
    must(store_verify(n->store, NULL, NULL, &e), &e);
    assert_false(has_incoming(w));
}

bool has_incoming(struct world *w)
{
    char path[128];
    path_of(node_of(w, 3), "incoming", path);
    return access(path, F_OK) == 0;
}
