/* A group of one on raft_uv and a real folder. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "base/check.h"
#include "consensus/disk.h"
#include "consensus/group.h"

struct one {
    struct group_transport transport; /* first */
    uv_loop_t loop;
    char path[64];
    struct disk *disk;
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
    return o;
}

static void start(struct one *o)
{
    struct error e = {0};
    open_disk(o);
    o->queue = apply_queue_new();
    struct group_options g = {.id = 1,
                              .address = "127.0.0.1:1",
                              .io = disk_io(o->disk),
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
            assert_int_equal(entry_decode(span_make(job->bytes, job->len), &h, NULL), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_survive_a_restart),
        cmocka_unit_test(a_second_bootstrap_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
