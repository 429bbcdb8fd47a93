#pragma once
/* The members as the store replicates them: what each shall be, and where it is reached. The
 * records outlive the configuration of Raft: a node that was removed keeps its record for ever, so
 * that nothing comes back under its id. */
#include "base/error.h"
#include "storage/entry.h"
#include "storage/store.h"

#define MEMBER_ADDRESS_MAX 262 /* a host name, a colon and a port */
#define MEMBER_RECORDS_MAX 4096

struct member_record {
    uint64_t node;
    enum member_wanted wanted;
    char peer_address[MEMBER_ADDRESS_MAX + 1];   /* HOST:PORT; "" = nobody has said */
    char client_address[MEMBER_ADDRESS_MAX + 1]; /* the same */
};

/* Calls `cb` for each record at the last commit, removed ones too, by ascending id; the record is
 * borrowed until it returns. Returns 0 or a disk error. Any thread. */
int store_members(struct store *store,
                  void (*cb)(void *arg, const struct member_record *member),
                  void *arg,
                  struct error *error);
/* The record of one node at the last commit: 0, 1 when there is none, or a disk error. Any thread.
 */
int store_member(struct store *store,
                 uint64_t node,
                 struct member_record *ret,
                 struct error *error);
