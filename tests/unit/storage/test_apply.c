/* What transactions do: tables of steps, each on the store that the steps before it made. */
#include <stdio.h>
#include <string.h>

#include "steps.h"

static void create_makes_a_thing_or_says_what_is_there(void **state)
{
    static const struct step steps[] = {
        {"a new artifact", "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a','size':5}]}",
         0, 1, "[{'status':'created','id':2,'ref':'artifact/a'}]"},
        {"the same name again", "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'}]}",
         CLADE_ERR_CONFLICT, 1, "ops[0].name"},
        {"another kind may have the name",
         "{'v':1,'ops':[{'op':'create','kind':'model','name':'a'}]}", 0, 2,
         "[{'status':'created','id':3,'ref':'model/a'}]"},
        {"return takes what is there",
         "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a','if_exists':'return',"
         "'size':9}]}",
         0, 2, "[{'status':'returned','id':2,'ref':'artifact/a'}]"},
        {"match with what it has is no change",
         "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a','if_exists':'match',"
         "'size':5}]}",
         0, 2, "[{'status':'unchanged','id':2,'ref':'artifact/a'}]"},
        {"match fills what is missing",
         "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a','if_exists':'match',"
         "'description':'d','tags':{'k':'v'},'uris':['s3://x']}]}",
         0, 3, "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"match refuses another core value",
         "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a','if_exists':'match',"
         "'size':6}]}",
         CLADE_ERR_CONFLICT, 3, "ops[0]"},
        {"match refuses another tag",
         "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a','if_exists':'match',"
         "'tags':{'k':'w'}}]}",
         CLADE_ERR_CONFLICT, 3, "ops[0]"},
        {"match with no fields is a stub that is there",
         "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a','if_exists':'match'}]}", 0, 3,
         "[{'status':'unchanged','id':2,'ref':'artifact/a'}]"},
        {"a refused transaction takes no id and leaves nothing",
         "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'b'},{'op':'create','kind':'run'},"
         "{'op':'link','from':'$0','label':'l','to':'artifact/nobody'}]}",
         CLADE_ERR_NOT_FOUND, 3, "ops[2].to"},
        {"an unnamed run is named by its id", "{'v':1,'ops':[{'op':'create','kind':'run'}]}", 0, 4,
         "[{'status':'created','id':4,'ref':'run/_4'}]"},
        {"a name that the store would assign is passed over",
         "{'v':1,'ops':[{'op':'create','kind':'run','name':'_6'},{'op':'create','kind':'run'}]}", 0,
         5,
         "[{'status':'created','id':5,'ref':'run/_6'},"
         "{'status':'created','id':6,'ref':'run/_6.1'}]"},
    };
    RUN(*state, steps);
}

static void external_ids_name_one_thing(void **state)
{
    static const struct step steps[] = {
        {"a run by external id",
         "{'v':1,'ops':[{'op':'create','kind':'run','external_ids':['mlflow:1']}]}", 0, 1,
         "[{'status':'created','id':2,'ref':'run/_2'}]"},
        {"match finds it by its external id",
         "{'v':1,'ops':[{'op':'create','kind':'run','if_exists':'match',"
         "'external_ids':['mlflow:1','x:2'],'status':'running'}]}",
         0, 2, "[{'status':'changed','id':2,'ref':'run/_2'}]"},
        {"another thing cannot take it",
         "{'v':1,'ops':[{'op':'create','kind':'run','name':'r','external_ids':['x:2']}]}",
         CLADE_ERR_CONFLICT, 2, "ops[0].external_ids"},
        {"nor by update",
         "{'v':1,'ops':[{'op':'create','kind':'run','name':'r'},"
         "{'op':'update','ref':'$0','external_ids':['x:2']}]}",
         CLADE_ERR_CONFLICT, 2, "ops[1].external_ids"},
        {"it is a reference",
         "{'v':1,'ops':[{'op':'update','ref':'run/ext:x:2','status':'finished'}]}", 0, 3,
         "[{'status':'changed','id':2,'ref':'run/_2'}]"},
        {"deleting the thing frees it",
         "{'v':1,'ops':[{'op':'delete','ref':'run/ext:x:2'},"
         "{'op':'create','kind':'run','external_ids':['x:2']}]}",
         0, 4,
         "[{'status':'deleted','id':2,'ref':'run/_2'},"
         "{'status':'created','id':3,'ref':'run/_3'}]"},
    };
    RUN(*state, steps);
}

static void update_sets_core_fields_once_and_the_rest_at_will(void **state)
{
    static const struct step steps[] = {
        {"an artifact", "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'}]}", 0, 1,
         "[{'status':'created','id':2,'ref':'artifact/a'}]"},
        {"a core field may come later",
         "{'v':1,'ops':[{'op':'update','ref':'artifact/a','size':1,'digests':['x:1']}]}", 0, 2,
         "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"the same again is no change",
         "{'v':1,'ops':[{'op':'update','ref':'artifact/a','size':1,'digests':['x:1']}]}", 0, 2,
         "[{'status':'unchanged','id':2,'ref':'artifact/a'}]"},
        {"another value is refused", "{'v':1,'ops':[{'op':'update','ref':'id/2','size':2}]}",
         CLADE_ERR_CONFLICT, 2, "ops[0]"},
        {"another digest of the algorithm is refused",
         "{'v':1,'ops':[{'op':'update','ref':'id/2','digests':['x:2']}]}", CLADE_ERR_CONFLICT, 2,
         "ops[0]"},
        {"a digest of another algorithm is added",
         "{'v':1,'ops':[{'op':'update','ref':'id/2','digests':['y:2']}]}", 0, 3,
         "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"tags are set, replaced and taken away",
         "{'v':1,'ops':[{'op':'update','ref':'id/2','tags':{'a':'1','b':'2'}},"
         "{'op':'update','ref':'id/2','tags':{'a':'3','b':null}},"
         "{'op':'update','ref':'id/2','tags':{'b':null}}]}",
         0, 4,
         "[{'status':'changed','id':2,'ref':'artifact/a'},"
         "{'status':'changed','id':2,'ref':'artifact/a'},"
         "{'status':'unchanged','id':2,'ref':'artifact/a'}]"},
        {"a description can be unset",
         "{'v':1,'ops':[{'op':'update','ref':'id/2','description':'d'},"
         "{'op':'update','ref':'id/2','description':null}]}",
         0, 5,
         "[{'status':'changed','id':2,'ref':'artifact/a'},"
         "{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"what is not there cannot be updated",
         "{'v':1,'ops':[{'op':'update','ref':'artifact/b','size':2}]}", CLADE_ERR_NOT_FOUND, 5,
         "ops[0].ref"},
    };
    RUN(*state, steps);
}

static void versions_are_numbered_without_gaps(void **state)
{
    static const struct step steps[] = {
        {"a model and two versions",
         "{'v':1,'ops':[{'op':'create','kind':'model','name':'m','as':'m'},"
         "{'op':'create','kind':'version','model':'$m'},"
         "{'op':'create','kind':'version','model':'model/m'}]}",
         0, 1,
         "[{'status':'created','id':2,'ref':'model/m'},"
         "{'status':'created','id':3,'ref':'version/m/1'},"
         "{'status':'created','id':4,'ref':'version/m/2'}]"},
        {"a number above the highest may be given",
         "{'v':1,'ops':[{'op':'create','kind':'version','model':'model/m','number':7}]}", 0, 2,
         "[{'status':'created','id':5,'ref':'version/m/7'}]"},
        {"a skipped one may not",
         "{'v':1,'ops':[{'op':'create','kind':'version','model':'model/m','number':5}]}",
         CLADE_ERR_CONFLICT, 2, "ops[0].number"},
        {"one that is there may be matched",
         "{'v':1,'ops':[{'op':'create','kind':'version','model':'model/m','number':7,"
         "'if_exists':'match'}]}",
         0, 2, "[{'status':'unchanged','id':5,'ref':'version/m/7'}]"},
        {"the latest is the highest live one",
         "{'v':1,'ops':[{'op':'delete','ref':'version/m@latest'},"
         "{'op':'update','ref':'version/m@latest','description':'d'}]}",
         0, 3,
         "[{'status':'deleted','id':5,'ref':'version/m/7'},"
         "{'status':'changed','id':4,'ref':'version/m/2'}]"},
        {"a deleted number is not given again",
         "{'v':1,'ops':[{'op':'create','kind':'version','model':'model/m'}]}", 0, 4,
         "[{'status':'created','id':6,'ref':'version/m/8'}]"},
        {"deleting the model hides its versions",
         "{'v':1,'ops':[{'op':'delete','ref':'model/m'},"
         "{'op':'update','ref':'id/3','description':'d'}]}",
         CLADE_ERR_NOT_FOUND, 4, "ops[1].ref"},
        {"a namesake starts at 1 again",
         "{'v':1,'ops':[{'op':'delete','ref':'model/m'},"
         "{'op':'create','kind':'model','name':'m'},"
         "{'op':'create','kind':'version','model':'model/m'}]}",
         0, 5,
         "[{'status':'deleted','id':2,'ref':'model/m'},"
         "{'status':'created','id':7,'ref':'model/m'},"
         "{'status':'created','id':8,'ref':'version/m/1'}]"},
        {"a version needs a live model",
         "{'v':1,'ops':[{'op':'create','kind':'version','model':'id/2'}]}", CLADE_ERR_NOT_FOUND, 5,
         "ops[0].model"},
        {"and it must be a model",
         "{'v':1,'ops':[{'op':'create','kind':'run','name':'r'},"
         "{'op':'create','kind':'version','model':'$0'}]}",
         CLADE_ERR_INVALID, 5, "ops[1].model"},
    };
    RUN(*state, steps);
}

static void numbers_that_are_used_up_are_not_given(void **state)
{
    static const struct step steps[] = {
        {"a model that had three elsewhere, and a version",
         "{'v':1,'ops':[{'op':'create','kind':'model','name':'m','last_number':3},"
         "{'op':'create','kind':'version','model':'$0'}]}",
         0, 1,
         "[{'status':'created','id':2,'ref':'model/m'},"
         "{'status':'created','id':3,'ref':'version/m/4'}]"},
        {"a used one may not be given",
         "{'v':1,'ops':[{'op':'create','kind':'version','model':'model/m','number':3}]}",
         CLADE_ERR_CONFLICT, 1, "ops[0].number"},
        {"nor is it there", "{'v':1,'ops':[{'op':'update','ref':'version/m/3','description':'d'}]}",
         CLADE_ERR_NOT_FOUND, 1, "ops[0].ref"},
        {"numbers that were given are used up already",
         "{'v':1,'ops':[{'op':'update','ref':'model/m','last_number':2},"
         "{'op':'update','ref':'model/m','last_number':4},"
         "{'op':'create','kind':'model','name':'m','if_exists':'match','last_number':1}]}",
         0, 1,
         "[{'status':'unchanged','id':2,'ref':'model/m'},{'status':'unchanged','id':2,"
         "'ref':'model/m'},{'status':'unchanged','id':2,'ref':'model/m'}]"},
        {"more are used up by any later write",
         "{'v':1,'ops':[{'op':'create','kind':'model','name':'m','if_exists':'match',"
         "'last_number':9},{'op':'create','kind':'version','model':'model/m'},"
         "{'op':'create','kind':'version','model':'model/m','number':12},"
         "{'op':'create','kind':'version','model':'model/m'}]}",
         0, 2,
         "[{'status':'changed','id':2,'ref':'model/m'},"
         "{'status':'created','id':4,'ref':'version/m/10'},"
         "{'status':'created','id':5,'ref':'version/m/12'},"
         "{'status':'created','id':6,'ref':'version/m/13'}]"},
        {"they do not come back",
         "{'v':1,'ops':[{'op':'update','ref':'model/m','last_number':null}]}", CLADE_ERR_INVALID, 2,
         "ops[0].last_number"},
        {"only models have numbers",
         "{'v':1,'ops':[{'op':'create','kind':'run','name':'r','last_number':1}]}",
         CLADE_ERR_INVALID, 2, "ops[0].last_number"},
    };
    RUN(*state, steps);
}

static void links_are_one_for_each_pair_and_label(void **state)
{
    static const struct step steps[] = {
        {"a run, its output and their edge",
         "{'v':1,'ops':[{'op':'create','kind':'run','name':'r'},"
         "{'op':'create','kind':'artifact','name':'a'},"
         "{'op':'link','from':'$1','label':'produced_by','to':'$0'}]}",
         0, 1,
         "[{'status':'created','id':2,'ref':'run/r'},"
         "{'status':'created','id':3,'ref':'artifact/a'},{'status':'created'}]"},
        {"again",
         "{'v':1,'ops':[{'op':'link','from':'artifact/a','label':'produced_by','to':'run/r'}]}", 0,
         1, "[{'status':'unchanged'}]"},
        {"away and back in one transaction",
         "{'v':1,'ops':[{'op':'unlink','from':'artifact/a','label':'produced_by','to':'run/r'},"
         "{'op':'link','from':'artifact/a','label':'produced_by','to':'run/r'},"
         "{'op':'unlink','from':'artifact/a','label':'produced_by','to':'run/r'},"
         "{'op':'unlink','from':'artifact/a','label':'produced_by','to':'run/r'}]}",
         0, 2,
         "[{'status':'deleted'},{'status':'created'},{'status':'deleted'},"
         "{'status':'unchanged'}]"},
        {"an unknown label is nothing to unlink",
         "{'v':1,'ops':[{'op':'unlink','from':'artifact/a','label':'never','to':'run/r'}]}", 0, 2,
         "[{'status':'unchanged'}]"},
        {"a version's run writes produced_by",
         "{'v':1,'ops':[{'op':'create','kind':'model','name':'m'},"
         "{'op':'create','kind':'version','model':'$0','run':'run/r'},"
         "{'op':'link','from':'$1','label':'produced_by','to':'run/r'}]}",
         0, 3,
         "[{'status':'created','id':4,'ref':'model/m'},"
         "{'status':'created','id':5,'ref':'version/m/1'},{'status':'unchanged'}]"},
        {"a run must be a run",
         "{'v':1,'ops':[{'op':'create','kind':'version','model':'model/m','run':'artifact/a'}]}",
         CLADE_ERR_INVALID, 3, "ops[0].run"},
        {"a deleted end is no end",
         "{'v':1,'ops':[{'op':'delete','ref':'artifact/a'},"
         "{'op':'link','from':'id/3','label':'l','to':'run/r'}]}",
         CLADE_ERR_NOT_FOUND, 3, "ops[1].from"},
        {"$ reaches only what came before",
         "{'v':1,'ops':[{'op':'link','from':'artifact/a','label':'l','to':'run/r'},"
         "{'op':'link','from':'$0','label':'l','to':'run/r'}]}",
         CLADE_ERR_INVALID, 3, "ops[1].from"},
    };
    RUN(*state, steps);
}

static void namespaces_keep_names_apart(void **state)
{
    static const struct step steps[] = {
        {"a/b needs a", "{'v':1,'ops':[{'op':'create','kind':'namespace','name':'a/b'}]}",
         CLADE_ERR_NOT_FOUND, 0, "ops[0].name"},
        {"a, then a/b",
         "{'v':1,'ops':[{'op':'create','kind':'namespace','name':'a'},"
         "{'op':'create','kind':'namespace','name':'a/b'}]}",
         0, 1,
         "[{'status':'created','id':2,'ref':'namespace/a'},"
         "{'status':'created','id':3,'ref':'namespace/a/b'}]"},
        {"default is there",
         "{'v':1,'ops':[{'op':'create','kind':'namespace','name':'default',"
         "'if_exists':'return'}]}",
         0, 1, "[{'status':'returned','id':1,'ref':'namespace/default'}]"},
        {"the transaction's namespace, and an operation's own",
         "{'v':1,'ns':'a/b','ops':[{'op':'create','kind':'artifact','name':'x'},"
         "{'op':'create','kind':'artifact','name':'x','namespace':'a'},"
         "{'op':'link','from':'artifact/x','label':'l','to':'//a//artifact/x'}]}",
         0, 2,
         "[{'status':'created','id':4,'ref':'artifact/x'},"
         "{'status':'created','id':5,'ref':'//a//artifact/x'},{'status':'created'}]"},
        {"an unknown one",
         "{'v':1,'ns':'nowhere','ops':[{'op':'create','kind':'artifact','name':'x'}]}",
         CLADE_ERR_NOT_FOUND, 2, "ns"},
        {"a type of a parent is inherited",
         "{'v':1,'ns':'a/b','ops':[{'op':'create','kind':'type','name':'artifact:paper',"
         "'namespace':'a'},"
         "{'op':'create','kind':'artifact','name':'p','type':'paper'}]}",
         0, 3,
         "[{'status':'created','id':6,'ref':'//a//type/artifact:paper'},"
         "{'status':'created','id':7,'ref':'artifact/p'}]"},
        {"one of another kind is none",
         "{'v':1,'ns':'a/b','ops':[{'op':'create','kind':'model','name':'p','type':'paper'}]}",
         CLADE_ERR_NOT_FOUND, 3, "ops[0].type"},
        {"a namespace with another under it is not deleted",
         "{'v':1,'ops':[{'op':'delete','ref':'namespace/a'}]}", CLADE_ERR_IN_USE, 3, "ops[0].ref"},
    };
    RUN(*state, steps);
}

static void guards_hold_or_refuse(void **state)
{
    static const struct step steps[] = {
        {"absent, then there",
         "{'v':1,'guards':[{'guard':'absent','ref':'artifact/a'}],"
         "'ops':[{'op':'create','kind':'artifact','name':'a'}]}",
         0, 1, "[{'status':'created','id':2,'ref':'artifact/a'}]"},
        {"not absent any more",
         "{'v':1,'guards':[{'guard':'exists','ref':'artifact/a'},"
         "{'guard':'absent','ref':'artifact/a'}],"
         "'ops':[{'op':'create','kind':'artifact','name':'b'}]}",
         CLADE_ERR_CONFLICT, 1, "guards[1]"},
        {"exists of nothing",
         "{'v':1,'guards':[{'guard':'exists','ref':'artifact/b'}],"
         "'ops':[{'op':'create','kind':'artifact','name':'b'}]}",
         CLADE_ERR_CONFLICT, 1, "guards[0]"},
        {"unchanged since 1",
         "{'v':1,'guards':[{'guard':'unchanged','ref':'artifact/a','revision':1}],"
         "'ops':[{'op':'update','ref':'artifact/a','size':1}]}",
         0, 2, "[{'status':'changed','id':2,'ref':'artifact/a'}]"},
        {"changed since 1",
         "{'v':1,'guards':[{'guard':'unchanged','ref':'artifact/a','revision':1}],"
         "'ops':[{'op':'update','ref':'artifact/a','description':'d'}]}",
         CLADE_ERR_CONFLICT, 2, "guards[0]"},
    };
    RUN(*state, steps);
}

static void deleting_frees_the_name(void **state)
{
    static const struct step steps[] = {
        {"made, deleted and made again in one transaction",
         "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'},"
         "{'op':'delete','ref':'artifact/a'},"
         "{'op':'create','kind':'artifact','name':'a'}]}",
         0, 1,
         "[{'status':'created','id':2,'ref':'artifact/a'},"
         "{'status':'deleted','id':2,'ref':'artifact/a'},"
         "{'status':'created','id':3,'ref':'artifact/a'}]"},
        {"twice is once too often",
         "{'v':1,'ops':[{'op':'delete','ref':'id/3'},{'op':'delete','ref':'id/3'}]}",
         CLADE_ERR_NOT_FOUND, 1, "ops[1].ref"},
        {"a run goes with its experiment",
         "{'v':1,'ops':[{'op':'create','kind':'experiment','name':'e'},"
         "{'op':'create','kind':'run','name':'r','experiment':'$0'},"
         "{'op':'delete','ref':'$0'},{'op':'delete','ref':'run/r'}]}",
         CLADE_ERR_NOT_FOUND, 1, "ops[3].ref"},
    };
    RUN(*state, steps);
}

static void a_malformed_command_is_a_result(void **state)
{
    struct fixture *f = *state;
    struct item item = {.kind = ITEM_TXN, .command = span_of("garbage")};
    fixture_add(f, &item);
    assert_int_equal(fixture_run(f), 0);
    assert_int_equal(f->results, 1);
    assert_int_equal(f->result.code, CLADE_ERR_INVALID);
    assert_int_equal(f->result.revision, 0);
}

/* A command that is damaged in any way is a result, and the store stays whole. */
static void mangled_commands_never_break_the_store(void **state)
{
    static const char *const commands[] = {
        "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a','if_exists':'match',"
        "'digests':['x:1'],'tags':{'k':'v'},'external_ids':['s:1']}]}",
        "{'v':1,'ops':[{'op':'create','kind':'model','name':'m','if_exists':'return','as':'m'},"
        "{'op':'create','kind':'version','model':'$m'},"
        "{'op':'link','from':'$1','label':'contains','to':'artifact/a'}]}",
        "{'v':1,'guards':[{'guard':'exists','ref':'artifact/a'}],"
        "'ops':[{'op':'update','ref':'id/2','description':'d'},{'op':'delete','ref':'id/3'}]}",
    };
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    for (int i = 0; i < 3000; i++) {
        struct buffer command;
        buffer_init(&command, 4096);
        json_put(&command, commands[next_random(&seed) % 3]);
        for (uint64_t n = next_random(&seed) % 3; n > 0; n--) {
            uint64_t at = next_random(&seed);
            command.data[at % command.len] ^= (uint8_t)(1u << at / 4096 % 8);
        }
        command.len -= next_random(&seed) % 8 == 0;
        struct item item = {.kind = ITEM_TXN, .command = buffer_span(&command)};
        fixture_add(f, &item);
        assert_int_equal(fixture_run(f), 0);
        assert_int_equal(f->results, 1);
        buffer_release(&command);
    }
    assert_true(store_position(f->store).revision > 100);
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 0);
}

static void store_times_rise_with_revisions(void **state)
{
    struct fixture *f = *state;
    struct buffer command;
    uint64_t last = 0;
    buffer_init(&command, 4096);
    json_put(&command, "{'v':1,'ops':[{'op':'create','kind':'run'}]}");
    struct item item = {.kind = ITEM_TXN, .command = buffer_span(&command)};
    for (int i = 0; i < 5; i++) {
        fixture_add(f, &item);
        fixture_add(f, &item);
        /* A clock that stands, goes back, and is far beyond all years. */
        f->stamp_us = i == 4 ? UINT64_MAX : 2000000 - (uint64_t)i * 1000;
        assert_int_equal(fixture_run(f), 0);
        assert_int_equal(f->result.code, 0);
        assert_true(f->result.time_us > last);
        last = f->result.time_us;
    }
    assert_int_equal(store_position(f->store).revision, 10);
    assert_true(last < UINT64_MAX / 2);
    buffer_release(&command);
}

static void long_names_are_told_apart(void **state)
{
    struct fixture *f = *state;
    char name[1001];
    char json[2400];
    memset(name, 'n', sizeof name);
    name[1000] = '\0';
    for (int i = 0; i < 3; i++) {
        name[999] = (char)('a' + i);
        snprintf(json, sizeof json,
                 "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'%s',"
                 "'external_ids':['x:%s']}]}",
                 name, name + 100 + i);
        assert_int_equal(fixture_txn(f, json), 0);
        assert_int_equal(fixture_txn(f, json), CLADE_ERR_CONFLICT);
        snprintf(json, sizeof json, "{'refs':['artifact/%s'],'view':'ids'}", name);
        assert_int_equal(fixture_read(f, QUERY_GET, json), 0);
        char want[16];
        snprintf(want, sizeof want, "[%d]", i + 2);
        assert_answer(f, want);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(create_makes_a_thing_or_says_what_is_there),
        TEST(external_ids_name_one_thing),
        TEST(update_sets_core_fields_once_and_the_rest_at_will),
        TEST(versions_are_numbered_without_gaps),
        TEST(numbers_that_are_used_up_are_not_given),
        TEST(links_are_one_for_each_pair_and_label),
        TEST(namespaces_keep_names_apart),
        TEST(guards_hold_or_refuse),
        TEST(deleting_frees_the_name),
        TEST(a_malformed_command_is_a_result),
        TEST(mangled_commands_never_break_the_store),
        TEST(store_times_rise_with_revisions),
        TEST(long_names_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
