#include "storage/id_pages.h"

#include <stdlib.h>

#define PAGE_IDS  32768u /* a page of memory holds as many bits */
#define WORD_BITS 64u

bool id_pages_init(struct id_pages *set, uint64_t end)
{
    set->pages_len = end / PAGE_IDS + 1;
    set->pages = calloc(set->pages_len, sizeof *set->pages);
    return set->pages != NULL;
}

void id_pages_release(struct id_pages *set)
{
    for (uint64_t i = 0; set->pages != NULL && i < set->pages_len; i++) {
        free(set->pages[i]);
    }
    free(set->pages);
    *set = (struct id_pages){0};
}

int id_pages_add(struct id_pages *set, uint64_t id)
{
    uint64_t page = id / PAGE_IDS;
    if (page >= set->pages_len) {
        return 0;
    }
    if (set->pages[page] == NULL) {
        set->pages[page] = calloc(PAGE_IDS / WORD_BITS, sizeof **set->pages);
        if (set->pages[page] == NULL) {
            return -1;
        }
    }
    uint64_t *word = &set->pages[page][id % PAGE_IDS / WORD_BITS];
    uint64_t bit = (uint64_t)1 << (id % WORD_BITS);
    if ((*word & bit) != 0) {
        return 0;
    }
    *word |= bit;
    return 1;
}

bool id_pages_has(const struct id_pages *set, uint64_t id)
{
    uint64_t page = id / PAGE_IDS;
    return page < set->pages_len && set->pages[page] != NULL &&
           (set->pages[page][id % PAGE_IDS / WORD_BITS] >> (id % WORD_BITS) & 1) != 0;
}

/* A word of bits at a time; a page that is not there at once. */
bool id_pages_next(const struct id_pages *set, uint64_t from, uint64_t *ret)
{
    uint64_t id = from;
    while (id / PAGE_IDS < set->pages_len) {
        const uint64_t *page = set->pages[id / PAGE_IDS];
        if (page == NULL) {
            id = (id / PAGE_IDS + 1) * PAGE_IDS;
            continue;
        }
        uint64_t word = page[id % PAGE_IDS / WORD_BITS] >> (id % WORD_BITS);
        if (word != 0) {
            *ret = id + (uint64_t)__builtin_ctzll(word);
            return true;
        }
        id = (id / WORD_BITS + 1) * WORD_BITS;
    }
    return false;
}

bool id_pages_previous(const struct id_pages *set, uint64_t from, uint64_t *ret)
{
    uint64_t end = set->pages_len * PAGE_IDS;
    uint64_t id = from < end ? from : end - 1;
    while (set->pages_len > 0) {
        const uint64_t *page = set->pages[id / PAGE_IDS];
        uint64_t unit = page == NULL ? PAGE_IDS : WORD_BITS;
        uint64_t word =
            page == NULL ? 0 : page[id % PAGE_IDS / WORD_BITS] << (WORD_BITS - 1 - id % WORD_BITS);
        if (word != 0) {
            *ret = id - (uint64_t)__builtin_clzll(word);
            return true;
        }
        if (id < unit) {
            return false;
        }
        id = id / unit * unit - 1;
    }
    return false;
}
