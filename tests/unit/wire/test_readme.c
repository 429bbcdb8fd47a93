/* The byte examples of client/wire/README.md are what the code writes, and reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "command/query.h"
#include "command/txn.h"
#include "tests/unit/storage/fixture.h"
#include "wire/frame.h"
#include "wire/message.h"

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads the bytes between "```hex NAME" and "```"; a ';' begins a remark to the line's end. */
static void example(const char *name, struct buffer *b)
{
    char head[64];
    char *text = read_file(WIRE_README);
    snprintf(head, sizeof head, "```hex %s\n", name);
    char *at = strstr(text, head);
    assert_non_null(at);
    at += strlen(head);
    while (strncmp(at, "```", 3) != 0) {
        assert_true(*at != '\0');
        if (*at == ';') {
            at = strchr(at, '\n');
        } else if (digit(at[0]) >= 0) {
            assert_true(digit(at[1]) >= 0);
            buffer_append_u8(b, (uint8_t)(digit(at[0]) << 4 | digit(at[1])));
            at++;
        }
        at++;
    }
    free(text);
}

static void check_example(const char *name, struct buffer *written)
{
    struct buffer shown;
    buffer_init(&shown, 4096);
    example(name, &shown);
    assert_false(written->failed);
    for (size_t i = 0; i < written->len; i++) {
        printf("%02x%c", written->data[i], i + 1 == written->len ? '\n' : ' ');
    }
    assert_int_equal(shown.len, written->len);
    assert_memory_equal(shown.data, written->data, shown.len);
    buffer_release(&shown);
    buffer_release(written);
}

static void put_pair(struct buffer *b, const char *key, const char *value)
{
    value_put_str(b, key);
    value_put_str(b, value);
}

static void put_number(struct buffer *b, const char *key, uint64_t value)
{
    value_put_str(b, key);
    value_put_uint(b, value);
}

static void the_hello_is_as_shown(void **state)
{
    struct buffer b;
    buffer_init(&b, 4096);
    size_t at = request_begin(&b, 1, METHOD_HELLO, 2);
    value_put_str(&b, "versions");
    value_put_array(&b, 1);
    value_put_uint(&b, WIRE_VERSION);
    put_pair(&b, "user", "ann");
    frame_end(&b, at);
    check_example("hello", &b);
}

static void put_command(struct buffer *b)
{
    value_put_map(b, 2);
    put_number(b, "v", TXN_VERSION);
    value_put_str(b, "ops");
    value_put_array(b, 1);
    value_put_map(b, 3);
    put_pair(b, "op", "create");
    put_pair(b, "kind", "artifact");
    put_pair(b, "name", "a");
}

static void the_txn_is_as_shown(void **state)
{
    struct buffer b;
    struct buffer command;
    buffer_init(&b, 4096);
    buffer_init(&command, 4096);
    put_command(&command);
    size_t at = request_begin(&b, 2, METHOD_TXN, 5);
    value_put_str(&b, "command");
    value_put_bytes(&b, buffer_span(&command));
    put_number(&b, "deadline_ms", 9500);
    put_number(&b, "session", 7);
    put_number(&b, "seq", 1);
    put_number(&b, "answered", 1);
    frame_end(&b, at);
    check_example("txn", &b);
    buffer_release(&command);
}

static void the_txn_shown_is_understood(void **state)
{
    struct buffer shown;
    struct arena arena;
    struct message m;
    struct txn_params params;
    struct txn txn;
    struct span payload;
    size_t len;
    buffer_init(&shown, 4096);
    arena_init(&arena, 1 << 20);
    example("txn", &shown);
    assert_int_equal(frame_parse(buffer_span(&shown), CLADE_MAX_FRAME_BYTES, &payload, &len, NULL),
                     0);
    assert_int_equal(message_decode(payload, &value_limits_request, &arena, &m, NULL), 0);
    assert_int_equal(txn_params_decode(m.params, &params, NULL), 0);
    assert_int_equal(txn_decode(params.command, &arena, &txn, NULL), 0);
    assert_int_equal(txn.ops_len, 1);
    assert_int_equal(txn.ops[0].op, OP_CREATE);
    assert_true(span_equal_str(txn.ops[0].name, "a"));
    arena_release(&arena);
    buffer_release(&shown);
}

static void the_answer_is_as_shown(void **state)
{
    struct buffer b;
    struct buffer data;
    struct answer_head head = {
        .revision = 12, .node = 2, .term = 3, .has_time = true, .time_us = 1767225600000000};
    buffer_init(&b, 4096);
    buffer_init(&data, 4096);
    value_put_array(&data, 1);
    value_put_map(&data, 3);
    put_pair(&data, "status", "created");
    put_number(&data, "id", 5);
    put_pair(&data, "ref", "artifact/a");
    answer_write(&b, 2, &head, buffer_span(&data));
    check_example("answer", &b);
    buffer_release(&data);
}

static void the_watch_is_as_shown(void **state)
{
    struct buffer b;
    buffer_init(&b, 4096);
    size_t at = request_begin(&b, 4, METHOD_WATCH, 2);
    value_put_str(&b, "from");
    value_put_uint(&b, 12);
    value_put_str(&b, "kinds");
    value_put_array(&b, 1);
    value_put_str(&b, "version");
    frame_end(&b, at);
    check_example("watch", &b);
}

static void the_event_and_the_credit_are_as_shown(void **state)
{
    struct buffer b;
    buffer_init(&b, 4096);
    size_t at = notification_begin(&b, METHOD_EVENT, 3);
    value_put_str(&b, "msgid");
    value_put_uint(&b, 4);
    value_put_str(&b, "next");
    value_put_uint(&b, 13);
    value_put_str(&b, "events");
    value_put_array(&b, 1);
    value_put_map(&b, 4);
    value_put_str(&b, "revision");
    value_put_uint(&b, 12);
    value_put_str(&b, "time");
    value_put_uint(&b, 1767225600000000);
    value_put_str(&b, "principal");
    value_put_str(&b, "ann");
    value_put_str(&b, "things");
    value_put_array(&b, 1);
    value_put_map(&b, 5);
    value_put_str(&b, "id");
    value_put_uint(&b, 5);
    value_put_str(&b, "kind");
    value_put_str(&b, "version");
    value_put_str(&b, "ref");
    value_put_str(&b, "version/m/1");
    value_put_str(&b, "change");
    value_put_str(&b, "created");
    value_put_str(&b, "fields");
    value_put_map(&b, 0);
    frame_end(&b, at);
    uint64_t bytes = b.len;
    check_example("event", &b);
    buffer_init(&b, 4096);
    notification_write_credit(&b, 4, bytes);
    check_example("credit", &b);
}

static void the_error_is_as_shown(void **state)
{
    struct buffer b;
    struct error e;
    buffer_init(&b, 4096);
    error_set(&e, CLADE_ERR_NOT_FOUND, "ops[0].ref", "there is no run/r");
    answer_write_error(&b, 3, &e, (struct span){0});
    check_example("error", &b);
}

/* The store that the reads are of. */
static void make_store(struct fixture *f)
{
    static const char *const txns[] = {
        "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'},"
        "{'op':'create','kind':'model','name':'m'},"
        "{'op':'create','kind':'version','model':'model/m','as':'v'},"
        "{'op':'link','from':'$v','label':'trained_on','to':'artifact/a'},"
        "{'op':'set_alias','ref':'$v','alias':'best'}]}",
        "{'v':1,'ops':[{'op':'create','kind':'version','model':'model/m'}]}",
        "{'v':1,'ops':[{'op':'link','from':'version/m/2','label':'trained_on','to':'artifact/a'},"
        "{'op':'log','ref':'version/m/2','params':{'lr':'0.1'}}]}",
    };
    for (size_t i = 0; i < sizeof txns / sizeof *txns; i++) {
        assert_int_equal(fixture_txn(f, txns[i]), 0);
    }
}

/* The request that is shown gets the answer that is shown. */
static void check_read(struct fixture *f, enum method method, enum query_kind kind)
{
    char answer[64];
    struct message m;
    struct span payload;
    size_t len;
    struct query query;
    struct buffer shown;
    struct buffer written;
    struct reader_budget budget = {.visits_max = 1000};
    buffer_init(&shown, 4096);
    buffer_init(&written, 4096);
    buffer_clear(&f->out);
    example(method_name(method), &shown);
    assert_int_equal(frame_parse(buffer_span(&shown), CLADE_MAX_FRAME_BYTES, &payload, &len, NULL),
                     0);
    assert_int_equal(message_decode(payload, &value_limits_request, &f->arena, &m, NULL), 0);
    assert_int_equal(method_parse(m.method), method);
    assert_int_equal(query_decode(kind, m.params, &f->arena, &query, &f->error), 0);
    assert_int_equal(reader_query(f->reader, &query, span_of("default"), &budget, &f->arena,
                                  &f->out, &f->answer, &f->error),
                     0);
    const struct answer_head head = {.revision = f->answer.revision,
                                     .node = 1,
                                     .term = 2,
                                     .has_complete = true,
                                     .complete = f->answer.complete};
    answer_write(&written, m.msgid, &head, buffer_span(&f->out));
    snprintf(answer, sizeof answer, "%s answer", method_name(method));
    check_example(answer, &written);
    buffer_release(&shown);
}

static void the_reads_shown_get_the_answers_shown(void **state)
{
    struct fixture *f = *state;
    make_store(f);
    check_read(f, METHOD_IMPACT, QUERY_IMPACT);
    check_read(f, METHOD_PROVENANCE, QUERY_PROVENANCE);
    check_read(f, METHOD_PATHS, QUERY_PATHS);
    check_read(f, METHOD_DIFF, QUERY_DIFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hello_is_as_shown),
        cmocka_unit_test(the_txn_is_as_shown),
        cmocka_unit_test(the_txn_shown_is_understood),
        cmocka_unit_test(the_answer_is_as_shown),
        cmocka_unit_test(the_error_is_as_shown),
        cmocka_unit_test(the_watch_is_as_shown),
        cmocka_unit_test(the_event_and_the_credit_are_as_shown),
        cmocka_unit_test_setup_teardown(the_reads_shown_get_the_answers_shown, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
