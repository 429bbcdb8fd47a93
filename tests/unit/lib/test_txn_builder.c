/* What the builder writes decodes to what was asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "command/stage.h"
#include "command/txn.h"
#include "lib/lib_internal.h"

struct fixture {
    struct clade_txn *builder;
    struct buffer bytes;
    struct arena arena;
    struct txn txn;
    struct error error;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->builder = clade_txn_new();
    assert_non_null(f->builder);
    buffer_init(&f->bytes, CLADE_MAX_FRAME_BYTES);
    arena_init(&f->arena, 64 << 20);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    clade_txn_free(f->builder);
    buffer_release(&f->bytes);
    arena_release(&f->arena);
    free(f);
    return 0;
}

/* Encodes and decodes; both must succeed. */
static void build(struct fixture *f)
{
    buffer_clear(&f->bytes);
    assert_int_equal(txn_encode(f->builder, &f->bytes, &f->error), 0);
    int rc = txn_decode(buffer_span(&f->bytes), &f->arena, &f->txn, &f->error);
    if (rc != 0) {
        print_message("%s: %s\n", f->error.where, f->error.message);
    }
    assert_int_equal(rc, 0);
}

static int encode(struct fixture *f)
{
    buffer_clear(&f->bytes);
    f->error = (struct error){0};
    return txn_encode(f->builder, &f->bytes, &f->error);
}

static const struct field_write *field_of(const struct op *op, enum field_code code)
{
    for (size_t i = 0; i < op->fields_len; i++) {
        if (op->fields[i].field->code == code) {
            return &op->fields[i];
        }
    }
    return NULL;
}

static void the_head_is_what_was_set(void **state)
{
    struct fixture *f = *state;
    clade_txn_namespace(f->builder, "team/a");
    clade_txn_reason(f->builder, "because");
    clade_txn_happened(f->builder, 1767225600000000);
    clade_txn_guard_exists(f->builder, "run/r");
    clade_txn_guard_absent(f->builder, "artifact/b");
    clade_txn_guard_unchanged(f->builder, "id/7", 12);
    clade_txn_guard_matches(f->builder, "run/r", "status = 'finished'");
    clade_txn_delete(f->builder, "artifact/c");
    build(f);
    assert_true(span_equal_str(f->txn.ns, "team/a"));
    assert_true(span_equal_str(f->txn.reason, "because"));
    assert_int_equal(f->txn.happened_us, 1767225600000000);
    assert_int_equal(f->txn.guards_len, 4);
    assert_int_equal(f->txn.guards[3].kind, GUARD_MATCHES);
    assert_int_equal(f->txn.guards[3].filter->field->code, FIELD_STATUS);
    assert_int_equal(f->txn.guards[0].kind, GUARD_EXISTS);
    assert_int_equal(f->txn.guards[0].ref.kind, KIND_RUN);
    assert_int_equal(f->txn.guards[1].kind, GUARD_ABSENT);
    assert_int_equal(f->txn.guards[2].kind, GUARD_UNCHANGED);
    assert_int_equal(f->txn.guards[2].revision, 12);
    assert_int_equal(f->txn.ops[0].op, OP_DELETE);
}

static void props_types_and_names_are_what_was_set(void **state)
{
    struct fixture *f = *state;
    struct clade_txn *t = f->builder;
    struct clade_doc *list = clade_doc_new();
    clade_doc_array(list, 2);
    clade_doc_double(list, 0.5);
    clade_doc_int(list, 1);
    clade_txn_update(t, "artifact/a");
    clade_txn_prop(t, "a", "text");
    clade_txn_prop_int(t, "b", -1);
    clade_txn_prop_double(t, "c", 2.5);
    clade_txn_prop_bool(t, "d", true);
    clade_txn_prop_time(t, "e", 7);
    clade_txn_prop_ref(t, "f", "run/r");
    clade_txn_prop_json(t, "g", "{}");
    clade_txn_prop_doc(t, "h", list);
    clade_txn_prop(t, "i", NULL);
    clade_txn_add(t, "uris", "s3://new");
    clade_txn_take_away(t, "uris", "s3://old");
    clade_txn_create(t, "type", "run:t");
    clade_txn_type_field(t, "x", "int[]", CLADE_FIELD_REQUIRED | CLADE_FIELD_INDEXED, "ms");
    clade_txn_type_field(t, "y", "string", 0, NULL);
    clade_txn_set_bool(t, "closed", true);
    clade_txn_rename(t, "artifact/a", "b");
    clade_txn_undelete(t, "id/7", NULL);
    clade_txn_undelete(t, "id/8", "n");
    clade_txn_hold(t, "id/7", "case 12");
    clade_txn_release(t, "id/7");
    build(f);
    clade_doc_free(list);
    const struct field_write *props = field_of(&f->txn.ops[0], FIELD_PROPS);
    static const unsigned types[] = {PROP_STRING, PROP_INT, PROP_FLOAT, PROP_BOOL,
                                     PROP_TIME,   PROP_REF, PROP_JSON,  PROP_FLOAT | PROP_LIST};
    assert_int_equal(props->len, 9);
    for (size_t i = 0; i < 8; i++) {
        if (types[i] == PROP_REF) {
            assert_int_equal(props->refs[i].refs[0].kind, KIND_RUN);
        } else {
            assert_int_equal(props->pairs[i].value.data[0], types[i]);
        }
    }
    assert_true(props->pairs[8].unset);
    const struct field_write *uris = field_of(&f->txn.ops[0], FIELD_URIS);
    assert_int_equal(uris->len, 2);
    assert_false(uris->gone[0]);
    assert_true(uris->gone[1]);
    const struct field_write *fields = field_of(&f->txn.ops[1], FIELD_FIELDS);
    struct decl decl;
    assert_int_equal(fields->len, 2);
    assert_true(decl_read(fields->pairs[0].value, &decl));
    assert_int_equal(decl.type, PROP_INT | PROP_LIST);
    assert_int_equal(decl.flags, DECL_REQUIRED | DECL_INDEXED);
    assert_true(span_equal_str(decl.unit, "ms"));
    assert_int_equal(field_of(&f->txn.ops[1], FIELD_CLOSED)->number, 1);
    assert_true(span_equal_str(f->txn.ops[2].name, "b"));
    assert_int_equal(f->txn.ops[3].name.len, 0);
    assert_true(span_equal_str(f->txn.ops[4].name, "n"));
    assert_true(span_equal_str(f->txn.ops[5].reason, "case 12"));
    assert_int_equal(f->txn.ops[6].op, OP_RELEASE);
}

static void pointers_are_written_as_the_protocol_has_them(void **state)
{
    struct fixture *f = *state;
    struct clade_txn *t = f->builder;
    clade_txn_guard_alias(t, "model/m", "best", 7);
    clade_txn_guard_alias(t, "model/m", "new", 0);
    clade_txn_guard_stage(t, "version/m/7", "staging");
    assert_int_equal(clade_txn_set_alias(t, "version/m/8", "best"), 0);
    clade_txn_expect_version(t, 7);
    assert_int_equal(clade_txn_unset_alias(t, "model/m", "new"), 1);
    clade_txn_expect_version(t, 0);
    assert_int_equal(clade_txn_set_stage(t, "version/m/8", "production"), 2);
    clade_txn_set(t, "expect", "staging");
    clade_txn_set(t, "displace", "archived");
    assert_int_equal(clade_txn_set_targets(t, "deployment/prod"), 3);
    clade_txn_target(t, "version/m/8", 10000, false);
    clade_txn_target(t, "version/m/9", 500, true);
    assert_int_equal(clade_txn_set_targets(t, "deployment/old"), 4);
    assert_int_equal(clade_txn_create(t, "namespace", "team"), 5);
    clade_txn_stage(t, "blue", false, true);
    clade_txn_stage(t, "green", true, false);
    build(f);

    assert_int_equal(f->txn.guards[0].is.number, 7);
    assert_true(f->txn.guards[1].is.given);
    assert_int_equal(f->txn.guards[1].is.number, 0);
    assert_true(span_equal_str(f->txn.guards[2].stage, "staging"));
    assert_true(span_equal_str(f->txn.ops[0].alias, "best"));
    assert_int_equal(f->txn.ops[0].expect.number, 7);
    assert_true(f->txn.ops[1].expect.given);
    assert_int_equal(f->txn.ops[1].expect.number, 0);
    assert_true(span_equal_str(f->txn.ops[2].expect_stage, "staging"));
    assert_true(span_equal_str(f->txn.ops[2].displace, "archived"));
    assert_int_equal(f->txn.ops[3].targets_len, 2);
    assert_int_equal(f->txn.ops[3].targets[0].share, 10000);
    assert_true(f->txn.ops[3].targets[1].shadow);
    assert_int_equal(f->txn.ops[4].targets_len, 0);
    struct span stages = field_of(&f->txn.ops[5], FIELD_STAGES)->text;
    struct stage stage;
    assert_true(stages_next(&stages, &stage));
    assert_true(span_equal_str(stage.name, "blue") && stage.in_use && !stage.multiple);
    assert_true(stages_next(&stages, &stage));
    assert_true(span_equal_str(stage.name, "green") && !stage.in_use && stage.multiple);
    assert_false(stages_next(&stages, &stage));
}

static void a_target_without_an_operation_is_a_mistake(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    buffer_init(&b, 1000);
    clade_txn_target(f->builder, "version/m/8", 10000, false);
    assert_int_equal(txn_encode(f->builder, &b, &f->error), CLADE_ERR_INVALID);
    assert_string_equal(f->error.where, "targets");
    buffer_release(&b);
}

static void a_log_has_its_params_and_the_points_of_its_metrics(void **state)
{
    struct fixture *f = *state;
    struct clade_txn *t = f->builder;
    assert_int_equal(clade_txn_log(t, "run/r"), 0);
    clade_txn_param(t, "lr", "0.1");
    clade_txn_metric(t, "loss", NULL, NULL);
    clade_txn_point(t, -1, 5, 0.5);
    clade_txn_param(t, "opt", "adam");
    clade_txn_point(t, 2, 6, __builtin_nan(""));
    clade_txn_metric(t, "acc", "artifact/test", "run/s");
    clade_txn_point(t, 3, 7, 1);
    assert_int_equal(clade_txn_log(t, "model/m"), 1);
    assert_int_equal(clade_txn_log(t, "model/n"), 2);
    clade_txn_param(t, "only", "");
    build(f);

    const struct op *op = &f->txn.ops[0];
    assert_int_equal(op->op, OP_LOG);
    assert_int_equal(op->params_len, 2);
    assert_true(span_equal_str(op->params[1].key, "opt"));
    assert_int_equal(op->series_len, 2);
    assert_int_equal(op->series[0].points_len, 2);
    assert_int_equal(op->series[0].points[0].step, -1);
    assert_int_equal(op->series[0].points[1].value, 0x7ff8000000000000);
    assert_false(op->series[0].has_on);
    assert_true(op->series[1].has_on && op->series[1].has_run);
    assert_int_equal(op->series[1].points_len, 1);
    assert_int_equal(f->txn.ops[1].series_len, 0);
    assert_int_equal(f->txn.ops[2].params_len, 1);
}

static void a_point_without_a_metric_is_a_mistake(void **state)
{
    struct fixture *f = *state;
    clade_txn_log(f->builder, "run/r");
    clade_txn_point(f->builder, 1, 1, 1);
    assert_int_equal(encode(f), CLADE_ERR_INVALID);
    assert_string_equal(f->error.where, "ops[0].metrics");
    clade_txn_clear(f->builder);
    clade_txn_update(f->builder, "run/r");
    clade_txn_param(f->builder, "k", "v");
    assert_int_equal(encode(f), CLADE_ERR_INVALID);
    assert_string_equal(f->error.where, "ops[0].params");
}

static void map_fields_stand_beside_each_other(void **state)
{
    struct fixture *f = *state;
    struct clade_txn *t = f->builder;
    assert_int_equal(clade_txn_update(t, "namespace/a"), 0);
    clade_txn_quota(t, "things", 7);
    clade_txn_tag(t, "k", "v");
    clade_txn_default(t, "run.type", "train");
    clade_txn_quota_unset(t, "edges");
    clade_txn_default(t, "run.tags.x", NULL);
    assert_int_equal(clade_txn_purge(t, "id/7"), 1);
    build(f);
    const struct op *update = &f->txn.ops[0];
    assert_int_equal(update->fields_len, 3);
    assert_int_equal(update->fields[0].field->code, FIELD_TAGS);
    assert_int_equal(update->fields[1].field->code, FIELD_QUOTA);
    assert_int_equal(update->fields[1].len, 2);
    assert_true(update->fields[1].pairs[0].unset);
    assert_int_equal(update->fields[1].pairs[1].number, 7);
    assert_int_equal(update->fields[2].field->code, FIELD_DEFAULTS);
    assert_true(update->fields[2].pairs[0].unset);
    assert_int_equal(f->txn.ops[1].op, OP_PURGE);
    assert_int_equal(f->txn.ops[1].ref.number, 7);
}

static void operations_are_numbered_and_keep_their_setters(void **state)
{
    struct fixture *f = *state;
    struct clade_txn *t = f->builder;
    assert_int_equal(clade_txn_create(t, "artifact", "data"), 0);
    clade_txn_tag(t, "k1", "v1");
    clade_txn_add(t, "uris", "s3://b/1");
    clade_txn_set(t, "description", "d");
    clade_txn_tag(t, "k2", "v2");
    clade_txn_add(t, "digests",
                  "sha256:"
                  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    clade_txn_add(t, "uris", "s3://b/2");
    clade_txn_set_uint(t, "size", 99);
    clade_txn_if_exists(t, CLADE_IF_EXISTS_MATCH);
    clade_txn_as(t, "data");
    assert_int_equal(clade_txn_update(t, "artifact/x"), 1);
    clade_txn_set(t, "owner", NULL);
    clade_txn_tag(t, "k1", NULL);
    assert_int_equal(clade_txn_link(t, "$1", "derived_from", "$data"), 2);
    assert_int_equal(clade_txn_unlink(t, "run/r", "consumed", "artifact/y"), 3);
    build(f);

    assert_int_equal(f->txn.ops_len, 4);
    const struct op *create = &f->txn.ops[0];
    assert_int_equal(create->op, OP_CREATE);
    assert_int_equal(create->kind, KIND_ARTIFACT);
    assert_true(span_equal_str(create->name, "data"));
    assert_true(span_equal_str(create->as, "data"));
    assert_int_equal(create->if_exists, CLADE_IF_EXISTS_MATCH);
    assert_int_equal(create->fields_len, 5);
    assert_int_equal(field_of(create, FIELD_TAGS)->len, 2);
    assert_true(span_equal_str(field_of(create, FIELD_TAGS)->pairs[1].value, "v2"));
    assert_int_equal(field_of(create, FIELD_URIS)->len, 2);
    assert_int_equal(field_of(create, FIELD_DIGESTS)->len, 1);
    assert_int_equal(field_of(create, FIELD_SIZE)->number, 99);
    assert_true(span_equal_str(field_of(create, FIELD_DESCRIPTION)->text, "d"));
    assert_int_equal(f->txn.ops[1].op, OP_UPDATE);
    assert_true(field_of(&f->txn.ops[1], FIELD_OWNER)->unset);
    assert_true(field_of(&f->txn.ops[1], FIELD_TAGS)->pairs[0].unset);
    assert_int_equal(f->txn.ops[2].op, OP_LINK);
    assert_int_equal(f->txn.ops[2].from.form, REF_OP);
    assert_int_equal(f->txn.ops[2].to.form, REF_OP_NAME);
    assert_true(span_equal_str(f->txn.ops[2].label, "derived_from"));
    assert_int_equal(f->txn.ops[3].op, OP_UNLINK);
}

static void a_version_is_created_of_its_model(void **state)
{
    struct fixture *f = *state;
    clade_txn_create(f->builder, "version", NULL);
    clade_txn_set(f->builder, "model", "model/m");
    clade_txn_set(f->builder, "run", "run/r");
    build(f);
    assert_int_equal(f->txn.ops[0].kind, KIND_VERSION);
    assert_true(span_equal_str(f->txn.ops[0].ref.name, "m"));
    assert_non_null(field_of(&f->txn.ops[0], FIELD_RUN));
}

static void documents_are_operations_and_guards(void **state)
{
    struct fixture *f = *state;
    struct clade_doc *op = clade_doc_new();
    struct clade_doc *guard = clade_doc_new();
    clade_doc_map(op, 3);
    clade_doc_str(op, "op");
    clade_doc_str(op, "create");
    clade_doc_str(op, "kind");
    clade_doc_str(op, "model");
    clade_doc_str(op, "name");
    clade_doc_strn(op, "models", 5);
    clade_doc_map(guard, 2);
    clade_doc_str(guard, "guard");
    clade_doc_str(guard, "absent");
    clade_doc_str(guard, "ref");
    clade_doc_str(guard, "model/model");
    clade_txn_create(f->builder, "artifact", "a");
    clade_txn_tag(f->builder, "k", "v");
    clade_txn_op_doc(f->builder, op);
    clade_txn_guard_doc(f->builder, guard);
    clade_doc_free(op);
    clade_doc_free(guard);
    build(f);
    assert_int_equal(f->txn.ops_len, 2);
    assert_int_equal(f->txn.ops[0].fields_len, 1);
    assert_int_equal(f->txn.ops[1].kind, KIND_MODEL);
    assert_true(span_equal_str(f->txn.ops[1].name, "model"));
    assert_int_equal(f->txn.guards_len, 1);
}

static void the_first_mistake_is_reported_with_its_operation(void **state)
{
    struct fixture *f = *state;
    struct clade_txn *t = f->builder;
    clade_txn_create(t, "artifact", "a");
    clade_txn_create(t, "artifact", "b");
    clade_txn_add(t, "colours", "red");
    clade_txn_tag(t, NULL, "v");
    assert_int_equal(encode(f), CLADE_ERR_INVALID);
    assert_string_equal(f->error.where, "ops[1].colours");
    clade_txn_clear(t);
    clade_txn_create(t, "artifact", "a");
    assert_int_equal(encode(f), 0);
}

static void a_setter_without_an_operation_is_a_mistake(void **state)
{
    struct fixture *f = *state;
    clade_txn_set(f->builder, "description", "d");
    clade_txn_create(f->builder, "artifact", "a");
    assert_int_equal(encode(f), CLADE_ERR_INVALID);
    assert_string_equal(f->error.where, "description");
}

static void an_empty_transaction_is_a_mistake(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(encode(f), CLADE_ERR_INVALID);
    assert_string_equal(f->error.where, "ops");
}

static void a_document_that_is_no_map_or_is_cut_is_a_mistake(void **state)
{
    struct fixture *f = *state;
    struct clade_doc *doc = clade_doc_new();
    clade_txn_op_doc(f->builder, doc);
    assert_int_equal(encode(f), CLADE_ERR_INVALID);
    clade_doc_array(doc, 0);
    clade_txn_clear(f->builder);
    clade_txn_op_doc(f->builder, doc);
    assert_int_equal(encode(f), CLADE_ERR_INVALID);
    clade_doc_nil(doc);
    clade_txn_clear(f->builder);
    clade_txn_guard_doc(f->builder, doc);
    assert_int_equal(encode(f), CLADE_ERR_INVALID);
    clade_doc_free(doc);
}

static void too_much_is_a_limit(void **state)
{
    struct fixture *f = *state;
    static char text[CLADE_MAX_TEXT_BYTES + 1];
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < 17; i++) {
        clade_txn_create(f->builder, "run", NULL);
        clade_txn_set(f->builder, "description", text);
    }
    assert_int_equal(encode(f), CLADE_ERR_LIMIT);
    clade_txn_clear(f->builder);
    for (int i = 0; i <= CLADE_MAX_OPERATIONS; i++) {
        clade_txn_delete(f->builder, "id/1");
    }
    assert_int_equal(encode(f), CLADE_ERR_LIMIT);
    /* What overflowed in an operation that is closed is not forgotten. */
    clade_txn_clear(f->builder);
    clade_txn_create(f->builder, "run", NULL);
    for (int i = 0; i < 17; i++) {
        clade_txn_tag(f->builder, "k", text);
    }
    clade_txn_create(f->builder, "run", NULL);
    assert_int_equal(encode(f), CLADE_ERR_LIMIT);
}

static void bytes_is_an_upper_bound_of_what_is_encoded(void **state)
{
    struct fixture *f = *state;
    clade_txn_namespace(f->builder, "n");
    clade_txn_reason(f->builder, "r");
    clade_txn_happened(f->builder, UINT64_MAX);
    for (int i = 0; i < 100; i++) {
        clade_txn_create(f->builder, "artifact", NULL);
        clade_txn_tag(f->builder, "k", "v");
        clade_txn_add(f->builder, "uris", "u");
        clade_txn_guard_exists(f->builder, "id/1");
        assert_int_equal(encode(f), 0);
        assert_true(clade_txn_bytes(f->builder) >= f->bytes.len);
        assert_true(clade_txn_bytes(f->builder) <= f->bytes.len + 256);
    }
}

static void encoding_twice_gives_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    struct buffer again;
    buffer_init(&again, CLADE_MAX_FRAME_BYTES);
    clade_txn_create(f->builder, "artifact", "a");
    clade_txn_tag(f->builder, "k", "v");
    assert_int_equal(encode(f), 0);
    assert_int_equal(txn_encode(f->builder, &again, &f->error), 0);
    assert_true(span_equal(buffer_span(&again), buffer_span(&f->bytes)));
    buffer_release(&again);
}

#define TXN_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TXN_TEST(the_head_is_what_was_set),
        TXN_TEST(props_types_and_names_are_what_was_set),
        TXN_TEST(map_fields_stand_beside_each_other),
        TXN_TEST(operations_are_numbered_and_keep_their_setters),
        TXN_TEST(pointers_are_written_as_the_protocol_has_them),
        TXN_TEST(a_target_without_an_operation_is_a_mistake),
        TXN_TEST(a_log_has_its_params_and_the_points_of_its_metrics),
        TXN_TEST(a_point_without_a_metric_is_a_mistake),
        TXN_TEST(a_version_is_created_of_its_model),
        TXN_TEST(documents_are_operations_and_guards),
        TXN_TEST(the_first_mistake_is_reported_with_its_operation),
        TXN_TEST(a_setter_without_an_operation_is_a_mistake),
        TXN_TEST(an_empty_transaction_is_a_mistake),
        TXN_TEST(a_document_that_is_no_map_or_is_cut_is_a_mistake),
        TXN_TEST(too_much_is_a_limit),
        TXN_TEST(bytes_is_an_upper_bound_of_what_is_encoded),
        TXN_TEST(encoding_twice_gives_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
