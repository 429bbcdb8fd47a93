/* The keys of queries: attributes, tags.KEY and the like, metrics. */
#include "command/filter_internal.h"

/* --- Keys ----------------------------------------------------------------------------------- */

struct attribute_row {
    const char *name;
    enum filter_attribute attribute;
    enum filter_type type;
};

static const struct attribute_row attributes[] = {
    {"id", ATTRIBUTE_ID, FILTER_NUMBER},
    {"kind", ATTRIBUTE_KIND, FILTER_TEXT},
    {"name", ATTRIBUTE_NAME, FILTER_TEXT},
    {"namespace", ATTRIBUTE_NAMESPACE, FILTER_TEXT},
    {"state", ATTRIBUTE_STATE, FILTER_TEXT},
    {"model", ATTRIBUTE_MODEL, FILTER_REF},
    {"number", ATTRIBUTE_NUMBER, FILTER_NUMBER},
    {"created", ATTRIBUTE_CREATED, FILTER_TIME},
    {"created_by", ATTRIBUTE_CREATED_BY, FILTER_TEXT},
    {"changed", ATTRIBUTE_CHANGED, FILTER_TIME},
    {"changed_by", ATTRIBUTE_CHANGED_BY, FILTER_TEXT},
    {"alias", ATTRIBUTE_ALIAS, FILTER_TEXT},
    {"stage", ATTRIBUTE_STAGE, FILTER_TEXT},
};

/* Other names, as MLflow has them. */
static const struct {
    const char *name;
    const char *meant;
} aliases[] = {
    {"run_name", "name"},
    {"start_time", "start"},
    {"end_time", "end"},
    {"user_id", "owner"},
    {"artifact_uri", "uris"},
    {"creation_time", "created"},
    {"last_update_time", "changed"},
    {"version_number", "number"},
    {"current_stage", "stage"},
    {"aliases", "alias"},
    {"uri", "uris"},
    {"digest", "digests"},
    {"external_id", "external_ids"},
    {"version", "number"},
    {"source_path", "uris"},
    {"model_name", "name"},
    {"experiment_name", "name"},
};

static const struct {
    const char *name;
    enum filter_group group;
} groups[] = {
    {"attributes", FILTER_ATTRIBUTE},
    {"attribute", FILTER_ATTRIBUTE},
    {"attr", FILTER_ATTRIBUTE},
    {"tags", FILTER_TAGS},
    {"tag", FILTER_TAGS},
    {"params", FILTER_PARAMS},
    {"param", FILTER_PARAMS},
    {"parameters", FILTER_PARAMS},
    {"parameter", FILTER_PARAMS},
    {"props", FILTER_PROPS},
    {"prop", FILTER_PROPS},
    {"metrics", FILTER_METRICS},
    {"metric", FILTER_METRICS},
    {"edge", FILTER_EDGE},
};

static enum filter_type type_of_field(const struct field *f)
{
    if (f->code == FIELD_TYPE) {
        return FILTER_TEXT; /* compared by its name */
    }
    switch (f->shape) {
    case FIELD_UINT:
        return FILTER_NUMBER;
    case FIELD_TIME:
        return FILTER_TIME;
    case FIELD_REF:
        return FILTER_REF;
    case FIELD_TEXT:
    case FIELD_TEXT_SET:
        return FILTER_TEXT;
    default:
        return FILTER_ANY;
    }
}

static int take_attribute(struct parser *p,
                          struct span name,
                          struct filter *f,
                          enum filter_type *ret_type)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        if (span_equal_str(name, aliases[i].name)) {
            name = span_of(aliases[i].meant);
        }
    }
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        if (span_equal_str(name, attributes[i].name)) {
            f->attribute = attributes[i].attribute;
            *ret_type = attributes[i].type;
            return 0;
        }
    }
    f->attribute = ATTRIBUTE_FIELD;
    f->field = field_by_name(name);
    *ret_type = f->field != NULL ? type_of_field(f->field) : FILTER_ANY;
    return *ret_type != FILTER_ANY
               ? 0
               : filter_fail(p, "there is no such attribute; keys of others are tags.KEY, "
                                "params.KEY, props.KEY");
}

/* What stands behind "tags.": the rest of the word, or a quoted text right behind the dot. */
static int take_group_key(struct parser *p, struct span rest, struct span *ret)
{
    if (rest.len == 0 &&
        (filter_peek(p) == '"' || filter_peek(p) == '`' || filter_peek(p) == '\'')) {
        int r = filter_next(p);
        if (r != 0) {
            return r;
        }
        rest = p->token.text;
    }
    *ret = rest;
    return rest.len > 0 ? 0 : filter_fail(p, "a key is expected behind the dot");
}

static int check_group(struct parser *p, enum filter_group group)
{
    if (group == FILTER_METRICS && p->search == NULL) {
        return filter_fail(p, "metrics cannot be asked for here");
    }
    if (group == FILTER_EDGE && !p->has_edge) {
        return filter_fail(p,
                           "edge.KEY is of the edge that linked() and linked_by() follow: it "
                           "stands in their query, as linked(trained_on, (edge.role = 'train'))");
    }
    if (group == FILTER_METRICS) {
        p->search->uses_metrics = true;
    }
    return 0;
}

static int take_grouped(struct parser *p,
                        struct span name,
                        struct span rest,
                        struct filter *f,
                        enum filter_type *ret_type)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (!span_equal_str(name, groups[i].name)) {
            continue;
        }
        f->group = groups[i].group;
        int r = check_group(p, f->group);
        if (r != 0 || f->group == FILTER_ATTRIBUTE) {
            return r != 0 ? r : take_attribute(p, rest, f, ret_type);
        }
        *ret_type = f->group == FILTER_METRICS ? FILTER_NUMBER : FILTER_ANY;
        return take_group_key(p, rest, &f->key);
    }
    return filter_fail(p, p->search != NULL
                              ? "a key with a dot is tags.KEY, params.KEY, props.KEY, metrics.KEY, "
                                "attributes.NAME or, of an edge, edge.KEY"
                              : "a key with a dot is tags.KEY, params.KEY, props.KEY or "
                                "attributes.NAME");
}

int filter_expect(struct parser *p, const char *sign, const char *what)
{
    return filter_is_sign(p, sign) ? filter_next(p) : filter_fail(p, what);
}

static bool take_metric_function(const struct parser *p, enum filter_metric *ret)
{
    static const char *const names[] = {[METRIC_MIN] = "min",
                                        [METRIC_MAX] = "max",
                                        [METRIC_FIRST] = "first",
                                        [METRIC_COUNT] = "count"};
    for (size_t i = METRIC_MIN; i < sizeof names / sizeof *names; i++) {
        if (p->search != NULL && filter_is_word(p, names[i])) {
            *ret = (enum filter_metric)i;
            return true;
        }
    }
    return false;
}

int filter_new_ref(struct parser *p, struct filter *f)
{
    f->has_ref = true;
    f->ref = arena_calloc(p->arena, 1, sizeof *f->ref);
    return f->ref != NULL ? 0 : filter_no_room(p, sizeof *f->ref);
}

/* ON 'REF' behind a metric. */
static int take_on(struct parser *p, struct filter *f)
{
    if (f->group != FILTER_METRICS || !filter_is_word(p, "on")) {
        return 0;
    }
    int r = filter_next(p);
    r = r != 0 ? r : filter_new_ref(p, f);
    if (r == 0 &&
        (p->token.kind != TOKEN_TEXT || ref_parse(p->token.text, false, f->ref, NULL) != 0)) {
        r = filter_fail(p, "what the metric was measured on is expected, as ON 'artifact/NAME'");
    }
    return r != 0 ? r : filter_next(p);
}

static int take_plain_key(struct parser *p, struct filter *f, enum filter_type *ret_type)
{
    if (p->token.kind != TOKEN_WORD) {
        return filter_fail(p, p->search != NULL
                                  ? "an attribute, tags.KEY, params.KEY, props.KEY, metrics.KEY or "
                                    "a lineage predicate is expected"
                                  : "an attribute, tags.KEY, params.KEY or props.KEY is expected");
    }
    struct span word = p->token.text;
    const uint8_t *dot = memchr(word.data, '.', word.len);
    size_t len = dot == NULL ? word.len : (size_t)(dot - word.data);
    int r = dot == NULL
                ? take_attribute(p, word, f, ret_type)
                : take_grouped(p, span_make(word.data, len), span_skip(word, len + 1), f, ret_type);
    return r != 0 ? r : filter_next(p);
}

int filter_take_key(struct parser *p, struct filter *f, enum filter_type *ret_type)
{
    if (!take_metric_function(p, &f->metric)) {
        int r = take_plain_key(p, f, ret_type);
        return r != 0 ? r : take_on(p, f);
    }
    int r = filter_next(p);
    r = r != 0 ? r : filter_expect(p, "(", "a '(' and a metric are expected, as max(metrics.KEY)");
    size_t at = p->token.at;
    r = r != 0 ? r : take_plain_key(p, f, ret_type);
    if (r == 0 && f->group != FILTER_METRICS) {
        r = filter_fail_at(p, at, "min, max, first and count are of metrics, as max(metrics.KEY)");
    }
    r = r != 0 ? r : filter_expect(p, ")", "a ')' is expected behind the metric");
    return r != 0 ? r : take_on(p, f);
}
