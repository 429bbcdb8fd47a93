#include "consensus/message.h"

#include <string.h>

#include "base/bytes.h"
#include "consensus/reference.h"

/* Reads fixed fields; after the first that is not there, `failed` and zeros. */
struct input {
    struct span rest;
    bool failed;
};

static struct span take(struct input *in, size_t n)
{
    if (in->failed || in->rest.len < n) {
        in->failed = true;
        return (struct span){0};
    }
    struct span s = span_make(in->rest.data, n);
    in->rest = span_skip(in->rest, n);
    return s;
}

static uint8_t take_u8(struct input *in)
{
    struct span s = take(in, 1);
    return s.data == NULL ? 0 : s.data[0];
}

static uint16_t take_u16(struct input *in)
{
    struct span s = take(in, 2);
    return s.data == NULL ? 0 : get_u16le(s.data);
}

static uint32_t take_u32(struct input *in)
{
    struct span s = take(in, 4);
    return s.data == NULL ? 0 : get_u32le(s.data);
}

static uint64_t take_u64(struct input *in)
{
    struct span s = take(in, 8);
    return s.data == NULL ? 0 : get_u64le(s.data);
}

static void put_u16(struct buffer *b, uint16_t v)
{
    uint8_t bytes[2];
    put_u16le(bytes, v);
    (void)buffer_append(b, bytes, sizeof bytes);
}

static void put_u32(struct buffer *b, uint32_t v)
{
    uint8_t bytes[4];
    put_u32le(bytes, v);
    (void)buffer_append(b, bytes, sizeof bytes);
}

void peer_put_u64(struct buffer *b, uint64_t v)
{
    uint8_t bytes[8];
    put_u64le(bytes, v);
    (void)buffer_append(b, bytes, sizeof bytes);
}

void peer_put_head(struct buffer *b, enum peer_message_type type)
{
    (void)buffer_append_u8(b, (uint8_t)type);
    (void)buffer_append_u8(b, PEER_MESSAGE_VERSION);
}

/* A configuration as libraft encodes it: u8 1, u64 n, n x (u64 id, address and NUL, u8 role).
 * libraft's own decoder asserts, so a damaged one must not reach it. */
static bool configuration_is_sound(struct span bytes)
{
    struct input in = {.rest = bytes};
    if (take_u8(&in) != 1) {
        return false;
    }
    uint64_t n = take_u64(&in);
    if (in.failed || n == 0 || n > 1024) {
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t id = take_u64(&in);
        const uint8_t *nul = in.rest.len == 0 ? NULL : memchr(in.rest.data, 0, in.rest.len);
        if (in.failed || id == 0 || nul == NULL) {
            return false;
        }
        (void)take(&in, (size_t)(nul - in.rest.data) + 1);
        if (take_u8(&in) > RAFT_SPARE || in.failed) {
            return false;
        }
    }
    return true;
}

struct entry_view {
    uint64_t term;
    uint8_t type;
    struct span data;
};

static bool take_entry(struct input *in, uint64_t term_max, struct entry_view *ret)
{
    ret->term = take_u64(in);
    ret->type = take_u8(in);
    uint32_t len = take_u32(in);
    ret->data = take(in, len);
    if (in->failed || ret->term == 0 || ret->term > term_max || len == 0 || len % 8 != 0) {
        return false;
    }
    return ret->type == RAFT_COMMAND || ret->type == RAFT_BARRIER ||
           (ret->type == RAFT_CHANGE && configuration_is_sound(ret->data));
}

/* Copies n entries that were checked before into one batch. */
static int copy_entries(struct span body, uint32_t n, size_t bytes, struct raft_append_entries *a)
{
    struct input in = {.rest = body};
    uint8_t *batch = raft_malloc(bytes);
    a->entries = raft_calloc(n, sizeof *a->entries);
    if (batch == NULL || a->entries == NULL) {
        raft_free(batch);
        raft_free(a->entries);
        a->entries = NULL;
        return CLADE_ERR_NO_MEMORY;
    }
    uint8_t *at = batch;
    for (uint32_t i = 0; i < n; i++) {
        struct entry_view v;
        (void)take_entry(&in, UINT64_MAX, &v);
        memcpy(at, v.data.data, v.data.len);
        a->entries[i] = (struct raft_entry){.term = v.term,
                                            .type = (enum raft_entry_type)v.type,
                                            .buf = {.base = at, .len = v.data.len},
                                            .batch = batch};
        at += v.data.len;
    }
    a->n_entries = n;
    return 0;
}

static int decode_append(struct input *in, struct raft_append_entries *a)
{
    a->version = 1;
    a->term = take_u64(in);
    a->prev_log_index = take_u64(in);
    a->prev_log_term = take_u64(in);
    a->leader_commit = take_u64(in);
    uint32_t n = take_u32(in);
    a->entries = NULL;
    a->n_entries = 0;
    if (in->failed || a->term == 0 || (a->prev_log_index == 0) != (a->prev_log_term == 0) ||
        a->prev_log_term > a->term) {
        return CLADE_ERR_CORRUPT;
    }
    struct span body = in->rest;
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct entry_view v;
        /* libraft takes any configuration of a message for its first new entry's (README.md,
         * hazard 14), so it must be that. */
        if (!take_entry(in, a->term, &v) || (v.type == RAFT_CHANGE && i > 0)) {
            return CLADE_ERR_CORRUPT;
        }
        bytes += v.data.len;
    }
    if (in->rest.len != 0) {
        return CLADE_ERR_CORRUPT;
    }
    return n == 0 ? 0 : copy_entries(body, n, bytes, a);
}

static struct span take_sized(struct input *in)
{
    uint32_t len = take_u32(in);
    return take(in, len);
}

/* libraft frees configuration and data apart, so each is a copy of its own. */
static int decode_install(struct input *in, struct raft_install_snapshot *s)
{
    *s = (struct raft_install_snapshot){.version = 0};
    s->term = take_u64(in);
    s->last_index = take_u64(in);
    s->last_term = take_u64(in);
    s->conf_index = take_u64(in);
    struct span conf = take_sized(in);
    struct span data = take_sized(in);
    if (in->failed || in->rest.len != 0 || s->term == 0 || s->last_index == 0 ||
        s->last_term == 0 || s->last_term > s->term || s->conf_index == 0 ||
        s->conf_index > s->last_index || data.len != REFERENCE_BYTES ||
        !configuration_is_sound(conf)) {
        return CLADE_ERR_CORRUPT;
    }
    const struct raft_buffer buf = {.base = (void *)conf.data, .len = conf.len};
    raft_configuration_init(&s->conf);
    if (raft_configuration_decode(&buf, &s->conf) != 0) {
        return CLADE_ERR_CORRUPT;
    }
    s->data.base = raft_malloc(data.len);
    s->data.len = data.len;
    if (s->data.base == NULL) {
        raft_configuration_close(&s->conf);
        return CLADE_ERR_NO_MEMORY;
    }
    memcpy(s->data.base, data.data, data.len);
    return 0;
}

static int decode_raft(struct input *in, struct raft_message *m)
{
    switch (m->type) {
    case RAFT_INSTALL_SNAPSHOT:
        return decode_install(in, &m->install_snapshot);
    case RAFT_APPEND_ENTRIES:
        return decode_append(in, &m->append_entries);
    case RAFT_APPEND_ENTRIES_RESULT: {
        struct raft_append_entries_result *r = &m->append_entries_result;
        *r = (struct raft_append_entries_result){.version = 2, .term = take_u64(in)};
        r->rejected = take_u64(in);
        r->last_log_index = take_u64(in);
        r->features = take_u16(in);
        r->capacity = take_u16(in);
        break;
    }
    case RAFT_REQUEST_VOTE: {
        struct raft_request_vote *r = &m->request_vote;
        *r = (struct raft_request_vote){.version = 2, .term = take_u64(in)};
        r->candidate_id = take_u64(in);
        r->last_log_index = take_u64(in);
        r->last_log_term = take_u64(in);
        r->disrupt_leader = take_u8(in) != 0;
        r->pre_vote = take_u8(in) != 0;
        break;
    }
    case RAFT_REQUEST_VOTE_RESULT: {
        struct raft_request_vote_result *r = &m->request_vote_result;
        *r = (struct raft_request_vote_result){.version = 2, .term = take_u64(in)};
        r->vote_granted = take_u8(in) != 0;
        r->pre_vote = take_u8(in) != 0;
        r->features = take_u16(in);
        r->capacity = take_u16(in);
        break;
    }
    case RAFT_TIMEOUT_NOW: {
        struct raft_timeout_now *r = &m->timeout_now;
        *r = (struct raft_timeout_now){.version = 1, .term = take_u64(in)};
        r->last_log_index = take_u64(in);
        r->last_log_term = take_u64(in);
        break;
    }
    default:
        return CLADE_ERR_CORRUPT;
    }
    return in->failed || in->rest.len != 0 ? CLADE_ERR_CORRUPT : 0;
}

static struct hash128 take_hash(struct input *in)
{
    struct hash128 h;
    h.low = take_u64(in);
    h.high = take_u64(in);
    return h;
}

static int decode_room(struct input *in, struct room *ret)
{
    uint8_t level = take_u8(in);
    uint8_t kind = take_u8(in);
    ret->level = (enum room_level)level;
    ret->kind = (enum room_kind)kind;
    ret->left_bytes = take_u64(in);
    ret->wanted_bytes = take_u64(in);
    bool known = level <= ROOM_NONE && kind <= ROOM_OF_MAP;
    return in->failed || in->rest.len != 0 || !known ? CLADE_ERR_CORRUPT : 0;
}

static int decode_ours(struct input *in, struct peer_message *m)
{
    switch (m->type) {
    case PEER_PROPOSE:
        m->items = in->rest;
        return in->rest.len == 0 ? CLADE_ERR_CORRUPT : 0;
    case PEER_REFUSED: {
        m->code = (int32_t)take_u32(in);
        m->wait_ms = take_u32(in);
        m->why = take_sized(in);
        uint64_t n = take_u32(in);
        m->items = in->rest;
        return in->failed || m->code >= 0 || in->rest.len != n * 16 ? CLADE_ERR_CORRUPT : 0;
    }
    case PEER_READ_PROBE:
    case PEER_READ_ANSWER:
        m->term = take_u64(in);
        m->number = take_u64(in);
        break;
    case PEER_READ_REQUEST:
        m->boot = take_u64(in);
        m->number = take_u64(in);
        break;
    case PEER_READ_REPLY:
        m->boot = take_u64(in);
        m->number = take_u64(in);
        m->code = (int32_t)take_u32(in);
        m->index = take_u64(in);
        break;
    case PEER_NEWS:
        m->news.published = take_u64(in);
        m->news.revision = take_u64(in);
        m->news.sample_index = take_u64(in);
        m->news.data = take_hash(in);
        m->news.state = take_hash(in);
        m->news.wall_us = take_u64(in);
        m->news.copy_bytes = take_u64(in);
        m->news.copy_bytes_total = take_u64(in);
        return decode_room(in, &m->news.room);
    case PEER_BEACON:
        m->beacon.term = take_u64(in);
        m->beacon.commit = take_u64(in);
        m->beacon.log_start = take_u64(in);
        m->beacon.configuration_index = take_u64(in);
        m->beacon.configuration = in->rest;
        return in->failed || !configuration_is_sound(in->rest) ? CLADE_ERR_CORRUPT : 0;
    case PEER_FETCH:
    case PEER_SUPPLY:
        m->items = in->rest;
        return in->rest.len == 0 ? CLADE_ERR_CORRUPT : 0;
    default:
        return CLADE_ERR_CORRUPT;
    }
    return in->failed || in->rest.len != 0 ? CLADE_ERR_CORRUPT : 0;
}

int peer_message_decode(struct span bytes, struct peer_message *ret, struct error *error)
{
    struct input in = {.rest = bytes};
    struct peer_message m = {.type = take_u8(&in)};
    uint8_t version = take_u8(&in);
    if (in.failed || version != PEER_MESSAGE_VERSION) {
        return error_set(error, CLADE_ERR_CORRUPT, "peer message",
                         "%zu bytes of version %u, expected version %d", bytes.len, version,
                         PEER_MESSAGE_VERSION);
    }
    m.raft.type = (enum raft_message_type)m.type;
    int rv = (int)m.type <= PEER_TIMEOUT_NOW ? decode_raft(&in, &m.raft) : decode_ours(&in, &m);
    if (rv != 0) {
        return error_set(error, rv, "peer message", "type %d with %zu bytes is malformed",
                         (int)m.type, bytes.len);
    }
    *ret = m;
    return 0;
}

void peer_message_release(struct peer_message *m)
{
    if (m->type == PEER_APPEND_ENTRIES && m->raft.append_entries.entries != NULL) {
        raft_free(m->raft.append_entries.entries[0].batch);
        raft_free(m->raft.append_entries.entries);
        m->raft.append_entries.entries = NULL;
        m->raft.append_entries.n_entries = 0;
    }
    if (m->type == PEER_INSTALL_SNAPSHOT && m->raft.install_snapshot.data.base != NULL) {
        raft_configuration_close(&m->raft.install_snapshot.conf);
        raft_free(m->raft.install_snapshot.data.base);
        m->raft.install_snapshot.data.base = NULL;
    }
}

static void put_append(struct buffer *b,
                       const struct raft_append_entries *a,
                       const struct raft_entry *entries,
                       unsigned n)
{
    peer_put_u64(b, a->term);
    peer_put_u64(b, a->prev_log_index);
    peer_put_u64(b, a->prev_log_term);
    peer_put_u64(b, a->leader_commit);
    put_u32(b, n);
    for (unsigned i = 0; i < n; i++) {
        peer_put_u64(b, entries[i].term);
        (void)buffer_append_u8(b, (uint8_t)entries[i].type);
        put_u32(b, (uint32_t)entries[i].buf.len);
        (void)buffer_append(b, entries[i].buf.base, entries[i].buf.len);
    }
}

static void put_sized(struct buffer *b, const struct raft_buffer *bytes)
{
    put_u32(b, (uint32_t)bytes->len);
    (void)buffer_append(b, bytes->base, bytes->len);
}

static bool put_install(struct buffer *b, const struct raft_install_snapshot *s)
{
    struct raft_buffer conf;
    if (raft_configuration_encode(&s->conf, &conf) != 0) {
        return false;
    }
    peer_put_u64(b, s->term);
    peer_put_u64(b, s->last_index);
    peer_put_u64(b, s->last_term);
    peer_put_u64(b, s->conf_index);
    put_sized(b, &conf);
    put_sized(b, &s->data);
    raft_free(conf.base);
    return true;
}

bool peer_put_raft(struct buffer *b,
                   const struct raft_message *m,
                   const struct raft_entry *entries,
                   unsigned n)
{
    if (m->type < RAFT_APPEND_ENTRIES || m->type > RAFT_TIMEOUT_NOW) {
        return false;
    }
    peer_put_head(b, (enum peer_message_type)m->type);
    switch (m->type) {
    case RAFT_APPEND_ENTRIES:
        put_append(b, &m->append_entries, entries, n);
        break;
    case RAFT_INSTALL_SNAPSHOT:
        return put_install(b, &m->install_snapshot);
    case RAFT_APPEND_ENTRIES_RESULT:
        peer_put_u64(b, m->append_entries_result.term);
        peer_put_u64(b, m->append_entries_result.rejected);
        peer_put_u64(b, m->append_entries_result.last_log_index);
        put_u16(b, m->append_entries_result.features);
        put_u16(b, 0); /* the capacity is not used, and libraft leaves what the stack held */
        break;
    case RAFT_REQUEST_VOTE:
        peer_put_u64(b, m->request_vote.term);
        peer_put_u64(b, m->request_vote.candidate_id);
        peer_put_u64(b, m->request_vote.last_log_index);
        peer_put_u64(b, m->request_vote.last_log_term);
        (void)buffer_append_u8(b, m->request_vote.disrupt_leader);
        (void)buffer_append_u8(b, m->request_vote.pre_vote);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        peer_put_u64(b, m->request_vote_result.term);
        (void)buffer_append_u8(b, m->request_vote_result.vote_granted);
        (void)buffer_append_u8(b, m->request_vote_result.pre_vote);
        put_u16(b, m->request_vote_result.features);
        put_u16(b, 0);
        break;
    default:
        peer_put_u64(b, m->timeout_now.term);
        peer_put_u64(b, m->timeout_now.last_log_index);
        peer_put_u64(b, m->timeout_now.last_log_term);
        break;
    }
    return true;
}

void peer_put_round(struct buffer *b, enum peer_message_type type, uint64_t term, uint64_t round)
{
    peer_put_head(b, type);
    peer_put_u64(b, term);
    peer_put_u64(b, round);
}

void peer_put_read_request(struct buffer *b, uint64_t boot, uint64_t request)
{
    peer_put_head(b, PEER_READ_REQUEST);
    peer_put_u64(b, boot);
    peer_put_u64(b, request);
}

void peer_put_read_reply(
    struct buffer *b, uint64_t boot, uint64_t request, int32_t code, uint64_t index)
{
    peer_put_head(b, PEER_READ_REPLY);
    peer_put_u64(b, boot);
    peer_put_u64(b, request);
    put_u32(b, (uint32_t)code);
    peer_put_u64(b, index);
}

static void put_hash(struct buffer *b, struct hash128 h)
{
    peer_put_u64(b, h.low);
    peer_put_u64(b, h.high);
}

void peer_put_news(struct buffer *b, const struct peer_news *news)
{
    peer_put_head(b, PEER_NEWS);
    peer_put_u64(b, news->published);
    peer_put_u64(b, news->revision);
    peer_put_u64(b, news->sample_index);
    put_hash(b, news->data);
    put_hash(b, news->state);
    peer_put_u64(b, news->wall_us);
    peer_put_u64(b, news->copy_bytes);
    peer_put_u64(b, news->copy_bytes_total);
    (void)buffer_append_u8(b, (uint8_t)news->room.level);
    (void)buffer_append_u8(b, (uint8_t)news->room.kind);
    peer_put_u64(b, news->room.left_bytes);
    peer_put_u64(b, news->room.wanted_bytes);
}

void peer_put_beacon(struct buffer *b, const struct peer_beacon *beacon)
{
    peer_put_head(b, PEER_BEACON);
    peer_put_u64(b, beacon->term);
    peer_put_u64(b, beacon->commit);
    peer_put_u64(b, beacon->log_start);
    peer_put_u64(b, beacon->configuration_index);
    (void)buffer_append_span(b, beacon->configuration);
}

void peer_put_refused(struct buffer *b, int32_t code, uint32_t wait_ms, const char *why, uint32_t n)
{
    peer_put_head(b, PEER_REFUSED);
    put_u32(b, (uint32_t)code);
    put_u32(b, wait_ms);
    put_u32(b, (uint32_t)strlen(why));
    (void)buffer_append(b, why, strlen(why));
    put_u32(b, n);
}
