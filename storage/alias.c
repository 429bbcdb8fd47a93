/* Aliases: names of a model's own that point to one of its versions, moved by compare-and-set. */
#include <inttypes.h>
#include <stdio.h>

#include "command/value.h"
#include "storage/command.h"
#include "storage/pointer.h"

#define KEY_HEAD_BYTES 9 /* space, id */

struct span alias_of_key(const struct key *key)
{
    return span_make(key->bytes + KEY_HEAD_BYTES, key->len - KEY_HEAD_BYTES - 1u);
}

int lookup_alias(
    struct view *v, struct arena *arena, uint64_t model, struct span alias, struct thing **ret)
{
    if (span_equal_str(alias, "latest")) {
        return lookup_latest_version(v, arena, model, ret);
    }
    struct key key = key_alias(model, alias);
    struct pointer found;
    int rc = pointer_get(v, TABLE_ALIASES, &key, &found);
    if (rc == 0) {
        rc = lookup_thing(v, arena, found.what, ret);
        if (rc == 1) {
            return row_corrupt(v->error, TABLE_ALIASES, key_span(&key),
                               "names a version that is not there");
        }
    }
    return rc;
}

struct of_version {
    uint64_t version;
    pointer_cb cb;
    void *arg;
};

static int on_alias_of_model(void *arg, const struct key *key, const struct pointer *pointer)
{
    struct of_version *of = arg;
    return pointer->what == of->version ? of->cb(of->arg, key, pointer) : 0;
}

static int on_back_row(void *arg, const struct key *key, const struct pointer *pointer)
{
    struct of_version *of = arg;
    struct pointer to = {.what = of->version, .created = pointer->created};
    return of->cb(of->arg, key, &to);
}

int lookup_aliases_of(struct view *v, const struct thing *version, pointer_cb cb, void *arg)
{
    struct of_version of = {.version = version->id, .cb = cb, .arg = arg};
    bool newest;
    int rc = pointer_is_newest(v, &newest);
    if (rc != 0) {
        return rc;
    }
    /* Only what holds now is found by what it points to. */
    struct key key = newest ? key_alias_back(version->id, (struct span){0})
                            : key_alias(version->model, (struct span){0});
    return pointer_each(v, TABLE_ALIASES, &key, newest ? on_back_row : on_alias_of_model, &of);
}

/* Refuses unless `there` (NULL: unset) is what was expected. */
static int check_expected(struct command *c,
                          const struct expect *expect,
                          const char *where,
                          struct span alias,
                          const struct thing *there)
{
    uint64_t number = there != NULL ? there->number : 0;
    if (!expect->given || number == expect->number) {
        return 0;
    }
    char wanted[32] = "unset";
    char is[32] = "unset";
    if (expect->number != 0) {
        snprintf(wanted, sizeof wanted, "%" PRIu64, expect->number);
    }
    if (number != 0) {
        snprintf(is, sizeof is, "%" PRIu64, number);
    }
    error_set(c->error, CLADE_ERR_CONFLICT, where, "the alias @%.*s is %s, not %s", SPAN_FMT(alias),
              is, wanted);
    error_set_there(c->error, "%s", is);
    if (there != NULL) {
        c->error->id = there->id;
    }
    return CLADE_ERR_CONFLICT;
}

int guard_alias(struct command *c, const struct guard *g, const struct thing *model)
{
    if (model->kind != KIND_MODEL) {
        return command_wrong_kind(c, "ref", KIND_MODEL, model);
    }
    struct thing *there = NULL;
    int rc = lookup_alias(c->view, c->scratch, model->id, g->alias, &there);
    return rc < 0 ? rc : check_expected(c, &g->is, NULL, g->alias, rc == 0 ? there : NULL);
}

/* Where the alias is: 0, 1 when it is unset, or a code. */
static int find(struct command *c,
                const struct op *op,
                uint64_t model,
                struct pointer *ret,
                struct thing **ret_version)
{
    struct key key = key_alias(model, op->alias);
    int rc = pointer_get(c->view, TABLE_ALIASES, &key, ret);
    if (rc == 0) {
        rc = lookup_alias(c->view, c->scratch, model, op->alias, ret_version);
    }
    return rc;
}

/* A model's aliases are counted under its id. */
static int count(struct command *c, uint64_t model, int by)
{
    struct key key = key_u64(model);
    struct span row;
    int rc = view_get(c->view, TABLE_COUNTERS, key_span(&key), &row);
    if (rc < 0) {
        return rc;
    }
    if (rc == 0 && row.len != 8) {
        return row_corrupt(c->error, TABLE_COUNTERS, key_span(&key), "has a wrong length");
    }
    uint64_t aliases = rc == 0 ? get_u64le(row.data) : 0;
    if (by > 0 && aliases >= CLADE_MAX_ALIASES) {
        return error_set(c->error, CLADE_ERR_LIMIT, "alias", "a model has at most %d aliases",
                         CLADE_MAX_ALIASES);
    }
    uint8_t value[8];
    put_u64le(value, aliases + (uint64_t)by);
    return row_put(c->rows, TABLE_COUNTERS, key_span(&key), span_make(value, sizeof value));
}

/* Both directions; from and to are ids, 0 = unset, and differ. */
static int move(struct command *c, uint64_t model, struct span alias, uint64_t from, uint64_t to)
{
    struct key key = key_alias(model, alias);
    int rc = 0;
    if (from == 0 || to == 0) {
        rc = count(c, model, to != 0 ? 1 : -1);
    }
    if (rc == 0) {
        rc = to != 0 ? pointer_set(c, TABLE_ALIASES, &key, to)
                     : pointer_unset(c, TABLE_ALIASES, &key);
    }
    if (rc == 0 && from != 0) {
        struct key back = key_alias_back(from, alias);
        rc = row_delete(c->rows, TABLE_ALIASES, key_span(&back));
    }
    if (rc == 0 && to != 0) {
        struct key back = key_alias_back(to, alias);
        uint8_t value[POINTER_VALUE_BYTES] = {0};
        put_u64le(value, model);
        put_u64le(value + 8, c->revision);
        rc = row_insert(c->rows, TABLE_ALIASES, key_span(&back), span_make(value, sizeof value));
    }
    if (rc == 0) {
        command_note_alias(c, model, alias, from, to);
    }
    return rc;
}

/* {status, id and ref of the version, revision: the fencing token}. */
static int answer(struct command *c,
                  const char *status,
                  const struct thing *version,
                  uint64_t revision)
{
    struct span ref;
    int rc = render_ref(&c->render, version, &ref);
    if (rc != 0) {
        return rc;
    }
    value_put_map(c->body, 4);
    value_put_str(c->body, "status");
    value_put_str(c->body, status);
    value_put_str(c->body, "id");
    value_put_uint(c->body, version->id);
    value_put_str(c->body, "ref");
    value_put_span(c->body, ref);
    value_put_str(c->body, "revision");
    value_put_uint(c->body, revision);
    return command_check_answer(c);
}

int op_set_alias(struct command *c, const struct op *op)
{
    struct thing *version;
    struct thing *there = NULL;
    struct pointer at = {0};
    int rc = command_subject(c, op, KIND_VERSION, &version);
    if (rc != 0) {
        return rc;
    }
    rc = find(c, op, version->model, &at, &there);
    bool is_new = rc == 1;
    if (rc >= 0) {
        rc = check_expected(c, &op->expect, "expect", op->alias, there);
    }
    if (rc != 0) {
        return rc;
    }
    if (!is_new && at.what == version->id) {
        return answer(c, "unchanged", version, at.created);
    }
    rc = move(c, version->model, op->alias, at.what, version->id);
    return rc != 0 ? rc : answer(c, is_new ? "created" : "changed", version, c->revision);
}

int op_unset_alias(struct command *c, const struct op *op)
{
    struct thing *model;
    struct thing *there = NULL;
    struct pointer at = {0};
    int rc = command_subject(c, op, KIND_MODEL, &model);
    if (rc != 0) {
        return rc;
    }
    rc = find(c, op, model->id, &at, &there);
    bool is_unset = rc == 1;
    if (rc >= 0) {
        rc = check_expected(c, &op->expect, "expect", op->alias, there);
    }
    if (rc != 0) {
        return rc;
    }
    if (is_unset) {
        return command_answer(c, "unchanged", NULL);
    }
    rc = move(c, model->id, op->alias, at.what, 0);
    return rc != 0 ? rc : answer(c, "deleted", there, c->revision);
}
