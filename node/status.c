/* What a node says of itself: hello, limits, status, and handing over leadership. */
#include <stdlib.h>

#include "node/raft_thread.h"
#include "node/serve_internal.h"
#include "wire/frame.h"

#define DATA_BYTES_MAX (256U << 10)

static void put_uint(struct buffer *b, const char *key, uint64_t v)
{
    value_put_str(b, key);
    value_put_uint(b, v);
}

static void put_str(struct buffer *b, const char *key, const char *v)
{
    value_put_str(b, key);
    value_put_str(b, v);
}

static void put_hash(struct buffer *b, const char *key, struct hash128 h)
{
    char text[33];
    hash128_format(h, text);
    put_str(b, key, text);
}

/* --- hello, limits --- */

static void put_member_clients(struct buffer *b, struct node *n)
{
    struct member_client list[GROUP_MEMBERS_MAX];
    size_t len = members_copy(&n->members, list);
    value_put_str(b, "members");
    value_put_array(b, (uint32_t)len);
    for (size_t i = 0; i < len; i++) {
        value_put_map(b, 2);
        put_uint(b, "id", list[i].id);
        put_str(b, "client", list[i].address);
    }
}

#define LIMIT_COUNT(name, value, unit, text) +1
#define LIMIT_COUNT_ALL                      (0 CLADE_LIMITS(LIMIT_COUNT))

static void put_limits_map(struct buffer *b)
{
    value_put_str(b, "limits");
    value_put_map(b, LIMIT_COUNT_ALL);
#define PUT_LIMIT(name, value, unit, text) put_uint(b, #name, value);
    CLADE_LIMITS(PUT_LIMIT)
#undef PUT_LIMIT
}

void status_hello(struct request *r)
{
    struct node *n = r->conn->serve->node;
    struct buffer *b = &r->conn->out;
    size_t at = answer_begin(b, r->msgid);
    value_put_map(b, 7);
    put_uint(b, "version", WIRE_VERSION);
    put_hash(b, "cluster", n->folder.identity.cluster);
    put_uint(b, "node", n->folder.identity.node);
    put_str(b, "server", "claded/" CLADE_VERSION);
    put_uint(b, "leader", atomic_load(&n->leader) == n->folder.identity.node);
    put_member_clients(b, n);
    put_limits_map(b);
    frame_end(b, at);
    request_finish(r);
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

static void answer_data(struct request *r, struct buffer *data)
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
    put_str(&b, "name", #name_);                                                                   \
    put_uint(&b, "value", value_);                                                                 \
    put_str(&b, "unit", unit_);                                                                    \
    put_str(&b, "text", text_);
    CLADE_LIMITS(PUT_LIMIT_ROW)
#undef PUT_LIMIT_ROW
    answer_data(r, &b);
}

/* --- asking the raft loop --- */

/* Registers the request under a key; false when it was answered with an error. */
static bool wait_for_letter(struct request *r,
                            struct raft_letter *letter,
                            void (*on_reply)(struct mail *mail, void *owner))
{
    struct serve *s = r->conn->serve;
    if (!table_add(s, r)) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return false;
    }
    r->state = REQUEST_ASKING;
    wheel_add(&s->wheel, &r->timer, r->deadline_us);
    letter->reply = &s->mail;
    letter->on_reply = on_reply;
    letter->key = r->key;
    return true;
}

/* The request that a letter came back for; NULL when it is gone. */
static struct request *take_asker(struct serve *s, const struct raft_letter *letter)
{
    struct request *r = table_find(s, letter->key);
    if (r != NULL) {
        table_remove(s, r);
        r->state = REQUEST_NEW;
    }
    return r;
}

static void refuse_asker(struct request *r)
{
    table_remove(r->conn->serve, r);
    request_fail_code(r, CLADE_ERR_UNAVAILABLE, "the node is stopping");
}

/* --- status --- */

static const char *role_name(enum group_role role)
{
    static const char *const names[] = {
        [GROUP_VOTER] = "voter", [GROUP_STANDBY] = "standby", [GROUP_SPARE] = "spare"};
    return names[role];
}

static void put_member(struct buffer *b,
                       struct node *n,
                       const struct group_member_status *m,
                       const struct group_status *status)
{
    char client[MEMBER_ADDRESS_BYTES];
    members_find(&n->members, m->member.id, client);
    value_put_map(b, 12);
    put_uint(b, "id", m->member.id);
    put_str(b, "role", role_name(m->member.role));
    put_str(b, "address", m->member.address);
    put_str(b, "client", client);
    value_put_str(b, "leader");
    value_put_bool(b, status->leader == m->member.id);
    value_put_str(b, "connected");
    value_put_bool(b, m->connected);
    value_put_str(b, "heard");
    value_put_bool(b, m->heard);
    put_uint(b, "match", m->match);
    put_uint(b, "published", m->published);
    put_uint(b, "revision", m->revision);
    value_put_str(b, "digest");
    if (m->sample_index == 0) {
        value_put_nil(b);
    } else {
        value_put_map(b, 3);
        put_uint(b, "index", m->sample_index);
        put_hash(b, "data", m->data);
        put_hash(b, "state", m->state);
    }
    value_put_str(b, "clock_offset_us");
    value_put_int(b, m->clock_offset_us);
}

static void put_alarms(struct buffer *b, struct node *n, const struct group_status *status)
{
    const struct {
        bool on;
        const char *text;
    } alarms[] = {
        {status->leader == 0, "no leader is known"},
        {status->clock_alarm, "the leader's clock is far from the other members'"},
        {status->digest_alarm, "members disagree about what is stored"},
        {!status->headroom, "the disk is nearly full: writes are refused"},
        {atomic_load(&n->applied_full) != 0, "the store is full: applying waits"},
    };
    uint32_t on = 0;
    value_put_str(b, "alarms");
    size_t at = value_begin_array(b);
    for (unsigned i = 0; i < sizeof alarms / sizeof alarms[0]; i++) {
        if (alarms[i].on) {
            value_put_str(b, alarms[i].text);
            on++;
        }
    }
    value_end(b, at, on);
}

static void put_status(struct buffer *b, struct node *n, const struct group_status *status)
{
    uint64_t used;
    uint64_t map;
    struct store_digest digest = store_digest_current(n->store);
    store_usage(n->store, &used, &map);
    value_put_map(b, 14);
    put_hash(b, "cluster", n->folder.identity.cluster);
    put_uint(b, "node", status->id);
    put_uint(b, "term", status->term);
    put_uint(b, "leader", status->leader);
    put_uint(b, "commit", status->commit);
    put_uint(b, "last_index", status->last_index);
    put_uint(b, "log_bytes", status->log_bytes);
    put_uint(b, "published", status->published);
    put_uint(b, "store_bytes", used);
    put_uint(b, "map_bytes", map);
    value_put_str(b, "digest");
    value_put_map(b, 3);
    put_uint(b, "index", digest.index);
    put_hash(b, "data", digest.data);
    put_hash(b, "state", digest.state);
    value_put_str(b, "members");
    value_put_array(b, (uint32_t)status->members_len);
    for (size_t i = 0; i < status->members_len; i++) {
        put_member(b, n, &status->members[i], status);
    }
    put_alarms(b, n, status);
    put_str(b, "version", CLADE_VERSION);
}

static void on_status(struct mail *mail, void *owner)
{
    struct raft_letter *letter = LIST_ENTRY(mail, struct raft_letter, mail);
    struct raft_status_letter *l = LIST_ENTRY(letter, struct raft_status_letter, letter);
    struct request *r = take_asker(owner, letter);
    if (r != NULL) {
        struct buffer b;
        buffer_init(&b, DATA_BYTES_MAX);
        put_status(&b, r->conn->serve->node, &l->status);
        answer_data(r, &b);
    }
    free(l);
}

void status_status(struct request *r, const struct value *params)
{
    if (refuse_params(r, params)) {
        return;
    }
    struct raft_status_letter *l = calloc(1, sizeof *l);
    if (l == NULL) {
        request_fail_code(r, CLADE_ERR_NO_MEMORY, "out of memory");
        return;
    }
    if (!wait_for_letter(r, &l->letter, on_status)) {
        free(l);
    } else if (!raft_thread_status(r->conn->serve->node->raft, l)) {
        free(l);
        refuse_asker(r);
    }
}

/* --- transfer --- */

static void on_transfer(struct mail *mail, void *owner)
{
    struct raft_letter *letter = LIST_ENTRY(mail, struct raft_letter, mail);
    struct raft_transfer_letter *l = LIST_ENTRY(letter, struct raft_transfer_letter, letter);
    struct request *r = take_asker(owner, letter);
    if (r != NULL && l->error.code != 0) {
        request_fail_with_leader(r, &l->error);
    } else if (r != NULL) {
        struct buffer b;
        buffer_init(&b, DATA_BYTES_MAX);
        value_put_map(&b, 1);
        put_uint(&b, "leader", l->leader);
        answer_data(r, &b);
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
    if (!wait_for_letter(r, &l->letter, on_transfer)) {
        free(l);
    } else if (!raft_thread_transfer(r->conn->serve->node->raft, l)) {
        free(l);
        refuse_asker(r);
    }
}
