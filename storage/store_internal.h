#pragma once
/* What the files of storage/ share: the environment, its tables, and what the store knows of
 * itself. It and what includes it show LMDB; no other folder includes them. */
#include <pthread.h>

#include <lmdb.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/span.h"
#include "storage/epoch.h"
#include "storage/store.h"

#define STORE_FORMAT 5

/* Codes stand in checksums and digests and never change. README.md has the byte tables. */
enum table {
    TABLE_META = 0,
    TABLE_THINGS = 1,
    TABLE_HISTORY = 2,
    TABLE_NAMES = 3,
    TABLE_VERSIONS = 4,
    TABLE_EDGES_OUT = 5,
    TABLE_EDGES_IN = 6,
    TABLE_DIGESTS = 7,
    TABLE_LABELS = 8,
    TABLE_CHANGES = 9,
    TABLE_TIMES = 10,
    TABLE_SESSIONS = 11,
    TABLE_RESULTS = 12,
    TABLE_COUNTERS = 13,
    TABLE_MEMBERS = 14,
    TABLE_PARAMS = 15,
    TABLE_ALIASES = 16,
    TABLE_DEPLOYED = 17,
    TABLE_SERIES = 18,
    TABLE_POINTS = 19,
    TABLE_EDGE_PROPS = 20,
    TABLE_PURGES = 21,
    TABLE_URIS = 22,
    TABLE_STAGES = 23,
    TABLE_USAGE = 24,
    TABLE_VALUES = 25,
    TABLE_FLOORS = 26,
    TABLE_COUNT
};

/* Which running sum a table's rows are in. */
enum table_sum { SUM_NONE, SUM_DATA, SUM_STATE };

struct table_info {
    const char *name;
    enum table_sum sum;
    unsigned flags;    /* of mdb_dbi_open, without MDB_CREATE */
    bool append;       /* inserts come in ascending order */
    unsigned ended_at; /* offset of the u64 `ended` in the payload, 0 when it has none: rows
                          with it set are history, outside the sums */
};

const struct table_info *table_info(enum table table);

#define KEY_BYTES_MAX     511 /* LMDB's own */
#define CHECKSUM_BYTES    4
#define EDGE_BYTES        32 /* a value of the edge tables, checksum included */
#define NAMESPACE_ROOT    0
#define NAMESPACE_DEFAULT 1

/* The counters and sums that are one row of the meta table; `applied` to `sweep` are replicated
 * state and take part in the digest. */
struct meta {
    uint64_t applied;
    uint64_t revision;
    uint64_t time_us;
    uint64_t next_id;
    uint64_t next_label;
    uint64_t session_ms; /* session time */
    uint64_t next_session;
    uint64_t sessions; /* rows of the table */
    uint64_t sweep;    /* the session id where the next sweep goes on */
    struct hash128 sum_data;
    struct hash128 sum_state;
    struct store_digest sample; /* at the newest index divisible by 1,024 */
};

#define META_BYTES (9 * 8 + 2 * 16 + 8 + 2 * 16)

void meta_encode(const struct meta *meta, uint8_t bytes[META_BYTES]);
void meta_decode(const uint8_t bytes[META_BYTES], struct meta *ret);
/* Both digests as of `meta`. */
struct store_digest meta_digest(const struct meta *meta);

struct environment;
struct reader;

struct store {
    struct store_options options;    /* without the path */
    struct epoch epoch;              /* of what readers find in lineage indexes */
    _Atomic uint64_t walks_by_index; /* queries */
    _Atomic uint64_t walks_by_tables;
    pthread_mutex_t lock;    /* guards what follows */
    struct environment *env; /* the current one. Only the apply thread replaces it */
    struct environment *old; /* those before it that are not closed yet */
    struct reader *readers;  /* all of them */
    struct meta meta;        /* as of the last commit */
    bool writing;            /* the apply thread's: a write transaction is open */
};

/* The current environment, kept open until store_unref. Any thread. */
struct environment *store_ref(struct store *store);
void store_unref(struct store *store, struct environment *env);
/* Idle readers let go of an environment that is no longer the current one. The lock is held. */
void readers_leave(struct store *store);
/* The earliest epoch that a reader is in; UINT64_MAX when none is in any. */
uint64_t readers_oldest_epoch(struct store *store);

/* A copy of the committed meta. Any thread. */
struct meta store_meta(struct store *store);
void store_publish(struct store *store, const struct meta *meta);

/* Translates what LMDB returned: the only place that knows its codes. `doing` is a phrase:
 * "reading a row". Returns 0 for 0. */
int lmdb_error(int rc, struct error *error, const char *doing);

/* The hash of one row: its low 32 bits are its checksum, all of it goes into the running sum. */
struct hash128 row_hash(enum table table, struct span key, struct span payload);
/* Whether the row counts in its table's sum: `ended` rows are history. */
bool row_is_summed(enum table table, struct span payload);
/* Names a damaged row in the error. */
void row_describe_damage(struct error *error, enum table table, struct span key, const char *what);
/* The same; returns CLADE_ERR_CORRUPT. */
static inline int row_corrupt(struct error *error,
                              enum table table,
                              struct span key,
                              const char *what)
{
    row_describe_damage(error, table, key, what);
    return CLADE_ERR_CORRUPT;
}

/* Errors after which the transaction cannot go on, on this node alone; all others are results,
 * the same on every node. */
static inline bool code_is_fatal(int code)
{
    return code == CLADE_ERR_NO_SPACE || code == CLADE_ERR_IO || code == CLADE_ERR_CORRUPT ||
           code == CLADE_ERR_NO_MEMORY;
}
