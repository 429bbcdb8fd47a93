#pragma once
/* The keys of the table `values`: what things of a kind in a namespace have under a key, in the
 * order of the values. One encoding serves the rows, the bounds of ranges and ORDER BY, so that
 * they agree. README.md has the byte table. */
#include "command/prop.h"
#include "storage/keys.h"

/* What a value is of. Codes stand in stores. */
enum value_group {
    VALUE_THING = 1, /* no value: all things of the kind */
    VALUE_FIELD = 2, /* a field of the table in command/field.h */
    VALUE_TAG = 3,
    VALUE_PROP = 4,
    VALUE_PARAM = 5,
    VALUE_METRIC = 6, /* the last value of a series */
    VALUE_ALIAS = 7   /* of a version */
};

/* Values of different sorts under one key stand in this order. Codes stand in stores. */
enum value_form {
    VALUE_BOOL = 1,
    VALUE_NUMBER = 2, /* numbers and times in microseconds, as the nearest double */
    VALUE_TEXT = 3,
    VALUE_REF = 4 /* an id */
};

#define VALUE_TAIL_BYTES 16  /* id u64; ~began u64, or of a metric what it was measured on */
#define VALUE_ROW_BYTES  16  /* began u64, ended u64 (0 = holds) */
#define VALUE_TEXT_MAX   256 /* whole in a key; longer ones: the beginning and a hash */

/* A value without the key that it stands under. */
struct value_code {
    uint8_t bytes[1 + VALUE_TEXT_MAX + 1];
    uint16_t len;
};

/* All numbers have a place: -0 is 0, NaN above all. */
struct value_code value_of_number(double number);
struct value_code value_of_bool(bool truth);
struct value_code value_of_ref(uint64_t id);
struct value_code value_of_text(struct span text);
/* The least code that any text that begins with `text` can have. */
struct value_code value_of_prefix(struct span text);
/* How a text stands that people may mean as a number: of a tag, a param or a prop. Texts that are
 * the same number share a place, so who looks one up compares the text itself. */
struct value_code value_of_mixed(struct span text);

/* Whether the values of a field stand in the index. */
bool value_is_indexed(unsigned code);
/* The beginning that all rows of a key have: namespace, kind, group and the key's text; for
 * VALUE_FIELD the field's code stands in `code`, else it is 0. */
struct key key_values(
    uint64_t ns, enum kind kind, enum value_group group, unsigned code, struct span key);
/* Appends a value, and then which thing has it. */
void key_add_value(struct key *k, const struct value_code *value);
void key_add_tail(struct key *k, uint64_t id, uint64_t tail);
/* The first key behind all that begin with this one; false when there is none. */
bool key_end(struct key *k);

static inline uint64_t value_row_id(struct span row_key)
{
    return get_u64be(row_key.data + row_key.len - VALUE_TAIL_BYTES);
}

/* Calls `cb` for each value that stands in the index for a value of a prop. Stops at a return other
 * than 0 and returns that. */
typedef int (*value_cb)(void *arg, const struct value_code *value);
int value_each_of_prop(struct span prop, value_cb cb, void *arg);
