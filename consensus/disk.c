#include "consensus/disk.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include <raft.h>
#include <raft/uv.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/list.h"
#include "consensus/loaded_log.h"
#include "consensus/segments.h"

#define SEAL_BYTES 16
#define FULL_BYTES (1u << 20) /* with less than this free, what failed is a full disk */

static const char seal_magic[8] = "cladesn";

struct disk {
    struct raft_io io; /* raft_uv's, with our functions over its own; first, see disk_of */
    struct raft_io uv; /* raft_uv's functions */
    struct raft_uv_transport transport;
    struct raft_tracer tracer;
    char path[1024];
    char skipped[64]; /* a snapshot that raft_uv did not take */
    void (*on_fatal)(void *arg, const struct error *error);
    void *arg;
    const struct clock *clock;
    struct metric_histogram *appends; /* or NULL */
    _Atomic uint64_t *append_since_us;
    struct list under_way; /* appends, where they are measured */
    raft_index next;       /* index of the next entry to be appended */
    raft_index cut;      /* the log was cut here, and nothing was appended since; 0 = it was not */
    atomic_bool closing; /* cancelled writes are no errors any more */
};

/* An append, between raft and raft_uv, so that its status is seen. */
struct disk_append {
    struct raft_io_append uv_req;
    struct raft_io_append *raft_req;
    raft_io_append_cb raft_cb;
    struct disk *disk;
    raft_index cut;    /* the log was cut here just before it; 0 = it was not */
    uint64_t began_us; /* when it is measured */
    struct list node;
};

/* A snapshot on its way to disk. */
struct disk_put {
    struct raft_io_snapshot_put uv_req;
    struct raft_io_snapshot_put *raft_req;
    raft_io_snapshot_put_cb raft_cb;
    struct disk *disk;
    bool is_install;
    struct raft_snapshot snapshot; /* raft's, with the seal behind its bytes */
    struct raft_buffer bufs[2];
    uint8_t seal[SEAL_BYTES];
};

/* A snapshot on its way from disk. */
struct disk_get {
    struct raft_io_snapshot_get uv_req;
    struct raft_io_snapshot_get *raft_req;
    raft_io_snapshot_get_cb raft_cb;
    struct disk *disk;
};

static struct disk *disk_of(struct raft_io *io)
{
    return (struct disk *)((char *)io - offsetof(struct disk, io));
}

static void stop(struct disk *d, int code, const char *where, const char *what, const char *why)
{
    struct error e = {0};
    (void)error_set(&e, code, where,
                    "%s failed: %s; the node stops so that it never acknowledges what it does not "
                    "have",
                    what, why);
    d->on_fatal(d->arg, &e);
}

/* libraft passes on what the kernel said as words at most, and sometimes not even those: then the
 * file system tells whether it is full. */
static int code_of(const struct disk *d, const char *why)
{
    static const char *const full[] = {"no space left on device", "disk quota exceeded",
                                       "not enough space", "failed: -28)", "failed: -122)"};
    struct statvfs fs;
    bool is_full = statvfs(d->path, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < FULL_BYTES;
    for (size_t i = 0; i < sizeof full / sizeof full[0]; i++) {
        is_full = is_full || strstr(why, full[i]) != NULL;
    }
    return is_full ? CLADE_ERR_NO_SPACE : CLADE_ERR_IO;
}

/* libraft swallows most errors of its disk (README.md, hazard 1): every one stops the node. */
static int stop_on_error(struct disk *d, int rv, const char *what)
{
    if (rv != 0 && !(d->closing && rv == RAFT_CANCELED)) {
        char why[RAFT_ERRMSG_BUF_SIZE + 64];
        (void)snprintf(why, sizeof why, "%s%s%s", raft_strerror(rv),
                       d->io.errmsg[0] != 0 ? ": " : "", d->io.errmsg);
        stop(d, rv == RAFT_NOSPACE ? CLADE_ERR_NO_SPACE : code_of(d, why), d->path, what, why);
    }
    return rv;
}

/* The same for an error of ours. */
static int stop_on_failure(struct disk *d, int r, const struct error *e, const char *what)
{
    if (r >= 0) {
        return 0;
    }
    stop(d, e->code, e->where, what, e->message);
    return RAFT_IOERR;
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

/* --- appending and truncating --- */

/* raft_uv truncates on a thread of its pool and tells nobody when that fails (hazard 25): what was
 * to be cut off would come back before what is appended now. The first append behind it is still
 * in an open segment when it is done, so no closed one may reach as far. */
static void check_cut(struct disk *d, raft_index cut)
{
    struct error e = {0};
    bool reach = false;
    int r = segments_reach(d->path, cut, &reach, &e);
    if (r == 0 && reach) {
        r = error_set(&e, CLADE_ERR_IO, d->path, "entries from %llu on are still there", cut);
    }
    (void)stop_on_failure(d, r, &e, "truncating the log");
}

static void note_oldest(struct disk *d)
{
    const struct list *n = d->under_way.next;
    bool none = list_is_empty(&d->under_way);
    atomic_store(d->append_since_us, none ? 0 : LIST_ENTRY(n, struct disk_append, node)->began_us);
}

static void begin_measure(struct disk_append *a)
{
    struct disk *d = a->disk;
    if (d->appends != NULL) {
        a->began_us = clock_monotonic_us(d->clock);
        list_push_back(&d->under_way, &a->node);
        note_oldest(d);
    }
}

static void end_measure(struct disk_append *a)
{
    struct disk *d = a->disk;
    if (d->appends != NULL) {
        metric_observe(d->appends, clock_monotonic_us(d->clock) - a->began_us);
        list_remove(&a->node);
        note_oldest(d);
    }
}

static void on_append(struct raft_io_append *req, int status)
{
    struct disk_append *a = req->data;
    struct raft_io_append *raft_req = a->raft_req;
    raft_io_append_cb cb = a->raft_cb;
    struct disk *d = a->disk;
    (void)stop_on_error(d, status, "appending to the log");
    end_measure(a);
    if (status == 0 && a->cut != 0) {
        check_cut(d, a->cut);
    }
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
    *a = (struct disk_append){.raft_req = req, .raft_cb = cb, .disk = d, .cut = d->cut};
    a->uv_req.data = a;
    begin_measure(a);
    d->cut = 0;
    d->next += n;
    int rv = d->uv.append(io, &a->uv_req, entries, n, on_append);
    if (rv != 0) {
        end_measure(a);
        free(a);
    }
    return stop_on_error(d, rv, "appending to the log");
}

static int disk_truncate(struct raft_io *io, raft_index index)
{
    struct disk *d = disk_of(io);
    if (index < d->next) {
        d->next = index;
        d->cut = index;
    }
    return stop_on_error(d, d->uv.truncate(io, index), "truncating the log");
}

/* --- snapshots --- */

static void seal(struct raft_buffer data, uint8_t ret[SEAL_BYTES])
{
    memcpy(ret, seal_magic, sizeof seal_magic);
    put_u64le(ret + 8, hash64(span_make(data.base, data.len), 0));
}

/* Takes the seal off; false when the bytes are not those that were written. */
static bool unseal(struct raft_snapshot *s)
{
    uint8_t expected[SEAL_BYTES];
    struct raft_buffer data = s->n_bufs == 1 ? s->bufs[0] : (struct raft_buffer){.len = 0};
    if (data.len < SEAL_BYTES) {
        return false;
    }
    data.len -= SEAL_BYTES;
    seal(data, expected);
    if (memcmp((const uint8_t *)data.base + data.len, expected, SEAL_BYTES) != 0) {
        return false;
    }
    s->bufs[0].len = data.len;
    return true;
}

static void on_put(struct raft_io_snapshot_put *req, int status)
{
    struct disk_put *p = req->data;
    struct disk *d = p->disk;
    struct raft_io_snapshot_put *raft_req = p->raft_req;
    raft_io_snapshot_put_cb cb = p->raft_cb;
    struct error e = {0};
    (void)stop_on_error(d, status, "writing a snapshot");
    if (status == 0 && p->is_install) {
        status = stop_on_failure(d, segments_end_install(d->path, &e), &e, "installing a snapshot");
    }
    free(p);
    cb(raft_req, status);
}

static int put(struct disk *d, struct disk_put *p, unsigned trailing)
{
    if (p->is_install) {
        struct error e = {0};
        int r = segments_begin_install(d->path, p->snapshot.index, p->snapshot.term, &e);
        if (r < 0) {
            return stop_on_failure(d, r, &e, "installing a snapshot");
        }
        d->next = p->snapshot.index + 1;
        d->cut = 0;
    }
    return stop_on_error(d, d->uv.snapshot_put(&d->io, trailing, &p->uv_req, &p->snapshot, on_put),
                         "writing a snapshot");
}

static int disk_snapshot_put(struct raft_io *io,
                             unsigned trailing,
                             struct raft_io_snapshot_put *req,
                             const struct raft_snapshot *snapshot,
                             raft_io_snapshot_put_cb cb)
{
    struct disk *d = disk_of(io);
    CHECK(snapshot->n_bufs == 1); /* libraft sends no other to its followers either */
    struct disk_put *p = malloc(sizeof *p);
    if (p == NULL) {
        return stop_on_error(d, RAFT_NOMEM, "writing a snapshot");
    }
    *p = (struct disk_put){.raft_req = req,
                           .raft_cb = cb,
                           .disk = d,
                           .is_install = trailing == 0,
                           .snapshot = *snapshot};
    seal(snapshot->bufs[0], p->seal);
    p->bufs[0] = snapshot->bufs[0];
    p->bufs[1] = (struct raft_buffer){.base = p->seal, .len = SEAL_BYTES};
    p->snapshot.bufs = p->bufs;
    p->snapshot.n_bufs = 2;
    p->uv_req.data = p;
    int rv = put(d, p, trailing);
    if (rv != 0) {
        free(p);
    }
    return rv;
}

/* With an error, nobody frees what is in the snapshot. */
static void forget_bytes(struct raft_snapshot *s)
{
    raft_configuration_close(&s->configuration);
    for (unsigned i = 0; i < s->n_bufs; i++) {
        raft_free(s->bufs[i].base);
    }
    raft_free(s->bufs);
}

static void on_get(struct raft_io_snapshot_get *req, struct raft_snapshot *snapshot, int status)
{
    struct disk_get *g = req->data;
    struct raft_io_snapshot_get *raft_req = g->raft_req;
    raft_io_snapshot_get_cb cb = g->raft_cb;
    (void)stop_on_error(g->disk, status, "reading a snapshot");
    if (status == 0 && !unseal(snapshot)) {
        stop(g->disk, CLADE_ERR_CORRUPT, g->disk->path, "reading a snapshot",
             "its bytes are damaged");
        forget_bytes(snapshot);
        status = RAFT_CORRUPT;
    }
    free(g);
    cb(raft_req, snapshot, status);
}

static int disk_snapshot_get(struct raft_io *io,
                             struct raft_io_snapshot_get *req,
                             raft_io_snapshot_get_cb cb)
{
    struct disk *d = disk_of(io);
    struct disk_get *g = malloc(sizeof *g);
    if (g == NULL) {
        return stop_on_error(d, RAFT_NOMEM, "reading a snapshot");
    }
    *g = (struct disk_get){.raft_req = req, .raft_cb = cb, .disk = d};
    g->uv_req.data = g;
    int rv = d->uv.snapshot_get(io, &g->uv_req, on_get);
    if (rv != 0) {
        free(g);
    }
    return stop_on_error(d, rv, "reading a snapshot");
}

/* --- loading --- */

static int refuse(struct raft_io *io, int rv, const char *why)
{
    (void)snprintf(io->errmsg, sizeof io->errmsg, "%.*s", (int)sizeof io->errmsg - 1, why);
    return rv;
}

/* raft_uv names the file that it does not take, but not always. */
static int explain(struct raft_io *io, int rv)
{
    const struct disk *d = disk_of(io);
    char why[RAFT_ERRMSG_BUF_SIZE];
    const char *what = io->errmsg[0] != 0 ? io->errmsg : "a snapshot cannot be read";
    (void)snprintf(why, sizeof why, "%.100s/%s: %.80s", d->path, d->skipped,
                   rv == RAFT_NOMEM ? "out of memory" : what);
    return refuse(io, rv, why);
}

/* A log that ends below its snapshot, or holds another entry at its index, is of before an install
 * that no crash leaves half done (segments.h). */
static int check_loaded(struct raft_io *io, const struct loaded_log *l)
{
    struct raft_snapshot *snapshot = l->snapshot;
    if (snapshot == NULL) {
        return 0;
    }
    if (!unseal(snapshot)) {
        return refuse(io, RAFT_CORRUPT, "the snapshot is damaged");
    }
    if (snapshot->index >= l->start && snapshot->index < l->start + l->n &&
        l->entries[snapshot->index - l->start].term != snapshot->term) {
        return refuse(io, RAFT_CORRUPT, "the log and the snapshot disagree");
    }
    return 0;
}

static int refuse_error(struct raft_io *io, const struct error *e)
{
    char why[sizeof e->where + sizeof e->message + 2];
    (void)snprintf(why, sizeof why, "%s: %s", e->where, e->message);
    return refuse(io, e->code == CLADE_ERR_CORRUPT ? RAFT_CORRUPT : RAFT_IOERR, why);
}

static int disk_init(struct raft_io *io, raft_id id, const char *address)
{
    struct disk *d = disk_of(io);
    struct error e = {0};
    if (segments_check_metadata(d->path, &e) < 0) {
        return refuse_error(io, &e);
    }
    return d->uv.init(io, id, address);
}

static int disk_load(struct raft_io *io,
                     raft_term *ret_term,
                     raft_id *ret_vote,
                     struct raft_snapshot **ret_snapshot,
                     raft_index *ret_start,
                     struct raft_entry *ret_entries[],
                     size_t *ret_n)
{
    struct disk *d = disk_of(io);
    struct error e = {0};
    struct loaded_log l = {.entries = NULL};
    if (segments_prepare(d->path, &e) < 0) {
        return refuse_error(io, &e);
    }
    io->errmsg[0] = 0;
    int rv = d->uv.load(io, &l.term, &l.vote, &l.snapshot, &l.start, &l.entries, &l.n);
    if (rv != 0) {
        return explain(io, rv);
    }
    rv = check_loaded(io, &l);
    if (rv != 0) {
        loaded_log_release(&l);
        return rv;
    }
    d->next = l.start + l.n;
    *ret_term = l.term;
    *ret_vote = l.vote;
    *ret_snapshot = l.snapshot;
    *ret_start = l.start;
    *ret_entries = l.entries;
    *ret_n = l.n;
    return 0;
}

static void disk_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct disk *d = disk_of(io);
    d->closing = true;
    d->uv.close(io, cb);
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

static void trouble(struct disk *d, const char *what, const char *why, bool waits)
{
    int code = code_of(d, why);
    if (code != CLADE_ERR_NO_SPACE || !waits) {
        stop(d, code, d->path, what, why);
    }
}

/* What raft_uv says of its errors to its tracer alone (hazards 2, 25 and 37): it retries a failed
 * write through a timer of the wrong type and crashes; it retries a snapshot, and a segment that it
 * lays out, for ever; what fails on its pool's threads it forgets. Called from those too. The file
 * tells a failure from another that begins alike; the line goes into the message, which libraft
 * alone can make sense of. On a full disk a new segment may wait: none of it was in use. */
static void on_trace(struct raft_tracer *t, int type, const void *info)
{
    static const struct {
        const char *file;
        const char *begin;
        const char *what;
        bool waits; /* for room */
    } said[] = {
        {"uv_append.c", "retry failed write", "writing a log segment", false},
        {"uv_prepare.c", "retry creating segment", "creating a log segment", true},
        {"uv_snapshot.c", "retry snapshot write", "writing a snapshot", false},
        {"uv_finalize.c", "truncate segment", "closing a log segment", false},
        {"uv_truncate.c", "unlink segment", "truncating the log", false},
        {"uv_truncate.c", "sync data directory", "truncating the log", false},
        {"uv_segment.c", "write ", "truncating the log", false},
    };
    const struct raft_tracer_info *i = info;
    struct disk *d = t->impl;
    char message[RAFT_ERRMSG_BUF_SIZE]; /* of libraft: one for all threads that are at that line */
    char why[RAFT_ERRMSG_BUF_SIZE + 64];
    if (type != RAFT_TRACER_DIAGNOSTIC || d->closing) {
        return;
    }
    (void)snprintf(message, sizeof message, "%s", i->diagnostic.message);
    (void)sscanf(message, "skip invalid snapshot %63s", d->skipped); /* while it loads */
    for (size_t k = 0; k < sizeof said / sizeof said[0]; k++) {
        if (ends_with(i->diagnostic.file, said[k].file) &&
            strncmp(message, said[k].begin, strlen(said[k].begin)) == 0) {
            (void)snprintf(why, sizeof why, "%s (libraft's %s:%d)", message, said[k].file,
                           i->diagnostic.line);
            trouble(d, said[k].what, why, said[k].waits);
            return;
        }
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
    if ((size_t)snprintf(d->path, sizeof d->path, "%s", options->path) >= sizeof d->path) {
        free(d);
        return error_set(error, CLADE_ERR_INVALID, options->path, "the path is too long");
    }
    d->on_fatal = options->on_fatal;
    d->arg = options->arg;
    d->clock = options->clock;
    d->appends = options->appends;
    d->append_since_us = options->append_since_us;
    list_init(&d->under_way);
    d->next = 1;
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
    if (options->segment_bytes != 0) {
        raft_uv_set_segment_size(&d->io, options->segment_bytes);
    }
    d->io.version = 2;
    d->io.init = disk_init;
    d->io.close = disk_close;
    d->io.load = disk_load;
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
