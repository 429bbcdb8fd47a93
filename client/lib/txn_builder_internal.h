#pragma once
/* A transaction while it is built: what txn_builder.c and txn_maps.c share. */
#include "command/txn.h"
#include "lib/lib_internal.h"

#define SETS_MAX 4 /* list fields of one operation */

/* A list field of the open operation; the operation's setters may come in any order, the command
 * has each field once. */
struct set {
    const struct field *field;
    struct buffer items; /* as an array */
    struct buffer pairs; /* as a map: true for what shall be there, nil for what shall go */
    uint32_t len;
    bool takes; /* something shall go */
};

/* Map fields of the open operation. */
enum map_id { MAP_TAGS, MAP_PROPS, MAP_FIELDS, MAP_QUOTA, MAP_DEFAULTS, MAPS };

extern const char *const txn_map_names[MAPS];

struct map {
    struct buffer pairs;
    uint32_t len;
};

struct clade_txn {
    struct buffer ns;
    struct buffer reason;
    bool dry_run;
    bool has_happened;
    uint64_t happened_us;
    struct buffer guards;
    uint32_t guards_len;
    struct buffer ops; /* the last one may be open: its map's head is written at its end */
    uint32_t ops_len;
    bool open;
    size_t open_at;
    uint32_t open_members;
    struct map maps[MAPS];
    struct set sets[SETS_MAX];
    bool logs; /* the open operation is a log */
    struct buffer params;
    uint32_t params_len;
    struct buffer metrics; /* maps; the last one's points are counted as they come */
    uint32_t metrics_len;
    size_t points_at;
    uint32_t points_len;
    struct error mistake; /* the first one */
};

/* Remembers the first mistake, with the operation that is open. */
void txn_mistake(struct clade_txn *txn, const char *field, const char *message);
/* Whether an operation is open that the field could belong to; else that is a mistake. */
bool txn_setter_allowed(struct clade_txn *txn, const char *field);
/* NULL is nil. */
void txn_put_text(struct buffer *b, const char *s);
void txn_put_pair(struct buffer *b, const char *key, const char *value);
/* A version's number, 0 = that there is none. */
void txn_put_expected(struct buffer *b, uint64_t number);
