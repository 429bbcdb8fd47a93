#include "cli/listing.h"

#include <stdlib.h>

#include "base/check.h"
#include "cli/json.h"
#include "cli/show.h"
#include "cli/text.h"

#define PAGE_BYTES_MAX (64u << 20)
#define PAGE_ITEMS     1000

struct listing {
    struct cli *cli;
    const struct listing_columns *columns;
    struct table table;
    struct buffer text;
    uint64_t items;
    bool begun;
    int code; /* the exit code of the first item that is an error */
};

static void cell_text(const struct clade_value *item, const char *key, struct buffer *b)
{
    size_t len;
    const char *text = clade_value_strn(clade_value_get(item, key), &len);
    if (text != NULL) {
        buffer_append(b, text, len);
    }
}

static void cell_ref(const struct clade_value *item, struct buffer *b)
{
    if (clade_value_type(item) == CLADE_UINT) {
        buffer_append_fmt(b, "id/%llu", (unsigned long long)clade_value_uint(item));
        return;
    }
    cell_text(item, "ref", b);
}

static void cell_type(const struct clade_value *item, struct buffer *b)
{
    cell_text(item, "type", b);
}

static void cell_status(const struct clade_value *item, struct buffer *b)
{
    cell_text(item, "status", b);
}

static void cell_stage(const struct clade_value *item, struct buffer *b)
{
    cell_text(item, "stage", b);
}

static void cell_desired(const struct clade_value *item, struct buffer *b)
{
    cell_text(item, "desired", b);
}

static void cell_observed(const struct clade_value *item, struct buffer *b)
{
    cell_text(item, "observed", b);
}

static void cell_targets(const struct clade_value *item, struct buffer *b)
{
    show_append_targets(b, clade_value_get(item, "targets"));
}

static void cell_run(const struct clade_value *item, struct buffer *b)
{
    cell_text(item, "run", b);
}

static void cell_owner(const struct clade_value *item, struct buffer *b)
{
    cell_text(item, "owner", b);
}

static void cell_description(const struct clade_value *item, struct buffer *b)
{
    cell_text(item, "description", b);
}

static void cell_state(const struct clade_value *item, struct buffer *b)
{
    cell_text(item, "state", b);
}

static void cell_changed(const struct clade_value *item, struct buffer *b)
{
    const struct clade_value *time = clade_value_get(clade_value_get(item, "changed"), "time");
    char text[TEXT_BYTES_MAX];
    text_local_time(clade_value_uint(time), text);
    buffer_append_str(b, text);
}

static void cell_depth(const struct clade_value *item, struct buffer *b)
{
    buffer_append_fmt(b, "%llu",
                      (unsigned long long)clade_value_uint(clade_value_get(item, "depth")));
}

static void cell_uses(const struct clade_value *item, struct buffer *b)
{
    show_append_uses(b, clade_value_get(item, "uses"));
}

/* What lies between the start and the thing. */
static void cell_via(const struct clade_value *item, struct buffer *b)
{
    const struct clade_value *path = clade_value_get(item, "path");
    size_t len = clade_value_len(path);
    buffer_append_str(b, len < 3 ? "-" : "");
    for (size_t i = 1; i + 1 < len; i++) {
        buffer_append_str(b, i > 1 ? " > " : "");
        cell_text(clade_value_at(path, i), "ref", b);
    }
}

static void cell_role(const struct clade_value *item, struct buffer *b)
{
    cell_text(item, "role", b);
}

static void cell_digest(const struct clade_value *item, struct buffer *b)
{
    size_t len;
    const char *text = clade_value_strn(clade_value_at(clade_value_get(item, "digests"), 0), &len);
    if (text != NULL) {
        buffer_append(b, text, len);
    }
}

static int item_error(struct listing *l, const struct clade_value *item)
{
    const struct clade_value *e = clade_value_get(item, "error");
    int number = (int)clade_value_int(clade_value_get(e, "number"));
    size_t name_len = 0;
    size_t ref_len = 0;
    size_t message_len = 0;
    const char *name = clade_value_strn(clade_value_get(e, "code"), &name_len);
    const char *ref = clade_value_strn(clade_value_get(item, "ref"), &ref_len);
    const char *message = clade_value_strn(clade_value_get(e, "message"), &message_len);
    for (int code = -1; number == 0 && name != NULL && code >= -64; code--) {
        if (span_equal_str(span_make(name, name_len), clade_error_name(code))) {
            number = code;
        }
    }
    cli_say(l->cli, "%.*s: %.*s (%s)", (int)ref_len, ref == NULL ? "" : ref, (int)message_len,
            message == NULL ? "" : message, clade_error_name(number));
    return cli_exit_code(number == 0 ? CLADE_ERR_INTERNAL : number);
}

static void add_row(struct listing *l, const struct clade_value *item)
{
    for (size_t i = 0; i < l->columns->len; i++) {
        buffer_clear(&l->text);
        l->columns->cells[i](item, &l->text);
        (void)table_add(&l->table, buffer_span(&l->text));
    }
}

static void write_json_item(struct listing *l, const struct clade_value *item)
{
    bool document = l->cli->settings.write == WRITE_JSON;
    buffer_clear(&l->text);
    if (document && l->items > 0) {
        buffer_append_u8(&l->text, ',');
    }
    json_append_value(&l->text, item);
    if (!document) {
        buffer_append_u8(&l->text, '\n');
    }
    (void)fwrite(l->text.data, 1, l->text.len, l->cli->out);
}

static bool has_table(const struct listing *l)
{
    return l->columns != NULL && l->columns->show == NULL;
}

static void add_item(struct listing *l, const struct clade_value *item)
{
    bool is_error = clade_value_type(clade_value_get(item, "error")) == CLADE_MAP;
    if (is_error) {
        int code = item_error(l, item);
        l->code = l->code == EXIT_DONE ? code : l->code;
    }
    if (l->cli->settings.write != WRITE_TABLE) {
        write_json_item(l, item);
    } else if (is_error) {
        return;
    } else if (has_table(l)) {
        add_row(l, item);
    } else {
        (void)fputs(l->items > 0 && (l->columns == NULL || !l->columns->dense) ? "\n" : "",
                    l->cli->out);
        (l->columns != NULL ? l->columns->show : show_thing)(l->cli, item);
    }
    l->items++;
}

static void add_page(struct listing *l, const struct clade_response *response)
{
    if (!l->begun && l->cli->settings.write == WRITE_JSON) {
        (void)fprintf(l->cli->out, "{\"revision\":%llu,\"node\":%llu,\"data\":[",
                      (unsigned long long)clade_response_revision(response),
                      (unsigned long long)clade_response_node(response));
    }
    l->begun = true;
    const struct clade_value *data = clade_response_data(response);
    const struct clade_value *items = clade_value_get(data, "items"); /* of a search */
    data = items != NULL ? items : data;
    for (size_t i = 0; i < clade_value_len(data); i++) {
        add_item(l, clade_value_at(data, i));
    }
    if (l->cli->settings.write == WRITE_TABLE && has_table(l) && l->items > 0) {
        table_flush(&l->table, l->cli->out, l->cli->terminal_columns, l->cli->color);
    }
}

/* Pages until the end, a failure or the limit. Sets whether all of it was seen, and whether it was
 * the user's own limit that stopped it. */
static int run_pages(struct listing *l,
                     struct clade_read *read,
                     listing_fetch fetch,
                     void *arg,
                     uint64_t limit,
                     bool *ret_complete,
                     uint64_t *ret_compacted)
{
    char *cursor = NULL;
    int code = EXIT_DONE;
    for (bool more = true; more;) {
        uint64_t left = limit == 0 ? PAGE_ITEMS : limit - l->items;
        read->limit = (uint32_t)(left < PAGE_ITEMS ? left : PAGE_ITEMS);
        read->cursor = cursor;
        struct clade_response *response = fetch(l->cli, read, arg);
        if (clade_response_code(response) != 0) {
            code = cli_fail(l->cli, NULL, response);
            clade_response_free(response);
            break;
        }
        add_page(l, response);
        free(cursor);
        const char *next = clade_response_cursor(response);
        cursor = next == NULL ? NULL : strdup(next);
        *ret_complete = clade_response_complete(response);
        *ret_compacted = clade_response_compacted(response);
        more = cursor != NULL && !*ret_complete && (limit == 0 || l->items < limit);
        clade_response_free(response);
        if (more && !cli_output_works(l->cli)) {
            more = false;
        }
    }
    free(cursor);
    return code;
}

int listing_run(struct cli *cli,
                const struct listing_columns *columns,
                struct clade_read *read,
                listing_fetch fetch,
                void *arg)
{
    uint64_t limit;
    if (!cli_uint(cli, FLAG_LIMIT, 0, &limit)) {
        return EXIT_USAGE;
    }
    struct listing l = {.cli = cli, .columns = columns};
    buffer_init(&l.text, PAGE_BYTES_MAX);
    if (has_table(&l)) {
        table_init(&l.table, columns->columns, columns->len);
    }
    bool complete = false;
    uint64_t compacted = 0;
    int code = run_pages(&l, read, fetch, arg, limit, &complete, &compacted);
    if (l.begun && cli->settings.write == WRITE_JSON) {
        (void)fprintf(cli->out, "],\"complete\":%s", complete ? "true" : "false");
        if (compacted != 0) {
            (void)fprintf(cli->out, ",\"compacted\":%llu", (unsigned long long)compacted);
        }
        (void)fputs("}\n", cli->out);
    } else if (code == EXIT_DONE && complete && compacted != 0) {
        cli_say(cli, "what was changed up to revision %llu was compacted and is not shown",
                (unsigned long long)compacted);
    }
    if (!cli_output_works(cli)) {
        code = EXIT_REFUSED; /* a reader such as head that has seen enough */
    } else if (code == EXIT_DONE && !complete && (limit == 0 || l.items < limit)) {
        cli_say(cli, "the answer is not complete: the store stopped at a limit of its own");
        code = EXIT_REFUSED;
    }
    buffer_release(&l.text);
    table_release(&l.table);
    return code != EXIT_DONE ? code : l.code;
}

/* --- the columns ---------------------------------------------------------------------------- */

#define COLUMNS(name)                                                                              \
    static const struct listing_columns name = {.columns = name##_heads,                           \
                                                .cells = name##_cells,                             \
                                                .len = sizeof name##_cells / sizeof *name##_cells}

static const struct table_column thing_heads[] = {
    {"REF", TABLE_LEFT, true},      {"TYPE", TABLE_LEFT, true},        {"OWNER", TABLE_LEFT, true},
    {"CHANGED", TABLE_LEFT, false}, {"DESCRIPTION", TABLE_LEFT, true},
};
static const listing_cell thing_cells[] = {cell_ref, cell_type, cell_owner, cell_changed,
                                           cell_description};
COLUMNS(thing);

static const struct table_column run_heads[] = {
    {"REF", TABLE_LEFT, true},      {"STATUS", TABLE_LEFT, false},     {"OWNER", TABLE_LEFT, true},
    {"CHANGED", TABLE_LEFT, false}, {"DESCRIPTION", TABLE_LEFT, true},
};
static const listing_cell run_cells[] = {cell_ref, cell_status, cell_owner, cell_changed,
                                         cell_description};
COLUMNS(run);

static const struct table_column version_heads[] = {
    {"REF", TABLE_LEFT, true},      {"STAGE", TABLE_LEFT, false},      {"RUN", TABLE_LEFT, true},
    {"CHANGED", TABLE_LEFT, false}, {"DESCRIPTION", TABLE_LEFT, true},
};
static const listing_cell version_cells[] = {cell_ref, cell_stage, cell_run, cell_changed,
                                             cell_description};
COLUMNS(version);

static const struct table_column deployment_heads[] = {
    {"REF", TABLE_LEFT, true},     {"DESIRED", TABLE_LEFT, false}, {"OBSERVED", TABLE_LEFT, false},
    {"TARGETS", TABLE_LEFT, true}, {"CHANGED", TABLE_LEFT, false},
};
static const listing_cell deployment_cells[] = {cell_ref, cell_desired, cell_observed, cell_targets,
                                                cell_changed};
COLUMNS(deployment);

static const struct table_column walk_heads[] = {
    {"DEPTH", TABLE_RIGHT, false},
    {"REF", TABLE_LEFT, true},
    {"STATE", TABLE_LEFT, false},
};
static const listing_cell walk_cells[] = {cell_depth, cell_ref, cell_state};
COLUMNS(walk);

static const struct table_column impact_heads[] = {
    {"DEPTH", TABLE_RIGHT, false},
    {"REF", TABLE_LEFT, true},
    {"IN USE AS", TABLE_LEFT, true},
    {"BY WAY OF", TABLE_LEFT, true},
};
static const listing_cell impact_cells[] = {cell_depth, cell_ref, cell_uses, cell_via};
COLUMNS(impact);

static const struct table_column provenance_heads[] = {
    {"DEPTH", TABLE_RIGHT, false}, {"ROLE", TABLE_LEFT, false},  {"REF", TABLE_LEFT, true},
    {"STATE", TABLE_LEFT, false},  {"DIGEST", TABLE_LEFT, true},
};
static const listing_cell provenance_cells[] = {cell_depth, cell_role, cell_ref, cell_state,
                                                cell_digest};
COLUMNS(provenance);

static const struct table_column head_heads[] = {
    {"REF", TABLE_LEFT, true},
    {"STATE", TABLE_LEFT, false},
};
static const listing_cell head_cells[] = {cell_ref, cell_state};
COLUMNS(head);

const struct listing_columns *listing_columns_heads(void)
{
    return &head;
}

const struct listing_columns *listing_columns_things(const char *kind)
{
    if (strcmp(kind, "run") == 0) {
        return &run;
    }
    if (strcmp(kind, "deployment") == 0) {
        return &deployment;
    }
    return strcmp(kind, "version") == 0 ? &version : &thing;
}

const struct listing_columns *listing_columns_walk(void)
{
    return &walk;
}

const struct listing_columns *listing_columns_impact(void)
{
    return &impact;
}

const struct listing_columns *listing_columns_provenance(void)
{
    return &provenance;
}
