#pragma once
/* The command: one transaction, as a MessagePack document that the client library builds, the
 * wire carries whole, the log keeps and apply runs as it came. command/README.md has its
 * grammar and examples. Decoding checks everything that can be known without the store, so the
 * node refuses at its edge what apply would refuse. */
#include "base/arena.h"
#include "base/error.h"
#include "command/field.h"
#include "command/reference.h"
#include "command/value.h"

#define TXN_VERSION 1

enum guard_kind { GUARD_EXISTS = 1, GUARD_ABSENT = 2, GUARD_UNCHANGED = 3 };
enum op_kind {
    OP_CREATE = 1,
    OP_UPDATE = 2,
    OP_LINK = 3,
    OP_UNLINK = 4,
    OP_DELETE = 5,
    OP_PURGE = 15,
    OP_KIND_COUNT
};

struct guard {
    enum guard_kind kind;
    struct ref ref;
    uint64_t revision; /* GUARD_UNCHANGED */
};

struct text_pair {
    struct span key;
    struct span value;
    uint64_t number; /* FIELD_UINT_MAP */
    bool unset;      /* take it away */
};

/* One field as a transaction writes it. */
struct field_write {
    const struct field *field;
    struct span text;        /* FIELD_TEXT; FIELD_TYPE: the type's name without its kind */
    uint64_t number;         /* FIELD_UINT, FIELD_TIME */
    struct ref ref;          /* FIELD_REF */
    struct span *texts;      /* FIELD_TEXT_SET: sorted, without doubles */
    struct text_pair *pairs; /* FIELD_TEXT_MAP, FIELD_UINT_MAP: sorted by key, without doubles */
    size_t len;              /* of texts or pairs */
    bool unset;              /* mutable and one value: take it away (nil) */
};

struct op {
    enum op_kind op;
    enum kind kind; /* OP_CREATE; OP_UPDATE, OP_DELETE, OP_PURGE: as `ref` has it, KIND_NONE = not
                       known */
    enum clade_if_exists if_exists; /* OP_CREATE */
    struct span as;                 /* the name that later references may use; len 0 when none */
    struct span ns;                 /* OP_CREATE: where; len 0 = the transaction's */
    struct span name;               /* OP_CREATE: len 0 = assigned */
    uint64_t number;                /* OP_CREATE of a version: 0 = the next */
    struct ref ref;  /* OP_UPDATE, OP_DELETE, OP_PURGE; OP_CREATE of a version: its model */
    struct ref from; /* OP_LINK, OP_UNLINK */
    struct ref to;
    struct span label;
    struct field_write *fields; /* OP_CREATE, OP_UPDATE; in order of their codes */
    size_t fields_len;
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
/* An edge's label: [a-z0-9_.-]+ within its limit. */
int label_check(struct span label, struct error *error);
