#pragma once
/* A map from names to numbers: the rows of a nodes file, however many. About 50 bytes and the name
 * itself for each. */
#include "base/span.h"

struct names_slot;

struct names {
    struct names_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t len;
    uint8_t *bytes; /* the names, one behind the other */
    size_t bytes_len;
    size_t bytes_capacity;
};

/* Adds; the first value of a name stays. False when memory is out. Zeroed memory is an empty
 * map. */
bool names_add(struct names *n, struct span name, uint64_t value);
/* Gives a name that is there another value; false when it is not there. */
bool names_change(struct names *n, struct span name, uint64_t value);
/* False when it is not there. */
bool names_find(const struct names *n, struct span name, uint64_t *ret_value);
void names_release(struct names *n);
