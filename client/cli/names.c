#include "cli/names.h"

#include <stdlib.h>

#include "base/hash.h"

struct names_slot {
    uint64_t hash;
    uint64_t at; /* into bytes */
    uint64_t value;
    uint32_t len; /* of the name */
    bool used;
};

/* The slot that holds the name, or the free one where it belongs. There is always a free one. */
static struct names_slot *probe(const struct names *n, struct span name, uint64_t hash)
{
    size_t mask = n->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct names_slot *slot = &n->slots[i];
        if (!slot->used ||
            (slot->hash == hash && span_equal(span_make(n->bytes + slot->at, slot->len), name))) {
            return slot;
        }
    }
}

static bool grow_slots(struct names *n)
{
    struct names bigger = *n;
    bigger.capacity = n->capacity == 0 ? 1024 : n->capacity * 2;
    bigger.slots = calloc(bigger.capacity, sizeof *bigger.slots);
    if (bigger.slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < n->capacity; i++) {
        const struct names_slot *old = &n->slots[i];
        if (old->used) {
            *probe(&bigger, span_make(n->bytes + old->at, old->len), old->hash) = *old;
        }
    }
    free(n->slots);
    *n = bigger;
    return true;
}

static bool grow_bytes(struct names *n, size_t more)
{
    if (n->bytes_len + more <= n->bytes_capacity) {
        return true;
    }
    size_t capacity = n->bytes_capacity * 2 + more + 65536;
    uint8_t *bytes = realloc(n->bytes, capacity);
    if (bytes == NULL) {
        return false;
    }
    n->bytes = bytes;
    n->bytes_capacity = capacity;
    return true;
}

bool names_add(struct names *n, struct span name, uint64_t value)
{
    if (name.len > UINT32_MAX || !grow_bytes(n, name.len) ||
        (n->len * 4 >= n->capacity * 3 && !grow_slots(n))) {
        return false;
    }
    uint64_t hash = hash64(name, 0);
    struct names_slot *slot = probe(n, name, hash);
    if (slot->used) {
        return true;
    }
    *slot = (struct names_slot){
        .hash = hash, .at = n->bytes_len, .len = (uint32_t)name.len, .value = value, .used = true};
    if (name.len > 0) {
        memcpy(n->bytes + n->bytes_len, name.data, name.len);
    }
    n->bytes_len += name.len;
    n->len++;
    return true;
}

bool names_change(struct names *n, struct span name, uint64_t value)
{
    struct names_slot *slot = n->len == 0 ? NULL : probe(n, name, hash64(name, 0));
    if (slot == NULL || !slot->used) {
        return false;
    }
    slot->value = value;
    return true;
}

bool names_find(const struct names *n, struct span name, uint64_t *ret_value)
{
    if (n->len == 0) {
        return false;
    }
    const struct names_slot *slot = probe(n, name, hash64(name, 0));
    if (!slot->used) {
        return false;
    }
    *ret_value = slot->value;
    return true;
}

void names_release(struct names *n)
{
    if (n != NULL) {
        free(n->slots);
        free(n->bytes);
        *n = (struct names){0};
    }
}
