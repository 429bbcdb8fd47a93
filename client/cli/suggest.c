#include "cli/suggest.h"

#include <string.h>

#define SUGGEST_NAME_MAX 64

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
    *s = (struct suggest){.typed = typed, .distance = SUGGEST_NAME_MAX};
}

void suggest_offer(struct suggest *s, const char *name)
{
    /* A third of the letters wrong is a typing error; more is another word. */
    unsigned near_max = 1 + (unsigned)strlen(s->typed) / 3;
    unsigned distance = suggest_distance(s->typed, name);
    if (distance <= near_max && distance < s->distance) {
        s->best = name;
        s->distance = distance;
    }
}
