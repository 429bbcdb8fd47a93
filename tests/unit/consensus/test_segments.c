/* Legal remains of crashes and illegal damage, on files that raft_uv wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "consensus/segment_scan.h"
#include "consensus/segments.h"
#include "tests/sim/random.h"
#include "tests/unit/consensus/log_fixture.h"

#define SECTOR 512
#define BLOCK  4096

/* Opens the image and says how many entries it holds, all of them right; 0 with a sentence when it
 * is refused. */
static raft_index entries_of(struct log_fixture *l, const struct image *image, char text[256])
{
    struct loaded_log log;
    image_put(image, l->path);
    text[0] = 0;
    if (log_open(l, &log, text) != 0) {
        assert_string_not_equal(text, "");
        return 0;
    }
    for (size_t i = 0; i < log.n; i++) {
        assert_true(log_entry_is_right(&log.entries[i], log.start + i));
    }
    raft_index last = log.start + log.n - 1;
    loaded_log_release(&log);
    log_close(l);
    return last;
}

static struct segment_scan scan_of(const struct image_file *f)
{
    struct segment_scan s;
    segment_scan(span_make(f->bytes, f->len), &s);
    return s;
}

/* A log whose mark asks for nothing, so that what is refused is refused for its files alone. */
static struct log_fixture *unmarked(void)
{
    struct log_fixture *l = log_new();
    l->guard_off = true;
    return l;
}

/* The folder as a process that is killed leaves it, with the log open. */
static void take_open(struct log_fixture *l, struct image *ret)
{
    log_wait(l);
    image_take(ret, l->path);
}

/* --- scanning --- */

static void what_raft_uv_wrote_is_whole(void **state)
{
    struct log_fixture *l = unmarked();
    struct image image;
    assert_int_equal(log_open(l, NULL, NULL), 0);
    for (unsigned i = 0; i < 50; i++) {
        log_append(l, 1 + i % 7, 8 + 8 * (i * 37 % 200));
    }
    take_open(l, &image);
    uint64_t entries = 0;
    for (unsigned i = 0; i < image.len; i++) {
        unsigned long long first;
        unsigned long long last;
        struct segment_scan s = scan_of(&image.files[i]);
        if (strncmp(image.files[i].name, "open", 4) == 0) {
            entries += s.entries;
        } else if (sscanf(image.files[i].name, "%llu-%llu", &first, &last) == 2) {
            assert_int_equal(s.end, SEGMENT_WHOLE);
            assert_int_equal(s.bytes, image.files[i].len);
            assert_int_equal(s.entries, last - first + 1);
            entries += s.entries;
        }
    }
    assert_int_equal(entries, l->next - 1);
    image_release(&image);
    log_free(l);
}

static void a_segment_that_was_never_written_is_empty(void **state)
{
    static const uint8_t zeros[BLOCK];
    struct segment_scan s;
    segment_scan(span_make(zeros, sizeof zeros), &s);
    assert_int_equal(s.end, SEGMENT_EMPTY);
    segment_scan(span_make(zeros, 0), &s);
    assert_int_equal(s.end, SEGMENT_EMPTY);
}

static void no_bytes_make_the_scan_read_outside(void **state)
{
    struct sim_random r;
    random_seed(&r, 7);
    for (unsigned i = 0; i < 2000; i++) {
        size_t len = random_below(&r, 300);
        uint8_t *bytes = calloc(1, len + 1);
        for (size_t k = 0; k < len; k++) {
            bytes[k] = random_chance(&r, 300) ? (uint8_t)random_below(&r, 4) : 0;
        }
        if (len >= 8) {
            put_u64le(bytes, 1);
        }
        uint8_t *exact = malloc(len == 0 ? 1 : len); /* so that a sanitizer sees the end */
        memcpy(exact, bytes, len);
        struct segment_scan s;
        segment_scan(span_make(exact, len), &s);
        assert_true(s.bytes <= len);
        free(exact);
        free(bytes);
    }
}

/* --- torn writes --- */

/* Takes sectors of the last write away: any, those behind one, those before one, or one alone. */
static void tear(struct image_file *file, const struct image_file *old, struct sim_random *r)
{
    unsigned per_thousand = (unsigned)random_below(r, 1000);
    unsigned how = (unsigned)random_below(r, 4);
    size_t used = scan_of(file).bytes;
    size_t border = random_below(r, used / SECTOR + 1);
    for (size_t sector = 0; sector < file->len / SECTOR; sector++) {
        bool lost = how == 0   ? random_chance(r, per_thousand)
                    : how == 1 ? sector > border
                    : how == 2 ? sector < border
                               : sector == border;
        if (lost && old == NULL) {
            memset(file->bytes + sector * SECTOR, 0, SECTOR);
        } else if (lost) {
            memcpy(file->bytes + sector * SECTOR, old->bytes + sector * SECTOR, SECTOR);
        }
    }
}

/* What `before` and `after` hold, and a log to open what lies between. */
struct write {
    struct image before;
    struct image after;
    raft_index acked; /* in `before` */
    raft_index last;  /* in `after` */
    struct log_fixture *again;
};

static void tear_and_check(struct write *w, struct sim_random *r, bool open)
{
    struct image torn = {.len = 0};
    char text[256];
    for (unsigned i = 0; i < w->after.len; i++) {
        image_add(&torn, &w->after.files[i], w->after.files[i].name);
    }
    struct image_file *file = image_find(&torn, "open-1");
    const struct image_file *old = image_find(&w->before, "open-1");
    tear(file, old, r);
    struct segment_scan s = scan_of(file);
    assert_int_not_equal(s.end, SEGMENT_DAMAGED);
    assert_true(old == NULL || s.bytes >= scan_of(old).bytes);
    if (open) {
        raft_index last = entries_of(w->again, &torn, text);
        assert_true(last >= w->acked && last <= w->last);
    }
    image_release(&torn);
}

/* Every sector of the last write is there or not: the entries before it always are. */
static void a_torn_write_costs_nothing_that_was_acknowledged(void **state)
{
    uint64_t seed = 20;
    struct sim_random r;
    print_message("seed %llu\n", (unsigned long long)seed);
    random_seed(&r, seed);
    for (unsigned round = 0; round < 16; round++) {
        struct log_fixture *l = unmarked();
        struct write w = {.again = unmarked()};
        assert_int_equal(log_open(l, NULL, NULL), 0);
        unsigned appends = (unsigned)random_below(&r, 5); /* round 0: the first of a segment */
        for (unsigned i = 0; i < appends && round > 0; i++) {
            log_append(l, 1 + (unsigned)random_below(&r, 4), 8 + 8 * random_below(&r, 200));
        }
        take_open(l, &w.before);
        w.acked = l->next - 1;
        /* The first of these is a write of its own, the others are one together. */
        for (unsigned i = 0; i < 1 + round % 3; i++) {
            bool many = random_chance(&r, 300);
            log_append(l, 1 + (unsigned)random_below(&r, many ? 60 : 3),
                       8 + 8 * random_below(&r, many ? 10 : 500));
        }
        take_open(l, &w.after);
        w.last = l->next - 1;
        for (unsigned i = 0; i < 300; i++) {
            tear_and_check(&w, &r, i % 150 == 0);
        }
        image_release(&w.before);
        image_release(&w.after);
        log_free(w.again);
        log_free(l);
    }
}

static void a_segment_with_room_for_eight_bytes_is_taken(void **state)
{
    struct log_fixture *l = unmarked();
    struct image image;
    char text[256];
    assert_int_equal(log_open(l, NULL, NULL), 0);
    size_t batch = 16 + 16; /* checksums, count, the header of one entry */
    log_append(l, 1, LOG_SEGMENT_BYTES - 8 - 8 - batch);
    take_open(l, &image);
    struct image_file *file = image_find(&image, "open-1");
    assert_int_equal(file->len - scan_of(file).bytes, 8);
    log_close(l);
    assert_int_equal(entries_of(l, &image, text), 2);
    image_release(&image);
    log_free(l);
}

/* --- damage --- */

static void flip(struct image_file *f, size_t at)
{
    f->bytes[at] ^= 0x10;
}

static void a_flipped_bit_in_an_open_segment_is_refused_with_file_and_offset(void **state)
{
    struct sim_random r;
    random_seed(&r, 3);
    struct log_fixture *l = unmarked();
    struct image image;
    assert_int_equal(log_open(l, NULL, NULL), 0);
    for (unsigned i = 0; i < 100; i++) {
        log_append(l, 1 + i % 3, 200);
    }
    take_open(l, &image);
    log_close(l);
    struct image_file *file = image_find(&image, "open-1");
    size_t end = scan_of(file).bytes;
    for (unsigned i = 0; i < 40; i++) {
        char text[256];
        size_t at = i < 8 ? i : random_below(&r, end);
        flip(file, at);
        assert_int_equal(entries_of(l, &image, text), 0);
        assert_non_null(strstr(text, "open-1: the batch at byte "));
        flip(file, at);
    }
    image_release(&image);
    log_free(l);
}

static void a_segment_that_lost_its_end_is_refused_when_another_follows(void **state)
{
    struct log_fixture *l = unmarked();
    struct image image;
    char text[256];
    assert_int_equal(log_open(l, NULL, NULL), 0);
    log_append(l, 10, 400);
    take_open(l, &image);
    log_close(l);
    struct image_file *second = image_find(&image, "open-2");
    if (second != NULL) {
        image_remove(&image, second); /* laid out in advance */
    }
    struct image_file *first = image_find(&image, "open-1");
    image_add(&image, first, "open-2");
    struct segment_scan whole = scan_of(first);
    memset(first->bytes + SECTOR, 0, SECTOR); /* torn, it seems */
    assert_int_equal(scan_of(first).end, SEGMENT_TORN);
    assert_int_equal(entries_of(l, &image, text), 0);
    assert_non_null(strstr(text, "open-1"));
    memset(first->bytes, 0, whole.bytes); /* never written, it seems */
    assert_int_equal(entries_of(l, &image, text), 0);
    assert_non_null(strstr(text, "open-1"));
    image_release(&image);
    log_free(l);
}

static void metadata_that_does_not_alternate_is_refused(void **state)
{
    static const struct {
        const char *what;
        uint64_t odd[3]; /* version, term, vote; version 0: the file is not there */
        uint64_t even[3];
        bool legal;
    } rows[] = {
        {"a bootstrapped log", {1, 1, 0}, {0}, true},
        {"a term, then its vote", {3, 5, 2}, {2, 5, 0}, true},
        {"a vote, then the next term", {3, 5, 2}, {4, 6, 0}, true},
        {"the second file is lost", {3, 5, 2}, {0}, false},
        {"the first file is lost", {0}, {2, 5, 0}, false},
        {"a version is skipped", {5, 5, 2}, {2, 5, 0}, false},
        {"the versions are in the wrong files", {2, 5, 0}, {3, 5, 2}, false},
        {"the term goes back", {3, 4, 0}, {2, 5, 0}, false},
        {"a new term has a vote already", {3, 7, 2}, {2, 5, 0}, false},
        {"the vote was changed", {3, 5, 2}, {2, 5, 1}, false},
        {"both are lost", {0}, {0}, false},
    };
    struct log_fixture *l = unmarked();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct image image;
        char text[256];
        image_take(&image, l->path);
        const uint64_t *values[2] = {rows[i].odd, rows[i].even};
        for (unsigned k = 0; k < 2; k++) {
            char name[16];
            (void)snprintf(name, sizeof name, "metadata%u", k + 1);
            struct image_file *f = image_find(&image, name);
            if (f != NULL) {
                image_remove(&image, f);
            }
            if (values[k][0] != 0) {
                uint8_t bytes[32];
                put_u64le(bytes, 1);
                memcpy(bytes + 8, values[k], 24);
                image_add(&image, &(struct image_file){.bytes = bytes, .len = sizeof bytes}, name);
            }
        }
        raft_index last = entries_of(l, &image, text);
        print_message("%s: %s\n", rows[i].what, last > 0 ? "taken" : text);
        assert_int_equal(last > 0, rows[i].legal);
        image_release(&image);
        /* The next row begins from a log that is whole. */
        log_free(l);
        l = unmarked();
    }
    log_free(l);
}

/* --- what raft_uv was doing when the process died --- */

static bool is_segment(const struct image_file *f)
{
    unsigned long long n;
    return sscanf(f->name, "%llu-", &n) == 1 || strncmp(f->name, "open-", 5) == 0;
}

/* An install over a log that goes on past the snapshot, with other terms: whatever of the old
 * segments a crash left, what comes back is the snapshot alone, or the old log alone. */
static void an_interrupted_install_is_all_or_nothing(void **state)
{
    for (unsigned removed = 0; removed < 5; removed++) {
        struct log_fixture *l = unmarked();
        struct image before;
        struct image after;
        struct loaded_log log;
        char text[256];
        assert_int_equal(log_open(l, NULL, NULL), 0);
        for (unsigned i = 0; i < 300; i++) {
            log_append(l, 1, 800);
        }
        log_close(l);
        assert_int_equal(log_open(l, NULL, NULL), 0);
        image_take(&before, l->path);
        log_snapshot(l, 100, 7, 0);
        take_open(l, &after);
        assert_null(image_find(&after, "install"));
        log_close(l);
        /* The snapshot is linked, some segments are still there, and the note is. */
        unsigned gone = 0;
        for (unsigned i = 0; i < before.len; i++) {
            if (is_segment(&before.files[i]) && gone++ >= removed &&
                image_find(&after, before.files[i].name) == NULL) {
                image_add(&after, &before.files[i], before.files[i].name);
            }
        }
        image_put(&after, l->path);
        assert_int_equal(segments_begin_install(l->path, 100, 7, NULL), 0);
        assert_int_equal(log_open(l, &log, text), 0);
        assert_non_null(log.snapshot);
        assert_int_equal(log.snapshot->index, 100);
        assert_int_equal(log.n, 0);
        assert_int_equal(log.start, 101);
        loaded_log_release(&log);
        /* What is appended behind it survives. */
        l->term = 8;
        log_append(l, 5, 800);
        log_close(l);
        assert_int_equal(log_open(l, &log, text), 0);
        assert_int_equal(log.start, 101);
        assert_int_equal(log.n, 5);
        assert_int_equal(log.entries[0].term, 8);
        loaded_log_release(&log);
        log_close(l);
        /* The snapshot is not there yet: the old log is as it was. */
        image_put(&before, l->path);
        assert_int_equal(segments_begin_install(l->path, 100, 7, NULL), 0);
        assert_int_equal(log_open(l, &log, text), 0);
        assert_null(log.snapshot);
        assert_int_equal(log.n, 301);
        loaded_log_release(&log);
        log_close(l);
        image_release(&before);
        image_release(&after);
        log_free(l);
    }
}

static void a_damaged_note_of_an_install_is_refused(void **state)
{
    struct log_fixture *l = unmarked();
    struct image image;
    char text[256];
    assert_int_equal(segments_begin_install(l->path, 100, 7, NULL), 0);
    image_take(&image, l->path);
    flip(image_find(&image, "install"), 12);
    assert_int_equal(entries_of(l, &image, text), 0);
    assert_non_null(strstr(text, "install"));
    image_release(&image);
    log_free(l);
}

/* raft_uv writes the part that stays, then removes the whole one and those behind it. */
static void an_interrupted_truncation_is_finished(void **state)
{
    struct log_fixture *l = unmarked();
    struct image before;
    struct image image;
    char text[256];
    assert_int_equal(log_open(l, NULL, NULL), 0);
    for (unsigned i = 0; i < 150; i++) {
        log_append(l, 1, 800);
    }
    log_close(l);
    image_take(&before, l->path);
    assert_int_equal(log_open(l, NULL, NULL), 0);
    log_truncate(l, 61);
    l->term = 2;
    log_append(l, 1, 800);
    log_wait(l);
    image_take(&image, l->path);
    log_close(l);
    /* As if nothing had been removed, and nothing appended yet. */
    for (struct image_file *f; (f = image_find(&image, "open-")) != NULL;) {
        image_remove(&image, f);
    }
    unsigned kept = 0;
    for (unsigned i = 0; i < before.len; i++) {
        if (is_segment(&before.files[i]) && image_find(&image, before.files[i].name) == NULL) {
            image_add(&image, &before.files[i], before.files[i].name);
            kept++;
        }
    }
    assert_true(kept >= 2);
    /* What stays must be whole, else the whole one is better. */
    struct image_file *part = image_find(&image, "0000000000000002-0000000000000060");
    assert_non_null(part);
    flip(part, 100);
    assert_int_equal(entries_of(l, &image, text), 0);
    assert_non_null(strstr(text, part->name));
    flip(part, 100);
    (void)snprintf(part->name, sizeof part->name, "0000000000000002-0000000000000059");
    assert_int_equal(entries_of(l, &image, text), 0);
    assert_non_null(strstr(text, "0059 does not hold"));
    (void)snprintf(part->name, sizeof part->name, "0000000000000002-0000000000000060");
    assert_int_equal(entries_of(l, &image, text), 60);
    image_release(&before);
    image_release(&image);
    log_free(l);
}

static void what_closed_segments_reach_is_known(void **state)
{
    struct log_fixture *l = unmarked();
    bool reach = false;
    assert_int_equal(log_open(l, NULL, NULL), 0);
    for (unsigned i = 0; i < 9; i++) {
        log_append(l, 1, 800);
    }
    log_close(l);
    assert_int_equal(segments_reach(l->path, 10, &reach, NULL), 0);
    assert_true(reach);
    assert_int_equal(segments_reach(l->path, 11, &reach, NULL), 0);
    assert_false(reach);
    log_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_raft_uv_wrote_is_whole),
        cmocka_unit_test(a_segment_that_was_never_written_is_empty),
        cmocka_unit_test(no_bytes_make_the_scan_read_outside),
        cmocka_unit_test(a_torn_write_costs_nothing_that_was_acknowledged),
        cmocka_unit_test(a_segment_with_room_for_eight_bytes_is_taken),
        cmocka_unit_test(a_flipped_bit_in_an_open_segment_is_refused_with_file_and_offset),
        cmocka_unit_test(a_segment_that_lost_its_end_is_refused_when_another_follows),
        cmocka_unit_test(metadata_that_does_not_alternate_is_refused),
        cmocka_unit_test(an_interrupted_install_is_all_or_nothing),
        cmocka_unit_test(a_damaged_note_of_an_install_is_refused),
        cmocka_unit_test(an_interrupted_truncation_is_finished),
        cmocka_unit_test(what_closed_segments_reach_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
