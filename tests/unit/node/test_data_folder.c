/* A data folder is made once, whole, and refuses to be taken for another's. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/data_folder.h"

struct fixture {
    char root[64];
    char path[80];
    char copy[80];
    struct identity identity;
    struct data_folder folder;
    struct error error;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->root, sizeof f->root, "/tmp/clade-folder-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    (void)snprintf(f->path, sizeof f->path, "%s/n1", f->root);
    (void)snprintf(f->copy, sizeof f->copy, "%s/n2", f->root);
    f->identity.node = 1;
    assert_int_equal(identity_add_member(&f->identity, span_of("1=127.0.0.1:1"), NULL), 0);
    assert_int_equal(identity_add_member(&f->identity, span_of("2=127.0.0.1:2"), NULL), 0);
    assert_int_equal(identity_complete(&f->identity, NULL), 0);
    f->folder.lock_fd = -1;
    *state = f;
    return 0;
}

static void shell(const char *fmt, const char *a, const char *b)
{
    char command[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(command, sizeof command, fmt, a, b);
#pragma GCC diagnostic pop
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    data_folder_close(&f->folder);
    shell("rm -rf '%s'", f->root, "");
    free(f);
    return 0;
}

static int init(struct fixture *f, const char *path)
{
    return data_folder_init(path, &f->identity, &f->error);
}

static int open_it(struct fixture *f)
{
    return data_folder_open(f->path, "", 0, &f->folder, &f->error);
}

static void assert_refused(struct fixture *f, int code, const char *says)
{
    int r = open_it(f);
    if (r != code || strstr(f->error.message, says) == NULL) {
        print_error("%d: %s: %s\n", r, f->error.where, f->error.message);
        fail();
    }
}

static void made_then_opened_is_the_same_node(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, f->path), 0);
    assert_int_equal(open_it(f), 0);
    assert_true(identity_equal(&f->folder.identity, &f->identity));
    assert_non_null(strstr(f->folder.store_path, "/store/1"));
}

static void init_again_is_harmless_and_with_other_members_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, f->path), 0);
    assert_int_equal(init(f, f->path), 1);
    assert_int_equal(identity_add_member(&f->identity, span_of("3=127.0.0.1:3"), NULL), 0);
    assert_int_equal(identity_complete(&f->identity, NULL), 0);
    assert_int_equal(init(f, f->path), CLADE_ERR_INVALID);
    assert_int_equal(open_it(f), 0);
}

static void init_refuses_a_folder_with_something_in_it(void **state)
{
    struct fixture *f = *state;
    shell("mkdir '%s' && touch '%s/file'", f->path, f->path);
    assert_int_equal(init(f, f->path), CLADE_ERR_INVALID);
    assert_non_null(strstr(f->error.message, "not empty"));
}

static void init_refuses_a_used_folder_whose_identity_was_lost(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, f->path), 0);
    shell("rm '%s/identity'%s", f->path, "");
    assert_int_equal(init(f, f->path), CLADE_ERR_INVALID);
}

static void an_interrupted_init_can_be_repeated(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, f->path), 0);
    /* as if it had stopped before the identity was renamed into place */
    shell("mv '%s/identity' '%s/identity.new'", f->path, f->path);
    shell("touch '%s/INIT' && rm '%s/store/CURRENT'", f->path, f->path);
    assert_refused(f, CLADE_ERR_NOT_FOUND, "interrupted");
    assert_int_equal(init(f, f->path), 0);
    assert_int_equal(open_it(f), 0);
}

static void a_folder_that_was_opened_is_not_made_anew(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, f->path), 0);
    shell("touch '%s/INIT'%s", f->path, ""); /* killed before it removed it */
    assert_int_equal(open_it(f), 0);
    data_folder_close(&f->folder);
    shell("touch '%s/store/1/data.mdb' && rm '%s/identity'", f->path, f->path);
    assert_int_equal(init(f, f->path), CLADE_ERR_INVALID);
    shell("test -f '%s/store/1/data.mdb'%s", f->path, "");
}

static void a_folder_that_is_not_there_or_was_not_made_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, CLADE_ERR_NOT_FOUND, "claded init");
    shell("mkdir '%s'%s", f->path, "");
    assert_refused(f, CLADE_ERR_NOT_FOUND, "claded init");
}

static void a_locked_folder_is_refused_with_the_pid(void **state)
{
    struct fixture *f = *state;
    char pid[32];
    assert_int_equal(init(f, f->path), 0);
    assert_int_equal(open_it(f), 0);
    (void)snprintf(pid, sizeof pid, "pid %ld", (long)getpid());
    struct data_folder second;
    assert_int_equal(data_folder_open(f->path, "", 0, &second, &f->error), CLADE_ERR_IN_USE);
    assert_non_null(strstr(f->error.message, pid));
    data_folder_close(&f->folder);
    assert_int_equal(open_it(f), 0);
}

static bool disk_is_full;

/* In place of libc's. */
ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    if (disk_is_full) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, len, at);
}

static void a_full_disk_does_not_keep_a_folder_from_being_opened(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, f->path), 0);
    disk_is_full = true;
    int r = open_it(f);
    disk_is_full = false;
    assert_int_equal(r, 0);
    struct data_folder second;
    assert_int_equal(data_folder_open(f->path, "", 0, &second, &f->error), CLADE_ERR_IN_USE);
}

static void another_cluster_or_node_than_asked_for_is_refused(void **state)
{
    struct fixture *f = *state;
    char cluster[33];
    assert_int_equal(init(f, f->path), 0);
    hash128_format(f->identity.cluster, cluster);
    assert_int_equal(data_folder_open(f->path, cluster, 2, &f->folder, &f->error),
                     CLADE_ERR_INVALID);
    assert_non_null(strstr(f->error.message, "not to node 2"));
    cluster[0] = cluster[0] == 'a' ? 'b' : 'a';
    assert_int_equal(data_folder_open(f->path, cluster, 1, &f->folder, &f->error),
                     CLADE_ERR_INVALID);
    assert_non_null(strstr(f->error.message, "not to"));
}

static void parts_of_two_nodes_mixed_up_are_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, f->path), 0);
    f->identity.node = 2;
    assert_int_equal(identity_complete(&f->identity, NULL), 0);
    assert_int_equal(init(f, f->copy), 0);
    shell("mv '%s/raft' '%s/old'", f->path, f->path);
    shell("cp -r '%s/raft' '%s/raft'", f->copy, f->path);
    assert_refused(f, CLADE_ERR_INVALID, "mixed");
}

static void a_newer_format_and_damage_are_told_apart(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, f->path), 0);
    shell("sed -i 's/^node=1/node=2/' '%s/identity'%s", f->path, "");
    assert_refused(f, CLADE_ERR_CORRUPT, "checksum");
    shell("sed -i 's/^format=1/format=2/' '%s/identity'%s", f->path, "");
    assert_refused(f, CLADE_ERR_UNSUPPORTED, "newer");
}

static void a_store_that_CURRENT_does_not_name_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"", "../x\n", "2\n", "1", ".\n", NULL};
    assert_int_equal(init(f, f->path), 0);
    for (size_t i = 0; bad[i] != NULL; i++) {
        shell("printf '%s' > '%s/store/CURRENT'", bad[i], f->path);
        if (open_it(f) != CLADE_ERR_CORRUPT) {
            print_error("'%s' was taken\n", bad[i]);
            fail();
        }
    }
}

/* As a node that took over a copy of another's store: 2 is current, 1 is still there. */
static void adopt_a_copy(struct fixture *f)
{
    char incoming[1600];
    shell("mkdir -p '%s/store/incoming' && touch '%s/store/incoming/data.mdb'", f->path, f->path);
    (void)snprintf(incoming, sizeof incoming, "%s/incoming", f->folder.store_folder);
    if (data_folder_adopt_store(&f->folder, incoming, &f->error) != 0) {
        print_error("%s: %s\n", f->error.where, f->error.message);
        fail();
    }
}

static void an_adopted_copy_is_the_store_from_then_on(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, f->path), 0);
    assert_int_equal(open_it(f), 0);
    adopt_a_copy(f);
    assert_non_null(strstr(f->folder.store_path, "/store/2"));
    shell("test -d '%s/store/1' && ! test -e '%s/store/incoming'", f->path, f->path);
    data_folder_close(&f->folder);
    assert_int_equal(open_it(f), 0);
    assert_non_null(strstr(f->folder.store_path, "/store/2"));
    shell("test -f '%s/store/2/data.mdb'%s", f->path, "");
}

static void a_replaced_store_can_be_removed_and_the_current_one_not(void **state)
{
    struct fixture *f = *state;
    char old[1600];
    assert_int_equal(init(f, f->path), 0);
    assert_int_equal(open_it(f), 0);
    (void)snprintf(old, sizeof old, "%s", f->folder.store_path);
    assert_int_equal(data_folder_remove_store(&f->folder, old, &f->error), CLADE_ERR_INVALID);
    adopt_a_copy(f);
    assert_int_equal(data_folder_remove_store(&f->folder, old, &f->error), 0);
    shell("! test -e '%s/store/1'%s", f->path, "");
    assert_int_equal(data_folder_remove_store(&f->folder, f->folder.store_path, &f->error),
                     CLADE_ERR_INVALID);
}

static void opening_removes_stores_that_are_not_current_and_keeps_a_copy_under_way(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, f->path), 0);
    shell("mkdir '%s/store/7' && touch '%s/store/7/data.mdb'", f->path, f->path);
    shell("mkdir '%s/store/incoming' && touch '%s/store/incoming/progress'", f->path, f->path);
    /* a write of CURRENT that was cut short */
    shell("printf 7 > '%s/store/CURRENT.new'%s", f->path, "");
    assert_int_equal(open_it(f), 0);
    assert_non_null(strstr(f->folder.store_path, "/store/1"));
    shell("! test -e '%s/store/7' && test -f '%s/store/incoming/progress'", f->path, f->path);
    adopt_a_copy(f);
}

static unsigned renames_left; /* until one fails; 0 = never */

/* In place of libc's. */
int rename(const char *from, const char *to)
{
    if (renames_left > 0 && --renames_left == 0) {
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_rename, from, to);
}

static void a_copy_stays_where_it_is_until_there_is_room_to_adopt_it(void **state)
{
    struct fixture *f = *state;
    char incoming[1600];
    assert_int_equal(init(f, f->path), 0);
    assert_int_equal(open_it(f), 0);
    shell("mkdir '%s/store/incoming' && touch '%s/store/incoming/data.mdb'", f->path, f->path);
    (void)snprintf(incoming, sizeof incoming, "%s/incoming", f->folder.store_folder);
    for (unsigned fails = 0; fails <= 2; fails++) {
        disk_is_full = fails == 0; /* and then the renames, one by one */
        renames_left = fails;
        int r = data_folder_adopt_store(&f->folder, incoming, &f->error);
        disk_is_full = false;
        renames_left = 0;
        assert_int_equal(r, CLADE_ERR_NO_SPACE);
        assert_non_null(strstr(f->folder.store_path, "/store/1"));
        shell("test \"$(cat '%s/store/CURRENT')\" = 1 && test -f '%s/store/incoming/data.mdb'",
              f->path, f->path);
    }
    adopt_a_copy(f);
    data_folder_close(&f->folder);
    assert_int_equal(open_it(f), 0);
    shell("test -f '%s/store/2/data.mdb'%s", f->path, "");
}

static void a_node_that_was_removed_never_opens_or_inits_again(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, f->path), 0);
    assert_int_equal(open_it(f), 0);
    assert_int_equal(data_folder_mark_removed(&f->folder, 812, 1767225600000000, &f->error), 0);
    data_folder_close(&f->folder);
    assert_refused(f, CLADE_ERR_CONFLICT, "node 1 was removed from cluster");
    assert_non_null(strstr(f->error.message, "at log index 812 (2026-01-01T00:00:00Z)"));
    assert_non_null(strstr(f->error.message, "claded init --join"));
    assert_int_equal(init(f, f->path), CLADE_ERR_CONFLICT);
    /* whatever became of the marker's text */
    shell(": > '%s/REMOVED'%s", f->path, "");
    assert_refused(f, CLADE_ERR_CONFLICT, "was removed");
}

static void join(struct fixture *f)
{
    assert_int_equal(
        identity_complete_joined(&f->identity, "00112233445566778899aabbccddeeff", &f->error), 0);
}

static void a_node_that_joins_has_an_empty_log_and_the_cluster_that_was_given(void **state)
{
    struct fixture *f = *state;
    char cluster[33];
    join(f);
    assert_int_equal(init(f, f->path), 0);
    assert_int_equal(init(f, f->path), 1);
    assert_int_equal(open_it(f), 0);
    assert_true(f->folder.identity.joined);
    hash128_format(f->folder.identity.cluster, cluster);
    assert_string_equal(cluster, "00112233445566778899aabbccddeeff");
    shell("test \"$(ls '%s/raft' | tr '\\n' ' ')\" = 'identity mark '%s", f->path, "");
}

static void a_folder_made_to_join_is_not_one_of_a_new_cluster(void **state)
{
    struct fixture *f = *state;
    join(f);
    assert_int_equal(init(f, f->path), 0);
    assert_int_equal(identity_complete(&f->identity, NULL), 0);
    assert_int_equal(init(f, f->path), CLADE_ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(made_then_opened_is_the_same_node),
        TEST(init_again_is_harmless_and_with_other_members_refused),
        TEST(init_refuses_a_folder_with_something_in_it),
        TEST(init_refuses_a_used_folder_whose_identity_was_lost),
        TEST(an_interrupted_init_can_be_repeated),
        TEST(a_folder_that_was_opened_is_not_made_anew),
        TEST(a_folder_that_is_not_there_or_was_not_made_is_refused),
        TEST(a_locked_folder_is_refused_with_the_pid),
        TEST(a_full_disk_does_not_keep_a_folder_from_being_opened),
        TEST(another_cluster_or_node_than_asked_for_is_refused),
        TEST(parts_of_two_nodes_mixed_up_are_found),
        TEST(a_newer_format_and_damage_are_told_apart),
        TEST(a_store_that_CURRENT_does_not_name_is_refused),
        TEST(an_adopted_copy_is_the_store_from_then_on),
        TEST(a_replaced_store_can_be_removed_and_the_current_one_not),
        TEST(opening_removes_stores_that_are_not_current_and_keeps_a_copy_under_way),
        TEST(a_copy_stays_where_it_is_until_there_is_room_to_adopt_it),
        TEST(a_node_that_was_removed_never_opens_or_inits_again),
        TEST(a_node_that_joins_has_an_empty_log_and_the_cluster_that_was_given),
        TEST(a_folder_made_to_join_is_not_one_of_a_new_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
