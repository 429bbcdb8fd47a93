/* Operations and guards on aliases, stages and targets. */
#include "command/stage.h"
#include "command/txn_internal.h"

#define SHARE_ALL 10000

static const char *const set_alias_keys[] = {"op", "as", "ref", "alias", "expect", NULL};
static const char *const set_stage_keys[] = {"op",     "as",       "ref", "stage",
                                             "expect", "displace", NULL};
static const char *const set_targets_keys[] = {"op", "as", "ref", "targets", NULL};
static const char *const target_keys[] = {"version", "share", "mode", NULL};

/* The thing that an operation is of: its keys are known, it is of that kind if that can be told. */
static int take_subject(struct txn_decode *d,
                        const struct value *map,
                        const char *const keys[],
                        enum kind wanted,
                        struct op *op)
{
    if (!value_keys_known(map, keys, d->error)) {
        return CLADE_ERR_INVALID;
    }
    int r = txn_take_ref(d, map, "ref", &op->ref, &op->kind);
    if (r == 0) {
        r = check_ref_kind(op->kind, wanted, d->error);
        r = r == 0 ? 0 : check_fail_inside(d->error, r, "ref");
    }
    return r;
}

/* A version's number, or "unset". */
static int take_expect(const struct value *map,
                       const char *key,
                       struct expect *ret,
                       struct error *error)
{
    const struct value *v = value_get(map, key);
    if (v == NULL) {
        return 0;
    }
    bool unset = span_equal_str(value_string(v), "unset");
    if (!unset && value_uint(v) == 0) {
        return check_fail(error, CLADE_ERR_INVALID, key,
                          "expected a version's number (from 1), or \"unset\"");
    }
    *ret = (struct expect){.given = true, .number = value_uint(v)};
    return 0;
}

static int take_alias(const struct value *map, struct span *ret, struct error *error)
{
    int r = take_text(map, "alias", true, SIZE_MAX, ret, error);
    if (r == 0) {
        r = alias_check(*ret, error);
        r = r == 0 ? 0 : check_fail_inside(error, r, "alias");
    }
    return r;
}

static int take_own_alias(struct txn_decode *d, const struct value *map, struct op *op)
{
    int r = take_alias(map, &op->alias, d->error);
    if (r == 0 && span_equal_str(op->alias, "latest")) {
        r = check_fail(d->error, CLADE_ERR_INVALID, "alias",
                       "\"latest\" always means the highest live version; it cannot be moved");
    }
    return r != 0 ? r : take_expect(map, "expect", &op->expect, d->error);
}

int txn_decode_set_alias(struct txn_decode *d, const struct value *map, struct op *op)
{
    int r = take_subject(d, map, set_alias_keys, KIND_VERSION, op);
    return r != 0 ? r : take_own_alias(d, map, op);
}

int txn_decode_unset_alias(struct txn_decode *d, const struct value *map, struct op *op)
{
    int r = take_subject(d, map, set_alias_keys, KIND_MODEL, op);
    return r != 0 ? r : take_own_alias(d, map, op);
}

static int take_stage(
    const struct value *map, const char *key, bool required, struct span *ret, struct error *error)
{
    int r = take_text(map, key, required, SIZE_MAX, ret, error);
    if (r == 0 && ret->len > 0) {
        r = stage_check(*ret, error);
        r = r == 0 ? 0 : check_fail_inside(error, r, "%s", key);
    }
    return r;
}

int txn_decode_set_stage(struct txn_decode *d, const struct value *map, struct op *op)
{
    int r = take_subject(d, map, set_stage_keys, KIND_VERSION, op);
    r = r != 0 ? r : take_stage(map, "stage", true, &op->stage, d->error);
    r = r != 0 ? r : take_stage(map, "expect", false, &op->expect_stage, d->error);
    r = r != 0 ? r : take_stage(map, "displace", false, &op->displace, d->error);
    if (r == 0 && span_equal(op->stage, op->displace)) {
        r = check_fail(d->error, CLADE_ERR_INVALID, "displace",
                       "names the stage for those that leave \"%.*s\": another one",
                       SPAN_FMT(op->stage));
    }
    if (r == 0 && op->displace.len > 0 && span_equal_str(op->stage, STAGE_NONE)) {
        r = check_fail(d->error, CLADE_ERR_INVALID, "displace",
                       "\"" STAGE_NONE "\" takes any number of versions; nothing leaves it");
    }
    return r;
}

static int decode_target(struct txn_decode *d, const struct value *map, struct target_write *target)
{
    static const char *const modes[] = {"serving", "shadow", NULL};
    int mode = 0;
    uint64_t share = SHARE_ALL;
    enum kind kind = KIND_NONE;
    if (value_type(map) != CLADE_MAP) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL, "a target is a map, not %s",
                          check_type_text(map));
    }
    if (!value_keys_known(map, target_keys, d->error)) {
        return CLADE_ERR_INVALID;
    }
    int r = txn_take_ref(d, map, "version", &target->version, &kind);
    if (r == 0) {
        r = check_ref_kind(kind, KIND_VERSION, d->error);
        r = r == 0 ? 0 : check_fail_inside(d->error, r, "version");
    }
    r = r != 0 ? r : take_uint(map, "share", false, UINT64_MAX, &share, d->error);
    if (r == 0 && share > SHARE_ALL) {
        r = check_fail(d->error, CLADE_ERR_INVALID, "share",
                       "a share is in 1/10,000: at most %d, which is all of it", SHARE_ALL);
    }
    r = r != 0 ? r : take_choice(map, "mode", false, modes, &mode, d->error);
    target->share = (uint16_t)share;
    target->shadow = mode == 1;
    return r;
}

/* What is served adds up to the whole, or a part of the traffic would go nowhere. */
static int check_shares(const struct op *op, struct error *error)
{
    unsigned sum = 0;
    bool serving = false;
    for (size_t i = 0; i < op->targets_len; i++) {
        serving = serving || !op->targets[i].shadow;
        sum += op->targets[i].shadow ? 0u : op->targets[i].share;
    }
    return !serving || sum == SHARE_ALL
               ? 0
               : check_fail(error, CLADE_ERR_INVALID, "targets",
                            "the shares of the serving targets add up to %u of %d", sum, SHARE_ALL);
}

int txn_decode_set_targets(struct txn_decode *d, const struct value *map, struct op *op)
{
    int r = take_subject(d, map, set_targets_keys, KIND_DEPLOYMENT, op);
    if (r != 0) {
        return r;
    }
    const struct value *list = value_get(map, "targets");
    size_t len = value_len(list);
    if (value_type(list) != CLADE_ARRAY) {
        return check_fail(d->error, CLADE_ERR_INVALID, "targets",
                          "expected an array of targets; an empty one takes all away");
    }
    if (len > CLADE_MAX_TARGETS) {
        return check_fail(d->error, CLADE_ERR_LIMIT, "targets",
                          "a deployment has at most %d targets, got %zu", (int)CLADE_MAX_TARGETS,
                          len);
    }
    op->targets = arena_calloc(d->arena, len + 1, sizeof *op->targets);
    if (op->targets == NULL) {
        return check_fail_no_room(d->arena, (len + 1) * sizeof *op->targets, d->error);
    }
    for (op->targets_len = 0; op->targets_len < len; op->targets_len++) {
        size_t i = op->targets_len;
        r = decode_target(d, value_at(list, i), &op->targets[i]);
        if (r != 0) {
            return check_fail_inside(d->error, r, "targets[%zu]", i);
        }
    }
    return check_shares(op, d->error);
}

static int refuse_key(const struct value *map, const char *key, struct error *error)
{
    return value_get(map, key) == NULL
               ? 0
               : check_fail(error, CLADE_ERR_INVALID, key, "this guard has no \"%s\"", key);
}

int txn_decode_pointer_guard(const struct value *map, struct guard *guard, struct error *error)
{
    int r = 0;
    switch (guard->kind) {
    case GUARD_ALIAS:
        r = check_ref_kind(guard->ref.kind, KIND_MODEL, error);
        if (r != 0) {
            return check_fail_inside(error, r, "ref");
        }
        r = take_alias(map, &guard->alias, error);
        r = r != 0 ? r : take_expect(map, "is", &guard->is, error);
        if (r == 0 && !guard->is.given) {
            r = check_fail(error, CLADE_ERR_INVALID, "is", "the key \"is\" is missing");
        }
        return r;
    case GUARD_STAGE:
        r = check_ref_kind(guard->ref.kind, KIND_VERSION, error);
        if (r != 0) {
            return check_fail_inside(error, r, "ref");
        }
        r = refuse_key(map, "alias", error);
        return r != 0 ? r : take_stage(map, "is", true, &guard->stage, error);
    default:
        r = refuse_key(map, "alias", error);
        return r != 0 ? r : refuse_key(map, "is", error);
    }
}
