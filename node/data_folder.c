#include "node/data_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/time_text.h"
#include "node/data_folder_internal.h"
#include "node/files.h"

#define STORE_NAME_BYTES 24 /* a number, NUL */

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

int data_folder_lock(const char *path, int *ret_fd, struct error *error)
{
    char lock[FILES_PATH_BYTES];
    char pid[32];
    files_join(lock, path, "LOCK");
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
    errno = 0;
    bool told = ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) == n;
    /* A node starts on a full disk, to serve reads: then a second process is told no pid. */
    if (!told && errno != ENOSPC && errno != EDQUOT && errno != 0) {
        int r = error_set(error, CLADE_ERR_IO, lock, "cannot be written: %s", strerror(errno));
        (void)close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

/* --- its owner --- */

int data_folder_refuse_others(const char *path, struct error *error)
{
    struct stat st;
    struct passwd entry;
    struct passwd *owner = NULL;
    char bytes[2048];
    char name[64];
    if (stat(path, &st) != 0 || st.st_uid == geteuid()) {
        return 0;
    }
    (void)getpwuid_r(st.st_uid, &entry, bytes, sizeof bytes, &owner);
    (void)snprintf(name, sizeof name, "#%lu", (unsigned long)st.st_uid);
    return error_set(error, CLADE_ERR_CONFLICT, path,
                     "the folder is user %s's, who could not read what is made in it: run this as "
                     "that user (runuser -u %s -- claded ...), or give it to the one who is to run "
                     "the node",
                     owner == NULL ? name : owner->pw_name,
                     owner == NULL ? "USER" : owner->pw_name);
}

/* --- a node that was removed --- */

int data_folder_refuse_removed(const char *path, struct error *error)
{
    char file[FILES_PATH_BYTES];
    char text[512] = "";
    files_join(file, path, "REMOVED");
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : file_error(file, "cannot be opened", error);
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0; /* what is below the sentence is for programs */
    return error_set(error, CLADE_ERR_CONFLICT, path,
                     "%s; make a new node with 'claded init --join', in a new folder and with an "
                     "id that was never used",
                     text[0] != 0 ? text : "this node was removed from its cluster");
}

int data_folder_mark_removed(const struct data_folder *folder,
                             uint64_t index,
                             uint64_t wall_us,
                             struct error *error)
{
    char cluster[33];
    char time[TIME_TEXT_BYTES];
    char at[48] = "";
    char text[512];
    if (index != 0) {
        (void)snprintf(at, sizeof at, " at log index %" PRIu64, index);
    }
    hash128_format(folder->identity.cluster, cluster);
    time_format(wall_us, time);
    (void)snprintf(text, sizeof text,
                   "node %" PRIu64 " was removed from cluster %s%s (%s) and does not come back\n"
                   "cluster=%s\nnode=%" PRIu64 "\nindex=%" PRIu64 "\ntime=%s\n",
                   folder->identity.node, cluster, at, time, cluster, folder->identity.node, index,
                   time);
    return files_replace_text(folder->path, "REMOVED", text, error);
}

/* --- the store's folder --- */

static bool is_number(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len < STORE_NAME_BYTES && strspn(name, "0123456789") == len;
}

static void use_store(struct data_folder *f, const char *name)
{
    (void)snprintf(f->store_path, sizeof f->store_path, "%s/%s", f->store_folder, name);
}

static const char *current_name(const struct data_folder *f)
{
    return f->store_path + strlen(f->store_folder) + 1;
}

/* Stores that a copy replaced, and a copy that did not come to be current. A copy that is being
 * received stays: it goes on where it stood. */
static int sweep_stores(const struct data_folder *f, struct error *error)
{
    DIR *d = opendir(f->store_folder);
    if (d == NULL) {
        return error_set(error, CLADE_ERR_IO, f->store_folder, "cannot be read: %s",
                         strerror(errno));
    }
    int r = 0;
    for (struct dirent *e; r == 0 && (e = readdir(d)) != NULL;) {
        char old[FILES_PATH_BYTES];
        bool former = is_number(e->d_name) && strcmp(e->d_name, current_name(f)) != 0;
        if (former || strcmp(e->d_name, DATA_FOLDER_SHRINKING) == 0) {
            files_join(old, f->store_folder, e->d_name);
            r = files_remove_dir(old, 0, error);
        }
    }
    (void)closedir(d);
    return r;
}

/* What needs room comes first, and what was done of it is undone, so that on a full disk the copy
 * stays where it is. The name in CURRENT must never be that of a folder which the disk does not
 * have. */
static int move_store(const struct data_folder *f,
                      const char *path,
                      const char *to,
                      const char *name,
                      struct error *error)
{
    char current[FILES_PATH_BYTES];
    char made[FILES_PATH_BYTES];
    char text[STORE_NAME_BYTES + 1];
    files_join(current, f->store_folder, "CURRENT");
    files_join(made, f->store_folder, "CURRENT.new");
    (void)snprintf(text, sizeof text, "%s\n", name);
    int r = files_write_text(made, text, error);
    if (r == 0 && rename(path, to) != 0) {
        r = file_error(path, "cannot become the current store", error);
    }
    if (r == 0) {
        r = file_sync_folder(f->store_folder, error);
    }
    if (r == 0 && rename(made, current) != 0) {
        r = file_error(current, "cannot be put in place", error);
        (void)rename(to, path);
    }
    return r < 0 ? r : file_sync_folder(f->store_folder, error);
}

int data_folder_adopt_store(struct data_folder *folder, const char *path, struct error *error)
{
    char name[STORE_NAME_BYTES];
    char to[FILES_PATH_BYTES];
    uint64_t number = strtoull(current_name(folder), NULL, 10) + 1;
    (void)snprintf(name, sizeof name, "%" PRIu64, number);
    files_join(to, folder->store_folder, name);
    /* One of that number can only be what an attempt that failed left. */
    int r = files_remove_dir(to, 0, error);
    if (r == 0) {
        r = move_store(folder, path, to, name, error);
    }
    if (r == 0) {
        use_store(folder, name);
    }
    return r;
}

int data_folder_remove_store(const struct data_folder *folder,
                             const char *path,
                             struct error *error)
{
    if (strcmp(path, folder->store_path) == 0) {
        return error_set(error, CLADE_ERR_INVALID, path, "is the current store");
    }
    return files_remove_dir(path, 0, error);
}

/* --- opening --- */

static int read_current(struct data_folder *f, struct error *error)
{
    char path[FILES_PATH_BYTES];
    char name[256];
    files_join(path, f->store_folder, "CURRENT");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof name - 1);
    int e = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (n < 0) {
        return error_set(error, e == ENOENT ? CLADE_ERR_CORRUPT : CLADE_ERR_IO, path,
                         "cannot be read: %s", strerror(e));
    }
    name[n] = 0;
    size_t len = strcspn(name, "\n");
    bool ended = name[len] == '\n';
    name[len] = 0;
    if (!ended || !is_number(name)) {
        return error_set(error, CLADE_ERR_CORRUPT, path, "does not name a folder");
    }
    use_store(f, name);
    struct stat st;
    if (stat(f->store_path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return error_set(error, CLADE_ERR_CORRUPT, f->store_path,
                         "the store that CURRENT names is not there");
    }
    return 0;
}

static int compare_stamp(const struct data_folder *f, const char *sub, struct error *error)
{
    char path[FILES_PATH_BYTES];
    struct identity stamp;
    (void)snprintf(path, sizeof path, "%s/%s/identity", f->path, sub);
    int r = identity_read(path, &stamp, error);
    if (r == CLADE_ERR_NOT_FOUND) { /* init writes the data folder's own last */
        return error_set(error, CLADE_ERR_CORRUPT, path, "is not there any more");
    }
    if (r < 0) {
        return r;
    }
    if (stamp.node != f->identity.node || !hash128_equal(stamp.cluster, f->identity.cluster)) {
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

static int refuse_unmade(const struct data_folder *f, struct error *error)
{
    char again[FILES_PATH_BYTES];
    char raft[FILES_PATH_BYTES];
    files_join(again, f->path, "INIT");
    files_join(raft, f->path, "raft");
    if (access(again, F_OK) == 0) {
        return error_set(error, CLADE_ERR_NOT_FOUND, f->path,
                         "the making of this folder was interrupted; run 'claded init' or "
                         "'claded restore' again");
    }
    if (access(raft, F_OK) == 0) {
        return error_set(error, CLADE_ERR_CORRUPT, f->path, "its file identity is lost");
    }
    return error_set(error, CLADE_ERR_NOT_FOUND, f->path,
                     "is not a data folder of a node; run 'claded init' first");
}

static int read_identity(struct data_folder *f, struct error *error)
{
    char path[FILES_PATH_BYTES];
    files_join(path, f->path, "identity");
    int r = identity_read(path, &f->identity, error);
    if (r == CLADE_ERR_NOT_FOUND) {
        return refuse_unmade(f, error);
    }
    if (r == 0 && f->identity.members_len == 0) {
        return error_set(error, CLADE_ERR_CORRUPT, path, "names no members");
    }
    return r;
}

/* An init that was killed when it had all but ended leaves its marker. While it is there an init
 * would wipe the folder, should the identity ever be lost. */
static int end_init(const char *path, struct error *error)
{
    char marker[FILES_PATH_BYTES];
    files_join(marker, path, "INIT");
    if (unlink(marker) == 0) {
        return file_sync_folder(path, error);
    }
    return errno == ENOENT ? 0 : file_error(marker, "cannot be removed", error);
}

static int open_folder(const char *path,
                       const char *cluster,
                       uint64_t node,
                       bool stamped,
                       struct data_folder *ret,
                       struct error *error)
{
    struct data_folder f = {.lock_fd = -1};
    struct stat st;
    ret->lock_fd = -1;
    (void)snprintf(f.path, sizeof f.path, "%s", path);
    (void)snprintf(f.raft_path, sizeof f.raft_path, "%s/raft", path);
    (void)snprintf(f.store_folder, sizeof f.store_folder, "%s/store", path);
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return error_set(error, CLADE_ERR_NOT_FOUND, path,
                         "there is no such data folder; run 'claded init' first");
    }
    int r = read_identity(&f, error);
    if (r == 0) {
        r = data_folder_lock(path, &f.lock_fd, error);
    }
    if (r == 0) {
        r = check_expected(&f, cluster, node, error);
    }
    if (r == 0) {
        r = data_folder_refuse_removed(path, error);
    }
    if (r == 0 && stamped) {
        r = compare_stamp(&f, "raft", error);
    }
    if (r == 0 && stamped) {
        r = compare_stamp(&f, "store", error);
    }
    if (r == 0) {
        r = end_init(path, error);
    }
    if (r == 0) {
        r = read_current(&f, error);
    }
    if (r == 0) {
        r = sweep_stores(&f, error);
    }
    if (r < 0) {
        data_folder_close(&f);
        return r;
    }
    *ret = f;
    return 0;
}

int data_folder_open(const char *path,
                     const char *cluster,
                     uint64_t node,
                     struct data_folder *ret,
                     struct error *error)
{
    ret->lock_fd = -1;
    int r = data_folder_refuse_recovering(path, error);
    return r < 0 ? r : open_folder(path, cluster, node, true, ret, error);
}

int data_folder_open_for_recovery(const char *path,
                                  struct data_folder *ret,
                                  bool *ret_resumed,
                                  struct hash128 *ret_cluster,
                                  struct error *error)
{
    ret->lock_fd = -1;
    int r = data_folder_read_recovery(path, ret_resumed, ret_cluster, error);
    r = r < 0 ? r : open_folder(path, "", 0, !*ret_resumed, ret, error);
    return r == CLADE_ERR_NOT_FOUND
               ? error_set(error, r, path,
                           "there is no node in this folder: name the data folder of a survivor")
               : r;
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
