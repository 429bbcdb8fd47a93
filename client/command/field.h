#pragma once
/* The fields of things: one table that transactions are checked against, records are stored by
 * and answers are written from. A new field is a new row. Codes stand in stores and never
 * change. */
#include "base/span.h"
#include "command/kind.h"

enum field_shape {
    FIELD_TEXT,     /* a string */
    FIELD_UINT,     /* an unsigned number */
    FIELD_TIME,     /* microseconds since 1970 UTC; RFC 3339 text with an offset is accepted */
    FIELD_REF,      /* a reference, stored as an id */
    FIELD_TEXT_SET, /* a set of strings; a write adds to it */
    FIELD_TEXT_MAP, /* string to string; a write sets, a nil value takes away */
    FIELD_UINT_MAP  /* the same with numbers; `values` are the keys */
};

enum field_code {
    FIELD_NONE = 0,
    FIELD_DESCRIPTION = 1,
    FIELD_OWNER = 2,
    FIELD_TAGS = 3,
    FIELD_TYPE = 4, /* the name of a type of the thing's kind, stored as the type's id */
    FIELD_EXTERNAL_IDS = 5,
    FIELD_DIGESTS = 6,
    FIELD_SIZE = 7,
    FIELD_URIS = 8,
    FIELD_EXPERIMENT = 9,
    FIELD_PARENT = 10,
    FIELD_START = 11,
    FIELD_STATUS = 12,
    FIELD_END = 13,
    FIELD_RUN = 14,
    FIELD_QUOTA = 24,       /* what a namespace may hold, its children's included */
    FIELD_RETENTION_S = 25, /* seconds that history is kept */
    FIELD_DEFAULTS = 30,    /* what a namespace's new things get: KIND.type, KIND.tags.KEY */
    FIELD_CODE_COUNT = 31   /* codes without a row are not in use */
};

enum field_flags {
    FIELD_CORE = 1,        /* set once, by any later write; the same value again is no change */
    FIELD_UTF8_CONTROL = 2 /* control characters such as newlines are allowed */
};

struct field {
    const char *name; /* as users write it */
    enum field_code code;
    enum field_shape shape;
    unsigned flags;
    unsigned kinds;            /* bit (1 << KIND_...) for each kind that has it */
    enum kind ref_kind;        /* FIELD_REF: what it must point to; FIELD_TYPE: KIND_TYPE */
    uint32_t bytes_max;        /* of a string, of each element, of each value */
    uint32_t count_max;        /* of a set or a map */
    const char *const *values; /* FIELD_TEXT: the allowed ones, NULL-terminated; NULL = any */
    uint64_t number_min;       /* FIELD_UINT, FIELD_UINT_MAP */
    uint64_t number_max;       /* 0 = none */
};

/* NULL when there is none. */
const struct field *field_by_code(enum field_code code);
const struct field *field_by_name(struct span name);
static inline bool field_belongs(const struct field *f, enum kind kind)
{
    return (f->kinds >> kind & 1) != 0;
}
