#pragma once
/* Answers of many items, followed page by page, written as a table, as one JSON document or as a
 * JSON item a line. Memory is that of a page. */
#include "cli/cli.h"
#include "cli/table.h"

/* Writes a column's cell for an item into an empty buffer. */
typedef void (*listing_cell)(const struct clade_value *item, struct buffer *b);

/* Writes an item that does not fit in columns. */
typedef void (*listing_show)(struct cli *cli, const struct clade_value *item);

struct listing_columns {
    const struct table_column *columns;
    const listing_cell *cells;
    size_t len;
    bool dense;        /* no line between those that `show` writes */
    listing_show show; /* of items that are no rows; then there are no columns */
};

/* Asks for the page that `read` describes. */
typedef struct clade_response *(*listing_fetch)(struct cli *cli,
                                                const struct clade_read *read,
                                                void *arg);

/* Fetches page after page until there is no more or --limit is reached, and writes them. Items
 * that carry an "error" go to the messages. Returns the exit code: that of the first error;
 * EXIT_REFUSED when the store gave less than was asked for, which is said. */
int listing_run(struct cli *cli,
                const struct listing_columns *columns,
                struct clade_read *read,
                listing_fetch fetch,
                void *arg);

/* The columns for heads and ids of any kind. */
const struct listing_columns *listing_columns_heads(void);
/* The columns for things of a kind, resp. for the items of a walk. */
const struct listing_columns *listing_columns_things(const char *kind);
const struct listing_columns *listing_columns_walk(void);
const struct listing_columns *listing_columns_impact(void);
const struct listing_columns *listing_columns_provenance(void);
