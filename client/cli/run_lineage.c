/* lineage, impact and provenance: what is reached along edges, as a table, a tree or a drawing. */
#include <stdlib.h>

#include "cli/listing.h"
#include "cli/run.h"
#include "cli/run_walk.h"
#include "cli/show.h"
#include "cli/text.h"

#define GRAPH_PAGE 1000

enum what { WHAT_LINEAGE, WHAT_IMPACT, WHAT_PROVENANCE };

struct walk {
    enum what what;
    struct clade_lineage lineage;
    struct clade_read read;
    struct cli_list labels;
    struct cli_list kinds;
    struct cli_list refs;
};

static struct clade_response *fetch(struct cli *cli, const struct clade_read *read, void *arg)
{
    const struct walk *w = arg;
    switch (w->what) {
    case WHAT_IMPACT:
        return clade_impact_wait(cli->client, &w->lineage, read);
    case WHAT_PROVENANCE:
        return clade_provenance_wait(cli->client, &w->lineage, read);
    case WHAT_LINEAGE:
        break;
    }
    return clade_lineage_wait(cli->client, &w->lineage, read);
}

/* --- Counts ----------------------------------------------------------------------------------- */

static void write_count(struct cli *cli, const struct clade_response *response)
{
    uint64_t n = clade_value_uint(clade_value_get(clade_response_data(response), "count"));
    if (cli->settings.write == WRITE_TABLE) {
        (void)fprintf(cli->out, "%llu\n", (unsigned long long)n);
        return;
    }
    (void)fprintf(cli->out, "{\"count\":%llu,\"complete\":%s,\"revision\":%llu,\"node\":%llu}\n",
                  (unsigned long long)n, clade_response_complete(response) ? "true" : "false",
                  (unsigned long long)clade_response_revision(response),
                  (unsigned long long)clade_response_node(response));
}

static int count(struct cli *cli, struct walk *w)
{
    struct clade_response *response = fetch(cli, &w->read, w);
    int code = EXIT_DONE;
    if (clade_response_code(response) != 0) {
        code = cli_fail(cli, w->lineage.ref, response);
    } else {
        write_count(cli, response);
        if (!clade_response_complete(response)) {
            cli_say(cli, "%s: the count is not complete: there are more", w->lineage.ref);
            code = EXIT_REFUSED;
        }
    }
    clade_response_free(response);
    return code;
}

/* --- Graphs ----------------------------------------------------------------------------------- */

static struct span text_of(const struct clade_value *map, const char *key)
{
    size_t len = 0;
    const char *text = clade_value_strn(clade_value_get(map, key), &len);
    return span_make(text == NULL ? "" : text, text == NULL ? 0 : len);
}

static struct graph_node node_of(const struct clade_value *head, uint64_t depth)
{
    return (struct graph_node){
        .id = clade_value_uint(clade_value_get(head, "id")),
        .depth = (uint32_t)depth,
        .ref = text_of(head, "ref"),
        .deleted = span_equal_str(text_of(head, "state"), "deleted"),
    };
}

static bool is_followed(const struct walk *w, struct span label)
{
    const char *const *labels = w->lineage.labels;
    if (labels == NULL) {
        return w->what == WHAT_LINEAGE || !span_equal_str(label, "evaluated_on");
    }
    while (*labels != NULL && !span_equal_str(label, *labels)) {
        labels++;
    }
    return *labels != NULL;
}

static bool add_edges(const struct walk *w, struct graph *g, const struct clade_value *head)
{
    const struct clade_value *edges = clade_value_get(head, "edges");
    bool added = true;
    for (size_t i = 0; added && i < clade_value_len(edges); i++) {
        const struct clade_value *e = clade_value_at(edges, i);
        struct span label = text_of(e, "label");
        if (is_followed(w, label)) {
            added = graph_add_edge(
                g, &(struct graph_edge){.from = clade_value_uint(clade_value_get(head, "id")),
                                        .to = clade_value_uint(clade_value_get(e, "id")),
                                        .label = label});
        }
    }
    return added;
}

static bool add_item(const struct walk *w, struct graph *g, const struct clade_value *item)
{
    if (w->what == WHAT_IMPACT) {
        struct buffer note;
        buffer_init(&note, CLADE_MAX_ANSWER_BYTES);
        show_append_uses(&note, clade_value_get(item, "uses"));
        bool added = walk_add_path(g, clade_value_get(item, "path"), true, buffer_span(&note));
        buffer_release(&note);
        return added;
    }
    struct graph_node node = node_of(item, clade_value_uint(clade_value_get(item, "depth")));
    if (w->what == WHAT_PROVENANCE && span_equal_str(text_of(item, "role"), "code")) {
        node.note = span_of("code");
    }
    return graph_add_node(g, &node) && add_edges(w, g, item);
}

/* The start, with its edges: no walk answers it. What is wrong with it the walk will say. */
static int add_start(struct cli *cli, struct walk *w, struct graph *g, char as_of[24])
{
    struct clade_response *response = clade_get_wait(cli->client, &w->lineage.ref, 1, &w->read);
    const struct clade_value *head = clade_value_at(clade_response_data(response), 0);
    int code = EXIT_DONE;
    if (clade_response_code(response) != 0) {
        code = cli_fail(cli, w->lineage.ref, response);
    } else if (clade_value_get(head, "id") != NULL) {
        struct graph_node node = node_of(head, 0);
        code = graph_add_node(g, &node) && add_edges(w, g, head) ? EXIT_DONE : cli_no_memory(cli);
    }
    if (w->read.consistency == CLADE_LINEARIZABLE && w->read.as_of == NULL) {
        (void)snprintf(as_of, 24, "%llu", (unsigned long long)clade_response_revision(response));
    }
    clade_response_free(response);
    return code;
}

/* Pages until the end or the limit. */
static int add_all(
    struct cli *cli, struct walk *w, struct graph *g, uint64_t limit, bool *ret_complete)
{
    char *cursor = NULL;
    int code = EXIT_DONE;
    uint64_t items = 0;
    for (bool more = true; more;) {
        uint64_t left = limit == 0 ? GRAPH_PAGE : limit - items;
        w->read.limit = (uint32_t)(left < GRAPH_PAGE ? left : GRAPH_PAGE);
        w->read.cursor = cursor;
        struct clade_response *response = fetch(cli, &w->read, w);
        const struct clade_value *data = clade_response_data(response);
        const char *next = clade_response_cursor(response);
        if (clade_response_code(response) != 0) {
            code = cli_fail(cli, w->lineage.ref, response);
        }
        for (size_t i = 0; code == EXIT_DONE && i < clade_value_len(data); i++) {
            code = add_item(w, g, clade_value_at(data, i)) ? EXIT_DONE : cli_no_memory(cli);
        }
        items += clade_value_len(data);
        free(cursor);
        cursor = next == NULL ? NULL : strdup(next);
        *ret_complete = clade_response_complete(response);
        more = code == EXIT_DONE && cursor != NULL && (limit == 0 || items < limit);
        clade_response_free(response);
    }
    free(cursor);
    return code;
}

static int draw(struct cli *cli, struct walk *w)
{
    struct graph g = {.nodes = NULL};
    struct clade_read read = w->read;
    char as_of[24] = "";
    uint64_t limit = 0;
    bool complete = false;
    if (!cli_uint(cli, FLAG_LIMIT, 0, &limit)) {
        return EXIT_USAGE;
    }
    w->read.with_edges = w->what != WHAT_IMPACT;
    int code = add_start(cli, w, &g, as_of);
    w->read.as_of = as_of[0] != '\0' ? as_of : w->read.as_of;
    code = code != EXIT_DONE ? code : add_all(cli, w, &g, limit, &complete);
    if (code == EXIT_DONE) {
        code = walk_write(cli, &g, w->lineage.ref);
    }
    if (code == EXIT_DONE && !complete) {
        bool wanted = limit != 0 && g.nodes_len > 1;
        cli_say(cli, "%s: not all of it is shown: there is more", w->lineage.ref);
        code = wanted ? EXIT_DONE : EXIT_REFUSED;
    }
    graph_release(&g);
    w->read = read;
    return code;
}

/* --- The command ------------------------------------------------------------------------------ */

static enum what what_of(const char *subject)
{
    return strcmp(subject, "impact") == 0       ? WHAT_IMPACT
           : strcmp(subject, "provenance") == 0 ? WHAT_PROVENANCE
                                                : WHAT_LINEAGE;
}

static int walk_init(struct cli *cli, struct walk *w)
{
    const char *subject = cli->args.command->subject;
    *w = (struct walk){.what = what_of(subject)};
    w->lineage.downstream = strcmp(subject, "down") == 0;
    w->lineage.query = args_get(&cli->args, FLAG_QUERY);
    w->lineage.count = args_has(&cli->args, FLAG_COUNT_ONLY);
    int code = cli_read(cli, &w->read);
    code = code != EXIT_DONE ? code : walk_check_format(cli);
    code = code != EXIT_DONE ? code : walk_depth(cli, &w->lineage.depth);
    code = code != EXIT_DONE ? code : walk_names(cli, FLAG_LABELS, &w->labels, &w->lineage.labels);
    if (code == EXIT_DONE && w->what != WHAT_IMPACT) {
        code = walk_names(cli, FLAG_KINDS, &w->kinds, &w->lineage.kinds);
    }
    if (code == EXIT_DONE && w->lineage.kinds != NULL && args_has(&cli->args, FLAG_TREE)) {
        code = cli_usage(cli, "--tree shows the things between, too: leave --kinds out");
    }
    if (code == EXIT_DONE && w->lineage.query != NULL && args_has(&cli->args, FLAG_TREE)) {
        code = cli_usage(cli, "--tree shows the things between, too: leave --query out");
    }
    if (w->what == WHAT_IMPACT || !args_has(&cli->args, FLAG_VIEW)) {
        w->read.view = CLADE_VIEW_HEADS;
    }
    return code != EXIT_DONE ? code : cli_arguments(cli, 0, NULL, &w->refs);
}

static const struct listing_columns *columns_of(enum what what)
{
    return what == WHAT_IMPACT       ? listing_columns_impact()
           : what == WHAT_PROVENANCE ? listing_columns_provenance()
                                     : listing_columns_walk();
}

int run_lineage(struct cli *cli)
{
    struct walk w;
    int code = walk_init(cli, &w);
    if (code == EXIT_DONE) {
        code = cli_open(cli);
    }
    bool drawn = args_has(&cli->args, FLAG_TREE) || args_has(&cli->args, FLAG_DOT);
    for (size_t i = 0; code == EXIT_DONE && i < w.refs.len; i++) {
        w.lineage.ref = w.refs.items[i];
        w.read.cursor = NULL;
        code = w.lineage.count ? count(cli, &w)
               : drawn         ? draw(cli, &w)
                               : listing_run(cli, columns_of(w.what), &w.read, fetch, &w);
    }
    cli_list_release(&w.labels);
    cli_list_release(&w.kinds);
    cli_list_release(&w.refs);
    return code;
}
