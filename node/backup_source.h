#pragma once
/* What a backup is made of: this node's store as of one commit, by offset, or log entries of its
 * archive. The copier's thread answers, at the rate at which members that are behind are given what
 * they lack; one backup of a store at a time, which keeps pages from being used again (supplier.h).
 */
#include "node/raft_thread.h"
#include "storage/copy.h"
#include "wire/message.h"

struct backup_source;

/* One request of a client's, and its answer. */
struct backup_letter {
    struct raft_letter letter;
    struct backup_params params;
    struct error error;          /* code 0: there is an answer */
    uint64_t copy;               /* open: 0 when entries are wanted */
    struct store_copy_info info; /* open */
    /* open: everything that was acknowledged by then is wanted, or 0; it comes back as that of the
     * first request that opened the copy. */
    uint64_t asked_us;
    uint64_t last;       /* entries: the last index that `bytes` cover */
    uint64_t checksum;   /* read: XXH3-64 of `bytes` */
    struct buffer bytes; /* read, entries */
};

/* NULL when memory is out. */
struct backup_letter *backup_letter_new(const struct backup_params *params);
void backup_letter_free(struct raft_letter *letter);

int backup_source_new(struct node *n, struct backup_source **ret, struct error *error);
/* Accepts NULL. */
void backup_source_free(struct backup_source *b);
/* Fills in the letter; *ret_delay_us is how long it should wait before it goes back. Blocks on
 * disk.
 */
void backup_source_answer(struct backup_source *b,
                          struct backup_letter *letter,
                          uint64_t *ret_delay_us);
/* Lets go of what nobody reads any more; about once a second. */
void backup_source_tick(struct backup_source *b);
