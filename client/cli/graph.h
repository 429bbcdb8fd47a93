#pragma once
/* A graph for a person: as a tree, or as Graphviz draws it. */
#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"

struct graph_node {
    uint64_t id;
    uint32_t depth; /* steps from the root, which is at 0 */
    struct span ref;
    struct span note; /* what stands behind it; len 0 = nothing */
    bool deleted;
    /* of the tree */
    uint32_t parent; /* its place, and the edge that leads there; its own = none */
    uint32_t edge;
    uint32_t child; /* its first, and the next one of its parent; 0 = none, since 0 is the root */
    uint32_t next;
};

struct graph_edge {
    uint64_t from; /* depends on `to` */
    uint64_t to;
    struct span label;
};

/* Zeroed memory is an empty one. Texts are copied. */
struct graph {
    struct graph_node *nodes; /* in the order of adding, the root first */
    size_t nodes_len;
    size_t nodes_capacity;
    struct graph_edge *edges;
    size_t edges_len;
    size_t edges_capacity;
    struct graph_text *texts; /* all copies, newest block first */
};

void graph_release(struct graph *g);
/* A node that is there already stays as it is, but for its note. False when memory is out. */
bool graph_add_node(struct graph *g, const struct graph_node *node);
/* Both ends may come later or never. False when memory is out. */
bool graph_add_edge(struct graph *g, const struct graph_edge *edge);

/* Sorts the edges, drops those that have an end which is no node, and keeps each once. To be called
 * when all is added, before it is written. False when memory is out. */
bool graph_settle(struct graph *g);
/* Each node once, below the first of those that are a step nearer the root and have an edge with
 * it. What has none stands below the root. */
bool graph_write_tree(struct graph *g, FILE *out, bool color);
/* Arrows as edges go: from what depends to what it depends on. */
void graph_write_dot(const struct graph *g, const char *name, FILE *out);
