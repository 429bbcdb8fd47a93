#include <stdlib.h>

#include "command/txn.h"
#include "lib/txn_builder_internal.h"

static void clear_operation(struct clade_txn *txn)
{
    txn->open = false;
    txn->open_members = 0;
    for (size_t i = 0; i < MAPS; i++) {
        buffer_clear(&txn->maps[i].pairs);
        txn->maps[i].len = 0;
    }
    txn->logs = false;
    buffer_clear(&txn->params);
    txn->params_len = 0;
    buffer_clear(&txn->metrics);
    txn->metrics_len = 0;
    for (size_t i = 0; i < SETS_MAX; i++) {
        struct set *set = &txn->sets[i];
        set->field = NULL;
        buffer_clear(&set->items);
        buffer_clear(&set->pairs);
        set->len = 0;
        set->takes = false;
    }
}

struct clade_txn *clade_txn_new(void)
{
    struct clade_txn *txn = calloc(1, sizeof *txn);
    if (txn == NULL) {
        return NULL;
    }
    buffer_init(&txn->ns, CLADE_MAX_COMMAND_BYTES);
    buffer_init(&txn->reason, CLADE_MAX_COMMAND_BYTES);
    buffer_init(&txn->guards, CLADE_MAX_COMMAND_BYTES);
    buffer_init(&txn->ops, CLADE_MAX_COMMAND_BYTES);
    for (size_t i = 0; i < MAPS; i++) {
        buffer_init(&txn->maps[i].pairs, CLADE_MAX_COMMAND_BYTES);
    }
    buffer_init(&txn->params, CLADE_MAX_COMMAND_BYTES);
    buffer_init(&txn->metrics, CLADE_MAX_COMMAND_BYTES);
    for (size_t i = 0; i < SETS_MAX; i++) {
        buffer_init(&txn->sets[i].items, CLADE_MAX_COMMAND_BYTES);
        buffer_init(&txn->sets[i].pairs, CLADE_MAX_COMMAND_BYTES);
    }
    return txn;
}

void clade_txn_free(struct clade_txn *txn)
{
    if (txn == NULL) {
        return;
    }
    buffer_release(&txn->ns);
    buffer_release(&txn->reason);
    buffer_release(&txn->guards);
    buffer_release(&txn->ops);
    for (size_t i = 0; i < MAPS; i++) {
        buffer_release(&txn->maps[i].pairs);
    }
    buffer_release(&txn->params);
    buffer_release(&txn->metrics);
    for (size_t i = 0; i < SETS_MAX; i++) {
        buffer_release(&txn->sets[i].items);
        buffer_release(&txn->sets[i].pairs);
    }
    free(txn);
}

void clade_txn_clear(struct clade_txn *txn)
{
    clear_operation(txn);
    buffer_clear(&txn->ns);
    buffer_clear(&txn->reason);
    buffer_clear(&txn->guards);
    buffer_clear(&txn->ops);
    txn->guards_len = 0;
    txn->ops_len = 0;
    txn->has_happened = false;
    txn->dry_run = false;
    txn->mistake = (struct error){0};
}

/* Where an operation's mistake is; the one that is open is the last. */
void txn_mistake(struct clade_txn *txn, const char *field, const char *message)
{
    if (txn->mistake.code != 0) {
        return;
    }
    error_set(&txn->mistake, CLADE_ERR_INVALID, field, "%s", message);
    if (txn->ops_len > 0) {
        error_prefix_where(&txn->mistake, "ops[%u]", (unsigned)(txn->ops_len - 1));
    }
}

void clade_txn_namespace(struct clade_txn *txn, const char *path)
{
    buffer_clear(&txn->ns);
    if (path != NULL) {
        value_put_str(&txn->ns, path);
    }
}

void clade_txn_reason(struct clade_txn *txn, const char *reason)
{
    buffer_clear(&txn->reason);
    if (reason != NULL) {
        value_put_str(&txn->reason, reason);
    }
}

void clade_txn_happened(struct clade_txn *txn, uint64_t time_us)
{
    txn->has_happened = true;
    txn->happened_us = time_us;
}

size_t clade_txn_bytes(const struct clade_txn *txn)
{
    /* The heads of the command, of its arrays and of the open operation's fields. */
    enum { HEADS = 128, SET_HEAD = 32 };
    size_t bytes = HEADS + txn->ns.len + txn->reason.len + txn->guards.len + txn->ops.len +
                   txn->params.len + txn->metrics.len;
    for (size_t i = 0; i < MAPS; i++) {
        bytes += txn->maps[i].pairs.len;
    }
    for (size_t i = 0; i < SETS_MAX; i++) {
        bytes += txn->sets[i].field == NULL ? 0 : SET_HEAD + txn->sets[i].pairs.len;
    }
    return bytes;
}

/* --- guards --- */

void txn_put_text(struct buffer *b, const char *s)
{
    if (s == NULL) {
        value_put_nil(b);
    } else {
        value_put_str(b, s);
    }
}

void txn_put_pair(struct buffer *b, const char *key, const char *value)
{
    value_put_str(b, key);
    txn_put_text(b, value);
}

/* A version's number, or that there is none. */
void txn_put_expected(struct buffer *b, uint64_t number)
{
    if (number == 0) {
        value_put_str(b, "unset");
    } else {
        value_put_uint(b, number);
    }
}

/* --- operations --- */

/* Appends what the open operation collected, and its number of members. */
static void operation_end(const struct clade_txn *txn, struct buffer *ops, size_t at)
{
    uint32_t members = txn->open_members;
    for (size_t i = 0; i < MAPS; i++) {
        const struct map *map = &txn->maps[i];
        if (map->len > 0) {
            value_put_str(ops, txn_map_names[i]);
            value_put_map(ops, map->len);
            buffer_append_span(ops, buffer_span(&map->pairs));
            members++;
        }
    }
    for (size_t i = 0; i < SETS_MAX && txn->sets[i].field != NULL; i++) {
        const struct set *set = &txn->sets[i];
        value_put_str(ops, set->field->name);
        if (set->takes) {
            value_put_map(ops, set->len);
            buffer_append_span(ops, buffer_span(&set->pairs));
        } else {
            value_put_array(ops, set->len);
            buffer_append_span(ops, buffer_span(&set->items));
        }
        members++;
    }
    if (txn->params_len > 0) {
        value_put_str(ops, "params");
        value_put_map(ops, txn->params_len);
        buffer_append_span(ops, buffer_span(&txn->params));
        members++;
    }
    /* A log of nothing is one all the same: what it says may come from a loop. */
    if (txn->logs && (txn->metrics_len > 0 || txn->params_len == 0)) {
        value_put_str(ops, "metrics");
        value_put_array(ops, txn->metrics_len);
        buffer_append_span(ops, buffer_span(&txn->metrics));
        members++;
    }
    if (!ops->failed) {
        value_end(ops, at, members);
    }
}

static bool operation_failed(const struct clade_txn *txn)
{
    bool failed = txn->params.failed || txn->metrics.failed;
    for (size_t i = 0; i < MAPS; i++) {
        failed = failed || txn->maps[i].pairs.failed;
    }
    for (size_t i = 0; i < SETS_MAX; i++) {
        failed = failed || txn->sets[i].items.failed || txn->sets[i].pairs.failed;
    }
    return failed;
}

/* What overflowed would be lost with its buffer's flag. */
static void note_overflow(struct clade_txn *txn)
{
    txn->ops.failed = txn->ops.failed || operation_failed(txn);
}

static void operation_close(struct clade_txn *txn)
{
    if (txn->open) {
        note_overflow(txn);
        operation_end(txn, &txn->ops, txn->open_at);
        clear_operation(txn);
    }
}

static void op_text(struct clade_txn *txn, const char *key, const char *value)
{
    txn_put_pair(&txn->ops, key, value);
    txn->open_members++;
}

static uint32_t operation_open(struct clade_txn *txn, const char *op)
{
    operation_close(txn);
    txn->open = true;
    txn->open_at = value_begin_map(&txn->ops);
    op_text(txn, "op", op);
    return txn->ops_len++;
}

/* The list of a field; NULL when there are too many. */
static struct set *set_of(struct clade_txn *txn, const struct field *f)
{
    size_t i = 0;
    while (i < SETS_MAX && txn->sets[i].field != NULL && txn->sets[i].field != f) {
        i++;
    }
    if (i == SETS_MAX) {
        return NULL;
    }
    txn->sets[i].field = f;
    return &txn->sets[i];
}

uint32_t clade_txn_create(struct clade_txn *txn, const char *kind, const char *name)
{
    uint32_t n = operation_open(txn, "create");
    op_text(txn, "kind", kind);
    if (name != NULL) {
        op_text(txn, "name", name);
    }
    return n;
}

uint32_t clade_txn_update(struct clade_txn *txn, const char *ref)
{
    uint32_t n = operation_open(txn, "update");
    op_text(txn, "ref", ref);
    return n;
}

uint32_t clade_txn_delete(struct clade_txn *txn, const char *ref)
{
    uint32_t n = operation_open(txn, "delete");
    op_text(txn, "ref", ref);
    return n;
}

uint32_t clade_txn_rename(struct clade_txn *txn, const char *ref, const char *name)
{
    uint32_t n = operation_open(txn, "rename");
    op_text(txn, "ref", ref);
    op_text(txn, "name", name);
    return n;
}

uint32_t clade_txn_undelete(struct clade_txn *txn, const char *ref, const char *name)
{
    uint32_t n = operation_open(txn, "undelete");
    op_text(txn, "ref", ref);
    if (name != NULL) {
        op_text(txn, "name", name);
    }
    return n;
}

uint32_t clade_txn_hold(struct clade_txn *txn, const char *ref, const char *reason)
{
    uint32_t n = operation_open(txn, "hold");
    op_text(txn, "ref", ref);
    if (reason != NULL) {
        op_text(txn, "reason", reason);
    }
    return n;
}

uint32_t clade_txn_release(struct clade_txn *txn, const char *ref)
{
    uint32_t n = operation_open(txn, "release");
    op_text(txn, "ref", ref);
    return n;
}

uint32_t clade_txn_purge(struct clade_txn *txn, const char *ref)
{
    uint32_t n = operation_open(txn, "purge");
    op_text(txn, "ref", ref);
    return n;
}

uint32_t clade_txn_compact(struct clade_txn *txn, const char *ref, const char *before)
{
    uint32_t n = operation_open(txn, "compact");
    op_text(txn, "ref", ref);
    op_text(txn, "before", before);
    return n;
}

static uint32_t open_edge(
    struct clade_txn *txn, const char *op, const char *from, const char *label, const char *to)
{
    uint32_t n = operation_open(txn, op);
    op_text(txn, "from", from);
    op_text(txn, "label", label);
    op_text(txn, "to", to);
    return n;
}

uint32_t clade_txn_link(struct clade_txn *txn, const char *from, const char *label, const char *to)
{
    return open_edge(txn, "link", from, label, to);
}

uint32_t clade_txn_unlink(struct clade_txn *txn,
                          const char *from,
                          const char *label,
                          const char *to)
{
    return open_edge(txn, "unlink", from, label, to);
}

uint32_t clade_txn_set_alias(struct clade_txn *txn, const char *version, const char *alias)
{
    uint32_t n = operation_open(txn, "set_alias");
    op_text(txn, "ref", version);
    op_text(txn, "alias", alias);
    return n;
}

uint32_t clade_txn_unset_alias(struct clade_txn *txn, const char *model, const char *alias)
{
    uint32_t n = operation_open(txn, "unset_alias");
    op_text(txn, "ref", model);
    op_text(txn, "alias", alias);
    return n;
}

uint32_t clade_txn_set_stage(struct clade_txn *txn, const char *version, const char *stage)
{
    uint32_t n = operation_open(txn, "set_stage");
    op_text(txn, "ref", version);
    op_text(txn, "stage", stage);
    return n;
}

uint32_t clade_txn_set_targets(struct clade_txn *txn, const char *deployment)
{
    uint32_t n = operation_open(txn, "set_targets");
    op_text(txn, "ref", deployment);
    (void)set_of(txn, field_by_code(FIELD_TARGETS));
    return n;
}

uint32_t clade_txn_log(struct clade_txn *txn, const char *ref)
{
    uint32_t n = operation_open(txn, "log");
    op_text(txn, "ref", ref);
    txn->logs = true;
    return n;
}

/* --- setters of the open operation --- */

bool txn_setter_allowed(struct clade_txn *txn, const char *field)
{
    if (!txn->open) {
        txn_mistake(txn, field, "is set, but no operation is open that it could belong to");
    } else if (field == NULL) {
        txn_mistake(txn, NULL, "a field without a name");
    }
    return txn->open && field != NULL;
}

void clade_txn_as(struct clade_txn *txn, const char *name)
{
    if (txn_setter_allowed(txn, "as")) {
        op_text(txn, "as", name);
    }
}

void clade_txn_if_exists(struct clade_txn *txn, enum clade_if_exists what)
{
    static const char *const texts[] = {[CLADE_IF_EXISTS_ERROR] = "error",
                                        [CLADE_IF_EXISTS_RETURN] = "return",
                                        [CLADE_IF_EXISTS_MATCH] = "match"};
    if (!txn_setter_allowed(txn, "if_exists")) {
        return;
    }
    if ((unsigned)what > CLADE_IF_EXISTS_MATCH) {
        txn_mistake(txn, "if_exists", "is none of error, return and match");
        return;
    }
    op_text(txn, "if_exists", texts[what]);
}

void clade_txn_set(struct clade_txn *txn, const char *field, const char *value)
{
    if (txn_setter_allowed(txn, field)) {
        op_text(txn, field, value);
    }
}

void clade_txn_set_uint(struct clade_txn *txn, const char *field, uint64_t value)
{
    if (txn_setter_allowed(txn, field)) {
        value_put_str(&txn->ops, field);
        value_put_uint(&txn->ops, value);
        txn->open_members++;
    }
}

void clade_txn_set_bool(struct clade_txn *txn, const char *field, bool value)
{
    if (txn_setter_allowed(txn, field)) {
        value_put_str(&txn->ops, field);
        value_put_bool(&txn->ops, value);
        txn->open_members++;
    }
}

/* The set of the field, NULL, remembering why, when it has none. */
static struct set *text_set_of(struct clade_txn *txn, const char *field)
{
    if (!txn_setter_allowed(txn, field)) {
        return NULL;
    }
    const struct field *f = field_by_name(span_of(field));
    if (f == NULL || f->shape != FIELD_TEXT_SET) {
        txn_mistake(txn, field, "is not a list field");
        return NULL;
    }
    struct set *set = set_of(txn, f);
    if (set == NULL) {
        txn_mistake(txn, field, "is one list field too many");
    }
    return set;
}

void clade_txn_add(struct clade_txn *txn, const char *field, const char *value)
{
    struct set *set = text_set_of(txn, field);
    if (set == NULL) {
        return;
    }
    txn_put_text(&set->items, value);
    txn_put_text(&set->pairs, value);
    value_put_bool(&set->pairs, true);
    set->len++;
}

void clade_txn_take_away(struct clade_txn *txn, const char *field, const char *value)
{
    struct set *set = text_set_of(txn, field);
    if (set == NULL) {
        return;
    }
    txn_put_text(&set->pairs, value);
    value_put_nil(&set->pairs);
    set->len++;
    set->takes = true;
}

void clade_txn_expect_version(struct clade_txn *txn, uint64_t number)
{
    if (txn_setter_allowed(txn, "expect")) {
        value_put_str(&txn->ops, "expect");
        txn_put_expected(&txn->ops, number);
        txn->open_members++;
    }
}

/* One more map of `members` in the list of a field; NULL, remembering why, when it cannot be. */
static struct buffer *add_map(struct clade_txn *txn, enum field_code code, uint32_t members)
{
    const struct field *f = field_by_code(code);
    struct set *set = txn_setter_allowed(txn, f->name) ? set_of(txn, f) : NULL;
    if (set == NULL) {
        txn_mistake(txn, f->name, "is one list field too many");
        return NULL;
    }
    value_put_map(&set->items, members);
    set->len++;
    return &set->items;
}

void clade_txn_target(struct clade_txn *txn, const char *version, unsigned share, bool shadow)
{
    struct buffer *b = add_map(txn, FIELD_TARGETS, 3);
    if (b != NULL) {
        txn_put_pair(b, "version", version);
        value_put_str(b, "share");
        value_put_uint(b, share);
        txn_put_pair(b, "mode", shadow ? "shadow" : "serving");
    }
}

void clade_txn_stage(struct clade_txn *txn, const char *name, bool multiple, bool in_use)
{
    struct buffer *b = add_map(txn, FIELD_STAGES, 3);
    if (b != NULL) {
        txn_put_pair(b, "name", name);
        value_put_str(b, "multiple");
        value_put_bool(b, multiple);
        value_put_str(b, "in_use");
        value_put_bool(b, in_use);
    }
}

/* --- whole documents --- */

/* False, remembering why, when the document is not a map. */
static bool append_doc(struct clade_txn *txn, struct buffer *b, const struct clade_doc *doc)
{
    struct span bytes;
    struct error error = {0};
    if (doc_bytes(doc, &bytes, &error) != 0) {
        if (txn->mistake.code == 0) {
            txn->mistake = error;
        }
        return false;
    }
    uint8_t tag = bytes.data[0];
    if ((tag & 0xf0) != 0x80 && tag != 0xde && tag != 0xdf) {
        txn_mistake(txn, NULL, "an operation, or a guard, is a map");
        return false;
    }
    buffer_append_span(b, bytes);
    return true;
}

void clade_txn_op_doc(struct clade_txn *txn, const struct clade_doc *doc)
{
    operation_close(txn);
    txn->ops_len++;
    append_doc(txn, &txn->ops, doc);
}

void clade_txn_guard_doc(struct clade_txn *txn, const struct clade_doc *doc)
{
    if (append_doc(txn, &txn->guards, doc)) {
        txn->guards_len++;
    }
}

/* --- the command --- */

static bool overflowed(const struct clade_txn *txn)
{
    return txn->ns.failed || txn->reason.failed || txn->guards.failed || txn->ops.failed ||
           operation_failed(txn);
}

static int check(const struct clade_txn *txn, struct error *error)
{
    if (txn->mistake.code != 0) {
        *error = txn->mistake;
        return error->code;
    }
    if (txn->ops_len > CLADE_MAX_OPERATIONS) {
        return error_set(error, CLADE_ERR_LIMIT, "ops", "%u operations; at most %d are accepted",
                         (unsigned)txn->ops_len, CLADE_MAX_OPERATIONS);
    }
    if (txn->guards_len > CLADE_MAX_GUARDS) {
        return error_set(error, CLADE_ERR_LIMIT, "guards", "%u guards; at most %d are accepted",
                         (unsigned)txn->guards_len, CLADE_MAX_GUARDS);
    }
    if (txn->ops_len == 0) {
        return error_set(error, CLADE_ERR_INVALID, "ops", "a transaction needs an operation");
    }
    return 0;
}

static void put_head(const struct clade_txn *txn, struct buffer *b)
{
    uint32_t members = 2;
    members += txn->ns.len > 0;
    members += txn->reason.len > 0;
    members += txn->has_happened;
    members += txn->guards_len > 0;
    value_put_map(b, members);
    value_put_str(b, "v");
    value_put_uint(b, TXN_VERSION);
    if (txn->ns.len > 0) {
        value_put_str(b, "ns");
        buffer_append_span(b, buffer_span(&txn->ns));
    }
    if (txn->reason.len > 0) {
        value_put_str(b, "reason");
        buffer_append_span(b, buffer_span(&txn->reason));
    }
    if (txn->has_happened) {
        value_put_str(b, "happened");
        value_put_uint(b, txn->happened_us);
    }
}

static int refuse_size(struct error *error)
{
    return error_set(error, CLADE_ERR_LIMIT, "command",
                     "is above %d bytes, or memory is out; send fewer operations at once",
                     CLADE_MAX_COMMAND_BYTES);
}

void clade_txn_dry_run(struct clade_txn *txn, bool dry_run)
{
    txn->dry_run = dry_run;
}

bool txn_is_dry_run(const struct clade_txn *txn)
{
    return txn->dry_run;
}

int txn_encode(const struct clade_txn *txn, struct buffer *b, struct error *error)
{
    int rc = check(txn, error);
    if (rc != 0) {
        return rc;
    }
    if (overflowed(txn)) {
        return refuse_size(error);
    }
    size_t start = b->len;
    put_head(txn, b);
    if (txn->guards_len > 0) {
        value_put_str(b, "guards");
        value_put_array(b, txn->guards_len);
        buffer_append_span(b, buffer_span(&txn->guards));
    }
    value_put_str(b, "ops");
    value_put_array(b, txn->ops_len);
    size_t ops_at = b->len;
    buffer_append_span(b, buffer_span(&txn->ops));
    if (txn->open) {
        operation_end(txn, b, ops_at + txn->open_at);
    }
    if (b->failed || b->len - start > CLADE_MAX_COMMAND_BYTES) {
        return refuse_size(error);
    }
    return 0;
}
