#include "storage/lineage_set.h"

#include <stdlib.h>

struct front {
    const struct lineage_walk *w;
    struct id_pages *set;
    uint64_t *ids; /* that were met and not walked from */
    size_t len;
    size_t capacity;
    uint64_t visits;
    bool all; /* labels */
    uint32_t label;
};

static int out_of_memory(const struct lineage_walk *w)
{
    return error_set(w->view->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
}

static int push(struct front *f, uint64_t id)
{
    if (f->len == f->capacity) {
        size_t capacity = f->capacity == 0 ? 256 : 2 * f->capacity;
        uint64_t *grown = realloc(f->ids, capacity * sizeof *grown);
        if (grown == NULL) {
            return out_of_memory(f->w);
        }
        f->ids = grown;
        f->capacity = capacity;
    }
    f->ids[f->len++] = id;
    return 0;
}

static int on_edge(void *arg, const struct edge *edge)
{
    struct front *f = arg;
    if (f->w->stop != NULL && f->w->stop(f->w->arg)) {
        return 1;
    }
    if (!f->all && edge->label != f->label) {
        return 0;
    }
    int added = id_pages_add(f->set, edge->other);
    if (added <= 0) {
        return added == 0 ? 0 : out_of_memory(f->w);
    }
    if (++f->visits > f->w->visits_max) {
        return 2;
    }
    return f->all ? push(f, edge->other) : 0;
}

static enum table table_of(const struct lineage_walk *w)
{
    return w->downstream ? TABLE_EDGES_IN : TABLE_EDGES_OUT;
}

int lineage_closure(const struct lineage_walk *w,
                    const struct id_pages *starts,
                    struct id_pages *ret)
{
    struct front f = {.w = w, .set = ret, .all = true};
    uint64_t id = 0;
    int rc = 0;
    while (rc == 0 && id_pages_next(starts, id, &id)) {
        rc = lookup_edges(w->view, table_of(w), id, on_edge, &f);
        id++;
    }
    while (rc == 0 && f.len > 0) {
        rc = lookup_edges(w->view, table_of(w), f.ids[--f.len], on_edge, &f);
    }
    free(f.ids);
    return rc;
}

int lineage_linked(const struct lineage_walk *w, uint64_t id, uint32_t label, struct id_pages *ret)
{
    struct front f = {.w = w, .set = ret, .label = label};
    return lookup_edges(w->view, table_of(w), id, on_edge, &f);
}
