#pragma once
/* What the decoding of transactions is split by: operations in txn.c, their fields in
 * txn_fields.c. */
#include "command/check_internal.h"
#include "command/txn.h"

/* What an operation calls itself: sorted by name, then by operation. */
struct op_name {
    struct span name;
    size_t op;
};

struct txn_decode {
    struct arena *arena;
    struct error *error;
    const struct op *ops; /* those before `op` are decoded */
    size_t op;            /* the operation that is being decoded */
    const struct op_name *names;
    size_t names_len;
};

/* A reference of the operation being decoded, at `key` of map: `$` references must mean an earlier
 * operation that made a thing. *ret_kind is what it points to, KIND_NONE when that is not known
 * here. */
int txn_take_ref(struct txn_decode *d,
                 const struct value *map,
                 const char *key,
                 struct ref *ret,
                 enum kind *ret_kind);
/* The same for the text itself. */
int txn_parse_ref(struct txn_decode *d, struct span text, struct ref *ret, enum kind *ret_kind);

/* The map of a FIELD_PROP_MAP or a FIELD_DECL_MAP. */
int txn_decode_props(struct txn_decode *d,
                     const struct op *op,
                     const struct value *v,
                     struct field_write *w);
/* What a type says of one key: *ret is a declaration's bytes, in the arena. */
int txn_decode_decl(struct txn_decode *d, const struct value *v, struct span *ret);

/* Aliases, stages and targets: txn_pointers.c. `op` is filled but for what each has of its own. */
int txn_decode_set_alias(struct txn_decode *d, const struct value *map, struct op *op);
int txn_decode_unset_alias(struct txn_decode *d, const struct value *map, struct op *op);
int txn_decode_set_stage(struct txn_decode *d, const struct value *map, struct op *op);
int txn_decode_set_targets(struct txn_decode *d, const struct value *map, struct op *op);
/* What the guards "alias" and "stage" have beside `ref`; refuses it in others. */
int txn_decode_pointer_guard(const struct value *map, struct guard *guard, struct error *error);

/* The operation `log`. */
int txn_decode_log(struct txn_decode *d, const struct value *map, struct op *op);

/* Decodes each pair of `map` whose key is not in `keys` (at most 63) as a field of `kind`
 * (KIND_NONE: of any), and refuses unknown and doubled keys. */
int txn_decode_fields(struct txn_decode *d,
                      const struct value *map,
                      const char *const keys[],
                      enum kind kind,
                      struct op *op);
