/* Aliases, stages and deployments: tables of steps, each on the store that the steps before it
 * made; and what of them is read, now and as of then. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

struct step {
    const char *why;
    const char *ops;  /* or a whole transaction */
    int code;         /* 0 or CLADE_ERR_* */
    const char *want; /* code 0: the body; else the error's `where` */
    const char *there;
};

static void assert_refused(struct fixture *f, const struct step *s)
{
    const struct value *v;
    arena_reset(&f->arena);
    assert_int_equal(
        value_decode(buffer_span(&f->body), &value_limits_answer, &f->arena, &v, &f->error), 0);
    struct span where = value_string(value_get(v, "where"));
    struct span there = value_string(value_get(v, "there"));
    if (!span_equal_str(where, s->want) ||
        !span_equal_str(there, s->there != NULL ? s->there : "")) {
        fail_msg("%s: where \"%.*s\", there \"%.*s\"", s->why, SPAN_FMT(where), SPAN_FMT(there));
    }
}

static void assert_sound(struct fixture *f)
{
    struct error e = {0};
    if (store_verify(f->store, NULL, NULL, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

static void run_steps(struct fixture *f, const struct step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct step *s = &steps[i];
        struct store_digest before = store_digest_current(f->store);
        char command[4096];
        snprintf(command, sizeof command, s->ops[0] == '{' ? "%s" : "{'v':1,'ops':%s}", s->ops);
        int code = fixture_txn(f, command);
        if (code != s->code) {
            char *json = json_of(buffer_span(&f->body));
            fail_msg("%s: code %d: %s", s->why, code, json);
        }
        if (code == 0) {
            assert_body(f, s->want);
            continue;
        }
        struct store_digest after = store_digest_current(f->store);
        assert_memory_equal(&before.data, &after.data, sizeof before.data);
        assert_refused(f, s);
    }
    assert_sound(f);
}

#define RUN(f, steps) run_steps(f, steps, sizeof(steps) / sizeof *(steps))

/* model/m is id 2, its versions 1 to 4 are ids 3 to 6, at revision 1. */
static void make_model(struct fixture *f)
{
    assert_int_equal(fixture_txn(f, "{'v':1,'ops':[{'op':'create','kind':'model','name':'m'},"
                                    "{'op':'create','kind':'version','model':'$0'},"
                                    "{'op':'create','kind':'version','model':'$0'},"
                                    "{'op':'create','kind':'version','model':'$0'},"
                                    "{'op':'create','kind':'version','model':'$0'}]}"),
                     0);
}

static void read_at(struct fixture *f, uint64_t revision, const char *keys)
{
    char json[512];
    snprintf(json, sizeof json, "{%s,'as_of':%lu}", keys, revision);
    assert_int_equal(fixture_read(f, QUERY_GET, json), 0);
}

static void an_alias_moves_by_compare_and_set(void **state)
{
    static const struct step steps[] = {
        {"a new alias", "[{'op':'set_alias','ref':'version/m/1','alias':'best'}]", 0,
         "[{'status':'created','id':3,'ref':'version/m/1','revision':2}]", NULL},
        {"the same again moves nothing and keeps its token",
         "[{'op':'set_alias','ref':'version/m/1','alias':'best'}]", 0,
         "[{'status':'unchanged','id':3,'ref':'version/m/1','revision':2}]", NULL},
        {"expected elsewhere", "[{'op':'set_alias','ref':'version/m/2','alias':'best','expect':3}]",
         CLADE_ERR_CONFLICT, "ops[0].expect", "1"},
        {"expected unset",
         "[{'op':'set_alias','ref':'version/m/2','alias':'best','expect':'unset'}]",
         CLADE_ERR_CONFLICT, "ops[0].expect", "1"},
        {"expected where it is",
         "[{'op':'set_alias','ref':'version/m/2','alias':'best','expect':1}]", 0,
         "[{'status':'changed','id':4,'ref':'version/m/2','revision':3}]", NULL},
        {"by what it means, its reference finds the version",
         "[{'op':'update','ref':'version/m@best','description':'d'}]", 0,
         "[{'status':'changed','id':4,'ref':'version/m/2'}]", NULL},
        {"from where latest is", "[{'op':'set_alias','ref':'version/m@latest','alias':'new'}]", 0,
         "[{'status':'created','id':6,'ref':'version/m/4','revision':5}]", NULL},
        {"unset where it is not",
         "[{'op':'unset_alias','ref':'model/m','alias':'best','expect':1}]", CLADE_ERR_CONFLICT,
         "ops[0].expect", "2"},
        {"unset", "[{'op':'unset_alias','ref':'model/m','alias':'best','expect':2}]", 0,
         "[{'status':'deleted','id':4,'ref':'version/m/2','revision':6}]", NULL},
        {"unset again", "[{'op':'unset_alias','ref':'model/m','alias':'best'}]", 0,
         "[{'status':'unchanged'}]", NULL},
        {"expected somewhere and unset",
         "[{'op':'set_alias','ref':'version/m/2','alias':'best','expect':2}]", CLADE_ERR_CONFLICT,
         "ops[0].expect", "unset"},
        {"what is unset means nothing", "[{'op':'delete','ref':'version/m@best'}]",
         CLADE_ERR_NOT_FOUND, "ops[0].ref", NULL},
        {"there, back and gone within one transaction",
         "[{'op':'set_alias','ref':'version/m/1','alias':'x'},"
         "{'op':'set_alias','ref':'version/m/2','alias':'x','expect':1},"
         "{'op':'unset_alias','ref':'model/m','alias':'x'},"
         "{'op':'set_alias','ref':'version/m/3','alias':'best'}]",
         0,
         "[{'status':'created','id':3,'ref':'version/m/1','revision':7},"
         "{'status':'changed','id':4,'ref':'version/m/2','revision':7},"
         "{'status':'deleted','id':4,'ref':'version/m/2','revision':7},"
         "{'status':'created','id':5,'ref':'version/m/3','revision':7}]",
         NULL},
        {"only versions have aliases", "[{'op':'set_alias','ref':'id/2','alias':'best'}]",
         CLADE_ERR_INVALID, "ops[0].ref", NULL},
        {"only of models are they taken away", "[{'op':'unset_alias','ref':'id/3','alias':'best'}]",
         CLADE_ERR_INVALID, "ops[0].ref", NULL},
        {"a version and its alias in one write",
         "[{'op':'create','kind':'version','model':'model/m','as':'v'},"
         "{'op':'set_alias','ref':'$v','alias':'best','expect':3}]",
         0,
         "[{'status':'created','id':7,'ref':'version/m/5'},"
         "{'status':'changed','id':7,'ref':'version/m/5','revision':8}]",
         NULL},
    };
    make_model(*state);
    RUN(*state, steps);
}

static void aliases_are_read_as_of_each_revision(void **state)
{
    struct fixture *f = *state;
    static const struct step steps[] = {
        {"2", "[{'op':'set_alias','ref':'version/m/1','alias':'best'}]", 0,
         "[{'status':'created','id':3,'ref':'version/m/1','revision':2}]", NULL},
        {"3",
         "[{'op':'set_alias','ref':'version/m/2','alias':'best'},"
         "{'op':'set_alias','ref':'version/m/1','alias':'a'}]",
         0,
         "[{'status':'changed','id':4,'ref':'version/m/2','revision':3},"
         "{'status':'created','id':3,'ref':'version/m/1','revision':3}]",
         NULL},
        {"4", "[{'op':'unset_alias','ref':'model/m','alias':'best'}]", 0,
         "[{'status':'deleted','id':4,'ref':'version/m/2','revision':4}]", NULL},
        {"5", "[{'op':'set_alias','ref':'version/m/1','alias':'best'}]", 0,
         "[{'status':'created','id':3,'ref':'version/m/1','revision':5}]", NULL},
        {"6", "[{'op':'unset_alias','ref':'model/m','alias':'a'}]", 0,
         "[{'status':'deleted','id':3,'ref':'version/m/1','revision':6}]", NULL},
    };
    static const struct {
        uint64_t revision;
        const char *want;
        unsigned best; /* the version; 0 = unset */
    } rows[] = {
        {1, "[]", 0},
        {2, "[{'alias':'best','version':1,'revision':2}]", 1},
        {3, "[{'alias':'a','version':1,'revision':3},{'alias':'best','version':2,'revision':3}]",
         2},
        {4, "[{'alias':'a','version':1,'revision':3}]", 0},
        {5, "[{'alias':'a','version':1,'revision':3},{'alias':'best','version':1,'revision':5}]",
         1},
        {6, "[{'alias':'best','version':1,'revision':5}]", 1},
    };
    make_model(f);
    RUN(f, steps);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char want[512];
        read_at(f, rows[i].revision, "'refs':['model/m'],'with':['aliases']");
        snprintf(want, sizeof want,
                 "[{'id':2,'kind':'model','ref':'model/m','state':'live','aliases':%s}]",
                 rows[i].want);
        assert_answer(f, want);
        read_at(f, rows[i].revision, "'refs':['version/m@best']");
        snprintf(want, sizeof want, "version/m/%u\"", rows[i].best);
        assert_int_equal(answer_count(f, want), rows[i].best != 0);
        assert_int_equal(answer_count(f, "NOT_FOUND"), rows[i].best == 0);
    }
    read_at(f, 3, "'refs':['version/m/1','version/m/2','version/m/3'],'with':['aliases']");
    assert_answer(f, "[{'id':3,'kind':'version','ref':'version/m/1','state':'live',"
                     "'aliases':[{'alias':'a','version':1,'revision':3}]},"
                     "{'id':4,'kind':'version','ref':'version/m/2','state':'live',"
                     "'aliases':[{'alias':'best','version':2,'revision':3}]},"
                     "{'id':5,'kind':'version','ref':'version/m/3','state':'live','aliases':[]}]");
}

static void a_stage_holds_one_version_unless_it_may_hold_more(void **state)
{
    static const struct step steps[] = {
        {"into production", "[{'op':'set_stage','ref':'version/m/1','stage':'production'}]", 0,
         "[{'status':'changed','id':3,'ref':'version/m/1'}]", NULL},
        {"the same again", "[{'op':'set_stage','ref':'version/m/1','stage':'production'}]", 0,
         "[{'status':'unchanged','id':3,'ref':'version/m/1'}]", NULL},
        {"another one has no room", "[{'op':'set_stage','ref':'version/m/2','stage':'production'}]",
         CLADE_ERR_CONFLICT, "ops[0].stage", "version/m/1"},
        {"unless it says where the first one goes",
         "[{'op':'set_stage','ref':'version/m/2','stage':'production','displace':'archived'}]", 0,
         "[{'status':'changed','id':4,'ref':'version/m/2','displaced':['version/m/1']}]", NULL},
        {"archived holds many",
         "[{'op':'set_stage','ref':'version/m/3','stage':'archived','expect':'none'}]", 0,
         "[{'status':'changed','id':5,'ref':'version/m/3'}]", NULL},
        {"expected in another stage",
         "[{'op':'set_stage','ref':'version/m/3','stage':'staging','expect':'none'}]",
         CLADE_ERR_CONFLICT, "ops[0].expect", "archived"},
        {"two into a stage that holds one",
         "[{'op':'set_stage','ref':'version/m/4','stage':'archived','displace':'staging'}]",
         CLADE_ERR_CONFLICT, "ops[0].displace", NULL},
        {"all of archived go",
         "[{'op':'set_stage','ref':'version/m/4','stage':'archived','displace':'none'}]", 0,
         "[{'status':'changed','id':6,'ref':'version/m/4',"
         "'displaced':['version/m/1','version/m/3']}]",
         NULL},
        {"to staging", "[{'op':'set_stage','ref':'version/m/1','stage':'staging'}]", 0,
         "[{'status':'changed','id':3,'ref':'version/m/1'}]", NULL},
        {"two change places",
         "[{'op':'set_stage','ref':'version/m/1','stage':'production','displace':'staging'}]", 0,
         "[{'status':'changed','id':3,'ref':'version/m/1','displaced':['version/m/2']}]", NULL},
        {"displaced into one that is taken",
         "[{'op':'set_stage','ref':'version/m/4','stage':'production','displace':'staging'}]",
         CLADE_ERR_CONFLICT, "ops[0].displace", "version/m/2"},
        {"a stage that nobody has", "[{'op':'set_stage','ref':'version/m/1','stage':'beta'}]",
         CLADE_ERR_INVALID, "ops[0].stage", NULL},
        {"displaced into one that nobody has",
         "[{'op':'set_stage','ref':'version/m/1','stage':'production','displace':'beta'}]",
         CLADE_ERR_INVALID, "ops[0].displace", NULL},
        {"out of all stages", "[{'op':'set_stage','ref':'version/m/1','stage':'none'}]", 0,
         "[{'status':'changed','id':3,'ref':'version/m/1'}]", NULL},
        {"another model's stages are its own",
         "[{'op':'create','kind':'model','name':'n'},{'op':'create','kind':'version','model':'$0'},"
         "{'op':'set_stage','ref':'$1','stage':'production'}]",
         0,
         "[{'status':'created','id':7,'ref':'model/n'},"
         "{'status':'created','id':8,'ref':'version/n/1'},"
         "{'status':'changed','id':8,'ref':'version/n/1'}]",
         NULL},
    };
    make_model(*state);
    RUN(*state, steps);
}

static void a_namespace_gives_its_versions_their_stages(void **state)
{
    static const struct step steps[] = {
        {"a list of its own, and a child that inherits it",
         "[{'op':'create','kind':'namespace','name':'a','stages':[{'name':'Blue','in_use':true},"
         "{'name':'Green','multiple':true}]},{'op':'create','kind':'namespace','name':'a/b'},"
         "{'op':'create','kind':'model','name':'m','namespace':'a/b'},"
         "{'op':'create','kind':'version','model':'$2'},"
         "{'op':'set_stage','ref':'$3','stage':'Blue'}]",
         0,
         "[{'status':'created','id':2,'ref':'namespace/a'},"
         "{'status':'created','id':3,'ref':'namespace/a/b'},"
         "{'status':'created','id':4,'ref':'//a/b//model/m'},"
         "{'status':'created','id':5,'ref':'//a/b//version/m/1'},"
         "{'status':'changed','id':5,'ref':'//a/b//version/m/1'}]",
         NULL},
        {"the default's are not among them",
         "[{'op':'set_stage','ref':'//a/b//version/m/1','stage':'production'}]", CLADE_ERR_INVALID,
         "ops[0].stage", NULL},
        {"Blue is in use", "[{'op':'delete','ref':'//a/b//version/m/1'}]", CLADE_ERR_IN_USE,
         "ops[0].ref", "//a/b//version/m/1"},
        {"a list without a stage that somebody is in",
         "[{'op':'update','ref':'namespace/a/b','stages':[{'name':'Green'}]}]", CLADE_ERR_IN_USE,
         "ops[0].stages", "//a/b//version/m/1"},
        {"a list with it",
         "[{'op':'update','ref':'namespace/a/b','stages':[{'name':'Blue'},{'name':'Red'}]},"
         "{'op':'set_stage','ref':'//a/b//version/m/1','stage':'Red'}]",
         0,
         "[{'status':'changed','id':3,'ref':'namespace/a/b'},"
         "{'status':'changed','id':5,'ref':'//a/b//version/m/1'}]",
         NULL},
        {"what is inherited has no Red", "[{'op':'update','ref':'namespace/a/b','stages':null}]",
         CLADE_ERR_IN_USE, "ops[0].stages", "//a/b//version/m/1"},
        {"nobody is in Red any more",
         "[{'op':'set_stage','ref':'//a/b//version/m/1','stage':'Blue'},"
         "{'op':'update','ref':'namespace/a/b','stages':null},"
         "{'op':'set_stage','ref':'//a/b//version/m/1','stage':'Green'}]",
         0,
         "[{'status':'changed','id':5,'ref':'//a/b//version/m/1'},"
         "{'status':'changed','id':3,'ref':'namespace/a/b'},"
         "{'status':'changed','id':5,'ref':'//a/b//version/m/1'}]",
         NULL},
        {"a grandchild has the list too, a stranger has not",
         "[{'op':'create','kind':'namespace','name':'a/b/c'},"
         "{'op':'create','kind':'model','name':'m','namespace':'a/b/c'},"
         "{'op':'create','kind':'version','model':'$1'},"
         "{'op':'set_stage','ref':'$2','stage':'Blue'}]",
         0,
         "[{'status':'created','id':6,'ref':'namespace/a/b/c'},"
         "{'status':'created','id':7,'ref':'//a/b/c//model/m'},"
         "{'status':'created','id':8,'ref':'//a/b/c//version/m/1'},"
         "{'status':'changed','id':8,'ref':'//a/b/c//version/m/1'}]",
         NULL},
        {"Green is not in use", "[{'op':'delete','ref':'//a/b//version/m/1'}]", 0,
         "[{'status':'deleted','id':5,'ref':'//a/b//version/m/1'}]", NULL},
    };
    RUN(*state, steps);
}

static void a_deployment_serves_whole_shares(void **state)
{
    struct fixture *f = *state;
    static const struct step steps[] = {
        {"a deployment",
         "[{'op':'create','kind':'deployment','name':'prod/eu','desired':'running',"
         "'endpoint':'https://eu'}]",
         0, "[{'status':'created','id':7,'ref':'deployment/prod/eu'}]", NULL},
        {"all to one",
         "[{'op':'set_targets','ref':'deployment/prod/eu','targets':[{'version':'version/m/1'}]}]",
         0, "[{'status':'changed','id':7,'ref':'deployment/prod/eu'}]", NULL},
        {"the same again",
         "[{'op':'set_targets','ref':'deployment/prod/eu','targets':[{'version':'id/3',"
         "'share':10000}]}]",
         0, "[{'status':'unchanged','id':7,'ref':'deployment/prod/eu'}]", NULL},
        {"a canary and a shadow",
         "[{'op':'set_targets','ref':'deployment/prod/eu','targets':["
         "{'version':'version/m/1','share':9000},{'version':'version/m/2','share':1000},"
         "{'version':'version/m/3','share':500,'mode':'shadow'}]},"
         "{'op':'update','ref':'deployment/prod/eu','observed':'degraded'}]",
         0,
         "[{'status':'changed','id':7,'ref':'deployment/prod/eu'},"
         "{'status':'changed','id':7,'ref':'deployment/prod/eu'}]",
         NULL},
        {"a version twice",
         "[{'op':'set_targets','ref':'deployment/prod/eu','targets':["
         "{'version':'version/m/1','share':9000},{'version':'id/3','share':1000}]}]",
         CLADE_ERR_INVALID, "ops[0].targets[1].version", NULL},
        {"a version that is not there",
         "[{'op':'set_targets','ref':'deployment/prod/eu','targets':["
         "{'version':'version/m/9'}]}]",
         CLADE_ERR_NOT_FOUND, "ops[0].targets[0].version", NULL},
        {"no version", "[{'op':'set_targets','ref':'id/7','targets':[{'version':'id/2'}]}]",
         CLADE_ERR_INVALID, "ops[0].targets[0].version", NULL},
        {"no deployment", "[{'op':'set_targets','ref':'id/2','targets':[]}]", CLADE_ERR_INVALID,
         "ops[0].ref", NULL},
        {"a target is not deleted", "[{'op':'delete','ref':'version/m/3'}]", CLADE_ERR_IN_USE,
         "ops[0].ref", "deployment/prod/eu"},
    };
    make_model(f);
    RUN(f, steps);
    read_at(f, 4, "'refs':['deployment/prod/eu'],'view':'full'");
    assert_int_equal(answer_count(f, "\"targets\":[{\"version\":\"version/m/1\",\"share\":9000,"
                                     "\"mode\":\"serving\"},{\"version\":\"version/m/2\","
                                     "\"share\":1000,\"mode\":\"serving\"},{\"version\":"
                                     "\"version/m/3\",\"share\":500,\"mode\":\"shadow\"}]"),
                     1);
    assert_int_equal(answer_count(f, "\"observed\":\"degraded\""), 1);
    read_at(f, 3, "'refs':['deployment/prod/eu'],'view':'full'");
    assert_int_equal(answer_count(f, "\"targets\":[{\"version\":\"version/m/1\",\"share\":10000,"
                                     "\"mode\":\"serving\"}]"),
                     1);
    assert_int_equal(fixture_read(f, QUERY_LIST, "{'kind':'deployment'}"), 0);
    assert_answer(f, "[{'id':7,'kind':'deployment','ref':'deployment/prod/eu','state':'live'}]");
}

static void what_is_pointed_to_is_not_deleted_unless_it_is_let_go(void **state)
{
    static const struct step steps[] = {
        {"pointed to in three ways",
         "[{'op':'set_alias','ref':'version/m/1','alias':'best'},"
         "{'op':'set_stage','ref':'version/m/2','stage':'staging'},"
         "{'op':'create','kind':'deployment','name':'prod'},"
         "{'op':'set_targets','ref':'$2','targets':[{'version':'version/m/3'}]}]",
         0,
         "[{'status':'created','id':3,'ref':'version/m/1','revision':2},"
         "{'status':'changed','id':4,'ref':'version/m/2'},"
         "{'status':'created','id':7,'ref':'deployment/prod'},"
         "{'status':'changed','id':7,'ref':'deployment/prod'}]",
         NULL},
        {"by an alias", "[{'op':'delete','ref':'version/m/1'}]", CLADE_ERR_IN_USE, "ops[0].ref",
         "@best"},
        {"by a stage", "[{'op':'delete','ref':'version/m/2'}]", CLADE_ERR_IN_USE, "ops[0].ref",
         "version/m/2"},
        {"by a deployment", "[{'op':'delete','ref':'version/m/3'}]", CLADE_ERR_IN_USE, "ops[0].ref",
         "deployment/prod"},
        {"the model hides them", "[{'op':'delete','ref':'model/m'}]", CLADE_ERR_IN_USE,
         "ops[0].ref", "@best"},
        {"let go afterwards, within the transaction",
         "[{'op':'delete','ref':'version/m/1'},"
         "{'op':'set_alias','ref':'version/m/4','alias':'best','expect':1}]",
         0,
         "[{'status':'deleted','id':3,'ref':'version/m/1'},"
         "{'status':'changed','id':6,'ref':'version/m/4','revision':3}]",
         NULL},
        {"the model still, by its deployment",
         "[{'op':'unset_alias','ref':'model/m','alias':'best'},{'op':'delete','ref':'model/m'}]",
         CLADE_ERR_IN_USE, "ops[1].ref", "deployment/prod"},
        {"and by its stage",
         "[{'op':'unset_alias','ref':'model/m','alias':'best'},{'op':'delete','ref':'model/m'},"
         "{'op':'delete','ref':'deployment/prod'}]",
         CLADE_ERR_IN_USE, "ops[1].ref", "version/m/2"},
        {"all let go",
         "[{'op':'unset_alias','ref':'model/m','alias':'best'},"
         "{'op':'set_stage','ref':'version/m/2','stage':'archived'},"
         "{'op':'delete','ref':'model/m'},{'op':'delete','ref':'deployment/prod'}]",
         0,
         "[{'status':'deleted','id':6,'ref':'version/m/4','revision':4},"
         "{'status':'changed','id':4,'ref':'version/m/2'},"
         "{'status':'deleted','id':2,'ref':'model/m'},"
         "{'status':'deleted','id':7,'ref':'deployment/prod'}]",
         NULL},
    };
    make_model(*state);
    RUN(*state, steps);
}

static void what_served_the_dead_comes_back_when_they_do(void **state)
{
    static const struct step steps[] = {
        {"a deployment", "[{'op':'create','kind':'deployment','name':'d'}]", 0,
         "[{'status':'created','id':7,'ref':'deployment/d'}]", NULL},
        {"it and what it serves go together",
         "[{'op':'set_targets','ref':'deployment/d','targets':[{'version':'version/m/1'}]},"
         "{'op':'delete','ref':'version/m/1'},{'op':'delete','ref':'deployment/d'}]",
         0,
         "[{'status':'changed','id':7,'ref':'deployment/d'},"
         "{'status':'deleted','id':3,'ref':'version/m/1'},"
         "{'status':'deleted','id':7,'ref':'deployment/d'}]",
         NULL},
        {"alone it would serve the dead", "[{'op':'undelete','ref':'deployment/d'}]",
         CLADE_ERR_CONFLICT, "ops[0].ref", "version/m/1"},
        {"with the version it comes back",
         "[{'op':'undelete','ref':'id/3'},{'op':'undelete','ref':'deployment/d'}]", 0,
         "[{'status':'undeleted','id':3,'ref':'version/m/1'},"
         "{'status':'undeleted','id':7,'ref':'deployment/d'}]",
         NULL},
        {"and serves it", "[{'op':'delete','ref':'version/m/1'}]", CLADE_ERR_IN_USE, "ops[0].ref",
         "deployment/d"},
        {"the deployment goes, and the whole model",
         "[{'op':'delete','ref':'deployment/d'},{'op':'delete','ref':'model/m'}]", 0,
         "[{'status':'deleted','id':7,'ref':'deployment/d'},"
         "{'status':'deleted','id':2,'ref':'model/m'}]",
         NULL},
        {"what is hidden is dead", "[{'op':'undelete','ref':'deployment/d'}]", CLADE_ERR_CONFLICT,
         "ops[0].ref", "version/m/1"},
    };
    make_model(*state);
    RUN(*state, steps);
}

static void a_version_comes_back_into_a_stage_that_has_room(void **state)
{
    static const struct step steps[] = {
        {"stages that are not in use, one version each",
         "[{'op':'update','ref':'namespace/default','stages':[{'name':'blue'},"
         "{'name':'many','multiple':true}]},"
         "{'op':'set_stage','ref':'version/m/1','stage':'blue'},"
         "{'op':'set_stage','ref':'version/m/3','stage':'many'},"
         "{'op':'set_stage','ref':'version/m/4','stage':'many'},"
         "{'op':'delete','ref':'version/m/1'},{'op':'delete','ref':'version/m/3'},"
         "{'op':'set_stage','ref':'version/m/2','stage':'blue'}]",
         0,
         "[{'status':'changed','id':1,'ref':'namespace/default'},"
         "{'status':'changed','id':3,'ref':'version/m/1'},"
         "{'status':'changed','id':5,'ref':'version/m/3'},"
         "{'status':'changed','id':6,'ref':'version/m/4'},"
         "{'status':'deleted','id':3,'ref':'version/m/1'},"
         "{'status':'deleted','id':5,'ref':'version/m/3'},"
         "{'status':'changed','id':4,'ref':'version/m/2'}]",
         NULL},
        {"another is in it by now", "[{'op':'undelete','ref':'id/3'}]", CLADE_ERR_CONFLICT,
         "ops[0].ref", "version/m/2"},
        {"where there may be many there is room", "[{'op':'undelete','ref':'id/5'}]", 0,
         "[{'status':'undeleted','id':5,'ref':'version/m/3'}]", NULL},
        {"so there is when the other one has left",
         "[{'op':'set_stage','ref':'version/m/2','stage':'none'},"
         "{'op':'undelete','ref':'id/3'}]",
         0,
         "[{'status':'changed','id':4,'ref':'version/m/2'},"
         "{'status':'undeleted','id':3,'ref':'version/m/1'}]",
         NULL},
        {"it holds the stage", "[{'op':'set_stage','ref':'version/m/2','stage':'blue'}]",
         CLADE_ERR_CONFLICT, "ops[0].stage", "version/m/1"},
    };
    make_model(*state);
    RUN(*state, steps);
}

static void guards_on_pointers_say_what_is_there(void **state)
{
#define GUARDED(guard) "{'v':1,'guards':[" guard "],'ops':[{'op':'create','kind':'run'}]}"
    static const struct step steps[] = {
        {"an alias and a stage",
         "[{'op':'set_alias','ref':'version/m/1','alias':'best'},"
         "{'op':'set_stage','ref':'version/m/2','stage':'staging'}]",
         0,
         "[{'status':'created','id':3,'ref':'version/m/1','revision':2},"
         "{'status':'changed','id':4,'ref':'version/m/2'}]",
         NULL},
        {"the alias is there", GUARDED("{'guard':'alias','ref':'model/m','alias':'best','is':1}"),
         0, "[{'status':'created','id':7,'ref':'run/_7'}]", NULL},
        {"it is elsewhere", GUARDED("{'guard':'alias','ref':'model/m','alias':'best','is':2}"),
         CLADE_ERR_CONFLICT, "guards[0]", "1"},
        {"it is set", GUARDED("{'guard':'alias','ref':'model/m','alias':'best','is':'unset'}"),
         CLADE_ERR_CONFLICT, "guards[0]", "1"},
        {"it is unset", GUARDED("{'guard':'alias','ref':'model/m','alias':'x','is':1}"),
         CLADE_ERR_CONFLICT, "guards[0]", "unset"},
        {"latest is computed", GUARDED("{'guard':'alias','ref':'model/m','alias':'latest','is':3}"),
         CLADE_ERR_CONFLICT, "guards[0]", "4"},
        {"the stage is that", GUARDED("{'guard':'stage','ref':'version/m/2','is':'staging'}"), 0,
         "[{'status':'created','id':8,'ref':'run/_8'}]", NULL},
        {"it is another", GUARDED("{'guard':'stage','ref':'version/m@best','is':'staging'}"),
         CLADE_ERR_CONFLICT, "guards[0]", "none"},
        {"of a model that is not there",
         GUARDED("{'guard':'alias','ref':'model/n','alias':'best','is':'unset'}"),
         CLADE_ERR_CONFLICT, "guards[0]", NULL},
        {"of what is no model", GUARDED("{'guard':'alias','ref':'id/3','alias':'best','is':1}"),
         CLADE_ERR_INVALID, "guards[0].ref", NULL},
        {"of what is no version", GUARDED("{'guard':'stage','ref':'id/2','is':'none'}"),
         CLADE_ERR_INVALID, "guards[0].ref", NULL},
        {"a thing that must not be there", GUARDED("{'guard':'absent','ref':'model/m'}"),
         CLADE_ERR_CONFLICT, "guards[0]", "model/m"},
    };
    make_model(*state);
    RUN(*state, steps);
}

static void a_model_has_as_many_aliases_as_its_limit(void **state)
{
    struct fixture *f = *state;
    make_model(f);
    char command[256];
    for (int i = 0; i < CLADE_MAX_ALIASES; i++) {
        snprintf(command, sizeof command,
                 "{'v':1,'ops':[{'op':'set_alias','ref':'version/m/1','alias':'a%d'}]}", i);
        assert_int_equal(fixture_txn(f, command), 0);
    }
    static const struct step steps[] = {
        {"one too many", "[{'op':'set_alias','ref':'version/m/1','alias':'b'}]", CLADE_ERR_LIMIT,
         "ops[0].alias", NULL},
        {"one for another",
         "[{'op':'unset_alias','ref':'model/m','alias':'a7'},"
         "{'op':'set_alias','ref':'version/m/1','alias':'b'}]",
         0,
         "[{'status':'deleted','id':3,'ref':'version/m/1','revision':1002},"
         "{'status':'created','id':3,'ref':'version/m/1','revision':1002}]",
         NULL},
    };
    RUN(f, steps);
    assert_int_equal(
        fixture_read(f, QUERY_GET, "{'refs':['model/m','version/m/1'],'with':['aliases']}"), 0);
    assert_int_equal(answer_count(f, "\"alias\":"), 2 * CLADE_MAX_ALIASES);
}

/* --- Against a model of it ---------------------------------------------------------------------
 */

#define VERSIONS  4
#define NAMES     5
#define REVISIONS 400

struct history {
    unsigned at[REVISIONS + 8][NAMES]; /* by revision and alias: the version, 0 = unset */
};

static void move_at_random(struct fixture *f, struct history *h, uint64_t *seed)
{
    unsigned now[NAMES];
    char ops[2048] = "";
    uint64_t revision = f->result.revision;
    memcpy(now, h->at[revision], sizeof now);
    size_t len = 1 + next_random(seed) % 4;
    for (size_t i = 0; i < len; i++) {
        unsigned name = next_random(seed) % NAMES;
        unsigned to = next_random(seed) % (VERSIONS + 1);
        size_t used = strlen(ops);
        if (to == 0) {
            snprintf(ops + used, sizeof ops - used,
                     "%s{'op':'unset_alias','ref':'model/m','alias':'n%u'}", i > 0 ? "," : "",
                     name);
        } else {
            snprintf(ops + used, sizeof ops - used,
                     "%s{'op':'set_alias','ref':'version/m/%u','alias':'n%u'}", i > 0 ? "," : "",
                     to, name);
        }
        now[name] = to;
    }
    char command[2200];
    snprintf(command, sizeof command, "{'v':1,'ops':[%s]}", ops);
    assert_int_equal(fixture_txn(f, command), 0);
    assert_in_range(f->result.revision, revision, revision + 1);
    memcpy(h->at[f->result.revision], now, sizeof now);
}

/* Asks the versions for their aliases, and counts them against the model of it. */
static void check_versions(struct fixture *f, const struct history *h, uint64_t revision)
{
    for (unsigned version = 1; version <= VERSIONS; version++) {
        char keys[128];
        snprintf(keys, sizeof keys, "'refs':['version/m/%u'],'with':['aliases']", version);
        read_at(f, revision, keys);
        for (unsigned name = 0; name < NAMES; name++) {
            char want[64];
            snprintf(want, sizeof want, "\"alias\":\"n%u\",\"version\":%u", name, version);
            assert_int_equal(answer_count(f, want), h->at[revision][name] == version);
        }
    }
}

static void aliases_moved_at_random_are_what_they_were_at_each_revision(void **state)
{
    struct fixture *f = *state;
    static struct history h;
    uint64_t seed = test_seed();
    make_model(f);
    memset(&h, 0, sizeof h);
    while (f->result.revision < REVISIONS) {
        move_at_random(f, &h, &seed);
    }
    assert_sound(f);
    uint64_t newest = f->result.revision;
    for (uint64_t revision = 1; revision <= newest; revision++) {
        char want[512] = "[";
        read_at(f, revision,
                "'refs':['version/m@n0','version/m@n1','version/m@n2','version/m@n3',"
                "'version/m@n4'],'view':'ids'");
        for (unsigned name = 0; name < NAMES; name++) {
            unsigned at = h.at[revision][name];
            size_t used = strlen(want);
            if (at == 0) {
                snprintf(want + used, sizeof want - used, "%s0", name > 0 ? "," : "");
            } else {
                snprintf(want + used, sizeof want - used, "%s%u", name > 0 ? "," : "", at + 2);
            }
        }
        size_t end = strlen(want);
        snprintf(want + end, sizeof want - end, "]");
        /* An error is a map, an id a number. */
        char *got = json_of(buffer_span(&f->out));
        char plain[512];
        size_t n = 0;
        int depth = 0;
        for (const char *p = got; *p != '\0'; p++) {
            depth += *p == '{';
            if (depth == 0) {
                plain[n++] = *p;
            }
            if (*p == '}' && --depth == 0) {
                plain[n++] = '0';
            }
        }
        plain[n] = '\0';
        free(got);
        assert_string_equal(plain, want);
        check_versions(f, &h, revision);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(an_alias_moves_by_compare_and_set),
        TEST(aliases_are_read_as_of_each_revision),
        TEST(a_stage_holds_one_version_unless_it_may_hold_more),
        TEST(a_namespace_gives_its_versions_their_stages),
        TEST(a_deployment_serves_whole_shares),
        TEST(what_is_pointed_to_is_not_deleted_unless_it_is_let_go),
        TEST(what_served_the_dead_comes_back_when_they_do),
        TEST(a_version_comes_back_into_a_stage_that_has_room),
        TEST(guards_on_pointers_say_what_is_there),
        TEST(a_model_has_as_many_aliases_as_its_limit),
        TEST(aliases_moved_at_random_are_what_they_were_at_each_revision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
