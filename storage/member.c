#include "storage/member.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "base/utf8.h"
#include "storage/keys.h"
#include "storage/member_internal.h"
#include "storage/varint.h"

#define RECORD_VERSION   1
#define RECORD_BYTES_MAX 1024

static void copy_address(char to[MEMBER_ADDRESS_MAX + 1], struct span text)
{
    if (text.len > 0) {
        memcpy(to, text.data, text.len);
    }
    to[text.len] = '\0';
}

static bool get_address(struct varint_reader *r, char to[MEMBER_ADDRESS_MAX + 1])
{
    struct span text = varint_get_text(r);
    if (r->failed || text.len > MEMBER_ADDRESS_MAX) {
        return false;
    }
    copy_address(to, text);
    return true;
}

static int decode(struct view *v, struct row row, struct member_record *ret)
{
    struct varint_reader r = {.rest = row.value};
    if (row.key.len != 8 || row.value.len < 2 || row.value.data[0] != RECORD_VERSION ||
        row.value.data[1] > MEMBER_REMOVED) {
        return row_corrupt(v->error, TABLE_MEMBERS, row.key, "is malformed");
    }
    r.rest = span_skip(r.rest, 2);
    ret->node = get_u64be(row.key.data);
    ret->wanted = (enum member_wanted)row.value.data[1];
    if (!get_address(&r, ret->peer_address) || !get_address(&r, ret->client_address) ||
        r.rest.len != 0) {
        return row_corrupt(v->error, TABLE_MEMBERS, row.key, "is malformed");
    }
    return 0;
}

/* 0, 1 when there is none, or a code. */
static int find(struct view *v, uint64_t node, struct member_record *ret)
{
    struct key key = key_u64(node);
    struct row row = {.key = key_span(&key)};
    int rc = view_get(v, TABLE_MEMBERS, row.key, &row.value);
    return rc != 0 ? rc : decode(v, row, ret);
}

static int put(struct rows *rows, const struct member_record *m)
{
    struct buffer b;
    buffer_init(&b, RECORD_BYTES_MAX);
    uint8_t head[2] = {RECORD_VERSION, (uint8_t)m->wanted};
    buffer_append(&b, head, sizeof head);
    varint_put_text(&b, span_of(m->peer_address));
    varint_put_text(&b, span_of(m->client_address));
    struct key key = key_u64(m->node);
    int rc = b.failed ? error_set(rows->view.error, CLADE_ERR_NO_MEMORY, NULL, "out of memory")
                      : row_put(rows, TABLE_MEMBERS, key_span(&key), buffer_span(&b));
    buffer_release(&b);
    return rc;
}

/* --- Apply -------------------------------------------------------------------------------------
 */

static int check_command(struct rows *rows, struct span command, size_t head, const char *what)
{
    struct error *error = rows->view.error;
    if (command.len < head || get_u64le(command.data) == 0) {
        return error_set(error, CLADE_ERR_INVALID, "node", "it must be a node's id and %s", what);
    }
    struct span address = span_skip(command, head);
    if (address.len > MEMBER_ADDRESS_MAX) {
        return error_set(error, CLADE_ERR_INVALID, "address", "it is longer than %d bytes",
                         MEMBER_ADDRESS_MAX);
    }
    return utf8_is_printable(address)
               ? 0
               : error_set(error, CLADE_ERR_INVALID, "address", "it is not printable text");
}

static int refuse_removed(struct rows *rows, uint64_t node)
{
    return error_set(
        rows->view.error, CLADE_ERR_CONFLICT, "node",
        "node %" PRIu64 " was removed from this cluster; give the new node an id of its own", node);
}

/* The node's record, one that says nothing when it has none and there is room for it. */
static int find_or_begin(struct rows *rows, uint64_t node, struct member_record *ret)
{
    int rc = find(&rows->view, node, ret);
    if (rc != 1) {
        return rc;
    }
    MDB_stat stat;
    rc = mdb_stat(rows->view.txn, rows->view.env->tables[TABLE_MEMBERS], &stat);
    if (rc != 0) {
        return lmdb_error(rc, rows->view.error, "counting members");
    }
    if (stat.ms_entries >= MEMBER_RECORDS_MAX) {
        return error_set(rows->view.error, CLADE_ERR_LIMIT, "node",
                         "the cluster remembers %d nodes, removed ones among them, and no more",
                         MEMBER_RECORDS_MAX);
    }
    *ret = (struct member_record){.node = node};
    return 0;
}

/* Whether a member other than `node` that was not removed has the peer address. */
static int check_peer(struct rows *rows, uint64_t node, struct span address)
{
    struct view *v = &rows->view;
    struct row row;
    int rc = view_seek(v, TABLE_MEMBERS, span_make("", 1), &row);
    for (; rc == 0; rc = view_next(v, TABLE_MEMBERS, &row)) {
        struct member_record m;
        int decoded = decode(v, row, &m);
        if (decoded != 0) {
            return decoded;
        }
        if (m.node != node && m.wanted != MEMBER_REMOVED &&
            span_equal_str(address, m.peer_address)) {
            return error_set(v->error, CLADE_ERR_CONFLICT, "address",
                             "node %" PRIu64 " has the peer address %s", m.node, m.peer_address);
        }
    }
    return rc == 1 ? 0 : rc;
}

int member_set_client(struct rows *rows, struct span command)
{
    int rc = check_command(rows, command, 8, "its client address");
    if (rc != 0) {
        return rc;
    }
    struct member_record m;
    uint64_t node = get_u64le(command.data);
    rc = find_or_begin(rows, node, &m);
    if (rc != 0) {
        return rc;
    }
    if (m.wanted == MEMBER_REMOVED) {
        return refuse_removed(rows, node);
    }
    copy_address(m.client_address, span_skip(command, 8));
    return put(rows, &m);
}

/* Raft's configuration does not change an address, so a wish for another one would come to nothing.
 */
static int check_same_peer(struct rows *rows, const struct member_record *m, struct span peer)
{
    if (m->peer_address[0] == '\0' || span_equal_str(peer, m->peer_address)) {
        return 0;
    }
    return error_set(rows->view.error, CLADE_ERR_CONFLICT, "address",
                     "node %" PRIu64 " is a member, or on its way to be one, at %s; a node keeps "
                     "its peer address",
                     m->node, m->peer_address);
}

/* What a record becomes. */
static int change(struct rows *rows, struct member_record *m, uint8_t wanted, struct span peer)
{
    if (wanted == MEMBER_REMOVED) {
        m->client_address[0] = '\0';
    } else if (peer.len > 0) {
        int rc = check_same_peer(rows, m, peer);
        if (rc == 0) {
            rc = check_peer(rows, m->node, peer);
        }
        if (rc != 0) {
            return rc;
        }
        copy_address(m->peer_address, peer);
    }
    m->wanted = (enum member_wanted)wanted;
    return put(rows, m);
}

int member_set_wanted(struct rows *rows, struct span command)
{
    int rc = check_command(rows, command, 9, "what it shall be, and its peer address");
    if (rc != 0) {
        return rc;
    }
    uint8_t wanted = command.data[8];
    if (wanted < MEMBER_VOTER || wanted > MEMBER_REMOVED) {
        return error_set(rows->view.error, CLADE_ERR_INVALID, "wanted",
                         "a member is a voter (1), a standby (2) or removed (3)");
    }
    struct member_record m;
    uint64_t node = get_u64le(command.data);
    rc = find_or_begin(rows, node, &m);
    if (rc != 0) {
        return rc;
    }
    if (m.wanted == MEMBER_REMOVED) {
        return wanted == MEMBER_REMOVED ? 0 : refuse_removed(rows, node);
    }
    return change(rows, &m, wanted, span_skip(command, 9));
}

/* --- Reading -----------------------------------------------------------------------------------
 */

int store_members(struct store *store,
                  void (*cb)(void *arg, const struct member_record *member),
                  void *arg,
                  struct error *error)
{
    struct view v;
    int rc = view_open(&v, store, error);
    if (rc != 0) {
        return rc;
    }
    struct row row;
    struct member_record m;
    rc = view_seek(&v, TABLE_MEMBERS, span_make("", 1), &row);
    for (; rc == 0; rc = view_next(&v, TABLE_MEMBERS, &row)) {
        rc = decode(&v, row, &m);
        if (rc != 0) {
            break;
        }
        cb(arg, &m);
    }
    view_close(&v, store);
    return rc == 1 ? 0 : rc;
}

int store_member(struct store *store, uint64_t node, struct member_record *ret, struct error *error)
{
    struct view v;
    struct member_record m;
    int rc = view_open(&v, store, error);
    if (rc != 0) {
        return rc;
    }
    rc = find(&v, node, &m);
    view_close(&v, store);
    if (rc == 0) {
        *ret = m;
    }
    return rc;
}
