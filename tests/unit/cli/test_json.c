/* The documents that JSON becomes: the calls of libclade are recorded as text here, since the
 * library keeps what it builds to itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/line_keys.h"
#include "cli/txn_json.h"

struct clade_doc {
    struct buffer text;
};

struct clade_doc *clade_doc_new(void)
{
    struct clade_doc *doc = calloc(1, sizeof *doc);
    assert_non_null(doc);
    buffer_init(&doc->text, 65536);
    return doc;
}

void clade_doc_free(struct clade_doc *doc)
{
    if (doc != NULL) {
        buffer_release(&doc->text);
        free(doc);
    }
}

void clade_doc_map(struct clade_doc *doc, uint32_t members)
{
    buffer_append_fmt(&doc->text, "map%u ", members);
}

void clade_doc_array(struct clade_doc *doc, uint32_t members)
{
    buffer_append_fmt(&doc->text, "array%u ", members);
}

void clade_doc_str(struct clade_doc *doc, const char *s)
{
    buffer_append_fmt(&doc->text, "'%s' ", s);
}

void clade_doc_strn(struct clade_doc *doc, const char *s, size_t len)
{
    buffer_append_fmt(&doc->text, "'%.*s' ", (int)len, s);
}

void clade_doc_int(struct clade_doc *doc, int64_t v)
{
    buffer_append_fmt(&doc->text, "%lld ", (long long)v);
}

void clade_doc_double(struct clade_doc *doc, double v)
{
    buffer_append_fmt(&doc->text, "%g ", v);
}

void clade_doc_bool(struct clade_doc *doc, bool v)
{
    buffer_append_str(&doc->text, v ? "true " : "false ");
}

void clade_doc_nil(struct clade_doc *doc)
{
    buffer_append_str(&doc->text, "nil ");
}

/* A value that is a float. */
struct clade_value {
    double d;
};

enum clade_type clade_value_type(const struct clade_value *v)
{
    return v == NULL ? CLADE_NIL : CLADE_DOUBLE;
}

double clade_value_double(const struct clade_value *v)
{
    return v->d;
}

const char *clade_value_strn(const struct clade_value *v, size_t *ret_len)
{
    return NULL;
}

static json_t *parse(const char *text)
{
    struct error error = {0};
    json_t *json = NULL;
    if (json_parse(span_of(text), &json, &error) != 0) {
        fail_msg("%s: %s", text, error.message);
    }
    return json;
}

static void a_document_has_the_members_of_the_json_in_their_order(void **state)
{
    json_t *json = parse("{\"op\":\"create\",\"tags\":{\"b\":\"1\",\"a\":null},"
                         "\"list\":[1,-2,2.5,true,false,[]]}");
    struct clade_doc *doc = clade_doc_new();
    struct error error = {0};
    assert_int_equal(json_to_doc(json, doc, &error), 0);
    assert_true(span_equal_str(buffer_span(&doc->text),
                               "map3 'op' 'create' 'tags' map2 'b' '1' 'a' nil "
                               "'list' array6 1 -2 2.5 true false array0 "));
    clade_doc_free(doc);
    json_decref(json);
}

static void too_deep_a_document_is_refused(void **state)
{
    char text[2 * CLADE_MAX_DOCUMENT_DEPTH + 3] = "";
    for (size_t i = 0; i <= CLADE_MAX_DOCUMENT_DEPTH; i++) {
        text[i] = '[';
        text[2 * CLADE_MAX_DOCUMENT_DEPTH + 1 - i] = ']';
    }
    json_t *json = parse(text);
    struct clade_doc *doc = clade_doc_new();
    struct error error = {0};
    assert_int_equal(json_to_doc(json, doc, &error), CLADE_ERR_LIMIT);
    clade_doc_free(doc);
    json_decref(json);
}

static void what_is_not_json_is_refused_with_its_column(void **state)
{
    static const char *const rows[] = {
        "",
        "{",
        "{\"a\":1,}",
        "[1 2]",
        "{\"a\":1,\"a\":2}",
        "nul",
        "\"\\u0000\"",
        "{} {}",
        "[99999999999999999999]",
        "\"\xff\"",
        "{\"a\":\"\\ud800\"}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *json = NULL;
        struct error error = {0};
        assert_int_equal(json_parse(span_of(rows[i]), &json, &error), CLADE_ERR_INVALID);
        assert_non_null(strstr(error.message, "not JSON"));
        assert_null(json);
    }
}

static void a_line_is_an_operation_or_a_transaction_and_nothing_else(void **state)
{
    static const struct {
        const char *line;
        const char *complaint;
    } rows[] = {
        {"[]", "object was expected"},
        {"{}", "neither an operation"},
        {"{\"ops\":{}}", "must be an array"},
        {"{\"ops\":[1]}", "must be an object"},
        {"{\"ops\":[],\"guard\":[]}", "is not a member of a transaction"},
        {"{\"ops\":[],\"guards\":7}", "must be an array"},
        {"{\"ops\":[],\"reason\":7}", "must be a string"},
        {"{\"ops\":[],\"happened\":\"2026-03-01T12:00:00\"}", "with an offset"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *json = parse(rows[i].line);
        struct error error = {0};
        assert_int_equal(txn_from_json(json, NULL, &error), CLADE_ERR_INVALID);
        if (strstr(error.message, rows[i].complaint) == NULL) {
            fail_msg("%s: %s", rows[i].line, error.message);
        }
        json_decref(json);
    }
}

static void a_line_is_made_safe_to_run_again(void **state)
{
    static const struct {
        const char *line;
        const char *after; /* NULL = unchanged */
        bool needs_identity;
    } rows[] = {
        {"{\"op\":\"create\",\"kind\":\"run\"}",
         "{\"op\":\"create\",\"kind\":\"run\",\"external_ids\":[\"import:D:7\"],"
         "\"if_exists\":\"match\"}",
         true},
        {"{\"op\":\"create\",\"kind\":\"version\",\"model\":\"model/m\"}",
         "{\"op\":\"create\",\"kind\":\"version\",\"model\":\"model/m\","
         "\"external_ids\":[\"import:D:7\"],\"if_exists\":\"match\"}",
         true},
        {"{\"ops\":[{\"op\":\"create\",\"kind\":\"run\",\"external_ids\":[\"a:b\"]},"
         "{\"op\":\"create\",\"kind\":\"model\",\"name\":\"m\",\"if_exists\":\"error\"},"
         "{\"op\":\"create\",\"kind\":\"artifact\",\"if_exists\":\"return\"}]}",
         "{\"ops\":[{\"op\":\"create\",\"kind\":\"run\",\"external_ids\":[\"a:b\",\"import:D:7.0\"]"
         ","
         "\"if_exists\":\"match\"},"
         "{\"op\":\"create\",\"kind\":\"model\",\"name\":\"m\",\"if_exists\":\"error\"},"
         "{\"op\":\"create\",\"kind\":\"artifact\",\"if_exists\":\"return\","
         "\"external_ids\":[\"import:D:7.2\"]}]}",
         true},
        {"{\"op\":\"create\",\"kind\":\"artifact\",\"name\":\"a\"}",
         "{\"op\":\"create\",\"kind\":\"artifact\",\"name\":\"a\",\"if_exists\":\"match\"}", false},
        {"{\"op\":\"create\",\"kind\":\"version\",\"model\":\"model/m\",\"number\":3,"
         "\"if_exists\":\"error\"}",
         NULL, false},
        {"{\"op\":\"update\",\"ref\":\"artifact/a\"}", NULL, false},
        {"{\"ops\":[1,null]}", NULL, false},
        {"[]", NULL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *json = parse(rows[i].line);
        json_t *expected = parse(rows[i].after == NULL ? rows[i].line : rows[i].after);
        assert_int_equal(txn_json_needs_identity(json), rows[i].needs_identity);
        txn_json_identify(json, "D", 7);
        if (!json_equal(json, expected)) {
            fail_msg("%s", rows[i].line);
        }
        json_decref(expected);
        json_decref(json);
    }
}

static void lines_that_must_keep_their_order_conflict(void **state)
{
    static const char create_a[] = "{\"op\":\"create\",\"kind\":\"artifact\",\"name\":\"a\"}";
    static const char update_a[] = "{\"op\":\"update\",\"ref\":\"artifact/a\"}";
    static const char version_m[] =
        "{\"op\":\"create\",\"kind\":\"version\",\"model\":\"model/m\"}";
    static const char create_m[] = "{\"op\":\"create\",\"kind\":\"model\",\"name\":\"m\"}";
    static const char link[] = "{\"op\":\"link\",\"from\":\"a\",\"label\":\"l\",\"to\":\"b\"}";
    static const char unlink_same[] =
        "{\"op\":\"unlink\",\"from\":\"a\",\"label\":\"l\",\"to\":\"b\"}";
    static const char link_other[] =
        "{\"op\":\"link\",\"from\":\"a\",\"label\":\"l\",\"to\":\"c\"}";
    static const char alias_1[] = "{\"op\":\"set_alias\",\"ref\":\"version/m/1\",\"alias\":\"x\"}";
    static const char alias_2[] = "{\"op\":\"set_alias\",\"ref\":\"version/m/2\",\"alias\":\"x\"}";
    static const char alias_n[] = "{\"op\":\"set_alias\",\"ref\":\"version/n@y\",\"alias\":\"x\"}";
    static const char alias_team[] =
        "{\"op\":\"set_alias\",\"ref\":\"//t//version/m/2\",\"alias\":\"x\"}";
    static const char alias_id[] = "{\"op\":\"set_alias\",\"ref\":\"id/9\",\"alias\":\"x\"}";
    static const char unset[] = "{\"op\":\"unset_alias\",\"ref\":\"model/m\",\"alias\":\"x\"}";
    static const char stage_2[] = "{\"op\":\"set_stage\",\"ref\":\"version/m@x\",\"stage\":\"s\"}";
    static const char targets[] =
        "{\"op\":\"set_targets\",\"ref\":\"deployment/d\",\"targets\":[]}";
    static const char delete_1[] = "{\"op\":\"delete\",\"ref\":\"//t//version/m/1\"}";
    static const char delete_a[] = "{\"op\":\"delete\",\"ref\":\"artifact/a\"}";
    static const char type[] = "{\"op\":\"update\",\"ref\":\"//n//type/run:t\",\"closed\":true}";
    static const char rename[] = "{\"op\":\"rename\",\"ref\":\"id/7\",\"name\":\"a\"}";
    static const struct {
        const char *a;
        const char *b;
        bool conflict;
    } rows[] = {
        {type, create_a, true},       {rename, create_a, true},    {rename, link, true},
        {create_a, create_a, false},  {create_a, update_a, true},  {update_a, update_a, true},
        {version_m, version_m, true}, {create_m, version_m, true}, {create_a, version_m, false},
        {link, unlink_same, true},    {link, link_other, false},   {link, update_a, false},
        {alias_1, alias_2, true},     {alias_1, stage_2, true},    {alias_1, unset, true},
        {alias_1, version_m, true},   {alias_1, alias_n, false},   {alias_1, update_a, false},
        {delete_1, targets, true},    {alias_id, alias_2, true},   {delete_a, targets, false},
        {alias_team, alias_2, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct line_keys a;
        struct line_keys b;
        json_t *json_a = parse(rows[i].a);
        json_t *json_b = parse(rows[i].b);
        line_keys_collect(json_a, &a);
        line_keys_collect(json_b, &b);
        if (line_keys_conflict(&a, &b) != rows[i].conflict) {
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        }
        assert_int_equal(line_keys_conflict(&b, &a), rows[i].conflict);
        json_decref(json_a);
        json_decref(json_b);
    }
}

static void text_is_escaped_as_json_wants_it(void **state)
{
    struct buffer b;
    buffer_init(&b, 1024);
    json_append_text(&b, span_of("a\"b\\c\n\t\x01\xc3\xa4"));
    assert_true(span_equal_str(buffer_span(&b), "\"a\\\"b\\\\c\\n\\t\\u0001\xc3\xa4\""));
    buffer_release(&b);
}

static void floats_read_as_the_same_float_and_never_as_integers(void **state)
{
    static const char *const texts[] = {
        "0.1", "1.0", "-3.0", "1e+300", "0.30000000000000004", "1e+22", "-0.0", "123456789.5"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct clade_value v = {strtod(texts[i], NULL)};
        struct buffer b;
        buffer_init(&b, 1024);
        json_append_value(&b, &v);
        if (!span_equal_str(buffer_span(&b), texts[i])) {
            fail_msg("%.*s, not %s", SPAN_FMT(buffer_span(&b)), texts[i]);
        }
        buffer_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_has_the_members_of_the_json_in_their_order),
        cmocka_unit_test(too_deep_a_document_is_refused),
        cmocka_unit_test(what_is_not_json_is_refused_with_its_column),
        cmocka_unit_test(a_line_is_an_operation_or_a_transaction_and_nothing_else),
        cmocka_unit_test(a_line_is_made_safe_to_run_again),
        cmocka_unit_test(lines_that_must_keep_their_order_conflict),
        cmocka_unit_test(text_is_escaped_as_json_wants_it),
        cmocka_unit_test(floats_read_as_the_same_float_and_never_as_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
