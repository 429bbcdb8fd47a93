/* Stages: which a namespace has, and how versions move through them. */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "command/value.h"
#include "storage/command.h"
#include "storage/pointer.h"
#include "storage/stages.h"

struct span stage_of(const struct thing *version)
{
    const struct field_value *v = &version->fields[FIELD_STAGE];
    return v->set ? v->text : span_of(STAGE_NONE);
}

/* --- Lists ---------------------------------------------------------------------------------- */

static void unpack(struct span packed, struct stage_list *ret)
{
    ret->len = 0;
    while (ret->len < CLADE_MAX_STAGES && stages_next(&packed, &ret->stages[ret->len])) {
        ret->len++;
    }
}

static void take_default(struct stage_list *ret)
{
    CHECK(stages_default_len <= CLADE_MAX_STAGES);
    memcpy(ret->stages, stages_default, stages_default_len * sizeof *ret->stages);
    ret->len = stages_default_len;
}

/* The namespace that stands before the path's last '/': 1 when there is none. */
static int parent_of(struct view *v, struct arena *arena, struct span path, struct thing **ret)
{
    while (path.len > 0 && path.data[path.len - 1] != '/') {
        path.len--;
    }
    if (path.len == 0) {
        return 1;
    }
    path.len--;
    return lookup_name(v, arena, NAME_SPACE_NAMES, NAMESPACE_ROOT, KIND_NAMESPACE, path, false,
                       ret);
}

/* What a namespace has from its parents. */
static int inherit(struct view *v,
                   struct arena *arena,
                   const struct thing *ns,
                   struct stage_list *ret)
{
    struct thing *parent;
    int rc = parent_of(v, arena, ns->name, &parent);
    while (rc == 0 && !parent->fields[FIELD_STAGES].set) {
        rc = parent_of(v, arena, parent->name, &parent);
    }
    if (rc == 0) {
        unpack(parent->fields[FIELD_STAGES].text, ret);
    } else {
        take_default(ret);
    }
    return rc < 0 ? rc : 0;
}

int stages_of(struct view *v, struct arena *arena, uint64_t ns, struct stage_list *ret)
{
    struct thing *thing;
    int rc = lookup_thing(v, arena, ns, &thing);
    if (rc != 0) {
        struct key key = key_u64(ns);
        return rc < 0 ? rc : row_corrupt(v->error, TABLE_THINGS, key_span(&key), "is missing");
    }
    if (!thing->fields[FIELD_STAGES].set) {
        return inherit(v, arena, thing, ret);
    }
    unpack(thing->fields[FIELD_STAGES].text, ret);
    return 0;
}

const struct stage *stages_find(const struct stage_list *list, struct span name)
{
    static const struct stage none = {
        .name = {.data = (const uint8_t *)STAGE_NONE, .len = sizeof STAGE_NONE - 1},
        .multiple = true};
    for (size_t i = 0; i < list->len; i++) {
        if (span_equal(list->stages[i].name, name)) {
            return &list->stages[i];
        }
    }
    return span_equal_str(name, STAGE_NONE) ? &none : NULL;
}

int stages_check_list(struct command *c, const struct thing *ns, struct span packed)
{
    struct stage_list old;
    struct stage_list new;
    int rc = stages_of(c->view, c->scratch, ns->id, &old);
    if (rc == 0 && packed.len == 0) {
        rc = inherit(c->view, c->scratch, ns, &new);
    } else {
        unpack(packed, &new);
    }
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < old.len; i++) {
        struct key prefix = key_stage(ns->id, old.stages[i].name, 0, 0);
        struct pointer first;
        struct thing *version;
        if (stages_find(&new, old.stages[i].name) != NULL) {
            continue;
        }
        rc = pointer_first(c->view, TABLE_STAGES, &prefix, &first);
        if (rc == 0) {
            rc = lookup_thing(c->view, c->scratch, first.what, &version);
        }
        if (rc == 0) {
            error_set(c->error, CLADE_ERR_IN_USE, "stages",
                      "the stage %.*s cannot go: id/%" PRIu64 " is in it",
                      SPAN_FMT(old.stages[i].name), first.what);
            return command_say_there(c, version);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* --- Moving --------------------------------------------------------------------------------- */

struct move {
    struct command *c;
    const struct op *op;
    struct thing *version;
    struct stage_list list;
    uint64_t *others; /* who is in the stage beside the version */
    size_t others_len;
};

static int unknown_stage(struct move *m, struct span name, const char *where)
{
    char known[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < m->list.len && used < sizeof known; i++) {
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%.*s", i > 0 ? ", " : "",
                                 SPAN_FMT(m->list.stages[i].name));
    }
    return error_set(m->c->error, CLADE_ERR_INVALID, where,
                     "the namespace has no stage \"%.*s\"; it has %s", SPAN_FMT(name), known);
}

static int on_occupant(void *arg, const struct key *key, const struct pointer *pointer)
{
    struct move *m = arg;
    (void)key;
    if (pointer->what == m->version->id) {
        return 0;
    }
    if (m->others_len == CLADE_MAX_DISPLACED) {
        return error_set(m->c->error, CLADE_ERR_LIMIT, "displace",
                         "more than %d versions would be displaced", CLADE_MAX_DISPLACED);
    }
    m->others[m->others_len++] = pointer->what;
    return 0;
}

static int on_any_occupant(void *arg, const struct key *key, const struct pointer *pointer)
{
    struct move *m = arg;
    (void)key;
    if (pointer->what == m->version->id) {
        return 0;
    }
    m->others[m->others_len++] = pointer->what;
    return 1;
}

static int find_others(struct move *m, struct span stage, pointer_cb cb)
{
    struct key prefix = key_stage(m->version->ns, stage, m->version->model, 0);
    m->others_len = 0;
    if (span_equal_str(stage, STAGE_NONE)) {
        return 0;
    }
    int rc = pointer_each(m->c->view, TABLE_STAGES, &prefix, cb, m);
    return rc < 0 ? rc : 0;
}

static int refuse_occupied(struct move *m, struct span stage, const char *where, const char *advice)
{
    struct thing *there;
    int rc = lookup_thing(m->c->view, m->c->scratch, m->others[0], &there);
    if (rc != 0) {
        return rc < 0 ? rc
                      : error_set(m->c->error, CLADE_ERR_CORRUPT, "stages",
                                  "id/%" PRIu64 " is in a stage and is not there", m->others[0]);
    }
    error_set(m->c->error, CLADE_ERR_CONFLICT, where,
              "the stage %.*s holds one version of a model, and version %" PRIu64 " is in it%s",
              SPAN_FMT(stage), there->number, advice);
    return command_say_there(m->c, there);
}

static int move_to(struct move *m, const struct thing *version, struct span stage)
{
    struct thing *moved = arena_alloc(m->c->scratch, sizeof *moved);
    if (moved == NULL) {
        return arena_failure(m->c->scratch, sizeof *moved, m->c->error);
    }
    *moved = *version;
    struct field_value *v = &moved->fields[FIELD_STAGE];
    *v = (struct field_value){0};
    if (!span_equal_str(stage, STAGE_NONE)) {
        *v = (struct field_value){.set = true, .text = stage};
    }
    return thing_replace(m->c, version, moved);
}

/* Each of the others goes where the operation says; a stage that holds one takes one. */
static int displace(struct move *m)
{
    const struct op *op = m->op;
    const struct stage *to = stages_find(&m->list, op->displace);
    CHECK(to != NULL);
    if (!to->multiple && m->others_len > 1) {
        return error_set(m->c->error, CLADE_ERR_CONFLICT, "displace",
                         "the stage %.*s holds one version of a model, and %zu would go there",
                         SPAN_FMT(op->displace), m->others_len);
    }
    for (size_t i = 0; i < m->others_len; i++) {
        struct thing *other;
        int rc = lookup_thing(m->c->view, m->c->scratch, m->others[i], &other);
        if (rc == 0) {
            rc = move_to(m, other, op->displace);
        }
        if (rc != 0) {
            return rc < 0
                       ? rc
                       : error_set(m->c->error, CLADE_ERR_CORRUPT, "stages",
                                   "id/%" PRIu64 " is in a stage and is not there", m->others[i]);
        }
    }
    return 0;
}

/* Whether the stage for those that are displaced has room for one. */
static int check_room(struct move *m)
{
    const struct stage *to = stages_find(&m->list, m->op->displace);
    uint64_t first = m->others_len > 0 ? m->others[0] : 0;
    size_t len = m->others_len;
    if (to->multiple || len != 1) {
        return 0;
    }
    int rc = find_others(m, m->op->displace, on_any_occupant);
    if (rc == 0 && m->others_len > 0) {
        return refuse_occupied(m, m->op->displace, "displace", "");
    }
    m->others[0] = first;
    m->others_len = len;
    return rc;
}

static int answer(struct move *m, bool changed)
{
    struct command *c = m->c;
    struct span ref;
    int rc = render_ref(&c->render, m->version, &ref);
    value_put_map(c->body, m->others_len > 0 ? 4 : 3);
    value_put_str(c->body, "status");
    value_put_str(c->body, changed ? "changed" : "unchanged");
    value_put_str(c->body, "id");
    value_put_uint(c->body, m->version->id);
    value_put_str(c->body, "ref");
    value_put_span(c->body, ref);
    if (m->others_len > 0) {
        value_put_str(c->body, "displaced");
        value_put_array(c->body, (uint32_t)m->others_len);
    }
    for (size_t i = 0; rc == 0 && i < m->others_len; i++) {
        rc = render_ref_of_id(&c->render, m->others[i], &ref);
        value_put_span(c->body, ref);
    }
    return rc != 0 ? rc : command_check_answer(c);
}

static int stage_differs(struct command *c,
                         const struct thing *version,
                         struct span wanted,
                         const char *where)
{
    struct span is = stage_of(version);
    error_set(c->error, CLADE_ERR_CONFLICT, where, "the version is in stage %.*s, not %.*s",
              SPAN_FMT(is), SPAN_FMT(wanted));
    error_set_there(c->error, "%.*s", SPAN_FMT(is));
    c->error->id = version->id;
    c->error->revision = version->changed.revision;
    return CLADE_ERR_CONFLICT;
}

/* What is asked for against the namespace's list. */
static int check_stages(struct move *m)
{
    const struct op *op = m->op;
    int rc = stages_of(m->c->view, m->c->scratch, m->version->ns, &m->list);
    if (rc != 0) {
        return rc;
    }
    if (stages_find(&m->list, op->stage) == NULL) {
        return unknown_stage(m, op->stage, "stage");
    }
    if (op->displace.len > 0 && stages_find(&m->list, op->displace) == NULL) {
        return unknown_stage(m, op->displace, "displace");
    }
    if (op->expect_stage.len > 0 && !span_equal(op->expect_stage, stage_of(m->version))) {
        return stage_differs(m->c, m->version, op->expect_stage, "expect");
    }
    return 0;
}

int op_set_stage(struct command *c, const struct op *op)
{
    struct move m = {.c = c, .op = op};
    int rc = command_subject(c, op, KIND_VERSION, &m.version);
    if (rc == 0) {
        rc = check_stages(&m);
    }
    if (rc != 0) {
        return rc;
    }
    m.others = arena_calloc(c->scratch, CLADE_MAX_DISPLACED, sizeof *m.others);
    if (m.others == NULL) {
        return arena_failure(c->scratch, CLADE_MAX_DISPLACED * sizeof *m.others, c->error);
    }
    bool displaces = op->displace.len > 0;
    bool multiple = stages_find(&m.list, op->stage)->multiple;
    bool moves = !span_equal(op->stage, stage_of(m.version));
    if (displaces || (moves && !multiple)) {
        rc = find_others(&m, op->stage, displaces ? on_occupant : on_any_occupant);
    }
    if (rc == 0 && !displaces && m.others_len > 0) {
        return refuse_occupied(&m, op->stage, "stage", "; \"displace\" says where it goes");
    }
    if (rc == 0 && displaces) {
        rc = check_room(&m);
    }
    if (rc == 0 && moves) {
        rc = move_to(&m, m.version, op->stage);
    }
    if (rc == 0 && m.others_len > 0) {
        rc = displace(&m);
    }
    return rc != 0 ? rc : answer(&m, moves || m.others_len > 0);
}

int guard_stage(struct command *c, const struct guard *g, const struct thing *version)
{
    if (version->kind != KIND_VERSION) {
        return command_wrong_kind(c, "ref", KIND_VERSION, version);
    }
    return span_equal(g->stage, stage_of(version)) ? 0 : stage_differs(c, version, g->stage, NULL);
}
