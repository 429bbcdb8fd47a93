/* What of a file must be known before its first event is sent. */
#include <stdlib.h>
#include <string.h>

#include "cli/openlineage.h"

#define STEPS_MAX 64 /* symlinks of symlinks that are followed */

static bool grow(void **items, size_t len, size_t *capacity, size_t item_bytes)
{
    if (len < *capacity) {
        return true;
    }
    size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
    void *more = reallocarray(*items, wanted, item_bytes);
    if (more == NULL) {
        return false;
    }
    *items = more;
    *capacity = wanted;
    return true;
}

/* The place of a namespace and a name, new or not. */
static bool add_pair(
    struct openlineage_index *x, const char *ns, const char *name, const char *key, size_t *ret)
{
    uint64_t at;
    if (names_find(&x->pair_names, span_of(key), &at)) {
        *ret = (size_t)at;
        return true;
    }
    if (!grow((void **)&x->pairs, x->pairs_len, &x->pairs_capacity, sizeof *x->pairs)) {
        return false;
    }
    struct openlineage_pair *p = &x->pairs[x->pairs_len++];
    *p = (struct openlineage_pair){.ns = strdup(ns), .name = strdup(name)};
    *ret = x->pairs_len - 1;
    return p->ns != NULL && p->name != NULL && names_add(&x->pair_names, span_of(key), *ret);
}

static struct openlineage_run_entry *add_run(struct openlineage_index *x, const char *uuid)
{
    uint64_t at;
    if (names_find(&x->runs, span_of(uuid), &at)) {
        return &x->entries[at];
    }
    if (!grow((void **)&x->entries, x->entries_len, &x->entries_capacity, sizeof *x->entries) ||
        !names_add(&x->runs, span_of(uuid), x->entries_len)) {
        return NULL;
    }
    x->entries[x->entries_len] = (struct openlineage_run_entry){0};
    return &x->entries[x->entries_len++];
}

/* By bytes, so that it is the same whichever was seen first. */
static int compare(const struct openlineage_pair *a, const struct openlineage_pair *b)
{
    int order = strcmp(a->ns, b->ns);
    return order != 0 ? order : strcmp(a->name, b->name);
}

static bool add_job(struct openlineage_index *x,
                    struct openlineage_run_entry *entry,
                    const struct openlineage_event *e)
{
    const char *ns;
    const char *name;
    char key[OPENLINEAGE_NAME_BYTES];
    size_t job;
    if (!openlineage_identity(json_object_get(e->json, "job"), &ns, &name)) {
        return true;
    }
    if (!openlineage_name(ns, name, NULL, key) || !add_pair(x, ns, name, key, &job)) {
        return false;
    }
    if (!entry->has_job || e->time_us > entry->job_us ||
        (e->time_us == entry->job_us && compare(&x->pairs[job], &x->pairs[entry->job]) > 0)) {
        entry->has_job = true;
        entry->job_us = e->time_us;
        entry->job = job;
    }
    return true;
}

static bool add_run_event(struct openlineage_index *x, const struct openlineage_event *e)
{
    struct openlineage_run_entry *entry = add_run(x, e->run);
    if (entry == NULL) {
        return false;
    }
    if (e->state == OPENLINEAGE_START && (entry->start_us == 0 || e->time_us < entry->start_us)) {
        entry->start_us = e->time_us;
    }
    char parent[37];
    if (openlineage_parent(e, parent) &&
        (e->time_us > entry->parent_us ||
         (e->time_us == entry->parent_us && strcmp(parent, entry->parent) > 0))) {
        entry->parent_us = e->time_us;
        memcpy(entry->parent, parent, sizeof parent);
    }
    return add_job(x, entry, e);
}

/* Another name of a data set means the least of those that say so. */
static bool add_symlinks(struct openlineage_index *x, const json_t *dataset)
{
    const json_t *facet = json_object_get(json_object_get(dataset, "facets"), "symlinks");
    const json_t *list = json_object_get(facet, "identifiers");
    const char *ns;
    const char *name;
    const char *other_ns;
    const char *other_name;
    char key[OPENLINEAGE_NAME_BYTES];
    char other[OPENLINEAGE_NAME_BYTES];
    size_t owner;
    if (json_array_size(list) == 0 || !openlineage_identity(dataset, &ns, &name)) {
        return true;
    }
    if (!openlineage_name(ns, name, NULL, key) || !add_pair(x, ns, name, key, &owner)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!openlineage_identity(json_array_get(list, i), &other_ns, &other_name)) {
            continue;
        }
        if (!openlineage_name(other_ns, other_name, NULL, other)) {
            return false;
        }
        uint64_t before;
        if (strcmp(other, key) == 0) {
            continue;
        }
        if (!names_find(&x->symlinks, span_of(other), &before)) {
            if (!names_add(&x->symlinks, span_of(other), owner)) {
                return false;
            }
        } else if (compare(&x->pairs[owner], &x->pairs[before]) < 0) {
            (void)names_change(&x->symlinks, span_of(other), owner);
        }
    }
    return true;
}

bool openlineage_index_add(struct openlineage_index *x, const struct openlineage_event *e)
{
    static const char *const sides[] = {"inputs", "outputs"};
    bool ok = e->kind != OPENLINEAGE_RUN || add_run_event(x, e);
    if (e->kind == OPENLINEAGE_DATASET) {
        return add_symlinks(x, json_object_get(e->json, "dataset"));
    }
    for (size_t side = 0; side < 2; side++) {
        const json_t *list = json_object_get(e->json, sides[side]);
        for (size_t i = 0; ok && i < json_array_size(list); i++) {
            ok = add_symlinks(x, json_array_get(list, i));
        }
    }
    return ok;
}

void openlineage_index_release(struct openlineage_index *x)
{
    for (size_t i = 0; i < x->pairs_len; i++) {
        free(x->pairs[i].ns);
        free(x->pairs[i].name);
    }
    names_release(&x->runs);
    names_release(&x->pair_names);
    names_release(&x->symlinks);
    free(x->entries);
    free(x->pairs);
    *x = (struct openlineage_index){0};
}

const struct openlineage_run_entry *openlineage_index_run(const struct openlineage_index *x,
                                                          const char *uuid)
{
    uint64_t at;
    return names_find(&x->runs, span_of(uuid), &at) ? &x->entries[at] : NULL;
}

/* One step: the pair that a name is another name of. */
static const struct openlineage_pair *follow(const struct openlineage_index *x, const char *key)
{
    uint64_t at;
    return names_find(&x->symlinks, span_of(key), &at) ? &x->pairs[at] : NULL;
}

bool openlineage_index_resolve(const struct openlineage_index *x,
                               const char *key,
                               const struct openlineage_pair **ret)
{
    const struct openlineage_pair *steps[STEPS_MAX];
    size_t len = 0;
    const struct openlineage_pair *p = follow(x, key);
    char next[OPENLINEAGE_NAME_BYTES];
    while (p != NULL && len < STEPS_MAX) {
        for (size_t i = 0; i < len; i++) {
            if (steps[i] != p) {
                continue;
            }
            /* Names that mean each other in a circle mean the least of it. */
            for (size_t j = i; j < len; j++) {
                p = compare(steps[j], p) < 0 ? steps[j] : p;
            }
            *ret = p;
            return openlineage_name(p->ns, p->name, NULL, next) && strcmp(next, key) != 0;
        }
        steps[len++] = p;
        p = openlineage_name(p->ns, p->name, NULL, next) ? follow(x, next) : NULL;
    }
    if (len == 0) {
        return false;
    }
    *ret = steps[len - 1];
    return true;
}
