#pragma once
/* What this node knows of the members, copied for quick looks: what the store replicates (their
 * addresses, what is wanted of them) and the role that Raft's configuration gives each. Any
 * thread. */
#include <pthread.h>

#include "consensus/group.h"
#include "storage/member.h"

struct member_client {
    uint64_t id;
    char address[MEMBER_ADDRESS_BYTES];
};

struct members {
    pthread_mutex_t mutex;
    struct member_client list[GROUP_MEMBERS_MAX]; /* those with a client address, by id */
    size_t len;
    struct group_member configuration[GROUP_MEMBERS_MAX];
    size_t configuration_len;
    struct member_client serving[GROUP_MEMBERS_MAX]; /* whom clients may go to */
    size_t serving_len;
    uint64_t version; /* of `serving`, from 1 */
};

void members_init(struct members *m);
void members_release(struct members *m);
/* Reads the store's last commit anew. Disk errors leave the copy as it was. */
int members_refresh(struct members *m, struct store *store, struct error *error);
/* The configuration as the raft loop sees it now. */
void members_set_configuration(struct members *m, const struct group_status *status);
/* The client address of a member, "" when it is not known; NUL-terminated in `text`. */
void members_find(struct members *m, uint64_t id, char text[MEMBER_ADDRESS_BYTES]);
/* Those that clients may go to: not removed, and no spares as far as the configuration is known.
 * Returns how many; *ret_version changes whenever the list does. */
size_t members_serving(struct members *m,
                       struct member_client ret[GROUP_MEMBERS_MAX],
                       uint64_t *ret_version);
/* The version alone. */
uint64_t members_version(struct members *m);
/* Whether the configuration has the node as a voter or a standby. */
bool members_has(struct members *m, uint64_t id);
/* Whether the configuration is known, and of each voter and standby in it the client address. */
bool members_all_known(struct members *m);
