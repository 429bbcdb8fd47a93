#pragma once
/* The members' client addresses as the store replicates them, copied for quick looks. */
#include <pthread.h>

#include "consensus/group.h"
#include "storage/store.h"

struct member_client {
    uint64_t id;
    char address[MEMBER_ADDRESS_BYTES];
};

struct members {
    pthread_mutex_t mutex;
    struct member_client list[GROUP_MEMBERS_MAX];
    size_t len;
};

void members_init(struct members *m);
void members_release(struct members *m);
/* Reads the store's last commit anew. Disk errors leave the copy as it was. */
int members_refresh(struct members *m, struct store *store, struct error *error);
/* The address of a member, "" when it is not known; NUL-terminated in `text`. */
void members_find(struct members *m, uint64_t id, char text[MEMBER_ADDRESS_BYTES]);
/* All of them; returns how many. */
size_t members_copy(struct members *m, struct member_client ret[GROUP_MEMBERS_MAX]);
