/* Things as a whole: props and types, content, uris, names that change, holds, what comes back. */
#include <stdio.h>
#include <string.h>

#include "steps.h"

#define ONE(op) "{'v':1,'ops':[" op "]}"
#define A       "{'op':'create','kind':'artifact','name':'a'"

/* The last answer to a get of one thing has this in it. */
static void assert_shown(struct fixture *f, const char *get, const char *text)
{
    assert_int_equal(fixture_read(f, QUERY_GET, get), 0);
    if (answer_count(f, text) == 0) {
        char *json = json_of(buffer_span(&f->out));
        fail_msg("no %s in %s", text, json);
    }
}

static void props_are_typed_and_keep_history(void **state)
{
    static const struct step steps[] = {
        {"one of each",
         ONE(A ",'props':{'s':'x','i':-3,'f':0.5,'b':true,'t':{'time':1000000},"
               "'j':{'json':'[1]'},'l':[1,2],'none':[],'m':[1,2.5]}}"),
         0, 1, "[{'status':'created','id':2,'ref':'artifact/a'}]"},
        {"the same again is no change",
         ONE("{'op':'update','ref':'id/2','props':{'s':'x','t':{'time':'1970-01-01T00:00:01Z'}}}"),
         0, 1, "[{'status':'unchanged','id':2,'ref':'artifact/a'}]"},
        {"another type is another value", ONE("{'op':'update','ref':'id/2','props':{'i':-3.0}}"), 0,
         2, "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"nil takes away", ONE("{'op':'update','ref':'id/2','props':{'l':null,'s':null}}"), 0, 3,
         "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"match compares what both have and fills the rest",
         ONE(A ",'if_exists':'match','props':{'b':true,'new':1}}"), 0, 4,
         "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"match refuses another value", ONE(A ",'if_exists':'match','props':{'b':false}}"),
         CLADE_ERR_CONFLICT, 4, "ops[0]"},
        {"a reference is to something that is there",
         ONE("{'op':'update','ref':'id/2','props':{'r':{'ref':'artifact/nobody'}}}"),
         CLADE_ERR_NOT_FOUND, 4, "ops[0].props.r"},
        {"of the same transaction too",
         "{'v':1,'ops':[{'op':'create','kind':'model','name':'m','as':'m'},"
         "{'op':'update','ref':'id/2','props':{'r':[{'ref':'$m'},{'ref':'id/2'}]}}]}",
         0, 5,
         "[{'status':'created','id':3,'ref':'model/m'},"
         "{'status':'changed','id':2,'ref':'artifact/a'}]"},
    };
    struct fixture *f = *state;
    RUN(f, steps);
    assert_shown(f, "{'refs':['id/2'],'view':'full'}",
                 "\"r\":[{\"ref\":\"model/m\"},{\"ref\":\"artifact/a\"}]");
    assert_shown(f, "{'refs':['id/2'],'view':'full','as_of':1}",
                 "\"props\":{\"b\":true,\"f\":0.5,\"i\":-3,\"j\":{\"json\":\"[1]\"},\"l\":[1,2],"
                 "\"m\":[1.0,2.5],\"none\":[],\"s\":\"x\",\"t\":{\"time\":1000000}}");
}

static const struct step type_steps[] = {
    {"a closed type",
     ONE("{'op':'create','kind':'type','name':'artifact:set','closed':true,'fields':{"
         "'rows':{'type':'int','required':true,'unit':'rows'},"
         "'lr':{'type':'float'},'made':{'type':'time','fixed':true},"
         "'tags':{'type':'string[]','indexed':true}}}"),
     0, 1, "[{'status':'created','id':2,'ref':'type/artifact:set'}]"},
    {"required is asked for when the type is set", ONE(A ",'type':'set'}"), CLADE_ERR_INVALID, 1,
     "ops[0].props.rows"},
    {"not of a stub", ONE(A ",'type':'set','if_exists':'match'}"), 0, 2,
     "[{'status':'created','id':3,'ref':'artifact/a'}]"},
    {"with its first prop a stub needs them all",
     ONE("{'op':'update','ref':'id/3','props':{'lr':1}}"), CLADE_ERR_INVALID, 2,
     "ops[0].props.rows"},
    {"an int is a float where one is asked for",
     ONE("{'op':'update','ref':'id/3','props':{'lr':1,'rows':5,'tags':[]}}"), 0, 3,
     "[{'status':'changed','id':3,'ref':'artifact/a'}]"},
    {"and the same value again", ONE("{'op':'update','ref':'id/3','props':{'lr':1.0}}"), 0, 3,
     "[{'status':'unchanged','id':3,'ref':'artifact/a'}]"},
    {"written as an int too", ONE("{'op':'update','ref':'id/3','props':{'lr':1}}"), 0, 3,
     "[{'status':'unchanged','id':3,'ref':'artifact/a'}]"},
    {"a float is no int", ONE("{'op':'update','ref':'id/3','props':{'rows':5.0}}"),
     CLADE_ERR_INVALID, 3, "ops[0].props.rows"},
    {"a scalar is no list", ONE("{'op':'update','ref':'id/3','props':{'tags':'x'}}"),
     CLADE_ERR_INVALID, 3, "ops[0].props.tags"},
    {"a closed type has no other fields", ONE("{'op':'update','ref':'id/3','props':{'x':1}}"),
     CLADE_ERR_INVALID, 3, "ops[0].props.x"},
    {"a required prop is not taken away", ONE("{'op':'update','ref':'id/3','props':{'rows':null}}"),
     CLADE_ERR_INVALID, 3, "ops[0].props.rows"},
    {"a fixed one is written once",
     "{'v':1,'ops':[{'op':'update','ref':'id/3','props':{'made':{'time':5}}},"
     "{'op':'update','ref':'id/3','props':{'made':{'time':6}}}]}",
     CLADE_ERR_CONFLICT, 3, "ops[1]"},
    {"and not taken away",
     "{'v':1,'ops':[{'op':'update','ref':'id/3','props':{'made':{'time':5}}},"
     "{'op':'update','ref':'id/3','props':{'made':null}}]}",
     CLADE_ERR_CONFLICT, 3, "ops[1]"},
    {"a field is not declared otherwise",
     ONE("{'op':'update','ref':'id/2','fields':{'lr':{'type':'int'}}}"), CLADE_ERR_CONFLICT, 3,
     "ops[0]"},
    {"a required one may come later: what is there stays as it is",
     "{'v':1,'ops':[{'op':'update','ref':'id/2','fields':{'lang':{'type':'string',"
     "'required':true}}},{'op':'update','ref':'id/3','props':{'rows':6}}]}",
     0, 4,
     "[{'status':'changed','id':2,'ref':'type/artifact:set'},"
     "{'status':'changed','id':3,'ref':'artifact/a'}]"},
    {"new ones must have it",
     ONE("{'op':'create','kind':'artifact','name':'b','type':'set','props':{'rows':1}}"),
     CLADE_ERR_INVALID, 4, "ops[0].props.lang"},
    {"a type that is opened lets others in",
     "{'v':1,'ops':[{'op':'update','ref':'id/2','closed':false},"
     "{'op':'update','ref':'id/3','props':{'x':1}}]}",
     0, 5,
     "[{'status':'changed','id':2,'ref':'type/artifact:set'},"
     "{'status':'changed','id':3,'ref':'artifact/a'}]"},
    {"props that are there are held against a type that comes",
     "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'c','props':{'rows':'many'}},"
     "{'op':'update','ref':'$0','type':'set'}]}",
     CLADE_ERR_INVALID, 5, "ops[1].props.rows"},
    {"and ints become floats",
     "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'c',"
     "'props':{'rows':1,'lang':'en','lr':[]}}]}",
     0, 6, "[{'status':'created','id':4,'ref':'artifact/c'}]"},
};

static void a_type_is_held_against_props(void **state)
{
    struct fixture *f = *state;
    RUN(f, type_steps);
    assert_shown(f, "{'refs':['id/3'],'view':'full'}", "\"lr\":1.0");
    assert_shown(f, "{'refs':['id/2'],'view':'full'}",
                 "\"rows\":{\"type\":\"int\",\"required\":true,\"unit\":\"rows\"}");
    assert_shown(f, "{'refs':['id/2'],'view':'full','as_of':1}", "\"closed\":true");
}

static void a_type_of_the_nearest_namespace_counts(void **state)
{
    static const struct step steps[] = {
        {"two types of one name",
         "{'v':1,'ops':[{'op':'create','kind':'namespace','name':'a'},"
         "{'op':'create','kind':'namespace','name':'a/b'},"
         "{'op':'create','kind':'namespace','name':'a/c'},"
         "{'op':'create','kind':'type','name':'run:train','namespace':'a',"
         "'fields':{'x':{'type':'int','required':true}}},"
         "{'op':'create','kind':'type','name':'run:train','namespace':'a/b',"
         "'fields':{'y':{'type':'int','required':true}}}]}",
         0, 1,
         "[{'status':'created','id':2,'ref':'namespace/a'},"
         "{'status':'created','id':3,'ref':'namespace/a/b'},"
         "{'status':'created','id':4,'ref':'namespace/a/c'},"
         "{'status':'created','id':5,'ref':'//a//type/run:train'},"
         "{'status':'created','id':6,'ref':'//a/b//type/run:train'}]"},
        {"its own",
         "{'v':1,'ns':'a/b','ops':[{'op':'create','kind':'run','type':'train','props':{'x':1}}]}",
         CLADE_ERR_INVALID, 1, "ops[0].props.y"},
        {"else its parent's",
         "{'v':1,'ns':'a/c','ops':[{'op':'create','kind':'run','type':'train','props':{'y':1}}]}",
         CLADE_ERR_INVALID, 1, "ops[0].props.x"},
    };
    RUN(*state, steps);
}

static void content_moves_as_content_does(void **state)
{
    static const struct step steps[] = {
        {"pending", ONE(A ",'content':'pending'}"), 0, 1,
         "[{'status':'created','id':2,'ref':'artifact/a'}]"},
        {"failed, and why",
         ONE("{'op':'update','ref':'id/2','content':'failed','content_reason':'no space'}"), 0, 2,
         "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"the reason may be said better",
         ONE("{'op':'update','ref':'id/2','content_reason':'no space left'}"), 0, 3,
         "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"ready after all", ONE("{'op':'update','ref':'id/2','content':'ready'}"), 0, 4,
         "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"ready has no reason", ONE("{'op':'update','ref':'id/2','content_reason':'x'}"),
         CLADE_ERR_INVALID, 4, "ops[0].content_reason"},
        {"what is ready is not written again",
         ONE("{'op':'update','ref':'id/2','content':'pending'}"), CLADE_ERR_CONFLICT, 4,
         "ops[0].content"},
        {"nor does it turn out to be nothing", ONE("{'op':'update','ref':'id/2','content':'none'}"),
         CLADE_ERR_CONFLICT, 4, "ops[0].content"},
        {"gone, and back",
         "{'v':1,'ops':[{'op':'update','ref':'id/2','content':'gone'},"
         "{'op':'update','ref':'id/2','content':'ready'}]}",
         0, 5,
         "[{'status':'changed','id':2,'ref':'artifact/a'},"
         "{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"the same again", ONE("{'op':'update','ref':'id/2','content':'ready'}"), 0, 5,
         "[{'status':'unchanged','id':2,'ref':'artifact/a'}]"},
        {"match compares it", ONE(A ",'content':'gone','if_exists':'match'}"), CLADE_ERR_CONFLICT,
         5, "ops[0]"},
        {"before it looks for a reason",
         ONE(A ",'content':'failed','content_reason':'x','if_exists':'match'}"), CLADE_ERR_CONFLICT,
         5, "ops[0]"},
    };
    struct fixture *f = *state;
    RUN(f, steps);
    assert_shown(f, "{'refs':['id/2'],'view':'full','as_of':3}",
                 "\"content\":\"failed\",\"content_reason\":\"no space left\"");
    assert_shown(f, "{'refs':['id/2'],'view':'full'}", "\"content\":\"ready\"");
    assert_int_equal(answer_count(f, "content_reason"), 0);
}

static void a_uri_finds_its_things_at_each_revision(void **state)
{
    struct fixture *f = *state;
    static char uri[4001];
    static char command[9000];
    memset(uri, 'u', sizeof uri - 1);
    memcpy(uri, "s3://", 5);
    static const struct step steps[] = {
        {"two things at one place",
         "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a','uris':['s3://x','s3://y']},"
         "{'op':'create','kind':'artifact','name':'b','uris':['s3://x']}]}",
         0, 1,
         "[{'status':'created','id':2,'ref':'artifact/a'},"
         "{'status':'created','id':3,'ref':'artifact/b'}]"},
        {"one moves away", ONE("{'op':'update','ref':'id/2','uris':{'s3://x':null,'s3://z':true}}"),
         0, 2, "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"what is not there is nothing to take away",
         ONE("{'op':'update','ref':'id/2','uris':{'s3://nowhere':null}}"), 0, 2,
         "[{'status':'unchanged','id':2,'ref':'artifact/a'}]"},
        {"and comes back", ONE("{'op':'update','ref':'id/2','uris':['s3://x']}"), 0, 3,
         "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"there and away in one transaction leaves nothing",
         "{'v':1,'ops':[{'op':'update','ref':'id/3','uris':['s3://w']},"
         "{'op':'update','ref':'id/3','uris':{'s3://w':null}}]}",
         0, 4,
         "[{'status':'changed','id':3,'ref':'artifact/b'},"
         "{'status':'changed','id':3,'ref':'artifact/b'}]"},
    };
    RUN(f, steps);
    static const struct {
        const char *get;
        const char *want;
    } rows[] = {
        {"{'refs':['uri:s3://x'],'view':'ids','as_of':1}", "[2]"},
        {"{'refs':['uri:s3://x'],'view':'ids','as_of':2}", "[3]"},
        {"{'refs':['uri:s3://x'],'view':'ids'}", "[2]"},
        {"{'refs':['uri:s3://z','uri:s3://y'],'view':'ids'}", "[2,2]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(fixture_read(f, QUERY_GET, rows[i].get), 0);
        assert_answer(f, rows[i].want);
    }
    assert_shown(f, "{'refs':['uri:s3://w']}", "nothing in the namespace has the uri s3://w");
    /* Those that are longer than a key, and differ behind its end. */
    for (int i = 0; i < 2; i++) {
        uri[sizeof uri - 2] = (char)('a' + i);
        (void)snprintf(
            command, sizeof command,
            "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'l%d','uris':['%s']}]}", i, uri);
        assert_int_equal(fixture_txn(f, command), 0);
    }
    (void)snprintf(command, sizeof command, "{'refs':['uri:%s'],'view':'ids'}", uri);
    assert_int_equal(fixture_read(f, QUERY_GET, command), 0);
    assert_answer(f, "[5]");
}

static void a_name_changes_and_the_old_one_is_free(void **state)
{
    static const struct step steps[] = {
        {"a and m",
         "{'v':1,'ops':[" A "},{'op':'create','kind':'model','name':'m'},"
         "{'op':'create','kind':'version','model':'model/m'}]}",
         0, 1,
         "[{'status':'created','id':2,'ref':'artifact/a'},"
         "{'status':'created','id':3,'ref':'model/m'},"
         "{'status':'created','id':4,'ref':'version/m/1'}]"},
        {"a is b", ONE("{'op':'rename','ref':'artifact/a','name':'b'}"), 0, 2,
         "[{'status':'changed','id':2,'ref':'artifact/b'}]"},
        {"again", ONE("{'op':'rename','ref':'artifact/b','name':'b'}"), 0, 2,
         "[{'status':'unchanged','id':2,'ref':'artifact/b'}]"},
        {"nothing is called a", ONE("{'op':'update','ref':'artifact/a','size':1}"),
         CLADE_ERR_NOT_FOUND, 2, "ops[0].ref"},
        {"a new a", ONE(A "}"), 0, 3, "[{'status':'created','id':5,'ref':'artifact/a'}]"},
        {"the name is taken", ONE("{'op':'rename','ref':'id/2','name':'a'}"), CLADE_ERR_CONFLICT, 3,
         "ops[0].name"},
        {"versions go by their model's name", ONE("{'op':'rename','ref':'model/m','name':'n'}"), 0,
         4, "[{'status':'changed','id':3,'ref':'model/n'}]"},
        {"two change names",
         "{'v':1,'ops':[{'op':'rename','ref':'id/2','name':'c'},"
         "{'op':'rename','ref':'id/5','name':'b'},{'op':'rename','ref':'id/2','name':'a'}]}",
         0, 5,
         "[{'status':'changed','id':2,'ref':'artifact/c'},"
         "{'status':'changed','id':5,'ref':'artifact/b'},"
         "{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"a version keeps its number", ONE("{'op':'rename','ref':'version/n/1','name':'x'}"),
         CLADE_ERR_INVALID, 5, "ops[0].name"},
        {"by id too", ONE("{'op':'rename','ref':'id/4','name':'x'}"), CLADE_ERR_INVALID, 5,
         "ops[0].name"},
        {"a model's name has no @", ONE("{'op':'rename','ref':'id/3','name':'x@y'}"),
         CLADE_ERR_INVALID, 5, "ops[0].name"},
        {"a name that comes and goes within a transaction, then the thing goes",
         "{'v':1,'ops':[{'op':'rename','ref':'id/2','name':'d'},"
         "{'op':'rename','ref':'id/2','name':'a'},{'op':'delete','ref':'id/2'}]}",
         0, 6,
         "[{'status':'changed','id':2,'ref':'artifact/d'},"
         "{'status':'changed','id':2,'ref':'artifact/a'},"
         "{'status':'deleted','id':2,'ref':'artifact/a'}]"},
    };
    static const struct {
        const char *list;
        const char *want;
    } rows[] = {
        {"{'kind':'artifact','view':'ids','state':'any','as_of':2}", "[2]"},
        {"{'kind':'artifact','view':'ids','state':'any','as_of':4}", "[5,2]"},
        {"{'kind':'artifact','view':'ids','state':'any','as_of':5}", "[2,5]"},
        {"{'kind':'artifact','view':'ids','state':'any'}", "[2,5]"},
        {"{'kind':'artifact','view':'ids','state':'deleted'}", "[2]"},
        {"{'kind':'version','view':'ids','state':'any'}", "[4]"},
    };
    struct fixture *f = *state;
    RUN(f, steps);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(fixture_read(f, QUERY_LIST, rows[i].list), 0);
        assert_answer(f, rows[i].want);
    }
    assert_int_equal(
        fixture_read(f, QUERY_GET, "{'refs':['artifact/a','artifact/b'],'view':'ids','as_of':4}"),
        0);
    assert_answer(f, "[5,2]");
    assert_shown(f, "{'refs':['version/m/1'],'as_of':3}", "\"version/m/1\"");
    assert_shown(f, "{'refs':['artifact/a'],'state':'deleted'}", "\"id\":2");
}

static void what_is_held_is_not_deleted(void **state)
{
    static const struct step steps[] = {
        {"held, with the transaction's reason",
         "{'v':1,'reason':'case 12','ops':[" A "},{'op':'hold','ref':'$0'}]}", 0, 1,
         "[{'status':'created','id':2,'ref':'artifact/a'},"
         "{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"it does not go", ONE("{'op':'delete','ref':'artifact/a'}"), CLADE_ERR_CONFLICT, 1,
         "ops[0].ref"},
        {"another reason", ONE("{'op':'hold','ref':'artifact/a','reason':'case 13'}"), 0, 2,
         "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"again", ONE("{'op':'hold','ref':'artifact/a','reason':'case 13'}"), 0, 2,
         "[{'status':'unchanged','id':2,'ref':'artifact/a'}]"},
        {"fields do not write it", ONE("{'op':'update','ref':'artifact/a','hold':'x'}"),
         CLADE_ERR_INVALID, 2, "ops[0].hold"},
        {"released it goes",
         "{'v':1,'ops':[{'op':'release','ref':'artifact/a'},{'op':'release','ref':'artifact/a'},"
         "{'op':'delete','ref':'artifact/a'}]}",
         0, 3,
         "[{'status':'changed','id':2,'ref':'artifact/a'},"
         "{'status':'unchanged','id':2,'ref':'artifact/a'},"
         "{'status':'deleted','id':2,'ref':'artifact/a'}]"},
        {"what is deleted may be held, by its last name too",
         ONE("{'op':'hold','ref':'artifact/a'}"), 0, 4,
         "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
    };
    struct fixture *f = *state;
    RUN(f, steps);
    assert_shown(f, "{'refs':['id/2'],'view':'full','as_of':1}", "\"hold\":\"case 12\"");
    assert_shown(f, "{'refs':['id/2'],'view':'full'}", "\"hold\":\"\"");
    assert_int_equal(fixture_read(f, QUERY_LIST,
                                  "{'kind':'artifact','state':'deleted',"
                                  "'view':'ids'}"),
                     0);
    assert_answer(f, "[2]");
}

static const struct step undelete_steps[] = {
    {"a, with an external id", ONE(A ",'external_ids':['x:1'],'uris':['s3://x']}"), 0, 1,
     "[{'status':'created','id':2,'ref':'artifact/a'}]"},
    {"away and back in one transaction",
     "{'v':1,'ops':[{'op':'delete','ref':'artifact/a'},{'op':'undelete','ref':'artifact/a'},"
     "{'op':'delete','ref':'artifact/a'}]}",
     0, 2,
     "[{'status':'deleted','id':2,'ref':'artifact/a'},"
     "{'status':'undeleted','id':2,'ref':'artifact/a'},"
     "{'status':'deleted','id':2,'ref':'artifact/a'}]"},
    {"back by its name", ONE("{'op':'undelete','ref':'artifact/a'}"), 0, 3,
     "[{'status':'undeleted','id':2,'ref':'artifact/a'}]"},
    {"it is there", ONE("{'op':'undelete','ref':'artifact/a'}"), 0, 3,
     "[{'status':'unchanged','id':2,'ref':'artifact/a'}]"},
    {"its external id finds it", ONE("{'op':'update','ref':'artifact/ext:x:1','size':1}"), 0, 4,
     "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
    {"another takes its name and its id",
     "{'v':1,'ops':[{'op':'delete','ref':'artifact/a'}," A ",'external_ids':['x:1']}]}", 0, 5,
     "[{'status':'deleted','id':2,'ref':'artifact/a'},"
     "{'status':'created','id':3,'ref':'artifact/a'}]"},
    {"the name is taken", ONE("{'op':'undelete','ref':'id/2'}"), CLADE_ERR_CONFLICT, 5,
     "ops[0].name"},
    {"the external id is", ONE("{'op':'undelete','ref':'id/2','name':'b'}"), CLADE_ERR_CONFLICT, 5,
     "ops[0].external_ids"},
    {"given up, it comes back under another name",
     "{'v':1,'ops':[{'op':'update','ref':'id/3','external_ids':{'x:1':null}},"
     "{'op':'undelete','ref':'id/2','name':'b'}]}",
     0, 6,
     "[{'status':'changed','id':3,'ref':'artifact/a'},"
     "{'status':'undeleted','id':2,'ref':'artifact/b'}]"},
    {"a model goes with its versions and comes back with them",
     "{'v':1,'ops':[{'op':'create','kind':'model','name':'m'},"
     "{'op':'create','kind':'version','model':'$0'},"
     "{'op':'create','kind':'version','model':'$0'},{'op':'delete','ref':'$2'},"
     "{'op':'delete','ref':'$0'}]}",
     0, 7,
     "[{'status':'created','id':4,'ref':'model/m'},"
     "{'status':'created','id':5,'ref':'version/m/1'},"
     "{'status':'created','id':6,'ref':'version/m/2'},"
     "{'status':'deleted','id':6,'ref':'version/m/2'},"
     "{'status':'deleted','id':4,'ref':'model/m'}]"},
    {"a version does not come back without its model", ONE("{'op':'undelete','ref':'id/6'}"),
     CLADE_ERR_CONFLICT, 7, "ops[0].ref"},
    {"nor one that is only hidden", ONE("{'op':'undelete','ref':'id/5'}"), CLADE_ERR_CONFLICT, 7,
     "ops[0].ref"},
    {"the model, and the version that was deleted itself",
     "{'v':1,'ops':[{'op':'undelete','ref':'id/4','as':'m'},{'op':'update','ref':'id/5',"
     "'description':'d'},{'op':'undelete','ref':'version/m/2'}]}",
     0, 8,
     "[{'status':'undeleted','id':4,'ref':'model/m'},"
     "{'status':'changed','id':5,'ref':'version/m/1'},"
     "{'status':'undeleted','id':6,'ref':'version/m/2'}]"},
};

static void what_is_deleted_comes_back(void **state)
{
    static const struct {
        const char *list;
        const char *want;
    } rows[] = {
        {"{'kind':'artifact','view':'ids','state':'deleted','as_of':2}", "[2]"},
        {"{'kind':'artifact','view':'ids','state':'any','as_of':3}", "[2]"},
        {"{'kind':'artifact','view':'ids','state':'any','as_of':5}", "[3,2]"},
        {"{'kind':'artifact','view':'ids','state':'any'}", "[3,2]"},
        {"{'kind':'artifact','view':'ids','state':'deleted'}", "[]"},
        {"{'kind':'version','view':'ids','as_of':7}", "[]"},
        {"{'kind':'version','view':'ids'}", "[5,6]"},
    };
    struct fixture *f = *state;
    RUN(f, undelete_steps);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(fixture_read(f, QUERY_LIST, rows[i].list), 0);
        assert_answer(f, rows[i].want);
    }
    assert_shown(f, "{'refs':['uri:s3://x'],'view':'heads'}", "\"ref\":\"artifact/b\"");
    assert_int_equal(fixture_read(f, QUERY_DESCRIBE, "{}"), 0);
    assert_int_equal(answer_count(f, "\"artifact\":2"), 2);
    assert_int_equal(answer_count(f, "\"version\":2"), 2);
}

static void a_thing_without_an_owner_has_its_namespaces(void **state)
{
    struct fixture *f = *state;
    static const struct step steps[] = {
        {"a path, owned above",
         "{'v':1,'ops':[{'op':'create','kind':'namespace','name':'t','owner':'ann'},"
         "{'op':'create','kind':'namespace','name':'t/u'},"
         "{'op':'create','kind':'artifact','name':'a','namespace':'t/u'},"
         "{'op':'create','kind':'artifact','name':'b','namespace':'t/u','owner':'bob'},"
         "{'op':'create','kind':'artifact','name':'c'}]}",
         0, 1,
         "[{'status':'created','id':2,'ref':'namespace/t'},"
         "{'status':'created','id':3,'ref':'namespace/t/u'},"
         "{'status':'created','id':4,'ref':'//t/u//artifact/a'},"
         "{'status':'created','id':5,'ref':'//t/u//artifact/b'},"
         "{'status':'created','id':6,'ref':'artifact/c'}]"},
    };
    RUN(f, steps);
    assert_shown(f, "{'refs':['id/4'],'view':'full'}",
                 "\"owner\":\"ann\",\"owner_from\":\"namespace/t\"");
    assert_shown(f, "{'refs':['id/3'],'view':'full'}", "\"owner_from\":\"namespace/t\"");
    assert_shown(f, "{'refs':['id/5'],'view':'full'}", "\"owner\":\"bob\"");
    assert_int_equal(answer_count(f, "owner_from"), 0);
    assert_shown(f, "{'refs':['id/6'],'view':'full'}", "\"name\":\"c\"");
    assert_int_equal(answer_count(f, "owner"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(props_are_typed_and_keep_history),
        TEST(a_type_is_held_against_props),
        TEST(a_type_of_the_nearest_namespace_counts),
        TEST(content_moves_as_content_does),
        TEST(a_uri_finds_its_things_at_each_revision),
        TEST(a_name_changes_and_the_old_one_is_free),
        TEST(what_is_held_is_not_deleted),
        TEST(what_is_deleted_comes_back),
        TEST(a_thing_without_an_owner_has_its_namespaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
