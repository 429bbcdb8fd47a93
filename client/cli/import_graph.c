/* A graph of two TSV files: many lines to a transaction, several in flight. All nodes are answered
 * before the first edge is sent. A transaction that is refused is cut at the line that it names
 * (else in halves) until the bad line stands alone. */
#include <stdlib.h>

#include "base/list.h"
#include "cli/graph_batch.h"
#include "cli/import.h"

#define IN_FLIGHT_MAX    8
#define PACED_PER_SECOND 20 /* with --rate, batches are so small that it goes evenly */

struct graph {
    struct import *im;
    const char *file;
    struct list queue; /* parts of refused batches, to be sent before anything new */
    size_t in_flight;
    struct graph_builder builder;
};

/* Rows [from, to) as a batch of their own at the end of the queue. */
static bool queue_rows(struct graph *g, const struct batch *b, size_t from, size_t to)
{
    if (from == to) {
        return true;
    }
    struct batch *part = batch_new(g);
    bool ok = part != NULL;
    for (size_t i = from; ok && i < to; i++) {
        struct span fields[TSV_FIELDS];
        for (size_t j = 0; j < TSV_FIELDS; j++) {
            fields[j] = span_of(batch_field(b, &b->rows[i], j));
        }
        ok = batch_add(part, fields, b->rows[i].line);
    }
    if (ok) {
        list_push_back(&g->queue, &part->node);
    } else if (part != NULL) {
        batch_free(part);
    }
    return ok;
}

/* --- answers -------------------------------------------------------------------------------- */

/* The row that the error names as "ops[17].to"; rows_len when it names none. */
static size_t row_named(const struct batch *b, const struct clade_response *response)
{
    size_t len = 0;
    const struct clade_value *error = clade_response_error(response);
    const char *text = clade_value_strn(clade_value_get(error, "where"), &len);
    if (text == NULL || len < 5 || memcmp(text, "ops[", 4) != 0) {
        return b->rows_len;
    }
    uint32_t op = 0;
    for (size_t i = 4; i < len && text[i] >= '0' && text[i] <= '9' && op < CLADE_MAX_OPERATIONS;
         i++) {
        op = op * 10 + (uint32_t)(text[i] - '0');
    }
    for (size_t i = 0; i < b->rows_len; i++) {
        if (op >= b->rows[i].op_first && op <= b->rows[i].op) {
            return i;
        }
    }
    return b->rows_len;
}

static void count_batch(struct graph *g,
                        const struct batch *b,
                        const struct clade_response *response)
{
    const struct clade_value *data = clade_response_data(response);
    size_t row = 0;
    for (uint32_t op = 0; op < clade_value_len(data); op++) {
        enum import_status status = import_status_of(clade_value_at(data, op));
        if (row < b->rows_len && b->rows[row].op == op) {
            import_count(g->im, status);
            row++;
        } else {
            g->im->counts.implied += status != IMPORT_UNCHANGED;
        }
    }
}

static void refuse_batch(struct graph *g,
                         const struct batch *b,
                         const struct clade_response *response)
{
    size_t bad = row_named(b, response);
    bool ok;
    if (b->rows_len == 1) {
        import_refuse_response(g->im, g->file, b->rows[0].line, false, response);
        ok = true;
    } else if (bad < b->rows_len) {
        ok = queue_rows(g, b, 0, bad) && queue_rows(g, b, bad, bad + 1) &&
             queue_rows(g, b, bad + 1, b->rows_len);
    } else {
        ok = queue_rows(g, b, 0, b->rows_len / 2) && queue_rows(g, b, b->rows_len / 2, b->rows_len);
    }
    if (!ok) {
        import_refuse(g->im, g->file, b->rows[0].line, "out of memory; the import stops");
        g->im->stop = true;
        g->im->code = EXIT_REFUSED;
    }
}

static void on_answer(struct clade_request *request, struct clade_response *response, void *arg)
{
    struct batch *b = arg;
    struct graph *g = b->owner;
    g->in_flight--;
    if (clade_response_code(response) == 0) {
        count_batch(g, b, response);
    } else if (!import_stopped_by(g->im, response)) {
        refuse_batch(g, b, response);
    }
    clade_response_free(response);
    batch_free(b);
}

static void send_batch(struct graph *g, struct batch *b)
{
    g->in_flight++;
    if (!graph_builder_build(&g->builder, b) ||
        clade_txn_send(g->im->client, g->builder.txn, 0, on_answer, b) == NULL) {
        g->in_flight--;
        import_refuse(g->im, g->file, b->rows[0].line, "out of memory; the import stops");
        g->im->stop = true;
        g->im->code = EXIT_REFUSED;
        batch_free(b);
    }
}

/* --- reading -------------------------------------------------------------------------------- */

static size_t batch_rows_max(const struct graph *g)
{
    uint64_t paced = g->im->rate / PACED_PER_SECOND;
    if (g->im->rate == 0 || paced >= BATCH_ROWS_MAX) {
        return BATCH_ROWS_MAX;
    }
    return paced == 0 ? 1 : (size_t)paced;
}

/* A row of the nodes file is known to the edges even if the store refuses it: their ends then
 * miss it, which is said for each, instead of a stub taking its place. */
static bool note_node(struct graph *g, const struct span fields[TSV_FIELDS])
{
    return names_add(&g->builder.names, fields[0], (uint8_t)node_kind_of(fields[1]));
}

static int check_node(const struct span fields[TSV_FIELDS], struct error *error)
{
    static const char *const others[] = {"namespace", "type", "version", "deployment"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (span_equal_str(fields[1], others[i])) {
            return error_set(error, CLADE_ERR_INVALID, NULL, "a %s cannot stand in a nodes file",
                             others[i]);
        }
    }
    return 0;
}

/* Reads the next line into the batch, unless it is blank or bad. An enum lines_result or an
 * error. */
static int read_row(struct graph *g, struct lines *lines, struct batch *b)
{
    struct span line;
    struct span fields[TSV_FIELDS];
    struct error error = {0};
    int result = lines_next(lines, &line);
    if (result == LINES_END || result < 0 ||
        (result == LINES_LINE && (line.len == 0 || (g->im->header && lines->number == 1)))) {
        return result;
    }
    g->im->counts.read++;
    if (result == LINES_TOO_LONG) {
        import_refuse(g->im, g->file, lines->number, "longer than 1 MiB");
        return LINES_LINE;
    }
    int err = tsv_parse(line, g->builder.edges ? 7u : 1u, fields, &error);
    if (err == 0 && !g->builder.edges) {
        err = check_node(fields, &error);
    }
    if (err != 0) {
        import_refuse(g->im, g->file, lines->number, error.message);
    } else if ((!g->builder.edges && !note_node(g, fields)) ||
               !batch_add(b, fields, lines->number)) {
        import_refuse(g->im, g->file, lines->number, "out of memory");
        return CLADE_ERR_NO_MEMORY;
    }
    return LINES_LINE;
}

/* Fills and sends one batch. False at the end of the file, or when nothing more can be read. */
static bool send_next(struct graph *g, struct lines *lines)
{
    struct batch *b = batch_new(g);
    int result = b == NULL ? CLADE_ERR_NO_MEMORY : LINES_LINE;
    size_t rows_max = batch_rows_max(g);
    while (result > 0 && b->rows_len < rows_max && b->text.len < BATCH_BYTES_MAX && !g->im->stop) {
        result = read_row(g, lines, b);
    }
    if (result < 0) {
        cli_say(g->im->cli, "%s: %s: %m", g->file, clade_error_text(result));
        g->im->stop = true;
        g->im->code = EXIT_REFUSED;
    }
    if (b != NULL && b->rows_len > 0) {
        send_batch(g, b);
    } else if (b != NULL) {
        batch_free(b);
    }
    return result > 0;
}

static void drop_queue(struct graph *g)
{
    struct list *node;
    while ((node = list_pop_front(&g->queue)) != NULL) {
        batch_free(LIST_ENTRY(node, struct batch, node));
    }
}

static void run_file(struct graph *g, struct lines *lines)
{
    bool more = true;
    while (more || g->in_flight > 0 || !list_is_empty(&g->queue)) {
        while (g->in_flight < IN_FLIGHT_MAX && !g->im->stop) {
            struct list *node = list_pop_front(&g->queue);
            if (node != NULL) {
                send_batch(g, LIST_ENTRY(node, struct batch, node));
            } else if (more && import_may_read(g->im)) {
                more = send_next(g, lines);
            } else {
                break;
            }
        }
        if (g->im->stop) {
            more = false;
            drop_queue(g);
        }
        if (g->in_flight > 0 || more) {
            import_wait(g->im);
        }
    }
}

static int import_file(struct graph *g, const char *path, bool edges)
{
    struct lines lines;
    int fd;
    int code = import_open_file(g->im, path, &fd);
    if (code != EXIT_DONE) {
        return code;
    }
    g->builder.edges = edges;
    g->file = path;
    if (lines_init(&lines, fd) != 0) {
        cli_say(g->im->cli, "out of memory");
        code = EXIT_REFUSED;
    } else {
        g->im->lines = &lines;
        run_file(g, &lines);
        lines_release(&lines);
    }
    import_close_file(g->im, fd);
    return code;
}

int import_graph(struct import *im, const char *nodes_path, const char *edges_path)
{
    struct graph *g = calloc(1, sizeof *g);
    if (g == NULL || !graph_builder_init(&g->builder)) {
        cli_say(im->cli, "out of memory");
        free(g);
        return EXIT_REFUSED;
    }
    g->im = im;
    g->builder.reason = im->cli->settings.reason;
    list_init(&g->queue);
    int code = EXIT_DONE;
    if (nodes_path != NULL) {
        code = import_file(g, nodes_path, false);
    }
    if (code == EXIT_DONE && edges_path != NULL && !im->stop) {
        code = import_file(g, edges_path, true);
    }
    graph_builder_release(&g->builder);
    free(g);
    return code;
}
