#pragma once
/* A store from backups (base/backup_file.h): a full one, and incremental ones that go on from it,
 * through the code that applied the entries when they came. Every byte is checked: the files'
 * checksums, the store's pages and rows, and at the end of each backup the digests that it names.
 */
#include "base/backup_file.h"
#include "storage/copy.h"

struct restore_options {
    const char *const *files; /* the full backup, then the others in their order */
    size_t files_len;
    uint64_t revision; /* where to stop: behind this revision; 0 = at the end */
    uint64_t time_us;  /* or behind what is stamped at or before it; 0 = at the end */
    uint64_t map_bytes;
    /* Something goes on: how much of a file's bytes, or rows. May be NULL. */
    void (*progress)(void *arg, const char *what, uint64_t done);
    void *arg;
};

struct restore_result {
    struct hash128 cluster; /* that it was */
    uint64_t index;
    uint64_t revision;
    uint64_t time_us; /* store time of the last entry */
    uint64_t entries; /* that were applied behind the full backup */
    uint64_t last;    /* the newest revision that the files hold, if that was looked at */
};

/* Reads the files to their ends, and whether they go together: that of the same cluster each begins
 * where the one before ends, or earlier. What only the store's own check sees (pages, rows,
 * digests) is not looked at. CLADE_ERR_CORRUPT, _INVALID (they do not go together), _UNSUPPORTED,
 * _NOT_FOUND, _IO, with the file, and what to do. */
int restore_check(const struct restore_options *options,
                  struct restore_result *ret,
                  struct error *error);
/* Makes the store in the empty folder `path`, and checks all of it. When it returns 0 it is synced
 * and closed. As restore_check; _INVALID also when revision or time are outside of what the files
 * hold; _NO_SPACE. What is in the folder then is of no use. */
int restore_store(const struct restore_options *options,
                  const char *path,
                  struct restore_result *ret,
                  struct error *error);
