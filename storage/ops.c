/* The operations on things that are there: update, delete, link, unlink. */
#include <inttypes.h>

#include "storage/usage.h"

/* Nothing that is live may be in it or under it. What is deleted stays reachable by id. */
static int check_empty(struct command *c, const struct thing *ns)
{
    if (ns->id == NAMESPACE_DEFAULT) {
        return error_set(c->error, CLADE_ERR_INVALID, "ref",
                         "the namespace \"default\" is always there");
    }
    uint64_t own[USE_COUNT];
    int rc = usage_own(c, ns->id, own);
    for (int kind = KIND_NONE + 1; kind < KIND_COUNT && rc == 0; kind++) {
        if (own[kind] > 0) {
            rc = error_set(c->error, CLADE_ERR_IN_USE, "ref",
                           "namespace \"%.*s\" is not empty: it holds %" PRIu64 " of kind %s",
                           SPAN_FMT(ns->name), own[kind], kind_name((enum kind)kind));
        }
    }
    return rc;
}

int op_update(struct command *c, const struct op *op)
{
    struct thing *thing;
    int rc = command_resolve(c, &op->ref, "ref", &thing);
    if (rc != 0) {
        return rc;
    }
    c->op_ids[c->op] = thing->id;
    struct thing merged = *thing;
    bool changed;
    rc = fields_apply(c, op, WRITE_UPDATE, &merged, &changed);
    if (rc == 0 && changed) {
        rc = thing_replace(c, thing, &merged);
    }
    return rc != 0 ? rc : command_answer(c, changed ? "changed" : "unchanged", &merged);
}

/* What a model holds is hidden with it and not touched: its versions' rows stay. Whether something
 * points to the thing is seen when the command ends, since a later operation may release it. */
int op_delete(struct command *c, const struct op *op)
{
    struct thing *thing;
    int rc = command_resolve(c, &op->ref, "ref", &thing);
    if (rc == 0 && thing->kind == KIND_NAMESPACE) {
        rc = check_empty(c, thing);
    }
    if (rc == 0) {
        rc = command_check_hold(c, thing);
    }
    if (rc != 0) {
        return rc;
    }
    c->op_ids[c->op] = thing->id;
    struct thing gone = *thing;
    gone.deleted = true;
    rc = thing_replace(c, thing, &gone);
    return rc != 0 ? rc : command_answer(c, "deleted", thing);
}

static int ends_of(struct command *c, const struct op *op, struct thing **from, struct thing **to)
{
    int rc = command_resolve(c, &op->from, "from", from);
    return rc != 0 ? rc : command_resolve(c, &op->to, "to", to);
}

int op_link(struct command *c, const struct op *op)
{
    struct thing *from;
    struct thing *to;
    bool is_new = false;
    bool is_changed = false;
    int rc = ends_of(c, op, &from, &to);
    if (rc == 0) {
        rc = edge_link(c, from, op->label, to->id, &is_new);
    }
    if (rc == 0) {
        rc = edge_write_props(c, op, from, to->id, is_new, &is_changed);
    }
    const char *status = is_new ? "created" : is_changed ? "changed" : "unchanged";
    return rc != 0 ? rc : command_answer(c, status, NULL);
}

int op_unlink(struct command *c, const struct op *op)
{
    struct thing *from;
    struct thing *to;
    bool is_gone;
    int rc = ends_of(c, op, &from, &to);
    if (rc == 0) {
        rc = edge_unlink(c, from, op->label, to->id, &is_gone);
    }
    return rc != 0 ? rc : command_answer(c, is_gone ? "deleted" : "unchanged", NULL);
}
