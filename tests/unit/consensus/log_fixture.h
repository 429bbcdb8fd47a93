#pragma once
/* A log of the real raft_uv in a folder of its own, with its guard, driven without raft: appends,
 * truncations and snapshots as libraft would call for them, one after the other. What the entries
 * hold follows from index and term, so any log can be checked for what it should hold. */
#include <raft.h>
#include <uv.h>

#include "base/error.h"
#include "consensus/loaded_log.h"

#define LOG_SEGMENT_BYTES (64u * 1024)

struct log_fixture {
    uv_loop_t loop;
    char path[64];
    struct disk *disk;
    struct guard_disk *mark;
    struct guard *guard;
    struct raft_io *io; /* the guard's; NULL when it is closed */
    bool guard_off;
    raft_term term; /* of new entries */
    raft_index next;
    unsigned under_way;
    uv_mutex_t mutex;
    char fatal[640]; /* what on_fatal said first; "" = nothing. Under the mutex. */
    unsigned fatals;
};

/* A new folder, in memory where that is possible, bootstrapped, with a mark, closed. */
struct log_fixture *log_new(void);
/* Closes it, if need be, and removes the folder. */
void log_free(struct log_fixture *l);

/* Opens and loads. 0, or libraft's code with a sentence in text (of 256 bytes, may be NULL); then
 * it is closed again. What was loaded is the caller's to release; ret may be NULL. */
int log_open(struct log_fixture *l, struct loaded_log *ret, char *text);
/* Flushes the mark and closes. */
void log_close(struct log_fixture *l);
/* The same without a word to the mark or the files that would not be said by a process that dies:
 * the folder is put back to what it holds now. */
void log_crash(struct log_fixture *l);

/* Appends n entries of `bytes` bytes of the fixture's term; log_wait waits until all are done. */
void log_append(struct log_fixture *l, unsigned n, size_t bytes);
void log_truncate(struct log_fixture *l, raft_index index);
void log_wait(struct log_fixture *l);
/* Takes a snapshot beside what else goes on, as raft does; log_wait waits for it as well. */
void log_begin_snapshot(struct log_fixture *l, raft_index index, raft_term term, unsigned trailing);
/* The same, and waits; trailing 0 is an install. */
void log_snapshot(struct log_fixture *l, raft_index index, raft_term term, unsigned trailing);
/* Runs the loop until `done` is true. */
void log_run(struct log_fixture *l, bool (*done)(struct log_fixture *l));

/* Whether an entry is what log_append wrote at that index. */
bool log_entry_is_right(const struct raft_entry *e, raft_index index);
/* The same of what log_snapshot wrote. */
bool log_snapshot_is_right(const struct raft_snapshot *s);

/* Files and their bytes. */
struct image_file {
    char name[64];
    uint8_t *bytes;
    size_t len;
};

struct image {
    struct image_file files[64];
    unsigned len;
};

void image_take(struct image *ret, const char *path);
/* The folder holds these files and no others. */
void image_put(const struct image *image, const char *path);
void image_release(struct image *image);
/* NULL when it has none whose name begins so. */
struct image_file *image_find(struct image *image, const char *begin);
void image_remove(struct image *image, struct image_file *file);
/* A copy of a file under another name, or in another image. */
void image_add(struct image *image, const struct image_file *file, const char *name);
