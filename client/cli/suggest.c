#include "cli/suggest.h"

#include <stdio.h>
#include <string.h>

#define SUGGEST_NAME_MAX   64
#define SUGGEST_PREFIX_MIN 3

static unsigned min_unsigned(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned suggest_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len >= SUGGEST_NAME_MAX || b_len >= SUGGEST_NAME_MAX) {
        return SUGGEST_NAME_MAX;
    }
    unsigned rows[3][SUGGEST_NAME_MAX + 1];
    for (unsigned j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i - 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            unsigned replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = min_unsigned(min_unsigned(above[j], row[j - 1]) + 1, replaced);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = min_unsigned(row[j], rows[(i - 2) % 3][j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

void suggest_init(struct suggest *s, const char *typed)
{
    *s = (struct suggest){.typed = typed};
}

void suggest_offer_as(struct suggest *s, const char *name, const char *shown)
{
    /* A third of the letters wrong is a typing error; more is another word. */
    size_t len = strlen(s->typed);
    unsigned near_max = ((unsigned)len + 2) / 3;
    unsigned distance = suggest_distance(s->typed, name);
    if (len >= SUGGEST_PREFIX_MIN && strncmp(name, s->typed, len) == 0 &&
        strchr(name + len, ' ') == NULL) {
        distance = min_unsigned(distance, 1);
    }
    size_t at = 0;
    while (at < SUGGEST_MAX && s->names[at] != NULL && s->distances[at] <= distance) {
        if (strcmp(s->names[at], shown) == 0) {
            return;
        }
        at++;
    }
    if (distance > near_max || at == SUGGEST_MAX) {
        return;
    }
    size_t last = at;
    while (last + 1 < SUGGEST_MAX && s->names[last] != NULL && strcmp(s->names[last], shown) != 0) {
        last++;
    }
    memmove(&s->names[at + 1], &s->names[at], (last - at) * sizeof *s->names);
    memmove(&s->distances[at + 1], &s->distances[at], (last - at) * sizeof *s->distances);
    s->names[at] = shown;
    s->distances[at] = distance;
}

void suggest_offer(struct suggest *s, const char *name)
{
    suggest_offer_as(s, name, name);
}

static bool is_nearest(const struct suggest *s, size_t i)
{
    return i < SUGGEST_MAX && s->names[i] != NULL && s->distances[i] == s->distances[0];
}

bool suggest_join(const struct suggest *s, char text[SUGGEST_TEXT_BYTES])
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; is_nearest(s, i); i++) {
        bool last = !is_nearest(s, i + 1);
        int n = snprintf(text + at, SUGGEST_TEXT_BYTES - at, "%s\"%s\"",
                         i == 0 ? ""
                         : last ? " or "
                                : ", ",
                         s->names[i]);
        at += n < 0 || (size_t)n >= SUGGEST_TEXT_BYTES - at ? 0 : (size_t)n;
    }
    return at > 0;
}
