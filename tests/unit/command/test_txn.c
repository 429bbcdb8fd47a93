/* Transactions, references and queries: tables of inputs and what they must be answered with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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
    arena_init(&f->arena, 32 << 20);
}

static void fixture_release(struct fixture *f)
{
    buffer_release(&f->bytes);
    arena_release(&f->arena);
}

static int decode_txn(struct fixture *f, const char *text, struct txn *ret)
{
    notation_put(&f->bytes, text);
    return txn_decode(buffer_span(&f->bytes), &f->arena, ret, &f->error);
}

struct row {
    const char *text;
    int code;
    const char *where;
};

#define OPS(s)    "{'v':1,'ops':[" s "]}"
#define A         "{'op':'create','kind':'artifact','name':'a'}"
#define METRIC(s) "{'op':'log','ref':'run/r','metrics':[{'key':'k'," s "}]}"
#define HEX       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define GUARD(s) "{'v':1,'guards':[{" s "}],'ops':[" A "]}"

static const struct row txn_rows[] = {
    {GUARD("'guard':'matches','ref':'run/r','query':'status is not null'"), 0, ""},
    {GUARD("'guard':'matches','ref':'run/r'"), CLADE_ERR_INVALID, "guards[0].query"},
    {GUARD("'guard':'matches','ref':'run/r','query':1"), CLADE_ERR_INVALID, "guards[0].query"},
    {GUARD("'guard':'matches','ref':'run/r','query':'status ='"), CLADE_ERR_INVALID,
     "guards[0].query"},
    {GUARD("'guard':'matches','ref':'run/r','query':'id=1','revision':1"), CLADE_ERR_INVALID,
     "guards[0].revision"},
    {GUARD("'guard':'exists','ref':'run/r','query':'id=1'"), CLADE_ERR_INVALID, "guards[0].query"},
    {OPS(A), 0, ""},
    {"[]", CLADE_ERR_INVALID, ""},
    {"{'ops':[" A "]}", CLADE_ERR_INVALID, "v"},
    {"{'v':2,'ops':[" A "]}", CLADE_ERR_UNSUPPORTED, "v"},
    {"{'v':0,'ops':[" A "]}", CLADE_ERR_INVALID, "v"},
    {"{'v':1}", CLADE_ERR_INVALID, "ops"},
    {OPS(""), CLADE_ERR_INVALID, "ops"},
    {"{'v':1,'x':1,'ops':[" A "]}", CLADE_ERR_INVALID, "x"},
    {"{'v':1,'v':1,'ops':[" A "]}", CLADE_ERR_INVALID, "v"},
    {"{'v':1,'ns':'a//b','ops':[" A "]}", CLADE_ERR_INVALID, "ns"},
    {"{'v':1,'happened':'2026-03-01','ops':[" A "]}", CLADE_ERR_INVALID, "happened"},
    {"{'v':1,'happened':'2026-03-01T00:00:00Z','ops':[" A "]}", 0, ""},
    {"{'v':1,'reason':3,'ops':[" A "]}", CLADE_ERR_INVALID, "reason"},
    {OPS("7"), CLADE_ERR_INVALID, "ops[0]"},
    {OPS("{'op':'explode'}"), CLADE_ERR_INVALID, "ops[0].op"},
    {OPS("{'op':'create','kind':'artefact'}"), CLADE_ERR_INVALID, "ops[0].kind"},
    {OPS("{'op':'create','kind':'deployment','name':'prod/eu','desired':'running'}"), 0, ""},
    {OPS("{'op':'create','kind':'deployment','name':'prod//eu'}"), CLADE_ERR_INVALID,
     "ops[0].name"},
    {OPS("{'op':'create','kind':'deployment','name':'x','observed':'finished'}"), CLADE_ERR_INVALID,
     "ops[0].observed"},
    {OPS("{'op':'create','kind':'deployment','name':'x','targets':[]}"), CLADE_ERR_INVALID,
     "ops[0].targets"},
    {OPS("{'op':'update','ref':'version/m/1','stage':'production'}"), CLADE_ERR_INVALID,
     "ops[0].stage"},
    {OPS("{'op':'create','kind':'model'}"), CLADE_ERR_INVALID, "ops[0].name"},
    {OPS("{'op':'create','kind':'model','name':'a@b'}"), CLADE_ERR_INVALID, "ops[0].name"},
    {OPS("{'op':'create','kind':'artifact','name':'ext:a'}"), CLADE_ERR_INVALID, "ops[0].name"},
    {OPS("{'op':'create','kind':'artifact','name':'$a'}"), CLADE_ERR_INVALID, "ops[0].name"},
    {OPS("{'op':'create','kind':'type','name':'artifact:dataset'}"), 0, ""},
    {OPS("{'op':'create','kind':'type','name':'dataset'}"), CLADE_ERR_INVALID, "ops[0].name"},
    {OPS("{'op':'create','kind':'namespace','name':'a/b','namespace':'a'}"), CLADE_ERR_INVALID,
     "ops[0].namespace"},
    {OPS("{'op':'create','kind':'run','if_exists':'maybe'}"), CLADE_ERR_INVALID,
     "ops[0].if_exists"},
    {OPS("{'op':'create','kind':'run','status':'done'}"), CLADE_ERR_INVALID, "ops[0].status"},
    {OPS("{'op':'create','kind':'run','size':1}"), CLADE_ERR_INVALID, "ops[0].size"},
    {OPS("{'op':'create','kind':'run','nope':1}"), CLADE_ERR_INVALID, "ops[0].nope"},
    {OPS("{'op':'create','kind':'run','end':1,'end':1}"), CLADE_ERR_INVALID, "ops[0].end"},
    {OPS("{'op':'create','kind':'run','kind':'run'}"), CLADE_ERR_INVALID, "ops[0].kind"},
    {OPS("{'op':'create','kind':'run','experiment':'run/x'}"), CLADE_ERR_INVALID,
     "ops[0].experiment"},
    {OPS("{'op':'create','kind':'run','parent':'$0'}"), CLADE_ERR_INVALID, "ops[0].parent"},
    {OPS("{'op':'create','kind':'run','owner':nil}"), CLADE_ERR_INVALID, "ops[0].owner"},
    {OPS("{'op':'update','ref':'run/x','owner':nil}"), 0, ""},
    {OPS("{'op':'update','ref':'run/x','start':nil}"), CLADE_ERR_INVALID, "ops[0].start"},
    {OPS("{'op':'update','ref':'namespace/x','owner':'a','stages':nil}"), 0, ""},
    {OPS("{'op':'update','ref':'namespace/x','stages':[]}"), CLADE_ERR_INVALID, "ops[0].stages"},
    {OPS("{'op':'update','ref':'namespace/x','stages':[{'name':'a','in_use':true},"
         "{'name':'b','multiple':false},{'name':'none'}]}"),
     0, ""},
    {OPS("{'op':'update','ref':'namespace/x','stages':['a']}"), CLADE_ERR_INVALID,
     "ops[0].stages[0]"},
    {OPS("{'op':'update','ref':'namespace/x','stages':[{'name':'a'},{'name':'a'}]}"),
     CLADE_ERR_INVALID, "ops[0].stages[1].name"},
    {OPS("{'op':'update','ref':'namespace/x','stages':[{'name':'a@b'}]}"), CLADE_ERR_INVALID,
     "ops[0].stages[0].name"},
    {OPS("{'op':'update','ref':'namespace/x','stages':[{'name':'a','in_use':1}]}"),
     CLADE_ERR_INVALID, "ops[0].stages[0].in_use"},
    {OPS("{'op':'update','ref':'namespace/x','stages':[{'name':'a','colour':1}]}"),
     CLADE_ERR_INVALID, "ops[0].stages[0].colour"},
    {OPS("{'op':'update','ref':'namespace/x','stages':[{'name':'none','in_use':true}]}"),
     CLADE_ERR_INVALID, "ops[0].stages[0]"},
    {OPS("{'op':'delete','ref':'namespace/x'}"), 0, ""},
    {OPS("{'op':'purge','ref':'id/7'}"), 0, ""},
    {OPS("{'op':'purge','ref':'id/7','owner':'a'}"), CLADE_ERR_INVALID, "ops[0].owner"},
    {OPS("{'op':'purge'}"), CLADE_ERR_INVALID, "ops[0].ref"},
    {OPS("{'op':'purge','ref':'namespace/x'}"), CLADE_ERR_INVALID, "ops[0].ref"},
    {OPS("{'op':'purge','ref':'type/run:x'}"), CLADE_ERR_INVALID, "ops[0].ref"},
    {OPS("{'op':'update','ref':'namespace/x','quota':{'things':5,'edges':0,'bytes':nil}}"), 0, ""},
    {OPS("{'op':'update','ref':'namespace/x','quota':{'thing':5}}"), CLADE_ERR_INVALID,
     "ops[0].quota.thing"},
    {OPS("{'op':'update','ref':'namespace/x','quota':{'things':-5}}"), CLADE_ERR_INVALID,
     "ops[0].quota.things"},
    {OPS("{'op':'update','ref':'namespace/x','quota':{'things':'5'}}"), CLADE_ERR_INVALID,
     "ops[0].quota.things"},
    {OPS("{'op':'update','ref':'namespace/x','quota':{'bytes':1000000000000000001}}"),
     CLADE_ERR_LIMIT, "ops[0].quota.bytes"},
    {OPS("{'op':'update','ref':'namespace/x','quota':{'writes_per_s':0}}"), CLADE_ERR_INVALID,
     "ops[0].quota.writes_per_s"},
    {OPS("{'op':'update','ref':'namespace/x','quota':7}"), CLADE_ERR_INVALID, "ops[0].quota"},
    {OPS("{'op':'create','kind':'namespace','name':'x','quota':{'things':nil}}"), CLADE_ERR_INVALID,
     "ops[0].quota.things"},
    {OPS("{'op':'create','kind':'run','quota':{'things':1}}"), CLADE_ERR_INVALID, "ops[0].quota"},
    {OPS("{'op':'update','ref':'namespace/x','retention_s':900}"), 0, ""},
    {OPS("{'op':'update','ref':'namespace/x','retention_s':nil}"), 0, ""},
    {OPS("{'op':'update','ref':'namespace/x','retention_s':899}"), CLADE_ERR_INVALID,
     "ops[0].retention_s"},
    {OPS("{'op':'update','ref':'namespace/x','retention_s':99999999999999}"), CLADE_ERR_LIMIT,
     "ops[0].retention_s"},
    {OPS("{'op':'update','ref':'namespace/x','defaults':{'run.type':'t','run.tags.k':'v'}}"), 0,
     ""},
    {OPS("{'op':'update','ref':'namespace/x','defaults':{'run.type':nil}}"), 0, ""},
    {OPS("{'op':'update','ref':'namespace/x','defaults':{'run.owner':'v'}}"), CLADE_ERR_INVALID,
     "ops[0].defaults.run.owner"},
    {OPS("{'op':'update','ref':'namespace/x','defaults':{'run.tags.':'v'}}"), CLADE_ERR_INVALID,
     "ops[0].defaults.run.tags."},
    {OPS("{'op':'update','ref':'namespace/x','defaults':{'type.type':'v'}}"), CLADE_ERR_INVALID,
     "ops[0].defaults.type.type"},
    {OPS("{'op':'update','ref':'namespace/x','defaults':{'type':'v'}}"), CLADE_ERR_INVALID,
     "ops[0].defaults.type"},
    {OPS("{'op':'delete'}"), CLADE_ERR_INVALID, "ops[0].ref"},
    {OPS("{'op':'update','ref':'type/run:x','type':'y'}"), CLADE_ERR_INVALID, "ops[0].type"},
    {OPS("{'op':'create','kind':'run','tags':{'k':nil}}"), CLADE_ERR_INVALID, "ops[0].tags.k"},
    {OPS("{'op':'update','ref':'id/3','tags':{'k':nil}}"), 0, ""},
    {OPS("{'op':'create','kind':'run','tags':{'k':3}}"), CLADE_ERR_INVALID, "ops[0].tags.k"},
    {OPS("{'op':'create','kind':'run','tags':{'k':'1','k':'2'}}"), CLADE_ERR_INVALID,
     "ops[0].tags.k"},
    {OPS("{'op':'create','kind':'artifact','digests':['sha256:00']}"), CLADE_ERR_INVALID,
     "ops[0].digests[0]"},
    {OPS("{'op':'create','kind':'artifact','digests':['sha256:" HEX "','x:1','x:2']}"),
     CLADE_ERR_INVALID, "ops[0].digests"},
    {OPS("{'op':'create','kind':'artifact','external_ids':['a:b','nocolon']}"), CLADE_ERR_INVALID,
     "ops[0].external_ids[1]"},
    {OPS("{'op':'create','kind':'version'}"), CLADE_ERR_INVALID, "ops[0].model"},
    {OPS("{'op':'create','kind':'version','model':'model/m','name':'x'}"), CLADE_ERR_INVALID,
     "ops[0].name"},
    {OPS("{'op':'create','kind':'version','model':'run/m'}"), CLADE_ERR_INVALID, "ops[0].model"},
    {OPS("{'op':'create','kind':'version','model':'model/m','number':0}"), CLADE_ERR_INVALID,
     "ops[0].number"},
    {OPS(A ",{'op':'create','kind':'version','model':'$0'}"), CLADE_ERR_INVALID, "ops[1].model"},
    {OPS(A ",{'op':'link','from':'$0','label':'contains','to':'$1'}"), CLADE_ERR_INVALID,
     "ops[1].to"},
    {OPS("{'op':'link','from':'$x','label':'contains','to':'id/1'},"
         "{'op':'create','kind':'run','as':'x'}"),
     CLADE_ERR_INVALID, "ops[0].from"},
    {OPS("{'op':'create','kind':'run','as':'x'},{'op':'create','kind':'run','as':'x'}"),
     CLADE_ERR_INVALID, "ops[1].as"},
    {OPS("{'op':'create','kind':'run','as':'9'}"), CLADE_ERR_INVALID, "ops[0].as"},
    {OPS("{'op':'link','from':'id/1','label':'Bad','to':'id/2'}"), CLADE_ERR_INVALID,
     "ops[0].label"},
    {OPS("{'op':'log','ref':'run/r','params':{'lr':'0.1','e':''},'metrics':[{'key':'loss',"
         "'on':'artifact/a','run':'run/r','points':[[-1,0,1],[9223372036854775807,1,'NaN']]}]}"),
     0, ""},
    {OPS("{'op':'log','ref':'run/r'}"), CLADE_ERR_INVALID, "ops[0]"},
    {OPS("{'op':'log','params':{}}"), CLADE_ERR_INVALID, "ops[0].ref"},
    {OPS("{'op':'log','ref':'run/r','params':{},'x':1}"), CLADE_ERR_INVALID, "ops[0].x"},
    {OPS("{'op':'log','ref':'run/r','params':[]}"), CLADE_ERR_INVALID, "ops[0].params"},
    {OPS("{'op':'log','ref':'run/r','params':{'k':1}}"), CLADE_ERR_INVALID, "ops[0].params.k"},
    {OPS("{'op':'log','ref':'run/r','params':{'k':'1','k':'1'}}"), CLADE_ERR_INVALID,
     "ops[0].params.k"},
    {OPS("{'op':'log','ref':'run/r','metrics':{}}"), CLADE_ERR_INVALID, "ops[0].metrics"},
    {OPS("{'op':'log','ref':'run/r','metrics':[1]}"), CLADE_ERR_INVALID, "ops[0].metrics[0]"},
    {OPS("{'op':'log','ref':'run/r','metrics':[{'points':[]}]}"), CLADE_ERR_INVALID,
     "ops[0].metrics[0].key"},
    {OPS(METRIC("'x':1")), CLADE_ERR_INVALID, "ops[0].metrics[0].x"},
    {OPS(METRIC("'on':'id/1'")), CLADE_ERR_INVALID, "ops[0].metrics[0].points"},
    {OPS(METRIC("'on':1,'points':[]")), CLADE_ERR_INVALID, "ops[0].metrics[0].on"},
    {OPS(METRIC("'run':'model/m','points':[]")), CLADE_ERR_INVALID, "ops[0].metrics[0].run"},
    {OPS(METRIC("'run':'$0','points':[]")), CLADE_ERR_INVALID, "ops[0].metrics[0].run"},
    {OPS(METRIC("'points':[[1,1,1],[1,1]]")), CLADE_ERR_INVALID, "ops[0].metrics[0].points[1]"},
    {OPS(METRIC("'points':[['1',1,1]]")), CLADE_ERR_INVALID, "ops[0].metrics[0].points[0]"},
    {OPS(METRIC("'points':[[1,-1,1]]")), CLADE_ERR_INVALID, "ops[0].metrics[0].points[0]"},
    {OPS(METRIC("'points':[[1,253402300800000,1]]")), CLADE_ERR_INVALID,
     "ops[0].metrics[0].points[0]"},
    {OPS(METRIC("'points':[[1,1,'nan']]")), CLADE_ERR_INVALID, "ops[0].metrics[0].points[0]"},
    {OPS(METRIC("'points':[[1,1,nil]]")), CLADE_ERR_INVALID, "ops[0].metrics[0].points[0]"},
    {"{'v':1,'guards':[{'guard':'exists','ref':'$0'}],'ops':[" A "]}", CLADE_ERR_INVALID,
     "guards[0].ref"},
    {"{'v':1,'guards':[{'guard':'unchanged','ref':'id/1'}],'ops':[" A "]}", CLADE_ERR_INVALID,
     "guards[0].revision"},
    {"{'v':1,'guards':[{'guard':'absent','ref':'id/1','revision':1}],'ops':[" A "]}",
     CLADE_ERR_INVALID, "guards[0].revision"},
    {OPS("{'op':'set_alias','ref':'version/m/1','alias':'best','expect':'unset'}"), 0, ""},
    {OPS("{'op':'set_alias','ref':'version/m@best','alias':'best','expect':7}"), 0, ""},
    {OPS("{'op':'set_alias','ref':'model/m','alias':'best'}"), CLADE_ERR_INVALID, "ops[0].ref"},
    {OPS("{'op':'set_alias','ref':'version/m/1'}"), CLADE_ERR_INVALID, "ops[0].alias"},
    {OPS("{'op':'set_alias','ref':'version/m/1','alias':'latest'}"), CLADE_ERR_INVALID,
     "ops[0].alias"},
    {OPS("{'op':'set_alias','ref':'version/m/1','alias':'a/b'}"), CLADE_ERR_INVALID,
     "ops[0].alias"},
    {OPS("{'op':'set_alias','ref':'version/m/1','alias':''}"), CLADE_ERR_INVALID, "ops[0].alias"},
    {OPS("{'op':'set_alias','ref':'version/m/1','alias':'b','expect':0}"), CLADE_ERR_INVALID,
     "ops[0].expect"},
    {OPS("{'op':'set_alias','ref':'version/m/1','alias':'b','expect':'7'}"), CLADE_ERR_INVALID,
     "ops[0].expect"},
    {OPS("{'op':'set_alias','ref':'version/m/1','alias':'b','version':7}"), CLADE_ERR_INVALID,
     "ops[0].version"},
    {OPS("{'op':'unset_alias','ref':'model/m','alias':'best'}"), 0, ""},
    {OPS("{'op':'unset_alias','ref':'version/m/1','alias':'best'}"), CLADE_ERR_INVALID,
     "ops[0].ref"},
    {OPS("{'op':'set_stage','ref':'version/m/1','stage':'p','expect':'s','displace':'a'}"), 0, ""},
    {OPS("{'op':'set_stage','ref':'version/m/1'}"), CLADE_ERR_INVALID, "ops[0].stage"},
    {OPS("{'op':'set_stage','ref':'run/r','stage':'p'}"), CLADE_ERR_INVALID, "ops[0].ref"},
    {OPS("{'op':'set_stage','ref':'version/m/1','stage':'p','displace':'p'}"), CLADE_ERR_INVALID,
     "ops[0].displace"},
    {OPS("{'op':'set_stage','ref':'version/m/1','stage':'none','displace':'p'}"), CLADE_ERR_INVALID,
     "ops[0].displace"},
    {OPS("{'op':'set_targets','ref':'deployment/d','targets':[]}"), 0, ""},
    {OPS("{'op':'set_targets','ref':'deployment/d'}"), CLADE_ERR_INVALID, "ops[0].targets"},
    {OPS("{'op':'set_targets','ref':'model/m','targets':[]}"), CLADE_ERR_INVALID, "ops[0].ref"},
    {OPS("{'op':'set_targets','ref':'deployment/d','targets':[{'version':'version/m/1',"
         "'share':4000},{'version':'version/m/2','share':6000,'mode':'serving'},"
         "{'version':'id/9','share':1,'mode':'shadow'}]}"),
     0, ""},
    {OPS("{'op':'set_targets','ref':'deployment/d','targets':[{'version':'version/m/1',"
         "'mode':'shadow'}]}"),
     0, ""},
    {OPS("{'op':'set_targets','ref':'deployment/d','targets':[{'version':'version/m/1',"
         "'share':9999}]}"),
     CLADE_ERR_INVALID, "ops[0].targets"},
    {OPS("{'op':'set_targets','ref':'deployment/d','targets':[{'version':'version/m/1'},"
         "{'version':'version/m/2','share':1}]}"),
     CLADE_ERR_INVALID, "ops[0].targets"},
    {OPS("{'op':'set_targets','ref':'deployment/d','targets':[{'version':'version/m/1',"
         "'share':10001}]}"),
     CLADE_ERR_INVALID, "ops[0].targets[0].share"},
    {OPS("{'op':'set_targets','ref':'deployment/d','targets':[{'version':'model/m'}]}"),
     CLADE_ERR_INVALID, "ops[0].targets[0].version"},
    {OPS("{'op':'set_targets','ref':'deployment/d','targets':[{'version':'id/1',"
         "'mode':'mirror'}]}"),
     CLADE_ERR_INVALID, "ops[0].targets[0].mode"},
    {OPS("{'op':'set_targets','ref':'deployment/d','targets':['version/m/1']}"), CLADE_ERR_INVALID,
     "ops[0].targets[0]"},
    {"{'v':1,'guards':[{'guard':'alias','ref':'model/m','alias':'best','is':7},"
     "{'guard':'alias','ref':'model/m','alias':'latest','is':'unset'},"
     "{'guard':'stage','ref':'version/m@best','is':'staging'}],'ops':[" A "]}",
     0, ""},
    {"{'v':1,'guards':[{'guard':'alias','ref':'model/m','alias':'best'}],'ops':[" A "]}",
     CLADE_ERR_INVALID, "guards[0].is"},
    {"{'v':1,'guards':[{'guard':'alias','ref':'version/m/1','alias':'b','is':1}],'ops':[" A "]}",
     CLADE_ERR_INVALID, "guards[0].ref"},
    {"{'v':1,'guards':[{'guard':'stage','ref':'version/m/1'}],'ops':[" A "]}", CLADE_ERR_INVALID,
     "guards[0].is"},
    {"{'v':1,'guards':[{'guard':'stage','ref':'id/1','alias':'b','is':'p'}],'ops':[" A "]}",
     CLADE_ERR_INVALID, "guards[0].alias"},
    {"{'v':1,'guards':[{'guard':'exists','ref':'id/1','is':'p'}],'ops':[" A "]}", CLADE_ERR_INVALID,
     "guards[0].is"},
};

static void each_row_of_transactions_is_answered_with_its_error(void **state)
{
    for (size_t i = 0; i < sizeof txn_rows / sizeof txn_rows[0]; i++) {
        struct fixture f;
        struct txn txn;
        fixture_init(&f);
        int r = decode_txn(&f, txn_rows[i].text, &txn);
        if (r != txn_rows[i].code || strcmp(f.error.where, txn_rows[i].where) != 0) {
            fail_msg("%s: %s at '%s': %s", txn_rows[i].text, clade_error_name(r), f.error.where,
                     f.error.message);
        }
        fixture_release(&f);
    }
}

static void sets_and_tags_come_out_sorted_without_doubles(void **state)
{
    struct fixture f;
    struct txn txn;
    fixture_init(&f);
    assert_int_equal(decode_txn(&f,
                                OPS("{'op':'create','kind':'artifact','uris':['b','a','b'],'tags':"
                                    "{'z':'1','a':''},'description':'d','digests':[]}"),
                                &txn),
                     0);
    const struct op *op = &txn.ops[0];
    assert_int_equal(op->fields_len, 3);
    assert_int_equal(op->fields[0].field->code, FIELD_DESCRIPTION);
    assert_true(span_equal_str(op->fields[1].pairs[0].key, "a"));
    assert_int_equal(op->fields[2].len, 2);
    assert_true(span_equal_str(op->fields[2].texts[0], "a"));
    fixture_release(&f);
}

/* 10,000 names in one command: a search that is not logarithmic shows in the test's timeout. */
static void ten_thousand_names_are_found_and_one_operation_more_is_refused(void **state)
{
    for (int extra = 0; extra <= 1; extra++) {
        struct fixture f;
        struct txn txn;
        fixture_init(&f);
        value_put_map(&f.bytes, 2);
        value_put_str(&f.bytes, "v");
        value_put_uint(&f.bytes, 1);
        value_put_str(&f.bytes, "ops");
        value_put_array(&f.bytes, 10000 + (uint32_t)extra);
        for (int i = 0; i < 10000 + extra; i++) {
            char text[96];
            snprintf(text, sizeof text,
                     i == 0 ? "{'op':'create','kind':'run','as':'n%d'}"
                            : "{'op':'create','kind':'run','as':'n%d','parent':'$n%d'}",
                     i, i - 1);
            notation_put(&f.bytes, text);
        }
        int r = txn_decode(buffer_span(&f.bytes), &f.arena, &txn, &f.error);
        assert_int_equal(r, extra == 0 ? 0 : CLADE_ERR_LIMIT);
        fixture_release(&f);
    }
}

static void each_reference_is_parsed_or_refused(void **state)
{
    static const struct {
        const char *text;
        int form; /* -1: refused */
        enum kind kind;
        const char *name;
    } rows[] = {
        {"artifact/a/b//c", REF_NAME, KIND_ARTIFACT, "a/b//c"},
        {"//team/x//artifact//data", REF_NAME, KIND_ARTIFACT, "/data"},
        {"version/google/bert/7", REF_VERSION, KIND_VERSION, "google/bert"},
        {"version/bert@latest", REF_ALIAS, KIND_VERSION, "bert"},
        {"version/ext:mlflow:bert/3", REF_EXTERNAL, KIND_VERSION, "mlflow:bert/3"},
        {"type/edge:trained_on", REF_NAME, KIND_TYPE, "edge:trained_on"},
        {"namespace/a/b", REF_NAME, KIND_NAMESPACE, "a/b"},
        {"id/12", REF_ID, KIND_NONE, ""},
        {"$3", REF_OP, KIND_NONE, ""},
        {"$out", REF_OP_NAME, KIND_NONE, "out"},
        {"version/bert/0", -1, KIND_NONE, ""},
        {"version/bert/07", -1, KIND_NONE, ""},
        {"version/bert", -1, KIND_NONE, ""},
        {"version/bert@", -1, KIND_NONE, ""},
        {"id/99999999999999999999", -1, KIND_NONE, ""},
        {"//a//id/1", -1, KIND_NONE, ""},
        {"//a/artifact/b", -1, KIND_NONE, ""},
        {"////artifact/b", -1, KIND_NONE, ""},
        {"artifact/", -1, KIND_NONE, ""},
        {"artifact/a\n", -1, KIND_NONE, ""},
        {"model/a@b", -1, KIND_NONE, ""},
        {"$", -1, KIND_NONE, ""},
        {"", -1, KIND_NONE, ""},
        {"//", -1, KIND_NONE, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ref ref = {0};
        int r = ref_parse(span_of(rows[i].text), true, &ref, NULL);
        bool right = rows[i].form < 0
                         ? r == CLADE_ERR_INVALID
                         : r == 0 && (int)ref.form == rows[i].form && ref.kind == rows[i].kind &&
                               span_equal_str(ref.name, rows[i].name);
        if (!right) {
            fail_msg("%s", rows[i].text);
        }
    }
    struct ref ref;
    assert_int_equal(ref_parse(span_of("$1"), false, &ref, NULL), CLADE_ERR_INVALID);
}

static const struct {
    enum query_kind kind;
    struct row row;
} query_rows[] = {
    {QUERY_GET, {"{'refs':['id/1','digest:sha256:" HEX "']}", 0, ""}},
    {QUERY_GET, {"{}", CLADE_ERR_INVALID, "refs"}},
    {QUERY_GET, {"{'refs':[]}", CLADE_ERR_INVALID, "refs"}},
    {QUERY_GET, {"{'refs':['id/1','$0']}", CLADE_ERR_INVALID, "refs[1]"}},
    {QUERY_GET, {"{'refs':['digest:x']}", CLADE_ERR_INVALID, "refs[0]"}},
    {QUERY_GET, {"{'refs':['id/1'],'kind':'run'}", CLADE_ERR_INVALID, "kind"}},
    {QUERY_LIST, {"{'kind':'run','under':'experiment/e','limit':10000}", 0, ""}},
    {QUERY_LIST, {"{'kind':'run','limit':10001}", CLADE_ERR_LIMIT, "limit"}},
    {QUERY_LIST, {"{'kind':'run','under':'model/m'}", CLADE_ERR_INVALID, "under"}},
    {QUERY_LIST, {"{'kind':'model','under':'model/m'}", CLADE_ERR_INVALID, "under"}},
    {QUERY_LIST, {"{'kind':'x'}", CLADE_ERR_INVALID, "kind"}},
    {QUERY_LIST, {"{'kind':'run','as_of':'2026-03-01T00:00:00'}", CLADE_ERR_INVALID, "as_of"}},
    {QUERY_LIST, {"{'kind':'run','as_of':'99999999999999999999'}", CLADE_ERR_INVALID, "as_of"}},
    {QUERY_LIST, {"{'kind':'run','as_of':'17','deadline_ms':5}", 0, ""}},
    {QUERY_LIST, {"{'kind':'run','as_of':'2026-03-01'}", CLADE_ERR_INVALID, "as_of"}},
    {QUERY_LIST, {"{'kind':'run','as_of':'2026-03-01T23:59:59+02:00'}", 0, ""}},
    {QUERY_HISTORY, {"{'ref':'run/r','as_of':3,'limit':1}", 0, ""}},
    {QUERY_HISTORY, {"{}", CLADE_ERR_INVALID, "ref"}},
    {QUERY_HISTORY, {"{'ref':'run'}", CLADE_ERR_INVALID, "ref"}},
    {QUERY_HISTORY, {"{'ref':'run/r','refs':['run/r']}", CLADE_ERR_INVALID, "refs"}},
    {QUERY_LIST, {"{'kind':'run','with':['edges','x']}", CLADE_ERR_INVALID, "with[1]"}},
    {QUERY_LINEAGE,
     {"{'ref':'id/1','direction':'down','labels':['b','a','b'],"
      "'kinds':['run'],'depth':3,'count':true}",
      0, ""}},
    {QUERY_LINEAGE, {"{'ref':'id/1','direction':'side'}", CLADE_ERR_INVALID, "direction"}},
    {QUERY_LINEAGE, {"{'ref':'id/1','labels':['A']}", CLADE_ERR_INVALID, "labels[0]"}},
    {QUERY_LINEAGE, {"{'ref':'id/1','kinds':['A']}", CLADE_ERR_INVALID, "kinds[0]"}},
    {QUERY_LINEAGE, {"{'ref':'id/1','count':1}", CLADE_ERR_INVALID, "count"}},
    {QUERY_METRICS,
     {"{'refs':['run/r'],'keys':['b','a'],'on':nil,'from_step':-5,'to_step':5,'from_time':1,"
      "'to_time':'2026-03-01T00:00:00Z','sample':4}",
      0, ""}},
    {QUERY_METRICS, {"{}", CLADE_ERR_INVALID, "refs"}},
    {QUERY_METRICS, {"{'refs':['run/r'],'keys':[]}", CLADE_ERR_INVALID, "keys"}},
    {QUERY_METRICS, {"{'refs':['run/r'],'keys':['a','']}", CLADE_ERR_INVALID, "keys[1]"}},
    {QUERY_METRICS, {"{'refs':['run/r'],'on':'x'}", CLADE_ERR_INVALID, "on"}},
    {QUERY_METRICS, {"{'refs':['run/r'],'from_step':'1'}", CLADE_ERR_INVALID, "from_step"}},
    {QUERY_METRICS, {"{'refs':['run/r'],'to_time':'2026-03-01'}", CLADE_ERR_INVALID, "to_time"}},
    {QUERY_METRICS, {"{'refs':['run/r'],'sample':3}", CLADE_ERR_INVALID, "sample"}},
    {QUERY_METRICS, {"{'refs':['run/r'],'sample':10001}", CLADE_ERR_LIMIT, "sample"}},
    {QUERY_METRICS, {"{'refs':['run/r'],'last':true,'to_step':1}", CLADE_ERR_INVALID, "last"}},
    {QUERY_GET, {"{'refs':['run/r'],'with':['params','metrics','edges']}", 0, ""}},
    {QUERY_DESCRIBE, {"{'ns':'a/'}", CLADE_ERR_INVALID, "ns"}},
    {QUERY_DESCRIBE, {"{'consistency':'stale','stale_ms':5,'view':'ids'}", 0, ""}},
    {QUERY_DESCRIBE, {"[]", CLADE_ERR_INVALID, ""}},
};

static void each_row_of_queries_is_answered_with_its_error(void **state)
{
    for (size_t i = 0; i < sizeof query_rows / sizeof query_rows[0]; i++) {
        const struct row *row = &query_rows[i].row;
        struct fixture f;
        struct query q = {0};
        const struct value *v;
        fixture_init(&f);
        notation_put(&f.bytes, row->text);
        assert_int_equal(
            value_decode(buffer_span(&f.bytes), &value_limits_request, &f.arena, &v, NULL), 0);
        int r = query_decode(query_rows[i].kind, v, &f.arena, &q, &f.error);
        if (r != row->code || strcmp(f.error.where, row->where) != 0) {
            fail_msg("%s: %s at '%s': %s", row->text, clade_error_name(r), f.error.where,
                     f.error.message);
        }
        if (r == 0) {
            assert_true(q.limit > 0);
            bool listed = q.kind == QUERY_LIST || q.kind == QUERY_DESCRIBE;
            assert_int_equal(q.state, listed ? CLADE_STATE_LIVE : CLADE_STATE_ANY);
            assert_int_equal(q.labels_len, q.kind == QUERY_LINEAGE ? 2 : 0);
        }
        fixture_release(&f);
    }
}

static void every_field_and_kind_is_found_by_its_name(void **state)
{
    for (int code = 1; code < FIELD_CODE_COUNT; code++) {
        const struct field *f = field_by_code((enum field_code)code);
        if (f == NULL) {
            continue; /* codes have gaps */
        }
        assert_int_equal(f->code, code);
        assert_ptr_equal(field_by_name(span_of(f->name)), f);
    }
    assert_null(field_by_code(FIELD_NONE));
    for (int kind = 1; kind < KIND_COUNT; kind++) {
        assert_int_equal(kind_parse(span_of(kind_name((enum kind)kind))), kind);
    }
    assert_null(kind_name(KIND_NONE));
    assert_null(kind_name(KIND_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_of_transactions_is_answered_with_its_error),
        cmocka_unit_test(sets_and_tags_come_out_sorted_without_doubles),
        cmocka_unit_test(ten_thousand_names_are_found_and_one_operation_more_is_refused),
        cmocka_unit_test(each_reference_is_parsed_or_refused),
        cmocka_unit_test(each_row_of_queries_is_answered_with_its_error),
        cmocka_unit_test(every_field_and_kind_is_found_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
