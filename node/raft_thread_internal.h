#pragma once
/* What raft_thread.c (the loop and its life) and raft_mail.c (what other threads send through it)
 * share. */
#include "node/raft_thread.h"

struct disk;
struct guard;
struct guard_disk;
struct mark_thread;
struct peers;
struct resolver;

struct raft_thread {
    struct node *node;
    uv_loop_t loop;
    pthread_t thread;
    bool running;
    struct mailbox proposals; /* of proposals, linked by their own nodes */
    struct mailbox mail;
    uv_async_t published;
    uv_idle_t flush; /* active while group_flush has something to do */
    struct disk *disk;
    struct guard_disk *mark;
    struct guard_disk *witness;
    struct guard *guard; /* over the disk, under the group */
    struct mark_thread *marker;
    struct resolver *resolver;
    struct peers *peers;
    struct group *group;
    struct list transfers;
    uint64_t transfer_ticket;
};
