/* Scans the whole store: a running sum cannot see a row that rotted. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "storage/data_file.h"
#include "storage/scan.h"
#include "storage/view.h"

#define PROGRESS_ROWS  100000 /* of store_verify */
#define INTERVAL_ROWS  4096   /* of a scan */
#define INTERVAL_BYTES (256u << 10)

struct store_scan {
    struct store *store;
    struct view view;
    struct meta meta;
    struct hash128 sums[SUM_STATE + 1];
    uint64_t live_bytes;
    uint64_t told_rows; /* to `progress` */
    uint64_t told_bytes;
    struct store_scan_result result;
    bool (*progress)(const struct store_scan_result *result, void *arg);
    void *arg;
    struct error *error;
};

static void note_bad_row(struct store_scan *s, enum table table, struct span key, const char *what)
{
    if (s->result.bad_rows++ == 0) {
        row_describe_damage(&s->result.bad, table, key, what);
    }
}

static void scan_row(struct store_scan *s, enum table table, struct span key, struct span value)
{
    s->result.rows++;
    s->result.bytes += key.len + value.len;
    if (value.len < CHECKSUM_BYTES || key.len > KEY_BYTES_MAX) {
        note_bad_row(s, table, key, "has a wrong length");
        return;
    }
    struct span payload = span_make(value.data, value.len - CHECKSUM_BYTES);
    struct hash128 hash = row_hash(table, key, payload);
    if (get_u32le(payload.data + payload.len) != (uint32_t)hash.low) {
        note_bad_row(s, table, key, "does not match its checksum");
        return;
    }
    if (row_is_summed(table, payload)) {
        enum table_sum sum = table_info(table)->sum;
        s->sums[sum] = hash128_add(s->sums[sum], hash);
    }
}

static int tell(struct store_scan *s)
{
    struct store_scan_result *r = &s->result;
    if (s->progress == NULL ||
        (r->rows - s->told_rows < INTERVAL_ROWS && r->bytes - s->told_bytes < INTERVAL_BYTES)) {
        return 0;
    }
    s->told_rows = r->rows;
    s->told_bytes = r->bytes;
    return s->progress(r, s->arg)
               ? 0
               : error_set(s->error, CLADE_ERR_RETRY, NULL, "the scan was stopped");
}

static int scan_table(struct store_scan *s, enum table table)
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
        scan_row(s, table, span_make(key.mv_data, key.mv_size),
                 span_make(value.mv_data, value.mv_size));
        rc = tell(s);
        if (rc != 0) {
            return rc;
        }
    }
    return found == MDB_NOTFOUND ? 0 : lmdb_error(found, s->error, "scanning a table");
}

int store_scan_open(struct store *store,
                    struct store_scan **ret,
                    struct store_scan_result *ret_result,
                    struct error *error)
{
    struct store_scan *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    int rc = view_open(&s->view, store, error);
    if (rc != 0) {
        free(s);
        return rc;
    }
    s->store = store;
    s->live_bytes = environment_used_bytes(s->view.env);
    rc = view_meta(&s->view, &s->meta);
    if (rc != 0) {
        store_scan_close(s);
        return rc;
    }
    s->view.error = NULL; /* the caller's may be gone by the time of the scan */
    s->result.kept = meta_digest(&s->meta);
    *ret_result = s->result;
    *ret = s;
    return 0;
}

int store_scan_run(struct store_scan *s,
                   bool (*progress)(const struct store_scan_result *result, void *arg),
                   void *arg,
                   struct store_scan_result *ret,
                   struct error *error)
{
    int rc = 0;
    s->progress = progress;
    s->arg = arg;
    s->error = error;
    s->view.error = error;
    for (int t = 0; t < TABLE_COUNT && rc == 0; t++) {
        rc = scan_table(s, (enum table)t);
    }
    if (rc == 0) {
        struct meta found = s->meta;
        found.sum_data = s->sums[SUM_DATA];
        found.sum_state = s->sums[SUM_STATE];
        s->result.found = meta_digest(&found);
    }
    *ret = s->result;
    return rc;
}

void store_scan_cost(const struct store_scan *s, uint64_t *ret_live, uint64_t *ret_beyond)
{
    uint64_t bytes = environment_used_bytes(s->view.env);
    *ret_live = s->live_bytes;
    *ret_beyond = bytes > s->live_bytes ? bytes - s->live_bytes : 0;
}

void store_scan_close(struct store_scan *s)
{
    if (s != NULL) {
        view_close(&s->view, s->store);
        free(s);
    }
}

bool store_scan_is_sound(const struct store_scan_result *r)
{
    return r->bad_rows == 0 && hash128_equal(r->kept.data, r->found.data) &&
           hash128_equal(r->kept.state, r->found.state);
}

/* --- All of it at once -------------------------------------------------------------------- */

struct verify {
    bool (*progress)(uint64_t rows, void *arg);
    void *arg;
    uint64_t told; /* hundreds of thousands of rows */
};

/* The first bad row is enough. */
static bool on_scanned(const struct store_scan_result *result, void *arg)
{
    struct verify *v = arg;
    if (result->bad_rows > 0) {
        return false;
    }
    if (v->progress == NULL || result->rows / PROGRESS_ROWS == v->told) {
        return true;
    }
    v->told = result->rows / PROGRESS_ROWS;
    return v->progress(result->rows, v->arg);
}

int store_verify(struct store *store,
                 bool (*progress)(uint64_t rows, void *arg),
                 void *arg,
                 struct error *error)
{
    struct verify v = {.progress = progress, .arg = arg};
    struct store_scan *scan;
    struct store_scan_result r;
    int rc = store_scan_open(store, &scan, &r, error);
    if (rc != 0) {
        return rc;
    }
    rc = store_scan_run(scan, on_scanned, &v, &r, error);
    store_scan_close(scan);
    if (r.bad_rows > 0) {
        return error_set(error, CLADE_ERR_CORRUPT, r.bad.where, "%s", r.bad.message);
    }
    return rc != 0 || store_scan_is_sound(&r)
               ? rc
               : error_set(error, CLADE_ERR_CORRUPT, "meta",
                           "the rows do not add up to the store's digest: some are missing, or "
                           "too many");
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
