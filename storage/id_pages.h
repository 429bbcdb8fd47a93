#pragma once
/* A set of thing ids: a bitmap in pages that are made when first needed, so that it costs memory
 * by what is in it and a bit test by what is asked. */
#include <stdbool.h>
#include <stdint.h>

struct id_pages {
    uint64_t **pages;
    uint64_t pages_len;
};

/* For ids below `end`. False when memory is out. */
bool id_pages_init(struct id_pages *set, uint64_t end);
void id_pages_release(struct id_pages *set);
/* 1 when the id is new, 0 when it was there (or is not below `end`), -1 when memory is out. */
int id_pages_add(struct id_pages *set, uint64_t id);
bool id_pages_has(const struct id_pages *set, uint64_t id);
/* The least id of the set that is `from` or above, resp. the greatest that is `from` or below;
 * false when there is none. */
bool id_pages_next(const struct id_pages *set, uint64_t from, uint64_t *ret);
bool id_pages_previous(const struct id_pages *set, uint64_t from, uint64_t *ret);
