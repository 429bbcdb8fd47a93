#pragma once
/* A plan: events merged, on their way into a transaction.
 *
 * A facet's merge needs to know when the facet was said that stands: the prop openlineage.times is
 * an object from each facet to the time of its event, in microseconds. Facets of a run's, or a
 * job's, inputs and outputs stand with the run, resp. the job, in one prop for each facet: an
 * object from the data set's name to what was said of it; in openlineage.times there is a line feed
 * between the two. JSON that is too long for a prop is cut into texts, part.1.PROP and on. */
#include "base/buffer.h"
#include "cli/openlineage.h"

#define PLAN_PROP_TIMES      "openlineage.times"
#define PLAN_PROP_START      "openlineage.start"
#define PLAN_SEPARATOR       '\n'
#define PLAN_REFERENCE_BYTES (OPENLINEAGE_NAME_BYTES + 64)
#define PLAN_TEXT_FLAGS      (JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY)

struct plan_thing {
    const char *kind;
    size_t place;     /* among the plan's */
    json_t *found;    /* borrowed; NULL = the store does not have it */
    char *name;       /* of what is to be made */
    json_t *ids;      /* external ids, as keys */
    json_t *facets;   /* key -> [time, text] as it shall be */
    json_t *dirty;    /* props to be written, as keys */
    json_t *props;    /* others than facets, to be written */
    json_t *fields;   /* to be written */
    char *experiment; /* a reference to be written; NULL = none */
    char *parent;     /* the same, when everything is there */
    uint64_t end_us;
    enum openlineage_state end_state; /* of the newest terminal event; else OTHER */
    bool running;                     /* the store says running, or a terminal state */
    bool touched;                     /* an event asked for a change */
    size_t event;                     /* which one did first */
};

struct openlineage_plan {
    const struct openlineage_index *index;
    const json_t *found;
    struct plan_thing **things;
    size_t len;
    size_t capacity;
    json_t *by_key; /* "id/N" or the reference -> place among the things */
    json_t *edges;  /* [from, label, to] as text -> event */
    struct buffer key;
    const struct openlineage_event *event; /* being added */
    size_t event_index;
    bool failed; /* memory is out */
};

/* The kind that a run, a job or a data set has in clade. */
const char *plan_kind(enum openlineage_kind kind);
/* Writes KIND/ext:openlineage:SYSTEM:KEY; what stands behind "KIND/ext:" is the external id. */
const char *plan_reference(enum openlineage_kind kind,
                           const char *key,
                           char ret[PLAN_REFERENCE_BYTES]);

typedef bool (*plan_on_pair)(void *arg, const json_t *dataset);
/* Calls for each data set that a data set's facets name, as another name of it resp. as an input
 * of its columns, until one answers false, which is the answer. */
bool plan_each_identifier(const json_t *dataset, plan_on_pair call, void *arg);
bool plan_each_column_input(const json_t *dataset, plan_on_pair call, void *arg);
/* The version of a data set that an event saw; NULL when it does not say. */
const char *plan_version(const json_t *dataset);
const json_t *plan_parent_facet(const struct openlineage_event *e);

/* Notes that memory is out unless something was done. */
void plan_must(struct openlineage_plan *p, bool done);
/* The event being added changes the thing. */
void plan_touch(struct openlineage_plan *p, struct plan_thing *t);
void plan_thing_free(struct plan_thing *t);
/* A text of a thing as the store has it; NULL when it is not there. */
const char *plan_text_of(const json_t *found, const char *key);
/* The store's thing of a reference; NULL when it has none. */
json_t *plan_found(const struct openlineage_plan *p, const char *ref);
/* The thing that stands for a key; NULL when memory is out. */
struct plan_thing *plan_thing(struct openlineage_plan *p,
                              enum openlineage_kind kind,
                              const char *key);
/* The same for a namespace and a name, which its props keep as they were written. */
struct plan_thing *plan_pair(struct openlineage_plan *p,
                             enum openlineage_kind kind,
                             const char *ns,
                             const char *name);
/* A data set under the name that it has in the store, else that it has by a symlink. */
struct plan_thing *plan_dataset(struct openlineage_plan *p, const char *ns, const char *name);
/* Adds the external id of a reference. */
void plan_add_id(struct openlineage_plan *p, struct plan_thing *t, const char *ref);
/* Sets a prop that has no value yet. */
void plan_set_prop(struct openlineage_plan *p,
                   struct plan_thing *t,
                   const char *key,
                   const char *text);
/* Merges facets. `dataset` is NULL, or the one that a run says them of. */
void plan_set_facets(struct openlineage_plan *p,
                     struct plan_thing *t,
                     const char *prefix,
                     json_t *facets,
                     const char *dataset);
/* Members that the specification does not have, all but the known, are kept like facets. */
void plan_set_members(struct openlineage_plan *p,
                      struct plan_thing *t,
                      json_t *json,
                      const char *const known[]);
/* The key of a part, from 1, of a prop whose JSON is too long for one: part.N.PROP. Borrowed until
 * the next call for the plan. */
const char *plan_part_key(struct openlineage_plan *p, const char *prop, unsigned part);
/* The thing's name in references of the transaction. */
const char *plan_name(const struct plan_thing *t, char ret[32]);
/* An edge; none where a side is NULL or both are one thing. */
void plan_link(struct openlineage_plan *p,
               const struct plan_thing *a,
               const char *label,
               const struct plan_thing *b);
