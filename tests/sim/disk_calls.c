/* The functions of libc that this program defines in its place: LMDB, libraft and our own code call
 * these. What is on no simulated disk goes on to the kernel. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/sim/disk_internal.h"

static int open_any(const char *path, int flags, mode_t mode)
{
    struct sim_disk *d = disk_of_path(path);
    return d != NULL ? disk_open(d, path, flags, mode)
                     : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_any(path, flags, mode);
}

int close(int fd)
{
    struct disk_open *o = disk_of_fd(fd);
    return o != NULL ? disk_close(o, fd) : (int)syscall(SYS_close, fd);
}

ssize_t read(int fd, void *to, size_t len)
{
    struct disk_open *o = disk_of_fd(fd);
    if (o == NULL || o->file == NULL) {
        return syscall(SYS_read, fd, to, len);
    }
    ssize_t n = disk_read(o, to, len, o->at);
    o->at += n;
    return n;
}

ssize_t pread(int fd, void *to, size_t len, off_t at)
{
    struct disk_open *o = disk_of_fd(fd);
    return o != NULL && o->file != NULL ? disk_read(o, to, len, at)
                                        : syscall(SYS_pread64, fd, to, len, at);
}

ssize_t pread64(int fd, void *to, size_t len, off_t at)
{
    return pread(fd, to, len, at);
}

static int fix_length(struct sim_disk *d, int rv, struct stat *st)
{
    if (rv == 0 && d != NULL) {
        disk_fix_length(d, st);
    }
    return rv;
}

int stat(const char *path, struct stat *ret)
{
    return fix_length(disk_of_path(path), (int)syscall(SYS_newfstatat, AT_FDCWD, path, ret, 0),
                      ret);
}

int fstat(int fd, struct stat *ret)
{
    struct disk_open *o = disk_of_fd(fd);
    return fix_length(o == NULL ? NULL : o->disk, (int)syscall(SYS_fstat, fd, ret), ret);
}

off_t lseek(int fd, off_t at, int from)
{
    struct disk_open *o = disk_of_fd(fd);
    if (o == NULL || o->file == NULL) {
        return syscall(SYS_lseek, fd, at, from);
    }
    off_t base = from == SEEK_SET ? 0 : from == SEEK_CUR ? o->at : disk_length(o);
    if (base + at < 0) {
        errno = EINVAL;
        return -1;
    }
    return o->at = base + at;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    struct disk_open *o = disk_of_fd(fd);
    struct iovec part = {.iov_base = (void *)data, .iov_len = len};
    return o != NULL ? disk_write(o, &part, 1, at) : syscall(SYS_pwrite64, fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t at)
{
    return pwrite(fd, data, len, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
    struct disk_open *o = disk_of_fd(fd);
    return o != NULL ? disk_write(o, parts, n, at) : syscall(SYS_pwritev, fd, parts, n, at, 0);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    struct disk_open *o = disk_of_fd(fd);
    if (o == NULL) {
        return syscall(SYS_writev, fd, parts, n);
    }
    o->at = o->appends ? disk_length(o) : o->at;
    ssize_t done = disk_write(o, parts, n, o->at);
    o->at += done > 0 ? done : 0;
    return done;
}

ssize_t write(int fd, const void *data, size_t len)
{
    struct iovec part = {.iov_base = (void *)data, .iov_len = len};
    return disk_of_fd(fd) != NULL ? writev(fd, &part, 1) : syscall(SYS_write, fd, data, len);
}

int fsync(int fd)
{
    struct disk_open *o = disk_of_fd(fd);
    return o != NULL ? disk_sync(o) : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    struct disk_open *o = disk_of_fd(fd);
    return o != NULL ? disk_sync(o) : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t len)
{
    struct disk_open *o = disk_of_fd(fd);
    return o != NULL ? disk_truncate(o, len) : (int)syscall(SYS_ftruncate, fd, len);
}

int ftruncate64(int fd, off_t len)
{
    return ftruncate(fd, len);
}

int unlink(const char *path)
{
    struct sim_disk *d = disk_of_path(path);
    return d != NULL ? disk_unlink(d, path) : (int)syscall(SYS_unlink, path);
}

int rename(const char *from, const char *to)
{
    struct sim_disk *d = disk_of_path(from);
    return d != NULL ? disk_rename(d, from, to) : (int)syscall(SYS_rename, from, to);
}

int mkdir(const char *path, mode_t mode)
{
    struct sim_disk *d = disk_of_path(path);
    return d != NULL ? disk_mkdir(d, path, mode) : (int)syscall(SYS_mkdir, path, mode);
}

int rmdir(const char *path)
{
    struct sim_disk *d = disk_of_path(path);
    return d != NULL ? disk_rmdir(d, path) : (int)syscall(SYS_rmdir, path);
}

/* It is written into files, and is as long as it is. */
pid_t getpid(void)
{
    return 4711;
}

/* LMDB calls a short write EIO; what tells a full disk from a broken one is asked here. */
static int describe(const struct sim_disk *d, struct statvfs *ret)
{
    uint64_t room = sim_disk_room(d) == DISK_ROOM_ENOUGH ? UINT64_C(1) << 40 : sim_disk_room(d);
    *ret = (struct statvfs){.f_bsize = 4096, .f_frsize = 1, .f_bavail = room, .f_bfree = room};
    return 0;
}

static int describe_real(const struct statfs *fs, int rv, struct statvfs *ret)
{
    *ret = (struct statvfs){.f_bsize = (unsigned long)fs->f_bsize,
                            .f_frsize = (unsigned long)fs->f_bsize,
                            .f_bavail = fs->f_bavail,
                            .f_bfree = fs->f_bfree};
    return rv;
}

int statvfs(const char *path, struct statvfs *ret)
{
    const struct sim_disk *d = disk_of_path(path);
    struct statfs fs = {0};
    return d != NULL ? describe(d, ret)
                     : describe_real(&fs, (int)syscall(SYS_statfs, path, &fs), ret);
}

int fstatvfs(int fd, struct statvfs *ret)
{
    const struct disk_open *o = disk_of_fd(fd);
    struct statfs fs = {0};
    return o != NULL ? describe(o->disk, ret)
                     : describe_real(&fs, (int)syscall(SYS_fstatfs, fd, &fs), ret);
}
