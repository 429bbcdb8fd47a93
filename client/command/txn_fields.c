#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "command/stage.h"
#include "command/txn_internal.h"

static int fail_type(struct txn_decode *d, const struct value *v, const char *expected)
{
    return check_fail(d->error, CLADE_ERR_INVALID, NULL, "expected %s, got %s", expected,
                      check_type_text(v));
}

static int decode_unset(struct txn_decode *d, const struct op *op, struct field_write *w)
{
    const struct field *f = w->field;
    bool scalar = f->shape == FIELD_TEXT || f->shape == FIELD_TIME || f->shape == FIELD_UINT ||
                  f->shape == FIELD_PACKED;
    if (op->op != OP_UPDATE || !scalar || (f->flags & (FIELD_CORE | FIELD_STAYS)) != 0) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL,
                          op->op != OP_UPDATE ? "nil takes away, and there is nothing yet"
                                              : "nil cannot take this field away");
    }
    w->unset = true;
    return 0;
}

static int decode_text(struct txn_decode *d, const struct value *v, struct field_write *w)
{
    const struct field *f = w->field;
    if (value_type(v) != CLADE_STRING) {
        return fail_type(d, v, "a string");
    }
    w->text = value_string(v);
    if (f->values == NULL) {
        bool control = (f->flags & FIELD_UTF8_CONTROL) != 0;
        return check_text(w->text, f->name, f->bytes_max, control, d->error);
    }
    for (size_t i = 0; f->values[i] != NULL; i++) {
        if (span_equal_str(w->text, f->values[i])) {
            return 0;
        }
    }
    return check_fail_choice(d->error, NULL, w->text, f->values);
}

static int decode_uint(struct txn_decode *d,
                       const struct value *v,
                       const struct field *f,
                       uint64_t *ret)
{
    if (value_type(v) != CLADE_UINT) {
        return fail_type(d, v, "an integer of 0 or more");
    }
    *ret = value_uint(v);
    if (*ret < f->number_min) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL, "must be at least %" PRIu64,
                          f->number_min);
    }
    if (f->number_max != 0 && *ret > f->number_max) {
        return check_fail(d->error, CLADE_ERR_LIMIT, NULL, "must be at most %" PRIu64,
                          f->number_max);
    }
    return 0;
}

static int decode_ref(struct txn_decode *d, const struct value *v, struct field_write *w)
{
    if (w->field->code == FIELD_TYPE) {
        return decode_text(d, v, w);
    }
    if (value_type(v) != CLADE_STRING) {
        return fail_type(d, v, "a reference (a string)");
    }
    enum kind kind = KIND_NONE;
    int r = txn_parse_ref(d, value_string(v), &w->ref, &kind);
    return r != 0 ? r : check_ref_kind(kind, w->field->ref_kind, d->error);
}

static int check_element(const struct field *f, struct span text, struct error *error)
{
    if (f->code == FIELD_DIGESTS) {
        return check_digest(text, error);
    }
    if (f->code == FIELD_EXTERNAL_IDS) {
        return check_external_id(text, error);
    }
    return check_text(text, f->name, f->bytes_max, false, error);
}

static struct span algorithm_of(struct span digest)
{
    const uint8_t *colon = memchr(digest.data, ':', digest.len);
    return span_make(digest.data, (size_t)(colon - digest.data));
}

/* A thing has one digest of an algorithm; sorted, two of one stand side by side. */
static int check_one_per_algorithm(const struct field_write *w, struct error *error)
{
    for (size_t i = 1; i < w->len; i++) {
        struct span algorithm = algorithm_of(w->texts[i]);
        if (span_equal(algorithm, algorithm_of(w->texts[i - 1]))) {
            return check_fail(error, CLADE_ERR_INVALID, NULL,
                              "there are two different %.*s digests", SPAN_FMT(algorithm));
        }
    }
    return 0;
}

static int fail_count(const struct field *f, size_t got, struct error *error)
{
    return check_fail(error, CLADE_ERR_LIMIT, NULL, "%s has at most %u members, got %zu", f->name,
                      (unsigned)f->count_max, got);
}

struct set_member {
    struct span text;
    bool gone;
};

static int compare_members(const void *a, const void *b)
{
    return span_compare(((const struct set_member *)a)->text, ((const struct set_member *)b)->text);
}

static int decode_member(struct txn_decode *d,
                         const struct op *op,
                         const struct field *f,
                         const struct value *v,
                         struct set_member *member)
{
    member->gone = value_type(v) == CLADE_NIL;
    if (member->gone && op->op != OP_UPDATE) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL,
                          "nil takes away, and there is nothing yet");
    }
    if (!member->gone && !(value_type(v) == CLADE_BOOL && value_bool(v))) {
        return fail_type(d, v, "true (there it shall be) or nil (it shall go)");
    }
    return check_element(f, member->text, d->error);
}

/* A set that is changed: each member with true, or nil to take it away. */
static int decode_set_changes(struct txn_decode *d,
                              const struct op *op,
                              const struct value *v,
                              struct field_write *w)
{
    size_t len = value_len(v);
    struct set_member *members = arena_calloc(d->arena, len, sizeof *members);
    w->texts = arena_calloc(d->arena, len, sizeof *w->texts);
    w->gone = arena_calloc(d->arena, len, sizeof *w->gone);
    if (members == NULL || w->texts == NULL || w->gone == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *members, d->error);
    }
    for (size_t i = 0; i < len; i++) {
        members[i].text = value_string(value_key_at(v, i));
        int r = decode_member(d, op, w->field, value_at(v, i), &members[i]);
        if (r != 0) {
            return check_fail_inside(d->error, r, "%.*s", SPAN_FMT(members[i].text));
        }
    }
    if (len > 0) {
        qsort(members, len, sizeof *members, compare_members);
    }
    for (size_t i = 0; i < len; i++) {
        w->texts[i] = members[i].text;
        w->gone[i] = members[i].gone;
        if (i > 0 && span_equal(w->texts[i], w->texts[i - 1])) {
            check_fail(d->error, CLADE_ERR_INVALID, NULL, "the key stands here twice");
            return check_fail_inside(d->error, CLADE_ERR_INVALID, "%.*s", SPAN_FMT(w->texts[i]));
        }
    }
    w->len = len;
    return 0;
}

static int decode_set(struct txn_decode *d,
                      const struct op *op,
                      const struct value *v,
                      struct field_write *w)
{
    size_t len = value_len(v);
    if (value_type(v) == CLADE_MAP && (w->field->flags & FIELD_CORE) == 0) {
        return decode_set_changes(d, op, v, w);
    }
    if (value_type(v) != CLADE_ARRAY) {
        return fail_type(d, v, "an array of strings");
    }
    w->texts = arena_calloc(d->arena, len, sizeof *w->texts);
    if (w->texts == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *w->texts, d->error);
    }
    for (size_t i = 0; i < len; i++) {
        const struct value *element = value_at(v, i);
        w->texts[i] = value_string(element);
        int r = value_type(element) != CLADE_STRING
                    ? fail_type(d, element, "a string")
                    : check_element(w->field, w->texts[i], d->error);
        if (r != 0) {
            return check_fail_inside(d->error, r, "[%zu]", i);
        }
    }
    w->len = sort_spans(w->texts, len);
    if (w->len > w->field->count_max) {
        return fail_count(w->field, w->len, d->error);
    }
    return w->field->code == FIELD_DIGESTS ? check_one_per_algorithm(w, d->error) : 0;
}

static int compare_pairs(const void *a, const void *b)
{
    return span_compare(((const struct text_pair *)a)->key, ((const struct text_pair *)b)->key);
}

static bool is_among(struct span text, const char *const values[])
{
    size_t i = 0;
    while (values[i] != NULL && !span_equal_str(text, values[i])) {
        i++;
    }
    return values[i] != NULL;
}

/* KIND.type or KIND.tags.KEY: what a namespace can say of its new things. */
static int check_default_key(struct span key, struct error *error)
{
    const uint8_t *dot = memchr(key.data, '.', key.len);
    struct span kind_text = span_make(key.data, dot == NULL ? 0 : (size_t)(dot - key.data));
    enum kind kind = kind_parse(kind_text);
    struct span field = span_skip(key, dot == NULL ? key.len : kind_text.len + 1);
    bool is_type = span_equal_str(field, "type") && field_belongs(field_by_code(FIELD_TYPE), kind);
    bool is_tag = span_starts_with(field, "tags.") && field.len > strlen("tags.");
    return kind != KIND_NONE && (is_type || is_tag)
               ? 0
               : check_fail(error, CLADE_ERR_INVALID, NULL,
                            "a default is of KIND.type or KIND.tags.KEY");
}

static int check_key(const struct field *f, struct span key, struct error *error)
{
    if (f->values != NULL) {
        return is_among(key, f->values) ? 0 : check_fail_choice(error, NULL, key, f->values);
    }
    if (f->code != FIELD_DEFAULTS) {
        return check_text(key, "a tag's key", CLADE_MAX_TAG_KEY_BYTES, false, error);
    }
    int r = check_text(key, "a default's key", CLADE_MAX_TAG_KEY_BYTES, false, error);
    return r != 0 ? r : check_default_key(key, error);
}

static int decode_pair(struct txn_decode *d,
                       const struct op *op,
                       const struct field *f,
                       const struct value *v,
                       struct text_pair *pair)
{
    int r = check_key(f, pair->key, d->error);
    if (r != 0) {
        return r;
    }
    if (v == NULL || value_type(v) == CLADE_NIL) {
        pair->unset = true;
        return op->op == OP_UPDATE ? 0
                                   : check_fail(d->error, CLADE_ERR_INVALID, NULL,
                                                "nil takes away, and there is nothing yet");
    }
    if (f->shape == FIELD_UINT_MAP) {
        r = decode_uint(d, v, f, &pair->number);
        /* None at all could not be undone from within. */
        bool rate = f->code == FIELD_QUOTA && span_equal_str(pair->key, "writes_per_s");
        return r == 0 && rate && pair->number == 0
                   ? check_fail(d->error, CLADE_ERR_INVALID, NULL, "must be at least 1")
                   : r;
    }
    if (value_type(v) != CLADE_STRING) {
        return fail_type(d, v, "a string");
    }
    pair->value = value_string(v);
    return check_text(pair->value, "a tag's value", f->bytes_max, true, d->error);
}

static int check_pairs(const struct field_write *w, struct error *error)
{
    size_t set = 0;
    for (size_t i = 0; i < w->len; i++) {
        set += !w->pairs[i].unset;
        if (i > 0 && span_equal(w->pairs[i].key, w->pairs[i - 1].key)) {
            check_fail(error, CLADE_ERR_INVALID, NULL, "the key stands here twice");
            return check_fail_inside(error, CLADE_ERR_INVALID, "%.*s", SPAN_FMT(w->pairs[i].key));
        }
    }
    return set > w->field->count_max ? fail_count(w->field, set, error) : 0;
}

static int decode_map(struct txn_decode *d,
                      const struct op *op,
                      const struct value *v,
                      struct field_write *w)
{
    size_t len = value_len(v);
    if (value_type(v) != CLADE_MAP) {
        return fail_type(
            d, v, w->field->shape == FIELD_UINT_MAP ? "a map of integers" : "a map of strings");
    }
    w->pairs = arena_calloc(d->arena, len, sizeof *w->pairs);
    if (w->pairs == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *w->pairs, d->error);
    }
    w->len = len;
    for (size_t i = 0; i < len; i++) {
        w->pairs[i].key = value_string(value_key_at(v, i));
        int r = decode_pair(d, op, w->field, value_at(v, i), &w->pairs[i]);
        if (r != 0) {
            return check_fail_inside(d->error, r, "%.*s", SPAN_FMT(w->pairs[i].key));
        }
    }
    if (len > 0) {
        qsort(w->pairs, len, sizeof *w->pairs, compare_pairs);
    }
    return check_pairs(w, d->error);
}

static int decode_field(struct txn_decode *d,
                        const struct op *op,
                        const struct value *v,
                        struct field_write *w)
{
    if (value_type(v) == CLADE_NIL) {
        return decode_unset(d, op, w);
    }
    switch (w->field->shape) {
    case FIELD_TEXT:
        return decode_text(d, v, w);
    case FIELD_UINT:
        return decode_uint(d, v, w->field, &w->number);
    case FIELD_TIME:
        return take_time(v, &w->number, d->error);
    case FIELD_REF:
        return decode_ref(d, v, w);
    case FIELD_TEXT_SET:
        return decode_set(d, op, v, w);
    case FIELD_TEXT_MAP:
    case FIELD_UINT_MAP:
        return decode_map(d, op, v, w);
    case FIELD_BOOL:
        w->number = value_bool(v);
        return value_type(v) == CLADE_BOOL ? 0 : fail_type(d, v, "a boolean");
    case FIELD_PROP_MAP:
    case FIELD_DECL_MAP:
        return txn_decode_props(d, op, v, w);
    case FIELD_PACKED:
        return stages_pack(v, d->arena, &w->text, d->error);
    }
    return check_fail(d->error, CLADE_ERR_INTERNAL, NULL, "a field without a shape");
}

/* Says which there are: the operation's own, and the fields of the kind where it is known. */
static int no_such_key(struct txn_decode *d,
                       struct span key,
                       const char *const keys[],
                       enum kind kind)
{
    char list[sizeof d->error->message];
    size_t used = 0;
    for (size_t i = 0; keys[i] != NULL && used < sizeof list; i++) {
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", keys[i]);
    }
    for (int code = FIELD_NONE + 1; code < FIELD_CODE_COUNT && used < sizeof list; code++) {
        const struct field *f = field_by_code((enum field_code)code);
        if (kind != KIND_NONE && f != NULL && field_belongs(f, kind) &&
            (f->flags & FIELD_BY_OP) == 0) {
            used += (size_t)snprintf(list + used, sizeof list - used, ", %s", f->name);
        }
    }
    check_fail(d->error, CLADE_ERR_INVALID, NULL, "there is no such key or field; there are %s%s",
               list, kind == KIND_NONE ? " and the fields of its kind" : "");
    return check_fail_inside(d->error, CLADE_ERR_INVALID, "%.*s", SPAN_FMT(key));
}

/* Sorts the map's pairs: fields by their codes; the operation's own keys are only looked at for
 * doubles. */
static int place_key(struct txn_decode *d,
                     struct span key,
                     const struct value *v,
                     const char *const keys[],
                     enum kind kind,
                     uint64_t *seen,
                     const struct value *by_code[])
{
    const char *problem = NULL;
    size_t place = span_place_in(key, keys);
    const struct field *f = keys[place] == NULL ? field_by_name(key) : NULL;
    if (keys[place] != NULL) {
        problem = (*seen >> place & 1) != 0 ? "the key stands here twice" : NULL;
        *seen |= UINT64_C(1) << place;
    } else if (f == NULL) {
        return no_such_key(d, key, keys, kind);
    } else if (kind != KIND_NONE && !field_belongs(f, kind)) {
        check_fail(d->error, CLADE_ERR_INVALID, f->name, "a thing of kind %s has no field \"%s\"",
                   kind_name(kind), f->name);
        return CLADE_ERR_INVALID;
    } else if ((f->flags & FIELD_BY_OP) != 0) {
        return check_fail(
            d->error, CLADE_ERR_INVALID, f->name, "it is written by an operation of its own%s%s",
            f->code == FIELD_HOLD ? "" : ", set_", f->code == FIELD_HOLD ? "" : f->name);
    } else if (by_code[f->code] != NULL) {
        problem = "the key stands here twice";
    } else {
        by_code[f->code] = v;
    }
    if (problem == NULL) {
        return 0;
    }
    check_fail(d->error, CLADE_ERR_INVALID, NULL, "%s", problem);
    return check_fail_inside(d->error, CLADE_ERR_INVALID, "%.*s", SPAN_FMT(key));
}

/* A set or a map without members writes nothing. */
static bool says_something(const struct field_write *w)
{
    enum field_shape shape = w->field->shape;
    bool many = shape == FIELD_TEXT_SET || shape == FIELD_TEXT_MAP || shape == FIELD_UINT_MAP ||
                shape == FIELD_PROP_MAP || shape == FIELD_DECL_MAP;
    return !many || w->len > 0;
}

static const struct field_write *find_write(const struct op *op, enum field_code code)
{
    for (size_t i = 0; i < op->fields_len; i++) {
        if (op->fields[i].field->code == code) {
            return &op->fields[i];
        }
    }
    return NULL;
}

/* Content that failed says why, no other does. */
static int check_content(struct txn_decode *d, const struct op *op)
{
    const struct field_write *content = find_write(op, FIELD_CONTENT);
    const struct field_write *reason = find_write(op, FIELD_CONTENT_REASON);
    bool failed = content != NULL && span_equal_str(content->text, "failed");
    if (failed && (reason == NULL || reason->text.len == 0)) {
        return check_fail(d->error, CLADE_ERR_INVALID, "content_reason",
                          "content that failed says why: content_reason is missing");
    }
    if (reason != NULL && !failed && (content != NULL || op->op == OP_CREATE)) {
        return check_fail(d->error, CLADE_ERR_INVALID, "content_reason",
                          "only content that failed has a reason");
    }
    return 0;
}

int txn_decode_fields(struct txn_decode *d,
                      const struct value *map,
                      const char *const keys[],
                      enum kind kind,
                      struct op *op)
{
    const struct value *by_code[FIELD_CODE_COUNT] = {NULL};
    uint64_t seen = 0;
    size_t fields = 0;
    for (size_t i = 0; i < value_len(map); i++) {
        struct span key = value_string(value_key_at(map, i));
        int r = place_key(d, key, value_at(map, i), keys, kind, &seen, by_code);
        if (r != 0) {
            return r;
        }
    }
    for (int code = FIELD_NONE + 1; code < FIELD_CODE_COUNT; code++) {
        fields += by_code[code] != NULL;
    }
    op->fields = fields == 0 ? NULL : arena_calloc(d->arena, fields, sizeof *op->fields);
    if (fields > 0 && op->fields == NULL) {
        return check_fail_no_room(d->arena, fields * sizeof *op->fields, d->error);
    }
    for (int code = FIELD_NONE + 1; code < FIELD_CODE_COUNT; code++) {
        if (by_code[code] == NULL) {
            continue;
        }
        struct field_write *w = &op->fields[op->fields_len];
        *w = (struct field_write){.field = field_by_code((enum field_code)code)};
        int r = decode_field(d, op, by_code[code], w);
        if (r != 0) {
            return check_fail_inside(d->error, r, "%s", w->field->name);
        }
        op->fields_len += says_something(w);
    }
    return check_content(d, op);
}
