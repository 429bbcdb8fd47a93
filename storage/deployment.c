/* Deployments: which versions they serve; and the index rows of stages and targets, which follow
 * from the records. */
#include <inttypes.h>

#include "base/check.h"
#include "storage/command.h"
#include "storage/pointer.h"
#include "storage/target.h"

/* --- Index rows ------------------------------------------------------------------------------ */

static struct span stage_held(const struct thing *t)
{
    const struct field_value *v = &t->fields[FIELD_STAGE];
    return t->kind == KIND_VERSION && !t->deleted && v->set ? v->text : (struct span){0};
}

static int follow_stage(struct command *c, const struct thing *before, const struct thing *t)
{
    struct span had = before != NULL ? stage_held(before) : (struct span){0};
    struct span has = stage_held(t);
    int rc = 0;
    if (span_equal(had, has)) {
        return 0;
    }
    if (had.len > 0) {
        struct key key = key_stage(t->ns, had, t->model, t->id);
        rc = pointer_unset(c, TABLE_STAGES, &key);
    }
    if (rc == 0 && has.len > 0) {
        struct key key = key_stage(t->ns, has, t->model, t->id);
        rc = pointer_set(c, TABLE_STAGES, &key, t->id);
    }
    return rc;
}

static struct span targets_held(const struct thing *t)
{
    const struct field_value *v = &t->fields[FIELD_TARGETS];
    return t->kind == KIND_DEPLOYMENT && !t->deleted && v->set ? v->text : (struct span){0};
}

static bool has_version(struct span targets, uint64_t version)
{
    for (size_t i = 0; i < targets_len(targets); i++) {
        if (target_at(targets, i).version == version) {
            return true;
        }
    }
    return false;
}

static int follow_targets(struct command *c, const struct thing *before, const struct thing *t)
{
    struct span had = before != NULL ? targets_held(before) : (struct span){0};
    struct span has = targets_held(t);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < targets_len(had); i++) {
        struct target target = target_at(had, i);
        struct key key = key_deployed(target.model, target.version, t->id);
        rc = has_version(has, target.version) ? 0 : pointer_unset(c, TABLE_DEPLOYED, &key);
    }
    for (size_t i = 0; rc == 0 && i < targets_len(has); i++) {
        struct target target = target_at(has, i);
        struct key key = key_deployed(target.model, target.version, t->id);
        rc = has_version(had, target.version) ? 0 : pointer_set(c, TABLE_DEPLOYED, &key, t->id);
    }
    return rc;
}

int pointers_follow(struct command *c, const struct thing *before, const struct thing *t)
{
    switch (t->kind) {
    case KIND_VERSION:
        return follow_stage(c, before, t);
    case KIND_DEPLOYMENT:
        return follow_targets(c, before, t);
    default:
        return 0;
    }
}

/* --- set_targets ------------------------------------------------------------------------------ */

static int take_target(struct command *c,
                       const struct target_write *w,
                       struct span before,
                       uint8_t bytes[TARGET_BYTES])
{
    struct thing *version;
    int rc = command_resolve(c, &w->version, "version", &version);
    if (rc != 0) {
        return rc;
    }
    if (version->kind != KIND_VERSION) {
        return command_wrong_kind(c, "version", KIND_VERSION, version);
    }
    if (has_version(before, version->id)) {
        struct span ref = {0};
        rc = render_ref(&c->render, version, &ref);
        return rc != 0 ? rc
                       : error_set(c->error, CLADE_ERR_INVALID, "version",
                                   "%.*s is a target already", SPAN_FMT(ref));
    }
    struct target target = {
        .model = version->model, .version = version->id, .share = w->share, .shadow = w->shadow};
    target_pack(&target, bytes);
    return 0;
}

static int take_targets(struct command *c, const struct op *op, struct field_value *ret)
{
    size_t size = op->targets_len * TARGET_BYTES;
    uint8_t *bytes = arena_alloc(c->scratch, size + 1);
    if (bytes == NULL) {
        return arena_failure(c->scratch, size + 1, c->error);
    }
    for (size_t i = 0; i < op->targets_len; i++) {
        struct span before = span_make(bytes, i * TARGET_BYTES);
        int rc = take_target(c, &op->targets[i], before, bytes + i * TARGET_BYTES);
        if (rc != 0) {
            error_prefix_where(c->error, "targets[%zu]", i);
            return rc;
        }
    }
    *ret = (struct field_value){.set = size > 0, .text = span_make(bytes, size)};
    return 0;
}

int op_set_targets(struct command *c, const struct op *op)
{
    struct thing *deployment;
    int rc = command_subject(c, op, KIND_DEPLOYMENT, &deployment);
    if (rc != 0) {
        return rc;
    }
    struct thing changed = *deployment;
    struct field_value *targets = &changed.fields[FIELD_TARGETS];
    rc = take_targets(c, op, targets);
    if (rc != 0) {
        return rc;
    }
    bool same = span_equal(targets->text, deployment->fields[FIELD_TARGETS].text);
    if (!same) {
        rc = thing_replace(c, deployment, &changed);
    }
    return rc != 0 ? rc : command_answer(c, same ? "unchanged" : "changed", &changed);
}
