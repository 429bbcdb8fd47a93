/* Impact: what uses a version (aliases, a stage in use, deployments), and the path that reaches it
 * from where the walk began. */
#include <stdlib.h>

#include "command/value.h"
#include "storage/lineage_internal.h"
#include "storage/pointer.h"
#include "storage/stages.h"
#include "storage/target.h"

enum use_kind { USE_ALIAS, USE_STAGE, USE_DEPLOYMENT };

struct use {
    enum use_kind kind;
    struct span text; /* the alias, the stage, the deployment's reference */
    struct target target;
};

static int add_use(struct lineage *l, const struct use *use)
{
    struct arena *arena = l->r->scratch;
    if (l->uses_len == l->uses_capacity) {
        size_t capacity = l->uses_capacity == 0 ? 16 : 2 * l->uses_capacity;
        struct use *grown = arena_calloc(arena, capacity, sizeof *grown);
        if (grown == NULL) {
            return arena_failure(arena, capacity * sizeof *grown, l->r->error);
        }
        if (l->uses_len > 0) {
            memcpy(grown, l->uses, l->uses_len * sizeof *grown);
        }
        l->uses = grown;
        l->uses_capacity = capacity;
    }
    l->uses[l->uses_len++] = *use;
    return 0;
}

static int on_alias(void *arg, const struct key *key, const struct pointer *pointer)
{
    struct lineage *l = arg;
    struct span text = alias_of_key(key);
    struct use use = {.kind = USE_ALIAS, .text = arena_copy_span(l->r->scratch, text)};
    (void)pointer;
    return use.text.data != NULL ? add_use(l, &use)
                                 : arena_failure(l->r->scratch, text.len, l->r->error);
}

static int find_stage(struct lineage *l, const struct thing *version)
{
    struct stage_list list;
    const struct field_value *v = &version->fields[FIELD_STAGE];
    int rc = v->set ? stages_of(l->r->view, l->r->scratch, version->ns, &list) : 0;
    if (rc != 0 || !v->set) {
        return rc;
    }
    const struct stage *stage = stages_find(&list, v->text);
    bool in_use = stage != NULL && stage->in_use;
    return in_use ? add_use(l, &(struct use){.kind = USE_STAGE, .text = v->text}) : 0;
}

/* What the deployment's record says of the version. */
static struct target target_of(const struct thing *deployment, uint64_t version)
{
    struct span packed = deployment->fields[FIELD_TARGETS].text;
    struct target target = {.version = 0};
    for (size_t i = 0; i < targets_len(packed) && target.version != version; i++) {
        target = target_at(packed, i);
    }
    return target;
}

static int on_deployment(void *arg, const struct key *key, const struct pointer *pointer)
{
    struct lineage *l = arg;
    struct use use = {.kind = USE_DEPLOYMENT};
    struct thing *deployment;
    int rc = lookup_thing(l->r->view, l->r->scratch, pointer->what, &deployment);
    if (rc == 0) {
        rc = render_ref(&l->r->render, deployment, &use.text);
    }
    if (rc != 0) {
        return rc < 0 ? rc
                      : row_corrupt(l->r->error, TABLE_DEPLOYED, key_span(key), "leads nowhere");
    }
    use.target = target_of(deployment, l->thing->id);
    return add_use(l, &use);
}

static int compare_uses(const void *x, const void *y)
{
    const struct use *a = x;
    const struct use *b = y;
    return a->kind != b->kind ? (a->kind < b->kind ? -1 : 1) : span_compare(a->text, b->text);
}

int impact_find(struct lineage *l, const struct thing *thing)
{
    l->uses = NULL;
    l->uses_len = 0;
    l->uses_capacity = 0;
    if (thing->kind != KIND_VERSION) {
        return 0;
    }
    struct key deployed = key_deployed(thing->model, thing->id, 0);
    int rc = lookup_aliases_of(l->r->view, thing, on_alias, l);
    rc = rc != 0 ? rc : find_stage(l, thing);
    rc = rc != 0 ? rc : pointer_each(l->r->view, TABLE_DEPLOYED, &deployed, on_deployment, l);
    if (l->uses_len > 1) {
        qsort(l->uses, l->uses_len, sizeof *l->uses, compare_uses);
    }
    return rc;
}

/* --- Showing ---------------------------------------------------------------------------------- */

static void put_use(const struct use *use, struct buffer *out)
{
    static const char *const words[] = {
        [USE_ALIAS] = "alias", [USE_STAGE] = "stage", [USE_DEPLOYMENT] = "deployment"};
    bool deployment = use->kind == USE_DEPLOYMENT;
    value_put_map(out, deployment ? 3 : 1);
    value_put_str(out, words[use->kind]);
    value_put_span(out, use->text);
    if (deployment) {
        value_put_str(out, "share");
        value_put_uint(out, use->target.share);
        value_put_str(out, "mode");
        value_put_str(out, use->target.shadow ? "shadow" : "serving");
    }
}

/* The least of those a level nearer that the thing depends on. */
struct nearer {
    struct reading *r;
    struct ids level;
    uint64_t least;
};

static int on_nearer(void *arg, const struct edge *edge)
{
    struct nearer *n = arg;
    if (edge->other < n->least && ids_have(&n->level, edge->other)) {
        n->least = edge->other;
    }
    return reading_step(n->r) ? 1 : 0;
}

/* The things from the start to the one that is shown, in the scratch arena. */
static int find_path(struct lineage *l, uint64_t **ret)
{
    struct walk back = l->walk;
    size_t len = (size_t)l->depth + 1;
    uint64_t *ids = arena_calloc(l->r->scratch, len, sizeof *ids);
    if (ids == NULL) {
        return arena_failure(l->r->scratch, len * sizeof *ids, l->r->error);
    }
    back.side = SIDE_OUT;
    ids[l->depth] = l->thing->id;
    for (uint32_t depth = l->depth; depth > 0; depth--) {
        struct nearer nearer = {
            .r = l->r, .level = walk_level_at(&l->walk, depth - 1), .least = UINT64_MAX};
        int rc = walk_edges(&back, ids[depth], on_nearer, &nearer);
        if (rc != 0) {
            return rc;
        }
        ids[depth - 1] = nearer.least;
    }
    *ret = ids;
    return 0;
}

int impact_put(void *arg, struct buffer *out, uint32_t *members)
{
    struct lineage *l = arg;
    uint64_t *ids = NULL;
    value_put_str(out, "uses");
    value_put_array(out, (uint32_t)l->uses_len);
    for (size_t i = 0; i < l->uses_len; i++) {
        put_use(&l->uses[i], out);
    }
    *members += 2;
    int rc = find_path(l, &ids);
    return rc != 0 ? rc : path_put(&l->walk, "path", ids, (size_t)l->depth + 1, true, out);
}
