#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "consensus/archive_internal.h"

void archive_range(struct archive *a, uint64_t *ret_base, uint64_t *ret_last)
{
    archive_lock(a);
    size_t first = archive_first_sound(a);
    *ret_base = first < a->len ? a->segments[first].base : a->last;
    *ret_last = a->last;
    archive_unlock(a);
}

uint64_t archive_bytes(struct archive *a)
{
    archive_lock(a);
    uint64_t bytes = a->bytes;
    archive_unlock(a);
    return bytes;
}

/* The segment that goes on behind `after`, and the best place in it to begin. 1: there is none any
 * more; 2: there is nothing newer. */
static int find(struct archive *a,
                uint64_t after,
                struct archive_segment *ret,
                struct archive_hint *ret_from)
{
    archive_lock(a);
    size_t low = archive_first_sound(a);
    size_t high = a->len;
    int rc = after >= a->last ? 2 : low == high || after < a->segments[low].base ? 1 : 0;
    while (rc == 0 && high - low > 1) {
        size_t middle = low + (high - low) / 2;
        *(a->segments[middle].base <= after ? &low : &high) = middle;
    }
    if (rc == 0) {
        *ret = a->segments[low];
        *ret_from = (struct archive_hint){
            .serial = ret->serial, .index = ret->base, .offset = ARCHIVE_HEADER_BYTES};
        for (size_t i = 0; i < ARCHIVE_HINTS; i++) {
            const struct archive_hint *h = &a->hints[i];
            if (h->serial == ret->serial && h->index <= after && h->index > ret_from->index) {
                *ret_from = *h;
            }
        }
    }
    archive_unlock(a);
    return rc;
}

static void remember(struct archive *a, const struct archive_hint *hint)
{
    archive_lock(a);
    a->hints[a->next_hint++ % ARCHIVE_HINTS] = *hint;
    archive_unlock(a);
}

/* What is not on the list any more was removed, and is no damage. */
static void mark_damaged(struct archive *a, uint64_t serial)
{
    archive_lock(a);
    for (size_t i = 0; i < a->len; i++) {
        a->segments[i].damaged |= a->segments[i].serial == serial;
        a->damaged |= a->segments[i].damaged;
    }
    archive_unlock(a);
}

/* Copies the records above `after` to `out`. *at is where it stands: before, and after. */
static int copy_records(struct archive_scan *scan,
                        uint64_t after,
                        size_t bytes_max,
                        struct buffer *out,
                        struct archive_hint *at,
                        struct error *error)
{
    size_t start = out->len;
    struct archive_record record;
    struct span raw;
    for (;;) {
        uint64_t offset = scan->at;
        int rc = archive_scan_next(scan, &record, &raw, error);
        if (rc == 0 && record.previous != at->index) {
            rc = error_set(error, CLADE_ERR_CORRUPT, scan->path, "a record does not follow");
        }
        if (rc != 0) {
            return rc;
        }
        if (record.index > after) {
            bool fits = raw.len <= out->bytes_max - out->len;
            bool wanted = out->len == start || out->len - start + raw.len <= bytes_max;
            if (!fits && out->len == start) {
                return error_set(error, CLADE_ERR_LIMIT, scan->path, "a record of %zu bytes",
                                 raw.len);
            }
            if (!fits || !wanted) {
                at->offset = offset;
                return 0;
            }
            if (!buffer_append_span(out, raw)) {
                return error_set(error, CLADE_ERR_NO_MEMORY, scan->path, "out of memory");
            }
        }
        at->index = record.index;
        at->offset = scan->at;
    }
}

static int read_segment(struct archive *a,
                        const struct archive_segment *s,
                        uint64_t after,
                        size_t bytes_max,
                        struct buffer *out,
                        struct archive_hint *at,
                        struct error *error)
{
    char path[ARCHIVE_PATH_BYTES];
    archive_segment_path(a, s->base, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return error_set(error, CLADE_ERR_CORRUPT, path, "is not there");
    }
    if (fd < 0) {
        return file_error(path, "cannot be opened", error);
    }
    struct archive_scan scan;
    archive_scan_init(&scan, fd, path, at->offset, s->bytes);
    int rc = copy_records(&scan, after, bytes_max, out, at, error);
    if (rc == 1) {
        rc = at->index == s->last
                 ? 0
                 : error_set(error, CLADE_ERR_CORRUPT, path, "the segment ends too early");
    }
    archive_scan_release(&scan);
    (void)close(fd);
    return rc;
}

int archive_read(struct archive *a,
                 uint64_t after,
                 size_t bytes_max,
                 struct buffer *out,
                 uint64_t *ret_last,
                 struct error *error)
{
    struct archive_segment segment;
    struct archive_hint at;
    size_t start = out->len;
    int rc = find(a, after, &segment, &at);
    if (rc == 2) {
        *ret_last = after;
        return 0;
    }
    if (rc == 1) {
        return 1;
    }
    rc = read_segment(a, &segment, after, bytes_max, out, &at, error);
    if (rc == CLADE_ERR_CORRUPT) {
        mark_damaged(a, segment.serial);
    }
    if (out->len > start) {
        /* What was read before something went wrong is sound. */
        remember(a, &at);
        *ret_last = at.index;
        return 0;
    }
    return rc == CLADE_ERR_CORRUPT ? 1 : rc;
}
