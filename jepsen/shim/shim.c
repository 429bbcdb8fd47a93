/* Stands between claded and the C library: makes syncs and writes fail or slow, and moves the
 * clock.
 *
 * The environment's CLADE_SHIM names a file of u64 that is mapped by this process and by the test:
 * what shall happen stands in its first half, what did happen is counted in its second. libfaketime
 * and strace could do parts of it, but neither tells that it hit anything.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The same table stands in cluster/shim.go. */
enum slot {
    SYNC_ERRNO,
    WRITE_ERRNO,
    PER_MILLE, /* of calls that fail */
    SYNC_DELAY_US,
    WRITE_DELAY_US,
    CLOCK_OFFSET_NS,
    CLOCK_DRIFT_PPM,
    CLOCK_DRIFT_FROM_NS, /* true time since when it drifts */
    SYNCS_FAILED = 16,
    WRITES_FAILED,
    DELAYED,
    CLOCK_ASKED, /* while it was wrong */
    SYNCS,
    WRITES,
    SLOTS = 32
};

static _Atomic int64_t idle[SLOTS];
static _Atomic int64_t *slots = idle;

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("CLADE_SHIM");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    void *p = mmap(NULL, sizeof idle, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p != MAP_FAILED) {
        slots = p;
    }
}

#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (real == NULL) {                                                                            \
        real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                         \
    }

static void count(enum slot slot)
{
    atomic_fetch_add_explicit(&slots[slot], 1, memory_order_relaxed);
}

static int64_t get(enum slot slot)
{
    return atomic_load_explicit(&slots[slot], memory_order_relaxed);
}

/* Files alone: sockets and the log on stdout are left alone. */
static bool is_file(int fd)
{
    struct stat st;
    return fd > 2 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_chosen(void)
{
    static _Atomic uint64_t state = 88172645463325252u;
    int64_t per_mille = get(PER_MILLE);
    uint64_t x = atomic_fetch_add_explicit(&state, 0x9e3779b97f4a7c15u, memory_order_relaxed);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (int64_t)((x ^ (x >> 31)) % 1000) < per_mille;
}

static void delay(enum slot slot)
{
    int64_t us = get(slot);
    if (us > 0) {
        count(DELAYED);
        struct timespec t = {us / 1000000, us % 1000000 * 1000};
        (void)syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &t, NULL);
    }
}

/* Whether this call is to fail, errno being set then. */
static bool disturb(int fd, enum slot error, enum slot slow, enum slot calls, enum slot failed)
{
    if (get(error) == 0 && get(slow) == 0) {
        count(calls);
        return false;
    }
    if (!is_file(fd)) {
        return false;
    }
    count(calls);
    delay(slow);
    int64_t code = get(error);
    if (code == 0 || !is_chosen()) {
        return false;
    }
    count(failed);
    errno = (int)code;
    return true;
}

static bool disturb_sync(int fd)
{
    return disturb(fd, SYNC_ERRNO, SYNC_DELAY_US, SYNCS, SYNCS_FAILED);
}

static bool disturb_write(int fd)
{
    return disturb(fd, WRITE_ERRNO, WRITE_DELAY_US, WRITES, WRITES_FAILED);
}

/* --- disk --- */

int fsync(int fd)
{
    REAL(fsync)
    return disturb_sync(fd) ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync)
    return disturb_sync(fd) ? -1 : real(fd);
}

ssize_t write(int fd, const void *data, size_t n)
{
    REAL(write)
    return disturb_write(fd) ? -1 : real(fd, data, n);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    REAL(writev)
    return disturb_write(fd) ? -1 : real(fd, parts, n);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    REAL(pwrite)
    return disturb_write(fd) ? -1 : real(fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    REAL(pwrite64)
    return disturb_write(fd) ? -1 : real(fd, data, n, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
    REAL(pwritev)
    return disturb_write(fd) ? -1 : real(fd, parts, n, at);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int n, off_t at, int flags)
{
    REAL(pwritev2)
    return disturb_write(fd) ? -1 : real(fd, parts, n, at, flags);
}

/* A submission to the kernel that comes late. */
struct late_submit {
    long context;
    long n;
    int64_t wait_us;
    void *blocks[]; /* their memory is the caller's until they are done */
};

static void *submit_late(void *arg)
{
    struct late_submit *l = arg;
    struct timespec t = {l->wait_us / 1000000, l->wait_us % 1000000 * 1000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    REAL(syscall)
    if (real(SYS_io_submit, l->context, l->n, l->blocks) != l->n) {
        _exit(70); /* the caller believes that it was taken */
    }
    free(l);
    return NULL;
}

/* A slow disk holds up no thread that submits to it. False: it goes the usual way. */
static bool submit_later(long context, long n, void *const *blocks)
{
    int64_t us = get(SYNC_DELAY_US);
    struct late_submit *l = us == 0 ? NULL : malloc(sizeof *l + (size_t)n * sizeof *blocks);
    pthread_t thread;
    if (l == NULL) {
        return false;
    }
    *l = (struct late_submit){context, n, us};
    for (long i = 0; i < n; i++) {
        l->blocks[i] = blocks[i];
    }
    if (pthread_create(&thread, NULL, submit_late, l) != 0) {
        free(l);
        return false;
    }
    (void)pthread_detach(thread);
    count(DELAYED);
    return true;
}

/* raft_uv submits its writes, which are synced by a flag of theirs, through this. */
static bool fails_to_submit(void)
{
    count(WRITES);
    int code = (int)(get(WRITE_ERRNO) != 0 ? get(WRITE_ERRNO) : get(SYNC_ERRNO));
    if (code == 0 || !is_chosen()) {
        return false;
    }
    count(get(WRITE_ERRNO) != 0 ? WRITES_FAILED : SYNCS_FAILED);
    errno = code;
    return true;
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
    if (number == SYS_io_submit) {
        if (fails_to_submit()) {
            return -1;
        }
        if (submit_later(a[0], a[1], (void *const *)a[2])) {
            return a[1];
        }
    }
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* --- clock --- */

static int64_t wrong_by_ns(int64_t now_ns)
{
    int64_t offset = get(CLOCK_OFFSET_NS);
    int64_t drift = get(CLOCK_DRIFT_PPM);
    if (offset == 0 && drift == 0) {
        return 0;
    }
    count(CLOCK_ASKED);
    return offset + (now_ns - get(CLOCK_DRIFT_FROM_NS)) / 1000000 * drift;
}

/* Time of day alone: a monotonic clock does not jump in any world. */
int clock_gettime(clockid_t id, struct timespec *t)
{
    REAL(clock_gettime)
    int r = real(id, t);
    if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t ns = t->tv_sec * INT64_C(1000000000) + t->tv_nsec;
        ns += wrong_by_ns(ns);
        t->tv_sec = ns / 1000000000;
        t->tv_nsec = ns % 1000000000;
    }
    return r;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    (void)zone;
    struct timespec t;
    int r = clock_gettime(CLOCK_REALTIME, &t);
    tv->tv_sec = t.tv_sec;
    tv->tv_usec = t.tv_nsec / 1000;
    return r;
}
