/* The things of a plan: as the store has them, and as they shall be. */
#include <stdlib.h>
#include <string.h>

#include "cli/openlineage_internal.h"

void plan_must(struct openlineage_plan *p, bool done)
{
    p->failed = p->failed || !done;
}

void plan_touch(struct openlineage_plan *p, struct plan_thing *t)
{
    if (!t->touched) {
        t->touched = true;
        t->event = p->event_index;
    }
}

const char *plan_text_of(const json_t *found, const char *key)
{
    return json_string_value(json_object_get(found, key));
}

const char *plan_part_key(struct openlineage_plan *p, const char *prop, unsigned part)
{
    buffer_clear(&p->key);
    buffer_append_fmt(&p->key, "part.%u.%s", part, prop);
    buffer_append_u8(&p->key, '\0');
    plan_must(p, !p->key.failed);
    return p->key.failed ? "" : (const char *)p->key.data;
}

/* A prop's JSON as text, its parts joined. NULL when the store does not have it. */
static char *stored_prop(struct openlineage_plan *p, const json_t *props, const char *prop)
{
    const char *text = plan_text_of(json_object_get(props, prop), "json");
    if (text != NULL) {
        return strdup(text);
    }
    struct buffer b;
    buffer_init(&b, 2u << 20);
    for (unsigned i = 1; (text = plan_text_of(props, plan_part_key(p, prop, i))) != NULL; i++) {
        buffer_append_str(&b, text);
    }
    buffer_append_u8(&b, '\0');
    char *joined = b.failed || b.len == 1 ? NULL : strdup((const char *)b.data);
    buffer_release(&b);
    return joined;
}

/* What a facet's prop says, as text; of one of a data set's within it (behind the separator). NULL
 * when the store does not have it. */
static char *stored_text(struct openlineage_plan *p, const json_t *props, const char *key)
{
    const char *separator = strchr(key, PLAN_SEPARATOR);
    size_t len = separator == NULL ? strlen(key) : (size_t)(separator - key);
    char *prop = strndup(key, len);
    char *text = prop == NULL ? NULL : stored_prop(p, props, prop);
    free(prop);
    if (text == NULL || separator == NULL) {
        return text;
    }
    json_t *whole = json_loads(text, JSON_DECODE_ANY, NULL);
    const json_t *part = json_object_get(whole, separator + 1);
    char *ret = part == NULL ? NULL : json_dumps(part, PLAN_TEXT_FLAGS);
    json_decref(whole);
    free(text);
    return ret;
}

/* The facets as the store has them. */
static void take_facets(struct openlineage_plan *p, struct plan_thing *t)
{
    const json_t *props = json_object_get(t->found, "props");
    char *text = stored_prop(p, props, PLAN_PROP_TIMES);
    json_t *times = text == NULL ? NULL : json_loads(text, 0, NULL);
    free(text);
    const char *key;
    json_t *time;
    json_object_foreach(times, key, time)
    {
        char *value = stored_text(p, props, key);
        json_t *entry = json_pack("[I, s]", json_integer_value(time), value == NULL ? "" : value);
        plan_must(p, entry != NULL && json_object_set_new(t->facets, key, entry) == 0);
        free(value);
    }
    json_decref(times);
}

static void take_found(struct openlineage_plan *p, struct plan_thing *t)
{
    static const struct {
        const char *status;
        enum openlineage_state state;
    } ends[] = {{"finished", OPENLINEAGE_COMPLETE},
                {"killed", OPENLINEAGE_ABORT},
                {"failed", OPENLINEAGE_FAIL}};
    const char *status = plan_text_of(t->found, "status");
    for (size_t i = 0; status != NULL && i < sizeof ends / sizeof *ends; i++) {
        if (strcmp(status, ends[i].status) == 0) {
            t->end_state = ends[i].state;
            t->end_us = (uint64_t)json_integer_value(json_object_get(t->found, "end"));
        }
    }
    t->running =
        t->end_state != OPENLINEAGE_OTHER || (status != NULL && strcmp(status, "running") == 0);
    take_facets(p, t);
}

void plan_thing_free(struct plan_thing *t)
{
    if (t != NULL) {
        free(t->name);
        free(t->experiment);
        free(t->parent);
        json_decref(t->ids);
        json_decref(t->facets);
        json_decref(t->dirty);
        json_decref(t->props);
        json_decref(t->fields);
        free(t);
    }
}

static struct plan_thing *thing_new(struct openlineage_plan *p, const char *kind, const char *name)
{
    struct plan_thing *t = calloc(1, sizeof *t);
    if (t != NULL) {
        *t = (struct plan_thing){.kind = kind,
                                 .name = strdup(name),
                                 .ids = json_object(),
                                 .facets = json_object(),
                                 .dirty = json_object(),
                                 .props = json_object(),
                                 .fields = json_object()};
    }
    if (p->len == p->capacity) {
        size_t capacity = p->capacity == 0 ? 64 : p->capacity * 2;
        struct plan_thing **things = reallocarray(p->things, capacity, sizeof(struct plan_thing *));
        if (things == NULL) {
            plan_thing_free(t);
            return NULL;
        }
        p->things = things;
        p->capacity = capacity;
    }
    if (t == NULL || t->name == NULL || t->ids == NULL || t->facets == NULL || t->dirty == NULL ||
        t->props == NULL || t->fields == NULL) {
        plan_thing_free(t);
        return NULL;
    }
    t->place = p->len;
    p->things[p->len++] = t;
    return t;
}

/* Looks among the plan's things, else makes one. `found` is the store's, NULL where it has none.
 * NULL when memory is out. */
static struct plan_thing *thing_at(
    struct openlineage_plan *p, const char *key, const char *kind, const char *name, json_t *found)
{
    const json_t *place = json_object_get(p->by_key, key);
    if (place != NULL) {
        return p->things[json_integer_value(place)];
    }
    struct plan_thing *t = thing_new(p, kind, name);
    if (t == NULL ||
        json_object_set_new(p->by_key, key, json_integer((json_int_t)(p->len - 1))) != 0) {
        p->failed = true;
        return NULL;
    }
    t->found = found;
    if (found == NULL) {
        plan_touch(p, t);
    } else {
        take_found(p, t);
    }
    return t;
}

json_t *plan_found(const struct openlineage_plan *p, const char *ref)
{
    json_t *found = json_object_get(p->found, ref);
    return json_is_object(found) ? found : NULL;
}

static bool has_id(const json_t *found, const char *id)
{
    const json_t *ids = json_object_get(found, "external_ids");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        if (strcmp(json_string_value(json_array_get(ids, i)), id) == 0) {
            return true;
        }
    }
    return false;
}

void plan_add_id(struct openlineage_plan *p, struct plan_thing *t, const char *ref)
{
    const char *id = strstr(ref, "/ext:") + strlen("/ext:");
    if (!has_id(t->found, id) && json_object_get(t->ids, id) == NULL) {
        plan_must(p, json_object_set_new(t->ids, id, json_true()) == 0);
        plan_touch(p, t);
    }
}

/* The thing that stands for a key. */
struct plan_thing *plan_thing(struct openlineage_plan *p,
                              enum openlineage_kind kind,
                              const char *key)
{
    char ref[PLAN_REFERENCE_BYTES];
    char id[32];
    json_t *found = plan_found(p, plan_reference(kind, key, ref));
    if (found != NULL) {
        (void)snprintf(id, sizeof id, "id/%lld",
                       (long long)json_integer_value(json_object_get(found, "id")));
    }
    struct plan_thing *t = thing_at(p, found == NULL ? ref : id, plan_kind(kind), key, found);
    if (t != NULL) {
        plan_add_id(p, t, ref);
    }
    return t;
}

void plan_set_prop(struct openlineage_plan *p,
                   struct plan_thing *t,
                   const char *key,
                   const char *text)
{
    const json_t *props = json_object_get(t->found, "props");
    const char *there = json_string_value(json_object_get(props, key));
    if (there == NULL && json_object_get(t->props, key) == NULL) {
        plan_must(p, json_object_set_new(t->props, key, json_string(text)) == 0);
        plan_touch(p, t);
    }
}

/* A thing of a namespace and a name, which its props keep as they were written. */
struct plan_thing *plan_pair(struct openlineage_plan *p,
                             enum openlineage_kind kind,
                             const char *ns,
                             const char *name)
{
    char key[OPENLINEAGE_NAME_BYTES];
    struct plan_thing *t = openlineage_name(ns, name, NULL, key) ? plan_thing(p, kind, key) : NULL;
    if (t == NULL) {
        p->failed = true;
        return NULL;
    }
    plan_set_prop(p, t, "openlineage.namespace", ns);
    plan_set_prop(p, t, "openlineage.name", name);
    return t;
}

/* A data set under the name that it has in the store, else that it has by a symlink. */
struct plan_thing *plan_dataset(struct openlineage_plan *p, const char *ns, const char *name)
{
    const struct openlineage_pair *pair;
    char key[OPENLINEAGE_NAME_BYTES];
    char ref[PLAN_REFERENCE_BYTES];
    if (!openlineage_name(ns, name, NULL, key)) {
        p->failed = true;
        return NULL;
    }
    plan_reference(OPENLINEAGE_DATASET, key, ref);
    if (plan_found(p, ref) != NULL || !openlineage_index_resolve(p->index, key, &pair)) {
        return plan_pair(p, OPENLINEAGE_DATASET, ns, name);
    }
    struct plan_thing *t = plan_pair(p, OPENLINEAGE_DATASET, pair->ns, pair->name);
    if (t != NULL) {
        plan_add_id(p, t, ref);
    }
    return t;
}

/* --- merges -------------------------------------------------------------------------------------
 */

/* The thing's name in references of the transaction. */
const char *plan_name(const struct plan_thing *t, char ret[32])
{
    if (t->found == NULL) {
        (void)snprintf(ret, 32, "$t%zu", t->place);
    } else {
        (void)snprintf(ret, 32, "id/%lld",
                       (long long)json_integer_value(json_object_get(t->found, "id")));
    }
    return ret;
}

void plan_link(struct openlineage_plan *p,
               const struct plan_thing *a,
               const char *label,
               const struct plan_thing *b)
{
    char from[32];
    char to[32];
    char key[128];
    if (a == NULL || b == NULL || a == b) {
        return;
    }
    (void)snprintf(key, sizeof key, "%s %s %s", plan_name(a, from), label, plan_name(b, to));
    if (json_object_get(p->edges, key) == NULL) {
        plan_must(p, json_object_set_new(p->edges, key, json_integer((json_int_t)p->event_index)) ==
                         0);
    }
}

/* PREFIX.NAME, and behind the separator the data set that it is said of. */
static const char *facet_key(struct openlineage_plan *p,
                             const char *prefix,
                             const char *name,
                             const char *dataset)
{
    buffer_clear(&p->key);
    buffer_append_fmt(&p->key, "%s.%s", prefix, name);
    for (size_t i = 0; !p->key.failed && i < p->key.len; i++) {
        p->key.data[i] = p->key.data[i] < 0x20 || p->key.data[i] == 0x7f ? '_' : p->key.data[i];
    }
    if (dataset != NULL) {
        buffer_append_u8(&p->key, PLAN_SEPARATOR);
        buffer_append_str(&p->key, dataset);
    }
    buffer_append_u8(&p->key, '\0');
    plan_must(p, !p->key.failed);
    return p->key.failed ? "" : (const char *)p->key.data;
}

/* The newest wins; of two of the same time the greater text. Answers whether this one did. */
static bool set_facet(struct openlineage_plan *p,
                      struct plan_thing *t,
                      const char *key,
                      const json_t *value)
{
    json_int_t time = (json_int_t)p->event->time_us;
    const json_t *there = json_object_get(t->facets, key);
    json_int_t then = json_integer_value(json_array_get(there, 0));
    const char *before = json_string_value(json_array_get(there, 1));
    char *text = json_dumps(value, PLAN_TEXT_FLAGS);
    plan_must(p, text != NULL);
    bool wins = text != NULL &&
                (there == NULL || time > then || (time == then && strcmp(text, before) > 0));
    if (wins) {
        const char *separator = strchr(key, PLAN_SEPARATOR);
        size_t len = separator == NULL ? strlen(key) : (size_t)(separator - key);
        char *prop = strndup(key, len);
        bool same = before != NULL && strcmp(text, before) == 0;
        plan_must(p, prop != NULL &&
                         json_object_set_new(t->facets, key, json_pack("[I, s]", time, text)) == 0);
        plan_must(p,
                  prop != NULL && (same || json_object_set_new(t->dirty, prop, json_true()) == 0));
        plan_must(p, json_object_set_new(t->dirty, PLAN_PROP_TIMES, json_true()) == 0);
        free(prop);
        plan_touch(p, t);
    }
    free(text);
    return wins;
}

/* A documentation facet is what clade calls a description. */
static void set_description(struct openlineage_plan *p,
                            struct plan_thing *t,
                            const json_t *documentation)
{
    const json_t *text = json_object_get(documentation, "description");
    if (json_string_length(text) > 0 && strcmp(t->kind, "run") != 0) {
        plan_must(p, json_object_set(t->fields, "description", (json_t *)text) == 0);
    }
}

void plan_set_facets(struct openlineage_plan *p,
                     struct plan_thing *t,
                     const char *prefix,
                     json_t *facets,
                     const char *dataset)
{
    const char *name;
    json_t *value;
    json_object_foreach(facets, name, value)
    {
        bool won = set_facet(p, t, facet_key(p, prefix, name, dataset), value);
        if (won && dataset == NULL && strcmp(name, "documentation") == 0) {
            set_description(p, t, value);
        }
    }
}

/* Members that the specification does not have are kept like facets. */
void plan_set_members(struct openlineage_plan *p,
                      struct plan_thing *t,
                      json_t *json,
                      const char *const known[])
{
    const char *name;
    json_t *value;
    json_object_foreach(json, name, value)
    {
        bool is_known = false;
        for (size_t i = 0; known[i] != NULL; i++) {
            is_known = is_known || strcmp(name, known[i]) == 0;
        }
        if (!is_known) {
            (void)set_facet(p, t, facet_key(p, "members", name, NULL), value);
        }
    }
}
