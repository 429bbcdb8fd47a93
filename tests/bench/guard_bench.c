/* What the guard costs an append: one after the other through raft_uv, with and without it, in long
 * turns, so that both see the same disk. A mark is written 10 ms after its append: what is due at
 * the end of a turn is written before the next begins, or the other side would pay for it. Who is
 * first changes from turn to turn.
 *
 *     guard_bench FOLDER [APPENDS]        FOLDER is made, and left behind */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <raft.h>
#include <uv.h>

#include "base/check.h"
#include "consensus/disk.h"
#include "consensus/group.h"
#include "consensus/guard.h"
#include "node/mark_thread.h"

#define TURN        1000
#define ENTRY_BYTES 256

struct side {
    const char *name;
    char path[1024];
    struct disk *disk;
    struct guard_disk *mark;
    struct guard *guard;
    struct mark_thread *marker;
    struct raft_io *io;
    raft_index next;
    uint64_t *latency_ns;
    size_t len;
};

static uv_loop_t loop;

static void on_fatal(void *arg, const struct error *error)
{
    (void)fprintf(stderr, "guard_bench: %s\n", error->message);
    exit(1);
}

static void on_due(void *arg, uint64_t due_us)
{
    mark_thread_due(((struct side *)arg)->marker);
}

static void open_disk(struct side *s)
{
    const struct disk_options d = {.loop = &loop, .path = s->path, .on_fatal = on_fatal};
    CHECK(disk_new(&d, &s->disk, NULL) == 0);
}

static void make(struct side *s, const char *folder)
{
    const struct group_member self = {.id = 1, .address = "127.0.0.1:1"};
    struct error error = {.code = 0};
    (void)snprintf(s->path, sizeof s->path, "%s/%s", folder, s->name);
    CHECK(mkdir(s->path, 0700) == 0);
    open_disk(s);
    CHECK(group_bootstrap(disk_io(s->disk), 1, self.address, &self, 1, &error) == 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    disk_free(s->disk);
    CHECK(guard_file_create(s->path, &error) == 0);
}

static void open_side(struct side *s, bool off, size_t appends)
{
    raft_term term;
    raft_id vote;
    struct raft_snapshot *snapshot;
    struct raft_entry *entries;
    size_t n;
    open_disk(s);
    CHECK(guard_file_open(s->path, &s->mark, NULL) == 0);
    const struct guard_options g = {.io = disk_io(s->disk),
                                    .disk = s->mark,
                                    .clock = clock_system(),
                                    .off = off,
                                    .on_due = on_due,
                                    .on_fatal = on_fatal,
                                    .arg = s};
    CHECK(guard_new(&g, &s->guard, NULL) == 0);
    CHECK(mark_thread_start(s->guard, &s->marker, NULL) == 0);
    s->io = guard_io(s->guard);
    CHECK(s->io->init(s->io, 1, "127.0.0.1:1") == 0);
    CHECK(s->io->load(s->io, &term, &vote, &snapshot, &s->next, &entries, &n) == 0);
    s->next += n; /* what was loaded is never given back: the process is short */
    s->latency_ns = calloc(appends, sizeof *s->latency_ns);
    CHECK(s->latency_ns != NULL);
}

static bool done;

static void on_append(struct raft_io_append *req, int status)
{
    CHECK(status == 0);
    done = true;
}

static void append(struct side *s)
{
    static uint8_t bytes[ENTRY_BYTES];
    const struct raft_entry e = {
        .term = 1, .type = RAFT_COMMAND, .buf = {.base = bytes, .len = sizeof bytes}};
    struct raft_io_append req;
    uint64_t begin_ns = uv_hrtime();
    done = false;
    CHECK(s->io->truncate(s->io, s->next) == 0);
    CHECK(s->io->append(s->io, &req, &e, 1, on_append) == 0);
    while (!done) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    s->latency_ns[s->len++] = uv_hrtime() - begin_ns;
    s->next++;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_side(struct side *s)
{
    qsort(s->latency_ns, s->len, sizeof *s->latency_ns, compare);
    printf("%-10s %8zu appends   p50 %7.1f us   p99 %7.1f us   p99.9 %7.1f us\n", s->name, s->len,
           (double)s->latency_ns[s->len / 2] / 1e3, (double)s->latency_ns[s->len * 99 / 100] / 1e3,
           (double)s->latency_ns[s->len * 999 / 1000] / 1e3);
}

int main(int argc, char **argv)
{
    struct side sides[2] = {{.name = "guarded"}, {.name = "bare"}};
    size_t appends = argc > 2 ? strtoull(argv[2], NULL, 10) : 20000;
    if (argc < 2 || appends == 0 || mkdir(argv[1], 0700) != 0) {
        (void)fprintf(stderr,
                      "usage: guard_bench FOLDER [APPENDS]: FOLDER must not be there yet\n");
        return 2;
    }
    CHECK(uv_loop_init(&loop) == 0);
    for (unsigned i = 0; i < 2; i++) {
        make(&sides[i], argv[1]);
        open_side(&sides[i], i == 1, appends + 2 * TURN);
    }
    for (unsigned turn = 0; sides[0].len < appends || sides[1].len < appends; turn++) {
        struct side *s = &sides[(turn + 1) / 2 % 2]; /* 0 1 1 0 0 1 1 0 ... */
        for (unsigned i = 0; i < TURN; i++) {
            append(s);
        }
        guard_flush(s->guard);
    }
    for (unsigned i = 0; i < 2; i++) {
        print_side(&sides[i]);
        mark_thread_stop(sides[i].marker);
    }
    return 0;
}
