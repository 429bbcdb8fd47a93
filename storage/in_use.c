/* What aliases, stages in use and deployments point to is not deleted. It is looked at when the
 * transaction ends: what points there may let go before or after the delete. */
#include <inttypes.h>
#include <stdio.h>

#include "storage/command.h"
#include "storage/pointer.h"
#include "storage/stages.h"

static int refuse(struct command *c,
                  const struct thing *thing,
                  const char *what,
                  struct span name,
                  const char *does)
{
    return error_set(c->error, CLADE_ERR_IN_USE, "ref", "the %s is in use: %s%.*s %s",
                     kind_name(thing->kind), what, (int)(name.len < 160 ? name.len : 160),
                     (const char *)name.data, does);
}

/* The alias whose row begins with `prefix`, its text taken from the key. */
struct found {
    char text[CLADE_MAX_ALIAS_BYTES];
    size_t len;
};

static int take_alias(void *arg, const struct key *key, const struct pointer *pointer)
{
    struct found *found = arg;
    struct span text = alias_of_key(key);
    (void)pointer;
    found->len = text.len;
    memcpy(found->text, text.data, text.len);
    return 1;
}

static int check_aliases(struct command *c,
                         const struct thing *thing,
                         const struct key *prefix,
                         uint64_t model)
{
    struct found found = {.len = 0};
    int rc = pointer_each(c->view, TABLE_ALIASES, prefix, take_alias, &found);
    if (rc != 1) {
        return rc;
    }
    struct span text = span_make(found.text, found.len);
    refuse(c, thing, "the alias @", text, "points to it; move or unset it first");
    error_set_there(c->error, "@%.*s", SPAN_FMT(text));
    c->error->id = model;
    return CLADE_ERR_IN_USE;
}

static int check_deployed(struct command *c, const struct thing *thing, const struct key *prefix)
{
    struct pointer by;
    struct thing *deployment;
    int rc = pointer_first(c->view, TABLE_DEPLOYED, prefix, &by);
    if (rc == 0) {
        rc = lookup_thing(c->view, c->scratch, by.what, &deployment);
    }
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    refuse(c, thing, "the deployment ", deployment->name, "serves it; set its targets first");
    return command_say_there(c, deployment);
}

static int refuse_stage(struct command *c,
                        const struct thing *thing,
                        struct span stage,
                        const struct thing *version)
{
    char what[64] = "it is in the stage ";
    if (thing->kind == KIND_MODEL) {
        (void)snprintf(what, sizeof what, "its version %" PRIu64 " is in the stage ",
                       version->number);
    }
    refuse(c, thing, what, stage, "that counts as in use; move it to another first");
    return command_say_there(c, version);
}

static int check_version_stage(struct command *c, const struct thing *version)
{
    struct stage_list list;
    const struct field_value *v = &version->fields[FIELD_STAGE];
    int rc = v->set ? stages_of(c->view, c->scratch, version->ns, &list) : 0;
    if (rc != 0 || !v->set) {
        return rc;
    }
    const struct stage *stage = stages_find(&list, v->text);
    return stage != NULL && stage->in_use ? refuse_stage(c, version, v->text, version) : 0;
}

static int check_model_stages(struct command *c, const struct thing *model)
{
    struct stage_list list;
    int rc = stages_of(c->view, c->scratch, model->ns, &list);
    for (size_t i = 0; rc == 0 && i < list.len; i++) {
        struct key prefix = key_stage(model->ns, list.stages[i].name, model->id, 0);
        struct pointer at;
        struct thing *version;
        if (!list.stages[i].in_use) {
            continue;
        }
        rc = pointer_first(c->view, TABLE_STAGES, &prefix, &at);
        if (rc == 0) {
            rc = lookup_thing(c->view, c->scratch, at.what, &version);
        }
        if (rc == 0) {
            return refuse_stage(c, model, list.stages[i].name, version);
        }
        rc = rc == 1 ? 0 : rc;
    }
    return rc;
}

static int check_version(struct command *c, const struct thing *version)
{
    struct key aliases = key_alias_back(version->id, (struct span){0});
    struct key deployed = key_deployed(version->model, version->id, 0);
    int rc = check_aliases(c, version, &aliases, version->model);
    rc = rc != 0 ? rc : check_deployed(c, version, &deployed);
    return rc != 0 ? rc : check_version_stage(c, version);
}

static int check_model(struct command *c, const struct thing *model)
{
    struct key aliases = key_alias(model->id, (struct span){0});
    struct key deployed = key_deployed(model->id, 0, 0);
    int rc = check_aliases(c, model, &aliases, model->id);
    rc = rc != 0 ? rc : check_deployed(c, model, &deployed);
    return rc != 0 ? rc : check_model_stages(c, model);
}

static int check_deleted(struct command *c, uint64_t id)
{
    struct thing *thing;
    int rc = lookup_thing(c->view, c->scratch, id, &thing);
    if (rc != 0 || !thing->deleted) {
        return rc == 1 ? 0 : rc;
    }
    switch (thing->kind) {
    case KIND_VERSION:
        return check_version(c, thing);
    case KIND_MODEL:
        return check_model(c, thing);
    default:
        return 0;
    }
}

int command_check_in_use(struct command *c)
{
    for (size_t i = 0; i < c->txn.ops_len; i++) {
        if (c->txn.ops[i].op != OP_DELETE) {
            continue;
        }
        arena_reset(c->scratch);
        c->render = (struct render){.view = c->view, .arena = c->scratch, .ns = c->ns};
        int rc = check_deleted(c, c->op_ids[i]);
        if (rc != 0) {
            error_prefix_where(c->error, "ops[%zu]", i);
            return rc;
        }
    }
    return 0;
}
