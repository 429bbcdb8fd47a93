#pragma once
/* A name for a file's bytes, and a place for bytes that come through a pipe. */
#include "base/error.h"

/* 32 hex digits of the bytes of a file that can be read twice, whatever its offset. For up to
 * 1 MiB it is hash128 of them; a longer file is hashed chunk by chunk, each with the hash of what
 * was before it. CLADE_ERR_IO with errno set, CLADE_ERR_NO_MEMORY. */
int file_digest(int fd, char ret_text[33]);

/* A descriptor that can be read twice, at its start: `fd` itself if it can, else a nameless
 * temporary file with all of its bytes, which the caller closes. CLADE_ERR_IO with errno set. */
int file_spool(int fd, int *ret_fd);
