/* Fields of operations that are maps: tags, props, what a type says of props, what a namespace says
 * of what is in it. */
#include "lib/txn_builder_internal.h"

const char *const txn_map_names[MAPS] = {"tags", "props", "fields", "quota", "defaults"};

/* Begins a pair of a map field, whose value is to follow; NULL, remembering why, when it cannot. */
static struct buffer *map_put(struct clade_txn *txn, enum map_id id, const char *key)
{
    if (!txn_setter_allowed(txn, txn_map_names[id])) {
        return NULL;
    }
    if (key == NULL) {
        txn_mistake(txn, txn_map_names[id], "a member without a key");
        return NULL;
    }
    struct map *map = &txn->maps[id];
    value_put_str(&map->pairs, key);
    map->len++;
    return &map->pairs;
}

static void map_text(struct clade_txn *txn, enum map_id id, const char *key, const char *value)
{
    struct buffer *b = map_put(txn, id, key);
    if (b != NULL) {
        txn_put_text(b, value);
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
    struct buffer *b = map_put(txn, MAP_QUOTA, what);
    if (b != NULL) {
        value_put_uint(b, limit);
    }
}

void clade_txn_prop(struct clade_txn *txn, const char *key, const char *value)
{
    map_text(txn, MAP_PROPS, key, value);
}

void clade_txn_prop_int(struct clade_txn *txn, const char *key, int64_t value)
{
    struct buffer *b = map_put(txn, MAP_PROPS, key);
    if (b != NULL) {
        value_put_int(b, value);
    }
}

void clade_txn_prop_double(struct clade_txn *txn, const char *key, double value)
{
    struct buffer *b = map_put(txn, MAP_PROPS, key);
    if (b != NULL) {
        value_put_double(b, value);
    }
}

void clade_txn_prop_bool(struct clade_txn *txn, const char *key, bool value)
{
    struct buffer *b = map_put(txn, MAP_PROPS, key);
    if (b != NULL) {
        value_put_bool(b, value);
    }
}

/* {"ref": text} and such. */
static struct buffer *put_tagged(struct clade_txn *txn, const char *key, const char *tag)
{
    struct buffer *b = map_put(txn, MAP_PROPS, key);
    if (b != NULL) {
        value_put_map(b, 1);
        value_put_str(b, tag);
    }
    return b;
}

void clade_txn_prop_time(struct clade_txn *txn, const char *key, uint64_t time_us)
{
    struct buffer *b = put_tagged(txn, key, "time");
    if (b != NULL) {
        value_put_uint(b, time_us);
    }
}

void clade_txn_prop_ref(struct clade_txn *txn, const char *key, const char *ref)
{
    struct buffer *b = put_tagged(txn, key, "ref");
    if (b != NULL) {
        txn_put_text(b, ref);
    }
}

void clade_txn_prop_json(struct clade_txn *txn, const char *key, const char *json)
{
    struct buffer *b = put_tagged(txn, key, "json");
    if (b != NULL) {
        txn_put_text(b, json);
    }
}

void clade_txn_prop_doc(struct clade_txn *txn, const char *key, const struct clade_doc *doc)
{
    struct span bytes;
    struct error error = {0};
    int rc = doc_bytes(doc, &bytes, &error);
    if (rc != 0 && txn->mistake.code == 0) {
        txn->mistake = error;
    }
    struct buffer *b = rc == 0 ? map_put(txn, MAP_PROPS, key) : NULL;
    if (b != NULL) {
        buffer_append_span(b, bytes);
    }
}

void clade_txn_type_field(
    struct clade_txn *txn, const char *key, const char *type, unsigned flags, const char *unit)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = {{CLADE_FIELD_REQUIRED, "required"},
                 {CLADE_FIELD_FIXED, "fixed"},
                 {CLADE_FIELD_INDEXED, "indexed"}};
    struct buffer *b = map_put(txn, MAP_FIELDS, key);
    if (b == NULL) {
        return;
    }
    size_t at = value_begin_map(b);
    uint32_t members = 1;
    txn_put_pair(b, "type", type);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((flags & names[i].flag) != 0) {
            value_put_str(b, names[i].name);
            value_put_bool(b, true);
            members++;
        }
    }
    if (unit != NULL) {
        txn_put_pair(b, "unit", unit);
        members++;
    }
    if (!b->failed) {
        value_end(b, at, members);
    }
}
