/* NDJSON that import reads, all of one revision: namespaces, types, things kind by kind, then what
 * joins them: parents and props that are references, holds, what types ask for, edges. A line for a
 * namespace other than the one that plain references mean is a transaction that names it. */
#include <stdlib.h>

#include "base/time_text.h"
#include "cli/export_internal.h"
#include "cli/json.h"
#include "cli/run.h"

/* What a deleted thing's reference leads to: nothing, or a live namesake. */
enum { DEAD, DEAD_WITH_NAMESAKE };

struct span export_text_of(const struct clade_value *v)
{
    size_t len = 0;
    const char *text = clade_value_strn(v, &len);
    return span_make(text == NULL ? "" : text, text == NULL ? 0 : len);
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
    uint64_t value;
    /* Only what was purged has no name. */
    return span_starts_with(ref, "id/") ||
           (names_find(&x->dead, whole_ref(x, ns, ref), &value) && value == DEAD);
}

/* The model's numbers may go further than its live versions. */
static bool note_dead_version(struct export *x, const char *ns, const struct clade_value *thing)
{
    struct span model = export_text_of(clade_value_get(thing, "model"));
    return model.len == 0 || names_add(&x->numbered, whole_ref(x, ns, model), 0);
}

static bool note_dead(struct export *x, const char *ns, const struct clade_value *thing)
{
    return note_dead_version(x, ns, thing) &&
           names_add(&x->dead, whole_ref(x, ns, export_text_of(clade_value_get(thing, "ref"))),
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
        uint64_t value;
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

static bool line_write(struct export *x)
{
    return !x->line.failed && fwrite(x->line.data, 1, x->line.len, x->cli->out) == x->line.len;
}

bool export_line_end(struct export *x, const char *ns)
{
    buffer_append_str(&x->line, strcmp(ns, x->home) != 0 ? "]}\n" : "\n");
    return line_write(x);
}

void export_put_member(struct export *x, const char *key, const struct clade_value *value)
{
    buffer_append_u8(&x->line, ',');
    json_append_text(&x->line, span_of(key));
    buffer_append_u8(&x->line, ':');
    json_append_value(&x->line, value);
}

/* Whether a member of a thing is a field that a create writes. */
static bool is_written(struct export *x,
                       const char *ns,
                       struct span key,
                       const struct clade_value *value)
{
    static const char *const marks[] = {
        "id",     "kind",    "ref",     "state", "depth",    "namespace",   "name",   "model",
        "number", "created", "changed", "edges", "parent",   "owner_from",  "fields", "closed",
        "hold",   "stage",   "targets", "quota", "defaults", "last_number", NULL};
    static const char *const refs[] = {"experiment", "run", NULL};
    enum clade_type type = clade_value_type(value);
    if (span_is_one_of(key, marks) || type == CLADE_NIL ||
        ((type == CLADE_ARRAY || type == CLADE_MAP) && clade_value_len(value) == 0)) {
        return false;
    }
    if (span_is_one_of(key, refs) && export_is_dead(x, ns, export_text_of(value))) {
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

static bool is_late(struct export *x, const char *ns, const struct clade_value *thing)
{
    uint64_t value;
    struct span ref = whole_ref(x, ns, export_text_of(clade_value_get(thing, "ref")));
    return names_find(&x->numbered, ref, &value) || clade_value_get(thing, "last_number") != NULL ||
           has_fields(thing) || clade_value_get(thing, "parent") != NULL ||
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
        if ((later && span_is_one_of(export_text_of(key), typed)) ||
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

/* When the thing came to be: what its maker claims, else when the store made it. A create with this
 * is a transaction that claims it, so an export of the import says the same. */
static void thing_begin(struct export *x, const char *ns, const struct clade_value *thing)
{
    const struct clade_value *created = clade_value_get(thing, "created");
    const struct clade_value *happened = clade_value_get(created, "happened");
    char text[TIME_TEXT_BYTES];
    time_format(clade_value_uint(happened != NULL ? happened : clade_value_get(created, "time")),
                text);
    buffer_clear(&x->line);
    buffer_append_fmt(&x->line, "{\"happened\":\"%s\",", text);
    if (strcmp(ns, x->home) != 0) {
        buffer_append_str(&x->line, "\"ns\":");
        json_append_text(&x->line, span_of(ns));
        buffer_append_u8(&x->line, ',');
    }
    buffer_append_str(&x->line, "\"ops\":[{\"op\":\"create\"");
    export_put_member(x, "kind", clade_value_get(thing, "kind"));
}

static bool write_default(struct export *x, const char *ns, const struct clade_value *thing)
{
    export_line_begin(x, ns);
    buffer_append_str(&x->line, "{\"op\":\"update\"");
    export_put_member(x, "ref", clade_value_get(thing, "ref"));
    unsigned fields = put_fields(x, ns, thing);
    buffer_append_u8(&x->line, '}');
    return fields == 0 || export_line_end(x, ns);
}

static bool write_thing(struct export *x, const char *ns, const struct clade_value *thing)
{
    x->has_late = x->has_late || is_late(x, ns, thing);
    if (!note_live(x, ns, thing)) {
        return false;
    }
    if (is_default(thing)) {
        return write_default(x, ns, thing);
    }
    thing_begin(x, ns, thing);
    if (clade_value_get(thing, "model") != NULL) {
        export_put_member(x, "model", clade_value_get(thing, "model"));
        export_put_member(x, "number", clade_value_get(thing, "number"));
    } else {
        export_put_member(x, "name", clade_value_get(thing, "name"));
    }
    buffer_append_str(&x->line, ",\"if_exists\":\"match\"");
    (void)put_fields(x, ns, thing);
    buffer_append_str(&x->line, "}]}\n");
    return line_write(x);
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

static bool note_number(struct export *x, const char *ns, const struct clade_value *version)
{
    (void)ns;
    uint64_t number = clade_value_uint(clade_value_get(version, "number"));
    x->number = x->number < number ? number : x->number;
    return true;
}

/* The highest number of a model's that was given, and of those that live. An exit code. */
static int find_numbers(struct export *x,
                        const char *ns,
                        const struct clade_value *model,
                        uint64_t *ret_given,
                        uint64_t *ret_live)
{
    static const char *const states[] = {"live", "deleted"};
    uint64_t stored = clade_value_uint(clade_value_get(model, "last_number"));
    uint64_t highest[2] = {0};
    struct cli_list memory = {0};
    arena_init(&memory.arena, EXPORT_BYTES_MAX);
    const char *ref = arena_copy_str(&memory.arena, export_text_of(clade_value_get(model, "ref")));
    int code = ref == NULL ? cli_no_memory(x->cli) : EXIT_DONE;
    for (size_t i = 0; i < 2 && code == EXIT_DONE; i++) {
        struct export_page p = {
            .ns = ns, .kind = "version", .under = ref, .state = states[i], .view = "full"};
        x->number = 0;
        code = export_walk(x, p, note_number);
        highest[i] = x->number;
    }
    cli_list_release(&memory);
    *ret_live = highest[0];
    *ret_given = highest[1] < stored ? stored : highest[1];
    return code;
}

/* Numbers above those of the live versions that are used up. */
static bool write_last_number(struct export *x, const char *ns, const struct clade_value *model)
{
    uint64_t given;
    uint64_t live;
    if (find_numbers(x, ns, model, &given, &live) != EXIT_DONE) {
        return false;
    }
    if (given <= live) {
        return true;
    }
    export_line_begin(x, ns);
    buffer_append_str(&x->line, "{\"op\":\"update\"");
    export_put_member(x, "ref", clade_value_get(model, "ref"));
    buffer_append_fmt(&x->line, ",\"last_number\":%llu}", (unsigned long long)given);
    return export_line_end(x, ns);
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
    uint64_t value;
    struct span ref = whole_ref(x, ns, export_text_of(clade_value_get(thing, "ref")));
    bool numbered = names_find(&x->numbered, ref, &value);
    if (ok && (numbered || clade_value_get(thing, "last_number") != NULL)) {
        ok = write_last_number(x, ns, thing);
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
    struct export_page dead = {
        .ns = "default", .kind = "namespace", .state = "deleted", .view = "heads"};
    struct export_page live = {
        .ns = "default", .kind = "namespace", .state = "live", .view = "full"};
    int code = export_walk(x, dead, note_dead);
    if (code != EXIT_DONE || x->cli->settings.ns == NULL) {
        return code != EXIT_DONE ? code : export_walk(x, live, note_namespace);
    }
    return cli_list_add(&x->namespaces, span_of(x->home)) ? EXIT_DONE : EXIT_REFUSED;
}

/* What points to versions, when all versions are there. */
static int export_pointers(struct export *x)
{
    struct export_page versions = {
        .kind = "version", .state = "live", .view = "full", .with = {"aliases"}};
    struct export_page deployments = {.kind = "deployment", .state = "live", .view = "full"};
    int code = export_walk_all(x, versions, export_write_pointers);
    return code != EXIT_DONE ? code : export_walk_all(x, deployments, export_write_targets);
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
        bool versions = strcmp(kinds[i], "version") == 0;
        struct export_page p = {
            .kind = kinds[i], .state = "deleted", .view = versions ? "full" : "heads"};
        code = export_walk_all(x, p, note_dead);
    }
    for (size_t i = 0; code == EXIT_DONE && i < kinds_len; i++) {
        struct export_page p = {.kind = kinds[i], .state = "live", .view = "full"};
        x->has_late = false;
        code = export_walk_all(x, p, write_thing);
        late[i] = x->has_late;
    }
    for (size_t n = 1; code == EXIT_DONE && n <= kinds_len; n++) {
        size_t i = n % kinds_len; /* types last */
        struct export_page p = {.kind = kinds[i], .state = "live", .view = "full"};
        code = late[i] ? export_walk_all(x, p, write_late) : code;
    }
    if (code == EXIT_DONE && late_namespaces) {
        struct export_page p = {
            .ns = "default", .kind = "namespace", .state = "live", .view = "full"};
        code = export_walk(x, p, write_late);
    }
    for (size_t i = 0; code == EXIT_DONE && i < kinds_len; i++) {
        struct export_page p = {
            .kind = kinds[i], .state = "live", .view = "heads", .with = {"edges"}};
        code = export_walk_all(x, p, write_links);
    }
    if (code == EXIT_DONE && x->cli->settings.ns == NULL) {
        struct export_page p = {.ns = "default",
                                .kind = "namespace",
                                .state = "live",
                                .view = "heads",
                                .with = {"params", "metrics"}};
        code = export_walk(x, p, export_write_series);
    }
    for (size_t i = 0; code == EXIT_DONE && i < kinds_len; i++) {
        struct export_page p = {
            .kind = kinds[i], .state = "live", .view = "heads", .with = {"params", "metrics"}};
        code = export_walk_all(x, p, export_write_series);
    }
    code = code == EXIT_DONE ? export_pointers(x) : code;
    if (code == EXIT_DONE && x->cli->settings.ns == NULL) {
        struct export_page p = {
            .ns = "default", .kind = "namespace", .state = "live", .view = "full"};
        code = export_walk(x, p, write_namespace_end);
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
    names_release(&x.numbered);
    buffer_release(&x.key);
    buffer_release(&x.line);
    return code;
}
