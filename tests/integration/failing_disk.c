/* A disk that fails: stands between a program and the C library, for whoever is started with this
 * in LD_PRELOAD, and makes one kind of call on one kind of file go wrong.
 *
 * FAILING_DISK names a file that holds a struct rule (failing_disk.py has the same table), mapped
 * by the program and by the test: what shall happen stands in it, and what did happen is counted. A
 * sync of a file, one sync of which has failed, is counted as tried again, unless the file was
 * emptied or removed meanwhile: what the failed one lost is then written anew. What raft_uv submits
 * to the kernel is a write and, by a flag of its own, a sync.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/aio_abi.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SUBMITTED_MAX 64

enum call {
    CALL_NONE,
    CALL_SYNC,
    CALL_WRITE,
    CALL_OPEN,
    CALL_RENAME, /* or to give a nameless file its name */
    CALL_READ,
    CALL_ALLOCATE,
    CALL_DSYNC /* a write that is synced by a flag of its own */
};

enum fault { FAULT_ERRNO, FAULT_SHORT };

struct rule {
    _Atomic uint32_t call; /* CALL_NONE: nothing fails */
    uint32_t fault;
    int32_t code;           /* errno */
    _Atomic uint32_t times; /* that are left */
    _Atomic uint32_t hits;
    _Atomic uint32_t again; /* syncs that were tried again */
    _Atomic uint32_t msyncs;
    uint32_t full; /* the file system says that it has no room, too */
    uint64_t from; /* of the file, where the call has a place in it */
    uint64_t to;
    char pattern[256]; /* of fnmatch, for the whole path */
    char path[512];    /* that was hit last */
};

static struct rule idle;
static struct rule *rule = &idle;
static _Atomic uint64_t failed_device;
static _Atomic uint64_t failed_inode; /* 0 = no sync has failed */

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("FAILING_DISK");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    void *p = mmap(NULL, sizeof idle, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p != MAP_FAILED) {
        rule = p;
    }
}

#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (real == NULL) {                                                                            \
        real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                         \
    }

/* --- whether a call is to fail --- */

static bool is_wanted(enum call call)
{
    return atomic_load(&rule->call) == (uint32_t)call;
}

static bool take_one(void)
{
    uint32_t left = atomic_load(&rule->times);
    while (left > 0) {
        if (atomic_compare_exchange_weak(&rule->times, &left, left - 1)) {
            return true;
        }
    }
    return false;
}

/* Says so in errno, too. */
static bool fails_at(enum call call, const char *path, uint64_t at)
{
    if (!is_wanted(call) || at < rule->from || at >= rule->to ||
        fnmatch(rule->pattern, path, 0) != 0 || !take_one()) {
        return false;
    }
    (void)snprintf(rule->path, sizeof rule->path, "%s", path);
    atomic_fetch_add(&rule->hits, 1);
    errno = rule->code;
    return true;
}

static bool path_of(int fd, char *ret, size_t len)
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, ret, len - 1);
    ret[n > 0 ? n : 0] = 0;
    return n > 0;
}

static bool fails(enum call call, int fd, uint64_t at)
{
    char path[512];
    return is_wanted(call) && fd > 2 && path_of(fd, path, sizeof path) && fails_at(call, path, at);
}

/* --- syncs --- */

static void count_sync(int fd)
{
    struct stat st;
    if (atomic_load(&failed_inode) != 0 && fstat(fd, &st) == 0 &&
        st.st_ino == atomic_load(&failed_inode) && st.st_dev == atomic_load(&failed_device)) {
        atomic_fetch_add(&rule->again, 1);
    }
}

static void note_failed(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0) {
        atomic_store(&failed_device, st.st_dev);
        atomic_store(&failed_inode, st.st_ino);
    }
}

static void forget_failed(const char *path)
{
    struct stat st;
    if (atomic_load(&failed_inode) != 0 && lstat(path, &st) == 0 &&
        st.st_ino == atomic_load(&failed_inode)) {
        atomic_store(&failed_inode, 0);
    }
}

static bool sync_fails(int fd)
{
    int kept = errno;
    count_sync(fd);
    errno = kept;
    if (!fails(CALL_SYNC, fd, 0)) {
        return false;
    }
    kept = errno;
    note_failed(fd);
    errno = kept;
    return true;
}

int fsync(int fd)
{
    REAL(fsync)
    return sync_fails(fd) ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync)
    return sync_fails(fd) ? -1 : real(fd);
}

int msync(void *at, size_t n, int flags)
{
    REAL(msync)
    atomic_fetch_add(&rule->msyncs, 1);
    return real(at, n, flags);
}

/* --- writes --- */

/* Half of it. */
static size_t shorter(size_t n)
{
    return n > 1 ? n / 2 : n;
}

static bool is_short(void)
{
    return rule->fault == FAULT_SHORT;
}

/* Of all that is not submitted only files have a path that a pattern fits. */
ssize_t write(int fd, const void *data, size_t n)
{
    REAL(write)
    if (!fails(CALL_WRITE, fd, 0)) {
        return real(fd, data, n);
    }
    return is_short() ? real(fd, data, shorter(n)) : -1;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    REAL(pwrite)
    if (!fails(CALL_WRITE, fd, (uint64_t)at)) {
        return real(fd, data, n, at);
    }
    return is_short() ? real(fd, data, shorter(n), at) : -1;
}

static size_t bytes_of(const struct iovec *parts, int n)
{
    size_t bytes = 0;
    for (int i = 0; i < n; i++) {
        bytes += parts[i].iov_len;
    }
    return bytes;
}

ssize_t pwrite64(int fd, const void *data, size_t n, off_t at)
{
    return pwrite(fd, data, n, at);
}

/* Its first part alone, which is short when there are more. */
ssize_t writev(int fd, const struct iovec *parts, int n)
{
    REAL(writev)
    if (!fails(CALL_WRITE, fd, (uint64_t)lseek(fd, 0, SEEK_CUR))) {
        return real(fd, parts, n);
    }
    struct iovec first = parts[0];
    first.iov_len = n > 1 ? first.iov_len : shorter(first.iov_len);
    return is_short() && bytes_of(parts, n) > 0 ? real(fd, &first, 1) : -1;
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
    REAL(pwritev)
    if (!fails(CALL_WRITE, fd, (uint64_t)at)) {
        return real(fd, parts, n, at);
    }
    struct iovec first = parts[0];
    first.iov_len = n > 1 ? first.iov_len : shorter(first.iov_len);
    return is_short() && bytes_of(parts, n) > 0 ? real(fd, &first, 1, at) : -1;
}

int posix_fallocate(int fd, off_t at, off_t n)
{
    REAL(posix_fallocate)
    return fails(CALL_ALLOCATE, fd, (uint64_t)at) ? rule->code : real(fd, at, n);
}

/* --- what raft_uv submits --- */

/* Submissions whose end is to be told as a failure. */
static _Atomic uint64_t submitted[SUBMITTED_MAX];

static void remember(uint64_t block)
{
    for (int i = 0; i < SUBMITTED_MAX; i++) {
        uint64_t none = 0;
        if (atomic_compare_exchange_strong(&submitted[i], &none, block)) {
            return;
        }
    }
}

static bool recall(uint64_t block)
{
    for (int i = 0; i < SUBMITTED_MAX; i++) {
        uint64_t expected = block;
        if (atomic_compare_exchange_strong(&submitted[i], &expected, 0)) {
            return true;
        }
    }
    return false;
}

/* The kernel gets nothing of it, or a block, so that the disk lacks what was not written. */
static void spoil(struct iocb *b)
{
    int fd = (int)b->aio_fildes;
    bool synced = is_wanted(CALL_DSYNC);
    count_sync(fd);
    if (!fails(synced ? CALL_DSYNC : CALL_WRITE, fd, 0)) {
        return;
    }
    if (synced) {
        note_failed(fd);
    }
    struct iovec *parts = (struct iovec *)(uintptr_t)b->aio_buf;
    if (is_short() && b->aio_lio_opcode == IOCB_CMD_PWRITEV) {
        parts[0].iov_len = parts[0].iov_len > 4096 ? 4096 : 512;
        b->aio_nbytes = 1;
        return;
    }
    b->aio_nbytes = 0;
    remember((uint64_t)(uintptr_t)b);
}

static void tell(struct io_event *events, long n)
{
    for (long i = 0; i < n; i++) {
        if (recall(events[i].obj)) {
            events[i].res = -(int64_t)rule->code;
        }
    }
}

long syscall(long number, ...)
{
    REAL(syscall)
    va_list args;
    long a[6];
    va_start(args, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(args, long);
    }
    va_end(args);
    if (number == SYS_pwritev) {
        return pwritev((int)a[0], (const struct iovec *)a[1], (int)a[2], a[3]);
    }
    if (number == SYS_preadv) {
        return preadv((int)a[0], (const struct iovec *)a[1], (int)a[2], a[3]);
    }
    if (number == SYS_io_submit) {
        struct iocb **blocks = (struct iocb **)a[2];
        for (long i = 0; i < a[1]; i++) {
            spoil(blocks[i]);
        }
    }
    long r = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_io_getevents && r > 0) {
        tell((struct io_event *)a[3], r);
    }
    return r;
}

/* --- names --- */

static bool open_fails(const char *path, int flags)
{
    if ((flags & O_TRUNC) != 0) {
        forget_failed(path);
    }
    return fails_at(CALL_OPEN, path, 0);
}

int open(const char *path, int flags, ...)
{
    REAL(open)
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_fails(path, flags) ? -1 : real(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    REAL(open64)
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_fails(path, flags) ? -1 : real(path, flags, mode);
}

int rename(const char *from, const char *to)
{
    REAL(rename)
    return fails_at(CALL_RENAME, to, 0) ? -1 : real(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    REAL(linkat)
    return fails_at(CALL_RENAME, to, 0) ? -1 : real(from_folder, from, to_folder, to, flags);
}

int unlink(const char *path)
{
    REAL(unlink)
    forget_failed(path);
    return real(path);
}

int ftruncate(int fd, off_t bytes)
{
    REAL(ftruncate)
    char path[512];
    if (bytes == 0 && path_of(fd, path, sizeof path)) {
        forget_failed(path);
    }
    return real(fd, bytes);
}

int ftruncate64(int fd, off_t bytes)
{
    return ftruncate(fd, bytes);
}

/* --- room --- */

/* A disk that takes no more has none, where the rule says so. */
static int without_room(int r, struct statvfs *fs)
{
    if (atomic_load(&rule->call) != CALL_NONE && rule->full != 0) {
        fs->f_bavail = 0;
        fs->f_bfree = 0;
    }
    return r;
}

int statvfs(const char *path, struct statvfs *ret)
{
    REAL(statvfs)
    return without_room(real(path, ret), ret);
}

int fstatvfs(int fd, struct statvfs *ret)
{
    REAL(fstatvfs)
    return without_room(real(fd, ret), ret);
}

/* --- reads --- */

ssize_t read(int fd, void *to, size_t n)
{
    REAL(read)
    return fails(CALL_READ, fd, 0) ? -1 : real(fd, to, n);
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    REAL(pread)
    return fails(CALL_READ, fd, (uint64_t)at) ? -1 : real(fd, to, n, at);
}

ssize_t pread64(int fd, void *to, size_t n, off_t at)
{
    return pread(fd, to, n, at);
}

ssize_t preadv(int fd, const struct iovec *parts, int n, off_t at)
{
    REAL(preadv)
    return fails(CALL_READ, fd, (uint64_t)at) ? -1 : real(fd, parts, n, at);
}
