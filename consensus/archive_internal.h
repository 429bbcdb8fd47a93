#pragma once
/* What the files of an archive share: a segment as a file (archive_file.c: its header, and a walk
 * over its records), and the archive itself. */
#include <pthread.h>

#include "base/file.h"
#include "consensus/archive.h"

#define ARCHIVE_HEADER_BYTES 48
#define ARCHIVE_VERSION      1
#define ARCHIVE_PATH_BYTES   4096

/* Makes the file, with its header. *ret_fd is the caller's to close. */
int archive_file_create(
    const char *path, struct hash128 cluster, uint64_t base, int *ret_fd, struct error *error);
/* 0, or 1: the header is not that of a segment of this cluster with this base. Or an error. */
int archive_file_check(
    int fd, const char *path, struct hash128 cluster, uint64_t base, struct error *error);

/* Appends a record in the form of the file. */
bool archive_record_put(struct buffer *b, uint64_t previous, uint64_t index, struct span entry);

/* A walk over the records of a file. Zeroed memory can be released. */
struct archive_scan {
    int fd;
    const char *path;
    uint64_t at;  /* where the next record begins */
    uint64_t end; /* nothing reaches beyond */
    uint8_t *window;
    size_t window_capacity;
    uint64_t window_at; /* what it holds */
    size_t window_len;
};

void archive_scan_init(struct archive_scan *s, int fd, const char *path, uint64_t at, uint64_t end);
void archive_scan_release(struct archive_scan *s);
/* The next record, and its bytes in the form of the file; both are borrowed until the next call.
 * 1 at the end. CLADE_ERR_CORRUPT: what stands there is no record; `at` stays before it. */
int archive_scan_next(struct archive_scan *s,
                      struct archive_record *ret,
                      struct span *ret_raw,
                      struct error *error);

#define ARCHIVE_HINTS 16

struct archive_segment {
    uint64_t serial; /* of this process; a file's name may come back, its serial does not */
    uint64_t base;
    uint64_t last;
    uint64_t bytes; /* whole records and the header */
    uint64_t newest_us;
    bool damaged; /* a reader found it so */
};

/* Where a read has ended: another one will go on there. */
struct archive_hint {
    uint64_t serial;
    uint64_t index;
    uint64_t offset; /* the record behind `index` begins here */
};

struct archive {
    struct archive_options options;
    char *path;
    /* the apply thread's */
    int folder_fd;
    int fd; /* of the newest segment; -1: the next record begins one */
    bool dirty;
    bool folder_dirty;
    uint64_t written_back; /* of the newest segment's bytes, begun to be written to the disk */
    bool ragged;           /* part of a record may stand behind the newest segment's last one */
    bool failed;           /* a sync failed: what is on disk is not known any more */
    struct buffer scratch;
    uint64_t next_serial;
    /* under the mutex; only the apply thread changes them, but for what readers find damaged, the
     * hints and `keep` */
    pthread_mutex_t mutex;
    struct archive_segment *segments; /* the oldest first */
    size_t len;
    size_t capacity;
    uint64_t last;
    uint64_t bytes;
    bool damaged;  /* a segment may be */
    uint64_t keep; /* what follows on it */
    struct archive_hint hints[ARCHIVE_HINTS];
    unsigned next_hint;
};

void archive_lock(struct archive *a);
void archive_unlock(struct archive *a);
/* Index of the oldest segment that can be read; a->len when none can. The lock is held. */
size_t archive_first_sound(const struct archive *a);
/* Appends to the list. */
int archive_list_add(struct archive *a, const struct archive_segment *s, struct error *error);
void archive_segment_path(const struct archive *a, uint64_t base, char path[ARCHIVE_PATH_BYTES]);
