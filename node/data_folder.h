#pragma once
/* A node's data folder.
 *
 *   LOCK             flock'ed while a process uses the folder; holds its pid
 *   identity         who it belongs to (identity.h); written last by init
 *   INIT             there while an init is under way; what lies in the folder may be made anew
 *   REMOVED          there when the node was removed from its cluster: the folder is not used any
 *                    more. A sentence, then lines cluster, node, index (of the log), time
 *   RECOVER          there while 'claded recover' makes another cluster of it: nothing runs on it
 *                    until that is done. A sentence, then a line cluster: the new one
 *   raft.new/        the new cluster's log, while it is made
 *   raft/            the log (of a node that joins, at first empty)
 *   raft/mark        what of it was acknowledged (consensus/guard.h)
 *   mark             the witness of that: a raft/ of an earlier day is known by it
 *   raft/identity    a stamp
 *   store/CURRENT    the number of the LMDB folder beside it
 *   store/identity   a stamp
 *   store/1/         LMDB; a higher number once a copy of another member's store took its place
 *   store/incoming/  a copy that is being received (consensus/catch_up.h)
 *   store/shrinking/ a smaller one that is being written (shrink.h)
 *   settings.yaml    what the node runs with (reload.h); nothing but check-config reads it
 *   archive/         what was applied, for members that are behind (consensus/archive.h)
 */
#include "node/config.h"
#include "node/identity.h"

#define DATA_FOLDER_SHRINKING "shrinking"

struct data_folder {
    int lock_fd; /* -1 when it is not locked */
    struct identity identity;
    char path[CONFIG_PATH_BYTES];
    char raft_path[CONFIG_PATH_BYTES + 16];
    char store_folder[CONFIG_PATH_BYTES + 16];
    char store_path[CONFIG_PATH_BYTES + 300]; /* the LMDB folder, in store_folder */
};

/* Puts into a folder that is being made what its log and its store begin with: both folders are
 * there, empty. 0 or a CLADE_ERR_*. */
typedef int (*data_folder_fill)(void *arg,
                                const char *raft_path,
                                const char *store_path,
                                struct error *error);

/* Makes a folder that `fill` fills. Refuses one that is made, or has something in it. What an
 * attempt that was interrupted left is made anew. */
int data_folder_make(const char *path,
                     const struct identity *identity,
                     data_folder_fill fill,
                     void *arg,
                     struct error *error);
/* Makes the folder of a new member. 0, or 1: it was made already, with the same identity. Refuses
 * a folder that has something in it. What an interrupted init left is made anew. */
int data_folder_init(const char *path, const struct identity *identity, struct error *error);

/* Locks and checks the folder: missing or damaged identity, newer format, another cluster or node
 * than config asks for (where it does), a node that was removed (CLADE_ERR_CONFLICT), stamps that
 * disagree. Removes stores that are not current any more. data_folder_close undoes it. */
int data_folder_open(const char *path,
                     const char *cluster,
                     uint64_t node,
                     struct data_folder *ret,
                     struct error *error);
/* For those who write files into a folder that its node is to use afterwards: CLADE_ERR_CONFLICT
 * when it is another user's, who could not read them. One that is not there is nobody's. */
int data_folder_refuse_others(const char *path, struct error *error);
/* Unlocks. Accepts a folder that failed to open. */
void data_folder_close(struct data_folder *folder);
/* Bytes that the file system has free for us, and its size. */
int data_folder_space(const struct data_folder *folder, uint64_t *ret_free, uint64_t *ret_total);

/* The store's folders change on one thread: the apply thread, or whoever owns the folder before
 * threads run. A crash at any point leaves the old store current, or the new one. */

/* Moves the folder `path`, which lies in store_folder, its files synced, to the next number and
 * makes it the current store. The one that was current stays, until nobody reads it:
 * data_folder_remove_store, or the next open. CLADE_ERR_NO_SPACE: nothing has changed, try again;
 * CLADE_ERR_IO: the next open knows which is current. */
int data_folder_adopt_store(struct data_folder *folder, const char *path, struct error *error);
/* Removes a store that is not the current one. Queries may still be in it: they go on, and its
 * space comes back when it is closed (store_close_old). */
int data_folder_remove_store(const struct data_folder *folder,
                             const char *path,
                             struct error *error);

/* Marks the folder of a node that was removed from its cluster, durably: data_folder_open refuses
 * it from then on. `index` is that of the removal in the log, 0 when it is not known. */
int data_folder_mark_removed(const struct data_folder *folder,
                             uint64_t index,
                             uint64_t wall_us,
                             struct error *error);
