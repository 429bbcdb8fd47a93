#pragma once
/* What was probably meant: the nearest of a set of names. */
#include <stdbool.h>
#include <stddef.h>

/* Single-letter edits (insert, delete, replace, swap of neighbours) from a to b. Names longer
 * than 63 bytes count as far apart (64). */
unsigned suggest_distance(const char *a, const char *b);

#define SUGGEST_MAX        3
#define SUGGEST_TEXT_BYTES 256

struct suggest {
    const char *typed;
    const char *names[SUGGEST_MAX]; /* the nearest first; NULL behind the last */
    unsigned distances[SUGGEST_MAX];
};

void suggest_init(struct suggest *s, const char *typed);
/* Offers a name; it must outlive *s. One word that begins with the three letters or more that were
 * typed is near. */
void suggest_offer(struct suggest *s, const char *name);
/* The same, and `shown` is what is suggested; once, however many of its names are near. */
void suggest_offer_as(struct suggest *s, const char *name, const char *shown);
/* Those that are equally near: "a", "b" or "c". False when nothing is near. */
bool suggest_join(const struct suggest *s, char text[SUGGEST_TEXT_BYTES]);
