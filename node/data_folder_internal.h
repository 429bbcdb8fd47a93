#pragma once
/* What opening and making a data folder share. */
#include "node/data_folder.h"

/* Takes the lock, or CLADE_ERR_IN_USE with the pid of who has it. The descriptor is the lock. */
int data_folder_lock(const char *path, int *ret_fd, struct error *error);
/* CLADE_ERR_CONFLICT, with what the marker says, when the node of this folder was removed. */
int data_folder_refuse_removed(const char *path, struct error *error);
