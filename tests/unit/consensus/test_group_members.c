/* Changes of the members, from what the table says is wanted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "consensus/group_internal.h"
#include "tests/unit/consensus/group_fixture.h"

/* An allocator of libraft's that refuses what has exactly so many bytes. */
static size_t refused_bytes;

static void *refusing_malloc(void *data, size_t bytes)
{
    return bytes == refused_bytes ? NULL : malloc(bytes);
}

static void refuse_configurations(struct node *n)
{
    static struct raft_heap heap;
    struct raft_buffer b;
    assert_int_equal(raft_configuration_encode(&n->group->raft.configuration, &b), 0);
    refused_bytes = b.len;
    raft_free(b.base);
    heap = *raft_heap_get();
    heap.malloc = refusing_malloc;
    raft_heap_set(&heap);
}

static void want(struct node *leader, uint64_t id, enum member_wanted wanted)
{
    uint8_t command[9];
    put_u64le(command, id);
    command[8] = (uint8_t)wanted;
    const struct item item = {.kind = ITEM_MEMBER_WANTED,
                              .id = {.node = leader->id, .boot = 9, .counter = 1},
                              .command = span_make(command, sizeof command)};
    struct proposal *p = proposal_new(&item, true, UINT64_MAX);
    group_propose(leader->group, p);
    proposal_unref(p);
}

static bool is_wanted(const struct node *n, uint64_t id, enum member_wanted wanted)
{
    struct member_record record;
    return store_member(n->store, id, &record, NULL) == 0 && record.wanted == wanted;
}

/* Returns before the group has looked at it. */
static void want_demoted(struct cluster *c, struct node *leader, uint64_t id)
{
    want(leader, id, MEMBER_STANDBY);
    while (!is_wanted(leader, id, MEMBER_STANDBY)) {
        assert_int_equal(node_status(leader).members[id - 1].member.role, GROUP_VOTER);
        cluster_step(c);
    }
}

static void a_change_while_another_is_under_way_is_for_later(void **state)
{
    struct cluster *c = cluster_new_with_stores(41);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *other = cluster_another(c, leader);
    const struct group_change change = {.wanted = MEMBER_VOTER,
                                        .id = cluster_another(c, other)->id};
    struct error e = {0};
    cluster_run_ms(c, 3000); /* all are heard of */
    assert_int_equal(group_check_change(leader->group, &change, &e), 0);
    want_demoted(c, leader, other->id);
    assert_int_equal(group_check_change(leader->group, &change, &e), CLADE_ERR_RETRY);
    assert_non_null(strstr(e.message, "under way"));
    cluster_run_ms(c, 3000);
    assert_int_equal(group_check_change(leader->group, &change, &e), 0);
    cluster_free(c);
}

/* libraft keeps the request of one that failed, as if it were under way for ever. */
static void a_change_that_failed_is_tried_again(void **state)
{
    struct cluster *c = cluster_new_with_stores(40);
    struct node *leader = cluster_wait_for_leader(c);
    struct node *other = cluster_another(c, leader);
    cluster_run_ms(c, 3000); /* all are heard of */
    want_demoted(c, leader, other->id);
    refuse_configurations(leader);
    cluster_run_ms(c, 1000);
    assert_true(leader->group->changes.retry_us > 0); /* it was tried */
    assert_int_equal(node_status(leader).members[other->id - 1].member.role, GROUP_VOTER);
    raft_heap_set_default();
    cluster_run_ms(c, 3000);
    assert_ptr_equal(cluster_leader(c), leader);
    assert_int_equal(node_status(leader).members[other->id - 1].member.role, GROUP_STANDBY);
    assert_int_equal(node_status(other).members[other->id - 1].member.role, GROUP_STANDBY);
    cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_while_another_is_under_way_is_for_later),
        cmocka_unit_test(a_change_that_failed_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
