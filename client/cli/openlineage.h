#pragma once
/* OpenLineage: events read, and what they say as a transaction. docs/openlineage.md is the mapping
 * for users.
 *
 * A merge does not depend on the order of events. Each facet is the one of the newest event that
 * has it; a run's end and status are those of its newest terminal event. What the store lets one
 * write once (a run's start, its job, its parent) is decided by an index over the whole file, made
 * before anything is sent. */
#include <jansson.h>

#include "base/error.h"
#include "cli/names.h"

/* A name of clade's that stands for a namespace and a name of OpenLineage's. */
#define OPENLINEAGE_NAME_BYTES 576

enum openlineage_kind { OPENLINEAGE_RUN, OPENLINEAGE_JOB, OPENLINEAGE_DATASET };

enum openlineage_state {
    OPENLINEAGE_OTHER, /* or not said */
    OPENLINEAGE_START,
    OPENLINEAGE_RUNNING,
    OPENLINEAGE_COMPLETE, /* from here on, states that end a run */
    OPENLINEAGE_ABORT,
    OPENLINEAGE_FAIL
};

struct openlineage_event {
    json_t *json; /* the event itself, without what it came in */
    enum openlineage_kind kind;
    enum openlineage_state state;
    uint64_t time_us; /* microseconds since 1970 UTC */
    char run[37];     /* a run's UUID in lower case */
    uint64_t line;
};

/* Reads a line: an event, or {"event": EVENT} with anything beside it. CLADE_ERR_INVALID with
 * where ("run.runId") when it is none. Release in any case. */
int openlineage_parse(struct span line, struct openlineage_event *ret, struct error *error);
void openlineage_release(struct openlineage_event *e);

/* NAMESPACE#NAME, or NAMESPACE#NAME#VERSION where `version` is not NULL: '#', '%' and control
 * characters of the parts as %XX, so that no two mean the same. Above 512 bytes it is cut and
 * ends with a hash of the whole. False when memory is out. */
bool openlineage_name(const char *ns,
                      const char *name,
                      const char *version,
                      char ret[OPENLINEAGE_NAME_BYTES]);

/* The UUID of the run that started an event's run, in lower case. False when no facet says one, or
 * says the run itself. */
bool openlineage_parent(const struct openlineage_event *e, char ret[37]);
/* The members of {"namespace": NS, "name": NAME}; false when it is not of that shape. */
bool openlineage_identity(const json_t *json, const char **ret_ns, const char **ret_name);

/* --- the index of a file -------------------------------------------------------------------- */

struct openlineage_pair {
    char *ns;
    char *name;
};

struct openlineage_run_entry {
    uint64_t start_us; /* the earliest START; 0 = none */
    uint64_t job_us;
    uint64_t parent_us; /* 0 = no parent */
    size_t job;         /* among the pairs: that of the newest event */
    char parent[37];
    bool has_job; /* an event was seen */
};

/* What must be known of a whole file: about 200 bytes for each run, and the names of jobs and
 * symlinks. */
struct openlineage_index {
    struct names runs; /* UUID -> entry */
    struct openlineage_run_entry *entries;
    size_t entries_len;
    size_t entries_capacity;
    struct names pair_names; /* openlineage_name -> pair */
    struct openlineage_pair *pairs;
    size_t pairs_len;
    size_t pairs_capacity;
    struct names
        symlinks; /* openlineage_name of another name -> the pair whose data set it names */
};

/* Adds what an event says. False when memory is out. Zeroed memory is an empty index. */
bool openlineage_index_add(struct openlineage_index *x, const struct openlineage_event *e);
void openlineage_index_release(struct openlineage_index *x);
/* NULL when the file has no event of that run. */
const struct openlineage_run_entry *openlineage_index_run(const struct openlineage_index *x,
                                                          const char *uuid);
/* The data set that a data set's name means: itself (false), or the one that a symlink says. */
bool openlineage_index_resolve(const struct openlineage_index *x,
                               const char *key,
                               const struct openlineage_pair **ret);

/* --- events as a transaction ---------------------------------------------------------------- */

/* Adds to `refs`, as keys, the references of all that an event is about; values are null. False
 * when memory is out. */
bool openlineage_collect(const struct openlineage_index *x,
                         const struct openlineage_event *e,
                         json_t *refs);

struct openlineage_plan;

/* `found`: from each reference of openlineage_collect to the thing as the store has it, or to
 * null. Both outlive the plan. NULL when memory is out. */
struct openlineage_plan *openlineage_plan_new(const struct openlineage_index *x,
                                              const json_t *found);
void openlineage_plan_free(struct openlineage_plan *p);
/* Merges an event, the i-th of its transaction. */
void openlineage_plan_add(struct openlineage_plan *p, const struct openlineage_event *e, size_t i);
/* The transaction that brings the store from `found` to what was merged, for txn_from_json; of
 * each of its operations *ret_events, which the caller frees, says which event asked for it first.
 * NULL when memory is out. */
json_t *openlineage_plan_txn(struct openlineage_plan *p, size_t **ret_events);
