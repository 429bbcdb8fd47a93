#include "consensus/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"

#define CHECKSUM_AT     96
#define VERSION         1
#define ST_BLOCKS_BYTES 512

static const uint8_t magic[8] = "cladecu";

static void join(char to[INCOMING_PATH_BYTES], const char *folder, const char *name)
{
    (void)snprintf(to, INCOMING_PATH_BYTES, "%s/%s", folder, name);
}

void incoming_init(struct incoming *in, const char *folder)
{
    *in = (struct incoming){.fd = -1};
    (void)snprintf(in->path, sizeof in->path, "%s/incoming", folder);
    (void)snprintf(in->store, sizeof in->store, "%s/store", in->path);
}

/* --- progress --- */

void incoming_progress_encode(const struct incoming *in, uint8_t p[INCOMING_PROGRESS_BYTES])
{
    memset(p, 0, INCOMING_PROGRESS_BYTES);
    memcpy(p, magic, sizeof magic);
    put_u32le(p + 8, VERSION);
    put_u64le(p + 16, in->source);
    put_u64le(p + 24, in->copy);
    put_u64le(p + 32, in->info.bytes);
    put_u64le(p + 40, in->info.applied);
    put_u64le(p + 48, in->info.revision);
    hash128_put(p + 56, in->info.data);
    hash128_put(p + 72, in->info.state);
    put_u64le(p + 88, in->synced);
    put_u64le(p + CHECKSUM_AT, hash64(span_make(p, CHECKSUM_AT), 0));
}

bool incoming_progress_decode(struct span bytes, struct incoming *in)
{
    const uint8_t *p = bytes.data;
    if (bytes.len != INCOMING_PROGRESS_BYTES || memcmp(p, magic, sizeof magic) != 0 ||
        get_u32le(p + 8) != VERSION || get_u32le(p + 12) != 0 ||
        get_u64le(p + CHECKSUM_AT) != hash64(span_make(p, CHECKSUM_AT), 0) ||
        get_u64le(p + 88) > get_u64le(p + 32)) {
        return false;
    }
    in->source = get_u64le(p + 16);
    in->copy = get_u64le(p + 24);
    in->info = (struct store_copy_info){.bytes = get_u64le(p + 32),
                                        .applied = get_u64le(p + 40),
                                        .revision = get_u64le(p + 48),
                                        .data = hash128_get(p + 56),
                                        .state = hash128_get(p + 72)};
    in->synced = get_u64le(p + 88);
    return true;
}

static bool holds(const struct incoming *in, uint64_t bytes)
{
    char path[INCOMING_PATH_BYTES];
    struct stat st;
    join(path, in->store, "data.mdb");
    return stat(path, &st) == 0 && (uint64_t)st.st_size >= bytes;
}

bool incoming_load(struct incoming *in)
{
    char path[INCOMING_PATH_BYTES];
    uint8_t bytes[INCOMING_PROGRESS_BYTES + 1];
    join(path, in->path, "progress");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    (void)close(fd);
    return n > 0 && incoming_progress_decode(span_make(bytes, (size_t)n), in) &&
           holds(in, in->synced);
}

static int write_progress(const struct incoming *in, struct error *error)
{
    char path[INCOMING_PATH_BYTES];
    char temporary[INCOMING_PATH_BYTES];
    uint8_t bytes[INCOMING_PROGRESS_BYTES];
    join(path, in->path, "progress");
    join(temporary, in->path, "progress.new");
    incoming_progress_encode(in, bytes);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return file_error(temporary, "cannot be made", error);
    }
    int rc = file_write_all(fd, 0, span_make(bytes, sizeof bytes)) && fsync(fd) == 0 &&
                     rename(temporary, path) == 0
                 ? 0
                 : file_error(path, "cannot be written", error);
    (void)close(fd);
    return rc == 0 ? file_sync_folder(in->path, error) : rc;
}

/* --- data --- */

static int open_data(struct incoming *in, int flags, struct error *error)
{
    char path[INCOMING_PATH_BYTES];
    incoming_close(in);
    join(path, in->store, "data.mdb");
    in->fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    return in->fd < 0 ? file_error(path, "cannot be opened", error) : 0;
}

static void remove_files(const struct incoming *in)
{
    static const char *const in_store[] = {"data.mdb", "lock.mdb"};
    static const char *const in_folder[] = {"progress", "progress.new"};
    char path[INCOMING_PATH_BYTES];
    /* Without its progress the rest is of no use: if a crash leaves anything, it is the rest. */
    for (size_t i = 0; i < sizeof in_folder / sizeof in_folder[0]; i++) {
        join(path, in->path, in_folder[i]);
        (void)unlink(path);
    }
    for (size_t i = 0; i < sizeof in_store / sizeof in_store[0]; i++) {
        join(path, in->store, in_store[i]);
        (void)unlink(path);
    }
    (void)rmdir(in->store);
    (void)rmdir(in->path);
}

int incoming_begin(struct incoming *in, struct error *error)
{
    incoming_close(in);
    remove_files(in);
    in->synced = 0;
    if ((mkdir(in->path, 0700) != 0 && errno != EEXIST) ||
        (mkdir(in->store, 0700) != 0 && errno != EEXIST)) {
        return file_error(in->store, "cannot be made", error);
    }
    int rc = open_data(in, O_CREAT | O_TRUNC, error);
    return rc != 0 ? rc : write_progress(in, error);
}

int incoming_go_on(struct incoming *in, struct error *error)
{
    if (!holds(in, in->synced)) {
        return error_set(error, CLADE_ERR_CORRUPT, in->store, "holds less than its progress says");
    }
    return open_data(in, 0, error);
}

int incoming_write(struct incoming *in, uint64_t offset, struct span bytes, struct error *error)
{
    if (!file_write_all(in->fd, offset, bytes)) {
        return file_error(in->store, "cannot be written", error);
    }
    /* Begun only, and told of by the sync: what is left to it must not hold the disk up. */
    (void)sync_file_range(in->fd, (off_t)offset, (off_t)bytes.len, SYNC_FILE_RANGE_WRITE);
    return 0;
}

int incoming_sync(struct incoming *in, uint64_t bytes, struct error *error)
{
    int rc = fdatasync(in->fd) == 0 ? file_sync_folder(in->store, error)
                                    : file_error(in->store, "cannot be synced", error);
    if (rc != 0) {
        return rc;
    }
    in->synced = bytes;
    return write_progress(in, error);
}

int incoming_finish(struct incoming *in, struct error *error)
{
    int rc = in->fd < 0 ? open_data(in, 0, error) : 0;
    if (rc == 0 && ftruncate(in->fd, (off_t)in->info.bytes) != 0) {
        rc = file_error(in->store, "cannot be cut to its length", error);
    }
    if (rc == 0) {
        rc = incoming_sync(in, in->info.bytes, error);
    }
    incoming_close(in);
    return rc;
}

void incoming_drop(struct incoming *in)
{
    incoming_close(in);
    remove_files(in);
    in->source = 0;
    in->copy = 0;
    in->info = (struct store_copy_info){0};
    in->synced = 0;
}

void incoming_close(struct incoming *in)
{
    if (in->fd >= 0) {
        (void)close(in->fd);
    }
    in->fd = -1;
}

bool incoming_room(const struct incoming *in, uint64_t *ret_bytes)
{
    char path[INCOMING_PATH_BYTES];
    struct statvfs fs;
    struct stat st;
    /* The folder itself may not be there yet. */
    (void)snprintf(path, sizeof path, "%s", in->path);
    *strrchr(path, '/') = '\0';
    if (statvfs(path, &fs) != 0) {
        return false;
    }
    *ret_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    join(path, in->store, "data.mdb");
    if (stat(path, &st) == 0) {
        *ret_bytes += (uint64_t)st.st_blocks * ST_BLOCKS_BYTES;
    }
    return true;
}
