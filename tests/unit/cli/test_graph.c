/* Trees and drawings of small graphs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/graph.h"

struct node {
    uint64_t id;
    uint32_t depth;
    const char *ref;
    const char *note;
    bool deleted;
};

struct edge {
    uint64_t from;
    uint64_t to;
    const char *label;
};

static char *draw(const struct node *nodes, const struct edge *edges, bool dot)
{
    struct graph g = {.nodes = NULL};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (; nodes->id != 0; nodes++) {
        assert_true(graph_add_node(
            &g, &(struct graph_node){.id = nodes->id,
                                     .depth = nodes->depth,
                                     .ref = span_of(nodes->ref),
                                     .note = span_of(nodes->note != NULL ? nodes->note : ""),
                                     .deleted = nodes->deleted}));
    }
    for (; edges->from != 0; edges++) {
        assert_true(graph_add_edge(&g, &(struct graph_edge){.from = edges->from,
                                                            .to = edges->to,
                                                            .label = span_of(edges->label)}));
    }
    assert_true(graph_settle(&g));
    if (dot) {
        graph_write_dot(&g, "a\"b", out);
    } else {
        assert_true(graph_write_tree(&g, out, false));
    }
    (void)fclose(out);
    graph_release(&g);
    return text;
}

static const struct node nodes[] = {
    {9, 0, "root", NULL, false}, {3, 1, "a", NULL, false},        {5, 1, "b", NULL, true},
    {4, 2, "c", NULL, false},    {7, 2, "d", "@best", false},     {8, 3, "e", NULL, false},
    {3, 1, "a", NULL, false},    {7, 2, "d", "prod 100%", false}, {0},
};
static const struct edge edges[] = {
    {9, 3, "l"}, {9, 5, "m"}, {3, 4, "l"}, {5, 4, "l"},  {3, 7, "l"}, {3, 7, "k"},
    {7, 8, "l"}, {8, 3, "l"}, {9, 3, "l"}, {9, 99, "l"}, {0},
};

static void a_tree_has_each_node_once_below_its_first_parent(void **state)
{
    (void)state;
    char *text = draw(nodes, edges, false);
    assert_string_equal(text, "root\n"
                              "├─ l a\n"
                              "│  ├─ l c\n"
                              "│  └─ k d  prod 100%\n"
                              "│     └─ l e\n"
                              "└─ m b (deleted)\n");
    free(text);
}

static void what_hangs_on_nothing_stands_below_the_root(void **state)
{
    static const struct node loose[] = {
        {1, 0, "root", NULL, false}, {2, 1, "a", NULL, false}, {3, 2, "b", NULL, false}, {0}};
    static const struct edge few[] = {{3, 2, "l"}, {0}};
    (void)state;
    char *text = draw(loose, few, false);
    assert_string_equal(text, "root\n└─ a\n   └─ l b\n");
    free(text);
}

static void a_drawing_has_each_edge_once_and_quotes_names(void **state)
{
    static const struct node quoted[] = {
        {1, 0, "a\"\\b", NULL, false}, {2, 1, "c", "x\ny", true}, {0}};
    static const struct edge twice[] = {{1, 2, "l"}, {1, 2, "l"}, {1, 2, "k"}, {2, 3, "l"}, {0}};
    (void)state;
    char *text = draw(quoted, twice, true);
    assert_string_equal(text, "digraph \"a\\\"b\" {\n"
                              "  rankdir=LR;\n"
                              "  node [shape=box, fontname=\"sans-serif\"];\n"
                              "  edge [fontname=\"sans-serif\", fontsize=10];\n"
                              "  n1 [label=\"a\\\"\\\\b\", penwidth=2];\n"
                              "  n2 [label=\"c\\nx\ny\", style=dashed, color=\"#b02a00\"];\n"
                              "  n1 -> n2 [label=\"k\"];\n"
                              "  n1 -> n2 [label=\"l\"];\n"
                              "}\n");
    free(text);
}

/* Deeper than a stack would hold, and the last leaf is found. */
static void a_long_chain_is_drawn(void **state)
{
    enum { LEN = 5000 };
    (void)state;
    struct node *chain = calloc(LEN + 1, sizeof *chain);
    struct edge *links = calloc(LEN, sizeof *links);
    for (uint32_t i = 0; i < LEN; i++) {
        chain[i] = (struct node){.id = i + 1, .depth = i, .ref = i + 1 == LEN ? "last" : "x"};
    }
    for (uint32_t i = 1; i < LEN; i++) {
        links[i - 1] = (struct edge){i, i + 1, "l"};
    }
    char *text = draw(chain, links, false);
    const char *last = strstr(text, "last");
    assert_non_null(last);
    assert_string_equal(last, "last\n");
    free(text);
    free(chain);
    free(links);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_has_each_node_once_below_its_first_parent),
        cmocka_unit_test(what_hangs_on_nothing_stands_below_the_root),
        cmocka_unit_test(a_drawing_has_each_edge_once_and_quotes_names),
        cmocka_unit_test(a_long_chain_is_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
