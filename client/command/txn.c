#include <stdlib.h>

#include "base/check.h"
#include "command/txn_internal.h"

/* The places of the words are the enum's numbers less one. */
static const char *const guard_words[] = {"exists", "absent",  "unchanged", "alias",
                                          "stage",  "matches", NULL};
static const char *const if_exists_words[] = {
    [CLADE_IF_EXISTS_ERROR] = "error",
    [CLADE_IF_EXISTS_RETURN] = "return",
    [CLADE_IF_EXISTS_MATCH] = "match",
    NULL,
};

static const char *const txn_keys[] = {"v", "ops", "guards", "ns", "reason", "happened", NULL};
static const char *const guard_keys[] = {"guard", "ref", "revision", "alias", "is", "query", NULL};
static const char *const create_keys[] = {"op",        "as",    "kind",   "name", "namespace",
                                          "if_exists", "model", "number", NULL};
static const char *const update_keys[] = {"op", "as", "ref", NULL};
static const char *const link_keys[] = {"op", "as", "from", "label", "to", "props", NULL};
static const char *const unlink_keys[] = {"op", "as", "from", "label", "to", NULL};
static const char *const delete_keys[] = {"op", "as", "ref", NULL};
static const char *const rename_keys[] = {"op", "as", "ref", "name", NULL};
static const char *const compact_keys[] = {"op", "as", "ref", "before", NULL};
static const char *const hold_keys[] = {"op", "as", "ref", "reason", NULL};

struct op_row {
    const char *word;
    int (*decode)(struct txn_decode *d, const struct value *map, struct op *op);
};

static const struct op_row op_rows[OP_KIND_END];

/* --- references to earlier operations ----------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const struct op_name *x = a;
    const struct op_name *y = b;
    int r = span_compare(x->name, y->name);
    return r != 0 ? r : x->op < y->op ? -1 : x->op > y->op;
}

/* The operation that carries `name`, which need not be an earlier one; SIZE_MAX when none does. */
static size_t find_name(const struct txn_decode *d, struct span name)
{
    size_t low = 0;
    size_t high = d->names_len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int r = span_compare(d->names[middle].name, name);
        if (r == 0) {
            return d->names[middle].op;
        }
        if (r < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return SIZE_MAX;
}

/* Operations that are of one thing, which `$` then means. */
static bool names_a_thing(enum op_kind op)
{
    return op == OP_CREATE || op == OP_UPDATE || op == OP_RENAME || op == OP_HOLD ||
           op == OP_RELEASE || op == OP_UNDELETE || op == OP_COMPACT;
}

/* A reference into the transaction itself: what it means, as far as that is known here. */
static int resolve_op(struct txn_decode *d, const struct ref *ref, enum kind *ret_kind)
{
    uint64_t op = ref->form == REF_OP ? ref->number : find_name(d, ref->name);
    if (op >= d->op) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL,
                          "a \"$\" reference means an earlier operation, and there is no such one");
    }
    const struct op *made = &d->ops[op];
    if (!names_a_thing(made->op)) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL,
                          "operation %zu is a %s, which makes no thing", (size_t)op,
                          op_rows[made->op].word);
    }
    *ret_kind = made->kind;
    return 0;
}

int txn_parse_ref(struct txn_decode *d, struct span text, struct ref *ret, enum kind *ret_kind)
{
    int r = ref_parse(text, true, ret, d->error);
    if (r != 0) {
        return r;
    }
    *ret_kind = ret->kind;
    return ret->form == REF_OP || ret->form == REF_OP_NAME ? resolve_op(d, ret, ret_kind) : 0;
}

int txn_take_ref(struct txn_decode *d,
                 const struct value *map,
                 const char *key,
                 struct ref *ret,
                 enum kind *ret_kind)
{
    struct ref ref = {0};
    int r = take_ref(map, key, true, &ref, d->error);
    if (r != 0) {
        return r;
    }
    r = txn_parse_ref(d, value_string(value_get(map, key)), ret, ret_kind);
    return r == 0 ? 0 : check_fail_inside(d->error, r, "%s", key);
}

/* --- operations --------------------------------------------------------------------------- */

/* `key` stands only with other kinds than op's. */
static int refuse_key(struct txn_decode *d,
                      const struct value *map,
                      const char *key,
                      const char *why)
{
    return value_get(map, key) == NULL ? 0
                                       : check_fail(d->error, CLADE_ERR_INVALID, key, "%s", why);
}

static int decode_version(struct txn_decode *d, const struct value *map, struct op *op)
{
    int r = refuse_key(d, map, "name", "a version has a number, not a name");
    r = r != 0 ? r : refuse_key(d, map, "namespace", "a version is where its model is");
    if (r != 0) {
        return r;
    }
    enum kind kind = KIND_NONE;
    r = txn_take_ref(d, map, "model", &op->ref, &kind);
    if (r != 0) {
        return r;
    }
    r = check_ref_kind(kind, KIND_MODEL, d->error);
    if (r != 0) {
        return check_fail_inside(d->error, r, "model");
    }
    r = take_uint(map, "number", false, UINT64_MAX, &op->number, d->error);
    if (r == 0 && op->number == 0 && value_get(map, "number") != NULL) {
        r = check_fail(d->error, CLADE_ERR_INVALID, "number", "versions are numbered from 1");
    }
    return r;
}

static int decode_named(struct txn_decode *d, const struct value *map, struct op *op)
{
    bool optional =
        op->kind == KIND_ARTIFACT || op->kind == KIND_EXPERIMENT || op->kind == KIND_RUN;
    int r = refuse_key(d, map, "model", "only a version has a model");
    r = r != 0 ? r : refuse_key(d, map, "number", "only a version has a number");
    if (r == 0 && op->kind == KIND_NAMESPACE) {
        r = refuse_key(d, map, "namespace",
                       "a namespace is in no other: its name is its full path");
    }
    r = r != 0 ? r : take_namespace(map, "namespace", &op->ns, d->error);
    r = r != 0 ? r : take_text(map, "name", !optional, SIZE_MAX, &op->name, d->error);
    if (r != 0 || op->name.len == 0) {
        return r;
    }
    r = name_check(op->kind, op->name, d->error);
    return r == 0 ? 0 : check_fail_inside(d->error, r, "name");
}

static int decode_create(struct txn_decode *d, const struct value *map, struct op *op)
{
    struct span kind = {0};
    int if_exists = CLADE_IF_EXISTS_ERROR;
    int r = take_text(map, "kind", true, SIZE_MAX, &kind, d->error);
    r = r != 0 ? r : take_choice(map, "if_exists", false, if_exists_words, &if_exists, d->error);
    if (r != 0) {
        return r;
    }
    op->if_exists = (enum clade_if_exists)if_exists;
    op->kind = kind_parse(kind);
    if (op->kind == KIND_NONE) {
        return check_fail_kind(d->error, "kind", kind);
    }
    r = op->kind == KIND_VERSION ? decode_version(d, map, op) : decode_named(d, map, op);
    return r != 0 ? r : txn_decode_fields(d, map, create_keys, op->kind, op);
}

static int decode_update(struct txn_decode *d, const struct value *map, struct op *op)
{
    int r = txn_take_ref(d, map, "ref", &op->ref, &op->kind);
    return r != 0 ? r : txn_decode_fields(d, map, update_keys, op->kind, op);
}

/* An edge's props are written as those of things. */
static int decode_edge_props(struct txn_decode *d, const struct value *map, struct op *op)
{
    const struct value *props = value_get(map, "props");
    if (props == NULL) {
        return 0;
    }
    op->fields = arena_calloc(d->arena, 1, sizeof *op->fields);
    if (op->fields == NULL) {
        return check_fail_no_room(d->arena, sizeof *op->fields, d->error);
    }
    op->fields->field = field_by_code(FIELD_PROPS);
    int r = txn_decode_props(d, op, props, op->fields);
    op->fields_len = r == 0 && op->fields->len > 0;
    return r == 0 ? 0 : check_fail_inside(d->error, r, "props");
}

static int decode_link(struct txn_decode *d, const struct value *map, struct op *op)
{
    enum kind kind = KIND_NONE;
    if (!value_keys_known(map, op->op == OP_LINK ? link_keys : unlink_keys, d->error)) {
        return CLADE_ERR_INVALID;
    }
    int r = txn_take_ref(d, map, "from", &op->from, &kind);
    r = r != 0 ? r : txn_take_ref(d, map, "to", &op->to, &kind);
    r = r != 0 ? r : take_text(map, "label", true, SIZE_MAX, &op->label, d->error);
    if (r != 0) {
        return r;
    }
    r = label_check(op->label, d->error);
    return r != 0 ? check_fail_inside(d->error, r, "label") : decode_edge_props(d, map, op);
}

static int decode_delete(struct txn_decode *d, const struct value *map, struct op *op)
{
    if (!value_keys_known(map, delete_keys, d->error)) {
        return CLADE_ERR_INVALID;
    }
    return txn_take_ref(d, map, "ref", &op->ref, &op->kind);
}

static int decode_purge(struct txn_decode *d, const struct value *map, struct op *op)
{
    int r = decode_delete(d, map, op);
    if (r == 0 && (op->kind == KIND_NAMESPACE || op->kind == KIND_TYPE)) {
        r = check_fail(d->error, CLADE_ERR_INVALID, "ref",
                       "%s is not purged: things are known by its name",
                       kind_with_article(op->kind));
    }
    return r;
}

static int decode_compact(struct txn_decode *d, const struct value *map, struct op *op)
{
    if (!value_keys_known(map, compact_keys, d->error)) {
        return CLADE_ERR_INVALID;
    }
    int r = txn_take_ref(d, map, "ref", &op->ref, &op->kind);
    if (r == 0) {
        r = check_ref_kind(op->kind, KIND_NAMESPACE, d->error);
        r = r == 0 ? 0 : check_fail_inside(d->error, r, "ref");
    }
    return r != 0 ? r : take_as_of(map, "before", &op->before, d->error);
}

/* A name that is given to a thing of op's kind, as far as that is known; the rest is apply's. */
static int take_new_name(struct txn_decode *d,
                         const struct value *map,
                         bool required,
                         struct op *op)
{
    int r = take_text(map, "name", required, SIZE_MAX, &op->name, d->error);
    if (r != 0 || op->name.len == 0) {
        return r;
    }
    if (op->kind == KIND_VERSION || op->kind == KIND_NAMESPACE) {
        return check_fail(d->error, CLADE_ERR_INVALID, "name", "%s keeps its %s",
                          kind_with_article(op->kind),
                          op->kind == KIND_VERSION ? "number" : "path");
    }
    r = op->kind == KIND_NONE
            ? check_text(op->name, "a name", CLADE_MAX_NAME_BYTES, false, d->error)
            : name_check(op->kind, op->name, d->error);
    return r == 0 ? 0 : check_fail_inside(d->error, r, "name");
}

static int decode_rename(struct txn_decode *d, const struct value *map, struct op *op)
{
    if (!value_keys_known(map, rename_keys, d->error)) {
        return CLADE_ERR_INVALID;
    }
    int r = txn_take_ref(d, map, "ref", &op->ref, &op->kind);
    return r != 0 ? r : take_new_name(d, map, op->op == OP_RENAME, op);
}

static int decode_hold(struct txn_decode *d, const struct value *map, struct op *op)
{
    const struct value *reason = value_get(map, "reason");
    if (!value_keys_known(map, op->op == OP_HOLD ? hold_keys : delete_keys, d->error)) {
        return CLADE_ERR_INVALID;
    }
    int r = txn_take_ref(d, map, "ref", &op->ref, &op->kind);
    if (r != 0 || reason == NULL) {
        return r;
    }
    if (value_type(reason) != CLADE_STRING) {
        return check_fail(d->error, CLADE_ERR_INVALID, "reason", "expected a string, got %s",
                          check_type_text(reason));
    }
    op->reason = value_string(reason);
    r = check_text(op->reason, "a reason", CLADE_MAX_TEXT_BYTES, true, d->error);
    return r == 0 ? 0 : check_fail_inside(d->error, r, "reason");
}

static int take_op_kind(struct txn_decode *d, const struct value *map, enum op_kind *ret)
{
    const char *words[OP_KIND_END] = {NULL}; /* those of the rows from 1 on, and NULL */
    for (int kind = 1; kind < OP_KIND_END; kind++) {
        words[kind - 1] = op_rows[kind].word;
    }
    int word = 0;
    int r = take_choice(map, "op", true, words, &word, d->error);
    if (r == 0) {
        *ret = (enum op_kind)(word + 1);
    }
    return r;
}

static int decode_op(struct txn_decode *d, const struct value *map, struct op *op)
{
    if (value_type(map) != CLADE_MAP) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL, "an operation is a map, not %s",
                          check_type_text(map));
    }
    int r = take_op_kind(d, map, &op->op);
    if (r != 0) {
        return r;
    }
    op->as = value_string(value_get(map, "as"));
    return op_rows[op->op].decode(d, map, op);
}

/* --- the transaction ---------------------------------------------------------------------- */

static int decode_name(struct txn_decode *d, const struct value *op, struct span *ret)
{
    const struct value *v = value_get(op, "as");
    if (v == NULL) {
        return 0;
    }
    if (value_type(v) != CLADE_STRING) {
        return check_fail(d->error, CLADE_ERR_INVALID, "as", "expected a string, got %s",
                          check_type_text(v));
    }
    *ret = value_string(v);
    int r = ref_as_check(*ret, d->error);
    return r == 0 ? 0 : check_fail_inside(d->error, r, "as");
}

/* All names first, sorted: a look-up costs a binary search whatever names a client chooses. */
static int decode_names(struct txn_decode *d, const struct value *ops)
{
    size_t len = value_len(ops);
    struct op_name *names = arena_calloc(d->arena, len, sizeof *names);
    if (names == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *names, d->error);
    }
    size_t named = 0;
    for (size_t i = 0; i < len; i++) {
        struct span name = {0};
        int r = decode_name(d, value_at(ops, i), &name);
        if (r != 0) {
            return check_fail_inside(d->error, r, "ops[%zu]", i);
        }
        if (name.len > 0) {
            names[named++] = (struct op_name){.name = name, .op = i};
        }
    }
    if (named > 0) {
        qsort(names, named, sizeof *names, compare_names);
    }
    for (size_t i = 1; i < named; i++) {
        if (span_equal(names[i].name, names[i - 1].name)) {
            check_fail(d->error, CLADE_ERR_INVALID, "as", "operation %zu is already named \"%.*s\"",
                       names[i - 1].op, SPAN_FMT(names[i].name));
            return check_fail_inside(d->error, CLADE_ERR_INVALID, "ops[%zu]", names[i].op);
        }
    }
    d->names = names;
    d->names_len = named;
    return 0;
}

static int check_count(const struct value *v, const char *key, size_t max, struct error *error)
{
    if (value_type(v) != CLADE_ARRAY) {
        return check_fail(error, CLADE_ERR_INVALID, key, "expected an array, got %s",
                          check_type_text(v));
    }
    if (value_len(v) > max) {
        return check_fail(error, CLADE_ERR_LIMIT, key, "a transaction has at most %zu %s, got %zu",
                          max, key, value_len(v));
    }
    return 0;
}

static int decode_ops(struct txn_decode *d, const struct value *root, struct txn *txn)
{
    const struct value *ops = value_get(root, "ops");
    size_t len = value_len(ops);
    if (ops == NULL || (value_type(ops) == CLADE_ARRAY && len == 0)) {
        return check_fail(d->error, CLADE_ERR_INVALID, "ops",
                          "a transaction has an operation at least");
    }
    int r = check_count(ops, "ops", CLADE_MAX_OPERATIONS, d->error);
    r = r != 0 ? r : decode_names(d, ops);
    if (r != 0) {
        return r;
    }
    txn->ops = arena_calloc(d->arena, len, sizeof *txn->ops);
    if (txn->ops == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *txn->ops, d->error);
    }
    d->ops = txn->ops;
    for (d->op = 0; d->op < len; d->op++) {
        r = decode_op(d, value_at(ops, d->op), &txn->ops[d->op]);
        if (r != 0) {
            return check_fail_inside(d->error, r, "ops[%zu]", d->op);
        }
    }
    txn->ops_len = len;
    return 0;
}

/* A key of one kind of guard only. */
static int refuse_guard_key(const struct value *map,
                            const char *key,
                            const char *guard,
                            struct error *error)
{
    return value_get(map, key) == NULL ? 0
                                       : check_fail(error, CLADE_ERR_INVALID, key,
                                                    "only the guard \"%s\" has a %s", guard, key);
}

static int decode_query(struct txn_decode *d, const struct value *map, struct guard *guard)
{
    const struct value *v = value_get(map, "query");
    if (value_type(v) != CLADE_STRING) {
        return check_fail(d->error, CLADE_ERR_INVALID, "query",
                          "expected a query (a string), got %s",
                          v == NULL ? "nothing" : check_type_text(v));
    }
    guard->query = value_string(v);
    int r = filter_parse(guard->query, d->arena, &guard->filter, d->error);
    return r == 0 ? 0 : check_fail_inside(d->error, r, "query");
}

static int decode_guard(struct txn_decode *d, const struct value *map, struct guard *guard)
{
    struct error *error = d->error;
    int word = 0;
    if (value_type(map) != CLADE_MAP) {
        return check_fail(error, CLADE_ERR_INVALID, NULL, "a guard is a map, not %s",
                          check_type_text(map));
    }
    if (!value_keys_known(map, guard_keys, error)) {
        return CLADE_ERR_INVALID;
    }
    int r = take_choice(map, "guard", true, guard_words, &word, error);
    r = r != 0 ? r : take_ref(map, "ref", false, &guard->ref, error);
    if (r != 0) {
        return r;
    }
    guard->kind = (enum guard_kind)(word + 1);
    if (guard->kind != GUARD_UNCHANGED) {
        r = refuse_guard_key(map, "revision", "unchanged", error);
    } else {
        r = take_uint(map, "revision", true, UINT64_MAX, &guard->revision, error);
    }
    r = r != 0 ? r : txn_decode_pointer_guard(map, guard, d->error);
    if (r == 0 && guard->kind != GUARD_MATCHES) {
        return refuse_guard_key(map, "query", "matches", error);
    }
    return r != 0 ? r : decode_query(d, map, guard);
}

static int decode_guards(struct txn_decode *d, const struct value *root, struct txn *txn)
{
    const struct value *list = value_get(root, "guards");
    size_t len = value_len(list);
    if (list == NULL) {
        return 0;
    }
    int r = check_count(list, "guards", CLADE_MAX_GUARDS, d->error);
    if (r != 0 || len == 0) {
        return r;
    }
    txn->guards = arena_calloc(d->arena, len, sizeof *txn->guards);
    if (txn->guards == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *txn->guards, d->error);
    }
    for (size_t i = 0; i < len; i++) {
        r = decode_guard(d, value_at(list, i), &txn->guards[i]);
        if (r != 0) {
            return check_fail_inside(d->error, r, "guards[%zu]", i);
        }
    }
    txn->guards_len = len;
    return 0;
}

static int decode_reason(struct txn_decode *d, const struct value *root, struct txn *txn)
{
    const struct value *v = value_get(root, "reason");
    if (v == NULL) {
        return 0;
    }
    if (value_type(v) != CLADE_STRING) {
        return check_fail(d->error, CLADE_ERR_INVALID, "reason", "expected a string, got %s",
                          check_type_text(v));
    }
    txn->reason = value_string(v);
    int r = check_text(txn->reason, "a reason", CLADE_MAX_TEXT_BYTES, true, d->error);
    return r == 0 ? 0 : check_fail_inside(d->error, r, "reason");
}

static int decode_happened(struct txn_decode *d, const struct value *root, struct txn *txn)
{
    const struct value *v = value_get(root, "happened");
    if (v == NULL) {
        return 0;
    }
    int r = take_time(v, &txn->happened_us, d->error);
    if (r == 0 && txn->happened_us == 0) {
        r = check_fail(d->error, CLADE_ERR_INVALID, NULL,
                       "0 is no time that something happened at");
    }
    return r == 0 ? 0 : check_fail_inside(d->error, r, "happened");
}

/* Before the keys: a newer command may have others, and its version is the better answer. */
static int check_version(const struct value *root, struct error *error)
{
    uint64_t version = 0;
    int r = take_uint(root, "v", true, UINT64_MAX, &version, error);
    if (r != 0) {
        return r;
    }
    if (version > TXN_VERSION) {
        return check_fail(error, CLADE_ERR_UNSUPPORTED, "v",
                          "this server knows commands up to version %d", TXN_VERSION);
    }
    return version > 0 ? 0 : check_fail(error, CLADE_ERR_INVALID, "v", "versions count from 1");
}

static int decode_root(struct txn_decode *d, const struct value *root, struct txn *txn)
{
    if (value_type(root) != CLADE_MAP) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL, "a command is a map, not %s",
                          check_type_text(root));
    }
    int r = check_version(root, d->error);
    if (r == 0 && !value_keys_known(root, txn_keys, d->error)) {
        r = CLADE_ERR_INVALID;
    }
    r = r != 0 ? r : take_namespace(root, "ns", &txn->ns, d->error);
    r = r != 0 ? r : decode_reason(d, root, txn);
    r = r != 0 ? r : decode_happened(d, root, txn);
    r = r != 0 ? r : decode_guards(d, root, txn);
    return r != 0 ? r : decode_ops(d, root, txn);
}

int txn_decode(struct span command, struct arena *arena, struct txn *ret, struct error *error)
{
    if (command.len > CLADE_MAX_COMMAND_BYTES) {
        return check_fail(error, CLADE_ERR_LIMIT, NULL,
                          "a command has at most %d bytes, this one has %zu",
                          (int)CLADE_MAX_COMMAND_BYTES, command.len);
    }
    const struct value *root;
    int r = value_decode(command, &value_limits_request, arena, &root, error);
    if (r != 0) {
        return r;
    }
    struct txn txn = {0};
    struct txn_decode d = {.arena = arena, .error = error};
    r = decode_root(&d, root, &txn);
    if (r == 0) {
        CHECK(txn.ops_len > 0);
        *ret = txn;
    }
    return r;
}

static const struct op_row op_rows[OP_KIND_END] = {
    [OP_CREATE] = {"create", decode_create},
    [OP_UPDATE] = {"update", decode_update},
    [OP_LINK] = {"link", decode_link},
    [OP_UNLINK] = {"unlink", decode_link},
    [OP_DELETE] = {"delete", decode_delete},
    [OP_RENAME] = {"rename", decode_rename},
    [OP_LOG] = {"log", txn_decode_log},
    [OP_SET_ALIAS] = {"set_alias", txn_decode_set_alias},
    [OP_UNSET_ALIAS] = {"unset_alias", txn_decode_unset_alias},
    [OP_SET_STAGE] = {"set_stage", txn_decode_set_stage},
    [OP_SET_TARGETS] = {"set_targets", txn_decode_set_targets},
    [OP_HOLD] = {"hold", decode_hold},
    [OP_RELEASE] = {"release", decode_hold},
    [OP_UNDELETE] = {"undelete", decode_rename},
    [OP_PURGE] = {"purge", decode_purge},
    [OP_COMPACT] = {"compact", decode_compact},
};
