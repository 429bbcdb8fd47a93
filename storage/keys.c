#include "storage/keys.h"

#include "base/check.h"

#define NAME_TAIL_BYTES 9 /* 0x00 and ~created */
#define NAME_TEXT_MAX   (KEY_BYTES_MAX - NAME_PREFIX_BYTES - NAME_TAIL_BYTES)
#define URI_TEXT_MAX    (KEY_BYTES_MAX - 1 - URI_TAIL_BYTES)
#define HASH_BYTES      16

_Static_assert(CLADE_MAX_DIGEST_BYTES + 17 <= KEY_BYTES_MAX, "digests are whole in keys");
_Static_assert(CLADE_MAX_ALIAS_BYTES + 18 <= KEY_BYTES_MAX, "aliases are whole in keys");
_Static_assert(CLADE_MAX_STAGE_BYTES + 34 <= KEY_BYTES_MAX, "stages are whole in keys");
_Static_assert(CLADE_MAX_LABEL_BYTES + 1 <= KEY_BYTES_MAX, "labels are whole in keys");

static void add(struct key *k, const void *data, size_t len)
{
    CHECK(k->len + len <= sizeof k->bytes);
    memcpy(k->bytes + k->len, data, len);
    k->len = (uint16_t)(k->len + len);
}

static void add_span(struct key *k, struct span s)
{
    if (s.len > 0) {
        add(k, s.data, s.len);
    }
}

static void add_u8(struct key *k, unsigned v)
{
    uint8_t byte = (uint8_t)v;
    add(k, &byte, 1);
}

static void add_u64(struct key *k, uint64_t v)
{
    uint8_t bytes[8];
    put_u64be(bytes, v);
    add(k, bytes, sizeof bytes);
}

struct key key_u64(uint64_t a)
{
    struct key k;
    k.len = 0;
    add_u64(&k, a);
    return k;
}

struct key key_u64_u64(uint64_t a, uint64_t b)
{
    struct key k = key_u64(a);
    add_u64(&k, b);
    return k;
}

struct key key_nameless(uint64_t ns, enum kind kind, uint64_t id)
{
    struct key k = key_name_prefix(NAME_SPACE_NAMELESS, ns, kind);
    add_u64(&k, id);
    return k;
}

struct key key_purge(enum purge_phase phase, uint64_t id)
{
    struct key k = {.len = 0};
    add_u8(&k, phase);
    add_u64(&k, id);
    return k;
}

struct key key_name_prefix(enum name_space space, uint64_t ns, enum kind kind)
{
    struct key k;
    k.len = 0;
    add_u8(&k, space);
    add_u64(&k, ns);
    add_u8(&k, kind);
    return k;
}

/* A text and 0x00, or of one that is longer than text_max its beginning, 0x01 and its hash. */
static void add_text(struct key *k, struct span text, size_t text_max)
{
    if (text.len <= text_max) {
        add_span(k, text);
        add_u8(k, 0);
    } else {
        struct hash128 h = hash128(text);
        add(k, text.data, text_max - HASH_BYTES);
        add_u8(k, 1);
        add_u64(k, h.high);
        add_u64(k, h.low);
    }
}

struct key key_name(
    enum name_space space, uint64_t ns, enum kind kind, struct span text, uint64_t created)
{
    struct key k = key_name_prefix(space, ns, kind);
    add_text(&k, text, NAME_TEXT_MAX);
    add_u64(&k, ~created);
    return k;
}

bool key_name_same(struct span row_key, const struct key *key)
{
    return row_key.len == key->len && memcmp(row_key.data, key->bytes, key->len - 8u) == 0;
}

struct key key_digest(struct span digest, uint64_t ns, uint64_t id)
{
    struct key k;
    k.len = 0;
    add_span(&k, digest);
    add_u8(&k, 0);
    add_u64(&k, ns);
    add_u64(&k, id);
    return k;
}

struct key key_uri(struct span uri, uint64_t ns, uint64_t id, uint64_t created)
{
    struct key k;
    k.len = 0;
    add_text(&k, uri, URI_TEXT_MAX);
    add_u64(&k, ns);
    add_u64(&k, id);
    add_u64(&k, ~created);
    return k;
}

struct key key_label(struct span label)
{
    struct key k;
    k.len = 0;
    add_u8(&k, 1);
    add_span(&k, label);
    return k;
}

struct key key_label_id(uint32_t label)
{
    struct key k;
    uint8_t bytes[4];
    k.len = 0;
    put_u32be(bytes, label);
    add_u8(&k, 2);
    add(&k, bytes, sizeof bytes);
    return k;
}

static struct key begin(enum pointer_space space, uint64_t a)
{
    struct key k;
    k.len = 0;
    add_u8(&k, space);
    add_u64(&k, a);
    return k;
}

static struct key alias_in(enum pointer_space space, uint64_t id, struct span alias)
{
    struct key k = begin(space, id);
    if (alias.len > 0) {
        add_span(&k, alias);
        add_u8(&k, 0);
    }
    return k;
}

struct key key_alias(uint64_t model, struct span alias)
{
    return alias_in(POINTER_NOW, model, alias);
}

struct key key_alias_back(uint64_t version, struct span alias)
{
    return alias_in(POINTER_BACK, version, alias);
}

struct key key_deployed(uint64_t model, uint64_t version, uint64_t deployment)
{
    struct key k = begin(POINTER_NOW, model);
    if (version != 0) {
        add_u64(&k, version);
    }
    if (deployment != 0) {
        add_u64(&k, deployment);
    }
    return k;
}

struct key key_stage(uint64_t ns, struct span stage, uint64_t model, uint64_t version)
{
    struct key k = begin(POINTER_NOW, ns);
    add_span(&k, stage);
    add_u8(&k, 0);
    if (model != 0) {
        add_u64(&k, model);
    }
    if (version != 0) {
        add_u64(&k, version);
    }
    return k;
}

struct key key_edge_props(uint64_t from, uint32_t label, uint64_t to, uint64_t set)
{
    struct key k = key_u64(from);
    uint8_t bytes[4];
    put_u32be(bytes, label);
    add(&k, bytes, sizeof bytes);
    add_u64(&k, to);
    add_u64(&k, ~set);
    return k;
}

void edge_encode(const struct edge *e, uint8_t bytes[EDGE_VALUE_BYTES])
{
    put_u32be(bytes, e->label);
    put_u64be(bytes + 4, e->other);
    put_u64be(bytes + 12, ~e->created);
    put_u64be(bytes + 20, e->ended);
}

struct edge edge_decode(const uint8_t bytes[EDGE_VALUE_BYTES])
{
    return (struct edge){
        .label = get_u32be(bytes),
        .other = get_u64be(bytes + 4),
        .created = ~get_u64be(bytes + 12),
        .ended = get_u64be(bytes + 20),
    };
}
