#pragma once
/* What opening and making a data folder share. */
#include "node/data_folder.h"

#define DATA_FOLDER_NEW_RAFT "raft.new"

/* Takes the lock, or CLADE_ERR_IN_USE with the pid of who has it. The descriptor is the lock. */
int data_folder_lock(const char *path, int *ret_fd, struct error *error);
/* CLADE_ERR_CONFLICT, with what the marker says, when the node of this folder was removed. */
int data_folder_refuse_removed(const char *path, struct error *error);

/* A folder on its way to be another cluster's (recover.h). */

/* As data_folder_open, of whatever cluster and node. *ret_resumed: an attempt was interrupted, and
 * its new cluster is *ret_cluster; log and stamps may be of either cluster then, or not there. */
int data_folder_open_for_recovery(const char *path,
                                  struct data_folder *ret,
                                  bool *ret_resumed,
                                  struct hash128 *ret_cluster,
                                  struct error *error);
/* Durably: from here on data_folder_open refuses the folder. */
int data_folder_begin_recovery(const struct data_folder *folder,
                               struct hash128 cluster,
                               struct error *error);
/* Whether the new cluster's log is all there, in its place or beside it. */
bool data_folder_has_new_log(const struct data_folder *folder, struct hash128 cluster);
/* Puts it in its place, if it is not there yet; the former one is gone. */
int data_folder_adopt_log(const struct data_folder *folder, struct error *error);
int data_folder_end_recovery(const struct data_folder *folder, struct error *error);
/* What the marker says; without one *ret_there is false. CLADE_ERR_CORRUPT: it says nothing; _IO
 * and others: it is there, or may be, and cannot be read. */
int data_folder_read_recovery(const char *path,
                              bool *ret_there,
                              struct hash128 *ret_cluster,
                              struct error *error);
/* CLADE_ERR_CONFLICT when the marker is there; _IO and others when that cannot be told. */
int data_folder_refuse_recovering(const char *path, struct error *error);
