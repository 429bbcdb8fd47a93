#pragma once
/* Fetches and supplies as bytes (the table is in supplier.h). */
#include "base/buffer.h"
#include "storage/copy.h"

enum supply_what {
    SUPPLY_ARCHIVE = 1,
    SUPPLY_OPEN_COPY = 2,
    SUPPLY_READ_COPY = 3,
    SUPPLY_CLOSE_COPY = 4
};

struct fetch {
    uint64_t boot;
    uint64_t number;
    enum supply_what what;
    uint64_t after;  /* ARCHIVE */
    uint64_t copy;   /* the others */
    uint64_t offset; /* READ_COPY */
    uint32_t bytes;  /* ARCHIVE, READ_COPY */
};

struct supply {
    uint64_t boot;
    uint64_t number;
    enum supply_what what;
    int32_t code;
    uint64_t last;   /* ARCHIVE */
    uint64_t copy;   /* OPEN_COPY, READ_COPY */
    uint64_t offset; /* READ_COPY */
    uint64_t checksum;
    struct store_copy_info info; /* OPEN_COPY */
    struct span bytes;           /* ARCHIVE, READ_COPY; borrowed */
};

#define FETCH_BYTES_MAX       37
#define SUPPLY_HEAD_BYTES_MAX 93

/* Appends a fetch. */
void fetch_encode(struct buffer *b, const struct fetch *f);
/* False: malformed, or of no known kind. */
bool fetch_decode(struct span bytes, struct fetch *ret);
/* Appends the head, up to where `bytes` follow; those are appended by the caller. */
void supply_encode(struct buffer *b, const struct supply *s);
/* False: malformed, or of no known kind. Borrows. */
bool supply_decode(struct span bytes, struct supply *ret);
