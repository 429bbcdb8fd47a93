#pragma once
/* Cursors: where an answer was cut off, as text that a client hands back. Pinned to the answer's
 * revision, good for the same query on any node. README.md has the byte table. */
#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

#define CURSOR_VERSION      1
#define CURSOR_POSITION_MAX 1024

struct cursor {
    uint64_t query;       /* hash of what was asked */
    uint64_t revision;    /* that all pages are of */
    uint64_t issued_us;   /* wall clock of the node that answered the page before */
    struct span position; /* what it means is the query's own matter */
};

/* The text, in the arena; {NULL, 0} when there is no room. */
struct span cursor_encode(const struct cursor *cursor, struct arena *arena);
/* Returns 0, CLADE_ERR_INVALID with a sentence, or what arena_failure says. The position
 * is in the arena. */
int cursor_decode(struct span text, struct arena *arena, struct cursor *ret, struct error *error);
