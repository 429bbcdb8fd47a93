#include "consensus/disk.h"

#include <stdlib.h>
#include <string.h>

#include <raft.h>
#include <raft/uv.h>

#include "base/check.h"

struct disk {
    struct raft_io io; /* raft_uv's, with our functions over its own; first, see disk_of */
    struct raft_io uv; /* raft_uv's functions */
    struct raft_uv_transport transport;
    struct raft_tracer tracer;
    void (*on_fatal)(void *arg, const struct error *error);
    void *arg;
    bool closing; /* cancelled writes are no errors any more */
};

/* An append, between raft and raft_uv, so that its status is seen. */
struct disk_append {
    struct raft_io_append uv_req;
    struct raft_io_append *raft_req;
    raft_io_append_cb raft_cb;
    struct disk *disk;
};

static struct disk *disk_of(struct raft_io *io)
{
    return (struct disk *)((char *)io - offsetof(struct disk, io));
}

/* libraft swallows most errors of its disk (README.md, hazard 1): every one stops the node. */
static int stop_on_error(struct disk *d, int rv, const char *what)
{
    if (rv != 0 && !(d->closing && rv == RAFT_CANCELED)) {
        struct error e = {0};
        (void)error_set(&e, rv == RAFT_NOSPACE ? CLADE_ERR_NO_SPACE : CLADE_ERR_IO, "raft log",
                        "%s failed: %s %s; the node stops so that it never acknowledges what it "
                        "does not have (runbook: damaged node)",
                        what, raft_strerror(rv), d->io.errmsg);
        d->on_fatal(d->arg, &e);
    }
    return rv;
}

static int disk_set_term(struct raft_io *io, raft_term term)
{
    struct disk *d = disk_of(io);
    return stop_on_error(d, d->uv.set_term(io, term), "writing the term");
}

static int disk_set_vote(struct raft_io *io, raft_id id)
{
    struct disk *d = disk_of(io);
    return stop_on_error(d, d->uv.set_vote(io, id), "writing the vote");
}

static void on_append(struct raft_io_append *req, int status)
{
    struct disk_append *a = req->data;
    struct raft_io_append *raft_req = a->raft_req;
    raft_io_append_cb cb = a->raft_cb;
    (void)stop_on_error(a->disk, status, "appending to the log");
    free(a);
    cb(raft_req, status);
}

static int disk_append(struct raft_io *io,
                       struct raft_io_append *req,
                       const struct raft_entry entries[],
                       unsigned n,
                       raft_io_append_cb cb)
{
    struct disk *d = disk_of(io);
    struct disk_append *a = malloc(sizeof *a);
    if (a == NULL) {
        return stop_on_error(d, RAFT_NOMEM, "appending to the log");
    }
    *a = (struct disk_append){.raft_req = req, .raft_cb = cb, .disk = d};
    a->uv_req.data = a;
    int rv = d->uv.append(io, &a->uv_req, entries, n, on_append);
    if (rv != 0) {
        free(a);
    }
    return stop_on_error(d, rv, "appending to the log");
}

static int disk_truncate(struct raft_io *io, raft_index index)
{
    struct disk *d = disk_of(io);
    return stop_on_error(d, d->uv.truncate(io, index), "truncating the log");
}

static int disk_snapshot_put(struct raft_io *io,
                             unsigned trailing,
                             struct raft_io_snapshot_put *req,
                             const struct raft_snapshot *snapshot,
                             raft_io_snapshot_put_cb cb)
{
    struct disk *d = disk_of(io);
    return stop_on_error(d, d->uv.snapshot_put(io, trailing, req, snapshot, cb),
                         "writing a snapshot");
}

static int disk_snapshot_get(struct raft_io *io,
                             struct raft_io_snapshot_get *req,
                             raft_io_snapshot_get_cb cb)
{
    struct disk *d = disk_of(io);
    return stop_on_error(d, d->uv.snapshot_get(io, req, cb), "reading a snapshot");
}

static void disk_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct disk *d = disk_of(io);
    d->closing = true;
    d->uv.close(io, cb);
}

/* raft_uv retries a failed write through a timer of the wrong type and crashes (README.md, hazard
 * 2); its tracer is the only one to tell, just before. */
static void on_trace(struct raft_tracer *t, int type, const void *info)
{
    static const char retried[] = "retry failed write";
    const struct raft_tracer_info *i = info;
    struct disk *d = t->impl;
    if (type == RAFT_TRACER_DIAGNOSTIC && !d->closing &&
        strncmp(i->diagnostic.message, retried, sizeof retried - 1) == 0) {
        (void)stop_on_error(d, RAFT_IOERR, "writing a log segment");
    }
}

/* The stub transport: our own network carries the messages. */
static int stub_init(struct raft_uv_transport *t, raft_id id, const char *address)
{
    return 0;
}

static int stub_listen(struct raft_uv_transport *t, raft_uv_accept_cb cb)
{
    return 0;
}

static int stub_connect(struct raft_uv_transport *t,
                        struct raft_uv_connect *req,
                        raft_id id,
                        const char *address,
                        raft_uv_connect_cb cb)
{
    return RAFT_NOCONNECTION;
}

static void stub_close(struct raft_uv_transport *t, raft_uv_transport_close_cb cb)
{
    cb(t);
}

int disk_new(const struct disk_options *options, struct disk **ret, struct error *error)
{
    struct disk *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, options->path, "out of memory");
    }
    d->on_fatal = options->on_fatal;
    d->arg = options->arg;
    d->transport = (struct raft_uv_transport){.version = 1,
                                              .init = stub_init,
                                              .listen = stub_listen,
                                              .connect = stub_connect,
                                              .close = stub_close};
    int rv = raft_uv_init(&d->io, options->loop, options->path, &d->transport);
    if (rv != 0) {
        (void)error_set(error, CLADE_ERR_IO, options->path, "opening the log's folder: %s",
                        d->io.errmsg);
        free(d);
        return CLADE_ERR_IO;
    }
    d->uv = d->io;
    d->tracer = (struct raft_tracer){.impl = d, .version = 2, .emit = on_trace};
    raft_uv_set_tracer(&d->io, &d->tracer);
    raft_uv_set_auto_recovery(&d->io, false);
    d->io.version = 2;
    d->io.close = disk_close;
    d->io.set_term = disk_set_term;
    d->io.set_vote = disk_set_vote;
    d->io.append = disk_append;
    d->io.truncate = disk_truncate;
    d->io.snapshot_put = disk_snapshot_put;
    d->io.snapshot_get = disk_snapshot_get;
    *ret = d;
    return 0;
}

struct raft_io *disk_io(struct disk *disk)
{
    return &disk->io;
}

void disk_free(struct disk *disk)
{
    if (disk == NULL) {
        return;
    }
    raft_uv_close(&disk->io);
    free(disk);
}
