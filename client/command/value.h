#pragma once
/* MessagePack values: checked before they are unpacked, read through accessors, written into
 * capped buffers. Together with client/wire this is the only place that sees msgpack-c. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

/* A decoded value; borrows from the bytes it was decoded from and from the arena. */
struct value;

struct value_limits {
    uint32_t depth_max;   /* levels of maps and arrays */
    uint32_t objects_max; /* values in all */
    uint32_t string_bytes_max;
};

/* The limits of a client's request (clade.h). */
extern const struct value_limits value_limits_request;
/* What a client accepts as an answer. */
extern const struct value_limits value_limits_answer;

/* Checks that `bytes` begin with one well-formed value within the limits (depth, number of
 * values, string and binary sizes, UTF-8 of strings, no extension types, lengths within the
 * bytes, map keys strings), without allocating. Sets its length. On failure returns
 * CLADE_ERR_INVALID and fills *error with the byte offset as `where` ("byte 17"). */
int value_check(struct span bytes,
                const struct value_limits *limits,
                size_t *ret_len,
                struct error *error);
/* value_check, then unpacks into the arena; all of `bytes` must be the value. CLADE_ERR_INVALID,
 * CLADE_ERR_LIMIT (arena's cap) or CLADE_ERR_NO_MEMORY. */
int value_decode(struct span bytes,
                 const struct value_limits *limits,
                 struct arena *arena,
                 const struct value **ret,
                 struct error *error);

/* The member `key` of the map that `bytes` begin with, without decoding it all: a string's text,
 * and how many members an array or a map has; empty and 0 when it is not there, is something else,
 * or the bytes are malformed. */
void value_peek(struct span bytes, const char *key, struct span *ret_text, uint32_t *ret_len);

/* All accept NULL as nil and answer 0, empty, NULL or false for the wrong type. value_int takes
 * any integer that fits, value_double any number. */
enum clade_type value_type(const struct value *v);
bool value_bool(const struct value *v);
uint64_t value_uint(const struct value *v);
int64_t value_int(const struct value *v);
double value_double(const struct value *v);
struct span value_string(const struct value *v); /* CLADE_STRING only */
struct span value_bytes(const struct value *v);  /* CLADE_BYTES only */
size_t value_len(const struct value *v);         /* elements of an array, pairs of a map */
const struct value *value_at(const struct value *v, size_t i); /* i-th element, i-th pair's value */
const struct value *value_key_at(const struct value *v, size_t i);
/* The first pair with this key; NULL when there is none. */
const struct value *value_get(const struct value *v, const char *key);
/* False, naming the key in `where`, when map `v` has a key twice or one not in the
 * NULL-terminated `known`. */
bool value_keys_known(const struct value *v, const char *const known[], struct error *error);

/* Writing: each appends one MessagePack token to the buffer. A map or an array is opened with its
 * number of members, which must follow. Integers take their shortest form, so equal documents
 * are equal bytes. Overflow is the buffer's sticky `failed`. */
void value_put_nil(struct buffer *b);
void value_put_bool(struct buffer *b, bool v);
void value_put_uint(struct buffer *b, uint64_t v);
/* `len` of them, as value_put_uint each. */
void value_put_uints(struct buffer *b, const uint64_t *values, size_t len);
void value_put_int(struct buffer *b, int64_t v);
void value_put_double(struct buffer *b, double v);
void value_put_str(struct buffer *b, const char *s);
void value_put_span(struct buffer *b, struct span s); /* as a string */
void value_put_bytes(struct buffer *b, struct span s);
void value_put_array(struct buffer *b, uint32_t members);
void value_put_map(struct buffer *b, uint32_t members);
/* A decoded value again. */
void value_put_value(struct buffer *b, const struct value *v);

/* A map or an array whose number of members is known only at its end: writes a 5-byte head now
 * (never the shortest) and its number later. `at` is what begin returned; buffers may have moved in
 * between. */
size_t value_begin_map(struct buffer *b);
size_t value_begin_array(struct buffer *b);
void value_end(struct buffer *b, size_t at, uint32_t members);

/* The error map of client/wire/README.md: code, number, message, and where, revision, id, leader
 * when they are set. `leader` is "HOST:PORT" or len 0. */
void value_put_error(struct buffer *b, const struct error *e, struct span leader);
/* The reverse. A map without a known number is CLADE_ERR_INTERNAL. */
void value_get_error(const struct value *v, struct error *ret);
