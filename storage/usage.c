#include "storage/usage.h"

#include <inttypes.h>

#include "base/check.h"
#include "storage/namespace.h"
#include "storage/series.h"
#include "storage/usage_row.h"

#define CHARGE_BUCKETS 64

/* What a command adds to a namespace. */
struct charge {
    struct charge *next;  /* of the bucket */
    struct charge *older; /* made before it; all are in this list */
    struct charge *was;   /* under which it was counted; NULL: none, or the root's */
    struct charge *is;    /* under which it is counted; a namespace that is deleted is not */
    uint64_t ns;
    unsigned depth; /* names in its path; 0 the root */
    bool bounded;   /* it has a quota, unless this command has changed it */
    int64_t own[USE_COUNT];
    int64_t all[USE_COUNT];
};

struct charges {
    struct charge *buckets[CHARGE_BUCKETS];
    struct charge *newest;
    bool namespaces; /* this command has changed some */
};

/* --- Charges --------------------------------------------------------------------------------- */

static int find_charge(struct command *c, uint64_t ns, struct charge **ret);

/* The charge of the namespace that `ns` stands under. */
static int find_parent(struct command *c, uint64_t ns, bool *ret_bounded, struct charge **ret)
{
    struct thing *thing;
    uint64_t parent = NAMESPACE_ROOT;
    int rc = lookup_thing(c->view, c->scratch, ns, &thing);
    if (rc == 0) {
        *ret_bounded = thing->fields[FIELD_QUOTA].set;
        rc = namespace_parent(c->view, c->scratch, thing->name, &parent);
    }
    if (rc == 1) {
        struct key key = key_u64(ns);
        return row_corrupt(c->error, TABLE_THINGS, key_span(&key), "stands under nothing");
    }
    return rc != 0 ? rc : find_charge(c, parent, ret);
}

static struct charge *charge_of(const struct command *c, uint64_t ns)
{
    struct charge *at = c->charges->buckets[ns % CHARGE_BUCKETS];
    while (at != NULL && at->ns != ns) {
        at = at->next;
    }
    return at;
}

static int begin_charges(struct command *c)
{
    if (c->charges == NULL) {
        c->charges = arena_calloc(c->arena, 1, sizeof *c->charges);
    }
    return c->charges != NULL ? 0 : arena_failure(c->arena, sizeof *c->charges, c->error);
}

/* Goes up the path: at most CLADE_MAX_NAMESPACE_BYTES / 2 deep. */
static int find_charge(struct command *c, uint64_t ns, struct charge **ret)
{
    int rc = begin_charges(c);
    if (rc != 0) {
        return rc;
    }
    struct charge *there = charge_of(c, ns);
    if (there != NULL) {
        *ret = there;
        return 0;
    }
    struct charge **bucket = &c->charges->buckets[ns % CHARGE_BUCKETS];
    struct charge *parent = NULL;
    bool bounded = false;
    rc = ns == NAMESPACE_ROOT ? 0 : find_parent(c, ns, &bounded, &parent);
    if (rc != 0) {
        return rc;
    }
    struct charge *new = arena_calloc(c->arena, 1, sizeof *new);
    if (new == NULL) {
        return arena_failure(c->arena, sizeof *new, c->error);
    }
    *new = (struct charge){.next = *bucket,
                           .older = c->charges->newest,
                           .was = parent,
                           .is = parent,
                           .ns = ns,
                           .depth = parent == NULL ? 0 : parent->depth + 1,
                           .bounded = bounded};
    *bucket = new;
    c->charges->newest = new;
    *ret = new;
    return 0;
}

int usage_add(struct command *c, uint64_t ns, unsigned what, int64_t by)
{
    struct charge *charge;
    CHECK(what < USE_COUNT);
    int rc = find_charge(c, ns, &charge);
    if (rc == 0) {
        charge->own[what] += by;
    }
    return rc;
}

int usage_own(struct command *c, uint64_t ns, uint64_t ret[USE_COUNT])
{
    struct charge *charge;
    struct usage usage;
    struct key key = key_u64(ns);
    int rc = find_charge(c, ns, &charge);
    rc = rc != 0 ? rc : usage_of(c->view, ns, &usage);
    for (int what = 0; what < USE_COUNT && rc == 0; what++) {
        rc = usage_add_to(c->view, &key, &usage.own[what], charge->own[what]);
        ret[what] = usage.own[what];
    }
    return rc;
}

/* What is left in a namespace that is deleted is counted nowhere above it, since another may come
 * to its path, and to those above it. */
static int move_namespace(struct command *c, const struct thing *ns)
{
    struct charge *charge;
    struct charge *above = NULL;
    bool bounded;
    bool is_first = charge_of(c, ns->id) == NULL;
    int rc = find_charge(c, ns->id, &charge);
    if (rc == 0 && !ns->deleted) {
        rc = find_parent(c, ns->id, &bounded, &above);
    }
    if (rc == 0) {
        charge->was = is_first && !ns->deleted ? NULL : charge->was;
        charge->is = above;
    }
    return rc;
}

static int note_namespace(struct command *c, const struct thing *before, const struct thing *after)
{
    int rc = begin_charges(c);
    if (rc != 0) {
        return rc;
    }
    c->charges->namespaces = true;
    rc = rate_note(c, before, after);
    bool moves = before != NULL && before->deleted != after->deleted;
    return rc == 0 && moves ? move_namespace(c, after) : rc;
}

/* --- Things ---------------------------------------------------------------------------------- */

/* The namespace that a thing is charged to: of one it is the one above it. */
static int place_of(struct command *c, const struct thing *t, uint64_t *ret)
{
    *ret = t->ns;
    int rc = t->kind == KIND_NAMESPACE ? namespace_parent(c->view, c->scratch, t->name, ret) : 0;
    if (rc == 1) {
        struct key key = key_u64(t->id);
        return row_corrupt(c->error, TABLE_THINGS, key_span(&key), "stands under nothing");
    }
    return rc;
}

static int charge_as(struct command *c, const struct thing *t, uint64_t logged, int64_t sign)
{
    uint64_t ns;
    int rc = place_of(c, t, &ns);
    rc = rc != 0 ? rc : usage_add(c, ns, t->kind, sign);
    return rc != 0 ? rc : usage_add(c, ns, USE_BYTES, sign * (int64_t)(usage_bytes(t) + logged));
}

static int charge_if_live(struct command *c, const struct thing *t, uint64_t logged, int64_t sign)
{
    bool live = false;
    int rc = t == NULL ? 0 : lookup_is_live(c->view, c->scratch, t, &live);
    return rc != 0 || !live ? rc : charge_as(c, t, logged, sign);
}

static int hang(struct command *c, const struct thing *t, uint64_t logged, int64_t sign)
{
    uint64_t holder = t == NULL ? 0 : thing_holder(t);
    if (holder == 0) {
        return 0;
    }
    int64_t bytes = t->deleted ? 0 : (int64_t)(usage_bytes(t) + logged);
    return dependents_add(c, holder, t->ns, t->deleted ? 0 : sign, sign * bytes,
                          t->purged ? 0 : sign);
}

/* A model or an experiment that goes or comes takes what hangs on it with it. */
static int charge_dependents(struct command *c, const struct thing *t, int64_t sign)
{
    unsigned kind = t->kind == KIND_MODEL ? KIND_VERSION : KIND_RUN;
    struct dependents d;
    uint64_t ns = 0;
    int rc;
    while ((rc = dependents_next(c->view, t->id, ns, &ns, &d)) == 0) {
        rc = usage_add(c, ns, kind, sign * (int64_t)d.things);
        rc = rc != 0 ? rc : usage_add(c, ns, USE_BYTES, sign * (int64_t)d.bytes);
        if (rc != 0) {
            return rc;
        }
        ns++;
    }
    return rc == 1 ? 0 : rc;
}

/* Params and points, which no record holds: only what moves with them is added and taken. */
static int logged_bytes(struct command *c,
                        const struct thing *before,
                        const struct thing *after,
                        uint64_t *ret)
{
    struct tally params = {0};
    struct tally series = {0};
    bool moves = before != NULL &&
                 (before->deleted != after->deleted || thing_holder(before) != thing_holder(after));
    int rc = moves ? lookup_tally(c->view, TABLE_PARAMS, after->id, &params) : 0;
    rc = rc == 0 && moves ? lookup_tally(c->view, TABLE_SERIES, after->id, &series) : rc;
    *ret = params.bytes + series.bytes;
    return rc;
}

int usage_logged(struct command *c, const struct thing *t, uint64_t bytes)
{
    uint64_t holder = thing_holder(t);
    uint64_t ns;
    int rc = place_of(c, t, &ns);
    rc = rc != 0 ? rc : usage_add(c, ns, USE_BYTES, (int64_t)bytes);
    return rc != 0 || holder == 0 ? rc : dependents_add(c, holder, t->ns, 0, (int64_t)bytes, 0);
}

int usage_thing(struct command *c, const struct thing *before, const struct thing *after)
{
    uint64_t logged;
    int rc = logged_bytes(c, before, after, &logged);
    rc = rc != 0 ? rc : charge_if_live(c, before, logged, -1);
    rc = rc != 0 ? rc : charge_if_live(c, after, logged, 1);
    rc = rc != 0 ? rc : hang(c, before, logged, -1);
    rc = rc != 0 ? rc : hang(c, after, logged, 1);
    if (rc == 0 && after->kind == KIND_NAMESPACE) {
        rc = note_namespace(c, before, after);
    }
    bool holds = after->kind == KIND_MODEL || after->kind == KIND_EXPERIMENT;
    if (rc == 0 && holds && before != NULL && before->deleted != after->deleted) {
        rc = charge_dependents(c, after, after->deleted ? -1 : 1);
    }
    return rc;
}

/* --- The end of a command -------------------------------------------------------------------- */

struct quota {
    const char *name; /* of quota's keys */
    const char *unit;
    uint64_t used;
    int64_t added;
};

static int check_quota(struct command *c, const struct thing *ns, const struct quota *q)
{
    const struct field_value *quota = &ns->fields[FIELD_QUOTA];
    for (size_t i = 0; i < quota->len; i++) {
        const struct text_pair *pair = &quota->pairs[i];
        if (!span_equal_str(pair->key, q->name) || q->added <= 0 || q->used <= pair->number) {
            continue;
        }
        error_set(c->error, CLADE_ERR_QUOTA, NULL,
                  "namespace \"%.*s\" may hold %" PRIu64 " %s, what is under it included; with "
                  "this it would hold %" PRIu64,
                  SPAN_FMT(ns->name), pair->number, q->unit, q->used);
        c->error->id = ns->id;
        return CLADE_ERR_QUOTA;
    }
    return 0;
}

static int check_quotas(struct command *c, const struct charge *charge, const struct usage *usage)
{
    struct thing *ns;
    int64_t things = 0;
    for (int kind = KIND_NONE + 1; kind < KIND_COUNT; kind++) {
        things += charge->all[kind];
    }
    const struct quota quotas[] = {
        {"things", "things", usage_things(usage->all), things},
        {"edges", "edges", usage->all[USE_EDGES], charge->all[USE_EDGES]},
        {"bytes", "bytes", usage->all[USE_BYTES], charge->all[USE_BYTES]},
    };
    bool grows = things > 0 || charge->all[USE_EDGES] > 0 || charge->all[USE_BYTES] > 0;
    bool may_be_bounded = charge->bounded || c->charges->namespaces;
    if (charge->ns == NAMESPACE_ROOT || !grows || !may_be_bounded) {
        return 0;
    }
    arena_reset(c->scratch);
    int rc = lookup_thing(c->view, c->scratch, charge->ns, &ns);
    for (size_t i = 0; i < sizeof quotas / sizeof *quotas && rc == 0; i++) {
        rc = check_quota(c, ns, &quotas[i]);
    }
    return rc;
}

static int settle_one(struct command *c, const struct charge *charge)
{
    static const int64_t nothing[USE_COUNT];
    struct usage usage;
    struct key key = key_u64(charge->ns);
    if (memcmp(charge->own, nothing, sizeof nothing) == 0 &&
        memcmp(charge->all, nothing, sizeof nothing) == 0) {
        return 0;
    }
    int rc = usage_of(c->view, charge->ns, &usage);
    for (int what = 0; what < USE_COUNT && rc == 0; what++) {
        rc = usage_add_to(c->view, &key, &usage.own[what], charge->own[what]);
        rc = rc != 0 ? rc : usage_add_to(c->view, &key, &usage.all[what], charge->all[what]);
    }
    rc = rc != 0 ? rc : check_quotas(c, charge, &usage);
    return rc != 0 ? rc : usage_put(c->rows, c->record, charge->ns, &usage);
}

/* Adds a namespace's charge, to which nothing is added any more, to the one above it. */
static int add_up(struct command *c, struct charge *at)
{
    struct usage usage = {{0}, {0}};
    int rc = at->was == at->is ? 0 : usage_of(c->view, at->ns, &usage);
    for (int what = 0; what < USE_COUNT && rc == 0; what++) {
        int64_t had = (int64_t)usage.all[what];
        at->all[what] += at->own[what];
        if (at->was != NULL) {
            at->was->all[what] -= had;
        }
        if (at->is != NULL) {
            at->is->all[what] += had + at->all[what];
        }
    }
    return rc;
}

static unsigned depth_max(const struct charges *charges)
{
    unsigned depth = 0;
    for (const struct charge *at = charges->newest; at != NULL; at = at->older) {
        depth = at->depth > depth ? at->depth : depth;
    }
    return depth;
}

int usage_settle(struct command *c)
{
    if (c->charges == NULL) {
        return 0;
    }
    int rc = 0;
    for (unsigned d = depth_max(c->charges) + 1; d-- > 0;) {
        for (struct charge *at = c->charges->newest; at != NULL && rc == 0; at = at->older) {
            rc = at->depth == d ? add_up(c, at) : 0;
        }
    }
    for (struct charge *at = c->charges->newest; at != NULL && rc == 0; at = at->older) {
        rc = settle_one(c, at);
    }
    return rc;
}

int usage_take_bytes(struct rows *rows, struct arena *scratch, uint64_t ns, uint64_t bytes)
{
    struct buffer row;
    struct thing *thing;
    int rc = 0;
    buffer_init(&row, USAGE_ROW_BYTES_MAX);
    for (bool own = true, more = true; rc == 0 && more; own = false) {
        struct usage usage;
        struct key key = key_u64(ns);
        rc = usage_of(&rows->view, ns, &usage);
        if (rc == 0 && own) {
            rc = usage_add_to(&rows->view, &key, &usage.own[USE_BYTES], -(int64_t)bytes);
        }
        rc = rc != 0 ? rc : usage_add_to(&rows->view, &key, &usage.all[USE_BYTES], -(int64_t)bytes);
        rc = rc != 0 ? rc : usage_put(rows, &row, ns, &usage);
        more = rc == 0 && ns != NAMESPACE_ROOT;
        rc = more ? lookup_thing(&rows->view, scratch, ns, &thing) : rc;
        if (more && rc == 0) {
            more = !thing->deleted;
            rc = more ? namespace_parent(&rows->view, scratch, thing->name, &ns) : 0;
        }
        if (rc == 1) {
            rc =
                row_corrupt(rows->view.error, TABLE_THINGS, key_span(&key), "stands under nothing");
        }
    }
    buffer_release(&row);
    return rc;
}
