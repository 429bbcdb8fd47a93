/* A plan as a transaction. */
#include <stdlib.h>
#include <string.h>

#include "cli/openlineage_internal.h"

#define PART_BYTES_MAX 60000 /* a prop of 64 KiB has its length and its type beside it */

static json_t *times_of(const struct plan_thing *t)
{
    json_t *times = json_object();
    const char *key;
    json_t *entry;
    json_object_foreach(t->facets, key, entry)
    {
        (void)json_object_set(times, key, json_array_get(entry, 0));
    }
    return times;
}

/* What the prop of a facet of inputs or outputs says of each data set. */
static json_t *parts_of(const struct plan_thing *t, const char *prop)
{
    json_t *parts = json_object();
    size_t len = strlen(prop);
    const char *key;
    json_t *entry;
    json_object_foreach(t->facets, key, entry)
    {
        const char *text = json_string_value(json_array_get(entry, 1));
        if (strncmp(key, prop, len) == 0 && key[len] == PLAN_SEPARATOR && text[0] != '\0') {
            (void)json_object_set_new(parts, key + len + 1,
                                      json_loads(text, JSON_DECODE_ANY, NULL));
        }
    }
    return parts;
}

static char *prop_text(const struct plan_thing *t, const char *prop)
{
    const json_t *entry = json_object_get(t->facets, prop);
    if (entry != NULL) {
        return strdup(json_string_value(json_array_get(entry, 1)));
    }
    json_t *whole = strcmp(prop, PLAN_PROP_TIMES) == 0 ? times_of(t) : parts_of(t, prop);
    char *text = json_dumps(whole, PLAN_TEXT_FLAGS);
    json_decref(whole);
    return text;
}

/* The length of the next part, which ends between characters. */
static size_t part_len(const char *text)
{
    size_t len = strnlen(text, PART_BYTES_MAX);
    while (((uint8_t)text[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

/* Writes a text as JSON, or, where it is too long for a prop, as texts that are its parts; takes
 * away what is there of the other form. */
static void put_text(struct openlineage_plan *p,
                     const json_t *there,
                     json_t *props,
                     const char *prop,
                     const char *text)
{
    unsigned part = 0;
    if (strlen(text) <= PART_BYTES_MAX) {
        plan_must(p, json_object_set_new(props, prop, json_pack("{s: s}", "json", text)) == 0);
    } else if (json_object_get(there, prop) != NULL) {
        plan_must(p, json_object_set_new(props, prop, json_null()) == 0);
    }
    for (bool parts = strlen(text) > PART_BYTES_MAX; parts && *text != '\0';) {
        size_t len = part_len(text);
        json_t *value = json_stringn(text, len);
        plan_must(p, json_object_set_new(props, plan_part_key(p, prop, ++part), value) == 0);
        text += len;
    }
    const char *key;
    while (json_object_get(there, key = plan_part_key(p, prop, ++part)) != NULL) {
        plan_must(p, json_object_set_new(props, key, json_null()) == 0);
    }
}

static void put_props(struct openlineage_plan *p, const struct plan_thing *t, json_t *op)
{
    const char *key;
    json_t *ignored;
    json_t *props = json_deep_copy(t->props);
    json_object_foreach(t->dirty, key, ignored)
    {
        char *text = prop_text(t, key);
        plan_must(p, text != NULL);
        if (text != NULL) {
            put_text(p, json_object_get(t->found, "props"), props, key, text);
        }
        free(text);
    }
    if (json_object_size(props) > 0) {
        plan_must(p, json_object_set(op, "props", props) == 0);
    }
    json_decref(props);
}

static void put_ids(struct openlineage_plan *p, const struct plan_thing *t, json_t *op)
{
    const char *key;
    json_t *ignored;
    json_t *ids = json_array();
    json_object_foreach(t->ids, key, ignored)
    {
        plan_must(p, json_array_append_new(ids, json_string(key)) == 0);
    }
    if (json_array_size(ids) > 0) {
        plan_must(p, json_object_set(op, "external_ids", ids) == 0);
    }
    json_decref(ids);
}

struct writing {
    json_t *ops;
    json_t *guards;
    size_t *events;
    size_t events_capacity;
};

static void put_op(struct openlineage_plan *p, struct writing *w, json_t *op, size_t event)
{
    size_t at = json_array_size(w->ops);
    if (at == w->events_capacity) {
        size_t capacity = at == 0 ? 256 : at * 2;
        size_t *events = reallocarray(w->events, capacity, sizeof *events);
        if (events == NULL) {
            p->failed = true;
            json_decref(op);
            return;
        }
        w->events = events;
        w->events_capacity = capacity;
    }
    w->events[at] = event;
    plan_must(p, json_array_append_new(w->ops, op) == 0);
}

static void put_thing(struct openlineage_plan *p, struct writing *w, const struct plan_thing *t)
{
    char name[32];
    plan_name(t, name);
    json_t *op;
    if (t->found == NULL) {
        op = json_pack("{s: s, s: s, s: s, s: s, s: s}", "op", "create", "kind", t->kind, "name",
                       t->name, "as", name + 1, "if_exists", "match");
    } else {
        json_t *revision = json_object_get(json_object_get(t->found, "changed"), "revision");
        json_t *guard = json_pack("{s: s, s: s, s: O}", "guard", "unchanged", "ref", name,
                                  "revision", revision);
        plan_must(p, guard != NULL && json_array_append_new(w->guards, guard) == 0);
        op = json_pack("{s: s, s: s}", "op", "update", "ref", name);
    }
    plan_must(p, op != NULL && json_object_update(op, t->fields) == 0);
    if (t->experiment != NULL) {
        plan_must(p, json_object_set_new(op, "experiment", json_string(t->experiment)) == 0);
    }
    put_props(p, t, op);
    put_ids(p, t, op);
    put_op(p, w, op, t->event);
}

/* Jobs before the runs that name them; then what may name something behind it. */
static void put_things(struct openlineage_plan *p, struct writing *w)
{
    for (int runs = 0; runs < 2; runs++) {
        for (size_t i = 0; i < p->len; i++) {
            const struct plan_thing *t = p->things[i];
            if (t->touched && (strcmp(t->kind, "run") == 0) == (runs == 1)) {
                put_thing(p, w, t);
            }
        }
    }
    for (size_t i = 0; i < p->len; i++) {
        const struct plan_thing *t = p->things[i];
        char name[32];
        if (t->parent != NULL) {
            put_op(p, w,
                   json_pack("{s: s, s: s, s: s}", "op", "update", "ref", plan_name(t, name),
                             "parent", t->parent),
                   t->event);
        }
    }
}

static void put_edges(struct openlineage_plan *p, struct writing *w)
{
    const char *key;
    json_t *event;
    json_object_foreach(p->edges, key, event)
    {
        const char *label = strchr(key, ' ') + 1;
        const char *to = strchr(label, ' ') + 1;
        put_op(p, w,
               json_pack("{s: s, s: s%, s: s%, s: s}", "op", "link", "from", key,
                         (size_t)(label - 1 - key), "label", label, (size_t)(to - 1 - label), "to",
                         to),
               (size_t)json_integer_value(event));
    }
}

json_t *openlineage_plan_txn(struct openlineage_plan *p, size_t **ret_events)
{
    struct writing w = {.ops = json_array(), .guards = json_array()};
    put_things(p, &w);
    put_edges(p, &w);
    json_t *txn = json_pack("{s: o, s: o}", "guards", w.guards, "ops", w.ops);
    if (txn == NULL || p->failed) {
        json_decref(txn);
        free(w.events);
        return NULL;
    }
    *ret_events = w.events;
    return txn;
}
