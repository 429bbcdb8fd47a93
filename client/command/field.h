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
    FIELD_TEXT_SET, /* a set of strings; a write adds to it, or takes away what it says */
    FIELD_TEXT_MAP, /* string to string; a write sets, a nil value takes away */
    FIELD_PACKED,   /* a list in a form of its own, stored as bytes and replaced whole */
    FIELD_BOOL,     /* true or false */
    FIELD_PROP_MAP, /* key to typed value (prop.h); a write sets, a nil value takes away */
    FIELD_DECL_MAP, /* key to what a type says of it (prop.h); a write adds */
    FIELD_UINT_MAP  /* string to number, as FIELD_TEXT_MAP; `values` are the keys */
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
    FIELD_CONTENT = 15,
    FIELD_CONTENT_REASON = 16,
    FIELD_STAGE = 17,
    FIELD_PROPS = 18,
    FIELD_HOLD = 19, /* why it is held; set while it is */
    FIELD_DESIRED = 20,
    FIELD_OBSERVED = 21,
    FIELD_ENDPOINT = 22,
    FIELD_TARGETS = 23,     /* packed: storage/target.h */
    FIELD_QUOTA = 24,       /* what a namespace may hold, its children's included */
    FIELD_RETENTION_S = 25, /* seconds that history is kept */
    FIELD_STAGES = 26,      /* packed: command/stage.h */
    FIELD_FIELDS = 27,
    FIELD_CLOSED = 28,
    FIELD_CYCLIC = 29,
    FIELD_DEFAULTS = 30,    /* what a namespace's new things get: KIND.type, KIND.tags.KEY */
    FIELD_LAST_NUMBER = 31, /* of a model: versions' numbers up to it are used up */
    FIELD_CODE_COUNT
};

enum field_flags {
    FIELD_CORE = 1,         /* set once, by any later write; the same value again is no change */
    FIELD_UTF8_CONTROL = 2, /* control characters such as newlines are allowed */
    FIELD_STAYS = 4,        /* nil does not take it away */
    FIELD_BY_OP = 8         /* operations of its own write it, not create and update */
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

/* NULL when there is none: codes have gaps. */
const struct field *field_by_code(enum field_code code);
const struct field *field_by_name(struct span name);
static inline bool field_belongs(const struct field *f, enum kind kind)
{
    return (f->kinds >> kind & 1) != 0;
}
