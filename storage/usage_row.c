#include "storage/usage_row.h"

#include "command/prop.h"
#include "command/stage.h"
#include "storage/target.h"
#include "storage/varint.h"

#define RATE_KEY UINT64_MAX /* stands where a namespace's id does */

uint64_t usage_things(const uint64_t counts[USE_COUNT])
{
    uint64_t sum = 0;
    for (int kind = KIND_NONE + 1; kind < KIND_COUNT; kind++) {
        sum += counts[kind];
    }
    return sum;
}

#define NUMBER_BYTES 8

static size_t prop_bytes(struct span value)
{
    struct prop_reader reader = prop_read(value);
    struct prop_item item;
    size_t bytes = 0;
    bool is_text = reader.type == PROP_STRING || reader.type == PROP_JSON;
    for (bool more = true; more && prop_next(&reader, &item) == 1; more = reader.is_list) {
        bytes += is_text ? item.text.len : NUMBER_BYTES;
    }
    return bytes;
}

size_t usage_props_bytes(const struct field_value *v)
{
    size_t bytes = 0;
    for (size_t i = 0; i < v->len; i++) {
        bytes += v->pairs[i].key.len + prop_bytes(v->pairs[i].value);
    }
    return bytes;
}

static size_t decls_bytes(const struct field_value *v)
{
    size_t bytes = 0;
    for (size_t i = 0; i < v->len; i++) {
        struct decl decl = {0};
        (void)decl_read(v->pairs[i].value, &decl);
        bytes += v->pairs[i].key.len + NUMBER_BYTES + decl.unit.len;
    }
    return bytes;
}

static size_t stages_bytes(struct span packed)
{
    struct stage stage;
    size_t bytes = 0;
    while (stages_next(&packed, &stage)) {
        bytes += stage.name.len + NUMBER_BYTES;
    }
    return bytes;
}

static size_t field_bytes(const struct field *field, const struct field_value *v)
{
    size_t bytes = 0;
    switch (field->shape) {
    case FIELD_TEXT:
        return v->text.len;
    case FIELD_UINT:
    case FIELD_TIME:
    case FIELD_REF:
    case FIELD_BOOL:
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
    case FIELD_PROP_MAP:
        return usage_props_bytes(v);
    case FIELD_DECL_MAP:
        return decls_bytes(v);
    case FIELD_PACKED:
        return field->code == FIELD_STAGES ? stages_bytes(v->text)
                                           : 2 * NUMBER_BYTES * targets_len(v->text);
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

static int malformed(struct view *v, enum table table, struct span key)
{
    return row_corrupt(v->error, table, key, "is malformed");
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
    return r.failed || r.rest.len > 0 ? malformed(v, TABLE_USAGE, key_span(&key)) : 0;
}

static int put_numbers(struct rows *rows,
                       enum table table,
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
                       : row_put(rows, table, key_span(key), buffer_span(row));
}

int usage_put(struct rows *rows, struct buffer *row, uint64_t ns, const struct usage *usage)
{
    struct key key = key_u64(ns);
    uint64_t numbers[2 * USE_COUNT];
    _Static_assert(sizeof *usage == sizeof numbers, "own, then all");
    memcpy(numbers, usage, sizeof numbers);
    return put_numbers(rows, TABLE_USAGE, row, &key, numbers, 2 * (size_t)USE_COUNT);
}

int usage_begin(struct rows *rows, const struct thing *ns)
{
    struct usage usage = {{0}, {0}};
    struct buffer row;
    usage.own[KIND_NAMESPACE] = usage.all[KIND_NAMESPACE] = 1;
    usage.own[USE_BYTES] = usage.all[USE_BYTES] = usage_bytes(ns);
    buffer_init(&row, USAGE_ROW_BYTES_MAX);
    int rc = usage_put(rows, &row, NAMESPACE_ROOT, &usage);
    buffer_release(&row);
    return rc;
}

static int add_to(
    struct view *v, enum table table, const struct key *key, uint64_t *number, int64_t by)
{
    if (by < 0 && *number < (uint64_t)-by) {
        return row_corrupt(v->error, table, key_span(key), "is too low");
    }
    *number += (uint64_t)by;
    return 0;
}

/* number += by, which never goes below zero. */
int usage_add_to(struct view *v, const struct key *key, uint64_t *number, int64_t by)
{
    return add_to(v, TABLE_USAGE, key, number, by);
}

/* Beside the versions, so that what makes one changes one page: number 0 is no version's. */
static struct key key_dependents(uint64_t holder, uint64_t ns)
{
    struct key key = key_u64_u64(holder, 0);
    put_u64be(key.bytes + key.len, ns);
    key.len += 8;
    return key;
}

static int decode_dependents(struct view *v, struct row row, struct dependents *ret)
{
    struct varint_reader r = {.rest = row.value};
    ret->things = varint_get(&r);
    ret->bytes = varint_get(&r);
    ret->kept = varint_get(&r);
    return r.failed || r.rest.len > 0 ? malformed(v, TABLE_VERSIONS, row.key) : 0;
}

int dependents_add(
    struct command *c, uint64_t holder, uint64_t ns, int64_t things, int64_t bytes, int64_t kept)
{
    struct key key = key_dependents(holder, ns);
    struct row row = {.key = key_span(&key)};
    struct dependents d = {0};
    int rc = view_get(c->view, TABLE_VERSIONS, row.key, &row.value);
    rc = rc == 0 ? decode_dependents(c->view, row, &d) : rc == 1 ? 0 : rc;
    rc = rc != 0 ? rc : add_to(c->view, TABLE_VERSIONS, &key, &d.things, things);
    rc = rc != 0 ? rc : add_to(c->view, TABLE_VERSIONS, &key, &d.bytes, bytes);
    rc = rc != 0 ? rc : add_to(c->view, TABLE_VERSIONS, &key, &d.kept, kept);
    const uint64_t numbers[] = {d.things, d.bytes, d.kept};
    return rc != 0 ? rc : put_numbers(c->rows, TABLE_VERSIONS, c->record, &key, numbers, 3);
}

/* The first row of the holder's dependents in `from` or a namespace above it in number: 0, 1 when
 * there is none, or a code. */
int dependents_next(
    struct view *v, uint64_t holder, uint64_t from, uint64_t *ret_ns, struct dependents *ret)
{
    struct key key = key_dependents(holder, from);
    struct row row;
    int rc = view_seek(v, TABLE_VERSIONS, key_span(&key), &row);
    if (rc != 0 || row.key.len != key.len || memcmp(row.key.data, key.bytes, 16) != 0) {
        return rc < 0 ? rc : 1;
    }
    *ret_ns = get_u64be(row.key.data + 16);
    return decode_dependents(v, row, ret);
}

int usage_kept(struct view *v, uint64_t holder, uint64_t *ret)
{
    uint64_t sum = 0;
    uint64_t ns = 0;
    struct dependents d;
    int rc;
    while ((rc = dependents_next(v, holder, ns, &ns, &d)) == 0) {
        sum += d.kept;
        ns++;
    }
    if (rc == 1) {
        *ret = sum;
    }
    return rc == 1 ? 0 : rc;
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

int rate_note(struct command *c, const struct thing *before, const struct thing *after)
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
            rc = malformed(&v, TABLE_USAGE, row.key);
            break;
        }
        cb(arg, path, rate);
    }
    view_close(&v, store);
    return rc == 1 ? 0 : rc;
}
