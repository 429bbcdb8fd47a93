/* The file of a backup: the input is the file, as it stands and with its checksums made right as
 * far as lengths lead, or nothing behind the header is ever reached. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/backup_file.h"
#include "base/check.h"
#include "base/file.h"
#include "consensus/restore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fd = -1;
static char path[32];

/* A chunk after the other, each with the head that belongs to its length and place. */
static void mend(uint8_t *p, size_t size)
{
    struct backup_chain chain;
    if (size < BACKUP_HEADER_BYTES) {
        return;
    }
    memcpy(p, "cladebk", 8);
    put_u32le(p + 8, BACKUP_VERSION);
    put_u32le(p + 12, p[12] % 2 + 1u);
    put_u32le(p + 32, store_format());
    put_u32le(p + 36, 0);
    chain = (struct backup_chain){.checksum = hash64(span_make(p, BACKUP_HEADER_BYTES - 8), 0)};
    put_u64le(p + BACKUP_HEADER_BYTES - 8, chain.checksum);
    p += BACKUP_HEADER_BYTES;
    size -= BACKUP_HEADER_BYTES;
    while (size >= BACKUP_CHUNK_HEAD_BYTES) {
        size_t len = get_u32le(p) % 4096;
        size -= BACKUP_CHUNK_HEAD_BYTES;
        len = len < size ? len : 0; /* the end */
        backup_chunk_encode(&chain, span_make(p + BACKUP_CHUNK_HEAD_BYTES, len), p);
        if (len == 0) {
            return;
        }
        p += BACKUP_CHUNK_HEAD_BYTES + len;
        size -= len;
    }
}

static void try(struct span bytes)
{
    struct backup_reader r;
    struct span chunk;
    CHECK(ftruncate(fd, 0) == 0 && file_write_all(fd, 0, bytes));
    int rc = backup_reader_open(&r, path, NULL);
    uint64_t total = 0;
    while (rc == 0 && (rc = backup_reader_next(&r, &chunk, NULL)) == 0) {
        CHECK(chunk.len > 0);
        total += chunk.len;
    }
    CHECK(rc != 1 || r.manifest.kind != BACKUP_FULL || r.manifest.bytes == total);
    backup_reader_release(&r);
    const char *const files[] = {path};
    const struct restore_options options = {.files = files, .files_len = 1};
    struct restore_result result;
    (void)restore_check(&options, &result, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fd < 0) {
        fd = memfd_create("backup", MFD_CLOEXEC);
        CHECK(fd >= 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    try(span_make(data, size));
    uint8_t *mended = malloc(size + 1);
    CHECK(mended != NULL);
    if (size > 0) {
        memcpy(mended, data, size);
    }
    mend(mended, size);
    try(span_make(mended, size));
    free(mended);
    return 0;
}
