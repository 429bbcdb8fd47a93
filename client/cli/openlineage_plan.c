/* Events merged into a plan. */
#include <stdlib.h>
#include <string.h>

#include "cli/openlineage_internal.h"

struct naming {
    struct openlineage_plan *plan;
    struct plan_thing *dataset;
};

/* Another name of the data set; where the store has something else of that name, an edge. */
static bool add_symlink(void *arg, const json_t *identifier)
{
    const struct naming *n = arg;
    const struct openlineage_pair *pair;
    char key[OPENLINEAGE_NAME_BYTES];
    char ref[PLAN_REFERENCE_BYTES];
    const char *ns;
    const char *name;
    if (!openlineage_identity(identifier, &ns, &name)) {
        return true;
    }
    if (!openlineage_name(ns, name, NULL, key)) {
        n->plan->failed = true;
        return false;
    }
    plan_reference(OPENLINEAGE_DATASET, key, ref);
    bool elsewhere =
        plan_found(n->plan, ref) != NULL || openlineage_index_resolve(n->plan->index, key, &pair);
    struct plan_thing *other = elsewhere ? plan_dataset(n->plan, ns, name) : n->dataset;
    if (other == n->dataset) {
        plan_add_id(n->plan, n->dataset, ref);
    } else {
        plan_link(n->plan, n->dataset, "same_as", other);
    }
    return true;
}

static bool add_column_input(void *arg, const json_t *input)
{
    const struct naming *n = arg;
    const char *ns;
    const char *name;
    if (openlineage_identity(input, &ns, &name)) {
        plan_link(n->plan, n->dataset, "column_lineage", plan_dataset(n->plan, ns, name));
    }
    return true;
}

/* The data set as one version of it was. */
static struct plan_thing *add_snapshot(struct openlineage_plan *p,
                                       struct plan_thing *dataset,
                                       const json_t *json)
{
    const char *version = plan_version(json);
    const char *ns;
    const char *name;
    char key[OPENLINEAGE_NAME_BYTES];
    if (version == NULL || !openlineage_identity(json, &ns, &name)) {
        return NULL;
    }
    plan_must(p, openlineage_name(ns, name, version, key));
    struct plan_thing *t = p->failed ? NULL : plan_thing(p, OPENLINEAGE_DATASET, key);
    if (t != NULL) {
        plan_set_prop(p, t, "openlineage.namespace", ns);
        plan_set_prop(p, t, "openlineage.name", name);
        plan_set_prop(p, t, "openlineage.version", version);
        plan_link(p, t, "version_of", dataset);
    }
    return t;
}

static struct plan_thing *add_dataset(struct openlineage_plan *p,
                                      json_t *json,
                                      struct plan_thing **ret_snapshot)
{
    static const char *const known[] = {"namespace",   "name",         "facets",
                                        "inputFacets", "outputFacets", NULL};
    const char *ns;
    const char *name;
    if (!openlineage_identity(json, &ns, &name)) {
        return NULL;
    }
    struct naming n = {.plan = p, .dataset = plan_dataset(p, ns, name)};
    if (n.dataset == NULL) {
        return NULL;
    }
    plan_set_facets(p, n.dataset, "facets", json_object_get(json, "facets"), NULL);
    plan_set_members(p, n.dataset, json, known);
    (void)plan_each_identifier(json, add_symlink, &n);
    (void)plan_each_column_input(json, add_column_input, &n);
    *ret_snapshot = add_snapshot(p, n.dataset, json);
    return n.dataset;
}

/* Inputs and outputs of a run, or of a job. */
static void add_side(struct openlineage_plan *p, struct plan_thing *actor, bool output)
{
    json_t *list = json_object_get(p->event->json, output ? "outputs" : "inputs");
    for (size_t i = 0; !p->failed && i < json_array_size(list); i++) {
        json_t *json = json_array_get(list, i);
        struct plan_thing *seen[2] = {NULL, NULL};
        const char *ns;
        const char *name;
        char key[OPENLINEAGE_NAME_BYTES];
        seen[0] = add_dataset(p, json, &seen[1]);
        for (size_t j = 0; j < 2; j++) {
            if (output) {
                plan_link(p, seen[j], "produced_by", actor);
            } else {
                plan_link(p, actor, "consumed", seen[j]);
            }
        }
        if (openlineage_identity(json, &ns, &name) && openlineage_name(ns, name, NULL, key)) {
            plan_set_facets(p, actor, output ? "outputs" : "inputs",
                            json_object_get(json, output ? "outputFacets" : "inputFacets"), key);
        }
    }
}

static struct plan_thing *add_job(struct openlineage_plan *p, json_t *json)
{
    static const char *const known[] = {"namespace", "name", "facets", NULL};
    const char *ns;
    const char *name;
    if (!openlineage_identity(json, &ns, &name)) {
        return NULL;
    }
    struct plan_thing *t = plan_pair(p, OPENLINEAGE_JOB, ns, name);
    if (t != NULL) {
        plan_set_facets(p, t, "facets", json_object_get(json, "facets"), NULL);
        plan_set_members(p, t, json, known);
    }
    return t;
}

static bool replace(char **text, const char *with)
{
    free(*text);
    *text = strdup(with);
    return *text != NULL;
}

/* A field that is written once: what the index says goes in where it is unset; what is said beside
 * that becomes an edge. */
static void set_once(struct openlineage_plan *p,
                     struct plan_thing *run,
                     const char *field,
                     char **ret_wanted,
                     struct plan_thing *chosen,
                     struct plan_thing *said)
{
    static const char *const labels[] = {"run_of", "child_of"};
    const char *there = plan_text_of(run->found, field);
    char name[32];
    if (there == NULL && *ret_wanted == NULL && chosen != NULL) {
        plan_must(p, replace(ret_wanted, plan_name(chosen, name)));
        plan_touch(p, run);
    }
    if (said == NULL) {
        return;
    }
    const char *ref = plan_text_of(said->found, "ref");
    bool same = there == NULL ? said == chosen : ref != NULL && strcmp(ref, there) == 0;
    if (!same) {
        plan_link(p, run, labels[strcmp(field, "parent") == 0], said);
    }
}

static void add_parent(struct openlineage_plan *p,
                       struct plan_thing *run,
                       const struct plan_thing *job)
{
    char uuid[37];
    const json_t *facet = plan_parent_facet(p->event);
    const char *ns;
    const char *name;
    if (openlineage_identity(json_object_get(facet, "job"), &ns, &name)) {
        plan_link(p, job, "child_of", plan_pair(p, OPENLINEAGE_JOB, ns, name));
    }
    if (!openlineage_parent(p->event, uuid)) {
        return;
    }
    const struct openlineage_run_entry *entry = openlineage_index_run(p->index, p->event->run);
    struct plan_thing *said = plan_thing(p, OPENLINEAGE_RUN, uuid);
    struct plan_thing *chosen = entry == NULL || entry->parent[0] == '\0'
                                    ? said
                                    : plan_thing(p, OPENLINEAGE_RUN, entry->parent);
    set_once(p, run, "parent", &run->parent, chosen, said);
}

static void set_end(struct openlineage_plan *p, struct plan_thing *run)
{
    static const char *const statuses[] = {[OPENLINEAGE_COMPLETE] = "finished",
                                           [OPENLINEAGE_ABORT] = "killed",
                                           [OPENLINEAGE_FAIL] = "failed"};
    uint64_t time_us = p->event->time_us;
    enum openlineage_state state = p->event->state;
    bool first = run->end_state == OPENLINEAGE_OTHER;
    if (!first && (time_us < run->end_us || (time_us == run->end_us && state <= run->end_state))) {
        return;
    }
    run->end_us = time_us;
    run->end_state = state;
    run->running = true;
    plan_must(p, json_object_set_new(run->fields, "status", json_string(statuses[state])) == 0);
    plan_must(p, json_object_set_new(run->fields, "end", json_integer((json_int_t)time_us)) == 0);
    plan_touch(p, run);
}

/* The start is written once: the earliest of the file; an earlier one of a later file stands in a
 * prop. */
static void set_start(struct openlineage_plan *p, struct plan_thing *run)
{
    const struct openlineage_run_entry *entry = openlineage_index_run(p->index, p->event->run);
    uint64_t start_us = entry == NULL ? 0 : entry->start_us;
    const json_t *there = json_object_get(run->found, "start");
    const json_t *props = json_object_get(run->found, "props");
    const json_t *earlier = json_object_get(json_object_get(props, PLAN_PROP_START), "time");
    if (start_us == 0) {
        return;
    }
    if (there == NULL) {
        if (json_object_get(run->fields, "start") == NULL) {
            plan_must(p, json_object_set_new(run->fields, "start",
                                             json_integer((json_int_t)start_us)) == 0);
            plan_touch(p, run);
        }
    } else if (start_us < (uint64_t)json_integer_value(there) &&
               (earlier == NULL || start_us < (uint64_t)json_integer_value(earlier)) &&
               json_object_get(run->props, PLAN_PROP_START) == NULL) {
        json_t *value = json_pack("{s: I}", "time", (json_int_t)start_us);
        plan_must(p, json_object_set_new(run->props, PLAN_PROP_START, value) == 0);
        plan_touch(p, run);
    }
}

static void add_run_state(struct openlineage_plan *p, struct plan_thing *run)
{
    enum openlineage_state state = p->event->state;
    set_start(p, run);
    if (state >= OPENLINEAGE_COMPLETE) {
        set_end(p, run);
    } else if (state != OPENLINEAGE_OTHER && !run->running) {
        run->running = true;
        plan_must(p, json_object_set_new(run->fields, "status", json_string("running")) == 0);
        plan_touch(p, run);
    }
}

static struct plan_thing *add_run(struct openlineage_plan *p, struct plan_thing *job)
{
    static const char *const known[] = {"runId", "facets", NULL};
    const struct openlineage_run_entry *entry = openlineage_index_run(p->index, p->event->run);
    struct plan_thing *run = plan_thing(p, OPENLINEAGE_RUN, p->event->run);
    if (run == NULL) {
        return NULL;
    }
    struct plan_thing *chosen = job;
    if (entry != NULL && entry->has_job) {
        const struct openlineage_pair *pair = &p->index->pairs[entry->job];
        chosen = plan_pair(p, OPENLINEAGE_JOB, pair->ns, pair->name);
    }
    json_t *json = json_object_get(p->event->json, "run");
    set_once(p, run, "experiment", &run->experiment, chosen, job);
    add_run_state(p, run);
    add_parent(p, run, job);
    plan_set_facets(p, run, "facets", json_object_get(json, "facets"), NULL);
    plan_set_members(p, run, json, known);
    return run;
}

void openlineage_plan_add(struct openlineage_plan *p, const struct openlineage_event *e, size_t i)
{
    static const char *const known[] = {"eventTime", "eventType", "run", "job",
                                        "inputs",    "outputs",   NULL};
    static const char *const known_of_dataset[] = {"eventTime", "dataset", NULL};
    p->event = e;
    p->event_index = i;
    struct plan_thing *actor;
    if (e->kind == OPENLINEAGE_DATASET) {
        struct plan_thing *snapshot = NULL;
        actor = add_dataset(p, json_object_get(e->json, "dataset"), &snapshot);
    } else {
        struct plan_thing *job = add_job(p, json_object_get(e->json, "job"));
        actor = e->kind == OPENLINEAGE_RUN && job != NULL ? add_run(p, job) : job;
    }
    if (actor == NULL) {
        p->failed = true;
        return;
    }
    if (e->kind != OPENLINEAGE_DATASET) {
        add_side(p, actor, false);
        add_side(p, actor, true);
    }
    plan_set_members(p, actor, e->json, e->kind == OPENLINEAGE_DATASET ? known_of_dataset : known);
}

struct openlineage_plan *openlineage_plan_new(const struct openlineage_index *x,
                                              const json_t *found)
{
    struct openlineage_plan *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    *p = (struct openlineage_plan){
        .index = x, .found = found, .by_key = json_object(), .edges = json_object()};
    buffer_init(&p->key, 4u << 20);
    p->failed = p->by_key == NULL || p->edges == NULL;
    return p;
}

void openlineage_plan_free(struct openlineage_plan *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->len; i++) {
        plan_thing_free(p->things[i]);
    }
    free(p->things);
    json_decref(p->by_key);
    json_decref(p->edges);
    buffer_release(&p->key);
    free(p);
}
