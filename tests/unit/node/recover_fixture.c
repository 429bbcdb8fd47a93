#include "recover_fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <raft.h>
#include <uv.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "command/value.h"
#include "consensus/disk.h"
#include "consensus/guard.h"
#include "consensus/loaded_log.h"
#include "node/data_folder.h"
#include "storage/apply.h"

#define MAP_BYTES ((uint64_t)64 << 20)

/* --- files --- */

void shell(const char *command, const char *path)
{
    char text[2048] = "";
    size_t len = 0;
    for (const char *p = command; *p != 0; p++) {
        bool is_path = p[0] == '%' && p[1] == 's';
        int n = is_path ? snprintf(text + len, sizeof text - len, "%s", path)
                        : snprintf(text + len, sizeof text - len, "%c", *p);
        len += (size_t)n;
        assert_true(len < sizeof text);
        p += is_path;
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)execl("/bin/sh", "sh", "-c", text, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0) {
        print_error("%s: %d\n", text, status);
        fail();
    }
}

static struct hash128 found; /* by nftw, which takes no argument */

static int add_file(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    const char *name = path + ftw->base;
    if (strcmp(name, "LOCK") == 0 || strcmp(name, "lock.mdb") == 0 ||
        (strcmp(name, "mark") == 0 && ftw->level == 1)) {
        return 0;
    }
    struct hash128 parts[3] = {found, hash128(span_of(path)), {.low = (uint64_t)flag}};
    if (flag == FTW_F) {
        char *bytes = malloc((size_t)st->st_size + 1);
        FILE *file = fopen(path, "r");
        assert_non_null(bytes);
        assert_non_null(file);
        assert_int_equal(fread(bytes, 1, (size_t)st->st_size, file), st->st_size);
        (void)fclose(file);
        parts[2] = hash128(span_make(bytes, (size_t)st->st_size));
        free(bytes);
    }
    /* Whatever the order: names differ. */
    struct hash128 one = hash128(span_make(&parts[1], 2 * sizeof parts[1]));
    found.low += one.low;
    found.high += one.high;
    return 0;
}

struct hash128 digest_of_folder(const char *path)
{
    found = (struct hash128){.low = 0};
    (void)nftw(path, add_file, 16, FTW_PHYS);
    return found;
}

void put_back(struct fixture *f, unsigned i)
{
    shell("rm -rf '%s' && cp -a '%s.made' '%s'", f->paths[i]);
}

/* --- entries --- */

static void put_entry(struct buffer *b, uint64_t term, uint64_t index)
{
    struct buffer command;
    char name[48];
    (void)snprintf(name, sizeof name, "a%llu-%llu", (unsigned long long)term,
                   (unsigned long long)index);
    const struct entry_header header = {
        .level = SEMANTICS_LEVEL, .items = 1, .stamp_us = 1000000 + index};
    buffer_init(&command, 4096);
    value_put_map(&command, 2);
    value_put_str(&command, "v");
    value_put_int(&command, 1);
    value_put_str(&command, "ops");
    value_put_array(&command, 1);
    value_put_map(&command, 3);
    value_put_str(&command, "op");
    value_put_str(&command, "create");
    value_put_str(&command, "kind");
    value_put_str(&command, "artifact");
    value_put_str(&command, "name");
    value_put_str(&command, name);
    const struct item item = {.kind = ITEM_TXN,
                              .id = {.node = 1, .boot = 1, .counter = index},
                              .command = buffer_span(&command)};
    buffer_init(b, ENTRY_BYTES_MAX);
    entry_begin(b);
    item_encode(b, &item);
    entry_end(b, &header);
    buffer_release(&command);
}

/* --- the store --- */

static struct store *open_store(struct fixture *f, unsigned i)
{
    char path[128];
    struct store *store;
    (void)snprintf(path, sizeof path, "%s/store/1", f->paths[i]);
    const struct store_options options = {.path = path, .map_bytes = MAP_BYTES};
    assert_int_equal(store_open(&options, &store, &f->error), 0);
    return store;
}

static void on_result(void *arg, const struct apply_result *result)
{
    assert_int_equal(result->code, 0);
}

void grow(struct fixture *f, unsigned i, unsigned n)
{
    struct store *store = open_store(f, i);
    struct apply *apply;
    struct store_position p = store_position(store);
    assert_int_equal(apply_new(store, &apply, NULL), 0);
    assert_int_equal(apply_begin(apply, NULL), 0);
    uint64_t previous = p.applied;
    for (uint64_t index = previous > 0 ? previous + 1 : 2; n > 0; n--, index++) {
        struct buffer b;
        put_entry(&b, 1, index);
        assert_int_equal(
            apply_entry(apply, previous, index, buffer_span(&b), on_result, NULL, NULL), 0);
        previous = index;
        buffer_release(&b);
    }
    assert_int_equal(apply_commit(apply, &p, NULL), 0);
    apply_free(apply);
    store_close(store);
}

uint64_t revision_of(struct fixture *f, unsigned i)
{
    struct store *store = open_store(f, i);
    uint64_t revision = store_position(store).revision;
    store_close(store);
    return revision;
}

/* --- the log --- */

struct writing {
    uv_loop_t loop;
    struct disk *disk;
    struct guard_disk *mark;
    struct guard_disk *witness;
    struct guard *guard;
    struct raft_io *io; /* the guard's */
    bool done;
};

static void on_fatal(void *arg, const struct error *error)
{
    print_error("%s: %s\n", error->where, error->message);
    fail();
}

static void on_due(void *arg, uint64_t due_us)
{
}

static void on_append(struct raft_io_append *req, int status)
{
    struct writing *w = req->data;
    assert_int_equal(status, 0);
    w->done = true;
}

static void on_closed(struct raft_io *io)
{
}

/* What it holds, to be released. */
static struct loaded_log open_log(struct writing *w, const char *path, uint64_t id)
{
    char raft[128];
    struct loaded_log log = {.entries = NULL};
    (void)snprintf(raft, sizeof raft, "%s/raft", path);
    const struct disk_options disk = {
        .loop = &w->loop, .path = raft, .segment_bytes = 64 << 10, .on_fatal = on_fatal, .arg = w};
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(disk_new(&disk, &w->disk, NULL), 0);
    assert_int_equal(guard_file_open(raft, &w->mark, NULL), 0);
    assert_int_equal(guard_file_open(path, &w->witness, NULL), 0);
    const struct guard_options guard = {.io = disk_io(w->disk),
                                        .disk = w->mark,
                                        .witness = w->witness,
                                        .clock = clock_system(),
                                        .on_due = on_due,
                                        .on_fatal = on_fatal,
                                        .arg = w};
    assert_int_equal(guard_new(&guard, &w->guard, NULL), 0);
    w->io = guard_io(w->guard);
    assert_int_equal(w->io->init(w->io, id, "127.0.0.1:1"), 0);
    assert_int_equal(
        w->io->load(w->io, &log.term, &log.vote, &log.snapshot, &log.start, &log.entries, &log.n),
        0);
    return log;
}

static void close_log(struct writing *w)
{
    guard_flush(w->guard);
    w->io->close(w->io, on_closed);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    guard_free(w->guard);
    guard_file_close(w->mark);
    guard_file_close(w->witness);
    disk_free(w->disk);
    assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void append_one(struct writing *w, uint64_t term, uint64_t index)
{
    struct buffer b;
    put_entry(&b, term, index);
    struct span bytes = buffer_span(&b);
    struct raft_entry entry = {.term = term, .type = RAFT_COMMAND, .buf = {.len = bytes.len}};
    struct raft_io_append req = {.data = w};
    entry.buf.base = raft_malloc(bytes.len);
    memcpy(entry.buf.base, bytes.data, bytes.len);
    w->done = false;
    assert_int_equal(w->io->append(w->io, &req, &entry, 1, on_append), 0);
    while (!w->done) {
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    }
    raft_free(entry.buf.base);
    buffer_release(&b);
}

void append(struct fixture *f, unsigned i, uint64_t term, unsigned n)
{
    struct writing w = {.done = false};
    struct loaded_log log = open_log(&w, f->paths[i], i);
    uint64_t next = log.start + log.n;
    if (log.term < term) {
        assert_int_equal(w.io->set_term(w.io, term), 0);
    }
    loaded_log_release(&log);
    for (unsigned k = 0; k < n; k++) {
        append_one(&w, term, next + k);
    }
    close_log(&w);
}

/* --- all of it --- */

static void make(struct fixture *f, const char *root, unsigned i)
{
    struct identity identity = {.node = i};
    for (unsigned m = 1; m <= NODES; m++) {
        char member[32];
        (void)snprintf(member, sizeof member, "%u=127.0.0.1:%u", m, m);
        assert_int_equal(identity_add_member(&identity, span_of(member), NULL), 0);
    }
    assert_int_equal(identity_complete(&identity, NULL), 0);
    (void)snprintf(f->paths[i], sizeof f->paths[i], "%s/n%u", root, i);
    assert_int_equal(data_folder_init(f->paths[i], &identity, &f->error), 0);
    append(f, i, 1, IN_STORE + IN_LOG);
    grow(f, i, IN_STORE);
}

int recover_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *memory = "/dev/shm"; /* it is synced hundreds of times */
    char root[48];
    assert_non_null(f);
    (void)snprintf(root, sizeof root, "%s/clade-recover-XXXXXX",
                   access(memory, W_OK) == 0 ? memory : "/tmp");
    assert_non_null(mkdtemp(root));
    (void)snprintf(f->root, sizeof f->root, "%s", root);
    f->config.map_bytes = MAP_BYTES;
    for (unsigned i = 1; i <= NODES; i++) {
        make(f, root, i);
        /* Once looked at: what it tidies up, it tidies up but once. */
        f->request.check = true;
        assert_int_equal(recover(f, i, 0, 0), 0);
        f->request.check = false;
        shell("cp -a '%s' '%s.made'", f->paths[i]);
    }
    *state = f;
    return 0;
}

int recover_tear_down(void **state)
{
    struct fixture *f = *state;
    shell("rm -rf '%s'", f->root);
    free(f);
    return 0;
}

int recover(struct fixture *f, unsigned first, unsigned second, unsigned third)
{
    f->request.folders_len = 0;
    const unsigned nodes[] = {first, second, third};
    for (size_t i = 0; i < 3 && nodes[i] != 0; i++) {
        f->request.folders[f->request.folders_len++] = f->paths[nodes[i]];
    }
    f->error = (struct error){.code = 0};
    return recover_run(&f->config, &f->request, &f->error);
}
