/* Making a data folder. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include <uv.h>

#include "base/file.h"
#include "consensus/disk.h"
#include "consensus/guard.h"
#include "node/data_folder_internal.h"
#include "node/files.h"

/* Whether nothing but our lock is in the folder. */
static int check_empty(const char *path, struct error *error)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        return error_set(error, CLADE_ERR_IO, path, "cannot be read: %s", strerror(errno));
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

static int write_stamp(const char *path,
                       const char *sub,
                       const struct identity *identity,
                       struct error *error)
{
    char folder[FILES_PATH_BYTES];
    files_join(folder, path, sub);
    return identity_write(identity, true, folder, error);
}

static int name_store(const char *path, struct error *error)
{
    char file[FILES_PATH_BYTES];
    (void)snprintf(file, sizeof file, "%s/store/CURRENT", path);
    return files_write_text(file, "1\n", error);
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

/* A node that joins learns the configuration from the log that the others send: its own is empty.
 * The store is made when it is first opened. */
static int fill_new(void *arg, const char *raft, const char *store, struct error *error)
{
    const struct identity *identity = arg;
    int r = identity->joined ? 0 : bootstrap_log(raft, identity, error);
    return r < 0 ? r : guard_file_create(raft, error);
}

struct making {
    const struct identity *identity;
    data_folder_fill fill;
    void *arg;
};

/* The identity comes last: a folder without one was never used, so all may be made anew. */
static int make_all(const char *path, const struct making *making, struct error *error)
{
    const struct identity *identity = making->identity;
    char raft[FILES_PATH_BYTES];
    char store[FILES_PATH_BYTES];
    char witness[FILES_PATH_BYTES];
    char first[FILES_PATH_BYTES + 4];
    int r;
    files_join(witness, path, "mark");
    (void)unlink(witness); /* of an init that was interrupted */
    files_join(raft, path, "raft");
    files_join(store, path, "store");
    (void)snprintf(first, sizeof first, "%s/1", store);
    if ((r = files_make_dir(raft, error)) < 0 || (r = files_make_dir(store, error)) < 0 ||
        (r = files_empty_dir(raft, 0, error)) < 0 || (r = files_empty_dir(store, 1, error)) < 0 ||
        (r = files_make_dir(first, error)) < 0 ||
        (r = making->fill(making->arg, raft, first, error)) < 0 ||
        (r = guard_file_create(path, error)) < 0 || (r = name_store(path, error)) < 0 ||
        (r = write_stamp(path, "raft", identity, error)) < 0 ||
        (r = write_stamp(path, "store", identity, error)) < 0 ||
        (r = file_sync_folder(path, error)) < 0) {
        return r;
    }
    return identity_write(identity, false, path, error);
}

static int compare_made(const char *path, const struct identity *identity, struct error *error)
{
    char file[FILES_PATH_BYTES];
    struct identity made;
    files_join(file, path, "identity");
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

static int make_locked(const char *path, const struct making *making, struct error *error)
{
    char marker[FILES_PATH_BYTES];
    files_join(marker, path, "INIT");
    if (access(marker, F_OK) != 0) {
        int r = check_empty(path, error);
        if (r == 0) {
            r = files_write_text(marker, "init is under way\n", error);
        }
        if (r == 0) {
            r = file_sync_folder(path, error);
        }
        if (r < 0) {
            return r;
        }
    }
    int r = make_all(path, making, error);
    if (r < 0) {
        return r;
    }
    (void)unlink(marker);
    return file_sync_folder(path, error);
}

static bool is_made(const char *path)
{
    char file[FILES_PATH_BYTES];
    files_join(file, path, "identity");
    return access(file, F_OK) == 0;
}

static int make(const char *path, const struct making *making, struct error *error)
{
    int fd;
    int r = data_folder_lock(path, &fd, error);
    if (r == 0) {
        r = make_locked(path, making, error);
        (void)close(fd);
    }
    return r;
}

int data_folder_make(const char *path,
                     const struct identity *identity,
                     data_folder_fill fill,
                     void *arg,
                     struct error *error)
{
    const struct making making = {.identity = identity, .fill = fill, .arg = arg};
    int r = files_make_dir(path, error);
    if (r == 0 && is_made(path)) {
        r = error_set(error, CLADE_ERR_CONFLICT, path,
                      "the folder is a node's already; name a new one");
    }
    return r < 0 ? r : make(path, &making, error);
}

int data_folder_init(const char *path, const struct identity *identity, struct error *error)
{
    struct identity own = *identity;
    const struct making making = {.identity = identity, .fill = fill_new, .arg = &own};
    int r = files_make_dir(path, error);
    if (r < 0) {
        return r;
    }
    if (is_made(path)) {
        r = data_folder_refuse_removed(path, error);
        return r < 0 ? r : compare_made(path, identity, error);
    }
    return make(path, &making, error);
}
