#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "consensus/archive_internal.h"

#define MIB                   ((uint64_t)1 << 20)
#define BYTES_DEFAULT         (1024 * MIB)
#define SEGMENT_BYTES_DEFAULT (16 * MIB)
#define NAME_DIGITS           20

/* The bases of the segments in the folder. */
struct bases {
    uint64_t *items;
    size_t len;
    size_t capacity;
};

static bool name_parse(const char *name, uint64_t *ret)
{
    size_t digits = strspn(name, "0123456789");
    if (digits != NAME_DIGITS || strcmp(name + digits, ".archive") != 0) {
        return false;
    }
    errno = 0;
    *ret = strtoull(name, NULL, 10);
    return errno == 0;
}

static bool bases_add(struct bases *b, uint64_t base)
{
    if (b->len == b->capacity) {
        size_t capacity = b->capacity == 0 ? 64 : 2 * b->capacity;
        uint64_t *items = realloc(b->items, capacity * sizeof *items);
        if (items == NULL) {
            return false;
        }
        b->items = items;
        b->capacity = capacity;
    }
    b->items[b->len++] = base;
    return true;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int bases_list(const char *path, struct bases *ret, struct error *error)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return file_error(path, "cannot be listed", error);
    }
    int rc = 0;
    uint64_t base;
    errno = 0;
    for (const struct dirent *d; rc == 0 && (d = readdir(dir)) != NULL; errno = 0) {
        if (name_parse(d->d_name, &base) && !bases_add(ret, base)) {
            rc = error_set(error, CLADE_ERR_NO_MEMORY, path, "out of memory");
        }
    }
    if (rc == 0 && errno != 0) {
        rc = file_error(path, "cannot be listed", error);
    }
    (void)closedir(dir);
    if (ret->len > 0) {
        qsort(ret->items, ret->len, sizeof *ret->items, compare);
    }
    return rc;
}

static int remove_segment(const struct archive *a, uint64_t base, struct error *error)
{
    char path[ARCHIVE_PATH_BYTES];
    archive_segment_path(a, base, path);
    return unlink(path) == 0 || errno == ENOENT ? 0 : file_error(path, "cannot be removed", error);
}

/* Opens a segment and looks at its header. 0 with an fd, or 1: it is none of ours. */
static int open_segment(
    struct archive *a, uint64_t base, int *ret_fd, struct archive_segment *ret, struct error *error)
{
    char path[ARCHIVE_PATH_BYTES];
    archive_segment_path(a, base, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;
    if (fd < 0) {
        return file_error(path, "cannot be opened", error);
    }
    int rc = archive_file_check(fd, path, a->options.cluster, base, error);
    if (rc == 0 && fstat(fd, &st) != 0) {
        rc = file_error(path, "cannot be looked at", error);
    }
    if (rc != 0) {
        (void)close(fd);
        return rc;
    }
    *ret = (struct archive_segment){.serial = a->next_serial++,
                                    .base = base,
                                    .last = base,
                                    .bytes = (uint64_t)st.st_size,
                                    .newest_us = (uint64_t)st.st_mtim.tv_sec * 1000000 +
                                                 (uint64_t)st.st_mtim.tv_nsec / 1000};
    *ret_fd = fd;
    return 0;
}

/* Walks over the newest segment to its last whole record, and cuts off what is behind. */
static int scan_newest(struct archive *a, int fd, struct archive_segment *s, struct error *error)
{
    char path[ARCHIVE_PATH_BYTES];
    archive_segment_path(a, s->base, path);
    struct archive_scan scan;
    struct archive_record record;
    struct span raw;
    archive_scan_init(&scan, fd, path, ARCHIVE_HEADER_BYTES, s->bytes);
    uint64_t size = s->bytes;
    s->bytes = ARCHIVE_HEADER_BYTES;
    int rc;
    while ((rc = archive_scan_next(&scan, &record, &raw, error)) == 0 &&
           record.previous == s->last) {
        s->last = record.index;
        s->bytes = scan.at;
    }
    archive_scan_release(&scan);
    if (rc < 0 && rc != CLADE_ERR_CORRUPT) {
        return rc;
    }
    if (s->bytes < size && ftruncate(fd, (off_t)s->bytes) != 0) {
        return file_error(path, "a torn tail cannot be cut off", error);
    }
    return 0;
}

/* The newest segment is the last one with a sound header: one with another was begun in a crash. */
static int load_newest(struct archive *a,
                       struct bases *bases,
                       struct archive_segment *ret,
                       struct error *error)
{
    int rc = 1;
    while (rc == 1 && bases->len > 0) {
        uint64_t base = bases->items[bases->len - 1];
        rc = open_segment(a, base, &a->fd, ret, error);
        if (rc == 1) {
            bases->len--;
            int removed = remove_segment(a, base, error);
            rc = removed == 0 ? 1 : removed;
        }
    }
    /* What was appended before a crash may not be durable yet. */
    a->dirty = rc == 0;
    a->folder_dirty = true;
    return rc == 0 ? scan_newest(a, a->fd, ret, error) : rc;
}

/* How many of the oldest are of no use, because one of them or one behind them is not sound. */
static int check_older(struct archive *a,
                       const struct bases *bases,
                       struct archive_segment *segments,
                       size_t *ret_first,
                       struct error *error)
{
    size_t i = bases->len - 1;
    while (i > 0) {
        int fd;
        int rc = open_segment(a, bases->items[i - 1], &fd, &segments[i - 1], error);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            (void)close(fd);
        }
        if (rc == 1 || segments[i - 1].bytes <= ARCHIVE_HEADER_BYTES) {
            break;
        }
        segments[i - 1].last = segments[i].base;
        i--;
    }
    *ret_first = i;
    return 0;
}

static int load(struct archive *a, struct bases *bases, struct error *error)
{
    struct archive_segment newest;
    int rc = load_newest(a, bases, &newest, error);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    struct archive_segment *segments = calloc(bases->len, sizeof *segments);
    if (segments == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, a->path, "out of memory");
    }
    segments[bases->len - 1] = newest;
    size_t first = 0;
    rc = check_older(a, bases, segments, &first, error);
    for (size_t i = 0; rc == 0 && i < first; i++) {
        rc = remove_segment(a, bases->items[i], error);
    }
    for (size_t i = first; rc == 0 && i < bases->len; i++) {
        rc = archive_list_add(a, &segments[i], error);
    }
    free(segments);
    return rc;
}

static int open_folder(struct archive *a, struct error *error)
{
    char parent[ARCHIVE_PATH_BYTES];
    if (mkdir(a->path, 0700) == 0) {
        (void)snprintf(parent, sizeof parent, "%s/..", a->path);
        int rc = file_sync_folder(parent, error);
        if (rc != 0) {
            return rc;
        }
    } else if (errno != EEXIST) {
        return file_error(a->path, "cannot be made", error);
    }
    a->folder_fd = open(a->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return a->folder_fd < 0 ? file_error(a->path, "cannot be opened", error) : 0;
}

static void set_defaults(struct archive_options *o)
{
    o->bytes_max = o->bytes_max == 0 ? BYTES_DEFAULT : o->bytes_max;
    o->segment_bytes = o->segment_bytes == 0 ? SEGMENT_BYTES_DEFAULT : o->segment_bytes;
    if (o->segment_bytes > o->bytes_max / 2) {
        o->segment_bytes = o->bytes_max / 2;
    }
}

int archive_open(const struct archive_options *options, struct archive **ret, struct error *error)
{
    if (strlen(options->path) > ARCHIVE_PATH_BYTES - 64) {
        return error_set(error, CLADE_ERR_INVALID, "archive", "the path is too long");
    }
    struct archive *a = calloc(1, sizeof *a);
    char *path = strdup(options->path);
    if (a == NULL || path == NULL) {
        free(a);
        free(path);
        return error_set(error, CLADE_ERR_NO_MEMORY, options->path, "out of memory");
    }
    CHECK(pthread_mutex_init(&a->mutex, NULL) == 0);
    a->options = *options;
    a->options.path = NULL;
    set_defaults(&a->options);
    a->path = path;
    a->folder_fd = -1;
    a->fd = -1;
    a->next_serial = 1;
    a->keep = UINT64_MAX;
    buffer_init(&a->scratch, ARCHIVE_RECORD_HEADER_BYTES + ARCHIVE_ENTRY_BYTES_MAX);
    struct bases bases = {0};
    int rc = open_folder(a, error);
    rc = rc == 0 ? bases_list(path, &bases, error) : rc;
    rc = rc == 0 ? load(a, &bases, error) : rc;
    free(bases.items);
    if (rc != 0) {
        archive_close(a);
        return error != NULL ? error_wrap(error, "opening the archive in %s", options->path) : rc;
    }
    *ret = a;
    return 0;
}

void archive_close(struct archive *a)
{
    if (a == NULL) {
        return;
    }
    if (a->fd >= 0) {
        (void)close(a->fd);
    }
    if (a->folder_fd >= 0) {
        (void)close(a->folder_fd);
    }
    CHECK(pthread_mutex_destroy(&a->mutex) == 0);
    buffer_release(&a->scratch);
    free(a->segments);
    free(a->path);
    free(a);
}
