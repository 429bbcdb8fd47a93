#include "consensus/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "consensus/archive_internal.h"

#define WRITEBACK_BYTES (UINT64_C(256) << 10)

void archive_lock(struct archive *a)
{
    CHECK(pthread_mutex_lock(&a->mutex) == 0);
}

void archive_unlock(struct archive *a)
{
    CHECK(pthread_mutex_unlock(&a->mutex) == 0);
}

void archive_segment_path(const struct archive *a, uint64_t base, char path[ARCHIVE_PATH_BYTES])
{
    (void)snprintf(path, ARCHIVE_PATH_BYTES, "%s/%020llu.archive", a->path,
                   (unsigned long long)base);
}

size_t archive_first_sound(const struct archive *a)
{
    size_t i = a->damaged ? a->len : 0;
    while (i > 0 && !a->segments[i - 1].damaged) {
        i--;
    }
    return i;
}

/* --- the list of segments --- */

int archive_list_add(struct archive *a, const struct archive_segment *s, struct error *error)
{
    archive_lock(a);
    if (a->len == a->capacity) {
        size_t capacity = a->capacity == 0 ? 64 : 2 * a->capacity;
        struct archive_segment *segments = realloc(a->segments, capacity * sizeof *segments);
        if (segments == NULL) {
            archive_unlock(a);
            return error_set(error, CLADE_ERR_NO_MEMORY, a->path, "out of memory");
        }
        a->segments = segments;
        a->capacity = capacity;
    }
    a->segments[a->len++] = *s;
    a->last = s->last;
    a->bytes += s->bytes;
    archive_unlock(a);
    return 0;
}

/* Off the list before off the disk: a reader that finds no file then finds it off the list too. */
static int remove_at(struct archive *a, size_t i, struct error *error)
{
    char path[ARCHIVE_PATH_BYTES];
    archive_lock(a);
    struct archive_segment s = a->segments[i];
    a->len--;
    memmove(a->segments + i, a->segments + i + 1, (a->len - i) * sizeof s);
    a->bytes -= s.bytes;
    if (i == a->len) {
        a->last = s.base;
    }
    archive_unlock(a);
    archive_segment_path(a, s.base, path);
    if (unlink(path) != 0 && errno != ENOENT) {
        return file_error(path, "cannot be removed", error);
    }
    a->folder_dirty = true;
    return 0;
}

/* Whether the oldest goes: it is damaged, or too old, or there are too many when `more` bytes come.
 * The newest stays. */
static bool has_excess(struct archive *a, uint64_t more, uint64_t now)
{
    archive_lock(a);
    const struct archive_options *o = &a->options;
    const struct archive_segment *s = a->segments;
    size_t sound = archive_first_sound(a);
    uint64_t bytes = a->bytes + more;
    a->damaged = sound > 0;
    bool excess = a->len > 1 && (sound > 0 || bytes > ARCHIVE_KEEP_TIMES * o->bytes_max);
    if (a->len > 1 && s->last <= a->keep) {
        bool old = o->age_max_us > 0 && s->newest_us < now && now - s->newest_us > o->age_max_us;
        excess = excess || old || bytes > o->bytes_max;
    }
    archive_unlock(a);
    return excess;
}

static int prune(struct archive *a, uint64_t more, struct error *error)
{
    uint64_t now = clock_wall_us(a->options.clock);
    int rc = 0;
    while (rc == 0 && has_excess(a, more, now)) {
        rc = remove_at(a, 0, error);
    }
    return rc;
}

void archive_keep(struct archive *a, uint64_t after)
{
    archive_lock(a);
    a->keep = after;
    archive_unlock(a);
}

void archive_set_limits(struct archive *a, uint64_t bytes_max, uint64_t age_max_us)
{
    archive_lock(a);
    a->options.bytes_max = bytes_max;
    a->options.age_max_us = age_max_us;
    archive_unlock(a);
}

/* --- writing --- */

static void close_newest(struct archive *a)
{
    if (a->fd >= 0) {
        (void)close(a->fd);
    }
    a->fd = -1;
    a->dirty = false;
    a->ragged = false;
    a->written_back = 0;
}

static int sync_folder(struct archive *a, struct error *error)
{
    if (a->folder_dirty && fsync(a->folder_fd) != 0) {
        a->failed = true;
        return error_set(error, CLADE_ERR_IO, a->path, "cannot be synced: %m");
    }
    a->folder_dirty = false;
    return 0;
}

static int sync_newest(struct archive *a, struct error *error)
{
    if (a->failed) {
        return error_set(error, CLADE_ERR_IO, a->path, "an earlier sync failed");
    }
    if (a->dirty && fdatasync(a->fd) != 0) {
        /* The kernel may have dropped what it could not write, and will not say so again. */
        a->failed = true;
        return error_set(error, CLADE_ERR_IO, a->path, "cannot be synced: %m");
    }
    a->dirty = false;
    return sync_folder(a, error);
}

static int begin_segment(struct archive *a, uint64_t base, struct error *error)
{
    char path[ARCHIVE_PATH_BYTES];
    archive_segment_path(a, base, path);
    int rc = archive_file_create(path, a->options.cluster, base, &a->fd, error);
    if (rc != 0) {
        return rc;
    }
    a->dirty = true;
    a->folder_dirty = true;
    struct archive_segment s = {.serial = a->next_serial++,
                                .base = base,
                                .last = base,
                                .bytes = ARCHIVE_HEADER_BYTES,
                                .newest_us = clock_wall_us(a->options.clock)};
    rc = archive_list_add(a, &s, error);
    if (rc != 0) {
        close_newest(a);
        (void)unlink(path);
    }
    return rc;
}

int archive_reset(struct archive *a, uint64_t base, struct error *error)
{
    if (a->failed) {
        return error_set(error, CLADE_ERR_IO, a->path, "an earlier sync failed");
    }
    close_newest(a);
    /* The newest first: whatever a crash leaves is contiguous. */
    int rc = 0;
    while (rc == 0 && a->len > 0) {
        rc = remove_at(a, a->len - 1, error);
    }
    if (rc == 0) {
        archive_lock(a);
        a->last = base;
        archive_unlock(a);
        rc = sync_folder(a, error);
    }
    return rc == 0 ? begin_segment(a, base, error) : rc;
}

/* Makes room for a record: a segment that is open and not full, and no more bytes than allowed. */
static int make_room(struct archive *a, uint64_t record_bytes, struct error *error)
{
    const struct archive_segment *newest = a->len > 0 ? &a->segments[a->len - 1] : NULL;
    int rc = 0;
    if (a->fd >= 0 && newest->last > newest->base &&
        newest->bytes + record_bytes > a->options.segment_bytes) {
        rc = sync_newest(a, error);
        if (rc == 0) {
            close_newest(a);
        }
    }
    if (rc == 0 && a->fd < 0) {
        rc = begin_segment(a, a->last, error);
    }
    return rc == 0 ? prune(a, record_bytes, error) : rc;
}

/* Part of a record must not stay: a later one may be shorter, and the segment end there. */
static int cut_back(struct archive *a, struct error *error)
{
    if (a->ragged && ftruncate(a->fd, (off_t)a->segments[a->len - 1].bytes) != 0) {
        return file_error(a->path, "a partial record cannot be cut off", error);
    }
    a->ragged = false;
    return 0;
}

static int write_record(struct archive *a, struct error *error)
{
    int rc = make_room(a, a->scratch.len, error);
    if (rc == 0) {
        rc = cut_back(a, error);
    }
    if (rc != 0) {
        return rc;
    }
    a->dirty = true;
    struct archive_segment *newest = &a->segments[a->len - 1];
    if (!file_write_all(a->fd, newest->bytes, buffer_span(&a->scratch))) {
        rc = file_error(a->path, "a record cannot be written", error);
        a->ragged = true;
        (void)cut_back(a, NULL);
    }
    return rc;
}

/* A segment that lies unwritten until it is synced whole holds up every other sync of the disk.
 * Only begun here, not waited for; what goes wrong is told by the sync. */
static void begin_writeback(struct archive *a)
{
    uint64_t end = a->segments[a->len - 1].bytes / WRITEBACK_BYTES * WRITEBACK_BYTES;
    if (end > a->written_back) {
        (void)sync_file_range(a->fd, (off_t)a->written_back, (off_t)(end - a->written_back),
                              SYNC_FILE_RANGE_WRITE);
        a->written_back = end;
    }
}

static bool newest_is_damaged(struct archive *a)
{
    archive_lock(a);
    bool damaged = a->len > 0 && a->segments[a->len - 1].damaged;
    archive_unlock(a);
    return damaged;
}

int archive_append(
    struct archive *a, uint64_t previous, uint64_t index, struct span entry, struct error *error)
{
    if (a->failed) {
        return error_set(error, CLADE_ERR_IO, a->path, "an earlier sync failed");
    }
    if (index <= a->last) {
        return 0;
    }
    if (previous > a->last || newest_is_damaged(a)) {
        int rc = archive_reset(a, previous > a->last ? previous : a->last, error);
        if (rc != 0) {
            return rc;
        }
    }
    buffer_clear(&a->scratch);
    if (!archive_record_put(&a->scratch, a->last, index, entry)) {
        return error_set(error, CLADE_ERR_NO_MEMORY, a->path, "out of memory");
    }
    int rc = write_record(a, error);
    if (rc == CLADE_ERR_NO_SPACE && a->len > 1) {
        rc = remove_at(a, 0, error);
        rc = rc == 0 ? write_record(a, error) : rc;
    }
    if (rc != 0) {
        return rc;
    }
    archive_lock(a);
    struct archive_segment *newest = &a->segments[a->len - 1];
    newest->bytes += a->scratch.len;
    newest->last = index;
    newest->newest_us = clock_wall_us(a->options.clock);
    a->bytes += a->scratch.len;
    a->last = index;
    archive_unlock(a);
    begin_writeback(a);
    return 0;
}

int archive_sync(struct archive *a, struct error *error)
{
    int rc = sync_newest(a, error);
    return rc == 0 ? prune(a, 0, error) : rc;
}
