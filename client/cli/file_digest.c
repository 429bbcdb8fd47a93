#include "cli/file_digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"

#define CHUNK_BYTES (1u << 20)

/* Fills the chunk from `offset`; less than CHUNK_BYTES only at the end. */
static ssize_t read_chunk(int fd, uint8_t *chunk, uint64_t offset)
{
    size_t len = 0;
    while (len < CHUNK_BYTES) {
        ssize_t n = pread(fd, chunk + len, CHUNK_BYTES - len, (off_t)(offset + len));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return n;
        }
        if (n == 0) {
            break;
        }
        len += (size_t)n;
    }
    return (ssize_t)len;
}

int file_digest(int fd, char ret_text[33])
{
    uint8_t *bytes = malloc(sizeof(struct hash128) + CHUNK_BYTES);
    if (bytes == NULL) {
        return CLADE_ERR_NO_MEMORY;
    }
    uint8_t *chunk = bytes + sizeof(struct hash128);
    struct hash128 digest = {0};
    uint64_t offset = 0;
    ssize_t n;
    do {
        n = read_chunk(fd, chunk, offset);
        if (n < 0) {
            free(bytes);
            return CLADE_ERR_IO;
        }
        if (offset == 0) {
            digest = hash128(span_make(chunk, (size_t)n));
        } else if (n > 0) {
            memcpy(bytes, &digest, sizeof digest);
            digest = hash128(span_make(bytes, sizeof digest + (size_t)n));
        }
        offset += (uint64_t)n;
    } while (n == CHUNK_BYTES);
    free(bytes);
    hash128_format(digest, ret_text);
    return 0;
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool copy_all(int from, int to)
{
    uint8_t chunk[65536];
    ssize_t n;
    while ((n = read(from, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 || !write_all(to, chunk, (size_t)n)) {
            return false;
        }
    }
    return lseek(to, 0, SEEK_SET) == 0;
}

int file_spool(int fd, int *ret_fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        *ret_fd = fd;
        return 0;
    }
    const char *folder = getenv("TMPDIR");
    int spool = open(folder == NULL ? "/tmp" : folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spool < 0) {
        return CLADE_ERR_IO;
    }
    if (!copy_all(fd, spool)) {
        int saved = errno;
        (void)close(spool);
        errno = saved;
        return CLADE_ERR_IO;
    }
    *ret_fd = spool;
    return 0;
}
