/* The operation `create`: finds what is there, else makes it. */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "storage/namespace.h"

#define ASSIGNED_NAME_BYTES 48
#define ASSIGNED_TRIES_MAX  1000

static int refuse(struct command *c, const struct thing *there, const char *where, const char *what)
{
    error_set(c->error, CLADE_ERR_CONFLICT, where, "%s is there already, as id/%" PRIu64, what,
              there->id);
    return command_say_there(c, there);
}

/* --- Where: the namespace, and the model of a version -------------------------------------- */

/* An operation before this one may have deleted the transaction's namespace. */
static int check_namespace(struct command *c)
{
    struct thing *ns;
    int rc = lookup_thing(c->view, c->scratch, c->ns, &ns);
    if (rc == 0 && ns->deleted) {
        rc = error_set(c->error, CLADE_ERR_NOT_FOUND, "namespace", "namespace \"%.*s\" is deleted",
                       SPAN_FMT(ns->name));
    }
    return rc;
}

static int find_place(struct command *c, const struct op *op, struct thing *new)
{
    if (op->kind == KIND_NAMESPACE) {
        new->ns = NAMESPACE_ROOT;
        return 0;
    }
    if (op->kind == KIND_VERSION) {
        struct thing *model;
        int rc = command_resolve(c, &op->ref, "model", &model);
        if (rc == 0 && model->kind != KIND_MODEL) {
            rc = command_wrong_kind(c, "model", KIND_MODEL, model);
        }
        if (rc == 0) {
            new->ns = model->ns;
            new->model = model->id;
            new->number = model->fields[FIELD_LAST_NUMBER].number; /* those that are used up */
        }
        return rc;
    }
    new->ns = c->ns;
    if (op->ns.len == 0) {
        return check_namespace(c);
    }
    int rc = lookup_namespace(c->view, c->scratch, op->ns, &new->ns);
    if (rc == 1) {
        return error_set(c->error, CLADE_ERR_NOT_FOUND, "namespace",
                         "there is no namespace \"%.*s\"", SPAN_FMT(op->ns));
    }
    return rc;
}

/* --- What is there -------------------------------------------------------------------------- */

static int by_external_id(struct command *c,
                          const struct op *op,
                          const struct thing *new,
                          struct thing **ret)
{
    for (size_t i = 0; i < op->fields_len; i++) {
        const struct field_write *w = &op->fields[i];
        for (size_t j = 0; w->field->code == FIELD_EXTERNAL_IDS && j < w->len; j++) {
            int rc = lookup_name(c->view, c->scratch, NAME_SPACE_EXTERNAL, new->ns, new->kind,
                                 w->texts[j], false, ret);
            if (rc != 1) {
                return rc;
            }
        }
    }
    return 1;
}

static int by_name(struct command *c,
                   const struct op *op,
                   const struct thing *new,
                   struct thing **ret)
{
    if (op->kind == KIND_VERSION) {
        return op->number == 0 ? 1
                               : lookup_version(c->view, c->scratch, new->model, op->number, ret);
    }
    return op->name.len == 0 ? 1
                             : lookup_name(c->view, c->scratch, NAME_SPACE_NAMES, new->ns, op->kind,
                                           op->name, false, ret);
}

/* Whether the thing that holds the external id is the one that the operation names. */
static int check_same(struct command *c,
                      const struct op *op,
                      const struct thing *new,
                      const struct thing *there)
{
    bool other_model = op->kind == KIND_VERSION && there->model != new->model;
    bool other_number = op->number != 0 && there->number != op->number;
    bool other_name = op->name.len > 0 && !span_equal(there->name, op->name);
    if (other_model || other_number || other_name) {
        return refuse(c, there, "external_ids", "a thing with the external id");
    }
    return 0;
}

/* The existing thing that the operation means: 0, 1 when there is none, or a code. */
static int find_existing(struct command *c,
                         const struct op *op,
                         const struct thing *new,
                         struct thing **ret)
{
    int rc = by_name(c, op, new, ret);
    if (rc != 1) {
        return rc;
    }
    rc = by_external_id(c, op, new, ret);
    if (rc == 0) {
        rc = check_same(c, op, new, *ret);
    }
    return rc;
}

static int take_existing(struct command *c, const struct op *op, struct thing *there)
{
    bool version = there->kind == KIND_VERSION;
    c->op_ids[c->op] = there->id;
    if (there->deleted) {
        /* Only a version's number outlives it. */
        return refuse(c, there, "number", "a deleted version of that number");
    }
    bool named = version ? op->number != 0 : op->name.len > 0;
    if (op->if_exists == CLADE_IF_EXISTS_ERROR && !named) {
        return refuse(c, there, "external_ids", "a thing with the external id");
    }
    if (op->if_exists == CLADE_IF_EXISTS_ERROR) {
        char what[64];
        snprintf(what, sizeof what, "%s of that %s", kind_with_article(op->kind),
                 version ? "number" : "name");
        return refuse(c, there, version ? "number" : "name", what);
    }
    bool live;
    int rc = lookup_is_live(c->view, c->scratch, there, &live);
    if (rc != 0) {
        return rc;
    }
    if (!live) {
        return refuse(c, there, "name", "one whose parent is deleted");
    }
    if (op->if_exists == CLADE_IF_EXISTS_RETURN) {
        return command_answer(c, "returned", there);
    }
    struct thing merged = *there;
    bool changed;
    rc = fields_apply(c, op, WRITE_MATCH, &merged, &changed);
    if (rc == 0 && changed) {
        rc = thing_replace(c, there, &merged);
    }
    return rc != 0 ? rc : command_answer(c, changed ? "changed" : "unchanged", &merged);
}

/* --- What is new ----------------------------------------------------------------------------- */

/* `_` and the id; where somebody took that, `.1`, `.2` behind it. */
static int assign_name(struct command *c, struct thing *new)
{
    char *name = arena_alloc(c->scratch, ASSIGNED_NAME_BYTES);
    if (name == NULL) {
        return arena_failure(c->scratch, ASSIGNED_NAME_BYTES, c->error);
    }
    int len = snprintf(name, ASSIGNED_NAME_BYTES, "_%" PRIu64, new->id);
    for (int i = 1; i <= ASSIGNED_TRIES_MAX; i++) {
        struct thing *there;
        new->name = span_make(name, strlen(name));
        int rc = lookup_name(c->view, c->scratch, NAME_SPACE_NAMES, new->ns, new->kind, new->name,
                             false, &there);
        if (rc != 0) {
            return rc == 1 ? 0 : rc;
        }
        snprintf(name + len, ASSIGNED_NAME_BYTES - (size_t)len, ".%d", i);
    }
    return error_set(c->error, CLADE_ERR_CONFLICT, "name",
                     "the names that the store would assign are taken; give one");
}

/* A team's path needs the part before its last '/'. */
static int check_parent(struct command *c, struct span path)
{
    size_t len = path.len;
    while (len > 0 && path.data[len - 1] != '/') {
        len--;
    }
    if (len == 0) {
        return 0;
    }
    struct span parent = span_make(path.data, len - 1);
    uint64_t id;
    int rc = lookup_namespace(c->view, c->scratch, parent, &id);
    return rc != 1 ? rc
                   : error_set(c->error, CLADE_ERR_NOT_FOUND, "name",
                               "there is no namespace \"%.*s\" to stand under", SPAN_FMT(parent));
}

/* "KIND:NAME", or "edge:LABEL". */
static int check_type_name(struct command *c, struct span name)
{
    const uint8_t *colon = name.len == 0 ? NULL : memchr(name.data, ':', name.len);
    size_t len = colon == NULL ? 0 : (size_t)(colon - name.data);
    struct span kind = span_make(name.data, len);
    bool known = span_equal_str(kind, "edge") || kind_parse(kind) != KIND_NONE;
    if (known && len + 1 < name.len) {
        return 0;
    }
    return error_set(c->error, CLADE_ERR_INVALID, "name",
                     "a type is named KIND:NAME, or edge:LABEL");
}

static int assign_number(struct command *c, const struct op *op, struct thing *new)
{
    uint64_t highest;
    int rc = lookup_highest_version(c->view, new->model, &highest);
    if (rc != 0) {
        return rc;
    }
    highest = highest < new->number ? new->number : highest;
    if (op->number != 0 && op->number <= highest) {
        error_set(c->error, CLADE_ERR_CONFLICT, "number",
                  "version %" PRIu64 " was skipped; the next may be %" PRIu64 " or above",
                  op->number, highest + 1);
        return CLADE_ERR_CONFLICT;
    }
    if (op->number == UINT64_MAX || highest == UINT64_MAX - 1) {
        return error_set(c->error, CLADE_ERR_LIMIT, "number",
                         "a version's number is below %" PRIu64, UINT64_MAX);
    }
    new->number = op->number != 0 ? op->number : highest + 1;
    return 0;
}

static int name_new(struct command *c, const struct op *op, struct thing *new)
{
    new->name = op->name;
    switch (op->kind) {
    case KIND_VERSION:
        return assign_number(c, op, new);
    case KIND_NAMESPACE:
        return check_parent(c, op->name);
    case KIND_TYPE:
        return check_type_name(c, op->name);
    default:
        return op->name.len == 0 ? assign_name(c, new) : 0;
    }
}

static int make_new(struct command *c, const struct op *op, struct thing *new)
{
    new->id = c->rows->meta.next_id++;
    c->op_ids[c->op] = new->id;
    bool changed;
    int rc = name_new(c, op, new);
    if (rc == 0) {
        rc = fields_apply(c, op, WRITE_NEW, new, &changed);
    }
    bool stub = op->if_exists == CLADE_IF_EXISTS_MATCH && op->fields_len == 0;
    if (rc == 0 && !stub) {
        rc = namespace_defaults(c, new);
    }
    if (rc == 0) {
        rc = thing_insert(c, new);
    }
    return rc != 0 ? rc : command_answer(c, "created", new);
}

int op_create(struct command *c, const struct op *op)
{
    struct thing new = {.kind = op->kind, .happened_us = c->txn.happened_us};
    int rc = find_place(c, op, &new);
    if (rc != 0) {
        return rc;
    }
    struct thing *there;
    rc = find_existing(c, op, &new, &there);
    if (rc == 1) {
        return make_new(c, op, &new);
    }
    return rc != 0 ? rc : take_existing(c, op, there);
}
