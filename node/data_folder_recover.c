/* A data folder on its way to be another cluster's; recover.c says in which order. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "node/data_folder_internal.h"
#include "node/files.h"

#define MARKER       "RECOVER"
#define CLUSTER_LINE "\ncluster="
#define DIGITS       32

int data_folder_read_recovery(const char *path,
                              bool *ret_there,
                              struct hash128 *ret_cluster,
                              struct error *error)
{
    char file[FILES_PATH_BYTES];
    char text[512] = "";
    files_join(file, path, MARKER);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    /* Without the folder there is no marker either; what is wrong with that is said of the folder.
     * Whatever else keeps it from being read, it may be there. */
    *ret_there = fd >= 0 || (errno != ENOENT && errno != ENOTDIR);
    if (!*ret_there) {
        return 0;
    }
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    int r = n < 0 ? file_error(file, "cannot be read", error) : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (r < 0) {
        return r;
    }
    text[n] = 0;
    const char *line = strstr(text, CLUSTER_LINE);
    line = line == NULL ? "" : line + sizeof CLUSTER_LINE - 1;
    if (strnlen(line, DIGITS) < DIGITS || !hash128_parse(span_make(line, DIGITS), ret_cluster)) {
        return error_set(error, CLADE_ERR_CORRUPT, file,
                         "does not say which cluster the folder shall be of");
    }
    return 0;
}

int data_folder_refuse_recovering(const char *path, struct error *error)
{
    bool there;
    struct hash128 cluster;
    int r = data_folder_read_recovery(path, &there, &cluster, error);
    return !there ? 0
           : r < 0 && r != CLADE_ERR_CORRUPT
               ? r
               : error_set(error, CLADE_ERR_CONFLICT, path,
                           "a recovery of this folder was interrupted: run 'claded recover "
                           "--data %s' again",
                           path);
}

int data_folder_begin_recovery(const struct data_folder *f,
                               struct hash128 cluster,
                               struct error *error)
{
    char hex[33];
    char text[256];
    hash128_format(cluster, hex);
    (void)snprintf(text, sizeof text,
                   "the node is on its way to be the first one of another cluster; run 'claded "
                   "recover' again" CLUSTER_LINE "%s\n",
                   hex);
    return files_replace_text(f->path, MARKER, text, error);
}

static bool is_stamped(const struct data_folder *f, const char *sub, struct hash128 cluster)
{
    char file[FILES_PATH_BYTES];
    struct identity stamp;
    (void)snprintf(file, sizeof file, "%s/%s/identity", f->path, sub);
    return identity_read(file, &stamp, NULL) == 0 && hash128_equal(stamp.cluster, cluster);
}

bool data_folder_has_new_log(const struct data_folder *f, struct hash128 cluster)
{
    return is_stamped(f, "raft", cluster) || is_stamped(f, DATA_FOLDER_NEW_RAFT, cluster);
}

int data_folder_adopt_log(const struct data_folder *f, struct error *error)
{
    char made[FILES_PATH_BYTES];
    files_join(made, f->path, DATA_FOLDER_NEW_RAFT);
    if (access(made, F_OK) != 0) {
        return 0;
    }
    int r = files_remove_dir(f->raft_path, 0, error);
    if (r == 0 && rename(made, f->raft_path) != 0) {
        r = file_error(f->raft_path, "cannot be put in place", error);
    }
    return r < 0 ? r : file_sync_folder(f->path, error);
}

int data_folder_end_recovery(const struct data_folder *f, struct error *error)
{
    char file[FILES_PATH_BYTES];
    files_join(file, f->path, MARKER);
    if (unlink(file) != 0 && errno != ENOENT) {
        return file_error(file, "cannot be removed", error);
    }
    return file_sync_folder(f->path, error);
}
