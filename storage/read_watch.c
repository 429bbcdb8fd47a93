/* watch: one step of many watchers through the change log. */
#include <stdlib.h>

#include "storage/floor.h"
#include "storage/told.h"

static int by_namespace(const void *a, const void *b)
{
    const struct watcher *const *x = a;
    const struct watcher *const *y = b;
    return ((*x)->ns_id > (*y)->ns_id) - ((*x)->ns_id < (*y)->ns_id);
}

static bool is_active(const struct watcher *w)
{
    return w->code == 0 && w->out->len < w->room && w->events < WATCH_STEP_EVENTS;
}

static int find_namespaces(struct reading *r, struct watcher *watchers[], size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct watcher *w = watchers[i];
        struct span path = w->query->ns.len > 0 ? w->query->ns : w->ns;
        if (w->ns_id != 0) {
            continue;
        }
        reading_next_item(r);
        int rc = lookup_namespace(r->view, r->scratch, path, &w->ns_id);
        if (rc < 0) {
            return rc;
        }
        if (rc == 1) {
            w->code = error_set(&w->error, CLADE_ERR_NOT_FOUND, "ns",
                                "there is no namespace \"%.*s\"", SPAN_FMT(path));
        }
    }
    qsort(watchers, len, sizeof *watchers, by_namespace);
    return 0;
}

static void fail_all(struct watcher *watchers[], size_t len, const struct error *e)
{
    for (size_t i = 0; i < len; i++) {
        if (watchers[i]->code == 0) {
            watchers[i]->code = e->code;
            watchers[i]->error = *e;
        }
    }
}

/* A code that is the watcher's own; other ones are everybody's. */
static bool is_own(int code)
{
    return !code_is_fatal(code);
}

static int tell_watcher(struct told *t, struct watcher *w)
{
    told_use_namespace(t, w->ns_id);
    size_t mark = w->out->len;
    int rc = told_put(t, w->query, w->out);
    if (rc < 0 && is_own(rc)) {
        w->code = rc;
        w->error = *t->r->error;
        return 0;
    }
    if (rc >= 0 && w->out->failed) {
        w->out->len = mark;
        return error_set(t->r->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    if (rc >= 0) {
        w->events += rc == 0;
        w->next = t->revision + 1;
    }
    return rc < 0 ? rc : 0;
}

/* One revision for all; sets whether any is to be told more. */
static int tell_all(
    struct told *t, struct watcher *watchers[], size_t len, size_t *bytes, bool *ret_more)
{
    struct reading *r = t->r;
    uint64_t bytes_max = r->budget->bytes_max;
    *ret_more = false;
    for (size_t i = 0; i < len && !r->stopped; i++) {
        struct watcher *w = watchers[i];
        if (w->next != t->revision || !is_active(w)) {
            continue;
        }
        size_t before = w->out->len;
        int rc = tell_watcher(t, w);
        if (rc != 0) {
            return rc;
        }
        *bytes += w->out->len - before;
        r->stopped = (bytes_max != 0 && *bytes >= bytes_max) || reading_step(r);
        *ret_more = *ret_more || is_active(w);
    }
    return 0;
}

/* Whoever is not beyond the floors of what it watches would miss something. */
static int check_floors(struct reading *r, struct watcher *watchers[], size_t len)
{
    int rc = 0;
    for (size_t i = 0; i < len && rc == 0; i++) {
        struct watcher *w = watchers[i];
        uint64_t floor = 0;
        if (w->next <= r->view->floor_max) {
            rc = floor_under(r->view, w->query->changes.under, &floor);
        }
        if (rc == 0 && w->code == 0 && w->next <= floor) {
            w->code = told_refuse(&w->error, w->next, floor + 1);
        }
    }
    return rc;
}

/* The revisions from `from` on of which nothing is left are passed over. */
static int pass_over(
    struct reading *r, struct watcher *watchers[], size_t len, uint64_t from, uint64_t *ret_next)
{
    struct key key = key_u64(from);
    struct row row;
    int rc = view_seek(r->view, TABLE_CHANGES, key_span(&key), &row);
    if (rc < 0) {
        return rc;
    }
    uint64_t next = rc == 0 ? get_u64be(row.key.data) : r->meta.revision + 1;
    for (size_t i = 0; i < len; i++) {
        if (watchers[i]->next == from && is_active(watchers[i])) {
            watchers[i]->next = next;
        }
    }
    *ret_next = next;
    return 0;
}

static int watch(struct told *t, struct watcher *watchers[], size_t len)
{
    struct reading *r = t->r;
    uint64_t revision = watchers[0]->next;
    size_t bytes = 0;
    bool more = true;
    int rc = find_namespaces(r, watchers, len);
    rc = rc != 0 ? rc : check_floors(r, watchers, len);
    for (unsigned rows = 0;
         rc == 0 && more && !r->stopped && rows < WATCH_STEP_ROWS && revision <= r->meta.revision;
         rows++, revision++) {
        struct key key = key_u64(revision);
        struct span row;
        rc = view_get(r->view, TABLE_CHANGES, key_span(&key), &row);
        if (rc == 1 && revision <= r->view->floor_max) {
            rc = pass_over(r, watchers, len, revision, &revision);
            revision--;
            continue;
        }
        if (rc == 1) {
            rc = told_compacted(r, revision);
            if (rc == CLADE_ERR_COMPACTED) {
                fail_all(watchers, len, r->error);
                return 0;
            }
        }
        if (rc == 0) {
            rc = told_begin(t, revision, row);
        }
        if (rc == 0) {
            rc = tell_all(t, watchers, len, &bytes, &more);
        }
    }
    return rc;
}

int read_watch(struct reading *r, struct watcher *watchers[], size_t len)
{
    struct told t;
    told_open(&t, r);
    int rc = watch(&t, watchers, len);
    told_close(&t);
    return rc;
}
