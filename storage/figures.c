/* How the store's file is used. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "storage/view.h"

/* LMDB's own table of free pages: a key a commit, and of each the number of pages first. */
#define FREE_TABLE 0

/* Of what was freed by commits before `oldest` the next commit may write to. */
static int count_free(struct view *v, uint64_t oldest, uint64_t *ret_pages, uint64_t *ret_reusable)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    uint64_t pages = 0;
    uint64_t reusable = 0;
    int rc = mdb_cursor_open(v->txn, FREE_TABLE, &cursor);
    if (rc != 0) {
        return rc;
    }
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        size_t n;
        size_t commit;
        memcpy(&n, value.mv_data, sizeof n);
        memcpy(&commit, key.mv_data, sizeof commit);
        pages += n;
        reusable += commit < oldest ? n : 0;
    }
    mdb_cursor_close(cursor);
    *ret_pages = pages;
    *ret_reusable = reusable;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

struct listed {
    unsigned len;
    uint64_t oldest;
};

/* A line of LMDB's list of readers: process, thread, and the commit that it reads, or '-'. */
static int on_reader(const char *line, void *arg)
{
    struct listed *l = arg;
    uint64_t commit;
    if (sscanf(line, "%*d %*s %" SCNu64, &commit) == 1) {
        l->len++;
        l->oldest = commit < l->oldest ? commit : l->oldest;
    }
    return 0;
}

/* The transaction of the look is in the list itself. */
static int look(struct view *v, struct store_figures *ret)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct listed listed = {.oldest = UINT64_MAX};
    uint64_t pages = 0;
    uint64_t reusable = 0;
    int rc = mdb_env_info(v->env->mdb, &info);
    rc = rc != 0 ? rc : mdb_env_stat(v->env->mdb, &stat);
    if (rc == 0 && mdb_reader_list(v->env->mdb, on_reader, &listed) < 0) {
        rc = EIO;
    }
    rc = rc != 0 ? rc : count_free(v, listed.oldest, &pages, &reusable);
    if (rc == 0) {
        uint64_t newest = info.me_last_txnid;
        *ret = (struct store_figures){
            .used_bytes = (info.me_last_pgno + 1) * stat.ms_psize,
            .map_bytes = info.me_mapsize,
            .free_bytes = pages * stat.ms_psize,
            .reusable_bytes = reusable * stat.ms_psize,
            .readers = listed.len > 0 ? listed.len - 1 : 0,
            .readers_max = info.me_maxreaders,
            .oldest_reader_commits = listed.oldest < newest ? newest - listed.oldest : 0,
        };
    }
    return rc;
}

int store_look(struct store *store, struct store_figures *ret, struct error *error)
{
    struct view v;
    int rc = view_open(&v, store, error);
    if (rc != 0) {
        return rc;
    }
    rc = lmdb_error(look(&v, ret), error, "looking at the store");
    ret->sessions = rc == 0 ? store_meta(store).sessions : 0;
    view_close(&v, store);
    return rc;
}
