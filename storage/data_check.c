/* The check of a data.mdb that came from somewhere else. LMDB trusts what it maps: a page number,
 * a length or an offset that is wrong sends it out of the map. Each page is visited once, so the
 * work is bounded by the file, whatever it holds. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/data_file.h"
#include "storage/store_internal.h"

/* Offsets in a page, and in a node behind the page's header. */
#define AT_FLAGS     10
#define AT_LOWER     12 /* end of the array of the nodes' offsets */
#define AT_UPPER     14 /* begin of the nodes, which fill the page to its end */
#define AT_RUN       12 /* u32: pages of an overflow run */
#define AT_PAD       8
#define HEADER_BYTES 16
#define NODE_BYTES   8 /* u16 low and high half of the data's length, u16 flags, u16 key length */

#define PAGE_BRANCH   0x01
#define PAGE_LEAF     0x02
#define PAGE_OVERFLOW 0x04
#define PAGE_DIRTY    0x10 /* means nothing in a sub-page */
#define PAGE_LEAF2    0x20 /* values of one length, without nodes */
#define PAGE_SUB      0x40

#define NODE_BIG  0x01 /* the data is the number of an overflow page */
#define NODE_TREE 0x02 /* the data is the record of a tree */
#define NODE_DUPS 0x04 /* of duplicates; without NODE_TREE the data is a sub-page of them */

#define READ_BYTES     ((size_t)1 << 20)
#define PROGRESS_PAGES 4096

enum tree_kind { TREE_FREE, TREE_MAIN, TREE_TABLE, TREE_DUPS };

struct tree {
    enum tree_kind kind;
    bool has_dups; /* TREE_TABLE: values are EDGE_BYTES long, and there may be many for a key */
    unsigned depth;
    uint64_t entries; /* counted */
};

struct check {
    const uint8_t *map;
    size_t map_bytes;
    struct data_meta meta;
    unsigned node_bytes_max;
    uint8_t *seen;                           /* a bit per page: used, or free */
    uint8_t cells[DATA_PAGE_BYTES_MAX / 16]; /* a bit per two bytes of the page: in a node */
    unsigned tables;                         /* a bit per table that was met */
    bool (*progress)(uint64_t n, void *arg);
    void *arg;
    uint64_t steps; /* pages visited, and READ_BYTES read */
    struct error *error;
};

/* What the keys of a page lie between: from `low` (data NULL: no bound) to before `high`. */
struct range {
    struct span low;
    struct span high;
};

struct node {
    struct span key;
    unsigned flags;
    uint32_t data_bytes; /* of the value, wherever it is */
    const uint8_t *data; /* behind the key */
    unsigned at;         /* in the page */
    unsigned bytes;      /* of the node */
};

static int bad_page(struct check *c, uint64_t page, const char *what)
{
    return error_set(c->error, CLADE_ERR_CORRUPT, "data.mdb", "page %" PRIu64 " %s", page, what);
}

static int go_on(struct check *c, unsigned steps_between)
{
    if (++c->steps % steps_between != 0 || c->progress == NULL || c->progress(c->steps, c->arg)) {
        return 0;
    }
    return error_set(c->error, CLADE_ERR_RETRY, NULL, "the check was stopped");
}

static const uint8_t *page_at(const struct check *c, uint64_t page)
{
    CHECK(page <= c->meta.last_page);
    return c->map + page * c->meta.page_bytes;
}

/* Notes that `n` pages from `page` on have their use. */
static int use_pages(struct check *c, uint64_t page, uint64_t n)
{
    if (page < 2 || n == 0 || page > c->meta.last_page || n - 1 > c->meta.last_page - page) {
        return bad_page(c, page, "is meant by another, and is not in the file");
    }
    for (uint64_t i = page; i < page + n; i++) {
        if ((c->seen[i / 8] >> i % 8 & 1) != 0) {
            return bad_page(c, i, "is used twice");
        }
        c->seen[i / 8] |= (uint8_t)(1u << i % 8);
    }
    return 0;
}

static int compare(const struct tree *t, struct span a, struct span b)
{
    if (t->kind != TREE_FREE) {
        return span_compare(a, b);
    }
    uint64_t x = get_u64le(a.data);
    uint64_t y = get_u64le(b.data);
    return (x > y) - (x < y);
}

static bool within(const struct tree *t, struct span key, const struct range *range)
{
    return (range->low.data == NULL || compare(t, key, range->low) >= 0) &&
           (range->high.data == NULL || compare(t, key, range->high) < 0);
}

/* --- Nodes -------------------------------------------------------------------------------------
 */

/* The keys of a page that is an array of values: its length and its room must fit each other, or a
 * later write would overrun. */
static int check_array(
    struct check *c, uint64_t page, struct span bytes, const struct range *range, struct tree *t)
{
    unsigned lower = get_u16le(bytes.data + AT_LOWER);
    unsigned upper = get_u16le(bytes.data + AT_UPPER);
    unsigned n = lower >= HEADER_BYTES ? (lower - HEADER_BYTES) / 2 : 0;
    if (n == 0 || lower % 2 != 0 || upper < lower ||
        HEADER_BYTES + n * EDGE_BYTES + (upper - lower) != bytes.len) {
        return bad_page(c, page, "has an impossible array of values");
    }
    struct span before = {0};
    for (unsigned i = 0; i < n; i++) {
        struct span value = span_make(bytes.data + HEADER_BYTES + i * EDGE_BYTES, EDGE_BYTES);
        if ((i > 0 && span_compare(before, value) >= 0) || !within(t, value, range)) {
            return bad_page(c, page, "has values that do not ascend");
        }
        before = value;
    }
    t->entries += n;
    return 0;
}

/* Node i of a page whose array of offsets is within it. */
static int read_node(struct check *c, uint64_t page, bool is_leaf, unsigned i, struct node *ret)
{
    const uint8_t *p = page_at(c, page);
    unsigned at = get_u16le(p + HEADER_BYTES + 2 * i);
    if (at % 2 != 0 || at < get_u16le(p + AT_UPPER) || at + NODE_BYTES > c->meta.page_bytes) {
        return bad_page(c, page, "has a node outside of it");
    }
    const uint8_t *n = p + at;
    unsigned key_bytes = get_u16le(n + 6);
    struct node node = {
        .key = span_make(n + NODE_BYTES, key_bytes),
        .flags = get_u16le(n + 4),
        .data_bytes = get_u16le(n) | (uint32_t)get_u16le(n + 2) << 16,
        .data = n + NODE_BYTES + key_bytes,
    };
    uint64_t bytes = NODE_BYTES + key_bytes;
    if (is_leaf) {
        bytes += (node.flags & NODE_BIG) != 0 ? sizeof(uint64_t) : node.data_bytes;
    }
    if (key_bytes > KEY_BYTES_MAX || bytes > c->node_bytes_max || at + bytes > c->meta.page_bytes) {
        return bad_page(c, page, "has a node that is too long");
    }
    node.at = at;
    node.bytes = (unsigned)bytes;
    *ret = node;
    return 0;
}

/* Its bytes are its own alone. */
static int claim_cells(struct check *c, uint64_t page, const struct node *n)
{
    for (unsigned cell = n->at / 2; cell < (n->at + n->bytes + 1) / 2; cell++) {
        if ((c->cells[cell / 8] >> cell % 8 & 1) != 0) {
            return bad_page(c, page, "has nodes that overlap");
        }
        c->cells[cell / 8] |= (uint8_t)(1u << cell % 8);
    }
    return 0;
}

/* The page that a branch's node stands for: its number is where a leaf's has length and flags. */
static uint64_t child_of(const struct node *n)
{
    return n->data_bytes | (uint64_t)n->flags << 32;
}

/* The value of a node that may be long: what it holds. */
static int read_value(struct check *c, uint64_t page, const struct node *n, struct span *ret)
{
    if ((n->flags & NODE_BIG) == 0) {
        *ret = span_make(n->data, n->data_bytes);
        return 0;
    }
    uint64_t first = get_u64le(n->data);
    uint64_t need = (HEADER_BYTES - 1 + (uint64_t)n->data_bytes) / c->meta.page_bytes + 1;
    if (first < 2 || first > c->meta.last_page || need - 1 > c->meta.last_page - first) {
        return bad_page(c, page, "has a value outside of the file");
    }
    const uint8_t *p = page_at(c, first);
    uint64_t run = get_u32le(p + AT_RUN);
    if (get_u64le(p) != first || get_u16le(p + AT_FLAGS) != PAGE_OVERFLOW || run < need) {
        return bad_page(c, first, "does not begin a long value, as it should");
    }
    *ret = span_make(p + HEADER_BYTES, n->data_bytes);
    return use_pages(c, first, run);
}

static int check_tree(struct check *c, const struct data_tree *record, struct tree *t);

/* Pages that a transaction made free: a count and that many numbers, descending. */
static int check_free_list(struct check *c, uint64_t page, const struct node *n)
{
    struct span list;
    int rc = read_value(c, page, n, &list);
    if (rc != 0) {
        return rc;
    }
    uint64_t txn = get_u64le(n->key.data);
    if (list.len < 8 || list.len % 8 != 0 || txn == 0 || txn > c->meta.txn) {
        return bad_page(c, page, "has a malformed list of free pages");
    }
    uint64_t len = get_u64le(list.data);
    if (len > list.len / 8 - 1) {
        return bad_page(c, page, "has a list of free pages that is cut off");
    }
    uint64_t before = UINT64_MAX;
    for (uint64_t i = 1; i <= len && rc == 0; i++) {
        uint64_t freed = get_u64le(list.data + 8 * i);
        if (freed >= before) {
            return bad_page(c, page, "has a list of free pages that does not descend");
        }
        before = freed;
        rc = use_pages(c, freed, 1);
    }
    return rc;
}

static int find_table(struct span name, enum table *ret)
{
    for (int t = 0; t < TABLE_COUNT; t++) {
        if (span_equal_str(name, table_info((enum table)t)->name)) {
            *ret = (enum table)t;
            return 0;
        }
    }
    return 1;
}

static int check_table(struct check *c, uint64_t page, const struct node *n)
{
    enum table table;
    struct data_tree record;
    if (n->flags != NODE_TREE || n->data_bytes != DATA_TREE_BYTES ||
        find_table(n->key, &table) != 0) {
        return bad_page(c, page, "has a table that this program does not know");
    }
    data_tree_decode(n->data, &record);
    const struct table_info *info = table_info(table);
    if (record.flags != info->flags) {
        return bad_page(c, page, "has a table of another kind than it should be");
    }
    c->tables |= 1u << table;
    struct tree t = {.kind = TREE_TABLE, .has_dups = (info->flags & MDB_DUPSORT) != 0};
    return check_tree(c, &record, &t);
}

/* The values of one key of an edge table. */
static int check_dups(struct check *c, uint64_t page, const struct node *n, struct tree *t)
{
    struct tree dups = {.kind = TREE_DUPS};
    int rc = 0;
    if (n->flags == 0 && n->data_bytes == EDGE_BYTES) {
        dups.entries = 1;
    } else if (n->flags == (NODE_DUPS | NODE_TREE) && n->data_bytes == DATA_TREE_BYTES) {
        struct data_tree record;
        data_tree_decode(n->data, &record);
        if (record.pad != EDGE_BYTES || record.flags != MDB_DUPFIXED) {
            return bad_page(c, page, "has values of another kind than they should be");
        }
        rc = check_tree(c, &record, &dups);
    } else if (n->flags == NODE_DUPS && n->data_bytes >= HEADER_BYTES &&
               (get_u16le(n->data + AT_FLAGS) & ~PAGE_DIRTY) ==
                   (PAGE_LEAF | PAGE_LEAF2 | PAGE_SUB) &&
               get_u16le(n->data + AT_PAD) == EDGE_BYTES && get_u64le(n->data) > 1 &&
               get_u64le(n->data) <= c->meta.last_page) {
        /* Its number is that of a page where it once was; LMDB takes 0 and 1 for a bug. */
        rc = check_array(c, page, span_make(n->data, n->data_bytes), &(struct range){0}, &dups);
    } else {
        return bad_page(c, page, "has a malformed list of values");
    }
    t->entries += dups.entries;
    return rc;
}

static int check_leaf_node(struct check *c, uint64_t page, const struct node *n, struct tree *t)
{
    if (t->kind == TREE_TABLE && t->has_dups) {
        return check_dups(c, page, n, t);
    }
    t->entries++;
    if (t->kind == TREE_MAIN) {
        return check_table(c, page, n);
    }
    if ((n->flags & ~(unsigned)NODE_BIG) != 0) {
        return bad_page(c, page, "has a node of an unknown kind");
    }
    struct span value;
    return t->kind == TREE_FREE ? check_free_list(c, page, n) : read_value(c, page, n, &value);
}

/* --- Pages -------------------------------------------------------------------------------------
 */

static int check_page(
    struct check *c, uint64_t page, unsigned level, const struct range *range, struct tree *t);

/* Of a page whose bounds were checked. */
static unsigned node_count(const struct check *c, uint64_t page)
{
    return (get_u16le(page_at(c, page) + AT_LOWER) - HEADER_BYTES) / 2u;
}

/* Whether node i may stand where it does; the first of a branch has no key that counts. */
static bool key_is_right(const struct tree *t,
                         const struct node *n,
                         bool is_leaf,
                         unsigned i,
                         const struct range *range,
                         struct span before)
{
    if (!is_leaf && i == 0) {
        return true;
    }
    bool has_length = t->kind == TREE_FREE ? n->key.len == 8 : n->key.len > 0;
    return has_length && within(t, n->key, range) &&
           (before.data == NULL || compare(t, before, n->key) < 0);
}

/* The keys first: the child of a branch's node ends where the next one's begins. */
static int check_children(
    struct check *c, uint64_t page, unsigned level, const struct range *range, struct tree *t)
{
    unsigned n = node_count(c, page);
    struct range child = {.low = range->low};
    struct node next;
    int rc = read_node(c, page, false, 0, &next);
    for (unsigned i = 0; i < n && rc == 0; i++) {
        struct node node = next;
        child.high = range->high;
        if (i + 1 < n) {
            rc = read_node(c, page, false, i + 1, &next);
            child.high = next.key;
        }
        if (rc == 0) {
            rc = check_page(c, child_of(&node), level + 1, &child, t);
        }
        child.low = child.high;
    }
    return rc;
}

static int check_nodes(
    struct check *c, uint64_t page, bool is_leaf, const struct range *range, struct tree *t)
{
    const uint8_t *p = page_at(c, page);
    unsigned lower = get_u16le(p + AT_LOWER);
    unsigned upper = get_u16le(p + AT_UPPER);
    if (lower < HEADER_BYTES || lower % 2 != 0 || upper < lower || upper > c->meta.page_bytes) {
        return bad_page(c, page, "has impossible bounds");
    }
    unsigned n = (lower - HEADER_BYTES) / 2;
    if (n < (is_leaf ? 1 : 2)) {
        return bad_page(c, page, "has too few nodes");
    }
    memset(c->cells, 0, c->meta.page_bytes / 16);
    struct span before = {0};
    for (unsigned i = 0; i < n; i++) {
        struct node node;
        int rc = read_node(c, page, is_leaf, i, &node);
        if (rc == 0) {
            rc = claim_cells(c, page, &node);
        }
        if (rc != 0) {
            return rc;
        }
        if (!key_is_right(t, &node, is_leaf, i, range, before)) {
            return bad_page(c, page, "has keys that do not ascend");
        }
        before = is_leaf || i > 0 ? node.key : before;
    }
    /* Moving nodes together, LMDB counts on there being no gaps. */
    for (unsigned cell = upper / 2; cell < c->meta.page_bytes / 2; cell++) {
        if ((c->cells[cell / 8] >> cell % 8 & 1) == 0) {
            return bad_page(c, page, "has gaps between its nodes");
        }
    }
    return 0;
}

static int check_leaf(struct check *c, uint64_t page, const struct range *range, struct tree *t)
{
    int rc = check_nodes(c, page, true, range, t);
    unsigned n = rc == 0 ? node_count(c, page) : 0;
    for (unsigned i = 0; i < n && rc == 0; i++) {
        struct node node;
        rc = read_node(c, page, true, i, &node);
        if (rc == 0) {
            rc = check_leaf_node(c, page, &node, t);
        }
    }
    return rc;
}

static int check_page(
    struct check *c, uint64_t page, unsigned level, const struct range *range, struct tree *t)
{
    int rc = use_pages(c, page, 1);
    if (rc == 0) {
        rc = go_on(c, PROGRESS_PAGES);
    }
    if (rc != 0) {
        return rc;
    }
    const uint8_t *p = page_at(c, page);
    unsigned flags = get_u16le(p + AT_FLAGS);
    unsigned leaf = t->kind == TREE_DUPS ? PAGE_LEAF | PAGE_LEAF2 : PAGE_LEAF;
    if (get_u64le(p) != page || flags != (level < t->depth ? PAGE_BRANCH : leaf)) {
        return bad_page(c, page, "is not the page that should be there");
    }
    if (level < t->depth) {
        rc = check_nodes(c, page, false, range, t);
        return rc != 0 ? rc : check_children(c, page, level, range, t);
    }
    if (t->kind == TREE_DUPS) {
        return check_array(c, page, span_make(p, c->meta.page_bytes), range, t);
    }
    return check_leaf(c, page, range, t);
}

static int check_tree(struct check *c, const struct data_tree *record, struct tree *t)
{
    bool is_empty = record->root == DATA_NO_PAGE;
    if (record->depth > DATA_DEPTH_MAX || (record->depth == 0) != is_empty ||
        (is_empty && (record->entries != 0 || t->kind == TREE_DUPS))) {
        return bad_page(c, record->root, "is the root of an impossible tree");
    }
    if (is_empty) {
        return 0;
    }
    t->depth = record->depth;
    int rc = check_page(c, record->root, 1, &(struct range){0}, t);
    if (rc == 0 && t->entries != record->entries) {
        rc = bad_page(c, record->root, "is the root of a tree with a wrong count of entries");
    }
    return rc;
}

/* --- The file ----------------------------------------------------------------------------------
 */

/* The meta page that LMDB takes: it picks the newer one, and then finds it by its transaction. */
static int pick_meta(struct check *c)
{
    if (c->map_bytes < DATA_PAGE_BYTES_MIN) {
        return error_set(c->error, CLADE_ERR_CORRUPT, "data.mdb", "it is too short");
    }
    struct data_meta metas[2];
    int rc = data_meta_decode(c->map, 0, &metas[0], c->error);
    if (rc != 0) {
        return rc;
    }
    size_t second = metas[0].page_bytes;
    if (c->map_bytes < second + DATA_META_BYTES) {
        return error_set(c->error, CLADE_ERR_CORRUPT, "data.mdb", "it is too short");
    }
    rc = data_meta_decode(c->map + second, 1, &metas[1], c->error);
    if (rc != 0) {
        return rc;
    }
    unsigned newer = metas[1].txn > metas[0].txn;
    c->meta = metas[newer];
    if (metas[0].page_bytes != metas[1].page_bytes || (c->meta.txn & 1) != newer) {
        return error_set(c->error, CLADE_ERR_CORRUPT, "data.mdb",
                         "its meta pages contradict each other");
    }
    if (c->map_bytes / c->meta.page_bytes < c->meta.last_page + 1) {
        return error_set(c->error, CLADE_ERR_CORRUPT, "data.mdb",
                         "it was cut short: %zu bytes, and it should have %" PRIu64 " pages of %u",
                         c->map_bytes, c->meta.last_page + 1, c->meta.page_bytes);
    }
    return 0;
}

static int check_trees(struct check *c)
{
    struct tree main = {.kind = TREE_MAIN};
    struct tree free_pages = {.kind = TREE_FREE};
    if (c->meta.txn == 0 && c->meta.main.root == DATA_NO_PAGE) {
        return 1;
    }
    int rc = check_tree(c, &c->meta.main, &main);
    if (rc == 0) {
        rc = check_tree(c, &c->meta.free, &free_pages);
    }
    if (rc == 0 && c->tables != (1u << TABLE_COUNT) - 1) {
        rc = error_set(c->error, CLADE_ERR_CORRUPT, "data.mdb", "it lacks a table");
    }
    return rc;
}

static int check_mapped(struct check *c)
{
    int rc = pick_meta(c);
    if (rc != 0) {
        return rc;
    }
    c->node_bytes_max = (((c->meta.page_bytes - HEADER_BYTES) / 2) & ~1u) - 2;
    c->seen = calloc(1, c->meta.last_page / 8 + 1);
    if (c->seen == NULL) {
        return error_set(c->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    rc = check_trees(c);
    free(c->seen);
    return rc;
}

/* A page that the disk cannot give is an error here, and in a map the end of the process. What is
 * read stays in the page cache for the map, as far as it fits. */
static int read_through(struct check *c, int fd)
{
    ssize_t n = 1;
    uint8_t *bytes = malloc(READ_BYTES);
    if (bytes == NULL) {
        return error_set(c->error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    int rc = 0;
    for (off_t at = 0; n > 0 && rc == 0; at += n) {
        do {
            n = pread(fd, bytes, READ_BYTES, at);
        } while (n < 0 && errno == EINTR);
        rc = n < 0 ? error_set(c->error, CLADE_ERR_IO, "data.mdb", "cannot be read: %m")
                   : go_on(c, 1);
    }
    free(bytes);
    return rc;
}

static int map_and_check(struct check *c, int fd)
{
    void *map = mmap(NULL, c->map_bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        return error_set(c->error, CLADE_ERR_IO, "data.mdb", "cannot be mapped: %m");
    }
    c->map = map;
    int rc = check_mapped(c);
    munmap(map, c->map_bytes);
    return rc;
}

int data_file_check(int fd, bool (*progress)(uint64_t n, void *arg), void *arg, struct error *error)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return error_set(error, CLADE_ERR_IO, "data.mdb", "cannot be looked at: %m");
    }
    if (st.st_size == 0) {
        return 1;
    }
    struct check *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return error_set(error, CLADE_ERR_NO_MEMORY, NULL, "out of memory");
    }
    c->error = error;
    c->progress = progress;
    c->arg = arg;
    c->map_bytes = (size_t)st.st_size;
    int rc = read_through(c, fd);
    if (rc == 0) {
        rc = map_and_check(c, fd);
    }
    free(c);
    return rc;
}
