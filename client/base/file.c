#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int file_error(const char *path, const char *what, struct error *error)
{
    int code = errno == ENOSPC || errno == EDQUOT ? CLADE_ERR_NO_SPACE
               : errno == ENOMEM                  ? CLADE_ERR_NO_MEMORY
                                                  : CLADE_ERR_IO;
    return error_set(error, code, path, "%s: %m", what);
}

bool file_write_all(int fd, uint64_t offset, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = pwrite(fd, bytes.data, bytes.len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return false;
        }
        bytes = span_skip(bytes, (size_t)n);
        offset += (uint64_t)n;
    }
    return true;
}

int file_sync_folder(const char *path, struct error *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd >= 0 && fsync(fd) == 0
                 ? 0
                 : error_set(error, CLADE_ERR_IO, path, "cannot be synced: %m");
    if (fd >= 0) {
        (void)close(fd);
    }
    return rc;
}
