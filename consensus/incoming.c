#include "consensus/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/hash.h"

#define PROGRESS_BYTES 104
#define CHECKSUM_AT    96
#define VERSION        1

static const uint8_t magic[8] = "cladecu";

static void join(char to[INCOMING_PATH_BYTES], const struct incoming *in, const char *name)
{
    (void)snprintf(to, INCOMING_PATH_BYTES, "%s/%s", in->path, name);
}

static int fail(const char *path, const char *what, struct error *error)
{
    int code = errno == ENOSPC || errno == EDQUOT ? CLADE_ERR_NO_SPACE : CLADE_ERR_IO;
    return error_set(error, code, path, "cannot be %s: %m", what);
}

void incoming_init(struct incoming *in, const char *folder)
{
    *in = (struct incoming){.fd = -1};
    (void)snprintf(in->path, sizeof in->path, "%s/incoming", folder);
}

/* --- progress --- */

static void put_hash(uint8_t *at, struct hash128 h)
{
    put_u64le(at, h.low);
    put_u64le(at + 8, h.high);
}

static struct hash128 get_hash(const uint8_t *at)
{
    return (struct hash128){.low = get_u64le(at), .high = get_u64le(at + 8)};
}

static void encode(const struct incoming *in, uint8_t p[PROGRESS_BYTES])
{
    memset(p, 0, PROGRESS_BYTES);
    memcpy(p, magic, sizeof magic);
    put_u32le(p + 8, VERSION);
    put_u64le(p + 16, in->source);
    put_u64le(p + 24, in->copy);
    put_u64le(p + 32, in->info.bytes);
    put_u64le(p + 40, in->info.applied);
    put_u64le(p + 48, in->info.revision);
    put_hash(p + 56, in->info.data);
    put_hash(p + 72, in->info.state);
    put_u64le(p + 88, in->synced);
    put_u64le(p + CHECKSUM_AT, hash64(span_make(p, CHECKSUM_AT), 0));
}

static bool decode(struct incoming *in, const uint8_t p[PROGRESS_BYTES])
{
    if (memcmp(p, magic, sizeof magic) != 0 || get_u32le(p + 8) != VERSION ||
        get_u64le(p + CHECKSUM_AT) != hash64(span_make(p, CHECKSUM_AT), 0)) {
        return false;
    }
    in->source = get_u64le(p + 16);
    in->copy = get_u64le(p + 24);
    in->info = (struct store_copy_info){.bytes = get_u64le(p + 32),
                                        .applied = get_u64le(p + 40),
                                        .revision = get_u64le(p + 48),
                                        .data = get_hash(p + 56),
                                        .state = get_hash(p + 72)};
    in->synced = get_u64le(p + 88);
    return in->synced <= in->info.bytes;
}

bool incoming_load(struct incoming *in)
{
    char path[INCOMING_PATH_BYTES];
    uint8_t bytes[PROGRESS_BYTES];
    join(path, in, "progress");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    (void)close(fd);
    return n == (ssize_t)sizeof bytes && decode(in, bytes);
}

static int write_all(int fd, const uint8_t *data, size_t len, uint64_t offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return -1;
        }
        data += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int rv = fsync(fd);
    (void)close(fd);
    return rv;
}

static int write_progress(const struct incoming *in, struct error *error)
{
    char path[INCOMING_PATH_BYTES];
    char temporary[INCOMING_PATH_BYTES];
    uint8_t bytes[PROGRESS_BYTES];
    join(path, in, "progress");
    join(temporary, in, "progress.new");
    encode(in, bytes);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail(temporary, "made", error);
    }
    int rv = write_all(fd, bytes, sizeof bytes, 0);
    rv = rv == 0 ? fsync(fd) : rv;
    int e = errno;
    (void)close(fd);
    errno = e;
    if (rv != 0 || rename(temporary, path) != 0 || sync_folder(in->path) != 0) {
        return fail(path, "written", error);
    }
    return 0;
}

/* --- data --- */

static int open_data(struct incoming *in, int flags, struct error *error)
{
    char path[INCOMING_PATH_BYTES];
    incoming_close(in);
    join(path, in, "data.mdb");
    in->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
    return in->fd < 0 ? fail(path, "opened", error) : 0;
}

int incoming_begin(struct incoming *in, struct error *error)
{
    incoming_drop(in);
    in->synced = 0;
    if (mkdir(in->path, 0700) != 0 && errno != EEXIST) {
        return fail(in->path, "made", error);
    }
    int rc = open_data(in, O_TRUNC, error);
    return rc != 0 ? rc : write_progress(in, error);
}

int incoming_go_on(struct incoming *in, struct error *error)
{
    struct stat st;
    int rc = open_data(in, 0, error);
    if (rc == 0 && (fstat(in->fd, &st) != 0 || (uint64_t)st.st_size < in->synced)) {
        return error_set(error, CLADE_ERR_CORRUPT, in->path, "holds less than its progress says");
    }
    return rc;
}

int incoming_write(struct incoming *in, uint64_t offset, struct span bytes, struct error *error)
{
    return write_all(in->fd, bytes.data, bytes.len, offset) == 0 ? 0
                                                                 : fail(in->path, "written", error);
}

int incoming_sync(struct incoming *in, uint64_t bytes, struct error *error)
{
    if (fdatasync(in->fd) != 0) {
        return fail(in->path, "synced", error);
    }
    in->synced = bytes;
    return write_progress(in, error);
}

int incoming_finish(struct incoming *in, struct error *error)
{
    static const char *const others[] = {"progress", "progress.new", "lock.mdb"};
    char path[INCOMING_PATH_BYTES];
    if (ftruncate(in->fd, (off_t)in->info.bytes) != 0 || fsync(in->fd) != 0) {
        return fail(in->path, "synced", error);
    }
    incoming_close(in);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        join(path, in, others[i]);
        if (unlink(path) != 0 && errno != ENOENT) {
            return fail(path, "removed", error);
        }
    }
    return sync_folder(in->path) == 0 ? 0 : fail(in->path, "synced", error);
}

void incoming_drop(struct incoming *in)
{
    static const char *const files[] = {"progress", "progress.new", "lock.mdb", "data.mdb"};
    char path[INCOMING_PATH_BYTES];
    incoming_close(in);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        join(path, in, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(in->path);
}

void incoming_close(struct incoming *in)
{
    if (in->fd >= 0) {
        (void)close(in->fd);
    }
    in->fd = -1;
}

uint64_t incoming_free_bytes(const struct incoming *in)
{
    struct statvfs fs;
    char parent[INCOMING_PATH_BYTES];
    join(parent, in, "..");
    if (statvfs(in->path, &fs) != 0 && statvfs(parent, &fs) != 0) {
        char folder[INCOMING_PATH_BYTES];
        (void)snprintf(folder, sizeof folder, "%s", in->path);
        folder[strlen(folder) - strlen("/incoming")] = '\0';
        if (statvfs(folder, &fs) != 0) {
            return 0;
        }
    }
    return (uint64_t)fs.f_bavail * fs.f_frsize;
}
