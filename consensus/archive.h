#pragma once
/* What was applied, kept on disk after the log was cut: the jobs of the apply queue in order, each
 * index covered once. Members that are behind catch up from it; incremental backups will too.
 * Written by the apply thread alone; read by any thread.
 *
 * A folder of segments. All integers little-endian.
 *     file NAME  <20 digits of the segment's base index>.archive
 *     header  0 "cladear" and a zero   8 u32 version (1)   12 u32 0   16 16 bytes cluster id
 *            32 u64 base: the first record's `previous`    40 u64 XXH3-64 of the 40 bytes before
 *     record  0 u64 previous   8 u64 index   16 u32 length   20 u32 0
 *            24 u64 XXH3-64 of the bytes, seeded with that of the 24 bytes before
 *            32 bytes
 *     length 0: the log advanced from `previous` to `index` without a command.
 *
 * A segment is synced before the next one is begun, so only the newest can have a torn tail, and
 * only the newest is scanned at the start. Where a record begins is not indexed: the places where
 * the latest reads ended are remembered, and any other read scans its segment from the front, at
 * most segment_bytes.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/span.h"
#include "storage/entry.h"

#define ARCHIVE_RECORD_HEADER_BYTES 32
#define ARCHIVE_ENTRY_BYTES_MAX     ENTRY_BYTES_MAX
/* With what archive_keep keeps it is at most so many times bytes_max. */
#define ARCHIVE_KEEP_TIMES 4

struct archive;

struct archive_options {
    const char *path; /* a folder, made if it is not there */
    struct hash128 cluster;
    const struct clock *clock;
    uint64_t bytes_max;     /* of all segments; the oldest go first. Default 1 GiB */
    uint64_t age_max_us;    /* segments whose newest record is older go, by wall clock (of their
                               files, after a start); the newest segment stays. 0 = never */
    uint64_t segment_bytes; /* a new segment above; default 16 MiB, at most half of bytes_max */
};

struct archive_record {
    uint64_t previous;
    uint64_t index;
    struct span bytes; /* len 0: an advance */
};

/* Opens. In the newest segment, what stands behind the first record that is not whole is cut off.
 * A segment with a damaged header, of another cluster or of another version is removed with all
 * before it (the newest alone): what is left is contiguous up to the end. Damage inside an older
 * one is found when it is read. Files that are no segments are left alone. */
int archive_open(const struct archive_options *options, struct archive **ret, struct error *error);
/* Without a sync. Accepts NULL. */
void archive_close(struct archive *a);

/* Apply thread: appends one job. What it has already (index <= last) is skipped. When `previous` is
 * above its last index there is a gap: it forgets everything and begins anew at `previous`. On a
 * full disk its oldest segment goes, for what is applied matters more. CLADE_ERR_NO_SPACE (that
 * was not enough; nothing of the record stays: try again) or _IO. After a sync that failed it is
 * _IO for good. */
int archive_append(
    struct archive *a, uint64_t previous, uint64_t index, struct span entry, struct error *error);
/* Apply thread: all that was appended is durable when it returns 0. Removes what is too old. */
int archive_sync(struct archive *a, struct error *error);
/* Apply thread: forgets everything; the next record must follow on `base`. */
int archive_reset(struct archive *a, uint64_t base, struct error *error);

/* Any thread: a member will need what follows on `after`: it stays, whatever bytes_max and
 * age_max_us say, up to ARCHIVE_KEEP_TIMES. UINT64_MAX: nobody does. */
void archive_keep(struct archive *a, uint64_t after);
/* Any thread: new values for the options of these names; they count from the next sync or append.
 */
void archive_set_limits(struct archive *a, uint64_t bytes_max, uint64_t age_max_us);
/* Any thread: it covers the indexes above base up to last. Both 0 when nothing was ever added. */
void archive_range(struct archive *a, uint64_t *ret_base, uint64_t *ret_last);
/* Any thread: bytes on disk. */
uint64_t archive_bytes(struct archive *a);
/* Any thread: appends to `out` the records that cover the indexes above `after`, in order, at least
 * one and about bytes_max, in the form of the file; the first one's `previous` may be below
 * `after`. 0: *ret_last is the last index covered (equal to `after` when there is nothing newer).
 * 1: what follows on `after` is not kept any more, or is damaged: what was damaged, and all before
 * it, is not in the range from then. Or a CLADE_ERR_*; _LIMIT: one record does not fit. */
int archive_read(struct archive *a,
                 uint64_t after,
                 size_t bytes_max,
                 struct buffer *out,
                 uint64_t *ret_last,
                 struct error *error);
/* Decodes the record that *rest begins with and moves *rest behind it; borrows. CLADE_ERR_CORRUPT
 * when it is not whole, its checksum is wrong, or it covers no index. */
int archive_record_next(struct span *rest, struct archive_record *ret, struct error *error);
