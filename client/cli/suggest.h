#pragma once
/* What was probably meant: the nearest of a set of names. */
#include <stddef.h>

/* Single-letter edits (insert, delete, replace, swap of neighbours) from a to b. Names longer
 * than 63 bytes count as far apart (64). */
unsigned suggest_distance(const char *a, const char *b);

struct suggest {
    const char *typed;
    const char *best; /* NULL when nothing is near */
    unsigned distance;
};

void suggest_init(struct suggest *s, const char *typed);
/* Offers a name; it must outlive *s. */
void suggest_offer(struct suggest *s, const char *name);
