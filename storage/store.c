#include "storage/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/genesis.h"
#include "storage/store_internal.h"

#define GIB               ((uint64_t)1 << 30)
#define MAP_BYTES_MAX     (1024 * GIB)
#define MAP_BYTES_MIN     GIB
#define READERS_DEFAULT   126
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
    return error_set(error, code, NULL, "%s: %s", doing, mdb_strerror(rc));
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
        struct hash128 h = hash128(payload);
        put_u64le(p, h.low);
        put_u64le(p + 8, h.high);
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

static uint8_t *put_hash(uint8_t *p, struct hash128 h)
{
    put_u64le(p, h.low);
    put_u64le(p + 8, h.high);
    return p + 16;
}

static const uint8_t *get_hash(const uint8_t *p, struct hash128 *ret)
{
    *ret = (struct hash128){.low = get_u64le(p), .high = get_u64le(p + 8)};
    return p + 16;
}

void meta_encode(const struct meta *m, uint8_t bytes[META_BYTES])
{
    const uint64_t numbers[] = {m->applied,      m->revision,   m->time_us,
                                m->next_id,      m->next_label, m->session_ms,
                                m->next_session, m->sessions,   m->sweep};
    uint8_t *p = bytes;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++, p += 8) {
        put_u64le(p, numbers[i]);
    }
    p = put_hash(p, m->sum_data);
    p = put_hash(p, m->sum_state);
    put_u64le(p, m->sample.index);
    p = put_hash(p + 8, m->sample.data);
    p = put_hash(p, m->sample.state);
    CHECK(p == bytes + META_BYTES);
}

void meta_decode(const uint8_t bytes[META_BYTES], struct meta *m)
{
    uint64_t *const numbers[] = {&m->applied,      &m->revision,   &m->time_us,
                                 &m->next_id,      &m->next_label, &m->session_ms,
                                 &m->next_session, &m->sessions,   &m->sweep};
    const uint8_t *p = bytes;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++, p += 8) {
        *numbers[i] = get_u64le(p);
    }
    p = get_hash(p, &m->sum_data);
    p = get_hash(p, &m->sum_state);
    m->sample.index = get_u64le(p);
    p = get_hash(p + 8, &m->sample.data);
    get_hash(p, &m->sample.state);
}

struct store_digest meta_digest(const struct meta *m)
{
    uint8_t data[4 * 8];
    put_u64le(data, m->revision);
    put_u64le(data + 8, m->next_id);
    put_u64le(data + 16, m->next_label);
    put_u64le(data + 24, 0);
    uint8_t state[5 * 8];
    put_u64le(state, m->applied);
    put_u64le(state + 8, m->time_us);
    put_u64le(state + 16, m->session_ms);
    put_u64le(state + 24, m->next_session);
    put_u64le(state + 32, m->sweep);
    struct span key = span_of("state");
    struct hash128 sum = hash128_add(m->sum_data, row_hash(TABLE_META, key, span_make(data, 32)));
    struct hash128 more =
        hash128_add(m->sum_state, row_hash(TABLE_META, key, span_make(state, 40)));
    return (struct store_digest){
        .index = m->applied,
        .data = sum,
        .state = hash128_add(sum, more),
    };
}

struct meta store_meta(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    struct meta meta = store->meta;
    pthread_mutex_unlock(&store->lock);
    return meta;
}

void store_publish(struct store *store, const struct meta *meta)
{
    pthread_mutex_lock(&store->lock);
    store->meta = *meta;
    pthread_mutex_unlock(&store->lock);
}

/* The address space for the file: nine tenths of what the file system could still give it. */
static int size_map(const struct store_options *options, uint64_t *ret, struct error *error)
{
    if (options->map_bytes != 0) {
        *ret = options->map_bytes;
        return 0;
    }
    struct statvfs fs;
    if (statvfs(options->path, &fs) != 0) {
        return error_set(error, CLADE_ERR_IO, options->path, "cannot be looked at: %m");
    }
    char file[4096];
    struct stat st;
    uint64_t used = 0;
    snprintf(file, sizeof file, "%s/data.mdb", options->path);
    if (stat(file, &st) == 0) {
        used = (uint64_t)st.st_size;
    }
    uint64_t bytes = (uint64_t)fs.f_bavail * fs.f_frsize / 10 * 9 + used;
    bytes = bytes / GIB * GIB;
    bytes = bytes < MAP_BYTES_MIN ? MAP_BYTES_MIN : bytes;
    bytes = bytes > MAP_BYTES_MAX ? MAP_BYTES_MAX : bytes;
    /* Never below what is there, or its end could not be read. */
    *ret = bytes < used ? used : bytes;
    return 0;
}

static int open_env(struct store *store, const struct store_options *options, struct error *error)
{
    int rc = mdb_env_create(&store->env);
    if (rc != 0) {
        store->env = NULL;
        return lmdb_error(rc, error, "creating an environment");
    }
    rc = mdb_env_set_maxdbs(store->env, TABLE_COUNT);
    if (rc == 0) {
        rc = mdb_env_set_mapsize(store->env, store->map_bytes);
    }
    if (rc == 0) {
        unsigned readers = options->readers_max != 0 ? options->readers_max : READERS_DEFAULT;
        rc = mdb_env_set_maxreaders(store->env, readers);
    }
    if (rc == 0) {
        unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMETASYNC;
        flags |= options->no_sync ? MDB_NOSYNC : 0;
        rc = mdb_env_open(store->env, options->path, flags, 0600);
    }
    return lmdb_error(rc, error, "opening data.mdb");
}

static int open_tables(struct store *store, MDB_txn *txn, unsigned flags)
{
    for (int t = 0; t < TABLE_COUNT; t++) {
        int rc = mdb_dbi_open(txn, tables[t].name, tables[t].flags | flags, &store->tables[t]);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int check_format(struct span key, MDB_val value, struct error *error)
{
    struct span payload = span_make(value.mv_data, value.mv_size);
    if (payload.len != 4 + CHECKSUM_BYTES) {
        return row_corrupt(error, TABLE_META, key, "has a wrong length");
    }
    payload.len -= CHECKSUM_BYTES;
    if (get_u32le(payload.data + 4) != (uint32_t)row_hash(TABLE_META, key, payload).low) {
        return row_corrupt(error, TABLE_META, key, "does not match its checksum");
    }
    uint32_t format = get_u32le(payload.data);
    if (format != STORE_FORMAT) {
        return error_set(error, CLADE_ERR_UNSUPPORTED, "meta",
                         "the store is of format %u; this program knows format %u%s", format,
                         STORE_FORMAT,
                         format > STORE_FORMAT ? " and must be replaced by a newer one" : "");
    }
    return 0;
}

static int read_meta(struct store *store, MDB_txn *txn, struct error *error)
{
    struct span key = span_of("state");
    MDB_val k = {.mv_size = key.len, .mv_data = (void *)key.data};
    MDB_val v;
    int rc = mdb_get(txn, store->tables[TABLE_META], &k, &v);
    if (rc != 0) {
        return lmdb_error(rc, error, "reading the store's state");
    }
    struct span payload = span_make(v.mv_data, META_BYTES);
    if (v.mv_size != META_BYTES + CHECKSUM_BYTES ||
        get_u32le(payload.data + META_BYTES) != (uint32_t)row_hash(TABLE_META, key, payload).low) {
        return row_corrupt(error, TABLE_META, key, "is damaged");
    }
    meta_decode(payload.data, &store->meta);
    return 0;
}

/* Opens the tables of an existing store and reads its meta; 1 when the store is empty. */
static int load(struct store *store, struct error *error)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) {
        return lmdb_error(rc, error, "beginning a read");
    }
    MDB_dbi meta;
    rc = mdb_dbi_open(txn, tables[TABLE_META].name, 0, &meta);
    if (rc == MDB_NOTFOUND) {
        mdb_txn_abort(txn);
        return 1;
    }
    struct span key = span_of("format");
    MDB_val k = {.mv_size = key.len, .mv_data = (void *)key.data};
    MDB_val v;
    rc = rc != 0 ? rc : mdb_get(txn, meta, &k, &v);
    rc = rc != 0 ? lmdb_error(rc, error, "reading the format number") : check_format(key, v, error);
    if (rc == 0) {
        rc = lmdb_error(open_tables(store, txn, 0), error, "opening the tables");
    }
    if (rc == 0) {
        rc = read_meta(store, txn, error);
    }
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    /* Committing keeps the table handles open; there is nothing to write. */
    return lmdb_error(mdb_txn_commit(txn), error, "opening the tables");
}

static int create(struct store *store, struct error *error)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != 0) {
        return lmdb_error(rc, error, "creating the store");
    }
    rc = open_tables(store, txn, MDB_CREATE);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return lmdb_error(rc, error, "creating the tables");
    }
    rc = genesis_write(store, txn, error);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return lmdb_error(mdb_txn_commit(txn), error, "creating the store");
}

int store_open(const struct store_options *options, struct store **ret, struct error *error)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    pthread_mutex_init(&store->lock, NULL);
    int rc = size_map(options, &store->map_bytes, error);
    if (rc == 0) {
        rc = open_env(store, options, error);
    }
    if (rc == 0) {
        rc = load(store, error);
        if (rc == 1) {
            rc = create(store, error);
        }
    }
    if (rc != 0) {
        store_close(store);
        return error_wrap(error, "opening the store in %s", options->path);
    }
    *ret = store;
    return 0;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    if (store->env != NULL) {
        mdb_env_close(store->env);
    }
    pthread_mutex_destroy(&store->lock);
    free(store);
}

struct store_position store_position(struct store *store)
{
    struct meta meta = store_meta(store);
    return (struct store_position){
        .applied = meta.applied, .revision = meta.revision, .time_us = meta.time_us};
}

struct store_digest store_digest_sample(struct store *store)
{
    return store_meta(store).sample;
}

struct store_digest store_digest_current(struct store *store)
{
    struct meta meta = store_meta(store);
    return meta_digest(&meta);
}

int store_sync(struct store *store, struct error *error)
{
    return lmdb_error(mdb_env_sync(store->env, 1), error, "syncing");
}

void store_usage(struct store *store, uint64_t *ret_used_bytes, uint64_t *ret_map_bytes)
{
    MDB_envinfo info;
    MDB_stat stat;
    *ret_used_bytes = 0;
    *ret_map_bytes = store->map_bytes;
    if (mdb_env_info(store->env, &info) == 0 && mdb_env_stat(store->env, &stat) == 0) {
        *ret_used_bytes = (info.me_last_pgno + 1) * stat.ms_psize;
    }
}
