#pragma once
/* What transactions, references and queries check alike. Each answers 0 or fills *error, with
 * `where` relative to what it was given, and returns its code. */
#include "base/error.h"
#include "command/as_of.h"
#include "command/field.h"
#include "command/reference.h"
#include "command/value.h"

/* Fails with `code` at `key`, which is NULL for none. */
int check_fail(struct error *error, int code, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts the path in front of error's `where` and returns `code`. */
int check_fail_inside(struct error *error, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* CLADE_ERR_LIMIT or CLADE_ERR_NO_MEMORY after an allocation of `bytes` failed. */
int check_fail_no_room(const struct arena *arena, size_t bytes, struct error *error);

/* "an integer", for messages. */
const char *check_type_text(const struct value *v);

/* Text within bytes_max; not empty unless `control`, which also allows control characters but
 * NUL. What: "an owner". */
int check_text(
    struct span text, const char *what, size_t bytes_max, bool control, struct error *error);
/* ALGO:VALUE, VALUE checked for its form where ALGO is known. */
int check_digest(struct span digest, struct error *error);
/* SYSTEM:ID. */
int check_external_id(struct span id, struct error *error);

/* The value of `key` in map, checked; an absent optional one leaves *ret as it is. `where` is
 * the key. */
int take_text(const struct value *map,
              const char *key,
              bool required,
              size_t bytes_max,
              struct span *ret,
              struct error *error);
int take_flag(const struct value *map, const char *key, bool *ret, struct error *error);
int take_uint(const struct value *map,
              const char *key,
              bool required,
              uint64_t max,
              uint64_t *ret,
              struct error *error);
int take_namespace(const struct value *map, const char *key, struct span *ret, struct error *error);
int take_ref(
    const struct value *map, const char *key, bool in_txn, struct ref *ret, struct error *error);
/* The number of the choice (NULL-terminated) that key's text is. */
int take_choice(const struct value *map,
                const char *key,
                bool required,
                const char *const choices[],
                int *ret,
                struct error *error);
/* One choice that is not among those allowed: says so, and which are. */
int check_fail_choice(struct error *error,
                      const char *key,
                      struct span got,
                      const char *const choices[]);
/* An unknown kind: says so, and which there are. */
int check_fail_kind(struct error *error, const char *key, struct span got);
/* A time: an unsigned integer, or RFC 3339 text with an offset. */
int take_time(const struct value *v, uint64_t *ret, struct error *error);

/* A revision, or a time with an offset; the key must be there. */
int take_as_of(const struct value *map,
               const char *key,
               struct query_as_of *ret,
               struct error *error);

/* CLADE_ERR_INVALID when ref is known to be of another kind than `kind`. */
int check_ref_kind(enum kind is, enum kind wanted, struct error *error);

/* Whether s is a decimal number without a sign or leading zeros; then sets it. */
bool check_number(struct span s, uint64_t *ret);

/* Sorted by bytes, without doubles; returns how many are left. */
size_t sort_spans(struct span *spans, size_t len);
