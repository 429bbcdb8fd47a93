#include "storage/resolve.h"

#include <inttypes.h>

#include "storage/pointer.h"

static int not_found(const struct resolver *r, const struct ref *ref)
{
    const char *kind = ref->kind == KIND_NONE ? "thing" : kind_name(ref->kind);
    struct error *e = r->view->error;
    switch (ref->form) {
    case REF_ID:
        return error_set(e, CLADE_ERR_NOT_FOUND, NULL, "there is no id/%" PRIu64, ref->number);
    case REF_VERSION:
        return error_set(e, CLADE_ERR_NOT_FOUND, NULL, "model \"%.*s\" has no version %" PRIu64,
                         SPAN_FMT(ref->name), ref->number);
    case REF_ALIAS:
        return error_set(e, CLADE_ERR_NOT_FOUND, NULL, "model \"%.*s\" has no version @%.*s",
                         SPAN_FMT(ref->name), SPAN_FMT(ref->alias));
    case REF_EXTERNAL:
        return error_set(e, CLADE_ERR_NOT_FOUND, NULL,
                         "there is no %s with the external id \"%.*s\"", kind, SPAN_FMT(ref->name));
    default:
        return error_set(e, CLADE_ERR_NOT_FOUND, NULL, "there is no %s \"%.*s\"", kind,
                         SPAN_FMT(ref->name));
    }
}

static int is_deleted(const struct resolver *r, const struct thing *thing)
{
    const char *how = thing->deleted                ? "; undelete brings it back"
                      : thing->kind == KIND_VERSION ? " with its model"
                                                    : " with its experiment";
    return error_set(r->view->error, CLADE_ERR_NOT_FOUND, NULL,
                     "the %s id/%" PRIu64 " is deleted%s", kind_name(thing->kind), thing->id,
                     thing->purged ? " and purged" : how);
}

static int resolve_version(const struct resolver *r,
                           const struct ref *ref,
                           uint64_t ns,
                           struct thing **ret)
{
    struct thing *model;
    int rc = lookup_name(r->view, r->arena, NAME_SPACE_NAMES, ns, KIND_MODEL, ref->name,
                         r->any_state, &model);
    if (rc == 1) {
        return error_set(r->view->error, CLADE_ERR_NOT_FOUND, NULL, "there is no model \"%.*s\"",
                         SPAN_FMT(ref->name));
    }
    if (rc != 0) {
        return rc;
    }
    if (ref->form == REF_ALIAS) {
        rc = lookup_alias(r->view, r->arena, model->id, ref->alias, ret);
        return rc == 1 ? not_found(r, ref) : rc;
    }
    rc = lookup_version(r->view, r->arena, model->id, ref->number, ret);
    if (rc == 1) {
        uint64_t highest;
        rc = lookup_highest_version(r->view, model->id, &highest);
        if (rc == 0 && r->view->revision == UINT64_MAX && ref->number < highest) {
            return error_set(r->view->error, CLADE_ERR_NOT_FOUND, NULL,
                             "version %" PRIu64 " of model \"%.*s\" was skipped and will never be",
                             ref->number, SPAN_FMT(ref->name));
        }
        return rc == 0 ? not_found(r, ref) : rc;
    }
    return rc;
}

static int find(const struct resolver *r, const struct ref *ref, struct thing **ret)
{
    uint64_t ns = r->ns;
    if (ref->form == REF_ID) {
        return lookup_thing(r->view, r->arena, ref->number, ret);
    }
    if (ref->kind == KIND_NAMESPACE) {
        ns = NAMESPACE_ROOT;
    } else if (ref->ns.len > 0) {
        int rc = lookup_namespace(r->view, r->arena, ref->ns, &ns);
        if (rc == 1) {
            return error_set(r->view->error, CLADE_ERR_NOT_FOUND, NULL,
                             "there is no namespace \"%.*s\"", SPAN_FMT(ref->ns));
        }
        if (rc != 0) {
            return rc;
        }
    }
    if (ref->form == REF_VERSION || ref->form == REF_ALIAS) {
        return resolve_version(r, ref, ns, ret);
    }
    enum name_space space = ref->form == REF_EXTERNAL ? NAME_SPACE_EXTERNAL : NAME_SPACE_NAMES;
    return lookup_name(r->view, r->arena, space, ns, ref->kind, ref->name, r->any_state, ret);
}

int resolve(const struct resolver *r, const struct ref *ref, struct thing **ret)
{
    if (ref->form == REF_OP || ref->form == REF_OP_NAME) {
        return error_set(r->view->error, CLADE_ERR_INVALID, NULL,
                         "a $ reference means an operation of the same transaction");
    }
    struct thing *thing;
    int rc = find(r, ref, &thing);
    if (rc == 1) {
        return not_found(r, ref);
    }
    if (rc != 0) {
        return rc;
    }
    if (!r->any_state) {
        bool live;
        rc = lookup_is_live(r->view, r->arena, thing, &live);
        if (rc != 0 || !live) {
            return rc != 0 ? rc : is_deleted(r, thing);
        }
    }
    *ret = thing;
    return 0;
}
