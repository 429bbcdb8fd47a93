#pragma once
/* Apply: what a log entry does to the store. Deterministic and total: it reads the entry and
 * replicated state, nothing else, and every entry has a result on every node alike. Owned by one
 * thread. The batch of entries between apply_begin and apply_commit is one LMDB transaction. */
#include "storage/entry.h"
#include "storage/store.h"

struct apply;

/* What one command answers, on every node. Borrowed until the callback returns. */
struct apply_result {
    struct proposal_id id;
    int code;          /* 0 or CLADE_ERR_* */
    uint64_t revision; /* that it made, or the current one */
    uint64_t time_us;  /* store time of the entry */
    bool changed;      /* it took a revision */
    struct span body;  /* code 0: the MessagePack value of "data" (empty: none); else the
                          error map of client/wire/README.md */
    uint64_t session;  /* ITEM_SESSION_OPEN: the id given */
};

typedef void (*apply_result_cb)(void *arg, const struct apply_result *result);

int apply_new(struct store *store, struct apply **ret, struct error *error);
void apply_free(struct apply *apply);

/* Each returns 0 or a disk error (CLADE_ERR_NO_SPACE, _IO, _CORRUPT, _NO_MEMORY) after which
 * apply_abort must be called: the store is as it was at the last commit, and the same entries may
 * be given again, with the same results. CLADE_ERR_UNSUPPORTED: the entry's semantics level is
 * above ours, the node must stop. */
int apply_begin(struct apply *apply, struct error *error);
/* Runs the commands of the entry at `index`; `previous` is the index of the queue item before
 * it. An index at or below the store's is skipped without callbacks. A gap between `previous` and
 * the last index seen is CLADE_ERR_CORRUPT. `cb` fires once for each command, in order. */
int apply_entry(struct apply *apply,
                uint64_t previous,
                uint64_t index,
                struct span entry,
                apply_result_cb cb,
                void *arg,
                struct error *error);
/* The log advanced to `index` without a command (barriers, configurations). */
int apply_advance(struct apply *apply, uint64_t previous, uint64_t index, struct error *error);
/* Commits; readers that begin after see it. */
int apply_commit(struct apply *apply, struct store_position *ret, struct error *error);
void apply_abort(struct apply *apply);
/* What the transaction `item` (as item_encode has it) would answer now, with the time `stamp_us`:
 * `cb` fires once, and nothing of it stays; `result` has the current revision. Not within a batch.
 * Returns 0 or a disk error, CLADE_ERR_CORRUPT for bytes that are no transaction. */
int apply_try(struct apply *apply,
              uint64_t stamp_us,
              struct span item,
              apply_result_cb cb,
              void *arg,
              struct error *error);
/* Goes on with taking away what is below the floors (compact.h), within the batch: as much as
 * `changes_max` changes of the change log brought to an end. Nothing that can be read, and no
 * digest, depends on it. *ret_more: it is not done. Returns 0 or a disk error, as above. */
int apply_compact(struct apply *apply, unsigned changes_max, bool *ret_more, struct error *error);
/* Bytes that this batch has dirtied so far, about; to bound a batch. */
uint64_t apply_batch_bytes(const struct apply *apply);
