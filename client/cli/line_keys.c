#include "cli/line_keys.h"

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

static void collect(const json_t *op, struct line_keys *k)
{
    const char *what = text(op, "op");
    if (what == NULL) {
        return;
    }
    if (strcmp(what, "create") == 0) {
        collect_create(op, k);
    } else if (strcmp(what, "link") == 0 || strcmp(what, "unlink") == 0) {
        add(k, hash_of(text(op, "from"), text(op, "label"), text(op, "to")), HARD);
    } else if (strcmp(what, "log") == 0 && json_object_get(op, "params") == NULL) {
        /* Points may come in any order. */
        add(k, text(op, "ref") == NULL ? 0 : hash_of(text(op, "ref"), NULL, NULL), 0);
    } else if (text(op, "ref") != NULL) {
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
