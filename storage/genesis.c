#include "storage/genesis.h"

#include "base/bytes.h"
#include "base/check.h"
#include "storage/keys.h"
#include "storage/record.h"
#include "storage/rows.h"
#include "storage/usage.h"

static int write_default_namespace(struct rows *rows)
{
    struct thing ns = {.id = NAMESPACE_DEFAULT, .kind = KIND_NAMESPACE, .name = span_of("default")};
    struct buffer record;
    buffer_init(&record, 1024);
    record_encode(&ns, &record);
    struct key key = key_u64(ns.id);
    int rc = record.failed ? error_set(rows->view.error, CLADE_ERR_NO_MEMORY, NULL, "out of memory")
                           : row_insert(rows, TABLE_THINGS, key_span(&key), buffer_span(&record));
    buffer_release(&record);
    if (rc == 0) {
        uint8_t value[NAME_VALUE_BYTES] = {0};
        put_u64le(value, ns.id);
        key = key_name(NAME_SPACE_NAMES, NAMESPACE_ROOT, KIND_NAMESPACE, ns.name, 0);
        rc = row_insert(rows, TABLE_NAMES, key_span(&key), span_make(value, sizeof value));
    }
    return rc != 0 ? rc : usage_begin(rows, &ns);
}

static int write_meta(struct rows *rows)
{
    uint8_t format[4];
    put_u32le(format, STORE_FORMAT);
    int rc = row_insert(rows, TABLE_META, span_of("format"), span_make(format, sizeof format));
    if (rc != 0) {
        return rc;
    }
    uint8_t bytes[META_BYTES];
    meta_encode(&rows->meta, bytes);
    return row_insert(rows, TABLE_META, span_of("state"), span_make(bytes, sizeof bytes));
}

int genesis_write(struct environment *env, MDB_txn *txn, struct meta *ret, struct error *error)
{
    struct rows rows;
    rows_init(&rows, NULL);
    rows.view.env = env;
    rows.view.txn = txn;
    rows.view.error = error;
    rows.meta = (struct meta){.next_id = NAMESPACE_DEFAULT + 1, .next_label = 1, .next_session = 1};
    int rc = write_default_namespace(&rows);
    if (rc == 0) {
        rc = write_meta(&rows);
    }
    if (rc == 0) {
        *ret = rows.meta;
    }
    rows.view.txn = NULL; /* the caller's */
    rows_release(&rows);
    return rc;
}
