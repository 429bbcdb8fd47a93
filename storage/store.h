#pragma once
/* The store: one LMDB environment that holds the whole registry as of one applied index. One
 * writer (the apply thread, storage/apply.h), any number of readers (storage/reader.h). */
#include "base/error.h"
#include "base/hash.h"
#include "base/span.h"

struct store;

struct store_options {
    const char *path;   /* a directory that exists */
    uint64_t map_bytes; /* address space for the file; 0 = sized to the file system */
    unsigned readers_max;
    uint64_t lineage_bytes; /* memory for the lineage index; 0 = there is none */
    bool no_sync;           /* only for tests that measure or simulate */
};

/* What the store says of itself at its last commit. */
struct store_position {
    uint64_t applied; /* Raft index of the last entry that is in the store */
    uint64_t revision;
    uint64_t time_us; /* store time of the last entry */
};

/* The two running sums (architecture.md 3), at one applied index. */
struct store_digest {
    uint64_t index;
    struct hash128 data;
    struct hash128 state;
};

/* The number of the layout on disk that this program reads and writes. */
uint32_t store_format(void);
/* Opens, creating an empty store (revision 0, the namespace `default`). Refuses another format
 * number. CLADE_ERR_IO, _CORRUPT, _UNSUPPORTED, _NO_SPACE, with a sentence. */
int store_open(const struct store_options *options, struct store **ret, struct error *error);
/* Readers and the writer must be gone. Accepts NULL. */
void store_close(struct store *store);
/* As of the last commit. Any thread. */
struct store_position store_position(struct store *store);
/* The digests at the newest index divisible by 1,024 that was committed; index 0 when none yet.
 * Any thread. */
struct store_digest store_digest_sample(struct store *store);
/* The digests at the last commit. Any thread. */
struct store_digest store_digest_current(struct store *store);
/* Makes the last commit durable, its meta page included: commits leave that page to the kernel
 * (MDB_NOMETASYNC), but write it through the descriptor that this syncs, even with `no_sync`
 * (force). Blocks on disk. Any thread; commits that end meanwhile may be left out. */
int store_sync(struct store *store, struct error *error);
/* Whether something waits to be erased, which each log entry goes on with: where nothing else is
 * written, the leader logs an ITEM_TICK now and then. Any thread. */
bool store_has_work(struct store *store);
/* Whether history below the floors is left on this node, which apply_compact takes away. Any
 * thread. */
bool store_has_past(struct store *store);
#define RETAIN_NAMESPACES_MAX 256 /* that one ITEM_RETAIN names */
/* Up to ids_max namespaces whose retention lets their floor move at `now_us` of store time, without
 * the first `skip` of those: what an ITEM_RETAIN is to name. Returns 0 or a disk error. Any thread.
 */
int store_past_retention(struct store *store,
                         uint64_t now_us,
                         size_t skip,
                         uint64_t *ids,
                         size_t ids_max,
                         size_t *ret_len,
                         struct error *error);
/* Calls `cb` for each namespace that bounds its writes, as of the last commit; the path is borrowed
 * until it returns. Returns 0 or a disk error. Any thread. */
int store_rates(struct store *store,
                void (*cb)(void *arg, struct span path, uint64_t writes_per_s),
                void *arg,
                struct error *error);
/* Bytes of the file in use, and the map's size. Any thread. */
void store_usage(struct store *store, uint64_t *ret_used_bytes, uint64_t *ret_map_bytes);

/* How the store's file is used, for who watches over it. */
struct store_figures {
    uint64_t used_bytes; /* as store_usage */
    uint64_t map_bytes;
    uint64_t free_bytes;     /* of used_bytes: pages that commits will use again */
    uint64_t reusable_bytes; /* of free_bytes: no reader that is open may still need them */
    uint64_t sessions;
    unsigned readers; /* read transactions that are open: queries, copies, looks */
    unsigned readers_max;
    uint64_t oldest_reader_commits; /* the oldest of them is so many commits behind the newest: none
                                       of the pages freed since can be used again */
};
/* Any thread that may block on the disk; reads the list of free pages. Returns 0 or a disk error.
 */
int store_look(struct store *store, struct store_figures *ret, struct error *error);
/* When the oldest query that runs began, monotonic; 0 when none does. Any thread. */
uint64_t store_oldest_query_us(struct store *store);

/* Replaces the whole content by the store in the folder `path`, a checked copy (storage/copy.h)
 * that is not open; one that is behind this store is refused. Apply thread, between batches. Every
 * handle stays what it was: queries that are under way end in the old content, all later ones, and
 * positions and digests, are of the new; the old is open until store_close_old. `path` is the
 * store's as long as it is open. Without options.map_bytes the map is no smaller than it was. When
 * it is open and nothing can fail here any more, `keep` makes that durable: the folder, which it
 * may rename, is the one to open from then on. NULL: nothing is to be kept. On an error the store
 * is as it was: CLADE_ERR_CORRUPT, _UNSUPPORTED, _IO, _NO_SPACE, _NO_MEMORY, _INVALID, or keep's.
 */
typedef int (*store_keep_cb)(void *arg, const char *path, struct error *error);
int store_swap(
    struct store *store, const char *path, store_keep_cb keep, void *arg, struct error *error);
/* Closes what swaps have left behind as far as nobody uses it any more, and returns how many
 * environments somebody (a query under way, an open copy) still does: at 0 the old folders are no
 * longer open, and deleting them gives back their space. Deleting one before is safe too. Any
 * thread that may block. */
unsigned store_close_old(struct store *store);

/* Checks the pages of the store in the folder `path`, which is not open, before LMDB sees them,
 * which trusts what it maps (storage/data_file.h). Takes as long as reading it twice; `progress` as
 * store_verify has it. 1: nothing was ever committed there, or there is no file. CLADE_ERR_CORRUPT
 * names the page. */
int store_check_pages(const char *path,
                      bool (*progress)(uint64_t n, void *arg),
                      void *arg,
                      struct error *error);

/* Scans every row, checks its checksum, recomputes both sums and compares. Calls `progress`
 * (may be NULL) now and then; CLADE_ERR_RETRY when that says false. CLADE_ERR_CORRUPT names the
 * table and the key. */
int store_verify(struct store *store,
                 bool (*progress)(uint64_t rows, void *arg),
                 void *arg,
                 struct error *error);

/* --- The lineage index -------------------------------------------------------------------------
 */

enum store_lineage_state {
    LINEAGE_OFF,     /* options.lineage_bytes is 0 */
    LINEAGE_ABSENT,  /* not filled yet, since this store was opened or swapped in */
    LINEAGE_FILLING, /* store_fill_lineage is at it */
    LINEAGE_READY,
    LINEAGE_FULL,   /* it would take more than options.lineage_bytes */
    LINEAGE_DAMAGED /* rows did not read as they should */
};

struct store_lineage {
    enum store_lineage_state state;
    uint64_t edges; /* that it holds, ended ones included */
    uint64_t bytes;
    /* queries that walked edges, since the store was opened */
    uint64_t by_index;
    uint64_t by_tables;
};

/* Fills the lineage index of the current content from the disk, while the store is read and
 * written; about a second for 10 million edges. After that it is kept by apply. Without it, and
 * where it does not fit in its memory, lineage is read from the disk, with the same answers. To be
 * called once when the store is open, and again after each swap; one thread at a time. `stop` (may
 * be NULL) ends it. 0 when it is there, or cannot be: store_lineage_look says which. CLADE_ERR_*:
 * the store could not be read. */
int store_fill_lineage(struct store *store, const bool *stop, struct error *error);
/* Any thread. */
void store_lineage_look(struct store *store, struct store_lineage *ret);
