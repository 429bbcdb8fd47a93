/* What the lineage predicates of a search mean. Where the others are known, the things that stand
 * in the relation to them are a set, made once; else each thing's edges are looked at. */
#include "storage/floor.h"
#include "storage/resolve.h"
#include "storage/search.h"
#include "storage/walk.h"

static int out_of_memory(struct search_run *s)
{
    return error_set(s->r->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
}

static int too_much(struct search_run *s, const struct filter *f, const char *what)
{
    return error_set(s->r->error, CLADE_ERR_LIMIT, "query", "%.*s: %s", SPAN_FMT(f->written), what);
}

static bool is_transitive(const struct filter *f)
{
    return f->relation == RELATION_DEPENDS_ON || f->relation == RELATION_USED_BY;
}

/* --- The others ------------------------------------------------------------------------------- */

static int add_start(struct search_run *s, struct id_pages *starts, uint64_t id)
{
    return id_pages_add(starts, id) < 0 ? out_of_memory(s) : 0;
}

/* The live things of a kind that are as the query says. */
static int add_matching(struct search_run *s,
                        const struct filter *f,
                        enum kind kind,
                        struct id_pages *starts,
                        uint64_t *count)
{
    struct search_run sub = *s;
    struct source *source;
    sub.kind = kind;
    sub.ns = kind == KIND_NAMESPACE ? NAMESPACE_ROOT : s->r->ns;
    sub.id_min = 0;
    sub.id_max = UINT64_MAX - 1;
    sub.sets_len = 0;
    sub.match.lineage_arg = &sub;
    int rc = search_plan(&sub, f->first, &source);
    uint64_t id = sub.id_min;
    while (rc == 0) {
        struct thing *thing;
        bool matches;
        rc = source_seek(&sub, source, id, false, &id);
        if (rc == 0) {
            rc = id > sub.id_max
                     ? 1
                     : search_test(&sub, id, f->first, CLADE_STATE_LIVE, &thing, &matches);
        }
        if (rc == 0 && matches) {
            rc = ++*count > SEARCH_STARTS_MAX ? too_much(s, f, "its query means too many things")
                                              : add_start(s, starts, id);
        }
        id++;
    }
    s->rows = sub.rows;
    s->things = sub.things;
    s->is_exhausted = sub.is_exhausted;
    memcpy(s->lineage, sub.lineage, sizeof s->lineage);
    memset(sub.lineage, 0, sizeof sub.lineage); /* they are the search's */
    search_release(&sub);
    return rc == 1 ? 0 : rc;
}

/* Things of any kind. */
static int find_starts(struct search_run *s, const struct filter *f, struct id_pages *starts)
{
    if (f->has_ref) {
        struct resolver r = {
            .view = s->r->view, .arena = s->r->arena, .ns = s->r->ns, .any_state = true};
        struct thing *thing;
        int rc = resolve(&r, f->ref, &thing);
        if (rc != 0 && !code_is_fatal(rc)) {
            error_prefix_where(s->r->error, "query");
        }
        return rc != 0 ? rc : add_start(s, starts, thing->id);
    }
    uint64_t count = 0;
    int rc = 0;
    for (int kind = KIND_NONE + 1; kind < KIND_COUNT && rc == 0; kind++) {
        rc = add_matching(s, f, (enum kind)kind, starts, &count);
    }
    return rc;
}

/* --- As a set --------------------------------------------------------------------------------- */

struct front {
    struct walk walk;
    struct search_run *s;
    struct id_pages *set;
    struct ids met; /* and not walked from */
};

/* Its own memory: whoever asks for the set has something in the reading's. */
static int check_floor(struct search_run *s, uint64_t id)
{
    struct arena arena;
    if (s->r->view->revision >= s->r->view->floor_max) {
        return 0;
    }
    arena_init(&arena, READING_SCRATCH_BYTES);
    int rc = floor_check_id(s->r->view, &arena, id);
    arena_release(&arena);
    return rc;
}

/* 1 when the budget has ended. */
static int on_edge(void *arg, const struct edge *edge)
{
    struct front *f = arg;
    uint64_t visits_max = f->s->r->budget->visits_max;
    if (reading_stop(f->s->r)) {
        return 1;
    }
    int added = id_pages_add(f->set, edge->other);
    if (added == 0) {
        return 0;
    }
    if (added < 0 || !ids_reserve(&f->met, 1)) {
        return out_of_memory(f->s);
    }
    int rc = check_floor(f->s, edge->other);
    if (rc != 0) {
        return rc;
    }
    f->met.data[f->met.len++] = edge->other;
    return visits_max != 0 && f->met.len > visits_max ? 1 : 0;
}

/* Adds to *ret what stands in the relation to the things of `starts`; one of them only if it does.
 * 0, 1 when there is too much of it (the set is not whole), or a code. */
static int related(struct search_run *s,
                   const struct filter *f,
                   const struct id_pages *starts,
                   struct id_pages *ret)
{
    bool downstream = f->relation == RELATION_DEPENDS_ON || f->relation == RELATION_LINKED;
    struct label_set labels = {.bits = NULL};
    struct front front = {.walk = {.r = s->r,
                                   .side = downstream ? SIDE_IN : SIDE_OUT,
                                   .labels = &labels,
                                   .revision = s->r->view->revision},
                          .s = s,
                          .set = ret};
    uint64_t id = 0;
    bool transitive = is_transitive(f);
    int rc = transitive ? 0 : label_set_make(s->r, &f->label, 1, false, &labels);
    while (rc == 0 && id_pages_next(starts, id, &id)) {
        rc = walk_edges(&front.walk, id, on_edge, &front);
        id++;
    }
    for (size_t i = 0; rc == 0 && transitive && i < front.met.len; i++) {
        rc = walk_edges(&front.walk, front.met.data[i], on_edge, &front);
    }
    ids_release(&front.met);
    return rc;
}

int search_lineage_set(struct search_run *s, const struct filter *f, struct id_pages **ret)
{
    struct search_set *at = &s->lineage[f->number];
    struct id_pages starts = {0};
    *ret = NULL;
    if (!f->has_ref && (f->first == NULL || !is_transitive(f))) {
        return 0;
    }
    if (!at->is_ready) {
        if (!id_pages_init(&at->set, s->r->meta.next_id) ||
            !id_pages_init(&starts, s->r->meta.next_id)) {
            id_pages_release(&at->set);
            return out_of_memory(s);
        }
        at->is_ready = true; /* to be released */
        int rc = find_starts(s, f, &starts);
        rc = rc != 0 ? rc : related(s, f, &starts, &at->set);
        id_pages_release(&starts);
        if (rc == 1) {
            return too_much(s, f, "there are too many things to walk over; ask for less");
        }
        if (rc != 0) {
            return rc;
        }
    }
    *ret = &at->set;
    return 0;
}

/* --- Of one thing ------------------------------------------------------------------------------
 */

struct ends {
    struct search_run *s;
    const struct filter *f;
    uint64_t *ids;
    size_t len;
    size_t capacity;
    bool any; /* the first one is enough */
};

static int on_end(void *arg, const struct edge *edge)
{
    struct ends *e = arg;
    if (reading_step(e->s->r)) {
        return 2;
    }
    if (e->len == e->capacity) {
        size_t capacity = e->capacity == 0 ? 16 : 2 * e->capacity;
        uint64_t *grown = arena_alloc(e->s->r->scratch, capacity * sizeof *grown);
        if (grown == NULL) {
            return arena_failure(e->s->r->scratch, capacity * sizeof *grown, e->s->r->error);
        }
        if (e->len > 0) {
            memcpy(grown, e->ids, e->len * sizeof *grown);
        }
        e->ids = grown;
        e->capacity = capacity;
    }
    e->ids[e->len++] = edge->other;
    return e->any ? 1 : 0;
}

/* Whether the other end of an edge is as the predicate's query says. */
static int test_end(struct search_run *s,
                    const struct filter *f,
                    const struct thing *t,
                    uint32_t label,
                    uint64_t other,
                    bool *ret)
{
    struct edge_props props = {.set = 0};
    bool out = f->relation == RELATION_LINKED;
    struct thing *thing;
    bool live = false;
    int rc = lookup_edge_props(s->r->view, s->r->scratch, out ? t->id : other, label,
                               out ? other : t->id, &props);
    bool has_props = rc == 0 && props.ended == 0;
    rc = rc < 0 ? rc : lookup_thing(s->r->view, s->r->scratch, other, &thing);
    if (rc == 0) {
        rc = lookup_is_live(s->r->view, s->r->scratch, thing, &live);
    }
    *ret = false;
    if (rc != 0 || !live || thing->ns != s->r->ns) {
        return rc < 0 ? rc : 0;
    }
    struct matcher m = s->match;
    m.edge = has_props ? &props.props : NULL;
    return match_thing(&m, f->first, thing, ret);
}

int search_match_lineage(void *arg, const struct filter *f, const struct thing *t, bool *ret)
{
    struct search_run *s = arg;
    struct id_pages *set;
    int rc = search_lineage_set(s, f, &set);
    *ret = false;
    if (rc != 0 || set != NULL) {
        *ret = rc == 0 && id_pages_has(set, t->id);
        return rc;
    }
    bool out = f->relation == RELATION_DEPENDS_ON || f->relation == RELATION_LINKED;
    enum table table = out ? TABLE_EDGES_OUT : TABLE_EDGES_IN;
    struct ends ends = {.s = s, .f = f, .any = f->first == NULL};
    uint64_t visits = UINT64_MAX;
    uint32_t label = 0;
    if (is_transitive(f)) {
        rc = lookup_edges(s->r->view, table, t->id, on_end, &ends);
    } else {
        rc = lookup_label(s->r->view, f->label, &label);
        rc =
            rc != 0 ? rc : lookup_edges_of(s->r->view, table, t->id, label, &visits, on_end, &ends);
    }
    if (rc < 0 || rc == 2 || ends.any) {
        *ret = ends.len > 0;
        return rc < 0 || rc == 2 ? rc : 0;
    }
    rc = 0;
    for (size_t i = 0; i < ends.len && rc == 0 && !*ret; i++) {
        rc = test_end(s, f, t, label, ends.ids[i], ret);
    }
    return rc;
}
