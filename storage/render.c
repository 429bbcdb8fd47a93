#include "storage/render.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "command/value.h"
#include "storage/render_series.h"

#define END_ARENA_BYTES (4u << 20)

static int missing(struct render *r, uint64_t id)
{
    struct key key = key_u64(id);
    return row_corrupt(r->view->error, TABLE_THINGS, key_span(&key), "is missing");
}

static int thing_of(struct render *r, uint64_t id, struct thing **ret)
{
    int rc = lookup_thing(r->view, r->arena, id, ret);
    return rc == 1 ? missing(r, id) : rc;
}

static int path_of(struct render *r, uint64_t ns, struct span *ret)
{
    if (ns != r->cached_ns) {
        struct thing *thing;
        int rc = thing_of(r, ns, &thing);
        if (rc != 0) {
            return rc;
        }
        r->cached_ns = ns;
        r->cached_path = thing->name;
    }
    *ret = r->cached_path;
    return 0;
}

static int join(struct render *r, const struct span parts[], size_t n, struct span *ret)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        len += parts[i].len;
    }
    uint8_t *text = arena_alloc(r->arena, len);
    if (text == NULL) {
        return arena_failure(r->arena, len, r->view->error);
    }
    uint8_t *p = text;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].len > 0) {
            memcpy(p, parts[i].data, parts[i].len);
            p += parts[i].len;
        }
    }
    *ret = span_make(text, len);
    return 0;
}

/* A purged thing has no name any more. */
static int ref_by_id(struct render *r, uint64_t id, struct span *ret)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, id);
    struct span parts[] = {span_of("id/"), span_of(number)};
    return join(r, parts, 2, ret);
}

int render_ref(struct render *r, const struct thing *t, struct span *ret)
{
    if (t->purged) {
        return ref_by_id(r, t->id, ret);
    }
    /* "//" PATH "//" KIND "/" NAME "/" NUMBER, as far as they apply */
    struct span parts[8];
    size_t n = 0;
    if (t->ns != NAMESPACE_ROOT && t->ns != r->ns) {
        struct span path;
        int rc = path_of(r, t->ns, &path);
        if (rc != 0) {
            return rc;
        }
        parts[n++] = span_of("//");
        parts[n++] = path;
        parts[n++] = span_of("//");
    }
    parts[n++] = span_of(kind_name(t->kind));
    parts[n++] = span_of("/");
    char number[24];
    if (t->kind == KIND_VERSION) {
        struct thing *model;
        int rc = thing_of(r, t->model, &model);
        if (rc != 0) {
            return rc == CLADE_ERR_COMPACTED ? ref_by_id(r, t->id, ret) : rc;
        }
        snprintf(number, sizeof number, "/%" PRIu64, t->number);
        parts[n++] = model->name;
        parts[n++] = span_of(number);
    } else {
        parts[n++] = t->name;
    }
    return join(r, parts, n, ret);
}

int render_ref_of_id(struct render *r, uint64_t id, struct span *ret)
{
    struct thing *thing;
    int rc = thing_of(r, id, &thing);
    if (rc == CLADE_ERR_COMPACTED) {
        return ref_by_id(r, id, ret); /* what it was called then is not known any more */
    }
    return rc != 0 ? rc : render_ref(r, thing, ret);
}

static void put_stamp(const char *key,
                      const struct stamp *stamp,
                      uint64_t happened_us,
                      struct buffer *out)
{
    value_put_str(out, key);
    value_put_map(out, 3 + (happened_us != 0));
    if (happened_us != 0) {
        value_put_str(out, "happened");
        value_put_uint(out, happened_us);
    }
    value_put_str(out, "revision");
    value_put_uint(out, stamp->revision);
    value_put_str(out, "time");
    value_put_uint(out, stamp->time_us);
    value_put_str(out, "principal");
    value_put_span(out, stamp->principal);
}

static int put_reference(struct render *r, uint64_t id, struct buffer *out)
{
    struct span ref;
    int rc = render_ref_of_id(r, id, &ref);
    if (rc == 0) {
        value_put_span(out, ref);
    }
    return rc;
}

/* A type is written as users write it: without its kind. */
static int put_type(struct render *r, uint64_t id, struct buffer *out)
{
    struct thing *type;
    int rc = thing_of(r, id, &type);
    if (rc == CLADE_ERR_COMPACTED) {
        return put_reference(r, id, out);
    }
    if (rc != 0) {
        return rc;
    }
    const uint8_t *colon = memchr(type->name.data, ':', type->name.len);
    size_t skip = colon != NULL ? (size_t)(colon - type->name.data) + 1 : 0;
    value_put_span(out, span_skip(type->name, skip));
    return 0;
}

/* --- Props ---------------------------------------------------------------------------------- */

static void put_tag(const char *tag, struct buffer *out)
{
    value_put_map(out, 1);
    value_put_str(out, tag);
}

static int put_item(struct render *r,
                    unsigned type,
                    const struct prop_item *item,
                    struct buffer *out)
{
    double d;
    switch (type) {
    case PROP_STRING:
        value_put_span(out, item->text);
        break;
    case PROP_INT:
        value_put_int(out, (int64_t)item->bits);
        break;
    case PROP_FLOAT:
        memcpy(&d, &item->bits, sizeof d);
        value_put_double(out, d);
        break;
    case PROP_BOOL:
        value_put_bool(out, item->bits != 0);
        break;
    case PROP_TIME:
        put_tag("time", out);
        value_put_uint(out, item->bits);
        break;
    case PROP_JSON:
        put_tag("json", out);
        value_put_span(out, item->text);
        break;
    default:
        put_tag("ref", out);
        return put_reference(r, item->bits, out);
    }
    return 0;
}

int render_prop(struct render *r, struct span value, struct buffer *out)
{
    struct prop_reader reader = prop_read(value);
    struct prop_item item;
    if (!reader.is_list) {
        return prop_next(&reader, &item) == 1 ? put_item(r, reader.type, &item, out) : 0;
    }
    size_t at = value_begin_array(out);
    uint32_t len = 0;
    int rc = 0;
    for (; rc == 0 && prop_next(&reader, &item) == 1; len++) {
        rc = put_item(r, reader.type, &item, out);
    }
    value_end(out, at, len);
    return rc;
}

/* A declaration as it is written; what is not so is left out. */
static void put_decl(struct span bytes, struct buffer *out)
{
    static const struct {
        unsigned flag;
        const char *name;
    } flags[] = {{DECL_REQUIRED, "required"}, {DECL_FIXED, "fixed"}, {DECL_INDEXED, "indexed"}};
    struct decl decl = {.type = PROP_STRING};
    (void)decl_read(bytes, &decl);
    size_t at = value_begin_map(out);
    uint32_t members = 1;
    value_put_str(out, "type");
    value_put_str(out, prop_type_text(decl.type));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if ((decl.flags & flags[i].flag) != 0) {
            value_put_str(out, flags[i].name);
            value_put_bool(out, true);
            members++;
        }
    }
    if (decl.unit.len > 0) {
        value_put_str(out, "unit");
        value_put_span(out, decl.unit);
        members++;
    }
    value_end(out, at, members);
}

/* --- Fields --------------------------------------------------------------------------------- */

static int put_pairs(struct render *r,
                     const struct field *field,
                     const struct field_value *v,
                     struct buffer *out)
{
    int rc = 0;
    value_put_map(out, (uint32_t)v->len);
    for (size_t i = 0; i < v->len && rc == 0; i++) {
        value_put_span(out, v->pairs[i].key);
        if (field->shape == FIELD_PROP_MAP) {
            rc = render_prop(r, v->pairs[i].value, out);
        } else {
            put_decl(v->pairs[i].value, out);
        }
    }
    return rc;
}

int render_field(struct render *r,
                 const struct field *field,
                 const struct field_value *v,
                 struct buffer *out)
{
    if (field->code == FIELD_TYPE) {
        return put_type(r, v->number, out);
    }
    switch (field->shape) {
    case FIELD_TEXT:
        value_put_span(out, v->text);
        break;
    case FIELD_PACKED:
        return render_packed(r, field, v->text, out);
    case FIELD_UINT:
    case FIELD_TIME:
        value_put_uint(out, v->number);
        break;
    case FIELD_REF:
        return put_reference(r, v->number, out);
    case FIELD_TEXT_SET:
        value_put_array(out, (uint32_t)v->len);
        for (size_t i = 0; i < v->len; i++) {
            value_put_span(out, v->texts[i]);
        }
        break;
    case FIELD_TEXT_MAP:
        value_put_map(out, (uint32_t)v->len);
        for (size_t i = 0; i < v->len; i++) {
            value_put_span(out, v->pairs[i].key);
            value_put_span(out, v->pairs[i].value);
        }
        break;
    case FIELD_BOOL:
        value_put_bool(out, v->number != 0);
        break;
    case FIELD_PROP_MAP:
    case FIELD_DECL_MAP:
        return put_pairs(r, field, v, out);
    case FIELD_UINT_MAP:
        value_put_map(out, (uint32_t)v->len);
        for (size_t i = 0; i < v->len; i++) {
            value_put_span(out, v->pairs[i].key);
            value_put_uint(out, v->pairs[i].number);
        }
        break;
    }
    return 0;
}

/* --- Edges: found by the label's number, shown in the order of its text -------------------- */

struct edge_list {
    struct render *render;
    struct shown_edge *edges;
    size_t len;
    size_t capacity;
};

struct shown_edge {
    struct span label;
    uint32_t label_id;
    uint64_t to;
};

static int collect_edge(void *arg, const struct edge *edge)
{
    struct edge_list *list = arg;
    struct render *r = list->render;
    if (list->len == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : 2 * list->capacity;
        struct shown_edge *grown = arena_calloc(r->arena, capacity, sizeof *grown);
        if (grown == NULL) {
            return arena_failure(r->arena, capacity * sizeof *grown, r->view->error);
        }
        if (list->len > 0) {
            memcpy(grown, list->edges, list->len * sizeof *grown);
        }
        list->edges = grown;
        list->capacity = capacity;
    }
    list->edges[list->len++] = (struct shown_edge){.label_id = edge->label, .to = edge->other};
    return 0;
}

static int by_label(const void *a, const void *b)
{
    const struct shown_edge *x = a;
    const struct shown_edge *y = b;
    int r = span_compare(x->label, y->label);
    return r != 0 ? r : (x->to > y->to) - (x->to < y->to);
}

static int name_labels(struct edge_list *list)
{
    struct render *r = list->render;
    for (size_t i = 0; i < list->len; i++) {
        struct shown_edge *e = &list->edges[i];
        if (i > 0 && e[-1].label_id == e->label_id) {
            e->label = e[-1].label;
            continue;
        }
        int rc = lookup_label_text(r->view, r->arena, e->label_id, &e->label);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* A thing may have very many edges: what is read for one is not kept for the next. */
static int put_end(struct render *r, uint64_t id, struct buffer *out)
{
    struct render one = *r;
    struct arena arena;
    arena_init(&arena, END_ARENA_BYTES);
    one.arena = &arena;
    int rc = put_reference(&one, id, out);
    arena_release(&arena);
    return rc;
}

static int put_edge_props(struct render *r,
                          uint64_t from,
                          const struct shown_edge *e,
                          struct buffer *out,
                          uint32_t *members)
{
    struct render one = *r;
    struct arena arena;
    struct edge_props p;
    arena_init(&arena, END_ARENA_BYTES);
    one.arena = &arena;
    int rc = lookup_edge_props(r->view, &arena, from, e->label_id, e->to, &p);
    if (rc == 0 && p.props.len > 0) {
        value_put_str(out, "props");
        rc = render_field(&one, field_by_code(FIELD_PROPS), &p.props, out);
        ++*members;
    }
    arena_release(&arena);
    return rc == 1 ? 0 : rc;
}

static int put_edges(struct render *r, const struct thing *t, struct buffer *out)
{
    struct edge_list list = {.render = r};
    uint64_t id = t->id;
    bool has_props = false;
    int rc = t->purged ? 0 : lookup_has_edge_props(r->view, id, &has_props);
    if (rc != 0) {
        return rc;
    }
    rc = lookup_edges(r->view, TABLE_EDGES_OUT, id, collect_edge, &list);
    if (rc == 0) {
        rc = name_labels(&list);
    }
    if (rc != 0) {
        return rc;
    }
    if (list.len > 1) {
        qsort(list.edges, list.len, sizeof *list.edges, by_label);
    }
    value_put_str(out, "edges");
    value_put_array(out, (uint32_t)list.len);
    for (size_t i = 0; i < list.len && rc == 0 && !out->failed; i++) {
        size_t at = value_begin_map(out);
        uint32_t members = 3;
        value_put_str(out, "label");
        value_put_span(out, list.edges[i].label);
        value_put_str(out, "to");
        rc = put_end(r, list.edges[i].to, out);
        value_put_str(out, "id");
        value_put_uint(out, list.edges[i].to);
        if (rc == 0 && has_props) {
            rc = put_edge_props(r, id, &list.edges[i], out, &members);
        }
        value_end(out, at, members);
    }
    return rc;
}

/* The owner that a thing without one has: its namespace's, or that of the nearest namespace above
 * it that has one; and whose it is. */
static int put_owner(struct render *r, const struct thing *t, struct buffer *out, uint32_t *members)
{
    struct thing *ns = NULL;
    struct span path = t->name; /* of a namespace: those above it count */
    int rc = 0;
    if (t->kind != KIND_NAMESPACE) {
        rc = thing_of(r, t->ns, &ns);
        path = rc == 0 ? ns->name : path;
    }
    while (rc == 0 && (ns == NULL || !ns->fields[FIELD_OWNER].set)) {
        while (path.len > 0 && path.data[path.len - 1] != '/') {
            path.len--;
        }
        if (path.len == 0) {
            return 0;
        }
        path.len--;
        rc = lookup_name(r->view, r->arena, NAME_SPACE_NAMES, NAMESPACE_ROOT, KIND_NAMESPACE, path,
                         false, &ns);
    }
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    value_put_str(out, "owner");
    value_put_span(out, ns->fields[FIELD_OWNER].text);
    value_put_str(out, "owner_from");
    *members += 2;
    return put_reference(r, ns->id, out);
}

static int put_full(struct render *r, const struct thing *t, struct buffer *out, uint32_t *members)
{
    int rc = 0;
    if (t->ns != NAMESPACE_ROOT) {
        struct span path;
        rc = path_of(r, t->ns, &path);
        if (rc != 0) {
            return rc;
        }
        value_put_str(out, "namespace");
        value_put_span(out, path);
        ++*members;
    }
    if (t->kind == KIND_VERSION) {
        value_put_str(out, "model");
        rc = put_reference(r, t->model, out);
        value_put_str(out, "number");
        value_put_uint(out, t->number);
        *members += 2;
    } else if (!t->purged) {
        value_put_str(out, "name");
        value_put_span(out, t->name);
        ++*members;
    }
    put_stamp("created", &t->created, t->happened_us, out);
    put_stamp("changed", &t->changed, 0, out);
    *members += 2;
    for (int code = 1; code < FIELD_CODE_COUNT && rc == 0; code++) {
        const struct field_value *v = &t->fields[code];
        /* A set or a map that was emptied is not shown. */
        const struct field *field = field_by_code((enum field_code)code);
        if (v->set && field != NULL) {
            value_put_str(out, field->name);
            rc = render_field(r, field, v, out);
            ++*members;
        }
    }
    return rc != 0 || t->fields[FIELD_OWNER].set ? rc : put_owner(r, t, out, members);
}

int render_thing(struct render *r,
                 const struct thing *t,
                 const struct render_options *options,
                 struct buffer *out)
{
    if (options->view == CLADE_VIEW_IDS) {
        value_put_uint(out, t->id);
        return 0;
    }
    bool live;
    struct span ref;
    int rc = lookup_is_live(r->view, r->arena, t, &live);
    if (rc == 0) {
        rc = render_ref(r, t, &ref);
    }
    if (rc != 0) {
        return rc;
    }
    size_t at = value_begin_map(out);
    uint32_t members = 4;
    value_put_str(out, "id");
    value_put_uint(out, t->id);
    value_put_str(out, "kind");
    value_put_str(out, kind_name(t->kind));
    value_put_str(out, "ref");
    value_put_span(out, ref);
    value_put_str(out, "state");
    value_put_str(out, live ? "live" : "deleted");
    if (t->purged) {
        value_put_str(out, "purged");
        value_put_bool(out, true);
        members++;
    }
    if (options->with_depth) {
        value_put_str(out, "depth");
        value_put_uint(out, options->depth);
        members++;
    }
    if (options->view == CLADE_VIEW_FULL) {
        rc = put_full(r, t, out, &members);
    }
    if (rc == 0 && options->with_aliases && (t->kind == KIND_MODEL || t->kind == KIND_VERSION)) {
        rc = render_aliases(r, t, out);
        members++;
    }
    if (rc == 0 && options->with_edges) {
        rc = put_edges(r, t, out);
        members++;
    }
    if (rc == 0 && options->with_params) {
        rc = render_params(r, t, out);
        members++;
    }
    if (rc == 0 && options->with_metrics) {
        rc = render_metrics(r, t, out);
        members++;
    }
    if (rc == 0 && options->more != NULL) {
        rc = options->more(options->more_arg, out, &members);
    }
    value_end(out, at, members);
    return rc;
}
