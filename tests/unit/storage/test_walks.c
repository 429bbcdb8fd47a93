/* impact, provenance, paths and diff against plain searches of a matrix, on random graphs that
 * change, with the lineage index and without it. */
#include "lineage_fixture.h"

#define THINGS    24
#define LABELS    3 /* l0, l1, evaluated_on */
#define REVISIONS 150
#define CHECKS    1500
#define FIRST     5 /* the id of the first of them */
#define TEXT      65536
#define PATHS_MAX 200000

/* Thing i is a run, an artifact, a version of model/m, or one of //t//model/u, in turns. */
struct state {
    bool edges[LABELS][THINGS][THINGS];
    int alias[2]; /* of each model: the thing that "a" points to, -1 = none */
    bool production[THINGS];
    int target; /* of the deployment */
};

struct both {
    struct fixture *with;
    struct fixture *without;
    uint64_t seed;
    struct state states[REVISIONS + 1];
    uint64_t revisions[REVISIONS + 1];
};

static unsigned pick(struct both *b, unsigned n)
{
    return (unsigned)(next_random(&b->seed) % n);
}

static const char *const label_names[] = {"l0", "l1", "evaluated_on"};

/* --- Writing ---------------------------------------------------------------------------------- */

static void write(struct both *b, const char *ops)
{
    char json[4096];
    snprintf(json, sizeof json, "{'v':1,'ops':[%s]}", ops);
    run(b->with, json);
    run(b->without, json);
}

static void make_all(struct both *b)
{
    write(b, "{'op':'create','kind':'namespace','name':'t'},"
             "{'op':'create','kind':'model','name':'m'},"
             "{'op':'create','kind':'model','name':'//t//u'}");
    for (int i = 0; i < THINGS; i++) {
        char ops[128];
        if (i % 4 < 2) {
            snprintf(ops, sizeof ops, "{'op':'create','kind':'%s','name':'n%d'}",
                     i % 4 == 0 ? "run" : "artifact", i);
        } else {
            snprintf(ops, sizeof ops, "{'op':'create','kind':'version','model':'id/%d'}",
                     i % 4 + 1);
        }
        write(b, ops);
    }
    write(b, "{'op':'create','kind':'deployment','name':'d'}");
    b->states[0].alias[0] = b->states[0].alias[1] = b->states[0].target = -1;
    b->revisions[0] = b->with->result.revision;
}

static int some_version(struct both *b)
{
    return (int)(pick(b, THINGS / 4) * 4 + 2 + pick(b, 2));
}

static void change_edge(struct both *b, struct state *s, char *op, size_t bytes)
{
    int from = (int)pick(b, THINGS);
    int to = (int)pick(b, THINGS);
    int label = (int)pick(b, LABELS);
    bool link = pick(b, 5) != 0;
    s->edges[label][from][to] = link;
    snprintf(op, bytes, "{'op':'%s','from':'id/%d','label':'%s','to':'id/%d'}",
             link ? "link" : "unlink", from + FIRST, label_names[label], to + FIRST);
}

static void change_pointer(struct both *b, struct state *s, char *op, size_t bytes)
{
    int v = some_version(b);
    int model = v % 4 - 2;
    switch (pick(b, 5)) {
    case 0:
        s->alias[model] = v;
        snprintf(op, bytes, "{'op':'set_alias','ref':'id/%d','alias':'a'}", v + FIRST);
        return;
    case 1:
        s->alias[model] = -1;
        snprintf(op, bytes, "{'op':'unset_alias','ref':'id/%d','alias':'a'}", model + 3);
        return;
    case 2:
        for (int i = model + 2; i < THINGS; i += 4) {
            s->production[i] = false;
        }
        s->production[v] = true;
        snprintf(op, bytes,
                 "{'op':'set_stage','ref':'id/%d','stage':'production','displace':'archived'}",
                 v + FIRST);
        return;
    case 3:
        s->production[v] = false;
        snprintf(op, bytes, "{'op':'set_stage','ref':'id/%d','stage':'none'}", v + FIRST);
        return;
    default:
        s->target = pick(b, 3) == 0 ? -1 : v;
        snprintf(op, bytes, "{'op':'set_targets','ref':'deployment/d','targets':[]}");
        if (s->target >= 0) {
            snprintf(op, bytes,
                     "{'op':'set_targets','ref':'deployment/d','targets':["
                     "{'version':'id/%d','share':10000,'mode':'serving'}]}",
                     v + FIRST);
        }
    }
}

static void change(struct both *b, int at)
{
    char ops[2048];
    size_t used = 0;
    b->states[at] = b->states[at - 1];
    for (int n = (int)pick(b, 4) + 1; n > 0; n--) {
        used += (size_t)snprintf(ops + used, sizeof ops - used, "%s", used > 0 ? "," : "");
        change_edge(b, &b->states[at], ops + used, sizeof ops - used);
        used += strlen(ops + used);
    }
    if (pick(b, 3) == 0) {
        used += (size_t)snprintf(ops + used, sizeof ops - used, ",");
        change_pointer(b, &b->states[at], ops + used, sizeof ops - used);
    }
    write(b, ops);
    b->revisions[at] = b->with->result.revision;
}

static void make_both(struct both *b)
{
    *b = (struct both){.seed = test_seed()};
    b->with = indexed_fixture(BYTES);
    b->without = indexed_fixture(0);
    fill(b->with);
    make_all(b);
    for (int i = 1; i <= REVISIONS; i++) {
        change(b, i);
    }
}

static void free_both(struct both *b)
{
    struct store_lineage look;
    store_lineage_look(b->with->store, &look);
    assert_int_equal(look.by_tables, 0);
    assert_true(look.by_index > 0);
    assert_int_equal(store_verify(b->with->store, NULL, NULL, NULL), 0);
    indexed_fixture_free(b->with);
    indexed_fixture_free(b->without);
    free(b);
}

/* --- Plain searches --------------------------------------------------------------------------- */

static bool has_edge(const struct state *s, unsigned labels, int from, int to)
{
    for (int l = 0; l < LABELS; l++) {
        if ((labels >> l & 1) != 0 && s->edges[l][from][to]) {
            return true;
        }
    }
    return false;
}

static bool leads(const struct state *s, unsigned labels, bool down, int from, int to)
{
    return down ? has_edge(s, labels, to, from) : has_edge(s, labels, from, to);
}

/* The depth of each, -1 where it is not met. */
static void plain_walk(
    const struct state *s, unsigned labels, bool down, int start, int depth_max, int *depth)
{
    memset(depth, -1, THINGS * sizeof *depth);
    depth[start] = 0;
    for (int d = 1; d <= depth_max; d++) {
        for (int i = 0; i < THINGS; i++) {
            for (int j = 0; j < THINGS && depth[i] == d - 1; j++) {
                if (depth[j] < 0 && leads(s, labels, down, i, j)) {
                    depth[j] = d;
                }
            }
        }
    }
}

static bool is_used(const struct state *s, int i)
{
    return s->alias[0] == i || s->alias[1] == i || s->production[i] || s->target == i;
}

/* "[ids]" by (depth, id), from depth `least` on. */
static void put_ids(
    char *text, const int *depth, int least, bool (*wanted)(const void *, int), const void *arg)
{
    size_t used = (size_t)snprintf(text, TEXT, "[");
    for (int d = least; d <= THINGS; d++) {
        for (int i = 0; i < THINGS; i++) {
            if (depth[i] == d && wanted(arg, i)) {
                used += (size_t)snprintf(text + used, TEXT - used, "%s%d", used > 1 ? "," : "",
                                         i + FIRST);
            }
        }
    }
    snprintf(text + used, TEXT - used, "]");
}

static bool is_wanted(const void *arg, int i)
{
    return is_used(arg, i);
}

static bool is_any(const void *arg, int i)
{
    (void)arg;
    (void)i;
    return true;
}

static bool is_not_met(const void *arg, int i)
{
    return ((const int *)arg)[i] <= 0;
}

/* All paths without a thing twice, up to a length. */
struct plain_paths {
    const struct state *s;
    unsigned labels;
    bool down;
    int to;
    int length_max;
    int path[THINGS];
    int (*found)[THINGS + 1]; /* each: its length, then its things */
    size_t len;
};

static void search_paths(struct plain_paths *p, int length)
{
    int last = p->path[length];
    if (last == p->to) {
        assert_true(p->len < PATHS_MAX);
        p->found[p->len][0] = length;
        memcpy(p->found[p->len++] + 1, p->path, sizeof p->path);
        return;
    }
    for (int next = 0; next < THINGS && length < p->length_max; next++) {
        bool twice = false;
        for (int i = 0; i <= length; i++) {
            twice = twice || p->path[i] == next;
        }
        if (!twice && leads(p->s, p->labels, p->down, last, next)) {
            p->path[length + 1] = next;
            search_paths(p, length + 1);
        }
    }
}

static int compare_paths(const void *x, const void *y)
{
    const int *a = x;
    const int *b = y;
    for (int i = 0; i <= a[0] + 1; i++) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return 0;
}

/* The answer as ids; *ret_len is how many there are at all. */
static void plain_answer(struct plain_paths *p, size_t limit, char *text, size_t *ret_len)
{
    search_paths(p, 0);
    qsort(p->found, p->len, sizeof *p->found, compare_paths);
    size_t used = (size_t)snprintf(text, TEXT, "[");
    for (size_t i = 0; i < p->len && i < limit; i++) {
        used +=
            (size_t)snprintf(text + used, TEXT - used, "%s{'direction':'%s','length':%d,'steps':[",
                             i > 0 ? "," : "", p->down ? "down" : "up", p->found[i][0]);
        for (int j = 0; j <= p->found[i][0]; j++) {
            used += (size_t)snprintf(text + used, TEXT - used, "%s%d", j > 0 ? "," : "",
                                     p->found[i][j + 1] + FIRST);
        }
        used += (size_t)snprintf(text + used, TEXT - used, "]}");
    }
    snprintf(text + used, TEXT - used, "]");
    *ret_len = p->len;
}

/* --- Comparing -------------------------------------------------------------------------------- */

/* The same of both; the last answer is that of `with`. */
static void read_both(struct both *b, enum query_kind kind, const char *json)
{
    assert_int_equal(fixture_read(b->without, kind, json), 0);
    assert_int_equal(fixture_read(b->with, kind, json), 0);
    assert_int_equal(b->with->answer.complete, b->without->answer.complete);
    if (b->with->out.len != b->without->out.len ||
        memcmp(b->with->out.data, b->without->out.data, b->with->out.len) != 0) {
        fail_msg("%s: %s, and %s without the index", json, json_of(buffer_span(&b->with->out)),
                 json_of(buffer_span(&b->without->out)));
    }
}

/* What all of them are asked with. */
struct asked {
    const struct state *s;
    unsigned labels; /* a bit each; those that the method follows unless told when it was not */
    int depth;
    char keys[160];
};

static struct asked ask(struct both *b, unsigned by_default)
{
    struct asked a;
    size_t at = pick(b, REVISIONS + 1);
    bool told = pick(b, 2) == 0;
    int depth = (int)pick(b, 6);
    a.s = &b->states[at];
    a.labels = told ? pick(b, 8) : by_default;
    a.depth = depth == 0 ? THINGS : depth;
    size_t used = (size_t)snprintf(a.keys, sizeof a.keys, "'view':'ids','depth':%d,'as_of':%lu",
                                   depth, b->revisions[at]);
    if (told) {
        used += (size_t)snprintf(a.keys + used, sizeof a.keys - used, ",'labels':['never'");
        for (int l = 0; l < LABELS; l++) {
            if ((a.labels >> l & 1) != 0) {
                used +=
                    (size_t)snprintf(a.keys + used, sizeof a.keys - used, ",'%s'", label_names[l]);
            }
        }
        snprintf(a.keys + used, sizeof a.keys - used, "]");
    }
    return a;
}

static size_t count_of(const char *ids)
{
    size_t n = ids[1] != ']';
    for (; *ids != '\0'; ids++) {
        n += *ids == ',';
    }
    return n;
}

static void assert_count(struct both *b, enum query_kind kind, int start, struct asked *a, size_t n)
{
    char json[512];
    char want[64];
    snprintf(json, sizeof json, "{'ref':'id/%d',%s,'count':true,'limit':1}", start + FIRST,
             a->keys);
    snprintf(want, sizeof want, "{'count':%zu}", n);
    read_both(b, kind, json);
    assert_answer(b->with, want);
}

static void impact_is_what_a_plain_walk_finds(void **state)
{
    (void)state;
    struct both *b = malloc(sizeof *b);
    char *want = malloc(TEXT);
    make_both(b);
    for (int i = 0; i < CHECKS; i++) {
        struct asked a = ask(b, 3);
        int depth[THINGS];
        int start = (int)pick(b, THINGS);
        char json[512];
        snprintf(json, sizeof json, "{'ref':'id/%d',%s}", start + FIRST, a.keys);
        plain_walk(a.s, a.labels, true, start, a.depth, depth);
        put_ids(want, depth, 0, is_wanted, a.s);
        read_both(b, QUERY_IMPACT, json);
        assert_answer(b->with, want);
        assert_true(b->with->answer.complete);
        assert_count(b, QUERY_IMPACT, start, &a, count_of(want));
    }
    free(want);
    free_both(b);
}

static void provenance_is_what_a_plain_walk_finds(void **state)
{
    (void)state;
    struct both *b = malloc(sizeof *b);
    char *want = malloc(TEXT);
    make_both(b);
    for (int i = 0; i < CHECKS; i++) {
        struct asked a = ask(b, 3);
        int depth[THINGS];
        int start = (int)pick(b, THINGS);
        char json[512];
        snprintf(json, sizeof json, "{'ref':'id/%d',%s}", start + FIRST, a.keys);
        plain_walk(a.s, a.labels, false, start, a.depth, depth);
        put_ids(want, depth, 1, is_any, NULL);
        read_both(b, QUERY_PROVENANCE, json);
        assert_answer(b->with, want);
        assert_count(b, QUERY_PROVENANCE, start, &a, count_of(want));
    }
    free(want);
    free_both(b);
}

/* A path's things with their uses and labels: the same with and without the index. */
static void what_is_shown_of_them_is_the_same_with_and_without_the_index(void **state)
{
    static const enum query_kind kinds[] = {QUERY_IMPACT, QUERY_PROVENANCE, QUERY_PATHS,
                                            QUERY_DIFF};
    (void)state;
    struct both *b = malloc(sizeof *b);
    make_both(b);
    for (int i = 0; i < CHECKS; i++) {
        unsigned kind = pick(b, 4);
        char json[256];
        char to[64] = "";
        if (kind >= 2) {
            snprintf(to, sizeof to, ",'to':'id/%u','limit':4", pick(b, THINGS) + FIRST);
        }
        snprintf(json, sizeof json, "{'%s':'id/%u'%s,'view':'%s','as_of':%lu}",
                 kind >= 2 ? "from" : "ref", pick(b, THINGS) + FIRST, to,
                 pick(b, 2) == 0 ? "heads" : "full", b->revisions[pick(b, REVISIONS + 1)]);
        read_both(b, kinds[kind], json);
    }
    free_both(b);
}

static void check_paths(struct both *b, struct plain_paths *p, char *want)
{
    static const char *const directions[] = {"either", "up", "down"};
    struct asked a = ask(b, 7);
    unsigned direction = pick(b, 3);
    size_t limit = pick(b, 3) == 0 ? 1 : pick(b, 20) + 1;
    a.depth = a.depth > 6 ? 6 : a.depth; /* of plain paths there are too many else */
    char *depth = strstr(a.keys, "'depth':");
    depth[8] = (char)('0' + a.depth);
    int from = (int)pick(b, THINGS);
    *p = (struct plain_paths){.s = a.s,
                              .labels = a.labels,
                              .down = direction == 2,
                              .to = (int)pick(b, THINGS),
                              .length_max = a.depth,
                              .path = {from},
                              .found = p->found};
    size_t len;
    plain_answer(p, limit, want, &len);
    if (len == 0 && direction == 0) {
        p->down = true;
        plain_answer(p, limit, want, &len);
    }
    char json[512];
    snprintf(json, sizeof json, "{'from':'id/%d','to':'id/%d','direction':'%s','limit':%zu,%s}",
             from + FIRST, p->to + FIRST, directions[direction], limit, a.keys);
    read_both(b, QUERY_PATHS, json);
    assert_answer(b->with, want);
    if (len <= limit || limit == 1) {
        assert_true(b->with->answer.complete || (len == limit && limit > 1));
    } else {
        assert_false(b->with->answer.complete);
    }
}

static void paths_are_those_that_a_plain_search_finds(void **state)
{
    (void)state;
    struct both *b = malloc(sizeof *b);
    char *want = malloc(TEXT);
    struct plain_paths p = {.found = calloc(PATHS_MAX, sizeof *p.found)};
    make_both(b);
    for (int i = 0; i < CHECKS; i++) {
        check_paths(b, &p, want);
    }
    free(p.found);
    free(want);
    free_both(b);
}

static void check_diff(struct both *b, char *want)
{
    struct asked a = ask(b, 3);
    size_t at = pick(b, REVISIONS + 1);
    int from = (int)pick(b, THINGS);
    int to = (int)pick(b, THINGS);
    char json[512];
    snprintf(json, sizeof json, "{'from':'id/%d','to':'id/%d','from_as_of':%lu,%s}", from + FIRST,
             to + FIRST, b->revisions[at], a.keys);
    int one[THINGS];
    int two[THINGS];
    plain_walk(&b->states[at], a.labels, false, from, a.depth, one);
    plain_walk(a.s, a.labels, false, to, a.depth, two);
    int both = 0;
    for (int i = 0; i < THINGS; i++) {
        both += one[i] > 0 && two[i] > 0;
    }
    char *only = malloc(TEXT);
    put_ids(only, one, 1, is_not_met, two);
    size_t used = (size_t)snprintf(want, TEXT, "\"provenance\":{\"from\":%s,\"to\":", only);
    put_ids(only, two, 1, is_not_met, one);
    snprintf(want + used, TEXT - used, "%s,\"both\":%d}", only, both);
    free(only);
    read_both(b, QUERY_DIFF, json);
    char *got = json_of(buffer_span(&b->with->out));
    if (strstr(got, want) == NULL) {
        fail_msg("%s: %s lacks %s", json, got, want);
    }
    free(got);
}

static void diff_has_what_only_one_was_made_from(void **state)
{
    (void)state;
    struct both *b = malloc(sizeof *b);
    char *want = malloc(TEXT);
    make_both(b);
    for (int i = 0; i < CHECKS; i++) {
        check_diff(b, want);
    }
    free(want);
    free_both(b);
}

static void pages_of_impact_and_provenance_fit_together(void **state)
{
    (void)state;
    struct both *b = malloc(sizeof *b);
    char *whole = malloc(TEXT);
    make_both(b);
    for (int i = 0; i < 200; i++) {
        enum query_kind kind = i % 2 == 0 ? QUERY_IMPACT : QUERY_PROVENANCE;
        int start = (int)pick(b, THINGS);
        char json[8192];
        snprintf(json, sizeof json, "{'ref':'id/%d','view':'ids'}", start + FIRST);
        read_both(b, kind, json);
        char *all = json_of(buffer_span(&b->with->out));
        size_t used = (size_t)snprintf(whole, TEXT, "[");
        snprintf(json, sizeof json, "{'ref':'id/%d','view':'ids','limit':2}", start + FIRST);
        for (bool more = true; more;) {
            assert_int_equal(fixture_read(b->with, kind, json), 0);
            char *page = json_of(buffer_span(&b->with->out));
            page[strlen(page) - 1] = '\0';
            used += (size_t)snprintf(whole + used, TEXT - used, "%s%s",
                                     used > 1 && page[1] ? "," : "", page + 1);
            more = !b->with->answer.complete;
            snprintf(json, sizeof json, "{'ref':'id/%d','view':'ids','limit':2,'cursor':'%.*s'}",
                     start + FIRST, SPAN_FMT(b->with->answer.cursor));
            free(page);
        }
        snprintf(whole + used, TEXT - used, "]");
        assert_string_equal(whole, all);
        free(all);
    }
    free(whole);
    free_both(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impact_is_what_a_plain_walk_finds),
        cmocka_unit_test(provenance_is_what_a_plain_walk_finds),
        cmocka_unit_test(paths_are_those_that_a_plain_search_finds),
        cmocka_unit_test(diff_has_what_only_one_was_made_from),
        cmocka_unit_test(what_is_shown_of_them_is_the_same_with_and_without_the_index),
        cmocka_unit_test(pages_of_impact_and_provenance_fit_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
