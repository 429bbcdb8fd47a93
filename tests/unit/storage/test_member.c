/* Member records: what ITEM_MEMBER and ITEM_MEMBER_WANTED do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fixture.h"
#include "storage/member.h"

#define NOT_A_COMMAND 255 /* `wanted` of a row that gives a client address */

static int give(struct fixture *f, enum item_kind kind, struct span command)
{
    struct item item = {.kind = kind, .command = command};
    uint64_t revision = store_position(f->store).revision;
    fixture_add(f, &item);
    if (fixture_run(f) != 0) {
        fail_msg("%s", f->error.message);
    }
    assert_int_equal(f->results, 1);
    assert_false(f->result.changed);
    assert_int_equal(f->result.revision, revision);
    return f->result.code;
}

static int set_client(struct fixture *f, uint64_t node, const char *address)
{
    uint8_t command[1024];
    put_u64le(command, node);
    memcpy(command + 8, address, strlen(address));
    return give(f, ITEM_MEMBER, span_make(command, 8 + strlen(address)));
}

static int set_wanted(struct fixture *f, uint64_t node, uint8_t wanted, const char *address)
{
    uint8_t command[1024];
    put_u64le(command, node);
    command[8] = wanted;
    memcpy(command + 9, address, strlen(address));
    return give(f, ITEM_MEMBER_WANTED, span_make(command, 9 + strlen(address)));
}

static void assert_member(struct fixture *f,
                          uint64_t node,
                          enum member_wanted wanted,
                          const char *peer,
                          const char *client)
{
    struct member_record m;
    assert_int_equal(store_member(f->store, node, &m, &f->error), 0);
    assert_int_equal(m.node, node);
    assert_int_equal(m.wanted, wanted);
    assert_string_equal(m.peer_address, peer);
    assert_string_equal(m.client_address, client);
}

/* The error map of the last result says `text`. */
static void assert_message(struct fixture *f, const char *text)
{
    char *json = json_of(buffer_span(&f->body));
    if (strstr(json, text) == NULL) {
        fail_msg("\"%s\" is not in %s", text, json);
    }
    free(json);
}

struct listing {
    char text[1024];
};

static void list_member(void *arg, const struct member_record *m)
{
    struct listing *l = arg;
    size_t len = strlen(l->text);
    snprintf(l->text + len, sizeof l->text - len, "%lu %d [%s] [%s]\n", m->node, (int)m->wanted,
             m->peer_address, m->client_address);
}

static void records_are_kept_and_listed_by_id(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set_client(f, 300, "somewhere"), 0);
    assert_int_equal(set_client(f, 2, "host2:7401"), 0);
    assert_int_equal(set_client(f, 300, "[::1]:7402"), 0);
    assert_int_equal(set_wanted(f, 300, MEMBER_VOTER, "host300:7501"), 0);
    assert_int_equal(set_wanted(f, 4, MEMBER_STANDBY, "host4:7501"), 0);
    assert_int_equal(set_wanted(f, 300, MEMBER_STANDBY, ""), 0);
    fixture_close(f);
    fixture_open(f, FIXTURE_MAP_BYTES);
    struct listing l = {""};
    assert_int_equal(store_members(f->store, list_member, &l, &f->error), 0);
    assert_string_equal(l.text, "2 0 [] [host2:7401]\n"
                                "4 2 [host4:7501] []\n"
                                "300 2 [host300:7501] [[::1]:7402]\n");
    struct member_record m = {.node = 77};
    assert_int_equal(store_member(f->store, 5, &m, &f->error), 1);
    assert_int_equal(m.node, 77);
    assert_int_equal(store_verify(f->store, NULL, NULL, &f->error), 0);
}

static void a_removed_node_never_comes_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set_client(f, 3, "host3:7401"), 0);
    assert_int_equal(set_wanted(f, 3, MEMBER_VOTER, "host3:7501"), 0);
    assert_int_equal(set_wanted(f, 3, MEMBER_REMOVED, ""), 0);
    assert_member(f, 3, MEMBER_REMOVED, "host3:7501", "");
    struct store_digest before = store_digest_current(f->store);
    static const uint8_t wanted[] = {MEMBER_VOTER, MEMBER_STANDBY};
    for (size_t i = 0; i < sizeof wanted; i++) {
        assert_int_equal(set_wanted(f, 3, wanted[i], "host9:7501"), CLADE_ERR_CONFLICT);
        assert_message(f, "node 3 was removed from this cluster; give the new node an id of its "
                          "own");
    }
    assert_int_equal(set_client(f, 3, "host3:7401"), CLADE_ERR_CONFLICT);
    assert_message(f, "node 3 was removed from this cluster");
    /* Again is fine, and changes nothing. */
    assert_int_equal(set_wanted(f, 3, MEMBER_REMOVED, "elsewhere:7501"), 0);
    assert_member(f, 3, MEMBER_REMOVED, "host3:7501", "");
    struct store_digest after = store_digest_current(f->store);
    assert_memory_equal(&before.data, &after.data, sizeof before.data);
    /* One that nobody knew can be removed too. */
    assert_int_equal(set_wanted(f, 8, MEMBER_REMOVED, ""), 0);
    assert_int_equal(set_wanted(f, 8, MEMBER_VOTER, ""), CLADE_ERR_CONFLICT);
}

static void a_peer_address_belongs_to_one_member(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set_wanted(f, 1, MEMBER_VOTER, "a:1"), 0);
    assert_int_equal(set_wanted(f, 2, MEMBER_VOTER, "a:1"), CLADE_ERR_CONFLICT);
    assert_message(f, "node 1 has the peer address a:1");
    struct member_record m;
    assert_int_equal(store_member(f->store, 2, &m, &f->error), 1);
    assert_int_equal(set_wanted(f, 1, MEMBER_STANDBY, "a:1"), 0); /* its own */
    assert_int_equal(set_wanted(f, 2, MEMBER_VOTER, "b:1"), 0);
    assert_int_equal(set_wanted(f, 3, MEMBER_VOTER, ""), 0);
    assert_int_equal(set_wanted(f, 4, MEMBER_VOTER, ""), 0); /* no address is no one's */
    assert_int_equal(set_wanted(f, 1, MEMBER_REMOVED, ""), 0);
    assert_int_equal(set_wanted(f, 5, MEMBER_VOTER, "a:1"), 0); /* it is free again */
    assert_member(f, 1, MEMBER_REMOVED, "a:1", "");
    assert_member(f, 5, MEMBER_VOTER, "a:1", "");
}

static void a_member_keeps_its_peer_address(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set_client(f, 2, "client:1"), 0);
    assert_int_equal(set_wanted(f, 2, MEMBER_STANDBY, ""), 0);
    assert_int_equal(set_wanted(f, 2, MEMBER_STANDBY, "b:1"), 0); /* its first */
    assert_int_equal(set_wanted(f, 2, MEMBER_VOTER, "c:1"), CLADE_ERR_CONFLICT);
    assert_message(f, "node 2 is a member, or on its way to be one, at b:1");
    assert_member(f, 2, MEMBER_STANDBY, "b:1", "client:1");
    assert_int_equal(set_wanted(f, 2, MEMBER_REMOVED, "c:1"), 0);
    assert_member(f, 2, MEMBER_REMOVED, "b:1", "");
}

static void malformed_commands_are_refused(void **state)
{
    struct fixture *f = *state;
    char longest[MEMBER_ADDRESS_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[MEMBER_ADDRESS_MAX + 1] = '\0';
    const struct {
        uint64_t node;
        uint8_t wanted;
        const char *address;
    } rows[] = {
        {0, NOT_A_COMMAND, "a:1"},     /* no node has the id 0 */
        {0, MEMBER_VOTER, "a:1"},      /* the same */
        {7, NOT_A_COMMAND, longest},   /* one byte too long */
        {7, MEMBER_VOTER, longest},    /* the same */
        {7, NOT_A_COMMAND, "a\n:1"},   /* a control character */
        {7, MEMBER_REMOVED, "a\n:1"},  /* the same */
        {7, MEMBER_VOTER, "\xff:1"},   /* not UTF-8 */
        {7, MEMBER_AS_CONFIGURED, ""}, /* nobody can ask for that */
        {7, MEMBER_REMOVED + 1, ""},   /* no such wish */
    };
    struct store_digest before = store_digest_current(f->store);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int code = rows[i].wanted == NOT_A_COMMAND
                       ? set_client(f, rows[i].node, rows[i].address)
                       : set_wanted(f, rows[i].node, rows[i].wanted, rows[i].address);
        if (code != CLADE_ERR_INVALID) {
            fail_msg("row %zu: %d", i, code);
        }
    }
    static const uint8_t seven[9] = {7, 0, 0, 0, 0, 0, 0, 0, 1};
    assert_int_equal(give(f, ITEM_MEMBER, span_make(seven, 7)), CLADE_ERR_INVALID);
    assert_int_equal(give(f, ITEM_MEMBER_WANTED, span_make(seven, 8)), CLADE_ERR_INVALID);
    struct store_digest after = store_digest_current(f->store);
    assert_memory_equal(&before.data, &after.data, sizeof before.data);
    struct member_record m;
    assert_int_equal(store_member(f->store, 7, &m, &f->error), 1);
    longest[MEMBER_ADDRESS_MAX] = '\0';
    assert_int_equal(set_client(f, 7, longest), 0);
    assert_int_equal(set_wanted(f, 7, MEMBER_VOTER, longest), 0);
    assert_member(f, 7, MEMBER_VOTER, longest, longest);
}

static void there_is_an_end_of_records(void **state)
{
    struct fixture *f = *state;
    /* In few entries: each is a commit. */
    for (uint64_t node = 1; node <= MEMBER_RECORDS_MAX;) {
        uint8_t commands[1024][8];
        for (unsigned i = 0; i < 1024; i++, node++) {
            put_u64le(commands[i], node);
            struct item item = {.kind = ITEM_MEMBER, .command = span_make(commands[i], 8)};
            fixture_add(f, &item);
        }
        assert_int_equal(fixture_run(f), 0);
        assert_int_equal(f->result.code, 0);
    }
    assert_int_equal(set_client(f, MEMBER_RECORDS_MAX + 1, "a:1"), CLADE_ERR_LIMIT);
    assert_int_equal(set_wanted(f, MEMBER_RECORDS_MAX + 1, MEMBER_REMOVED, ""), CLADE_ERR_LIMIT);
    assert_int_equal(set_wanted(f, MEMBER_RECORDS_MAX, MEMBER_VOTER, "a:1"), 0);
    assert_int_equal(set_wanted(f, 1, MEMBER_VOTER, "a:1"), CLADE_ERR_CONFLICT);
}

static void random_items(struct fixture *f, uint64_t seed, int *ret_codes, int n)
{
    for (int i = 0; i < n; i++) {
        uint64_t node = next_random(&seed) % 12;
        char address[16];
        snprintf(address, sizeof address, "h%lu:1", next_random(&seed) % 10);
        if (next_random(&seed) % 3 == 0) {
            ret_codes[i] = set_client(f, node, address);
        } else {
            uint8_t wanted = (uint8_t)(next_random(&seed) % 11 % 4 + 1);
            ret_codes[i] = set_wanted(f, node, wanted, next_random(&seed) % 3 == 0 ? "" : address);
        }
    }
}

static void the_same_items_give_the_same_answers_and_digests(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    int first[400];
    int second[400];
    random_items(f, seed, first, 400);
    struct store_digest digest = store_digest_current(f->store);
    assert_int_equal(store_verify(f->store, NULL, NULL, &f->error), 0);
    fixture_close(f);
    fixture_wipe(f);
    fixture_open(f, FIXTURE_MAP_BYTES);
    f->stamp_us = 1000000;
    random_items(f, seed, second, 400);
    assert_memory_equal(first, second, sizeof first);
    assert_true(digests_equal(digest, store_digest_current(f->store)));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(records_are_kept_and_listed_by_id),
        TEST(a_removed_node_never_comes_back),
        TEST(a_peer_address_belongs_to_one_member),
        TEST(a_member_keeps_its_peer_address),
        TEST(malformed_commands_are_refused),
        TEST(there_is_an_end_of_records),
        TEST(the_same_items_give_the_same_answers_and_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
