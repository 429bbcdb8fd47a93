#include "base/backup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/file.h"

#define HEADER_HASHED_BYTES 128
#define HEAD_HASHED_BYTES   16
#define NO_BACKUP           "it is no backup of clade"

static const uint8_t magic[8] = "cladebk";

/* --- the header --- */

void backup_header_encode(const struct backup_manifest *m,
                          uint8_t bytes[BACKUP_HEADER_BYTES],
                          struct backup_chain *ret)
{
    memcpy(bytes, magic, sizeof magic);
    put_u32le(bytes + 8, BACKUP_VERSION);
    put_u32le(bytes + 12, (uint32_t)m->kind);
    hash128_put(bytes + 16, m->cluster);
    put_u32le(bytes + 32, m->store_format);
    put_u32le(bytes + 36, 0);
    put_u64le(bytes + 40, m->node);
    put_u64le(bytes + 48, m->base);
    put_u64le(bytes + 56, m->index);
    put_u64le(bytes + 64, m->revision);
    put_u64le(bytes + 72, m->time_us);
    put_u64le(bytes + 80, m->covers_us);
    hash128_put(bytes + 88, m->data);
    hash128_put(bytes + 104, m->state);
    put_u64le(bytes + 120, m->bytes);
    uint64_t checksum = hash64(span_make(bytes, HEADER_HASHED_BYTES), 0);
    put_u64le(bytes + HEADER_HASHED_BYTES, checksum);
    *ret = (struct backup_chain){.checksum = checksum};
}

static int check_header(const uint8_t *bytes, struct error *error)
{
    if (memcmp(bytes, magic, sizeof magic) != 0) {
        return error_set(error, CLADE_ERR_CORRUPT, NULL, NO_BACKUP);
    }
    uint32_t version = get_u32le(bytes + 8);
    if (version > BACKUP_VERSION) {
        return error_set(error, CLADE_ERR_UNSUPPORTED, NULL,
                         "the backup is of version %" PRIu32
                         "; this program knows versions up to %d: use a newer one",
                         version, BACKUP_VERSION);
    }
    if (get_u64le(bytes + HEADER_HASHED_BYTES) !=
        hash64(span_make(bytes, HEADER_HASHED_BYTES), 0)) {
        return error_set(error, CLADE_ERR_CORRUPT, NULL,
                         "the header does not match its checksum; take another copy of the file, "
                         "or another backup");
    }
    return 0;
}

static bool is_possible(const struct backup_manifest *m)
{
    bool full = m->kind == BACKUP_FULL && m->base == 0 && m->bytes > 0;
    bool incremental = m->kind == BACKUP_INCREMENTAL && m->base <= m->index && m->bytes == 0;
    return full || incremental;
}

int backup_header_decode(const uint8_t bytes[BACKUP_HEADER_BYTES],
                         struct backup_manifest *ret,
                         struct backup_chain *ret_chain,
                         struct error *error)
{
    int rc = check_header(bytes, error);
    if (rc != 0) {
        return rc;
    }
    struct backup_manifest m = {.kind = (enum backup_kind)get_u32le(bytes + 12),
                                .cluster = hash128_get(bytes + 16),
                                .store_format = get_u32le(bytes + 32),
                                .node = get_u64le(bytes + 40),
                                .base = get_u64le(bytes + 48),
                                .index = get_u64le(bytes + 56),
                                .revision = get_u64le(bytes + 64),
                                .time_us = get_u64le(bytes + 72),
                                .covers_us = get_u64le(bytes + 80),
                                .data = hash128_get(bytes + 88),
                                .state = hash128_get(bytes + 104),
                                .bytes = get_u64le(bytes + 120)};
    if (!is_possible(&m) || get_u32le(bytes + 8) == 0 || get_u32le(bytes + 36) != 0) {
        return error_set(error, CLADE_ERR_CORRUPT, NULL, "the header says what cannot be");
    }
    *ret = m;
    *ret_chain = (struct backup_chain){.checksum = get_u64le(bytes + HEADER_HASHED_BYTES)};
    return 0;
}

/* --- chunks --- */

static uint64_t chunk_checksum(const struct backup_chain *chain,
                               const uint8_t *head,
                               struct span bytes)
{
    return hash64(bytes, hash64(span_make(head, HEAD_HASHED_BYTES), chain->checksum));
}

/* Takes what follows into the chain. */
static void go_on(struct backup_chain *chain, uint64_t checksum, size_t len)
{
    chain->checksum = checksum;
    chain->chunks += len > 0;
    chain->bytes += len;
}

void backup_chunk_encode(struct backup_chain *chain,
                         struct span bytes,
                         uint8_t head[BACKUP_CHUNK_HEAD_BYTES])
{
    CHECK(bytes.len <= BACKUP_CHUNK_BYTES_MAX);
    put_u32le(head, (uint32_t)bytes.len);
    put_u32le(head + 4, 0);
    put_u64le(head + 8, bytes.len > 0 ? chain->chunks : chain->bytes);
    uint64_t checksum = chunk_checksum(chain, head, bytes);
    put_u64le(head + HEAD_HASHED_BYTES, checksum);
    go_on(chain, checksum, bytes.len);
}

/* --- reading --- */

static int damaged(const struct backup_reader *r, const char *what, struct error *error)
{
    return error_set(error, CLADE_ERR_CORRUPT, r->path,
                     "at byte %" PRIu64 ": %s; take another copy of the file, or another backup",
                     r->offset, what);
}

/* As many of len bytes as there are. */
static int read_up_to(
    struct backup_reader *r, uint64_t at, uint8_t *to, size_t len, size_t *ret, struct error *error)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(r->fd, to + done, len - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return file_error(r->path, "cannot be read", error);
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    *ret = done;
    return 0;
}

static int read_all(
    struct backup_reader *r, uint64_t at, uint8_t *to, size_t len, struct error *error)
{
    size_t done;
    int rc = read_up_to(r, at, to, len, &done, error);
    return rc != 0 || done == len ? rc : damaged(r, "the file is cut off", error);
}

int backup_reader_open(struct backup_reader *r, const char *path, struct error *error)
{
    uint8_t bytes[BACKUP_HEADER_BYTES];
    *r = (struct backup_reader){.path = path};
    buffer_init(&r->chunk, BACKUP_CHUNK_BYTES_MAX);
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0) {
        return errno == ENOENT
                   ? error_set(error, CLADE_ERR_NOT_FOUND, path, "there is no such file")
                   : file_error(path, "cannot be opened", error);
    }
    size_t n;
    int rc = read_up_to(r, 0, bytes, sizeof bytes, &n, error);
    if (rc != 0) {
        return rc;
    }
    if (n < sizeof bytes) {
        return n >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0
                   ? damaged(r, "the file is cut off", error)
                   : error_set(error, CLADE_ERR_CORRUPT, path, NO_BACKUP);
    }
    struct error e = {.code = 0};
    rc = backup_header_decode(bytes, &r->manifest, &r->chain, &e);
    if (rc != 0) {
        return error_set(error, rc, path, "%s", e.message);
    }
    r->offset = sizeof bytes;
    return 0;
}

void backup_reader_release(struct backup_reader *r)
{
    if (r->path != NULL && r->fd >= 0) {
        (void)close(r->fd);
    }
    buffer_release(&r->chunk);
    *r = (struct backup_reader){0};
}

static int check_end(struct backup_reader *r, const uint8_t *head, struct error *error)
{
    uint8_t more;
    size_t n;
    if (get_u64le(head + 8) != r->chain.bytes ||
        (r->manifest.kind == BACKUP_FULL && r->manifest.bytes != r->chain.bytes)) {
        return damaged(r, "its end is not that of what is before it", error);
    }
    int rc = read_up_to(r, r->offset + BACKUP_CHUNK_HEAD_BYTES, &more, 1, &n, error);
    if (rc == 0 && n != 0) {
        rc = damaged(r, "something stands behind its end", error);
    }
    r->ended = rc == 0;
    return rc;
}

int backup_reader_next(struct backup_reader *r, struct span *ret, struct error *error)
{
    uint8_t head[BACKUP_CHUNK_HEAD_BYTES];
    if (r->ended) {
        return 1;
    }
    int rc = read_all(r, r->offset, head, sizeof head, error);
    if (rc != 0) {
        return rc;
    }
    size_t len = get_u32le(head);
    if (len > BACKUP_CHUNK_BYTES_MAX || get_u32le(head + 4) != 0) {
        return damaged(r, "there is no chunk", error);
    }
    buffer_clear(&r->chunk);
    uint8_t *bytes = len > 0 ? buffer_extend(&r->chunk, len) : NULL;
    if (len > 0 && bytes == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, r->path, "out of memory");
    }
    rc = len > 0 ? read_all(r, r->offset + sizeof head, bytes, len, error) : 0;
    if (rc != 0) {
        return rc;
    }
    uint64_t checksum = chunk_checksum(&r->chain, head, buffer_span(&r->chunk));
    if (get_u64le(head + HEAD_HASHED_BYTES) != checksum) {
        return damaged(r, "the checksum is wrong", error);
    }
    if (len == 0) {
        rc = check_end(r, head, error);
        return rc != 0 ? rc : 1;
    }
    if (get_u64le(head + 8) != r->chain.chunks) {
        return damaged(r, "the chunk is not the next one", error);
    }
    go_on(&r->chain, checksum, len);
    r->offset += sizeof head + len;
    *ret = buffer_span(&r->chunk);
    return 0;
}
