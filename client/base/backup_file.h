#pragma once
/* The file of a backup: what a store was at one index (a full backup), or the log entries that
 * followed on one (an incremental backup). Written front to back while it comes; whoever reads it
 * finds whatever was changed, lost, put in or cut off: each chunk's checksum depends on all before
 * it. (A checksum is no signature: who can write the file can write another.)
 *
 * All integers little-endian.
 *     header  0 "cladebk" and a zero   8 u32 version (1)   12 u32 kind (1 full, 2 incremental)
 *            16 16 bytes cluster id   32 u32 format of the store   36 u32 0
 *            40 u64 node that gave it
 *            48 u64 base: incremental: the entries begin behind this index; full: 0
 *            56 u64 index   64 u64 revision   72 u64 store time
 *            80 u64 up to when what was acknowledged is in it
 *            88 16 bytes data digest   104 16 bytes state digest, both at `index`
 *           120 u64 bytes: full: length of the store's file; incremental: 0
 *           128 u64 XXH3-64 of the 128 before
 *     chunk   0 u32 length, not 0   4 u32 0   8 u64 its number, from 0
 *            16 u64 XXH3-64 of the bytes, seeded with the XXH3-64 of the 16 before, which is seeded
 *               with the checksum of the chunk before (of the first: that of the header)
 *            24 bytes
 *     end     0 u32 0   4 u32 0   8 u64 bytes of all chunks   16 u64 the checksum, as a chunk's
 * Nothing follows. The chunks of a full backup are the store's file (storage/copy.h), those of an
 * incremental one whole records (consensus/archive.h) that follow on each other; the first may
 * begin below `base`, none is behind `index`. */
#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/span.h"

#define BACKUP_VERSION          1
#define BACKUP_HEADER_BYTES     136
#define BACKUP_CHUNK_HEAD_BYTES 24
#define BACKUP_CHUNK_BYTES_MAX  (4u << 20)

enum backup_kind { BACKUP_FULL = 1, BACKUP_INCREMENTAL = 2 };

/* What a backup says of itself. Times are microseconds since 1970. */
struct backup_manifest {
    enum backup_kind kind;
    struct hash128 cluster;
    uint32_t store_format;
    uint64_t node;
    uint64_t base;
    uint64_t index;
    uint64_t revision;
    uint64_t time_us;
    uint64_t covers_us; /* what was acknowledged up to then is in it */
    struct hash128 data;
    struct hash128 state;
    uint64_t bytes;
};

/* Where a file is: the checksum that the next chunk's depends on. Begins as backup_header_*
 * leaves it. */
struct backup_chain {
    uint64_t checksum;
    uint64_t chunks;
    uint64_t bytes; /* of all of them */
};

void backup_header_encode(const struct backup_manifest *m,
                          uint8_t bytes[BACKUP_HEADER_BYTES],
                          struct backup_chain *ret);
/* CLADE_ERR_CORRUPT: it is no backup, or damaged; _UNSUPPORTED: of a newer version. Without
 * `where`.
 */
int backup_header_decode(const uint8_t bytes[BACKUP_HEADER_BYTES],
                         struct backup_manifest *ret,
                         struct backup_chain *ret_chain,
                         struct error *error);
/* The head of the next chunk, whose bytes follow; no bytes: the end. */
void backup_chunk_encode(struct backup_chain *chain,
                         struct span bytes,
                         uint8_t head[BACKUP_CHUNK_HEAD_BYTES]);

/* A backup that is read. */
struct backup_reader {
    const char *path;
    int fd;
    uint64_t offset; /* of what comes next */
    struct backup_manifest manifest;
    struct backup_chain chain;
    struct buffer chunk;
    bool ended;
};

/* Opens the file, `path` being the caller's as long as it is read, and reads its header. Release in
 * any case. CLADE_ERR_NOT_FOUND, _IO, _CORRUPT, _UNSUPPORTED with the file. */
int backup_reader_open(struct backup_reader *r, const char *path, struct error *error);
/* Accepts zeroed memory. */
void backup_reader_release(struct backup_reader *r);
/* The bytes of the next chunk, borrowed until the next call; 1 at the end, all of the file being
 * sound. CLADE_ERR_CORRUPT says the file, the offset and what is wrong there. */
int backup_reader_next(struct backup_reader *r, struct span *ret, struct error *error);
