#include "consensus/segment_scan.h"

#include "base/bytes.h"

#define FORMAT            1
#define FORMAT_BYTES      8
#define CHECKSUMS_BYTES   8
#define ENTRY_BYTES       16
#define BATCH_ENTRIES_MAX (8u * 1024 * 1024 / 32) /* raft_uv reads no more either */
#define TYPE_MAX          3

/* What a disk writes whole or not at all. Larger ones write several of these together. */
#define SECTOR_BYTES 512

static uint32_t crc(struct span s)
{
    static const uint32_t of_nibble[16] = {0x00000000, 0x04c11db7, 0x09823b6e, 0x0d4326d9,
                                           0x130476dc, 0x17c56b6b, 0x1a864db2, 0x1e475005,
                                           0x2608edb8, 0x22c9f00f, 0x2f8ad6d6, 0x2b4bcb61,
                                           0x350c9b64, 0x31cd86d3, 0x3c8ea00a, 0x384fbdbd};
    uint32_t c = 0;
    for (size_t i = 0; i < s.len; i++) {
        c = c << 4 ^ of_nibble[c >> 28 ^ s.data[i] >> 4];
        c = c << 4 ^ of_nibble[c >> 28 ^ (s.data[i] & 15)];
    }
    return c;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

struct batch {
    bool header_whole;
    bool data_whole;
    uint64_t entries;  /* as the header says, right or not */
    size_t header_end; /* as far as it is known: of the checksums and the count at least */
    size_t end;        /* when the header is whole */
};

/* Looks at each entry before the checksum: what is no header is seen after a few bytes, so a search
 * through a segment takes no longer than reading it. */
static bool entries_are_possible(struct span s, size_t at, uint64_t n, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < n; i++, at += ENTRY_BYTES) {
        uint32_t word = get_u32le(s.data + at + 8);
        uint32_t len = get_u32le(s.data + at + 12);
        if (word < 1 || word > TYPE_MAX || len % 8 != 0) {
            return false;
        }
        bytes += len;
    }
    *ret_bytes = bytes;
    return true;
}

static void batch_read(struct span s, size_t at, struct batch *ret)
{
    uint64_t bytes;
    *ret = (struct batch){.header_end = s.len};
    if (s.len - at < CHECKSUMS_BYTES + 8) {
        return;
    }
    size_t header = at + CHECKSUMS_BYTES;
    ret->header_end = header + 8;
    ret->entries = get_u64le(s.data + header);
    if (ret->entries == 0 || ret->entries > BATCH_ENTRIES_MAX ||
        (s.len - header - 8) / ENTRY_BYTES < ret->entries) {
        return;
    }
    ret->header_end = header + 8 + ret->entries * ENTRY_BYTES;
    if (!entries_are_possible(s, header + 8, ret->entries, &bytes) ||
        bytes > s.len - ret->header_end ||
        get_u32le(s.data + at) != crc(span_make(s.data + header, ret->header_end - header))) {
        return;
    }
    ret->header_whole = true;
    ret->end = ret->header_end + bytes;
    ret->data_whole =
        get_u32le(s.data + at + 4) == crc(span_make(s.data + ret->header_end, (size_t)bytes));
}

/* Where the first whole batch stands from `at` on; 0 = there is none. */
static size_t find_batch(struct span s, size_t at)
{
    for (; at < s.len; at += 8) {
        struct batch b;
        batch_read(s, at, &b);
        if (b.data_whole) {
            return at;
        }
    }
    return 0;
}

/* One write at a time is under way, and nothing stood before where it goes but zeros, or, in its
 * first block, what it writes again. So what a crash leaves of it lacks whole sectors, which are
 * zero from where the broken batch begins: one of the header's when that is broken, else one of the
 * data's. A flipped bit takes no sector away. */
static bool lacks_a_sector(struct span s, size_t at, size_t end)
{
    for (size_t sector = at / SECTOR_BYTES * SECTOR_BYTES; sector < end; sector += SECTOR_BYTES) {
        size_t from = sector > at ? sector : at;
        size_t to = s.len - sector < SECTOR_BYTES ? s.len : sector + SECTOR_BYTES;
        if (is_zero(s.data + from, to - from)) {
            return true;
        }
    }
    return false;
}

static void judge(struct span s, const struct batch *b, struct segment_scan *ret)
{
    size_t at = ret->bytes;
    if (is_zero(s.data + at, s.len - at)) {
        ret->end = SEGMENT_WHOLE;
        return;
    }
    if (lacks_a_sector(s, at, b->header_whole ? b->end : b->header_end)) {
        ret->end = SEGMENT_TORN;
        return;
    }
    ret->end = SEGMENT_DAMAGED;
    ret->after = find_batch(s, at + 8);
}

/* The format is written with the first batches: without it, none of them was acknowledged. */
static void judge_format(struct span s, struct segment_scan *ret)
{
    size_t sector = s.len < SECTOR_BYTES ? s.len : SECTOR_BYTES;
    ret->end = is_zero(s.data, s.len)    ? SEGMENT_EMPTY
               : is_zero(s.data, sector) ? SEGMENT_TORN
                                         : SEGMENT_DAMAGED;
}

void segment_scan(struct span bytes, struct segment_scan *ret)
{
    *ret = (struct segment_scan){.end = SEGMENT_WHOLE};
    if (bytes.len < FORMAT_BYTES || get_u64le(bytes.data) != FORMAT) {
        judge_format(bytes, ret);
        return;
    }
    ret->bytes = FORMAT_BYTES;
    while (ret->bytes < bytes.len) {
        struct batch b;
        batch_read(bytes, ret->bytes, &b);
        if (!b.data_whole) {
            judge(bytes, &b, ret);
            return;
        }
        ret->bytes = b.end;
        ret->entries += b.entries;
    }
}
