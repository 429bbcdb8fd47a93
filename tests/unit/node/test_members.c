/* Whom clients may go to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/members.h"

static int set_up(void **state)
{
    struct members *m = calloc(1, sizeof *m);
    assert_non_null(m);
    members_init(m);
    *state = m;
    return 0;
}

static int tear_down(void **state)
{
    members_release(*state);
    free(*state);
    return 0;
}

/* As the store tells it, by id; the next configuration has it taken in. */
static void know_client(struct members *m, uint64_t id, const char *address)
{
    struct member_client *c = &m->list[m->len++];
    c->id = id;
    (void)snprintf(c->address, sizeof c->address, "%s", address);
}

static void configure(struct members *m, const enum group_role *roles, size_t len)
{
    static struct group_status status;
    status = (struct group_status){.members_len = len};
    for (size_t i = 0; i < len; i++) {
        status.members[i].member = (struct group_member){.id = i + 1, .role = roles[i]};
    }
    members_set_configuration(m, &status);
}

static void assert_serving(struct members *m, const char *expected)
{
    struct member_client list[GROUP_MEMBERS_MAX];
    uint64_t version;
    char text[256] = "";
    size_t at = 0;
    size_t len = members_serving(m, list, &version);
    for (size_t i = 0; i < len; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%llu=%s", i == 0 ? "" : " ",
                               (unsigned long long)list[i].id, list[i].address);
    }
    assert_string_equal(text, expected);
    assert_int_equal(version, members_version(m));
}

static const enum group_role roles[] = {GROUP_VOTER, GROUP_STANDBY, GROUP_SPARE};

static void spares_and_those_without_an_address_serve_nobody(void **state)
{
    struct members *m = *state;
    know_client(m, 1, "a:1");
    know_client(m, 3, "c:1");
    know_client(m, 4, "d:1"); /* not in the configuration */
    configure(m, roles, 3);
    assert_serving(m, "1=a:1");
}

static void while_the_configuration_is_not_known_all_count(void **state)
{
    struct members *m = *state;
    know_client(m, 1, "a:1");
    know_client(m, 3, "c:1");
    configure(m, NULL, 0);
    assert_serving(m, "1=a:1 3=c:1");
    assert_false(members_has(m, 1));
    assert_false(members_all_known(m));
}

static void the_version_changes_with_the_list_and_with_nothing_else(void **state)
{
    static const enum group_role promoted[] = {GROUP_VOTER, GROUP_VOTER, GROUP_STANDBY};
    struct members *m = *state;
    uint64_t before = members_version(m);
    assert_true(before > 0);
    know_client(m, 1, "a:1");
    know_client(m, 3, "c:1");
    configure(m, roles, 3);
    uint64_t after = members_version(m);
    assert_true(after != before);
    configure(m, roles, 3);
    assert_int_equal(members_version(m), after);
    configure(m, promoted, 3);
    assert_true(members_version(m) != after);
    assert_serving(m, "1=a:1 3=c:1");
    after = members_version(m);
    (void)snprintf(m->list[0].address, sizeof m->list[0].address, "a:2");
    configure(m, promoted, 3);
    assert_true(members_version(m) != after);
}

static void all_are_known_when_each_voter_and_standby_has_an_address(void **state)
{
    struct members *m = *state;
    know_client(m, 1, "a:1");
    configure(m, roles, 3);
    assert_false(members_all_known(m));
    know_client(m, 2, "b:1");
    configure(m, roles, 3);
    assert_true(members_all_known(m));
    assert_true(members_has(m, 1) && members_has(m, 2));
    assert_false(members_has(m, 3) || members_has(m, 4));
}

static void an_address_is_found_or_empty(void **state)
{
    struct members *m = *state;
    char text[MEMBER_ADDRESS_BYTES];
    know_client(m, 2, "b:1");
    members_find(m, 2, text);
    assert_string_equal(text, "b:1");
    members_find(m, 1, text);
    assert_string_equal(text, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(spares_and_those_without_an_address_serve_nobody),
        TEST(while_the_configuration_is_not_known_all_count),
        TEST(the_version_changes_with_the_list_and_with_nothing_else),
        TEST(all_are_known_when_each_voter_and_standby_has_an_address),
        TEST(an_address_is_found_or_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
