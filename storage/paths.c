/* paths: how one thing leads to another. First it is looked from both ends, a level at a time, from
 * where fewer things were met last; that finds the shortest path, or that there is none. More paths
 * are found in the order of (length, ids), best first, by the distance of each thing to the end. */
#include <stdlib.h>

#include "command/value.h"
#include "storage/lineage_internal.h"

#define PREFIXES_MAX ((size_t)1 << 20) /* of paths that are being tried */

struct paths {
    struct reading *r;
    struct label_set labels;
    bool down; /* each thing of a path depends on the one before */
    uint64_t from;
    uint64_t to;
    struct walk ahead; /* from `from` */
    struct walk back;  /* from `to` */
    struct ids met;    /* a set of things that the current step works with, sorted */
    struct ids path;
};

static int out_of_memory(struct paths *p)
{
    return error_set(p->r->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
}

static int push(struct paths *p, struct ids *ids, uint64_t id)
{
    if (!ids_reserve(ids, 1)) {
        return out_of_memory(p);
    }
    ids->data[ids->len++] = id;
    return 0;
}

/* --- Showing ---------------------------------------------------------------------------------- */

/* As reading_emit, for a path. */
static int emit_path(struct paths *p)
{
    struct buffer *out = p->r->out;
    size_t mark = out->len;
    value_put_map(out, 3);
    value_put_str(out, "direction");
    value_put_str(out, p->down ? "down" : "up");
    value_put_str(out, "length");
    value_put_uint(out, p->path.len - 1);
    int rc = path_put(&p->ahead, "steps", p->path.data, p->path.len, p->down, out);
    return reading_rendered(p->r, rc, mark);
}

/* --- The shortest ----------------------------------------------------------------------------- */

/* Whether the last level of one walk meets what the other has seen; those go to `met`. */
static int look_for_meeting(struct paths *p, const struct walk *last, const struct walk *other)
{
    struct ids level = walk_level_at(last, last->depth);
    p->met.len = 0;
    for (size_t i = 0; i < level.len; i++) {
        if (id_set_has(&other->memory->seen, level.data[i])) {
            int rc = push(p, &p->met, level.data[i]);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

/* 0 when they have met; 1 when they never do; 2 when the budget is used up; or a code. */
static int meet(struct paths *p)
{
    uint32_t depth_max = p->r->query->depth_max;
    int rc = walk_begin(&p->ahead, p->from);
    rc = rc != 0 ? rc : walk_begin(&p->back, p->to);
    rc = rc != 0 ? rc : look_for_meeting(p, &p->ahead, &p->back);
    while (rc == 0 && p->met.len == 0) {
        if (depth_max != 0 && p->ahead.depth + p->back.depth >= depth_max) {
            return 1;
        }
        bool ahead = walk_level_len(&p->ahead) <= walk_level_len(&p->back);
        struct walk *next = ahead ? &p->ahead : &p->back;
        rc = walk_next(next);
        rc = rc != 0 ? rc : look_for_meeting(p, next, ahead ? &p->back : &p->ahead);
    }
    return rc;
}

struct collect {
    struct paths *p;
    struct ids among; /* only these */
    struct ids *into;
    uint64_t least;
    int rc;
};

static int collect_edge(void *arg, const struct edge *edge)
{
    struct collect *c = arg;
    if (reading_step(c->p->r)) {
        return 2;
    }
    return ids_have(&c->among, edge->other) ? push(c->p, c->into, edge->other) : 0;
}

static int least_edge(void *arg, const struct edge *edge)
{
    struct collect *c = arg;
    if (edge->other < c->least && ids_have(&c->among, edge->other)) {
        c->least = edge->other;
    }
    return reading_step(c->p->r) ? 2 : 0;
}

/* Sorted, each once. */
static int make_set(struct paths *p, struct ids *ids)
{
    struct ids *spare = &p->ahead.memory->spare;
    size_t len = 0;
    if (!ids_sort(ids, 0, spare)) {
        return out_of_memory(p);
    }
    for (size_t i = 0; i < ids->len; i++) {
        if (len == 0 || ids->data[len - 1] != ids->data[i]) {
            ids->data[len++] = ids->data[i];
        }
    }
    ids->len = len;
    return 0;
}

/* What of the levels from `from` leads to `met` on a shortest path: a set for each depth. */
static int mark_back(struct paths *p, struct ids *marked)
{
    struct walk against = p->ahead;
    against.side = p->back.side;
    marked[p->ahead.depth] = p->met;
    p->met = (struct ids){0};
    for (uint32_t depth = p->ahead.depth; depth > 0; depth--) {
        struct collect c = {
            .p = p, .among = walk_level_at(&p->ahead, depth - 1), .into = &marked[depth - 1]};
        int rc = 0;
        for (size_t i = 0; rc == 0 && i < marked[depth].len; i++) {
            rc = walk_edges(&against, marked[depth].data[i], collect_edge, &c);
        }
        rc = rc != 0 ? rc : make_set(p, &marked[depth - 1]);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int step_to_least(struct paths *p, struct ids among)
{
    struct collect c = {.p = p, .among = among, .least = UINT64_MAX};
    int rc = walk_edges(&p->ahead, p->path.data[p->path.len - 1], least_edge, &c);
    if (rc == 0 && c.least == UINT64_MAX) {
        struct key key = key_u64(p->path.data[p->path.len - 1]);
        enum table table = p->down ? TABLE_EDGES_IN : TABLE_EDGES_OUT;
        return row_corrupt(p->r->error, table, key_span(&key), "lacks an edge");
    }
    return rc != 0 ? rc : push(p, &p->path, c.least);
}

/* Of all shortest paths the one with the least ids, the first that differs deciding. */
static int choose_least(struct paths *p, const struct ids *marked)
{
    p->path.len = 0;
    int rc = push(p, &p->path, p->from);
    for (uint32_t depth = 1; rc == 0 && depth <= p->ahead.depth; depth++) {
        rc = step_to_least(p, marked[depth]);
    }
    for (uint32_t depth = p->back.depth; rc == 0 && depth > 0; depth--) {
        rc = step_to_least(p, walk_level_at(&p->back, depth - 1));
    }
    return rc;
}

static int show_shortest(struct paths *p)
{
    size_t depths = (size_t)p->ahead.depth + 1;
    struct ids *marked = calloc(depths, sizeof *marked);
    if (marked == NULL) {
        return out_of_memory(p);
    }
    int rc = mark_back(p, marked);
    rc = rc != 0 ? rc : choose_least(p, marked);
    for (size_t i = 0; i < depths; i++) {
        ids_release(&marked[i]);
    }
    free(marked);
    return rc != 0 ? rc : emit_path(p);
}

/* --- More than one ---------------------------------------------------------------------------- */

/* How far a thing is from the end; those that are on no way to it are not listed. */
struct distance {
    uint64_t id;
    uint32_t steps;
};

/* The beginning of a path. */
struct prefix {
    uint64_t id;
    uint32_t parent; /* its place; that of itself for the start */
    uint32_t depth;
    uint64_t length; /* of the shortest path that begins so */
};

struct path_search {
    struct paths *p;
    struct distance *distances; /* by id */
    size_t distances_len;
    struct prefix *prefixes;
    size_t len;
    size_t capacity;
    uint32_t *heap; /* places of those that are to be tried, the best first */
    size_t heap_len;
    struct ids nexts;
};

static int compare_distances(const void *x, const void *y)
{
    const struct distance *a = x;
    const struct distance *b = y;
    return a->id < b->id ? -1 : a->id > b->id;
}

static const struct distance *find_distance(const struct path_search *s, uint64_t id)
{
    struct distance key = {.id = id};
    return bsearch(&key, s->distances, s->distances_len, sizeof key, compare_distances);
}

/* All that `from` reaches, then what of it reaches `to`, and in how many steps. */
static int measure(struct path_search *s)
{
    struct paths *p = s->p;
    int rc = walk_begin(&p->ahead, p->from);
    while (rc == 0) {
        rc = walk_next(&p->ahead);
    }
    if (rc == 1) {
        p->back.within = &p->ahead.memory->seen;
        rc = walk_begin(&p->back, p->to);
    }
    while (rc == 0) {
        rc = walk_next(&p->back);
    }
    if (rc != 1) {
        return rc;
    }
    const struct walk_memory *m = p->back.memory;
    s->distances = calloc(m->order.len, sizeof *s->distances);
    if (s->distances == NULL) {
        return out_of_memory(p);
    }
    for (uint32_t depth = 0; depth < m->levels.len; depth++) {
        struct ids level = walk_level_at(&p->back, depth);
        for (size_t i = 0; i < level.len; i++) {
            s->distances[s->distances_len++] =
                (struct distance){.id = level.data[i], .steps = depth};
        }
    }
    qsort(s->distances, s->distances_len, sizeof *s->distances, compare_distances);
    return 0;
}

/* Whether one comes before the other: the shorter, then the one whose ids are less, the first that
 * differs deciding. Neither begins with the other. */
static bool is_before(const struct path_search *s, uint32_t x, uint32_t y)
{
    const struct prefix *a = &s->prefixes[x];
    const struct prefix *b = &s->prefixes[y];
    if (a->length != b->length) {
        return a->length < b->length;
    }
    while (a->depth > b->depth) {
        a = &s->prefixes[a->parent];
    }
    while (b->depth > a->depth) {
        b = &s->prefixes[b->parent];
    }
    while (a->parent != b->parent) {
        a = &s->prefixes[a->parent];
        b = &s->prefixes[b->parent];
    }
    return a->id < b->id;
}

static void heap_put(struct path_search *s, uint32_t place)
{
    size_t i = s->heap_len++;
    while (i > 0 && is_before(s, place, s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = place;
}

static uint32_t heap_take(struct path_search *s)
{
    uint32_t best = s->heap[0];
    uint32_t last = s->heap[--s->heap_len];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap_len) {
            break;
        }
        if (child + 1 < s->heap_len && is_before(s, s->heap[child + 1], s->heap[child])) {
            child++;
        }
        if (!is_before(s, s->heap[child], last)) {
            break;
        }
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return best;
}

/* 2 when too many are being tried. */
static int add_prefix(struct path_search *s, uint64_t id, uint32_t parent, uint32_t depth)
{
    const struct distance *d = find_distance(s, id);
    uint32_t depth_max = s->p->r->query->depth_max;
    if (d == NULL || (depth_max != 0 && (uint64_t)depth + d->steps > depth_max)) {
        return 0;
    }
    if (s->len == PREFIXES_MAX) {
        s->p->r->stopped = true;
        return 2;
    }
    if (s->len == s->capacity) {
        size_t capacity = s->capacity == 0 ? 1024 : 2 * s->capacity;
        struct prefix *prefixes = realloc(s->prefixes, capacity * sizeof *prefixes);
        s->prefixes = prefixes != NULL ? prefixes : s->prefixes;
        uint32_t *heap = prefixes != NULL ? realloc(s->heap, capacity * sizeof *heap) : NULL;
        s->heap = heap != NULL ? heap : s->heap;
        if (heap == NULL) {
            return out_of_memory(s->p);
        }
        s->capacity = capacity;
    }
    s->prefixes[s->len] = (struct prefix){
        .id = id, .parent = parent, .depth = depth, .length = (uint64_t)depth + d->steps};
    heap_put(s, (uint32_t)s->len++);
    return 0;
}

static bool is_on_path(const struct path_search *s, uint32_t place, uint64_t id)
{
    for (;;) {
        const struct prefix *prefix = &s->prefixes[place];
        if (prefix->id == id || prefix->depth == 0) {
            return prefix->id == id;
        }
        place = prefix->parent;
    }
}

static int take_next(void *arg, const struct edge *edge)
{
    struct path_search *s = arg;
    if (reading_step(s->p->r)) {
        return 2;
    }
    return find_distance(s, edge->other) != NULL ? push(s->p, &s->nexts, edge->other) : 0;
}

/* No thing stands twice in a path. */
static int extend(struct path_search *s, uint32_t place)
{
    struct prefix prefix = s->prefixes[place];
    s->nexts.len = 0;
    int rc = walk_edges(&s->p->ahead, prefix.id, take_next, s);
    rc = rc != 0 ? rc : make_set(s->p, &s->nexts);
    for (size_t i = 0; rc == 0 && i < s->nexts.len; i++) {
        if (!is_on_path(s, place, s->nexts.data[i])) {
            rc = add_prefix(s, s->nexts.data[i], place, prefix.depth + 1);
        }
    }
    return rc;
}

static int show_found(struct path_search *s, uint32_t place)
{
    struct ids *path = &s->p->path;
    size_t len = (size_t)s->prefixes[place].depth + 1;
    path->len = 0;
    if (!ids_reserve(path, len)) {
        return out_of_memory(s->p);
    }
    path->len = len;
    for (size_t i = len; i > 0; i--) {
        path->data[i - 1] = s->prefixes[place].id;
        place = s->prefixes[place].parent;
    }
    return emit_path(s->p);
}

static int search_on(struct path_search *s)
{
    struct paths *p = s->p;
    int rc = add_prefix(s, p->from, 0, 0);
    while (rc == 0 && s->heap_len > 0 && p->r->items < p->r->query->limit) {
        uint32_t place = heap_take(s);
        rc = s->prefixes[place].id == p->to ? show_found(s, place) : extend(s, place);
    }
    if (rc == 0 && s->heap_len > 0) {
        p->r->full = true; /* there may be more */
    }
    return rc;
}

static int show_several(struct paths *p)
{
    struct path_search s = {.p = p};
    int rc = measure(&s);
    rc = rc != 0 ? rc : search_on(&s);
    free(s.distances);
    free(s.prefixes);
    free(s.heap);
    ids_release(&s.nexts);
    return rc;
}

/* --- The query -------------------------------------------------------------------------------- */

/* Paths of one direction. 1 when there are none; 2 when the budget ended; or a code. */
static int find_paths(struct paths *p, bool down)
{
    struct reading *r = p->r;
    p->down = down;
    enum adjacency_side side = down ? SIDE_IN : SIDE_OUT;
    struct walk walk = {.r = r, .labels = &p->labels};
    p->ahead = p->back = walk;
    p->ahead.side = side;
    p->back.side = side == SIDE_OUT ? SIDE_IN : SIDE_OUT;
    p->ahead.memory = &r->walks[0];
    p->back.memory = &r->walks[1];
    int rc = meet(p);
    if (rc == 0 && r->query->limit == 1) {
        rc = show_shortest(p);
    } else if (rc == 0) {
        walk_end(&p->ahead);
        walk_end(&p->back);
        rc = show_several(p);
    }
    walk_end(&p->ahead);
    walk_end(&p->back);
    return rc;
}

int read_paths(struct reading *r)
{
    const struct query *q = r->query;
    struct paths p = {.r = r};
    size_t at = value_begin_array(r->out);
    int rc = reading_find_start(r, &q->start, "from", &p.from);
    rc = rc != 0 ? rc : reading_find_start(r, &q->to, "to", &p.to);
    rc = rc != 0 ? rc : label_set_of_query(r, &p.labels);
    if (rc == 0) {
        rc = find_paths(&p, q->paths == PATHS_DOWN);
        if (rc == 1 && r->items == 0 && q->paths == PATHS_EITHER) {
            rc = find_paths(&p, true);
        }
    }
    ids_release(&p.met);
    ids_release(&p.path);
    value_end(r->out, at, r->items);
    return rc < 0 ? rc : 0;
}
