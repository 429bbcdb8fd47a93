/* What events are about. */
#include <string.h>

#include "cli/openlineage_internal.h"

static const char *const systems[] = {
    [OPENLINEAGE_RUN] = "run", [OPENLINEAGE_JOB] = "job", [OPENLINEAGE_DATASET] = "dataset"};
static const char *const kinds[] = {[OPENLINEAGE_RUN] = "run",
                                    [OPENLINEAGE_JOB] = "experiment",
                                    [OPENLINEAGE_DATASET] = "artifact"};

const char *plan_kind(enum openlineage_kind kind)
{
    return kinds[kind];
}

const char *plan_reference(enum openlineage_kind kind,
                           const char *key,
                           char ret[PLAN_REFERENCE_BYTES])
{
    (void)snprintf(ret, PLAN_REFERENCE_BYTES, "%s/ext:openlineage:%s:%s", kinds[kind],
                   systems[kind], key);
    return ret;
}

/* Calls for each data set that a data set's facets name: symlinks, or inputs of its columns. */
bool plan_each_identifier(const json_t *dataset, plan_on_pair call, void *arg)
{
    const json_t *facet = json_object_get(json_object_get(dataset, "facets"), "symlinks");
    const json_t *list = json_object_get(facet, "identifiers");
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(list); i++) {
        ok = call(arg, json_array_get(list, i));
    }
    return ok;
}

bool plan_each_column_input(const json_t *dataset, plan_on_pair call, void *arg)
{
    const json_t *facet = json_object_get(json_object_get(dataset, "facets"), "columnLineage");
    json_t *fields = json_object_get(facet, "fields");
    const json_t *whole = json_object_get(facet, "dataset");
    const char *column;
    json_t *field;
    bool ok = true;
    json_object_foreach(fields, column, field)
    {
        const json_t *inputs = json_object_get(field, "inputFields");
        for (size_t i = 0; ok && i < json_array_size(inputs); i++) {
            ok = call(arg, json_array_get(inputs, i));
        }
    }
    for (size_t i = 0; ok && i < json_array_size(whole); i++) {
        ok = call(arg, json_array_get(whole, i));
    }
    return ok;
}

/* The version of a data set that an event saw; NULL when it does not say. */
const char *plan_version(const json_t *dataset)
{
    const json_t *facet = json_object_get(json_object_get(dataset, "facets"), "version");
    const char *version = json_string_value(json_object_get(facet, "datasetVersion"));
    return version == NULL || version[0] == '\0' ? NULL : version;
}

struct collecting {
    const struct openlineage_index *index;
    json_t *refs;
};

static bool collect_key(const struct collecting *c, enum openlineage_kind kind, const char *key)
{
    char ref[PLAN_REFERENCE_BYTES];
    return json_object_set_new(c->refs, plan_reference(kind, key, ref), json_null()) == 0;
}

static bool collect_pair(const struct collecting *c,
                         enum openlineage_kind kind,
                         const char *ns,
                         const char *name,
                         const char *version)
{
    char key[OPENLINEAGE_NAME_BYTES];
    return openlineage_name(ns, name, version, key) && collect_key(c, kind, key);
}

static bool collect_named(void *arg, const json_t *dataset)
{
    const struct collecting *c = arg;
    const struct openlineage_pair *pair;
    char key[OPENLINEAGE_NAME_BYTES];
    const char *ns;
    const char *name;
    if (!openlineage_identity(dataset, &ns, &name)) {
        return true;
    }
    return openlineage_name(ns, name, NULL, key) && collect_key(c, OPENLINEAGE_DATASET, key) &&
           (!openlineage_index_resolve(c->index, key, &pair) ||
            collect_pair(c, OPENLINEAGE_DATASET, pair->ns, pair->name, NULL));
}

static bool collect_dataset(struct collecting *c, const json_t *dataset)
{
    const char *ns;
    const char *name;
    const char *version = plan_version(dataset);
    if (version != NULL && openlineage_identity(dataset, &ns, &name) &&
        !collect_pair(c, OPENLINEAGE_DATASET, ns, name, version)) {
        return false;
    }
    return collect_named(c, dataset) && plan_each_identifier(dataset, collect_named, c) &&
           plan_each_column_input(dataset, collect_named, c);
}

const json_t *plan_parent_facet(const struct openlineage_event *e)
{
    return json_object_get(json_object_get(json_object_get(e->json, "run"), "facets"), "parent");
}

static bool collect_job(const struct collecting *c, const json_t *job)
{
    const char *ns;
    const char *name;
    return !openlineage_identity(job, &ns, &name) ||
           collect_pair(c, OPENLINEAGE_JOB, ns, name, NULL);
}

static bool collect_run(const struct collecting *c, const struct openlineage_event *e)
{
    const struct openlineage_run_entry *entry = openlineage_index_run(c->index, e->run);
    char parent[37];
    bool ok = collect_key(c, OPENLINEAGE_RUN, e->run) &&
              collect_job(c, json_object_get(plan_parent_facet(e), "job"));
    if (ok && openlineage_parent(e, parent)) {
        ok = collect_key(c, OPENLINEAGE_RUN, parent);
    }
    if (ok && entry != NULL && entry->has_job) {
        const struct openlineage_pair *job = &c->index->pairs[entry->job];
        ok = collect_pair(c, OPENLINEAGE_JOB, job->ns, job->name, NULL);
    }
    return ok && (entry == NULL || entry->parent[0] == '\0' ||
                  collect_key(c, OPENLINEAGE_RUN, entry->parent));
}

bool openlineage_collect(const struct openlineage_index *x,
                         const struct openlineage_event *e,
                         json_t *refs)
{
    static const char *const sides[] = {"inputs", "outputs"};
    struct collecting c = {.index = x, .refs = refs};
    if (e->kind == OPENLINEAGE_DATASET) {
        return collect_dataset(&c, json_object_get(e->json, "dataset"));
    }
    bool ok = collect_job(&c, json_object_get(e->json, "job")) &&
              (e->kind != OPENLINEAGE_RUN || collect_run(&c, e));
    for (size_t side = 0; side < 2; side++) {
        const json_t *list = json_object_get(e->json, sides[side]);
        for (size_t i = 0; ok && i < json_array_size(list); i++) {
            ok = collect_dataset(&c, json_array_get(list, i));
        }
    }
    return ok;
}
