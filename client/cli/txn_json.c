#include "cli/txn_json.h"

#include <stdio.h>

#include "base/time_text.h"

#define IDENTITY_BYTES_MAX 128

static int add_docs(const json_t *list,
                    const char *name,
                    struct clade_txn *txn,
                    void (*add)(struct clade_txn *, const struct clade_doc *),
                    struct error *error)
{
    if (list == NULL) {
        return 0;
    }
    if (!json_is_array(list)) {
        return error_set(error, CLADE_ERR_INVALID, name, "must be an array");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        struct clade_doc *doc = clade_doc_new();
        int err = doc == NULL ? error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory")
                  : json_is_object(item)
                      ? json_to_doc(item, doc, error)
                      : error_set(error, CLADE_ERR_INVALID, NULL, "must be an object");
        if (err == 0) {
            add(txn, doc);
        }
        clade_doc_free(doc);
        if (err != 0) {
            error_prefix_where(error, "%s[%zu]", name, i);
            return err;
        }
    }
    return 0;
}

static int add_bare(const json_t *json, struct clade_txn *txn, struct error *error)
{
    struct clade_doc *doc = clade_doc_new();
    if (doc == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    int err = json_to_doc(json, doc, error);
    if (err == 0) {
        clade_txn_op_doc(txn, doc);
    }
    clade_doc_free(doc);
    return err;
}

static int set_text(const json_t *value,
                    const char *name,
                    struct clade_txn *txn,
                    void (*set)(struct clade_txn *, const char *),
                    struct error *error)
{
    if (value == NULL) {
        return 0;
    }
    if (!json_is_string(value)) {
        return error_set(error, CLADE_ERR_INVALID, name, "must be a string");
    }
    set(txn, json_string_value(value));
    return 0;
}

static int set_happened(const json_t *value, struct clade_txn *txn, struct error *error)
{
    uint64_t us;
    if (value == NULL) {
        return 0;
    }
    if (json_is_integer(value) && json_integer_value(value) > 0) {
        us = (uint64_t)json_integer_value(value);
    } else if (!json_is_string(value) || time_parse(span_of(json_string_value(value)), &us) != 0) {
        return error_set(error, CLADE_ERR_INVALID, "happened",
                         "must be microseconds since 1970 or RFC 3339 text with an offset");
    }
    clade_txn_happened(txn, us);
    return 0;
}

static int check_keys(const json_t *json, struct error *error)
{
    static const char *const known[] = {"ops", "guards", "ns", "reason", "happened"};
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)json, key, member)
    {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            found = found || strcmp(key, known[i]) == 0;
        }
        if (!found) {
            return error_set(error, CLADE_ERR_INVALID, NULL,
                             "\"%.60s\" is not a member of a transaction: ops, guards, ns, reason, "
                             "happened are",
                             key);
        }
    }
    return 0;
}

int txn_from_json(const json_t *json, struct clade_txn *txn, struct error *error)
{
    if (!json_is_object(json)) {
        return error_set(error, CLADE_ERR_INVALID, NULL, "a JSON object was expected");
    }
    if (json_object_get(json, "op") != NULL) {
        return add_bare(json, txn, error);
    }
    if (json_object_get(json, "ops") == NULL) {
        return error_set(error, CLADE_ERR_INVALID, NULL,
                         "neither an operation (\"op\") nor a transaction (\"ops\")");
    }
    int err = check_keys(json, error);
    if (err == 0) {
        err = set_text(json_object_get(json, "ns"), "ns", txn, clade_txn_namespace, error);
    }
    if (err == 0) {
        err = set_text(json_object_get(json, "reason"), "reason", txn, clade_txn_reason, error);
    }
    if (err == 0) {
        err = set_happened(json_object_get(json, "happened"), txn, error);
    }
    if (err == 0) {
        err = add_docs(json_object_get(json, "guards"), "guards", txn, clade_txn_guard_doc, error);
    }
    if (err == 0) {
        err = add_docs(json_object_get(json, "ops"), "ops", txn, clade_txn_op_doc, error);
    }
    return err;
}

static bool member_is(const json_t *op, const char *key, const char *value)
{
    const char *text = json_string_value(json_object_get(op, key));
    return text != NULL && strcmp(text, value) == 0;
}

static bool op_needs_identity(const json_t *op)
{
    if (!json_is_object(op) || !member_is(op, "op", "create")) {
        return false;
    }
    if (member_is(op, "kind", "version")) {
        return json_object_get(op, "number") == NULL;
    }
    return (member_is(op, "kind", "artifact") || member_is(op, "kind", "experiment") ||
            member_is(op, "kind", "run")) &&
           json_object_get(op, "name") == NULL;
}

static void op_identify(json_t *op, const char *identity)
{
    json_t *ids = json_object_get(op, "external_ids");
    bool needed = op_needs_identity(op);
    if (needed && ids == NULL) {
        json_object_set_new(op, "external_ids", json_pack("[s]", identity));
    } else if (needed && json_is_array(ids)) {
        json_array_append_new(ids, json_string(identity));
    }
    if (member_is(op, "op", "create") && json_object_get(op, "if_exists") == NULL) {
        json_object_set_new(op, "if_exists", json_string("match"));
    }
}

bool txn_json_needs_identity(const json_t *json)
{
    const json_t *ops = json_object_get(json, "ops");
    for (size_t i = 0; i < json_array_size(ops); i++) {
        if (op_needs_identity(json_array_get(ops, i))) {
            return true;
        }
    }
    return op_needs_identity(json);
}

void txn_json_identify(json_t *json, const char *digest, uint64_t line)
{
    char identity[IDENTITY_BYTES_MAX];
    json_t *ops = json_object_get(json, "ops");
    bool several = json_array_size(ops) > 1;
    (void)snprintf(identity, sizeof identity, "import:%.40s:%llu", digest,
                   (unsigned long long)line);
    op_identify(json, identity);
    size_t len = strlen(identity);
    for (size_t i = 0; i < json_array_size(ops); i++) {
        if (several) {
            (void)snprintf(identity + len, sizeof identity - len, ".%zu", i);
        }
        op_identify(json_array_get(ops, i), identity);
    }
}
