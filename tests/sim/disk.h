#pragma once
/* The disks of the simulated nodes, one a node: a folder whose files lie in memory. The functions
 * of libc that write files are defined by this program (disk_calls.c), so that what LMDB and our
 * own code write comes here, and each disk remembers what it held before the writes that were not
 * synced. A crash takes any of them back, as a real disk might, sector by sector:
 *
 *     a sector        holds what it held after some of the unsynced writes to it, in order
 *     a file's length likewise, by a choice of its own
 *     names           the last of the unsynced creations, renames and removals did not happen
 *
 * fsync and fdatasync make a file's bytes and length durable, fsync of a folder the names in it.
 * stdio is not seen, since it does not call what this program defines. One thread; the disks that
 * exist are the one thing that is global here, because open() knows no owner. */
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "tests/sim/random.h"

#define DISK_SECTOR_BYTES 512
#define DISK_ROOM_ENOUGH  UINT64_MAX
#define DISK_CALLS_NEVER  UINT64_MAX

struct sim_disk;

enum sim_crash {
    CRASH_PROCESS, /* what was written stays: the page cache outlives the process */
    CRASH_POWER
};

/* `folder` exists and is empty. */
struct sim_disk *sim_disk_new(const char *folder, struct sim_random *random);
/* No file of it may be open. Removes what is in the folder, and the folder. */
void sim_disk_free(struct sim_disk *disk);

/* Files may grow by so much; then writes are short and fail with ENOSPC. */
void sim_disk_set_room(struct sim_disk *disk, uint64_t bytes);
uint64_t sim_disk_room(const struct sim_disk *disk);
/* Something beside the files writes so many bytes on it: false when it has no room, or fails. */
bool sim_disk_take(struct sim_disk *disk, uint64_t bytes);
/* After so many more calls that change something the disk is gone: each fails with EIO until
 * sim_disk_crash. 0: at once. */
void sim_disk_fail_after(struct sim_disk *disk, uint64_t calls);
/* The node is down and has closed its files. The disk works again. */
void sim_disk_crash(struct sim_disk *disk, enum sim_crash how);

struct sim_disk_counts {
    uint64_t errors; /* EIO given since the last crash */
    uint64_t full;   /* ENOSPC given, and short writes */
    uint64_t writes;
    uint64_t syncs;
    uint64_t undone; /* sectors that crashes took back */
};
struct sim_disk_counts sim_disk_counts(const struct sim_disk *disk);
