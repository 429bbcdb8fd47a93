#include "storage/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/file.h"
#include "storage/genesis.h"
#include "storage/view.h"

#define GIB             ((uint64_t)1 << 30)
#define MAP_BYTES_MAX   (1024 * GIB)
#define MAP_BYTES_MIN   GIB
#define READERS_DEFAULT 126
/* lock.mdb: what LMDB 0.9 makes of so many readers, and room for the rest of a page. */
#define LOCK_BYTES        128
#define LOCK_READER_BYTES 64
#define FULL_BYTES        (1u << 20) /* with less than this free, a failed write is a full disk */

static bool stat_data(const char *path, struct stat *ret)
{
    char file[4096];
    int n = snprintf(file, sizeof file, "%s/data.mdb", path);
    return n > 0 && (size_t)n < sizeof file && stat(file, ret) == 0;
}

/* The address space for the file: nine tenths of what the file system could still give it. What a
 * former environment takes is not free yet, and will be. */
static int size_map(const struct store_options *options,
                    const struct environment *former,
                    uint64_t *ret,
                    struct error *error)
{
    if (options->map_bytes != 0) {
        *ret = options->map_bytes;
        return 0;
    }
    struct statvfs fs;
    if (statvfs(options->path, &fs) != 0) {
        return error_set(error, CLADE_ERR_IO, options->path, "cannot be looked at: %m");
    }
    struct stat st;
    uint64_t used = stat_data(options->path, &st) ? (uint64_t)st.st_size : 0;
    uint64_t bytes = (uint64_t)fs.f_bavail * fs.f_frsize / 10 * 9 + used;
    bytes = bytes / GIB * GIB;
    bytes = bytes < MAP_BYTES_MIN ? MAP_BYTES_MIN : bytes;
    bytes = bytes > MAP_BYTES_MAX ? MAP_BYTES_MAX : bytes;
    bytes = former != NULL && bytes < former->map_bytes ? former->map_bytes : bytes;
    /* Never below what is there, or its end could not be read. */
    *ret = bytes < used ? used : bytes;
    return 0;
}

/* LMDB leaves lock.mdb sparse and writes it through a map: on a full disk the first reader that
 * comes to a hole is a SIGBUS. Before LMDB has it open: closing it here drops LMDB's locks. */
static int allocate_lock_file(const char *folder, unsigned readers, struct error *error)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/lock.mdb", folder);
    errno = ENAMETOOLONG;
    int fd = n > 0 && (size_t)n < sizeof path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0) {
        return file_error(path, "cannot be opened", error);
    }
    struct stat st;
    off_t bytes = LOCK_BYTES + (off_t)readers * LOCK_READER_BYTES;
    int e = fstat(fd, &st) == 0 ? 0 : errno;
    if (e == 0) {
        e = posix_fallocate(fd, 0, st.st_size > bytes ? st.st_size : bytes);
    }
    (void)close(fd);
    errno = e;
    return e == 0 ? 0 : file_error(path, "cannot be given its space", error);
}

static int open_env(struct environment *env,
                    const struct store_options *options,
                    struct error *error)
{
    unsigned readers = options->readers_max != 0 ? options->readers_max : READERS_DEFAULT;
    int rc = allocate_lock_file(options->path, readers, error);
    if (rc != 0) {
        return rc;
    }
    rc = mdb_env_create(&env->mdb);
    if (rc != 0) {
        env->mdb = NULL;
        return lmdb_error(rc, error, "creating an environment");
    }
    rc = mdb_env_set_maxdbs(env->mdb, TABLE_COUNT);
    if (rc == 0) {
        rc = mdb_env_set_mapsize(env->mdb, env->map_bytes);
    }
    if (rc == 0) {
        rc = mdb_env_set_maxreaders(env->mdb, readers);
    }
    if (rc == 0) {
        unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMETASYNC;
        flags |= options->no_sync ? MDB_NOSYNC : 0;
        rc = mdb_env_open(env->mdb, options->path, flags, 0600);
    }
    return lmdb_error(rc, error, "opening data.mdb");
}

static int open_tables(struct environment *env, MDB_txn *txn, unsigned flags)
{
    for (int t = 0; t < TABLE_COUNT; t++) {
        const struct table_info *info = table_info((enum table)t);
        if (info->name == NULL) {
            continue;
        }
        int rc = mdb_dbi_open(txn, info->name, info->flags | flags, &env->tables[t]);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int check_format(struct view *v)
{
    struct span key = span_of("format");
    struct span value;
    int rc = view_get(v, TABLE_META, key, &value);
    if (rc == 1 || (rc == 0 && value.len != 4)) {
        return row_corrupt(v->error, TABLE_META, key, "is missing");
    }
    uint32_t format = rc == 0 ? get_u32le(value.data) : STORE_FORMAT;
    if (format != STORE_FORMAT) {
        return error_set(
            v->error, CLADE_ERR_UNSUPPORTED, "meta",
            "the store is of format %u; this program knows format %u%s", format, STORE_FORMAT,
            format > STORE_FORMAT ? " and must be replaced by a newer one"
                                  : " and does not convert: export with the program that wrote it "
                                    "(clade export), then import into a new cluster");
    }
    return rc;
}

/* Opens the tables of an existing store and reads its meta; 1 when the store is empty. */
static int load(struct environment *env, struct meta *ret, struct error *error)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);
    if (rc != 0) {
        return lmdb_error(rc, error, "beginning a read");
    }
    rc = mdb_dbi_open(txn, table_info(TABLE_META)->name, 0, &env->tables[TABLE_META]);
    if (rc == MDB_NOTFOUND) {
        mdb_txn_abort(txn);
        return 1;
    }
    struct view v = {.env = env, .txn = txn, .revision = UINT64_MAX, .error = error};
    rc = rc != 0 ? lmdb_error(rc, error, "opening the tables") : check_format(&v);
    if (rc == 0) {
        rc = lmdb_error(open_tables(env, txn, 0), error, "opening the tables");
    }
    if (rc == 0) {
        rc = view_meta(&v, ret);
    }
    view_release(&v);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    /* Committing keeps the table handles open; there is nothing to write. */
    return lmdb_error(mdb_txn_commit(txn), error, "opening the tables");
}

static int create(struct environment *env, struct meta *ret, struct error *error)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
    if (rc != 0) {
        return lmdb_error(rc, error, "creating the store");
    }
    rc = open_tables(env, txn, MDB_CREATE);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return lmdb_error(rc, error, "creating the tables");
    }
    rc = genesis_write(env, txn, ret, error);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return lmdb_error(mdb_txn_commit(txn), error, "creating the store");
}

static int open_or_create(struct environment *env,
                          const struct store_options *options,
                          const struct environment *former,
                          struct meta *ret_meta,
                          struct error *error)
{
    int rc = size_map(options, former, &env->map_bytes, error);
    if (rc == 0) {
        rc = open_env(env, options, error);
    }
    if (rc == 0) {
        rc = load(env, ret_meta, error);
    }
    if (rc != 1) {
        return rc;
    }
    return former != NULL ? error_set(error, CLADE_ERR_CORRUPT, "data.mdb", "it holds no store")
                          : create(env, ret_meta, error);
}

int environment_open(const struct store_options *options,
                     const struct environment *former,
                     struct environment **ret,
                     struct meta *ret_meta,
                     struct error *error)
{
    struct stat st;
    if (former != NULL && (!stat_data(options->path, &st) || st.st_size == 0)) {
        /* LMDB would make one. */
        return error_set(error, CLADE_ERR_CORRUPT, options->path, "it holds no data.mdb");
    }
    struct environment *env = calloc(1, sizeof *env);
    if (env == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    lineage_index_init(&env->lineage, options->lineage_bytes);
    struct meta meta;
    int rc = open_or_create(env, options, former, &meta, error);
    if (rc == 0 && !options->no_sync) {
        /* LMDB leaves the name data.mdb to the kernel. With a power cut that takes it the store
         * begins anew, while the log, cut behind a snapshot, no longer has what was in it. At every
         * opening: the process that made the file may have been killed before it came to this. */
        rc = file_sync_folder(options->path, error);
    }
    if (rc != 0) {
        environment_close(env);
        return rc;
    }
    /* LMDB maps no less than there is. */
    MDB_envinfo info;
    mdb_env_info(env->mdb, &info);
    env->map_bytes = info.me_mapsize;
    *ret_meta = meta;
    *ret = env;
    return 0;
}

static bool is_full(MDB_env *env)
{
    int fd;
    struct statvfs fs;
    return mdb_env_get_fd(env, &fd) == 0 && fstatvfs(fd, &fs) == 0 &&
           (uint64_t)fs.f_bavail * fs.f_frsize < FULL_BYTES;
}

/* LMDB reports the short write of a full disk as EIO, which is waited out, unlike a broken one: of
 * that the kernel says EIO too. A disk that says it is full while its file system has room says so
 * of what it had taken already (a pool behind it is full), mostly at the sync: what a failed sync
 * lost is not written again, so that is no room to wait for. */
static int explain_commit(MDB_env *env, int rc, int said)
{
    if (rc == EIO && said != EIO && is_full(env)) {
        return ENOSPC;
    }
    return (rc == ENOSPC || rc == EDQUOT) && !is_full(env) ? EIO : rc;
}

int environment_commit(struct environment *env, MDB_txn *txn, struct error *error)
{
    errno = 0;
    int rc = mdb_txn_commit(txn);
    int said = errno;
    return rc == 0 ? 0 : lmdb_error(explain_commit(env->mdb, rc, said), error, "committing");
}

void environment_close(struct environment *env)
{
    if (env == NULL) {
        return;
    }
    CHECK(env->users == 0);
    if (env->mdb != NULL) {
        mdb_env_close(env->mdb);
    }
    lineage_index_release(&env->lineage);
    free(env);
}

uint64_t environment_used_bytes(const struct environment *env)
{
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(env->mdb, &info) != 0 || mdb_env_stat(env->mdb, &stat) != 0) {
        return 0;
    }
    return (info.me_last_pgno + 1) * stat.ms_psize;
}

bool environment_is_at(const struct environment *env, const char *path)
{
    int fd;
    struct stat ours;
    struct stat other;
    return mdb_env_get_fd(env->mdb, &fd) == 0 && fstat(fd, &ours) == 0 && stat_data(path, &other) &&
           ours.st_dev == other.st_dev && ours.st_ino == other.st_ino;
}
