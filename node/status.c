/* What a node says of itself: hello, limits, status, and handing over leadership. */
#include <stdlib.h>

#include "consensus/archive.h"
#include "node/alarms.h"
#include "node/copier.h"
#include "node/lineage_thread.h"
#include "node/map_put.h"
#include "node/raft_thread.h"
#include "node/serve_internal.h"
#include "wire/frame.h"

#define DATA_BYTES_MAX (256U << 10)

/* --- hello, limits --- */

/* The member "members": whom clients may go to. Returns the list's version. */
static uint64_t put_member_clients(struct buffer *b, struct node *n)
{
    struct member_client list[GROUP_MEMBERS_MAX];
    uint64_t version;
    size_t len = members_serving(&n->members, list, &version);
    value_put_str(b, "members");
    value_put_array(b, (uint32_t)len);
    for (size_t i = 0; i < len; i++) {
        value_put_map(b, 2);
        map_put_uint(b, "id", list[i].id);
        map_put_str(b, "client", list[i].address);
    }
    return version;
}

#define LIMIT_COUNT(name, value, unit, text) +1
#define LIMIT_COUNT_ALL                      (0 CLADE_LIMITS(LIMIT_COUNT))

static void put_limits_map(struct buffer *b)
{
    value_put_str(b, "limits");
    value_put_map(b, LIMIT_COUNT_ALL);
#define PUT_LIMIT(name, value, unit, text) map_put_uint(b, #name, value);
    CLADE_LIMITS(PUT_LIMIT)
#undef PUT_LIMIT
}

void status_hello(struct request *r)
{
    struct node *n = r->conn->serve->node;
    struct buffer *b = &r->conn->out;
    size_t at = answer_begin(b, r->msgid);
    value_put_map(b, 7);
    map_put_uint(b, "version", WIRE_VERSION);
    map_put_hash(b, "cluster", n->folder.identity.cluster);
    map_put_uint(b, "node", n->folder.identity.node);
    map_put_str(b, "server", "claded/" CLADE_VERSION);
    map_put_uint(b, "leader", atomic_load(&n->leader) == n->folder.identity.node);
    r->conn->members_version = put_member_clients(b, n);
    put_limits_map(b);
    frame_end(b, at);
    request_finish(r, 0);
}

void status_tell_members(struct connection *c)
{
    size_t at = notification_begin(&c->out, METHOD_MEMBERS, 1);
    c->members_version = put_member_clients(&c->out, c->serve->node);
    frame_end(&c->out, at);
    connection_touch(c);
}

static bool refuse_params(struct request *r, const struct value *params)
{
    struct error e = {.code = 0};
    if (empty_params_decode(params, &e) == 0) {
        return false;
    }
    request_fail(r, &e);
    return true;
}

void status_answer(struct request *r, struct buffer *data)
{
    struct serve *s = r->conn->serve;
    const struct answer_head head = head_make(s, atomic_load(&s->node->published_revision));
    if (data->failed) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
    } else {
        request_answer(r, &head, buffer_span(data));
    }
    buffer_release(data);
}

void status_limits(struct request *r, const struct value *params)
{
    if (refuse_params(r, params)) {
        return;
    }
    struct buffer b;
    buffer_init(&b, DATA_BYTES_MAX);
    value_put_array(&b, LIMIT_COUNT_ALL);
#define PUT_LIMIT_ROW(name_, value_, unit_, text_)                                                 \
    value_put_map(&b, 4);                                                                          \
    map_put_str(&b, "name", #name_);                                                               \
    map_put_uint(&b, "value", value_);                                                             \
    map_put_str(&b, "unit", unit_);                                                                \
    map_put_str(&b, "text", text_);
    CLADE_LIMITS(PUT_LIMIT_ROW)
#undef PUT_LIMIT_ROW
    status_answer(r, &b);
}

/* --- asking the raft loop --- */

bool ask_raft(struct request *r,
              struct raft_letter *letter,
              void (*on_reply)(struct mail *mail, void *owner))
{
    struct serve *s = r->conn->serve;
    if (!table_add(s, r)) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return false;
    }
    r->state = REQUEST_ASKING;
    if (!list_is_linked(&r->timer.node)) {
        wheel_add(&s->wheel, &r->timer, r->deadline_us);
    }
    letter->reply = &s->mail;
    letter->on_reply = on_reply;
    letter->key = r->key;
    return true;
}

struct request *ask_raft_answered(struct serve *s, const struct raft_letter *letter)
{
    struct request *r = table_find(s, letter->key);
    if (r != NULL) {
        table_remove(s, r);
        r->state = REQUEST_NEW;
    }
    return r;
}

void ask_raft_refused(struct request *r)
{
    table_remove(r->conn->serve, r);
    r->state = REQUEST_NEW;
    request_fail_code(r, CLADE_ERR_UNAVAILABLE, "the node is stopping");
}

bool ask_status(struct request *r, void (*on_reply)(struct mail *mail, void *owner))
{
    struct raft_status_letter *l = calloc(1, sizeof *l);
    if (l == NULL) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return false;
    }
    if (!ask_raft(r, &l->letter, on_reply)) {
        free(l);
        return false;
    }
    if (!raft_thread_status(r->conn->serve->node->raft, l)) {
        free(l);
        ask_raft_refused(r);
        return false;
    }
    return true;
}

/* --- status --- */

static const char *role_name(enum group_role role)
{
    static const char *const names[] = {
        [GROUP_VOTER] = "voter", [GROUP_STANDBY] = "standby", [GROUP_SPARE] = "spare"};
    return names[role];
}

static const char *wanted_name(enum member_wanted wanted)
{
    static const char *const names[] = {[MEMBER_AS_CONFIGURED] = "configured",
                                        [MEMBER_VOTER] = "voter",
                                        [MEMBER_STANDBY] = "standby",
                                        [MEMBER_REMOVED] = "removed"};
    return names[wanted];
}

static const struct group_member_status *find_member(const struct group_status *status, uint64_t id)
{
    for (size_t i = 0; i < status->members_len; i++) {
        if (status->members[i].member.id == id) {
            return &status->members[i];
        }
    }
    return NULL;
}

static void put_digest(struct buffer *b, const struct group_member_status *m)
{
    value_put_str(b, "digest");
    if (m->sample_index == 0) {
        value_put_nil(b);
        return;
    }
    value_put_map(b, 3);
    map_put_uint(b, "index", m->sample_index);
    map_put_hash(b, "data", m->data);
    map_put_hash(b, "state", m->state);
}

/* Of a spare, and of whoever takes a copy: the index that its store has reached, the one that it is
 * on its way to, and bytes of the copy. */
static void put_catching_up(struct buffer *b,
                            const struct group_member_status *m,
                            const struct group_status *status)
{
    value_put_str(b, "catching_up");
    if (m->member.role != GROUP_SPARE && m->copy_bytes_total == 0) {
        value_put_nil(b);
        return;
    }
    value_put_map(b, 4);
    map_put_uint(b, "index", m->published);
    map_put_uint(b, "of", status->commit);
    map_put_uint(b, "copy_bytes", m->copy_bytes);
    map_put_uint(b, "copy_bytes_total", m->copy_bytes_total);
}

void status_put_member(struct buffer *b,
                       struct node *n,
                       const struct group_status *status,
                       uint64_t id,
                       enum member_wanted wanted,
                       const char *address)
{
    static const struct group_member_status absent;
    const struct group_member_status *m = find_member(status, id);
    char client[MEMBER_ADDRESS_BYTES];
    members_find(&n->members, id, client);
    value_put_map(b, 14);
    map_put_uint(b, "id", id);
    map_put_str(b, "role", m == NULL ? "none" : role_name(m->member.role));
    map_put_str(b, "wanted", wanted_name(wanted));
    map_put_str(b, "address", m == NULL ? address : m->member.address);
    map_put_str(b, "client", client);
    value_put_str(b, "leader");
    value_put_bool(b, status->leader == id);
    m = m == NULL ? &absent : m;
    value_put_str(b, "connected");
    value_put_bool(b, m->connected);
    value_put_str(b, "heard");
    value_put_bool(b, m->heard);
    map_put_uint(b, "match", m->match);
    map_put_uint(b, "published", m->published);
    map_put_uint(b, "revision", m->revision);
    put_digest(b, m);
    value_put_str(b, "clock_offset_us");
    value_put_int(b, m->clock_offset_us);
    put_catching_up(b, m, status);
}

/* The records that a status shows: of members, and of nodes that are on their way to be. */
struct shown_records {
    const struct group_status *status;
    struct member_record list[2 * GROUP_MEMBERS_MAX];
    size_t len;
};

static void on_record(void *arg, const struct member_record *record)
{
    struct shown_records *s = arg;
    bool comes = record->wanted == MEMBER_VOTER || record->wanted == MEMBER_STANDBY;
    if ((comes || find_member(s->status, record->node) != NULL) &&
        s->len < sizeof s->list / sizeof s->list[0]) {
        s->list[s->len++] = *record;
    }
}

static const struct member_record *find_record(const struct shown_records *s, uint64_t id)
{
    for (size_t i = 0; i < s->len; i++) {
        if (s->list[i].node == id) {
            return &s->list[i];
        }
    }
    return NULL;
}

static void put_members(struct buffer *b, struct node *n, const struct group_status *status)
{
    static const struct member_record unknown;
    struct shown_records shown = {.status = status};
    uint32_t len = 0;
    (void)store_members(n->store, on_record, &shown, NULL); /* of a broken disk others will tell */
    value_put_str(b, "members");
    size_t at = value_begin_array(b);
    for (size_t i = 0; i < status->members_len; i++, len++) {
        uint64_t id = status->members[i].member.id;
        const struct member_record *r = find_record(&shown, id);
        status_put_member(b, n, status, id, r == NULL ? unknown.wanted : r->wanted, "");
    }
    for (size_t i = 0; i < shown.len; i++) {
        const struct member_record *r = &shown.list[i];
        if (find_member(status, r->node) == NULL) {
            status_put_member(b, n, status, r->node, r->wanted, r->peer_address);
            len++;
        }
    }
    value_end(b, at, len);
}

static void put_alarms(struct buffer *b, struct node *n, const struct group_status *status)
{
    uint32_t on = 0;
    value_put_str(b, "alarms");
    size_t at = value_begin_array(b);
    for (unsigned i = 0; i < ALARM_COUNT; i++) {
        if (alarm_is_on((enum alarm)i, n, status)) {
            value_put_str(b, alarm_row((enum alarm)i)->text);
            on++;
        }
    }
    value_end(b, at, on);
}

static void put_log(struct buffer *b, const struct group_status *status)
{
    value_put_str(b, "log");
    value_put_map(b, 5);
    map_put_uint(b, "first", status->log_first);
    map_put_uint(b, "last", status->last_index);
    map_put_uint(b, "bytes", status->log_bytes);
    map_put_uint(b, "snapshot", status->snapshot_index);
    map_put_uint(b, "snapshots", status->snapshots);
}

/* Of the data folder. */
static void put_disk(struct buffer *b, struct node *n)
{
    uint64_t free_bytes = 0;
    uint64_t bytes = 0;
    (void)data_folder_space(&n->folder, &free_bytes, &bytes);
    value_put_str(b, "disk");
    value_put_map(b, 3);
    map_put_uint(b, "free", free_bytes);
    map_put_uint(b, "bytes", bytes);
    map_put_uint(b, "headroom", node_headroom(n));
}

static void put_archive(struct buffer *b, struct node *n)
{
    uint64_t base;
    uint64_t last;
    archive_range(n->archive, &base, &last);
    value_put_str(b, "archive");
    value_put_map(b, 3);
    map_put_uint(b, "base", base);
    map_put_uint(b, "last", last);
    map_put_uint(b, "bytes", archive_bytes(n->archive));
}

/* What this node itself fetches from others. */
static void put_catch_up(struct buffer *b, struct node *n)
{
    struct catch_up_status c;
    copier_status(n->copier, &c);
    value_put_str(b, "catch_up");
    value_put_map(b, 8);
    map_put_str(b, "state", catch_up_state_name(c.state));
    map_put_uint(b, "source", c.source);
    map_put_uint(b, "target", c.target);
    map_put_uint(b, "bytes", c.bytes);
    map_put_uint(b, "bytes_total", c.bytes_total);
    map_put_uint(b, "copies", c.copies);
    map_put_uint(b, "refused", c.refused);
    map_put_uint(b, "dropped", c.dropped);
}

/* What was refused of other nodes since the start, by cause. */
static void put_refused(struct buffer *b, const struct raft_status_letter *l)
{
    value_put_str(b, "refused");
    value_put_map(b, PEER_CAUSE_COUNT + 1);
    for (unsigned i = 0; i < PEER_CAUSE_COUNT; i++) {
        map_put_uint(b, peer_cause_name((enum peer_cause)i), l->refused[i]);
    }
    map_put_uint(b, "message", l->status.malformed);
}

static void put_lineage(struct buffer *b, struct node *n)
{
    struct store_lineage look;
    store_lineage_look(n->store, &look);
    value_put_str(b, "lineage_index");
    value_put_map(b, 5);
    map_put_str(b, "state", lineage_state_name(look.state));
    map_put_uint(b, "edges", look.edges);
    map_put_uint(b, "bytes", look.bytes);
    map_put_uint(b, "by_index", look.by_index);
    map_put_uint(b, "by_tables", look.by_tables);
}

static void put_status(struct buffer *b, struct node *n, const struct raft_status_letter *l)
{
    const struct group_status *status = &l->status;
    uint64_t used;
    uint64_t map;
    struct store_digest digest = store_digest_current(n->store);
    store_usage(n->store, &used, &map);
    value_put_map(b, 20);
    map_put_hash(b, "cluster", n->folder.identity.cluster);
    map_put_uint(b, "node", status->id);
    map_put_uint(b, "term", status->term);
    map_put_uint(b, "leader", status->leader);
    map_put_uint(b, "commit", status->commit);
    map_put_uint(b, "last_index", status->last_index);
    map_put_uint(b, "log_bytes", status->log_bytes);
    map_put_uint(b, "published", status->published);
    map_put_uint(b, "store_bytes", used);
    map_put_uint(b, "map_bytes", map);
    value_put_str(b, "digest");
    value_put_map(b, 3);
    map_put_uint(b, "index", digest.index);
    map_put_hash(b, "data", digest.data);
    map_put_hash(b, "state", digest.state);
    put_log(b, status);
    put_disk(b, n);
    put_archive(b, n);
    put_lineage(b, n);
    put_catch_up(b, n);
    put_refused(b, l);
    put_members(b, n, status);
    put_alarms(b, n, status);
    map_put_str(b, "version", CLADE_VERSION);
}

static void on_status(struct mail *mail, void *owner)
{
    struct raft_letter *letter = LIST_ENTRY(mail, struct raft_letter, mail);
    struct raft_status_letter *l = LIST_ENTRY(letter, struct raft_status_letter, letter);
    struct request *r = ask_raft_answered(owner, letter);
    if (r != NULL) {
        struct buffer b;
        buffer_init(&b, DATA_BYTES_MAX);
        put_status(&b, r->conn->serve->node, l);
        status_answer(r, &b);
    }
    free(l);
}

void status_status(struct request *r, const struct value *params)
{
    if (refuse_params(r, params)) {
        return;
    }
    (void)ask_status(r, on_status);
}

/* --- transfer --- */

static void on_transfer(struct mail *mail, void *owner)
{
    struct raft_letter *letter = LIST_ENTRY(mail, struct raft_letter, mail);
    struct raft_transfer_letter *l = LIST_ENTRY(letter, struct raft_transfer_letter, letter);
    struct request *r = ask_raft_answered(owner, letter);
    if (r != NULL && l->error.code != 0) {
        request_fail_with_leader(r, &l->error);
    } else if (r != NULL) {
        struct buffer b;
        buffer_init(&b, DATA_BYTES_MAX);
        value_put_map(&b, 1);
        map_put_uint(&b, "leader", l->leader);
        status_answer(r, &b);
    }
    free(l);
}

void status_transfer(struct request *r, const struct value *params)
{
    struct error e = {.code = 0};
    uint64_t to;
    if (transfer_decode(params, &to, &e) < 0) {
        request_fail(r, &e);
        return;
    }
    struct raft_transfer_letter *l = calloc(1, sizeof *l);
    if (l == NULL) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return;
    }
    l->to = to;
    l->deadline_us = r->deadline_us;
    if (!ask_raft(r, &l->letter, on_transfer)) {
        free(l);
    } else if (!raft_thread_transfer(r->conn->serve->node->raft, l)) {
        free(l);
        ask_raft_refused(r);
    }
}
