#pragma once
/* A cluster of one node that begins with a store: restored from backups, or the survivor of another
 * cluster. Its id is random, so that no node and no client takes it for another one's. */
#include "node/identity.h"

/* Fills in the cluster's id, of an identity with one member, this node. CLADE_ERR_INVALID as
 * identity_complete, or for more than one member; _INTERNAL when there is no randomness. */
int new_cluster_identity(struct identity *identity, struct error *error);

/* Makes the store in `store_path`, which nobody has open, that of the new cluster
 * (storage/refound.h), and in the empty folder `raft_path` the log that goes on behind it. Both are
 * durable when it returns 0; after an error, or a crash, it may be done again once `raft_path` is
 * empty. */
int new_cluster_found(const struct identity *identity,
                      const char *store_path,
                      const char *raft_path,
                      uint64_t map_bytes,
                      struct error *error);
