#pragma once
/* The command: one transaction, as a MessagePack document that the client library builds, the
 * wire carries whole, the log keeps and apply runs as it came. command/README.md has its
 * grammar and examples. Decoding checks everything that can be known without the store, so the
 * node refuses at its edge what apply would refuse. */
#include "base/arena.h"
#include "base/error.h"
#include "command/as_of.h"
#include "command/field.h"
#include "command/filter.h"
#include "command/point.h"
#include "command/prop.h"
#include "command/reference.h"
#include "command/value.h"

#define TXN_VERSION 1

enum guard_kind {
    GUARD_EXISTS = 1,
    GUARD_ABSENT = 2,
    GUARD_UNCHANGED = 3,
    GUARD_ALIAS = 4,
    GUARD_STAGE = 5,
    GUARD_MATCHES = 6,
    GUARD_KIND_END
};

enum op_kind {
    OP_CREATE = 1,
    OP_UPDATE = 2,
    OP_LINK = 3,
    OP_UNLINK = 4,
    OP_DELETE = 5,
    OP_RENAME = 6,
    OP_LOG = 7,
    OP_SET_ALIAS = 8,
    OP_UNSET_ALIAS = 9,
    OP_SET_STAGE = 10,
    OP_SET_TARGETS = 11,
    OP_HOLD = 12,
    OP_RELEASE = 13,
    OP_UNDELETE = 14,
    OP_PURGE = 15,
    OP_COMPACT = 16,
    OP_KIND_END
};

/* What a pointer is expected to point to: the version of that number, or to nothing. */
struct expect {
    bool given;
    uint64_t number; /* 0 = unset */
};

struct guard {
    enum guard_kind kind;
    struct ref ref;
    uint64_t revision; /* GUARD_UNCHANGED */
    struct span alias; /* GUARD_ALIAS: of the model `ref` */
    struct expect is;
    struct span stage;           /* GUARD_STAGE: of the version `ref` */
    const struct filter *filter; /* GUARD_MATCHES */
    struct span query;           /* its text */
};

struct text_pair {
    struct span key;
    struct span value;
    uint64_t number; /* FIELD_UINT_MAP */
    bool unset;      /* take it away */
};

/* The references of a prop, which apply turns into ids: then the pair's value is not there yet. */
struct prop_refs {
    struct ref *refs;
    size_t len;
    bool is_list;
};

/* One field as a transaction writes it. */
struct field_write {
    const struct field *field;
    struct span text;        /* FIELD_TEXT, FIELD_PACKED; FIELD_TYPE: the name without its kind */
    uint64_t number;         /* FIELD_UINT, FIELD_TIME, FIELD_BOOL */
    struct ref ref;          /* FIELD_REF */
    struct span *texts;      /* FIELD_TEXT_SET: sorted, without doubles */
    bool *gone;              /* FIELD_TEXT_SET: for each text, take it away; NULL = add them all */
    struct text_pair *pairs; /* maps: sorted by key, without doubles */
    struct prop_refs *refs;  /* FIELD_PROP_MAP: for each pair; those without have no `refs` */
    size_t len;              /* of texts or pairs */
    bool unset;              /* mutable and one value: take it away (nil) */
};

/* One version that a deployment serves. */
struct target_write {
    struct ref version;
    uint16_t share; /* in 1/10,000 */
    bool shadow;    /* gets a copy of the traffic, and nobody its answers */
};

/* Points of one series, as a transaction writes them. */
struct series_write {
    struct span key;
    bool has_on;
    bool has_run;
    struct ref on;        /* what they were measured on */
    struct ref run;       /* that logged them */
    struct point *points; /* sorted, without doubles */
    size_t points_len;
};

struct op {
    enum op_kind op;
    enum kind kind;                 /* OP_CREATE; else of `ref` as it says, KIND_NONE = not known */
    enum clade_if_exists if_exists; /* OP_CREATE */
    struct span as;                 /* the name that later references may use; len 0 when none */
    struct span ns;                 /* OP_CREATE: where; len 0 = the transaction's */
    struct span name;   /* OP_CREATE: len 0 = assigned; OP_RENAME; OP_UNDELETE: len 0 = its own */
    struct span reason; /* OP_HOLD: len 0 = the transaction's */
    uint64_t number;    /* OP_CREATE of a version: 0 = the next */
    struct ref ref;     /* what it is of; OP_CREATE of a version: its model */
    struct ref from;    /* OP_LINK, OP_UNLINK */
    struct ref to;
    struct span label;
    struct span alias;            /* OP_SET_ALIAS: to the version `ref`; OP_UNSET_ALIAS: of the
                                     model `ref` */
    struct expect expect;         /* OP_SET_ALIAS, OP_UNSET_ALIAS */
    struct span stage;            /* OP_SET_STAGE: of the version `ref` */
    struct span expect_stage;     /* len 0 = any */
    struct span displace;         /* where those go that were there; len 0 = they stay */
    struct target_write *targets; /* OP_SET_TARGETS: of the deployment `ref` */
    size_t targets_len;
    struct field_write
        *fields; /* OP_CREATE, OP_UPDATE, OP_LINK (props alone); in order of their codes */
    size_t fields_len;
    struct query_as_of before; /* OP_COMPACT: of the namespace `ref` */
    struct text_pair *params;  /* OP_LOG; sorted by key, without doubles */
    size_t params_len;
    struct series_write *series; /* OP_LOG; as they came: one may stand here more than once */
    size_t series_len;
};

struct txn {
    struct span ns; /* the namespace that plain references mean; len 0 = the caller's default */
    struct span reason;
    uint64_t happened_us; /* 0 when none was given */
    struct guard *guards;
    size_t guards_len;
    struct op *ops;
    size_t ops_len;
};

/* Decodes and checks a command. `*ret` borrows from `command` and the arena. CLADE_ERR_INVALID
 * with `where` ("ops[2].tags.k"), CLADE_ERR_LIMIT, CLADE_ERR_UNSUPPORTED (a newer version),
 * CLADE_ERR_NO_MEMORY. Deterministic: depends on the bytes alone. */
int txn_decode(struct span command, struct arena *arena, struct txn *ret, struct error *error);

/* A thing's name within its kind's rules: length, printable UTF-8, not beginning with "ext:" or
 * "$"; model names without '@'; namespace paths: segments of letters, digits, '.', '_', '-'
 * joined by single '/'. Returns 0 or CLADE_ERR_INVALID, _LIMIT. */
int name_check(enum kind kind, struct span name, struct error *error);
/* An alias, a stage: no '/', no '@', within its limit. 0 or CLADE_ERR_INVALID, _LIMIT. */
int alias_check(struct span alias, struct error *error);
int stage_check(struct span stage, struct error *error);
/* An edge's label: [a-z0-9_.-]+ within its limit. */
int label_check(struct span label, struct error *error);
