#include "cli/graph.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cli/table.h"

#define TEXT_BLOCK_BYTES ((size_t)1 << 16)
#define TREE_BYTES_MAX   ((size_t)1 << 30)
#define LINE_BYTES_MAX   ((size_t)1 << 20)

struct graph_text {
    struct graph_text *next;
    size_t len;
    size_t capacity;
    uint8_t bytes[];
};

/* --- Adding ----------------------------------------------------------------------------------- */

void graph_release(struct graph *g)
{
    while (g->texts != NULL) {
        struct graph_text *next = g->texts->next;
        free(g->texts);
        g->texts = next;
    }
    free(g->nodes);
    free(g->edges);
    *g = (struct graph){.nodes = NULL};
}

static bool copy(struct graph *g, struct span *text)
{
    struct graph_text *t = g->texts;
    if (text->len == 0) {
        return true;
    }
    if (t == NULL || t->capacity - t->len < text->len) {
        size_t capacity = text->len > TEXT_BLOCK_BYTES ? text->len : TEXT_BLOCK_BYTES;
        t = malloc(sizeof *t + capacity);
        if (t == NULL) {
            return false;
        }
        *t = (struct graph_text){.next = g->texts, .capacity = capacity};
        g->texts = t;
    }
    memcpy(t->bytes + t->len, text->data, text->len);
    text->data = t->bytes + t->len;
    t->len += text->len;
    return true;
}

static bool grow(void **items, size_t len, size_t *capacity, size_t size)
{
    if (len < *capacity) {
        return true;
    }
    size_t more = *capacity == 0 ? 64 : 2 * *capacity;
    void *grown = reallocarray(*items, more, size);
    if (grown == NULL) {
        return false;
    }
    *items = grown;
    *capacity = more;
    return true;
}

bool graph_add_node(struct graph *g, const struct graph_node *node)
{
    struct graph_node added = *node;
    if (!grow((void **)&g->nodes, g->nodes_len, &g->nodes_capacity, sizeof *g->nodes) ||
        !copy(g, &added.ref) || !copy(g, &added.note)) {
        return false;
    }
    g->nodes[g->nodes_len++] = added;
    return true;
}

bool graph_add_edge(struct graph *g, const struct graph_edge *edge)
{
    struct graph_edge added = *edge;
    if (!grow((void **)&g->edges, g->edges_len, &g->edges_capacity, sizeof *g->edges) ||
        !copy(g, &added.label)) {
        return false;
    }
    g->edges[g->edges_len++] = added;
    return true;
}

/* --- Settling --------------------------------------------------------------------------------- */

/* Where a node with an id stands. */
struct place {
    uint64_t id;
    uint32_t at;
};

static int compare_places(const void *x, const void *y)
{
    const struct place *a = x;
    const struct place *b = y;
    if (a->id != b->id) {
        return a->id < b->id ? -1 : 1;
    }
    return a->at < b->at ? -1 : a->at > b->at;
}

static struct place *make_places(const struct graph *g)
{
    struct place *places = calloc(g->nodes_len + 1, sizeof *places);
    for (size_t i = 0; places != NULL && i < g->nodes_len; i++) {
        places[i] = (struct place){.id = g->nodes[i].id, .at = (uint32_t)i};
    }
    if (places != NULL) {
        qsort(places, g->nodes_len, sizeof *places, compare_places);
    }
    return places;
}

static const struct place *find_place(const struct place *places, size_t len, uint64_t id)
{
    size_t low = 0;
    while (len > 0) {
        size_t half = len / 2;
        if (places[low + half].id < id) {
            low += half + 1;
            len -= half + 1;
        } else {
            len = half;
        }
    }
    return &places[low]; /* the first of those that are not less; the caller looks whether it is it
                          */
}

/* Of a node that was added more than once the first stays, with the last note that is one. */
static void keep_nodes_once(struct graph *g, struct place *places)
{
    for (size_t i = 0; i < g->nodes_len;) {
        struct graph_node *first = &g->nodes[places[i].at];
        size_t j = i + 1;
        for (; j < g->nodes_len && places[j].id == first->id; j++) {
            struct graph_node *again = &g->nodes[places[j].at];
            first->note = again->note.len > 0 ? again->note : first->note;
            again->depth = UINT32_MAX; /* to be dropped */
        }
        i = j;
    }
    size_t len = 0;
    for (size_t i = 0; i < g->nodes_len; i++) {
        if (g->nodes[i].depth != UINT32_MAX) {
            g->nodes[len++] = g->nodes[i];
        }
    }
    g->nodes_len = len;
}

static int compare_edges(const void *x, const void *y)
{
    const struct graph_edge *a = x;
    const struct graph_edge *b = y;
    if (a->from != b->from) {
        return a->from < b->from ? -1 : 1;
    }
    if (a->to != b->to) {
        return a->to < b->to ? -1 : 1;
    }
    return span_compare(a->label, b->label);
}

static bool is_node(const struct graph *g, const struct place *places, uint64_t id)
{
    const struct place *p = find_place(places, g->nodes_len, id);
    return p < places + g->nodes_len && p->id == id;
}

static void keep_edges_once(struct graph *g, const struct place *places)
{
    size_t len = 0;
    if (g->edges_len > 1) {
        qsort(g->edges, g->edges_len, sizeof *g->edges, compare_edges);
    }
    for (size_t i = 0; i < g->edges_len; i++) {
        bool again = len > 0 && compare_edges(&g->edges[len - 1], &g->edges[i]) == 0;
        if (!again && is_node(g, places, g->edges[i].from) && is_node(g, places, g->edges[i].to)) {
            g->edges[len++] = g->edges[i];
        }
    }
    g->edges_len = len;
}

/* Edges join nodes in either direction: what is nearer the root is the parent. */
static void join(struct graph *g, uint32_t x, uint32_t y, uint32_t edge)
{
    struct graph_node *child = &g->nodes[g->nodes[x].depth > g->nodes[y].depth ? x : y];
    uint32_t parent = g->nodes[x].depth > g->nodes[y].depth ? y : x;
    if (child->depth == g->nodes[parent].depth + 1 && parent < child->parent) {
        child->parent = parent;
        child->edge = edge;
    }
}

static void find_parents(struct graph *g, const struct place *places)
{
    for (size_t i = 0; i < g->nodes_len; i++) {
        g->nodes[i].parent = UINT32_MAX;
        g->nodes[i].edge = UINT32_MAX;
        g->nodes[i].child = 0;
        g->nodes[i].next = 0;
    }
    for (size_t i = 0; i < g->edges_len; i++) {
        join(g, find_place(places, g->nodes_len, g->edges[i].from)->at,
             find_place(places, g->nodes_len, g->edges[i].to)->at, (uint32_t)i);
    }
    for (size_t i = g->nodes_len; i-- > 1;) { /* from the last, so that the first comes first */
        struct graph_node *n = &g->nodes[i];
        n->parent = n->parent == UINT32_MAX ? 0 : n->parent;
        n->next = g->nodes[n->parent].child;
        g->nodes[n->parent].child = (uint32_t)i;
    }
}

bool graph_settle(struct graph *g)
{
    struct place *places = make_places(g);
    if (places == NULL) {
        return false;
    }
    keep_nodes_once(g, places);
    free(places);
    places = make_places(g);
    if (places == NULL) {
        return false;
    }
    keep_edges_once(g, places);
    find_parents(g, places);
    free(places);
    return true;
}

/* --- Trees ------------------------------------------------------------------------------------ */

static void write_node(
    const struct graph *g, uint32_t at, struct buffer *line, FILE *out, bool color)
{
    const struct graph_node *n = &g->nodes[at];
    buffer_clear(line);
    if (n->edge != UINT32_MAX) {
        table_append_clean(line, g->edges[n->edge].label);
        buffer_append_str(line, " ");
    }
    buffer_append_str(line, color && n->deleted ? "\x1b[2m" : "");
    table_append_clean(line, n->ref);
    buffer_append_str(line, n->deleted ? " (deleted)" : "");
    if (n->note.len > 0) {
        buffer_append_str(line, "  ");
        table_append_clean(line, n->note);
    }
    buffer_append_str(line, color && n->deleted ? "\x1b[0m\n" : "\n");
    (void)fwrite(line->data, 1, line->len, out);
}

/* Depth first without a stack: a path may be long. `prefix` is what stands before each line: for
 * each level whether more comes there. */
bool graph_write_tree(struct graph *g, FILE *out, bool color)
{
    static const char bar[] = "│  ";
    static const char gap[] = "   ";
    struct buffer prefix;
    struct buffer line;
    buffer_init(&prefix, TREE_BYTES_MAX);
    buffer_init(&line, LINE_BYTES_MAX);
    uint32_t at = 0;
    bool more = g->nodes_len > 0;
    if (more) {
        write_node(g, 0, &line, out, color);
    }
    while (more && !ferror(out) && !prefix.failed) {
        if (g->nodes[at].child != 0) {
            if (at != 0) {
                buffer_append_str(&prefix, g->nodes[at].next != 0 ? bar : gap);
            }
            at = g->nodes[at].child;
        } else {
            while (at != 0 && g->nodes[at].next == 0) {
                at = g->nodes[at].parent;
                size_t cut = g->nodes[at].next != 0 ? sizeof bar - 1 : sizeof gap - 1;
                prefix.len -= at != 0 ? cut : 0;
            }
            more = at != 0;
            at = more ? g->nodes[at].next : 0;
        }
        if (more) {
            (void)(prefix.len > 0 && fwrite(prefix.data, 1, prefix.len, out));
            (void)fputs(g->nodes[at].next != 0 ? "├─ " : "└─ ", out);
            write_node(g, at, &line, out, color);
        }
    }
    bool whole = !prefix.failed && !line.failed;
    buffer_release(&prefix);
    buffer_release(&line);
    return whole;
}

/* --- Graphviz --------------------------------------------------------------------------------- */

/* Inside quotes Graphviz takes any UTF-8; a backslash begins an escape. */
static void put_quoted(struct span text, FILE *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            (void)fputc('\\', out);
        }
        (void)fputc(text.data[i], out);
    }
}

static void write_dot_node(const struct graph_node *n, bool root, FILE *out)
{
    (void)fprintf(out, "  n%" PRIu64 " [label=\"", n->id);
    put_quoted(n->ref, out);
    if (n->note.len > 0) {
        (void)fputs("\\n", out);
        put_quoted(n->note, out);
    }
    (void)fprintf(out, "\"%s%s%s];\n", root ? ", penwidth=2" : "",
                  n->deleted ? ", style=dashed" : "", n->note.len > 0 ? ", color=\"#b02a00\"" : "");
}

void graph_write_dot(const struct graph *g, const char *name, FILE *out)
{
    (void)fputs("digraph \"", out);
    put_quoted(span_of(name), out);
    (void)fputs("\" {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n"
                "  edge [fontname=\"sans-serif\", fontsize=10];\n",
                out);
    for (size_t i = 0; i < g->nodes_len; i++) {
        write_dot_node(&g->nodes[i], i == 0, out);
    }
    for (size_t i = 0; i < g->edges_len; i++) {
        const struct graph_edge *e = &g->edges[i];
        (void)fprintf(out, "  n%" PRIu64 " -> n%" PRIu64 " [label=\"", e->from, e->to);
        put_quoted(e->label, out);
        (void)fputs("\"];\n", out);
    }
    (void)fputs("}\n", out);
}
