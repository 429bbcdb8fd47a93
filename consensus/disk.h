#pragma once
/* The log's disk: raft_uv of libraft, held as README.md says. Every function that matters is
 * wrapped: no disk error is swallowed, damage is refused at load, an install is all or nothing
 * (segments.h), and a snapshot's bytes carry a checksum, which raft_uv's do not.
 *
 *     snapshot  the bytes of the one who took it, then 0 "cladesn" and a zero   8 u64 XXH3-64
 */
#include <stddef.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/metric.h"

struct disk;
struct raft_io;
struct uv_loop_s;

struct disk_options {
    struct uv_loop_s *loop;
    const char *path;                 /* a directory that exists */
    size_t segment_bytes;             /* of a log file; 0 = raft_uv's default, 8 MiB */
    const struct clock *clock;        /* of `appends` */
    struct metric_histogram *appends; /* how long each took to be durable; NULL: not measured */
    /* When the oldest append that is not durable yet began, 0 = there is none: kept for others to
     * look at. Beside `appends`. */
    _Atomic uint64_t *append_since_us;
    /* A disk function failed: the process must stop with this message. Called on the loop, or on a
     * thread of libuv's pool. */
    void (*on_fatal)(void *arg, const struct error *error);
    void *arg;
};

int disk_new(const struct disk_options *options, struct disk **ret, struct error *error);
/* For guard_options.io, group_options.io and group_bootstrap. */
struct raft_io *disk_io(struct disk *disk);
/* After the group on it is closed, or was never started. */
void disk_free(struct disk *disk);
