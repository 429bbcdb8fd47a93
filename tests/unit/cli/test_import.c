#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "cli/cli.h"
#include "cli/run.h"
#include "fake_clade.h"

struct outcome {
    int code;
    char *out;
    char *messages;
};

static void write_file(char path[32], const char *text)
{
    memcpy(path, "/tmp/clade-import-XXXXXX", 25);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

static struct outcome run(const char *const words[], int words_len)
{
    struct cli cli = {0};
    struct error error = {0};
    struct outcome o = {0};
    size_t out_len;
    size_t messages_len;
    cli.out = open_memstream(&o.out, &out_len);
    cli.messages = open_memstream(&o.messages, &messages_len);
    cli.settings.write = WRITE_JSON;
    assert_int_equal(args_parse(words_len, words, &cli.args, &error), 0);
    o.code = run_import(&cli);
    args_release(&cli.args);
    assert_int_equal(fclose(cli.out), 0);
    assert_int_equal(fclose(cli.messages), 0);
    return o;
}

static void outcome_release(struct outcome *o)
{
    free(o->out);
    free(o->messages);
}

static struct outcome run_json(const char *text, const char *flag)
{
    char path[32];
    write_file(path, text);
    const char *const words[] = {"clade", "import", path, flag};
    struct outcome o = run(words, flag == NULL ? 3 : 4);
    (void)unlink(path);
    return o;
}

static struct outcome run_graph(const char *nodes, const char *edges)
{
    char nodes_path[32];
    char edges_path[32];
    write_file(nodes_path, nodes);
    write_file(edges_path, edges);
    const char *const words[] = {"clade", "import", "--nodes", nodes_path, "--edges", edges_path};
    struct outcome o = run(words, 6);
    (void)unlink(nodes_path);
    (void)unlink(edges_path);
    return o;
}

static int reset(void **state)
{
    fake_reset();
    return 0;
}

#define CREATE(name) "{\"op\":\"create\",\"kind\":\"artifact\",\"name\":\"" name "\"}\n"
#define LINK(a, b)                                                                                 \
    "{\"op\":\"link\",\"from\":\"artifact/" a "\",\"label\":\"l\",\"to\":\"artifact/" b "\"}\n"

static void lines_that_overtook_what_they_need_are_tried_again(void **state)
{
    fake.newest_first = true;
    struct outcome o = run_json(CREATE("a") CREATE("b") LINK("a", "b") LINK("a", "none"), NULL);
    assert_int_equal(o.code, EXIT_REFUSED);
    assert_int_equal(fake.things, 2);
    assert_int_equal(fake.edges, 1);
    assert_null(strstr(o.messages, ":3: "));
    assert_non_null(strstr(o.messages, ":4: "));
    assert_int_equal(fake.sent, 6); /* the links twice */
    outcome_release(&o);
}

static void a_second_import_changes_nothing(void **state)
{
    static const char text[] = CREATE("a") CREATE("b") LINK("a", "b");
    struct outcome o = run_json(text, NULL);
    assert_int_equal(o.code, EXIT_DONE);
    assert_non_null(strstr(o.out, "\"read\":3,\"created\":3,"));
    outcome_release(&o);
    o = run_json(text, NULL);
    assert_int_equal(o.code, EXIT_DONE);
    assert_non_null(strstr(o.out, "\"created\":0,\"changed\":0,\"unchanged\":3,\"refused\":0"));
    outcome_release(&o);
}

static void a_bad_line_is_named_and_the_rest_goes_on(void **state)
{
    struct outcome o = run_json(CREATE("a") "nonsense\n\n" CREATE("bad") CREATE("b"), NULL);
    assert_int_equal(o.code, EXIT_REFUSED);
    assert_int_equal(fake.things, 2);
    assert_non_null(strstr(o.messages, ":2: "));
    assert_non_null(strstr(o.messages, ":4: "));
    assert_non_null(
        strstr(o.out, "\"read\":4,\"created\":2,\"changed\":0,\"unchanged\":0,\"refused\":2"));
    outcome_release(&o);
}

static void strict_stops_at_the_first_refused_line(void **state)
{
    struct outcome o = run_json(CREATE("a") "nonsense\n" CREATE("b"), "--strict");
    assert_int_equal(o.code, EXIT_REFUSED);
    assert_int_equal(fake.things, 1);
    outcome_release(&o);
}

static void a_cluster_that_is_away_stops_the_import(void **state)
{
    static const struct {
        int error;
        int code;
    } rows[] = {{CLADE_ERR_UNAVAILABLE, EXIT_UNAVAILABLE}, {CLADE_ERR_UNKNOWN, EXIT_UNKNOWN}};
    for (size_t i = 0; i < 2; i++) {
        fake_reset();
        fake.fail_with = rows[i].error;
        struct outcome o = run_json(CREATE("a") CREATE("b"), NULL);
        assert_int_equal(o.code, rows[i].code);
        assert_non_null(strstr(o.out, "\"refused\":0"));
        outcome_release(&o);
    }
}

static void a_graph_arrives_with_types_and_stubs(void **state)
{
    struct outcome o = run_graph("a\tdataset\tann\nm\tmodel\t\n", "m\ttrained_on\ta\n"
                                                                  "a\tcites\tpaper\n"
                                                                  "a\tlike\tmodel/m\n");
    assert_int_equal(o.code, EXIT_DONE);
    assert_int_equal(fake.things, 4); /* a, m, paper, the type */
    assert_int_equal(fake.edges, 3);
    assert_non_null(strstr(o.out, "\"read\":5,\"created\":5,"));
    assert_non_null(strstr(o.out, "\"implied\":2}"));
    outcome_release(&o);
}

/* 1,200 nodes of which every 200th is bad. */
static void import_bad_nodes(void)
{
    struct buffer b;
    buffer_init(&b, 1 << 20);
    for (int i = 0; i < 1200; i++) {
        buffer_append_fmt(&b, "%s-%d\tdataset\t\n", i % 200 == 7 ? "bad" : "good", i);
    }
    buffer_append_u8(&b, '\0');
    struct outcome o = run_graph((const char *)b.data, "");
    assert_int_equal(o.code, EXIT_REFUSED);
    assert_int_equal(fake.things, 1200 - 6 + 1);
    assert_non_null(strstr(o.out, "\"created\":1194,\"changed\":0,\"unchanged\":0,\"refused\":6"));
    for (int i = 7; i < 1200; i += 200) {
        char line[16];
        (void)snprintf(line, sizeof line, ":%d: ", i + 1);
        assert_non_null(strstr(o.messages, line));
    }
    outcome_release(&o);
    buffer_release(&b);
}

static void a_refused_batch_is_cut_where_the_error_says(void **state)
{
    import_bad_nodes();
    assert_true(fake.sent <= 3 + 6 * 3);
}

static void a_refused_batch_is_halved_when_the_error_says_nothing(void **state)
{
    fake.names_no_place = true;
    import_bad_nodes();
}

static void what_is_in_flight_is_bounded(void **state)
{
    struct buffer b;
    buffer_init(&b, 8 << 20);
    for (int i = 0; i < 20000; i++) {
        buffer_append_fmt(&b, "n%d\tdataset\tp\n", i);
    }
    buffer_append_u8(&b, '\0');
    struct outcome o = run_graph((const char *)b.data, "");
    assert_int_equal(o.code, EXIT_DONE);
    assert_int_equal(fake.things, 20001);
    assert_true(fake.waiting_max <= 8);
    assert_true(fake.operations_max <= 501);
    outcome_release(&o);
    buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lines_that_overtook_what_they_need_are_tried_again, reset),
        cmocka_unit_test_setup(a_second_import_changes_nothing, reset),
        cmocka_unit_test_setup(a_bad_line_is_named_and_the_rest_goes_on, reset),
        cmocka_unit_test_setup(strict_stops_at_the_first_refused_line, reset),
        cmocka_unit_test_setup(a_cluster_that_is_away_stops_the_import, reset),
        cmocka_unit_test_setup(a_graph_arrives_with_types_and_stubs, reset),
        cmocka_unit_test_setup(a_refused_batch_is_cut_where_the_error_says, reset),
        cmocka_unit_test_setup(a_refused_batch_is_halved_when_the_error_says_nothing, reset),
        cmocka_unit_test_setup(what_is_in_flight_is_bounded, reset),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_reset();
    return failed;
}
