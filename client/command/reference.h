#pragma once
/* References: strings that name a thing (model.md 1).
 *
 *     artifact/NAME  run/NAME  experiment/NAME  model/NAME  type/KIND:NAME  namespace/PATH
 *     version/MODEL/7  version/MODEL@latest
 *     //TEAM//artifact/NAME     in another namespace
 *     artifact/ext:SYSTEM:ID    by external id
 *     id/1234                   by id
 *     $3  $NAME                 what an operation of the same transaction made
 */
#include "base/error.h"
#include "base/span.h"
#include "command/kind.h"

enum ref_form {
    REF_NAME,     /* kind, name */
    REF_VERSION,  /* name = the model's, number */
    REF_ALIAS,    /* name = the model's, alias */
    REF_EXTERNAL, /* kind, name = "SYSTEM:ID" */
    REF_ID,       /* number */
    REF_OP,       /* number = the operation, from 0 */
    REF_OP_NAME   /* name = what the operation carries as `as` */
};

struct ref {
    enum ref_form form;
    enum kind kind; /* KIND_NONE for REF_ID, REF_OP, REF_OP_NAME */
    struct span ns; /* the namespace written in the reference; len 0 when none is */
    struct span name;
    struct span alias;
    uint64_t number;
};

/* Parses; the spans borrow from `text`. CLADE_ERR_INVALID with a sentence when it is not a
 * reference (too long, not UTF-8, control characters, unknown kind, empty name, ...). `$`
 * references are accepted only if `in_txn`. */
int ref_parse(struct span text, bool in_txn, struct ref *ret, struct error *error);

/* What an operation carries as `as`: [A-Za-z_][A-Za-z0-9_]*. 0 or CLADE_ERR_INVALID. */
#define REF_AS_BYTES_MAX 64
int ref_as_check(struct span name, struct error *error);
