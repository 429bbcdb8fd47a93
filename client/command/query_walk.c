/* Decoding the reads that follow edges. */
#include "command/check_internal.h"
#include "command/query_internal.h"
#include "command/txn.h"

enum {
    LABELS_MAX = 256, /* that one read names */
    KINDS_MAX = 256
};

const char *const query_lineage_keys[] = {"ref",   "direction", "labels",  "kinds", "depth",
                                          "count", "query",     READ_KEYS, NULL};
const char *const query_paths_keys[] = {"from",  "to",      "direction", "labels",
                                        "depth", READ_KEYS, NULL};
const char *const query_impact_keys[] = {"ref",   "labels",  "depth", "count",
                                         "query", READ_KEYS, NULL};
const char *const query_provenance_keys[] = {"ref",   "labels", "kinds",   "depth",
                                             "count", "query",  READ_KEYS, NULL};
const char *const query_diff_keys[] = {"from",  "to",      "from_as_of", "labels",
                                       "depth", READ_KEYS, NULL};

static int take_labels(const struct decode *d, struct query *q)
{
    int r = query_take_texts(d, "labels", LABELS_MAX, &q->labels, &q->labels_len);
    for (size_t i = 0; r == 0 && i < q->labels_len; i++) {
        r = label_check(q->labels[i], d->error);
        if (r != 0) {
            return check_fail_inside(d->error, r, "labels[%zu]", i);
        }
    }
    if (r == 0) {
        q->labels_len = sort_spans(q->labels, q->labels_len);
    }
    return r;
}

int query_take_kinds(const struct decode *d, struct query *q)
{
    struct span *texts = NULL;
    size_t len = 0;
    int r = query_take_texts(d, "kinds", KINDS_MAX, &texts, &len);
    for (size_t i = 0; r == 0 && i < len; i++) {
        enum kind kind = KIND_NONE;
        r = query_parse_kind(texts[i], NULL, &kind, d->error);
        if (r != 0) {
            return check_fail_inside(d->error, r, "kinds[%zu]", i);
        }
        q->kinds |= 1u << kind;
    }
    return r;
}

/* What all of them have. */
static int take_walk(const struct decode *d, struct query *q)
{
    uint64_t depth = 0;
    int r = take_labels(d, q);
    r = r != 0 ? r : query_take_kinds(d, q);
    r = r != 0 ? r : take_uint(d->params, "depth", false, UINT32_MAX, &depth, d->error);
    q->depth_max = (uint32_t)depth;
    return r != 0 ? r : query_take_bool(d, "count", &q->count_only);
}

/* The same, and which things are shown. */
static int take_shown_walk(const struct decode *d, struct query *q)
{
    int r = take_walk(d, q);
    if (r != 0 || value_get(d->params, "query") == NULL) {
        return r;
    }
    r = query_take_query(d, q);
    if (r == 0 && q->search->order_len > 0) {
        r = check_fail(d->error, CLADE_ERR_INVALID, "query",
                       "what is reached is ordered by its depth and id: leave ORDER BY out");
    }
    return r;
}

int query_decode_lineage(const struct decode *d, struct query *q)
{
    static const char *const directions[] = {"up", "down", NULL};
    int direction = 0;
    int r = take_ref(d->params, "ref", false, &q->start, d->error);
    r = r != 0 ? r : take_choice(d->params, "direction", false, directions, &direction, d->error);
    q->downstream = direction == 1;
    return r != 0 ? r : take_shown_walk(d, q);
}

int query_decode_paths(const struct decode *d, struct query *q)
{
    static const char *const directions[] = {
        [PATHS_EITHER] = "either", [PATHS_UP] = "up", [PATHS_DOWN] = "down", NULL};
    int direction = PATHS_EITHER;
    int r = take_ref(d->params, "from", false, &q->start, d->error);
    r = r != 0 ? r : take_ref(d->params, "to", false, &q->to, d->error);
    r = r != 0 ? r : take_choice(d->params, "direction", false, directions, &direction, d->error);
    r = r != 0 ? r : take_walk(d, q);
    q->paths = (enum query_paths)direction;
    if (value_get(d->params, "limit") == NULL) {
        q->limit = 1;
    }
    if (r == 0 && q->limit > QUERY_PATHS_MAX) {
        r = check_fail(d->error, CLADE_ERR_LIMIT, "limit", "at most %d paths are found, got %u",
                       QUERY_PATHS_MAX, q->limit);
    }
    return r;
}

int query_decode_impact(const struct decode *d, struct query *q)
{
    q->downstream = true;
    int r = take_ref(d->params, "ref", false, &q->start, d->error);
    return r != 0 ? r : take_shown_walk(d, q);
}

int query_decode_provenance(const struct decode *d, struct query *q)
{
    int r = take_ref(d->params, "ref", false, &q->start, d->error);
    return r != 0 ? r : take_shown_walk(d, q);
}

/* Without `to`, two states of one thing. */
int query_decode_diff(const struct decode *d, struct query *q)
{
    int r = take_ref(d->params, "from", false, &q->start, d->error);
    q->to = q->start;
    if (r == 0 && value_get(d->params, "to") != NULL) {
        r = take_ref(d->params, "to", false, &q->to, d->error);
    }
    r = r != 0 ? r : query_take_as_of(d, "from_as_of", &q->from_as_of);
    if (r == 0 && value_get(d->params, "to") == NULL && q->from_as_of.form == AS_OF_NOW) {
        r = check_fail(d->error, CLADE_ERR_INVALID, "to",
                       "expected another thing (to), or when the first is meant (from_as_of)");
    }
    return r != 0 ? r : take_walk(d, q);
}
