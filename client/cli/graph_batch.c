#include "cli/graph_batch.h"

#include <stdlib.h>

#include "base/hash.h"
#include "cli/lines.h"

#define REF_BYTES_MAX (2u << 20)

_Static_assert(STUBS_CAPACITY > 2 * 2 * BATCH_ROWS_MAX, "the table of stubs must not fill up");

static const char *const node_kinds[NODE_KIND_COUNT] = {"artifact", "experiment", "run", "model"};

struct batch *batch_new(void *owner)
{
    struct batch *b = calloc(1, sizeof *b);
    if (b != NULL) {
        b->owner = owner;
        /* A row alone may be longer than a batch is meant to be. */
        buffer_init(&b->text, BATCH_BYTES_MAX + LINES_BYTES_MAX + 3);
    }
    return b;
}

void batch_free(struct batch *b)
{
    if (b != NULL) {
        buffer_release(&b->text);
        free(b);
    }
}

bool batch_add(struct batch *b, const struct span fields[TSV_FIELDS], uint64_t line)
{
    struct row *r = &b->rows[b->rows_len];
    *r = (struct row){.line = line};
    for (size_t i = 0; i < TSV_FIELDS; i++) {
        r->at[i] = (uint32_t)b->text.len;
        buffer_append_span(&b->text, fields[i]);
        buffer_append_u8(&b->text, '\0');
    }
    b->rows_len += !b->text.failed;
    return !b->text.failed;
}

const char *batch_field(const struct batch *b, const struct row *r, size_t i)
{
    return (const char *)b->text.data + r->at[i];
}

enum node_kind node_kind_of(struct span kind)
{
    for (enum node_kind k = 0; k < NODE_KIND_COUNT; k++) {
        if (span_equal_str(kind, node_kinds[k])) {
            return k;
        }
    }
    return NODE_ARTIFACT;
}

/* Whether this transaction has the stub already; notes it. */
static bool has_stub(struct graph_builder *g, const char *name, uint64_t seed)
{
    uint64_t hash = hash64(span_of(name), seed) | 1;
    for (size_t i = hash >> 8 & (STUBS_CAPACITY - 1);; i = (i + 1) & (STUBS_CAPACITY - 1)) {
        if (g->stubs[i] == hash) {
            return true;
        }
        if (g->stubs[i] == 0) {
            g->stubs[i] = hash;
            return false;
        }
    }
}

static const char *join(struct graph_builder *g,
                        const char *kind,
                        const char *separator,
                        const char *name)
{
    buffer_clear(&g->ref);
    buffer_append_str(&g->ref, kind);
    buffer_append_str(&g->ref, separator);
    buffer_append_str(&g->ref, name);
    buffer_append_u8(&g->ref, '\0');
    return g->ref.failed ? "" : (const char *)g->ref.data;
}

static uint32_t create(struct graph_builder *g, const char *kind, const char *name)
{
    uint32_t op = clade_txn_create(g->txn, kind, name);
    clade_txn_if_exists(g->txn, CLADE_IF_EXISTS_MATCH);
    return op;
}

/* name, kind, publisher */
static void build_node(struct graph_builder *g, const struct batch *b, struct row *r, uint32_t *ops)
{
    const char *kind = batch_field(b, r, 1);
    const char *publisher = batch_field(b, r, 2);
    enum node_kind known = node_kind_of(span_of(kind));
    bool typed = kind[0] != '\0' && strcmp(kind, node_kinds[known]) != 0;
    r->op_first = *ops;
    if (typed && !has_stub(g, kind, 1)) {
        *ops = create(g, "type", join(g, "artifact", ":", kind)) + 1;
    }
    r->op = create(g, node_kinds[known], batch_field(b, r, 0));
    *ops = r->op + 1;
    if (typed) {
        clade_txn_set(g->txn, "type", kind);
    }
    if (publisher[0] != '\0') {
        clade_txn_tag(g->txn, "publisher", publisher);
    }
}

static bool is_reference(const char *end)
{
    static const char *const prefixes[] = {"//",    "id/",       "artifact/", "experiment/",
                                           "run/",  "model/",    "version/",  "deployment/",
                                           "type/", "namespace/"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (strncmp(end, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Makes a stub of an artifact that no file and perhaps no store knows. */
static void build_stub(struct graph_builder *g, const char *end, uint32_t *ops)
{
    uint64_t kind;
    if (!names_find(&g->names, span_of(end), &kind) && !is_reference(end) && !has_stub(g, end, 0)) {
        *ops = create(g, "artifact", end) + 1;
    }
}

static const char *resolve(struct graph_builder *g, const char *end)
{
    uint64_t kind = NODE_ARTIFACT;
    if (!names_find(&g->names, span_of(end), &kind) && is_reference(end)) {
        return end;
    }
    return join(g, node_kinds[kind], "/", end);
}

/* from, label, to */
static bool build_edge(struct graph_builder *g, const struct batch *b, struct row *r, uint32_t *ops)
{
    const char *from = batch_field(b, r, 0);
    const char *to = batch_field(b, r, 2);
    r->op_first = *ops;
    build_stub(g, from, ops);
    build_stub(g, to, ops);
    char *from_ref = strdup(resolve(g, from));
    if (from_ref == NULL) {
        return false;
    }
    r->op = clade_txn_link(g->txn, from_ref, batch_field(b, r, 1), resolve(g, to));
    *ops = r->op + 1;
    free(from_ref);
    return true;
}

bool graph_builder_init(struct graph_builder *g)
{
    *g = (struct graph_builder){.txn = clade_txn_new()};
    buffer_init(&g->ref, REF_BYTES_MAX);
    return g->txn != NULL;
}

void graph_builder_release(struct graph_builder *g)
{
    clade_txn_free(g->txn);
    buffer_release(&g->ref);
    names_release(&g->names);
}

bool graph_builder_build(struct graph_builder *g, struct batch *b)
{
    uint32_t ops = 0;
    bool ok = true;
    clade_txn_clear(g->txn);
    memset(g->stubs, 0, sizeof g->stubs);
    if (g->reason != NULL) {
        clade_txn_reason(g->txn, g->reason);
    }
    for (size_t i = 0; ok && i < b->rows_len; i++) {
        if (g->edges) {
            ok = build_edge(g, b, &b->rows[i], &ops);
        } else {
            build_node(g, b, &b->rows[i], &ops);
        }
    }
    return ok;
}
