#include "command/query.h"

#include "base/check.h"
#include "base/time_text.h"
#include "command/check_internal.h"
#include "command/query_internal.h"
#include "command/txn.h"

enum {
    CURSOR_BYTES_MAX = 8192,
    CREDIT_BYTES_DEFAULT = 1 << 20,
    KEYS_MAX = 1000, /* of metrics that one query names */
    SAMPLE_MIN = 4   /* points: the first, the least, the greatest, the last */
};

static const char *const get_keys[] = {"refs", READ_KEYS, NULL};
static const char *const list_keys[] = {"kind", "under", READ_KEYS, NULL};
static const char *const history_keys[] = {"ref", READ_KEYS, NULL};
static const char *const describe_keys[] = {READ_KEYS, NULL};
static const char *const metrics_keys[] = {"refs",    "keys",      "on",      "from_step",
                                           "to_step", "from_time", "to_time", "last",
                                           "sample",  READ_KEYS,   NULL};

/* What watch and audit tell of. */
#define CHANGE_KEYS "namespace", "kinds", "prefix", "query"

static const char *const audit_keys[] = {"by",      "ref",     CHANGE_KEYS, "from_time",
                                         "to_time", READ_KEYS, NULL};
static const char *const watch_keys[] = {"from", "credit", "ns", CHANGE_KEYS, "deadline_ms", NULL};

static const char *const search_keys[] = {"kind", "query", READ_KEYS, NULL};
static const char *const count_keys[] = {"kind", "query", "by", READ_KEYS, NULL};

int query_take_as_of(const struct decode *d, const char *key, struct query_as_of *ret)
{
    return value_get(d->params, key) == NULL ? 0 : take_as_of(d->params, key, ret, d->error);
}

/* The elements of an array of strings, in the arena; none when it is absent. */
int query_take_texts(
    const struct decode *d, const char *key, size_t max, struct span **ret, size_t *ret_len)
{
    const struct value *v = value_get(d->params, key);
    size_t len = value_len(v);
    if (v == NULL) {
        return 0;
    }
    if (value_type(v) != CLADE_ARRAY || len == 0) {
        return check_fail(d->error, CLADE_ERR_INVALID, key,
                          "expected an array of strings, at least one");
    }
    if (len > max) {
        return check_fail(d->error, CLADE_ERR_LIMIT, key, "at most %zu may be named, got %zu", max,
                          len);
    }
    struct span *texts = arena_calloc(d->arena, len, sizeof *texts);
    if (texts == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *texts, d->error);
    }
    for (size_t i = 0; i < len; i++) {
        if (value_type(value_at(v, i)) != CLADE_STRING) {
            check_fail(d->error, CLADE_ERR_INVALID, NULL, "expected a string, got %s",
                       check_type_text(value_at(v, i)));
            return check_fail_inside(d->error, CLADE_ERR_INVALID, "%s[%zu]", key, i);
        }
        texts[i] = value_string(value_at(v, i));
    }
    *ret = texts;
    *ret_len = len;
    return 0;
}

int query_take_bool(const struct decode *d, const char *key, bool *ret)
{
    const struct value *v = value_get(d->params, key);
    if (v != NULL && value_type(v) != CLADE_BOOL) {
        return check_fail(d->error, CLADE_ERR_INVALID, key, "expected a boolean, got %s",
                          check_type_text(v));
    }
    *ret = value_bool(v);
    return 0;
}

static int take_with(const struct decode *d, struct query *q)
{
    static const char *const all[] = {"depth", "edges", "aliases", "params", "metrics", NULL};
    const char *const *choices = q->kind == QUERY_LINEAGE ? all : all + 1;
    bool *const wanted[] = {&q->with_depths, &q->with_edges, &q->with_aliases, &q->with_params,
                            &q->with_metrics};
    struct span *texts = NULL;
    size_t len = 0;
    int r = query_take_texts(d, "with", 16, &texts, &len);
    for (size_t i = 0; r == 0 && i < len; i++) {
        size_t choice = 0;
        while (choices[choice] != NULL && !span_equal_str(texts[i], choices[choice])) {
            choice++;
        }
        if (choices[choice] == NULL) {
            check_fail_choice(d->error, NULL, texts[i], choices);
            return check_fail_inside(d->error, CLADE_ERR_INVALID, "with[%zu]", i);
        }
        *wanted[choice + (size_t)(choices - all)] = true;
    }
    return r;
}

static int take_limit(const struct decode *d, struct query *q)
{
    uint64_t limit = 0;
    int r = take_uint(d->params, "limit", false, CLADE_MAX_PAGE_ITEMS, &limit, d->error);
    q->limit = limit == 0 ? QUERY_LIMIT_DEFAULT : (uint32_t)limit;
    return r;
}

/* The words' places are the numbers of clade.h. */
static int take_choices(const struct decode *d, struct query *q)
{
    static const char *const consistencies[] = {
        [CLADE_LINEARIZABLE] = "linearizable",
        [CLADE_AT_LEAST] = "at_least",
        [CLADE_STALE] = "stale",
        [CLADE_LOCAL] = "local",
        NULL,
    };
    static const char *const views[] = {
        [CLADE_VIEW_HEADS] = "heads",
        [CLADE_VIEW_FULL] = "full",
        [CLADE_VIEW_IDS] = "ids",
        NULL,
    };
    static const char *const states[] = {
        [CLADE_STATE_LIVE] = "live",
        [CLADE_STATE_DELETED] = "deleted",
        [CLADE_STATE_ANY] = "any",
        NULL,
    };
    int consistency = CLADE_LINEARIZABLE;
    int view = CLADE_VIEW_HEADS;
    bool named = q->kind != QUERY_LIST && q->kind != QUERY_DESCRIBE && q->kind != QUERY_SEARCH &&
                 q->kind != QUERY_COUNT && q->kind != QUERY_EXPLAIN && q->kind != QUERY_WATCH;
    int state = named ? CLADE_STATE_ANY : CLADE_STATE_LIVE;
    int r = take_choice(d->params, "consistency", false, consistencies, &consistency, d->error);
    r = r != 0 ? r : take_choice(d->params, "view", false, views, &view, d->error);
    r = r != 0 ? r : take_choice(d->params, "state", false, states, &state, d->error);
    q->consistency = (enum clade_consistency)consistency;
    q->view = (enum clade_view)view;
    q->state = (enum clade_state)state;
    return r;
}

static int take_read_keys(const struct decode *d, struct query *q)
{
    const struct value *params = d->params;
    int r = take_namespace(params, "ns", &q->ns, d->error);
    r = r != 0 ? r : take_choices(d, q);
    r = r != 0 ? r : take_uint(params, "at_least", false, UINT64_MAX, &q->at_least, d->error);
    r = r != 0 ? r : take_uint(params, "stale_ms", false, UINT64_MAX, &q->stale_ms, d->error);
    r = r != 0 ? r : query_take_as_of(d, "as_of", &q->as_of);
    r = r != 0 ? r : take_text(params, "cursor", false, CURSOR_BYTES_MAX, &q->cursor, d->error);
    r = r != 0 ? r : take_limit(d, q);
    return r != 0 ? r : take_with(d, q);
}

static int parse_target(struct span text, struct query_target *ret, struct error *error)
{
    ret->text = text;
    if (span_starts_with(text, "digest:")) {
        ret->form = TARGET_DIGEST;
        ret->what = span_skip(text, strlen("digest:"));
        return check_digest(ret->what, error);
    }
    if (span_starts_with(text, "uri:")) {
        ret->form = TARGET_URI;
        ret->what = span_skip(text, strlen("uri:"));
        return check_text(ret->what, "a uri", CLADE_MAX_URI_BYTES, false, error);
    }
    return ref_parse(text, false, &ret->ref, error);
}

static int decode_get(const struct decode *d, struct query *q)
{
    struct span *texts = NULL;
    size_t len = 0;
    int r = query_take_texts(d, "refs", CLADE_MAX_GET_REFERENCES, &texts, &len);
    if (r == 0 && len == 0) {
        r = check_fail(d->error, CLADE_ERR_INVALID, "refs", "the key \"refs\" is missing");
    }
    if (r != 0) {
        return r;
    }
    q->targets = arena_calloc(d->arena, len, sizeof *q->targets);
    if (q->targets == NULL) {
        return check_fail_no_room(d->arena, len * sizeof *q->targets, d->error);
    }
    q->targets_len = len;
    for (size_t i = 0; i < len; i++) {
        r = parse_target(texts[i], &q->targets[i], d->error);
        if (r != 0) {
            return check_fail_inside(d->error, r, "refs[%zu]", i);
        }
    }
    return 0;
}

int query_parse_kind(struct span name, const char *key, enum kind *ret, struct error *error)
{
    enum kind kind = kind_parse(name);
    if (kind == KIND_NONE) {
        return check_fail_kind(error, key, name);
    }
    *ret = kind;
    return 0;
}

static int take_under(const struct decode *d, struct query *q)
{
    if (value_get(d->params, "under") == NULL) {
        return 0;
    }
    enum kind wanted = q->list_kind == KIND_VERSION ? KIND_MODEL
                       : q->list_kind == KIND_RUN   ? KIND_EXPERIMENT
                                                    : KIND_NONE;
    if (wanted == KIND_NONE) {
        return check_fail(d->error, CLADE_ERR_INVALID, "under",
                          "only versions (of a model) and runs (of an experiment) are listed under "
                          "something");
    }
    int r = take_ref(d->params, "under", false, &q->under, d->error);
    if (r != 0) {
        return r;
    }
    q->has_under = true;
    r = check_ref_kind(q->under.kind, wanted, d->error);
    return r == 0 ? 0 : check_fail_inside(d->error, r, "under");
}

static int decode_list(const struct decode *d, struct query *q)
{
    struct span kind = {0};
    int r = take_text(d->params, "kind", true, SIZE_MAX, &kind, d->error);
    r = r != 0 ? r : query_parse_kind(kind, "kind", &q->list_kind, d->error);
    return r != 0 ? r : take_under(d, q);
}

static int decode_describe(const struct decode *d, struct query *q)
{
    return 0;
}

static int decode_history(const struct decode *d, struct query *q)
{
    return take_ref(d->params, "ref", false, &q->start, d->error);
}

static int take_metric_keys(const struct decode *d, struct query *q)
{
    int r = query_take_texts(d, "keys", KEYS_MAX, &q->keys, &q->keys_len);
    for (size_t i = 0; r == 0 && i < q->keys_len; i++) {
        r = check_text(q->keys[i], "a metric's key", CLADE_MAX_METRIC_KEY_BYTES, false, d->error);
        if (r != 0) {
            return check_fail_inside(d->error, r, "keys[%zu]", i);
        }
    }
    if (r == 0) {
        q->keys_len = sort_spans(q->keys, q->keys_len);
    }
    return r;
}

static int take_on(const struct decode *d, struct query *q)
{
    const struct value *v = value_get(d->params, "on");
    if (v == NULL) {
        return 0;
    }
    q->on_form = value_type(v) == CLADE_NIL ? ON_NOTHING : ON_THING;
    return q->on_form == ON_NOTHING ? 0 : take_ref(d->params, "on", false, &q->on, d->error);
}

static int take_step(const struct decode *d, const char *key, struct query *q, int64_t *ret)
{
    const struct value *v = value_get(d->params, key);
    if (v == NULL) {
        return 0;
    }
    if (value_type(v) != CLADE_INT && (value_type(v) != CLADE_UINT || value_uint(v) > INT64_MAX)) {
        return check_fail(d->error, CLADE_ERR_INVALID, key, "a step is an integer of 64 bits");
    }
    q->has_range = true;
    *ret = value_int(v);
    return 0;
}

/* Points have milliseconds, times in text may have less: then the bound that is meant is the
 * millisecond that holds it. */
static int take_time_ms(const struct decode *d, const char *key, struct query *q, uint64_t *ret)
{
    const struct value *v = value_get(d->params, key);
    uint64_t us = 0;
    if (v == NULL) {
        return 0;
    }
    q->has_range = true;
    if (value_type(v) == CLADE_UINT) {
        *ret = value_uint(v);
        return 0;
    }
    if (value_type(v) != CLADE_STRING || take_time(v, &us, NULL) != 0) {
        return check_fail(d->error, CLADE_ERR_INVALID, key,
                          "expected a time: milliseconds since 1970 UTC, or text as RFC 3339 has "
                          "it, with an offset (2026-03-01T12:00:00Z)");
    }
    *ret = us / 1000;
    return 0;
}

static int take_range(const struct decode *d, struct query *q)
{
    q->step_min = INT64_MIN;
    q->step_max = INT64_MAX;
    q->time_max_ms = UINT64_MAX;
    int r = take_step(d, "from_step", q, &q->step_min);
    r = r != 0 ? r : take_step(d, "to_step", q, &q->step_max);
    r = r != 0 ? r : take_time_ms(d, "from_time", q, &q->time_min_ms);
    return r != 0 ? r : take_time_ms(d, "to_time", q, &q->time_max_ms);
}

static int take_sample(const struct decode *d, struct query *q)
{
    uint64_t sample = 0;
    int r = take_uint(d->params, "sample", false, CLADE_MAX_PAGE_ITEMS, &sample, d->error);
    if (r == 0 && value_get(d->params, "sample") != NULL && sample < SAMPLE_MIN) {
        r = check_fail(d->error, CLADE_ERR_INVALID, "sample", "a sample has %d points at least",
                       SAMPLE_MIN);
    }
    q->sample = (uint32_t)sample;
    return r;
}

static int decode_metrics(const struct decode *d, struct query *q)
{
    int r = decode_get(d, q);
    r = r != 0 ? r : take_metric_keys(d, q);
    r = r != 0 ? r : take_on(d, q);
    r = r != 0 ? r : take_range(d, q);
    r = r != 0 ? r : take_sample(d, q);
    r = r != 0 ? r : query_take_bool(d, "last", &q->sums_only);
    if (r == 0 && q->sums_only && (q->has_range || q->sample > 0)) {
        r = check_fail(
            d->error, CLADE_ERR_INVALID, "last",
            "the last point is that of the whole series: no range and no sample with it");
    }
    return r;
}

static int take_change_filter(const struct decode *d, struct change_filter *f)
{
    struct query q = {.kinds = 0};
    int r = take_namespace(d->params, "namespace", &f->under, d->error);
    r = r != 0 ? r : query_take_kinds(d, &q);
    r = r != 0 ? r
               : take_text(d->params, "prefix", false, CLADE_MAX_REFERENCE_BYTES, &f->prefix,
                           d->error);
    r = r != 0 ? r
               : take_text(d->params, "query", false, CLADE_MAX_QUERY_BYTES, &f->query, d->error);
    f->kinds = q.kinds;
    if (r == 0 && f->query.len > 0) {
        r = filter_parse(f->query, d->arena, &f->filter, d->error);
        error_prefix_where(r != 0 ? d->error : NULL, "query");
    }
    return r;
}

/* Microseconds since 1970 UTC, or text. */
static int take_bound(const struct decode *d, const char *key, bool *ret_has, uint64_t *ret)
{
    const struct value *v = value_get(d->params, key);
    *ret_has = v != NULL;
    if (value_type(v) == CLADE_UINT) {
        *ret = value_uint(v);
        return 0;
    }
    if (v != NULL && (value_type(v) != CLADE_STRING || take_time(v, ret, NULL) != 0)) {
        return check_fail(d->error, CLADE_ERR_INVALID, key,
                          "expected a time: microseconds since 1970 UTC, or text as RFC 3339 has "
                          "it, with an offset (2026-03-01T12:00:00Z)");
    }
    return 0;
}

static int decode_audit(const struct decode *d, struct query *q)
{
    int r = take_text(d->params, "by", false, CLADE_MAX_PRINCIPAL_BYTES, &q->changes.principal,
                      d->error);
    r = r != 0 ? r : take_change_filter(d, &q->changes);
    r = r != 0 ? r : take_bound(d, "from_time", &q->has_from_time, &q->from_time_us);
    r = r != 0 ? r : take_bound(d, "to_time", &q->has_to_time, &q->to_time_us);
    q->has_start = value_get(d->params, "ref") != NULL;
    return r != 0 || !q->has_start ? r : take_ref(d->params, "ref", false, &q->start, d->error);
}

static int decode_watch(const struct decode *d, struct query *q)
{
    int r = take_uint(d->params, "from", false, UINT64_MAX - 1, &q->from, d->error);
    r = r != 0 ? r : take_uint(d->params, "credit", false, UINT64_MAX, &q->credit, d->error);
    if (r == 0 && value_get(d->params, "credit") == NULL) {
        q->credit = CREDIT_BYTES_DEFAULT;
    }
    return r != 0 ? r : take_change_filter(d, &q->changes);
}

int query_take_query(const struct decode *d, struct query *q)
{
    struct search *search = arena_calloc(d->arena, 1, sizeof *search);
    if (search == NULL) {
        return check_fail_no_room(d->arena, sizeof *search, d->error);
    }
    const struct value *v = value_get(d->params, "query");
    if (v != NULL && value_type(v) != CLADE_STRING) {
        return check_fail(d->error, CLADE_ERR_INVALID, "query", "expected a string, got %s",
                          check_type_text(v));
    }
    q->text = value_string(v); /* an empty one means all */
    q->search = search;
    int r = search_parse(q->text, d->arena, search, d->error);
    if (r == 0 && search->uses_metrics && q->as_of.form != AS_OF_NOW) {
        return check_fail(d->error, CLADE_ERR_INVALID, "as_of",
                          "metrics are searched by their newest values: no as_of with them");
    }
    return r == 0 ? 0 : check_fail_inside(d->error, r, "query");
}

static int decode_search(const struct decode *d, struct query *q)
{
    struct span kind = {0};
    int r = take_text(d->params, "kind", true, SIZE_MAX, &kind, d->error);
    r = r != 0 ? r : query_parse_kind(kind, "kind", &q->list_kind, d->error);
    return r != 0 ? r : query_take_query(d, q);
}

static int decode_explain(const struct decode *d, struct query *q)
{
    q->explain = true;
    return decode_search(d, q);
}

static int decode_count(const struct decode *d, struct query *q)
{
    struct span by = {0};
    q->count_only = true;
    int r = decode_search(d, q);
    r = r != 0 ? r : take_text(d->params, "by", false, SIZE_MAX, &by, d->error);
    if (r != 0 || value_get(d->params, "by") == NULL) {
        return r;
    }
    struct filter *key = arena_calloc(d->arena, 1, sizeof *key);
    if (key == NULL) {
        return check_fail_no_room(d->arena, sizeof *key, d->error);
    }
    q->by = key;
    r = search_parse_key(by, d->arena, key, d->error);
    if (r == 0 && key->group == FILTER_METRICS) {
        r = check_fail(d->error, CLADE_ERR_INVALID, NULL, "metrics are not counted by");
    }
    return r == 0 ? 0 : check_fail_inside(d->error, r, "by");
}

static const struct {
    const char *const *keys;
    int (*decode)(const struct decode *d, struct query *q);
} methods[] = {
    [QUERY_GET] = {get_keys, decode_get},
    [QUERY_LIST] = {list_keys, decode_list},
    [QUERY_LINEAGE] = {query_lineage_keys, query_decode_lineage},
    [QUERY_PATHS] = {query_paths_keys, query_decode_paths},
    [QUERY_IMPACT] = {query_impact_keys, query_decode_impact},
    [QUERY_PROVENANCE] = {query_provenance_keys, query_decode_provenance},
    [QUERY_DIFF] = {query_diff_keys, query_decode_diff},
    [QUERY_DESCRIBE] = {describe_keys, decode_describe},
    [QUERY_HISTORY] = {history_keys, decode_history},
    [QUERY_METRICS] = {metrics_keys, decode_metrics},
    [QUERY_AUDIT] = {audit_keys, decode_audit},
    [QUERY_WATCH] = {watch_keys, decode_watch},
    [QUERY_SEARCH] = {search_keys, decode_search},
    [QUERY_COUNT] = {count_keys, decode_count},
    [QUERY_EXPLAIN] = {search_keys, decode_explain},
};

int query_decode(enum query_kind kind,
                 const struct value *params,
                 struct arena *arena,
                 struct query *ret,
                 struct error *error)
{
    CHECK((size_t)kind < sizeof methods / sizeof methods[0] && methods[kind].decode != NULL);
    struct query q = {.kind = kind};
    struct decode d = {.params = params, .arena = arena, .error = error};
    if (value_type(params) != CLADE_MAP && params != NULL) {
        return check_fail(error, CLADE_ERR_INVALID, NULL, "the parameters must be a map, not %s",
                          check_type_text(params));
    }
    if (!value_keys_known(params, methods[kind].keys, error)) {
        return CLADE_ERR_INVALID;
    }
    int r = take_read_keys(&d, &q);
    r = r != 0 ? r : methods[kind].decode(&d, &q);
    if (r == 0) {
        *ret = q;
    }
    return r;
}
