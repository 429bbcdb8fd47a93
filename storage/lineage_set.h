#pragma once
/* What is upstream or downstream of things, as a set: what the lineage predicates of searches ask.
 * This walks the edge tables; an index in memory would stand in for it. */
#include "storage/id_pages.h"
#include "storage/lookup.h"

struct lineage_walk {
    struct view *view;
    bool downstream;         /* else upstream */
    uint64_t visits_max;     /* things */
    bool (*stop)(void *arg); /* asked at each edge whether to give up */
    void *arg;
};

/* Adds to *ret what can be reached from the things of `starts`; a start itself only if it can be.
 * 0, 1 when it gave up (the set is not whole), 2 when there were more than visits_max, or a code.
 */
int lineage_closure(const struct lineage_walk *w,
                    const struct id_pages *starts,
                    struct id_pages *ret);
/* The other ends of a thing's edges of a label: those that it has edges to, or `downstream` those
 * that have edges to it. The same outcomes. */
int lineage_linked(const struct lineage_walk *w, uint64_t id, uint32_t label, struct id_pages *ret);
