#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/openlineage.h"

#define UUID  "d46e465b-d358-4d32-83d4-df660ff614dd"
#define OTHER "3f5e83fa-3480-44ff-99c5-ff943904e5e8"
#define TIME  "\"eventTime\":\"2026-03-01T12:00:00Z\""
#define RUN   "\"run\":{\"runId\":\"" UUID "\"}"
#define JOB   "\"job\":{\"namespace\":\"n\",\"name\":\"j\"}"

static void an_event_is_read_or_refused_with_its_place(void **state)
{
    static const struct {
        const char *line;
        const char *where;     /* NULL = it is good */
        const char *complaint; /* a part of it */
    } rows[] = {
        {"{" TIME "," RUN "," JOB "}", NULL, NULL},
        {"{\"source\":\"x\",\"event\":{" TIME "," RUN "," JOB "}}", NULL, NULL},
        {"{" TIME "," RUN "," JOB ",\"eventType\":\"OTHER\",\"inputs\":null}", NULL, NULL},
        {"{" TIME "," JOB "}", NULL, NULL},
        {"{" TIME ",\"dataset\":{\"namespace\":\"n\",\"name\":\"d\"}}", NULL, NULL},
        {"{\"eventTime\":\"2026-03-01T12:00:00.000001+02:00\"," RUN "," JOB "}", NULL, NULL},
        {"[1]", "", "not a JSON object"},
        {"{" TIME, "column", "not JSON"},
        {"{" TIME "}", "", "neither run nor job nor dataset"},
        {"{" RUN "," JOB "}", "eventTime", "is missing"},
        {"{\"eventTime\":5," RUN "," JOB "}", "eventTime", "another type"},
        {"{\"eventTime\":\"2026-03-01\"," RUN "," JOB "}", "eventTime", "RFC 3339"},
        {"{\"eventTime\":\"2026-03-01T12:00:00\"," RUN "," JOB "}", "eventTime", "offset"},
        {"{\"eventTime\":\"{{ now }}\"," RUN "," JOB "}", "eventTime", "\"{{ now }}\" is not"},
        {"{" TIME ",\"run\":{}," JOB "}", "run.runId", "is missing"},
        {"{" TIME ",\"run\":null," JOB "}", "run", "is missing"},
        {"{" TIME ",\"run\":{\"runId\":\"7\"}," JOB "}", "run.runId", "\"7\" is not a UUID"},
        {"{" TIME ",\"run\":{\"runId\":\"d46e465bxd358-4d32-83d4-df660ff614dd\"}," JOB "}",
         "run.runId", "not a UUID"},
        {"{" TIME "," RUN "}", "job", "is missing"},
        {"{" TIME "," RUN ",\"job\":{\"name\":\"j\"}}", "job.namespace", "is missing"},
        {"{" TIME "," RUN ",\"job\":{\"namespace\":\"n\",\"name\":\"\"}}", "job.name",
         "not a text that is not empty"},
        {"{" TIME "," RUN "," JOB ",\"eventType\":\"DONE\"}", "eventType", "\"DONE\" is not START"},
        {"{" TIME "," RUN "," JOB ",\"inputs\":{}}", "inputs", "an array"},
        {"{" TIME "," RUN "," JOB ",\"outputs\":[{\"namespace\":\"n\",\"name\":\"d\"},7]}",
         "outputs[1]", "another type"},
        {"{" TIME "," RUN "," JOB ",\"inputs\":[{\"namespace\":\"n\"}]}", "inputs[0].name",
         "is missing"},
        {"{" TIME "," RUN "," JOB
         ",\"inputs\":[{\"namespace\":\"n\",\"name\":\"d\",\"facets\":1}]}",
         "inputs[0].facets", "an object"},
        {"{" TIME ",\"dataset\":{\"namespace\":\"n\"}}", "dataset.name", "is missing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct openlineage_event e;
        struct error error = {0};
        int err = openlineage_parse(span_of(rows[i].line), &e, &error);
        if (rows[i].where == NULL) {
            assert_int_equal(err, 0);
        } else {
            assert_int_equal(err, CLADE_ERR_INVALID);
            assert_int_equal(strncmp(error.where, rows[i].where, strlen(rows[i].where)), 0);
            assert_non_null(strstr(error.message, rows[i].complaint));
        }
        openlineage_release(&e);
    }
}

static void a_run_is_known_by_its_id_in_either_case(void **state)
{
    struct openlineage_event e;
    struct error error = {0};
    assert_int_equal(
        openlineage_parse(
            span_of("{" TIME ",\"run\":{\"runId\":\"D46E465B-D358-4D32-83D4-DF660FF614DD\"}," JOB
                    "}"),
            &e, &error),
        0);
    assert_string_equal(e.run, UUID);
    openlineage_release(&e);
}

static void no_two_things_have_one_name(void **state)
{
    static const struct {
        const char *ns;
        const char *name;
        const char *version;
        const char *want;
    } rows[] = {
        {"s3://b", "a/b.csv", NULL, "s3://b#a/b.csv"},
        {"a#b", "c", NULL, "a%23b#c"},
        {"a", "b#c", NULL, "a#b%23c"},
        {"a", "b", "c", "a#b#c"},
        {"a%23", "b", NULL, "a%2523#b"},
        {"a\n\x7f", "\xc2\x85\xc3\xa4", NULL, "a%0A%7F#%C2%85\xc3\xa4"},
    };
    char name[OPENLINEAGE_NAME_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(openlineage_name(rows[i].ns, rows[i].name, rows[i].version, name));
        assert_string_equal(name, rows[i].want);
    }
}

static void a_long_name_is_cut_at_a_character_and_told_apart_by_a_hash(void **state)
{
    char a[1001];
    char b[1001];
    char of_a[OPENLINEAGE_NAME_BYTES];
    char of_b[OPENLINEAGE_NAME_BYTES];
    for (size_t i = 0; i < 1000; i += 2) {
        memcpy(a + i, "\xc3\xa4", 2);
    }
    a[1000] = '\0';
    memcpy(b, a, sizeof b);
    b[999] = '\xb6';
    assert_true(openlineage_name("ns", a, NULL, of_a));
    assert_true(openlineage_name("ns", b, NULL, of_b));
    assert_true(strlen(of_a) <= 512 + 33);
    assert_string_not_equal(of_a, of_b);
    /* "ns#" and whole characters of two bytes. */
    assert_int_equal(strchr(of_a, '~') - of_a, 511);
}

/* Reads events into an index. */
static void fill(struct openlineage_index *x,
                 struct openlineage_event *events,
                 const char *const lines[],
                 size_t len)
{
    struct error error = {0};
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(openlineage_parse(span_of(lines[i]), &events[i], &error), 0);
        assert_true(openlineage_index_add(x, &events[i]));
    }
}

#define SYMLINK(name, other)                                                                       \
    "{" TIME ",\"dataset\":{\"namespace\":\"n\",\"name\":\"" name "\",\"facets\":{\"symlinks\":"   \
    "{\"identifiers\":[{\"namespace\":\"n\",\"name\":\"" other "\"}]}}}}"

static void a_symlink_means_the_least_that_claims_it_whatever_the_order(void **state)
{
    static const char *const lines[] = {SYMLINK("b", "s"), SYMLINK("a", "s"), SYMLINK("s", "t"),
                                        SYMLINK("x", "y"), SYMLINK("y", "x")};
    static const struct {
        const char *key;
        const char *means; /* NULL = itself */
    } rows[] = {{"n#s", "a"},  {"n#t", "a"}, {"n#a", NULL}, {"n#b", NULL},
                {"n#x", NULL}, {"n#y", "x"}, {"n#z", NULL}};
    for (size_t shift = 0; shift < 5; shift++) {
        struct openlineage_index x = {0};
        struct openlineage_event events[5];
        const char *shifted[5];
        for (size_t i = 0; i < 5; i++) {
            shifted[i] = lines[(i + shift) % 5];
        }
        fill(&x, events, shifted, 5);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const struct openlineage_pair *pair = NULL;
            bool other = openlineage_index_resolve(&x, rows[i].key, &pair);
            assert_int_equal(other, rows[i].means != NULL);
            if (other) {
                assert_string_equal(pair->name, rows[i].means);
            }
        }
        for (size_t i = 0; i < 5; i++) {
            openlineage_release(&events[i]);
        }
        openlineage_index_release(&x);
    }
}

#define EVENT(type, second, more)                                                                  \
    "{\"eventType\":\"" type "\",\"eventTime\":\"2026-03-01T12:00:0" second "Z\",\"run\":"         \
    "{\"runId\":\"" UUID "\",\"facets\":{" more "}}," JOB "}"
#define PARENT                                                                                     \
    "\"parent\":{\"run\":{\"runId\":\"" OTHER "\"},\"job\":{\"namespace\":\"n\",\"name\":\"p\"}}"

/* The transaction that events become in an empty store. */
static json_t *merged(const char *const lines[], size_t len)
{
    struct openlineage_index x = {0};
    struct openlineage_event events[8];
    fill(&x, events, lines, len);
    json_t *found = json_object();
    struct openlineage_plan *p = openlineage_plan_new(&x, found);
    for (size_t i = 0; i < len; i++) {
        openlineage_plan_add(p, &events[i], i);
    }
    size_t *owners = NULL;
    json_t *txn = openlineage_plan_txn(p, &owners);
    assert_non_null(txn);
    free(owners);
    openlineage_plan_free(p);
    json_decref(found);
    for (size_t i = 0; i < len; i++) {
        openlineage_release(&events[i]);
    }
    openlineage_index_release(&x);
    return txn;
}

static const json_t *op_named(const json_t *txn, const char *name)
{
    const json_t *ops = json_object_get(txn, "ops");
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const json_t *op = json_array_get(ops, i);
        const char *text = json_string_value(json_object_get(op, "name"));
        if (text != NULL && strcmp(text, name) == 0) {
            return op;
        }
    }
    return NULL;
}

static void a_run_is_the_same_whatever_the_order_of_its_events(void **state)
{
    static const char *const lines[] = {
        EVENT("START", "1", "\"a\":{\"v\":1},\"b\":{\"v\":1}," PARENT),
        EVENT("RUNNING", "2", "\"a\":{\"v\":2}"),
        EVENT("FAIL", "4", "\"b\":{\"v\":4}"),
        EVENT("COMPLETE", "3", "\"a\":{\"v\":3}"),
    };
    /* All orders of four. */
    for (unsigned n = 0; n < 256; n++) {
        unsigned order[4] = {n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3};
        if ((1u << order[0] | 1u << order[1] | 1u << order[2] | 1u << order[3]) != 15) {
            continue;
        }
        const char *ordered[4];
        for (size_t i = 0; i < 4; i++) {
            ordered[i] = lines[order[i]];
        }
        json_t *txn = merged(ordered, 4);
        const json_t *run = op_named(txn, UUID);
        const json_t *props = json_object_get(run, "props");
        assert_string_equal(json_string_value(json_object_get(run, "status")), "failed");
        assert_int_equal(json_integer_value(json_object_get(run, "start")), 1772366401000000);
        assert_int_equal(json_integer_value(json_object_get(run, "end")), 1772366404000000);
        const json_t *a = json_object_get(json_object_get(props, "facets.a"), "json");
        const json_t *b = json_object_get(json_object_get(props, "facets.b"), "json");
        assert_string_equal(json_string_value(a), "{\"v\":3}");
        assert_string_equal(json_string_value(b), "{\"v\":4}");
        assert_non_null(op_named(txn, OTHER));
        assert_non_null(op_named(txn, "n#p"));
        json_decref(txn);
    }
}

static void operations_name_only_what_stands_before_them(void **state)
{
    static const char *const lines[] = {
        EVENT("START", "1", PARENT),
        "{" TIME ",\"run\":{\"runId\":\"" OTHER "\"},\"job\":{\"namespace\":\"n\",\"name\":\"p\"},"
        "\"inputs\":[{\"namespace\":\"n\",\"name\":\"d\",\"facets\":{\"version\":"
        "{\"datasetVersion\":\"7\"}}}]}"};
    json_t *txn = merged(lines, 2);
    json_t *made = json_object();
    const json_t *ops = json_object_get(txn, "ops");
    static const char *const fields[] = {"ref", "from", "to", "experiment", "parent"};
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const json_t *op = json_array_get(ops, i);
        for (size_t j = 0; j < sizeof fields / sizeof *fields; j++) {
            const char *ref = json_string_value(json_object_get(op, fields[j]));
            assert_true(ref == NULL || ref[0] != '$' || json_object_get(made, ref + 1) != NULL);
        }
        const char *as = json_string_value(json_object_get(op, "as"));
        if (as != NULL) {
            assert_int_equal(json_object_set_new(made, as, json_true()), 0);
        }
    }
    assert_non_null(op_named(txn, "n#d#7"));
    json_decref(made);
    json_decref(txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_read_or_refused_with_its_place),
        cmocka_unit_test(a_run_is_known_by_its_id_in_either_case),
        cmocka_unit_test(no_two_things_have_one_name),
        cmocka_unit_test(a_long_name_is_cut_at_a_character_and_told_apart_by_a_hash),
        cmocka_unit_test(a_symlink_means_the_least_that_claims_it_whatever_the_order),
        cmocka_unit_test(a_run_is_the_same_whatever_the_order_of_its_events),
        cmocka_unit_test(operations_name_only_what_stands_before_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
