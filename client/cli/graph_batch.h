#pragma once
/* Rows of a graph on their way into a transaction. */
#include <clade.h>

#include "base/buffer.h"
#include "base/list.h"
#include "cli/names.h"
#include "cli/tsv.h"

#define BATCH_ROWS_MAX 500
#define BATCH_BYTES_MAX                                                                            \
    (128u << 10) /* of text; operations with their stubs take up to 3 times it */

struct row {
    uint32_t at[TSV_FIELDS]; /* into the batch's text, each NUL-terminated */
    uint64_t line;
    uint32_t op_first; /* the first operation that stands there for this row */
    uint32_t op;       /* the row's own */
};

struct batch {
    struct list node; /* its owner's */
    void *owner;
    struct row rows[BATCH_ROWS_MAX];
    size_t rows_len;
    struct buffer text;
};

/* NULL when memory is out. */
struct batch *batch_new(void *owner);
void batch_free(struct batch *b);
/* There must be room for a row. False when memory is out; the batch is to be dropped then. */
bool batch_add(struct batch *b, const struct span fields[TSV_FIELDS], uint64_t line);
/* The i-th field of a row, borrowed until the next batch_add. */
const char *batch_field(const struct batch *b, const struct row *r, size_t i);

/* What a node may be; another kind is the type of an artifact. */
enum node_kind { NODE_ARTIFACT, NODE_EXPERIMENT, NODE_RUN, NODE_MODEL, NODE_KIND_COUNT };

/* NODE_ARTIFACT for what is none of them. */
enum node_kind node_kind_of(struct span kind);

#define STUBS_CAPACITY 4096 /* a power of two above 2 * 2 * BATCH_ROWS_MAX */

struct graph_builder {
    bool edges;         /* rows are edges, else nodes */
    const char *reason; /* NULL = none */
    struct names names; /* of the nodes file, with their enum node_kind */
    struct clade_txn *txn;
    struct buffer ref;              /* a reference being built */
    uint64_t stubs[STUBS_CAPACITY]; /* hashes of what this transaction has stubs of */
};

/* False when memory is out; release in any case. */
bool graph_builder_init(struct graph_builder *g);
void graph_builder_release(struct graph_builder *g);
/* Makes builder->txn say what the batch's rows say, and notes in them which operations are
 * theirs. False when memory is out. */
bool graph_builder_build(struct graph_builder *g, struct batch *b);
