/* The tables, the hash of a row, and what LMDB's codes mean to us. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/store_internal.h"

#define HASH_INLINE_BYTES 256
#define HASH_HEADER_BYTES 8

static const struct table_info tables[TABLE_COUNT] = {
    /* clang-format off */
    [TABLE_META]      = {"meta",      SUM_NONE,  0, false, 0},
    [TABLE_THINGS]    = {"things",    SUM_DATA,  0, true,  0},
    [TABLE_HISTORY]   = {"history",   SUM_NONE,  0, false, 0},
    [TABLE_NAMES]     = {"names",     SUM_DATA,  0, false, 8},
    [TABLE_VERSIONS]  = {"versions",  SUM_DATA,  0, false, 0},
    [TABLE_EDGES_OUT] = {"edges_out", SUM_DATA,  MDB_DUPSORT | MDB_DUPFIXED, false, 20},
    [TABLE_EDGES_IN]  = {"edges_in",  SUM_DATA,  MDB_DUPSORT | MDB_DUPFIXED, false, 20},
    [TABLE_DIGESTS]   = {"digests",   SUM_DATA,  0, false, 0},
    [TABLE_LABELS]    = {"labels",    SUM_DATA,  0, false, 0},
    [TABLE_CHANGES]   = {"changes",   SUM_NONE,  0, true,  0},
    [TABLE_TIMES]     = {"times",     SUM_STATE, 0, true,  0},
    [TABLE_SESSIONS]  = {"sessions",  SUM_STATE, 0, true,  0},
    [TABLE_RESULTS]   = {"results",   SUM_STATE, 0, false, 0},
    [TABLE_COUNTERS]  = {"counters",  SUM_DATA,  0, false, 0},
    [TABLE_MEMBERS]   = {"members",   SUM_STATE, 0, false, 0},
    [TABLE_PARAMS]    = {"params",    SUM_DATA,  0, false, 0},
    [TABLE_ALIASES]   = {"aliases",   SUM_DATA,  0, false, 16},
    [TABLE_DEPLOYED]  = {"deployed",  SUM_DATA,  0, false, 16},
    [TABLE_SERIES]    = {"series",    SUM_DATA,  0, false, 0},
    [TABLE_POINTS]    = {"points",    SUM_DATA,  0, false, 0},
    [TABLE_EDGE_PROPS] = {"edge_props", SUM_DATA, 0, false, 8},
    [TABLE_PURGES]    = {"purges",    SUM_DATA,  0, false, 8},
    [TABLE_URIS]      = {"uris",      SUM_DATA,  0, false, 8},
    [TABLE_STAGES]    = {"stages",    SUM_DATA,  0, false, 16},
    [TABLE_USAGE]     = {"usage",     SUM_DATA,  0, false, 0},
    [TABLE_VALUES]    = {"values",    SUM_DATA,  0, false, 8},
    [TABLE_FLOORS]    = {"floors",    SUM_STATE, 0, false, 0},
    /* clang-format on */
};

const struct table_info *table_info(enum table table)
{
    CHECK(table < TABLE_COUNT);
    return &tables[table];
}

int lmdb_error(int rc, struct error *error, const char *doing)
{
    int code;
    switch (rc) {
    case 0:
        return 0;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
        code = CLADE_ERR_NO_SPACE;
        break;
    case ENOMEM:
        code = CLADE_ERR_NO_MEMORY;
        break;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_KEYEXIST:
    case MDB_NOTFOUND:
    case MDB_BAD_VALSIZE:
    case MDB_INCOMPATIBLE:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
        code = CLADE_ERR_CORRUPT;
        break;
    default: /* EIO, MDB_PANIC, MDB_MAP_RESIZED, MDB_READERS_FULL, MDB_TXN_FULL, ... */
        code = CLADE_ERR_IO;
        break;
    }
    return error_set(error, code, "data.mdb", "%s: %s", doing, mdb_strerror(rc));
}

struct hash128 row_hash(enum table table, struct span key, struct span payload)
{
    uint8_t bytes[HASH_HEADER_BYTES + KEY_BYTES_MAX + HASH_INLINE_BYTES];
    CHECK(key.len <= KEY_BYTES_MAX);
    bytes[0] = (uint8_t)table;
    bytes[1] = 0;
    put_u16le(bytes + 2, (uint16_t)key.len);
    put_u32le(bytes + 4, (uint32_t)payload.len);
    memcpy(bytes + HASH_HEADER_BYTES, key.data, key.len);
    uint8_t *p = bytes + HASH_HEADER_BYTES + key.len;
    if (payload.len > HASH_INLINE_BYTES) {
        /* A long payload stands in as its hash, so that it is not copied. */
        hash128_put(p, hash128(payload));
        p += 16;
    } else if (payload.len > 0) {
        memcpy(p, payload.data, payload.len);
        p += payload.len;
    }
    return hash128(span_make(bytes, (size_t)(p - bytes)));
}

bool row_is_summed(enum table table, struct span payload)
{
    const struct table_info *info = &tables[table];
    if (info->sum == SUM_NONE) {
        return false;
    }
    static const uint8_t zero[8];
    return info->ended_at == 0 || payload.len < info->ended_at + sizeof zero ||
           memcmp(payload.data + info->ended_at, zero, sizeof zero) == 0;
}

void row_describe_damage(struct error *error, enum table table, struct span key, const char *what)
{
    char hex[2 * 64 + 1] = "";
    for (size_t i = 0; i < key.len && i < 64; i++) {
        snprintf(hex + 2 * i, 3, "%02x", key.data[i]);
    }
    error_set(error, CLADE_ERR_CORRUPT, tables[table].name, "the row %s%s of table %s %s", hex,
              key.len > 64 ? "..." : "", tables[table].name, what);
}
