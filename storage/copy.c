#include "storage/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/data_file.h"
#include "storage/view.h"

/* Each has failed because a commit came between, and a commit takes longer than a try. */
#define CAPTURE_TRIES 1000

#define FREE_TABLE 0 /* LMDB's own */

/* The thread sanitizer does not know fences; it does not see LMDB's memory either. */
#ifdef __SANITIZE_THREAD__
#define FENCE() ((void)0)
#else
#define FENCE() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

struct store_copy {
    struct store *store;
    struct view view; /* the snapshot, kept by its transaction */
    int fd;           /* the environment's */
    uint64_t bytes;
    uint64_t spare_bytes; /* of pages that the snapshot does not reach */
    uint32_t page_bytes;
    uint8_t metas[]; /* the two meta pages of the copy */
};

/* --- The source --------------------------------------------------------------------------------
 */

static int read_file(
    const struct store_copy *c, uint64_t offset, uint8_t *to, size_t len, struct error *error)
{
    while (len > 0) {
        ssize_t n = pread(c->fd, to, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return error_set(error, CLADE_ERR_IO, "data.mdb",
                             "reading it at %" PRIu64 " for a copy: %m", offset);
        }
        if (n == 0) {
            /* The last pages are free, and were never written. */
            memset(to, 0, len);
            return 0;
        }
        to += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

/* The meta page of the snapshot, as it is in the file now. */
static int read_meta_page(struct store_copy *c, struct data_meta *ret, struct error *error)
{
    unsigned slot = mdb_txn_id(c->view.txn) & 1;
    uint8_t *page = c->metas + (size_t)slot * c->page_bytes;
    int rc = read_file(c, (uint64_t)slot * c->page_bytes, page, c->page_bytes, error);
    FENCE();
    return rc != 0 ? rc : data_meta_decode(page, slot, ret, error);
}

/* Takes the newest snapshot and its meta page.
 *
 * Transaction N's meta page is in slot N % 2, and N + 2 will write its own over it, front to back,
 * so that a page read meanwhile may be of both. N + 2 begins when N + 1 has been published: if a
 * transaction that begins after our read is still at N, what was read is whole. It is then the one
 * that keeps the snapshot. */
static int capture(struct store_copy *c, struct data_meta *ret, struct error *error)
{
    for (int i = 0; i < CAPTURE_TRIES; i++) {
        uint64_t txn = mdb_txn_id(c->view.txn);
        int rc = read_meta_page(c, ret, error);
        if (rc != 0) {
            return rc;
        }
        mdb_txn_reset(c->view.txn);
        rc = mdb_txn_renew(c->view.txn);
        if (rc != 0) {
            return lmdb_error(rc, error, "beginning a read");
        }
        if (mdb_txn_id(c->view.txn) != txn) {
            continue; /* a commit came between */
        }
        if (ret->txn != txn || ret->page_bytes != c->page_bytes) {
            return error_set(error, CLADE_ERR_CORRUPT, "data.mdb",
                             "meta page %u is not that of the last commit", (unsigned)(txn & 1));
        }
        return 0;
    }
    return error_set(error, CLADE_ERR_RETRY, NULL,
                     "commits came too fast to begin a copy between two");
}

/* The pages that are free, as LMDB lists them by transaction: a count, then their numbers. */
static int count_spare(struct store_copy *c, struct error *error)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val list;
    uint64_t pages = 0;
    int rc = mdb_cursor_open(c->view.txn, FREE_TABLE, &cursor);
    if (rc != 0) {
        return lmdb_error(rc, error, "counting free pages");
    }
    while ((rc = mdb_cursor_get(cursor, &key, &list, MDB_NEXT)) == 0) {
        pages += list.mv_size >= 8 ? get_u64le(list.mv_data) : 0;
    }
    mdb_cursor_close(cursor);
    c->spare_bytes = pages * c->page_bytes < c->bytes ? pages * c->page_bytes : c->bytes;
    return rc == MDB_NOTFOUND ? 0 : lmdb_error(rc, error, "counting free pages");
}

static int read_info(struct store_copy *c, struct store_copy_info *ret)
{
    struct meta meta;
    int rc = view_meta(&c->view, &meta);
    if (rc != 0) {
        return rc;
    }
    struct store_digest digest = meta_digest(&meta);
    *ret = (struct store_copy_info){
        .bytes = c->bytes,
        .applied = meta.applied,
        .revision = meta.revision,
        .time_us = meta.time_us,
        .data = digest.data,
        .state = digest.state,
    };
    return 0;
}

/* Both slots of the copy hold our snapshot, so that what LMDB takes is ours. */
static int begin(struct store_copy *c, struct store_copy_info *ret_info, struct error *error)
{
    struct data_meta meta;
    int rc = lmdb_error(mdb_env_get_fd(c->view.env->mdb, &c->fd), error, "copying");
    if (rc == 0) {
        rc = capture(c, &meta, error);
    }
    if (rc != 0) {
        return rc;
    }
    unsigned slot = meta.txn & 1;
    uint8_t *other = c->metas + (size_t)(slot ^ 1) * c->page_bytes;
    memcpy(other, c->metas + (size_t)slot * c->page_bytes, c->page_bytes);
    data_meta_turn(other, slot ^ 1);
    c->bytes = (meta.last_page + 1) * c->page_bytes;
    rc = count_spare(c, error);
    return rc == 0 ? read_info(c, ret_info) : rc;
}

int store_copy_open(struct store *store,
                    struct store_copy **ret,
                    struct store_copy_info *ret_info,
                    struct error *error)
{
    struct view view;
    MDB_stat stat;
    int rc = view_open(&view, store, error);
    if (rc != 0) {
        return rc;
    }
    rc = lmdb_error(mdb_env_stat(view.env->mdb, &stat), error, "reading the page size");
    struct store_copy *c = NULL;
    if (rc == 0) {
        c = calloc(1, sizeof *c + 2 * (size_t)stat.ms_psize);
        rc = c != NULL ? 0 : error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    if (rc != 0) {
        view_close(&view, store);
        return rc;
    }
    c->store = store;
    c->view = view;
    c->page_bytes = stat.ms_psize;
    rc = begin(c, ret_info, error);
    if (rc != 0) {
        store_copy_close(c);
        return rc;
    }
    c->view.error = NULL; /* the caller's, who goes on without it */
    *ret = c;
    return 0;
}

int store_copy_read(
    struct store_copy *c, uint64_t offset, uint8_t *to, size_t len, struct error *error)
{
    if (offset > c->bytes || len > c->bytes - offset) {
        return error_set(error, CLADE_ERR_INVALID, "offset", "it is not within the copy");
    }
    uint64_t metas = 2 * (uint64_t)c->page_bytes;
    if (offset < metas) {
        size_t n = len < metas - offset ? len : (size_t)(metas - offset);
        memcpy(to, c->metas + offset, n);
        to += n;
        offset += n;
        len -= n;
    }
    return read_file(c, offset, to, len, error);
}

void store_copy_cost(const struct store_copy *c, uint64_t *ret_live, uint64_t *ret_beyond)
{
    uint64_t bytes = environment_used_bytes(c->view.env);
    *ret_live = c->bytes - c->spare_bytes;
    *ret_beyond = bytes > c->bytes ? bytes - *ret_live : 0;
}

void store_copy_close(struct store_copy *c)
{
    if (c != NULL) {
        view_close(&c->view, c->store);
        free(c);
    }
}

/* --- The copy ----------------------------------------------------------------------------------
 */

/* Opening the store has synced the folder's entries, lock.mdb among them. */
static int sync_file(const char *file, struct error *error)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    int rc = fd >= 0 && fsync(fd) == 0
                 ? 0
                 : error_set(error, CLADE_ERR_IO, file, "cannot be synced: %m");
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

static int check_rows(const char *path,
                      uint64_t map_bytes,
                      bool (*progress)(uint64_t n, void *arg),
                      void *arg,
                      struct store_copy_info *ret,
                      struct error *error)
{
    struct store *store;
    struct store_options options = {.path = path, .map_bytes = map_bytes};
    int rc = store_open(&options, &store, error);
    if (rc != 0) {
        return rc;
    }
    rc = store_verify(store, progress, arg, error);
    struct store_digest digest = store_digest_current(store);
    *ret = (struct store_copy_info){
        .applied = digest.index,
        .revision = store_position(store).revision,
        .time_us = store_position(store).time_us,
        .data = digest.data,
        .state = digest.state,
    };
    uint64_t map;
    store_usage(store, &ret->bytes, &map);
    store_close(store);
    return rc;
}

int store_copy_check(const char *path,
                     uint64_t map_bytes,
                     bool (*progress)(uint64_t n, void *arg),
                     void *arg,
                     struct store_copy_info *ret,
                     struct error *error)
{
    char file[4096];
    struct error unread;
    struct store_copy_info info;
    error = error != NULL ? error : &unread;
    int n = snprintf(file, sizeof file, "%s/data.mdb", path);
    if (n < 0 || (size_t)n >= sizeof file) {
        return error_set(error, CLADE_ERR_IO, path, "the path is too long");
    }
    /* Before LMDB sees it, which trusts what it maps. */
    int rc = store_check_pages(path, progress, arg, error);
    if (rc == 1) {
        rc = error_set(error, CLADE_ERR_CORRUPT, path, "it holds no store");
    }
    if (rc == 0) {
        rc = check_rows(path, map_bytes, progress, arg, &info, error);
    }
    if (rc == 0) {
        rc = sync_file(file, error);
    }
    if (rc == CLADE_ERR_UNSUPPORTED) {
        error->code = rc = CLADE_ERR_CORRUPT; /* of no use as a copy */
    }
    if (rc != 0) {
        return error_wrap(error, "checking the copy in %s", path);
    }
    *ret = info;
    return 0;
}
