#pragma once
/* The words that a user meets: one static table that `clade help WORD` reads. */
#include <stddef.h>

struct concept {
    const char *name;            /* one word: "alias" */
    const char *const *also;     /* what else it is called; NULL-terminated, NULL = nothing */
    const char *summary;         /* a phrase without a full stop */
    const char *text;            /* sentences; a line end begins a paragraph */
    const char *const *examples; /* commands, NULL-terminated; NULL when there are none */
    const char *const *see;      /* other concepts, NULL-terminated */
};

extern const struct concept concepts[];
extern const size_t concepts_len;

/* The concept of that name, or that is also called so, in either case, in the plural too; NULL when
 * there is none. */
const struct concept *concept_find(const char *word);
