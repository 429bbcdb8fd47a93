/* The simulated disk keeps what was synced, whatever else a crash takes. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/sim/disk.h"

#define SEEDS 200

struct fixture {
    char root[64];
    char folder[80];
    char file[96];
    char other[96];
    struct sim_random random;
    struct sim_disk *disk;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return -1;
    }
    (void)snprintf(f->root, sizeof f->root, "/tmp/clade-disk-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    (void)snprintf(f->folder, sizeof f->folder, "%s/n1", f->root);
    (void)snprintf(f->file, sizeof f->file, "%s/a", f->folder);
    (void)snprintf(f->other, sizeof f->other, "%s/b", f->folder);
    assert_int_equal(mkdir(f->folder, 0700), 0);
    random_seed(&f->random, 1);
    f->disk = sim_disk_new(f->folder, &f->random);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sim_disk_free(f->disk);
    (void)rmdir(f->root);
    free(f);
    return 0;
}

static void fill(int fd, char with, off_t at, size_t len)
{
    char bytes[4096];
    memset(bytes, with, sizeof bytes);
    assert_int_equal(pwrite(fd, bytes, len, at), len);
}

static char byte_at(int fd, off_t at)
{
    char c = '?';
    assert_int_equal(pread(fd, &c, 1, at), 1);
    return c;
}

static void sync_folder(const struct fixture *f)
{
    int fd = open(f->folder, O_RDONLY | O_DIRECTORY);
    assert_int_equal(fsync(fd), 0);
    (void)close(fd);
}

/* A file of 4,096 bytes 'a' that is there for good. */
static int durable_file(const struct fixture *f)
{
    int fd = open(f->file, O_RDWR | O_CREAT, 0600);
    fill(fd, 'a', 0, 4096);
    assert_int_equal(fdatasync(fd), 0);
    sync_folder(f);
    return fd;
}

static int reopen(const struct fixture *f, int fd, enum sim_crash how)
{
    (void)close(fd);
    sim_disk_crash(f->disk, how);
    return open(f->file, O_RDWR);
}

static void what_was_synced_stays(void **state)
{
    struct fixture *f = *state;
    int fd = durable_file(f);
    for (int i = 0; i < SEEDS; i++) {
        fd = reopen(f, fd, CRASH_POWER);
        assert_true(fd >= 0);
        assert_int_equal(lseek(fd, 0, SEEK_END), 4096);
        assert_int_equal(byte_at(fd, i * 20), 'a');
    }
    (void)close(fd);
}

static void each_sector_that_was_not_synced_is_old_or_new(void **state)
{
    struct fixture *f = *state;
    unsigned mixed = 0;
    unsigned all_new = 0;
    for (int i = 0; i < SEEDS; i++) {
        int fd = durable_file(f);
        fill(fd, 'b', 0, 4096);
        fill(fd, 'c', 0, 1024);
        fd = reopen(f, fd, CRASH_POWER);
        unsigned olds = 0;
        for (off_t s = 0; s < 4096; s += 512) {
            char c = byte_at(fd, s);
            assert_true(c == 'a' || c == 'b' || (c == 'c' && s < 1024));
            assert_int_equal(byte_at(fd, s + 511), c); /* none is torn */
            olds += c == 'a';
        }
        mixed += olds > 0 && olds < 8;
        all_new += olds == 0;
        (void)close(fd);
    }
    assert_true(mixed > 20);
    assert_true(all_new < SEEDS);
}

static void a_process_that_dies_loses_nothing_that_it_wrote(void **state)
{
    struct fixture *f = *state;
    int fd = durable_file(f);
    fill(fd, 'b', 0, 4096);
    fd = reopen(f, fd, CRASH_PROCESS);
    assert_int_equal(byte_at(fd, 4095), 'b');
    /* But it is not durable for that. */
    unsigned lost = 0;
    for (int i = 0; i < SEEDS; i++) {
        fill(fd, 'b', 0, 512);
        fd = reopen(f, fd, CRASH_PROCESS);
        fd = reopen(f, fd, CRASH_POWER);
        lost += byte_at(fd, 0) == 'a';
        fill(fd, 'a', 0, 512);
        assert_int_equal(fsync(fd), 0);
    }
    assert_true(lost > 0);
    (void)close(fd);
}

static void a_length_that_was_not_synced_may_be_the_old_one(void **state)
{
    struct fixture *f = *state;
    unsigned shorter = 0;
    unsigned longer = 0;
    for (int i = 0; i < SEEDS; i++) {
        int fd = durable_file(f);
        fill(fd, 'b', 4096, 1000);
        fd = reopen(f, fd, CRASH_POWER);
        off_t len = lseek(fd, 0, SEEK_END);
        assert_true(len == 4096 || len == 5096);
        shorter += len == 4096;
        longer += len == 5096;
        (void)close(fd);
        assert_int_equal(unlink(f->file), 0);
    }
    assert_true(shorter > 0 && longer > 0);
}

static void what_was_cut_off_may_come_back(void **state)
{
    struct fixture *f = *state;
    unsigned back = 0;
    for (int i = 0; i < SEEDS; i++) {
        int fd = durable_file(f);
        assert_int_equal(ftruncate(fd, 100), 0);
        fd = reopen(f, fd, CRASH_POWER);
        back += lseek(fd, 0, SEEK_END) == 4096 && byte_at(fd, 4000) == 'a';
        (void)close(fd);
    }
    assert_true(back > 0 && back < SEEDS);
}

static void names_that_were_not_synced_may_be_as_before(void **state)
{
    struct fixture *f = *state;
    unsigned moved = 0;
    unsigned made = 0;
    for (int i = 0; i < SEEDS; i++) {
        (void)close(durable_file(f));
        int fd = open(f->other, O_RDWR | O_CREAT, 0600);
        fill(fd, 'b', 0, 10);
        assert_int_equal(fsync(fd), 0);
        (void)close(fd);
        assert_int_equal(rename(f->other, f->file), 0);
        sim_disk_crash(f->disk, CRASH_POWER);
        fd = open(f->file, O_RDWR); /* the old one or the new one */
        assert_true(fd >= 0);
        moved += byte_at(fd, 0) == 'b';
        made += access(f->other, F_OK) == 0;
        (void)close(fd);
        (void)unlink(f->other);
        assert_int_equal(unlink(f->file), 0);
        sync_folder(f);
    }
    assert_true(moved > 0 && moved < SEEDS);
    assert_true(made > 0);
}

static void a_removed_file_may_be_there_again_until_the_folder_is_synced(void **state)
{
    struct fixture *f = *state;
    unsigned back = 0;
    for (int i = 0; i < SEEDS; i++) {
        (void)close(durable_file(f));
        assert_int_equal(unlink(f->file), 0);
        sim_disk_crash(f->disk, CRASH_POWER);
        back += access(f->file, F_OK) == 0;
    }
    assert_true(back > 0 && back < SEEDS);
    (void)close(durable_file(f));
    assert_int_equal(unlink(f->file), 0);
    sync_folder(f);
    sim_disk_crash(f->disk, CRASH_POWER);
    assert_int_equal(access(f->file, F_OK), -1);
}

static void a_full_disk_writes_short_and_then_not_at_all(void **state)
{
    struct fixture *f = *state;
    int fd = durable_file(f);
    struct statvfs fs;
    char bytes[200] = {0};
    sim_disk_set_room(f->disk, 150);
    assert_int_equal(statvfs(f->folder, &fs), 0);
    assert_int_equal(fs.f_bavail * fs.f_frsize, 150);
    assert_int_equal(pwrite(fd, bytes, 200, 4096), 150);
    assert_int_equal(pwrite(fd, bytes, 50, 4246), -1);
    assert_int_equal(errno, ENOSPC);
    fill(fd, 'x', 0, 4096); /* in place */
    sim_disk_set_room(f->disk, DISK_ROOM_ENOUGH);
    assert_int_equal(pwrite(fd, bytes, 50, 4246), 50);
    (void)close(fd);
}

static void a_disk_that_fails_changes_nothing_any_more(void **state)
{
    struct fixture *f = *state;
    int fd = durable_file(f);
    sim_disk_fail_after(f->disk, 1);
    fill(fd, 'b', 0, 512);
    assert_int_equal(fdatasync(fd), -1);
    assert_int_equal(errno, EIO);
    assert_int_equal(pwrite(fd, "c", 1, 0), -1);
    assert_int_equal(unlink(f->file), -1);
    assert_int_equal(sim_disk_counts(f->disk).errors, 3);
    fd = reopen(f, fd, CRASH_POWER);
    assert_true(byte_at(fd, 0) == 'a' || byte_at(fd, 0) == 'b');
    assert_int_equal(pwrite(fd, "c", 1, 0), 1);
    (void)close(fd);
}

static void who_maps_a_file_sees_what_is_written(void **state)
{
    struct fixture *f = *state;
    int fd = durable_file(f);
    const char *map = mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, fd, 0);
    fill(fd, 'm', 512, 512);
    assert_int_equal(map[511], 'a');
    assert_int_equal(map[512], 'm');
    assert_int_equal(munmap((void *)map, 1 << 20), 0);
    (void)close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_synced_stays),
        TEST(each_sector_that_was_not_synced_is_old_or_new),
        TEST(a_process_that_dies_loses_nothing_that_it_wrote),
        TEST(a_length_that_was_not_synced_may_be_the_old_one),
        TEST(what_was_cut_off_may_come_back),
        TEST(names_that_were_not_synced_may_be_as_before),
        TEST(a_removed_file_may_be_there_again_until_the_folder_is_synced),
        TEST(a_full_disk_writes_short_and_then_not_at_all),
        TEST(a_disk_that_fails_changes_nothing_any_more),
        TEST(who_maps_a_file_sees_what_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
