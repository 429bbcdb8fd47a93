#include "storage/id_set.h"

#include <stdlib.h>

#define PAGE_IDS  32768u /* a page of memory holds as many bits */
#define WORD_BITS 64u

bool id_set_init(struct id_set *set, uint64_t end)
{
    set->pages_len = end / PAGE_IDS + 1;
    set->pages = calloc(set->pages_len, sizeof *set->pages);
    return set->pages != NULL;
}

void id_set_release(struct id_set *set)
{
    for (uint64_t i = 0; set->pages != NULL && i < set->pages_len; i++) {
        free(set->pages[i]);
    }
    free(set->pages);
    *set = (struct id_set){0};
}

int id_set_add(struct id_set *set, uint64_t id)
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
