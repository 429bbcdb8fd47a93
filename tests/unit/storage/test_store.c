#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "fixture.h"
#include "storage/view.h"

/* A transaction that may do anything to a handful of things. */
static void random_txn(uint64_t *seed, char *json, size_t size)
{
    unsigned a = (unsigned)(next_random(seed) % 12);
    unsigned b = (unsigned)(next_random(seed) % 12);
    unsigned n = (unsigned)(next_random(seed) % 1000);
    switch (next_random(seed) % 8) {
    case 0:
    case 1:
        snprintf(json, size,
                 "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a%u','if_exists':'return',"
                 "'tags':{'n':'%u'}},{'op':'link','from':'$0','label':'l%u','to':'artifact/a%u'}]}",
                 a, n, n % 3, b);
        break;
    case 2:
        snprintf(json, size,
                 "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a%u',"
                 "'external_ids':['x:%u'],'digests':['d:%u']}]}",
                 a, n % 20, n % 5);
        break;
    case 3:
        snprintf(json, size,
                 "{'v':1,'ops':[{'op':'update','ref':'artifact/a%u','description':'%u'},"
                 "{'op':'update','ref':'artifact/a%u','tags':{'k%u':'v'}}]}",
                 a, n, b, n % 4);
        break;
    case 4:
        snprintf(json, size, "{'v':1,'ops':[{'op':'delete','ref':'artifact/a%u'}]}", a);
        break;
    case 5:
        snprintf(json, size,
                 "{'v':1,'ops':[{'op':'unlink','from':'artifact/a%u','label':'l%u',"
                 "'to':'artifact/a%u'}]}",
                 a, n % 3, b);
        break;
    case 6:
        snprintf(json, size,
                 "{'v':1,'ops':[{'op':'create','kind':'model','name':'m%u','if_exists':'return'},"
                 "{'op':'create','kind':'version','model':'$0','number':%u}]}",
                 a % 3, n % 30 + 1);
        break;
    default:
        snprintf(
            json, size,
            "{'v':1,'ops':[{'op':'link','from':'artifact/a%u','label':'l','to':'artifact/a%u'},"
            "{'op':'delete','ref':'artifact/a%u'},{'op':'create','kind':'artifact',"
            "'name':'a%u'}]}",
            a, b, b, b);
        break;
    }
}

/* One in four ends with an operation that is refused, after the others have written. */
static void random_command(uint64_t *seed, char *json, size_t size)
{
    random_txn(seed, json, size);
    if (next_random(seed) % 4 == 0) {
        size_t end = strlen(json) - strlen("]}");
        snprintf(json + end, size - end, ",{'op':'delete','ref':'id/%u'}]}", 99999999u);
    }
}

static struct store_digest run_many(struct fixture *f, uint64_t seed, int n)
{
    char json[512];
    for (int i = 0; i < n; i++) {
        struct store_digest before = store_digest_current(f->store);
        random_command(&seed, json, sizeof json);
        int code = fixture_txn(f, json);
        struct store_digest after = store_digest_current(f->store);
        if (code != 0 || !f->result.changed) {
            /* Also after its roll-back. */
            assert_memory_equal(&before.data, &after.data, sizeof before.data);
        } else {
            assert_memory_not_equal(&before.data, &after.data, sizeof before.data);
        }
    }
    return store_digest_current(f->store);
}

static void the_same_entries_give_the_same_digests(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = test_seed();
    struct store_digest first = run_many(f, seed, 1500);
    struct store_digest sample = store_digest_sample(f->store);
    assert_int_equal(sample.index, 1024);
    struct error e = {0};
    if (store_verify(f->store, NULL, NULL, &e) != 0) {
        fail_msg("%s", e.message);
    }
    fixture_close(f);
    fixture_wipe(f);
    fixture_open(f, FIXTURE_MAP_BYTES);
    f->stamp_us = 1000000;
    /* Opened anew half-way. */
    struct store_digest second;
    char json[512];
    for (int i = 0; i < 1500; i++) {
        if (i == 700) {
            fixture_close(f);
            fixture_open(f, FIXTURE_MAP_BYTES);
        }
        random_command(&seed, json, sizeof json);
        fixture_txn(f, json);
    }
    second = store_digest_current(f->store);
    assert_true(digests_equal(first, second));
    assert_true(digests_equal(sample, store_digest_sample(f->store)));
}

static void add_create(struct fixture *f, const char *json)
{
    struct buffer command;
    buffer_init(&command, 4096);
    json_put(&command, json);
    struct item item = {.kind = ITEM_TXN, .command = buffer_span(&command)};
    fixture_add(f, &item);
    buffer_release(&command);
}

static void no_result(void *arg, const struct apply_result *result)
{
    (void)result;
    ++*(unsigned *)arg;
}

static void an_aborted_batch_leaves_nothing_and_may_be_given_again(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_txn(f, "{'v':1,'ops':[{'op':'create','kind':'run'}]}"), 0);
    struct store_digest before = store_digest_current(f->store);
    add_create(f, "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a'}]}");
    struct entry_header header = {.level = 1, .items = 1, .stamp_us = 99};
    entry_end(&f->entry, &header);
    struct store_digest after[2];
    for (int i = 0; i < 2; i++) {
        unsigned results = 0;
        assert_int_equal(apply_begin(f->apply, &f->error), 0);
        assert_int_equal(
            apply_entry(f->apply, 1, 2, buffer_span(&f->entry), no_result, &results, &f->error), 0);
        assert_int_equal(results, 1);
        if (i == 0) {
            apply_abort(f->apply);
            assert_true(digests_equal(before, store_digest_current(f->store)));
            continue;
        }
        struct store_position position;
        assert_int_equal(apply_commit(f->apply, &position, &f->error), 0);
        after[i] = store_digest_current(f->store);
        assert_int_equal(position.revision, 2);
    }
    /* An entry that is in the store already is passed over without a word. */
    unsigned results = 0;
    assert_int_equal(apply_begin(f->apply, &f->error), 0);
    assert_int_equal(
        apply_entry(f->apply, 1, 2, buffer_span(&f->entry), no_result, &results, &f->error), 0);
    assert_int_equal(results, 0);
    assert_int_equal(
        apply_entry(f->apply, 3, 4, buffer_span(&f->entry), no_result, &results, &f->error),
        CLADE_ERR_CORRUPT);
    apply_abort(f->apply);
    assert_true(digests_equal(after[1], store_digest_current(f->store)));
}

static void samples_do_not_depend_on_how_the_log_advanced(void **state)
{
    struct fixture *f = *state;
    struct store_digest samples[2];
    for (int way = 0; way < 2; way++) {
        struct store_position position;
        assert_int_equal(fixture_txn(f, "{'v':1,'ops':[{'op':'create','kind':'run'}]}"), 0);
        assert_int_equal(apply_begin(f->apply, &f->error), 0);
        if (way == 0) {
            assert_int_equal(apply_advance(f->apply, 1, 2000, &f->error), 0);
        } else {
            assert_int_equal(apply_advance(f->apply, 1, 1023, &f->error), 0);
            assert_int_equal(apply_advance(f->apply, 1023, 1024, &f->error), 0);
            assert_int_equal(apply_advance(f->apply, 1024, 2000, &f->error), 0);
        }
        assert_int_equal(apply_commit(f->apply, &position, &f->error), 0);
        assert_int_equal(position.applied, 2000);
        samples[way] = store_digest_sample(f->store);
        fixture_close(f);
        fixture_wipe(f);
        fixture_open(f, FIXTURE_MAP_BYTES);
        f->stamp_us = 1000000;
    }
    assert_int_equal(samples[0].index, 1024);
    assert_true(digests_equal(samples[0], samples[1]));
}

/* Flips a bit of `text` where it stands in the data file. */
static void damage(struct fixture *f, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    uint8_t *bytes = malloc((size_t)size);
    assert_int_equal(pread(fd, bytes, (size_t)size, 0), size);
    int found = 0;
    for (uint8_t *p = bytes; (p = memmem(p, (size_t)(bytes + size - p), text, strlen(text))); p++) {
        uint8_t flipped = (uint8_t)(*p ^ 1);
        assert_int_equal(pwrite(fd, &flipped, 1, p - bytes), 1);
        found++;
    }
    assert_true(found > 0);
    free(bytes);
    close(fd);
}

static void verify_finds_a_flipped_bit(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 50; i++) {
        char json[128];
        snprintf(json, sizeof json,
                 "{'v':1,'ops':[{'op':'create','kind':'artifact','description':'mark-%d-x'}]}", i);
        assert_int_equal(fixture_txn(f, json), 0);
    }
    struct error e = {0};
    assert_int_equal(store_verify(f->store, NULL, NULL, &e), 0);
    fixture_close(f);
    damage(f, "mark-33-x");
    fixture_open(f, FIXTURE_MAP_BYTES);
    assert_int_equal(store_verify(f->store, NULL, NULL, &e), CLADE_ERR_CORRUPT);
    assert_string_equal(e.where, "things");
    /* A read of the row sees it too, and only of it. */
    assert_int_equal(fixture_read(f, QUERY_GET, "{'refs':['artifact/_35']}"), CLADE_ERR_CORRUPT);
    assert_int_equal(fixture_read(f, QUERY_GET, "{'refs':['artifact/_36']}"), 0);
}

static void a_full_map_is_no_space_and_the_store_is_whole(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    fixture_wipe(f);
    fixture_open(f, (uint64_t)1 << 20);
    char json[8192];
    char text[4096];
    memset(text, 't', sizeof text);
    text[sizeof text - 1] = '\0';
    snprintf(json, sizeof json,
             "{'v':1,'ops':[{'op':'create','kind':'artifact','description':'%s'}]}", text);
    int rc = 0;
    uint64_t made = 0;
    struct store_digest before;
    while (rc == 0) {
        before = store_digest_current(f->store);
        add_create(f, "{'v':1,'ops':[{'op':'create','kind':'run'}]}");
        struct buffer command;
        buffer_init(&command, 8192);
        json_put(&command, json);
        struct item item = {.kind = ITEM_TXN, .command = buffer_span(&command)};
        fixture_add(f, &item);
        rc = fixture_run(f);
        made += rc == 0;
        buffer_release(&command);
        assert_true(made < 1000);
    }
    assert_int_equal(rc, CLADE_ERR_NO_SPACE);
    assert_true(made > 10);
    assert_true(digests_equal(before, store_digest_current(f->store)));
    assert_int_equal(store_position(f->store).revision, 2 * made);
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 0);
    /* With more room it goes on where it was. */
    fixture_close(f);
    fixture_open(f, (uint64_t)1 << 24);
    assert_int_equal(fixture_txn(f, json), 0);
    assert_int_equal(f->result.revision, 2 * made + 1);
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 0);
}

static void another_format_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    damage(f, "format");
    struct store_options options = {.path = f->dir, .map_bytes = FIXTURE_MAP_BYTES};
    struct store *store = NULL;
    struct error e = {0};
    assert_int_not_equal(store_open(&options, &store, &e), 0);
    assert_null(store);
    fixture_wipe(f);
    fixture_open(f, FIXTURE_MAP_BYTES);
}

/* Gives the format row of a closed store another number, and the checksum that it then has. */
static void set_format(struct fixture *f, uint32_t format)
{
    char path[128];
    uint8_t row[4 + CHECKSUM_BYTES];
    uint8_t page[4096];
    put_u32le(row, format);
    struct hash128 hash = row_hash(TABLE_META, span_of("format"), span_make(row, 4));
    put_u32le(row + 4, (uint32_t)hash.low);
    snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    unsigned found = 0;
    for (off_t at = 0; pread(fd, page, sizeof page, at) == sizeof page; at += sizeof page) {
        uint8_t *key = memmem(page, sizeof page, "format", 6);
        if (key != NULL) {
            assert_int_equal(pwrite(fd, row, sizeof row, at + (key - page) + 6), sizeof row);
            found++;
        }
    }
    close(fd);
    assert_true(found > 0);
}

static void a_store_of_another_format_is_told_what_to_do(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    struct store_options options = {.path = f->dir, .map_bytes = FIXTURE_MAP_BYTES};
    static const struct {
        uint32_t format;
        const char *says;
    } rows[] = {
        {STORE_FORMAT - 1, "export with the program that wrote it (clade export)"},
        {STORE_FORMAT + 1, "and must be replaced by a newer one"},
    };
    for (int i = 0; i < 2; i++) {
        struct store *store = NULL;
        struct error e = {0};
        set_format(f, rows[i].format);
        assert_int_equal(store_open(&options, &store, &e), CLADE_ERR_UNSUPPORTED);
        assert_non_null(strstr(e.message, rows[i].says));
    }
    set_format(f, STORE_FORMAT);
    fixture_open(f, FIXTURE_MAP_BYTES);
}

static void many_changes_in_one_transaction_are_taken_back_whole(void **state)
{
    struct fixture *f = *state;
    struct buffer command;
    buffer_init(&command, 1 << 20);
    size_t at = value_begin_map(&command);
    value_put_str(&command, "v");
    value_put_uint(&command, 1);
    value_put_str(&command, "ops");
    value_put_array(&command, 5001);
    for (int i = 0; i < 5000; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i % 2500);
        value_put_map(&command, 4);
        value_put_str(&command, "op");
        value_put_str(&command, "create");
        value_put_str(&command, "kind");
        value_put_str(&command, "artifact");
        value_put_str(&command, "name");
        value_put_str(&command, name);
        value_put_str(&command, "if_exists");
        value_put_str(&command, "return");
    }
    json_put(&command, "{'op':'delete','ref':'artifact/none'}");
    value_end(&command, at, 2);
    assert_false(command.failed);
    struct store_digest before = store_digest_current(f->store);
    struct item item = {.kind = ITEM_TXN, .command = buffer_span(&command)};
    fixture_add(f, &item);
    assert_int_equal(fixture_run(f), 0);
    assert_int_equal(f->result.code, CLADE_ERR_NOT_FOUND);
    struct store_digest after = store_digest_current(f->store);
    assert_memory_equal(&before.data, &after.data, sizeof before.data);
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 0);
    buffer_release(&command);
}

static ino_t synced_folder;

/* In place of libc's. */
int fsync(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        synced_folder = st.st_ino;
    }
    return (int)syscall(SYS_fsync, fd);
}

/* Else a power cut could take data.mdb's name: the store would begin anew, and its log would not.
 */
static void opening_makes_the_name_of_the_file_durable(void **state)
{
    struct fixture *f = *state;
    struct store_options options = {.path = f->dir, .map_bytes = FIXTURE_MAP_BYTES};
    struct stat st;
    fixture_close(f);
    assert_int_equal(stat(f->dir, &st), 0);
    synced_folder = 0;
    assert_int_equal(store_open(&options, &f->store, NULL), 0);
    assert_true(synced_folder == st.st_ino);
    store_close(f->store);
    fixture_open(f, FIXTURE_MAP_BYTES);
}

static enum { DISK_GOOD, DISK_SHORT, DISK_BROKEN, DISK_UNSYNCED } disk;
static uint64_t disk_room = 100;

static ssize_t fail_write(size_t len)
{
    errno = disk == DISK_BROKEN ? EIO : errno;
    return disk == DISK_BROKEN ? -1 : (ssize_t)len / 2;
}

/* In place of libc's, which LMDB calls. */
ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    return disk == DISK_SHORT || disk == DISK_BROKEN ? fail_write(len)
                                                     : syscall(SYS_pwrite64, fd, data, len, at);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    return disk == DISK_SHORT || disk == DISK_BROKEN ? fail_write(parts[0].iov_len)
                                                     : syscall(SYS_writev, fd, parts, n);
}

int fdatasync(int fd)
{
    if (disk == DISK_UNSYNCED) {
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int fstatvfs(int fd, struct statvfs *ret)
{
    *ret = (struct statvfs){.f_frsize = 1, .f_bavail = disk_room};
    return 0;
}

static int advance_on(struct fixture *f, int how)
{
    struct store_position p = store_position(f->store);
    assert_int_equal(apply_begin(f->apply, &f->error), 0);
    assert_int_equal(apply_advance(f->apply, p.applied, p.applied + 1, &f->error), 0);
    disk = how;
    int rc = apply_commit(f->apply, &p, &f->error);
    disk = DISK_GOOD;
    if (rc != 0) {
        apply_abort(f->apply);
    }
    return rc;
}

/* A full one is waited out, and a broken one must not be: what a failed sync lost is not written
 * again. LMDB calls both EIO. */
static void a_broken_disk_that_is_nearly_full_too_is_not_taken_for_a_full_one(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(advance_on(f, DISK_SHORT), CLADE_ERR_NO_SPACE);
    assert_int_equal(advance_on(f, DISK_BROKEN), CLADE_ERR_IO);
    assert_int_equal(advance_on(f, DISK_GOOD), 0);
}

/* A pool behind the file system has none left: what the disk had taken may be lost. */
static void a_sync_that_finds_no_room_is_not_waited_out(void **state)
{
    struct fixture *f = *state;
    struct store_options options = {.path = f->dir, .map_bytes = FIXTURE_MAP_BYTES};
    fixture_close(f);
    assert_int_equal(store_open(&options, &f->store, NULL), 0);
    assert_int_equal(apply_new(f->store, &f->apply, NULL), 0);
    disk_room = UINT64_C(1) << 30;
    assert_int_equal(advance_on(f, DISK_UNSYNCED), CLADE_ERR_IO);
    disk = DISK_UNSYNCED;
    assert_int_equal(store_sync(f->store, &f->error), CLADE_ERR_IO);
    disk_room = 100;
    assert_int_equal(store_sync(f->store, &f->error), CLADE_ERR_IO);
    disk = DISK_GOOD;
    assert_string_equal(f->error.where, "data.mdb");
}

static bool disk_full;

/* In place of libc's. */
int posix_fallocate(int fd, off_t at, off_t len)
{
    return disk_full ? ENOSPC : syscall(SYS_fallocate, fd, 0, at, len) == 0 ? 0 : errno;
}

/* LMDB writes to it through a map: a hole in it is a SIGBUS, on a disk that has become full. */
static void the_slots_of_all_readers_have_their_space_on_the_disk(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct stat st;
    for (unsigned readers = 1; readers <= 4096; readers = readers * 4 + 1) {
        fixture_close(f);
        struct store_options options = {
            .path = f->dir, .map_bytes = FIXTURE_MAP_BYTES, .readers_max = readers};
        assert_int_equal(store_open(&options, &f->store, &f->error), 0);
        snprintf(path, sizeof path, "%s/lock.mdb", f->dir);
        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_size >= (off_t)(readers * 64));
        assert_true(st.st_blocks * 512 >= st.st_size);
        store_close(f->store);
        fixture_open(f, FIXTURE_MAP_BYTES);
    }
}

static void a_store_whose_readers_find_no_room_is_not_opened(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    struct store_options options = {.path = f->dir, .map_bytes = FIXTURE_MAP_BYTES};
    disk_full = true;
    assert_int_equal(store_open(&options, &f->store, &f->error), CLADE_ERR_NO_SPACE);
    disk_full = false;
    assert_non_null(strstr(f->error.where, "lock.mdb"));
    fixture_open(f, FIXTURE_MAP_BYTES);
}

static struct store_figures look(struct fixture *f)
{
    struct store_figures s;
    assert_int_equal(store_look(f->store, &s, &f->error), 0);
    return s;
}

static void a_look_counts_open_reads_and_how_far_the_oldest_is_behind(void **state)
{
    struct fixture *f = *state;
    struct view first;
    struct view second;
    uint64_t used;
    uint64_t map;
    assert_int_equal(look(f).readers, 0);
    assert_int_equal(look(f).oldest_reader_commits, 0);
    assert_int_equal(view_open(&first, f->store, &f->error), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(advance_on(f, DISK_GOOD), 0);
    }
    assert_int_equal(view_open(&second, f->store, &f->error), 0);
    assert_int_equal(look(f).readers, 2);
    assert_int_equal(look(f).oldest_reader_commits, 3);
    assert_int_equal(store_oldest_query_us(f->store), 0);
    view_close(&first, f->store);
    assert_int_equal(look(f).oldest_reader_commits, 0);
    view_close(&second, f->store);
    store_usage(f->store, &used, &map);
    assert_int_equal(look(f).used_bytes, used);
    assert_int_equal(look(f).map_bytes, map);
    assert_true(look(f).free_bytes > 0 && look(f).free_bytes < used);
}

static void a_namespace_is_there_while_it_lives(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(reader_has_namespace(f->reader, span_of("team"), &f->error), 1);
    assert_int_equal(
        fixture_txn(f, "{'v':1,'ops':[{'op':'create','kind':'namespace','name':'team'}]}"), 0);
    assert_int_equal(reader_has_namespace(f->reader, span_of("team"), &f->error), 0);
    assert_int_equal(reader_has_namespace(f->reader, span_of("default"), NULL), 0);
    assert_int_equal(fixture_txn(f, "{'v':1,'ops':[{'op':'delete','ref':'namespace/team'}]}"), 0);
    assert_int_equal(reader_has_namespace(f->reader, span_of("team"), &f->error), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_same_entries_give_the_same_digests),
        TEST(an_aborted_batch_leaves_nothing_and_may_be_given_again),
        TEST(samples_do_not_depend_on_how_the_log_advanced),
        TEST(verify_finds_a_flipped_bit),
        TEST(a_full_map_is_no_space_and_the_store_is_whole),
        TEST(another_format_is_refused),
        TEST(opening_makes_the_name_of_the_file_durable),
        TEST(a_broken_disk_that_is_nearly_full_too_is_not_taken_for_a_full_one),
        TEST(a_sync_that_finds_no_room_is_not_waited_out),
        TEST(the_slots_of_all_readers_have_their_space_on_the_disk),
        TEST(a_store_whose_readers_find_no_room_is_not_opened),
        TEST(a_store_of_another_format_is_told_what_to_do),
        TEST(a_look_counts_open_reads_and_how_far_the_oldest_is_behind),
        TEST(a_namespace_is_there_while_it_lives),
        TEST(many_changes_in_one_transaction_are_taken_back_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
