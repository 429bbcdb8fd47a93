#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/message.h"

enum decoder { HELLO, TXN, OPEN, CLOSE, TRANSFER, MEMBER, VERIFY, CANCEL, EMPTY };

struct row {
    enum decoder decoder;
    const char *why;
    const char *bytes;
    size_t len;
    const char *where; /* NULL: it is accepted */
};

#define ROW(decoder, why, bytes, where)                                                            \
    {                                                                                              \
        decoder, why, bytes, sizeof(bytes) - 1, where                                              \
    }
static const struct row rows[] = {
    ROW(HELLO, "the least", "\x81\xa8versions\x91\x01", NULL),
    ROW(HELLO, "several versions", "\x81\xa8versions\x93\x02\x01\x03", NULL),
    ROW(HELLO, "no versions", "\x80", "versions"),
    ROW(HELLO, "versions that are a number", "\x81\xa8versions\x01", "versions"),
    ROW(HELLO,
        "versions that hold text",
        "\x81\xa8versions\x91\xa1"
        "1",
        "versions"),
    ROW(HELLO, "a user that is a number", "\x82\xa8versions\x91\x01\xa4user\x01", "user"),
    ROW(HELLO,
        "a client that is nil",
        "\x82\xa8versions\x91\x01\xa6"
        "client\xc0",
        "client"),
    ROW(HELLO, "an unknown key", "\x82\xa8versions\x91\x01\xa5users\x01", "users"),
    ROW(HELLO, "a key twice", "\x82\xa8versions\x91\x01\xa8versions\x91\x01", "versions"),
    ROW(TXN,
        "a command alone",
        "\x81\xa7"
        "command\xc4\x01x",
        NULL),
    ROW(TXN,
        "under a session",
        "\x84\xa7"
        "command\xc4\x01x\xa7session\x05\xa3seq\x02\xa8"
        "answered\x02",
        NULL),
    ROW(TXN,
        "with a deadline",
        "\x82\xa7"
        "command\xc4\x01x\xab"
        "deadline_ms\x05",
        NULL),
    ROW(TXN, "no command", "\x80", "command"),
    ROW(TXN,
        "a command that is text",
        "\x81\xa7"
        "command\xa1x",
        "command"),
    ROW(TXN,
        "a session without seq",
        "\x82\xa7"
        "command\xc4\x01x\xa7session\x05",
        "seq"),
    ROW(TXN,
        "a seq of 0",
        "\x83\xa7"
        "command\xc4\x01x\xa7session\x05\xa3seq\x00",
        "seq"),
    ROW(TXN,
        "a seq without session",
        "\x82\xa7"
        "command\xc4\x01x\xa3seq\x01",
        "session"),
    ROW(TXN,
        "a negative seq",
        "\x83\xa7"
        "command\xc4\x01x\xa7session\x05\xa3seq\xff",
        "seq"),
    ROW(TXN,
        "answered above seq",
        "\x84\xa7"
        "command\xc4\x01x\xa7session\x05\xa3seq\x02\xa8"
        "answered\x03",
        "answered"),
    ROW(TXN,
        "a dry run",
        "\x82\xa7"
        "command\xc4\x01x\xa7"
        "dry_run\xc3",
        NULL),
    ROW(TXN,
        "a dry run that is a number",
        "\x82\xa7"
        "command\xc4\x01x\xa7"
        "dry_run\x01",
        "dry_run"),
    ROW(TXN,
        "a dry run under a session",
        "\x84\xa7"
        "command\xc4\x01x\xa7session\x05\xa3seq\x02\xa7"
        "dry_run\xc3",
        "dry_run"),
    ROW(TXN,
        "a deadline that is text",
        "\x82\xa7"
        "command\xc4\x01x\xab"
        "deadline_ms\xa1x",
        "deadline_ms"),
    ROW(OPEN, "the least", "\x80", NULL),
    ROW(OPEN, "a lease", "\x81\xa8lease_ms\xcd\x10\x00", NULL),
    ROW(OPEN, "a lease that is a float", "\x81\xa8lease_ms\xca\0\0\0\0", "lease_ms"),
    ROW(OPEN, "a session", "\x81\xa7session\x01", "session"),
    ROW(CLOSE, "a session", "\x81\xa7session\x01", NULL),
    ROW(CLOSE, "no session", "\x80", "session"),
    ROW(CLOSE, "session 0", "\x81\xa7session\x00", "session"),
    ROW(TRANSFER, "to the best", "\x80", NULL),
    ROW(TRANSFER, "to a node", "\x81\xa2to\x03", NULL),
    ROW(TRANSFER,
        "to text",
        "\x81\xa2to\xa1"
        "3",
        "to"),
    ROW(MEMBER,
        "to be added",
        "\x83\xa6"
        "action\xa3"
        "add\xa4node\x04\xa7"
        "address\xa3"
        "a:1",
        NULL),
    ROW(MEMBER,
        "to be added as a standby, and waited for",
        "\x85\xa6"
        "action\xa3"
        "add\xa4node\x04\xa7"
        "address\xa3"
        "a:1\xa7promote\xc2\xa4wait\xc3",
        NULL),
    ROW(MEMBER,
        "to be promoted",
        "\x82\xa6"
        "action\xa7promote\xa4node\x04",
        NULL),
    ROW(MEMBER,
        "to be demoted",
        "\x82\xa6"
        "action\xa6"
        "demote\xa4node\x04",
        NULL),
    ROW(MEMBER,
        "to be removed",
        "\x83\xa6"
        "action\xa6remove\xa4node\x04\xa4wait\xc2",
        NULL),
    ROW(MEMBER, "no action", "\x81\xa4node\x04", "action"),
    ROW(MEMBER,
        "an action that is none",
        "\x82\xa6"
        "action\xa4kill\xa4node\x04",
        "action"),
    ROW(MEMBER,
        "an action that is a number",
        "\x82\xa6"
        "action\x01\xa4node\x04",
        "action"),
    ROW(MEMBER,
        "no node",
        "\x81\xa6"
        "action\xa6remove",
        "node"),
    ROW(MEMBER,
        "node 0",
        "\x82\xa6"
        "action\xa6remove\xa4node\x00",
        "node"),
    ROW(MEMBER,
        "a node that is text",
        "\x82\xa6"
        "action\xa6remove\xa4node\xa1"
        "4",
        "node"),
    ROW(MEMBER,
        "no address to add",
        "\x82\xa6"
        "action\xa3"
        "add\xa4node\x04",
        "address"),
    ROW(MEMBER,
        "an address to remove",
        "\x83\xa6"
        "action\xa6remove\xa4node\x04\xa7"
        "address\xa3"
        "a:1",
        "address"),
    ROW(MEMBER,
        "a promote to promote",
        "\x83\xa6"
        "action\xa7promote\xa4node\x04\xa7promote\xc3",
        "promote"),
    ROW(MEMBER,
        "a promote that is a number",
        "\x84\xa6"
        "action\xa3"
        "add\xa4node\x04\xa7"
        "address\xa3"
        "a:1\xa7promote\x01",
        "promote"),
    ROW(MEMBER,
        "a wait that is nil",
        "\x83\xa6"
        "action\xa6"
        "demote\xa4node\x04\xa4wait\xc0",
        "wait"),
    ROW(MEMBER,
        "an unknown key",
        "\x83\xa6"
        "action\xa6"
        "demote\xa4node\x04\xa5"
        "force\xc3",
        "force"),
    ROW(VERIFY,
        "a scan of the last commit",
        "\x82\xa6"
        "action\xa3pin\xa2id\x05",
        NULL),
    ROW(VERIFY,
        "a scan at an index",
        "\x83\xa6"
        "action\xa3pin\xa2id\x05\xa5index\x07",
        NULL),
    ROW(VERIFY,
        "a look",
        "\x82\xa6"
        "action\xa4look\xa2id\x05",
        NULL),
    ROW(VERIFY,
        "its end",
        "\x82\xa6"
        "action\xa5"
        "close\xa2id\x05",
        NULL),
    ROW(VERIFY, "no action", "\x81\xa2id\x05", "action"),
    ROW(VERIFY,
        "an unknown action",
        "\x82\xa6"
        "action\xa3pit\xa2id\x05",
        "action"),
    ROW(VERIFY,
        "no id",
        "\x81\xa6"
        "action\xa3pin",
        "id"),
    ROW(VERIFY,
        "an id of 0",
        "\x82\xa6"
        "action\xa3pin\xa2id\x00",
        "id"),
    ROW(VERIFY,
        "an id that is text",
        "\x82\xa6"
        "action\xa3pin\xa2id\xa1x",
        "id"),
    ROW(VERIFY,
        "a look at an index",
        "\x83\xa6"
        "action\xa4look\xa2id\x05\xa5index\x07",
        "index"),
    ROW(VERIFY,
        "an unknown key",
        "\x83\xa6"
        "action\xa4look\xa2id\x05\xa4node\x07",
        "node"),
    ROW(CANCEL, "a msgid", "\x81\xa5msgid\xce\xff\xff\xff\xff", NULL),
    ROW(CANCEL, "no msgid", "\x80", "msgid"),
    ROW(CANCEL, "a msgid above 32 bits", "\x81\xa5msgid\xcf\0\0\0\1\0\0\0\0", "msgid"),
    ROW(EMPTY, "nothing", "\x80", NULL),
    ROW(EMPTY,
        "a deadline",
        "\x81\xab"
        "deadline_ms\x05",
        NULL),
    ROW(EMPTY, "anything else", "\x81\xa1x\x05", "x"),
};

static int decode(enum decoder decoder, const struct value *v, struct error *error)
{
    struct hello_params hello;
    struct txn_params txn;
    struct session_params session;
    struct verify_params verify;
    struct member_params member;
    uint64_t to;
    uint32_t msgid;
    switch (decoder) {
    case HELLO:
        return hello_decode(v, &hello, error);
    case TXN:
        return txn_params_decode(v, &txn, error);
    case OPEN:
        return session_params_decode(METHOD_SESSION_OPEN, v, &session, error);
    case CLOSE:
        return session_params_decode(METHOD_SESSION_CLOSE, v, &session, error);
    case TRANSFER:
        return transfer_decode(v, &to, error);
    case MEMBER:
        return member_params_decode(v, &member, error);
    case VERIFY:
        return verify_params_decode(v, &verify, error);
    case CANCEL:
        return cancel_decode(v, &msgid, error);
    case EMPTY:
        return empty_params_decode(v, error);
    }
    return 1;
}

static const struct value *unpack(const char *bytes, size_t len, struct arena *arena)
{
    const struct value *v = NULL;
    assert_int_equal(value_decode(span_make(bytes, len), &value_limits_request, arena, &v, NULL),
                     0);
    return v;
}

static void params_are_accepted_or_refused_with_their_place(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena arena;
        struct error error = {0};
        print_message("%d: %s\n", rows[i].decoder, rows[i].why);
        arena_init(&arena, 1 << 20);
        const struct value *v = unpack(rows[i].bytes, rows[i].len, &arena);
        int rc = decode(rows[i].decoder, v, &error);
        assert_int_equal(rc, rows[i].where == NULL ? 0 : CLADE_ERR_INVALID);
        if (rows[i].where != NULL) {
            assert_string_equal(error.where, rows[i].where);
        }
        arena_release(&arena);
    }
}

static void each_decoder_refuses_what_is_not_a_map(void **state)
{
    for (enum decoder d = HELLO; d <= EMPTY; d++) {
        assert_int_equal(decode(d, NULL, NULL), CLADE_ERR_INVALID);
    }
}

static void decoded_params_are_what_was_written(void **state)
{
    static const char hello_bytes[] = "\x84\xa8versions\x91\x01\xa6"
                                      "client\xa1"
                                      "c\xa9namespace\xa1n\xa4user\xa1u";
    static const char txn_bytes[] = "\x84\xa7"
                                    "command\xc4\x02xy\xa7session\x05\xa3seq\x09\xa8"
                                    "answered\x03";
    struct arena arena;
    struct hello_params hello;
    struct txn_params txn;
    arena_init(&arena, 1 << 20);
    const struct value *v = unpack(hello_bytes, sizeof hello_bytes - 1, &arena);
    assert_int_equal(hello_decode(v, &hello, NULL), 0);
    assert_true(hello.version_1);
    assert_true(span_equal_str(hello.client, "c"));
    assert_true(span_equal_str(hello.ns, "n"));
    assert_true(span_equal_str(hello.user, "u"));
    assert_int_equal(hello.on_behalf_of.len, 0);
    v = unpack(txn_bytes, sizeof txn_bytes - 1, &arena);
    assert_int_equal(txn_params_decode(v, &txn, NULL), 0);
    assert_true(span_equal_str(txn.command, "xy"));
    assert_int_equal(txn.session, 5);
    assert_int_equal(txn.seq, 9);
    assert_int_equal(txn.answered, 3);
    arena_release(&arena);
}

static void a_decoded_member_is_what_was_written(void **state)
{
    static const char add[] = "\x83\xa6"
                              "action\xa3"
                              "add\xa4node\x04\xa7"
                              "address\xa3"
                              "a:1";
    static const char demote[] = "\x83\xa6"
                                 "action\xa6"
                                 "demote\xa4node\x05\xa4wait\xc3";
    struct arena arena;
    struct member_params p;
    arena_init(&arena, 1 << 20);
    assert_int_equal(member_params_decode(unpack(add, sizeof add - 1, &arena), &p, NULL), 0);
    assert_int_equal(p.action, ACTION_ADD);
    assert_int_equal(p.node, 4);
    assert_true(span_equal_str(p.address, "a:1"));
    assert_true(p.promote && !p.wait);
    assert_int_equal(member_params_decode(unpack(demote, sizeof demote - 1, &arena), &p, NULL), 0);
    assert_int_equal(p.action, ACTION_DEMOTE);
    assert_int_equal(p.node, 5);
    assert_true(p.wait);
    arena_release(&arena);
}

static int decode_address(size_t len)
{
    struct arena arena;
    struct buffer b;
    struct member_params p;
    char address[512];
    memset(address, 'h', len - 2);
    memcpy(address + len - 2, ":1", 3);
    arena_init(&arena, 1 << 20);
    buffer_init(&b, 1024);
    value_put_map(&b, 3);
    value_put_str(&b, "action");
    value_put_str(&b, "add");
    value_put_str(&b, "node");
    value_put_uint(&b, 4);
    value_put_str(&b, "address");
    value_put_str(&b, address);
    const struct value *v = unpack((const char *)b.data, b.len, &arena);
    int rc = member_params_decode(v, &p, NULL);
    buffer_release(&b);
    arena_release(&arena);
    return rc;
}

static void an_address_that_a_node_cannot_have_is_refused(void **state)
{
    assert_int_equal(decode_address(CLADE_MAX_ADDRESS_BYTES), 0);
    assert_int_equal(decode_address(CLADE_MAX_ADDRESS_BYTES + 1), CLADE_ERR_INVALID);
}

static void a_hello_without_version_1_says_so(void **state)
{
    struct arena arena;
    struct hello_params hello;
    arena_init(&arena, 1 << 20);
    const struct value *v = unpack("\x81\xa8versions\x91\x02", 12, &arena);
    assert_int_equal(hello_decode(v, &hello, NULL), 0);
    assert_false(hello.version_1);
    arena_release(&arena);
}

static void a_name_above_its_limit_is_refused(void **state)
{
    struct arena arena;
    struct buffer b;
    struct hello_params hello;
    struct error error = {0};
    char user[CLADE_MAX_PRINCIPAL_BYTES + 2];
    memset(user, 'u', sizeof user - 1);
    user[sizeof user - 1] = '\0';
    arena_init(&arena, 1 << 20);
    buffer_init(&b, 4096);
    value_put_map(&b, 2);
    value_put_str(&b, "versions");
    value_put_array(&b, 0);
    value_put_str(&b, "user");
    value_put_str(&b, user);
    const struct value *v = unpack((const char *)b.data, b.len, &arena);
    assert_int_equal(hello_decode(v, &hello, &error), CLADE_ERR_INVALID);
    assert_string_equal(error.where, "user");
    buffer_release(&b);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(params_are_accepted_or_refused_with_their_place),
        cmocka_unit_test(each_decoder_refuses_what_is_not_a_map),
        cmocka_unit_test(decoded_params_are_what_was_written),
        cmocka_unit_test(a_decoded_member_is_what_was_written),
        cmocka_unit_test(an_address_that_a_node_cannot_have_is_refused),
        cmocka_unit_test(a_hello_without_version_1_says_so),
        cmocka_unit_test(a_name_above_its_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
