/* search and count: the things of a kind that are as a query says. Candidates come from the plan's
 * source in the order of ids, or from the index of the order's key; filter_match has the last word
 * of each. */
#include <stdlib.h>

#include "command/value.h"
#include "storage/search.h"

#define GROUPS_MAX 10000

enum way { WAY_IDS, WAY_WALK, WAY_HEAP };

/* Where a thing stands in the answer: by its values, then its id. */
struct place {
    uint64_t id;
    struct value_code values[SEARCH_ORDER_MAX]; /* len 0: it has none, and comes last */
};

struct answering {
    struct search_run s;
    const struct query *query;
    struct source *source;
    enum way way;
    bool backward; /* ids descend; of equal values too */
    bool has_after;
    struct place after;
    uint64_t matched;
    size_t heap_len;
    struct place *heap; /* the worst first */
    struct key values;  /* WAY_WALK: how the rows of the order's key begin */
    struct order_range range;
    struct count_group *groups;
    size_t groups_len;
};

/* --- Places ----------------------------------------------------------------------------------- */

static int compare_codes(const struct value_code *a, const struct value_code *b, bool descending)
{
    if (a->len == 0 || b->len == 0) {
        return (a->len == 0) - (b->len == 0);
    }
    int order = span_compare(span_make(a->bytes, a->len), span_make(b->bytes, b->len));
    return descending ? -order : order;
}

static int compare_places(const struct answering *a, const struct place *x, const struct place *y)
{
    const struct search *search = a->s.search;
    for (size_t i = 0; i < search->order_len && a->way != WAY_IDS; i++) {
        int order = compare_codes(&x->values[i], &y->values[i], search->order[i].descending);
        if (order != 0) {
            return order;
        }
    }
    int order = (x->id > y->id) - (x->id < y->id);
    return a->backward ? -order : order;
}

static int place_of(struct answering *a, const struct thing *thing, struct place *ret)
{
    const struct search *search = a->s.search;
    int rc = 0;
    ret->id = thing->id;
    for (size_t i = 0; i < search->order_len && a->way != WAY_IDS && rc == 0; i++) {
        rc = match_value(&a->s.match, &search->order[i].key, thing, &ret->values[i]);
    }
    return rc;
}

/* A position: id, then of each key of the order the length of its value, u16, and the value. */
static void note_place(struct answering *a, const struct place *place)
{
    uint8_t bytes[CURSOR_POSITION_MAX];
    size_t len = 8;
    put_u64be(bytes, place->id);
    for (size_t i = 0; i < a->s.search->order_len && a->way != WAY_IDS; i++) {
        const struct value_code *v = &place->values[i];
        put_u16le(bytes + len, v->len);
        memcpy(bytes + len + 2, v->bytes, v->len);
        len += 2u + v->len;
    }
    reading_set_next(a->s.r, span_make(bytes, len));
}

_Static_assert(8 + SEARCH_ORDER_MAX * (2 + sizeof((struct value_code *)0)->bytes) <=
                   CURSOR_POSITION_MAX,
               "each place fits in a cursor");

static int take_position(struct answering *a)
{
    struct reading *r = a->s.r;
    struct span rest = r->position;
    if (rest.len == 0) {
        return 0;
    }
    if (rest.len < 8) {
        return reading_bad_cursor(r);
    }
    a->has_after = true;
    a->after.id = get_u64be(rest.data);
    rest = span_skip(rest, 8);
    for (size_t i = 0; i < a->s.search->order_len && a->way != WAY_IDS; i++) {
        struct value_code *v = &a->after.values[i];
        size_t len = rest.len < 2 ? SIZE_MAX : get_u16le(rest.data);
        if (len > sizeof v->bytes || rest.len < 2 + len) {
            return reading_bad_cursor(r);
        }
        v->len = (uint16_t)len;
        memcpy(v->bytes, rest.data + 2, len);
        rest = span_skip(rest, 2 + len);
    }
    reading_set_next(r, r->position);
    return rest.len == 0 ? 0 : reading_bad_cursor(r);
}

/* --- What is done with a match -----------------------------------------------------------------
 */

struct count_group {
    uint64_t hash;
    struct span value; /* len 0: it has none */
    uint64_t count;
};

#define SLOTS 32768u /* above 2 * GROUPS_MAX, a power of two */

static int count_in(struct answering *a, const struct thing *thing)
{
    struct reading *r = a->s.r;
    struct span value;
    if (a->query->by == NULL) {
        return 0;
    }
    int rc = match_value_text(&a->s.match, a->query->by, thing, &value);
    if (rc != 0) {
        return rc;
    }
    if (a->groups == NULL) {
        a->groups = arena_calloc(r->arena, SLOTS, sizeof *a->groups);
        if (a->groups == NULL) {
            return arena_failure(r->arena, SLOTS * sizeof *a->groups, r->error);
        }
    }
    uint64_t hash = hash64(value, 0);
    struct count_group *g = &a->groups[hash % SLOTS];
    while (g->count > 0 && !(g->hash == hash && span_equal(g->value, value))) {
        g = g + 1 == a->groups + SLOTS ? a->groups : g + 1;
    }
    if (g->count == 0) {
        if (++a->groups_len > GROUPS_MAX) {
            return error_set(r->error, CLADE_ERR_LIMIT, "by",
                             "there are more than %d different values; count by something that has "
                             "fewer, or of fewer things",
                             GROUPS_MAX);
        }
        g->hash = hash;
        g->value = arena_copy_span(r->arena, value);
        if (g->value.data == NULL) {
            return arena_failure(r->arena, value.len, r->error);
        }
    }
    g->count++;
    return 0;
}

/* Shows, or counts, a thing whose turn it is. As reading_emit. */
static int take_match(struct answering *a, const struct thing *thing)
{
    struct reading *r = a->s.r;
    int rc = 0;
    if (a->query->count_only) {
        rc = count_in(a, thing);
    } else if (a->query->explain) {
        if (r->items >= a->query->limit) {
            r->full = true;
            return 1;
        }
        r->items++;
    } else {
        rc = reading_emit(r, thing, 0);
    }
    a->matched += rc == 0;
    return rc;
}

/* --- In the order of ids ------------------------------------------------------------------------
 */

static bool step_id(const struct answering *a, uint64_t *id)
{
    if (a->backward ? *id <= a->s.id_min : *id >= a->s.id_max) {
        return false;
    }
    *id = a->backward ? *id - 1 : *id + 1;
    return true;
}

static uint64_t first_id(const struct answering *a)
{
    return a->backward ? a->s.id_max : a->s.id_min;
}

/* The next page begins behind the thing, whether it matched or not. What is ordered by a key has
 * none here. */
static void note_seen(struct answering *a, uint64_t id)
{
    struct place at;
    at.id = id;
    at.values[0].len = 0;
    if (a->way != WAY_HEAP) {
        note_place(a, &at);
    }
}

/* Each thing of the source from `id` on that matches goes to `take`. *id is the last that was
 * looked at. 0 at the end, 1 when `take` said so, 2 when the search must stop, 3 after
 * `things_max`. */
static int each_match(struct answering *a,
                      struct source *source,
                      uint64_t *id,
                      uint64_t things_max,
                      int (*take)(struct answering *a, const struct thing *thing))
{
    struct search_run *s = &a->s;
    uint64_t next = *id;
    for (uint64_t i = 0; i < things_max; i++) {
        struct thing *thing;
        bool matches = false;
        int rc = source_seek(s, source, next, a->backward, &next);
        if (rc != 0) {
            return rc == 1 ? 0 : rc;
        }
        if (next < s->id_min || next > s->id_max) {
            return 0;
        }
        rc = search_test(s, next, s->search->filter, a->query->state, &thing, &matches);
        rc = rc == 0 && matches ? take(a, thing) : rc;
        if (rc != 0) {
            return rc;
        }
        *id = next;
        note_seen(a, next);
        if (!step_id(a, &next)) {
            return 0;
        }
    }
    return 3;
}

static struct source everything(struct search_run *s)
{
    return (struct source){.kind = SOURCE_ALL,
                           .prefix = key_values(s->ns, s->kind, VALUE_THING, 0, (struct span){0})};
}

static int run_ids(struct answering *a)
{
    struct search_run *s = &a->s;
    uint64_t id = first_id(a);
    int rc = 3;
    if (a->has_after && (a->backward ? a->after.id <= id : a->after.id >= id)) {
        id = a->after.id;
        if (!step_id(a, &id)) {
            return 0;
        }
    }
    bool large = a->source->kind == SOURCE_SET && !a->source->is_filled && !a->source->is_exact;
    if (large && !a->query->count_only) {
        /* Many things match: enough may stand here. */
        struct source all = everything(s);
        rc = each_match(a, &all, &id, 4 * s->count_max, take_match);
        if (rc == 3 && !step_id(a, &id)) {
            return 0;
        }
    }
    return rc == 3 ? each_match(a, a->source, &id, UINT64_MAX, take_match) : rc;
}

/* --- From the index of the order's key ----------------------------------------------------------
 */

static int walk_row(struct answering *a, const struct row *row, size_t values_len)
{
    struct search_run *s = &a->s;
    struct place at = {.id = value_row_id(row->key)};
    struct value_code *code = &at.values[0];
    struct thing *thing;
    bool matches;
    if (row->value.len != VALUE_ROW_BYTES ||
        row->key.len - values_len - VALUE_TAIL_BYTES > sizeof code->bytes) {
        return row_corrupt(s->r->error, TABLE_VALUES, row->key, "has a wrong length");
    }
    code->len = (uint16_t)(row->key.len - values_len - VALUE_TAIL_BYTES);
    memcpy(code->bytes, row->key.data + values_len, code->len);
    bool twice = a->has_after && compare_places(a, &at, &a->after) <= 0;
    bool lives =
        lives_at(get_u64le(row->value.data), get_u64le(row->value.data + 8), s->r->view->revision);
    if (!lives || twice || at.id < s->id_min || at.id > s->id_max) {
        return 0;
    }
    int rc = search_test(s, at.id, s->search->filter, a->query->state, &thing, &matches);
    if (rc == 0 && matches) {
        /* A thing stands once, by the first of its values. */
        struct value_code own;
        rc = match_value(&s->match, &s->search->order[0].key, thing, &own);
        if (rc == 0 && compare_codes(&own, code, false) == 0) {
            rc = take_match(a, thing);
        }
    }
    if (rc == 0) {
        a->has_after = true;
        a->after = at;
        note_place(a, &at);
    }
    return rc;
}

/* What stands in the gap is passed over at once; `rc` says whether there is a row. */
static int pass_gap(const struct answering *a, bool backward, int rc, struct row *row)
{
    const struct order_range *range = &a->range;
    if (rc != 0 || range->gap.len == 0 || span_compare(row->key, key_span(&range->gap)) < 0 ||
        span_compare(row->key, key_span(&range->gap_end)) >= 0) {
        return rc;
    }
    struct view *v = a->s.r->view;
    return backward ? view_before(v, TABLE_VALUES, key_span(&range->gap), row)
                    : view_seek(v, TABLE_VALUES, key_span(&range->gap_end), row);
}

static int walk_rows(struct answering *a)
{
    struct search_run *s = &a->s;
    struct view *v = s->r->view;
    const struct order_range *range = &a->range;
    bool backward = s->search->order[0].descending;
    struct key from = backward ? range->high : range->low;
    struct row row;
    if (a->has_after) {
        struct key key = a->values;
        key_add_value(&key, &a->after.values[0]);
        key_add_tail(&key, a->after.id, backward ? 0 : UINT64_MAX);
        bool inside = backward ? span_compare(key_span(&key), key_span(&range->high)) < 0
                               : span_compare(key_span(&key), key_span(&range->low)) > 0;
        from = inside ? key : from;
    }
    int rc = backward ? view_before(v, TABLE_VALUES, key_span(&from), &row)
                      : view_seek(v, TABLE_VALUES, key_span(&from), &row);
    rc = pass_gap(a, backward, rc, &row);
    while (rc == 0 && span_compare(row.key, key_span(&range->low)) >= 0 &&
           span_compare(row.key, key_span(&range->high)) < 0) {
        rc = search_row(s) ? 2 : walk_row(a, &row, a->values.len);
        if (rc != 0) {
            return rc;
        }
        rc = backward ? view_previous(v, TABLE_VALUES, &row) : view_next(v, TABLE_VALUES, &row);
        rc = pass_gap(a, backward, rc, &row);
    }
    return rc == 1 ? 0 : rc;
}

/* What has no value comes last, in the order of ids. */
static int take_without(struct answering *a, const struct thing *thing)
{
    struct place at = {.id = thing->id};
    int rc = match_value(&a->s.match, &a->s.search->order[0].key, thing, &at.values[0]);
    if (rc != 0 || at.values[0].len > 0) {
        return rc;
    }
    return take_match(a, thing);
}

static int run_walk(struct answering *a)
{
    bool in_rest = a->has_after && a->after.values[0].len == 0;
    int rc = in_rest ? 0 : walk_rows(a);
    if (rc != 0) {
        return rc;
    }
    if (a->range.is_there) {
        return 0;
    }
    uint64_t id = in_rest ? a->after.id : first_id(a);
    if (in_rest && !step_id(a, &id)) {
        return 0;
    }
    return each_match(a, a->source, &id, UINT64_MAX, take_without);
}

/* --- The best of all ----------------------------------------------------------------------------
 */

static void sink(struct answering *a, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= a->heap_len) {
            return;
        }
        if (child + 1 < a->heap_len &&
            compare_places(a, &a->heap[child], &a->heap[child + 1]) < 0) {
            child++;
        }
        if (compare_places(a, &a->heap[at], &a->heap[child]) >= 0) {
            return;
        }
        struct place swap = a->heap[at];
        a->heap[at] = a->heap[child];
        a->heap[child] = swap;
        at = child;
    }
}

static void rise(struct answering *a, size_t at)
{
    while (at > 0 && compare_places(a, &a->heap[at], &a->heap[(at - 1) / 2]) > 0) {
        struct place swap = a->heap[at];
        a->heap[at] = a->heap[(at - 1) / 2];
        a->heap[(at - 1) / 2] = swap;
        at = (at - 1) / 2;
    }
}

static int take_best(struct answering *a, const struct thing *thing)
{
    struct place place = {.id = 0};
    int rc = place_of(a, thing, &place);
    if (rc != 0 || (a->has_after && compare_places(a, &place, &a->after) <= 0)) {
        return rc;
    }
    a->matched++;
    if (a->heap_len < a->query->limit) {
        a->heap[a->heap_len] = place;
        rise(a, a->heap_len++);
    } else if (compare_places(a, &place, &a->heap[0]) < 0) {
        a->heap[0] = place;
        sink(a, 0);
    }
    return 0;
}

static int show_best(struct answering *a)
{
    uint64_t matched = a->matched;
    size_t len = a->heap_len;
    int rc = 0;
    while (a->heap_len > 1) { /* the worst goes to the end, so the best come first */
        struct place swap = a->heap[0];
        a->heap[0] = a->heap[--a->heap_len];
        a->heap[a->heap_len] = swap;
        sink(a, 0);
    }
    for (size_t i = 0; i < len && rc == 0; i++) {
        struct thing *thing;
        reading_next_item(a->s.r);
        rc = lookup_thing(a->s.r->view, a->s.r->scratch, a->heap[i].id, &thing);
        rc = rc == 0 ? take_match(a, thing) : rc;
        if (rc == 0) {
            note_place(a, &a->heap[i]);
        }
    }
    a->s.r->full = a->s.r->full || matched > len;
    a->matched = matched;
    return rc;
}

static int run_heap(struct answering *a)
{
    struct reading *r = a->s.r;
    uint64_t id = first_id(a);
    a->heap = calloc(a->query->limit, sizeof *a->heap);
    if (a->heap == NULL) {
        return error_set(r->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    int rc = each_match(a, a->source, &id, UINT64_MAX, take_best);
    if (rc == 2) {
        return error_set(r->error, CLADE_ERR_LIMIT, "query",
                         "%llu things were read and not all could be put in this order; narrow the "
                         "query, or order by one key that has an index (tags, params, props, "
                         "metrics, most attributes), by created or by id",
                         (unsigned long long)a->s.things);
    }
    return rc != 0 ? rc : show_best(a);
}

/* --- Which way -----------------------------------------------------------------------------------
 */

static bool is_id_order(const struct search *search)
{
    const struct filter *key = &search->order[0].key;
    return search->order_len == 0 ||
           (search->order_len == 1 && key->group == FILTER_ATTRIBUTE &&
            (key->attribute == ATTRIBUTE_ID || key->attribute == ATTRIBUTE_CREATED));
}

/* Of a few things all are looked at; of many the index of the key shows the first. */
static int choose_way(struct answering *a)
{
    struct search_run *s = &a->s;
    const struct search *search = s->search;
    a->backward = search->order_len > 0 && search->order[search->order_len - 1].descending;
    a->way = WAY_IDS;
    if (a->query->count_only || is_id_order(search)) {
        return 0;
    }
    a->way = WAY_HEAP;
    bool few = a->source->is_exact && a->source->kind != SOURCE_ALL;
    few = few || (a->source->kind == SOURCE_ALL && s->total < s->count_max);
    if (few || search->order_len > 1 || !search_order_key(s, &search->order[0].key, &a->values)) {
        return 0;
    }
    a->way = WAY_WALK;
    return search_order_range(s, &search->order[0].key, &a->values, &a->range);
}

static int run(struct answering *a)
{
    switch (a->way) {
    case WAY_IDS:
        return run_ids(a);
    case WAY_WALK:
        return run_walk(a);
    case WAY_HEAP:
        return run_heap(a);
    }
    return 0;
}

/* --- The answer
 * ----------------------------------------------------------------------------------- */

static void put_str(struct buffer *b, const char *key, const char *text)
{
    value_put_str(b, key);
    value_put_str(b, text);
}

static void put_uint(struct buffer *b, const char *key, uint64_t v)
{
    value_put_str(b, key);
    value_put_uint(b, v);
}

static const char *way_name(enum way way)
{
    static const char *const ways[] = {
        [WAY_IDS] = "ids", [WAY_WALK] = "index", [WAY_HEAP] = "best"};
    return ways[way];
}

static void put_explain(struct answering *a)
{
    struct buffer *b = a->s.r->out;
    value_put_map(b, 6);
    put_str(b, "order", way_name(a->way));
    value_put_str(b, "plan");
    search_put_source(b, a->source);
    put_uint(b, "total", a->s.total);
    put_uint(b, "rows", a->s.rows);
    put_uint(b, "things", a->s.things);
    put_uint(b, "matched", a->matched);
}

static int compare_groups(const void *x, const void *y)
{
    const struct count_group *a = x;
    const struct count_group *b = y;
    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }
    return span_compare(a->value, b->value);
}

static void put_count(struct answering *a)
{
    struct buffer *b = a->s.r->out;
    bool by = a->query->by != NULL;
    value_put_map(b, 2u + by);
    put_uint(b, "count", a->matched);
    put_uint(b, "things", a->s.things);
    if (!by) {
        return;
    }
    if (a->groups != NULL) {
        qsort(a->groups, SLOTS, sizeof *a->groups, compare_groups);
    }
    value_put_str(b, "by");
    value_put_array(b, (uint32_t)a->groups_len);
    for (size_t i = 0; i < a->groups_len; i++) {
        value_put_map(b, 2);
        value_put_str(b, "value");
        if (a->groups[i].value.len > 0) {
            value_put_span(b, a->groups[i].value);
        } else {
            value_put_nil(b);
        }
        put_uint(b, "count", a->groups[i].count);
    }
}

/* The things stand in an array in the map: what was read is known behind them. */
static void put_read(struct answering *a)
{
    struct buffer *b = a->s.r->out;
    put_uint(b, "rows", a->s.rows);
    put_uint(b, "read", a->s.things);
    value_put_str(b, "pinned");
    value_put_bool(b, !a->s.search->uses_metrics);
}

static int answer(struct answering *a)
{
    struct reading *r = a->s.r;
    bool shows = !a->query->count_only && !a->query->explain;
    size_t at = 0;
    if (shows) {
        value_put_map(r->out, 4);
        value_put_str(r->out, "items");
        at = value_begin_array(r->out);
    }
    int rc = run(a);
    if (rc == 2) {
        r->stopped = true;
        rc = 0;
    }
    if (rc < 0) {
        return rc;
    }
    if (shows) {
        value_end(r->out, at, r->items);
        put_read(a);
    } else if (a->query->count_only) {
        put_count(a);
    } else {
        put_explain(a);
    }
    if (!shows) {
        r->next_len = 0;
    }
    return 0;
}

int read_search(struct reading *r)
{
    struct answering a = {.query = r->query};
    search_begin(&a.s, r, r->query->search, r->query->list_kind);
    int rc = reading_check_floor(r);
    rc = rc != 0 ? rc : search_plan(&a.s, a.s.search->filter, &a.source);
    rc = rc != 0 ? rc : choose_way(&a);
    rc = rc != 0 ? rc : take_position(&a);
    rc = rc != 0 ? rc : answer(&a);
    search_describe(&a.s, a.source, way_name(a.way), a.matched);
    search_release(&a.s);
    free(a.heap);
    return rc;
}
