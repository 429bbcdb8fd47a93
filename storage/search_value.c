/* How what a query compares stands in the index of values, and what ORDER BY reads of it. */
#include "base/time_text.h"
#include "storage/resolve.h"
#include "storage/search.h"

/* The rows of the values of a key; false when there are none of it. */
bool search_values(const struct search_run *s, const struct filter *f, struct key *ret)
{
    enum value_group group;
    unsigned code = 0;
    switch (f->group) {
    case FILTER_TAGS:
        group = VALUE_TAG;
        break;
    case FILTER_PROPS:
        group = VALUE_PROP;
        break;
    case FILTER_PARAMS:
        group = VALUE_PARAM;
        break;
    case FILTER_METRICS:
        if (f->metric != METRIC_LAST) {
            return false;
        }
        group = VALUE_METRIC;
        break;
    case FILTER_ATTRIBUTE:
        if (f->attribute == ATTRIBUTE_ALIAS) {
            group = VALUE_ALIAS;
            break;
        }
        group = VALUE_FIELD;
        code = f->attribute == ATTRIBUTE_STAGE   ? FIELD_STAGE
               : f->attribute == ATTRIBUTE_FIELD ? f->field->code
                                                 : 0;
        if (!value_is_indexed(code)) {
            return false;
        }
        break;
    default:
        return false;
    }
    *ret = key_values(s->ns, s->kind, group, code, f->key);
    return true;
}

bool search_is_mixed(const struct filter *f)
{
    return f->group != FILTER_ATTRIBUTE && f->group != FILTER_METRICS;
}

/* What a literal can stand for in the index, in the order of preference; returns how many. A text
 * that is compared by its order stands among texts, and what is a number is looked for apart. */
int search_codes(struct search_run *s,
                 const struct filter *f,
                 const struct filter_literal *l,
                 struct value_code codes[3],
                 int *ret_len)
{
    struct ref ref;
    struct thing *thing;
    uint64_t us;
    int len = 0;
    bool prop = f->group == FILTER_PROPS;
    if (l->type == FILTER_NUMBER || l->type == FILTER_TIME) {
        codes[len++] = value_of_number(l->number.value);
    } else if (l->type == FILTER_BOOL) {
        codes[len++] = value_of_bool(l->truth);
    } else if (l->type == FILTER_TEXT) {
        bool equal = f->op == FILTER_EQ || f->op == FILTER_IN;
        codes[len++] =
            equal && search_is_mixed(f) ? value_of_mixed(l->text) : value_of_text(l->text);
    }
    if (prop && l->type == FILTER_TEXT && time_parse(l->text, &us) == 0) {
        codes[len++] = value_of_number((double)us);
    }
    bool is_ref = l->type == FILTER_REF ||
                  (prop && l->type == FILTER_TEXT && ref_parse(l->text, false, &ref, NULL) == 0);
    if (is_ref) {
        struct resolver r = {
            .view = s->r->view, .arena = s->r->arena, .ns = s->r->ns, .any_state = true};
        int rc = resolve(&r, l->type == FILTER_REF ? &l->ref : &ref, &thing);
        if (rc == 0) {
            codes[len++] = value_of_ref(thing->id);
        } else if (rc != CLADE_ERR_NOT_FOUND) {
            return rc;
        }
    }
    *ret_len = len;
    return 0;
}

/* Of one form, which is that of the code. */
static struct key with_form(const struct key *values, uint8_t form)
{
    struct key key = *values;
    key.bytes[key.len++] = form;
    return key;
}

/* Where the rows of what is no less begin. Long texts stand by their beginnings. */
static struct key low_of(const struct key *values,
                         const struct value_code *code,
                         const struct filter_literal *l)
{
    struct key key = *values;
    struct value_code from = code->bytes[0] == VALUE_TEXT ? value_of_prefix(l->text) : *code;
    key_add_value(&key, &from);
    return key;
}

/* Where those of what is greater begin. */
struct key search_above(const struct key *values,
                        const struct value_code *code,
                        const struct filter_literal *l)
{
    struct key key = low_of(values, code, l);
    key_end(&key);
    return key;
}

/* Whether the literal is a short text: then its row ends where it does, and what is equal stands
 * apart from what goes on. */
static bool stands_whole(const struct value_code *code, const struct filter_literal *l)
{
    return code->bytes[0] == VALUE_TEXT && code->len == l->text.len + 2 &&
           value_of_prefix(l->text).len == l->text.len + 1;
}

void search_narrow(enum filter_op op,
                   const struct key *values,
                   const struct value_code *code,
                   const struct filter_literal *l,
                   struct source_range *range)
{
    range->low = with_form(values, code->bytes[0]);
    range->high = range->low;
    key_end(&range->high);
    if (op == FILTER_EQ || op == FILTER_GT || op == FILTER_GE) {
        range->low = low_of(values, code, l);
    }
    if (op == FILTER_EQ || op == FILTER_LT || op == FILTER_LE) {
        range->high = search_above(values, code, l);
    }
    if (op == FILTER_GT && stands_whole(code, l)) {
        range->low = *values;
        key_add_value(&range->low, code);
        key_end(&range->low);
    } else if (op == FILTER_LT && stands_whole(code, l)) {
        range->high = low_of(values, code, l);
    }
}

/* --- Orders ----------------------------------------------------------------------------------- */

bool search_order_key(struct search_run *s, const struct filter *key, struct key *ret)
{
    bool type = key->group == FILTER_ATTRIBUTE && key->attribute == ATTRIBUTE_FIELD &&
                key->field->code == FIELD_TYPE; /* stands by its id, and is ordered by its name */
    bool alias = key->group == FILTER_ATTRIBUTE && key->attribute == ATTRIBUTE_ALIAS;
    return !type && !alias && search_values(s, key, ret);
}

static bool same_key(const struct filter *a, const struct filter *b)
{
    return a->kind == FILTER_COMPARE && a->group == b->group && a->attribute == b->attribute &&
           a->field == b->field && span_equal(a->key, b->key) && a->metric == b->metric &&
           a->has_ref == b->has_ref && !a->has_ref;
}

static struct key greater(const struct key *a, const struct key *b, bool least)
{
    bool is = span_compare(key_span(a), key_span(b)) > 0;
    return is != least ? *a : *b;
}

/* Whether what a filter says of a key holds of the value by which a thing stands in the order. A
 * list stands by its first value, whichever the filter is about, and so do a thing's series. */
static bool bounds_order(const struct filter *f)
{
    bool range = f->op == FILTER_LT || f->op == FILTER_LE || f->op == FILTER_GT ||
                 f->op == FILTER_GE || f->op == FILTER_EQ || f->op == FILTER_BETWEEN;
    bool single = f->group != FILTER_PROPS && f->group != FILTER_METRICS;
    /* A text that is a number stands as one, whether it is asked for as a text or not. */
    bool mixed_equal =
        f->op == FILTER_EQ && search_is_mixed(f) && f->literals[0].type == FILTER_TEXT;
    return range && single && !f->negated && !mixed_equal;
}

/* Texts that are numbers stand before all others, and may match whatever the bounds are. */
static void keep_numbers(const struct key *values, struct order_range *range)
{
    struct key numbers = with_form(values, VALUE_NUMBER);
    struct key texts = with_form(values, VALUE_TEXT);
    if (span_compare(key_span(&range->low), key_span(&texts)) > 0) {
        range->gap = texts;
        range->gap_end = range->low;
    }
    range->low = numbers;
}

static int narrow_order(struct search_run *s,
                        const struct filter *f,
                        const struct key *values,
                        struct order_range *ret)
{
    struct value_code codes[3];
    struct value_code last[3];
    int len = 0;
    int last_len = 0;
    if (!bounds_order(f)) {
        return 0;
    }
    int rc = search_codes(s, f, &f->literals[0], codes, &len);
    if (rc == 0 && f->op == FILTER_BETWEEN) {
        rc = search_codes(s, f, &f->literals[1], last, &last_len);
    }
    if (rc == 0 && len == 1 && (f->op != FILTER_BETWEEN || last_len == 1)) {
        struct source_range one;
        search_narrow(f->op == FILTER_BETWEEN ? FILTER_GE : f->op, values, &codes[0],
                      &f->literals[0], &one);
        if (f->op == FILTER_BETWEEN) {
            one.high = search_above(values, &last[0], &f->literals[1]);
        }
        struct order_range narrow = {.low = one.low, .high = one.high};
        if (search_is_mixed(f) && f->literals[0].type == FILTER_TEXT) {
            keep_numbers(values, &narrow);
        }
        ret->low = greater(&ret->low, &narrow.low, false);
        ret->high = greater(&ret->high, &narrow.high, true);
        if (narrow.gap.len > 0 &&
            (ret->gap.len == 0 ||
             span_compare(key_span(&narrow.gap_end), key_span(&ret->gap_end)) > 0)) {
            ret->gap = narrow.gap;
            ret->gap_end = narrow.gap_end;
        }
    }
    return rc;
}

int search_order_range(struct search_run *s,
                       const struct filter *key,
                       const struct key *values,
                       struct order_range *ret)
{
    const struct filter *f = s->search->filter;
    *ret = (struct order_range){.low = *values, .high = *values};
    key_end(&ret->high);
    bool is_and = f != NULL && f->kind == FILTER_AND;
    int rc = 0;
    for (const struct filter *one = is_and ? f->first : f; one != NULL && rc == 0;
         one = is_and ? one->next : NULL) {
        if (same_key(one, key) && (one->op != FILTER_IS_NULL || one->negated)) {
            ret->is_there = true;
            rc = narrow_order(s, one, values, ret);
        }
    }
    return rc;
}
