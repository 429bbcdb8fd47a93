#include "storage/filter_match.h"

#include <math.h>
#include <stdio.h>

#include "base/time_text.h"
#include "command/prop.h"
#include "storage/pointer.h"
#include "storage/resolve.h"
#include "storage/series.h"
#include "storage/value_key.h"

#define RESOLVE_STEPS 1000 /* what a look-up counts as */

/* One value of a key; a key of many is as it says when one of them is. */
struct item {
    enum filter_type type;
    struct span text;
    struct filter_number number; /* NUMBER, TIME */
    uint64_t id;                 /* REF */
    bool truth;
};

struct test {
    const struct matcher *m;
    const struct filter *f;
    size_t values;
    bool met;
    struct item *first; /* where to keep the first value; then nothing is compared */
};

static bool spend(const struct matcher *m, uint64_t steps)
{
    bool enough = *m->steps_left > steps;
    *m->steps_left = enough ? *m->steps_left - steps : 0;
    return enough;
}

/* --- One value against one literal ---------------------------------------------------------- */

static bool order_fits(enum filter_op op, int order)
{
    switch (op) {
    case FILTER_LT:
        return order < 0;
    case FILTER_LE:
        return order <= 0;
    case FILTER_GT:
        return order > 0;
    case FILTER_GE:
        return order >= 0;
    default:
        return order == 0;
    }
}

static bool number_of(const struct item *item, struct filter_number *ret)
{
    if (item->type == FILTER_NUMBER || item->type == FILTER_TIME) {
        *ret = item->number;
        return true;
    }
    return item->type == FILTER_TEXT && filter_parse_number(item->text, ret);
}

static int same_thing(const struct matcher *m, const struct ref *ref, uint64_t id, bool *ret)
{
    struct resolver r = {.view = m->view, .arena = m->arena, .ns = m->ns, .any_state = true};
    struct thing *thing = NULL;
    *ret = false;
    if (!spend(m, RESOLVE_STEPS)) {
        return 0;
    }
    int rc = resolve(&r, ref, &thing);
    if (rc == 0) {
        *ret = thing->id == id;
    }
    return rc == CLADE_ERR_NOT_FOUND ? 0 : rc;
}

/* A text in quotes is also how a time and a reference are written: of props alone the thing knows
 * which they are. */
static int text_fits(const struct test *t,
                     enum filter_op op,
                     const struct filter_literal *l,
                     const struct item *item,
                     bool *ret)
{
    uint64_t us = 0;
    struct ref ref;
    if (item->type == FILTER_TIME && l->text.len > sizeof "2026-03-01" - 1 &&
        time_parse(l->text, &us) == 0) {
        struct filter_number time = filter_number_of(us);
        *ret = order_fits(op, filter_compare_numbers(&item->number, &time));
    } else if (item->type == FILTER_REF) {
        bool ordered = op != FILTER_EQ && op != FILTER_NE;
        return ordered || ref_parse(l->text, false, &ref, NULL) != 0
                   ? 0
                   : same_thing(t->m, &ref, item->id, ret);
    } else if (item->type == FILTER_TEXT) {
        *ret = order_fits(op, span_compare(item->text, l->text));
    }
    return 0;
}

static int fits(const struct test *t,
                enum filter_op op,
                const struct filter_literal *l,
                const struct item *item,
                bool *ret)
{
    struct filter_number number;
    *ret = false;
    switch (l->type) {
    case FILTER_TEXT:
        return text_fits(t, op, l, item, ret);
    case FILTER_NUMBER:
        *ret = number_of(item, &number) && (number.is_whole || !isnan(number.value)) &&
               order_fits(op, filter_compare_numbers(&number, &l->number));
        return 0;
    case FILTER_TIME:
        *ret = item->type == FILTER_TIME &&
               order_fits(op, filter_compare_numbers(&item->number, &l->number));
        return 0;
    case FILTER_BOOL:
        *ret = item->type == FILTER_BOOL && item->truth == l->truth;
        return 0;
    default:
        return item->type == FILTER_REF ? same_thing(t->m, &l->ref, item->id, ret) : 0;
    }
}

static int fits_one_of(const struct test *t, const struct item *item, bool *ret)
{
    int rc = 0;
    *ret = false;
    for (size_t i = 0; i < t->f->literals_len && !*ret && rc == 0; i++) {
        if (!spend(t->m, 1 + (item->text.len < t->f->literals[i].text.len
                                  ? item->text.len
                                  : t->f->literals[i].text.len))) {
            return 0;
        }
        rc = fits(t, FILTER_EQ, &t->f->literals[i], item, ret);
    }
    return rc;
}

/* As the operator says, without what negates it. */
static int test_item(struct test *t, const struct item *item)
{
    const struct filter *f = t->f;
    bool met = false;
    int rc = 0;
    t->values++;
    if (t->first != NULL) {
        *t->first = t->values == 1 ? *item : *t->first;
        return 0;
    }
    if (f->op == FILTER_IS_NULL || t->met || !spend(t->m, 1 + item->text.len)) {
        return 0;
    }
    switch (f->op) {
    case FILTER_LIKE:
    case FILTER_ILIKE:
        met = item->type == FILTER_TEXT &&
              filter_like(item->text, f->literals[0].text, f->op == FILTER_ILIKE, t->m->steps_left);
        break;
    case FILTER_IN:
        rc = fits_one_of(t, item, &met);
        break;
    case FILTER_BETWEEN:
        rc = fits(t, FILTER_GE, &f->literals[0], item, &met);
        if (rc == 0 && met) {
            rc = fits(t, FILTER_LE, &f->literals[1], item, &met);
        }
        break;
    default:
        rc = fits(t, f->op, &f->literals[0], item, &met);
        break;
    }
    t->met = met;
    return rc;
}

static int test_text(struct test *t, struct span text)
{
    return text.len == 0 ? 0 : test_item(t, &(struct item){.type = FILTER_TEXT, .text = text});
}

static int test_number(struct test *t, enum filter_type type, uint64_t v)
{
    return test_item(t, &(struct item){.type = type, .number = filter_number_of(v)});
}

/* --- The values of a key -------------------------------------------------------------------- */

static int text_of_thing(const struct matcher *m, uint64_t id, struct span *ret)
{
    struct thing *thing = NULL;
    int rc = spend(m, RESOLVE_STEPS) ? lookup_thing(m->view, m->arena, id, &thing) : 1;
    *ret = rc == 0 ? thing->name : (struct span){0};
    return rc < 0 ? rc : 0;
}

/* A type is compared as users write it: without its kind. */
static int test_type(struct test *t, uint64_t id)
{
    struct span name;
    int rc = text_of_thing(t->m, id, &name);
    const uint8_t *colon = rc != 0 || name.len == 0 ? NULL : memchr(name.data, ':', name.len);
    if (colon != NULL) {
        name = span_skip(name, (size_t)(colon - name.data) + 1);
    }
    return rc != 0 ? rc : test_text(t, name);
}

static int test_field(struct test *t, const struct field *field, const struct field_value *v)
{
    int rc = 0;
    if (field == NULL || !v->set) {
        return 0;
    }
    if (field->code == FIELD_TYPE) {
        return test_type(t, v->number);
    }
    switch (field->shape) {
    case FIELD_TEXT:
        return test_item(t, &(struct item){.type = FILTER_TEXT, .text = v->text});
    case FIELD_UINT:
        return test_number(t, FILTER_NUMBER, v->number);
    case FIELD_TIME:
        return test_number(t, FILTER_TIME, v->number);
    case FIELD_REF:
        return test_item(t, &(struct item){.type = FILTER_REF, .id = v->number});
    case FIELD_TEXT_SET:
        for (size_t i = 0; i < v->len && rc == 0; i++) {
            rc = test_text(t, v->texts[i]);
        }
        return rc;
    default:
        return 0;
    }
}

static int on_alias(void *arg, const struct key *key, const struct pointer *pointer)
{
    struct test *t = arg;
    struct span alias = alias_of_key(key);
    (void)pointer;
    if (!spend(t->m, 1)) {
        return 1;
    }
    if (t->first != NULL) { /* the key is gone when the value is used */
        alias = arena_copy_span(t->m->arena, alias);
        if (alias.data == NULL) {
            return arena_failure(t->m->arena, key->len, t->m->view->error);
        }
    }
    return test_text(t, alias);
}

/* A version's aliases, and the one that is computed. */
static int test_aliases(struct test *t, const struct thing *thing)
{
    struct thing *latest = NULL;
    if (thing->kind != KIND_VERSION || !spend(t->m, RESOLVE_STEPS)) {
        return 0;
    }
    int rc = lookup_latest_version(t->m->view, t->m->arena, thing->model, &latest);
    if (rc == 0 && latest->id == thing->id) {
        rc = test_text(t, span_of("latest"));
    }
    if (rc >= 0) {
        rc = lookup_aliases_of(t->m->view, thing, on_alias, t);
    }
    return rc == 1 ? 0 : rc;
}

static int test_state(struct test *t, const struct thing *thing)
{
    bool live;
    int rc = lookup_is_live(t->m->view, t->m->arena, thing, &live);
    return rc != 0 ? rc : test_text(t, span_of(live ? "live" : "deleted"));
}

static int test_namespace(struct test *t, const struct thing *thing)
{
    struct span path = {0};
    int rc = thing->ns == NAMESPACE_ROOT ? 0 : text_of_thing(t->m, thing->ns, &path);
    return rc != 0 ? rc : test_text(t, path);
}

static int test_stage(struct test *t, const struct thing *thing)
{
    const struct field *field = field_by_name(span_of("stage"));
    return field == NULL ? 0 : test_field(t, field, &thing->fields[field->code]);
}

/* A version is called as its model is. */
static int test_model_name(struct test *t, const struct thing *thing)
{
    struct span name;
    int rc = text_of_thing(t->m, thing->model, &name);
    return rc != 0 ? rc : test_text(t, name);
}

static int test_attribute(struct test *t, const struct thing *thing)
{
    bool version = thing->kind == KIND_VERSION;
    switch (t->f->attribute) {
    case ATTRIBUTE_FIELD:
        return test_field(t, t->f->field, &thing->fields[t->f->field->code]);
    case ATTRIBUTE_ID:
        return test_number(t, FILTER_NUMBER, thing->id);
    case ATTRIBUTE_KIND:
        return test_text(t, span_of(kind_name(thing->kind)));
    case ATTRIBUTE_NAME:
        return version ? test_model_name(t, thing) : test_text(t, thing->name);
    case ATTRIBUTE_NAMESPACE:
        return test_namespace(t, thing);
    case ATTRIBUTE_STATE:
        return test_state(t, thing);
    case ATTRIBUTE_MODEL:
        return version ? test_item(t, &(struct item){.type = FILTER_REF, .id = thing->model}) : 0;
    case ATTRIBUTE_NUMBER:
        return version ? test_number(t, FILTER_NUMBER, thing->number) : 0;
    case ATTRIBUTE_CREATED:
        return test_number(t, FILTER_TIME, thing->created.time_us);
    case ATTRIBUTE_CREATED_BY:
        return test_text(t, thing->created.principal);
    case ATTRIBUTE_CHANGED:
        return test_number(t, FILTER_TIME, thing->changed.time_us);
    case ATTRIBUTE_CHANGED_BY:
        return test_text(t, thing->changed.principal);
    case ATTRIBUTE_ALIAS:
        return test_aliases(t, thing);
    case ATTRIBUTE_STAGE:
        return test_stage(t, thing);
    }
    return 0;
}

static int test_tag(struct test *t, const struct thing *thing)
{
    const struct field_value *tags = &thing->fields[FIELD_TAGS];
    for (size_t i = 0; i < tags->len; i++) {
        if (span_equal(tags->pairs[i].key, t->f->key)) {
            return test_item(t, &(struct item){.type = FILTER_TEXT, .text = tags->pairs[i].value});
        }
    }
    return 0;
}

/* One element of a prop. */
static int test_prop_item(struct test *t, unsigned type, const struct prop_item *item)
{
    struct item value = {0};
    double d;
    int64_t whole = (int64_t)item->bits;
    switch (type) {
    case PROP_INT:
        value.type = FILTER_NUMBER;
        value.number = filter_number_of(whole < 0 ? -item->bits : item->bits);
        value.number.is_negative = whole < 0;
        value.number.value = (double)whole;
        break;
    case PROP_FLOAT:
        memcpy(&d, &item->bits, sizeof d);
        value.type = FILTER_NUMBER;
        value.number.value = d;
        break;
    case PROP_BOOL:
        value.type = FILTER_BOOL;
        value.truth = item->bits != 0;
        break;
    case PROP_TIME:
        value.type = FILTER_TIME;
        value.number = filter_number_of(item->bits);
        break;
    case PROP_REF:
        value.type = FILTER_REF;
        value.id = item->bits;
        break;
    default:
        value.type = FILTER_TEXT;
        value.text = item->text;
        break;
    }
    return test_item(t, &value);
}

static int test_prop(struct test *t, const struct field_value *props)
{
    int rc = 0;
    for (size_t i = 0; i < props->len; i++) {
        if (!span_equal(props->pairs[i].key, t->f->key)) {
            continue;
        }
        struct prop_reader reader = prop_read(props->pairs[i].value);
        struct prop_item item;
        bool more = true; /* what is no list has one element, and prop_next would give it again */
        while (rc == 0 && more && prop_next(&reader, &item) == 1) {
            rc = test_prop_item(t, reader.type, &item);
            more = reader.is_list;
        }
    }
    return rc;
}

static int test_param(struct test *t, const struct thing *thing)
{
    struct span value;
    if (!spend(t->m, RESOLVE_STEPS)) {
        return 0;
    }
    int rc = lookup_param(t->m->view, thing->id, t->f->key, &value);
    if (rc == 0) {
        return test_item(t, &(struct item){.type = FILTER_TEXT, .text = value});
    }
    return rc == 1 ? 0 : rc;
}

static double metric_of(const struct series *s, enum filter_metric metric, bool *ret_there)
{
    const struct series_sums *sums = &s->sums;
    *ret_there = true;
    switch (metric) {
    case METRIC_FIRST:
        return point_double(sums->first.value);
    case METRIC_MIN:
        *ret_there = sums->has_extremes;
        return point_double(sums->min.value);
    case METRIC_MAX:
        *ret_there = sums->has_extremes;
        return point_double(sums->max.value);
    case METRIC_COUNT:
        return (double)sums->count;
    case METRIC_LAST:
        break;
    }
    return point_double(sums->last.value);
}

static int test_series(struct test *t, const struct series *s)
{
    bool there;
    double d = metric_of(s, t->f->metric, &there);
    struct item item = {.type = FILTER_NUMBER, .number = {.value = d}};
    return there ? test_item(t, &item) : 0;
}

static int on_series(void *arg, const struct series *s, struct span key)
{
    struct test *t = arg;
    if (!span_equal(key, t->f->key)) {
        return 1;
    }
    return spend(t->m, 1) ? test_series(t, s) : 1;
}

static int test_metric(struct test *t, const struct thing *thing)
{
    struct series series;
    struct thing *on;
    if (t->f->key.len > CLADE_MAX_METRIC_KEY_BYTES || !spend(t->m, RESOLVE_STEPS)) {
        return 0;
    }
    if (!t->f->has_ref) {
        struct key from = key_series(thing->id, t->f->key, 0);
        int rc = series_each(t->m->view, thing->id, &from, on_series, t);
        return rc == 1 ? 0 : rc;
    }
    struct resolver r = {
        .view = t->m->view, .arena = t->m->arena, .ns = t->m->ns, .any_state = true};
    int rc = resolve(&r, t->f->ref, &on);
    if (rc == 0) {
        rc = lookup_series(t->m->view, thing->id, t->f->key, on->id, &series);
        rc = rc == 0 ? test_series(t, &series) : rc == 1 ? 0 : rc;
    }
    return rc == CLADE_ERR_NOT_FOUND ? 0 : rc;
}

static int test_key(struct test *t, const struct thing *thing)
{
    switch (t->f->group) {
    case FILTER_ATTRIBUTE:
        return test_attribute(t, thing);
    case FILTER_TAGS:
        return test_tag(t, thing);
    case FILTER_PROPS:
        return test_prop(t, &thing->fields[FIELD_PROPS]);
    case FILTER_EDGE:
        return t->m->edge != NULL ? test_prop(t, t->m->edge) : 0;
    case FILTER_PARAMS:
        return test_param(t, thing);
    case FILTER_METRICS:
        return test_metric(t, thing);
    }
    return 0;
}

static int compare(const struct matcher *m,
                   const struct filter *f,
                   const struct thing *thing,
                   bool *ret)
{
    struct test t = {.m = m, .f = f};
    int rc = test_key(&t, thing);
    if (f->op == FILTER_IS_NULL) {
        *ret = (t.values == 0) != f->negated;
    } else {
        *ret = t.values > 0 && t.met != (f->negated || f->op == FILTER_NE);
    }
    return rc;
}

/* --- The tree ------------------------------------------------------------------------------- */

/* AND ends at the first that does not match, OR at the first that does. */
static int walk(const struct matcher *m,
                const struct filter *f,
                const struct thing *thing,
                bool *ret)
{
    int rc = 0;
    if (!spend(m, 1)) {
        return 0;
    }
    switch (f->kind) {
    case FILTER_COMPARE:
        return compare(m, f, thing, ret);
    case FILTER_NOT:
        rc = walk(m, f->first, thing, ret);
        *ret = !*ret;
        return rc;
    case FILTER_LINEAGE:
        return m->lineage(m->lineage_arg, f, thing, ret);
    case FILTER_AND:
    case FILTER_OR:
        *ret = f->kind == FILTER_AND;
        for (const struct filter *one = f->first; one != NULL && rc == 0; one = one->next) {
            rc = walk(m, one, thing, ret);
            if (*ret != (f->kind == FILTER_AND)) {
                break;
            }
        }
        return rc;
    }
    return rc;
}

int match_thing(const struct matcher *m,
                const struct filter *filter,
                const struct thing *thing,
                bool *ret)
{
    bool matches = false;
    int rc = walk(m, filter, thing, &matches);
    if (rc == 0 && *m->steps_left == 0) {
        rc = error_set(m->view->error, CLADE_ERR_LIMIT, NULL,
                       "the query compares too much; ask less at once");
    }
    if (rc == 0) {
        *ret = matches;
    }
    return rc;
}

/* --- The place in an order -------------------------------------------------------------------- */

static int first_value(const struct matcher *m,
                       const struct filter *key,
                       const struct thing *thing,
                       struct item *ret)
{
    struct test t = {.m = m, .f = key, .first = ret};
    int rc = test_key(&t, thing);
    if (rc == 0 && *m->steps_left == 0) {
        return error_set(m->view->error, CLADE_ERR_LIMIT, NULL,
                         "the query compares too much; ask less at once");
    }
    return rc != 0 ? rc : t.values == 0;
}

int match_value(const struct matcher *m,
                const struct filter *key,
                const struct thing *thing,
                struct value_code *ret)
{
    struct item item;
    int rc = first_value(m, key, thing, &item);
    ret->len = 0;
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    switch (item.type) {
    case FILTER_NUMBER:
    case FILTER_TIME:
        *ret = value_of_number(item.number.value);
        break;
    case FILTER_BOOL:
        *ret = value_of_bool(item.truth);
        break;
    case FILTER_REF:
        *ret = value_of_ref(item.id);
        break;
    default:
        *ret =
            key->group == FILTER_ATTRIBUTE ? value_of_text(item.text) : value_of_mixed(item.text);
        break;
    }
    return 0;
}

static int text_of_number(const struct matcher *m, const struct filter_number *n, struct span *ret)
{
    char text[64];
    int len = n->is_whole ? snprintf(text, sizeof text, "%s%llu", n->is_negative ? "-" : "",
                                     (unsigned long long)n->magnitude)
                          : snprintf(text, sizeof text, "%.17g", n->value);
    *ret = arena_copy_span(m->arena, span_make(text, (size_t)len));
    return ret->data != NULL ? 0 : arena_failure(m->arena, (size_t)len, m->view->error);
}

int match_value_text(const struct matcher *m,
                     const struct filter *key,
                     const struct thing *thing,
                     struct span *ret)
{
    struct item item;
    char text[TIME_TEXT_BYTES];
    int rc = first_value(m, key, thing, &item);
    *ret = (struct span){0};
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    switch (item.type) {
    case FILTER_NUMBER:
        return text_of_number(m, &item.number, ret);
    case FILTER_TIME:
        time_format(item.number.magnitude, text);
        *ret = arena_copy_span(m->arena, span_of(text));
        return ret->data != NULL ? 0 : arena_failure(m->arena, sizeof text, m->view->error);
    case FILTER_BOOL:
        *ret = span_of(item.truth ? "true" : "false");
        return 0;
    case FILTER_REF:
        return text_of_thing(m, item.id, ret);
    default:
        *ret = item.text;
        return 0;
    }
}
