#pragma once
/* The files of raft_uv in the log's folder, looked at before raft_uv loads them: what a crash may
 * have left is put right where raft_uv would refuse it or go wrong, what a crash can not have left
 * is refused. README.md has the reasoning, segment_scan.h the format.
 *
 *     FIRST-LAST                       a closed segment: entries FIRST..LAST
 *     open-N                           an open one, written in the order of N
 *     metadata1, metadata2             u64 format (1), version, term, vote; written in turn
 *     snapshot-TERM-INDEX-TIME[.meta]  a snapshot
 *     install                          ours: an install of a snapshot is under way
 *
 *     install  0 "cladein" and a zero   8 u64 index   16 u64 term   24 u64 XXH3-64 of the 24 before
 * All of these block on disk. `path` is the folder.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* CORRUPT names the file and, where there is one, the offset. Metadata before raft_io->init, which
 * reads it, the rest before raft_io->load, after init. */
int segments_check_metadata(const char *path, struct error *error);
int segments_prepare(const char *path, struct error *error);

/* Around raft_uv's snapshot_put of an install, which replaces the log: a crash between the two is
 * completed by segments_prepare once the snapshot is there. */
int segments_begin_install(const char *path, uint64_t index, uint64_t term, struct error *error);
int segments_end_install(const char *path, struct error *error);

/* Whether a closed segment has entries of `index` or above. */
int segments_reach(const char *path, uint64_t index, bool *ret, struct error *error);
