#pragma once
/* What a line of an import touches, so that two lines that must keep their order are not in
 * flight together. Lines travel in order, but a retry after a lost connection may overtake one
 * that was sent later.
 *
 * A line touches things hard (update, delete, the numbering of a model's versions, an edge) or
 * soft (a create, which another create of the same thing does not disturb). Two lines conflict
 * when they touch the same thing and one of them does so hard. What a line only refers to is not
 * here: when it is overtaken it is refused as NOT_FOUND and tried again. What moves an alias or a
 * stage touches the model; the end of a version or of a model travels alone, since what let go of
 * it may be anywhere before it. */
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#define LINE_KEYS_MAX 64

struct line_keys {
    uint64_t keys[LINE_KEYS_MAX]; /* a hash; its lowest bit is set when hard */
    size_t len;
    bool alone; /* touches more than fits, a type, or a name by an id: conflicts with every line */
};

void line_keys_collect(const json_t *line, struct line_keys *ret);
bool line_keys_conflict(const struct line_keys *a, const struct line_keys *b);
