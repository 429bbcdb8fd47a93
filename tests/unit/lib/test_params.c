/* Reads as they are sent decode to what was asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "command/query.h"
#include "lib/lib_internal.h"

struct fixture {
    struct params params;
    struct buffer map;
    struct arena arena;
    struct query query;
};

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    buffer_init(&f.params.bytes, PARAMS_BYTES_MAX);
    buffer_init(&f.map, CLADE_MAX_FRAME_BYTES);
    arena_init(&f.arena, 16 << 20);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buffer_release(&f->params.bytes);
    buffer_release(&f->map);
    arena_release(&f->arena);
    return 0;
}

static void decode(struct fixture *f, enum query_kind kind)
{
    const struct value *v;
    struct error error = {0};
    value_put_map(&f->map, f->params.members);
    buffer_append_span(&f->map, buffer_span(&f->params.bytes));
    assert_int_equal(
        value_decode(buffer_span(&f->map), &value_limits_request, &f->arena, &v, &error), 0);
    int rc = query_decode(kind, v, &f->arena, &f->query, &error);
    print_message("%s: %s\n", error.where, error.message);
    assert_int_equal(rc, 0);
}

static void a_get_with_everything(void **state)
{
    struct fixture *f = *state;
    const char *const refs[] = {"artifact/a", "id/7"};
    struct clade_read read = {.consistency = CLADE_STALE,
                              .stale_ms = 500,
                              .as_of = "12",
                              .cursor = "abc",
                              .limit = 10,
                              .view = CLADE_VIEW_FULL,
                              .state = CLADE_STATE_ANY,
                              .with_edges = true,
                              .with_params = true,
                              .with_metrics = true};
    params_get(&f->params, refs, 2, &read, 99);
    decode(f, QUERY_GET);
    assert_int_equal(f->query.targets_len, 2);
    assert_int_equal(f->query.targets[1].ref.number, 7);
    assert_int_equal(f->query.consistency, CLADE_STALE);
    assert_int_equal(f->query.stale_ms, 500);
    assert_int_equal(f->query.as_of.form, AS_OF_REVISION);
    assert_int_equal(f->query.as_of.revision, 12);
    assert_true(span_equal_str(f->query.cursor, "abc"));
    assert_int_equal(f->query.limit, 10);
    assert_int_equal(f->query.view, CLADE_VIEW_FULL);
    assert_int_equal(f->query.state, CLADE_STATE_ANY);
    assert_true(f->query.with_edges && f->query.with_params && f->query.with_metrics);
}

static void metrics_with_everything(void **state)
{
    struct fixture *f = *state;
    const char *const refs[] = {"run/r"};
    const char *const keys[] = {"b", "a", NULL};
    int64_t from_step = -3;
    int64_t to_step = 9;
    uint64_t from_time_ms = 0;
    uint64_t to_time_ms = 1767225600000;
    struct clade_metrics metrics = {.refs = refs,
                                    .refs_len = 1,
                                    .keys = keys,
                                    .on_nothing = true,
                                    .from_step = &from_step,
                                    .to_step = &to_step,
                                    .from_time_ms = &from_time_ms,
                                    .to_time_ms = &to_time_ms,
                                    .sample = 100};
    params_metrics(&f->params, &metrics, NULL, 0);
    decode(f, QUERY_METRICS);
    assert_int_equal(f->query.keys_len, 2);
    assert_int_equal(f->query.on_form, ON_NOTHING);
    assert_true(f->query.has_range);
    assert_int_equal(f->query.step_min, -3);
    assert_int_equal(f->query.step_max, 9);
    assert_int_equal(f->query.time_min_ms, 0);
    assert_int_equal(f->query.time_max_ms, 1767225600000);
    assert_int_equal(f->query.sample, 100);
}

static void metrics_on_a_thing_and_their_last_point(void **state)
{
    struct fixture *f = *state;
    const char *const refs[] = {"run/r"};
    struct clade_metrics metrics = {
        .refs = refs, .refs_len = 1, .on = "artifact/test", .last = true};
    params_metrics(&f->params, &metrics, NULL, 0);
    decode(f, QUERY_METRICS);
    assert_int_equal(f->query.on_form, ON_THING);
    assert_null(f->query.keys);
    assert_false(f->query.has_range);
    assert_true(f->query.sums_only);
}

static void zeroed_options_are_the_defaults(void **state)
{
    struct fixture *f = *state;
    const char *const refs[] = {"artifact/a"};
    struct clade_read read = {0};
    params_get(&f->params, refs, 1, &read, 99);
    assert_int_equal(f->params.members, 1);
    decode(f, QUERY_GET);
    assert_int_equal(f->query.consistency, CLADE_LINEARIZABLE);
    assert_int_equal(f->query.as_of.form, AS_OF_NOW);
    assert_int_equal(f->query.limit, QUERY_LIMIT_DEFAULT);
    assert_int_equal(f->query.view, CLADE_VIEW_HEADS);
}

static void at_least_takes_the_revision_given_or_seen(void **state)
{
    struct fixture *f = *state;
    struct clade_read read = {.consistency = CLADE_AT_LEAST, .as_of = "2026-03-01T00:00:00Z"};
    params_list(&f->params, "version", "model/m", &read, 99);
    decode(f, QUERY_LIST);
    assert_int_equal(f->query.consistency, CLADE_AT_LEAST);
    assert_int_equal(f->query.at_least, 99);
    assert_int_equal(f->query.as_of.form, AS_OF_TIME);
    assert_int_equal(f->query.list_kind, KIND_VERSION);
    assert_true(f->query.has_under);
}

static void at_least_before_any_answer_is_accepted(void **state)
{
    struct fixture *f = *state;
    struct clade_read read = {.consistency = CLADE_AT_LEAST};
    params_list(&f->params, "model", NULL, &read, 0);
    decode(f, QUERY_LIST);
    assert_int_equal(f->query.consistency, CLADE_AT_LEAST);
    assert_int_equal(f->query.at_least, 0);
}

static void a_lineage_with_everything(void **state)
{
    struct fixture *f = *state;
    const char *const labels[] = {"trained_on", "derived_from", NULL};
    const char *const kinds[] = {"artifact", NULL};
    struct clade_lineage lineage = {.ref = "artifact/a",
                                    .downstream = true,
                                    .labels = labels,
                                    .kinds = kinds,
                                    .depth = 3,
                                    .count = true};
    struct clade_read read = {.consistency = CLADE_LOCAL, .view = CLADE_VIEW_IDS};
    params_lineage(&f->params, &lineage, &read, 0);
    decode(f, QUERY_LINEAGE);
    assert_true(f->query.downstream);
    assert_int_equal(f->query.labels_len, 2);
    assert_int_equal(f->query.kinds, 1u << KIND_ARTIFACT);
    assert_int_equal(f->query.depth_max, 3);
    assert_true(f->query.count_only);
    assert_int_equal(f->query.consistency, CLADE_LOCAL);
    assert_int_equal(f->query.view, CLADE_VIEW_IDS);
}

static void a_plain_lineage_goes_up(void **state)
{
    struct fixture *f = *state;
    struct clade_lineage lineage = {.ref = "run/r"};
    params_lineage(&f->params, &lineage, NULL, 0);
    decode(f, QUERY_LINEAGE);
    assert_false(f->query.downstream);
    assert_null(f->query.labels);
    assert_int_equal(f->query.kinds, 0);
    assert_int_equal(f->query.depth_max, 0);
}

static void ids_by_depth_are_asked_for_beside_what_else_is(void **state)
{
    struct fixture *f = *state;
    struct clade_lineage lineage = {.ref = "run/r", .depths = true};
    struct clade_read read = {.view = CLADE_VIEW_IDS, .with_edges = true};
    params_lineage(&f->params, &lineage, &read, 0);
    decode(f, QUERY_LINEAGE);
    assert_true(f->query.with_depths);
    assert_true(f->query.with_edges);
}

static void an_impact_with_everything(void **state)
{
    struct fixture *f = *state;
    const char *const labels[] = {"trained_on", NULL};
    const char *const kinds[] = {"run", NULL}; /* not read */
    struct clade_lineage lineage = {
        .ref = "artifact/a", .labels = labels, .kinds = kinds, .depth = 3, .count = true};
    struct clade_read read = {.as_of = "9"};
    params_impact(&f->params, &lineage, &read, 0);
    decode(f, QUERY_IMPACT);
    assert_true(f->query.downstream);
    assert_int_equal(f->query.labels_len, 1);
    assert_int_equal(f->query.kinds, 0);
    assert_int_equal(f->query.depth_max, 3);
    assert_true(f->query.count_only);
    assert_int_equal(f->query.as_of.revision, 9);
}

static void a_provenance_with_kinds(void **state)
{
    struct fixture *f = *state;
    const char *const kinds[] = {"artifact", "run", NULL};
    struct clade_lineage lineage = {.ref = "version/m/1", .kinds = kinds, .downstream = true};
    params_provenance(&f->params, &lineage, NULL, 0);
    decode(f, QUERY_PROVENANCE);
    assert_false(f->query.downstream);
    assert_int_equal(f->query.kinds, 1u << KIND_ARTIFACT | 1u << KIND_RUN);
}

static void paths_with_everything(void **state)
{
    struct fixture *f = *state;
    const char *const labels[] = {"trained_on", NULL};
    struct clade_paths paths = {
        .from = "id/1", .to = "version/m/2", .way = CLADE_WAY_DOWN, .labels = labels, .depth = 4};
    struct clade_read read = {.limit = 7};
    params_paths(&f->params, &paths, &read, 0);
    decode(f, QUERY_PATHS);
    assert_int_equal(f->query.start.form, REF_ID);
    assert_int_equal(f->query.to.number, 2);
    assert_int_equal(f->query.paths, PATHS_DOWN);
    assert_int_equal(f->query.labels_len, 1);
    assert_int_equal(f->query.depth_max, 4);
    assert_int_equal(f->query.limit, 7);
}

static void plain_paths_are_one_either_way(void **state)
{
    struct fixture *f = *state;
    struct clade_paths paths = {.from = "id/1", .to = "id/2"};
    params_paths(&f->params, &paths, NULL, 0);
    decode(f, QUERY_PATHS);
    assert_int_equal(f->query.paths, PATHS_EITHER);
    assert_int_equal(f->query.limit, 1);
}

static void a_diff_with_everything(void **state)
{
    struct fixture *f = *state;
    struct clade_diff diff = {
        .from = "id/1", .to = "id/2", .from_as_of = "2026-03-01T12:00:00Z", .depth = 2};
    struct clade_read read = {.as_of = "12"};
    params_diff(&f->params, &diff, &read, 0);
    decode(f, QUERY_DIFF);
    assert_int_equal(f->query.to.number, 2);
    assert_int_equal(f->query.from_as_of.form, AS_OF_TIME);
    assert_int_equal(f->query.as_of.revision, 12);
    assert_int_equal(f->query.depth_max, 2);
}

static void a_diff_of_one_thing_is_with_its_past(void **state)
{
    struct fixture *f = *state;
    struct clade_diff diff = {.from = "id/1", .from_as_of = "8"};
    params_diff(&f->params, &diff, NULL, 0);
    decode(f, QUERY_DIFF);
    assert_int_equal(f->query.to.number, 1);
    assert_int_equal(f->query.from_as_of.revision, 8);
}

#define PARAMS_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PARAMS_TEST(a_get_with_everything),
        PARAMS_TEST(zeroed_options_are_the_defaults),
        PARAMS_TEST(at_least_takes_the_revision_given_or_seen),
        PARAMS_TEST(at_least_before_any_answer_is_accepted),
        PARAMS_TEST(a_lineage_with_everything),
        PARAMS_TEST(a_plain_lineage_goes_up),
        PARAMS_TEST(ids_by_depth_are_asked_for_beside_what_else_is),
        PARAMS_TEST(an_impact_with_everything),
        PARAMS_TEST(a_provenance_with_kinds),
        PARAMS_TEST(paths_with_everything),
        PARAMS_TEST(plain_paths_are_one_either_way),
        PARAMS_TEST(a_diff_with_everything),
        PARAMS_TEST(a_diff_of_one_thing_is_with_its_past),
        PARAMS_TEST(metrics_with_everything),
        PARAMS_TEST(metrics_on_a_thing_and_their_last_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
