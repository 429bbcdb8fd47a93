#pragma once
/* Ids of things, many: as a list, and as a set. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Zeroed memory is an empty one. */
struct ids {
    uint64_t *data;
    size_t len;
    size_t capacity;
};

void ids_release(struct ids *ids);
/* Room for `more` behind those that are there. False when memory is out. */
bool ids_grow(struct ids *ids, size_t more);
static inline bool ids_reserve(struct ids *ids, size_t more)
{
    return ids->capacity - ids->len >= more || ids_grow(ids, more);
}
/* Sorts those from `begin` on; `spare` is memory to work in. False when memory is out. */
bool ids_sort(struct ids *ids, size_t begin, struct ids *spare);

/* Whether an id is among those, which are sorted. */
bool ids_have(const struct ids *ids, uint64_t id);

/* A bit for each id below `end`. Zeroed memory is an empty one. */
struct id_set {
    uint64_t *words;
    uint64_t end;
    size_t words_len; /* at least as many as `end` needs; those beyond it are 0 */
};

/* Makes room for ids below `end`; it is empty. False when memory is out. */
bool id_set_begin(struct id_set *set, uint64_t end);
/* Takes out what was added, which is all in `ids`. Memory beyond `bytes_kept` is let go. */
void id_set_end(struct id_set *set, const struct ids *ids, size_t bytes_kept);
void id_set_release(struct id_set *set);

/* True when the id is new, false when it was there or is not below `end`. */
static inline bool id_set_add(struct id_set *set, uint64_t id)
{
    if (id >= set->end) {
        return false;
    }
    uint64_t *word = &set->words[id / 64];
    uint64_t bit = (uint64_t)1 << id % 64;
    bool is_new = (*word & bit) == 0;
    *word |= bit;
    return is_new;
}

static inline void id_set_remove(struct id_set *set, uint64_t id)
{
    set->words[id / 64] &= ~((uint64_t)1 << id % 64);
}

static inline bool id_set_has(const struct id_set *set, uint64_t id)
{
    return id < set->end && (set->words[id / 64] >> id % 64 & 1) != 0;
}
