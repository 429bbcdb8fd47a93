#pragma once
/* What a decoded value is inside. Seen by value.c and value_put.c alone. */
#include "command/value.h"

enum {
    VALUE_DEPTH_MAX = 32 /* of any limits: bounds the stacks that walk a value */
};

struct value_pair;

struct value {
    enum clade_type type;
    uint32_t len; /* bytes of a string, elements of an array, pairs of a map */
    union {
        bool boolean;
        uint64_t u64;
        int64_t i64;
        double f64;
        const uint8_t *data;            /* in the bytes that were decoded */
        const struct value *items;      /* in the arena */
        const struct value_pair *pairs; /* in the arena */
    } as;
};

struct value_pair {
    struct value key;
    struct value value;
};
