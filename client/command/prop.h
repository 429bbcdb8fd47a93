#pragma once
/* Props: typed values of things, and what types say of them. Both stand in records and commands as
 * the bytes below, one form for each value, so that equal values are equal bytes.
 *
 * A value:        u8 type, | 0x80 for a list; then one value, or those of the list:
 *                 string, json: the text (in a list u32 its length before it)
 *                 int: i64; float: f64; time: u64 microseconds since 1970; ref: u64 id; bool: u8
 *                 A list without elements is the byte 0x80 alone.
 * A declaration:  u8 type, | 0x80 for a list; u8 flags; the unit's text.
 *
 * Numbers are little-endian. Types and flags stand in stores and never change. */
#include "base/buffer.h"
#include "base/error.h"
#include "base/span.h"

enum prop_type {
    PROP_ANY = 0, /* of a list without elements */
    PROP_STRING = 1,
    PROP_INT = 2,
    PROP_FLOAT = 3,
    PROP_BOOL = 4,
    PROP_TIME = 5,
    PROP_JSON = 6,
    PROP_REF = 7,
    PROP_TYPE_COUNT
};

#define PROP_LIST 0x80u /* beside a type */

enum decl_flags { DECL_REQUIRED = 1, DECL_FIXED = 2, DECL_INDEXED = 4 };

struct prop_item {
    struct span text; /* string, json */
    uint64_t bits;    /* of the others, as they are stored */
};

/* What is left to read of a value. */
struct prop_reader {
    unsigned type; /* without PROP_LIST */
    bool is_list;
    struct span rest;
};

struct decl {
    unsigned type; /* with PROP_LIST */
    unsigned flags;
    struct span unit; /* len 0 = none */
};

/* "float", "float[]" with PROP_LIST; "list" for a list without elements. Static. */
const char *prop_type_text(unsigned type);
/* The reverse: a type with PROP_LIST or without, 0 when there is none of that name. */
unsigned prop_type_parse(struct span text);

/* Appends an element; in a list its length too. The type byte stands before. */
void prop_put(struct buffer *b, unsigned type, bool is_list, const struct prop_item *item);
/* Of bytes that are a value; the type is PROP_TYPE_COUNT when they cannot be one. */
struct prop_reader prop_read(struct span value);
/* The next element: 1, 0 when there is no more, -1 when the bytes are no value. */
int prop_next(struct prop_reader *reader, struct prop_item *ret);
/* Whether the bytes are a value. */
bool prop_is_valid(struct span value);

/* Whether a value is what a declaration of `type` asks for; a list without elements is any. */
bool prop_fits(struct span value, unsigned type);
/* Whether the integer is a float without losing anything: from -2^53 to 2^53. */
bool prop_int_is_float(int64_t i);
/* Whether ints would be floats without losing anything, and `type` asks for that. */
bool prop_widens(struct span value, unsigned type);
/* Appends them as floats. */
void prop_widen(struct buffer *b, struct span value);

/* False when the bytes are no declaration. */
bool decl_read(struct span bytes, struct decl *ret);

/* Whether text is one JSON value (RFC 8259) nested at most CLADE_MAX_PROP_JSON_DEPTH deep, in
 * UTF-8. CLADE_ERR_INVALID, saying at which byte, or CLADE_ERR_LIMIT. */
int json_check(struct span text, struct error *error);
