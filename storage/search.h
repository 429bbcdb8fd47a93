#pragma once
/* A search while a reader answers it: where its candidates come from (search_source.c), which of
 * the indexes are used (search_plan.c), what lineage predicates mean (search_lineage.c), and the
 * answer (read_search.c). README.md, "Searching", says how they fit together. */
#include "command/filter.h"
#include "storage/filter_match.h"
#include "storage/id_pages.h"
#include "storage/reading.h"
#include "storage/value_key.h"

#define SEARCH_COUNT_MAX   1024        /* rows that are counted to judge an index */
#define SEARCH_THINGS_MAX  1000000     /* that one page reads */
#define SEARCH_ROWS_MAX    8000000     /* of indexes that one page reads */
#define SEARCH_STEPS_MAX   1000000000u /* bytes that one page compares */
#define SEARCH_STEPS_SCALE 512         /* of them that count as a step of the reading */
#define SEARCH_STARTS_MAX  100000      /* things that a lineage predicate's query may mean */

enum source_kind {
    SOURCE_ALL,   /* all things of the kind */
    SOURCE_VALUE, /* those with one value, read from the index as they are asked for */
    SOURCE_SET,   /* those of a set, which was read from indexes before */
    SOURCE_AND,
    SOURCE_OR
};

/* Rows of one table from `low` on, before `high`. */
struct source_range {
    enum table table; /* VALUES, NAMES, DIGESTS, URIS, VERSIONS */
    struct key low;
    struct key high;
    bool is_value; /* all rows are of one value: ids ascend */
};

/* Ids in their order, either way. It may give more than what is meant, never less. */
struct source {
    enum source_kind kind;
    struct key prefix;           /* ALL, VALUE */
    struct id_pages set;         /* SET, once it is filled */
    bool is_filled;              /* SET */
    bool is_lineage;             /* SET */
    struct source_range *ranges; /* SET, VALUE: what it is read from */
    size_t ranges_len;
    struct source *first; /* AND, OR */
    struct source *next;  /* beside it */
    const struct filter *of;
    uint64_t estimate; /* ids */
    bool is_exact;
};

struct search_set {
    bool is_ready;
    struct id_pages set;
};

struct search_run {
    struct reading *r;
    const struct search *search;
    enum kind kind; /* whose things are looked for */
    uint64_t ns;    /* in which namespace; NAMESPACE_ROOT for namespaces */
    struct matcher match;
    uint64_t steps_left;
    uint64_t id_min; /* what the query says of ids */
    uint64_t id_max;
    uint64_t rows;      /* read of indexes */
    uint64_t things;    /* read */
    uint64_t total;     /* things of the kind that there are, about */
    uint64_t count_max; /* SEARCH_COUNT_MAX and SEARCH_THINGS_MAX, or the budget's */
    uint64_t things_max;
    bool is_exhausted; /* a limit of its own was met */
    struct search_set lineage[SEARCH_LINEAGE_MAX];
    struct id_pages *sets[64]; /* to be released */
    size_t sets_len;
};

/* Begins a run; `kind` may be another one than the query's, for a query within it. */
void search_begin(struct search_run *s,
                  struct reading *r,
                  const struct search *search,
                  enum kind kind);
void search_release(struct search_run *s);
/* Whether a thing of the source is one of the answer; its state is looked at. 0, 2 when the search
 * must stop, or a code. */
int search_test(struct search_run *s,
                uint64_t id,
                const struct filter *filter,
                enum clade_state state,
                struct thing **ret_thing,
                bool *ret);
/* Counts a row of an index: true when the search must stop. */
bool search_row(struct search_run *s);

/* --- search_source.c: 0, 1 when there is none, 2 when the search must stop, or a code. --- */

/* The first id at or above `id`, `backward`: the last at or below it. */
int source_seek(
    struct search_run *s, struct source *source, uint64_t id, bool backward, uint64_t *ret);
/* Counts what is in its ranges, up to SEARCH_COUNT_MAX. Never 1. */
int source_estimate(struct search_run *s, struct source *source);
/* Reads a set. Never 1. */
int source_fill(struct search_run *s, struct source *source);
/* A new set that is released with the search. NULL when memory is out. */
bool source_init_set(struct search_run *s, struct id_pages *set);

/* --- search_value.c --- */

/* The rows of the values of a key; false when no index has them. */
bool search_values(const struct search_run *s, const struct filter *f, struct key *ret);
/* Whether texts under the key may be meant as numbers, and stand as such. */
bool search_is_mixed(const struct filter *f);
/* What a literal can stand for in the index; *ret_len says how many. 0 or a code. */
int search_codes(struct search_run *s,
                 const struct filter *f,
                 const struct filter_literal *l,
                 struct value_code codes[3],
                 int *ret_len);
/* The rows of what compares so with the literal, which stands as `code`. */
void search_narrow(enum filter_op op,
                   const struct key *values,
                   const struct value_code *code,
                   const struct filter_literal *l,
                   struct source_range *ret);
/* Where the rows begin of what is greater than the literal. */
struct key search_above(const struct key *values,
                        const struct value_code *code,
                        const struct filter_literal *l);

/* --- search_plan.c --- */

/* What finds the things that the filter (NULL: any) can match; *ret is SOURCE_ALL when no index
 * does. Sets id_min and id_max. 0, 2 or a code. */
int search_plan(struct search_run *s, const struct filter *filter, struct source **ret);
/* The rows of the index that hold the values of an order's key; false when there is none. */
bool search_order_key(struct search_run *s, const struct filter *key, struct key *ret);
/* Which rows of an order's key are walked: from `low` on, before `high`, but for [gap, gap_end). */
struct order_range {
    struct key low;
    struct key high;
    struct key gap; /* len 0: there is none */
    struct key gap_end;
    bool is_there; /* the filter says that the key has a value */
};
/* What the filter leaves of the rows that begin with `values`. 0 or a code. */
int search_order_range(struct search_run *s,
                       const struct filter *key,
                       const struct key *values,
                       struct order_range *ret);

/* Makes the sets that the filter's lineage predicates mean. Before any thing is read, since it
 * reads things into the scratch arena. 0, 2 or a code. */
int search_make_sets(struct search_run *s, const struct filter *filter);

/* --- search_lineage.c --- */

/* The things of a predicate, in *ret; NULL when they are not known as a set. 0, 2 or a code. */
int search_lineage_set(struct search_run *s, const struct filter *f, struct id_pages **ret);
/* Of struct matcher. */
int search_match_lineage(void *arg, const struct filter *f, const struct thing *t, bool *ret);

/* search_explain.c */
/* Appends the plan, as `explain` answers it. */
void search_put_source(struct buffer *b, const struct source *source);
/* Fills the budget's effort, where there is one: `source` is NULL when there is no plan. */
void search_describe(struct search_run *s,
                     const struct source *source,
                     const char *order,
                     uint64_t matched);
