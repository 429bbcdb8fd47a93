/* paths: how one thing leads to another; and what the commands that follow edges share. */
#include "cli/run.h"
#include "cli/run_walk.h"
#include "cli/show.h"
#include "cli/table.h"

#define LINE_BYTES_MAX ((size_t)1 << 20)

/* --- Shared ----------------------------------------------------------------------------------- */

int walk_depth(struct cli *cli, uint32_t *ret)
{
    uint64_t depth;
    if (!cli_uint(cli, FLAG_DEPTH, 0, &depth)) {
        return EXIT_USAGE;
    }
    if (depth > UINT32_MAX || (depth == 0 && args_has(&cli->args, FLAG_DEPTH))) {
        return cli_usage(cli, "--depth is from 1 to %u", UINT32_MAX);
    }
    *ret = (uint32_t)depth;
    return EXIT_DONE;
}

int walk_names(struct cli *cli, enum flag_id flag, struct cli_list *memory, const char *const **ret)
{
    const char *text = args_get(&cli->args, flag);
    if (text != NULL && !cli_split(text, memory)) {
        return cli_no_memory(cli);
    }
    *ret = memory->items;
    return EXIT_DONE;
}

int walk_check_format(struct cli *cli)
{
    bool tree = args_has(&cli->args, FLAG_TREE);
    bool dot = args_has(&cli->args, FLAG_DOT);
    if ((tree || dot) && cli->settings.write != WRITE_TABLE) {
        return cli_usage(cli, "--%s is a format of its own: leave -w out", tree ? "tree" : "dot");
    }
    if ((tree && dot) || ((tree || dot) && args_has(&cli->args, FLAG_COUNT_ONLY))) {
        return cli_usage(cli, "--tree, --dot and --count exclude each other");
    }
    return EXIT_DONE;
}

static struct span text_of(const struct clade_value *map, const char *key)
{
    size_t len = 0;
    const char *text = clade_value_strn(clade_value_get(map, key), &len);
    return span_make(text == NULL ? "" : text, text == NULL ? 0 : len);
}

static uint64_t id_of(const struct clade_value *head)
{
    return clade_value_uint(clade_value_get(head, "id"));
}

static bool add_step(struct graph *g, const struct clade_value *steps, size_t i, bool down)
{
    const struct clade_value *step = clade_value_at(steps, i);
    const struct clade_value *before = clade_value_at(steps, i - 1);
    const struct clade_value *labels = clade_value_get(step, "labels");
    bool added = true;
    for (size_t j = 0; added && j < clade_value_len(labels); j++) {
        size_t len = 0;
        const char *label = clade_value_strn(clade_value_at(labels, j), &len);
        added = graph_add_edge(g, &(struct graph_edge){.from = id_of(down ? step : before),
                                                       .to = id_of(down ? before : step),
                                                       .label = span_make(label, len)});
    }
    return added;
}

bool walk_add_path(struct graph *g, const struct clade_value *steps, bool down, struct span note)
{
    size_t len = clade_value_len(steps);
    bool added = true;
    for (size_t i = 0; added && i < len; i++) {
        const struct clade_value *step = clade_value_at(steps, i);
        struct graph_node node = {
            .id = id_of(step),
            .depth = (uint32_t)i,
            .ref = text_of(step, "ref"),
            .note = i + 1 == len ? note : span_of(""),
            .deleted = span_equal_str(text_of(step, "state"), "deleted"),
        };
        added = graph_add_node(g, &node) && (i == 0 || add_step(g, steps, i, down));
    }
    return added;
}

int walk_write(struct cli *cli, struct graph *g, const char *name)
{
    if (!graph_settle(g)) {
        return cli_no_memory(cli);
    }
    if (args_has(&cli->args, FLAG_DOT)) {
        graph_write_dot(g, name, cli->out);
        return EXIT_DONE;
    }
    return graph_write_tree(g, cli->out, cli->color) ? EXIT_DONE : cli_no_memory(cli);
}

/* --- paths ------------------------------------------------------------------------------------ */

static void append_labels(struct buffer *b, const struct clade_value *labels)
{
    for (size_t i = 0; i < clade_value_len(labels); i++) {
        size_t len = 0;
        const char *label = clade_value_strn(clade_value_at(labels, i), &len);
        buffer_append_str(b, i > 0 ? "," : "");
        table_append_clean(b, span_make(label, len));
    }
}

/* A line for each thing, with how it hangs together with the one before: what depends stands left
 * of an arrow. */
static void show_path(struct cli *cli, const struct clade_value *path)
{
    const struct clade_value *steps = clade_value_get(path, "steps");
    bool down = span_equal_str(text_of(path, "direction"), "down");
    struct buffer b;
    buffer_init(&b, LINE_BYTES_MAX);
    for (size_t i = 0; i < clade_value_len(steps); i++) {
        const struct clade_value *step = clade_value_at(steps, i);
        buffer_clear(&b);
        if (i > 0) {
            buffer_append_str(&b, down ? "  <- " : "  ");
            append_labels(&b, clade_value_get(step, "labels"));
            buffer_append_str(&b, down ? "  " : " -> ");
        }
        table_append_clean(&b, text_of(step, "ref"));
        buffer_append_str(&b, span_equal_str(text_of(step, "state"), "deleted") ? " (deleted)\n"
                                                                                : "\n");
        (void)fwrite(b.data, 1, b.len, cli->out);
    }
    buffer_release(&b);
}

static int draw(struct cli *cli, const struct clade_value *data, const char *name)
{
    struct graph g = {.nodes = NULL};
    int code = EXIT_DONE;
    for (size_t i = 0; code == EXIT_DONE && i < clade_value_len(data); i++) {
        const struct clade_value *path = clade_value_at(data, i);
        bool down = span_equal_str(text_of(path, "direction"), "down");
        bool added = walk_add_path(&g, clade_value_get(path, "steps"), down, span_of(""));
        code = added ? EXIT_DONE : cli_no_memory(cli);
    }
    code = code != EXIT_DONE ? code : walk_write(cli, &g, name);
    graph_release(&g);
    return code;
}

static int show_answer(struct cli *cli, const struct clade_response *response)
{
    const struct clade_value *data = clade_response_data(response);
    if (args_has(&cli->args, FLAG_DOT)) {
        return draw(cli, data, "paths");
    }
    if (cli->settings.write == WRITE_JSON) {
        show_json(cli, response);
    } else if (cli->settings.write == WRITE_NDJSON) {
        show_ndjson(cli, response);
    }
    for (size_t i = 0; cli->settings.write == WRITE_TABLE && i < clade_value_len(data); i++) {
        (void)fputs(i > 0 ? "\n" : "", cli->out);
        show_path(cli, clade_value_at(data, i));
    }
    return EXIT_DONE;
}

/* No path is an answer, of which scripts want to know. */
static int find(struct cli *cli, const struct clade_paths *paths, const struct clade_read *read)
{
    struct clade_response *response = clade_paths_wait(cli->client, paths, read);
    int code = EXIT_DONE;
    if (clade_response_code(response) != 0) {
        code = cli_fail(cli, NULL, response);
        clade_response_free(response);
        return code;
    }
    size_t found = clade_value_len(clade_response_data(response));
    code = show_answer(cli, response);
    if (code == EXIT_DONE && found < read->limit && !clade_response_complete(response)) {
        cli_say(cli, "the answer is not complete: the store stopped at a limit of its own");
        code = EXIT_REFUSED;
    } else if (code == EXIT_DONE && found == 0) {
        cli_say(cli, "there is no path from %s to %s", paths->from, paths->to);
        code = EXIT_NOT_FOUND;
    }
    clade_response_free(response);
    return code;
}

static int parse_way(struct cli *cli, enum clade_way *ret)
{
    const char *text = args_get(&cli->args, FLAG_DIRECTION);
    *ret = text == NULL || strcmp(text, "either") == 0 ? CLADE_WAY_EITHER
           : strcmp(text, "up") == 0                   ? CLADE_WAY_UP
                                                       : CLADE_WAY_DOWN;
    if (*ret == CLADE_WAY_DOWN && strcmp(text, "down") != 0) {
        return cli_usage(cli, "--direction: \"%s\" is not up, down or either", text);
    }
    return EXIT_DONE;
}

int run_paths(struct cli *cli)
{
    struct clade_read read;
    struct clade_paths paths = {.from = NULL};
    struct cli_list labels = {.items = NULL};
    struct cli_list refs = {.items = NULL};
    uint64_t limit = 1;
    int code = cli_read(cli, &read);
    code = code != EXIT_DONE ? code : walk_check_format(cli);
    code = code != EXIT_DONE ? code : walk_depth(cli, &paths.depth);
    code = code != EXIT_DONE ? code : parse_way(cli, &paths.way);
    code = code != EXIT_DONE ? code : walk_names(cli, FLAG_LABELS, &labels, &paths.labels);
    if (code == EXIT_DONE && !cli_uint(cli, FLAG_PATHS_LIMIT, 1, &limit)) {
        code = EXIT_USAGE;
    }
    if (code == EXIT_DONE && (limit == 0 || limit > UINT32_MAX)) {
        code = cli_usage(cli, "--limit is from 1 to 1,000");
    }
    code = code != EXIT_DONE ? code : cli_arguments(cli, 0, NULL, &refs);
    if (code == EXIT_DONE && refs.len != 2) {
        code = cli_usage(cli, "paths are between two things: FROM and TO");
    }
    code = code != EXIT_DONE ? code : cli_open(cli);
    if (code == EXIT_DONE) {
        paths.from = refs.items[0];
        paths.to = refs.items[1];
        read.view = CLADE_VIEW_HEADS;
        read.limit = (uint32_t)limit;
        code = find(cli, &paths, &read);
    }
    cli_list_release(&labels);
    cli_list_release(&refs);
    return code;
}
