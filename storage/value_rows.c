#include "storage/value_rows.h"

#include "base/check.h"
#include "command/point.h"

/* What is done with each value that differs. */
struct follower {
    struct rows *rows;
    struct view *view;   /* rows' */
    struct error *error; /* the view's */
    uint64_t revision;
    uint64_t id;
    struct key under; /* what the values stand under */
    int (*each)(struct follower *f, const struct value_code *value);
};

static struct key row_key(const struct follower *f, const struct value_code *value, uint64_t tail)
{
    struct key key = f->under;
    key_add_value(&key, value);
    key_add_tail(&key, f->id, tail);
    return key;
}

static int begin_value(struct follower *f, const struct value_code *value)
{
    struct key key = row_key(f, value, ~f->revision);
    uint8_t bytes[VALUE_ROW_BYTES] = {0};
    put_u64le(bytes, f->revision);
    /* This transaction may have taken it away before, and a list may have it twice. */
    return row_put(f->rows, TABLE_VALUES, key_span(&key), span_make(bytes, sizeof bytes));
}

/* The row that says that the thing has the value, and since when; 1 when it is not there. */
static int find_value(struct follower *f,
                      const struct value_code *value,
                      struct key *ret,
                      uint64_t *ret_began)
{
    struct key key = row_key(f, value, 0);
    struct row row;
    int rc = view_seek(f->view, TABLE_VALUES, key_span(&key), &row);
    if (rc != 0) {
        return rc;
    }
    bool same = row.key.len == key.len && memcmp(row.key.data, key.bytes, key.len - 8u) == 0;
    if (!same || row.value.len != VALUE_ROW_BYTES || get_u64le(row.value.data + 8) != 0) {
        return 1;
    }
    *ret_began = get_u64le(row.value.data);
    memcpy(key.bytes, row.key.data, row.key.len);
    *ret = key;
    return 0;
}

static int end_value(struct follower *f, const struct value_code *value)
{
    struct key key;
    uint64_t began;
    int rc = find_value(f, value, &key, &began);
    if (rc != 0) {
        return rc == 1 ? 0 : rc; /* a list may have it twice */
    }
    if (began == f->revision) {
        return row_delete(f->rows, TABLE_VALUES, key_span(&key));
    }
    uint8_t bytes[VALUE_ROW_BYTES];
    put_u64le(bytes, began);
    put_u64le(bytes + 8, f->revision);
    return row_put(f->rows, TABLE_VALUES, key_span(&key), span_make(bytes, sizeof bytes));
}

static int forget_value(struct follower *f, const struct value_code *value)
{
    struct key key;
    uint64_t began;
    int rc = find_value(f, value, &key, &began);
    return rc == 0 ? row_delete(f->rows, TABLE_VALUES, key_span(&key)) : rc == 1 ? 0 : rc;
}

static int erase_key(struct rows *rows, const struct key *key)
{
    struct span value;
    int rc = view_get(&rows->view, TABLE_VALUES, key_span(key), &value);
    return rc == 0 ? row_delete(rows, TABLE_VALUES, key_span(key)) : rc == 1 ? 0 : rc;
}

/* The newest row of the value that began at `began` at the latest: its key and when it ended (0: it
 * holds); 1 when there is none. */
static int find_newest(struct follower *f,
                       const struct value_code *value,
                       uint64_t began,
                       struct key *ret,
                       uint64_t *ret_ended)
{
    struct key key = row_key(f, value, ~began);
    struct row row;
    int rc = view_seek(f->view, TABLE_VALUES, key_span(&key), &row);
    if (rc != 0) {
        return rc;
    }
    if (row.key.len != key.len || memcmp(row.key.data, key.bytes, key.len - 8u) != 0) {
        return 1;
    }
    if (row.value.len != VALUE_ROW_BYTES) {
        return row_corrupt(f->error, TABLE_VALUES, row.key, "has a wrong length");
    }
    memcpy(key.bytes, row.key.data, row.key.len);
    *ret = key;
    *ret_ended = get_u64le(row.value.data + 8);
    return 0;
}

/* A row of the state that began at f->revision, or of one before it that compaction took. */
static int erase_of_state(struct follower *f, const struct value_code *value)
{
    struct key key;
    uint64_t ended;
    int rc = find_newest(f, value, f->revision, &key, &ended);
    return rc == 0 ? row_delete(f->rows, TABLE_VALUES, key_span(&key)) : rc == 1 ? 0 : rc;
}

/* A row that ended at f->revision. */
static int erase_ended(struct follower *f, const struct value_code *value)
{
    struct key key;
    uint64_t ended;
    int rc = find_newest(f, value, f->revision - 1, &key, &ended);
    if (rc == 0 && ended == f->revision) {
        rc = row_delete(f->rows, TABLE_VALUES, key_span(&key));
    }
    return rc == 1 ? 0 : rc;
}

/* A row that began at f->revision. */
static int erase_value(struct follower *f, const struct value_code *value)
{
    struct key key = row_key(f, value, ~f->revision);
    return erase_key(f->rows, &key);
}

static int on_value(void *arg, const struct value_code *value)
{
    struct follower *f = arg;
    return f->each(f, value);
}

/* --- Records ---------------------------------------------------------------------------------- */

static struct value_code code_of_field(const struct field *field, const struct field_value *v)
{
    switch (field->shape) {
    case FIELD_TEXT:
        return value_of_text(v->text);
    case FIELD_UINT:
    case FIELD_TIME:
        return value_of_number((double)v->number);
    default:
        return value_of_ref(v->number); /* FIELD_TYPE is one too */
    }
}

static bool same_field(const struct field_value *a, const struct field_value *b)
{
    return a->set == b->set && a->number == b->number && span_equal(a->text, b->text);
}

/* What `a` has in its fields and `b` (NULL: nothing) has not. */
static int each_field(struct follower *f, const struct thing *a, const struct thing *b)
{
    int rc = 0;
    for (unsigned code = FIELD_NONE + 1; code < FIELD_CODE_COUNT && rc == 0; code++) {
        const struct field_value *v = &a->fields[code];
        if (!v->set || !value_is_indexed(code) || (b != NULL && same_field(v, &b->fields[code]))) {
            continue;
        }
        struct value_code value = code_of_field(field_by_code((enum field_code)code), v);
        f->under = key_values(a->ns, a->kind, VALUE_FIELD, code, (struct span){0});
        rc = f->each(f, &value);
    }
    return rc;
}

static bool has_pair(const struct field_value *v, size_t *at, const struct text_pair *pair)
{
    while (*at < v->len && span_compare(v->pairs[*at].key, pair->key) < 0) {
        ++*at;
    }
    return *at < v->len && span_equal(v->pairs[*at].key, pair->key) &&
           span_equal(v->pairs[*at].value, pair->value);
}

/* The same for a map, whose keys are sorted. */
static int each_pair(struct follower *f,
                     const struct thing *a,
                     const struct thing *b,
                     enum field_code code)
{
    const struct field_value *v = &a->fields[code];
    bool tags = code == FIELD_TAGS;
    size_t at = 0;
    int rc = 0;
    for (size_t i = 0; i < v->len && rc == 0; i++) {
        const struct text_pair *pair = &v->pairs[i];
        if (b != NULL && has_pair(&b->fields[code], &at, pair)) {
            continue;
        }
        f->under = key_values(a->ns, a->kind, tags ? VALUE_TAG : VALUE_PROP, 0, pair->key);
        struct value_code text = value_of_mixed(pair->value);
        rc = tags ? f->each(f, &text) : value_each_of_prop(pair->value, on_value, f);
    }
    return rc;
}

static int each_difference(struct follower *f, const struct thing *a, const struct thing *b)
{
    int rc = each_field(f, a, b);
    rc = rc != 0 ? rc : each_pair(f, a, b, FIELD_TAGS);
    return rc != 0 ? rc : each_pair(f, a, b, FIELD_PROPS);
}

static struct follower follower_of(struct rows *rows, uint64_t revision, uint64_t id)
{
    return (struct follower){.rows = rows,
                             .view = &rows->view,
                             .error = rows->view.error,
                             .revision = revision,
                             .id = id};
}

int values_begin(struct rows *rows, const struct thing *t)
{
    struct key key = key_values(t->ns, t->kind, VALUE_THING, 0, (struct span){0});
    uint8_t bytes[8];
    put_u64be(bytes, t->id);
    memcpy(key.bytes + key.len, bytes, sizeof bytes);
    key.len += sizeof bytes;
    uint8_t value[VALUE_ROW_BYTES] = {0};
    put_u64le(value, t->created.revision);
    return row_insert(rows, TABLE_VALUES, key_span(&key), span_make(value, sizeof value));
}

int values_follow(struct command *c, const struct thing *before, const struct thing *t)
{
    struct follower f = follower_of(c->rows, c->revision, t->id);
    int rc = 0;
    if (before == NULL) {
        rc = values_begin(c->rows, t);
    } else {
        f.each = end_value;
        rc = each_difference(&f, before, t);
    }
    f.each = begin_value;
    return rc != 0 ? rc : each_difference(&f, t, before);
}

int values_forget(struct command *c, const struct thing *t)
{
    struct follower f = follower_of(c->rows, c->revision, t->id);
    f.each = forget_value;
    return each_difference(&f, t, NULL);
}

int values_erase_state(struct rows *rows, const struct thing *state)
{
    struct follower f = follower_of(rows, state->changed.revision, state->id);
    f.each = erase_of_state;
    return each_difference(&f, state, NULL);
}

int values_erase_ended(struct rows *rows,
                       const struct thing *was,
                       const struct thing *next,
                       uint64_t ended)
{
    struct follower f = follower_of(rows, ended, was->id);
    f.each = erase_ended;
    return each_difference(&f, was, next);
}

/* --- What is not in records ------------------------------------------------------------------- */

int values_param(struct command *c, const struct thing *t, const struct text_pair *param)
{
    struct follower f = follower_of(c->rows, c->revision, t->id);
    f.under = key_values(t->ns, t->kind, VALUE_PARAM, 0, param->key);
    struct value_code code = value_of_mixed(param->value);
    return begin_value(&f, &code);
}

int values_erase_param(
    struct rows *rows, const struct thing *t, struct span key, struct span value, uint64_t began)
{
    struct follower f = follower_of(rows, began, t->id);
    f.under = key_values(t->ns, t->kind, VALUE_PARAM, 0, key);
    struct value_code code = value_of_mixed(value);
    return erase_value(&f, &code);
}

static struct key metric_key(const struct thing *t, struct span key, uint64_t on, uint64_t bits)
{
    struct value_code code = value_of_number(point_double(bits));
    struct key k = key_values(t->ns, t->kind, VALUE_METRIC, 0, key);
    key_add_value(&k, &code);
    key_add_tail(&k, t->id, on);
    return k;
}

/* Points are not in history: the row of what was last before goes. */
int values_metric(struct command *c,
                  const struct thing *t,
                  struct span key,
                  uint64_t on,
                  const uint64_t *before,
                  uint64_t now)
{
    struct key row = metric_key(t, key, on, now);
    uint8_t bytes[VALUE_ROW_BYTES] = {0};
    int rc = 0;
    if (before != NULL) {
        struct key old = metric_key(t, key, on, *before);
        if (span_equal(key_span(&old), key_span(&row))) {
            return 0;
        }
        rc = row_delete(c->rows, TABLE_VALUES, key_span(&old));
    }
    put_u64le(bytes, c->revision);
    return rc != 0
               ? rc
               : row_insert(c->rows, TABLE_VALUES, key_span(&row), span_make(bytes, sizeof bytes));
}

int values_erase_metric(
    struct rows *rows, const struct thing *t, struct span key, uint64_t on, uint64_t last)
{
    struct key row = metric_key(t, key, on, last);
    return erase_key(rows, &row);
}

static struct follower alias_follower(struct rows *rows,
                                      uint64_t ns,
                                      uint64_t version,
                                      uint64_t revision)
{
    struct follower f = follower_of(rows, revision, version);
    f.under = key_values(ns, KIND_VERSION, VALUE_ALIAS, 0, (struct span){0});
    return f;
}

int values_alias(struct command *c, uint64_t ns, struct span alias, uint64_t from, uint64_t to)
{
    struct value_code code = value_of_text(alias);
    struct follower f = alias_follower(c->rows, ns, from, c->revision);
    int rc = from != 0 ? end_value(&f, &code) : 0;
    f.id = to;
    return rc != 0 || to == 0 ? rc : begin_value(&f, &code);
}

int values_erase_alias(
    struct rows *rows, uint64_t ns, struct span alias, uint64_t version, uint64_t began)
{
    struct value_code code = value_of_text(alias);
    struct follower f = alias_follower(rows, ns, version, began);
    return erase_value(&f, &code);
}
