#include "archive_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- a disk that fails on demand --- */

_Thread_local int64_t room = INT64_MAX; /* bytes that this thread may still write */
_Thread_local bool unlink_gives;
_Thread_local bool sync_fails;

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    if ((int64_t)len > room) {
        len = (size_t)room;
    }
    if (len == 0) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t n = syscall(SYS_pwrite64, fd, data, len, offset);
    room -= room != INT64_MAX && n > 0 ? n : 0;
    return n;
}

int unlink(const char *path)
{
    struct stat st;
    if (unlink_gives && stat(path, &st) == 0) {
        room += st.st_size;
    }
    return (int)syscall(SYS_unlink, path);
}

int fdatasync(int fd)
{
    if (sync_fails) {
        errno = EIO;
        return -1;
    }
    return 0; /* nothing here depends on it, and thousands take minutes on a busy disk */
}

int fsync(int fd)
{
    return fdatasync(fd);
}

/* --- the fixture --- */

static uint64_t now_of(const struct clock *c)
{
    return ((const struct fixture *)(const void *)c)->now_us;
}

void remove_files(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        (void)unlinkat(dirfd(dir), d->d_name, 0);
    }
    (void)closedir(dir);
}

int archive_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->path, sizeof f->path, "/tmp/clade-archive-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->clock = (struct clock){.monotonic_us = now_of, .wall_us = now_of};
    f->now_us = clock_wall_us(clock_system());
    f->options = (struct archive_options){.path = f->path,
                                          .cluster = {.low = 1, .high = 2},
                                          .clock = &f->clock,
                                          .bytes_max = 1 << 20,
                                          .segment_bytes = 4096};
    buffer_init(&f->out, 8 << 20);
    *state = f;
    return 0;
}

int archive_teardown(void **state)
{
    struct fixture *f = *state;
    archive_close(f->archive);
    remove_files(f->path);
    assert_int_equal(rmdir(f->path), 0);
    buffer_release(&f->out);
    free(f);
    return 0;
}

void reopen(struct fixture *f)
{
    archive_close(f->archive);
    f->archive = NULL;
    if (archive_open(&f->options, &f->archive, &f->error) != 0) {
        fail_msg("%s", f->error.message);
    }
}

struct span entry_at(uint64_t index, char text[512])
{
    size_t len = index % 5 == 0 ? 0 : 40 + index * 37 % 400;
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)(index + i);
    }
    return span_make(text, len);
}

int append(struct fixture *f, uint64_t previous, uint64_t index)
{
    char text[512];
    return archive_append(f->archive, previous, index, entry_at(index, text), &f->error);
}

void append_up_to(struct fixture *f, uint64_t last)
{
    uint64_t base;
    uint64_t at;
    archive_range(f->archive, &base, &at);
    for (; at < last; at++) {
        assert_int_equal(append(f, at, at + 1), 0);
    }
}

void assert_range(struct fixture *f, uint64_t base, uint64_t last)
{
    uint64_t b;
    uint64_t l;
    archive_range(f->archive, &b, &l);
    assert_int_equal(b, base);
    assert_int_equal(l, last);
}

/* The records in `out` are those of after + 1 and so on; returns the last one's index. */
static uint64_t check_records(struct span out, uint64_t after)
{
    char text[512];
    struct archive_record r;
    while (out.len > 0) {
        assert_int_equal(archive_record_next(&out, &r, NULL), 0);
        assert_int_equal(r.previous, after);
        assert_int_equal(r.index, after + 1);
        assert_true(span_equal(r.bytes, entry_at(r.index, text)));
        after = r.index;
    }
    return after;
}

int read_all(struct archive *a, uint64_t after, size_t bytes_max, uint64_t *ret_last)
{
    struct buffer out;
    struct error error;
    uint64_t last = after;
    int rc = 0;
    buffer_init(&out, 8 << 20);
    do {
        after = last;
        buffer_clear(&out);
        rc = archive_read(a, after, bytes_max, &out, &last, &error);
        if (rc == 0) {
            assert_int_equal(check_records(buffer_span(&out), after), last);
        }
    } while (rc == 0 && last > after);
    buffer_release(&out);
    *ret_last = after;
    return rc;
}

void assert_reads(struct fixture *f, uint64_t after, uint64_t last)
{
    uint64_t end;
    assert_int_equal(read_all(f->archive, after, 1000, &end), 0);
    assert_int_equal(end, last);
}

unsigned files_of(struct fixture *f)
{
    unsigned n = 0;
    DIR *dir = opendir(f->path);
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        n += strstr(d->d_name, ".archive") != NULL;
    }
    (void)closedir(dir);
    return n;
}

void newest_path(struct fixture *f, unsigned nth, char path[128])
{
    struct dirent **names;
    int n = scandir(f->path, &names, NULL, alphasort);
    assert_true(n > (int)nth + 2);
    (void)snprintf(path, 128, "%.60s/%.40s", f->path, names[(unsigned)n - 1 - nth]->d_name);
    for (int i = 0; i < n; i++) {
        free(names[i]);
    }
    free(names);
}

uint64_t bytes_of(struct fixture *f)
{
    uint64_t bytes = 0;
    struct stat st;
    DIR *dir = opendir(f->path);
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        if (strstr(d->d_name, ".archive") != NULL) {
            assert_int_equal(fstatat(dirfd(dir), d->d_name, &st, 0), 0);
            bytes += (uint64_t)st.st_size;
        }
    }
    (void)closedir(dir);
    return bytes;
}

uint8_t *load_file(const char *path, size_t *ret_len)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    *ret_len = (size_t)st.st_size;
    uint8_t *bytes = malloc(*ret_len + 1);
    assert_int_equal(read(fd, bytes, *ret_len), st.st_size);
    (void)close(fd);
    return bytes;
}

void store_file(const char *path, const uint8_t *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    (void)close(fd);
}
