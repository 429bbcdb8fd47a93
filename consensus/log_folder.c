#include "consensus/log_folder.h"

#include <inttypes.h>
#include <stdlib.h>

#include <raft.h>
#include <uv.h>

#include "base/check.h"
#include "base/clock.h"
#include "consensus/disk.h"
#include "consensus/guard.h"
#include "consensus/loaded_log.h"

#define FIRST_TERM 1

/* A log that is open, its guard over its disk. */
struct open_log {
    const char *path;
    uv_loop_t loop;
    struct disk *disk;
    struct guard_disk *mark;
    struct guard_disk *witness;
    struct guard *guard;
    struct raft_io *io;  /* the guard's */
    bool inited;         /* io is to be closed */
    struct error *error; /* the first that on_fatal was told */
    uv_mutex_t mutex;    /* guards *error: threads of the pool tell too */
    struct loaded_log log;
    bool done; /* a snapshot was written */
    int status;
};

/* --- opening and closing --- */

static void on_fatal(void *arg, const struct error *error)
{
    struct open_log *l = arg;
    uv_mutex_lock(&l->mutex);
    if (l->error->code == 0) {
        *l->error = *error;
    }
    uv_mutex_unlock(&l->mutex);
}

static void on_due(void *arg, uint64_t due_us)
{
    /* written when it is closed */
}

static int fail(struct open_log *l, int rv, const char *what)
{
    if (l->error->code == 0) {
        int code = rv == RAFT_CORRUPT   ? CLADE_ERR_CORRUPT
                   : rv == RAFT_NOSPACE ? CLADE_ERR_NO_SPACE
                   : rv == RAFT_NOMEM   ? CLADE_ERR_NO_MEMORY
                                        : CLADE_ERR_IO;
        (void)error_set(l->error, code, l->path, "%s: %s", what,
                        l->io != NULL && l->io->errmsg[0] != 0 ? l->io->errmsg : raft_strerror(rv));
    }
    return l->error->code;
}

static int load(struct open_log *l, uint64_t id, const char *address)
{
    struct loaded_log *log = &l->log;
    int rv = l->io->init(l->io, id, address);
    if (rv != 0) {
        return fail(l, rv, "opening the log's folder");
    }
    l->inited = true;
    rv = l->io->load(l->io, &log->term, &log->vote, &log->snapshot, &log->start, &log->entries,
                     &log->n);
    if (rv != 0) {
        *log = (struct loaded_log){0};
        return fail(l, rv, "reading the log");
    }
    return 0;
}

static int open_parts(struct open_log *l,
                      const char *witness_path,
                      uint64_t id,
                      const char *address)
{
    const struct disk_options disk = {
        .loop = &l->loop, .path = l->path, .on_fatal = on_fatal, .arg = l};
    int r = disk_new(&disk, &l->disk, l->error);
    if (r == 0) {
        r = guard_file_open(l->path, &l->mark, l->error);
    }
    if (r == 0 && witness_path != NULL) {
        r = guard_file_open(witness_path, &l->witness, l->error);
    }
    if (r == 0) {
        const struct guard_options guard = {.io = disk_io(l->disk),
                                            .disk = l->mark,
                                            .witness = l->witness,
                                            .clock = clock_system(),
                                            .on_due = on_due,
                                            .on_fatal = on_fatal,
                                            .arg = l};
        r = guard_new(&guard, &l->guard, l->error);
    }
    if (r == 0) {
        l->io = guard_io(l->guard);
        r = load(l, id, address);
    }
    return r;
}

static int open_log(struct open_log *l,
                    const char *path,
                    const char *witness_path,
                    uint64_t id,
                    const char *address,
                    struct error *error)
{
    *l = (struct open_log){.path = path, .error = error};
    error->code = 0;
    if (uv_loop_init(&l->loop) != 0) {
        return error_set(error, CLADE_ERR_NO_MEMORY, path, "an event loop cannot be made");
    }
    CHECK(uv_mutex_init(&l->mutex) == 0);
    return open_parts(l, witness_path, id, address);
}

static void on_closed(struct raft_io *io)
{
}

/* What is written is on the disk when it returns 0. */
static int close_log(struct open_log *l)
{
    loaded_log_release(&l->log);
    if (l->inited) {
        guard_flush(l->guard);
        l->io->close(l->io, on_closed);
    }
    (void)uv_run(&l->loop, UV_RUN_DEFAULT);
    guard_free(l->guard);
    guard_file_close(l->mark);
    guard_file_close(l->witness);
    disk_free(l->disk);
    (void)uv_loop_close(&l->loop);
    uv_mutex_destroy(&l->mutex);
    return l->error->code;
}

/* --- making one --- */

static void on_put(struct raft_io_snapshot_put *req, int status)
{
    struct open_log *l = req->data;
    l->status = status;
    l->done = true;
}

static int put_snapshot(struct open_log *l,
                        uint64_t id,
                        const char *address,
                        const struct reference *reference)
{
    uint8_t bytes[REFERENCE_BYTES];
    struct raft_io_snapshot_put req = {.data = l};
    struct raft_buffer buffer = {.base = bytes, .len = sizeof bytes};
    struct raft_snapshot s = {.index = reference->index,
                              .term = reference->term,
                              .configuration_index = reference->index,
                              .bufs = &buffer,
                              .n_bufs = 1};
    reference_encode(reference, bytes);
    raft_configuration_init(&s.configuration);
    int rv = raft_configuration_add(&s.configuration, id, address, RAFT_VOTER);
    rv = rv != 0 ? rv : l->io->set_term(l->io, reference->term);
    rv = rv != 0 ? rv : l->io->snapshot_put(l->io, 0, &req, &s, on_put);
    while (rv == 0 && !l->done) {
        (void)uv_run(&l->loop, UV_RUN_ONCE);
    }
    raft_configuration_close(&s.configuration);
    rv = rv != 0 ? rv : l->status;
    return rv == 0 ? 0 : fail(l, rv, "making the log");
}

int log_folder_found(const char *path,
                     uint64_t id,
                     const char *address,
                     const struct reference *reference,
                     struct error *error)
{
    struct open_log l;
    struct reference r = *reference;
    struct error ours = {.code = 0};
    r.term = FIRST_TERM;
    int rc = guard_file_create(path, &ours);
    if (rc == 0) {
        rc = open_log(&l, path, NULL, id, address, &ours);
        if (rc == 0) {
            (void)put_snapshot(&l, id, address, &r);
        }
        rc = close_log(&l);
    }
    if (rc != 0 && error != NULL) {
        *error = ours;
    }
    return rc;
}

/* --- reading one --- */

static struct log_folder_end end_of(const struct loaded_log *log)
{
    struct log_folder_end end = {.term = log->term};
    if (log->snapshot != NULL) {
        end.snapshot_index = log->snapshot->index;
        end.last_index = log->snapshot->index;
        end.last_term = log->snapshot->term;
    }
    if (log->n > 0) {
        end.last_index = log->start + log->n - 1;
        end.last_term = log->entries[log->n - 1].term;
    }
    return end;
}

static int visit(struct open_log *l,
                 uint64_t after,
                 int (*cb)(void *arg, uint64_t index, struct span entry, struct error *error),
                 void *arg)
{
    const struct loaded_log *log = &l->log;
    int rc = 0;
    if (end_of(log).last_index > after && (log->n == 0 || log->start > after + 1)) {
        return error_set(l->error, CLADE_ERR_COMPACTED, l->path,
                         "the log begins at index %llu, and the store has only reached %" PRIu64,
                         log->start, after);
    }
    for (size_t i = 0; i < log->n && rc == 0; i++) {
        const struct raft_entry *e = &log->entries[i];
        if (log->start + i > after) {
            struct span bytes =
                e->type == RAFT_COMMAND ? span_make(e->buf.base, e->buf.len) : span_make(NULL, 0);
            rc = cb(arg, log->start + i, bytes, l->error);
        }
    }
    return rc;
}

int log_folder_read(const char *path,
                    const char *witness_path,
                    uint64_t id,
                    const char *address,
                    uint64_t after,
                    int (*cb)(void *arg, uint64_t index, struct span entry, struct error *error),
                    void *arg,
                    struct log_folder_end *ret,
                    struct error *error)
{
    struct open_log l;
    struct error ours = {.code = 0};
    int rc = open_log(&l, path, witness_path, id, address, &ours);
    if (rc == 0) {
        *ret = end_of(&l.log);
        rc = cb != NULL ? visit(&l, after, cb, arg) : 0;
    }
    int closed = close_log(&l);
    rc = rc != 0 ? rc : closed;
    if (rc != 0 && error != NULL) {
        *error = ours;
    }
    return rc;
}
