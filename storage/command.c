#include "storage/command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "command/value.h"
#include "storage/change_log.h"
#include "storage/compact.h"
#include "storage/resolve.h"
#include "storage/usage.h"
#include "storage/varint.h"

typedef int (*op_function)(struct command *c, const struct op *op);

static const op_function operations[OP_KIND_END] = {
    [OP_CREATE] = op_create,       [OP_UPDATE] = op_update,
    [OP_LINK] = op_link,           [OP_UNLINK] = op_unlink,
    [OP_DELETE] = op_delete,       [OP_RENAME] = op_rename,
    [OP_SET_ALIAS] = op_set_alias, [OP_UNSET_ALIAS] = op_unset_alias,
    [OP_SET_STAGE] = op_set_stage, [OP_SET_TARGETS] = op_set_targets,
    [OP_HOLD] = op_hold,           [OP_RELEASE] = op_release,
    [OP_UNDELETE] = op_undelete,   [OP_LOG] = op_log,
    [OP_PURGE] = op_purge,         [OP_COMPACT] = op_compact,
};

int command_check_answer(struct command *c)
{
    if (c->body->failed) {
        return error_set(c->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    if (c->body->len > COMMAND_BODY_BYTES) {
        return error_set(c->error, CLADE_ERR_LIMIT, NULL,
                         "the transaction's answer would be longer than %u bytes; split it",
                         COMMAND_BODY_BYTES);
    }
    return 0;
}

int command_begin_answer(struct command *c,
                         const char *status,
                         const struct thing *thing,
                         uint32_t more)
{
    value_put_map(c->body, (thing != NULL ? 3 : 1) + more);
    value_put_str(c->body, "status");
    value_put_str(c->body, status);
    if (thing != NULL) {
        struct span ref;
        int rc = render_ref(&c->render, thing, &ref);
        if (rc != 0) {
            return rc;
        }
        value_put_str(c->body, "id");
        value_put_uint(c->body, thing->id);
        value_put_str(c->body, "ref");
        value_put_span(c->body, ref);
    }
    return 0;
}

int command_say_there(struct command *c, const struct thing *there)
{
    struct span ref;
    int rc = render_ref(&c->render, there, &ref);
    if (code_is_fatal(rc)) {
        return rc;
    }
    if (rc == 0) {
        error_set_there(c->error, "%.*s", SPAN_FMT(ref));
    }
    c->error->id = there->id;
    c->error->revision = there->changed.revision;
    return c->error->code;
}

int command_answer(struct command *c, const char *status, const struct thing *thing)
{
    int rc = command_begin_answer(c, status, thing, 0);
    return rc != 0 ? rc : command_check_answer(c);
}

/* --- References ------------------------------------------------------------------------------ */

struct op_name {
    struct span name;
    size_t op;
};

static int by_op_name(const void *a, const void *b)
{
    const struct op_name *x = a;
    const struct op_name *y = b;
    int r = span_compare(x->name, y->name);
    return r != 0 ? r : (x->op > y->op) - (x->op < y->op);
}

static int name_operations(struct command *c)
{
    const struct txn *t = &c->txn;
    c->op_names = arena_calloc(c->arena, t->ops_len, sizeof *c->op_names);
    if (c->op_names == NULL) {
        return arena_failure(c->arena, t->ops_len * sizeof *c->op_names, c->error);
    }
    for (size_t i = 0; i < t->ops_len; i++) {
        if (t->ops[i].as.len > 0) {
            c->op_names[c->op_names_len++] = (struct op_name){.name = t->ops[i].as, .op = i};
        }
    }
    qsort(c->op_names, c->op_names_len, sizeof *c->op_names, by_op_name);
    return 0;
}

static int find_op_name(struct command *c, struct span name, uint64_t *ret)
{
    if (c->op_names == NULL) {
        int rc = name_operations(c);
        if (rc != 0) {
            return rc;
        }
    }
    size_t low = 0;
    size_t high = c->op_names_len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (span_compare(c->op_names[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < c->op_names_len && span_equal(c->op_names[low].name, name);
    *ret = found ? c->op_names[low].op : UINT64_MAX;
    return 0;
}

static int find_op(struct command *c, const struct ref *ref, const char *where, uint64_t *ret_id)
{
    uint64_t op = ref->number;
    if (ref->form == REF_OP_NAME) {
        int rc = find_op_name(c, ref->name, &op);
        if (rc != 0) {
            return rc;
        }
    }
    if (op >= c->op || c->op_ids[op] == 0) {
        return error_set(c->error, CLADE_ERR_INVALID, where,
                         "no operation before this one made what the $ reference means");
    }
    *ret_id = c->op_ids[op];
    return 0;
}

static int resolve_in(
    struct command *c, const struct ref *ref, const char *where, bool any_state, struct thing **ret)
{
    struct ref by_id = {.form = REF_ID};
    if (ref->form == REF_OP || ref->form == REF_OP_NAME) {
        int rc = find_op(c, ref, where, &by_id.number);
        if (rc != 0) {
            return rc;
        }
        ref = &by_id;
    }
    struct resolver r = {.view = c->view, .arena = c->scratch, .ns = c->ns, .any_state = any_state};
    int rc = resolve(&r, ref, ret);
    if (rc != 0 && !code_is_fatal(rc)) {
        error_prefix_where(c->error, "%s", where);
    }
    return rc;
}

int command_resolve(struct command *c, const struct ref *ref, const char *where, struct thing **ret)
{
    return resolve_in(c, ref, where, false, ret);
}

int command_resolve_any(struct command *c,
                        const struct ref *ref,
                        const char *where,
                        struct thing **ret)
{
    return resolve_in(c, ref, where, true, ret);
}

int command_wrong_kind(struct command *c,
                       const char *where,
                       enum kind wanted,
                       const struct thing *got)
{
    return error_set(c->error, CLADE_ERR_INVALID, where, "must be %s; id/%" PRIu64 " is %s",
                     kind_with_article(wanted), got->id, kind_with_article(got->kind));
}

int command_subject(struct command *c, const struct op *op, enum kind kind, struct thing **ret)
{
    struct thing *thing;
    int rc = command_resolve(c, &op->ref, "ref", &thing);
    if (rc == 0 && thing->kind != kind) {
        rc = command_wrong_kind(c, "ref", kind, thing);
    }
    if (rc == 0) {
        c->op_ids[c->op] = thing->id;
        *ret = thing;
    }
    return rc;
}

/* --- Guards ---------------------------------------------------------------------------------- */

static int guard_failed(struct command *c, const struct thing *there, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* "the guard does not hold: artifact/a is there" */
static int guard_failed(struct command *c, const struct thing *there, const char *fmt, ...)
{
    struct span ref = {0};
    int rc = render_ref(&c->render, there, &ref);
    if (code_is_fatal(rc)) {
        return rc;
    }
    va_list args;
    char what[sizeof c->error->message];
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    error_set(c->error, CLADE_ERR_CONFLICT, NULL, "the guard does not hold: %.*s %s", SPAN_FMT(ref),
              what);
    return command_say_there(c, there);
}

static int check_match(struct command *c, const struct guard *g, const struct thing *there)
{
    bool matches = false;
    struct matcher m = {
        .view = c->view, .arena = c->scratch, .ns = c->ns, .steps_left = &c->match_steps_left};
    int rc = match_thing(&m, g->filter, there, &matches);
    if (rc != 0) {
        error_prefix_where(c->error, "query");
        return rc;
    }
    return matches ? 0 : guard_failed(c, there, "is not as it says: %.*s", SPAN_FMT(g->query));
}

static int check_guard(struct command *c, const struct guard *g)
{
    struct resolver r = {.view = c->view, .arena = c->scratch, .ns = c->ns};
    struct thing *there;
    int rc = resolve(&r, &g->ref, &there);
    if (rc != 0 && rc != CLADE_ERR_NOT_FOUND) {
        return rc;
    }
    if (g->kind == GUARD_ABSENT) {
        return rc == 0 ? guard_failed(c, there, "is there") : 0;
    }
    if (rc != 0) {
        c->error->code = CLADE_ERR_CONFLICT;
        return error_wrap(c->error, "the guard does not hold");
    }
    switch (g->kind) {
    case GUARD_UNCHANGED:
        return there->changed.revision == g->revision
                   ? 0
                   : guard_failed(c, there, "changed at revision %" PRIu64 ", not %" PRIu64,
                                  there->changed.revision, g->revision);
    case GUARD_ALIAS:
        return guard_alias(c, g, there);
    case GUARD_STAGE:
        return guard_stage(c, g, there);
    case GUARD_MATCHES:
        return check_match(c, g, there);
    default:
        return 0;
    }
}

static int check_guards(struct command *c)
{
    for (size_t i = 0; i < c->txn.guards_len; i++) {
        arena_reset(c->scratch);
        c->render = (struct render){.view = c->view, .arena = c->scratch, .ns = c->ns};
        int rc = check_guard(c, &c->txn.guards[i]);
        if (rc != 0) {
            error_prefix_where(c->error, "guards[%zu]", i);
            return rc;
        }
    }
    return 0;
}

/* --- The transaction ---------------------------------------------------------------------------
 */

static int find_namespace(struct command *c)
{
    struct span path = c->txn.ns.len > 0 ? c->txn.ns : c->item->ns;
    int rc = lookup_namespace(c->view, c->scratch, path, &c->ns);
    if (rc == 1) {
        return error_set(c->error, CLADE_ERR_NOT_FOUND, "ns", "there is no namespace \"%.*s\"",
                         SPAN_FMT(path));
    }
    return rc;
}

static int run_operations(struct command *c)
{
    value_put_array(c->body, (uint32_t)c->txn.ops_len);
    for (c->op = 0; c->op < c->txn.ops_len; c->op++) {
        const struct op *op = &c->txn.ops[c->op];
        CHECK(op->op < OP_KIND_END && operations[op->op] != NULL);
        arena_reset(c->scratch);
        c->render = (struct render){.view = c->view, .arena = c->scratch, .ns = c->ns};
        int rc = operations[op->op](c, op);
        if (rc != 0) {
            error_prefix_where(c->error, "ops[%zu]", c->op);
            return rc;
        }
    }
    return 0;
}

/* The change log and the time of the revision. */
static int log_changes(struct command *c)
{
    struct buffer *row = c->record;
    buffer_clear(row);
    change_row_begin(row, &(struct change_who){.time_us = c->time_us,
                                               .happened_us = c->txn.happened_us,
                                               .principal = c->item->principal,
                                               .on_behalf_of = c->item->on_behalf_of,
                                               .reason = c->txn.reason});
    varint_put(row, c->changes_len);
    buffer_append_span(row, buffer_span(c->changes));
    if (row->failed || c->changes->failed) {
        return error_set(c->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    struct key key = key_u64(c->revision);
    int rc = row_insert(c->rows, TABLE_CHANGES, key_span(&key), buffer_span(row));
    if (rc != 0) {
        return rc;
    }
    uint8_t value[8];
    put_u64le(value, c->revision);
    key = key_u64(c->time_us);
    return row_insert(c->rows, TABLE_TIMES, key_span(&key), span_make(value, sizeof value));
}

int command_run(struct command *c)
{
    int rc = txn_decode(c->item->command, c->arena, &c->txn, c->error);
    if (rc != 0) {
        return rc;
    }
    c->op_ids = arena_calloc(c->arena, c->txn.ops_len, sizeof *c->op_ids);
    if (c->op_ids == NULL) {
        return arena_failure(c->arena, c->txn.ops_len * sizeof *c->op_ids, c->error);
    }
    rc = find_namespace(c);
    if (rc == 0) {
        rc = check_guards(c);
    }
    if (rc == 0) {
        rc = run_operations(c);
    }
    if (rc == 0) {
        rc = command_check_in_use(c);
    }
    if (rc == 0) {
        rc = usage_settle(c);
    }
    if (rc == 0 && c->changes_len > 0) {
        rc = log_changes(c);
    }
    return rc;
}
