/* Props, fields of types, content, and the operations on names and holds: what is refused without
 * the store, and the bytes that values have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "command/query.h"
#include "command/txn.h"
#include "notation.h"

struct fixture {
    struct buffer bytes;
    struct arena arena;
    struct error error;
};

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){0};
    buffer_init(&f->bytes, 4 << 20);
    arena_init(&f->arena, 64 << 20);
}

static void fixture_release(struct fixture *f)
{
    buffer_release(&f->bytes);
    arena_release(&f->arena);
}

static int decode(struct fixture *f, const char *text, struct txn *ret)
{
    notation_put(&f->bytes, text);
    return txn_decode(buffer_span(&f->bytes), &f->arena, ret, &f->error);
}

struct row {
    const char *text;
    int code;
    const char *where;
};

#define OP(s)    "{'v':1,'ops':[" s "]}"
#define PROPS(p) OP("{'op':'update','ref':'id/1','props':" p "}")
#define TYPE(f)  OP("{'op':'create','kind':'type','name':'run:t','fields':" f "}")
#define NEW(f)   OP("{'op':'create','kind':'artifact','name':'a'," f "}")
#define SET(f)   OP("{'op':'update','ref':'artifact/a'," f "}")

static const struct row rows[] = {
    {PROPS("{'a':'s','b':1,'c':-1,'d':1.5,'e':true,'f':[],'g':['x','y'],'h':null}"), 0, ""},
    {PROPS("{'t':{'time':5},'u':{'time':'2026-03-01T12:00:00+01:00'}}"), 0, ""},
    {PROPS("{'r':{'ref':'artifact/x'},'l':[{'ref':'id/2'},{'ref':'model/m'}]}"), 0, ""},
    {PROPS("[1]"), CLADE_ERR_INVALID, "ops[0].props"},
    {PROPS("null"), CLADE_ERR_INVALID, "ops[0].props"},
    {PROPS("{'':1}"), CLADE_ERR_INVALID, "ops[0].props"},
    {PROPS("{'a':1,'a':2}"), CLADE_ERR_INVALID, "ops[0].props.a"},
    {PROPS("{'a':18446744073709551615}"), CLADE_ERR_INVALID, "ops[0].props.a"},
    {PROPS("{'a':[1,'x']}"), CLADE_ERR_INVALID, "ops[0].props.a[1]"},
    {PROPS("{'a':[1,true]}"), CLADE_ERR_INVALID, "ops[0].props.a[1]"},
    {PROPS("{'a':[[1]]}"), CLADE_ERR_INVALID, "ops[0].props.a[0]"},
    {PROPS("{'a':[null]}"), CLADE_ERR_INVALID, "ops[0].props.a[0]"},
    {PROPS("{'a':[1.5,9007199254740993]}"), CLADE_ERR_INVALID, "ops[0].props.a[1]"},
    {PROPS("{'a':{}}"), CLADE_ERR_INVALID, "ops[0].props.a"},
    {PROPS("{'a':{'x':1}}"), CLADE_ERR_INVALID, "ops[0].props.a"},
    {PROPS("{'a':{'time':1,'ref':'id/1'}}"), CLADE_ERR_INVALID, "ops[0].props.a"},
    {PROPS("{'a':{'time':'2026-03-01'}}"), CLADE_ERR_INVALID, "ops[0].props.a.time"},
    {PROPS("{'a':{'time':'2026-03-01T12:00:00'}}"), CLADE_ERR_INVALID, "ops[0].props.a.time"},
    {PROPS("{'a':{'time':-1}}"), CLADE_ERR_INVALID, "ops[0].props.a.time"},
    {PROPS("{'a':{'ref':1}}"), CLADE_ERR_INVALID, "ops[0].props.a.ref"},
    {PROPS("{'a':{'ref':'x'}}"), CLADE_ERR_INVALID, "ops[0].props.a.ref"},
    {PROPS("{'a':{'ref':'$1'}}"), CLADE_ERR_INVALID, "ops[0].props.a.ref"},
    {PROPS("{'a':{'json':1}}"), CLADE_ERR_INVALID, "ops[0].props.a.json"},
    {PROPS("{'a':{'json':'{'}}"), CLADE_ERR_INVALID, "ops[0].props.a.json"},
    {NEW("'props':{'a':null}"), CLADE_ERR_INVALID, "ops[0].props.a"},
    {TYPE("{'a':{'type':'float[]','required':true,'fixed':false,'indexed':true,'unit':'s'}}"), 0,
     ""},
    {TYPE("{'a':'float'}"), CLADE_ERR_INVALID, "ops[0].fields.a"},
    {TYPE("{'a':null}"), CLADE_ERR_INVALID, "ops[0].fields.a"},
    {TYPE("{'a':{}}"), CLADE_ERR_INVALID, "ops[0].fields.a.type"},
    {TYPE("{'a':{'type':'number'}}"), CLADE_ERR_INVALID, "ops[0].fields.a.type"},
    {TYPE("{'a':{'type':'list'}}"), CLADE_ERR_INVALID, "ops[0].fields.a.type"},
    {TYPE("{'a':{'type':'int','x':1}}"), CLADE_ERR_INVALID, "ops[0].fields.a.x"},
    {TYPE("{'a':{'type':'int','required':1}}"), CLADE_ERR_INVALID, "ops[0].fields.a.required"},
    {TYPE("{'a':{'type':'int','unit':''}}"), CLADE_ERR_INVALID, "ops[0].fields.a.unit"},
    {OP("{'op':'create','kind':'type','name':'run:t','closed':1}"), CLADE_ERR_INVALID,
     "ops[0].closed"},
    {OP("{'op':'update','ref':'type/run:t','closed':null}"), CLADE_ERR_INVALID, "ops[0].closed"},
    {NEW("'fields':{}"), CLADE_ERR_INVALID, "ops[0].fields"},
    {NEW("'content':'ready'"), 0, ""},
    {NEW("'content':'there'"), CLADE_ERR_INVALID, "ops[0].content"},
    {NEW("'content':'failed'"), CLADE_ERR_INVALID, "ops[0].content_reason"},
    {NEW("'content':'failed','content_reason':'no space'"), 0, ""},
    {NEW("'content':'ready','content_reason':'x'"), CLADE_ERR_INVALID, "ops[0].content_reason"},
    {NEW("'content_reason':'x'"), CLADE_ERR_INVALID, "ops[0].content_reason"},
    {SET("'content_reason':'x'"), 0, ""},
    {SET("'content':null"), CLADE_ERR_INVALID, "ops[0].content"},
    {SET("'hold':'x'"), CLADE_ERR_INVALID, "ops[0].hold"},
    {OP("{'op':'create','kind':'run','content':'ready'}"), CLADE_ERR_INVALID, "ops[0].content"},
    {SET("'uris':{'s3://a':null,'s3://b':true}"), 0, ""},
    {SET("'uris':{'s3://a':false}"), CLADE_ERR_INVALID, "ops[0].uris.s3://a"},
    {SET("'uris':{'s3://a':true,'s3://a':null}"), CLADE_ERR_INVALID, "ops[0].uris.s3://a"},
    {SET("'digests':{'x:1':null}"), CLADE_ERR_INVALID, "ops[0].digests"},
    {NEW("'uris':{'s3://a':null}"), CLADE_ERR_INVALID, "ops[0].uris.s3://a"},
    {OP("{'op':'rename','ref':'artifact/a','name':'b'}"), 0, ""},
    {OP("{'op':'rename','ref':'artifact/a'}"), CLADE_ERR_INVALID, "ops[0].name"},
    {OP("{'op':'rename','ref':'artifact/a','name':'ext:b'}"), CLADE_ERR_INVALID, "ops[0].name"},
    {OP("{'op':'rename','ref':'version/m/1','name':'b'}"), CLADE_ERR_INVALID, "ops[0].name"},
    {OP("{'op':'rename','ref':'namespace/a','name':'b'}"), CLADE_ERR_INVALID, "ops[0].name"},
    {OP("{'op':'rename','ref':'type/run:a','name':'b'}"), CLADE_ERR_INVALID, "ops[0].name"},
    {OP("{'op':'rename','ref':'id/1','name':''}"), CLADE_ERR_INVALID, "ops[0].name"},
    {OP("{'op':'rename','ref':'id/1','name':'b','x':1}"), CLADE_ERR_INVALID, "ops[0].x"},
    {OP("{'op':'undelete','ref':'artifact/a'}"), 0, ""},
    {OP("{'op':'undelete','ref':'artifact/a','name':'b'}"), 0, ""},
    {OP("{'op':'undelete','ref':'version/m/1','name':'2'}"), CLADE_ERR_INVALID, "ops[0].name"},
    {OP("{'op':'hold','ref':'artifact/a'}"), 0, ""},
    {OP("{'op':'hold','ref':'artifact/a','reason':5}"), CLADE_ERR_INVALID, "ops[0].reason"},
    {OP("{'op':'release','ref':'artifact/a','reason':'x'}"), CLADE_ERR_INVALID, "ops[0].reason"},
    {OP("{'op':'hold'}"), CLADE_ERR_INVALID, "ops[0].ref"},
    {OP("{'op':'rename','ref':'artifact/a','name':'b','as':'x'},"
        "{'op':'hold','ref':'$x'},{'op':'link','from':'$0','label':'l','to':'$1'}"),
     0, ""},
};

static void each_row_is_answered_with_its_error(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f;
        struct txn txn;
        fixture_init(&f);
        int code = decode(&f, rows[i].text, &txn);
        if (code != rows[i].code || strcmp(f.error.where, rows[i].where) != 0) {
            fail_msg("%s: %d at \"%s\": %s", rows[i].text, code, f.error.where, f.error.message);
        }
        fixture_release(&f);
    }
}

static void floats_are_finite(void **state)
{
    static const double bad[] = {__builtin_nan(""), __builtin_inf(), -__builtin_inf()};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fixture f;
        struct txn txn;
        fixture_init(&f);
        notation_put(&f.bytes, PROPS("{'a':1.5}"));
        f.bytes.len -= 8;
        uint8_t bits[8];
        uint64_t u;
        memcpy(&u, &bad[i], sizeof u);
        for (int b = 0; b < 8; b++) {
            bits[b] = (uint8_t)(u >> (56 - 8 * b));
        }
        buffer_append(&f.bytes, bits, sizeof bits);
        assert_int_equal(txn_decode(buffer_span(&f.bytes), &f.arena, &txn, &f.error),
                         CLADE_ERR_INVALID);
        assert_string_equal(f.error.where, "ops[0].props.a");
        fixture_release(&f);
    }
}

static void equal_values_are_equal_bytes(void **state)
{
    static const struct {
        const char *value;
        size_t len;
        const char *bytes;
    } want[] = {
        {"'xy'", 3, "\x01xy"},
        {"-2", 9, "\x02\xfe\xff\xff\xff\xff\xff\xff\xff"},
        {"[true,false]", 3, "\x84\x01\x00"},
        {"{'time':'1970-01-01T00:00:00.000002Z'}", 9, "\x05\x02\0\0\0\0\0\0\0"},
        {"[]", 1, "\x80"},
        {"['a','']", 10, "\x81\x01\0\0\0a\0\0\0\0"},
        {"[1,0.5]", 17, "\x83\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\xe0\x3f"},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct fixture f;
        struct txn txn;
        char text[256];
        fixture_init(&f);
        (void)snprintf(text, sizeof text,
                       "{'v':1,'ops':[{'op':'update','ref':'id/1','props':{'k':%s}}]}",
                       want[i].value);
        assert_int_equal(decode(&f, text, &txn), 0);
        struct span got = txn.ops[0].fields[0].pairs[0].value;
        if (!span_equal(got, span_make(want[i].bytes, want[i].len))) {
            fail_msg("%s: %zu bytes", want[i].value, got.len);
        }
        assert_true(prop_is_valid(got));
        /* Cut short it is another value, or none; it is never read past its end. */
        for (size_t len = 0; len < got.len; len++) {
            (void)prop_is_valid(span_make(got.data, len));
        }
        fixture_release(&f);
    }
}

static void a_value_of_64_kib_is_the_longest(void **state)
{
    for (int over = 0; over < 2; over++) {
        struct fixture f;
        struct txn txn;
        fixture_init(&f);
        static char text[80000];
        static char value[70000];
        memset(value, 'x', sizeof value);
        (void)snprintf(text, sizeof text,
                       "{'v':1,'ops':[{'op':'update','ref':'id/1','props':{'k':'%.*s'}}]}",
                       CLADE_MAX_PROP_BYTES - 1 + over, value);
        assert_int_equal(decode(&f, text, &txn), over ? CLADE_ERR_LIMIT : 0);
        fixture_release(&f);
    }
}

static void json_is_told_from_what_is_none(void **state)
{
    static const struct {
        const char *text;
        bool is;
    } texts[] = {
        {"1", true},
        {"-0.5e+3", true},
        {"[]", true},
        {"{}", true},
        {" [1, {\"a\":[]}] ", true},
        {"\"\\u00e4\\n\"", true},
        {"null", true},
        {"{\"a\":1,\"b\":[2]}", true},
        {"", false},
        {"01", false},
        {"1.", false},
        {"-", false},
        {"[1,]", false},
        {"{\"a\"}", false},
        {"{a:1}", false},
        {"\"\\x\"", false},
        {"\"", false},
        {"[1}", false},
        {"tru", false},
        {"1 2", false},
        {"\"\n\"", false},
        {"{\"a\":1,}", false},
        {"]", false},
        {"\"\\u00g0\"", false},
        {"NaN", false},
        {"'a'", false},
        {"[[[[", false},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error e = {0};
        if ((json_check(span_of(texts[i].text), &e) == 0) != texts[i].is) {
            fail_msg("%s: %s", texts[i].text, e.message);
        }
    }
    char deep[132] = "";
    for (int i = 0; i < 65; i++) {
        deep[i] = '[';
        deep[129 - i] = ']';
    }
    struct error e = {0};
    assert_int_equal(json_check(span_make(deep, 130), &e), 0); /* the innermost is empty */
    memmove(deep + 66, deep + 65, 65);
    deep[65] = '1';
    assert_int_equal(json_check(span_make(deep, 131), &e), CLADE_ERR_LIMIT);
}

static void a_get_by_uri_takes_any_text(void **state)
{
    struct fixture f;
    struct query q;
    const struct value *v;
    fixture_init(&f);
    notation_put(&f.bytes, "{'refs':['uri:s3://a b/c','digest:x:1','id/1']}");
    assert_int_equal(
        value_decode(buffer_span(&f.bytes), &value_limits_request, &f.arena, &v, &f.error), 0);
    assert_int_equal(query_decode(QUERY_GET, v, &f.arena, &q, &f.error), 0);
    assert_int_equal(q.targets[0].form, TARGET_URI);
    assert_true(span_equal_str(q.targets[0].what, "s3://a b/c"));
    assert_int_equal(q.targets[1].form, TARGET_DIGEST);
    assert_int_equal(q.targets[2].form, TARGET_REF);
    fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_answered_with_its_error),
        cmocka_unit_test(floats_are_finite),
        cmocka_unit_test(equal_values_are_equal_bytes),
        cmocka_unit_test(a_value_of_64_kib_is_the_longest),
        cmocka_unit_test(json_is_told_from_what_is_none),
        cmocka_unit_test(a_get_by_uri_takes_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
