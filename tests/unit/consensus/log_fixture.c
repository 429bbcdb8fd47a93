#include "tests/unit/consensus/log_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "consensus/disk.h"
#include "consensus/group.h"
#include "consensus/guard.h"

#define SNAPSHOT_BYTES 64
#define DEADLINE_NS    UINT64_C(20000000000)

/* --- life --- */

static void on_fatal(void *arg, const struct error *error)
{
    struct log_fixture *l = arg;
    uv_mutex_lock(&l->mutex);
    if (l->fatals++ == 0) {
        (void)snprintf(l->fatal, sizeof l->fatal, "%s", error->message);
    }
    uv_mutex_unlock(&l->mutex);
}

static void on_due(void *arg, uint64_t due_us)
{
}

static void open_disk(struct log_fixture *l)
{
    const struct disk_options d = {.loop = &l->loop,
                                   .path = l->path,
                                   .segment_bytes = LOG_SEGMENT_BYTES,
                                   .on_fatal = on_fatal,
                                   .arg = l};
    CHECK(disk_new(&d, &l->disk, NULL) == 0);
}

struct log_fixture *log_new(void)
{
    struct log_fixture *l = calloc(1, sizeof *l);
    CHECK(l != NULL && uv_loop_init(&l->loop) == 0 && uv_mutex_init(&l->mutex) == 0);
    const char *memory = "/dev/shm"; /* hundreds of starts with a sync or two each */
    (void)snprintf(l->path, sizeof l->path, "%s/clade-log-XXXXXX",
                   access(memory, W_OK) == 0 ? memory : "/tmp");
    CHECK(mkdtemp(l->path) != NULL);
    l->term = 1;
    open_disk(l);
    const struct group_member self = {.id = 1, .address = "127.0.0.1:1"};
    CHECK(group_bootstrap(disk_io(l->disk), 1, self.address, &self, 1, NULL) == 0);
    (void)uv_run(&l->loop, UV_RUN_DEFAULT);
    disk_free(l->disk);
    CHECK(guard_file_create(l->path, NULL) == 0);
    return l;
}

static void on_closed(struct raft_io *io)
{
}

static void close_io(struct log_fixture *l)
{
    l->io->close(l->io, on_closed);
    (void)uv_run(&l->loop, UV_RUN_DEFAULT);
    l->io = NULL;
    guard_free(l->guard);
    guard_file_close(l->mark);
    disk_free(l->disk);
}

int log_open(struct log_fixture *l, struct loaded_log *ret, char *text)
{
    struct loaded_log log = {.entries = NULL};
    open_disk(l);
    CHECK(guard_file_open(l->path, &l->mark, NULL) == 0);
    const struct guard_options g = {.io = disk_io(l->disk),
                                    .disk = l->mark,
                                    .clock = clock_system(),
                                    .off = l->guard_off,
                                    .on_due = on_due,
                                    .on_fatal = on_fatal,
                                    .arg = l};
    CHECK(guard_new(&g, &l->guard, NULL) == 0);
    l->io = guard_io(l->guard);
    int rv = l->io->init(l->io, 1, "127.0.0.1:1");
    bool inited = rv == 0;
    if (rv == 0) {
        rv = l->io->load(l->io, &log.term, &log.vote, &log.snapshot, &log.start, &log.entries,
                         &log.n);
    }
    if (rv != 0) {
        if (text != NULL) {
            (void)snprintf(text, 256, "%s", l->io->errmsg);
        }
        if (inited) {
            close_io(l);
            return rv;
        }
        l->io = NULL;
        guard_free(l->guard);
        guard_file_close(l->mark);
        disk_free(l->disk);
        return rv;
    }
    l->next = log.start + log.n;
    if (ret != NULL) {
        *ret = log;
    } else {
        loaded_log_release(&log);
    }
    return 0;
}

void log_close(struct log_fixture *l)
{
    log_wait(l);
    guard_flush(l->guard);
    close_io(l);
}

void log_crash(struct log_fixture *l)
{
    struct image image;
    log_wait(l);
    image_take(&image, l->path);
    close_io(l);
    image_put(&image, l->path);
    image_release(&image);
}

static void remove_files(const char *path)
{
    DIR *d = opendir(path);
    CHECK(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    (void)closedir(d);
}

void log_free(struct log_fixture *l)
{
    if (l->io != NULL) {
        log_close(l);
    }
    remove_files(l->path);
    (void)rmdir(l->path);
    CHECK(uv_loop_close(&l->loop) == 0);
    uv_mutex_destroy(&l->mutex);
    free(l);
}

/* --- what libraft would call for --- */

static void fill(uint8_t *bytes, size_t len, raft_index index, raft_term term)
{
    uint64_t x = index * UINT64_C(0x9e3779b97f4a7c15) + term;
    for (size_t i = 0; i < len; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        bytes[i] = (uint8_t)(x >> 56) | 1; /* never zero: no sector looks like one that is lost */
    }
}

bool log_entry_is_right(const struct raft_entry *e, raft_index index)
{
    if (e->type == RAFT_CHANGE) {
        return index == 1;
    }
    uint8_t *expected = malloc(e->buf.len + 1);
    CHECK(expected != NULL);
    fill(expected, e->buf.len, index, e->term);
    bool right = memcmp(expected, e->buf.base, e->buf.len) == 0;
    free(expected);
    return right;
}

bool log_snapshot_is_right(const struct raft_snapshot *s)
{
    uint8_t expected[SNAPSHOT_BYTES];
    fill(expected, sizeof expected, s->index, s->term);
    return s->n_bufs == 1 && s->bufs[0].len == sizeof expected &&
           memcmp(s->bufs[0].base, expected, sizeof expected) == 0;
}

struct log_write {
    struct raft_io_append req;
    struct log_fixture *log;
    struct raft_entry *entries;
    uint8_t *bytes;
};

static void on_append(struct raft_io_append *req, int status)
{
    struct log_write *w = req->data;
    w->log->under_way--;
    free(w->entries);
    free(w->bytes);
    free(w);
}

void log_append(struct log_fixture *l, unsigned n, size_t bytes)
{
    struct log_write *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    w->req.data = w;
    w->log = l;
    w->entries = calloc(n, sizeof *w->entries);
    w->bytes = malloc(n * bytes);
    CHECK(w->entries != NULL && w->bytes != NULL);
    for (unsigned i = 0; i < n; i++) {
        uint8_t *at = w->bytes + i * bytes;
        fill(at, bytes, l->next + i, l->term);
        w->entries[i] = (struct raft_entry){
            .term = l->term, .type = RAFT_COMMAND, .buf = {.base = at, .len = bytes}};
    }
    CHECK(l->io->truncate(l->io, l->next) == 0);
    l->under_way++;
    CHECK(l->io->append(l->io, &w->req, w->entries, n, on_append) == 0);
    l->next += n;
}

void log_truncate(struct log_fixture *l, raft_index index)
{
    l->next = index;
}

void log_run(struct log_fixture *l, bool (*done)(struct log_fixture *l))
{
    uint64_t end = uv_hrtime() + DEADLINE_NS;
    while (!done(l)) {
        CHECK(uv_hrtime() < end);
        (void)uv_run(&l->loop, UV_RUN_ONCE);
    }
}

static bool nothing_is_under_way(struct log_fixture *l)
{
    return l->under_way == 0;
}

void log_wait(struct log_fixture *l)
{
    log_run(l, nothing_is_under_way);
}

struct log_put {
    struct raft_io_snapshot_put req;
    struct log_fixture *log;
    struct raft_snapshot snapshot;
    struct raft_buffer buf;
    uint8_t bytes[SNAPSHOT_BYTES];
};

static void on_put(struct raft_io_snapshot_put *req, int status)
{
    struct log_put *p = req->data;
    p->log->under_way--;
    raft_configuration_close(&p->snapshot.configuration);
    free(p);
}

void log_begin_snapshot(struct log_fixture *l, raft_index index, raft_term term, unsigned trailing)
{
    struct log_put *p = calloc(1, sizeof *p);
    CHECK(p != NULL);
    p->req.data = p;
    p->log = l;
    p->buf = (struct raft_buffer){.base = p->bytes, .len = sizeof p->bytes};
    p->snapshot = (struct raft_snapshot){
        .index = index, .term = term, .configuration_index = 1, .bufs = &p->buf, .n_bufs = 1};
    fill(p->bytes, sizeof p->bytes, index, term);
    raft_configuration_init(&p->snapshot.configuration);
    CHECK(raft_configuration_add(&p->snapshot.configuration, 1, "127.0.0.1:1", RAFT_VOTER) == 0);
    l->under_way++;
    CHECK(l->io->snapshot_put(l->io, trailing, &p->req, &p->snapshot, on_put) == 0);
}

void log_snapshot(struct log_fixture *l, raft_index index, raft_term term, unsigned trailing)
{
    log_begin_snapshot(l, index, term, trailing);
    log_wait(l);
    if (trailing == 0) {
        l->next = index + 1;
    }
}

/* --- images --- */

static void image_file_read(struct image_file *f, int folder)
{
    int fd = openat(folder, f->name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    f->len = (size_t)st.st_size;
    f->bytes = malloc(f->len + 1);
    CHECK(f->bytes != NULL && read(fd, f->bytes, f->len) == (ssize_t)f->len);
    (void)close(fd);
}

void image_take(struct image *ret, const char *path)
{
    DIR *d = opendir(path);
    CHECK(d != NULL);
    ret->len = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.') {
            continue;
        }
        CHECK(ret->len < sizeof ret->files / sizeof ret->files[0]);
        struct image_file *f = &ret->files[ret->len++];
        (void)snprintf(f->name, sizeof f->name, "%.63s", e->d_name);
        image_file_read(f, dirfd(d));
    }
    (void)closedir(d);
}

void image_put(const struct image *image, const char *path)
{
    remove_files(path);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(folder >= 0);
    for (unsigned i = 0; i < image->len; i++) {
        const struct image_file *f = &image->files[i];
        int fd = openat(folder, f->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && write(fd, f->bytes, f->len) == (ssize_t)f->len);
        (void)close(fd);
    }
    (void)close(folder);
}

void image_release(struct image *image)
{
    for (unsigned i = 0; i < image->len; i++) {
        free(image->files[i].bytes);
    }
    image->len = 0;
}

struct image_file *image_find(struct image *image, const char *begin)
{
    for (unsigned i = 0; i < image->len; i++) {
        if (strncmp(image->files[i].name, begin, strlen(begin)) == 0) {
            return &image->files[i];
        }
    }
    return NULL;
}

void image_remove(struct image *image, struct image_file *file)
{
    free(file->bytes);
    *file = image->files[--image->len];
}

void image_add(struct image *image, const struct image_file *file, const char *name)
{
    CHECK(image->len < sizeof image->files / sizeof image->files[0]);
    struct image_file *f = &image->files[image->len];
    (void)snprintf(f->name, sizeof f->name, "%s", name);
    f->len = file->len;
    f->bytes = malloc(f->len + 1);
    CHECK(f->bytes != NULL);
    memcpy(f->bytes, file->bytes, f->len);
    image->len++;
}
