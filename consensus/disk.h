#pragma once
/* The log's disk: raft_uv of libraft, held as README.md says, with every function that matters
 * wrapped so that no disk error is swallowed. */
#include "base/error.h"

struct disk;
struct raft_io;
struct uv_loop_s;

struct disk_options {
    struct uv_loop_s *loop;
    const char *path; /* a directory that exists */
    /* A disk function failed: the process must stop with this message. Called on the loop. */
    void (*on_fatal)(void *arg, const struct error *error);
    void *arg;
};

int disk_new(const struct disk_options *options, struct disk **ret, struct error *error);
/* For group_options.io and group_bootstrap. */
struct raft_io *disk_io(struct disk *disk);
/* After the group on it is closed, or was never started. */
void disk_free(struct disk *disk);
