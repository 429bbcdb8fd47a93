/* An adjacency against plain lists, and what it keeps for readers. */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "storage/adjacency.h"

#define THINGS    12
#define ROWS_MAX  4096
#define BATCH_MAX 16
#define BYTES     ((uint64_t)64 << 20)

/* What the edge tables would hold. */
struct rows {
    struct row_of {
        enum adjacency_side side;
        uint64_t id;
        struct edge edge;
    } rows[ROWS_MAX];
    size_t len;
};

struct model {
    struct adjacency *a;
    struct rows now;
    struct rows before; /* this batch */
    struct adjacency_change changes[BATCH_MAX];
    size_t changes_len;
    uint64_t revision; /* of the batch */
    uint64_t epoch;
    uint64_t seed;
};

static unsigned pick(struct model *m, unsigned n)
{
    return (unsigned)(next_random(&m->seed) % n);
}

static void note(struct model *m, int op, const struct row_of *row)
{
    assert_true(m->changes_len < BATCH_MAX);
    m->changes[m->changes_len++] =
        (struct adjacency_change){.op = op, .side = row->side, .id = row->id, .edge = row->edge};
}

static struct row_of *find_live(struct model *m, const struct row_of *like)
{
    for (size_t i = 0; i < m->now.len; i++) {
        struct row_of *row = &m->now.rows[i];
        if (row->side == like->side && row->id == like->id && row->edge.ended == 0 &&
            row->edge.label == like->edge.label && row->edge.other == like->edge.other) {
            return row;
        }
    }
    return NULL;
}

/* Links, or unlinks what is linked, as apply does. */
static void change_one(struct model *m)
{
    struct row_of row = {
        .side = pick(m, 2) == 0 ? SIDE_OUT : SIDE_IN,
        .id = pick(m, THINGS),
        .edge = {.label = pick(m, 2), .other = pick(m, THINGS), .created = m->revision},
    };
    struct row_of *live = find_live(m, &row);
    if (live == NULL) {
        m->now.rows[m->now.len++] = row;
        note(m, ADJACENCY_ADD, &row);
    } else if (live->edge.created == m->revision) {
        note(m, ADJACENCY_REMOVE, live);
        *live = m->now.rows[--m->now.len];
    } else {
        live->edge.ended = m->revision;
        note(m, ADJACENCY_END, live);
    }
}

/* What compaction does: a row that ended goes. */
static void compact_one(struct model *m)
{
    for (size_t i = 0; i < m->now.len; i++) {
        struct row_of *row = &m->now.rows[i];
        if (row->edge.ended != 0 && row->edge.ended < m->revision / 2) {
            note(m, ADJACENCY_REMOVE, row);
            *row = m->now.rows[--m->now.len];
            return;
        }
    }
}

static void run_batch(struct model *m)
{
    m->before = m->now;
    m->changes_len = 0;
    unsigned n = pick(m, 8) + 1;
    for (unsigned i = 0; i < n; i++) {
        change_one(m);
    }
    if (pick(m, 4) == 0) {
        compact_one(m);
    }
    assert_int_equal(adjacency_change(m->a, m->changes, m->changes_len, m->epoch), ADJACENCY_DONE);
    if (pick(m, 5) == 0) {
        assert_int_equal(adjacency_revert(m->a, m->changes, m->changes_len, m->revision - 1),
                         ADJACENCY_DONE);
        m->now = m->before;
    } else {
        m->revision++;
    }
    m->epoch++;
    adjacency_collect(m->a, m->epoch);
}

static size_t count_rows(const struct rows *rows,
                         enum adjacency_side side,
                         uint64_t id,
                         const struct edge *like,
                         uint64_t revision)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->len; i++) {
        const struct row_of *row = &rows->rows[i];
        n += row->side == side && row->id == id &&
             (like == NULL || (row->edge.label == like->label && row->edge.other == like->other)) &&
             lives_at(row->edge.created, row->edge.ended, revision);
    }
    return n;
}

/* At a revision, each edge is there once, and none is that the rows have not. */
static void check_thing(struct model *m, enum adjacency_side side, uint64_t id, uint64_t revision)
{
    uint32_t len;
    size_t seen = 0;
    const struct adjacency_block *b = adjacency_get(m->a, side, id, &len);
    bool whole = len > 0 && adjacency_is_whole(b, revision);
    for (uint32_t i = 0; i < len; i++) {
        struct edge e = adjacency_edge(b, i);
        assert_int_equal(e.label, adjacency_label(b, i));
        assert_int_equal(e.other, adjacency_other(b, i));
        if (lives_at(e.created, e.ended, revision)) {
            seen++;
            assert_int_equal(count_rows(&m->now, side, id, &e, revision), 1);
        } else {
            assert_false(whole);
        }
    }
    assert_int_equal(seen, count_rows(&m->now, side, id, NULL, revision));
}

static void check_all(struct model *m)
{
    /* What compaction took concerns no revision after it. */
    uint64_t least = m->revision / 2;
    uint64_t revision = least + pick(m, (unsigned)(m->revision - least) + 1);
    for (uint64_t id = 0; id < THINGS + 1; id++) {
        check_thing(m, SIDE_OUT, id, revision);
        check_thing(m, SIDE_IN, id, revision);
        check_thing(m, SIDE_IN, id, m->revision);
    }
}

static void at_every_revision_it_has_what_the_rows_have(void **state)
{
    (void)state;
    struct model *m = calloc(1, sizeof *m);
    m->seed = test_seed();
    for (int round = 0; round < 8; round++) {
        m->a = adjacency_new(BYTES);
        m->now.len = 0;
        m->revision = round % 2 == 0 ? 1 : ((uint64_t)1 << 24) - 200; /* the columns' seam */
        m->epoch = 1;
        for (int i = 0; i < 400; i++) {
            run_batch(m);
            check_all(m);
        }
        adjacency_free(m->a);
    }
    free(m);
}

static struct adjacency_change link_of(uint64_t from, uint64_t to, uint64_t revision)
{
    return (struct adjacency_change){
        .op = ADJACENCY_ADD,
        .side = SIDE_OUT,
        .id = from,
        .edge = {.label = 1, .other = to, .created = revision},
    };
}

static void what_a_reader_may_have_is_not_used_again(void **state)
{
    (void)state;
    struct adjacency *a = adjacency_new(BYTES);
    struct adjacency_change c = link_of(1, 70, 1);
    assert_int_equal(adjacency_change(a, &c, 1, 1), ADJACENCY_DONE);
    uint32_t len;
    const struct adjacency_block *had = adjacency_get(a, SIDE_OUT, 1, &len);
    /* A second edge does not fit: another block takes the place of this one, in epoch 5. */
    c = link_of(1, 71, 2);
    assert_int_equal(adjacency_change(a, &c, 1, 5), ADJACENCY_DONE);
    assert_ptr_not_equal(adjacency_get(a, SIDE_OUT, 1, &len), had);
    assert_int_equal(len, 2);
    for (uint64_t oldest = 1; oldest <= 5; oldest++) {
        assert_true(adjacency_collect(a, oldest));
        c = link_of(oldest + 1, 72, 3);
        assert_int_equal(adjacency_change(a, &c, 1, 6), ADJACENCY_DONE);
        assert_ptr_not_equal(adjacency_get(a, SIDE_OUT, oldest + 1, &len), had);
        assert_int_equal(adjacency_other(had, 0), 70);
    }
    assert_false(adjacency_collect(a, 6));
    c = link_of(10, 73, 3);
    assert_int_equal(adjacency_change(a, &c, 1, 6), ADJACENCY_DONE);
    assert_ptr_equal(adjacency_get(a, SIDE_OUT, 10, &len), had);
    adjacency_free(a);
}

static void blocks_of_every_size_hold_their_edges(void **state)
{
    (void)state;
    struct adjacency *a = adjacency_new(BYTES);
    struct edge *edges = calloc(3000, sizeof *edges);
    uint64_t id = 0;
    for (uint32_t n = 1; n < 3000; n += n < 80 ? 1 : 37) {
        for (uint32_t i = 0; i < n; i++) {
            edges[i] = (struct edge){.label = i % 7, .other = id + i, .created = n - i};
        }
        assert_int_equal(adjacency_load(a, SIDE_IN, id, edges, n), ADJACENCY_DONE);
        struct adjacency_change c = link_of(id, 5, 4000);
        c.side = SIDE_IN;
        assert_int_equal(adjacency_change(a, &c, 1, 1), ADJACENCY_DONE);
        id++;
    }
    id = 0;
    for (uint32_t n = 1; n < 3000; n += n < 80 ? 1 : 37) {
        uint32_t len;
        const struct adjacency_block *b = adjacency_get(a, SIDE_IN, id, &len);
        assert_int_equal(len, n + 1);
        for (uint32_t i = 0; i < n; i++) {
            struct edge e = adjacency_edge(b, i);
            assert_int_equal(e.created, i + 1); /* in the order of revisions */
            assert_int_equal(e.other, id + n - 1 - i);
        }
        assert_int_equal(adjacency_edge(b, n).created, 4000);
        id++;
    }
    free(edges);
    adjacency_free(a);
}

static void what_has_no_room_is_refused(void **state)
{
    (void)state;
    struct adjacency *a = adjacency_new(BYTES);
    struct adjacency_change c = link_of(ADJACENCY_ID_END, 1, 1);
    assert_int_equal(adjacency_change(a, &c, 1, 1), ADJACENCY_FULL);
    c = link_of(1, ADJACENCY_ID_END, 1);
    assert_int_equal(adjacency_change(a, &c, 1, 1), ADJACENCY_FULL);
    c = link_of(1, 1, ADJACENCY_REVISION_END);
    assert_int_equal(adjacency_change(a, &c, 1, 1), ADJACENCY_FULL);
    c = link_of(1, 1, 1);
    c.edge.label = ADJACENCY_LABEL_END;
    assert_int_equal(adjacency_change(a, &c, 1, 1), ADJACENCY_FULL);
    c = link_of(ADJACENCY_ID_END - 1, ADJACENCY_ID_END - 1, ADJACENCY_REVISION_END - 1);
    c.edge.label = ADJACENCY_LABEL_END - 1;
    assert_int_equal(adjacency_change(a, &c, 1, 1), ADJACENCY_DONE);
    uint32_t len;
    struct edge e = adjacency_edge(adjacency_get(a, SIDE_OUT, c.id, &len), 0);
    assert_int_equal(e.other, c.edge.other);
    assert_int_equal(e.label, c.edge.label);
    assert_int_equal(e.created, c.edge.created);
    assert_int_equal(e.ended, 0);
    c.op = ADJACENCY_END;
    c.edge.ended = ADJACENCY_REVISION_END;
    assert_int_equal(adjacency_change(a, &c, 1, 1), ADJACENCY_FULL);
    /* An edge that is not there cannot go. */
    c = link_of(2, 1, 1);
    c.op = ADJACENCY_REMOVE;
    assert_int_equal(adjacency_change(a, &c, 1, 1), ADJACENCY_DIFFERS);
    adjacency_free(a);
}

static void it_stays_under_its_bound(void **state)
{
    (void)state;
    uint64_t bytes_max = (uint64_t)3 << 20;
    struct adjacency *a = adjacency_new(bytes_max);
    enum adjacency_result result = ADJACENCY_DONE;
    uint64_t edges = 0;
    /* One thing with many edges, and many with one: large blocks and small ones, old ones kept. */
    for (; result == ADJACENCY_DONE && edges < 10000000; edges++) {
        struct adjacency_change c = link_of(edges % 2 == 0 ? 0 : edges, edges, edges + 1);
        result = adjacency_change(a, &c, 1, 1);
        assert_true(adjacency_bytes(a) <= bytes_max);
    }
    assert_int_equal(result, ADJACENCY_FULL);
    assert_true(edges > 10000);
    uint64_t before = adjacency_bytes(a);
    adjacency_collect(a, 2);
    assert_true(adjacency_bytes(a) < before);
    adjacency_free(a);
}

static void marks_say_kind_and_use(void **state)
{
    (void)state;
    struct adjacency *a = adjacency_new(BYTES);
    assert_int_equal(adjacency_mark(a, 7), 0);
    assert_int_equal(adjacency_set_mark(a, 7, KIND_RUN), ADJACENCY_DONE);
    assert_int_equal(adjacency_set_mark(a, 7, MARK_POINTED), ADJACENCY_DONE);
    assert_int_equal(adjacency_mark(a, 7), KIND_RUN | MARK_POINTED);
    /* An id that was given back and given again. */
    assert_int_equal(adjacency_set_mark(a, 7, KIND_VERSION), ADJACENCY_DONE);
    assert_int_equal(adjacency_mark(a, 7) & MARK_KIND, KIND_VERSION);
    assert_int_equal(adjacency_mark(a, ADJACENCY_ID_END + 7), 0);
    adjacency_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_every_revision_it_has_what_the_rows_have),
        cmocka_unit_test(what_a_reader_may_have_is_not_used_again),
        cmocka_unit_test(blocks_of_every_size_hold_their_edges),
        cmocka_unit_test(what_has_no_room_is_refused),
        cmocka_unit_test(it_stays_under_its_bound),
        cmocka_unit_test(marks_say_kind_and_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
