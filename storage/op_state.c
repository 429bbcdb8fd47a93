/* The operations on what a thing is called and whether it may go: rename, hold, release, undelete.
 */
#include <inttypes.h>

#include "storage/floor.h"
#include "storage/namespace.h"
#include "storage/pointer.h"
#include "storage/stages.h"
#include "storage/target.h"
#include "storage/usage.h"

static int conflict(struct command *c, const struct thing *with)
{
    c->error->id = with->id;
    c->error->revision = with->changed.revision;
    return CLADE_ERR_CONFLICT;
}

/* Whether the thing may be called that, and nobody else is. */
static int check_name(struct command *c, const struct thing *thing, struct span name)
{
    bool keeps = thing->kind == KIND_VERSION || thing->kind == KIND_NAMESPACE;
    if (keeps && !span_equal(name, thing->name)) {
        return error_set(c->error, CLADE_ERR_INVALID, "name", "%s keeps its %s",
                         kind_with_article(thing->kind),
                         thing->kind == KIND_VERSION ? "number" : "path");
    }
    int rc = name_check(thing->kind, name, c->error);
    if (rc != 0) {
        error_prefix_where(c->error, "name");
        return rc;
    }
    struct thing *there;
    rc = lookup_name(c->view, c->scratch, NAME_SPACE_NAMES, thing->ns, thing->kind, name, false,
                     &there);
    if (rc != 0 || there->id == thing->id) {
        return rc == 1 ? 0 : rc;
    }
    error_set(c->error, CLADE_ERR_CONFLICT, "name", "the name \"%.*s\" belongs to id/%" PRIu64,
              SPAN_FMT(name), there->id);
    return conflict(c, there);
}

/* A type is of a kind for good: things of other kinds may not have it. */
static int check_type_kind(struct command *c, const struct thing *type, struct span name)
{
    const uint8_t *colon = memchr(type->name.data, ':', type->name.len);
    size_t len = colon == NULL ? 0 : (size_t)(colon - type->name.data) + 1;
    bool same = name.len > len && memcmp(name.data, type->name.data, len) == 0;
    return same ? 0
                : error_set(c->error, CLADE_ERR_INVALID, "name", "a type keeps its kind: %.*sNAME",
                            (int)len, (const char *)type->name.data);
}

int op_rename(struct command *c, const struct op *op)
{
    struct thing *thing;
    int rc = command_resolve(c, &op->ref, "ref", &thing);
    if (rc != 0) {
        return rc;
    }
    c->op_ids[c->op] = thing->id;
    rc = check_name(c, thing, op->name);
    if (rc == 0 && thing->kind == KIND_TYPE) {
        rc = check_type_kind(c, thing, op->name);
    }
    struct thing renamed = *thing;
    renamed.name = op->name;
    bool changed = !span_equal(thing->name, op->name);
    if (rc == 0 && changed) {
        rc = thing_replace(c, thing, &renamed);
    }
    return rc != 0 ? rc : command_answer(c, changed ? "changed" : "unchanged", &renamed);
}

/* --- Holds --------------------------------------------------------------------------------- */

int command_check_hold(struct command *c, const struct thing *thing)
{
    const struct field_value *hold = &thing->fields[FIELD_HOLD];
    if (!hold->set) {
        return 0;
    }
    error_set(c->error, CLADE_ERR_CONFLICT, "ref", "the %s is held%s%.*s; release it first",
              kind_name(thing->kind), hold->text.len > 0 ? ": " : "", SPAN_FMT(hold->text));
    return conflict(c, thing);
}

/* Of what was purged nothing is left to be kept or brought back. */
static int check_kept(struct command *c, const struct thing *thing)
{
    if (!thing->purged) {
        return 0;
    }
    error_set(c->error, CLADE_ERR_CONFLICT, "ref", "the %s id/%" PRIu64 " was purged",
              kind_name(thing->kind), thing->id);
    return conflict(c, thing);
}

static int set_hold(struct command *c, const struct op *op, const struct field_value *hold)
{
    struct thing *thing;
    int rc = command_resolve_any(c, &op->ref, "ref", &thing);
    if (rc != 0) {
        return rc;
    }
    c->op_ids[c->op] = thing->id;
    rc = check_kept(c, thing);
    if (rc != 0) {
        return rc;
    }
    struct thing held = *thing;
    const struct field_value *is = &thing->fields[FIELD_HOLD];
    bool changed = is->set != hold->set || !span_equal(is->text, hold->text);
    held.fields[FIELD_HOLD] = *hold;
    if (changed) {
        rc = thing_replace(c, thing, &held);
    }
    if (rc == 0 && is->set != hold->set) {
        rc = hold->set ? floor_hold(c->rows, thing) : floor_release(c->rows, thing);
    }
    return rc != 0 ? rc : command_answer(c, changed ? "changed" : "unchanged", &held);
}

int op_hold(struct command *c, const struct op *op)
{
    struct span reason = op->reason.len > 0 ? op->reason : c->txn.reason;
    return set_hold(c, op, &(struct field_value){.set = true, .text = reason});
}

int op_release(struct command *c, const struct op *op)
{
    return set_hold(c, op, &(struct field_value){0});
}

/* --- Undelete ------------------------------------------------------------------------------ */

/* A thing is not brought back where its model or its experiment is not. */
static int check_parent(struct command *c, const struct thing *thing)
{
    bool live;
    struct thing undeleted = *thing;
    undeleted.deleted = false;
    int rc = lookup_is_live(c->view, c->scratch, &undeleted, &live);
    if (rc != 0 || live) {
        return rc;
    }
    bool version = thing->kind == KIND_VERSION;
    uint64_t parent = version ? thing->model : thing->fields[FIELD_EXPERIMENT].number;
    error_set(c->error, CLADE_ERR_CONFLICT, "ref",
              "the %s id/%" PRIu64 " is deleted, and its %s with it: undelete that one",
              version ? "model" : "experiment", parent, kind_name(thing->kind));
    c->error->id = parent;
    return CLADE_ERR_CONFLICT;
}

static int refuse_dead_place(struct command *c, const struct thing *thing, const struct thing *ns)
{
    error_set(c->error, CLADE_ERR_CONFLICT, "ref",
              "the %s id/%" PRIu64 " is in namespace \"%.*s\", which is deleted: undelete that one",
              kind_name(thing->kind), thing->id, SPAN_FMT(ns->name));
    return conflict(c, ns);
}

/* Runs of other namespaces come back with their experiment. */
static int check_dependents(struct command *c, const struct thing *thing)
{
    struct dependents d;
    struct thing *ns;
    uint64_t id = 0;
    int rc;
    while ((rc = dependents_next(c->view, thing->id, id, &id, &d)) == 0) {
        rc = d.things > 0 ? lookup_thing(c->view, c->scratch, id, &ns) : 0;
        if (rc != 0 || (d.things > 0 && ns->deleted)) {
            return rc != 0 ? rc : refuse_dead_place(c, thing, ns);
        }
        id++;
    }
    return rc == 1 ? 0 : rc;
}

/* Nothing lives in a namespace that is deleted, and none under it. */
static int check_place(struct command *c, const struct thing *thing)
{
    struct thing *ns;
    uint64_t id = thing->ns;
    if (thing->kind != KIND_NAMESPACE) {
        int rc = lookup_thing(c->view, c->scratch, id, &ns);
        rc = rc == 0 && ns->deleted ? refuse_dead_place(c, thing, ns) : rc;
        return rc != 0 || thing->kind != KIND_EXPERIMENT ? rc : check_dependents(c, thing);
    }
    int rc = namespace_parent(c->view, c->scratch, thing->name, &id);
    if (rc == 1) {
        rc = error_set(c->error, CLADE_ERR_CONFLICT, "ref",
                       "the namespace above \"%.*s\" is deleted: undelete that one",
                       SPAN_FMT(thing->name));
    }
    return rc;
}

static int check_external_ids(struct command *c, const struct thing *thing)
{
    const struct field_value *ids = &thing->fields[FIELD_EXTERNAL_IDS];
    for (size_t i = 0; i < ids->len; i++) {
        struct thing *there;
        int rc = lookup_name(c->view, c->scratch, NAME_SPACE_EXTERNAL, thing->ns, thing->kind,
                             ids->texts[i], false, &there);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            error_set(c->error, CLADE_ERR_CONFLICT, "external_ids",
                      "the external id \"%.*s\" belongs to id/%" PRIu64 " by now",
                      SPAN_FMT(ids->texts[i]), there->id);
            return conflict(c, there);
        }
    }
    return 0;
}

/* Nothing that is deleted is served. */
static int check_targets(struct command *c, const struct thing *deployment)
{
    struct span targets = deployment->fields[FIELD_TARGETS].text;
    for (size_t i = 0; i < targets_len(targets); i++) {
        struct thing *version;
        bool live;
        int rc = lookup_thing(c->view, c->scratch, target_at(targets, i).version, &version);
        rc = rc != 0 ? rc : lookup_is_live(c->view, c->scratch, version, &live);
        if (rc != 0) {
            return rc;
        }
        if (!live) {
            error_set(c->error, CLADE_ERR_CONFLICT, "ref",
                      "the deployment serves id/%" PRIu64 ", which is deleted: undelete that one",
                      version->id);
            return command_say_there(c, version);
        }
    }
    return 0;
}

/* A stage that holds one version of a model may have another by now. */
static int check_stage(struct command *c, const struct thing *version)
{
    struct span name = stage_of(version);
    struct stage_list list;
    int rc = stages_of(c->view, c->scratch, version->ns, &list);
    const struct stage *stage = rc == 0 ? stages_find(&list, name) : NULL;
    if (stage == NULL || stage->multiple) {
        return rc;
    }
    struct key prefix = key_stage(version->ns, name, version->model, 0);
    struct pointer at;
    struct thing *there;
    rc = pointer_first(c->view, TABLE_STAGES, &prefix, &at);
    rc = rc != 0 ? rc : lookup_thing(c->view, c->scratch, at.what, &there);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    error_set(c->error, CLADE_ERR_CONFLICT, "ref",
              "its stage %.*s holds one version of a model, and version %" PRIu64
              " is in it by now",
              SPAN_FMT(name), there->number);
    return command_say_there(c, there);
}

static int check_pointers(struct command *c, const struct thing *thing)
{
    return thing->kind == KIND_DEPLOYMENT ? check_targets(c, thing)
           : thing->kind == KIND_VERSION  ? check_stage(c, thing)
                                          : 0;
}

int op_undelete(struct command *c, const struct op *op)
{
    struct thing *thing;
    int rc = command_resolve_any(c, &op->ref, "ref", &thing);
    if (rc != 0) {
        return rc;
    }
    c->op_ids[c->op] = thing->id;
    rc = check_kept(c, thing);
    rc = rc != 0 ? rc : check_parent(c, thing);
    struct thing back = *thing;
    back.deleted = false;
    back.name = op->name.len > 0 && thing->deleted ? op->name : thing->name;
    if (rc != 0 || !thing->deleted) {
        return rc != 0 ? rc : command_answer(c, "unchanged", thing);
    }
    rc = check_place(c, thing);
    if (rc != 0) {
        return rc;
    }
    if (op->name.len > 0 || thing->kind != KIND_VERSION) {
        rc = check_name(c, thing, op->name.len > 0 ? op->name : thing->name);
    }
    if (rc == 0 && thing->kind == KIND_TYPE) {
        rc = check_type_kind(c, thing, back.name);
    }
    if (rc == 0) {
        rc = check_external_ids(c, thing);
    }
    if (rc == 0) {
        rc = check_pointers(c, thing);
    }
    if (rc == 0) {
        rc = thing_replace(c, thing, &back);
    }
    return rc != 0 ? rc : command_answer(c, "undeleted", &back);
}
