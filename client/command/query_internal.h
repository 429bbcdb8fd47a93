#pragma once
/* Decoding reads: what query.c and query_walk.c share. */
#include "command/query.h"

/* What every read carries; "deadline_ms" is its server's affair. */
#define READ_KEYS                                                                                  \
    "ns", "consistency", "at_least", "stale_ms", "as_of", "cursor", "limit", "view", "state",      \
        "with", "deadline_ms"

struct decode {
    const struct value *params;
    struct arena *arena;
    struct error *error;
};

/* The elements of an array of strings, in the arena; none when it is absent. */
int query_take_texts(
    const struct decode *d, const char *key, size_t max, struct span **ret, size_t *ret_len);
int query_take_bool(const struct decode *d, const char *key, bool *ret);
int query_take_as_of(const struct decode *d, const char *key, struct query_as_of *ret);
int query_parse_kind(struct span name, const char *key, enum kind *ret, struct error *error);
/* The parameter "kinds" into q->kinds, a bit a kind. */
int query_take_kinds(const struct decode *d, struct query *q);

/* The parameter "query" into q->search and q->text; all things without it. */
int query_take_query(const struct decode *d, struct query *q);

/* Reads that follow edges: their keys, and what decodes them. */
extern const char *const query_lineage_keys[];
extern const char *const query_paths_keys[];
extern const char *const query_impact_keys[];
extern const char *const query_provenance_keys[];
extern const char *const query_diff_keys[];
int query_decode_lineage(const struct decode *d, struct query *q);
int query_decode_paths(const struct decode *d, struct query *q);
int query_decode_impact(const struct decode *d, struct query *q);
int query_decode_provenance(const struct decode *d, struct query *q);
int query_decode_diff(const struct decode *d, struct query *q);
