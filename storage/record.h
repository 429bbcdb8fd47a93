#pragma once
/* A thing as it is stored: a compact record, decoded into a plain struct. README.md has its byte
 * table. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "command/field.h"
#include "command/txn.h"

#define RECORD_VERSION 1

/* Who did something, and when. */
struct stamp {
    uint64_t revision;
    uint64_t time_us;
    struct span principal;
};

/* A field that is set. Sets and the keys of maps are sorted, without doubles. */
struct field_value {
    bool set;
    struct span text;   /* FIELD_TEXT, FIELD_PACKED */
    uint64_t number;    /* FIELD_UINT, FIELD_TIME, FIELD_BOOL, FIELD_REF (an id) */
    struct span *texts; /* FIELD_TEXT_SET */
    struct text_pair
        *pairs; /* FIELD_TEXT_MAP; FIELD_PROP_MAP, FIELD_DECL_MAP: as prop.h has them */
    size_t len; /* of texts or pairs */
};

struct thing {
    uint64_t id;
    enum kind kind;
    bool deleted;
    bool purged;      /* and deleted: only what a tombstone keeps is left */
    uint64_t ns;      /* id of its namespace */
    struct span name; /* empty for versions */
    uint64_t named;   /* the revision that gave it its name: `created`, a rename, an undelete */
    uint64_t model;   /* versions: id of the model */
    uint64_t number;  /* versions */
    struct stamp created;
    uint64_t happened_us; /* when its maker says that it came to be; 0 = it was not said */
    struct stamp changed;
    struct field_value fields[FIELD_CODE_COUNT]; /* by code */
};

/* Appends the record to `b`. */
void record_encode(const struct thing *thing, struct buffer *b);
/* One field as it stands in a record: equal values are equal bytes. */
void record_encode_field(const struct field *field, const struct field_value *v, struct buffer *b);
/* Decodes; *ret borrows from `bytes` and the arena, and is not to be used on failure.
 * CLADE_ERR_CORRUPT for anything that record_encode does not write, CLADE_ERR_LIMIT (arena's cap),
 * CLADE_ERR_NO_MEMORY. */
int record_decode(
    struct span bytes, uint64_t id, struct arena *arena, struct thing *ret, struct error *error);
/* The kind of a record without decoding the rest; KIND_NONE when it is damaged. */
enum kind record_kind(struct span bytes);

/* A request for `size` more bytes of the arena failed: its cap (CLADE_ERR_LIMIT, the same on
 * every node) or this machine's memory (CLADE_ERR_NO_MEMORY). */
int arena_failure(const struct arena *arena, size_t size, struct error *error);
