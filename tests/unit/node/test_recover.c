/* A recovery makes another cluster of a folder, or says what is wrong, where, and what to do, and
 * has changed nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "consensus/log_folder.h"
#include "node/data_folder.h"
#include "recover_fixture.h"

/* --- what it makes --- */

static void the_log_is_taken_in_and_the_folder_is_another_clusters(void **state)
{
    struct fixture *f = *state;
    struct data_folder folder;
    assert_int_equal(data_folder_open(f->paths[1], "", 0, &folder, &f->error), 0);
    struct hash128 former = folder.identity.cluster;
    data_folder_close(&folder);
    assert_int_equal(recover(f, 1, 2, 3), 0);
    assert_int_equal(revision_of(f, 1), IN_STORE + IN_LOG);
    assert_int_equal(data_folder_open(f->paths[1], "", 0, &folder, &f->error), 0);
    assert_false(hash128_equal(folder.identity.cluster, former));
    assert_int_equal(folder.identity.members_len, 1);
    assert_int_equal(folder.identity.node, 1);
    data_folder_close(&folder);
    shell("! ls '%s' | grep -e RECOVER -e raft.new", f->paths[1]);
}

static void a_look_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct hash128 before[NODES + 1];
    f->request.check = true;
    for (unsigned i = 1; i <= NODES; i++) {
        before[i] = digest_of_folder(f->paths[i]);
    }
    assert_int_equal(recover(f, 1, 2, 3), 0);
    for (unsigned i = 1; i <= NODES; i++) {
        assert_true(hash128_equal(digest_of_folder(f->paths[i]), before[i]));
    }
}

/* --- one folder --- */

struct refusal {
    const char *what;
    const char *damage; /* done to the folder at %s */
    int code;
    const char
        *where; /* within the folder, with a slash; or a file that the message has the way to */
    const char *says;
    const char *advice;
};

#define ANOTHER "recover another survivor"

static const struct refusal refusals[] = {
    {"there is no folder", "rm -rf '%s'", CLADE_ERR_NOT_FOUND, "", "", "survivor"},
    {"a file is no folder", "rm -rf '%s' && touch '%s'", CLADE_ERR_NOT_FOUND, "", "", "survivor"},
    {"nothing is in it", "rm -rf '%s' && mkdir '%s'", CLADE_ERR_NOT_FOUND, "", "", "survivor"},
    {"it was never made to the end", "mv '%s/identity' '%s/INIT'", CLADE_ERR_NOT_FOUND, "", "",
     "survivor"},
    {"the identity is lost", "rm '%s/identity'", CLADE_ERR_CORRUPT, "", "identity", ANOTHER},
    {"the identity is cut", "truncate -s 20 '%s/identity'", CLADE_ERR_CORRUPT, "/identity", "",
     ANOTHER},
    {"the log's stamp is lost", "rm '%s/raft/identity'", CLADE_ERR_CORRUPT, "/raft/identity", "",
     ANOTHER},
    {"the log is another node's", "cp '%s/../n2/raft/identity' '%s/raft/'", CLADE_ERR_INVALID,
     "/raft/identity", "folders of two nodes were mixed", ANOTHER},
    {"the store is another node's", "cp '%s/../n2/store/identity' '%s/store/'", CLADE_ERR_INVALID,
     "/store/identity", "folders of two nodes were mixed", ANOTHER},
    {"the node was removed",
     "echo 'node 1 was removed from cluster 5 and does not come back' > '%s/REMOVED'",
     CLADE_ERR_CONFLICT, "", "was removed", ANOTHER},
    {"no store is current", "rm '%s/store/CURRENT'", CLADE_ERR_CORRUPT, "/store/CURRENT", "",
     ANOTHER},
    {"the store is gone", "rm -r '%s/store/1'", CLADE_ERR_CORRUPT, "/store/1", "", ANOTHER},
    {"the store is no store", "head -c 65536 /dev/zero > '%s/store/1/data.mdb'", CLADE_ERR_CORRUPT,
     "data.mdb", "n1/store/1", ANOTHER},
    {"the log is damaged",
     "for s in '%s'/raft/0*; do dd if=/dev/urandom of=$s bs=1 seek=60 count=40 conv=notrunc "
     "2>/dev/null "
     "|| exit; done",
     CLADE_ERR_CORRUPT, "/raft", "", ANOTHER},
    {"the log's mark is lost", "rm '%s/raft/mark'", CLADE_ERR_CORRUPT, "/raft", "mark", ANOTHER},
    {"the mark's witness is lost", "rm '%s/mark'", CLADE_ERR_CORRUPT, "/raft", "mark", ANOTHER},
    {"a marker that says nothing", "echo 'cluster=' > '%s/RECOVER'", CLADE_ERR_CORRUPT, "/RECOVER",
     "which cluster", ANOTHER},
    {"a marker that cannot be read", "ln -s RECOVER '%s/RECOVER'", CLADE_ERR_IO, "/RECOVER",
     "cannot be read", "nothing was changed"},
};

static bool is_as_told(struct fixture *f, const struct refusal *r, int code)
{
    char where[128];
    bool inside = r->where[0] == '/' || r->where[0] == '\0';
    (void)snprintf(where, sizeof where, "%s%s", inside ? f->paths[1] : "", r->where);
    const char *message = f->error.message;
    return code == r->code && strcmp(f->error.where, where) == 0 &&
           strstr(message, r->says) != NULL && strstr(message, r->advice) != NULL;
}

static void what_is_wrong_with_a_folder_is_said_and_it_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *r = &refusals[i];
        put_back(f, 1);
        shell(r->damage, f->paths[1]);
        struct hash128 before = digest_of_folder(f->paths[1]);
        int code = recover(f, 1, 2, 0);
        if (!is_as_told(f, r, code)) {
            print_error("%s: %d: %s: %s\n", r->what, code, f->error.where, f->error.message);
            wrong++;
        }
        if (!hash128_equal(digest_of_folder(f->paths[1]), before)) {
            print_error("%s: the folder has changed\n", r->what);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void a_log_that_does_not_go_on_from_the_store_is_refused_before_anything_is_changed(
    void **state)
{
    struct fixture *f = *state;
    char raft[96];
    const struct reference reference = {.index = 1000};
    (void)snprintf(raft, sizeof raft, "%s/raft", f->paths[1]);
    shell("mv '%s/identity' '%s/../kept' && rm '%s/'* && mv '%s/../kept' '%s/identity'", raft);
    assert_int_equal(log_folder_found(raft, 1, "127.0.0.1:1", &reference, &f->error), 0);
    struct hash128 before = digest_of_folder(f->paths[1]);
    assert_int_equal(recover(f, 1, 0, 0), CLADE_ERR_COMPACTED);
    assert_string_equal(f->error.where, raft);
    assert_non_null(strstr(f->error.message, "the store has only reached 5"));
    assert_non_null(strstr(f->error.message, ANOTHER));
    assert_int_equal(recover(f, 2, 1, 0), CLADE_ERR_COMPACTED);
    assert_non_null(strstr(f->error.message, "leave the folder out"));
    assert_true(hash128_equal(digest_of_folder(f->paths[1]), before));
}

static void a_folder_that_is_used_is_refused_until_its_process_is_stopped(void **state)
{
    struct fixture *f = *state;
    struct data_folder folder;
    assert_int_equal(data_folder_open(f->paths[1], "", 0, &folder, &f->error), 0);
    struct hash128 before = digest_of_folder(f->paths[1]);
    assert_int_equal(recover(f, 1, 0, 0), CLADE_ERR_IN_USE);
    assert_string_equal(f->error.where, f->paths[1]);
    assert_non_null(strstr(f->error.message, "stop it first"));
    assert_int_equal(recover(f, 2, 1, 0), CLADE_ERR_IN_USE);
    assert_true(hash128_equal(digest_of_folder(f->paths[1]), before));
    data_folder_close(&folder);
    assert_int_equal(recover(f, 1, 0, 0), 0);
}

static void another_users_folder_is_left_to_that_user(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0) {
        skip();
    }
    shell("chown -R 65534 '%s'", f->paths[1]);
    struct hash128 before = digest_of_folder(f->paths[1]);
    assert_int_equal(recover(f, 1, 0, 0), CLADE_ERR_CONFLICT);
    assert_string_equal(f->error.where, f->paths[1]);
    assert_non_null(strstr(f->error.message, "run this as that user (runuser -u "));
    assert_true(hash128_equal(digest_of_folder(f->paths[1]), before));
    /* The others' are only looked at. */
    assert_int_equal(recover(f, 2, 1, 0), 0);
}

/* A marker of root's that the node may not read hides nothing. */
static void a_node_does_not_start_where_it_cannot_tell_whether_a_recovery_was_interrupted(
    void **state)
{
    struct fixture *f = *state;
    struct data_folder folder;
    shell("ln -s RECOVER '%s/RECOVER'", f->paths[1]);
    assert_int_equal(data_folder_open(f->paths[1], "", 0, &folder, &f->error), CLADE_ERR_IO);
    assert_non_null(strstr(f->error.where, "/RECOVER"));
    shell("rm '%s/RECOVER' && mkdir '%s/RECOVER'", f->paths[1]);
    assert_int_equal(data_folder_open(f->paths[1], "", 0, &folder, &f->error), CLADE_ERR_IO);
}

/* --- several folders --- */

static void assert_refused(struct fixture *f, int code, const char *where, const char *says)
{
    if (f->error.code != code || strcmp(f->error.where, where) != 0 ||
        strstr(f->error.message, says) == NULL) {
        print_error("%d: %s: %s\n", f->error.code, f->error.where, f->error.message);
        fail();
    }
}

static void the_one_with_more_is_to_be_named_first(void **state)
{
    struct fixture *f = *state;
    append(f, 2, 1, 1);
    put_back(f, 1);
    struct hash128 before = digest_of_folder(f->paths[1]);
    (void)recover(f, 1, 3, 2);
    assert_refused(f, CLADE_ERR_CONFLICT, f->paths[1], "name that folder first");
    assert_non_null(strstr(f->error.message, f->paths[2]));
    assert_true(hash128_equal(digest_of_folder(f->paths[1]), before));
    assert_int_equal(recover(f, 2, 1, 3), 0);
    assert_int_equal(revision_of(f, 2), IN_STORE + IN_LOG + 1);
}

/* As votes are given: a longer log of an older term was never acknowledged behind its fork. */
static void a_later_term_counts_more_than_a_longer_log(void **state)
{
    struct fixture *f = *state;
    append(f, 1, 1, 5);
    append(f, 2, 2, 1);
    (void)recover(f, 1, 2, 0);
    assert_refused(f, CLADE_ERR_CONFLICT, f->paths[1], "name that folder first");
    assert_int_equal(recover(f, 2, 1, 0), 0);
}

static void a_store_that_is_ahead_of_all_logs_is_to_be_named_first(void **state)
{
    struct fixture *f = *state;
    append(f, 1, 2, 1);
    grow(f, 2, IN_LOG + 5);
    (void)recover(f, 1, 2, 0);
    assert_refused(f, CLADE_ERR_CONFLICT, f->paths[1], "name that folder first");
    assert_int_equal(recover(f, 2, 1, 0), 0);
    assert_int_equal(revision_of(f, 2), IN_STORE + IN_LOG + 5);
}

static void with_force_the_one_with_less_is_taken(void **state)
{
    struct fixture *f = *state;
    append(f, 2, 1, 1);
    f->request.force = true;
    assert_int_equal(recover(f, 1, 2, 0), 0);
    assert_int_equal(revision_of(f, 1), IN_STORE + IN_LOG);
}

static void a_folder_that_is_named_twice_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hash128 before = digest_of_folder(f->paths[1]);
    (void)recover(f, 1, 2, 1);
    assert_refused(f, CLADE_ERR_INVALID, f->paths[1], "named twice: name each once");
    assert_true(hash128_equal(digest_of_folder(f->paths[1]), before));
}

static void a_folder_of_another_cluster_is_to_be_left_out(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(recover(f, 2, 0, 0), 0);
    struct hash128 before = digest_of_folder(f->paths[1]);
    (void)recover(f, 1, 2, 0);
    assert_refused(f, CLADE_ERR_INVALID, f->paths[2], "leave it out");
    assert_true(hash128_equal(digest_of_folder(f->paths[1]), before));
}

static void what_is_wrong_with_another_one_is_said_of_that_one(void **state)
{
    struct fixture *f = *state;
    struct hash128 before = digest_of_folder(f->paths[1]);
    shell("rm '%s/raft/mark'", f->paths[2]);
    (void)recover(f, 1, 2, 0);
    assert_int_equal(f->error.code, CLADE_ERR_CORRUPT);
    assert_non_null(strstr(f->error.where, f->paths[2]));
    assert_non_null(strstr(f->error.message, "leave the folder out"));
    assert_true(hash128_equal(digest_of_folder(f->paths[1]), before));
}

/* --- whatever fails on the way --- */

static unsigned calls_left; /* until one fails; 0 = never */
static unsigned failed;

static bool fails(void)
{
    if (calls_left == 0 || --calls_left > 0) {
        return false;
    }
    failed++;
    errno = ENOSPC;
    return true;
}

/* In place of libc's. */
ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    return fails() ? -1 : syscall(SYS_pwrite64, fd, data, len, at);
}

int rename(const char *from, const char *to)
{
    return fails() ? -1 : (int)syscall(SYS_rename, from, to);
}

int unlink(const char *path)
{
    return fails() ? -1 : (int)syscall(SYS_unlink, path);
}

static void assert_left_well(struct fixture *f, unsigned call, struct hash128 before)
{
    struct data_folder folder;
    struct error e = {.code = 0};
    int r = data_folder_open(f->paths[1], "", 0, &folder, &e);
    bool marked = r == CLADE_ERR_CONFLICT && strstr(e.message, "run 'claded recover") != NULL;
    bool same = r == 0 && hash128_equal(digest_of_folder(f->paths[1]), before);
    bool advised = !marked || strstr(f->error.message, "run 'claded recover' again") != NULL;
    if ((!marked && !same) || !advised || f->error.where[0] == 0) {
        print_error("call %u: %d: %s: %s; then %d: %s\n", call, f->error.code, f->error.where,
                    f->error.message, r, e.message);
        fail();
    }
    if (r == 0) {
        data_folder_close(&folder);
    }
}

static void whatever_fails_the_folder_is_as_it_was_or_the_next_attempt_ends_it(void **state)
{
    struct fixture *f = *state;
    struct hash128 before = digest_of_folder(f->paths[1]);
    unsigned call = 0;
    do {
        put_back(f, 1);
        failed = 0;
        calls_left = ++call;
        int r = recover(f, 1, 2, 0);
        calls_left = 0;
        if (r != 0) {
            assert_left_well(f, call, before);
            assert_int_equal(recover(f, 1, 0, 0), 0);
        }
        assert_int_equal(revision_of(f, 1), IN_STORE + IN_LOG);
        shell("! ls '%s' | grep -e RECOVER -e raft.new", f->paths[1]);
        put_back(f, 2);
    } while (failed > 0);
    assert_true(call > 10);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, recover_set_up, recover_tear_down)
    const struct CMUnitTest tests[] = {
        T(the_log_is_taken_in_and_the_folder_is_another_clusters),
        T(a_look_changes_nothing),
        T(what_is_wrong_with_a_folder_is_said_and_it_stays_as_it_is),
        T(a_log_that_does_not_go_on_from_the_store_is_refused_before_anything_is_changed),
        T(a_folder_that_is_used_is_refused_until_its_process_is_stopped),
        T(a_node_does_not_start_where_it_cannot_tell_whether_a_recovery_was_interrupted),
        T(another_users_folder_is_left_to_that_user),
        T(the_one_with_more_is_to_be_named_first),
        T(a_later_term_counts_more_than_a_longer_log),
        T(a_store_that_is_ahead_of_all_logs_is_to_be_named_first),
        T(with_force_the_one_with_less_is_taken),
        T(a_folder_that_is_named_twice_is_refused),
        T(a_folder_of_another_cluster_is_to_be_left_out),
        T(what_is_wrong_with_another_one_is_said_of_that_one),
        T(whatever_fails_the_folder_is_as_it_was_or_the_next_attempt_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
