/* Records of an archive, as another member sends them, and as they lie in a damaged file. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "consensus/archive_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Makes the checksums right, as far as lengths lead: or nothing behind them is ever reached. */
static void mend(uint8_t *p, size_t size)
{
    while (size >= ARCHIVE_RECORD_HEADER_BYTES) {
        size_t len = get_u32le(p + 16);
        uint8_t *bytes = p + ARCHIVE_RECORD_HEADER_BYTES;
        size -= ARCHIVE_RECORD_HEADER_BYTES;
        if (len > size) {
            return;
        }
        put_u64le(p + 24, hash64(span_make(bytes, len), hash64(span_make(p, 24), 0)));
        p = bytes + len;
        size -= len;
    }
}

static size_t decode(struct span bytes, struct buffer *again)
{
    struct span rest = bytes;
    struct archive_record r;
    size_t n = 0;
    while (archive_record_next(&rest, &r, NULL) == 0) {
        CHECK(r.index > r.previous);
        CHECK(archive_record_put(again, r.previous, r.index, r.bytes));
        n++;
    }
    CHECK(span_equal(buffer_span(again), span_make(bytes.data, bytes.len - rest.len)));
    return n;
}

static size_t walk(int fd, size_t size)
{
    struct archive_scan scan;
    struct archive_record r;
    struct span raw;
    size_t n = 0;
    archive_scan_init(&scan, fd, "memory", 0, size);
    while (archive_scan_next(&scan, &r, &raw, NULL) == 0) {
        n++;
    }
    CHECK(scan.at <= size);
    archive_scan_release(&scan);
    return n;
}

static void try(struct span bytes)
{
    static int fd = -1;
    struct buffer again;
    if (fd < 0) {
        fd = memfd_create("archive", MFD_CLOEXEC);
        CHECK(fd >= 0);
    }
    CHECK(ftruncate(fd, 0) == 0);
    CHECK(file_write_all(fd, 0, bytes));
    buffer_init(&again, bytes.len);
    CHECK(decode(bytes, &again) == walk(fd, bytes.len));
    buffer_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
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
