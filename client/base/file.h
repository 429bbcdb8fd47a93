#pragma once
/* Files that must be on the disk: what all who write them need. */
#include "base/error.h"
#include "base/span.h"

/* The error of errno: CLADE_ERR_NO_SPACE (a quota is one too), _NO_MEMORY or _IO; the path and
 * "`what`: why", where `what` is "cannot be read". Returns the code. */
int file_error(const char *path, const char *what, struct error *error);
/* Writes all bytes at `offset`; false with errno. Some of them may be there then. */
bool file_write_all(int fd, uint64_t offset, struct span bytes);
/* Makes what was created, renamed or removed in the folder durable. 0 or CLADE_ERR_IO, also on a
 * full disk: what a sync lost is not there to be written again. */
int file_sync_folder(const char *path, struct error *error);
