/* An archive whose files are torn, damaged, or gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_fixture.h"

/* --- damage --- */

static void a_torn_tail_is_cut_at_every_byte(void **state)
{
    struct fixture *f = *state;
    char path[128];
    size_t len;
    reopen(f);
    append_up_to(f, 60);
    newest_path(f, 0, path);
    uint8_t *bytes = load_file(path, &len);
    uint64_t reached = strtoull(strrchr(path, '/') + 1, NULL, 10);
    assert_true(len > 600);
    for (size_t cut = 0; cut <= len; cut++) {
        store_file(path, bytes, cut);
        reopen(f);
        uint64_t b;
        uint64_t last;
        archive_range(f->archive, &b, &last);
        assert_true(last >= reached && last <= reached + 1);
        reached = last;
        assert_int_equal(bytes_of(f), archive_bytes(f->archive));
        assert_reads(f, 0, last);
        append_up_to(f, last + 2); /* and it goes on from there */
        reopen(f);
        assert_reads(f, 0, last + 2);
    }
    assert_int_equal(reached, 60);
    free(bytes);
}

static void a_flipped_bit_is_never_read(void **state)
{
    struct fixture *f = *state;
    char path[128];
    size_t len;
    reopen(f);
    append_up_to(f, 60);
    unsigned files = files_of(f);
    for (unsigned nth = 0; nth < 3; nth += 2) {
        newest_path(f, nth, path);
        uint8_t *bytes = load_file(path, &len);
        for (size_t at = 0; at < len; at++) {
            bytes[at] ^= (uint8_t)(1 << at % 8);
            store_file(path, bytes, len);
            reopen(f);
            uint64_t base;
            uint64_t last;
            uint64_t end;
            archive_range(f->archive, &base, &last);
            int rc = read_all(f->archive, base, 1000, &end);
            /* Damage in the newest one is cut off; in an older one it is found by reading. */
            assert_true(rc == 0 ? end == last : nth > 0 && rc == 1 && end < last);
            archive_range(f->archive, &base, &last);
            assert_reads(f, base, last);
            assert_true(rc == 0 || base > end);
            assert_true(nth == 0 || last == 60);
            bytes[at] ^= (uint8_t)(1 << at % 8);
            archive_close(f->archive);
            f->archive = NULL;
            store_file(path, bytes, len);
            if (files_of(f) != files) { /* one with a damaged header went with all before it */
                remove_files(f->path);
                reopen(f);
                append_up_to(f, 60);
            }
        }
        free(bytes);
    }
}

static void what_a_reader_found_damaged_is_removed(void **state)
{
    struct fixture *f = *state;
    char path[128];
    size_t len;
    uint64_t end;
    uint64_t base;
    uint64_t last;
    reopen(f);
    append_up_to(f, 100);
    newest_path(f, 2, path);
    uint8_t *bytes = load_file(path, &len);
    bytes[len / 2] ^= 1;
    store_file(path, bytes, len);
    free(bytes);
    assert_int_equal(read_all(f->archive, 0, 1000, &end), 1);
    assert_true(end > 0 && end < 100);
    archive_range(f->archive, &base, &last);
    assert_true(base > end);
    assert_reads(f, base, 100);
    append_up_to(f, 101);
    assert_int_equal(files_of(f), 2);
    /* The newest one: begins anew where it ended. */
    newest_path(f, 0, path);
    assert_int_equal(truncate(path, ARCHIVE_FILE_HEADER + 5), 0);
    archive_range(f->archive, &base, &last);
    assert_int_equal(read_all(f->archive, base, 1000, &end), 1);
    assert_range(f, 101, 101);
    append_up_to(f, 105);
    assert_range(f, 101, 105);
    assert_reads(f, 101, 105);
    assert_int_equal(files_of(f), 1);
}

static void a_segment_that_goes_under_a_reader_is_compacted(void **state)
{
    struct fixture *f = *state;
    char path[128];
    uint64_t end;
    reopen(f);
    append_up_to(f, 100);
    newest_path(f, 1, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(read_all(f->archive, 0, 1000, &end), 1);
    assert_true(end > 0 && end < 100);
}

static void segments_of_another_cluster_are_not_used(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    append_up_to(f, 100);
    f->options.cluster.high = 3;
    reopen(f);
    assert_range(f, 0, 0);
    assert_int_equal(append(f, 7, 8), 0);
    assert_range(f, 7, 8);
}

static void a_record_that_does_not_follow_is_damage(void **state)
{
    struct fixture *f = *state;
    char path[128];
    size_t len;
    uint64_t end;
    reopen(f);
    append_up_to(f, 100);
    for (unsigned nth = 2; nth < 3; nth--) {
        newest_path(f, nth, path);
        uint64_t base = strtoull(strrchr(path, '/') + 1, NULL, 10);
        uint8_t *bytes = load_file(path, &len);
        struct span rest = span_make(bytes + ARCHIVE_FILE_HEADER, len - ARCHIVE_FILE_HEADER);
        struct archive_record r;
        assert_int_equal(archive_record_next(&rest, &r, NULL), 0);
        uint8_t *second = bytes + (len - rest.len);
        assert_int_equal(archive_record_next(&rest, &r, NULL), 0);
        memmove(second, rest.data, rest.len); /* all records are whole, but one is not there */
        store_file(path, bytes, (size_t)(second - bytes) + rest.len);
        free(bytes);
        reopen(f);
        if (nth == 0) {
            assert_range(f, 0, base + 1); /* cut off */
        } else {
            assert_int_equal(read_all(f->archive, base, 1000, &end), 1);
            assert_int_equal(end, base + 1);
        }
    }
}

static void a_record_that_is_not_sound_is_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t last;
    reopen(f);
    append_up_to(f, 3);
    assert_int_equal(archive_read(f->archive, 2, 1, &f->out, &last, &f->error), 0);
    struct archive_record r;
    for (size_t cut = 0; cut < f->out.len; cut++) {
        struct span rest = span_make(f->out.data, cut);
        assert_int_equal(archive_record_next(&rest, &r, NULL), CLADE_ERR_CORRUPT);
        assert_int_equal(rest.len, cut);
    }
    for (size_t bit = 0; bit < 8 * f->out.len; bit++) {
        f->out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct span rest = buffer_span(&f->out);
        assert_int_equal(archive_record_next(&rest, &r, NULL), CLADE_ERR_CORRUPT);
        f->out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    static const uint8_t zeros[64];
    struct span rest = span_make(zeros, sizeof zeros);
    assert_int_equal(archive_record_next(&rest, &r, NULL), CLADE_ERR_CORRUPT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, archive_setup, archive_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_torn_tail_is_cut_at_every_byte),
        TEST(a_flipped_bit_is_never_read),
        TEST(a_record_that_does_not_follow_is_damage),
        TEST(what_a_reader_found_damaged_is_removed),
        TEST(a_segment_that_goes_under_a_reader_is_compacted),
        TEST(segments_of_another_cluster_are_not_used),
        TEST(a_record_that_is_not_sound_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
