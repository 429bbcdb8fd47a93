/* Which indexes find the things that a query can match. A comparison under NOT, !=, ILIKE and the
 * like find none: the things that they match are most things. */
#include <stdlib.h>

#include "base/time_text.h"
#include "storage/resolve.h"
#include "storage/search.h"
#include "storage/usage_row.h"

#define RANGES_MAX 1024 /* of one comparison: values of an IN */
#define SETS_MAX   24   /* of one query */
#define USED_MAX   3    /* indexes that are read side by side */

struct planner {
    struct search_run *s;
    size_t sets;
};

static int no_room(struct search_run *s, size_t bytes)
{
    return arena_failure(s->r->arena, bytes, s->r->error);
}

static int new_source(struct search_run *s,
                      enum source_kind kind,
                      const struct filter *of,
                      struct source **ret)
{
    struct source *source = arena_calloc(s->r->arena, 1, sizeof *source);
    if (source == NULL) {
        return no_room(s, sizeof *source);
    }
    source->kind = kind;
    source->of = of;
    *ret = source;
    return 0;
}

static int new_ranges(struct search_run *s, const struct filter *f, size_t max, struct source **ret)
{
    int rc = new_source(s, SOURCE_SET, f, ret);
    if (rc != 0) {
        return rc;
    }
    (*ret)->ranges = arena_calloc(s->r->arena, max, sizeof *(*ret)->ranges);
    return (*ret)->ranges != NULL ? 0 : no_room(s, max * sizeof *(*ret)->ranges);
}

static struct source_range *add_range(struct source *source, enum table table, struct key low)
{
    struct source_range *range = &source->ranges[source->ranges_len++];
    *range = (struct source_range){.table = table, .low = low, .high = low};
    key_end(&range->high);
    return range;
}

/* --- Values ----------------------------------------------------------------------------------- */

/* One value: the rows of which are read as they are asked for. */
static int plan_equal(struct search_run *s,
                      const struct filter *f,
                      const struct key *values,
                      const struct filter_literal *literals,
                      size_t literals_len,
                      struct source **ret)
{
    struct source *any = NULL;
    size_t parts = 0;
    int rc = new_source(s, SOURCE_OR, f, &any);
    if (rc != 0) {
        return rc;
    }
    struct source **link = &any->first;
    any->is_exact = true;
    for (size_t i = 0; i < literals_len && rc == 0; i++) {
        struct value_code codes[3];
        int len = 0;
        rc = search_codes(s, f, &literals[i], codes, &len);
        for (int j = 0; j < len && rc == 0; j++) {
            struct source *one = NULL;
            rc = new_ranges(s, f, 1, &one);
            if (rc != 0) {
                break;
            }
            struct key key = *values;
            key_add_value(&key, &codes[j]);
            one->kind = SOURCE_VALUE;
            one->prefix = key;
            add_range(one, TABLE_VALUES, key);
            rc = source_estimate(s, one);
            any->estimate += one->estimate;
            any->is_exact = any->is_exact && one->is_exact;
            *link = one;
            link = &one->next;
            parts++;
        }
    }
    *ret = parts == 1 ? any->first : any;
    return rc;
}

/* Texts that are numbers stand among the numbers, whatever their order as texts. */
static void add_numbers(struct source *source, const struct key *values)
{
    struct key key = *values;
    key.bytes[key.len++] = VALUE_NUMBER;
    add_range(source, TABLE_VALUES, key);
}

static int plan_range(struct planner *p,
                      const struct filter *f,
                      const struct key *values,
                      struct source **ret)
{
    struct search_run *s = p->s;
    struct value_code low[3];
    struct value_code high[3];
    int len = 0;
    int high_len = 0;
    int rc = search_codes(s, f, &f->literals[0], low, &len);
    if (rc == 0 && f->op == FILTER_BETWEEN) {
        rc = search_codes(s, f, &f->literals[1], high, &high_len);
    }
    rc = rc != 0 ? rc : new_ranges(s, f, 4, ret);
    for (int i = 0; i < len && rc == 0; i++) {
        struct source_range *range = add_range(*ret, TABLE_VALUES, *values);
        search_narrow(f->op == FILTER_BETWEEN ? FILTER_GE : f->op, values, &low[i], &f->literals[0],
                      range);
        for (int j = 0; j < high_len; j++) {
            if (high[j].bytes[0] == low[i].bytes[0]) {
                range->high = search_above(values, &high[j], &f->literals[1]);
            }
        }
    }
    if (rc == 0 && search_is_mixed(f) && f->literals[0].type == FILTER_TEXT) {
        add_numbers(*ret, values);
    }
    p->sets++;
    return rc != 0 ? rc : source_estimate(s, *ret);
}

/* The beginning of a pattern that every text that fits has. */
static struct span fixed_beginning(struct arena *arena, struct span pattern)
{
    size_t len = 0;
    uint8_t *text = arena_alloc(arena, pattern.len + 1);
    for (size_t i = 0; text != NULL && i < pattern.len; i++) {
        uint8_t c = pattern.data[i];
        if (c == '%' || c == '_') {
            break;
        }
        if (c == '\\' && i + 1 < pattern.len) {
            c = pattern.data[++i];
        }
        text[len++] = c;
    }
    return span_make(text, len);
}

static int plan_like(struct planner *p,
                     const struct filter *f,
                     const struct key *values,
                     struct source **ret)
{
    struct span beginning = fixed_beginning(p->s->r->arena, f->literals[0].text);
    if (beginning.len == 0) {
        return 0;
    }
    int rc = new_ranges(p->s, f, 2, ret);
    if (rc != 0) {
        return rc;
    }
    struct key key = *values;
    struct value_code code = value_of_prefix(beginning);
    key_add_value(&key, &code);
    add_range(*ret, TABLE_VALUES, key);
    if (search_is_mixed(f) && memchr("+-.0123456789", beginning.data[0], 13) != NULL) {
        add_numbers(*ret, values);
    }
    p->sets++;
    return source_estimate(p->s, *ret);
}

static int plan_values(struct planner *p, const struct filter *f, struct source **ret)
{
    struct key values;
    if (!search_values(p->s, f, &values)) {
        return 0;
    }
    switch (f->op) {
    case FILTER_EQ:
    case FILTER_IN:
        return plan_equal(p->s, f, &values, f->literals, f->literals_len, ret);
    case FILTER_LT:
    case FILTER_LE:
    case FILTER_GT:
    case FILTER_GE:
    case FILTER_BETWEEN:
        return plan_range(p, f, &values, ret);
    case FILTER_LIKE:
        return plan_like(p, f, &values, ret);
    case FILTER_IS_NULL: {
        int rc = new_ranges(p->s, f, 1, ret);
        if (rc == 0) {
            add_range(*ret, TABLE_VALUES, values);
            p->sets++;
            rc = source_estimate(p->s, *ret);
        }
        return rc;
    }
    default:
        return 0;
    }
}

/* --- What has tables of its own ----------------------------------------------------------------
 */

static struct key without_tail(struct key key, unsigned bytes)
{
    key.len = (uint16_t)(key.len - bytes);
    return key;
}

/* Names and external ids end with the thing, so the dead are not found by them. */
static int plan_name(struct planner *p,
                     const struct filter *f,
                     enum name_space space,
                     struct source **ret)
{
    struct search_run *s = p->s;
    struct key all = key_name_prefix(space, s->ns, s->kind);
    if (s->r->query->state != CLADE_STATE_LIVE) {
        return 0;
    }
    int rc = 0;
    if (f->op == FILTER_EQ || f->op == FILTER_IN) {
        rc = new_ranges(s, f, f->literals_len, ret);
        for (size_t i = 0; i < f->literals_len && rc == 0; i++) {
            struct key key = key_name(space, s->ns, s->kind, f->literals[i].text, 0);
            add_range(*ret, TABLE_NAMES, without_tail(key, 8));
        }
    } else if (f->op == FILTER_LIKE) {
        struct span beginning = fixed_beginning(s->r->arena, f->literals[0].text);
        struct key key = all;
        beginning.len = beginning.len < VALUE_TEXT_MAX ? beginning.len : VALUE_TEXT_MAX;
        if (beginning.len == 0) {
            return 0;
        }
        rc = new_ranges(s, f, 1, ret);
        memcpy(key.bytes + key.len, beginning.data, beginning.len);
        key.len = (uint16_t)(key.len + beginning.len);
        if (rc == 0) {
            add_range(*ret, TABLE_NAMES, key);
        }
    } else {
        return 0;
    }
    p->sets++;
    return rc != 0 ? rc : source_estimate(s, *ret);
}

static int plan_texts(struct planner *p,
                      const struct filter *f,
                      enum table table,
                      struct source **ret)
{
    struct search_run *s = p->s;
    if (f->op != FILTER_EQ && f->op != FILTER_IN) {
        return 0;
    }
    int rc = new_ranges(s, f, f->literals_len, ret);
    for (size_t i = 0; i < f->literals_len && rc == 0; i++) {
        struct span text = f->literals[i].text;
        if (table == TABLE_DIGESTS && text.len > CLADE_MAX_DIGEST_BYTES) {
            continue; /* nothing has it */
        }
        struct key key = table == TABLE_DIGESTS ? without_tail(key_digest(text, s->ns, 0), 8)
                                                : without_tail(key_uri(text, s->ns, 0, 0), 16);
        add_range(*ret, table, key);
    }
    p->sets++;
    return rc != 0 ? rc : source_estimate(s, *ret);
}

static int add_model(struct planner *p, struct source *source, const struct thing *model)
{
    if (model->kind == KIND_MODEL) {
        struct source_range *range = add_range(source, TABLE_VERSIONS, key_u64(model->id));
        range->low = key_u64_u64(model->id, 1);
    }
    return 0;
}

/* Versions of a model, by a reference or by its name. */
static int plan_model(struct planner *p, const struct filter *f, struct source **ret)
{
    struct search_run *s = p->s;
    bool named = f->attribute == ATTRIBUTE_NAME;
    if ((f->op != FILTER_EQ && f->op != FILTER_IN) || s->kind != KIND_VERSION ||
        (named && s->r->query->state != CLADE_STATE_LIVE)) {
        return 0;
    }
    int rc = new_ranges(s, f, f->literals_len, ret);
    for (size_t i = 0; i < f->literals_len && rc == 0; i++) {
        const struct filter_literal *l = &f->literals[i];
        struct resolver r = {
            .view = s->r->view, .arena = s->r->arena, .ns = s->r->ns, .any_state = true};
        struct thing *model;
        int found = named ? lookup_name(s->r->view, s->r->arena, NAME_SPACE_NAMES, s->ns,
                                        KIND_MODEL, l->text, false, &model)
                          : resolve(&r, &l->ref, &model);
        if (found < 0 && found != CLADE_ERR_NOT_FOUND) {
            rc = found;
        } else if (found == 0) {
            rc = add_model(p, *ret, model);
        }
    }
    p->sets++;
    return rc != 0 ? rc : source_estimate(s, *ret);
}

/* --- Ids and times, which ascend together ------------------------------------------------------
 */

/* The first id that was made at a time or later. */
static int id_at(struct search_run *s, uint64_t time_us, uint64_t *ret)
{
    uint64_t low = 0;
    uint64_t high = s->r->meta.next_id;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct thing *thing;
        reading_next_item(s->r);
        int rc = lookup_thing(s->r->view, s->r->scratch, middle, &thing);
        if (rc < 0) {
            return rc;
        }
        bool before = rc == 0 ? thing->created.time_us < time_us : middle < NAMESPACE_DEFAULT;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    *ret = low;
    return 0;
}

static void bound(struct search_run *s, bool has_min, uint64_t min, bool has_max, uint64_t max)
{
    if (has_min && min > s->id_min) {
        s->id_min = min;
    }
    if (has_max && max < s->id_max) {
        s->id_max = max;
    }
}

static bool whole(const struct filter_literal *l)
{
    return l->number.is_whole && !l->number.is_negative;
}

/* [*min, *max) of ids for a number or a time that is compared. */
static int bound_of(struct search_run *s, bool time, uint64_t v, uint64_t *ret)
{
    *ret = v;
    return time ? id_at(s, v, ret) : 0;
}

static int plan_ids(struct search_run *s, const struct filter *f)
{
    bool time = f->attribute == ATTRIBUTE_CREATED;
    const struct filter_literal *l = f->literals;
    bool low =
        f->op == FILTER_EQ || f->op == FILTER_GE || f->op == FILTER_GT || f->op == FILTER_BETWEEN;
    bool high =
        f->op == FILTER_EQ || f->op == FILTER_LE || f->op == FILTER_LT || f->op == FILTER_BETWEEN;
    const struct filter_literal *last = f->op == FILTER_BETWEEN ? &l[1] : l;
    uint64_t min = 0;
    uint64_t end = 0;
    if ((!low && !high) || !whole(l) || !whole(last) || last->number.magnitude == UINT64_MAX) {
        return 0;
    }
    int rc = bound_of(s, time, l->number.magnitude, &min);
    rc = rc != 0 ? rc : bound_of(s, time, last->number.magnitude + 1, &end);
    if (rc == 0 && high && end == 0) {
        end = 1; /* no id is 0 */
    }
    bound(s, low, min, high, end - 1);
    return rc;
}

/* --- The tree --------------------------------------------------------------------------------- */

static int plan_attribute(struct planner *p, const struct filter *f, struct source **ret)
{
    static const struct span latest = {(const uint8_t *)"latest", 6};
    enum field_code code = f->attribute == ATTRIBUTE_FIELD ? f->field->code : FIELD_NONE;
    switch (f->attribute) {
    case ATTRIBUTE_NAME:
        return p->s->kind == KIND_VERSION ? plan_model(p, f, ret)
                                          : plan_name(p, f, NAME_SPACE_NAMES, ret);
    case ATTRIBUTE_MODEL:
        return plan_model(p, f, ret);
    case ATTRIBUTE_ALIAS:
        /* One alias is computed. */
        for (size_t i = 0; i < f->literals_len; i++) {
            if ((f->op != FILTER_EQ && f->op != FILTER_IN) ||
                span_equal(f->literals[i].text, latest)) {
                return 0;
            }
        }
        return f->literals_len > 0 ? plan_values(p, f, ret) : 0;
    case ATTRIBUTE_FIELD:
        break;
    default:
        return plan_values(p, f, ret);
    }
    switch (code) {
    case FIELD_EXTERNAL_IDS:
        return plan_name(p, f, NAME_SPACE_EXTERNAL, ret);
    case FIELD_DIGESTS:
        return plan_texts(p, f, TABLE_DIGESTS, ret);
    case FIELD_URIS:
        return plan_texts(p, f, TABLE_URIS, ret);
    case FIELD_TYPE:
        return 0;
    default:
        return plan_values(p, f, ret);
    }
}

static int plan_lineage(struct planner *p, const struct filter *f, struct source **ret)
{
    struct id_pages *set;
    int rc = search_lineage_set(p->s, f, &set);
    if (rc != 0 || set == NULL) {
        return rc;
    }
    rc = new_source(p->s, SOURCE_SET, f, ret);
    if (rc == 0) {
        (*ret)->is_lineage = true;
        (*ret)->is_filled = true;
        (*ret)->set = *set; /* which is the search's */
        (*ret)->is_exact = true;
        uint64_t id = 0;
        while ((*ret)->estimate < p->s->count_max && id_pages_next(set, id, &id)) {
            (*ret)->estimate++;
            id++;
        }
        (*ret)->is_exact = (*ret)->estimate < p->s->count_max;
    }
    return rc;
}

static int plan_compare(struct planner *p, const struct filter *f, struct source **ret)
{
    bool is_null = f->op == FILTER_IS_NULL;
    if (f->negated != is_null || f->literals_len > RANGES_MAX || p->sets >= SETS_MAX) {
        return 0;
    }
    return f->group == FILTER_ATTRIBUTE ? plan_attribute(p, f, ret) : plan_values(p, f, ret);
}

static int plan(struct planner *p, const struct filter *f, struct source **ret);

/* All ways must be known. */
static int plan_or(struct planner *p, const struct filter *f, struct source **ret)
{
    struct source *any = NULL;
    int rc = new_source(p->s, SOURCE_OR, f, &any);
    if (rc != 0) {
        return rc;
    }
    struct source **link = &any->first;
    any->is_exact = true;
    for (const struct filter *one = f->first; one != NULL && rc == 0; one = one->next) {
        struct source *part = NULL;
        rc = plan(p, one, &part);
        if (part == NULL) {
            return rc;
        }
        any->estimate += part->estimate;
        any->is_exact = any->is_exact && part->is_exact;
        *link = part;
        link = &part->next;
    }
    *ret = any;
    return rc;
}

static bool is_cheaper(const struct source *a, const struct source *b)
{
    bool a_set = a->kind == SOURCE_SET && !a->is_filled;
    bool b_set = b->kind == SOURCE_SET && !b->is_filled;
    if (a->is_exact != b->is_exact) {
        return a->is_exact;
    }
    return a->estimate != b->estimate ? a->estimate < b->estimate : a_set < b_set;
}

/* The cheapest, and beside it those that halve at least what it gives and need not be read
 * first. */
static struct source *choose(struct source **parts, size_t len, struct source *all)
{
    size_t used = 0;
    for (size_t i = 1; i < len; i++) {
        struct source *one = parts[i];
        size_t at = i;
        for (; at > 0 && is_cheaper(one, parts[at - 1]); at--) {
            parts[at] = parts[at - 1];
        }
        parts[at] = one;
    }
    struct source **link = &all->first;
    for (size_t i = 0; i < len && used < USED_MAX; i++) {
        bool must_be_read = parts[i]->kind == SOURCE_SET && !parts[i]->is_filled;
        bool worth = !parts[0]->is_exact || parts[0]->estimate > 64;
        if (i == 0 || (worth && !must_be_read && parts[i]->kind != SOURCE_OR)) {
            *link = parts[i];
            link = &parts[i]->next;
            *link = NULL;
            used++;
        }
    }
    all->estimate = parts[0]->estimate;
    all->is_exact = parts[0]->is_exact;
    return used == 1 ? parts[0] : all;
}

static int plan_and(struct planner *p, const struct filter *f, struct source **ret)
{
    struct source *parts[16];
    struct source *all = NULL;
    size_t len = 0;
    int rc = new_source(p->s, SOURCE_AND, f, &all);
    if (rc != 0) {
        return rc;
    }
    for (const struct filter *one = f->first; one != NULL && rc == 0; one = one->next) {
        struct source *part = NULL;
        rc = len < sizeof parts / sizeof *parts ? plan(p, one, &part) : 0;
        if (part != NULL) {
            parts[len++] = part;
        }
    }
    if (rc == 0 && len > 0) {
        *ret = choose(parts, len, all);
    }
    return rc;
}

static int plan(struct planner *p, const struct filter *f, struct source **ret)
{
    switch (f->kind) {
    case FILTER_AND:
        return plan_and(p, f, ret);
    case FILTER_OR:
        return plan_or(p, f, ret);
    case FILTER_COMPARE:
        return plan_compare(p, f, ret);
    case FILTER_LINEAGE:
        return plan_lineage(p, f, ret);
    case FILTER_NOT:
        return 0;
    }
    return 0;
}

/* What must hold whatever else does: bounds of ids. */
static int plan_bounds(struct search_run *s, const struct filter *f)
{
    int rc = 0;
    if (f->kind == FILTER_AND) {
        for (const struct filter *one = f->first; one != NULL && rc == 0; one = one->next) {
            rc = plan_bounds(s, one);
        }
        return rc;
    }
    bool ids = f->kind == FILTER_COMPARE && f->group == FILTER_ATTRIBUTE && !f->negated &&
               (f->attribute == ATTRIBUTE_ID || f->attribute == ATTRIBUTE_CREATED);
    return ids ? plan_ids(s, f) : 0;
}

/* Sets are made before a thing is looked at: making them reads things too. */
int search_make_sets(struct search_run *s, const struct filter *f)
{
    int rc = 0;
    if (f->kind == FILTER_LINEAGE) {
        struct id_pages *set;
        rc = search_lineage_set(s, f, &set);
        if (rc != 0 || set != NULL || f->first == NULL) {
            return rc;
        }
        return search_make_sets(s, f->first);
    }
    for (const struct filter *one = f->first; one != NULL && rc == 0; one = one->next) {
        rc = search_make_sets(s, one);
    }
    return rc;
}

int search_plan(struct search_run *s, const struct filter *filter, struct source **ret)
{
    struct planner p = {.s = s};
    struct source *source = NULL;
    struct usage usage;
    int rc = usage_of(s->r->view, s->ns, &usage);
    if (rc != 0) {
        return rc;
    }
    s->total = usage.own[s->kind];
    if (filter != NULL) {
        rc = search_make_sets(s, filter);
        rc = rc != 0 ? rc : plan_bounds(s, filter);
        rc = rc != 0 ? rc : plan(&p, filter, &source);
    }
    if (rc == 0 && source == NULL) {
        rc = new_source(s, SOURCE_ALL, NULL, &source);
        if (rc == 0) {
            source->prefix = key_values(s->ns, s->kind, VALUE_THING, 0, (struct span){0});
            source->estimate = s->total;
            source->is_exact = s->r->query->state == CLADE_STATE_LIVE;
        }
    }
    *ret = source;
    return rc;
}
