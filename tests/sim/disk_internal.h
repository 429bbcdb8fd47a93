#pragma once
/* What disk.c and disk_calls.c share: disks by path, open files by descriptor. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "tests/sim/disk.h"

struct disk_file;

/* A descriptor of a file on a disk, or of a folder of one. */
struct disk_open {
    struct sim_disk *disk; /* NULL = the descriptor is none of ours */
    struct disk_file *file;
    char *folder; /* for a folder */
    bool syncs;   /* O_SYNC, O_DSYNC */
    bool appends;
    off_t at;
};

/* NULL when the path lies on no disk. */
struct sim_disk *disk_of_path(const char *path);
/* NULL when the descriptor is none of ours. */
struct disk_open *disk_of_fd(int fd);

/* The calls of the same names, on our disks alone: -1 and errno. */
int disk_open(struct sim_disk *d, const char *path, int flags, mode_t mode);
int disk_close(struct disk_open *o, int fd);
ssize_t disk_read(const struct disk_open *o, void *to, size_t len, off_t at);
ssize_t disk_write(struct disk_open *o, const struct iovec *parts, int n, off_t at);
int disk_sync(struct disk_open *o);
int disk_truncate(struct disk_open *o, off_t len);
int disk_unlink(struct sim_disk *d, const char *path);
int disk_rename(struct sim_disk *d, const char *from, const char *to);
int disk_mkdir(struct sim_disk *d, const char *path, mode_t mode);
int disk_rmdir(struct sim_disk *d, const char *path);
off_t disk_length(const struct disk_open *o);
/* The kernel's files are longer than ours while they are open. */
void disk_fix_length(struct sim_disk *d, struct stat *st);
