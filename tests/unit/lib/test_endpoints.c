/* Where to connect: what the user gave, then what the cluster told of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/lib_internal.h"

/* As a server tells of members: NULL-terminated client addresses. */
static void learn(struct endpoints *e, const char *const clients[])
{
    struct buffer b;
    struct arena arena;
    const struct value *members = NULL;
    uint32_t n = 0;
    while (clients[n] != NULL) {
        n++;
    }
    buffer_init(&b, 1 << 16);
    arena_init(&arena, 1 << 20);
    value_put_array(&b, n);
    for (uint32_t i = 0; i < n; i++) {
        value_put_map(&b, 2);
        value_put_str(&b, "id");
        value_put_uint(&b, i + 1);
        value_put_str(&b, "client");
        value_put_str(&b, clients[i]);
    }
    assert_int_equal(value_decode(buffer_span(&b), &value_limits_answer, &arena, &members, NULL),
                     0);
    endpoints_learn(e, members);
    arena_release(&arena);
    buffer_release(&b);
}

static void assert_hosts(const struct endpoints *e, const char *hosts)
{
    char text[256] = "";
    size_t at = 0;
    for (size_t i = 0; i < e->len; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i == 0 ? "" : " ",
                               e->items[i].host);
    }
    assert_string_equal(text, hosts);
}

static void members_are_learned_behind_what_was_configured(void **state)
{
    struct endpoints e = {0};
    assert_int_equal(endpoints_parse(&e, "a:1,b:1"), 0);
    learn(&e, (const char *const[]){"b:1", "c:1", "d:1", NULL});
    assert_hosts(&e, "a b c d");
}

static void a_later_list_takes_the_place_of_what_was_learned(void **state)
{
    struct endpoints e = {0};
    assert_int_equal(endpoints_parse(&e, "a:1"), 0);
    learn(&e, (const char *const[]){"a:1", "b:1", "c:1", NULL});
    learn(&e, (const char *const[]){"c:1", "d:1", NULL});
    assert_hosts(&e, "a c d");
}

static void a_list_of_nobody_changes_nothing(void **state)
{
    struct endpoints e = {0};
    assert_int_equal(endpoints_parse(&e, "a:1"), 0);
    learn(&e, (const char *const[]){"b:1", NULL});
    learn(&e, (const char *const[]){NULL});
    learn(&e, (const char *const[]){"", "not an address", NULL});
    endpoints_learn(&e, NULL);
    assert_hosts(&e, "a b");
}

static void the_next_one_to_be_tried_stays_while_it_is_a_member(void **state)
{
    struct endpoints e = {0};
    struct endpoint c;
    assert_int_equal(endpoint_parse(span_of("c:1"), &c), 0);
    assert_int_equal(endpoints_parse(&e, "a:1"), 0);
    learn(&e, (const char *const[]){"b:1", "c:1", NULL});
    endpoints_prefer(&e, &c);
    learn(&e, (const char *const[]){"c:1", "b:1", NULL});
    assert_string_equal(e.items[e.next].host, "c");
    learn(&e, (const char *const[]){"b:1", NULL});
    assert_int_equal(e.next, 0);
}

static void more_members_than_there_is_room_for_are_left_out(void **state)
{
    static char texts[ENDPOINTS_MAX + 9][16];
    const char *clients[ENDPOINTS_MAX + 10] = {NULL};
    struct endpoints e = {0};
    for (size_t i = 0; i < ENDPOINTS_MAX + 9; i++) {
        snprintf(texts[i], sizeof texts[i], "h%zu:1", i);
        clients[i] = texts[i];
    }
    assert_int_equal(endpoints_parse(&e, "a:1"), 0);
    learn(&e, clients);
    assert_int_equal(e.len, ENDPOINTS_MAX);
    assert_string_equal(e.items[0].host, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_learned_behind_what_was_configured),
        cmocka_unit_test(a_later_list_takes_the_place_of_what_was_learned),
        cmocka_unit_test(a_list_of_nobody_changes_nothing),
        cmocka_unit_test(the_next_one_to_be_tried_stays_while_it_is_a_member),
        cmocka_unit_test(more_members_than_there_is_room_for_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
