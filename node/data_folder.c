#include "node/data_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <uv.h>

#include "consensus/disk.h"
#include "consensus/guard.h"

static void join(char *to, size_t to_bytes, const char *a, const char *b)
{
    (void)snprintf(to, to_bytes, "%s/%s", a, b);
}

#define PATH_BYTES (CONFIG_PATH_BYTES + 600)

/* --- the lock --- */

static int refuse_locked(int fd, const char *path, struct error *error)
{
    char pid[32];
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? n : 0] = 0;
    pid[strcspn(pid, "\n")] = 0;
    return error_set(error, CLADE_ERR_IN_USE, path,
                     "the data folder is in use by another process (pid %s)",
                     pid[0] != 0 ? pid : "not known");
}

static int lock_folder(const char *path, int *ret_fd, struct error *error)
{
    char lock[PATH_BYTES];
    char pid[32];
    join(lock, sizeof lock, path, "LOCK");
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_set(error, CLADE_ERR_IO, lock, "cannot be opened: %s", strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int r = errno == EWOULDBLOCK
                    ? refuse_locked(fd, path, error)
                    : error_set(error, CLADE_ERR_IO, lock, "cannot be locked: %s", strerror(errno));
        (void)close(fd);
        return r;
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
        int r = error_set(error, CLADE_ERR_IO, lock, "cannot be written: %s", strerror(errno));
        (void)close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

/* --- opening --- */

static int read_current(struct data_folder *f, struct error *error)
{
    char path[PATH_BYTES];
    char name[256];
    (void)snprintf(path, sizeof path, "%s/store/CURRENT", f->path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof name - 1);
    int e = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (n < 0) {
        return error_set(error, CLADE_ERR_IO, path, "cannot be read: %s", strerror(e));
    }
    name[n] = 0;
    size_t len = strcspn(name, "\n");
    bool valid = len > 0 && name[len] == '\n' && name[0] != '.';
    name[len] = 0;
    if (!valid || strchr(name, '/') != NULL) {
        return error_set(error, CLADE_ERR_CORRUPT, path,
                         "does not name a folder; rebuild this node as a new member");
    }
    (void)snprintf(f->store_path, sizeof f->store_path, "%s/store/%s", f->path, name);
    struct stat st;
    if (stat(f->store_path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return error_set(error, CLADE_ERR_CORRUPT, f->store_path,
                         "the store that CURRENT names is not there");
    }
    return 0;
}

static int compare_stamp(const struct data_folder *f, const char *sub, struct error *error)
{
    char path[PATH_BYTES];
    struct identity stamp;
    (void)snprintf(path, sizeof path, "%s/%s/identity", f->path, sub);
    int r = identity_read(path, &stamp, error);
    if (r < 0) {
        return r;
    }
    if (stamp.node != f->identity.node || stamp.cluster.low != f->identity.cluster.low ||
        stamp.cluster.high != f->identity.cluster.high) {
        char theirs[33];
        char ours[33];
        hash128_format(stamp.cluster, theirs);
        hash128_format(f->identity.cluster, ours);
        return error_set(error, CLADE_ERR_INVALID, path,
                         "belongs to node %" PRIu64
                         " of cluster %s, but the data folder to node %" PRIu64
                         " of cluster %s: folders of two nodes were mixed",
                         stamp.node, theirs, f->identity.node, ours);
    }
    return 0;
}

static int check_expected(const struct data_folder *f,
                          const char *cluster,
                          uint64_t node,
                          struct error *error)
{
    char ours[33];
    hash128_format(f->identity.cluster, ours);
    if (cluster[0] != 0 && strcmp(cluster, ours) != 0) {
        return error_set(error, CLADE_ERR_INVALID, f->path,
                         "the data folder belongs to cluster %s, not to %s", ours, cluster);
    }
    if (node != 0 && node != f->identity.node) {
        return error_set(error, CLADE_ERR_INVALID, f->path,
                         "the data folder belongs to node %" PRIu64 ", not to node %" PRIu64,
                         f->identity.node, node);
    }
    return 0;
}

static int read_identity(struct data_folder *f, struct error *error)
{
    char path[PATH_BYTES];
    join(path, sizeof path, f->path, "identity");
    int r = identity_read(path, &f->identity, error);
    if (r == CLADE_ERR_NOT_FOUND) {
        char again[PATH_BYTES];
        join(again, sizeof again, f->path, "INIT");
        return access(again, F_OK) == 0
                   ? error_set(error, CLADE_ERR_NOT_FOUND, f->path,
                               "an init of this folder was interrupted; run it again")
                   : error_set(error, CLADE_ERR_NOT_FOUND, f->path,
                               "is not a data folder of a node; run 'claded init' first");
    }
    if (r == 0 && f->identity.members_len == 0) {
        return error_set(error, CLADE_ERR_CORRUPT, path, "names no members");
    }
    return r;
}

int data_folder_open(const char *path,
                     const char *cluster,
                     uint64_t node,
                     struct data_folder *ret,
                     struct error *error)
{
    struct data_folder f = {.lock_fd = -1};
    struct stat st;
    ret->lock_fd = -1;
    (void)snprintf(f.path, sizeof f.path, "%s", path);
    (void)snprintf(f.raft_path, sizeof f.raft_path, "%s/raft", path);
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return error_set(error, CLADE_ERR_NOT_FOUND, path,
                         "there is no such data folder; run 'claded init' first");
    }
    int r = read_identity(&f, error);
    if (r == 0) {
        r = lock_folder(path, &f.lock_fd, error);
    }
    if (r == 0) {
        r = check_expected(&f, cluster, node, error);
    }
    if (r == 0) {
        r = compare_stamp(&f, "raft", error);
    }
    if (r == 0) {
        r = compare_stamp(&f, "store", error);
    }
    if (r == 0) {
        r = read_current(&f, error);
    }
    if (r < 0) {
        data_folder_close(&f);
        return r;
    }
    *ret = f;
    return 0;
}

void data_folder_close(struct data_folder *folder)
{
    if (folder->lock_fd >= 0) {
        (void)close(folder->lock_fd);
        folder->lock_fd = -1;
    }
}

int data_folder_space(const struct data_folder *folder, uint64_t *ret_free, uint64_t *ret_total)
{
    struct statvfs s;
    if (statvfs(folder->path, &s) != 0) {
        return CLADE_ERR_IO;
    }
    *ret_free = (uint64_t)s.f_bavail * s.f_frsize;
    *ret_total = (uint64_t)s.f_blocks * s.f_frsize;
    return 0;
}

/* --- making --- */

static int failed(const char *path, const char *what, struct error *error)
{
    return error_set(error, CLADE_ERR_IO, path, "cannot %s: %s", what, strerror(errno));
}

static int make_dir(const char *path, struct error *error)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : failed(path, "be made", error);
}

static int sync_dir(const char *path, struct error *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0) {
        (void)close(fd);
    }
    return r == 0 ? 0 : failed(path, "be synced", error);
}

static int write_text(const char *path, const char *text, struct error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t len = (ssize_t)strlen(text);
    int r = fd >= 0 && write(fd, text, (size_t)len) == len && fsync(fd) == 0
                ? 0
                : failed(path, "be written", error);
    if (fd >= 0) {
        (void)close(fd);
    }
    return r;
}

/* Removes the files of a folder that an interrupted init left, one level of folders deep. */
static int empty_dir(const char *path, int depth, struct error *error)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        return errno == ENOENT ? 0 : failed(path, "be read", error);
    }
    int r = 0;
    for (struct dirent *e; r == 0 && (e = readdir(d)) != NULL;) {
        char child[PATH_BYTES];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        join(child, sizeof child, path, e->d_name);
        if (lstat(child, &st) != 0) {
            r = failed(child, "be read", error);
        } else if (!S_ISDIR(st.st_mode)) {
            r = unlink(child) == 0 ? 0 : failed(child, "be removed", error);
        } else if (depth > 0) {
            r = empty_dir(child, depth - 1, error);
            if (r == 0 && rmdir(child) != 0) {
                r = failed(child, "be removed", error);
            }
        }
    }
    (void)closedir(d);
    return r;
}

/* Whether nothing but our lock is in the folder. */
static int check_empty(const char *path, struct error *error)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        return failed(path, "be read", error);
    }
    int r = 0;
    for (struct dirent *e; r == 0 && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            strcmp(e->d_name, "LOCK") != 0) {
            r = error_set(error, CLADE_ERR_INVALID, path, "the folder is not empty ('%s' is in it)",
                          e->d_name);
        }
    }
    (void)closedir(d);
    return r;
}

static int stamp_and_sync(const char *path,
                          const char *sub,
                          const struct identity *identity,
                          struct error *error)
{
    char folder[PATH_BYTES];
    char stamp[PATH_BYTES + 16];
    join(folder, sizeof folder, path, sub);
    join(stamp, sizeof stamp, folder, "identity");
    int r = identity_write(identity, true, stamp, error);
    return r < 0 ? r : sync_dir(folder, error);
}

static int make_store(const char *path, struct error *error)
{
    char file[PATH_BYTES];
    (void)snprintf(file, sizeof file, "%s/store/1", path);
    int r = make_dir(file, error);
    if (r == 0) {
        (void)snprintf(file, sizeof file, "%s/store/CURRENT", path);
        r = write_text(file, "1\n", error);
    }
    return r;
}

static void on_disk_fatal(void *arg, const struct error *error)
{
    *(struct error *)arg = *error;
}

/* Writes the first configuration into the log, on a loop of its own. */
static int bootstrap_log(const char *path, const struct identity *identity, struct error *error)
{
    uv_loop_t loop;
    struct disk *disk;
    struct error disk_error = {.code = 0};
    if (uv_loop_init(&loop) != 0) {
        return error_set(error, CLADE_ERR_NO_MEMORY, path, "an event loop cannot be made");
    }
    const struct disk_options options = {
        .loop = &loop, .path = path, .on_fatal = on_disk_fatal, .arg = &disk_error};
    int r = disk_new(&options, &disk, error);
    if (r == 0) {
        r = group_bootstrap(disk_io(disk), identity->node, identity_address(identity),
                            identity->members, identity->members_len, error);
        (void)uv_run(&loop, UV_RUN_DEFAULT); /* the log's closing goes through the loop */
        disk_free(disk);
    }
    (void)uv_loop_close(&loop);
    if (r == 0 && disk_error.code != 0) {
        *error = disk_error;
        r = disk_error.code;
    }
    return r;
}

/* The identity comes last: a folder without one was never used, so all may be made anew. */
static int make_all(const char *path, const struct identity *identity, struct error *error)
{
    char raft[PATH_BYTES];
    char store[PATH_BYTES];
    char file[PATH_BYTES];
    int r;
    join(raft, sizeof raft, path, "raft");
    join(store, sizeof store, path, "store");
    if ((r = make_dir(raft, error)) < 0 || (r = make_dir(store, error)) < 0 ||
        (r = empty_dir(raft, 0, error)) < 0 || (r = empty_dir(store, 1, error)) < 0 ||
        (r = bootstrap_log(raft, identity, error)) < 0 ||
        (r = guard_file_create(raft, error)) < 0 || (r = make_store(path, error)) < 0 ||
        (r = stamp_and_sync(path, "raft", identity, error)) < 0 ||
        (r = stamp_and_sync(path, "store", identity, error)) < 0 ||
        (r = sync_dir(path, error)) < 0) {
        return r;
    }
    join(file, sizeof file, path, "identity");
    r = identity_write(identity, false, file, error);
    return r < 0 ? r : sync_dir(path, error);
}

static int compare_made(const char *path, const struct identity *identity, struct error *error)
{
    char file[PATH_BYTES];
    struct identity made;
    join(file, sizeof file, path, "identity");
    int r = identity_read(file, &made, error);
    if (r < 0) {
        return r;
    }
    if (!identity_equal(&made, identity)) {
        char cluster[33];
        hash128_format(made.cluster, cluster);
        return error_set(error, CLADE_ERR_INVALID, path,
                         "the folder is that of node %" PRIu64 " of cluster %s already, made with "
                         "another node, name or member list",
                         made.node, cluster);
    }
    return 1;
}

static int init_locked(const char *path, const struct identity *identity, struct error *error)
{
    char marker[PATH_BYTES];
    join(marker, sizeof marker, path, "INIT");
    if (access(marker, F_OK) != 0) {
        int r = check_empty(path, error);
        if (r == 0) {
            r = write_text(marker, "init is under way\n", error);
        }
        if (r == 0) {
            r = sync_dir(path, error);
        }
        if (r < 0) {
            return r;
        }
    }
    int r = make_all(path, identity, error);
    if (r < 0) {
        return r;
    }
    (void)unlink(marker);
    return sync_dir(path, error);
}

int data_folder_init(const char *path, const struct identity *identity, struct error *error)
{
    char file[PATH_BYTES];
    int fd;
    int r = make_dir(path, error);
    if (r < 0) {
        return r;
    }
    join(file, sizeof file, path, "identity");
    if (access(file, F_OK) == 0) {
        return compare_made(path, identity, error);
    }
    r = lock_folder(path, &fd, error);
    if (r < 0) {
        return r;
    }
    r = init_locked(path, identity, error);
    (void)close(fd);
    return r;
}
