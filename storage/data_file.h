#pragma once
/* The bytes of LMDB's data.mdb that we rely on, of data format 1 (LMDB 0.9) on a 64-bit
 * little-endian machine; README.md has them as a table. LMDB's own functions neither give a
 * snapshot's meta page away nor check what they map, so copies need both from here. */
#include "base/error.h"
#include "base/span.h"

#define DATA_META_BYTES     152 /* of a meta page that mean something */
#define DATA_PAGE_BYTES_MIN 4096
#define DATA_PAGE_BYTES_MAX 32768
#define DATA_NO_PAGE        UINT64_MAX /* the root of an empty tree */
#define DATA_TREE_BYTES     48
/* Of a tree. LMDB's cursors go no deeper than 32, and end the process beyond; a tree grows as it is
 * written to. One that is as deep as this has a million pages at least. */
#define DATA_DEPTH_MAX 20

/* A tree as its record has it. */
struct data_tree {
    uint32_t pad; /* in a tree of duplicates: bytes of each */
    uint16_t flags;
    uint16_t depth;
    uint64_t entries;
    uint64_t root;
};

struct data_meta {
    uint32_t page_bytes;
    uint64_t last_page;
    uint64_t txn;
    struct data_tree free; /* pages that are free, by transaction */
    struct data_tree main; /* the tables, by name */
};

void data_tree_decode(const uint8_t bytes[DATA_TREE_BYTES], struct data_tree *ret);
/* Decodes the meta page of slot 0 or 1, of which at least DATA_META_BYTES are there.
 * CLADE_ERR_CORRUPT when it is none, CLADE_ERR_UNSUPPORTED when it is of another format. */
int data_meta_decode(const uint8_t *page,
                     unsigned slot,
                     struct data_meta *ret,
                     struct error *error);
/* Makes of the meta page of one slot that of the other, one transaction older: the same snapshot,
 * but LMDB takes the first. `page` has DATA_META_BYTES at least. */
void data_meta_turn(uint8_t *page, unsigned to_slot);

/* Checks every page of the open file that its newest snapshot reaches, so that whatever the file
 * holds, LMDB reads and writes it within its pages: the meta pages and the file's length; each
 * page's number, kind, bounds and nodes; that keys ascend; that no page is used twice, or is used
 * and free; the tables, their flags and counts. Rows' contents are store_verify's. The file must
 * not change meanwhile. Takes as long as reading it twice;
 * `progress` as store_copy_check (copy.h) has it. 1: nothing was ever committed to it.
 * CLADE_ERR_CORRUPT names the page; CLADE_ERR_IO, _NO_MEMORY. */
int data_file_check(int fd,
                    bool (*progress)(uint64_t n, void *arg),
                    void *arg,
                    struct error *error);
