/* Bits flip, sectors are lost, files lose their ends or are gone, each file of the log: a node then
 * starts with everything that it acknowledged, or it does not start and says why. It never starts
 * with less.
 *
 * CLADE_DAMAGE_ROUNDS=N for a longer run (about 30 ms each), CLADE_DAMAGE_SEED=N to repeat one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/guard.h"
#include "tests/sim/random.h"
#include "tests/unit/consensus/log_fixture.h"

#define ROUNDS       70 /* for each of the logs */
#define SECTOR_BYTES 512

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* What a log held when its process died, and the mark of that moment. */
struct remains {
    struct image image;
    struct guard_mark mark;
};

/* Several thousand entries of a few terms. */
static void write_log(struct log_fixture *l, unsigned appends)
{
    for (unsigned i = 0; i < appends; i++) {
        if (i % 250 == 0) {
            l->term++;
            assert_int_equal(l->io->set_term(l->io, l->term), 0);
            assert_int_equal(l->io->set_vote(l->io, 1 + i % 3), 0);
        }
        log_append(l, 1 + i % 5, 8 + 8 * (i * 7 % 20));
        if (i % 16 == 0) {
            log_wait(l);
        }
    }
    log_wait(l);
}

static void take(struct log_fixture *l, struct remains *ret)
{
    guard_flush(l->guard);
    assert_int_equal(guard_mark_read(l->mark, &ret->mark, NULL), 0);
    assert_int_equal(ret->mark.index, l->next - 1);
    image_take(&ret->image, l->path);
}

static void prepare(struct log_fixture *l, unsigned kind, struct remains *ret)
{
    assert_int_equal(log_open(l, NULL, NULL), 0);
    write_log(l, 1000);
    if (kind == 1) {
        log_snapshot(l, 2500, l->term, 500);
        write_log(l, 100);
    } else if (kind == 2) {
        log_snapshot(l, 5000, l->term + 1, 0);
        l->term++;
        write_log(l, 400);
    }
    take(l, ret);
    log_close(l);
}

static void cut(struct image_file *f, size_t used, struct sim_random *r, char text[128])
{
    size_t len = random_below(r, random_chance(r, 500) ? used + 1 : f->len);
    (void)snprintf(text, 128, "%s is cut from %zu to %zu", f->name, f->len, len);
    f->len = len;
}

/* As if writes that were synced had never come to the disk. */
static void lose_sectors(struct image_file *f, size_t used, struct sim_random *r, char text[128])
{
    size_t from = random_below(r, used / SECTOR_BYTES + 1) * SECTOR_BYTES;
    size_t to = from + SECTOR_BYTES * (1 + random_below(r, 16));
    to = random_chance(r, 300) || to > f->len ? f->len : to;
    (void)snprintf(text, 128, "%s is zero from %zu to %zu", f->name, from, to);
    memset(f->bytes + from, 0, to > from ? to - from : 0);
}

static void flip(struct image_file *f, size_t used, struct sim_random *r, char text[128])
{
    size_t at = random_below(r, used > 0 && !random_chance(r, 100) ? used : f->len);
    unsigned bit = (unsigned)random_below(r, 8);
    (void)snprintf(text, 128, "%s byte %zu bit %u", f->name, at, bit);
    f->bytes[at] ^= (uint8_t)(1u << bit);
}

/* The file's name, and what was done to it. */
static void damage(struct image *image, struct sim_random *r, char text[128])
{
    struct image_file *f = &image->files[random_below(r, image->len)];
    unsigned what = (unsigned)random_below(r, 100);
    size_t used = f->len; /* most of an open segment is empty yet */
    while (used > 0 && f->bytes[used - 1] == 0) {
        used--;
    }
    if (f->len == 0) {
        (void)snprintf(text, 128, "%s is empty anyway", f->name);
    } else if (what < 10) {
        (void)snprintf(text, 128, "%s is gone", f->name);
        image_remove(image, f);
    } else if (what < 25) {
        cut(f, used, r, text);
    } else if (what < 50) {
        lose_sectors(f, used, r, text);
    } else {
        flip(f, used, r, text);
    }
}

static bool has_everything(const struct loaded_log *log, const struct guard_mark *mark)
{
    const struct raft_snapshot *s = log->snapshot;
    raft_index last = log->start + log->n - 1;
    if (last < mark->index || log->term < mark->term ||
        (log->term == mark->term && log->vote != mark->vote) ||
        log->start > (s == NULL ? 0 : s->index) + 1 || (s != NULL && !log_snapshot_is_right(s))) {
        return false;
    }
    for (size_t i = 0; i < log->n; i++) {
        if (!log_entry_is_right(&log->entries[i], log->start + i)) {
            return false;
        }
    }
    return true;
}

static void copy_image(const struct image *from, struct image *ret)
{
    ret->len = 0;
    for (unsigned i = 0; i < from->len; i++) {
        image_add(ret, &from->files[i], from->files[i].name);
    }
}

static void one_round(struct log_fixture *l,
                      const struct remains *r,
                      struct sim_random *random,
                      unsigned counts[2])
{
    struct image image;
    struct loaded_log log;
    char what[128];
    char text[256] = "";
    copy_image(&r->image, &image);
    damage(&image, random, what);
    image_put(&image, l->path);
    image_release(&image);
    int rv = log_open(l, &log, text);
    if (rv != 0) {
        counts[0]++;
        if (text[0] == 0) {
            print_message("%s: refused without a word\n", what);
        }
        assert_string_not_equal(text, "");
        return;
    }
    counts[1]++;
    bool all = has_everything(&log, &r->mark);
    if (!all) {
        print_message("%s: started with %llu..%llu, acknowledged up to %llu\n", what, log.start,
                      log.start + log.n - 1, (unsigned long long)r->mark.index);
    }
    loaded_log_release(&log);
    log_close(l);
    assert_true(all);
}

static void check_kind(unsigned kind, const char *name)
{
    uint64_t seed = from_environment("CLADE_DAMAGE_SEED", 1) + kind;
    uint64_t rounds = from_environment("CLADE_DAMAGE_ROUNDS", ROUNDS);
    struct sim_random random;
    struct remains r;
    unsigned counts[2] = {0};
    random_seed(&random, seed);
    struct log_fixture *l = log_new();
    prepare(l, kind, &r);
    print_message("%s: %u files, seed %llu\n", name, r.image.len, (unsigned long long)seed);
    image_put(&r.image, l->path);
    assert_int_equal(log_open(l, NULL, NULL), 0);
    log_close(l);
    for (uint64_t i = 0; i < rounds; i++) {
        one_round(l, &r, &random, counts);
    }
    print_message("%u refused, %u whole\n", counts[0], counts[1]);
    assert_true(counts[0] > 0 && counts[1] > 0);
    image_release(&r.image);
    log_free(l);
}

static void a_damaged_log_is_whole_or_refused(void **state)
{
    check_kind(0, "a log from its beginning");
}

static void a_damaged_log_behind_a_snapshot_is_whole_or_refused(void **state)
{
    check_kind(1, "a log with a snapshot of its own");
}

static void a_damaged_log_behind_an_install_is_whole_or_refused(void **state)
{
    check_kind(2, "a log behind an install");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_log_is_whole_or_refused),
        cmocka_unit_test(a_damaged_log_behind_a_snapshot_is_whole_or_refused),
        cmocka_unit_test(a_damaged_log_behind_an_install_is_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
