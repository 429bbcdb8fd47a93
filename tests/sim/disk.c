#include "tests/sim/disk.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/sim/disk_file.h"
#include "tests/sim/disk_internal.h"

#define DISKS_MAX 16
#define FDS_MAX   4096

/* A change of names that was not synced yet. */
struct name_change {
    enum { NAME_MADE, NAME_GONE, NAME_MOVED, FOLDER_MADE, FOLDER_GONE } kind;
    char *path;
    char *to;   /* NAME_MOVED */
    char *kept; /* where what was removed or replaced lies until then; NULL = nothing was */
};

struct sim_disk {
    char folder[PATH_MAX];
    size_t folder_len;
    char gone[PATH_MAX]; /* removed files, until that is durable */
    uint64_t gone_next;
    struct sim_random *random;
    struct disk_file *files;
    bool has_gone; /* files without a name, perhaps */
    struct name_change *names;
    size_t names_len;
    size_t names_cap;
    uint64_t room;
    uint64_t calls_left;
    struct sim_disk_counts counts;
};

/* open() has no owner to ask. */
static struct sim_disk *disks[DISKS_MAX];
static struct disk_open *opens[FDS_MAX];

/* --- life --- */

struct sim_disk *sim_disk_new(const char *folder, struct sim_random *random)
{
    struct sim_disk *d = calloc(1, sizeof *d);
    CHECK(d != NULL);
    d->random = random;
    d->room = DISK_ROOM_ENOUGH;
    d->calls_left = DISK_CALLS_NEVER;
    d->folder_len = (size_t)snprintf(d->folder, sizeof d->folder, "%s", folder);
    CHECK(d->folder_len < sizeof d->folder);
    CHECK((size_t)snprintf(d->gone, sizeof d->gone, "%s.gone", folder) < sizeof d->gone);
    CHECK(syscall(SYS_mkdir, d->gone, 0700) == 0);
    size_t i = 0;
    while (i < DISKS_MAX && disks[i] != NULL) {
        i++;
    }
    CHECK(i < DISKS_MAX);
    disks[i] = d;
    return d;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return (int)syscall(type == FTW_DP ? SYS_rmdir : SYS_unlink, path);
}

static void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void free_change(struct name_change *c)
{
    free(c->path);
    free(c->to);
    free(c->kept);
}

void sim_disk_free(struct sim_disk *d)
{
    if (d == NULL) {
        return;
    }
    while (d->files != NULL) {
        struct disk_file *f = d->files;
        d->files = f->next;
        disk_file_free(f);
    }
    for (size_t i = 0; i < d->names_len; i++) {
        free_change(&d->names[i]);
    }
    free(d->names);
    for (size_t i = 0; i < DISKS_MAX; i++) {
        disks[i] = disks[i] == d ? NULL : disks[i];
    }
    remove_tree(d->folder);
    remove_tree(d->gone);
    free(d);
}

void sim_disk_set_room(struct sim_disk *d, uint64_t bytes)
{
    d->room = bytes;
}

void sim_disk_fail_after(struct sim_disk *d, uint64_t calls)
{
    d->calls_left = calls;
}

struct sim_disk_counts sim_disk_counts(const struct sim_disk *d)
{
    return d->counts;
}

uint64_t sim_disk_room(const struct sim_disk *d)
{
    return d->room;
}

/* --- whose is it --- */

struct sim_disk *disk_of_path(const char *path)
{
    for (size_t i = 0; i < DISKS_MAX; i++) {
        const struct sim_disk *d = disks[i];
        if (d != NULL && strncmp(path, d->folder, d->folder_len) == 0 &&
            (path[d->folder_len] == '/' || path[d->folder_len] == '\0')) {
            return disks[i];
        }
    }
    return NULL;
}

struct disk_open *disk_of_fd(int fd)
{
    return fd >= 0 && fd < FDS_MAX ? opens[fd] : NULL;
}

/* Every call that changes something passes here: false when the disk is gone. */
static bool works(struct sim_disk *d)
{
    if (d->calls_left == 0) {
        d->counts.errors++;
        errno = EIO;
        return false;
    }
    d->calls_left -= d->calls_left != DISK_CALLS_NEVER;
    return true;
}

bool sim_disk_take(struct sim_disk *d, uint64_t bytes)
{
    if (!works(d)) {
        return false;
    }
    if (d->room != DISK_ROOM_ENOUGH) {
        if (bytes > d->room) {
            d->counts.full++;
            return false;
        }
        d->room -= bytes;
    }
    return true;
}

/* --- names --- */

static char *copy(const char *text)
{
    char *c = strdup(text);
    CHECK(c != NULL);
    return c;
}

static struct name_change *note_name(struct sim_disk *d, int kind, const char *path)
{
    if (d->names_len == d->names_cap) {
        d->names_cap = d->names_cap == 0 ? 16 : d->names_cap * 2;
        d->names = realloc(d->names, d->names_cap * sizeof *d->names);
        CHECK(d->names != NULL);
    }
    struct name_change *c = &d->names[d->names_len++];
    *c = (struct name_change){.kind = kind, .path = copy(path)};
    return c;
}

static bool exists(const char *path)
{
    return syscall(SYS_access, path, F_OK) == 0;
}

/* Moves a file out of sight until its removal is durable; its new path is the caller's. */
static char *keep_aside(struct sim_disk *d, const char *path)
{
    char kept[PATH_MAX + 24];
    (void)snprintf(kept, sizeof kept, "%s/%llu", d->gone, (unsigned long long)++d->gone_next);
    CHECK(syscall(SYS_rename, path, kept) == 0);
    return copy(kept);
}

static void forget_gone_files(struct sim_disk *d)
{
    if (!d->has_gone) {
        return;
    }
    d->has_gone = false;
    for (struct disk_file **at = &d->files; *at != NULL;) {
        struct disk_file *f = *at;
        if (f->opens > 0 || !disk_file_is_gone(f)) {
            d->has_gone |= f->opens > 0;
            at = &f->next;
            continue;
        }
        if (d->room != DISK_ROOM_ENOUGH) {
            d->room += f->len;
        }
        *at = f->next;
        disk_file_free(f);
    }
}

static bool is_in(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return path != NULL && strncmp(path, folder, len) == 0 && path[len] == '/' &&
           strchr(path + len + 1, '/') == NULL;
}

/* The names in a folder are durable as they are. */
static void settle_names(struct sim_disk *d, const char *folder)
{
    size_t left = 0;
    for (size_t i = 0; i < d->names_len; i++) {
        struct name_change c = d->names[i];
        if (!is_in(c.kind == NAME_MOVED ? c.to : c.path, folder)) {
            d->names[left++] = c;
            continue;
        }
        if (c.kept != NULL) {
            (void)syscall(SYS_unlink, c.kept);
            d->has_gone = true;
        }
        free_change(&c);
    }
    d->names_len = left;
    forget_gone_files(d);
}

static void take_name_back(struct name_change *c)
{
    switch (c->kind) {
    case NAME_MADE:
        (void)syscall(SYS_unlink, c->path);
        break;
    case NAME_GONE:
        (void)syscall(SYS_rename, c->kept, c->path);
        break;
    case NAME_MOVED:
        (void)syscall(SYS_rename, c->to, c->path);
        if (c->kept != NULL) {
            (void)syscall(SYS_rename, c->kept, c->to);
        }
        break;
    case FOLDER_MADE:
        remove_tree(c->path);
        break;
    case FOLDER_GONE:
        (void)syscall(SYS_mkdir, c->path, 0700);
        break;
    }
    free_change(c);
}

/* Names are journalled: a crash takes the last of them. */
static void crash_names(struct sim_disk *d)
{
    size_t kept = random_below(d->random, d->names_len + 1);
    while (d->names_len > kept) {
        take_name_back(&d->names[--d->names_len]);
    }
    while (d->names_len > 0) {
        struct name_change *c = &d->names[--d->names_len];
        if (c->kept != NULL) {
            (void)syscall(SYS_unlink, c->kept);
        }
        free_change(c);
    }
    d->has_gone = true; /* also what was made and is not there */
    forget_gone_files(d);
}

void sim_disk_crash(struct sim_disk *d, enum sim_crash how)
{
    if (how == CRASH_POWER) {
        for (struct disk_file *f = d->files; f != NULL; f = f->next) {
            CHECK(f->opens == 0);
            d->counts.undone += disk_file_crash(f, d->random);
            disk_file_trim(f);
        }
        crash_names(d);
    }
    d->calls_left = DISK_CALLS_NEVER;
    d->counts.errors = 0;
}

int disk_unlink(struct sim_disk *d, const char *path)
{
    if (!works(d)) {
        return -1;
    }
    if (!exists(path)) {
        errno = ENOENT;
        return -1;
    }
    struct name_change *c = note_name(d, NAME_GONE, path);
    c->kept = keep_aside(d, path);
    return 0;
}

int disk_rename(struct sim_disk *d, const char *from, const char *to)
{
    if (!works(d)) {
        return -1;
    }
    if (!exists(from)) {
        errno = ENOENT;
        return -1;
    }
    struct name_change *c = note_name(d, NAME_MOVED, from);
    c->to = copy(to);
    struct stat st;
    if (stat(to, &st) == 0 && S_ISREG(st.st_mode)) {
        c->kept = keep_aside(d, to);
    }
    return (int)syscall(SYS_rename, from, to);
}

int disk_mkdir(struct sim_disk *d, const char *path, mode_t mode)
{
    if (!works(d) || syscall(SYS_mkdir, path, mode) != 0) {
        return -1;
    }
    (void)note_name(d, FOLDER_MADE, path);
    return 0;
}

int disk_rmdir(struct sim_disk *d, const char *path)
{
    if (!works(d) || syscall(SYS_rmdir, path) != 0) {
        return -1;
    }
    (void)note_name(d, FOLDER_GONE, path);
    return 0;
}

/* --- open files --- */

static struct disk_file *file_of(struct sim_disk *d, ino_t inode, const char *path)
{
    for (struct disk_file *f = d->files; f != NULL; f = f->next) {
        if (f->inode == inode) {
            return f;
        }
    }
    int own = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    CHECK(own >= 0);
    struct disk_file *f = disk_file_new(own);
    f->next = d->files;
    d->files = f;
    return f;
}

int disk_open(struct sim_disk *d, const char *path, int flags, mode_t mode)
{
    bool makes = (flags & O_CREAT) != 0 && !exists(path);
    if (makes && !works(d)) {
        return -1;
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags & ~O_TRUNC, mode);
    if (fd < 0) {
        return -1;
    }
    CHECK(fd < FDS_MAX && opens[fd] == NULL);
    struct disk_open *o = calloc(1, sizeof *o);
    CHECK(o != NULL);
    *o = (struct disk_open){
        .disk = d, .syncs = (flags & (O_SYNC | O_DSYNC)) != 0, .appends = (flags & O_APPEND) != 0};
    opens[fd] = o;
    struct stat st;
    CHECK(syscall(SYS_fstat, fd, &st) == 0);
    if (S_ISDIR(st.st_mode)) {
        o->folder = copy(path);
        return fd;
    }
    o->file = file_of(d, st.st_ino, path);
    o->file->opens++;
    if (makes) {
        (void)note_name(d, NAME_MADE, path);
    } else if ((flags & O_TRUNC) != 0 && o->file->len > 0) {
        disk_file_truncate(o->file, 0);
    }
    return fd;
}

int disk_close(struct disk_open *o, int fd)
{
    opens[fd] = NULL;
    if (o->file != NULL && --o->file->opens == 0) {
        disk_file_trim(o->file);
        forget_gone_files(o->disk);
    }
    free(o->folder);
    free(o);
    return (int)syscall(SYS_close, fd);
}

off_t disk_length(const struct disk_open *o)
{
    return (off_t)o->file->len;
}

void disk_fix_length(struct sim_disk *d, struct stat *st)
{
    for (const struct disk_file *f = d->files; f != NULL; f = f->next) {
        if (f->inode == st->st_ino) {
            st->st_size = (off_t)f->len;
        }
    }
}

ssize_t disk_read(const struct disk_open *o, void *to, size_t len, off_t at)
{
    size_t from = (size_t)at;
    size_t n = from >= o->file->len ? 0 : o->file->len - from;
    n = n < len ? n : len;
    if (n > 0) {
        memcpy(to, o->file->map + from, n);
    }
    return (ssize_t)n;
}

/* Of `len` bytes at `at`, those that the disk has room for; takes the room. */
static size_t take_room(struct sim_disk *d, const struct disk_file *f, size_t at, size_t len)
{
    if (d->room == DISK_ROOM_ENOUGH || at + len <= f->len) {
        return len;
    }
    size_t growth = at + len - f->len;
    if (growth > d->room) {
        d->counts.full++;
        size_t short_by = growth - (size_t)d->room;
        growth = (size_t)d->room;
        len = short_by < len ? len - short_by : 0;
    }
    d->room -= growth;
    return len;
}

ssize_t disk_write(struct disk_open *o, const struct iovec *parts, int n, off_t at)
{
    struct sim_disk *d = o->disk;
    size_t len = 0;
    for (int i = 0; i < n; i++) {
        len += parts[i].iov_len;
    }
    if (!works(d)) {
        return -1;
    }
    size_t fits = take_room(d, o->file, (size_t)at, len);
    if (fits == 0 && len > 0) {
        errno = ENOSPC;
        return -1;
    }
    d->counts.writes++;
    size_t done = 0;
    for (int i = 0; i < n && done < fits; i++) {
        size_t part = parts[i].iov_len < fits - done ? parts[i].iov_len : fits - done;
        disk_file_write(o->file, (size_t)at + done, parts[i].iov_base, part, o->syncs);
        done += part;
    }
    return (ssize_t)done;
}

int disk_sync(struct disk_open *o)
{
    if (!works(o->disk)) {
        return -1;
    }
    o->disk->counts.syncs++;
    if (o->folder != NULL) {
        settle_names(o->disk, o->folder);
    } else {
        disk_file_settle(o->file);
    }
    return 0;
}

int disk_truncate(struct disk_open *o, off_t len)
{
    if (!works(o->disk)) {
        return -1;
    }
    struct disk_file *f = o->file;
    size_t to = (size_t)len;
    if (to > f->len && take_room(o->disk, f, f->len, to - f->len) < to - f->len) {
        errno = ENOSPC;
        return -1;
    }
    if (to != f->len) {
        disk_file_truncate(f, to);
    }
    return 0;
}
