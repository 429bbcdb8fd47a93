#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "consensus/guard.h"

#define FILE_BYTES (2 * GUARD_SLOT_DISTANCE)

struct guard_file {
    struct guard_disk disk; /* first */
    int fd;                 /* -1 = there is no such file */
    char path[1024];
};

static int file_read(struct guard_disk *d,
                     uint8_t slots[2][GUARD_SLOT_BYTES],
                     bool *ret_exists,
                     struct error *error)
{
    const struct guard_file *f = (struct guard_file *)d;
    memset(slots, 0, sizeof slots[0] * 2);
    *ret_exists = f->fd >= 0;
    for (unsigned i = 0; i < 2 && f->fd >= 0; i++) {
        /* What a file that was cut short lacks stays zero: a damaged slot. */
        if (pread(f->fd, slots[i], GUARD_SLOT_BYTES, (off_t)i * GUARD_SLOT_DISTANCE) < 0) {
            return file_error(f->path, "cannot be read", error);
        }
    }
    return 0;
}

static int file_write(struct guard_disk *d,
                      unsigned slot,
                      const uint8_t bytes[GUARD_SLOT_BYTES],
                      struct error *error)
{
    const struct guard_file *f = (struct guard_file *)d;
    CHECK(slot < 2);
    if (f->fd < 0) {
        return error_set(error, CLADE_ERR_IO, f->path, "is not there");
    }
    ssize_t n = pwrite(f->fd, bytes, GUARD_SLOT_BYTES, (off_t)slot * GUARD_SLOT_DISTANCE);
    if (n >= 0 && n < GUARD_SLOT_BYTES) {
        errno = ENOSPC;
    }
    return n != GUARD_SLOT_BYTES || fdatasync(f->fd) != 0
               ? file_error(f->path, "cannot be written", error)
               : 0;
}

static int open_file(const char *folder, int flags, struct guard_file **ret, struct error *error)
{
    struct guard_file *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, folder, "out of memory");
    }
    f->disk = (struct guard_disk){.read = file_read, .write = file_write};
    if ((size_t)snprintf(f->path, sizeof f->path, "%s/mark", folder) >= sizeof f->path) {
        free(f);
        return error_set(error, CLADE_ERR_INVALID, folder, "the path is too long");
    }
    f->fd = open(f->path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (f->fd < 0 && (flags != 0 || errno != ENOENT)) {
        int r = file_error(f->path, "cannot be opened", error);
        free(f);
        return r;
    }
    *ret = f;
    return 0;
}

int guard_file_open(const char *folder, struct guard_disk **ret, struct error *error)
{
    struct guard_file *f;
    int r = open_file(folder, 0, &f, error);
    if (r == 0) {
        *ret = &f->disk;
    }
    return r;
}

void guard_file_close(struct guard_disk *d)
{
    struct guard_file *f = (struct guard_file *)d;
    if (f == NULL) {
        return;
    }
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    free(f);
}

/* The file has its whole length from the start, so that later writes change no metadata. */
int guard_file_create(const char *folder, struct error *error)
{
    static const uint8_t zeros[FILE_BYTES];
    struct guard_file *f;
    int r = open_file(folder, O_CREAT | O_EXCL, &f, error);
    if (r < 0) {
        return r;
    }
    if (pwrite(f->fd, zeros, sizeof zeros, 0) != (ssize_t)sizeof zeros || fsync(f->fd) != 0) {
        r = file_error(f->path, "cannot be written", error);
    }
    if (r == 0) {
        r = guard_create(&f->disk, error);
    }
    guard_file_close(&f->disk);
    return r < 0 ? r : file_sync_folder(folder, error);
}
