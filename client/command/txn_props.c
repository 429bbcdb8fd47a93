/* Props, and the fields of types, of a transaction. */
#include <math.h>
#include <stdlib.h>

#include "command/txn_internal.h"

/* --- One value ---------------------------------------------------------------------------- */

static int fail(struct txn_decode *d, const char *message)
{
    return check_fail(d->error, CLADE_ERR_INVALID, NULL, "%s", message);
}

/* {"time": T}, {"ref": R}, {"json": "text"} */
static int decode_tagged(struct txn_decode *d,
                         const struct value *v,
                         unsigned *ret_type,
                         struct prop_item *item,
                         struct ref *ref)
{
    struct span key = value_string(value_key_at(v, 0));
    const struct value *inner = value_at(v, 0);
    int r = 0;
    if (value_len(v) == 1 && span_equal_str(key, "time")) {
        *ret_type = PROP_TIME;
        r = take_time(inner, &item->bits, d->error);
    } else if (value_len(v) == 1 && span_equal_str(key, "ref")) {
        enum kind kind;
        *ret_type = PROP_REF;
        r = value_type(inner) != CLADE_STRING ? fail(d, "expected a reference (a string)")
                                              : txn_parse_ref(d, value_string(inner), ref, &kind);
    } else if (value_len(v) == 1 && span_equal_str(key, "json")) {
        *ret_type = PROP_JSON;
        item->text = value_string(inner);
        r = value_type(inner) != CLADE_STRING ? fail(d, "expected JSON as a string")
                                              : json_check(item->text, d->error);
    } else {
        return fail(d, "a map here is one of {\"time\": T}, {\"ref\": R} and {\"json\": \"text\"}");
    }
    return r == 0 ? 0 : check_fail_inside(d->error, r, "%.*s", SPAN_FMT(key));
}

static int decode_item(struct txn_decode *d,
                       const struct value *v,
                       unsigned *ret_type,
                       struct prop_item *item,
                       struct ref *ref)
{
    double f = value_double(v);
    switch (value_type(v)) {
    case CLADE_STRING:
        *ret_type = PROP_STRING;
        item->text = value_string(v);
        return check_text(item->text, "a prop's value", CLADE_MAX_PROP_BYTES, true, d->error);
    case CLADE_UINT:
    case CLADE_INT:
        *ret_type = PROP_INT;
        item->bits = (uint64_t)value_int(v);
        return value_type(v) == CLADE_UINT && value_uint(v) > INT64_MAX
                   ? fail(d, "an int is from -2^63 to 2^63 - 1")
                   : 0;
    case CLADE_DOUBLE:
        *ret_type = PROP_FLOAT;
        memcpy(&item->bits, &f, sizeof f);
        return isfinite(f) ? 0 : fail(d, "a float is finite: neither NaN nor an infinity");
    case CLADE_BOOL:
        *ret_type = PROP_BOOL;
        item->bits = value_bool(v);
        return 0;
    case CLADE_MAP:
        return decode_tagged(d, v, ret_type, item, ref);
    default:
        return check_fail(d->error, CLADE_ERR_INVALID, NULL,
                          "expected a string, a number, a boolean, a map or a list of such, got %s",
                          check_type_text(v));
    }
}

static int fail_bytes(struct txn_decode *d, size_t got)
{
    return check_fail(d->error, CLADE_ERR_LIMIT, NULL,
                      "a prop's value has at most %d bytes, this one has %zu",
                      (int)CLADE_MAX_PROP_BYTES, got);
}

/* --- A list ------------------------------------------------------------------------------- */

struct list {
    unsigned type;
    struct prop_item *items;
    struct ref *refs;
    size_t len;
};

/* Ints among floats are floats. */
static int join_types(struct txn_decode *d, struct list *list, size_t i, unsigned type)
{
    bool numbers = (type == PROP_INT || type == PROP_FLOAT) &&
                   (list->type == PROP_INT || list->type == PROP_FLOAT);
    if (i > 0 && type != list->type && !numbers) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL,
                          "a list is of one type, and %s stands behind %s", prop_type_text(type),
                          prop_type_text(list->type));
    }
    list->type = i == 0 || type == PROP_FLOAT ? type : list->type;
    return 0;
}

/* In a list of floats, one that was written without a point. */
static int widen_item(struct txn_decode *d, const struct value *v, struct prop_item *item)
{
    double f = value_double(v);
    int64_t i = value_int(v);
    if (value_type(v) != CLADE_DOUBLE && !prop_int_is_float(i)) {
        return fail(d, "an int beyond 2^53 among floats would lose digits");
    }
    memcpy(&item->bits, &f, sizeof f);
    return 0;
}

static int decode_list(struct txn_decode *d, const struct value *v, struct list *list)
{
    size_t len = value_len(v);
    bool of_refs = value_get(value_at(v, 0), "ref") != NULL;
    struct ref stray; /* one that is not where all are */
    if (len >= CLADE_MAX_PROP_BYTES) {
        return fail_bytes(d, len);
    }
    list->len = len;
    list->items = arena_calloc(d->arena, len, sizeof *list->items);
    list->refs = of_refs ? arena_calloc(d->arena, len, sizeof *list->refs) : NULL;
    if (list->items == NULL || (of_refs && list->refs == NULL)) {
        return check_fail_no_room(d->arena, len * sizeof *list->refs, d->error);
    }
    int r = 0;
    for (int pass = 0; pass < 2 && r == 0; pass++) {
        for (size_t i = 0; i < len && r == 0; i++) {
            unsigned type = PROP_ANY;
            if (pass == 0) {
                r = decode_item(d, value_at(v, i), &type, &list->items[i],
                                of_refs ? &list->refs[i] : &stray);
                r = r != 0 ? r : join_types(d, list, i, type);
            } else if (list->type == PROP_FLOAT) {
                r = widen_item(d, value_at(v, i), &list->items[i]);
            }
            if (r != 0) {
                check_fail_inside(d->error, r, "[%zu]", i);
            }
        }
    }
    return r;
}

/* --- The map ------------------------------------------------------------------------------ */

/* The bytes of a value, in the arena. */
static int encode(struct txn_decode *d, const struct list *list, bool is_list, struct span *ret)
{
    struct buffer b;
    buffer_init(&b, CLADE_MAX_COMMAND_BYTES * 9);
    buffer_append_u8(&b, (uint8_t)(list->type | (is_list ? PROP_LIST : 0)));
    for (size_t i = 0; i < list->len; i++) {
        prop_put(&b, list->type, is_list, &list->items[i]);
    }
    int r = 0;
    if (b.failed) {
        r = check_fail(d->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    } else if (b.len > CLADE_MAX_PROP_BYTES) {
        r = fail_bytes(d, b.len);
    } else {
        *ret = arena_copy_span(d->arena, buffer_span(&b));
        r = ret->data == NULL ? check_fail_no_room(d->arena, b.len, d->error) : 0;
    }
    buffer_release(&b);
    return r;
}

static int decode_value(struct txn_decode *d,
                        const struct value *v,
                        struct span *ret,
                        struct prop_refs *refs)
{
    bool is_list = value_type(v) == CLADE_ARRAY;
    struct prop_item item = {0};
    struct list list = {.items = &item, .len = 1};
    int r;
    if (is_list) {
        r = decode_list(d, v, &list);
    } else {
        list.refs = arena_calloc(d->arena, 1, sizeof *list.refs);
        r = list.refs == NULL ? check_fail_no_room(d->arena, sizeof *list.refs, d->error)
                              : decode_item(d, v, &list.type, &item, list.refs);
    }
    if (r != 0) {
        return r;
    }
    if (list.type == PROP_REF) {
        *refs = (struct prop_refs){.refs = list.refs, .len = list.len, .is_list = is_list};
        size_t bytes = 1 + list.len * sizeof(uint64_t);
        return bytes <= CLADE_MAX_PROP_BYTES ? 0 : fail_bytes(d, bytes);
    }
    return encode(d, &list, is_list, ret);
}

static int check_key(struct txn_decode *d, struct span key)
{
    return check_text(key, "a prop's key", CLADE_MAX_PROP_KEY_BYTES, false, d->error);
}

struct pair_place {
    struct text_pair pair;
    struct prop_refs refs;
};

static int compare_places(const void *a, const void *b)
{
    return span_compare(((const struct pair_place *)a)->pair.key,
                        ((const struct pair_place *)b)->pair.key);
}

static int decode_pair(struct txn_decode *d,
                       const struct op *op,
                       const struct field *f,
                       const struct value *v,
                       struct pair_place *place)
{
    int r = check_key(d, place->pair.key);
    if (r != 0) {
        return r;
    }
    if (f->shape == FIELD_DECL_MAP) {
        return txn_decode_decl(d, v, &place->pair.value);
    }
    if (v == NULL || value_type(v) == CLADE_NIL) {
        place->pair.unset = true;
        return op->op != OP_CREATE ? 0 : fail(d, "nil takes away, and there is nothing yet");
    }
    return decode_value(d, v, &place->pair.value, &place->refs);
}

/* Sorted by key, checked, and written where the field has them. */
static int place_pairs(struct txn_decode *d,
                       struct pair_place *places,
                       size_t len,
                       struct field_write *w)
{
    w->pairs = arena_calloc(d->arena, len, sizeof *w->pairs);
    w->refs = arena_calloc(d->arena, len, sizeof *w->refs);
    if (w->pairs == NULL || w->refs == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *w->refs, d->error);
    }
    size_t set = 0;
    if (len > 0) {
        qsort(places, len, sizeof *places, compare_places);
    }
    for (size_t i = 0; i < len; i++) {
        w->pairs[i] = places[i].pair;
        w->refs[i] = places[i].refs;
        set += !places[i].pair.unset;
        if (i > 0 && span_equal(w->pairs[i].key, w->pairs[i - 1].key)) {
            fail(d, "the key stands here twice");
            return check_fail_inside(d->error, CLADE_ERR_INVALID, "%.*s",
                                     SPAN_FMT(w->pairs[i].key));
        }
    }
    w->len = len;
    return set <= w->field->count_max
               ? 0
               : check_fail(d->error, CLADE_ERR_LIMIT, NULL, "%s has at most %u members, got %zu",
                            w->field->name, (unsigned)w->field->count_max, set);
}

int txn_decode_props(struct txn_decode *d,
                     const struct op *op,
                     const struct value *v,
                     struct field_write *w)
{
    size_t len = value_len(v);
    if (value_type(v) != CLADE_MAP) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL, "expected a map, got %s",
                          check_type_text(v));
    }
    struct pair_place *places = arena_calloc(d->arena, len, sizeof *places);
    if (places == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *places, d->error);
    }
    for (size_t i = 0; i < len; i++) {
        places[i].pair.key = value_string(value_key_at(v, i));
        int r = decode_pair(d, op, w->field, value_at(v, i), &places[i]);
        if (r != 0) {
            return check_fail_inside(d->error, r, "%.*s", SPAN_FMT(places[i].pair.key));
        }
    }
    return place_pairs(d, places, len, w);
}

/* --- What a type says of a key ------------------------------------------------------------ */

int txn_decode_decl(struct txn_decode *d, const struct value *v, struct span *ret)
{
    static const char *const keys[] = {"type", "required", "fixed", "indexed", "unit", NULL};
    struct decl decl = {0};
    struct span type = {0};
    bool required = false;
    bool fixed = false;
    bool indexed = false;
    if (value_type(v) != CLADE_MAP) {
        return check_fail(d->error, CLADE_ERR_INVALID, NULL, "expected a map with \"type\", got %s",
                          check_type_text(v));
    }
    if (!value_keys_known(v, keys, d->error)) {
        return CLADE_ERR_INVALID;
    }
    int r = take_text(v, "type", true, SIZE_MAX, &type, d->error);
    r = r != 0 ? r : take_flag(v, "required", &required, d->error);
    r = r != 0 ? r : take_flag(v, "fixed", &fixed, d->error);
    r = r != 0 ? r : take_flag(v, "indexed", &indexed, d->error);
    r = r != 0 ? r : take_text(v, "unit", false, CLADE_MAX_UNIT_BYTES, &decl.unit, d->error);
    if (r != 0) {
        return r;
    }
    decl.flags =
        (required ? DECL_REQUIRED : 0u) | (fixed ? DECL_FIXED : 0u) | (indexed ? DECL_INDEXED : 0u);
    decl.type = prop_type_parse(type);
    if (decl.type == 0) {
        return check_fail(d->error, CLADE_ERR_INVALID, "type",
                          "\"%.*s\" is not known here; expected one of string, int, float, bool, "
                          "time, json, ref, or such with \"[]\" behind it for a list",
                          (int)(type.len < 64 ? type.len : 64), (const char *)type.data);
    }
    uint8_t bytes[2 + CLADE_MAX_UNIT_BYTES];
    bytes[0] = (uint8_t)decl.type;
    bytes[1] = (uint8_t)decl.flags;
    if (decl.unit.len > 0) {
        memcpy(bytes + 2, decl.unit.data, decl.unit.len);
    }
    *ret = arena_copy_span(d->arena, span_make(bytes, 2 + decl.unit.len));
    return ret->data != NULL ? 0 : check_fail_no_room(d->arena, sizeof bytes, d->error);
}
