#include <stdlib.h>

#include "command/txn.h"
#include "lib/lib_internal.h"

#define SETS_MAX 4 /* list fields of one operation */

/* A list field of the open operation; the operation's setters may come in any order, the command
 * has each field once. */
struct set {
    const struct field *field;
    struct buffer items;
    uint32_t len;
};

/* A map field of the open operation, likewise. */
struct map {
    struct buffer pairs;
    uint32_t len;
};

enum map_field { MAP_TAGS, MAP_QUOTA, MAP_DEFAULTS, MAP_COUNT };

static const char *const map_names[MAP_COUNT] = {"tags", "quota", "defaults"};

struct clade_txn {
    struct buffer ns;
    struct buffer reason;
    bool has_happened;
    uint64_t happened_us;
    struct buffer guards;
    uint32_t guards_len;
    struct buffer ops; /* the last one may be open: its map's head is written at its end */
    uint32_t ops_len;
    bool open;
    size_t open_at;
    uint32_t open_members;
    struct map maps[MAP_COUNT];
    struct set sets[SETS_MAX];
    struct error mistake; /* the first one */
};

static void clear_operation(struct clade_txn *txn)
{
    txn->open = false;
    txn->open_members = 0;
    for (size_t i = 0; i < MAP_COUNT; i++) {
        buffer_clear(&txn->maps[i].pairs);
        txn->maps[i].len = 0;
    }
    for (size_t i = 0; i < SETS_MAX; i++) {
        txn->sets[i].field = NULL;
        buffer_clear(&txn->sets[i].items);
        txn->sets[i].len = 0;
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
    for (size_t i = 0; i < MAP_COUNT; i++) {
        buffer_init(&txn->maps[i].pairs, CLADE_MAX_COMMAND_BYTES);
    }
    for (size_t i = 0; i < SETS_MAX; i++) {
        buffer_init(&txn->sets[i].items, CLADE_MAX_COMMAND_BYTES);
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
    for (size_t i = 0; i < MAP_COUNT; i++) {
        buffer_release(&txn->maps[i].pairs);
    }
    for (size_t i = 0; i < SETS_MAX; i++) {
        buffer_release(&txn->sets[i].items);
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
    txn->mistake = (struct error){0};
}

/* Where an operation's mistake is; the one that is open is the last. */
static void mistake(struct clade_txn *txn, const char *field, const char *message)
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
    enum { HEADS = 64, SET_HEAD = 32 };
    size_t bytes = HEADS + txn->ns.len + txn->reason.len + txn->guards.len + txn->ops.len;
    for (size_t i = 0; i < MAP_COUNT; i++) {
        bytes += txn->maps[i].pairs.len;
    }
    for (size_t i = 0; i < SETS_MAX; i++) {
        bytes += txn->sets[i].field == NULL ? 0 : SET_HEAD + txn->sets[i].items.len;
    }
    return bytes;
}

/* --- guards --- */

static void put_text(struct buffer *b, const char *s)
{
    if (s == NULL) {
        value_put_nil(b);
    } else {
        value_put_str(b, s);
    }
}

static void put_pair(struct buffer *b, const char *key, const char *value)
{
    value_put_str(b, key);
    put_text(b, value);
}

static void guard_begin(struct clade_txn *txn, uint32_t members, const char *guard, const char *ref)
{
    txn->guards_len++;
    value_put_map(&txn->guards, members);
    put_pair(&txn->guards, "guard", guard);
    put_pair(&txn->guards, "ref", ref);
}

void clade_txn_guard_exists(struct clade_txn *txn, const char *ref)
{
    guard_begin(txn, 2, "exists", ref);
}

void clade_txn_guard_absent(struct clade_txn *txn, const char *ref)
{
    guard_begin(txn, 2, "absent", ref);
}

void clade_txn_guard_unchanged(struct clade_txn *txn, const char *ref, uint64_t revision)
{
    guard_begin(txn, 3, "unchanged", ref);
    value_put_str(&txn->guards, "revision");
    value_put_uint(&txn->guards, revision);
}

/* --- operations --- */

/* Appends what the open operation collected, and its number of members. */
static void operation_end(const struct clade_txn *txn, struct buffer *ops, size_t at)
{
    uint32_t members = txn->open_members;
    for (size_t i = 0; i < MAP_COUNT; i++) {
        const struct map *map = &txn->maps[i];
        if (map->len > 0) {
            value_put_str(ops, map_names[i]);
            value_put_map(ops, map->len);
            buffer_append_span(ops, buffer_span(&map->pairs));
            members++;
        }
    }
    for (size_t i = 0; i < SETS_MAX && txn->sets[i].field != NULL; i++) {
        value_put_str(ops, txn->sets[i].field->name);
        value_put_array(ops, txn->sets[i].len);
        buffer_append_span(ops, buffer_span(&txn->sets[i].items));
        members++;
    }
    if (!ops->failed) {
        value_end(ops, at, members);
    }
}

static bool fields_failed(const struct clade_txn *txn)
{
    bool failed = false;
    for (size_t i = 0; i < MAP_COUNT; i++) {
        failed = failed || txn->maps[i].pairs.failed;
    }
    for (size_t i = 0; i < SETS_MAX; i++) {
        failed = failed || txn->sets[i].items.failed;
    }
    return failed;
}

/* What overflowed would be lost with its buffer's flag. */
static void note_overflow(struct clade_txn *txn)
{
    bool failed = fields_failed(txn);
    txn->ops.failed = txn->ops.failed || failed;
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
    put_pair(&txn->ops, key, value);
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

uint32_t clade_txn_purge(struct clade_txn *txn, const char *ref)
{
    uint32_t n = operation_open(txn, "purge");
    op_text(txn, "ref", ref);
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

/* --- setters of the open operation --- */

static bool setter_allowed(struct clade_txn *txn, const char *field)
{
    if (!txn->open) {
        mistake(txn, field, "is set, but no operation is open that it could belong to");
    } else if (field == NULL) {
        mistake(txn, NULL, "a field without a name");
    }
    return txn->open && field != NULL;
}

void clade_txn_as(struct clade_txn *txn, const char *name)
{
    if (setter_allowed(txn, "as")) {
        op_text(txn, "as", name);
    }
}

void clade_txn_if_exists(struct clade_txn *txn, enum clade_if_exists what)
{
    static const char *const texts[] = {[CLADE_IF_EXISTS_ERROR] = "error",
                                        [CLADE_IF_EXISTS_RETURN] = "return",
                                        [CLADE_IF_EXISTS_MATCH] = "match"};
    if (!setter_allowed(txn, "if_exists")) {
        return;
    }
    if ((unsigned)what > CLADE_IF_EXISTS_MATCH) {
        mistake(txn, "if_exists", "is none of error, return and match");
        return;
    }
    op_text(txn, "if_exists", texts[what]);
}

void clade_txn_set(struct clade_txn *txn, const char *field, const char *value)
{
    if (setter_allowed(txn, field)) {
        op_text(txn, field, value);
    }
}

void clade_txn_set_uint(struct clade_txn *txn, const char *field, uint64_t value)
{
    if (setter_allowed(txn, field)) {
        value_put_str(&txn->ops, field);
        value_put_uint(&txn->ops, value);
        txn->open_members++;
    }
}

/* Where the value of a new pair goes; NULL when it may not be. */
static struct buffer *map_key(struct clade_txn *txn, enum map_field field, const char *key)
{
    struct map *map = &txn->maps[field];
    if (!setter_allowed(txn, map_names[field])) {
        return NULL;
    }
    if (key == NULL) {
        mistake(txn, map_names[field], "a pair without a key");
        return NULL;
    }
    value_put_str(&map->pairs, key);
    map->len++;
    return &map->pairs;
}

static void map_text(struct clade_txn *txn,
                     enum map_field field,
                     const char *key,
                     const char *value)
{
    struct buffer *pairs = map_key(txn, field, key);
    if (pairs != NULL) {
        put_text(pairs, value);
    }
}

void clade_txn_tag(struct clade_txn *txn, const char *key, const char *value)
{
    map_text(txn, MAP_TAGS, key, value);
}

void clade_txn_default(struct clade_txn *txn, const char *key, const char *value)
{
    map_text(txn, MAP_DEFAULTS, key, value);
}

void clade_txn_quota_unset(struct clade_txn *txn, const char *what)
{
    map_text(txn, MAP_QUOTA, what, NULL);
}

void clade_txn_quota(struct clade_txn *txn, const char *what, uint64_t limit)
{
    struct buffer *pairs = map_key(txn, MAP_QUOTA, what);
    if (pairs != NULL) {
        value_put_uint(pairs, limit);
    }
}

void clade_txn_add(struct clade_txn *txn, const char *field, const char *value)
{
    if (!setter_allowed(txn, field)) {
        return;
    }
    const struct field *f = field_by_name(span_of(field));
    if (f == NULL || f->shape != FIELD_TEXT_SET) {
        mistake(txn, field, "is not a list field");
        return;
    }
    size_t i = 0;
    while (i < SETS_MAX && txn->sets[i].field != NULL && txn->sets[i].field != f) {
        i++;
    }
    if (i == SETS_MAX) {
        mistake(txn, field, "is one list field too many");
        return;
    }
    txn->sets[i].field = f;
    put_text(&txn->sets[i].items, value);
    txn->sets[i].len++;
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
        mistake(txn, NULL, "an operation, or a guard, is a map");
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
           fields_failed(txn);
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
