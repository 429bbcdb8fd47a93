#pragma once
/* Keys and the fixed-width values of the index tables, as README.md's byte tables have them.
 * Numbers in keys are big-endian, so that memcmp orders them. */
#include "base/bytes.h"
#include "command/kind.h"
#include "storage/store_internal.h"

struct key {
    uint8_t bytes[KEY_BYTES_MAX];
    uint16_t len;
};

static inline struct span key_span(const struct key *k)
{
    return span_make(k->bytes, k->len);
}

struct key key_u64(uint64_t a);
struct key key_u64_u64(uint64_t a, uint64_t b);

enum name_space { NAME_SPACE_NAMES = 1, NAME_SPACE_EXTERNAL = 2 };

#define NAME_PREFIX_BYTES 10 /* space, namespace, kind */
#define NAME_VALUE_BYTES  16 /* id, ended */

/* space, namespace, kind, text, 0x00 (a text too long: its beginning, 0x01, its hash), ~created:
 * the newest holder of a name comes first. */
struct key key_name(
    enum name_space space, uint64_t ns, enum kind kind, struct span text, uint64_t created);
/* The part that all names of a kind in a namespace begin with. */
struct key key_name_prefix(enum name_space space, uint64_t ns, enum kind kind);
/* Whether a row is of the same name as `key`: all but ~created. */
bool key_name_same(struct span row_key, const struct key *key);
static inline uint64_t key_name_created(struct span row_key)
{
    return ~get_u64be(row_key.data + row_key.len - 8);
}

/* digest text, 0x00, namespace, thing. */
struct key key_digest(struct span digest, uint64_t ns, uint64_t id);
/* 0x01 and a label's text; 0x02 and its number. */
struct key key_label(struct span label);
struct key key_label_id(uint32_t label);

/* An edge as it stands in both edge tables. */
struct edge {
    uint32_t label;
    uint64_t other;
    uint64_t created;
    uint64_t ended; /* 0 = live */
};

#define EDGE_VALUE_BYTES (EDGE_BYTES - CHECKSUM_BYTES)

/* label, other, ~created, ended: the newest edge of a pair comes first. */
void edge_encode(const struct edge *edge, uint8_t bytes[EDGE_VALUE_BYTES]);
struct edge edge_decode(const uint8_t bytes[EDGE_VALUE_BYTES]);

static inline bool lives_at(uint64_t created, uint64_t ended, uint64_t revision)
{
    return created <= revision && (ended == 0 || ended > revision);
}
