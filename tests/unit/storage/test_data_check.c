/* The check of a foreign data.mdb, one damage at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bytes.h"
#include "fixture.h"
#include "storage/copy.h"
#include "storage/data_file.h"
#include "storage/store_internal.h"

#define PAGE   4096
#define LOWER  12
#define UPPER  14
#define HEADER 16
#define NODE   8
#define LEAF   2
#define BIG    1 /* flags of nodes */
#define TREE   2
#define DUPS   4

struct image {
    uint8_t *bytes; /* what a damage changes */
    uint8_t *whole;
    uint64_t len;
    uint8_t *meta; /* the newer */
};

/* --- Finding one's way ------------------------------------------------------------------------ */

static uint8_t *page_of(const struct image *m, uint64_t number)
{
    assert_true(number >= 2 && number < m->len / PAGE);
    return m->bytes + number * PAGE;
}

static unsigned nodes_of(const uint8_t *page)
{
    return (get_u16le(page + LOWER) - HEADER) / 2u;
}

static uint8_t *node_of(uint8_t *page, unsigned i)
{
    assert_true(i < nodes_of(page));
    return page + get_u16le(page + HEADER + 2 * i);
}

static uint8_t *data_of(uint8_t *node)
{
    return node + NODE + get_u16le(node + 6);
}

static uint64_t child_of(const uint8_t *node)
{
    return get_u16le(node) | (uint64_t)get_u16le(node + 2) << 16 |
           (uint64_t)get_u16le(node + 4) << 32;
}

/* The node of a table in the tree of tables, which is one page. */
static uint8_t *table_node(const struct image *m, const char *name)
{
    uint8_t *page = page_of(m, get_u64le(m->meta + 128));
    assert_int_equal(get_u16le(page + 10), LEAF);
    for (unsigned i = 0; i < nodes_of(page); i++) {
        uint8_t *node = node_of(page, i);
        if (span_equal_str(span_make(node + NODE, get_u16le(node + 6)), name)) {
            return node;
        }
    }
    fail_msg("no table %s", name);
    return NULL;
}

static uint8_t *table_record(const struct image *m, const char *name)
{
    return data_of(table_node(m, name));
}

static uint8_t *root_of(const struct image *m, const char *table)
{
    return page_of(m, get_u64le(table_record(m, table) + 40));
}

/* The first leaf below a page. */
static uint8_t *leaf_below(const struct image *m, uint8_t *page)
{
    while ((get_u16le(page + 10) & LEAF) == 0) {
        page = page_of(m, child_of(node_of(page, 0)));
    }
    return page;
}

static uint8_t *things_leaf(const struct image *m)
{
    uint8_t *leaf = leaf_below(m, root_of(m, "things"));
    assert_true(nodes_of(leaf) >= 2);
    return leaf;
}

/* A node with these flags in any leaf of a table. */
static uint8_t *find_node(const struct image *m, uint8_t *page, unsigned flags)
{
    for (unsigned i = 0; i < nodes_of(page); i++) {
        uint8_t *node = node_of(page, i);
        bool is_leaf = (get_u16le(page + 10) & LEAF) != 0;
        if (is_leaf && get_u16le(node + 4) == flags) {
            return node;
        }
        uint8_t *found = is_leaf ? NULL : find_node(m, page_of(m, child_of(node)), flags);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

static uint8_t *table_node_with(const struct image *m, const char *table, unsigned flags)
{
    uint8_t *node = find_node(m, root_of(m, table), flags);
    assert_non_null(node);
    return node;
}

/* The page of values of a key that has many. */
static uint8_t *values_leaf(const struct image *m)
{
    uint8_t *record = data_of(table_node_with(m, "edges_out", DUPS | TREE));
    return leaf_below(m, page_of(m, get_u64le(record + 40)));
}

static uint8_t *free_leaf(const struct image *m)
{
    return leaf_below(m, page_of(m, get_u64le(m->meta + 80)));
}

/* A list of free pages with two at least. */
static uint8_t *free_list(const struct image *m)
{
    uint8_t *leaf = free_leaf(m);
    for (unsigned i = 0; i < nodes_of(leaf); i++) {
        uint8_t *node = node_of(leaf, i);
        if (get_u16le(node + 4) == 0 && get_u64le(data_of(node)) >= 2) {
            return data_of(node);
        }
    }
    fail_msg("no list of free pages");
    return NULL;
}

static void swap_u16(uint8_t *a, uint8_t *b)
{
    uint16_t t = get_u16le(a);
    put_u16le(a, get_u16le(b));
    put_u16le(b, t);
}

/* --- Damages ---------------------------------------------------------------------------------- */

static void two_nodes_on_one_place(struct image *m)
{
    uint8_t *p = things_leaf(m);
    put_u16le(p + HEADER + 2, get_u16le(p + HEADER));
}

static void nodes_in_another_order(struct image *m)
{
    uint8_t *p = things_leaf(m);
    swap_u16(p + HEADER, p + HEADER + 2);
}

static void a_node_across_the_end(struct image *m)
{
    put_u16le(things_leaf(m) + HEADER, PAGE - 2);
}

static void a_node_at_an_odd_place(struct image *m)
{
    uint8_t *p = things_leaf(m) + HEADER;
    put_u16le(p, get_u16le(p) | 1);
}

static void a_node_among_the_offsets(struct image *m)
{
    put_u16le(things_leaf(m) + HEADER, HEADER);
}

static void a_key_beyond_the_page(struct image *m)
{
    put_u16le(node_of(things_leaf(m), 0) + 6, 512);
}

static void a_value_beyond_the_page(struct image *m)
{
    put_u16le(node_of(things_leaf(m), 0), 0xfff0);
}

static void a_key_of_no_bytes(struct image *m)
{
    uint8_t *node = node_of(things_leaf(m), 0);
    put_u16le(node, (uint16_t)(get_u16le(node) + get_u16le(node + 6)));
    put_u16le(node + 6, 0);
}

static void no_nodes(struct image *m)
{
    put_u16le(things_leaf(m) + LOWER, HEADER);
}

static void nodes_that_begin_too_late(struct image *m)
{
    uint8_t *p = things_leaf(m) + UPPER;
    put_u16le(p, (uint16_t)(get_u16le(p) - 2));
}

static void bounds_that_cross(struct image *m)
{
    put_u16le(things_leaf(m) + UPPER, HEADER);
}

static void a_node_of_another_kind(struct image *m)
{
    put_u16le(node_of(things_leaf(m), 0) + 4, DUPS);
}

static void a_page_of_another_number(struct image *m)
{
    things_leaf(m)[0] ^= 1;
}

static void a_page_of_another_kind(struct image *m)
{
    things_leaf(m)[10] |= 0x20;
}

static void one_child_twice(struct image *m)
{
    uint8_t *root = root_of(m, "things");
    memcpy(node_of(root, 1), node_of(root, 0), 6);
}

static void a_child_outside_of_the_file(struct image *m)
{
    put_u16le(node_of(root_of(m, "things"), 1) + 4, 1);
}

static void a_child_that_is_the_meta_page(struct image *m)
{
    static const uint8_t one[6] = {1};
    memcpy(node_of(root_of(m, "things"), 1), one, sizeof one);
}

static void children_in_another_order(struct image *m)
{
    /* Their keys ascend, and what is below them is elsewhere. */
    uint8_t *root = root_of(m, "things");
    uint8_t first[6];
    memcpy(first, node_of(root, 1), 6);
    memcpy(node_of(root, 1), node_of(root, 2), 6);
    memcpy(node_of(root, 2), first, 6);
}

static void a_branch_with_one_child(struct image *m)
{
    put_u16le(root_of(m, "things") + LOWER, HEADER + 2);
}

static void a_tree_of_another_depth(struct image *m)
{
    table_record(m, "things")[6]++;
}

static void a_tree_that_is_too_deep(struct image *m)
{
    table_record(m, "things")[6] = DATA_DEPTH_MAX + 1;
}

static void a_tree_with_another_count(struct image *m)
{
    table_record(m, "things")[32]++;
}

static void a_table_of_another_kind(struct image *m)
{
    table_record(m, "things")[4] = 4;
}

static void a_table_of_another_name(struct image *m)
{
    table_node(m, "names")[NODE + 4] = 't';
}

static void a_table_that_is_no_tree(struct image *m)
{
    put_u16le(table_node(m, "things") + 4, 0);
}

static void a_long_value_outside_of_the_file(struct image *m)
{
    put_u64le(data_of(table_node_with(m, "things", BIG)), UINT64_MAX - 1);
}

static void a_long_value_that_is_longer(struct image *m)
{
    uint8_t *node = table_node_with(m, "things", BIG);
    put_u16le(node + 2, 1);
}

static void a_long_value_that_is_no_value(struct image *m)
{
    put_u64le(data_of(table_node_with(m, "things", BIG)), get_u64le(m->meta + 128));
}

static void a_run_of_no_pages(struct image *m)
{
    put_u32le(page_of(m, get_u64le(data_of(table_node_with(m, "things", BIG)))) + 12, 0);
}

static void a_run_into_other_pages(struct image *m)
{
    put_u32le(page_of(m, get_u64le(data_of(table_node_with(m, "things", BIG)))) + 12,
              (uint32_t)(m->len / PAGE));
}

static void more_values_than_there_is_room(struct image *m)
{
    uint8_t *p = values_leaf(m);
    put_u16le(p + LOWER, get_u16le(p + LOWER) + 2);
}

static void values_in_another_order(struct image *m)
{
    uint8_t *p = values_leaf(m) + HEADER;
    uint8_t first[EDGE_BYTES];
    memcpy(first, p, EDGE_BYTES);
    memcpy(p, p + EDGE_BYTES, EDGE_BYTES);
    memcpy(p + EDGE_BYTES, first, EDGE_BYTES);
}

static void values_of_another_length(struct image *m)
{
    data_of(table_node_with(m, "edges_out", DUPS | TREE))[0] = 16;
}

static void a_sub_page_of_another_length(struct image *m)
{
    data_of(table_node_with(m, "edges_out", DUPS))[8] = 16;
}

static void a_sub_page_with_too_many(struct image *m)
{
    uint8_t *p = data_of(table_node_with(m, "edges_out", DUPS));
    put_u16le(p + LOWER, get_u16le(p + LOWER) + 2);
}

static void a_sub_page_of_page_0(struct image *m)
{
    put_u64le(data_of(table_node_with(m, "edges_out", DUPS)), 0);
}

static void one_value_of_another_length(struct image *m)
{
    /* Taken from the key, so that the node is as long as it was. */
    uint8_t *node = table_node_with(m, "edges_out", 0);
    put_u16le(node, EDGE_BYTES - 2);
    put_u16le(node + 6, (uint16_t)(get_u16le(node + 6) + 2));
}

static void a_free_page_that_is_used(struct image *m)
{
    uint8_t *list = free_list(m);
    put_u64le(list, 1);
    put_u64le(list + 8, get_u64le(m->meta + 128));
}

static void a_free_page_outside_of_the_file(struct image *m)
{
    put_u64le(free_list(m) + 8, m->len / PAGE);
}

static void free_pages_in_another_order(struct image *m)
{
    uint8_t *list = free_list(m);
    uint64_t first = get_u64le(list + 8);
    put_u64le(list + 8, get_u64le(list + 16));
    put_u64le(list + 16, first);
}

static void more_free_pages_than_there_is_room(struct image *m)
{
    put_u64le(free_list(m), UINT64_MAX / 8);
}

static void free_pages_of_the_future(struct image *m)
{
    uint8_t *root = page_of(m, get_u64le(m->meta + 80));
    uint8_t *leaf = page_of(m, child_of(node_of(root, nodes_of(root) - 1)));
    put_u64le(node_of(leaf, nodes_of(leaf) - 1) + NODE, UINT64_MAX / 2);
}

/* All else is right, so that LMDB would take it, and end the process at its first write. */
static void a_free_branch_with_one_child(struct image *m)
{
    uint8_t *root = page_of(m, get_u64le(m->meta + 80));
    assert_int_equal(get_u16le(m->meta + 46), 2);
    uint8_t *first = node_of(root, 0);
    uint8_t *child = page_of(m, child_of(first));
    uint16_t bytes = (uint16_t)(NODE + get_u16le(first + 6));
    memmove(root + PAGE - bytes, first, bytes);
    put_u16le(root + HEADER, PAGE - bytes);
    put_u16le(root + LOWER, HEADER + 2);
    put_u16le(root + UPPER, PAGE - bytes);
    put_u64le(m->meta + 72, nodes_of(child));
}

static void a_free_tree_of_another_kind(struct image *m)
{
    m->meta[44] = 4;
}

static void a_transaction_without_end(struct image *m)
{
    put_u64le(m->meta + 144, get_u64le(m->meta + 144) | (uint64_t)1 << 63);
}

/* --- The test --------------------------------------------------------------------------------- */

static const struct {
    void (*damage)(struct image *m);
    const char *says;
} damages[] = {
    {two_nodes_on_one_place, "nodes that overlap"},
    {nodes_in_another_order, "keys that do not ascend"},
    {a_node_across_the_end, "a node outside of it"},
    {a_node_at_an_odd_place, "a node outside of it"},
    {a_node_among_the_offsets, "a node outside of it"},
    {a_key_beyond_the_page, "a node that is too long"},
    {a_value_beyond_the_page, "a node that is too long"},
    {a_key_of_no_bytes, "keys that do not ascend"},
    {no_nodes, "too few nodes"},
    {nodes_that_begin_too_late, "gaps between its nodes"},
    {bounds_that_cross, "impossible bounds"},
    {a_node_of_another_kind, "a node of an unknown kind"},
    {a_page_of_another_number, "not the page that should be there"},
    {a_page_of_another_kind, "not the page that should be there"},
    {one_child_twice, "used twice"},
    {a_child_outside_of_the_file, "not in the file"},
    {a_child_that_is_the_meta_page, "not in the file"},
    {children_in_another_order, "keys that do not ascend"},
    {a_branch_with_one_child, "too few nodes"},
    {a_tree_of_another_depth, "not the page that should be there"},
    {a_tree_that_is_too_deep, "the root of an impossible tree"},
    {a_tree_with_another_count, "wrong count of entries"},
    {a_table_of_another_kind, "a table of another kind"},
    {a_table_of_another_name, "does not know"},
    {a_table_that_is_no_tree, "does not know"},
    {a_long_value_outside_of_the_file, "a value outside of the file"},
    {a_long_value_that_is_longer, "does not begin a long value"},
    {a_long_value_that_is_no_value, "does not begin a long value"},
    {a_run_of_no_pages, "does not begin a long value"},
    {a_run_into_other_pages, "is not in the file"},
    {more_values_than_there_is_room, "impossible array of values"},
    {values_in_another_order, "values that do not ascend"},
    {values_of_another_length, "values of another kind"},
    {a_sub_page_of_another_length, "malformed list of values"},
    {a_sub_page_with_too_many, "impossible array of values"},
    {a_sub_page_of_page_0, "malformed list of values"},
    {one_value_of_another_length, "malformed list of values"},
    {a_free_page_that_is_used, "used twice"},
    {a_free_page_outside_of_the_file, "not in the file"},
    {free_pages_in_another_order, "does not descend"},
    {more_free_pages_than_there_is_room, "that is cut off"},
    {free_pages_of_the_future, "malformed list of free pages"},
    {a_free_branch_with_one_child, "too few nodes"},
    {a_free_tree_of_another_kind, "impossible trees"},
    {a_transaction_without_end, "impossible transaction"},
};

static int check(const struct image *m, struct error *e)
{
    int fd = memfd_create("data.mdb", 0);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, m->bytes, m->len), m->len);
    int rc = data_file_check(fd, NULL, NULL, e);
    close(fd);
    return rc;
}

/* Many versions of things, some of them long, one with many edges and some with a few. */
static void fill(struct fixture *f)
{
    static char json[8192];
    static char text[6000];
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(fixture_txn(f, "{'v':1,'ops':[{'op':'create','kind':'artifact',"
                                    "'name':'hub'}]}"),
                     0);
    for (int i = 0; i < 400; i++) {
        int length = i % 10 == 0 ? (int)sizeof text - 1 : 40;
        snprintf(json, sizeof json,
                 "{'v':1,'ops':[{'op':'create','kind':'artifact','name':'a%d','description':'%.*s'}"
                 ",{'op':'link','from':'artifact/hub','label':'l','to':'$0'},"
                 "{'op':'link','from':'$0','label':'l','to':'artifact/hub'}]}",
                 i, length, text);
        assert_int_equal(fixture_txn(f, json), 0);
        if (i % 3 == 2) {
            snprintf(json, sizeof json,
                     "{'v':1,'ops':[{'op':'link','from':'artifact/a%d','label':'m',"
                     "'to':'artifact/a%d'}]}",
                     i, i - 1);
            assert_int_equal(fixture_txn(f, json), 0);
        }
    }
}

static void each_damage_is_named(void **state)
{
    struct fixture *f = *state;
    struct store_copy *copy;
    struct store_copy_info info;
    struct image m;
    /* A reader keeps pages from being used again: the tree of free ones gets branches. */
    assert_int_equal(store_copy_open(f->store, &copy, &info, &f->error), 0);
    fill(f);
    store_copy_close(copy);
    assert_int_equal(store_copy_open(f->store, &copy, &info, &f->error), 0);
    m.len = info.bytes;
    m.whole = malloc(m.len);
    m.bytes = malloc(m.len);
    assert_int_equal(store_copy_read(copy, 0, m.whole, m.len, &f->error), 0);
    store_copy_close(copy);
    bool second = get_u64le(m.whole + PAGE + 144) > get_u64le(m.whole + 144);
    m.meta = m.bytes + (second ? PAGE : 0);
    memcpy(m.bytes, m.whole, m.len);
    struct error e = {0};
    if (check(&m, &e) != 0) {
        fail_msg("%s", e.message);
    }
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        memcpy(m.bytes, m.whole, m.len);
        damages[i].damage(&m);
        assert_memory_not_equal(m.bytes, m.whole, m.len);
        e = (struct error){0};
        int rc = check(&m, &e);
        if (rc != CLADE_ERR_CORRUPT || strstr(e.message, damages[i].says) == NULL) {
            fail_msg("row %zu, %d, not \"%s\": %s", i, rc, damages[i].says, e.message);
        }
    }
    free(m.whole);
    free(m.bytes);
}

static bool disk_is_broken;

/* In place of libc's. */
ssize_t pread(int fd, void *to, size_t len, off_t at)
{
    if (disk_is_broken) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, to, len, at);
}

static void a_disk_that_cannot_read_the_file_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct error e = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    disk_is_broken = true;
    int rc = data_file_check(fd, NULL, NULL, &e);
    disk_is_broken = false;
    close(fd);
    assert_int_equal(rc, CLADE_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_damage_is_named, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_cannot_read_the_file_is_an_error, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
