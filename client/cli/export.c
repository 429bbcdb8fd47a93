/* NDJSON that import reads, all of one revision: namespaces, types, things kind by kind, then what
 * joins them. A line for a namespace other than the one that plain references mean is a
 * transaction that names it. */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/names.h"
#include "cli/run.h"

#define EXPORT_BYTES_MAX (64u << 20)
#define PAGE_ITEMS       1000
#define EDGE_PAGE_ITEMS  200 /* some things have many */

/* What a deleted thing's reference leads to: nothing, or a live namesake. */
enum { DEAD, DEAD_WITH_NAMESAKE };

struct export
{
    struct cli *cli;
    const char *home;           /* the namespace whose lines are bare operations */
    struct cli_list namespaces; /* those to export */
    uint64_t revision;          /* 0 before the first answer */
    struct names dead;          /* whole references of deleted things */
    struct buffer key;          /* a whole reference */
    struct buffer line;
    uint64_t left_out; /* links and fields that lead to what is deleted */
};

typedef bool (*on_thing)(struct export *x, const char *ns, const struct clade_value *thing);

static struct span text_of(const struct clade_value *v)
{
    size_t len = 0;
    const char *text = clade_value_strn(v, &len);
    return span_make(text == NULL ? "" : text, text == NULL ? 0 : len);
}

/* --- reading -------------------------------------------------------------------------------- */

struct page {
    const char *ns;
    const char *kind;
    const char *state;
    const char *view;
    bool edges;
    const char *cursor;
};

static void put_text(struct clade_doc *doc, const char *key, const char *value)
{
    clade_doc_str(doc, key);
    clade_doc_str(doc, value);
}

static struct clade_response *fetch(const struct export *x, const struct page *p)
{
    struct clade_doc *doc = clade_doc_new();
    if (doc == NULL) {
        return NULL;
    }
    bool pinned = x->revision != 0 || x->cli->settings.as_of[0] != '\0';
    clade_doc_map(doc, 5u + pinned + p->edges + (p->cursor != NULL));
    put_text(doc, "kind", p->kind);
    put_text(doc, "ns", p->ns);
    put_text(doc, "state", p->state);
    put_text(doc, "view", p->view);
    clade_doc_str(doc, "limit");
    clade_doc_uint(doc, p->edges ? EDGE_PAGE_ITEMS : PAGE_ITEMS);
    if (x->revision != 0) {
        clade_doc_str(doc, "as_of");
        clade_doc_uint(doc, x->revision);
    } else if (pinned) {
        put_text(doc, "as_of", x->cli->settings.as_of);
    }
    if (p->edges) {
        clade_doc_str(doc, "with");
        clade_doc_array(doc, 1);
        clade_doc_str(doc, "edges");
    }
    if (p->cursor != NULL) {
        put_text(doc, "cursor", p->cursor);
    }
    struct clade_response *response = clade_call_wait(x->cli->client, "list", doc);
    clade_doc_free(doc);
    return response;
}

/* Calls `each` for every thing of the list, page after page. An exit code. */
static int walk(struct export *x, struct page p, on_thing each)
{
    char *cursor = NULL;
    int code = EXIT_DONE;
    for (bool more = true; more && code == EXIT_DONE;) {
        p.cursor = cursor;
        struct clade_response *response = fetch(x, &p);
        if (clade_response_code(response) != 0) {
            code = cli_fail(x->cli, p.kind, response);
        } else if (x->revision == 0) {
            x->revision = clade_response_revision(response);
        }
        const struct clade_value *data = clade_response_data(response);
        for (size_t i = 0; code == EXIT_DONE && i < clade_value_len(data); i++) {
            code = each(x, p.ns, clade_value_at(data, i)) ? EXIT_DONE : EXIT_REFUSED;
        }
        const char *next = clade_response_cursor(response);
        free(cursor);
        cursor = next == NULL ? NULL : strdup(next);
        more = cursor != NULL && !clade_response_complete(response);
        clade_response_free(response);
    }
    free(cursor);
    return code;
}

/* walk for each namespace to export. */
static int walk_all(struct export *x, struct page p, on_thing each)
{
    int code = EXIT_DONE;
    for (size_t i = 0; code == EXIT_DONE && i < x->namespaces.len; i++) {
        p.ns = x->namespaces.items[i];
        code = walk(x, p, each);
    }
    return code;
}

/* --- what is deleted ------------------------------------------------------------------------ */

/* A reference as it would be written anywhere: with its namespace. */
static struct span whole_ref(struct export *x, const char *ns, struct span ref)
{
    if (span_starts_with(ref, "//")) {
        return ref;
    }
    buffer_clear(&x->key);
    buffer_append_fmt(&x->key, "//%s//", ns);
    buffer_append_span(&x->key, ref);
    return buffer_span(&x->key);
}

static bool is_dead(struct export *x, const char *ns, struct span ref)
{
    uint8_t value;
    /* Only what was purged has no name. */
    return span_starts_with(ref, "id/") ||
           (names_find(&x->dead, whole_ref(x, ns, ref), &value) && value == DEAD);
}

static bool note_dead(struct export *x, const char *ns, const struct clade_value *thing)
{
    return names_add(&x->dead, whole_ref(x, ns, text_of(clade_value_get(thing, "ref"))), DEAD);
}

static void note_live(struct export *x, const char *ns, const struct clade_value *thing)
{
    struct span ref = text_of(clade_value_get(thing, "ref"));
    (void)names_change(&x->dead, whole_ref(x, ns, ref), DEAD_WITH_NAMESAKE);
}

/* --- writing -------------------------------------------------------------------------------- */

static void line_begin(struct export *x, const char *ns)
{
    buffer_clear(&x->line);
    if (strcmp(ns, x->home) != 0) {
        buffer_append_str(&x->line, "{\"ns\":");
        json_append_text(&x->line, span_of(ns));
        buffer_append_str(&x->line, ",\"ops\":[");
    }
}

static bool line_end(struct export *x, const char *ns)
{
    buffer_append_str(&x->line, strcmp(ns, x->home) != 0 ? "]}\n" : "\n");
    return !x->line.failed && fwrite(x->line.data, 1, x->line.len, x->cli->out) == x->line.len;
}

static void put_member(struct export *x, const char *key, const struct clade_value *value)
{
    buffer_append_u8(&x->line, ',');
    json_append_text(&x->line, span_of(key));
    buffer_append_u8(&x->line, ':');
    json_append_value(&x->line, value);
}

static bool is_one_of(struct span key, const char *const names[])
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if (span_equal_str(key, names[i])) {
            return true;
        }
    }
    return false;
}

/* Whether a member of a thing is a field that a create writes. */
static bool is_written(struct export *x,
                       const char *ns,
                       struct span key,
                       const struct clade_value *value)
{
    static const char *const marks[] = {"id",        "kind",  "ref",    "state",  "depth",
                                        "namespace", "name",  "model",  "number", "created",
                                        "changed",   "edges", "parent", NULL};
    static const char *const refs[] = {"experiment", "run", NULL};
    static const char *const last[] = {"quota", "defaults", NULL};
    enum clade_type type = clade_value_type(value);
    if (is_one_of(key, marks) || is_one_of(key, last) || type == CLADE_NIL ||
        ((type == CLADE_ARRAY || type == CLADE_MAP) && clade_value_len(value) == 0)) {
        return false;
    }
    if (is_one_of(key, refs) && is_dead(x, ns, text_of(value))) {
        x->left_out++;
        return false;
    }
    return true;
}

static bool write_thing(struct export *x, const char *ns, const struct clade_value *thing)
{
    note_live(x, ns, thing);
    line_begin(x, ns);
    buffer_append_str(&x->line, "{\"op\":\"create\"");
    put_member(x, "kind", clade_value_get(thing, "kind"));
    if (clade_value_get(thing, "model") != NULL) {
        put_member(x, "model", clade_value_get(thing, "model"));
        put_member(x, "number", clade_value_get(thing, "number"));
    } else {
        put_member(x, "name", clade_value_get(thing, "name"));
    }
    buffer_append_str(&x->line, ",\"if_exists\":\"match\"");
    for (size_t i = 0; i < clade_value_len(thing); i++) {
        const struct clade_value *key = clade_value_key_at(thing, i);
        const struct clade_value *value = clade_value_at(thing, i);
        if (is_written(x, ns, text_of(key), value)) {
            buffer_append_u8(&x->line, ',');
            json_append_value(&x->line, key);
            buffer_append_u8(&x->line, ':');
            json_append_value(&x->line, value);
        }
    }
    buffer_append_u8(&x->line, '}');
    return line_end(x, ns);
}

/* A namespace's bounds and defaults come last: they would be in the way of, or added to, what was
 * there before they were set. `default` is there already, so its other fields come here too. */
static bool write_namespace_end(struct export *x, const char *ns, const struct clade_value *thing)
{
    static const char *const last[] = {"quota", "defaults", NULL};
    bool is_default = span_equal_str(text_of(clade_value_get(thing, "name")), "default");
    unsigned fields = 0;
    line_begin(x, x->home);
    buffer_append_str(&x->line, "{\"op\":\"update\"");
    put_member(x, "ref", clade_value_get(thing, "ref"));
    for (size_t i = 0; i < clade_value_len(thing); i++) {
        struct span key = text_of(clade_value_key_at(thing, i));
        const struct clade_value *value = clade_value_at(thing, i);
        if (is_one_of(key, last) || (is_default && is_written(x, ns, key, value))) {
            buffer_append_u8(&x->line, ',');
            json_append_value(&x->line, clade_value_key_at(thing, i));
            buffer_append_u8(&x->line, ':');
            json_append_value(&x->line, value);
            fields++;
        }
    }
    buffer_append_u8(&x->line, '}');
    return fields == 0 || line_end(x, x->home);
}

/* A run's parent may come after it by name, so parents are set when all runs are there. */
static bool write_parent(struct export *x, const char *ns, const struct clade_value *thing)
{
    const struct clade_value *parent = clade_value_get(thing, "parent");
    if (parent == NULL) {
        return true;
    }
    if (is_dead(x, ns, text_of(parent))) {
        x->left_out++;
        return true;
    }
    line_begin(x, ns);
    buffer_append_str(&x->line, "{\"op\":\"update\"");
    put_member(x, "ref", clade_value_get(thing, "ref"));
    put_member(x, "parent", parent);
    buffer_append_u8(&x->line, '}');
    return line_end(x, ns);
}

/* The store orders edges by ids, which another cluster gives out otherwise. */
static int compare_edges(const void *a, const void *b)
{
    const struct clade_value *x = *(const struct clade_value *const *)a;
    const struct clade_value *y = *(const struct clade_value *const *)b;
    int r =
        span_compare(text_of(clade_value_get(x, "label")), text_of(clade_value_get(y, "label")));
    return r != 0
               ? r
               : span_compare(text_of(clade_value_get(x, "to")), text_of(clade_value_get(y, "to")));
}

static bool write_link(struct export *x,
                       const char *ns,
                       const struct clade_value *from,
                       const struct clade_value *edge)
{
    if (is_dead(x, ns, text_of(clade_value_get(edge, "to")))) {
        x->left_out++;
        return true;
    }
    line_begin(x, ns);
    buffer_append_str(&x->line, "{\"op\":\"link\"");
    put_member(x, "from", from);
    put_member(x, "label", clade_value_get(edge, "label"));
    put_member(x, "to", clade_value_get(edge, "to"));
    buffer_append_u8(&x->line, '}');
    return line_end(x, ns);
}

static bool write_links(struct export *x, const char *ns, const struct clade_value *thing)
{
    const struct clade_value *edges = clade_value_get(thing, "edges");
    size_t len = clade_value_len(edges);
    if (len == 0) {
        return true;
    }
    const struct clade_value **sorted = calloc(len, sizeof *sorted);
    bool ok = sorted != NULL;
    for (size_t i = 0; ok && i < len; i++) {
        sorted[i] = clade_value_at(edges, i);
    }
    if (ok) {
        qsort(sorted, len, sizeof *sorted, compare_edges);
    }
    for (size_t i = 0; ok && i < len; i++) {
        ok = write_link(x, ns, clade_value_get(thing, "ref"), sorted[i]);
    }
    free(sorted);
    return ok;
}

static bool note_namespace(struct export *x, const char *ns, const struct clade_value *thing)
{
    struct span name = text_of(clade_value_get(thing, "name"));
    if (!span_equal_str(name, "default") && !write_thing(x, x->home, thing)) {
        return false;
    }
    return cli_list_add(&x->namespaces, name);
}

/* --- the order ------------------------------------------------------------------------------ */

/* Namespaces come first in any case: their answer is what pins the revision. */
static int export_namespaces(struct export *x)
{
    struct page p = {.ns = "default", .kind = "namespace", .state = "live", .view = "full"};
    if (x->cli->settings.ns == NULL) {
        return walk(x, p, note_namespace);
    }
    struct clade_response *response = fetch(x, &p);
    int code = EXIT_DONE;
    if (clade_response_code(response) != 0) {
        code = cli_fail(x->cli, NULL, response);
    }
    x->revision = clade_response_revision(response);
    clade_response_free(response);
    return cli_list_add(&x->namespaces, span_of(x->home)) ? code : EXIT_REFUSED;
}

static int export_all(struct export *x)
{
    static const char *const kinds[] = {"type", "artifact", "experiment",
                                        "run",  "model",    "version"};
    const size_t kinds_len = sizeof kinds / sizeof *kinds;
    int code = export_namespaces(x);
    for (size_t i = 0; code == EXIT_DONE && i < kinds_len; i++) {
        struct page p = {.kind = kinds[i], .state = "deleted", .view = "heads"};
        code = walk_all(x, p, note_dead);
    }
    for (size_t i = 0; code == EXIT_DONE && i < kinds_len; i++) {
        struct page p = {.kind = kinds[i], .state = "live", .view = "full"};
        code = walk_all(x, p, write_thing);
    }
    if (code == EXIT_DONE) {
        struct page p = {.kind = "run", .state = "live", .view = "full"};
        code = walk_all(x, p, write_parent);
    }
    for (size_t i = 0; code == EXIT_DONE && i < kinds_len; i++) {
        struct page p = {.kind = kinds[i], .state = "live", .view = "heads", .edges = true};
        code = walk_all(x, p, write_links);
    }
    if (code == EXIT_DONE && x->cli->settings.ns == NULL) {
        struct page p = {.ns = "default", .kind = "namespace", .state = "live", .view = "full"};
        code = walk(x, p, write_namespace_end);
    }
    return code;
}

int run_export(struct cli *cli)
{
    int code = cli_open(cli);
    if (code != EXIT_DONE) {
        return code;
    }
    struct export x = {.cli = cli, .home = cli->settings.ns == NULL ? "default" : cli->settings.ns};
    arena_init(&x.namespaces.arena, EXPORT_BYTES_MAX);
    buffer_init(&x.key, EXPORT_BYTES_MAX);
    buffer_init(&x.line, EXPORT_BYTES_MAX);
    code = export_all(&x);
    if (x.left_out > 0) {
        cli_say(cli, "left out %llu links and fields that lead to deleted things",
                (unsigned long long)x.left_out);
    }
    if (code != EXIT_DONE && !cli_output_works(cli)) {
        cli_say(cli, "the output cannot be written");
    }
    cli_list_release(&x.namespaces);
    names_release(&x.dead);
    buffer_release(&x.key);
    buffer_release(&x.line);
    return code;
}
