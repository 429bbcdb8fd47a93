#include "storage/usage.h"

#include <inttypes.h>

#include "base/check.h"
#include "storage/namespace.h"
#include "storage/varint.h"

#define CHARGE_BUCKETS 64
#define RATE_KEY       UINT64_MAX /* stands where a model's or an experiment's id does */

/* What a command adds to a namespace. */
struct charge {
    struct charge *next;   /* of the bucket */
    struct charge *older;  /* made before it; all are in this list */
    struct charge *parent; /* NULL: the root's */
    uint64_t ns;
    int64_t own[USE_COUNT];
    int64_t all[USE_COUNT];
};

struct charges {
    struct charge *buckets[CHARGE_BUCKETS];
    struct charge *newest;
};

uint64_t usage_things(const uint64_t counts[USE_COUNT])
{
    uint64_t sum = 0;
    for (int kind = KIND_NONE + 1; kind < KIND_COUNT; kind++) {
        sum += counts[kind];
    }
    return sum;
}

#define NUMBER_BYTES 8

static size_t field_bytes(const struct field *field, const struct field_value *v)
{
    size_t bytes = 0;
    switch (field->shape) {
    case FIELD_TEXT:
        return v->text.len;
    case FIELD_UINT:
    case FIELD_TIME:
    case FIELD_REF:
        return NUMBER_BYTES;
    case FIELD_TEXT_SET:
        for (size_t i = 0; i < v->len; i++) {
            bytes += v->texts[i].len;
        }
        break;
    case FIELD_TEXT_MAP:
        for (size_t i = 0; i < v->len; i++) {
            bytes += v->pairs[i].key.len + v->pairs[i].value.len;
        }
        break;
    case FIELD_UINT_MAP:
        for (size_t i = 0; i < v->len; i++) {
            bytes += v->pairs[i].key.len + NUMBER_BYTES;
        }
        break;
    }
    return bytes;
}

size_t usage_bytes(const struct thing *t)
{
    size_t bytes = t->kind == KIND_VERSION ? NUMBER_BYTES : t->name.len;
    for (int code = FIELD_NONE + 1; code < FIELD_CODE_COUNT; code++) {
        const struct field *field = field_by_code((enum field_code)code);
        if (field != NULL && t->fields[code].set) {
            bytes += field_bytes(field, &t->fields[code]);
        }
    }
    return bytes;
}

/* --- Rows ------------------------------------------------------------------------------------ */

static void get_numbers(struct varint_reader *r, uint64_t *numbers, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        numbers[i] = varint_get(r);
    }
}

static int malformed(struct view *v, struct span key)
{
    return row_corrupt(v->error, TABLE_USAGE, key, "is malformed");
}

int usage_of(struct view *v, uint64_t ns, struct usage *ret)
{
    struct key key = key_u64(ns);
    struct varint_reader r = {0};
    *ret = (struct usage){{0}, {0}};
    int rc = view_get(v, TABLE_USAGE, key_span(&key), &r.rest);
    if (rc != 0) {
        return rc == 1 ? 0 : rc;
    }
    get_numbers(&r, ret->own, USE_COUNT);
    get_numbers(&r, ret->all, USE_COUNT);
    return r.failed || r.rest.len > 0 ? malformed(v, key_span(&key)) : 0;
}

static int put_numbers(struct rows *rows,
                       struct buffer *row,
                       const struct key *key,
                       const uint64_t *numbers,
                       size_t len)
{
    buffer_clear(row);
    for (size_t i = 0; i < len; i++) {
        varint_put(row, numbers[i]);
    }
    return row->failed ? error_set(rows->view.error, CLADE_ERR_NO_MEMORY, NULL, "out of memory")
                       : row_put(rows, TABLE_USAGE, key_span(key), buffer_span(row));
}

static int put_usage(struct rows *rows, struct buffer *row, uint64_t ns, const struct usage *usage)
{
    struct key key = key_u64(ns);
    uint64_t numbers[2 * USE_COUNT];
    _Static_assert(sizeof *usage == sizeof numbers, "own, then all");
    memcpy(numbers, usage, sizeof numbers);
    return put_numbers(rows, row, &key, numbers, 2 * (size_t)USE_COUNT);
}

int usage_begin(struct rows *rows, const struct thing *ns)
{
    struct usage usage = {{0}, {0}};
    struct buffer row;
    usage.own[KIND_NAMESPACE] = usage.all[KIND_NAMESPACE] = 1;
    usage.own[USE_BYTES] = usage.all[USE_BYTES] = usage_bytes(ns);
    buffer_init(&row, 1024);
    int rc = put_usage(rows, &row, NAMESPACE_ROOT, &usage);
    buffer_release(&row);
    return rc;
}

/* number += by, which never goes below zero. */
static int add_to(struct command *c, const struct key *key, uint64_t *number, int64_t by)
{
    if (by < 0 && *number < (uint64_t)-by) {
        return row_corrupt(c->error, TABLE_USAGE, key_span(key), "is too low");
    }
    *number += (uint64_t)by;
    return 0;
}

static int decode_dependents(struct view *v, struct row row, struct dependents *ret)
{
    struct varint_reader r = {.rest = row.value};
    ret->things = varint_get(&r);
    ret->bytes = varint_get(&r);
    ret->kept = varint_get(&r);
    return r.failed || r.rest.len > 0 ? malformed(v, row.key) : 0;
}

static int add_dependents(
    struct command *c, uint64_t holder, uint64_t ns, int64_t things, int64_t bytes, int64_t kept)
{
    struct key key = key_u64_u64(holder, ns);
    struct row row = {.key = key_span(&key)};
    struct dependents d = {0};
    int rc = view_get(c->view, TABLE_USAGE, row.key, &row.value);
    rc = rc == 0 ? decode_dependents(c->view, row, &d) : rc == 1 ? 0 : rc;
    rc = rc != 0 ? rc : add_to(c, &key, &d.things, things);
    rc = rc != 0 ? rc : add_to(c, &key, &d.bytes, bytes);
    rc = rc != 0 ? rc : add_to(c, &key, &d.kept, kept);
    const uint64_t numbers[] = {d.things, d.bytes, d.kept};
    return rc != 0 ? rc : put_numbers(c->rows, c->record, &key, numbers, 3);
}

/* The first row of the holder's dependents in `from` or a namespace above it in number: 0, 1 when
 * there is none, or a code. */
static int next_dependents(
    struct view *v, uint64_t holder, uint64_t from, uint64_t *ret_ns, struct dependents *ret)
{
    struct key key = key_u64_u64(holder, from);
    struct row row;
    int rc = view_seek(v, TABLE_USAGE, key_span(&key), &row);
    if (rc != 0 || row.key.len != 16 || get_u64be(row.key.data) != holder) {
        return rc < 0 ? rc : 1;
    }
    *ret_ns = get_u64be(row.key.data + 8);
    return decode_dependents(v, row, ret);
}

int usage_kept(struct view *v, uint64_t holder, uint64_t *ret)
{
    uint64_t sum = 0;
    uint64_t ns = 0;
    struct dependents d;
    int rc;
    while ((rc = next_dependents(v, holder, ns, &ns, &d)) == 0) {
        sum += d.kept;
        ns++;
    }
    if (rc == 1) {
        *ret = sum;
    }
    return rc == 1 ? 0 : rc;
}

/* --- Charges --------------------------------------------------------------------------------- */

static int find_charge(struct command *c, uint64_t ns, struct charge **ret);

/* The charge of the namespace that `ns` stands under. */
static int find_parent(struct command *c, uint64_t ns, struct charge **ret)
{
    struct thing *thing;
    uint64_t parent = NAMESPACE_ROOT;
    int rc = lookup_thing(c->view, c->scratch, ns, &thing);
    if (rc == 0) {
        rc = namespace_parent(c->view, c->scratch, thing->name, &parent);
    }
    if (rc == 1) {
        struct key key = key_u64(ns);
        return row_corrupt(c->error, TABLE_THINGS, key_span(&key), "stands under nothing");
    }
    return rc != 0 ? rc : find_charge(c, parent, ret);
}

/* Goes up the path: at most CLADE_MAX_NAMESPACE_BYTES / 2 deep. */
static int find_charge(struct command *c, uint64_t ns, struct charge **ret)
{
    if (c->charges == NULL) {
        c->charges = arena_calloc(c->arena, 1, sizeof *c->charges);
        if (c->charges == NULL) {
            return arena_failure(c->arena, sizeof *c->charges, c->error);
        }
    }
    struct charge **bucket = &c->charges->buckets[ns % CHARGE_BUCKETS];
    for (struct charge *at = *bucket; at != NULL; at = at->next) {
        if (at->ns == ns) {
            *ret = at;
            return 0;
        }
    }
    struct charge *parent = NULL;
    int rc = ns == NAMESPACE_ROOT ? 0 : find_parent(c, ns, &parent);
    if (rc != 0) {
        return rc;
    }
    struct charge *new = arena_calloc(c->arena, 1, sizeof *new);
    if (new == NULL) {
        return arena_failure(c->arena, sizeof *new, c->error);
    }
    *new =
        (struct charge){.next = *bucket, .older = c->charges->newest, .parent = parent, .ns = ns};
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
        rc = add_to(c, &key, &usage.own[what], charge->own[what]);
        ret[what] = usage.own[what];
    }
    return rc;
}

/* --- Rates ----------------------------------------------------------------------------------- */

/* Operations a second that a live namespace takes; 0 = any. */
static uint64_t rate_of(const struct thing *ns)
{
    const struct field_value *quota = &ns->fields[FIELD_QUOTA];
    for (size_t i = 0; i < quota->len && !ns->deleted; i++) {
        if (span_equal_str(quota->pairs[i].key, "writes_per_s")) {
            return quota->pairs[i].number;
        }
    }
    return 0;
}

int usage_rate(struct command *c, const struct thing *before, const struct thing *after)
{
    uint64_t had = before == NULL ? 0 : rate_of(before);
    uint64_t has = rate_of(after);
    struct key key = key_u64_u64(RATE_KEY, after->id);
    if (had == has) {
        return 0;
    }
    if (has == 0) {
        return row_delete(c->rows, TABLE_USAGE, key_span(&key));
    }
    buffer_clear(c->record);
    varint_put(c->record, has);
    varint_put_text(c->record, after->name);
    return c->record->failed
               ? error_set(c->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory")
               : row_put(c->rows, TABLE_USAGE, key_span(&key), buffer_span(c->record));
}

int store_rates(struct store *store,
                void (*cb)(void *arg, struct span path, uint64_t writes_per_s),
                void *arg,
                struct error *error)
{
    struct view v;
    struct row row;
    int rc = view_open(&v, store, error);
    if (rc != 0) {
        return rc;
    }
    struct key key = key_u64_u64(RATE_KEY, 0);
    rc = view_seek(&v, TABLE_USAGE, key_span(&key), &row);
    for (; rc == 0; rc = view_next(&v, TABLE_USAGE, &row)) {
        struct varint_reader r = {.rest = row.value};
        uint64_t rate = varint_get(&r);
        struct span path = varint_get_text(&r);
        if (r.failed || r.rest.len > 0) {
            rc = malformed(&v, row.key);
            break;
        }
        cb(arg, path, rate);
    }
    view_close(&v, store);
    return rc == 1 ? 0 : rc;
}

/* --- Things ---------------------------------------------------------------------------------- */

static int charge_as(struct command *c, const struct thing *t, int64_t sign)
{
    uint64_t ns = t->ns;
    if (t->kind == KIND_NAMESPACE) {
        /* It is one of the namespace that it stands under. */
        int rc = namespace_parent(c->view, c->scratch, t->name, &ns);
        if (rc != 0) {
            struct key key = key_u64(t->id);
            return rc < 0 ? rc
                          : row_corrupt(c->error, TABLE_THINGS, key_span(&key),
                                        "stands under nothing");
        }
    }
    int rc = usage_add(c, ns, t->kind, sign);
    return rc != 0 ? rc : usage_add(c, ns, USE_BYTES, sign * (int64_t)usage_bytes(t));
}

static int charge_if_live(struct command *c, const struct thing *t, int64_t sign)
{
    bool live = false;
    int rc = t == NULL ? 0 : lookup_is_live(c->view, c->scratch, t, &live);
    return rc != 0 || !live ? rc : charge_as(c, t, sign);
}

static int hang(struct command *c, const struct thing *t, int64_t sign)
{
    uint64_t holder = t == NULL ? 0 : thing_holder(t);
    if (holder == 0) {
        return 0;
    }
    int64_t bytes = t->deleted ? 0 : (int64_t)usage_bytes(t);
    return add_dependents(c, holder, t->ns, t->deleted ? 0 : sign, sign * bytes,
                          t->purged ? 0 : sign);
}

/* A model or an experiment that goes or comes takes what hangs on it with it. */
static int charge_dependents(struct command *c, const struct thing *t, int64_t sign)
{
    unsigned kind = t->kind == KIND_MODEL ? KIND_VERSION : KIND_RUN;
    struct dependents d;
    uint64_t ns = 0;
    int rc;
    while ((rc = next_dependents(c->view, t->id, ns, &ns, &d)) == 0) {
        rc = usage_add(c, ns, kind, sign * (int64_t)d.things);
        rc = rc != 0 ? rc : usage_add(c, ns, USE_BYTES, sign * (int64_t)d.bytes);
        if (rc != 0) {
            return rc;
        }
        ns++;
    }
    return rc == 1 ? 0 : rc;
}

int usage_thing(struct command *c, const struct thing *before, const struct thing *after)
{
    int rc = charge_if_live(c, before, -1);
    rc = rc != 0 ? rc : charge_if_live(c, after, 1);
    rc = rc != 0 ? rc : hang(c, before, -1);
    rc = rc != 0 ? rc : hang(c, after, 1);
    if (rc == 0 && after->kind == KIND_NAMESPACE) {
        rc = usage_rate(c, before, after);
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
    if (charge->ns == NAMESPACE_ROOT || !grows) {
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
        rc = add_to(c, &key, &usage.own[what], charge->own[what]);
        rc = rc != 0 ? rc : add_to(c, &key, &usage.all[what], charge->all[what]);
    }
    rc = rc != 0 ? rc : check_quotas(c, charge, &usage);
    return rc != 0 ? rc : put_usage(c->rows, c->record, charge->ns, &usage);
}

int usage_settle(struct command *c)
{
    if (c->charges == NULL) {
        return 0;
    }
    for (struct charge *at = c->charges->newest; at != NULL; at = at->older) {
        for (struct charge *up = at; up != NULL; up = up->parent) {
            for (int what = 0; what < USE_COUNT; what++) {
                up->all[what] += at->own[what];
            }
        }
    }
    int rc = 0;
    for (struct charge *at = c->charges->newest; at != NULL && rc == 0; at = at->older) {
        rc = settle_one(c, at);
    }
    return rc;
}
