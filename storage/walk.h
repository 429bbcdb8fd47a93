#pragma once
/* Walking: which things are reached from one along edges, breadth first, a level at a time, each
 * level in the order of ids. By the lineage index where there is one, else by the edge tables; both
 * find the same. */
#include "storage/ids.h"
#include "storage/reading.h"

/* The labels that are followed. Zeroed memory is all of them. */
struct label_set {
    uint64_t *bits; /* by number, those below `end`; NULL = all */
    uint32_t end;
    bool others; /* whether those that are not in `bits` are in the set */
};

static inline bool label_set_has(const struct label_set *set, uint32_t label)
{
    if (set->bits == NULL) {
        return true;
    }
    return label < set->end ? (set->bits[label / 64] >> label % 64 & 1) != 0 : set->others;
}

/* The set of the labels that a query names, or, with `but`, of all others. Lives in the arena; a
 * label that nobody ever used is in none. 0 or a code. */
int label_set_make(
    struct reading *r, const struct span *labels, size_t len, bool but, struct label_set *ret);

/* The labels that the query follows: those that it names, else all; of impact, provenance and diff
 * all but evaluated_on. 0 or a code. */
int label_set_of_query(struct reading *r, struct label_set *ret);

/* What walks work in, kept by a reader from one query to the next. Zeroed memory is an empty one.
 */
struct walk_memory {
    struct id_set seen;
    struct ids order;
    struct ids levels; /* where each begins in `order` */
    struct ids spare;
};

void walk_memory_release(struct walk_memory *memory);

struct walk {
    struct reading *r;
    struct walk_memory *memory;
    enum adjacency_side side;
    const struct label_set *labels;
    const struct id_set *within; /* only things in it are met; NULL = all */
    bool unordered;              /* nobody minds the order within a level */
    uint64_t revision;
    uint32_t depth; /* of the last level */
    size_t
        level; /* where it begins in memory->order, which has all that were met, the start first */
};

/* At the start, which is at depth 0. `memory` is the walk's until walk_end. 0 or a code. */
int walk_begin(struct walk *w, uint64_t start);
/* One level further. 0; 1 when there is nothing more; 2 when the budget is used up (`stopped` is
 * set): then the level before is still the last; or a code, CLADE_ERR_COMPACTED when something was
 * met whose floor is above the walk's revision. */
int walk_next(struct walk *w);
void walk_end(struct walk *w);

static inline size_t walk_level_len(const struct walk *w)
{
    return w->memory->order.len - w->level;
}

/* The things at a depth that was reached, in order. */
static inline struct ids walk_level_at(const struct walk *w, uint32_t depth)
{
    const struct walk_memory *m = w->memory;
    size_t begin = m->levels.data[depth];
    size_t end = depth + 1 < m->levels.len ? m->levels.data[depth + 1] : m->order.len;
    return (struct ids){.data = m->order.data + begin, .len = end - begin};
}

/* Calls `cb` for each edge of a thing, on the side and with the labels of the walk, as of its
 * revision, in no order, until it returns other than 0; returns that. */
int walk_edges(const struct walk *w, uint64_t id, lookup_edge_cb cb, void *arg);
/* The labels of the edges by which `from` depends on `to`, as texts in the arena, in their order.
 */
int walk_labels_between(const struct walk *w,
                        uint64_t from,
                        uint64_t to,
                        struct arena *arena,
                        struct span **ret,
                        size_t *ret_len);
