/* Writes while there is little room: at the leader, at a majority, at a minority. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/consensus/group_fixture.h"

static const struct room low_disk = {ROOM_LOW, ROOM_OF_DISK, 3 << 20, 4 << 20};
static const struct room low_map = {ROOM_LOW, ROOM_OF_MAP, 1 << 20, 2 << 20};
static const struct room enough = {.level = ROOM_ENOUGH};

static void refuses(struct node *n, uint64_t counter, const char *why)
{
    unsigned before = n->refused;
    proposal_unref(node_propose(n, counter, false, 5000));
    cluster_run_ms(n->cluster, 100);
    assert_int_equal(n->refused, before + 1);
    assert_int_equal(n->refused_code, CLADE_ERR_NO_SPACE);
    if (strstr(n->refused_why, why) == NULL) {
        fail_msg("\"%s\" has no \"%s\"", n->refused_why, why);
    }
}

static void takes(struct node *n, uint64_t counter)
{
    proposal_unref(node_propose(n, counter, false, 5000));
    cluster_run_ms(n->cluster, 300);
    assert_all_applied_once(n->cluster, counter);
}

static void a_full_disk_refuses_writes_and_clears_by_itself(void **state)
{
    struct cluster *c = cluster_new(9);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *follower = cluster_another(c, leader);
    group_set_room(leader->group, &low_disk);
    refuses(leader, 30, "3.0 MiB are free and 4.0 MiB are needed; free space on /data;");
    refuses(follower, 31, "3.0 MiB are free and 4.0 MiB are needed; free space on /data;");
    group_set_room(leader->group, &low_map);
    refuses(follower, 32,
            "1.0 MiB of its map are left and 2.0 MiB are needed; raise its map_bytes");
    group_set_room(leader->group, &enough);
    takes(leader, 33);
    assert_int_equal(leader->seen[30] + leader->seen[31] + leader->seen[32], 0);
    cluster_free(c);
}

static void with_little_room_what_makes_some_is_taken_and_with_none_nothing(void **state)
{
    struct cluster *c = cluster_new(19);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *follower = cluster_another(c, leader);
    struct room none = low_disk;
    none.level = ROOM_NONE;
    group_set_room(leader->group, &low_disk);
    leader->makes_room = 41;
    refuses(leader, 40, "are still taken");
    takes(leader, 41);
    refuses(follower, 42, "are still taken");
    leader->makes_room = 43;
    takes(follower, 43);
    group_set_room(leader->group, &none);
    leader->makes_room = 44;
    refuses(leader, 44, "free space on /data (runbook: disk full)");
    cluster_free(c);
}

static void a_majority_without_room_refuses_writes_and_a_minority_does_not(void **state)
{
    struct cluster *c = cluster_new(20);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *other = cluster_another(c, leader);
    char name[32];
    group_set_room(other->group, &low_map);
    cluster_run_ms(c, 100);
    takes(leader, 50);
    for (int i = 0; i < NODES; i++) {
        if (&c->nodes[i] != leader) {
            group_set_room(c->nodes[i].group, &low_map);
        }
    }
    cluster_run_ms(c, 100);
    for (int i = 0; i < NODES; i++) {
        refuses(&c->nodes[i], 51, "raise its map_bytes and restart it");
        (void)snprintf(name, sizeof name, "the store of node %llu ",
                       (unsigned long long)leader->id);
        assert_null(strstr(c->nodes[i].refused_why, name));
    }
    group_set_room(other->group, &enough);
    cluster_run_ms(c, 100);
    takes(leader, 52);
    cluster_free(c);
}

/* One that is away takes no part in a majority: the other one must have room. */
static void a_member_that_is_away_is_no_member_with_room(void **state)
{
    struct cluster *c = cluster_new(21);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *other = cluster_another(c, leader);
    cluster_isolate(c, (uint64_t)6 - leader->id - other->id, true);
    group_set_room(other->group, &low_disk);
    cluster_run_ms(c, 6000);
    assert_ptr_equal(cluster_leader(c), leader);
    refuses(leader, 60, "free space on the disk of its data folder");
    group_set_room(other->group, &enough);
    cluster_run_ms(c, 100);
    unsigned before = leader->refused;
    proposal_unref(node_propose(leader, 61, false, 5000));
    cluster_run_ms(c, 300);
    assert_int_equal(leader->refused, before);
    assert_int_equal(leader->seen[61], 1);
    cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_refuses_writes_and_clears_by_itself),
        cmocka_unit_test(with_little_room_what_makes_some_is_taken_and_with_none_nothing),
        cmocka_unit_test(a_majority_without_room_refuses_writes_and_a_minority_does_not),
        cmocka_unit_test(a_member_that_is_away_is_no_member_with_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
