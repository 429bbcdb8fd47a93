/* raft_uv and a real folder, with real faults; and a group of one on it, under its guard. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "base/check.h"
#include "consensus/disk.h"
#include "consensus/group.h"
#include "consensus/guard.h"
#include "tests/unit/consensus/log_fixture.h"

struct one {
    struct group_transport transport; /* first */
    uv_loop_t loop;
    char path[64];
    struct disk *disk;
    struct guard_disk *mark;
    struct guard *guard;
    struct group *group;
    struct apply_queue *queue;
    uv_idle_t idle;
    bool leads;
    bool closed;
    char fatal[512];
};

static void on_fatal(void *arg, const struct error *e)
{
    struct one *o = arg;
    (void)snprintf(o->fatal, sizeof o->fatal, "%s", e->message);
}

static void on_refused(void *arg, struct proposal *p, const struct error *e)
{
}

static void on_read_index(void *arg, uint64_t ticket, int code, uint64_t index)
{
}

static void on_leader(void *arg, uint64_t leader, uint64_t term)
{
    ((struct one *)arg)->leads = leader == 1;
}

static void on_transfer(void *arg, uint64_t ticket, const struct error *e, uint64_t leader)
{
}

static void on_idle(uv_idle_t *idle)
{
    struct one *o = idle->data;
    (void)uv_idle_stop(idle);
    group_flush(o->group);
}

static void on_wake(void *arg)
{
    struct one *o = arg;
    if (!o->closed) {
        (void)uv_idle_start(&o->idle, on_idle);
    }
}

static void no_send(struct group_transport *t, uint64_t to, struct span message)
{
}

static void no_members(struct group_transport *t, const struct group_member *m, size_t n)
{
}

static bool never_connected(struct group_transport *t, uint64_t to)
{
    return false;
}

static void open_disk(struct one *o)
{
    struct disk_options d = {.loop = &o->loop, .path = o->path, .on_fatal = on_fatal, .arg = o};
    assert_int_equal(disk_new(&d, &o->disk, NULL), 0);
}

static struct one *one_new(void)
{
    struct one *o = calloc(1, sizeof *o);
    (void)snprintf(o->path, sizeof o->path, "/tmp/clade-disk-XXXXXX");
    assert_non_null(mkdtemp(o->path));
    o->transport = (struct group_transport){
        .send = no_send, .set_members = no_members, .is_connected = never_connected};
    assert_int_equal(uv_loop_init(&o->loop), 0);
    assert_int_equal(uv_idle_init(&o->loop, &o->idle), 0);
    o->idle.data = o;
    open_disk(o);
    struct group_member self = {.id = 1, .address = "127.0.0.1:1"};
    assert_int_equal(group_bootstrap(disk_io(o->disk), 1, self.address, &self, 1, NULL), 0);
    (void)uv_run(&o->loop, UV_RUN_DEFAULT);
    disk_free(o->disk);
    assert_int_equal(guard_file_create(o->path, NULL), 0);
    return o;
}

static void on_due(void *arg, uint64_t due_us)
{
}

static void open_guard(struct one *o)
{
    assert_int_equal(guard_file_open(o->path, &o->mark, NULL), 0);
    const struct guard_options g = {.io = disk_io(o->disk),
                                    .disk = o->mark,
                                    .clock = clock_system(),
                                    .on_due = on_due,
                                    .on_fatal = on_fatal,
                                    .arg = o};
    assert_int_equal(guard_new(&g, &o->guard, NULL), 0);
}

static void start(struct one *o)
{
    struct error e = {0};
    open_disk(o);
    open_guard(o);
    o->queue = apply_queue_new();
    struct group_options g = {.id = 1,
                              .address = "127.0.0.1:1",
                              .io = guard_io(o->guard),
                              .transport = &o->transport,
                              .clock = clock_system(),
                              .queue = o->queue,
                              .callbacks = {.on_refused = on_refused,
                                            .on_read_index = on_read_index,
                                            .on_leader = on_leader,
                                            .on_transfer = on_transfer,
                                            .on_wake = on_wake,
                                            .on_fatal = on_fatal},
                              .arg = o};
    assert_int_equal(group_new(&g, &o->group, &e), 0);
    assert_int_equal(group_start(o->group, &e), 0);
}

static void on_closed(void *arg)
{
    ((struct one *)arg)->closed = true;
}

static void stop(struct one *o)
{
    o->closed = false;
    group_close(o->group, on_closed, o);
    while (!o->closed) {
        (void)uv_run(&o->loop, UV_RUN_ONCE);
    }
    o->closed = false;
    guard_flush(o->guard);
    guard_free(o->guard);
    guard_file_close(o->mark);
    disk_free(o->disk);
    apply_queue_free(o->queue);
}

static void one_free(struct one *o)
{
    DIR *dir = opendir(o->path);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    (void)closedir(dir);
    (void)rmdir(o->path);
    uv_close((uv_handle_t *)&o->idle, NULL);
    (void)uv_run(&o->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&o->loop), 0);
    free(o);
}

static void propose(struct one *o, uint64_t counter)
{
    struct item item = {.kind = ITEM_TXN,
                        .id = {.node = 1, .boot = 1, .counter = counter},
                        .command = span_of("command")};
    struct proposal *p = proposal_new(&item, false, UINT64_MAX);
    group_propose(o->group, p);
    proposal_unref(p);
}

/* Runs until the queue holds `commands` commands; returns how many it took off. */
static unsigned drain(struct one *o, unsigned commands)
{
    unsigned n = 0;
    uint64_t end = uv_hrtime() + UINT64_C(10000000000);
    while (n < commands && uv_hrtime() < end) {
        (void)uv_run(&o->loop, UV_RUN_NOWAIT);
        struct apply_job *job = apply_queue_take(o->queue, 1, 1);
        if (job != NULL && job->len > 0) {
            struct entry_header h;
            assert_int_equal(entry_check(span_make(job->bytes, job->len), &h, NULL), 0);
            n += h.items;
        }
        free(job);
    }
    return n;
}

static void commands_survive_a_restart(void **state)
{
    struct one *o = one_new();
    start(o);
    for (uint64_t i = 1; i <= 100; i++) {
        propose(o, i);
    }
    assert_int_equal(drain(o, 100), 100);
    stop(o);
    start(o);
    assert_int_equal(drain(o, 100), 100);
    assert_true(o->leads);
    assert_string_equal(o->fatal, "");
    stop(o);
    one_free(o);
}

static void a_second_bootstrap_is_refused(void **state)
{
    struct one *o = one_new();
    struct group_member self = {.id = 1, .address = "127.0.0.1:1"};
    struct error e = {0};
    open_disk(o);
    assert_int_equal(group_bootstrap(disk_io(o->disk), 1, self.address, &self, 1, &e),
                     CLADE_ERR_CONFLICT);
    (void)uv_run(&o->loop, UV_RUN_DEFAULT);
    disk_free(o->disk);
    one_free(o);
}

/* --- faults --- */

/* While it is set, what io_getevents (which has no wrapper in libc) says failed. */
static bool writes_fail;

long syscall(long number, ...)
{
    static long (*real)(long number, ...);
    va_list list;
    long a[6];
    va_start(list, number);
    for (size_t i = 0; i < 6; i++) {
        a[i] = va_arg(list, long);
    }
    va_end(list);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    }
    long n = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_io_getevents && writes_fail) {
        struct io_event *events = (struct io_event *)(uintptr_t)a[3];
        for (long i = 0; i < n; i++) {
            events[i].res = -EIO;
        }
    }
    return n;
}

/* The next write to a place in a file is cut short to so many bytes; 0 = it is not. */
static _Atomic size_t cut_to;

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    size_t cut = atomic_exchange(&cut_to, 0);
    return syscall(SYS_pwrite64, fd, data, cut > 0 && cut < n ? cut : n, at);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    return pwrite64(fd, data, n, at);
}

/* While it is set, no file can be laid out. */
static atomic_bool lays_out_nothing;

int posix_fallocate(int fd, off_t at, off_t len)
{
    return lays_out_nothing ? EIO : (int)syscall(SYS_fallocate, fd, 0, at, len);
}

static int child_pipe;

static void say_and_exit(void *arg, const struct error *e)
{
    (void)!write(child_pipe, e->message, strlen(e->message));
    _exit(3);
}

/* The process must be gone before libraft's timer fires. */
static _Noreturn void append_on_a_broken_disk(const char *path)
{
    uv_loop_t loop;
    struct disk *disk;
    struct raft_snapshot *snapshot;
    raft_term term;
    raft_id vote;
    raft_index start;
    struct raft_entry *entries;
    size_t n;
    uint64_t bytes = 1;
    struct raft_entry e = {
        .term = 1, .type = RAFT_COMMAND, .buf = {.base = &bytes, .len = sizeof bytes}};
    struct raft_io_append req;
    (void)uv_loop_init(&loop);
    const struct disk_options d = {.loop = &loop, .path = path, .on_fatal = say_and_exit};
    if (disk_new(&d, &disk, NULL) != 0) {
        _exit(1);
    }
    struct raft_io *io = disk_io(disk);
    if (io->init(io, 1, "1") != 0 ||
        io->load(io, &term, &vote, &snapshot, &start, &entries, &n) != 0) {
        _exit(1);
    }
    writes_fail = true;
    if (io->append(io, &req, &e, 1, NULL) != 0) {
        _exit(1);
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    _exit(0);
}

/* Hazard 2. First of all, so that the process has one thread still when it forks. */
static void a_failed_write_of_a_segment_stops_the_node_before_libraft_crashes(void **state)
{
    struct log_fixture *l = log_new();
    int ends[2];
    char said[640] = "";
    assert_int_equal(pipe(ends), 0);
    child_pipe = ends[1];
    pid_t pid = fork();
    if (pid == 0) {
        append_on_a_broken_disk(l->path);
    }
    (void)close(ends[1]);
    assert_true(read(ends[0], said, sizeof said - 1) > 0);
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_non_null(strstr(said, "writing a log segment failed"));
    log_free(l);
}

static void expect_fatal(struct log_fixture *l, const char *what)
{
    uv_mutex_lock(&l->mutex);
    assert_non_null(strstr(l->fatal, what));
    uv_mutex_unlock(&l->mutex);
}

static bool has_failed(struct log_fixture *l)
{
    uv_mutex_lock(&l->mutex);
    bool failed = l->fatals > 0;
    uv_mutex_unlock(&l->mutex);
    return failed;
}

/* The folder goes away, so that nothing can be opened in it; and comes back. */
static void hide(struct log_fixture *l, bool hidden)
{
    char other[80];
    (void)snprintf(other, sizeof other, "%s.gone", l->path);
    assert_int_equal(hidden ? rename(l->path, other) : rename(other, l->path), 0);
}

/* Hazard 1, one function after the other. */
static void a_term_that_cannot_be_written_stops_the_node(void **state)
{
    struct log_fixture *l = log_new();
    assert_int_equal(log_open(l, NULL, NULL), 0);
    hide(l, true);
    assert_int_not_equal(l->io->set_term(l->io, 5), 0);
    hide(l, false);
    expect_fatal(l, "writing the term failed");
    log_free(l);
}

static void a_vote_that_cannot_be_written_stops_the_node(void **state)
{
    struct log_fixture *l = log_new();
    assert_int_equal(log_open(l, NULL, NULL), 0);
    hide(l, true);
    assert_int_not_equal(l->io->set_vote(l->io, 1), 0);
    hide(l, false);
    expect_fatal(l, "writing the vote failed");
    log_free(l);
}

/* libuv writes the rest. 16 bytes have the version, 24 the term as well. */
static void a_term_or_vote_whose_write_was_cut_short_is_there_at_the_next_start(void **state)
{
    for (size_t bytes = 16; bytes <= 24; bytes += 8) {
        struct log_fixture *l = log_new();
        struct loaded_log loaded;
        assert_int_equal(log_open(l, NULL, NULL), 0);
        for (raft_term term = 5; term < 8; term++) {
            cut_to = bytes;
            assert_int_equal(disk_io(l->disk)->set_term(disk_io(l->disk), term), 0);
            assert_int_equal(cut_to, 0);
            cut_to = bytes;
            assert_int_equal(disk_io(l->disk)->set_vote(disk_io(l->disk), term % 2 + 1), 0);
        }
        assert_string_equal(l->fatal, "");
        log_close(l);
        l->guard_off = true; /* of whose mark the term went past */
        assert_int_equal(log_open(l, &loaded, NULL), 0);
        assert_int_equal(loaded.term, 7);
        assert_int_equal(loaded.vote, 2);
        loaded_log_release(&loaded);
        log_free(l);
    }
}

/* Hazard 37. */
static void a_segment_that_cannot_be_laid_out_stops_the_node(void **state)
{
    struct log_fixture *l = log_new();
    assert_int_equal(log_open(l, NULL, NULL), 0);
    lays_out_nothing = true;
    log_append(l, 1, 8);
    log_run(l, has_failed);
    lays_out_nothing = false;
    expect_fatal(l, "creating a log segment failed");
    log_wait(l);
    log_free(l);
}

static void an_append_that_is_refused_stops_the_node(void **state)
{
    struct log_fixture *l = log_new();
    uint64_t bytes = 0;
    struct raft_io_append req;
    struct raft_entry odd = {.term = 1, .type = RAFT_COMMAND, .buf = {.base = &bytes, .len = 7}};
    assert_int_equal(log_open(l, NULL, NULL), 0);
    assert_int_not_equal(l->io->append(l->io, &req, &odd, 1, NULL), 0);
    expect_fatal(l, "appending to the log failed");
    log_free(l);
}

static struct raft_io_snapshot_put parked_put;

static void on_parked_put(struct raft_io_snapshot_put *req, int status)
{
}

static void a_snapshot_that_cannot_be_written_stops_the_node(void **state)
{
    struct log_fixture *l = log_new();
    uint64_t bytes = 1;
    struct raft_buffer buf = {.base = &bytes, .len = sizeof bytes};
    struct raft_snapshot s = {
        .index = 1, .term = 1, .configuration_index = 1, .bufs = &buf, .n_bufs = 1};
    raft_configuration_init(&s.configuration);
    assert_int_equal(raft_configuration_add(&s.configuration, 1, "1", RAFT_VOTER), 0);
    assert_int_equal(log_open(l, NULL, NULL), 0);
    hide(l, true);
    assert_int_equal(l->io->snapshot_put(l->io, 100, &parked_put, &s, on_parked_put), 0);
    log_run(l, has_failed);
    hide(l, false);
    expect_fatal(l, "writing a snapshot failed");
    log_free(l);
    raft_configuration_close(&s.configuration);
}

static void on_got(struct raft_io_snapshot_get *req, struct raft_snapshot *snapshot, int status)
{
    struct log_fixture *l = req->data;
    struct loaded_log log = {.snapshot = snapshot};
    l->under_way--;
    if (status == 0) {
        assert_int_equal(snapshot->bufs[0].len, 64); /* the seal is off */
        loaded_log_release(&log);
    } else {
        raft_free(snapshot);
    }
}

static void get(struct log_fixture *l)
{
    struct raft_io_snapshot_get req = {.data = l};
    l->under_way++;
    assert_int_equal(l->io->snapshot_get(l->io, &req, on_got), 0);
    log_wait(l);
}

static void a_snapshot_that_cannot_be_read_stops_the_node(void **state)
{
    struct log_fixture *l = log_new();
    assert_int_equal(log_open(l, NULL, NULL), 0);
    log_append(l, 3, 8);
    log_wait(l);
    log_snapshot(l, 3, 1, 100);
    get(l);
    assert_false(has_failed(l));
    hide(l, true);
    get(l);
    hide(l, false);
    expect_fatal(l, "reading a snapshot failed");
    log_free(l);
}

static void a_snapshot_whose_bytes_changed_stops_the_node(void **state)
{
    struct log_fixture *l = log_new();
    char name[160];
    assert_int_equal(log_open(l, NULL, NULL), 0);
    log_append(l, 3, 8);
    log_wait(l);
    log_snapshot(l, 3, 1, 100);
    struct image image;
    image_take(&image, l->path);
    struct image_file *f = image_find(&image, "snapshot-");
    if (strstr(f->name, ".meta") != NULL) { /* the order in a folder is any */
        image_remove(&image, f);
        f = image_find(&image, "snapshot-");
    }
    (void)snprintf(name, sizeof name, "%s/%s", l->path, f->name);
    int fd = open(name, O_WRONLY);
    f->bytes[20] ^= 1;
    assert_int_equal(write(fd, f->bytes, f->len), f->len);
    (void)close(fd);
    image_release(&image);
    get(l);
    expect_fatal(l, "bytes are damaged");
    log_close(l);
    char text[256];
    assert_int_equal(log_open(l, NULL, text), RAFT_CORRUPT);
    assert_non_null(strstr(text, "snapshot is damaged"));
    log_free(l);
}

/* A log of a closed segment, 1 to 10, and its name. */
static struct log_fixture *closed_log(char name[160])
{
    struct log_fixture *l = log_new();
    assert_int_equal(log_open(l, NULL, NULL), 0);
    log_append(l, 9, 400);
    log_close(l);
    assert_int_equal(log_open(l, NULL, NULL), 0);
    (void)snprintf(name, 160, "%s/0000000000000002-0000000000000010", l->path);
    assert_int_equal(access(name, F_OK), 0);
    return l;
}

/* Hazard 25: raft_uv says it to its tracer alone. */
static void a_truncation_that_finds_no_room_stops_the_node(void **state)
{
    char name[160];
    char taken[180];
    struct log_fixture *l = closed_log(name);
    (void)snprintf(taken, sizeof taken, "%s/tmp-0000000000000002-0000000000000004", l->path);
    int fd = open(taken, O_WRONLY | O_CREAT, 0600);
    (void)close(fd);
    assert_int_equal(l->io->truncate(l->io, 5), 0);
    log_run(l, has_failed);
    expect_fatal(l, "truncating the log failed");
    log_free(l);
}

/* Hazard 25: raft_uv says nothing at all, and goes on appending behind what it did not cut. */
static void a_truncation_that_did_not_happen_stops_the_node(void **state)
{
    char name[160];
    uint8_t byte;
    struct log_fixture *l = closed_log(name);
    int fd = open(name, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, 1000), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 1000), 1);
    (void)close(fd);
    log_truncate(l, 5);
    log_append(l, 1, 400);
    log_wait(l);
    expect_fatal(l, "entries from 5 on are still there");
    log_free(l);
}

static void a_truncation_that_happened_is_no_error(void **state)
{
    char name[160];
    struct loaded_log log;
    struct log_fixture *l = closed_log(name);
    for (raft_index i = 9; i > 4; i--) {
        l->term++;
        log_truncate(l, i);
        log_append(l, 2, 400);
        log_append(l, 1, 400);
    }
    log_wait(l);
    log_close(l);
    assert_string_equal(l->fatal, "");
    assert_int_equal(log_open(l, &log, NULL), 0);
    assert_int_equal(log.n, 7);
    loaded_log_release(&log);
    log_free(l);
}

/* The files of both are listed, made and removed on different threads of the pool. */
static void a_snapshot_beside_a_truncation_stops_no_node(void **state)
{
    struct loaded_log log;
    struct log_fixture *l = log_new();
    assert_int_equal(log_open(l, NULL, NULL), 0);
    for (unsigned i = 0; i < 20; i++) {
        l->term++;
        log_append(l, 3, 400);
        log_append(l, 3, 400);
        log_wait(l);
        if (i % 2 == 1) {
            log_begin_snapshot(l, l->next - 5, l->term, 4);
        }
        log_truncate(l, l->next - 3);
        log_append(l, 2, 400);
        if (i % 2 == 0) {
            log_begin_snapshot(l, l->next - 3, l->term, 4);
        }
        log_wait(l);
    }
    raft_index next = l->next;
    log_close(l);
    assert_string_equal(l->fatal, "");
    assert_int_equal(log_open(l, &log, NULL), 0);
    assert_int_equal(log.start + log.n, next);
    loaded_log_release(&log);
    log_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_write_of_a_segment_stops_the_node_before_libraft_crashes),
        cmocka_unit_test(commands_survive_a_restart),
        cmocka_unit_test(a_second_bootstrap_is_refused),
        cmocka_unit_test(a_term_that_cannot_be_written_stops_the_node),
        cmocka_unit_test(a_vote_that_cannot_be_written_stops_the_node),
        cmocka_unit_test(a_term_or_vote_whose_write_was_cut_short_is_there_at_the_next_start),
        cmocka_unit_test(a_segment_that_cannot_be_laid_out_stops_the_node),
        cmocka_unit_test(an_append_that_is_refused_stops_the_node),
        cmocka_unit_test(a_snapshot_that_cannot_be_written_stops_the_node),
        cmocka_unit_test(a_snapshot_that_cannot_be_read_stops_the_node),
        cmocka_unit_test(a_snapshot_whose_bytes_changed_stops_the_node),
        cmocka_unit_test(a_truncation_that_finds_no_room_stops_the_node),
        cmocka_unit_test(a_truncation_that_did_not_happen_stops_the_node),
        cmocka_unit_test(a_truncation_that_happened_is_no_error),
        cmocka_unit_test(a_snapshot_beside_a_truncation_stops_no_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
