#include "storage/data_file.h"

#include "base/bytes.h"
#include "base/check.h"

#define MAGIC         0xBEEFC0DEu
#define FORMAT        1
#define PAGE_META     0x08
#define AT_FLAGS      10 /* u16 of every page */
#define AT_MAGIC      16
#define AT_FORMAT     20
#define AT_FREE       40
#define AT_MAIN       88
#define AT_LAST_PAGE  136
#define AT_TXN        144
#define LAST_PAGE_MAX ((uint64_t)1 << 47)
#define FREE_FLAGS    0x08 /* MDB_INTEGERKEY */
#define TXN_MAX       ((uint64_t)1 << 62)

void data_tree_decode(const uint8_t bytes[DATA_TREE_BYTES], struct data_tree *ret)
{
    *ret = (struct data_tree){
        .pad = get_u32le(bytes),
        .flags = get_u16le(bytes + 4),
        .depth = get_u16le(bytes + 6),
        .entries = get_u64le(bytes + 32),
        .root = get_u64le(bytes + 40),
    };
}

static int damaged(unsigned slot, const char *what, struct error *error)
{
    return error_set(error, CLADE_ERR_CORRUPT, "data.mdb", "meta page %u %s", slot, what);
}

int data_meta_decode(const uint8_t *page, unsigned slot, struct data_meta *ret, struct error *error)
{
    if (get_u64le(page) != slot || get_u16le(page + AT_FLAGS) != PAGE_META ||
        get_u32le(page + AT_MAGIC) != MAGIC) {
        return damaged(slot, "is none of LMDB's", error);
    }
    uint32_t format = get_u32le(page + AT_FORMAT);
    if (format != FORMAT) {
        return error_set(error, CLADE_ERR_UNSUPPORTED, "data.mdb",
                         "it is of LMDB's data format %u; this program knows %u", format, FORMAT);
    }
    struct data_meta m = {
        .last_page = get_u64le(page + AT_LAST_PAGE),
        .txn = get_u64le(page + AT_TXN),
    };
    data_tree_decode(page + AT_FREE, &m.free);
    data_tree_decode(page + AT_MAIN, &m.main);
    m.page_bytes = m.free.pad; /* where LMDB keeps it */
    if (m.page_bytes < DATA_PAGE_BYTES_MIN || m.page_bytes > DATA_PAGE_BYTES_MAX ||
        (m.page_bytes & (m.page_bytes - 1)) != 0) {
        return damaged(slot, "has an impossible page size", error);
    }
    if (m.last_page < 1 || m.last_page > LAST_PAGE_MAX) {
        return damaged(slot, "has an impossible last page", error);
    }
    if (m.txn > TXN_MAX) {
        return damaged(slot, "has an impossible transaction", error);
    }
    if (m.free.flags != FREE_FLAGS || m.main.flags != 0) {
        return damaged(slot, "has impossible trees", error);
    }
    *ret = m;
    return 0;
}

void data_meta_turn(uint8_t *page, unsigned to_slot)
{
    CHECK(to_slot <= 1);
    uint64_t txn = get_u64le(page + AT_TXN);
    put_u64le(page, to_slot);
    put_u64le(page + AT_TXN, txn > 0 ? txn - 1 : 0);
}
