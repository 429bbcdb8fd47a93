/* Whether there is room for writes: levels, which of disk and map, and what is taken all the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/space.h"
#include "storage/entry.h"
#include "tests/unit/storage/fixture.h"

#define MIB (UINT64_C(1) << 20)

static struct space_figures figures(uint64_t disk_free, uint64_t map_left)
{
    return (struct space_figures){.disk_free_bytes = disk_free,
                                  .disk_wanted_bytes = 64 * MIB,
                                  .map_bytes = 1024 * MIB,
                                  .map_used_bytes = 1024 * MIB - map_left,
                                  .map_reusable_bytes = 0};
}

static struct room look(struct space *s, uint64_t disk_free, uint64_t map_left)
{
    const struct space_figures f = figures(disk_free, map_left);
    struct room room;
    space_look(s, &f);
    space_room(s, &room);
    return room;
}

static void a_level_that_was_left_comes_back_a_little_above_where_it_was_left(void **state)
{
    static const struct {
        uint64_t free_kib;
        enum room_level level;
    } steps[] = {
        {64 * 1024, ROOM_ENOUGH},
        {64 * 1024 - 1, ROOM_LOW},
        {64 * 1024, ROOM_LOW},
        {68 * 1024 - 1, ROOM_LOW},
        {68 * 1024, ROOM_ENOUGH},
        {16 * 1024, ROOM_LOW},
        {16 * 1024 - 1, ROOM_NONE},
        {20 * 1024 - 1, ROOM_NONE},
        {20 * 1024, ROOM_LOW},
        {16 * 1024, ROOM_LOW},
        {0, ROOM_NONE},
        {1024 * 1024, ROOM_ENOUGH},
    };
    struct space s = {0};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_int_equal(look(&s, steps[i].free_kib << 10, 512 * MIB).level, steps[i].level);
    }
}

static void the_room_is_that_of_disk_and_map_which_lacks_more(void **state)
{
    struct space s = {0};
    struct room r = look(&s, 63 * MIB, 512 * MIB);
    assert_int_equal(r.level, ROOM_LOW);
    assert_int_equal(r.kind, ROOM_OF_DISK);
    assert_int_equal(r.left_bytes, 63 * MIB);
    assert_int_equal(r.wanted_bytes, 64 * MIB);
    r = look(&s, 63 * MIB, 2 * MIB);
    assert_int_equal(r.level, ROOM_NONE);
    assert_int_equal(r.kind, ROOM_OF_MAP);
    assert_int_equal(r.left_bytes, 2 * MIB);
}

static void pages_that_can_be_written_again_are_room_of_the_map(void **state)
{
    struct space s = {0};
    struct space_figures f = figures(512 * MIB, 0);
    f.map_reusable_bytes = 65 * MIB;
    space_look(&s, &f);
    assert_int_equal(s.map.level, ROOM_ENOUGH);
    assert_int_equal(s.map.left_bytes, 65 * MIB);
    f.map_reusable_bytes = 10 * MIB;
    space_look(&s, &f);
    assert_int_equal(s.map.level, ROOM_NONE);
}

static void a_commit_that_found_no_room_says_that_there_is_none(void **state)
{
    struct space s = {0};
    struct space_figures f = figures(512 * MIB, 100 * MIB);
    f.applying_waits = true;
    space_look(&s, &f);
    assert_int_equal(s.map.level, ROOM_NONE);
    assert_int_equal(s.disk.level, ROOM_ENOUGH);
    f.applying_waits = false;
    space_look(&s, &f);
    assert_int_equal(s.map.level, ROOM_ENOUGH);
}

static void a_small_map_wants_an_eighth_of_it_and_no_more(void **state)
{
    assert_int_equal(space_map_wanted(16 * MIB, 64 * MIB), 2 * MIB);
    assert_int_equal(space_map_wanted(1024 * MIB, 64 * MIB), 64 * MIB);
    assert_int_equal(space_reserve(64 * MIB), 16 * MIB);
    assert_int_equal(space_reserve(1024 * MIB), 256 * MIB);
    assert_int_equal(space_reserve(2 * MIB), MIB);
}

static bool lets(enum item_kind kind, const char *ops, const struct room *room)
{
    char json[1024];
    struct buffer command;
    struct buffer bytes;
    buffer_init(&command, 1 << 16);
    buffer_init(&bytes, 1 << 16);
    if (ops != NULL) {
        (void)snprintf(json, sizeof json, "{'v':1,'ops':[%s]}", ops);
        json_put(&command, json);
    }
    const struct item item = {.kind = kind, .command = buffer_span(&command)};
    item_encode(&bytes, &item);
    bool r = space_lets(buffer_span(&bytes), room);
    buffer_release(&command);
    buffer_release(&bytes);
    return r;
}

#define CREATE  "{'op':'create','kind':'artifact','name':'a'}"
#define DELETE  "{'op':'delete','ref':'artifact/a'}"
#define PURGE   "{'op':'purge','ref':'id/7'}"
#define COMPACT "{'op':'compact','ref':'namespace/default','before':7}"

static void with_little_room_what_makes_room_is_taken_and_nothing_else(void **state)
{
    static const struct {
        enum item_kind kind;
        const char *ops;
        bool low;      /* whether it is taken with little room */
        bool none_map; /* and with none of the map */
    } rows[] = {
        {ITEM_TXN, CREATE, false, false},
        {ITEM_TXN, DELETE, true, false},
        {ITEM_TXN, PURGE, true, false},
        {ITEM_TXN, COMPACT, true, false},
        {ITEM_TXN, DELETE "," PURGE, true, false},
        {ITEM_TXN, DELETE "," CREATE, false, false},
        {ITEM_TXN, "{'op':'update','ref':'namespace/a','retention_s':900}", true, false},
        {ITEM_TXN, "{'op':'update','ref':'artifact/a','description':'d'}", false, false},
        {ITEM_TXN, "{'op':'log','ref':'run/a'}", false, false},
        {ITEM_TXN, "", false, false},
        {ITEM_SESSION_OPEN, NULL, true, false},
        {ITEM_SESSION_CLOSE, NULL, true, false},
        {ITEM_RETAIN, NULL, true, false},
        {ITEM_MEMBER_WANTED, NULL, true, false},
        {ITEM_TICK, NULL, true, true},
    };
    const struct room enough = {.level = ROOM_ENOUGH};
    const struct room low = {.level = ROOM_LOW, .kind = ROOM_OF_DISK};
    const struct room no_map = {.level = ROOM_NONE, .kind = ROOM_OF_MAP};
    const struct room no_disk = {.level = ROOM_NONE, .kind = ROOM_OF_DISK};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(lets(rows[i].kind, rows[i].ops, &enough));
        assert_int_equal(lets(rows[i].kind, rows[i].ops, &low), rows[i].low);
        assert_int_equal(lets(rows[i].kind, rows[i].ops, &no_map), rows[i].none_map);
        assert_false(lets(rows[i].kind, rows[i].ops, &no_disk));
    }
    assert_false(space_lets(span_of("no item"), &low));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_that_was_left_comes_back_a_little_above_where_it_was_left),
        cmocka_unit_test(the_room_is_that_of_disk_and_map_which_lacks_more),
        cmocka_unit_test(pages_that_can_be_written_again_are_room_of_the_map),
        cmocka_unit_test(a_commit_that_found_no_room_says_that_there_is_none),
        cmocka_unit_test(a_small_map_wants_an_eighth_of_it_and_no_more),
        cmocka_unit_test(with_little_room_what_makes_room_is_taken_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
