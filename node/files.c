#include "node/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

void files_join(char to[FILES_PATH_BYTES], const char *a, const char *b)
{
    (void)snprintf(to, FILES_PATH_BYTES, "%s/%s", a, b);
}

int files_make_dir(const char *path, struct error *error)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0
                                                     : file_error(path, "cannot be made", error);
}

int files_write_text(const char *path, const char *text, struct error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = fd >= 0 && file_write_all(fd, 0, span_of(text)) && fsync(fd) == 0
                ? 0
                : file_error(path, "cannot be written", error);
    if (fd >= 0) {
        (void)close(fd);
    }
    return r;
}

int files_empty_dir(const char *path, int depth, struct error *error)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        return errno == ENOENT ? 0 : file_error(path, "cannot be read", error);
    }
    int r = 0;
    for (struct dirent *e; r == 0 && (e = readdir(d)) != NULL;) {
        char child[FILES_PATH_BYTES];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        files_join(child, path, e->d_name);
        if (lstat(child, &st) != 0) {
            r = file_error(child, "cannot be read", error);
        } else if (!S_ISDIR(st.st_mode)) {
            r = unlink(child) == 0 ? 0 : file_error(child, "cannot be removed", error);
        } else if (depth > 0) {
            r = files_remove_dir(child, depth - 1, error);
        }
    }
    (void)closedir(d);
    return r;
}

int files_remove_dir(const char *path, int depth, struct error *error)
{
    int r = files_empty_dir(path, depth, error);
    return r < 0 || rmdir(path) == 0 || errno == ENOENT
               ? r
               : file_error(path, "cannot be removed", error);
}

int files_replace_text(const char *folder, const char *name, const char *text, struct error *error)
{
    char path[FILES_PATH_BYTES];
    char made[FILES_PATH_BYTES + 8];
    files_join(path, folder, name);
    (void)snprintf(made, sizeof made, "%s.new", path);
    int r = files_write_text(made, text, error);
    if (r == 0 && rename(made, path) != 0) {
        r = file_error(path, "cannot be put in place", error);
    }
    if (r < 0) {
        (void)unlink(made);
        return r;
    }
    return file_sync_folder(folder, error);
}
