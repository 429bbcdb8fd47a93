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

static inline bool key_begins(struct span row_key, const struct key *prefix)
{
    return row_key.len >= prefix->len && memcmp(row_key.data, prefix->bytes, prefix->len) == 0;
}

struct key key_u64(uint64_t a);
struct key key_u64_u64(uint64_t a, uint64_t b);

enum name_space { NAME_SPACE_NAMES = 1, NAME_SPACE_EXTERNAL = 2, NAME_SPACE_NAMELESS = 3 };

#define NAME_PREFIX_BYTES 10 /* space, namespace, kind */
#define NAME_VALUE_BYTES  16 /* id, ended */

/* space, namespace, kind, text, 0x00 (a text too long: its beginning, 0x01, its hash), ~created:
 * the newest holder of a name comes first. */
struct key key_name(
    enum name_space space, uint64_t ns, enum kind kind, struct span text, uint64_t created);
/* The part that all names of a kind in a namespace begin with. */
struct key key_name_prefix(enum name_space space, uint64_t ns, enum kind kind);
/* A thing that no row of a name leads to any more. */
struct key key_nameless(uint64_t ns, enum kind kind, uint64_t id);
/* Whether a row is of the same name as `key`: all but ~created. */
bool key_name_same(struct span row_key, const struct key *key);
static inline uint64_t key_name_created(struct span row_key)
{
    return ~get_u64be(row_key.data + row_key.len - 8);
}

/* digest text, 0x00, namespace, thing. */
struct key key_digest(struct span digest, uint64_t ns, uint64_t id);
/* uri (one too long: its beginning, 0x01, its hash, else 0x00), namespace, thing, ~created. */
struct key key_uri(struct span uri, uint64_t ns, uint64_t id, uint64_t created);
#define URI_TAIL_BYTES  24 /* namespace, thing, ~created */
#define URI_VALUE_BYTES 16 /* created, ended */
/* 0x01 and a label's text; 0x02 and its number. */
struct key key_label(struct span label);
struct key key_label_id(uint32_t label);

/* Rows of pointers (pointer.h) that hold now begin with POINTER_NOW; what ended begins with
 * POINTER_PAST and has when at its end. */
enum pointer_space { POINTER_NOW = 1, POINTER_PAST = 2, POINTER_BACK = 3 };

/* The alias of a model; an empty one begins all of them. key_alias_back: of a version. */
struct key key_alias(uint64_t model, struct span alias);
struct key key_alias_back(uint64_t version, struct span alias);
/* The deployment has a version of the model among its targets; 0s from the end: the beginning. */
struct key key_deployed(uint64_t model, uint64_t version, uint64_t deployment);
/* A version of the model is in the stage; version 0: the beginning. */
struct key key_stage(uint64_t ns, struct span stage, uint64_t model, uint64_t version);
/* A thing that is purged and of which rows are left, first of what is, then of what was. */
enum purge_phase { PURGE_DATA = 1, PURGE_PAST = 2 };
struct key key_purge(enum purge_phase phase, uint64_t id);
#define PURGE_VALUE_BYTES 16 /* the revision whose reason goes last, when it came to PURGE_PAST */
/* from, label, to, ~set: the newest props of an edge come first. */
struct key key_edge_props(uint64_t from, uint32_t label, uint64_t to, uint64_t set);
#define EDGE_PROPS_KEY_BYTES    28
#define EDGE_PROPS_PREFIX_BYTES 20

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
