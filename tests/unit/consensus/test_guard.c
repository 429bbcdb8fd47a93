/* The guard over a log of the simulator, where a crash and what it takes can be had at will. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/list.h"
#include "consensus/guard.h"
#include "consensus/loaded_log.h"
#include "tests/sim/log.h"

/* --- a disk for the mark --- */

struct mark_disk {
    struct guard_disk disk; /* first */
    uint8_t slots[2][GUARD_SLOT_BYTES];
    bool exists;
    bool failing;
    atomic_uint writes;
};

static int disk_read(struct guard_disk *d,
                     uint8_t slots[2][GUARD_SLOT_BYTES],
                     bool *ret_exists,
                     struct error *error)
{
    const struct mark_disk *m = (struct mark_disk *)d;
    memcpy(slots, m->slots, sizeof m->slots);
    *ret_exists = m->exists;
    return 0;
}

static int disk_write(struct guard_disk *d,
                      unsigned slot,
                      const uint8_t bytes[GUARD_SLOT_BYTES],
                      struct error *error)
{
    struct mark_disk *m = (struct mark_disk *)d;
    if (m->failing) {
        return error_set(error, CLADE_ERR_IO, "mark", "no");
    }
    memcpy(m->slots[slot], bytes, GUARD_SLOT_BYTES);
    m->writes++;
    return 0;
}

/* --- a log, its mark and a guard --- */

struct fixture {
    uint64_t now_us;
    struct clock clock;
    struct sim_random random;
    struct sim_log log;
    struct mark_disk mark;
    struct mark_disk witness;
    struct guard *guard;
    struct raft_io *io;
    raft_term term;
    raft_index next;
    struct list writes;      /* under way */
    raft_index acknowledged; /* the last one, of what was not cut */
    unsigned dues;
    uint64_t due_us;
    unsigned fatals;
};

static uint64_t now_us(const struct clock *c)
{
    return *(const uint64_t *)c->data;
}

static void on_due(void *arg, uint64_t due_us)
{
    struct fixture *f = arg;
    f->dues++;
    f->due_us = due_us;
}

static void on_fatal(void *arg, const struct error *error)
{
    ((struct fixture *)arg)->fatals++;
}

static struct guard_mark mark_of(struct fixture *f)
{
    struct guard_mark m;
    assert_int_equal(guard_mark_read(&f->mark.disk, &m, NULL), 0);
    return m;
}

static void open_guard(struct fixture *f)
{
    const struct guard_options o = {.io = &f->log.io,
                                    .disk = &f->mark.disk,
                                    .witness = &f->witness.disk,
                                    .clock = &f->clock,
                                    .on_due = on_due,
                                    .on_fatal = on_fatal,
                                    .arg = f};
    assert_int_equal(guard_new(&o, &f->guard, NULL), 0);
    f->io = guard_io(f->guard);
    f->log.closing = false;
}

/* 0, or the code with which it was refused. */
static int load(struct fixture *f)
{
    struct loaded_log l = {.entries = NULL};
    open_guard(f);
    int rv = f->io->load(f->io, &l.term, &l.vote, &l.snapshot, &l.start, &l.entries, &l.n);
    if (rv == 0) {
        f->next = l.start + l.n;
        f->term = l.term;
        f->acknowledged = f->next - 1;
        loaded_log_release(&l);
    }
    return rv;
}

static void on_closed(struct raft_io *io)
{
}

static void close_guard(struct fixture *f)
{
    f->io->close(f->io, on_closed);
    guard_free(f->guard);
    f->guard = NULL;
}

/* A bootstrapped log with a mark, loaded. */
static struct fixture *fixture_new(uint64_t seed)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct raft_configuration c;
    random_seed(&f->random, seed);
    list_init(&f->writes);
    f->now_us = 1000000;
    f->clock = (struct clock){.monotonic_us = now_us, .data = &f->now_us};
    sim_log_init(&f->log, &f->now_us, &f->random);
    raft_configuration_init(&c);
    assert_int_equal(raft_configuration_add(&c, 1, "1", RAFT_VOTER), 0);
    assert_int_equal(f->log.io.bootstrap(&f->log.io, &c), 0);
    raft_configuration_close(&c);
    f->mark.disk = (struct guard_disk){.read = disk_read, .write = disk_write};
    f->mark.exists = true;
    f->witness = f->mark;
    assert_int_equal(guard_create(&f->mark.disk, NULL), 0);
    assert_int_equal(guard_create(&f->witness.disk, NULL), 0);
    assert_int_equal(load(f), 0);
    return f;
}

static void fixture_free(struct fixture *f)
{
    if (f->guard != NULL) {
        close_guard(f);
    }
    sim_log_release(&f->log);
    free(f);
}

struct write {
    struct raft_io_append req;
    struct fixture *fixture;
    struct list node;
    raft_index last;    /* of its entries that were not cut; below them when all were */
    bool *ret_due_seen; /* the mark was due, or written, when the append was acknowledged */
};

static void on_appended(struct raft_io_append *req, int status)
{
    struct write *w = req->data;
    struct fixture *f = w->fixture;
    list_remove(&w->node);
    if (status == 0 && w->last > f->acknowledged) {
        f->acknowledged = w->last;
    }
    if (w->ret_due_seen != NULL) {
        *w->ret_due_seen = f->due_us != 0;
    }
    free(w);
}

static void cut(struct fixture *f, raft_index index)
{
    f->acknowledged = f->acknowledged < index ? f->acknowledged : index - 1;
    LIST_FOREACH(n, &f->writes)
    {
        struct write *w = LIST_ENTRY(n, struct write, node);
        w->last = w->last < index ? w->last : index - 1;
    }
}

/* As libraft: truncates where the entries go, then appends. */
static int append_at(struct fixture *f, raft_index index, unsigned n, bool *ret_due_seen)
{
    uint64_t bytes = 7;
    struct raft_entry e[8];
    struct write *w = calloc(1, sizeof *w);
    assert_true(n <= 8);
    for (unsigned i = 0; i < n; i++) {
        e[i] = (struct raft_entry){
            .term = f->term, .type = RAFT_COMMAND, .buf = {.base = &bytes, .len = sizeof bytes}};
    }
    w->req.data = w;
    w->fixture = f;
    w->last = index + n - 1;
    w->ret_due_seen = ret_due_seen;
    cut(f, index);
    list_push_back(&f->writes, &w->node);
    int rv = f->io->truncate(f->io, index);
    if (rv == 0) {
        rv = f->io->append(f->io, &w->req, e, n, on_appended);
    }
    if (rv != 0) {
        list_remove(&w->node);
        free(w);
        return rv;
    }
    f->next = index + n;
    return 0;
}

static void append(struct fixture *f, unsigned n)
{
    assert_int_equal(append_at(f, f->next, n, NULL), 0);
}

static void finish(struct fixture *f)
{
    while (!list_is_empty(&f->writes)) {
        f->now_us = sim_log_next_us(&f->log);
        (void)sim_log_step(&f->log);
    }
}

static void write_mark(struct fixture *f)
{
    f->now_us += GUARD_LAZY_US;
    (void)guard_write(f->guard, f->now_us);
}

/* Stops and comes back with what a crash leaves; the writer's last words are lost. */
static int crash(struct fixture *f)
{
    sim_log_crash(&f->log);
    close_guard(f);
    list_init(&f->writes);
    return load(f);
}

/* --- what is refused --- */

static void a_log_that_lost_its_end_is_refused(void **state)
{
    struct fixture *f = fixture_new(1);
    append(f, 8);
    append(f, 8);
    finish(f);
    write_mark(f);
    assert_int_equal(mark_of(f).index, 17);
    close_guard(f);
    (void)f->log.io.truncate(&f->log.io, 17);
    assert_int_equal(load(f), RAFT_CORRUPT);
    assert_non_null(strstr(f->io->errmsg, "ends at index 16"));
    assert_non_null(strstr(f->io->errmsg, "acknowledged up to 17"));
    fixture_free(f);
}

static void an_older_copy_of_the_log_and_its_mark_is_refused(void **state)
{
    struct fixture *f = fixture_new(1);
    struct mark_disk mark = f->mark;
    append(f, 8);
    finish(f);
    (void)guard_write(f->guard, f->now_us + GUARD_WITNESS_US);
    close_guard(f);
    (void)f->log.io.truncate(&f->log.io, 2);
    f->mark = mark;
    assert_int_equal(load(f), RAFT_CORRUPT);
    assert_non_null(strstr(f->io->errmsg, "acknowledged up to 9"));
    fixture_free(f);
}

static void an_older_copy_of_the_term_and_its_mark_is_refused(void **state)
{
    struct fixture *f = fixture_new(1);
    struct mark_disk mark = f->mark;
    raft_term term = f->log.term;
    raft_id vote = f->log.vote;
    assert_int_equal(f->io->set_term(f->io, 7), 0);
    assert_int_equal(f->io->set_vote(f->io, 3), 0);
    close_guard(f);
    f->mark = mark;
    f->log.term = term;
    f->log.vote = vote;
    assert_int_equal(load(f), RAFT_CORRUPT);
    assert_non_null(strstr(f->io->errmsg, "has been in term 7"));
    fixture_free(f);
}

static void another_entry_at_the_mark_is_refused(void **state)
{
    struct fixture *f = fixture_new(1);
    append(f, 3);
    finish(f);
    write_mark(f);
    assert_int_equal(f->io->set_term(f->io, 9), 0);
    close_guard(f);
    f->log.entries[3].term = 9;
    assert_int_equal(load(f), RAFT_CORRUPT);
    assert_non_null(strstr(f->io->errmsg, "term 9 at index 4"));
    fixture_free(f);
}

static void an_earlier_term_is_refused(void **state)
{
    struct fixture *f = fixture_new(1);
    assert_int_equal(f->io->set_term(f->io, 7), 0);
    close_guard(f);
    f->log.term = 6;
    assert_int_equal(load(f), RAFT_CORRUPT);
    assert_non_null(strstr(f->io->errmsg, "the term on disk is 6"));
    fixture_free(f);
}

static void another_vote_in_the_same_term_is_refused(void **state)
{
    struct fixture *f = fixture_new(1);
    assert_int_equal(f->io->set_term(f->io, 7), 0);
    assert_int_equal(f->io->set_vote(f->io, 2), 0);
    close_guard(f);
    f->log.vote = 3;
    assert_int_equal(load(f), RAFT_CORRUPT);
    assert_non_null(strstr(f->io->errmsg, "voted for 2"));
    close_guard(f);
    f->log.vote = 0;
    assert_int_equal(load(f), RAFT_CORRUPT);
    fixture_free(f);
}

/* raft_uv keeps them without a checksum. */
static void a_term_or_vote_that_was_never_written_is_refused(void **state)
{
    struct fixture *f = fixture_new(1);
    assert_int_equal(f->io->set_term(f->io, 7), 0);
    close_guard(f);
    f->log.term = 7 | UINT64_C(1) << 63;
    assert_int_equal(load(f), RAFT_CORRUPT);
    assert_non_null(strstr(f->io->errmsg, "never been beyond term 7"));
    close_guard(f);
    f->log.term = 7;
    f->log.vote = 2;
    assert_int_equal(load(f), RAFT_CORRUPT);
    assert_non_null(strstr(f->io->errmsg, "the vote on disk is for 2"));
    close_guard(f);
    f->log.vote = 0;
    assert_int_equal(load(f), 0);
    fixture_free(f);
}

struct between {
    int (*set_term)(struct raft_io *io, raft_term term);
    int (*set_vote)(struct raft_io *io, raft_id vote);
    bool write; /* before the process is lost */
};

static struct between between;

static int lose_term(struct raft_io *io, raft_term term)
{
    if (between.write) {
        (void)between.set_term(io, term);
    }
    return RAFT_IOERR;
}

static int lose_vote(struct raft_io *io, raft_id vote)
{
    if (between.write) {
        (void)between.set_vote(io, vote);
    }
    return RAFT_IOERR;
}

/* The process is lost before or after the io has written. */
static void a_crash_while_a_term_or_a_vote_is_written_is_no_damage(void **state)
{
    for (unsigned write = 0; write < 2; write++) {
        struct fixture *f = fixture_new(1);
        struct raft_io *io = &f->log.io;
        assert_int_equal(f->io->set_term(f->io, 7), 0);
        between = (struct between){
            .set_term = io->set_term, .set_vote = io->set_vote, .write = write == 1};
        io->set_vote = lose_vote;
        assert_int_equal(f->io->set_vote(f->io, 2), RAFT_IOERR);
        io->set_vote = between.set_vote;
        assert_int_equal(crash(f), 0);
        assert_int_equal(f->log.vote, write == 1 ? 2 : 0);
        io->set_term = lose_term;
        assert_int_equal(f->io->set_term(f->io, 9), RAFT_IOERR);
        io->set_term = between.set_term;
        assert_int_equal(crash(f), 0);
        assert_int_equal(f->term, write == 1 ? 9 : 7);
        /* What was loaded is what counts from then on. */
        close_guard(f);
        f->log.term = write == 1 ? 7 : 9;
        assert_int_equal(load(f), RAFT_CORRUPT);
        fixture_free(f);
    }
}

static void a_log_without_a_mark_is_refused(void **state)
{
    struct fixture *f = fixture_new(1);
    close_guard(f);
    f->mark.exists = false;
    memset(f->mark.slots, 0, sizeof f->mark.slots);
    assert_int_equal(load(f), RAFT_CORRUPT);
    assert_non_null(strstr(f->io->errmsg, "mark is not there"));
    fixture_free(f);
}

static void one_damaged_slot_is_taken_and_two_are_refused(void **state)
{
    struct fixture *f = fixture_new(1);
    append(f, 3);
    finish(f);
    write_mark(f);
    close_guard(f);
    f->mark.slots[mark_of(f).generation % 2][40] ^= 1;
    assert_int_equal(load(f), 0);
    close_guard(f);
    f->mark.slots[0][40] ^= 1;
    f->mark.slots[1][40] ^= 1;
    assert_int_equal(load(f), RAFT_CORRUPT);
    assert_non_null(strstr(f->io->errmsg, "mark is damaged"));
    fixture_free(f);
}

/* --- when it is written --- */

static void term_and_vote_are_written_before_they_are_used(void **state)
{
    struct fixture *f = fixture_new(1);
    assert_int_equal(f->io->set_term(f->io, 5), 0);
    assert_int_equal(mark_of(f).term, 5);
    assert_int_equal(mark_of(f).vote, 0);
    assert_int_equal(f->io->set_vote(f->io, 3), 0);
    assert_int_equal(mark_of(f).vote, 3);
    assert_int_equal(f->io->set_term(f->io, 6), 0);
    assert_int_equal(mark_of(f).vote, 0);
    fixture_free(f);
}

/* As libraft does when a candidate asks again. A crash may come before the vote is written again.
 */
static void a_vote_stays_when_its_term_is_written_again(void **state)
{
    struct fixture *f = fixture_new(1);
    assert_int_equal(f->io->set_term(f->io, 5), 0);
    assert_int_equal(f->io->set_vote(f->io, 3), 0);
    assert_int_equal(f->io->set_term(f->io, 5), 0);
    assert_int_equal(f->log.vote, 3);
    assert_int_equal(mark_of(f).vote, 3);
    close_guard(f);
    assert_int_equal(load(f), 0);
    assert_int_equal(f->io->set_term(f->io, 5), 0);
    assert_int_equal(f->log.vote, 3);
    fixture_free(f);
}

static void an_append_is_due_before_it_is_acknowledged_and_written_later(void **state)
{
    struct fixture *f = fixture_new(1);
    bool due = false;
    unsigned writes = f->mark.writes;
    assert_int_equal(append_at(f, f->next, 2, &due), 0);
    append(f, 1);
    finish(f);
    assert_true(due);
    assert_int_equal(f->dues, 1);
    assert_int_equal(f->mark.writes, writes);
    assert_int_equal(guard_write(f->guard, f->due_us - 1), f->due_us);
    assert_int_equal(f->mark.writes, writes);
    assert_true(guard_write(f->guard, f->due_us) > f->due_us + GUARD_LAZY_US); /* the witness */
    assert_int_equal(f->mark.writes, writes + 1);
    assert_int_equal(mark_of(f).index, 4);
    assert_int_equal(mark_of(f).index_term, 1);
    guard_flush(f->guard);
    assert_int_equal(f->mark.writes, writes + 1);
    append(f, 1);
    finish(f);
    assert_int_equal(f->dues, 2);
    guard_flush(f->guard);
    assert_int_equal(mark_of(f).index, 5);
    fixture_free(f);
}

static void what_was_loaded_counts_as_acknowledged(void **state)
{
    struct fixture *f = fixture_new(1);
    append(f, 3);
    finish(f);
    assert_int_equal(mark_of(f).index, 1);
    assert_int_equal(crash(f), 0);
    assert_int_equal(mark_of(f).index, 4);
    fixture_free(f);
}

/* What the mark said when the io below was truncated. */
static struct fixture *truncated;
static raft_index mark_at_truncate;

static int (*sim_truncate)(struct raft_io *io, raft_index index);

static int watch_truncate(struct raft_io *io, raft_index index)
{
    mark_at_truncate = mark_of(truncated).index;
    return sim_truncate(io, index);
}

static void the_mark_is_lowered_before_the_log_is_cut(void **state)
{
    struct fixture *f = fixture_new(1);
    truncated = f;
    sim_truncate = f->log.io.truncate;
    f->log.io.truncate = watch_truncate;
    append(f, 8);
    finish(f);
    write_mark(f);
    unsigned writes = f->mark.writes;
    append(f, 1); /* truncates where nothing is */
    finish(f);
    assert_int_equal(f->mark.writes, writes);
    write_mark(f);
    assert_int_equal(f->io->set_term(f->io, 2), 0);
    f->term = 2;
    assert_int_equal(append_at(f, 5, 1, NULL), 0);
    assert_int_equal(mark_at_truncate, 4);
    assert_int_equal(mark_of(f).index_term, 1);
    finish(f);
    assert_int_equal(crash(f), 0);
    assert_int_equal(mark_of(f).index, 5);
    assert_int_equal(mark_of(f).index_term, 2);
    fixture_free(f);
}

static void what_is_cut_while_it_is_written_does_not_raise_the_mark(void **state)
{
    struct fixture *f = fixture_new(1);
    append(f, 8); /* 2..9 under way */
    assert_int_equal(f->io->set_term(f->io, 2), 0);
    f->term = 2;
    assert_int_equal(append_at(f, 4, 1, NULL), 0);
    while (f->writes.next != f->writes.prev) { /* more than one */
        f->now_us = sim_log_next_us(&f->log);
        (void)sim_log_step(&f->log);
    }
    write_mark(f);
    assert_int_equal(mark_of(f).index, 3);
    assert_int_equal(mark_of(f).index_term, 1);
    finish(f);
    write_mark(f);
    assert_int_equal(mark_of(f).index, 4);
    assert_int_equal(mark_of(f).index_term, 2);
    fixture_free(f);
}

static void a_mark_that_cannot_be_written_stops_the_node(void **state)
{
    struct fixture *f = fixture_new(1);
    f->mark.failing = true;
    assert_int_equal(f->io->set_term(f->io, 5), RAFT_IOERR);
    assert_int_equal(f->fatals, 1);
    append(f, 1);
    finish(f);
    write_mark(f);
    assert_int_equal(f->fatals, 2);
    fixture_free(f);
}

/* --- any order of events --- */

/* A node that crashes anywhere comes back, and its mark asks for no less than what was acknowledged
 * before its last write, nor for more than is on disk. */
static void no_crash_is_taken_for_damage(void **state)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct fixture *f = fixture_new(seed);
        for (unsigned i = 0; i < 200; i++) {
            unsigned what = (unsigned)random_below(&f->random, 100);
            if (what < 40) {
                append(f, 1 + (unsigned)random_below(&f->random, 3));
            } else if (what < 50 && f->next > 2) {
                f->term++;
                assert_int_equal(f->io->set_term(f->io, f->term), 0);
                assert_int_equal(append_at(f, 2 + random_below(&f->random, f->next - 2), 1, NULL),
                                 0);
            } else if (what < 55) {
                assert_int_equal(f->io->set_vote(f->io, 1 + random_below(&f->random, 3)), 0);
            } else if (what < 75 && f->log.writes_len > 0) {
                f->now_us = sim_log_next_us(&f->log);
                (void)sim_log_step(&f->log);
            } else if (what < 90) {
                f->now_us += random_below(&f->random, GUARD_LAZY_US);
                uint64_t due_us = guard_write(f->guard, f->now_us);
                assert_true(due_us > f->now_us + GUARD_LAZY_US ? mark_of(f).index >= f->acknowledged
                                                               : due_us > f->now_us);
            } else if (what < 95) {
                int rv = crash(f);
                if (rv != 0) {
                    print_message("seed %llu, step %u: %s\n", (unsigned long long)seed, i,
                                  f->io->errmsg);
                }
                assert_int_equal(rv, 0);
            }
            assert_true(mark_of(f).index <= f->log.durable_len);
        }
        assert_int_equal(f->fatals, 0);
        fixture_free(f);
    }
}

/* --- the writer beside the loop --- */

struct writer {
    struct fixture *fixture;
    atomic_bool stop;
};

static void *write_always(void *arg)
{
    struct writer *w = arg;
    while (!w->stop) {
        (void)guard_write(w->fixture->guard, UINT64_MAX - 1);
    }
    return NULL;
}

static void a_thread_that_writes_disturbs_nothing(void **state)
{
    struct fixture *f = fixture_new(5);
    struct writer w = {.fixture = f};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_always, &w), 0);
    for (unsigned i = 0; i < 3000; i++) {
        append(f, 3);
        finish(f);
        if (i % 3 == 2) {
            f->term++;
            assert_int_equal(f->io->set_term(f->io, f->term), 0);
            assert_int_equal(append_at(f, f->next - 4, 1, NULL), 0);
            finish(f);
        }
    }
    w.stop = true;
    (void)pthread_join(thread, NULL);
    guard_flush(f->guard);
    assert_int_equal(mark_of(f).index, f->next - 1);
    assert_int_equal(mark_of(f).term, f->term);
    assert_int_equal(crash(f), 0);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_that_lost_its_end_is_refused),
        cmocka_unit_test(an_older_copy_of_the_log_and_its_mark_is_refused),
        cmocka_unit_test(an_older_copy_of_the_term_and_its_mark_is_refused),
        cmocka_unit_test(another_entry_at_the_mark_is_refused),
        cmocka_unit_test(an_earlier_term_is_refused),
        cmocka_unit_test(another_vote_in_the_same_term_is_refused),
        cmocka_unit_test(a_term_or_vote_that_was_never_written_is_refused),
        cmocka_unit_test(a_crash_while_a_term_or_a_vote_is_written_is_no_damage),
        cmocka_unit_test(a_log_without_a_mark_is_refused),
        cmocka_unit_test(one_damaged_slot_is_taken_and_two_are_refused),
        cmocka_unit_test(term_and_vote_are_written_before_they_are_used),
        cmocka_unit_test(a_vote_stays_when_its_term_is_written_again),
        cmocka_unit_test(an_append_is_due_before_it_is_acknowledged_and_written_later),
        cmocka_unit_test(what_was_loaded_counts_as_acknowledged),
        cmocka_unit_test(the_mark_is_lowered_before_the_log_is_cut),
        cmocka_unit_test(what_is_cut_while_it_is_written_does_not_raise_the_mark),
        cmocka_unit_test(a_mark_that_cannot_be_written_stops_the_node),
        cmocka_unit_test(no_crash_is_taken_for_damage),
        cmocka_unit_test(a_thread_that_writes_disturbs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
