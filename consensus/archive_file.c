#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "consensus/archive_internal.h"

#define RECORD_HASHED_BYTES 24
#define WINDOW_BYTES        ((size_t)256 << 10)

static const uint8_t magic[8] = "cladear";

/* As many of len bytes as the file has; < 0 with errno. */
static ssize_t read_all(int fd, uint64_t offset, uint8_t *to, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, to + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* --- the header --- */

static void header_encode(uint8_t p[ARCHIVE_HEADER_BYTES], struct hash128 cluster, uint64_t base)
{
    memcpy(p, magic, sizeof magic);
    put_u32le(p + 8, ARCHIVE_VERSION);
    put_u32le(p + 12, 0);
    hash128_put(p + 16, cluster);
    put_u64le(p + 32, base);
    put_u64le(p + 40, hash64(span_make(p, 40), 0));
}

int archive_file_create(
    const char *path, struct hash128 cluster, uint64_t base, int *ret_fd, struct error *error)
{
    uint8_t header[ARCHIVE_HEADER_BYTES];
    header_encode(header, cluster, base);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return file_error(path, "cannot be made", error);
    }
    if (!file_write_all(fd, 0, span_make(header, sizeof header))) {
        int rc = file_error(path, "cannot be written", error);
        (void)close(fd);
        (void)unlink(path);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

int archive_file_check(
    int fd, const char *path, struct hash128 cluster, uint64_t base, struct error *error)
{
    uint8_t expected[ARCHIVE_HEADER_BYTES];
    uint8_t found[ARCHIVE_HEADER_BYTES];
    header_encode(expected, cluster, base);
    ssize_t n = read_all(fd, 0, found, sizeof found);
    if (n < 0) {
        return file_error(path, "cannot be read", error);
    }
    return n != (ssize_t)sizeof found || memcmp(found, expected, sizeof found) != 0;
}

/* --- records --- */

static uint64_t record_hash(const uint8_t *head, struct span bytes)
{
    return hash64(bytes, hash64(span_make(head, RECORD_HASHED_BYTES), 0));
}

bool archive_record_put(struct buffer *b, uint64_t previous, uint64_t index, struct span entry)
{
    uint8_t head[ARCHIVE_RECORD_HEADER_BYTES];
    CHECK(index > previous && entry.len <= ARCHIVE_ENTRY_BYTES_MAX);
    put_u64le(head, previous);
    put_u64le(head + 8, index);
    put_u32le(head + 16, (uint32_t)entry.len);
    put_u32le(head + 20, 0);
    put_u64le(head + 24, record_hash(head, entry));
    return buffer_append(b, head, sizeof head) && buffer_append_span(b, entry);
}

static bool head_is_sound(const uint8_t *p)
{
    return get_u64le(p + 8) > get_u64le(p) && get_u32le(p + 16) <= ARCHIVE_ENTRY_BYTES_MAX &&
           get_u32le(p + 20) == 0;
}

int archive_record_next(struct span *rest, struct archive_record *ret, struct error *error)
{
    const uint8_t *p = rest->data;
    if (rest->len < ARCHIVE_RECORD_HEADER_BYTES || !head_is_sound(p) ||
        rest->len - ARCHIVE_RECORD_HEADER_BYTES < get_u32le(p + 16)) {
        return error_set(error, CLADE_ERR_CORRUPT, NULL, "a record of an archive is not whole");
    }
    struct span bytes = span_make(p + ARCHIVE_RECORD_HEADER_BYTES, get_u32le(p + 16));
    if (get_u64le(p + 24) != record_hash(p, bytes)) {
        return error_set(error, CLADE_ERR_CORRUPT, NULL,
                         "the checksum of a record of an archive is wrong");
    }
    *ret = (struct archive_record){
        .previous = get_u64le(p), .index = get_u64le(p + 8), .bytes = bytes};
    *rest = span_skip(*rest, ARCHIVE_RECORD_HEADER_BYTES + bytes.len);
    return 0;
}

/* --- the walk --- */

void archive_scan_init(struct archive_scan *s, int fd, const char *path, uint64_t at, uint64_t end)
{
    *s = (struct archive_scan){.fd = fd, .path = path, .at = at, .end = end};
}

void archive_scan_release(struct archive_scan *s)
{
    free(s->window);
    *s = (struct archive_scan){0};
}

/* What the file has from `at` on, at least `need` bytes of it where there are as many. */
static int window_fill(struct archive_scan *s, size_t need, struct span *ret, struct error *error)
{
    if (s->at >= s->window_at && s->at + need <= s->window_at + s->window_len) {
        *ret = span_skip(span_make(s->window, s->window_len), (size_t)(s->at - s->window_at));
        return 0;
    }
    size_t capacity = need > WINDOW_BYTES ? need : WINDOW_BYTES;
    if (capacity > s->window_capacity) {
        uint8_t *window = realloc(s->window, capacity);
        if (window == NULL) {
            return error_set(error, CLADE_ERR_NO_MEMORY, s->path, "out of memory");
        }
        s->window = window;
        s->window_capacity = capacity;
    }
    uint64_t left = s->end - s->at;
    size_t len = left < s->window_capacity ? (size_t)left : s->window_capacity;
    s->window_len = 0;
    ssize_t n = read_all(s->fd, s->at, s->window, len);
    if (n < 0) {
        return file_error(s->path, "cannot be read", error);
    }
    s->window_at = s->at;
    s->window_len = (size_t)n;
    *ret = span_make(s->window, s->window_len);
    return 0;
}

int archive_scan_next(struct archive_scan *s,
                      struct archive_record *ret,
                      struct span *ret_raw,
                      struct error *error)
{
    if (s->at >= s->end) {
        return 1;
    }
    struct span bytes;
    int rc = window_fill(s, ARCHIVE_RECORD_HEADER_BYTES, &bytes, error);
    if (rc == 0 && bytes.len >= ARCHIVE_RECORD_HEADER_BYTES && head_is_sound(bytes.data)) {
        rc = window_fill(s, ARCHIVE_RECORD_HEADER_BYTES + (size_t)get_u32le(bytes.data + 16),
                         &bytes, error);
    }
    if (rc != 0) {
        return rc;
    }
    struct span rest = bytes;
    rc = archive_record_next(&rest, ret, error);
    if (rc != 0) {
        return rc;
    }
    *ret_raw = span_make(bytes.data, bytes.len - rest.len);
    s->at += ret_raw->len;
    return 0;
}
