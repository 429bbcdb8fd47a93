#pragma once
/* Who a data folder belongs to: a small text file of key=value lines, the last a checksum over
 * all before it.
 *
 *     format=1
 *     cluster=<32 hex digits>
 *     node=2
 *     joined=1                    only of a node that joined a running cluster
 *     name=<text>
 *     member=1=10.0.0.1:7401      one a member, by id
 *     checksum=<16 hex digits>    XXH3-64 of everything above
 *
 * raft/ and store/ carry a stamp of the same form without name and members, so that folders
 * mixed up from two nodes are found. */
#include "base/error.h"
#include "base/hash.h"
#include "consensus/group.h"

#define IDENTITY_FORMAT     1
#define IDENTITY_NAME_BYTES 256

struct identity {
    struct hash128 cluster;
    uint64_t node;
    char name[IDENTITY_NAME_BYTES];
    bool joined; /* it joined a running cluster: its log was not bootstrapped */
    /* By id: those of the first configuration; of a node that joined, itself and whom it asks
     * first. */
    struct group_member members[GROUP_MEMBERS_MAX];
    size_t members_len;
};

/* Adds "ID=HOST:PORT". CLADE_ERR_INVALID: not of that form, the id 0, an id or an address that is
 * there already, too many. */
int identity_add_member(struct identity *id, struct span text, struct error *error);
/* Sorts the members, checks that `node` is one of them and fills in the cluster's id: the hash of
 * members and name, the same on each node. */
int identity_complete(struct identity *id, struct error *error);
/* The same for a node that joins the running cluster with this id (32 hex digits): at least one
 * other member is needed. */
int identity_complete_joined(struct identity *id, const char *cluster, struct error *error);
/* This node's peer address. */
const char *identity_address(const struct identity *id);
bool identity_equal(const struct identity *a, const struct identity *b);

/* Puts the file `identity` into the folder, durably. */
int identity_write(const struct identity *id, bool stamp, const char *folder, struct error *error);
/* CLADE_ERR_NOT_FOUND: no file; _CORRUPT: damaged; _UNSUPPORTED: of a newer format; _IO. */
int identity_read(const char *path, struct identity *ret, struct error *error);
/* The same from bytes. */
int identity_parse(struct span text, const char *path, struct identity *ret, struct error *error);
