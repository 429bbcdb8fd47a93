#pragma once
/* The query language (README.md, "Queries in text"): parsed once into a tree that the caller walks
 * with a thing in hand. Everything that can be known without the thing is checked here.
 * Deterministic: depends on the text alone. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "command/field.h"
#include "command/reference.h"

#define FILTER_DEPTH_MAX 64 /* parentheses and NOTs within each other */

enum filter_group {
    FILTER_ATTRIBUTE,
    FILTER_TAGS,
    FILTER_PARAMS,
    FILTER_PROPS,
    FILTER_METRICS, /* of searches alone, like what follows */
    FILTER_EDGE     /* props of the edge that leads to the thing, in the query of a LINKED */
};

/* What of a series is compared. */
enum filter_metric { METRIC_LAST, METRIC_MIN, METRIC_MAX, METRIC_FIRST, METRIC_COUNT };

/* What a thing has to do with others. */
enum filter_relation {
    RELATION_DEPENDS_ON, /* they are upstream of it */
    RELATION_USED_BY,    /* they are downstream of it */
    RELATION_LINKED,     /* it has an edge of the label to one of them */
    RELATION_LINKED_BY   /* one of them has an edge of the label to it */
};

/* Attributes that are no field of the table in field.h. */
enum filter_attribute {
    ATTRIBUTE_FIELD, /* `field` says which */
    ATTRIBUTE_ID,
    ATTRIBUTE_KIND,
    ATTRIBUTE_NAME, /* a version has none */
    ATTRIBUTE_NAMESPACE,
    ATTRIBUTE_STATE,
    ATTRIBUTE_MODEL,
    ATTRIBUTE_NUMBER,
    ATTRIBUTE_CREATED,
    ATTRIBUTE_CREATED_BY,
    ATTRIBUTE_CHANGED,
    ATTRIBUTE_CHANGED_BY,
    ATTRIBUTE_ALIAS,
    ATTRIBUTE_STAGE
};

/* What a value of the key may be compared with. */
enum filter_type {
    FILTER_TEXT,
    FILTER_NUMBER,
    FILTER_TIME,
    FILTER_BOOL,
    FILTER_REF,
    FILTER_ANY /* tags, params and props: as the literal is */
};

enum filter_op {
    FILTER_EQ,
    FILTER_NE,
    FILTER_LT,
    FILTER_LE,
    FILTER_GT,
    FILTER_GE,
    FILTER_LIKE,
    FILTER_ILIKE,
    FILTER_IN,
    FILTER_BETWEEN,
    FILTER_IS_NULL
};

/* Whole numbers are compared exactly, others as doubles. */
struct filter_number {
    bool is_whole;
    bool is_negative;   /* is_whole */
    uint64_t magnitude; /* is_whole */
    double value;
};

struct filter_literal {
    enum filter_type type;       /* TEXT, NUMBER, TIME, BOOL or REF */
    struct span text;            /* TEXT, REF: as it was meant, escapes resolved */
    struct filter_number number; /* NUMBER; TIME: microseconds since 1970 UTC */
    bool truth;
    struct ref ref;
};

enum filter_kind { FILTER_AND, FILTER_OR, FILTER_NOT, FILTER_COMPARE, FILTER_LINEAGE };

struct filter {
    enum filter_kind kind;
    struct filter *first; /* of AND, OR, NOT; of LINEAGE: what the others are like */
    struct filter *next;  /* beside it */
    struct span written;  /* of COMPARE and LINEAGE: where it stands in the query */
    /* FILTER_COMPARE */
    enum filter_group group;
    enum filter_attribute attribute; /* FILTER_ATTRIBUTE */
    const struct field *field;       /* ATTRIBUTE_FIELD */
    struct span key;                 /* of the other groups */
    enum filter_op op;
    bool negated; /* NOT LIKE, NOT IN, NOT BETWEEN, IS NOT NULL */
    struct filter_literal *literals;
    size_t literals_len;
    /* FILTER_METRICS */
    enum filter_metric metric;
    /* FILTER_LINEAGE: the others are one thing, those that are like `first`, or any */
    enum filter_relation relation;
    struct span label; /* LINKED, LINKED_BY */
    bool has_ref;      /* of METRICS: it was measured on that; else any series of the key counts */
    struct ref *ref;
    unsigned number; /* of the search's lineage predicates, from 0 */
};

#define SEARCH_ORDER_MAX   3  /* keys of an ORDER BY */
#define SEARCH_LINEAGE_MAX 16 /* lineage predicates of a search */

struct search_order {
    struct filter key; /* FILTER_COMPARE without operator and literals */
    bool descending;
};

struct search {
    const struct filter *filter; /* NULL: everything */
    struct search_order order[SEARCH_ORDER_MAX];
    size_t order_len;
    unsigned lineage_len; /* predicates */
    bool uses_metrics;
};

/* `*ret` borrows from `text` and the arena. CLADE_ERR_INVALID with the byte in the message,
 * CLADE_ERR_LIMIT (too long, too deep), CLADE_ERR_NO_MEMORY. */
int filter_parse(struct span text,
                 struct arena *arena,
                 const struct filter **ret,
                 struct error *error);

/* The same for a search: metrics and lineage are known too, the query may be empty, and ORDER BY
 * may follow. */
int search_parse(struct span text, struct arena *arena, struct search *ret, struct error *error);
/* A key alone, as ORDER BY has it: what `count` counts by. */
int search_parse_key(struct span text,
                     struct arena *arena,
                     struct filter *ret,
                     struct error *error);

/* Appends a query, of a guard or a search, with '?' for what it compares with: what may be shown to
 * those who may not see the data. Ends where the text is no query. The arena has its words. */
void filter_shape(struct span text, struct arena *arena, struct buffer *out);

/* Whether all of text is a decimal number ("-1.5e3"); then sets it. */
bool filter_parse_number(struct span text, struct filter_number *ret);
/* < 0, 0, > 0. */
int filter_compare_numbers(const struct filter_number *a, const struct filter_number *b);
static inline struct filter_number filter_number_of(uint64_t v)
{
    return (struct filter_number){.is_whole = true, .magnitude = v, .value = (double)v};
}

/* '%' stands for any characters, '_' for one, '\' takes the next one as it is. `fold` makes ASCII
 * letters of either case equal. Each step is taken off *steps; false, as if it did not match, when
 * none is left (*steps is 0 then). */
bool filter_like(struct span text, struct span pattern, bool fold, uint64_t *steps);
