/* Settings: where they come from, which wins, and what is said of bad ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/config.h"

static int from_yaml(struct config *c, const char *text, struct error *e)
{
    return config_set_yaml(c, span_of(text), "x.yaml", e);
}

static void flag_wins_over_environment_over_file_over_default(void **state)
{
    struct config c;
    struct error e;
    config_init(&c);
    assert_string_equal(c.listen, "127.0.0.1:7400");
    assert_int_equal(from_yaml(&c, "listen: 127.0.0.1:1\nthreads: 3\nreaders: 5\n", &e), 0);
    assert_string_equal(c.listen, "127.0.0.1:1");
    (void)setenv("CLADE_LISTEN", "127.0.0.1:2", 1);
    (void)setenv("CLADE_THREADS", "4", 1);
    assert_int_equal(config_set_environment(&c, &e), 0);
    (void)unsetenv("CLADE_LISTEN");
    (void)unsetenv("CLADE_THREADS");
    assert_int_equal(config_set(&c, OPTION_LISTEN, span_of("127.0.0.1:3"), SOURCE_FLAG, 0, &e), 0);
    assert_string_equal(c.listen, "127.0.0.1:3");
    assert_int_equal(c.threads, 4);
    assert_int_equal(c.readers, 5);
    /* and in whatever order they are read */
    assert_int_equal(from_yaml(&c, "listen: 127.0.0.1:9\n", &e), 0);
    assert_string_equal(c.listen, "127.0.0.1:3");
}

static void a_value_that_loses_is_checked_all_the_same(void **state)
{
    struct config c;
    struct error e;
    config_init(&c);
    assert_int_equal(config_set(&c, OPTION_THREADS, span_of("2"), SOURCE_FLAG, 0, &e), 0);
    assert_int_equal(from_yaml(&c, "threads: many\n", &e), CLADE_ERR_INVALID);
    assert_int_equal(c.threads, 2);
}

static void bad_files_are_refused_with_key_value_expectation_and_line(void **state)
{
    static const struct {
        const char *text;
        const char *where;
        const char *says;
    } rows[] = {
        {"lissten: 1\n", "x.yaml line 1", "lissten"},
        {"threads: 2\nfoo: bar\n", "x.yaml line 2", "foo"},
        {"threads: 2\nthreads: 3\n", "x.yaml", ""},
        {"threads: 0x2\n", "x.yaml line 1", "threads: '0x2' is not a number from 1 to 64, or 0"},
        {"\n\nthreads: 65\n", "x.yaml line 3", "from 1 to 64"},
        {"threads: -1\n", "x.yaml line 1", "'-1'"},
        {"threads: 99999999999999999999999\n", "x.yaml line 1", "is not a number"},
        {"listen: localhost\n", "x.yaml line 1", "HOST:PORT"},
        {"listen: localhost:0\n", "x.yaml line 1", "HOST:PORT"},
        {"listen: 'a b:80'\n", "x.yaml line 1", "HOST:PORT"},
        {"log_format: xml\n", "x.yaml line 1", "one of: text json"},
        {"log_level: loud\n", "x.yaml line 1", "one of: debug info warning error"},
        {"allow_unauthenticated: yes\n", "x.yaml line 1", "true or false"},
        {"memory_max: 1GB\n", "x.yaml line 1", "KiB, MiB"},
        {"memory_max: 99999999999TiB\n", "x.yaml line 1", "memory_max"},
        {"cluster: 12\n", "x.yaml line 1", "32 lower-case hexadecimal digits"},
        {"data: ''\n", "x.yaml line 1", "1 to 1023 bytes"},
        {"data: [a, b]\n", "x.yaml line 1", ""},
        {"- a\n- b\n", "x.yaml", ""},
        {"threads: {a: b}\n", "x.yaml", ""},
        {"threads: &a 2\nreaders: *a\n", "x.yaml", ""},
        {"threads: 'open\n", "x.yaml", ""},
        {"just text\n", "x.yaml", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config c;
        struct error e = {.code = 0};
        config_init(&c);
        int r = from_yaml(&c, rows[i].text, &e);
        if (r != CLADE_ERR_INVALID || strstr(e.where, rows[i].where) == NULL ||
            strstr(e.message, rows[i].says) == NULL) {
            print_error("row %zu: %d, '%s': %s\n", i, r, e.where, e.message);
            fail();
        }
    }
}

static void an_address_that_no_other_node_would_take_is_refused(void **state)
{
    static const char *const keys[] = {"listen", "peer_listen", "advertise"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        for (int more = 0; more < 2; more++) {
            struct config c;
            struct error e = {.code = 0};
            char text[512];
            (void)snprintf(text, sizeof text, "%s: %0*d:7400\n", keys[i],
                           CLADE_MAX_ADDRESS_BYTES - 5 + more, 1);
            config_init(&c);
            assert_int_equal(from_yaml(&c, text, &e), more == 0 ? 0 : CLADE_ERR_INVALID);
        }
    }
}

static void an_empty_file_sets_nothing(void **state)
{
    struct config c;
    struct error e;
    config_init(&c);
    assert_int_equal(from_yaml(&c, "", &e), 0);
    assert_int_equal(from_yaml(&c, "# nothing: here\n\n", &e), 0);
    assert_int_equal(c.sources[OPTION_LISTEN], SOURCE_DEFAULT);
}

static void a_file_that_is_too_long_is_refused(void **state)
{
    struct config c;
    struct error e;
    char *text = malloc(CONFIG_FILE_BYTES + 2);
    assert_non_null(text);
    memset(text, '#', CONFIG_FILE_BYTES + 1);
    text[CONFIG_FILE_BYTES + 1] = 0;
    config_init(&c);
    assert_int_equal(from_yaml(&c, text, &e), CLADE_ERR_INVALID);
    free(text);
}

static void sizes_take_binary_units(void **state)
{
    struct config c;
    struct error e;
    config_init(&c);
    assert_int_equal(c.memory_max, 512u << 20);
    assert_int_equal(from_yaml(&c, "memory_max: 1GiB\nmap_bytes: 33554432\n", &e), 0);
    assert_int_equal(c.memory_max, 1u << 30);
    assert_int_equal(c.map_bytes, 32u << 20);
}

static void a_heartbeat_above_a_third_of_the_election_timeout_is_refused(void **state)
{
    struct config c;
    struct error e;
    config_init(&c);
    assert_int_equal(config_check(&c, &e), 0);
    assert_int_equal(from_yaml(&c, "election_timeout_ms: 200\n", &e), 0);
    assert_int_equal(config_check(&c, &e), CLADE_ERR_INVALID);
    assert_string_equal(e.where, "x.yaml line 1");
    assert_int_equal(config_set(&c, OPTION_HEARTBEAT_MS, span_of("66"), SOURCE_FLAG, 0, &e), 0);
    assert_int_equal(config_check(&c, &e), 0);
    assert_int_equal(config_set(&c, OPTION_HEARTBEAT_MS, span_of("67"), SOURCE_FLAG, 0, &e), 0);
    assert_int_equal(config_check(&c, &e), CLADE_ERR_INVALID);
    assert_string_equal(e.where, "flag --heartbeat-ms");
}

static void a_wildcard_is_listened_on_but_not_advertised(void **state)
{
    struct config c;
    struct error e;
    config_init(&c);
    assert_int_equal(from_yaml(&c, "listen: 0.0.0.0:7400\n", &e), 0);
    assert_int_equal(config_check(&c, &e), CLADE_ERR_INVALID);
    assert_string_equal(e.where, "x.yaml line 1");
    assert_int_equal(config_set(&c, OPTION_ADVERTISE, span_of("db1:7400"), SOURCE_FLAG, 0, &e), 0);
    assert_int_equal(config_check(&c, &e), 0);
}

static void environment_errors_name_the_variable(void **state)
{
    struct config c;
    struct error e;
    config_init(&c);
    (void)setenv("CLADE_LOG_FORMAT", "xml", 1);
    assert_int_equal(config_set_environment(&c, &e), CLADE_ERR_INVALID);
    (void)unsetenv("CLADE_LOG_FORMAT");
    assert_string_equal(e.where, "environment CLADE_LOG_FORMAT");
}

static void flags_are_found_with_dashes(void **state)
{
    assert_int_equal(option_by_flag(span_of("peer-listen")), OPTION_PEER_LISTEN);
    assert_int_equal(option_by_flag(span_of("peer_listen")), OPTION_PEER_LISTEN);
    assert_int_equal(option_by_flag(span_of("nothing")), OPTION_COUNT);
    assert_int_equal(option_by_flag(span_of("")), OPTION_COUNT);
    assert_true(option_is_bool(OPTION_ALLOW_UNAUTHENTICATED));
}

static void what_is_printed_reads_back_as_the_same(void **state)
{
    struct config c;
    struct config again;
    struct error e;
    char *text = NULL;
    size_t len = 0;
    config_init(&c);
    assert_int_equal(
        from_yaml(&c, "data: \"/x y/it's\"\nlog_format: json\nlisten: '[::1]:80'\n", &e), 0);
    FILE *f = open_memstream(&text, &len);
    assert_non_null(f);
    config_print(&c, f);
    (void)fclose(f);
    config_init(&again);
    int r = config_set_yaml(&again, span_make(text, len), "printed", &e);
    if (r != 0) {
        print_error("%s: %s\n", e.where, e.message);
    }
    free(text);
    assert_int_equal(r, 0);
    assert_string_equal(again.data, "/x y/it's");
    assert_string_equal(again.listen, "[::1]:80");
    assert_int_equal(again.log_format, LOG_JSON);
    assert_int_equal(again.memory_max, c.memory_max);
}

/* A file of its own in the working folder, removed by the caller. */
static const char *file_with(const char *text)
{
    static const char name[] = "test_config.yaml";
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0 && fclose(f) == 0, true);
    return name;
}

static void what_is_read_beside_has_the_flags_and_not_the_old_file(void **state)
{
    struct config c;
    struct config next;
    struct error e;
    config_init(&c);
    assert_int_equal(config_set(&c, OPTION_READERS, span_of("9"), SOURCE_FLAG, 0, &e), 0);
    assert_int_equal(from_yaml(&c, "log_bytes: 2MiB\nmemory_max: 64MiB\n", &e), 0);
    const char *file = file_with("readers: 3\nlog_level: debug\nmemory_max: 64MiB\n");
    assert_int_equal(config_read_beside(&c, file, &next, &e), 0);
    static const struct {
        enum option_id id;
        bool differs;
    } rows[] = {
        {OPTION_READERS, false},    /* the flag wins again */
        {OPTION_LOG_LEVEL, true},   /* new */
        {OPTION_LOG_BYTES, true},   /* the default again */
        {OPTION_MEMORY_MAX, false}, /* the same */
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(config_differs(&c, &next, rows[i].id), rows[i].differs);
    }
    config_take(&c, &next, OPTION_LOG_BYTES);
    config_take(&c, &next, OPTION_LOG_LEVEL);
    assert_int_equal(c.log_bytes, 64U << 20);
    assert_int_equal(c.log_level, LOG_DEBUG);
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        assert_false(config_differs(&c, &next, (enum option_id)i));
    }
    /* What is wrong, by itself or together, leaves no trace. */
    file = file_with("readers: 3\nheartbeat_ms: 900\n");
    assert_int_equal(config_read_beside(&c, file, &next, &e), CLADE_ERR_INVALID);
    assert_int_equal(next.heartbeat_ms, 100);
    (void)remove(file);
    assert_int_equal(config_read_beside(&c, file, &next, &e), CLADE_ERR_INVALID);
}

static void what_was_printed_is_read_with_its_sources(void **state)
{
    struct config c;
    struct config again;
    struct error e;
    config_init(&c);
    assert_int_equal(config_set(&c, OPTION_READERS, span_of("9"), SOURCE_FLAG, 0, &e), 0);
    assert_int_equal(config_set(&c, OPTION_THREADS, span_of("2"), SOURCE_ENVIRONMENT, 0, &e), 0);
    /* A value that looks like the comment behind it. */
    assert_int_equal(from_yaml(&c, "data: 'it''s # flag --data'\n", &e), 0);
    FILE *f = fopen("test_config.yaml", "w");
    assert_non_null(f);
    config_print(&c, f);
    assert_int_equal(fclose(f), 0);
    config_init(&again);
    assert_int_equal(config_set_running(&again, "test_config.yaml", &e), 0);
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        assert_false(config_differs(&c, &again, (enum option_id)i));
    }
    assert_int_equal(again.sources[OPTION_READERS], SOURCE_FLAG);
    assert_int_equal(again.sources[OPTION_THREADS], SOURCE_ENVIRONMENT);
    assert_int_equal(again.sources[OPTION_DATA], SOURCE_FILE);
    assert_int_equal(again.sources[OPTION_LISTEN], SOURCE_FILE);
    (void)remove("test_config.yaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flag_wins_over_environment_over_file_over_default),
        cmocka_unit_test(a_value_that_loses_is_checked_all_the_same),
        cmocka_unit_test(bad_files_are_refused_with_key_value_expectation_and_line),
        cmocka_unit_test(an_address_that_no_other_node_would_take_is_refused),
        cmocka_unit_test(an_empty_file_sets_nothing),
        cmocka_unit_test(a_file_that_is_too_long_is_refused),
        cmocka_unit_test(sizes_take_binary_units),
        cmocka_unit_test(a_heartbeat_above_a_third_of_the_election_timeout_is_refused),
        cmocka_unit_test(a_wildcard_is_listened_on_but_not_advertised),
        cmocka_unit_test(environment_errors_name_the_variable),
        cmocka_unit_test(flags_are_found_with_dashes),
        cmocka_unit_test(what_is_printed_reads_back_as_the_same),
        cmocka_unit_test(what_is_read_beside_has_the_flags_and_not_the_old_file),
        cmocka_unit_test(what_was_printed_is_read_with_its_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
