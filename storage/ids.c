#include "storage/ids.h"

#include <string.h>

#define INSERTION_MAX 48
#define DIGIT_BITS    10
#define DIGITS        (1u << DIGIT_BITS)

void ids_release(struct ids *ids)
{
    free(ids->data);
    *ids = (struct ids){0};
}

bool ids_grow(struct ids *ids, size_t more)
{
    size_t capacity = ids->capacity < 64 ? 64 : ids->capacity;
    while (capacity - ids->len < more) {
        capacity *= 2;
    }
    uint64_t *grown = realloc(ids->data, capacity * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    ids->data = grown;
    ids->capacity = capacity;
    return true;
}

static void sort_few(uint64_t *data, size_t len)
{
    for (size_t i = 1; i < len; i++) {
        uint64_t id = data[i];
        size_t j = i;
        for (; j > 0 && data[j - 1] > id; j--) {
            data[j] = data[j - 1];
        }
        data[j] = id;
    }
}

/* Moves `from` to `to` in the order of one digit. */
static void sort_digit(const uint64_t *from, uint64_t *to, size_t len, unsigned shift)
{
    size_t at[DIGITS] = {0};
    size_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        at[from[i] >> shift & (DIGITS - 1)]++;
    }
    for (unsigned i = 0; i < DIGITS; i++) {
        size_t n = at[i];
        at[i] = sum;
        sum += n;
    }
    for (size_t i = 0; i < len; i++) {
        to[at[from[i] >> shift & (DIGITS - 1)]++] = from[i];
    }
}

bool ids_sort(struct ids *ids, size_t begin, struct ids *spare)
{
    uint64_t *data = ids->data + begin;
    size_t len = ids->len - begin;
    uint64_t bits = 0;
    bool sorted = true;
    for (size_t i = 0; i < len; i++) {
        bits |= data[i];
        sorted &= i == 0 || data[i - 1] < data[i];
    }
    if (sorted || len <= INSERTION_MAX) {
        sort_few(data, sorted ? 0 : len);
        return true;
    }
    if (!ids_reserve(spare, len)) {
        return false;
    }
    uint64_t *from = data;
    uint64_t *to = spare->data;
    for (unsigned shift = 0; shift < 64 && bits >> shift != 0; shift += DIGIT_BITS) {
        sort_digit(from, to, len, shift);
        uint64_t *was = from;
        from = to;
        to = was;
    }
    if (from != data) {
        memcpy(data, from, len * sizeof *data);
    }
    return true;
}

bool ids_have(const struct ids *ids, uint64_t id)
{
    size_t low = 0;
    size_t high = ids->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ids->data[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < ids->len && ids->data[low] == id;
}

bool id_set_begin(struct id_set *set, uint64_t end)
{
    size_t need = (size_t)(end / 64 + 1);
    if (need > set->words_len) {
        free(set->words);
        set->words_len = need + need / 8;
        set->words = calloc(set->words_len, sizeof *set->words);
        if (set->words == NULL) {
            *set = (struct id_set){0};
            return false;
        }
    }
    set->end = end;
    return true;
}

void id_set_end(struct id_set *set, const struct ids *ids, size_t bytes_kept)
{
    if (set->words_len * sizeof *set->words > bytes_kept) {
        id_set_release(set);
        return;
    }
    for (size_t i = 0; i < ids->len; i++) {
        if (ids->data[i] < set->end) {
            set->words[ids->data[i] / 64] = 0;
        }
    }
    set->end = 0;
}

void id_set_release(struct id_set *set)
{
    free(set->words);
    *set = (struct id_set){0};
}
