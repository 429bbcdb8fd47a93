#include "cli/line_keys.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"

#define HARD 1u

/* The hash of "a/b/c"; a missing part is empty. */
static uint64_t hash_of(const char *a, const char *b, const char *c)
{
    const char *const parts[] = {a, b, c};
    uint64_t hash = 0;
    for (size_t i = 0; i < 3; i++) {
        if (parts[i] != NULL) {
            hash = hash64(span_of(parts[i]), hash + i);
        }
    }
    return hash & ~(uint64_t)HARD;
}

static void add(struct line_keys *k, uint64_t hash, unsigned hard)
{
    if (k->len == LINE_KEYS_MAX) {
        k->alone = true;
        return;
    }
    k->keys[k->len++] = hash | hard;
}

static const char *text(const json_t *op, const char *key)
{
    return json_string_value(json_object_get(op, key));
}

/* "artifact" and "x" must meet "artifact/x" of an update. */
static uint64_t hash_ref(const char *kind, const char *name)
{
    char ref[4096];
    size_t kind_len = strlen(kind);
    size_t name_len = strlen(name);
    if (kind_len + name_len + 2 > sizeof ref) {
        return hash_of(name, NULL, NULL);
    }
    memcpy(ref, kind, kind_len);
    ref[kind_len] = '/';
    memcpy(ref + kind_len + 1, name, name_len + 1);
    return hash_of(ref, NULL, NULL);
}

static void collect_create(const json_t *op, struct line_keys *k)
{
    const char *kind = text(op, "kind");
    const char *name = text(op, "name");
    const char *model = text(op, "model");
    if (kind != NULL && strcmp(kind, "version") == 0) {
        add(k, model == NULL ? 0 : hash_of(model, NULL, NULL), HARD);
    } else if (kind != NULL && name != NULL) {
        add(k, hash_ref(kind, name), 0);
    }
}

/* "version/m/7" of "//TEAM//version/m/7". */
static const char *without_team(const char *ref)
{
    const char *end = strncmp(ref, "//", 2) == 0 ? strstr(ref + 2, "//") : NULL;
    return end != NULL ? end + 2 : ref;
}

static bool is_of(const char *ref, const char *kind)
{
    size_t len = strlen(kind);
    return strncmp(without_team(ref), kind, len) == 0 && without_team(ref)[len] == '/';
}

/* A version by its model, as a create names it: what moves one pointer of a model may displace
 * another version of it. */
static void collect_pointer(const char *ref, struct line_keys *k)
{
    char model[4096];
    if (!is_of(ref, "version")) {
        k->alone = k->alone || is_of(ref, "id");
        add(k, hash_of(ref, NULL, NULL), HARD);
        return;
    }
    const char *rest = without_team(ref);
    const char *name = rest + strlen("version/");
    size_t len = strlen(name);
    while (len > 0 && name[len] != '/' && name[len] != '@') {
        len--;
    }
    int n = snprintf(model, sizeof model, "%.*smodel/%.*s", (int)(rest - ref), ref, (int)len, name);
    k->alone = k->alone || n < 0 || (size_t)n >= sizeof model;
    add(k, hash_of(model, NULL, NULL), HARD);
}

static bool is_pointer_op(const char *what)
{
    static const char *const ops[] = {"set_alias", "unset_alias", "set_stage", "set_targets"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (strcmp(what, ops[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What a type asks for touches whatever has it. */
static bool is_of_a_type(const json_t *op)
{
    const char *kind = text(op, "kind");
    const char *ref = text(op, "ref");
    return (kind != NULL && strcmp(kind, "type") == 0) ||
           (ref != NULL && (strncmp(ref, "type/", 5) == 0 || strstr(ref, "//type/") != NULL));
}

static void collect(const json_t *op, struct line_keys *k)
{
    const char *what = text(op, "op");
    if (what == NULL) {
        return;
    }
    /* Which names a rename touches is not known here when it goes by an id. */
    bool renames = strcmp(what, "rename") == 0 || strcmp(what, "undelete") == 0;
    k->alone = k->alone || renames || is_of_a_type(op);
    if (strcmp(what, "create") == 0) {
        collect_create(op, k);
    } else if (strcmp(what, "link") == 0 || strcmp(what, "unlink") == 0) {
        add(k, hash_of(text(op, "from"), text(op, "label"), text(op, "to")), HARD);
    } else if (text(op, "ref") != NULL && is_pointer_op(what)) {
        collect_pointer(text(op, "ref"), k);
    } else if (strcmp(what, "log") == 0 && json_object_get(op, "params") == NULL) {
        /* Points may come in any order. */
        add(k, text(op, "ref") == NULL ? 0 : hash_of(text(op, "ref"), NULL, NULL), 0);
    } else if (text(op, "ref") != NULL) {
        /* Whatever let go of a version, or of a model's, comes before its end. */
        const char *ref = text(op, "ref");
        k->alone = k->alone || (strcmp(what, "delete") == 0 &&
                                (is_of(ref, "version") || is_of(ref, "model") || is_of(ref, "id")));
        add(k, hash_of(text(op, "ref"), NULL, NULL), HARD);
    }
}

void line_keys_collect(const json_t *line, struct line_keys *ret)
{
    ret->len = 0;
    ret->alone = false;
    const json_t *ops = json_object_get(line, "ops");
    collect(line, ret);
    for (size_t i = 0; i < json_array_size(ops) && !ret->alone; i++) {
        collect(json_array_get(ops, i), ret);
    }
}

bool line_keys_conflict(const struct line_keys *a, const struct line_keys *b)
{
    if (a->alone || b->alone) {
        return true;
    }
    for (size_t i = 0; i < a->len; i++) {
        for (size_t j = 0; j < b->len; j++) {
            uint64_t difference = a->keys[i] ^ b->keys[j];
            if (difference <= HARD && ((a->keys[i] | b->keys[j]) & HARD) != 0) {
                return true;
            }
        }
    }
    return false;
}
