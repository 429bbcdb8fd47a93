/* The file of a backup: what was written reads back, and nothing else is taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/backup_file.h"
#include "base/file.h"

#define CHUNKS      3
#define CHUNK_BYTES 40

static const struct backup_manifest full = {.kind = BACKUP_FULL,
                                            .cluster = {.low = 1, .high = 2},
                                            .store_format = 5,
                                            .node = 3,
                                            .index = 400,
                                            .revision = 300,
                                            .time_us = 1700000000000001,
                                            .covers_us = 1700000000000002,
                                            .data = {.low = 7, .high = 8},
                                            .state = {.low = 9, .high = 10},
                                            .bytes = (uint64_t)CHUNKS * CHUNK_BYTES};

struct fixture {
    char path[64];
    struct buffer bytes;
};

static void put_file(struct buffer *to, const struct backup_manifest *m)
{
    uint8_t header[BACKUP_HEADER_BYTES];
    uint8_t head[BACKUP_CHUNK_HEAD_BYTES];
    uint8_t bytes[CHUNK_BYTES];
    struct backup_chain chain;
    backup_header_encode(m, header, &chain);
    assert_true(buffer_append(to, header, sizeof header));
    for (int i = 0; i < CHUNKS; i++) {
        memset(bytes, 'a' + i, sizeof bytes);
        backup_chunk_encode(&chain, span_make(bytes, sizeof bytes), head);
        assert_true(buffer_append(to, head, sizeof head));
        assert_true(buffer_append(to, bytes, sizeof bytes));
    }
    backup_chunk_encode(&chain, span_make(NULL, 0), head);
    assert_true(buffer_append(to, head, sizeof head));
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->path, sizeof f->path, "/tmp/clade-backup-XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    (void)close(fd);
    buffer_init(&f->bytes, 1 << 20);
    put_file(&f->bytes, &full);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)unlink(f->path);
    buffer_release(&f->bytes);
    free(f);
    return 0;
}

static void put_bytes(const struct fixture *f, struct span bytes)
{
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

/* Reads it to its end; what came of it. */
static int read_file(const struct fixture *f, struct backup_manifest *ret, struct error *error)
{
    struct backup_reader r;
    struct span bytes;
    int rc = backup_reader_open(&r, f->path, error);
    if (rc == 0) {
        *ret = r.manifest;
        int i = 0;
        while ((rc = backup_reader_next(&r, &bytes, error)) == 0) {
            assert_true(i < CHUNKS && bytes.len == CHUNK_BYTES && bytes.data[0] == 'a' + i);
            i++;
        }
        assert_true(rc < 0 || i == CHUNKS);
        assert_int_equal(backup_reader_next(&r, &bytes, NULL), rc);
    }
    backup_reader_release(&r);
    backup_reader_release(&r);
    return rc;
}

static void what_was_written_reads_back(void **state)
{
    struct fixture *f = *state;
    struct backup_manifest m;
    put_bytes(f, buffer_span(&f->bytes));
    assert_int_equal(read_file(f, &m, NULL), 1);
    assert_int_equal(m.kind, full.kind);
    assert_true(hash128_equal(m.cluster, full.cluster));
    assert_int_equal(m.store_format, full.store_format);
    assert_int_equal(m.node, full.node);
    assert_int_equal(m.base, full.base);
    assert_int_equal(m.index, full.index);
    assert_int_equal(m.revision, full.revision);
    assert_int_equal(m.time_us, full.time_us);
    assert_int_equal(m.covers_us, full.covers_us);
    assert_true(hash128_equal(m.data, full.data) && hash128_equal(m.state, full.state));
    assert_int_equal(m.bytes, full.bytes);
}

static void every_changed_byte_is_found(void **state)
{
    struct fixture *f = *state;
    struct backup_manifest m;
    for (size_t i = 0; i < f->bytes.len; i++) {
        struct error e = {.code = 0};
        f->bytes.data[i] ^= 0x20;
        put_bytes(f, buffer_span(&f->bytes));
        int rc = read_file(f, &m, &e);
        assert_true(rc == CLADE_ERR_CORRUPT || (rc == CLADE_ERR_UNSUPPORTED && i >= 8 && i < 12));
        assert_string_equal(e.where, f->path);
        f->bytes.data[i] ^= 0x20;
    }
}

static void every_shorter_file_and_a_longer_one_are_found(void **state)
{
    struct fixture *f = *state;
    struct backup_manifest m;
    struct error e;
    for (size_t len = 0; len < f->bytes.len; len++) {
        put_bytes(f, span_make(f->bytes.data, len));
        assert_int_equal(read_file(f, &m, &e), CLADE_ERR_CORRUPT);
        assert_non_null(strstr(e.message, len < 8 ? "no backup of clade" : "cut off"));
    }
    assert_true(buffer_append_u8(&f->bytes, 0));
    put_bytes(f, buffer_span(&f->bytes));
    assert_int_equal(read_file(f, &m, &e), CLADE_ERR_CORRUPT);
    assert_non_null(strstr(e.message, "behind its end"));
}

/* Each chunk is whole, and its checksum was right where it stood. */
static void chunks_that_are_missing_or_moved_or_of_another_file_are_found(void **state)
{
    enum { ONE = BACKUP_CHUNK_HEAD_BYTES + CHUNK_BYTES };
    struct fixture *f = *state;
    struct backup_manifest other = full;
    struct backup_manifest m;
    struct buffer of_other;
    struct buffer moved;
    uint8_t *chunks = f->bytes.data + BACKUP_HEADER_BYTES;
    other.revision++;
    buffer_init(&of_other, 1 << 20);
    buffer_init(&moved, 1 << 20);
    put_file(&of_other, &other);
    const struct {
        const char *what;
        const uint8_t *parts[4]; /* of one chunk each */
        size_t n;
    } rows[] = {
        {"the first is missing", {chunks + ONE, chunks + 2 * ONE}, 2},
        {"the last is missing", {chunks, chunks + ONE}, 2},
        {"one is there twice", {chunks, chunks, chunks + ONE, chunks + 2 * ONE}, 4},
        {"two have changed places", {chunks + ONE, chunks, chunks + 2 * ONE}, 3},
        {"one is of another file",
         {chunks, of_other.data + BACKUP_HEADER_BYTES + ONE, chunks + 2 * ONE},
         3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error e = {.code = 0};
        buffer_clear(&moved);
        assert_true(buffer_append(&moved, f->bytes.data, BACKUP_HEADER_BYTES));
        for (size_t k = 0; k < rows[i].n; k++) {
            assert_true(buffer_append(&moved, rows[i].parts[k], ONE));
        }
        assert_true(buffer_append(&moved, chunks + CHUNKS * ONE, BACKUP_CHUNK_HEAD_BYTES));
        put_bytes(f, buffer_span(&moved));
        if (read_file(f, &m, &e) != CLADE_ERR_CORRUPT || strstr(e.message, "at byte ") == NULL) {
            fail_msg("%s: %s", rows[i].what, e.message);
        }
    }
    buffer_release(&of_other);
    buffer_release(&moved);
}

static void a_file_of_something_else_and_none_are_told(void **state)
{
    struct fixture *f = *state;
    struct backup_manifest m;
    struct error e;
    char text[2 * BACKUP_HEADER_BYTES];
    memset(text, '{', sizeof text);
    put_bytes(f, span_make(text, sizeof text));
    assert_int_equal(read_file(f, &m, &e), CLADE_ERR_CORRUPT);
    assert_non_null(strstr(e.message, "no backup of clade"));
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(read_file(f, &m, &e), CLADE_ERR_NOT_FOUND);
}

/* Its checksum is right: whoever made it had another mind. */
static void a_header_that_says_what_cannot_be_is_refused(void **state)
{
    struct backup_manifest rows[] = {full, full, full, full};
    rows[0].bytes = 0;
    rows[1].base = 1;
    rows[2].kind = BACKUP_INCREMENTAL; /* and has bytes */
    rows[3].kind = (enum backup_kind)3;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t header[BACKUP_HEADER_BYTES];
        struct backup_chain chain;
        struct backup_manifest m;
        backup_header_encode(&rows[i], header, &chain);
        assert_int_equal(backup_header_decode(header, &m, &chain, NULL), CLADE_ERR_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_reads_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_changed_byte_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_shorter_file_and_a_longer_one_are_found, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            chunks_that_are_missing_or_moved_or_of_another_file_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_of_something_else_and_none_are_told, set_up,
                                        tear_down),
        cmocka_unit_test(a_header_that_says_what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
