/* NDJSON that import reads, all of one revision: namespaces, types, things kind by kind, then what
 * joins them: parents and props that are references, holds, what types ask for, edges. A line for a
 * namespace other than the one that plain references mean is a transaction that names it. */
#include <stdlib.h>

#include "cli/export_internal.h"
#include "cli/json.h"
#include "cli/run.h"

#define PAGE_ITEMS       1000
#define SHORT_PAGE_ITEMS 200 /* some things have many */

/* What a deleted thing's reference leads to: nothing, or a live namesake. */
enum { DEAD, DEAD_WITH_NAMESAKE };

typedef bool (*on_thing)(struct export *x, const char *ns, const struct clade_value *thing);

struct span export_text_of(const struct clade_value *v)
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
    const char *with[2]; /* of "edges", "aliases", "params", "metrics"; NULL = nothing */
    const char *cursor;
};

void export_put_text(struct clade_doc *doc, const char *key, const char *value)
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
    uint32_t with_len = (p->with[0] != NULL) + (p->with[1] != NULL);
    clade_doc_map(doc, 5u + pinned + (with_len > 0) + (p->cursor != NULL));
    export_put_text(doc, "kind", p->kind);
    export_put_text(doc, "ns", p->ns);
    export_put_text(doc, "state", p->state);
    export_put_text(doc, "view", p->view);
    clade_doc_str(doc, "limit");
    clade_doc_uint(doc, with_len == 0 ? PAGE_ITEMS : SHORT_PAGE_ITEMS);
    if (x->revision != 0) {
        clade_doc_str(doc, "as_of");
        clade_doc_uint(doc, x->revision);
    } else if (pinned) {
        export_put_text(doc, "as_of", x->cli->settings.as_of);
    }
    if (with_len > 0) {
        clade_doc_str(doc, "with");
        clade_doc_array(doc, with_len);
    }
    for (uint32_t i = 0; i < with_len; i++) {
        clade_doc_str(doc, p->with[i]);
    }
    if (p->cursor != NULL) {
        export_put_text(doc, "cursor", p->cursor);
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

/* A reference as it would be written anywhere: with its namespace, unless it is one. */
static struct span whole_ref(struct export *x, const char *ns, struct span ref)
{
    if (span_starts_with(ref, "//") || span_starts_with(ref, "namespace/")) {
        return ref;
    }
    buffer_clear(&x->key);
    buffer_append_fmt(&x->key, "//%s//", ns);
    buffer_append_span(&x->key, ref);
    return buffer_span(&x->key);
}

bool export_is_dead(struct export *x, const char *ns, struct span ref)
{
    uint8_t value;
    /* Only what was purged has no name. */
    return span_starts_with(ref, "id/") ||
           (names_find(&x->dead, whole_ref(x, ns, ref), &value) && value == DEAD);
}

static bool note_dead(struct export *x, const char *ns, const struct clade_value *thing)
{
    return names_add(&x->dead, whole_ref(x, ns, export_text_of(clade_value_get(thing, "ref"))),
                     DEAD);
}

static bool note_live(struct export *x, const char *ns, const struct clade_value *thing)
{
    struct span ref = whole_ref(x, ns, export_text_of(clade_value_get(thing, "ref")));
    (void)names_change(&x->dead, ref, DEAD_WITH_NAMESAKE);
    bool type = span_equal_str(export_text_of(clade_value_get(thing, "kind")), "type");
    return !type || names_add(&x->types, ref, 0);
}

/* Whether the thing's type is deleted: none of that name lives in its namespace or above it, and
 * one that did is known. */
static bool is_type_dead(struct export *x, const char *ns, const struct clade_value *thing)
{
    struct span kind = export_text_of(clade_value_get(thing, "kind"));
    struct span type = export_text_of(clade_value_get(thing, "type"));
    struct span path = span_of(ns);
    bool dead = false;
    while (type.len > 0 && path.len > 0) {
        uint8_t value;
        buffer_clear(&x->key);
        buffer_append_fmt(&x->key, "//%.*s//type/%.*s:%.*s", SPAN_FMT(path), SPAN_FMT(kind),
                          SPAN_FMT(type));
        if (names_find(&x->types, buffer_span(&x->key), &value)) {
            return false;
        }
        dead = dead || names_find(&x->dead, buffer_span(&x->key), &value);
        while (path.len > 0 && path.data[path.len - 1] != '/') {
            path.len--;
        }
        path.len -= path.len > 0;
    }
    return dead;
}

/* --- writing -------------------------------------------------------------------------------- */

void export_line_begin(struct export *x, const char *ns)
{
    buffer_clear(&x->line);
    if (strcmp(ns, x->home) != 0) {
        buffer_append_str(&x->line, "{\"ns\":");
        json_append_text(&x->line, span_of(ns));
        buffer_append_str(&x->line, ",\"ops\":[");
    }
}

bool export_line_end(struct export *x, const char *ns)
{
    buffer_append_str(&x->line, strcmp(ns, x->home) != 0 ? "]}\n" : "\n");
    return !x->line.failed && fwrite(x->line.data, 1, x->line.len, x->cli->out) == x->line.len;
}

void export_put_member(struct export *x, const char *key, const struct clade_value *value)
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
    static const char *const marks[] = {
        "id",     "kind",    "ref",     "state", "depth",    "namespace",  "name",   "model",
        "number", "created", "changed", "edges", "parent",   "owner_from", "fields", "closed",
        "hold",   "stage",   "targets", "quota", "defaults", NULL};
    static const char *const refs[] = {"experiment", "run", NULL};
    enum clade_type type = clade_value_type(value);
    if (is_one_of(key, marks) || type == CLADE_NIL ||
        ((type == CLADE_ARRAY || type == CLADE_MAP) && clade_value_len(value) == 0)) {
        return false;
    }
    if (is_one_of(key, refs) && export_is_dead(x, ns, export_text_of(value))) {
        x->left_out++;
        return false;
    }
    return true;
}

/* The reference that a prop is; NULL when it is none. */
static const struct clade_value *ref_of(const struct clade_value *prop)
{
    return clade_value_get(prop, "ref");
}

static bool has_ref(const struct clade_value *prop)
{
    return ref_of(prop) != NULL || ref_of(clade_value_at(prop, 0)) != NULL;
}

static bool is_to_dead(struct export *x, const char *ns, const struct clade_value *prop)
{
    bool list = clade_value_type(prop) == CLADE_ARRAY;
    for (size_t i = 0; list && i < clade_value_len(prop); i++) {
        if (is_to_dead(x, ns, clade_value_at(prop, i))) {
            return true;
        }
    }
    return !list && ref_of(prop) != NULL && export_is_dead(x, ns, export_text_of(ref_of(prop)));
}

/* Props that are references may be to what comes later. They are written then, and with them the
 * others and the type, which may require them. */
static bool has_ref_props(const struct clade_value *thing)
{
    const struct clade_value *props = clade_value_get(thing, "props");
    bool found = false;
    for (size_t i = 0; i < clade_value_len(props); i++) {
        found = found || has_ref(clade_value_at(props, i));
    }
    return found;
}

/* What a type asks for may be younger than the things that have it. */
static bool has_fields(const struct clade_value *thing)
{
    return clade_value_get(thing, "fields") != NULL || clade_value_get(thing, "closed") != NULL;
}

static bool is_late(const struct clade_value *thing)
{
    return has_fields(thing) || clade_value_get(thing, "parent") != NULL ||
           clade_value_get(thing, "hold") != NULL || has_ref_props(thing);
}

/* Appends the fields of the thing that stand where it is made; how many. */
static unsigned put_fields(struct export *x, const char *ns, const struct clade_value *thing)
{
    static const char *const typed[] = {"type", "props", NULL};
    bool later = has_ref_props(thing);
    bool no_owner = clade_value_get(thing, "owner_from") != NULL;
    bool no_type = is_type_dead(x, ns, thing);
    unsigned fields = 0;
    x->left_out += no_type;
    for (size_t i = 0; i < clade_value_len(thing); i++) {
        const struct clade_value *key = clade_value_key_at(thing, i);
        const struct clade_value *value = clade_value_at(thing, i);
        if ((later && is_one_of(export_text_of(key), typed)) ||
            (no_owner && span_equal_str(export_text_of(key), "owner")) ||
            (no_type && span_equal_str(export_text_of(key), "type"))) {
            continue;
        }
        if (is_written(x, ns, export_text_of(key), value)) {
            buffer_append_u8(&x->line, ',');
            json_append_value(&x->line, key);
            buffer_append_u8(&x->line, ':');
            json_append_value(&x->line, value);
            fields++;
        }
    }
    return fields;
}

/* It is there from the first start. */
static bool is_default(const struct clade_value *thing)
{
    return span_equal_str(export_text_of(clade_value_get(thing, "ref")), "namespace/default");
}

static bool write_thing(struct export *x, const char *ns, const struct clade_value *thing)
{
    bool there = is_default(thing);
    x->has_late = x->has_late || is_late(thing);
    if (!note_live(x, ns, thing)) {
        return false;
    }
    export_line_begin(x, ns);
    buffer_append_str(&x->line, there ? "{\"op\":\"update\"" : "{\"op\":\"create\"");
    if (there) {
        export_put_member(x, "ref", clade_value_get(thing, "ref"));
    } else {
        export_put_member(x, "kind", clade_value_get(thing, "kind"));
    }
    if (clade_value_get(thing, "model") != NULL) {
        export_put_member(x, "model", clade_value_get(thing, "model"));
        export_put_member(x, "number", clade_value_get(thing, "number"));
    } else if (!there) {
        export_put_member(x, "name", clade_value_get(thing, "name"));
    }
    buffer_append_str(&x->line, there ? "" : ",\"if_exists\":\"match\"");
    unsigned fields = put_fields(x, ns, thing);
    buffer_append_u8(&x->line, '}');
    return (there && fields == 0) || export_line_end(x, ns);
}

static void put_late_props(struct export *x, const char *ns, const struct clade_value *props)
{
    bool first = true;
    buffer_append_str(&x->line, ",\"props\":{");
    for (size_t i = 0; i < clade_value_len(props); i++) {
        const struct clade_value *value = clade_value_at(props, i);
        if (is_to_dead(x, ns, value)) {
            x->left_out++;
            continue;
        }
        buffer_append_str(&x->line, first ? "" : ",");
        json_append_value(&x->line, clade_value_key_at(props, i));
        buffer_append_u8(&x->line, ':');
        json_append_value(&x->line, value);
        first = false;
    }
    buffer_append_u8(&x->line, '}');
}

static bool write_hold(struct export *x, const char *ns, const struct clade_value *thing)
{
    export_line_begin(x, ns);
    buffer_append_str(&x->line, "{\"op\":\"hold\"");
    export_put_member(x, "ref", clade_value_get(thing, "ref"));
    if (export_text_of(clade_value_get(thing, "hold")).len > 0) {
        export_put_member(x, "reason", clade_value_get(thing, "hold"));
    }
    buffer_append_u8(&x->line, '}');
    return export_line_end(x, ns);
}

static void put_if_there(struct export *x, const char *key, const struct clade_value *thing)
{
    if (clade_value_get(thing, key) != NULL) {
        export_put_member(x, key, clade_value_get(thing, key));
    }
}

/* A run's parent, or what a prop refers to, may come after it by name, so they are set when all
 * things are there. */
static bool write_late(struct export *x, const char *ns, const struct clade_value *thing)
{
    const struct clade_value *parent = clade_value_get(thing, "parent");
    const struct clade_value *type = clade_value_get(thing, "type");
    bool props = has_ref_props(thing);
    if (parent != NULL && export_is_dead(x, ns, export_text_of(parent))) {
        x->left_out++;
        parent = NULL;
    }
    bool ok = true;
    if (parent != NULL || props || has_fields(thing)) {
        export_line_begin(x, ns);
        buffer_append_str(&x->line, "{\"op\":\"update\"");
        export_put_member(x, "ref", clade_value_get(thing, "ref"));
        if (parent != NULL) {
            export_put_member(x, "parent", parent);
        }
        if (props && type != NULL && !is_type_dead(x, ns, thing)) {
            export_put_member(x, "type", type);
        }
        if (props) {
            put_late_props(x, ns, clade_value_get(thing, "props"));
        }
        put_if_there(x, "fields", thing);
        put_if_there(x, "closed", thing);
        buffer_append_u8(&x->line, '}');
        ok = export_line_end(x, ns);
    }
    return ok && clade_value_get(thing, "hold") != NULL ? write_hold(x, ns, thing) : ok;
}

/* A namespace's bounds and defaults come last: they would be in the way of, or added to, what was
 * there before they were set. */
static bool write_namespace_end(struct export *x, const char *ns, const struct clade_value *thing)
{
    (void)ns;
    if (clade_value_get(thing, "quota") == NULL && clade_value_get(thing, "defaults") == NULL) {
        return true;
    }
    export_line_begin(x, x->home);
    buffer_append_str(&x->line, "{\"op\":\"update\"");
    export_put_member(x, "ref", clade_value_get(thing, "ref"));
    put_if_there(x, "quota", thing);
    put_if_there(x, "defaults", thing);
    buffer_append_u8(&x->line, '}');
    return export_line_end(x, x->home);
}

/* The store orders edges by ids, which another cluster gives out otherwise. */
static int compare_edges(const void *a, const void *b)
{
    const struct clade_value *x = *(const struct clade_value *const *)a;
    const struct clade_value *y = *(const struct clade_value *const *)b;
    int r = span_compare(export_text_of(clade_value_get(x, "label")),
                         export_text_of(clade_value_get(y, "label")));
    return r != 0 ? r
                  : span_compare(export_text_of(clade_value_get(x, "to")),
                                 export_text_of(clade_value_get(y, "to")));
}

static bool write_link(struct export *x,
                       const char *ns,
                       const struct clade_value *from,
                       const struct clade_value *edge)
{
    if (export_is_dead(x, ns, export_text_of(clade_value_get(edge, "to")))) {
        x->left_out++;
        return true;
    }
    export_line_begin(x, ns);
    buffer_append_str(&x->line, "{\"op\":\"link\"");
    export_put_member(x, "from", from);
    export_put_member(x, "label", clade_value_get(edge, "label"));
    export_put_member(x, "to", clade_value_get(edge, "to"));
    if (clade_value_get(edge, "props") != NULL) {
        put_late_props(x, ns, clade_value_get(edge, "props"));
    }
    buffer_append_u8(&x->line, '}');
    return export_line_end(x, ns);
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

/* --- pointers -------------------------------------------------------------------------------- */

static bool write_stage(struct export *x, const char *ns, const struct clade_value *version)
{
    const struct clade_value *stage = clade_value_get(version, "stage");
    if (stage == NULL) {
        return true;
    }
    export_line_begin(x, ns);
    buffer_append_str(&x->line, "{\"op\":\"set_stage\"");
    export_put_member(x, "ref", clade_value_get(version, "ref"));
    export_put_member(x, "stage", stage);
    buffer_append_u8(&x->line, '}');
    return export_line_end(x, ns);
}

/* A version's aliases: what they point to is live as long as they do. */
static bool write_aliases(struct export *x, const char *ns, const struct clade_value *version)
{
    const struct clade_value *aliases = clade_value_get(version, "aliases");
    bool ok = true;
    for (size_t i = 0; ok && i < clade_value_len(aliases); i++) {
        export_line_begin(x, ns);
        buffer_append_str(&x->line, "{\"op\":\"set_alias\"");
        export_put_member(x, "ref", clade_value_get(version, "ref"));
        export_put_member(x, "alias", clade_value_get(clade_value_at(aliases, i), "alias"));
        buffer_append_u8(&x->line, '}');
        ok = export_line_end(x, ns);
    }
    return ok;
}

static bool write_version_pointers(struct export *x,
                                   const char *ns,
                                   const struct clade_value *version)
{
    return write_stage(x, ns, version) && write_aliases(x, ns, version);
}

static bool write_targets(struct export *x, const char *ns, const struct clade_value *deployment)
{
    const struct clade_value *targets = clade_value_get(deployment, "targets");
    if (targets == NULL) {
        return true;
    }
    export_line_begin(x, ns);
    buffer_append_str(&x->line, "{\"op\":\"set_targets\"");
    export_put_member(x, "ref", clade_value_get(deployment, "ref"));
    export_put_member(x, "targets", targets);
    buffer_append_u8(&x->line, '}');
    return export_line_end(x, ns);
}

static bool note_namespace(struct export *x, const char *ns, const struct clade_value *thing)
{
    (void)ns;
    return write_thing(x, x->home, thing) &&
           cli_list_add(&x->namespaces, export_text_of(clade_value_get(thing, "name")));
}

/* --- the order ------------------------------------------------------------------------------ */

/* Namespaces come first in any case: their answer is what pins the revision. */
static int export_namespaces(struct export *x)
{
    struct page dead = {.ns = "default", .kind = "namespace", .state = "deleted", .view = "heads"};
    struct page live = {.ns = "default", .kind = "namespace", .state = "live", .view = "full"};
    int code = walk(x, dead, note_dead);
    if (code != EXIT_DONE || x->cli->settings.ns == NULL) {
        return code != EXIT_DONE ? code : walk(x, live, note_namespace);
    }
    return cli_list_add(&x->namespaces, span_of(x->home)) ? EXIT_DONE : EXIT_REFUSED;
}

/* What points to versions, when all versions are there. */
static int export_pointers(struct export *x)
{
    struct page versions = {
        .kind = "version", .state = "live", .view = "full", .with = {"aliases"}};
    struct page deployments = {.kind = "deployment", .state = "live", .view = "full"};
    int code = walk_all(x, versions, write_version_pointers);
    return code != EXIT_DONE ? code : walk_all(x, deployments, write_targets);
}

static int export_all(struct export *x)
{
    static const char *const kinds[] = {"type",  "artifact", "experiment", "run",
                                        "model", "version",  "deployment"};
    const size_t kinds_len = sizeof kinds / sizeof *kinds;
    bool late[sizeof kinds / sizeof *kinds] = {false};
    int code = export_namespaces(x);
    bool late_namespaces = x->has_late;
    for (size_t i = 0; code == EXIT_DONE && i < kinds_len; i++) {
        struct page p = {.kind = kinds[i], .state = "deleted", .view = "heads"};
        code = walk_all(x, p, note_dead);
    }
    for (size_t i = 0; code == EXIT_DONE && i < kinds_len; i++) {
        struct page p = {.kind = kinds[i], .state = "live", .view = "full"};
        x->has_late = false;
        code = walk_all(x, p, write_thing);
        late[i] = x->has_late;
    }
    for (size_t n = 1; code == EXIT_DONE && n <= kinds_len; n++) {
        size_t i = n % kinds_len; /* types last */
        struct page p = {.kind = kinds[i], .state = "live", .view = "full"};
        code = late[i] ? walk_all(x, p, write_late) : code;
    }
    if (code == EXIT_DONE && late_namespaces) {
        struct page p = {.ns = "default", .kind = "namespace", .state = "live", .view = "full"};
        code = walk(x, p, write_late);
    }
    for (size_t i = 0; code == EXIT_DONE && i < kinds_len; i++) {
        struct page p = {.kind = kinds[i], .state = "live", .view = "heads", .with = {"edges"}};
        code = walk_all(x, p, write_links);
    }
    if (code == EXIT_DONE && x->cli->settings.ns == NULL) {
        struct page p = {.ns = "default",
                         .kind = "namespace",
                         .state = "live",
                         .view = "heads",
                         .with = {"params", "metrics"}};
        code = walk(x, p, export_write_series);
    }
    for (size_t i = 0; code == EXIT_DONE && i < kinds_len; i++) {
        struct page p = {
            .kind = kinds[i], .state = "live", .view = "heads", .with = {"params", "metrics"}};
        code = walk_all(x, p, export_write_series);
    }
    code = code == EXIT_DONE ? export_pointers(x) : code;
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
        cli_say(cli, "left out %llu links, fields and metrics that lead to deleted things",
                (unsigned long long)x.left_out);
    }
    if (code != EXIT_DONE && !cli_output_works(cli)) {
        cli_say(cli, "the output cannot be written");
    }
    cli_list_release(&x.namespaces);
    names_release(&x.dead);
    names_release(&x.types);
    buffer_release(&x.key);
    buffer_release(&x.line);
    return code;
}
