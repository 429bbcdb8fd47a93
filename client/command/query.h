#pragma once
/* Reads as the client library builds them, the wire carries them and storage answers them. */
#include "base/arena.h"
#include "base/error.h"
#include "command/as_of.h"
#include "command/filter.h"
#include "command/reference.h"
#include "command/value.h"

#define QUERY_LIMIT_DEFAULT 1000

enum query_kind {
    QUERY_GET,
    QUERY_LIST,
    QUERY_LINEAGE,
    QUERY_DESCRIBE,
    QUERY_HISTORY,
    QUERY_METRICS,
    QUERY_PATHS,
    QUERY_IMPACT,
    QUERY_PROVENANCE,
    QUERY_DIFF,
    QUERY_AUDIT,
    QUERY_WATCH,
    QUERY_SEARCH,
    QUERY_COUNT,
    QUERY_EXPLAIN
};

/* Which way paths go: PATHS_EITHER is upstream if there are such, else downstream. */
enum query_paths { PATHS_EITHER, PATHS_UP, PATHS_DOWN };
#define QUERY_PATHS_MAX 1000

/* One reference of a get: a reference, a digest or a uri. */
struct query_target {
    struct span text; /* as it was written, for the answer */
    enum { TARGET_REF, TARGET_DIGEST, TARGET_URI } form;
    struct ref ref;   /* TARGET_REF */
    struct span what; /* TARGET_DIGEST: ALGO:VALUE; TARGET_URI: the uri */
};

/* Which changes of the change log are told: those of things that are as it says before the change
 * or after it. */
struct change_filter {
    struct span under;           /* a namespace, with what is under it; len 0 = all */
    unsigned kinds;              /* bit set (1 << KIND_...); 0 = all */
    struct span prefix;          /* of references: as answers write them, or from "//" on */
    const struct filter *filter; /* NULL = all */
    struct span query;           /* the text of `filter` */
    uint64_t id;                 /* 0 = all; never set by decoding */
    struct span principal;       /* QUERY_AUDIT: who did it, or in whose name; len 0 = anybody */
};

struct query {
    enum query_kind kind;
    /* what every read carries (clade.h, struct clade_read) */
    struct span ns; /* len 0 = the caller's default */
    enum clade_consistency consistency;
    uint64_t at_least;
    uint64_t stale_ms;
    struct query_as_of as_of;
    struct span cursor; /* opaque; len 0 = from the start */
    uint32_t limit;     /* items; never 0 after decoding */
    enum clade_view view;
    enum clade_state state;
    bool with_edges;
    bool with_aliases;
    bool with_params;
    bool with_metrics; /* the sums of their series */
    bool with_depths;  /* QUERY_LINEAGE: ids in groups by depth */
    /* QUERY_GET, QUERY_METRICS */
    struct query_target *targets;
    size_t targets_len;
    /* QUERY_SEARCH, QUERY_COUNT, QUERY_EXPLAIN: things of list_kind. QUERY_LINEAGE, _IMPACT,
     * _PROVENANCE: which of those that are reached are shown; NULL: all */
    struct span text; /* the query */
    const struct search *search;
    const struct filter *by; /* QUERY_COUNT: the key that is counted by; NULL: none */
    bool explain;
    /* QUERY_LIST */
    enum kind list_kind;
    bool has_under;
    struct ref under; /* versions of a model, runs of an experiment */
    /* QUERY_HISTORY, and those that follow edges: QUERY_LINEAGE, _PATHS, _IMPACT, _PROVENANCE,
     * _DIFF */
    struct ref start;
    struct ref to; /* QUERY_PATHS, QUERY_DIFF */
    enum query_paths paths;
    struct query_as_of from_as_of; /* QUERY_DIFF: of `start`; AS_OF_NOW = as of `to` */
    bool downstream;
    struct span *labels; /* NULL = all */
    size_t labels_len;
    unsigned kinds;     /* bit set (1 << KIND_...); 0 = all */
    uint32_t depth_max; /* 0 = no bound */
    bool count_only;
    /* QUERY_METRICS */
    struct span *keys; /* NULL = all; sorted */
    size_t keys_len;
    enum { ON_ANY, ON_NOTHING, ON_THING } on_form;
    struct ref on; /* ON_THING: what they were measured on */
    bool has_range;
    int64_t step_min; /* all four count only when there is a range, and are part of it */
    int64_t step_max;
    uint64_t time_min_ms;
    uint64_t time_max_ms;
    bool sums_only;
    uint32_t sample; /* points of each series; 0 = all */
    /* QUERY_AUDIT, QUERY_WATCH */
    struct change_filter changes;
    bool has_start; /* QUERY_AUDIT: of the thing `start` only */
    bool has_from_time;
    bool has_to_time;
    uint64_t from_time_us; /* both are part of it */
    uint64_t to_time_us;
    uint64_t from;   /* QUERY_WATCH: the first revision; 0 = the next one */
    uint64_t credit; /* QUERY_WATCH: bytes that may be sent before more is asked for */
};

/* Decodes the parameters of the read method that `kind` stands for: a map with the keys of
 * client/wire/README.md. Unknown keys are INVALID. `*ret` borrows from params
 * and arena. */
int query_decode(enum query_kind kind,
                 const struct value *params,
                 struct arena *arena,
                 struct query *ret,
                 struct error *error);
