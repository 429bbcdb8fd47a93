#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/settings.h"

/* A settings file in a folder of its own, and an environment of pairs. */
struct fixture {
    char path[64];
    const char *const *environment; /* name, value, ..., NULL */
};

static struct fixture fixture;

static const char *lookup(const char *name)
{
    for (const char *const *pair = fixture.environment; pair != NULL && *pair != NULL; pair += 2) {
        if (strcmp(pair[0], name) == 0) {
            return pair[1];
        }
    }
    return NULL;
}

static void write_file(const char *text)
{
    memcpy(fixture.path, "/tmp/clade-settings-XXXXXX", 27);
    int fd = mkstemp(fixture.path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

static int load(const char *const words[], size_t len, struct settings *ret, struct error *error)
{
    struct args args;
    assert_int_equal(args_parse((int)len, words, &args, error), 0);
    int err = settings_load(&args, lookup, ret, error);
    args_release(&args);
    return err;
}

static void a_flag_wins_over_the_environment_and_that_over_the_file(void **state)
{
    write_file("endpoints: file:1\nnamespace: from/file\nuser: filer\nwrite: json\n");
    const char *const environment[] = {
        "CLADE_CONFIG", fixture.path, "CLADE_NAMESPACE", "from/env", "CLADE_ENDPOINTS",
        "env:1",        NULL};
    const char *const words[] = {"clade", "-e", "flag:1", "limits"};
    struct settings s;
    struct error error = {0};
    fixture.environment = environment;
    assert_int_equal(load(words, 4, &s, &error), 0);
    assert_string_equal(s.endpoints, "flag:1");
    assert_string_equal(s.ns, "from/env");
    assert_string_equal(s.user, "filer");
    assert_int_equal(s.write, WRITE_JSON);
    settings_release(&s);
    (void)unlink(fixture.path);
}

static void a_bad_file_is_refused_by_name(void **state)
{
    static const struct {
        const char *text;
        const char *complaint;
    } rows[] = {
        {"endpoint: a:1\n", "endpoint"},    /* an unknown key */
        {"endpoints: [a, b]\n", ""},        /* not a text */
        {"endpoints: a:1\n  bad: [\n", ""}, /* not YAML */
        {"- a\n", ""},                      /* not a mapping */
        {"write: xml\n", "is not table"},   /* not a value */
        {"timeout: soon\n", "is not a time"},
        {"user: \xff\n", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_file(rows[i].text);
        const char *const environment[] = {"CLADE_CONFIG", fixture.path, NULL};
        const char *const words[] = {"clade", "limits"};
        struct settings s;
        struct error error = {0};
        fixture.environment = environment;
        assert_int_equal(load(words, 2, &s, &error), CLADE_ERR_INVALID);
        if (strstr(error.message, rows[i].complaint) == NULL || error.message[0] == '\0') {
            fail_msg("%s: %s", rows[i].text, error.message);
        }
        settings_release(&s);
        (void)unlink(fixture.path);
    }
}

static void a_missing_file_matters_only_when_it_was_asked_for(void **state)
{
    const char *const words[] = {"clade", "limits"};
    const char *const asked[] = {"CLADE_CONFIG", "/nonexistent/config.yaml", NULL};
    const char *const home[] = {"HOME", "/nonexistent", NULL};
    struct settings s;
    struct error error = {0};
    fixture.environment = asked;
    assert_int_equal(load(words, 2, &s, &error), CLADE_ERR_INVALID);
    settings_release(&s);
    fixture.environment = home;
    assert_int_equal(load(words, 2, &s, &error), 0);
    assert_null(s.endpoints);
    settings_release(&s);
}

static void consistency_is_understood_or_refused(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        enum clade_consistency level;
        uint64_t at_least;
        uint64_t stale_ms;
    } rows[] = {
        {"linearizable", true, CLADE_LINEARIZABLE, 0, 0},
        {"local", true, CLADE_LOCAL, 0, 0},
        {"at-least", true, CLADE_AT_LEAST, 0, 0},
        {"at-least=12", true, CLADE_AT_LEAST, 12, 0},
        {"stale=500", true, CLADE_STALE, 0, 500},
        {"stale=2s", true, CLADE_STALE, 0, 2000},
        {"stale", false, 0, 0, 0},
        {"at-least=x", false, 0, 0, 0},
        {"strong", false, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct settings s = {0};
        assert_int_equal(settings_parse_consistency(rows[i].text, &s), rows[i].ok);
        assert_int_equal(s.consistency, rows[i].level);
        assert_int_equal(s.at_least, rows[i].at_least);
        assert_int_equal(s.stale_ms, rows[i].stale_ms);
    }
}

static void as_of_becomes_what_the_wire_takes(void **state)
{
    static const char *const rows[][2] = {
        {"17", "17"},
        {"2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"},
        {"2026-03-01T12:00", "2026-03-01T11:00:00Z"}, /* local time, one hour east */
        {"2026-03-01", "2026-03-01T22:59:59.999999Z"},
        {"soon", NULL},
    };
    fixture.environment = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const words[] = {"clade", "limits", "--as-of", rows[i][0]};
        struct settings s;
        struct error error = {0};
        int err = load(words, 4, &s, &error);
        assert_int_equal(err, rows[i][1] == NULL ? CLADE_ERR_INVALID : 0);
        if (err == 0) {
            assert_string_equal(s.as_of, rows[i][1]);
        }
        settings_release(&s);
    }
}

int main(void)
{
    (void)setenv("TZ", "UTC-1", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flag_wins_over_the_environment_and_that_over_the_file),
        cmocka_unit_test(a_bad_file_is_refused_by_name),
        cmocka_unit_test(a_missing_file_matters_only_when_it_was_asked_for),
        cmocka_unit_test(consistency_is_understood_or_refused),
        cmocka_unit_test(as_of_becomes_what_the_wire_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
