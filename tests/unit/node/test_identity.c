/* Who a data folder belongs to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/identity.h"

static struct identity make(uint64_t node, const char *const members[], const char *name)
{
    struct identity id = {.node = node};
    struct error e;
    (void)snprintf(id.name, sizeof id.name, "%s", name);
    for (size_t i = 0; members[i] != NULL; i++) {
        assert_int_equal(identity_add_member(&id, span_of(members[i]), &e), 0);
    }
    assert_int_equal(identity_complete(&id, &e), 0);
    return id;
}

static const char *const three[] = {"1=a:1", "2=b:2", "3=c:3", NULL};
static const char *const mixed[] = {"3=c:3", "1=a:1", "2=b:2", NULL};
static const char *const other[] = {"1=a:1", "2=b:2", "3=c:4", NULL};

static void the_cluster_id_is_the_same_on_each_node_and_in_any_order(void **state)
{
    struct identity a = make(1, three, "x");
    struct identity b = make(2, mixed, "x");
    assert_true(a.cluster.low == b.cluster.low && a.cluster.high == b.cluster.high);
    assert_string_equal(identity_address(&b), "b:2");
    assert_false(identity_equal(&a, &b));
    struct identity c = make(1, three, "y");
    struct identity d = make(1, other, "x");
    assert_true(a.cluster.low != c.cluster.low);
    assert_true(a.cluster.low != d.cluster.low);
}

static void bad_members_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "=a:1",
                                      "0=a:1",
                                      "x=a:1",
                                      "1=a",
                                      "1=:80",
                                      "1=a:",
                                      "-1=a:1",
                                      "1=::1:80",
                                      "2=b:2",
                                      "9=a:1",
                                      "99999999999999999999999=c:1",
                                      "4=a\n:1",
                                      NULL};
    struct identity id = {.node = 2};
    struct error e;
    assert_int_equal(identity_add_member(&id, span_of("2=a:1"), &e), 0);
    for (size_t i = 0; bad[i] != NULL; i++) {
        if (identity_add_member(&id, span_of(bad[i]), &e) != CLADE_ERR_INVALID) {
            print_error("'%s' was taken\n", bad[i]);
            fail();
        }
    }
    assert_int_equal(id.members_len, 1);
    id.node = 7;
    assert_int_equal(identity_complete(&id, &e), CLADE_ERR_INVALID);
}

static size_t write_and_load(const struct identity *id, char *path, uint8_t *bytes, size_t max)
{
    struct error e;
    char folder[] = "/tmp/clade-identity-XXXXXX";
    assert_non_null(mkdtemp(folder));
    assert_int_equal(identity_write(id, false, folder, &e), 0);
    (void)snprintf(path, 64, "%s/identity", folder);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(bytes, 1, max, f);
    (void)fclose(f);
    return n;
}

static void forget(char *path)
{
    (void)unlink(path);
    *strrchr(path, '/') = 0;
    (void)rmdir(path);
}

static void written_then_read_is_the_same(void **state)
{
    char path[64];
    uint8_t bytes[4096];
    struct error e;
    struct identity id = make(2, three, "the cluster");
    (void)write_and_load(&id, path, bytes, sizeof bytes);
    struct identity again;
    assert_int_equal(identity_read(path, &again, &e), 0);
    assert_true(identity_equal(&id, &again));
    forget(path);
    assert_int_equal(identity_read(path, &again, &e), CLADE_ERR_NOT_FOUND);
}

static void every_flipped_bit_and_every_cut_is_found(void **state)
{
    char path[64];
    uint8_t bytes[4096];
    struct error e;
    struct identity id = make(2, three, "n");
    struct identity ret;
    size_t n = write_and_load(&id, path, bytes, sizeof bytes);
    forget(path);
    for (size_t len = 0; len + 1 < n; len++) { /* without its last newline it is whole */
        assert_true(identity_parse(span_make(bytes, len), "p", &ret, &e) < 0);
    }
    for (size_t bit = 0; bit < n * 8 - 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (identity_parse(span_make(bytes, n), "p", &ret, &e) == 0) {
            print_error("bit %zu\n", bit);
            fail();
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_newer_format_is_unsupported_whatever_follows(void **state)
{
    struct identity ret;
    struct error e;
    assert_int_equal(identity_parse(span_of("format=2\nnew=thing\n"), "p", &ret, &e),
                     CLADE_ERR_UNSUPPORTED);
    assert_int_equal(identity_parse(span_of("format=0\n"), "p", &ret, &e), CLADE_ERR_CORRUPT);
    assert_int_equal(identity_parse(span_of("something else"), "p", &ret, &e), CLADE_ERR_CORRUPT);
}

static void a_node_that_joins_takes_the_cluster_that_it_is_told(void **state)
{
    static const char cluster[] = "00112233445566778899aabbccddeeff";
    struct identity id = {.node = 2};
    struct identity again;
    struct error e;
    char path[64];
    char text[33];
    uint8_t bytes[4096];
    assert_int_equal(identity_add_member(&id, span_of("2=b:2"), &e), 0);
    assert_int_equal(identity_complete_joined(&id, cluster, &e), CLADE_ERR_INVALID);
    assert_non_null(strstr(e.message, "to ask"));
    assert_int_equal(identity_add_member(&id, span_of("1=a:1"), &e), 0);
    assert_int_equal(identity_complete_joined(&id, "", &e), CLADE_ERR_INVALID);
    assert_non_null(strstr(e.message, "--cluster"));
    assert_int_equal(identity_complete_joined(&id, cluster, &e), 0);
    (void)write_and_load(&id, path, bytes, sizeof bytes);
    assert_int_equal(identity_read(path, &again, &e), 0);
    forget(path);
    assert_true(again.joined && identity_equal(&id, &again));
    hash128_format(again.cluster, text);
    assert_string_equal(text, cluster);
    assert_int_equal(identity_complete(&again, &e), 0);
    assert_false(again.joined || identity_equal(&id, &again));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cluster_id_is_the_same_on_each_node_and_in_any_order),
        cmocka_unit_test(bad_members_are_refused),
        cmocka_unit_test(written_then_read_is_the_same),
        cmocka_unit_test(every_flipped_bit_and_every_cut_is_found),
        cmocka_unit_test(a_newer_format_is_unsupported_whatever_follows),
        cmocka_unit_test(a_node_that_joins_takes_the_cluster_that_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
