#pragma once
/* `claded recover`: a survivor of a cluster that lost its quorum becomes a new cluster of one node.
 */
#include "node/config.h"

#define RECOVER_FOLDERS_MAX 32

struct recover_request {
    /* Data folders of the one cluster, of nodes that are stopped: the first is to be recovered, the
     * others are compared with it. */
    const char *folders[RECOVER_FOLDERS_MAX];
    size_t folders_len;
    bool force; /* although another one has more */
    bool check; /* only look */
};

/* Says on stdout what each folder has, and how far it is. Then the first one's store takes in all
 * of its log, gets a log of its own (node/new_cluster.h) and a cluster's id of its own, in place.
 * Until that is done a marker keeps the node from being started; after a crash it is to be run
 * again, and goes on. 0; CLADE_ERR_CONFLICT: another folder has what the first one lacks, and
 * `force` was not given; _IN_USE: a node runs on a folder; _CORRUPT, _IO and others with what is
 * wrong. */
int recover_run(const struct config *c, const struct recover_request *request, struct error *error);
