/* Scans the whole store: a running sum cannot see a row that rotted. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "storage/data_file.h"
#include "storage/view.h"

#define PROGRESS_ROWS 100000

struct scan {
    struct view view;
    struct meta meta;
    struct hash128 sums[SUM_STATE + 1];
    uint64_t rows;
    bool (*progress)(uint64_t rows, void *arg);
    void *arg;
};

static int scan_row(struct scan *s, enum table table, MDB_val key, MDB_val value)
{
    struct span k = span_make(key.mv_data, key.mv_size);
    if (value.mv_size < CHECKSUM_BYTES || k.len > KEY_BYTES_MAX) {
        return row_corrupt(s->view.error, table, k, "has a wrong length");
    }
    struct span payload = span_make(value.mv_data, value.mv_size - CHECKSUM_BYTES);
    struct hash128 hash = row_hash(table, k, payload);
    if (get_u32le(payload.data + payload.len) != (uint32_t)hash.low) {
        return row_corrupt(s->view.error, table, k, "does not match its checksum");
    }
    if (row_is_summed(table, payload)) {
        enum table_sum sum = table_info(table)->sum;
        s->sums[sum] = hash128_add(s->sums[sum], hash);
    }
    if (table == TABLE_META && span_equal_str(k, "state") && payload.len == META_BYTES) {
        meta_decode(payload.data, &s->meta);
    }
    if (++s->rows % PROGRESS_ROWS == 0 && s->progress != NULL && !s->progress(s->rows, s->arg)) {
        return error_set(s->view.error, CLADE_ERR_RETRY, NULL, "the scan was stopped");
    }
    return 0;
}

static int scan_table(struct scan *s, enum table table)
{
    MDB_cursor *cursor;
    int rc = view_cursor(&s->view, table, &cursor);
    if (rc != 0) {
        return rc;
    }
    MDB_val key;
    MDB_val value;
    int found;
    while ((found = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        rc = scan_row(s, table, key, value);
        if (rc != 0) {
            return rc;
        }
    }
    return found == MDB_NOTFOUND ? 0 : lmdb_error(found, s->view.error, "scanning a table");
}

static int scan_store(struct scan *s)
{
    for (int t = 0; t < TABLE_COUNT; t++) {
        int rc = scan_table(s, (enum table)t);
        if (rc != 0) {
            return rc;
        }
    }
    if (!hash128_equal(s->sums[SUM_DATA], s->meta.sum_data) ||
        !hash128_equal(s->sums[SUM_STATE], s->meta.sum_state)) {
        return error_set(s->view.error, CLADE_ERR_CORRUPT, "meta",
                         "the rows do not add up to the store's digest: some are missing, or too "
                         "many");
    }
    return 0;
}

int store_verify(struct store *store,
                 bool (*progress)(uint64_t rows, void *arg),
                 void *arg,
                 struct error *error)
{
    struct scan s = {.progress = progress, .arg = arg};
    int rc = view_open(&s.view, store, error);
    if (rc == 0) {
        rc = scan_store(&s);
        view_close(&s.view, store);
    }
    return rc;
}

int store_check_pages(const char *path,
                      bool (*progress)(uint64_t n, void *arg),
                      void *arg,
                      struct error *error)
{
    char file[4096];
    int n = snprintf(file, sizeof file, "%s/data.mdb", path);
    if (n < 0 || (size_t)n >= sizeof file) {
        return error_set(error, CLADE_ERR_IO, path, "the path is too long");
    }
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 1 : file_error(file, "cannot be opened", error);
    }
    int rc = data_file_check(fd, progress, arg, error);
    (void)close(fd);
    return rc < 0 && error != NULL ? error_wrap(error, "checking %s", file) : rc;
}
