#pragma once
/* A node's data folder.
 *
 *     LOCK         flock'ed while a process uses the folder; holds its pid
 *     identity     who it belongs to (identity.h); written last by init
 *     INIT         there while an init is under way
 *     raft/        the log, its mark (consensus/guard.h), and a stamp `identity`
 *     store/       CURRENT (the name of the LMDB folder beside it) and a stamp `identity`
 *     store/1/     LMDB
 */
#include "node/config.h"
#include "node/identity.h"

struct data_folder {
    int lock_fd; /* -1 when it is not locked */
    struct identity identity;
    char path[CONFIG_PATH_BYTES];
    char raft_path[CONFIG_PATH_BYTES + 16];
    char store_path[CONFIG_PATH_BYTES + 300]; /* the LMDB folder */
};

/* Makes the folder of a new member. 0, or 1: it was made already, with the same identity. Refuses
 * a folder that has something in it. What an interrupted init left is made anew. */
int data_folder_init(const char *path, const struct identity *identity, struct error *error);

/* Locks and checks the folder: missing or damaged identity, newer format, another cluster or node
 * than config asks for (where it does), stamps that disagree. data_folder_close undoes it. */
int data_folder_open(const char *path,
                     const char *cluster,
                     uint64_t node,
                     struct data_folder *ret,
                     struct error *error);
/* Unlocks. Accepts a folder that failed to open. */
void data_folder_close(struct data_folder *folder);
/* Bytes that the file system has free for us, and its size. */
int data_folder_space(const struct data_folder *folder, uint64_t *ret_free, uint64_t *ret_total);
